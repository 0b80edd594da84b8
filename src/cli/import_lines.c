#include "cli/import_lines.h"
#include "base/text.h"
#include <stdbool.h>
#include <string.h>

struct line {
    char text[IMPORT_LINE_MAX];
    size_t length; /* up to the limit */
    bool is_long;
};

/* False at the end of the file. */
static bool read_line(struct import_lines *lines, struct line *line)
{
    int c;
    bool has_any = false;
    line->length = 0;
    line->is_long = false;
    while ((c = getc_unlocked(lines->file)) != EOF) {
        has_any = true;
        lines->bytes++;
        if (c == '\n')
            break;
        if (line->length < sizeof line->text)
            line->text[line->length++] = (char)c;
        else
            line->is_long = true;
    }
    lines->line += has_any;
    return has_any;
}

/* Takes the line down to its mint. */
static const char *trim(const struct import_lines *lines, const struct line *line, size_t *length)
{
    const char *text = line->text;
    const char *comment = memchr(text, '#', line->length);
    size_t left = comment ? (size_t)(comment - text) : line->length;
    if (lines->line == 1)
        text_skip_mark(&text, &left);
    text_trim(&text, &left);
    *length = left;
    return text;
}

static void refuse(struct import_lines *lines, const char *reason)
{
    lines->refused++;
    lines->on_refused(lines->context, lines->line, reason);
}

static void take_line(struct import_lines *lines, const struct line *line,
                      struct import_batch *batch)
{
    size_t length;
    struct address mint;
    const char *text = trim(lines, line, &length);
    if (length == 0)
        return;
    if (line->is_long && memchr(line->text, '#', line->length) == NULL) {
        refuse(lines, "the line is too long for a mint");
    } else if (!address_parse(text, length, &mint)) {
        const char *complaint = address_complaint(text, length);
        refuse(lines, complaint ? complaint : "no mint");
    } else {
        memcpy(batch->text + batch->length, text, length);
        batch->length += length;
        batch->text[batch->length++] = '\n';
        batch->lines[batch->count++] = lines->line;
    }
}

unsigned import_lines_read(struct import_lines *lines, struct import_batch *batch)
{
    struct line line = {0};
    batch->count = 0;
    batch->length = 0;
    while (batch->count < IMPORT_BATCH_MAX && read_line(lines, &line))
        take_line(lines, &line, batch);
    return batch->count;
}
