/*
 * A sink takes messages to people, one at a time. It has a file of its own; whose turn it is, what
 * is tried again and when is delivery.h's. A sink that hangs delays nobody: it works in the loop,
 * and has a deadline.
 *
 * How it went comes from the loop, never from within sink_send(). After sink_cancel() nothing
 * comes. Secrets (URLs, tokens) never get into `detail`.
 */
#ifndef MOONWATCH_ALERT_SINK_H
#define MOONWATCH_ALERT_SINK_H

#include "alert/item.h"
#include "feed/curl_loop.h"
#include "page/alert_board.h"
#include <uv.h>

/* X(code, name) */
#define SINK_OUTCOME_LIST(X)                                                                       \
    X(SINK_DELIVERED, "delivered")                                                                 \
    X(SINK_FAILED, "failed")   /* to be tried again */                                             \
    X(SINK_REFUSED, "refused") /* as it is, it will hardly be taken */

enum sink_outcome {
#define X(code, name) code,
    SINK_OUTCOME_LIST(X)
#undef X
        SINK_OUTCOME_COUNT
};

const char *sink_outcome_name(enum sink_outcome outcome);

#define SINK_DETAIL_SIZE BOARD_DETAIL_SIZE

struct sink_result {
    enum sink_outcome outcome;
    bool has_retry_after;
    duration retry_after;
    char detail[SINK_DETAIL_SIZE]; /* "HTTP 500"; "" none */
};

typedef void sink_on_done(void *context, enum alert_sink sink, const struct sink_result *result);

/* What a sink lives in; outlives it. */
struct sink_world {
    uv_loop_t *loop;
    struct curl_loop *curl_loop;
    const struct options *options;
    const struct alert_origin *origin;
    sink_on_done *on_done;
    void *context;
};

struct sink;

struct sink_methods {
    void (*send)(struct sink *sink, const struct alert_message *message);
    void (*cancel)(struct sink *sink);
    /* Its handles are closed by the loop's next turns; then its memory is gone. */
    void (*destroy)(struct sink *sink);
};

struct sink {
    const struct sink_methods *methods;
    const struct sink_world *world;
    enum alert_sink which;
};

/* True: the options ask for it. The log is none of these: it takes no time. */
bool alert_sink_is_wanted(enum alert_sink sink, const struct options *options);
/* NULL: out of memory. */
struct sink *alert_sink_create(enum alert_sink sink, const struct sink_world *world);

/* ---- for sinks ---- */

struct sink *sink_webhook_create(const struct sink_world *world);
struct sink *sink_alertmanager_create(const struct sink_world *world);
struct sink *sink_telegram_create(const struct sink_world *world);
struct sink *sink_command_create(const struct sink_world *world);

/* At once, and always well. */
void sink_log_write(const struct alert_message *message, const struct alert_origin *origin);

#endif
