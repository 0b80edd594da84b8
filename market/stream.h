/*
 * PumpPortal's WebSocket. Subscribers to migrations get one text frame for each graduation, exactly
 * as recorded. A new one is first told, at a brisk pace, of those that graduated before; each has
 * its place in the one list of graduations, so what waits for it costs no memory. Its queue of
 * frames is bounded; one that does not read for STREAM_STALL_S, or falls STREAM_LAG_MAX behind
 * what is live, is dropped. Frames go through wslay (https://github.com/tatsuhiro-t/wslay).
 */
#ifndef MOONWATCH_MARKET_STREAM_H
#define MOONWATCH_MARKET_STREAM_H

#include "market/fault.h"
#include "market/http.h"
#include "market/market_time.h"
#include "market/model.h"
#include "market/stats.h"

#define STREAM_SUBSCRIBERS_MAX   256
#define STREAM_QUEUE_MAX         65536 /* bytes of frames that wait for one subscriber's socket */
#define STREAM_LAG_MAX           4096  /* live events */
#define STREAM_STALL_S           5
#define STREAM_MESSAGE_MAX       4096 /* bytes that a client may send in one message */
#define STREAM_TICK_MS           20
#define CREATIONS_PER_GRADUATION 21 /* 128 creations to 6 migrations in the recorded session */

struct stream_settings {
    struct model *model;
    struct faults *faults;
    struct market_stats *stats;
    struct market_time time;
    double graduations_per_hour; /* of the market's time; 0: none by themselves */
    double replay_per_s;         /* of the market's time; 0: no replay */
};

struct stream;

/* NULL: out of memory. */
struct stream *stream_create(uv_loop_t *loop, const struct stream_settings *settings);

/* A request for /api/data. */
void stream_answer(struct stream *stream, const struct http_request *request,
                   struct http_reply *reply);

/* A token graduates now; its number in `token`. ERR_FULL at TOKENS_MAX. */
enum err stream_graduate(struct stream *stream, uint32_t *token) MUST_CHECK;

/* Acts on faults that were just added. */
void stream_check_faults(struct stream *stream);

/* Resets all subscribers. */
void stream_drop_all(struct stream *stream);

/* Drops all and closes the timer; the memory is freed by the loop's next turns. */
void stream_destroy(struct stream *stream);

#endif
