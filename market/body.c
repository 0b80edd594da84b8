/* Prepared texts and figures: see body.h. Key order is that of the recorded answers. */
#include "market/body.h"
#include "base/json.h"
#include "market/chance.h"
#include "market/names.h"
#include "market/number.h"
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define HEAD_MAX       704
#define TAIL_MAX       960
#define MAIN_POOL      0xff /* the slot of a token's main pair, whichever pool that is */
#define WAYS           4    /* places that a pair may be prepared in */
#define INFO_SHARE     0.72
#define HEADER_SHARE   0.98
#define BOOSTS_SHARE   0.03
#define IMAGE_OPTIONS  "?width=800&height=800&quality=95&format=auto"
#define HEADER_OPTIONS "?width=1500&height=500&quality=95&format=auto"
#define IMAGES         "https://cdn.dexscreener.com/cms/images/"

static const char *const dex_names[DEX_COUNT] = {
    [DEX_PUMPSWAP] = "pumpswap", [DEX_PUMPFUN] = "pumpfun", [DEX_RAYDIUM] = "raydium",
    [DEX_METEORA] = "meteora",   [DEX_ORCA] = "orca",       [DEX_METEORADBC] = "meteoradbc"};

static const struct {
    const char *address, *name, *symbol;
} quotes[QUOTE_COUNT] = {
    [QUOTE_SOL] = {"So11111111111111111111111111111111111111112", "Wrapped SOL", "SOL"},
    [QUOTE_USDC] = {"EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", "USD Coin", "USDC"},
    [QUOTE_USDT] = {"Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB", "USDT", "USDT"},
    [QUOTE_JUP] = {"JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN", "Jupiter", "JUP"},
    [QUOTE_OTHER] = {"PREANxuXjsy2pvisWWMNB6YaJNzr7681wJJr2rHsfTh", "Predict", "PRE"}};

struct prepared {
    instant holds_until;
    struct pool_life pool;
    uint16_t head_length;
    uint16_t tail_length;
    char head[HEAD_MAX];
    char tail[TAIL_MAX];
};

struct bodies {
    const struct model *model;
    struct prepared *prepared;
    uint64_t owners[BODIES_PREPARED]; /* of them: token and pool, plus one; 0: nobody */
    struct json scratch;
    unsigned victim;
};

struct bodies *bodies_create(const struct model *model)
{
    struct bodies *bodies = calloc(1, sizeof *bodies);
    if (bodies == NULL)
        return NULL;
    bodies->model = model;
    /* Pages are the kernel's until a pair is prepared in them. */
    void *table = mmap(NULL, sizeof(struct prepared) * BODIES_PREPARED, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (table == MAP_FAILED) {
        free(bodies);
        return NULL;
    }
    bodies->prepared = table;
    return bodies;
}

void bodies_destroy(struct bodies *bodies)
{
    if (bodies == NULL)
        return;
    munmap(bodies->prepared, sizeof(struct prepared) * BODIES_PREPARED);
    json_finish(&bodies->scratch);
    free(bodies);
}

/* ---- what is prepared ---- */

static void put_token(struct json *json, const char *key, const char *address, const char *name,
                      const char *symbol)
{
    json_object_open(json, key);
    json_put_string(json, "address", address);
    json_put_string(json, "name", name);
    json_put_string(json, "symbol", symbol);
    json_object_close(json);
}

/* The market's own token on one side. */
static void put_own(struct bodies *bodies, const char *key, const struct pool_life *pool)
{
    struct address mint;
    char address[ADDRESS_TEXT_MAX + 1];
    char name[NAME_SIZE];
    char symbol[SYMBOL_SIZE];
    model_mint(bodies->model, pool->token.token, &mint);
    address_format(&mint, address);
    name_of_token(pool->token.key, name, symbol);
    put_token(&bodies->scratch, key, address, name, symbol);
}

static void put_sides(struct bodies *bodies, const struct pool_life *pool)
{
    if (pool->is_reversed) {
        struct identity stranger = {IDENTITY_STRANGER, pool->token.token, pool->pool};
        struct address other;
        char text[ADDRESS_TEXT_MAX + 1];
        identity_address(model_seed(bodies->model), &stranger, &other);
        address_format(&other, text);
        put_token(&bodies->scratch, "baseToken", text, "Some Other Coin", "OTHER");
        put_own(bodies, "quoteToken", pool);
        return;
    }
    put_own(bodies, "baseToken", pool);
    put_token(&bodies->scratch, "quoteToken", quotes[pool->quote].address, quotes[pool->quote].name,
              quotes[pool->quote].symbol);
}

static void lower(char *text)
{
    for (; *text != '\0'; text++)
        *text = (char)tolower((unsigned char)*text);
}

static void put_head(struct bodies *bodies, const struct pool_life *pool)
{
    struct json *json = &bodies->scratch;
    struct identity identity = {IDENTITY_POOL, pool->token.token, pool->pool};
    struct address address;
    char text[ADDRESS_TEXT_MAX + 1];
    char url[128];
    identity_address(model_seed(bodies->model), &identity, &address);
    address_format(&address, text);
    snprintf(url, sizeof url, "https://dexscreener.com/solana/%s", text);
    lower(url);
    json_put_string(json, "chainId", "solana");
    json_put_string(json, "dexId", dex_names[pool->dex]);
    json_put_string(json, "url", url);
    json_put_string(json, "pairAddress", text);
    if (pool->label != NULL) {
        json_array_open(json, "labels");
        json_put_string(json, NULL, pool->label);
        json_array_close(json);
    }
    put_sides(bodies, pool);
}

static void put_image(struct json *json, const char *key, uint64_t picture, const char *options)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-";
    char name[17];
    char url[160];
    for (unsigned i = 0; i < 16; i++)
        name[i] = digits[chance_at(picture, i) % 64];
    name[16] = '\0';
    snprintf(url, sizeof url, IMAGES "%s%s", name, options);
    json_put_string(json, key, url);
}

static void put_link(struct json *json, const char *kind, const char *value, const char *url)
{
    json_object_open(json, NULL);
    json_put_string(json, "url", url);
    json_put_string(json, kind, value);
    json_object_close(json);
}

static void put_links(struct json *json, uint64_t key)
{
    static const char *const socials[][2] = {{"twitter", "https://x.com/"},
                                             {"telegram", "https://t.me/"}};
    char handle[24];
    char url[96];
    handle_of_token(key, handle);
    json_array_open(json, "websites");
    snprintf(url, sizeof url, "https://%s.fun", handle);
    put_link(json, "label", "Website", url);
    json_array_close(json);
    json_array_open(json, "socials");
    unsigned count = 1 + chance_at(key, 77) % 2;
    for (unsigned i = 0; i < count; i++) {
        snprintf(url, sizeof url, "%s%s", socials[i][1], handle);
        put_link(json, "type", socials[i][0], url);
    }
    json_array_close(json);
}

static void put_info(struct bodies *bodies, const struct token_life *token)
{
    struct json *json = &bodies->scratch;
    struct address mint;
    char text[ADDRESS_TEXT_MAX + 1];
    char url[160];
    model_mint(bodies->model, token->token, &mint);
    address_format(&mint, text);
    json_object_open(json, "info");
    put_image(json, "imageUrl", token->key ^ 1, IMAGE_OPTIONS);
    if (chance_unit(token->key, 71) < HEADER_SHARE)
        put_image(json, "header", token->key ^ 2, HEADER_OPTIONS);
    snprintf(url, sizeof url,
             "https://cdn.dexscreener.com/token-images/og/solana/%s?timestamp=%lld", text,
             (long long)token->graduated_at.us / 300000000 * 300000);
    json_put_string(json, "openGraph", url);
    put_links(json, token->key);
    json_object_close(json);
}

static void put_tail(struct bodies *bodies, const struct pool_life *pool)
{
    struct json *json = &bodies->scratch;
    json_put_int(json, "pairCreatedAt", pool->created_at.us / 1000000 * 1000);
    if (!pool->is_reversed && chance_unit(pool->token.key, 70) < INFO_SHARE)
        put_info(bodies, &pool->token);
    if (chance_unit(pool->token.key, 72) < BOOSTS_SHARE) {
        json_object_open(json, "boosts");
        json_put_int(json, "active", 10 + (int64_t)(chance_at(pool->token.key, 73) % 10) * 10);
        json_object_close(json);
    }
}

/* The members written since the last json_reset(), without the braces around them. */
static uint16_t take_members(struct json *json, char *out, size_t size)
{
    assert(!json->failed && json->length >= 2 && json->length - 2 < size);
    memcpy(out, json->text + 1, json->length - 2);
    return (uint16_t)(json->length - 2);
}

static void prepare_texts(struct bodies *bodies, struct prepared *prepared)
{
    struct json *json = &bodies->scratch;
    json_reset(json);
    json_object_open(json, NULL);
    put_head(bodies, &prepared->pool);
    json_object_close(json);
    prepared->head_length = take_members(json, prepared->head, sizeof prepared->head);
    json_reset(json);
    json_object_open(json, NULL);
    put_tail(bodies, &prepared->pool);
    json_object_close(json);
    prepared->tail_length = take_members(json, prepared->tail, sizeof prepared->tail);
}

static uint64_t owner_of(uint32_t token, uint8_t pool)
{
    return ((uint64_t)token << 8 | pool) + 1;
}

/* The owner's place; if it has none, the one that it would take (then the place's owner differs).
 */
static size_t place_of(struct bodies *bodies, uint64_t owner)
{
    size_t set = chance_mix(owner) % BODIES_PREPARED / WAYS * WAYS;
    const uint64_t *owners = &bodies->owners[set];
    for (unsigned i = 0; i < WAYS; i++)
        if (owners[i] == owner)
            return set + i;
    for (unsigned i = 0; i < WAYS; i++)
        if (owners[i] == 0)
            return set + i;
    return set + bodies->victim++ % WAYS;
}

static const struct prepared *prepare(struct bodies *bodies, uint32_t token, uint8_t pool,
                                      instant now)
{
    uint64_t owner = owner_of(token, pool);
    size_t place = place_of(bodies, owner);
    struct prepared *prepared = &bodies->prepared[place];
    if (bodies->owners[place] == owner && instant_before(now, prepared->holds_until))
        return prepared;
    struct token_life life;
    model_token(bodies->model, token, &life);
    instant holds_until = INSTANT_FAR;
    unsigned chosen = pool;
    if (pool == MAIN_POOL)
        chosen = model_main_pool(&life, now, &holds_until);
    model_pool(&life, chosen, &prepared->pool);
    prepare_texts(bodies, prepared);
    bodies->owners[place] = owner;
    prepared->holds_until = holds_until;
    return prepared;
}

/* ---- what moves ---- */

static char *put(char *at, const char *text)
{
    size_t length = strlen(text);
    memcpy(at, text, length);
    return at + length;
}

#define PUT(at, literal)                                                                           \
    ((char *)memcpy((at), (literal), sizeof(literal) - 1) + sizeof(literal) - 1)

static char *put_txns(char *at, const struct pool_figures *figures)
{
    static const char *const openings[WINDOW_COUNT] = {
        ",\"txns\":{\"m5\":{\"buys\":", "},\"h1\":{\"buys\":", "},\"h6\":{\"buys\":",
        "},\"h24\":{\"buys\":"};
    for (unsigned i = 0; i < WINDOW_COUNT; i++) {
        at = number_integer(put(at, openings[i]), figures->buys[i]);
        at = number_integer(PUT(at, ",\"sells\":"), figures->sells[i]);
    }
    return PUT(at, "}}");
}

static char *put_volume(char *at, const struct pool_figures *figures)
{
    at = number_rounded(PUT(at, ",\"volume\":{\"h24\":"), figures->volume_usd[WINDOW_H24], 2);
    at = number_rounded(PUT(at, ",\"h6\":"), figures->volume_usd[WINDOW_H6], 2);
    at = number_rounded(PUT(at, ",\"h1\":"), figures->volume_usd[WINDOW_H1], 2);
    at = number_rounded(PUT(at, ",\"m5\":"), figures->volume_usd[WINDOW_M5], 2);
    return PUT(at, "}");
}

/* Hundreds of per cent are whole numbers upstream. */
static char *put_percent(char *at, double percent)
{
    return number_rounded(at, percent, percent > -100 && percent < 100 ? 2 : 0);
}

/* A window in which nobody traded has no key. */
static char *put_changes(char *at, const struct pool_figures *figures, enum body_damage damage)
{
    static const char *const keys[WINDOW_COUNT] = {"\"m5\":", "\"h1\":", "\"h6\":", "\"h24\":"};
    at = PUT(at, ",\"priceChange\":{");
    const char *separator = "";
    for (unsigned i = 0; i < WINDOW_COUNT; i++) {
        bool is_absent = figures->buys[i] + figures->sells[i] == 0;
        if (is_absent && damage != BODY_NULLS)
            continue;
        at = put(put(at, separator), keys[i]);
        at = is_absent ? PUT(at, "null") : put_percent(at, figures->change_percent[i]);
        separator = ",";
    }
    return PUT(at, "}");
}

static char *put_prices(char *at, const struct pool_life *pool, const struct pool_figures *figures)
{
    at = number_price(PUT(at, ",\"priceNative\":\""), figures->price_native, 4);
    at = PUT(at, "\"");
    if (pool->lacks_price)
        return at;
    at = number_price(PUT(at, ",\"priceUsd\":\""), figures->price_usd, 2);
    return PUT(at, "\"");
}

static char *put_liquidity(char *at, const struct pool_figures *figures)
{
    at = number_rounded(PUT(at, ",\"liquidity\":{\"usd\":"), figures->liquidity_usd, 2);
    at = number_rounded(PUT(at, ",\"base\":"), figures->liquidity_base, 0);
    at = number_rounded(PUT(at, ",\"quote\":"), figures->liquidity_quote, 4);
    return PUT(at, "}");
}

static char *put_caps(char *at, const struct pool_life *pool, const struct pool_figures *figures)
{
    unsigned decimals = pool->key % 8 == 0 ? 2 : 0;
    at = number_rounded(PUT(at, ",\"fdv\":"), figures->market_cap_usd, decimals);
    if (pool->lacks_market_cap)
        return at;
    return number_rounded(PUT(at, ",\"marketCap\":"), figures->market_cap_usd, decimals);
}

static char *put_sound_figures(char *at, const struct pool_life *pool,
                               const struct pool_figures *figures, enum body_damage damage)
{
    at = put_prices(at, pool, figures);
    at = put_txns(at, figures);
    at = put_volume(at, figures);
    at = put_changes(at, figures, damage);
    if (!pool->lacks_liquidity)
        at = put_liquidity(at, figures);
    if (!pool->lacks_price)
        at = put_caps(at, pool, figures);
    return PUT(at, ",");
}

static char *put_null_figures(char *at, const struct pool_figures *figures)
{
    at = PUT(at, ",\"priceNative\":null,\"priceUsd\":null");
    at = put_txns(at, figures);
    at = put_volume(at, figures);
    at = put_changes(at, figures, BODY_NULLS);
    return PUT(at, ",\"liquidity\":null,\"fdv\":null,\"marketCap\":null,\"labels\":null,");
}

/* Each is a number to some parser and to none in JSON's grammar, or one that no market has. */
static char *put_nan_figures(char *at, uint64_t key)
{
    static const char *const damaged[] = {
        ",\"priceNative\":\"NaN\",\"priceUsd\":\"Infinity\",\"txns\":{},\"volume\":{},"
        "\"priceChange\":{},\"liquidity\":{\"usd\":\"nan\"},",
        ",\"priceNative\":\"1\",\"priceUsd\":\"1e999\",\"txns\":{\"m5\":{\"buys\":-5,\"sells\":"
        "1e400}},"
        "\"volume\":{\"m5\":-1,\"h1\":\"many\"},\"priceChange\":{\"m5\":\"-Infinity\"},"
        "\"liquidity\":{\"usd\":-1},",
        ",\"priceNative\":\"1\",\"priceUsd\":NaN,\"txns\":{},\"volume\":{},\"priceChange\":{},"
        "\"liquidity\":{\"usd\":Infinity},",
        ",\"priceNative\":[],\"priceUsd\":{},\"txns\":7,\"volume\":\"\",\"priceChange\":[],"
        "\"liquidity\":true,\"fdv\":99999999999999999999999999,"};
    return put(at, damaged[key % (sizeof damaged / sizeof damaged[0])]);
}

static char *put_twice(char *at, const struct pool_life *pool, const struct pool_figures *figures)
{
    at = put_sound_figures(at, pool, figures, BODY_SOUND);
    at = PUT(at, "\"priceUsd\":\"7777777\",\"liquidity\":{\"usd\":7777777},");
    return PUT(at, "\"pairAddress\":\"So11111111111111111111111111111111111111112\",");
}

static char *put_figures(char *at, const struct pool_life *pool, const struct pool_figures *figures,
                         enum body_damage damage)
{
    switch (damage) {
    case BODY_NULLS:
        return put_null_figures(at, figures);
    case BODY_NANS:
        return put_nan_figures(at, pool->key);
    case BODY_DUPLICATE_KEYS:
        return put_twice(at, pool, figures);
    case BODY_SOUND:
    case BODY_NAMES:
    case BODY_NO_UTF8:
    case BODY_DAMAGE_COUNT:
        break;
    }
    return put_sound_figures(at, pool, figures, damage);
}

/* ---- names as damage ---- */

static char *put_names(char *at, const struct hostile_name *hostile)
{
    at = put(at, "\"name\":\"");
    for (unsigned i = 0; i < (hostile->repeats == 0 ? 1 : hostile->repeats); i++)
        at = put(at, hostile->name);
    return put(put(put(at, "\",\"symbol\":\""), hostile->symbol), "\"");
}

/* The members before the figures, with other names in the market's own token, which is one of two
 * objects: the last, where the pair is reversed, or the one before. */
static char *put_renamed_head(char *at, const struct prepared *prepared, enum body_damage damage)
{
    static const struct hostile_name no_utf8 = {"\xff\xfe\xc0\xaf", "\xed\xa0\x80", 0};
    static const char own_name[] = "\"name\":", second[] = "},\"quoteToken\":{";
    const char *head = prepared->head, *end = head + prepared->head_length;
    const char *between = memmem(head, prepared->head_length, second, sizeof second - 1);
    assert(between != NULL);
    const char *from = prepared->pool.is_reversed ? between : head;
    const char *name = memmem(from, (size_t)(end - from), own_name, sizeof own_name - 1);
    assert(name != NULL);
    memcpy(at, head, (size_t)(name - head));
    at = put_names(at + (name - head),
                   damage == BODY_NO_UTF8 ? &no_utf8 : hostile_name_of(prepared->pool.token.key));
    const char *rest = prepared->pool.is_reversed ? end - 1 : between; /* from the brace on */
    memcpy(at, rest, (size_t)(end - rest));
    return at + (end - rest);
}

static char *put_prepared_head(char *at, const struct prepared *prepared, enum body_damage damage)
{
    if (damage == BODY_NAMES || damage == BODY_NO_UTF8)
        return put_renamed_head(at, prepared, damage);
    memcpy(at, prepared->head, prepared->head_length);
    return at + prepared->head_length;
}

size_t body_pair_max(enum body_damage damage)
{
    return damage == BODY_NAMES ? BODY_PAIR_MAX + BODY_NAMES_MAX : BODY_PAIR_MAX;
}

static char *write_pair(struct bodies *bodies, const struct prepared *prepared, instant now,
                        enum body_damage damage, char *out)
{
    struct pool_figures figures;
    model_figures(bodies->model, &prepared->pool, now, &figures);
    char *at = out;
    *at++ = '{';
    at = put_prepared_head(at, prepared, damage);
    at = put_figures(at, &prepared->pool, &figures, damage);
    memcpy(at, prepared->tail, prepared->tail_length);
    at += prepared->tail_length;
    *at++ = '}';
    assert((size_t)(at - out) <= body_pair_max(damage));
    return at;
}

bool body_pool_exists(struct bodies *bodies, const struct identity *pool, instant now)
{
    uint64_t owner = owner_of(pool->token, pool->pool);
    size_t place = place_of(bodies, owner);
    if (bodies->owners[place] == owner)
        return !instant_before(now, bodies->prepared[place].pool.created_at);
    if (pool->token >= model_token_count(bodies->model))
        return false;
    struct token_life token;
    struct pool_life life;
    model_token(bodies->model, pool->token, &token);
    if (pool->pool >= token.pools)
        return false;
    model_pool(&token, pool->pool, &life);
    return !instant_before(now, life.created_at);
}

char *body_write_pool(struct bodies *bodies, const struct identity *pool, instant now,
                      enum body_damage damage, char *out)
{
    return write_pair(bodies, prepare(bodies, pool->token, pool->pool, now), now, damage, out);
}

char *body_write_main(struct bodies *bodies, uint32_t token, instant now, enum body_damage damage,
                      char *out)
{
    return write_pair(bodies, prepare(bodies, token, MAIN_POOL, now), now, damage, out);
}

char *body_write_all(struct bodies *bodies, uint32_t token, instant now, enum body_damage damage,
                     char *out, unsigned *pairs)
{
    struct token_life life;
    model_token(bodies->model, token, &life);
    *pairs = 0;
    for (unsigned i = 0; i < life.pools; i++) {
        const struct prepared *prepared = prepare(bodies, token, (uint8_t)i, now);
        if (instant_before(now, prepared->pool.created_at))
            continue;
        if (*pairs > 0)
            *out++ = ',';
        out = write_pair(bodies, prepared, now, damage, out);
        ++*pairs;
    }
    return out;
}
