/*
 * Delivery: every message to every sink, once each as far as that can be known, whatever becomes of
 * us in between.
 *
 * A message is kept (the store writes it) before it is sent, and sent anyway when that takes longer
 * than KEEP_PATIENCE: a disk that is full is what people must hear of. Each sink takes the messages
 * in their order and has its own place in it, so that one that hangs delays nobody. What fails is
 * tried again, after alert_retry_min_sec, then twice that time, up to alert_retry_max_sec, with
 * jitter, and not before a Retry-After has passed; there is no last try. What is refused (HTTP 4xx)
 * is given up after REFUSALS_MAX tries, so that it does not keep the others back.
 *
 * When we die between an answer and the commit that notes it, the message is sent again: who must
 * not act twice knows it by its id (Idempotency-Key), an alert by its fingerprint and startsAt.
 *
 * Bounds: MESSAGES_MAX at a time. Beyond it the oldest of the least severe goes, which is counted
 * and logged. Messages that are done are kept for people to look at, KEPT_MAX of them.
 */
#ifndef MOONWATCH_ALERT_DELIVERY_H
#define MOONWATCH_ALERT_DELIVERY_H

#include "alert/sink.h"

#define DELIVERY_MESSAGES_MAX                                                                      \
    256                           /* a day of an unreachable sink, at the default of six an hour   \
                                   */
#define DELIVERY_KEPT_MAX      64 /* what an hour may have at most, for alerts_restore() */
#define DELIVERY_REFUSALS_MAX  5
#define DELIVERY_KEEP_PATIENCE duration_s(2)
#define DELIVERY_WAIT_MAX      duration_s(3600) /* of a Retry-After */

struct sink_stats {
    bool is_on;
    uint64_t delivered, failed, refused; /* tries by their outcomes */
    uint64_t given_up;                   /* messages */
    uint32_t waiting;                    /* messages */
    instant next_at;                     /* of a try that waits; INSTANT_NEVER: none does */
    char detail[SINK_DETAIL_SIZE];       /* of the newest try that failed, until one is well */
};

struct delivery_stats {
    struct sink_stats sinks[ALERT_SINK_COUNT];
    uint64_t dropped; /* messages that there was no room for */
};

struct delivery_listener {
    void *context;
    /* Keep this text under this id, then delivery_kept(). NULL: it is not needed any more. */
    void (*keep)(void *context, int64_t id, const char *text);
    /* A try has ended. */
    void (*on_try)(void *context, enum alert_sink sink, int64_t id,
                   const struct sink_result *result);
    /* A test has been tried by all sinks; `report` says how each went, in a line. */
    void (*on_tested)(void *context, uint64_t tag, bool is_well, const char *report);
};

struct delivery;

/* `options` and what `listener` points to are copied. NULL: out of memory. */
struct delivery *delivery_create(uv_loop_t *loop, const struct options *options,
                                 const struct delivery_listener *listener);

/* Of the store, at a start, oldest first. True: `out` is what it says; false: it was no message,
 * and is deleted. */
bool delivery_restore(struct delivery *delivery, int64_t id, const char *text,
                      struct alert_message *out);
/* From now on there is somebody who keeps: nothing is sent before. */
void delivery_begin(struct delivery *delivery);

void delivery_put(struct delivery *delivery, const struct alert_message *message);
/* Tried once by each sink, before all others; not kept. */
void delivery_test(struct delivery *delivery, const struct alert_message *message, uint64_t tag);
void delivery_kept(struct delivery *delivery, int64_t id);
/* What was kept is lost: everything once more. */
void delivery_keep_again(struct delivery *delivery);

void delivery_stats(const struct delivery *delivery, struct delivery_stats *out);

/* The newest messages, newest first, with what became of them; returns how many. */
struct delivered {
    const struct alert_message *message;
    enum delivery_state sinks[ALERT_SINK_COUNT];
};
size_t delivery_recent(const struct delivery *delivery, struct delivered out[], size_t most);

/* What is under way is given up; what waits is in the store. `on_closed` comes from the loop. */
void delivery_destroy(struct delivery *delivery, void (*on_closed)(void *context), void *context);

#endif
