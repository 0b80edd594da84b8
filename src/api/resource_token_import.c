/*
 * POST /tokens/import: mints, one a line, taken while they come in. Blank lines and those that
 * begin with '#' are skipped. At most IMPORT_IN_FLIGHT commands are unanswered at once; while that
 * many are, the connection is suspended, so that a million lines need no more memory than a few.
 * When the engine can't take a token now, the import ends there with 503 and the line; sending it
 * all again is safe.
 */
#include "api/answer.h"
#include "api/engine_link.h"
#include "api/handlers.h"
#include "api/http_loop.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT_IN_FLIGHT    64
#define IMPORT_RESUME_BELOW 32
#define IMPORT_LINE_MAX     256
#define IMPORT_REFUSED_MAX  1000 /* listed; all are counted */
#define IMPORT_PATIENCE_SEC 30
#define REASON_SIZE         160

struct refused_line {
    uint64_t line;
    char reason[REASON_SIZE];
};

struct import {
    struct request *request;
    /* From here to the next blank line under the link's lock. */
    unsigned in_flight;
    uint64_t added, known, refused, stopped_at;
    bool is_suspended;
    char stopped_why[REASON_SIZE]; /* "": going on */
    struct refused_line *lines;
    unsigned line_count;

    uint64_t line;
    bool line_is_long;
    size_t text_length;
    char text[IMPORT_LINE_MAX];
};

static struct engine_link *link_of(const struct import *import)
{
    return import->request->api->link;
}

static void add_refused(struct import *import, uint64_t line, const char *reason)
{
    import->refused++;
    if (import->line_count == IMPORT_REFUSED_MAX)
        return;
    struct refused_line *refused = &import->lines[import->line_count++];
    refused->line = line;
    text_copy(refused->reason, sizeof refused->reason, reason, strlen(reason));
}

static void stop_at(struct import *import, uint64_t line, const char *why)
{
    if (import->stopped_why[0] != '\0' && import->stopped_at <= line)
        return;
    import->stopped_at = line;
    snprintf(import->stopped_why, sizeof import->stopped_why, "%.150s", why);
}

static void on_token_reply(void *context, uint64_t line, const struct reply *reply)
{
    struct import *import = context;
    import->in_flight--;
    switch (reply->result) {
    case RESULT_DONE:
    case RESULT_CREATED:
        import->added++;
        break;
    case RESULT_KNOWN:
        import->known++;
        break;
    case RESULT_INVALID:
        add_refused(import, line, reply->message);
        break;
    default:
        stop_at(import, line, reply->message[0] != '\0' ? reply->message : "not available now");
    }
    if (import->is_suspended && import->in_flight < IMPORT_RESUME_BELOW) {
        import->is_suspended = false;
        http_loop_resume(import->request->api->loop, import->request->connection);
    }
}

/* With the link's lock held. */
static void suspend(struct import *import)
{
    import->is_suspended = true;
    import->request->waits = true;
    MHD_suspend_connection(import->request->connection);
}

/* With the link's lock held. False: no room now, but answers of ours will come and make some. */
static bool send_mint(struct import *import, const struct address *mint)
{
    if (import->in_flight >= IMPORT_IN_FLIGHT)
        return false;
    struct command command = {.kind = COMMAND_ADD_TOKEN, .mint = *mint};
    struct link_waiter waiter = {
        .on_reply = on_token_reply,
        .context = import,
        .note = import->line,
        .deadline = instant_add(clock_now(), duration_s(IMPORT_PATIENCE_SEC)),
    };
    enum err err = engine_link_send(link_of(import), &command, &waiter);
    if (err == OK)
        import->in_flight++;
    else if (err == ERR_BUSY && import->in_flight > 0)
        return false;
    else
        stop_at(import, import->line,
                err == ERR_BUSY ? "too many writes are under way" : "the engine is not running");
    return true;
}

/* With the link's lock held: the line in `text` is whole. False: it must be offered again. */
static bool take_line(struct import *import)
{
    const char *text = import->text;
    size_t length = import->text_length;
    while (length > 0 && strchr(" \t\r", text[length - 1]) != NULL)
        length--;
    while (length > 0 && strchr(" \t", *text) != NULL) {
        text++;
        length--;
    }
    struct address mint;
    if (import->line_is_long)
        add_refused(import, import->line, "the line is too long for a mint");
    else if (length > 0 && *text != '#' && !address_parse(text, length, &mint))
        add_refused(import, import->line, address_complaint(text, length));
    else if (length > 0 && *text != '#')
        return send_mint(import, &mint);
    return true;
}

static void next_line(struct import *import)
{
    import->line++;
    import->text_length = 0;
    import->line_is_long = false;
}

static void add_byte(struct import *import, char byte)
{
    /* A NUL would cut the line short for strchr(); no mint has one. */
    if (import->text_length == sizeof import->text)
        import->line_is_long = true;
    else
        import->text[import->text_length++] = byte != '\0' ? byte : '?';
}

static size_t on_import_body(struct request *request, const char *data, size_t size)
{
    struct import *import = request->state;
    size_t taken = 0;
    engine_link_lock(link_of(import));
    for (; taken < size && import->stopped_why[0] == '\0'; taken++) {
        if (data[taken] != '\n') {
            add_byte(import, data[taken]);
        } else if (take_line(import)) {
            next_line(import);
        } else {
            suspend(import);
            break;
        }
    }
    bool is_stopped = import->stopped_why[0] != '\0';
    engine_link_unlock(link_of(import));
    return is_stopped ? size : taken;
}

static void write_counts(struct json *json, const struct import *import)
{
    json_put_int(json, "added", (int64_t)import->added);
    json_put_int(json, "known", (int64_t)import->known);
    json_array_open(json, "refused");
    for (unsigned i = 0; i < import->line_count; i++) {
        json_object_open(json, NULL);
        json_put_int(json, "line", (int64_t)import->lines[i].line);
        json_put_string(json, "reason", import->lines[i].reason);
        json_object_close(json);
    }
    json_array_close(json);
    json_put_int(json, "refused_total", (int64_t)import->refused);
}

static void answer_import(struct request *request, const struct import *import)
{
    bool is_stopped = import->stopped_why[0] != '\0';
    struct json json = {0};
    json_object_open(&json, NULL);
    if (is_stopped) {
        char detail[REASON_SIZE + 64];
        snprintf(detail, sizeof detail, "stopped at line %llu: %s",
                 (unsigned long long)import->stopped_at, import->stopped_why);
        json_put_string(&json, "detail", detail);
    }
    write_counts(&json, import);
    json_object_close(&json);
    answer_json(request, is_stopped ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK, &json);
}

/* The body has ended; answered once every command is. */
static void finish_import(struct request *request)
{
    struct import *import = request->state;
    engine_link_lock(link_of(import));
    bool has_tail = import->text_length > 0 && import->stopped_why[0] == '\0';
    if (has_tail && take_line(import))
        next_line(import);
    bool is_whole = import->in_flight == 0;
    if (!is_whole) {
        request->next = finish_import;
        suspend(import);
    }
    engine_link_unlock(link_of(import));
    if (is_whole)
        answer_import(request, import);
}

static void free_import(struct request *request)
{
    struct import *import = request->state;
    engine_link_lock(link_of(import));
    if (import->in_flight > 0)
        engine_link_forget(link_of(import), import);
    engine_link_unlock(link_of(import));
    free(import->lines);
    free(import);
}

void handle_token_import(struct request *request)
{
    struct import *import = calloc(1, sizeof *import);
    struct refused_line *lines = calloc(IMPORT_REFUSED_MAX, sizeof *lines);
    if (import == NULL || lines == NULL) {
        free(import);
        free(lines);
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
        return;
    }
    import->request = request;
    import->lines = lines;
    import->line = 1;
    request->state = import;
    request->state_free = free_import;
    request->on_body = on_import_body;
    request->next = finish_import;
}
