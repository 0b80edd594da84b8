/*
 * Where new tokens come from. One interface; the URL chooses:
 *
 *     ws://… wss://…    PumpPortal's WebSocket (source_websocket.c), kept alive for ever
 *     file:PATH         a file of mints or of recorded frames, once (source_file.c)
 *     file:PATH?follow  the same, and what is appended to it later, through rotation and truncation
 *     file:-            the same from standard input
 *     none              nothing
 *
 * A source reports mints; whether they are new is the core's business. Everything happens on the
 * loop; a source never gives up by itself: it says what is wrong, waits, and tries again. Only a
 * file that is not followed ends.
 *
 * A WebSocket is SOURCE_LIVE once it has sent its first message: that we are subscribed, an event,
 * a refusal. One that takes our connection and then says nothing is not, though it may answer
 * pings; if it does not even do that, the connection is given up after source_pong_timeout_sec.
 *
 * Frames carry no sequence number, so a gap cannot be seen from them: while a WebSocket source is
 * not SOURCE_LIVE, migrations are missed. source_watch() tells when that begins and ends.
 */
#ifndef MOONWATCH_FEED_SOURCE_H
#define MOONWATCH_FEED_SOURCE_H

#include "base/address.h"
#include "base/options.h"
#include "base/time.h"
#include "core/pair.h"
#include <stdint.h>
#include <uv.h>

/* What became of every frame or line, counted: nothing is dropped in silence. */
#define SOURCE_COUNT_LIST(X)                                                                       \
    X(SOURCE_MIGRATIONS, "migrations")     /* became a token, or was known */                      \
    X(SOURCE_CREATIONS, "creations")       /* create events: not graduated, not ours */            \
    X(SOURCE_ACKS, "acknowledgements")     /* "Subscribed to…" */                                \
    X(SOURCE_REFUSALS, "refusals")         /* "errors" or "only available when…" */              \
    X(SOURCE_OTHER_EVENTS, "other_events") /* JSON of the API that we did not ask for */           \
    X(SOURCE_BAD_MINTS, "bad_mints")       /* a migration whose mint is none */                    \
    X(SOURCE_JUNK, "junk")                 /* not JSON, not text, no object, or ambiguous */       \
    X(SOURCE_TOO_LARGE, "too_large")       /* a frame or line over the limit */                    \
    X(SOURCE_CONNECTS, "connects")         /* WebSockets opened; times a file was opened */        \
    X(SOURCE_DISCONNECTS, "disconnects")   /* of those, ended; a file replaced or truncated */     \
    X(SOURCE_FAILED_CONNECTS, "failed_connects") /* attempts that never opened */

enum source_count {
#define X(code, text) code,
    SOURCE_COUNT_LIST(X)
#undef X
        SOURCE_COUNT_COUNT
};

/* The counts before this one add up to the frames or lines seen. */
#define SOURCE_FRAME_COUNTS SOURCE_CONNECTS

const char *source_count_name(enum source_count count);

#define SOURCE_STATE_LIST(X)                                                                       \
    X(SOURCE_NONE, "none")             /* nothing is expected: `none` */                           \
    X(SOURCE_CONNECTING, "connecting") /* an attempt is under way, or nothing was said yet */      \
    X(SOURCE_LIVE, "live")       /* it speaks, or is read, or a followed file is at its end */     \
    X(SOURCE_WAITING, "waiting") /* until the next attempt; `message` says why */                  \
    X(SOURCE_ENDED, "ended")     /* the file was read to its end */

enum source_state {
#define X(code, text) code,
    SOURCE_STATE_LIST(X)
#undef X
        SOURCE_STATE_COUNT
};

const char *source_state_name(enum source_state state);

struct source_stats {
    enum source_state state;
    uint64_t counts[SOURCE_COUNT_COUNT];
    instant last_frame_at; /* a pong counts */
    instant last_token_at;
    instant state_since;
    duration gap_total; /* time not live, from the first time live on, closed gaps only */
    char message[256];  /* why it is waiting, and how long; or what it was refused while live */
};

struct source_token {
    struct address mint;
    char name[TOKEN_NAME_SIZE];     /* "" unknown */
    char symbol[TOKEN_SYMBOL_SIZE]; /* "" unknown */
};

/* Returns false when the token can't be taken now: the source must offer it again (files) or the
 * caller has counted it. */
typedef bool source_on_token(void *context, const struct source_token *token);

/* `was` and `now` differ. A source must not be destroyed from within. */
typedef void source_on_state(void *context, enum source_state was, enum source_state now);

struct source;

/* NULL with a sentence in `why` for a URL that can never work. The options are copied. Nothing is
 * called back before the loop runs. The process must ignore SIGPIPE. */
struct source *source_create(uv_loop_t *loop, const struct options *options,
                             source_on_token *on_token, void *context, char why[512]);

/* From now on each change of state is told, with the context given to source_create(). */
void source_watch(struct source *source, source_on_state *on_state);

void source_stats(const struct source *source, struct source_stats *out);

/* No callback but `on_closed` comes any more, with the same context, once all handles are closed: a
 * WebSocket gets at most a second to say goodbye. May be called from within on_token. */
void source_destroy(struct source *source, void (*on_closed)(void *context));

#endif
