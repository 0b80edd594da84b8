/*
 * GET /logs: the last lines of all processes, from the ring that they share (base/log_ring.h). GET
 * /logs/meta: who logs. DELETE /logs: shows no more what there is.
 */
#include "api/answer.h"
#include "api/aside.h"
#include "api/handlers.h"
#include "api/log_json.h"
#include "api/query.h"
#include "base/clock.h"
#include "base/text.h"
#include <stdlib.h>
#include <string.h>

#define LIMIT_MAX     500
#define LIST_SIZE     256
#define CONTAINS_SIZE 128
#define LOGGERS_MAX   64 /* different ones; there are some twenty */

/* A level of the clients' that we never log at. */
#define LEVEL_UNUSED "critical"

struct logs_query {
    int64_t limit;
    unsigned levels;         /* a bit each */
    char loggers[LIST_SIZE]; /* "": all */
    char contains[CONTAINS_SIZE * TEXT_ESCAPED_SIZE];
    instant since;
};

/* ---- what is asked for ---- */

static bool parse_level(struct request *request, const char *text, size_t length, unsigned *levels)
{
    char word[LIST_SIZE];
    enum log_level level;
    memcpy(word, text, length);
    word[length] = '\0';
    if (log_level_parse(word, &level)) {
        *levels |= 1U << level;
        return true;
    }
    if (text_equal_nocase(word, LEVEL_UNUSED))
        return true;
    refuse(request, MHD_HTTP_BAD_REQUEST,
           "unknown level '%s'; known are debug, info, warning and error", word);
    return false;
}

static bool query_levels(struct request *request, unsigned *levels)
{
    char text[LIST_SIZE] = "";
    if (!query_text(request, "levels", text, sizeof text))
        return false;
    if (text[0] == '\0')
        return true;
    *levels = 0;
    for (const char *at = text; at != NULL;) {
        size_t length = strcspn(at, ",");
        if (!parse_level(request, at, length, levels))
            return false;
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    return true;
}

/* As it stands in a line. */
static void escape(const char *text, char *out)
{
    size_t length = strlen(text), written;
    while (length > 0) {
        size_t taken = text_escape(text, length, out, &written);
        text += taken;
        length -= taken;
        out += written;
    }
    *out = '\0';
}

static bool read_query(struct request *request, struct logs_query *query)
{
    char contains[CONTAINS_SIZE] = "";
    *query = (struct logs_query){.levels = ~0U, .since = INSTANT_NEVER};
    if (!query_integer(request, "limit", &query->limit) || !query_levels(request, &query->levels) ||
        !query_text(request, "loggers", query->loggers, sizeof query->loggers) ||
        !query_text(request, "contains", contains, sizeof contains) ||
        !query_instant(request, "since", &query->since))
        return false;
    escape(contains, query->contains);
    return true;
}

/* ---- what there is ---- */

static bool is_listed(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; at != NULL;) {
        size_t item = strcspn(at, ",");
        if (item == length && memcmp(at, word, length) == 0)
            return true;
        at = at[item] == ',' ? at + item + 1 : NULL;
    }
    return false;
}

static bool is_wanted(const struct logs_query *query, const struct log_line *line)
{
    return (query->levels >> line->level & 1) != 0 && !instant_before(line->at, query->since) &&
           (query->loggers[0] == '\0' || is_listed(query->loggers, line->logger)) &&
           (query->contains[0] == '\0' || strcasestr(line->text, query->contains) != NULL);
}

/* The serials of the newest lines that are wanted, newest first; returns how many. */
static size_t choose(const struct log_ring *ring, const struct logs_query *query,
                     uint64_t serials[LIMIT_MAX])
{
    struct log_line line;
    size_t count = 0;
    uint64_t first = log_ring_first(ring);
    for (uint64_t at = log_ring_last(ring); at >= first && count < (size_t)query->limit; at--)
        if (log_ring_read(ring, at, &line) == LOG_RING_READ && is_wanted(query, &line))
            serials[count++] = at;
    return count;
}

static void show_logs(struct request *request)
{
    const struct log_ring *ring = &request->api->world.page->log;
    struct logs_query query;
    struct log_line line;
    uint64_t serials[LIMIT_MAX];
    if (!read_query(request, &query))
        return;
    struct json json = {0};
    json_array_open(&json, NULL);
    for (size_t i = choose(ring, &query, serials); i > 0; i--)
        if (log_ring_read(ring, serials[i - 1], &line) == LOG_RING_READ)
            json_log_line(&json, &line);
    json_array_close(&json);
    answer_json(request, MHD_HTTP_OK, &json);
}

void handle_logs(struct request *request)
{
    aside_handle(request->api->scans, request, show_logs);
}

/* ---- who logs ---- */

struct loggers {
    char names[LOGGERS_MAX][LOG_LOGGER_SIZE];
    size_t count;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void loggers_add(struct loggers *loggers, const char *name)
{
    for (size_t i = 0; i < loggers->count; i++)
        if (strcmp(loggers->names[i], name) == 0)
            return;
    if (loggers->count < LOGGERS_MAX)
        memcpy(loggers->names[loggers->count++], name, LOG_LOGGER_SIZE);
}

static void show_meta(struct request *request)
{
    const struct log_ring *ring = &request->api->world.page->log;
    struct loggers loggers = {.count = 0};
    struct log_line line;
    struct json json = {0};
    uint64_t last = log_ring_last(ring);
    for (uint64_t at = log_ring_first(ring); at <= last; at++)
        if (log_ring_read(ring, at, &line) == LOG_RING_READ)
            loggers_add(&loggers, line.logger);
    qsort(loggers.names, loggers.count, sizeof loggers.names[0], compare_names);
    json_object_open(&json, NULL);
    json_array_open(&json, "loggers");
    for (size_t i = 0; i < loggers.count; i++)
        json_put_string(&json, NULL, loggers.names[i]);
    json_array_close(&json);
    json_object_close(&json);
    answer_json(request, MHD_HTTP_OK, &json);
}

void handle_logs_meta(struct request *request)
{
    aside_handle(request->api->scans, request, show_meta);
}

/* ---- the end of them ---- */

static void clear_logs(struct request *request)
{
    struct json json = {0};
    size_t cleared = log_ring_clear(&request->api->world.page->log);
    json_object_open(&json, NULL);
    json_put_int(&json, "cleared", (int64_t)cleared);
    json_object_close(&json);
    answer_json(request, MHD_HTTP_OK, &json);
}

void handle_logs_clear(struct request *request)
{
    aside_handle(request->api->scans, request, clear_logs);
}
