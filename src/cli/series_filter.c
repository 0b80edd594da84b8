#include "cli/series_filter.h"

#include "cli/command.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COMPLAINTS_MAX 20 /* lines; more would only scroll the first ones away */
#define OUTPUT_SIZE    (64 * 1024)

/* Where the input has none; what it has goes on as it is, with names for the new columns. */
static void write_header(struct series_filter *filter, const struct series_line *line)
{
    if (filter->has_header || line->kind == LINE_BLANK)
        return;
    filter->has_header = true;
    if (line->kind == LINE_HEADER)
        printf("%.*s%s\n", (int)line->length, line->text, filter->verb->columns);
    else
        printf("timestamp,value%s\n", filter->verb->columns);
}

static void complain(struct series_filter *filter, const struct series_line *line)
{
    if (filter->bad++ < COMPLAINTS_MAX)
        fprintf(stderr, "moonwatch %s: line %" PRIu64 ": %s; %s\n", filter->verb->name,
                line->number, line->complaint, filter->verb->omission);
    if (filter->bad == COMPLAINTS_MAX)
        fprintf(stderr, "moonwatch %s: further lines like these are only counted\n",
                filter->verb->name);
}

void series_filter_write_nothing(const struct series_filter *filter, const struct series_line *line)
{
    printf("%.*s", (int)line->length, line->text);
    if (memchr(line->text, ',', line->length) == NULL)
        putchar(','); /* no value either */
    for (const char *c = filter->verb->columns; *c != '\0'; c++)
        if (*c == ',')
            putchar(',');
    putchar('\n');
}

static void write_line(struct series_filter *filter, const struct series_line *line)
{
    write_header(filter, line);
    switch (line->kind) {
    case LINE_HEADER:
        return;
    case LINE_BLANK:
        putchar('\n');
        return;
    case LINE_BAD:
        complain(filter, line);
        series_filter_write_nothing(filter, line);
        return;
    case LINE_GAP:
    case LINE_VALUE:
        filter->verb->on_line(filter->context, line);
    }
}

bool series_filter_run(struct series_filter *filter)
{
    static char output[OUTPUT_SIZE];
    struct series_line line;
    if (isatty(STDIN_FILENO))
        fprintf(stderr, "moonwatch %s: reads timestamp,value lines from here; Ctrl-D ends them\n",
                filter->verb->name);
    series_lines_init(&filter->lines, STDIN_FILENO);
    filter->has_header = false;
    filter->bad = 0;
    setvbuf(stdout, output, _IOFBF, sizeof output);
    do {
        if (series_lines_may_wait(&filter->lines) && fflush(stdout) != 0)
            break; /* nobody reads any more */
        if (!series_lines_next(&filter->lines, &line))
            break;
        write_line(filter, &line);
    } while (true);
    if (filter->lines.error != 0) {
        fprintf(stderr, "moonwatch %s: can't read the input after line %" PRIu64 ": %s\n",
                filter->verb->name, filter->lines.number, strerror(filter->lines.error));
        return false;
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "moonwatch %s: can't write the output: %s\n", filter->verb->name,
                strerror(errno));
        return false;
    }
    return true;
}

int series_filter_end(const struct series_filter *filter)
{
    if (filter->bad == 0)
        return EXIT_DONE;
    fprintf(stderr, "moonwatch %s: %" PRIu64 " of %" PRIu64 " lines %s\n", filter->verb->name,
            filter->bad, filter->lines.number, filter->verb->omitted);
    return EXIT_FAILED;
}
