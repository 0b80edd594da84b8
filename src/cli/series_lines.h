/*
 * A series of values as lines of CSV, `timestamp,value`, read as they come. For the verbs that
 * write each line out again with what they make of it: the line's text is kept as it was.
 *
 *     timestamp   2014-04-10 00:04:00, 2014-04-10T00:04:00Z (RFC 3339: a fraction, Z or ±hh:mm), or
 *                 seconds since 1970, with a fraction or not; UTC where no zone is named
 *     value       a number; nothing, NaN, null or NA: a gap
 *
 * A first line whose two fields are words is the header. Blanks around fields are passed over,
 * blank lines are LINE_BLANK, columns after the second are nobody's business. Anything else is
 * LINE_BAD, with a complaint; the series goes on behind it.
 */
#ifndef MOONWATCH_CLI_SERIES_LINES_H
#define MOONWATCH_CLI_SERIES_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERIES_LINE_MAX    4096        /* bytes: a time, a number and columns that are not ours */
#define SERIES_BUFFER_SIZE (64 * 1024) /* read at once */

enum series_line_kind { LINE_VALUE, LINE_GAP, LINE_HEADER, LINE_BLANK, LINE_BAD };

struct series_line {
    enum series_line_kind kind;
    const char *text;      /* without its end; until the next line */
    size_t length;         /* of a line over the limit: what fits */
    uint64_t number;       /* from 1 */
    double t_s, value;     /* of LINE_VALUE; t_s of LINE_GAP too */
    const char *complaint; /* of LINE_BAD: what is wrong with it, and what would be right */
};

struct series_lines {
    int fd;
    int error; /* errno of a read that failed, after which nothing comes; 0: none */
    bool is_over;
    bool has_first; /* a line that was not blank */
    uint64_t number;
    size_t begin, end;
    char buffer[SERIES_BUFFER_SIZE];
};

void series_lines_init(struct series_lines *lines, int fd);

/* No whole line is here: the next one may take as long as its sender likes, so what was written
 * should be sent off before. */
bool series_lines_may_wait(const struct series_lines *lines);

/* False at the end, or at an error. */
bool series_lines_next(struct series_lines *lines, struct series_line *line);

/* What a line says, by itself. `text` need not end in NUL. */
void series_line_parse(const char *text, size_t length, struct series_line *line);

/* Seconds since 1970; false: no time that exists, in none of the forms above. */
bool series_time_parse(const char *text, size_t length, double *t_s);

#endif
