/* See answers.h. */
#include "bench/answers.h"

#include "base/address.h"
#include "base/clock.h"
#include "bench/crowd.h"
#include "market/body.h"
#include "market/model.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETS          256 /* of pools that belong together, as those of one token */
#define SET_POOLS     5   /* the most that a token of the crowd has */
#define MOMENTS       16
#define MOMENT_STEP_S 15   /* of the market's time, from one to the next */
#define MARKET_TOKENS 4000 /* that sets are looked for among */
#define MARKET_SEED   7
#define EXPOSITION    "/exposition/solana/"
#define PLACES_MAX    8 /* of one address in a text */
#define PLACE_SLACK   64

static unsigned moment_ms = ANSWERS_MOMENT_MS;

/* One pair at one moment, and where its addresses stand in it. */
struct text {
    char *bytes;
    uint16_t length;
    uint16_t mints[PLACES_MAX], pools[PLACES_MAX], lowered[PLACES_MAX];
    uint8_t mint_count, pool_count, lowered_count;
};

struct set {
    struct text texts[SET_POOLS][MOMENTS];
};

struct answers {
    struct set sets[SETS];
    size_t bytes, pairs;
};

void answers_set_moment_ms(unsigned ms)
{
    moment_ms = ms;
}

/* ---- texts ---- */

/* Notes where `old`, an address of CROWD_TEXT characters, stands. */
static bool find_all(const struct text *text, const char *old, uint16_t places[PLACES_MAX],
                     uint8_t *count)
{
    const char *at = text->bytes, *end = text->bytes + text->length;
    for (*count = 0; (at = memmem(at, (size_t)(end - at), old, CROWD_TEXT)) != NULL; at++) {
        if (*count == PLACES_MAX)
            return false;
        places[(*count)++] = (uint16_t)(at - text->bytes);
    }
    return true;
}

static bool take_text(struct text *out, const char *pair, size_t length, const char *mint,
                      const char *pool)
{
    char lowered[CROWD_TEXT];
    for (int i = 0; i < CROWD_TEXT; i++)
        lowered[i] = (char)tolower((unsigned char)pool[i]);
    out->length = (uint16_t)length;
    out->bytes = malloc(length);
    if (out->bytes == NULL)
        return false;
    memcpy(out->bytes, pair, length);
    return find_all(out, mint, out->mints, &out->mint_count) &&
           find_all(out, pool, out->pools, &out->pool_count) &&
           find_all(out, lowered, out->lowered, &out->lowered_count) && out->mint_count > 0 &&
           out->pool_count > 0;
}

/* ---- sets ---- */

struct making {
    struct answers *answers;
    struct model *model;
    struct bodies *bodies;
    instant start;
};

/* One that counts, with `info` and all figures. */
static bool is_fit(const struct pool_life *pool, instant start)
{
    bool counts =
        (pool->quote == QUOTE_SOL || pool->quote == QUOTE_USDC) && pool->dex != DEX_PUMPFUN;
    return counts && !pool->is_reversed && !pool->lacks_price && !pool->lacks_liquidity &&
           instant_before(pool->created_at, start);
}

static bool write_moments(const struct making *making, uint32_t token, unsigned pool,
                          struct text out[MOMENTS])
{
    char pair[BODY_PAIR_MAX], mint[ADDRESS_TEXT_MAX + 1], address[ADDRESS_TEXT_MAX + 1];
    struct identity identity = {IDENTITY_POOL, token, (uint8_t)pool};
    struct address own, of_pool;
    model_mint(making->model, token, &own);
    identity_address(model_seed(making->model), &identity, &of_pool);
    if (address_format(&own, mint) != CROWD_TEXT || address_format(&of_pool, address) != CROWD_TEXT)
        return false; /* others would have to be moved to make room */
    for (int i = 0; i < MOMENTS; i++) {
        instant moment = instant_add(making->start, duration_s(i * MOMENT_STEP_S));
        char *end = body_write_pool(making->bodies, &identity, moment, BODY_SOUND, pair);
        bool has_info = memmem(pair, (size_t)(end - pair), "\"info\"", 6) != NULL;
        if (!has_info || !take_text(&out[i], pair, (size_t)(end - pair), mint, address))
            return false;
    }
    return true;
}

static void forget_texts(struct text texts[MOMENTS])
{
    for (int i = 0; i < MOMENTS; i++) {
        free(texts[i].bytes);
        texts[i] = (struct text){0};
    }
}

/* The pools of one token of the market that are fit; a set takes SET_POOLS, so from several tokens
 * where one has fewer. The first is that of pump.fun, on which cold tokens trade. */
static bool fill_set(struct making *making, uint32_t *next, struct set *set)
{
    int count = 0;
    while (count < SET_POOLS && *next < MARKET_TOKENS) {
        struct token_life token;
        model_token(making->model, (*next)++, &token);
        for (unsigned i = 0; i < token.pools && count < SET_POOLS && !token.is_major; i++) {
            struct pool_life pool;
            model_pool(&token, i, &pool);
            bool is_first = pool.dex == DEX_PUMPSWAP && pool.quote == QUOTE_SOL;
            if (!is_fit(&pool, making->start) || is_first != (count == 0))
                continue;
            if (write_moments(making, token.token, i, set->texts[count]))
                count++;
            else
                forget_texts(set->texts[count]);
        }
    }
    return count == SET_POOLS;
}

static void weigh(struct answers *answers)
{
    for (int i = 0; i < SETS; i++)
        for (int k = 0; k < SET_POOLS; k++)
            answers->bytes += answers->sets[i].texts[k][0].length;
    answers->pairs = (size_t)SETS * SET_POOLS;
}

static bool fill(struct making *making)
{
    uint32_t next = 0;
    for (int i = 0; i < SETS; i++)
        if (!fill_set(making, &next, &making->answers->sets[i]))
            return false;
    weigh(making->answers);
    return true;
}

struct answers *answers_create(void)
{
    instant now = clock_now();
    const struct model_settings settings = {
        .seed = MARKET_SEED, .tokens = MARKET_TOKENS, .pools_mean = POOLS_MEAN, .start = now};
    struct making making = {.answers = calloc(1, sizeof *making.answers),
                            .model = model_create(&settings),
                            .start = now};
    if (making.model != NULL)
        making.bodies = bodies_create(making.model);
    bool filled = making.answers != NULL && making.bodies != NULL && fill(&making);
    bodies_destroy(making.bodies);
    model_destroy(making.model);
    if (filled)
        return making.answers;
    fprintf(stderr, "bench: no bodies to answer with: out of memory, or too small a market\n");
    answers_destroy(making.answers);
    return NULL;
}

void answers_destroy(struct answers *answers)
{
    if (answers == NULL)
        return;
    for (int i = 0; i < SETS; i++)
        for (int k = 0; k < SET_POOLS; k++)
            forget_texts(answers->sets[i].texts[k]);
    free(answers);
}

double answers_pair_bytes(const struct answers *answers)
{
    return (double)answers->bytes / (double)answers->pairs;
}

/* ---- writing ---- */

static void patch(char *pair, const uint16_t *places, unsigned count, const char *address)
{
    for (unsigned i = 0; i < count; i++)
        memcpy(pair + places[i], address, CROWD_TEXT);
}

/* There and back again, so that no figure jumps; tokens are not in step. */
static unsigned moment_of(uint32_t token, uint64_t now_ms)
{
    unsigned place = (unsigned)((now_ms / moment_ms + token * 7) % (2 * (MOMENTS - 1)));
    return place < MOMENTS ? place : 2 * (MOMENTS - 1) - place;
}

static char *write_pair(const struct answers *answers, uint32_t token, unsigned pool,
                        uint64_t now_ms, char *out)
{
    const struct set *set = &answers->sets[token % SETS];
    const struct text *text =
        &set->texts[(pool - CROWD_FIRST_POOL) % SET_POOLS][moment_of(token, now_ms)];
    char mint[CROWD_TEXT], address[CROWD_TEXT], lowered[CROWD_TEXT];
    crowd_text(token, CROWD_MINT, mint);
    crowd_text(token, pool, address);
    for (int i = 0; i < CROWD_TEXT; i++)
        lowered[i] = (char)tolower((unsigned char)address[i]);
    memcpy(out, text->bytes, text->length);
    patch(out, text->mints, text->mint_count, mint);
    patch(out, text->pools, text->pool_count, address);
    patch(out, text->lowered, text->lowered_count, lowered);
    return out + text->length;
}

/* Of a token's main pool, for who reads Prometheus's text: figures as a pair has them, and remarks
 * to the length of a pair. */
static size_t write_exposition(const struct answers *answers, const char *mint, uint64_t now_ms,
                               char *out)
{
    static const char *const names[] = {
        "price_usd",      "price_native",  "liquidity_usd", "liquidity_base",   "liquidity_quote",
        "market_cap_usd", "volume_m5_usd", "volume_h1_usd", "volume_h24_usd",   "buys_m5",
        "sells_m5",       "buys_h1",       "sells_h1",      "change_m5_percent"};
    uint32_t token;
    unsigned pool;
    size_t length = 0, wanted = (size_t)answers_pair_bytes(answers);
    if (!crowd_find(mint, &token, &pool))
        return 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        double value =
            (double)(token % 1000 + 1) * (double)(i + 1) * (1 + 0.01 * moment_of(token, now_ms));
        length +=
            (size_t)sprintf(out + length, "# TYPE %s gauge\n%s %.9g\n", names[i], names[i], value);
    }
    while (length + 2 < wanted)
        length += (size_t)sprintf(out + length, "# %.*s\n", CROWD_TEXT, mint);
    return length;
}

enum shape { ONE_POOL, MAIN_POOL, ALL_POOLS };

/* The pairs for the addresses from `at` on, separated by commas. */
static char *write_pairs(const struct answers *answers, const char *at, const char *end,
                         enum shape shape, uint64_t now_ms, char *out)
{
    const char *before = out;
    for (; end - at >= CROWD_TEXT; at += CROWD_TEXT + 1) {
        uint32_t token;
        unsigned pool;
        if (!crowd_find(at, &token, &pool))
            continue;
        unsigned first = shape == ONE_POOL ? pool : CROWD_FIRST_POOL;
        unsigned last = shape == ALL_POOLS ? crowd_pools(token) : first;
        for (unsigned i = first; i <= last; i++) {
            if (out != before)
                *out++ = ',';
            out = write_pair(answers, token, i, now_ms, out);
        }
    }
    return out;
}

#define PUT(at, literal)                                                                           \
    ((char *)memcpy((at), (literal), sizeof(literal) - 1) + sizeof(literal) - 1)

size_t answers_write(const struct answers *answers, const char *path, size_t length,
                     uint64_t now_ms, char out[ANSWERS_BODY_MAX])
{
    static const struct {
        const char *prefix;
        enum shape shape;
    } routes[] = {{"/latest/dex/pairs/solana/", ONE_POOL},
                  {"/tokens/v1/solana/", MAIN_POOL},
                  {"/token-pairs/v1/solana/", ALL_POOLS}};
    if (length == strlen(EXPOSITION) + CROWD_TEXT &&
        memcmp(path, EXPOSITION, strlen(EXPOSITION)) == 0)
        return write_exposition(answers, path + strlen(EXPOSITION), now_ms, out);
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        size_t prefix = strlen(routes[i].prefix);
        if (length <= prefix || memcmp(path, routes[i].prefix, prefix) != 0)
            continue;
        bool is_bare = routes[i].shape != ONE_POOL;
        char *at = is_bare ? PUT(out, "[") : PUT(out, "{\"schemaVersion\":\"1.0.0\",\"pairs\":[");
        at = write_pairs(answers, path + prefix, path + length, routes[i].shape, now_ms, at);
        at = is_bare ? PUT(at, "]") : PUT(at, "]}");
        return (size_t)(at - out);
    }
    return 0;
}
