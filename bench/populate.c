/* See populate.h. */
#include "bench/populate.h"

#include "base/clock.h"
#include "base/prng.h"
#include "bench/crowd.h"
#include "store/store.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

#define BATCH        10000
#define ACTIVE_EVERY 10
#define SEED         1

/* The default intervals. */
#define HOT_INTERVAL_S  15
#define COLD_INTERVAL_S 45

static void random_address(struct prng *prng, struct address *out)
{
    for (size_t i = 0; i < sizeof out->bytes; i += sizeof(uint64_t)) {
        uint64_t word = prng_next(prng);
        memcpy(&out->bytes[i], &word, sizeof word);
    }
}

static void fill_state(struct token_state *state, struct prng *prng, instant now)
{
    state->checked_at = state->fetched_at = state->discovered_at = now;
    state->status_since = now;
    state->raw = state->smoothed =
        (struct components){prng_unit(prng), prng_unit(prng), prng_unit(prng), prng_unit(prng)};
    state->score = state->score_raw = state->score_stored = prng_unit(prng);
    state->metrics = (struct metrics){.liquidity_usd = 1000 * prng_pareto(prng, 1.1),
                                      .volume_1h_usd = 100 * prng_pareto(prng, 1.1),
                                      .price_usd = prng_unit(prng),
                                      .tx_count_1h = (uint32_t)prng_below(prng, 1000),
                                      .pools = 1};
    state->answers = 1;
}

static void fill_token(struct store_token *row, struct prng *prng, instant now)
{
    struct token *token = &row->token;
    random_address(prng, &token->mint);
    snprintf(token->name, sizeof token->name, "Token %u", row->id);
    snprintf(token->symbol, sizeof token->symbol, "T%u", row->id);
    token->created_at = now;
    token->status = row->id % ACTIVE_EVERY == 0 ? TOKEN_ACTIVE : TOKEN_MONITORING;
    token->flags = TOKEN_DURABLE;
    token->pool_count = 1;
    fill_state(&token->state, prng, now);
    snprintf(row->primary_dex, sizeof row->primary_dex, "raydium");
    random_address(prng, &row->pools[0].pool.address);
    row->pools[0].pool.liquidity_usd = (float)token->state.metrics.liquidity_usd;
    row->pools[0].pool.flags = POOL_COUNTS | POOL_EXTERNAL;
    snprintf(row->pools[0].dex, sizeof row->pools[0].dex, "raydium");
    snprintf(row->pools[0].quote, sizeof row->pools[0].quote, "SOL");
}

static void read_crowd(token_id id, unsigned pool, struct address *out)
{
    char text[CROWD_TEXT];
    crowd_text(id - 1, pool, text);
    bool is_address = address_parse(text, sizeof text, out);
    assert(is_address);
    (void)is_address;
}

static void fill_crowd_pool(struct store_pool *pool, token_id id, unsigned number)
{
    bool is_first = number == CROWD_FIRST_POOL;
    read_crowd(id, number, &pool->pool.address);
    pool->pool.liquidity_usd = 10000;
    pool->pool.flags = (uint8_t)(POOL_COUNTS | (is_first ? POOL_PUMP_SOL : POOL_EXTERNAL));
    snprintf(pool->dex, sizeof pool->dex, is_first ? "pumpswap" : "raydium");
    snprintf(pool->quote, sizeof pool->quote, "SOL");
}

static void fill_crowd_token(struct store_token *row, struct prng *prng, instant now)
{
    struct token *token = &row->token;
    uint32_t number = row->id - 1;
    fill_token(row, prng, now);
    read_crowd(row->id, CROWD_MINT, &token->mint);
    token->status = crowd_is_hot(number) ? TOKEN_ACTIVE : TOKEN_MONITORING;
    token->pool_count = (uint8_t)crowd_pools(number);
    for (unsigned i = 0; i < token->pool_count; i++)
        fill_crowd_pool(&row->pools[i], row->id, CROWD_FIRST_POOL + i);
    double interval_s = crowd_is_hot(number) ? HOT_INTERVAL_S : COLD_INTERVAL_S;
    token->state.checked_at = token->state.fetched_at =
        instant_add(now, duration_s(-interval_s * prng_unit(prng)));
}

typedef void fill_function(struct store_token *row, struct prng *prng, instant now);

static enum err put_batch(struct store *store, fill_function *fill, struct prng *prng,
                          token_id first, token_id last)
{
    instant now = clock_now();
    enum err err = store_begin(store, STORE_RELAXED);
    for (token_id id = first; id <= last && err == OK; id++) {
        struct store_token row = {.id = id};
        fill(&row, prng, now);
        err = store_put_token(store, &row);
    }
    return err == OK ? store_commit(store) : err;
}

static bool ignore_token(void *context, const struct store_token *token)
{
    (void)context, (void)token;
    return true;
}

static bool ignore_setting(void *context, const char *name, const char *value)
{
    (void)context, (void)name, (void)value;
    return true;
}

static bool populate_with(fill_function *fill, const char *url, uint32_t tokens)
{
    char why[512] = "";
    struct prng prng;
    struct store_load_report report = {0};
    const struct store_loader loader = {.on_token = ignore_token, .on_setting = ignore_setting};
    struct store *store = store_open(url, why);
    if (store == NULL) {
        fprintf(stderr, "bench: %s\n", why);
        return false;
    }
    prng_seed(&prng, SEED);
    enum err err = store_load(store, &loader, &report);
    for (token_id id = 1; id <= tokens && err == OK; id += BATCH)
        err = put_batch(store, fill, &prng, id, id + BATCH - 1 < tokens ? id + BATCH - 1 : tokens);
    if (err != OK)
        fprintf(stderr, "bench: cannot fill the database: %s\n", store_message(store));
    store_close(store);
    return err == OK;
}

bool populate(const char *url, uint32_t tokens)
{
    return populate_with(fill_token, url, tokens);
}

bool populate_crowd(const char *url, uint32_t tokens)
{
    return populate_with(fill_crowd_token, url, tokens);
}
