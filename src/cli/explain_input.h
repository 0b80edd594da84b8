/* What `moonwatch explain` reads: a recorded answer and, to smooth from, an earlier explanation. */
#ifndef MOONWATCH_CLI_EXPLAIN_INPUT_H
#define MOONWATCH_CLI_EXPLAIN_INPUT_H

#include "core/score.h"
#include "feed/dexscreener_parse.h"
#include <stdbool.h>

#define EXPLAIN_MESSAGE_SIZE 512
#define EXPLAIN_FILE_MAX     (64L << 20) /* bytes of a file that is read */

struct explain_arguments {
    const char *mint;
    const char *pairs_path;
    const char *status;
    const char *previous_path; /* NULL: none */
    double age_hours;
};

struct explain_input {
    struct address mint;
    enum token_status status;
    double age_hours;
    bool has_previous;
    struct score previous; /* smoothed */
    struct parsed_answer answer;
};

/* False with a sentence in `why`: what, where, what to do. */
bool explain_input_read(const struct explain_arguments *arguments, const char *chain,
                        struct explain_input *out, char why[EXPLAIN_MESSAGE_SIZE]);

#endif
