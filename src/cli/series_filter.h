/*
 * A verb that passes a series on from standard input to standard output with columns of its own: a
 * line out for each line in, at once. What detect and forecast share; what they say of a value is
 * theirs.
 *
 *     series_filter_run()    everything; false: input or output failed, and that was said
 *     series_filter_end()    what was not understood is counted; the exit status
 *
 * A line that is none goes on as it is with empty columns, and is named on standard error, the
 * first of them.
 */
#ifndef MOONWATCH_CLI_SERIES_FILTER_H
#define MOONWATCH_CLI_SERIES_FILTER_H

#include "cli/series_lines.h"
#include <stdbool.h>
#include <stdint.h>

struct series_verb {
    const char *name;     /* "detect" */
    const char *columns;  /* ",anomaly_score": names of the new ones, each after a comma */
    const char *omission; /* "no score for it": what becomes of a line that is none */
    const char *omitted;  /* "have no score": the same of several lines */
    /* Writes a whole line for LINE_VALUE, and for LINE_GAP. */
    void (*on_line)(void *context, const struct series_line *line);
};

struct series_filter { /* its lines' buffer is too large for a careful stack */
    const struct series_verb *verb;
    void *context;
    struct series_lines lines;
    bool has_header;
    uint64_t bad;
};

bool series_filter_run(struct series_filter *filter);
int series_filter_end(const struct series_filter *filter);

/* The line as it is, nothing in the new columns. */
void series_filter_write_nothing(const struct series_filter *filter,
                                 const struct series_line *line);

#endif
