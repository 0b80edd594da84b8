/*
 * Where new tokens come from. One interface; the URL chooses: ws:// and wss:// is PumpPortal's
 * WebSocket (pumpportal.c), file: a file of mints or of recorded frames (source_file.c), none
 * nothing. A source reports mints; whether they are new is the core's business.
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
    X(SOURCE_ACKS, "acknowledgements")     /* "Subscribed to…" */                                  \
    X(SOURCE_REFUSALS, "refusals")         /* "errors" or "only available when…" */                \
    X(SOURCE_OTHER_EVENTS, "other_events") /* JSON of the API that we did not ask for */           \
    X(SOURCE_BAD_MINTS, "bad_mints")       /* a migration whose mint is none */                    \
    X(SOURCE_JUNK, "junk")                 /* not JSON, not text, or no object */                  \
    X(SOURCE_TOO_LARGE, "too_large")                                                               \
    X(SOURCE_CONNECTS, "connects")                                                                 \
    X(SOURCE_DISCONNECTS, "disconnects")

enum source_count {
#define X(code, text) code,
    SOURCE_COUNT_LIST(X)
#undef X
        SOURCE_COUNT_COUNT
};

const char *source_count_name(enum source_count count);

enum source_state { SOURCE_NONE, SOURCE_CONNECTING, SOURCE_LIVE, SOURCE_WAITING, SOURCE_ENDED };

struct source_stats {
    enum source_state state;
    uint64_t counts[SOURCE_COUNT_COUNT];
    instant last_frame_at; /* a pong counts */
    instant last_token_at;
    char message[256]; /* why it is waiting, and how long */
};

struct source_token {
    struct address mint;
    char name[TOKEN_NAME_SIZE];     /* "" unknown */
    char symbol[TOKEN_SYMBOL_SIZE]; /* "" unknown */
};

/* Returns false when the token can't be taken now: the source must offer it again (files) or the
 * caller has counted it. */
typedef bool source_on_token(void *context, const struct source_token *token);

struct source;
struct source *source_create(uv_loop_t *loop, const struct options *options,
                             source_on_token *on_token, void *context, char why[512]);
void source_stats(const struct source *source, struct source_stats *out);
void source_destroy(struct source *source, void (*on_closed)(void *context));

#endif
