#include "cli/series_lines.h"
#include "base/text.h"
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

struct field {
    const char *text;
    size_t length;
};

static struct field trimmed(const char *text, size_t length)
{
    text_trim(&text, &length);
    return (struct field){text, length};
}

/* Ways to say that there is no value, all of which are seen in the wild. */
static bool is_gap(struct field field)
{
    static const char *const words[] = {"nan", "null", "na", "none"};
    char word[8];
    if (field.length == 0)
        return true;
    if (field.length >= sizeof word)
        return false;
    memcpy(word, field.text, field.length);
    word[field.length] = '\0';
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (text_equal_nocase(word, words[i]))
            return true;
    return false;
}

static void complain(struct series_line *line, const char *complaint)
{
    line->kind = LINE_BAD;
    line->complaint = complaint;
}

void series_line_parse(const char *text, size_t length, struct series_line *line)
{
    struct field all = trimmed(text, length);
    line->kind = LINE_BLANK;
    line->complaint = NULL;
    if (all.length == 0)
        return;
    const char *comma = memchr(text, ',', length);
    if (comma == NULL) {
        complain(line, "no comma; a line is timestamp,value");
        return;
    }
    const char *after = comma + 1;
    const char *next = memchr(after, ',', length - (size_t)(after - text));
    struct field time = trimmed(text, (size_t)(comma - text));
    struct field value = trimmed(after, (size_t)((next ? next : text + length) - after));
    if (!series_time_parse(time.text, time.length, &line->t_s))
        complain(line, "no time; it is 2014-04-10 00:04:00, 2014-04-10T00:04:00Z or seconds since "
                       "1970");
    else if (is_gap(value))
        line->kind = LINE_GAP;
    else if (!text_parse_double(value.text, value.length, &line->value))
        complain(line, "no number; a value is a decimal number, or empty where there is none");
    else
        line->kind = LINE_VALUE;
}

/* Words where the time and the value would be: neither of them, though there is a comma. */
static bool is_header(const struct series_line *line)
{
    const char *comma = memchr(line->text, ',', line->length);
    double number;
    if (line->kind != LINE_BAD || comma == NULL)
        return false;
    struct field first = trimmed(line->text, (size_t)(comma - line->text));
    struct field second = trimmed(comma + 1, line->length - (size_t)(comma + 1 - line->text));
    bool is_word = first.length > 0 && !(*first.text >= '0' && *first.text <= '9');
    return is_word && second.length > 0 && !text_parse_double(second.text, second.length, &number);
}

void series_lines_init(struct series_lines *lines, int fd)
{
    lines->fd = fd;
    lines->error = 0;
    lines->is_over = lines->has_first = false;
    lines->number = 0;
    lines->begin = lines->end = 0;
}

static char *end_of_line(const struct series_lines *lines)
{
    return memchr(lines->buffer + lines->begin, '\n', lines->end - lines->begin);
}

bool series_lines_may_wait(const struct series_lines *lines)
{
    return !lines->is_over && end_of_line(lines) == NULL;
}

/* Reads what there is, behind what is left. */
static void fill(struct series_lines *lines)
{
    assert(lines->begin <= lines->end && lines->end <= SERIES_BUFFER_SIZE);
    memmove(lines->buffer, lines->buffer + lines->begin, lines->end - lines->begin);
    lines->end -= lines->begin;
    lines->begin = 0;
    ssize_t got;
    do
        got = read(lines->fd, lines->buffer + lines->end, SERIES_BUFFER_SIZE - lines->end);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        lines->error = errno;
    if (got <= 0)
        lines->is_over = true;
    else
        lines->end += (size_t)got;
}

/* Passes over the rest of a line that fills the buffer; false at the end of all. */
static bool skip_line(struct series_lines *lines)
{
    char *end;
    while ((end = end_of_line(lines)) == NULL && !lines->is_over) {
        lines->begin = lines->end;
        fill(lines);
    }
    lines->begin = end ? (size_t)(end + 1 - lines->buffer) : lines->end;
    return end != NULL;
}

static void understand(struct series_lines *lines, struct series_line *line)
{
    if (lines->number == 1)
        text_skip_mark(&line->text, &line->length);
    while (line->length > 0 && line->text[line->length - 1] == '\r')
        line->length--;
    if (line->length > SERIES_LINE_MAX) {
        line->length = SERIES_LINE_MAX;
        complain(line, "longer than 4,096 bytes");
    } else {
        series_line_parse(line->text, line->length, line);
    }
    if (line->kind == LINE_BLANK)
        return;
    if (!lines->has_first && is_header(line))
        line->kind = LINE_HEADER;
    lines->has_first = true;
}

bool series_lines_next(struct series_lines *lines, struct series_line *line)
{
    char *end;
    while ((end = end_of_line(lines)) == NULL && !lines->is_over &&
           lines->end - lines->begin < SERIES_BUFFER_SIZE)
        fill(lines);
    line->text = lines->buffer + lines->begin;
    if (end == NULL && lines->end - lines->begin == SERIES_BUFFER_SIZE) {
        static const char nothing[] = "";
        skip_line(lines);
        *line = (struct series_line){.number = ++lines->number, .text = nothing};
        complain(line, "longer than 4,096 bytes");
        lines->has_first = true;
        return true;
    }
    if (end == NULL && lines->begin == lines->end)
        return false;
    line->length = end ? (size_t)(end - line->text) : lines->end - lines->begin;
    line->number = ++lines->number;
    lines->begin = end ? (size_t)(end + 1 - lines->buffer) : lines->end;
    understand(lines, line);
    return true;
}
