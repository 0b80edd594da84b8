/*
 * How upstreams count requests, each its own way: what the daemon must learn a limit from without
 * being told. In virtual time; `now` never goes back.
 */
#ifndef MOONWATCH_SIM_LIMITER_H
#define MOONWATCH_SIM_LIMITER_H

#include "base/time.h"
#include <stdbool.h>
#include <stdint.h>

/* X(code, name) */
#define LIMITER_LIST(X)                                                                            \
    X(LIMITER_SLIDING, "sliding")           /* the last 60 s, exactly */                           \
    X(LIMITER_FIXED, "fixed")               /* minutes of the wall clock */                        \
    X(LIMITER_ESTIMATED, "estimated")       /* as Cloudflare does: this minute and the share of */ \
                                            /* the one before that is within the last 60 s */      \
    X(LIMITER_BUCKET, "bucket")             /* a token bucket that holds a minute's requests */    \
    X(LIMITER_SMALL_BUCKET, "small_bucket") /* or a tenth of them */

enum limiter_kind {
#define X(code, name) code,
    LIMITER_LIST(X)
#undef X
        LIMITER_KIND_COUNT
};

const char *limiter_kind_name(enum limiter_kind kind);

#define LIMITER_MOST 8192 /* a minute */

struct limiter {
    enum limiter_kind kind;
    double per_minute;
    int64_t minute; /* of FIXED and ESTIMATED */
    double present, previous;
    double level; /* of the buckets */
    instant filled_at;
    uint32_t next; /* of SLIDING: a ring of the last ones */
    instant sent[LIMITER_MOST];
};

void limiter_init(struct limiter *limiter, enum limiter_kind kind, double per_minute, instant now);
/* From now on; what was counted counts on. */
void limiter_set(struct limiter *limiter, double per_minute);
/* False: refused, and not counted. */
bool limiter_admit(struct limiter *limiter, instant now);

#endif
