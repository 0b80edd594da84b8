#include "base/log.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log_ring.h"
#include "base/text.h"
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES  4096 /* PIPE_BUF: a line up to this is written whole even into a pipe */
#define VALUE_MAX_BYTES 1024 /* of a text, escaped; what is cut ends with "…" */
#define RING_VALUE_MAX  256  /* the same in the ring, whose lines are short */
#define SECRETS_MAX     24
#define SECRET_SIZE     512 /* escaped */
#define STARS           "***"
#define TAIL_BYTES      32 /* kept free for the mark of a cut line and its end */
#define ELLIPSIS        "\xe2\x80\xa6"
#define BLOCKED_WAIT_MS                                                                            \
    1000 /* how long a full non-blocking pipe may hold us up before we go on                       \
          */

static atomic_int threshold_level = LOG_INFO;
static atomic_int chosen_format = LOG_FORMAT_AUTO;
static struct log_ring *_Atomic shared_ring;
static atomic_uint shared_writer;
static char secrets[SECRETS_MAX][SECRET_SIZE]; /* as they would stand in a line */
static size_t secret_count;

static const char *const level_names[LOG_LEVEL_COUNT] = {"debug", "info", "warning", "error"};
static const char *const level_colours[LOG_LEVEL_COUNT] = {"\x1b[2m", "\x1b[32m", "\x1b[33m",
                                                           "\x1b[1;31m"};

enum style { STYLE_JSON, STYLE_LOGFMT, STYLE_LOGFMT_COLOURED, STYLE_RING };

/* A line under construction. A field that does not fit is left out whole and `cut` is set. */
struct line {
    char text[LINE_MAX_BYTES];
    size_t capacity, value_max;
    size_t length;
    bool full;
    bool cut;
    enum style style;
};

void log_setup(enum log_level threshold, enum log_format format)
{
    atomic_store(&threshold_level, (int)threshold);
    atomic_store(&chosen_format, (int)format);
}

bool log_level_parse(const char *text, enum log_level *out)
{
    for (int i = 0; i < LOG_LEVEL_COUNT; i++)
        if (text_equal_nocase(text, level_names[i])) {
            *out = (enum log_level)i;
            return true;
        }
    return false;
}

const char *log_level_name(enum log_level level)
{
    return (unsigned)level < LOG_LEVEL_COUNT ? level_names[level] : "unknown";
}

/* https://no-color.org: any value but the empty one switches colour off. */
static bool is_coloured(void)
{
    const char *no_color = getenv("NO_COLOR");
    return (no_color == NULL || no_color[0] == '\0') && isatty(STDERR_FILENO);
}

static enum style style_now(void)
{
    int format = atomic_load_explicit(&chosen_format, memory_order_relaxed);
    if (format == LOG_FORMAT_JSON || (format == LOG_FORMAT_AUTO && !isatty(STDERR_FILENO)))
        return STYLE_JSON;
    return is_coloured() ? STYLE_LOGFMT_COLOURED : STYLE_LOGFMT;
}

static void add_bytes(struct line *line, const char *bytes, size_t length)
{
    if (line->full || length > line->capacity - TAIL_BYTES - line->length) {
        line->full = true;
        return;
    }
    memcpy(line->text + line->length, bytes, length);
    line->length += length;
}

static void add_text(struct line *line, const char *text)
{
    add_bytes(line, text, strlen(text));
}

/* What stands between the quotes; at most `value_max` bytes. */
static void add_escaped(struct line *line, const char *text, size_t length)
{
    size_t written = 0;
    while (length > 0) {
        char escaped[TEXT_ESCAPED_SIZE];
        size_t escaped_length;
        size_t taken = text_escape(text, length, escaped, &escaped_length);
        if (written + escaped_length > line->value_max) {
            add_text(line, ELLIPSIS);
            return;
        }
        add_bytes(line, escaped, escaped_length);
        written += escaped_length;
        text += taken;
        length -= taken;
    }
}

static bool needs_quotes(const char *text)
{
    if (text[0] == '\0')
        return true;
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text >= 0x7f || *text == '"' || *text == '=' || *text == '\\')
            return true;
    return false;
}

static bool is_json(const struct line *line)
{
    return line->style == STYLE_JSON || line->style == STYLE_RING;
}

static void add_string(struct line *line, const char *text)
{
    if (text == NULL) {
        add_text(line, "null");
        return;
    }
    bool quoted = is_json(line) || needs_quotes(text);
    if (quoted)
        add_text(line, "\"");
    add_escaped(line, text, strlen(text));
    if (quoted)
        add_text(line, "\"");
}

static void add_key(struct line *line, const char *key)
{
    if (is_json(line)) {
        const char *begin = line->style == STYLE_JSON ? "{\"" : "\"";
        add_text(line, line->length == 0 ? begin : ",\"");
        add_escaped(line, key, strlen(key));
        add_text(line, "\":");
    } else {
        add_text(line, line->length == 0 ? "" : " ");
        add_escaped(line, key, strlen(key));
        add_text(line, "=");
    }
}

static void add_value(struct line *line, const struct log_field *field)
{
    char number[32];
    switch (field->type) {
    case LOG_FIELD_STRING:
        add_string(line, field->value.string);
        break;
    case LOG_FIELD_INT:
        snprintf(number, sizeof number, "%" PRId64, field->value.integer);
        add_text(line, number);
        break;
    case LOG_FIELD_DOUBLE:
        json_number_format(field->value.number, number);
        add_text(line, number);
        break;
    case LOG_FIELD_END:
        break;
    }
}

/* All of it or nothing of it. */
static void add_field(struct line *line, const struct log_field *field)
{
    size_t before = line->length;
    add_key(line, field->key);
    add_value(line, field);
    if (line->full) {
        line->length = before;
        line->full = false;
        line->cut = true;
    }
}

static void add_level(struct line *line, enum log_level level)
{
    if (line->style != STYLE_LOGFMT_COLOURED) {
        add_field(line, &LOG_STRING("level", level_names[level]));
        return;
    }
    add_key(line, "level");
    add_text(line, level_colours[level]);
    add_text(line, level_names[level]);
    add_text(line, "\x1b[0m");
}

/* TAIL_BYTES were kept for this. */
static void end_line(struct line *line)
{
    const char *mark = is_json(line) ? ",\"truncated\":true" : " truncated=true";
    const char *end = line->style == STYLE_JSON ? "}\n" : line->style == STYLE_RING ? "" : "\n";
    if (line->cut) {
        memcpy(line->text + line->length, mark, strlen(mark));
        line->length += strlen(mark);
    }
    memcpy(line->text + line->length, end, strlen(end));
    line->length += strlen(end);
}

/* One write, unless a signal or a full pipe comes between; the rest of a line is never dropped for
 * a signal, only when nobody reads for BLOCKED_WAIT_MS. */
static void write_line(const char *text, size_t length)
{
    while (length > 0) {
        ssize_t written = write(STDERR_FILENO, text, length);
        if (written >= 0) {
            text += written;
            length -= (size_t)written;
        } else if (errno == EAGAIN) {
            struct pollfd writable = {.fd = STDERR_FILENO, .events = POLLOUT};
            if (poll(&writable, 1, BLOCKED_WAIT_MS) == 0)
                return;
        } else if (errno != EINTR) {
            return;
        }
    }
}

/* ---- secrets ---- */

void log_hide(const char *secret)
{
    char *out = secrets[secret_count];
    size_t length = strlen(secret), written = 0;
    if (length < LOG_SECRET_MIN || secret_count == SECRETS_MAX)
        return;
    while (length > 0 && written < SECRET_SIZE - TEXT_ESCAPED_SIZE) {
        size_t escaped;
        size_t taken = text_escape(secret, length, out + written, &escaped);
        written += escaped;
        secret += taken;
        length -= taken;
    }
    out[written] = '\0';
    secret_count++;
}

static void hide_one(struct line *line, const char *secret)
{
    size_t length = strlen(secret);
    char *at = line->text;
    while ((at = memmem(at, (size_t)(line->text + line->length - at), secret, length)) != NULL) {
        memcpy(at, STARS, sizeof STARS - 1);
        at += sizeof STARS - 1;
        char *rest = at + length - (sizeof STARS - 1);
        memmove(at, rest, (size_t)(line->text + line->length - rest));
        line->length -= length - (sizeof STARS - 1);
    }
}

static void hide_secrets(struct line *line)
{
    for (size_t i = 0; i < secret_count; i++)
        hide_one(line, secrets[i]);
}

/* ---- a line ---- */

void log_share(struct log_ring *ring, unsigned writer)
{
    atomic_store(&shared_writer, writer);
    atomic_store_explicit(&shared_ring, ring, memory_order_release);
}

struct entry {
    instant at;
    enum log_level level;
    const char *logger, *message;
    const struct log_field *fields;
};

static void add_entry(struct line *line, const struct entry *entry)
{
    add_field(line, &LOG_STRING("msg", entry->message));
    for (const struct log_field *field = entry->fields; field->type != LOG_FIELD_END; field++)
        add_field(line, field);
    end_line(line);
    hide_secrets(line);
}

static void put_into_ring(struct log_ring *ring, const struct entry *entry)
{
    struct line line = {
        .capacity = LOG_TEXT_SIZE, .value_max = RING_VALUE_MAX, .style = STYLE_RING};
    add_entry(&line, entry);
    log_ring_put(ring, &(struct log_entry){.at = entry->at,
                                           .level = entry->level,
                                           .writer = atomic_load(&shared_writer),
                                           .logger = entry->logger,
                                           .text = line.text,
                                           .length = line.length});
}

static void write_out(const struct entry *entry)
{
    struct line line = {
        .capacity = LINE_MAX_BYTES, .value_max = VALUE_MAX_BYTES, .style = style_now()};
    char time_text[ISO_TIME_SIZE];
    iso_time_format(entry->at, time_text);
    add_field(&line, &LOG_STRING("ts", time_text));
    add_level(&line, entry->level);
    add_field(&line, &LOG_STRING("logger", entry->logger));
    add_entry(&line, entry);
    write_line(line.text, line.length);
}

void log_write(enum log_level level, const char *logger, const char *message,
               const struct log_field *fields)
{
    if ((int)level < atomic_load_explicit(&threshold_level, memory_order_relaxed) ||
        (unsigned)level >= LOG_LEVEL_COUNT)
        return;

    int caller_errno = errno;
    const struct entry entry = {clock_now(), level, logger, message, fields};
    struct log_ring *ring = atomic_load_explicit(&shared_ring, memory_order_acquire);
    if (ring != NULL)
        put_into_ring(ring, &entry);
    write_out(&entry);
    errno = caller_errno;
}
