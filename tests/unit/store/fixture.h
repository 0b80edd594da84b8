/* What the store's tests share: a folder of their own, tokens with figures, a loader that keeps. */
#ifndef MOONWATCH_TESTS_STORE_FIXTURE_H
#define MOONWATCH_TESTS_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/prng.h"
#include "store/store.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct place {
    char folder[64];
    char path[96];
    char url[256];
};

static inline void place_init(struct place *place)
{
    strcpy(place->folder, "/tmp/moonwatch-store-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->path, sizeof place->path, "%s/test.db", place->folder);
    snprintf(place->url, sizeof place->url, "sqlite:%s", place->path);
}

static inline void place_finish(struct place *place)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", place->folder);
    assert_int_equal(system(command), 0);
}

static inline struct address address_of(uint64_t seed)
{
    struct address address;
    struct prng prng;
    prng_seed(&prng, seed);
    for (int i = 0; i < 4; i++) {
        uint64_t word = prng_next(&prng);
        memcpy(&address.bytes[i * 8], &word, 8);
    }
    return address;
}

/* A token with data; `n` varies its figures. */
static inline void token_make(struct store_token *row, token_id id, uint32_t n)
{
    *row = (struct store_token){.id = id};
    struct token *token = &row->token;
    token->mint = address_of(id);
    snprintf(token->name, sizeof token->name, "Token %u", id);
    snprintf(token->symbol, sizeof token->symbol, "T%u", id);
    token->created_at.us = 1700000000000000 + id;
    token->status = (uint8_t)(id % TOKEN_STATUS_COUNT);
    token->flags = TOKEN_DURABLE;
    struct token_state *state = &token->state;
    state->checked_at.us = 1710000000000000 + n;
    state->fetched_at.us = 1710000000000000 + n - 1;
    state->status_since.us = 1700000000000000;
    state->low_score_us = n;
    state->raw = (struct components){0.25, 1.5 + n, 0.5, -0.75};
    state->smoothed = (struct components){0.125, 1.25 + n, 0.375, -0.5};
    state->score_raw = 0.375;
    state->score = 0.25 + n;
    state->score_stored = 0.25;
    state->metrics.liquidity_usd = 12345.5 + n;
    state->metrics.price_usd = 1e-9;
    state->metrics.market_cap_usd = NAN;
    state->metrics.tx_count_5m = n;
    state->metrics.pools = 2;
    state->answers = 1 + n;
    strcpy(row->primary_dex, "raydium");
    token->pool_count = (uint8_t)(id % 4);
    for (uint8_t i = 0; i < token->pool_count; i++) {
        row->pools[i].pool.address = address_of(((uint64_t)id << 8) + i + 1000000007);
        row->pools[i].pool.liquidity_usd = i == 0 ? NAN : 100.0F + i;
        row->pools[i].pool.flags = POOL_COUNTS;
        strcpy(row->pools[i].dex, i == 0 ? "pumpswap" : "orca");
        strcpy(row->pools[i].quote, "SOL");
    }
}

static inline void token_assert_equal(const struct store_token *a, const struct store_token *b)
{
    assert_int_equal(a->id, b->id);
    assert_memory_equal(&a->token.mint, &b->token.mint, sizeof a->token.mint);
    assert_string_equal(a->token.name, b->token.name);
    assert_string_equal(a->token.symbol, b->token.symbol);
    assert_int_equal(a->token.created_at.us, b->token.created_at.us);
    assert_int_equal(a->token.status, b->token.status);
    assert_int_equal(a->token.state.checked_at.us, b->token.state.checked_at.us);
    assert_int_equal(a->token.state.low_score_us, b->token.state.low_score_us);
    assert_memory_equal(&a->token.state.raw, &b->token.state.raw, sizeof(struct components));
    assert_memory_equal(&a->token.state.smoothed, &b->token.state.smoothed,
                        sizeof(struct components));
    assert_true(a->token.state.score == b->token.state.score);
    assert_true(a->token.state.metrics.liquidity_usd == b->token.state.metrics.liquidity_usd);
    assert_int_equal(a->token.state.metrics.tx_count_5m, b->token.state.metrics.tx_count_5m);
    assert_int_equal(a->token.state.answers, b->token.state.answers);
    assert_string_equal(a->primary_dex, b->primary_dex);
    assert_int_equal(a->token.pool_count, b->token.pool_count);
    for (uint8_t i = 0; i < a->token.pool_count; i++) {
        assert_memory_equal(&a->pools[i].pool.address, &b->pools[i].pool.address,
                            sizeof(struct address));
        assert_string_equal(a->pools[i].dex, b->pools[i].dex);
        assert_string_equal(a->pools[i].quote, b->pools[i].quote);
        assert_int_equal(a->pools[i].pool.flags, b->pools[i].pool.flags);
        assert_int_equal(isnan(a->pools[i].pool.liquidity_usd),
                         isnan(b->pools[i].pool.liquidity_usd));
    }
}

#define KEPT_TOKENS_MAX   4096
#define KEPT_SETTINGS_MAX 32

struct kept {
    struct store_load_report report;
    struct store_token *tokens; /* by id */
    bool has[KEPT_TOKENS_MAX];
    token_id last;
    size_t setting_count;
    char settings[KEPT_SETTINGS_MAX][2][64];
    size_t alert_count;
    int64_t last_alert;
    char alert_text[64]; /* of the last */
};

static inline bool keep_token(void *context, const struct store_token *token)
{
    struct kept *kept = context;
    assert_true(token->id > kept->last);
    kept->last = token->id;
    if (token->id < KEPT_TOKENS_MAX) {
        kept->tokens[token->id] = *token;
        kept->has[token->id] = true;
    }
    return true;
}

static inline bool keep_setting(void *context, const char *name, const char *value)
{
    struct kept *kept = context;
    if (kept->setting_count < KEPT_SETTINGS_MAX) {
        snprintf(kept->settings[kept->setting_count][0], 64, "%s", name);
        snprintf(kept->settings[kept->setting_count++][1], 64, "%s", value);
    }
    return true;
}

static inline void keep_alert(void *context, int64_t id, const char *text)
{
    struct kept *kept = context;
    assert_true(id > kept->last_alert);
    kept->last_alert = id;
    kept->alert_count++;
    snprintf(kept->alert_text, sizeof kept->alert_text, "%s", text);
}

static inline enum err kept_load(struct store *store, struct kept *kept)
{
    *kept = (struct kept){0};
    kept->tokens = calloc(KEPT_TOKENS_MAX, sizeof *kept->tokens);
    assert_non_null(kept->tokens);
    struct store_loader loader = {.context = kept,
                                  .on_token = keep_token,
                                  .on_setting = keep_setting,
                                  .on_alert = keep_alert};
    return store_load(store, &loader, &kept->report);
}

static inline void kept_finish(struct kept *kept)
{
    free(kept->tokens);
    kept->tokens = NULL;
}

static inline struct store *open_or_fail(const char *url)
{
    char why[512] = "";
    struct store *store = store_open(url, why);
    if (store == NULL)
        fail_msg("%s", why);
    return store;
}

#endif
