/*
 * A verb's arguments. The verb declares what is its own in a table; everything else is an option
 * of options.def, when the verb takes options at all:
 *
 *     --key value, --key=value    an option, with dashes for underscores
 *     --set key=value             the same
 *     --config FILE               a file of options (options_read_file())
 *
 * The environment is read as well (MOONWATCH_KEY). A mistake anywhere is told on stderr in one
 * sentence, with the nearest known name. `--help` prints what the tables say.
 */
#ifndef MOONWATCH_CLI_ARGUMENTS_H
#define MOONWATCH_CLI_ARGUMENTS_H

#include "base/options.h"
#include "cli/command.h"
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum argument_type {
    ARGUMENT_SWITCH,  /* bool: --name */
    ARGUMENT_TEXT,    /* const char *: --name VALUE; points into argv */
    ARGUMENT_INTEGER, /* int64_t */
    ARGUMENT_REAL,    /* double */
    ARGUMENT_OPERAND, /* const char *: a word without dashes, in the order of the rows */
    ARGUMENT_WORDS    /* struct argument_words: all words that no operand before it took */
};

#define ARGUMENT_WORDS_MAX 64

struct argument_words {
    const char *items[ARGUMENT_WORDS_MAX];
    size_t count;
};

struct argument {
    const char *name; /* without dashes; of operands and words, as the help shows it: FILE */
    enum argument_type type;
    const char *value_name; /* MINT, SECONDS…; NULL for a switch or an operand */
    const char *sentence;
    const char *choices; /* "a|b|", for completions; NULL: anything, or a file */
    void *target;        /* keeps its value when the argument is absent */
    double low, high;    /* bounds of numbers; both 0: none */
    enum { ARGUMENT_OPTIONAL, ARGUMENT_REQUIRED } need;
};

struct argument_spec {
    const struct argument *rows;
    size_t count;
    struct options *options;        /* initialised and filled here; NULL: the verb takes none */
    const char *const *environment; /* NULL: the process's own */
    const char **config_path;       /* gets the FILE of --config; may be NULL */
};

enum arguments_result {
    ARGUMENTS_OK,
    ARGUMENTS_HELPED, /* --help was asked for and printed: exit with EXIT_DONE */
    ARGUMENTS_WRONG   /* said so on stderr: exit with EXIT_USAGE */
};

/* Logs as `options` say, and never shows a secret of theirs. */
void arguments_set_up_log(const struct options *options);

/* argv[0] is the verb's name. */
enum arguments_result arguments_parse(int argc, char *argv[],
                                      const struct argument_spec *spec) MUST_CHECK;

/* What a verb returns when arguments_parse() was not ARGUMENTS_OK. */
int arguments_exit_status(enum arguments_result result);

/* What `moonwatch VERB --help` prints. */
void arguments_help(FILE *out, const char *verb, const struct argument_spec *spec);

/* What a verb's arguments are, without running it: who writes completions and manual pages has
 * them from the tables that the verb itself reads. */
typedef void argument_visitor(void *context, const struct command_row *command,
                              const struct argument_spec *spec);
void arguments_visit(const struct command_row *command, argument_visitor *visit, void *context);

static inline bool argument_is_flag(const struct argument *row)
{
    return row->type != ARGUMENT_OPERAND && row->type != ARGUMENT_WORDS;
}

/* hot-interval-sec of hot_interval_sec. */
#define ARGUMENT_FLAG_SIZE 64
void argument_option_flag(const struct option_row *row, char out[ARGUMENT_FLAG_SIZE]);
/* What an option's value is called: N, TEXT, a|b … */
const char *argument_option_value(const struct option_row *row);

#endif
