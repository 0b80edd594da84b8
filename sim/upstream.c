/* The simulator's upstream. See the header. */
#include "sim/upstream.h"

#include <math.h>
#include <string.h>

#define REGIME_S     1800.0
#define POOLS_OF_ALL 8

/* An address carries what it is: bytes 0-3 token, 4 life, 5 pool + 1 (0: the mint), 6-31 hash; of a
 * fading one 6-7 the regime that it was born in, modulo 2^16. */
#define BYTE_LIFE 4
#define BYTE_POOL 5
#define BYTE_BORN 6

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t h = (a ^ 0x9e3779b97f4a7c15ULL) + b * 0xbf58476d1ce4e5b9ULL;
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ULL;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebULL;
    return h ^ (h >> 31);
}

static double unit(uint64_t a, uint64_t b)
{
    return (double)(mix(a, b) >> 11) * 0x1p-53;
}

void upstream_init(struct upstream *upstream, uint64_t seed, enum limiter_kind limiter,
                   double limit_per_minute, instant now)
{
    memset(upstream, 0, sizeof *upstream);
    upstream->seed = seed;
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++)
        limiter_init(&upstream->limiters[lane], limiter, limit_per_minute, now);
}

void upstream_set_limit(struct upstream *upstream, double per_minute)
{
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++)
        limiter_set(&upstream->limiters[lane], per_minute);
}

static struct address address_of(uint64_t seed, uint32_t n, uint8_t life, uint8_t pool)
{
    struct address address;
    uint64_t h = mix(mix(seed, n), pool);
    for (unsigned i = 0; i < 4; i++, h = mix(h, i))
        memcpy(&address.bytes[i * 8], &h, 8);
    memcpy(address.bytes, &n, sizeof n);
    address.bytes[BYTE_LIFE] = life;
    address.bytes[BYTE_POOL] = pool;
    return address;
}

struct address upstream_mint(const struct upstream *upstream, uint32_t n, enum upstream_life life)
{
    return address_of(upstream->seed, n, (uint8_t)life, 0);
}

static uint64_t regime_number(instant t)
{
    return (uint64_t)((double)t.us / 1e6 / REGIME_S);
}

struct address upstream_fading_mint(const struct upstream *upstream, uint32_t n, instant born)
{
    struct address mint = address_of(upstream->seed, n, LIFE_FADING, 0);
    uint16_t regime = (uint16_t)regime_number(born);
    memcpy(&mint.bytes[BYTE_BORN], &regime, sizeof regime);
    return mint;
}

/* The mint or the pool of the token that `other` belongs to. */
static struct address sibling_of(const struct upstream *upstream, const struct address *other,
                                 uint8_t pool)
{
    uint32_t n;
    memcpy(&n, other->bytes, sizeof n);
    struct address address = address_of(upstream->seed, n, other->bytes[BYTE_LIFE], pool);
    if (other->bytes[BYTE_LIFE] == LIFE_FADING)
        memcpy(&address.bytes[BYTE_BORN], &other->bytes[BYTE_BORN], sizeof(uint16_t));
    return address;
}

static bool has_faded(const struct upstream *upstream, const struct address *address, instant now)
{
    uint16_t born;
    memcpy(&born, &address->bytes[BYTE_BORN], sizeof born);
    return address->bytes[BYTE_LIFE] == LIFE_FADING &&
           (uint16_t)(regime_number(now) - born) >= upstream->life_s / REGIME_S;
}

static uint64_t token_key(const struct upstream *upstream, const struct address *address)
{
    uint32_t n;
    memcpy(&n, address->bytes, sizeof n);
    return mix(upstream->seed, n);
}

/* 3.4 on average, median 3, at most 8, as recorded of fresh graduates. */
unsigned upstream_pool_count(const struct upstream *upstream, const struct address *mint)
{
    static const uint8_t counts[] = {1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 8};
    uint8_t count = counts[mix(token_key(upstream, mint), 1) % sizeof counts];
    /* One pool can't qualify. */
    return mint->bytes[BYTE_LIFE] == LIFE_ACTIVE && count < 2 ? 2 : count;
}

enum feed_outcome upstream_admit(struct upstream *upstream, enum lane_kind lane, instant now)
{
    bool is_admitted = limiter_admit(&upstream->limiters[lane], now);
    upstream->refused += !is_admitted;
    upstream->accepted += is_admitted;
    return is_admitted ? FEED_OK : FEED_RATE_LIMITED;
}

/* ---- markets ---- */

enum regime { QUIET, TRADING, HOT };

static enum regime regime_at(const struct upstream *upstream, const struct address *address,
                             instant now)
{
    if (address->bytes[BYTE_LIFE] == LIFE_QUIET || has_faded(upstream, address, now))
        return QUIET;
    double draw = unit(token_key(upstream, address), 1000 + regime_number(now));
    if (address->bytes[BYTE_LIFE] == LIFE_ACTIVE)
        return draw < 0.7 ? TRADING : HOT;
    return draw < 0.6 ? QUIET : draw < 0.9 ? TRADING : HOT;
}

/* A smooth wave between 0.5 and 1.5. */
static double wave(uint64_t key, uint64_t which, instant now)
{
    double period = 120 + 1800 * unit(key, which);
    double phase = unit(key, which + 1);
    return 1 + 0.5 * sin(6.283185307179586 * ((double)now.us / 1e6 / period + phase));
}

static void set_venue(struct pair *pair, unsigned pool)
{
    static const char *const venues[] = {"pumpswap", "raydium", "meteora", "orca"};
    memcpy(pair->dex, venues[pool % 4], strlen(venues[pool % 4]) + 1);
    strcpy(pair->quote_symbol, pool % 4 == 3 ? "USDC" : "SOL");
    memset(&pair->quote, pool % 4 == 3 ? 3 : 2, sizeof pair->quote);
}

static void set_figures(struct pair *pair, uint64_t key, unsigned pool, enum regime regime,
                        instant now)
{
    static const double liquidity[] = {60, 9000, 60000}; /* by regime, of an external pool */
    static const double trades[] = {0, 150, 900};        /* an hour */
    double size = 0.3 + 1.4 * unit(key, 10 + pool);
    double busy = wave(key, 20 + 2 * pool, now);
    double hourly = trades[regime] * size;
    pair->liquidity_usd = pool == 0 ? 20000 * size : liquidity[regime] * size * wave(key, 50, now);
    pair->price_usd = 1e-5 + unit(key, 40) * wave(key, 60, now);
    pair->market_cap_usd = pair->price_usd * 1e9;
    pair->buys_h1 = (int64_t)(hourly * 0.6);
    pair->sells_h1 = (int64_t)(hourly * 0.4);
    pair->buys_m5 = (int64_t)(hourly / 12 * busy * 0.6);
    pair->sells_m5 = (int64_t)(hourly / 12 * busy * 0.4);
    pair->volume_h1_usd = hourly * 80;
    pair->volume_m5_usd = hourly / 12 * busy * 80;
    pair->volume_h24_usd = hourly * 80 * 20;
    pair->change_m5_percent = regime == QUIET ? NAN : 10 * (busy - 1);
    pair->change_m15_percent = NAN;
    pair->change_h1_percent = regime == QUIET ? NAN : 25 * (wave(key, 60, now) - 1);
}

static void set_pair(const struct upstream *upstream, const struct address *address, unsigned pool,
                     instant now, struct pair *out)
{
    uint64_t key = token_key(upstream, address);
    memset(out, 0, sizeof *out);
    out->base = sibling_of(upstream, address, 0);
    out->pool = sibling_of(upstream, address, (uint8_t)(pool + 1));
    strcpy(out->base_name, "Token");
    strcpy(out->base_symbol, "TKN");
    set_venue(out, pool);
    set_figures(out, key, pool, regime_at(upstream, address, now), now);
}

size_t upstream_answer(const struct upstream *upstream, enum lane_kind lane,
                       const struct address *addresses, size_t count, instant now, struct pair *out)
{
    size_t pairs = 0;
    for (size_t i = 0; i < count; i++) {
        const struct address *address = &addresses[i];
        if (lane == LANE_REFRESH) {
            set_pair(upstream, address, address->bytes[BYTE_POOL] - 1U, now, &out[pairs++]);
        } else if (lane == LANE_SCREEN) {
            set_pair(upstream, address, 0, now, &out[pairs++]);
        } else {
            unsigned pools = upstream_pool_count(upstream, address);
            for (unsigned pool = 0; pool < pools && pool < POOLS_OF_ALL; pool++)
                set_pair(upstream, address, pool, now, &out[pairs++]);
        }
    }
    return pairs;
}
