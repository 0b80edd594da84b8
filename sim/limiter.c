/* How upstreams count requests. See the header. */
#include "sim/limiter.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define MINUTE_US          60000000LL
#define SMALL_BUCKET_SHARE 0.1
#define ALMOST             1e-9 /* what adding up loses */

const char *limiter_kind_name(enum limiter_kind kind)
{
    static const char *const names[] = {
#define X(code, name) [code] = name,
        LIMITER_LIST(X)
#undef X
    };
    return kind < LIMITER_KIND_COUNT ? names[kind] : "?";
}

static double depth(const struct limiter *limiter)
{
    bool is_small = limiter->kind == LIMITER_SMALL_BUCKET;
    return fmax(1, limiter->per_minute * (is_small ? SMALL_BUCKET_SHARE : 1));
}

void limiter_init(struct limiter *limiter, enum limiter_kind kind, double per_minute, instant now)
{
    memset(limiter, 0, sizeof *limiter);
    limiter->kind = kind;
    limiter->filled_at = now;
    limiter_set(limiter, per_minute);
    limiter->level = depth(limiter);
}

void limiter_set(struct limiter *limiter, double per_minute)
{
    assert(per_minute >= 1 && per_minute <= LIMITER_MOST);
    limiter->per_minute = per_minute;
}

/* The oldest of the last `limit` requests must be over a minute ago. */
static bool admit_sliding(struct limiter *limiter, instant now)
{
    uint32_t most = (uint32_t)limiter->per_minute;
    instant oldest = limiter->sent[(limiter->next + LIMITER_MOST - most) % LIMITER_MOST];
    if (!instant_is_never(oldest) && instant_diff(now, oldest).us < MINUTE_US)
        return false;
    limiter->sent[limiter->next] = now;
    limiter->next = (limiter->next + 1) % LIMITER_MOST;
    return true;
}

static bool admit_by_minute(struct limiter *limiter, instant now)
{
    int64_t minute = now.us / MINUTE_US;
    double share = 1 - (double)(now.us % MINUTE_US) / MINUTE_US;
    if (minute != limiter->minute) {
        limiter->previous = minute == limiter->minute + 1 ? limiter->present : 0;
        limiter->present = 0;
        limiter->minute = minute;
    }
    double before = limiter->kind == LIMITER_FIXED ? 0 : limiter->previous * share;
    if (before + limiter->present + 1 > limiter->per_minute)
        return false;
    limiter->present++;
    return true;
}

static bool admit_from_bucket(struct limiter *limiter, instant now)
{
    double passed = (double)instant_diff(now, limiter->filled_at).us / MINUTE_US;
    limiter->level = fmin(depth(limiter), limiter->level + passed * limiter->per_minute);
    limiter->filled_at = now;
    if (limiter->level < 1 - ALMOST)
        return false;
    limiter->level -= 1;
    return true;
}

bool limiter_admit(struct limiter *limiter, instant now)
{
    switch (limiter->kind) {
    case LIMITER_SLIDING:
        return admit_sliding(limiter, now);
    case LIMITER_FIXED:
    case LIMITER_ESTIMATED:
        return admit_by_minute(limiter, now);
    case LIMITER_BUCKET:
    case LIMITER_SMALL_BUCKET:
        return admit_from_bucket(limiter, now);
    case LIMITER_KIND_COUNT:
        break;
    }
    assert(!"no such kind");
    return false;
}
