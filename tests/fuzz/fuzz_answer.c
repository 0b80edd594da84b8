/* Answers of the upstream: what the parser gives is what the core may believe. */
#include "fuzz.h"

#include "core/score.h"
#include "feed/dexscreener_parse.h"
#include <math.h>

static struct answer_parser *parser;
static struct options options;

void fuzz_begin(void)
{
    parser = answer_parser_create();
    assert(parser != NULL);
    options_init(&options);
}

static bool is_text(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static bool is_figure(double figure)
{
    return isnan(figure) || (figure >= 0 && figure <= FIGURE_MAX);
}

static bool is_change(double change)
{
    return isnan(change) || fabs(change) <= FIGURE_MAX;
}

static bool is_count(int64_t count)
{
    return count >= 0 && count <= COUNT_MAX;
}

static void check_pair(const struct pair *pair)
{
    assert(is_text(pair->base_name, sizeof pair->base_name));
    assert(is_text(pair->base_symbol, sizeof pair->base_symbol));
    assert(is_text(pair->quote_symbol, sizeof pair->quote_symbol));
    assert(is_text(pair->dex, sizeof pair->dex));
    assert(is_figure(pair->price_usd) && is_figure(pair->liquidity_usd));
    assert(is_figure(pair->market_cap_usd) && is_figure(pair->volume_m5_usd));
    assert(is_figure(pair->volume_h1_usd) && is_figure(pair->volume_h24_usd));
    assert(is_change(pair->change_m5_percent) && is_change(pair->change_m15_percent));
    assert(is_change(pair->change_h1_percent));
    assert(is_count(pair->buys_m5) && is_count(pair->sells_m5));
    assert(is_count(pair->buys_h1) && is_count(pair->sells_h1) && is_count(pair->created_at_ms));
}

/* As if all were of one token: whatever the status, what comes out can be stored. */
static void score(const struct parsed_answer *answer)
{
    const struct pair *pairs[ANSWER_PAIRS_MAX], *primary;
    for (size_t i = 0; i < answer->pair_count; i++)
        pairs[i] = &answer->pairs[i];
    for (int i = 0; i < TOKEN_STATUS_COUNT; i++) {
        enum token_status status = (enum token_status)i;
        struct token_state state = {.answers = 1, .checked_at = {1}, .fetched_at = {1}};
        state.metrics = market_gather(pairs, answer->pair_count, status, &options, &primary);
        state.metrics.hours_since_creation = 1;
        struct score raw = score_raw(&state.metrics, status, &options);
        struct score smoothed = score_smooth(&raw, &raw, options.ewma_alpha);
        state.raw = raw.components;
        state.smoothed = smoothed.components;
        state.score_raw = raw.total;
        state.score = smoothed.total;
        assert(token_state_complaint(&state) == NULL);
    }
}

void fuzz_one(const uint8_t *data, size_t size)
{
    static struct parsed_answer answer;
    char *body = calloc(1, size + ANSWER_PADDING);
    assert(body != NULL);
    if (size > 0)
        memcpy(body, data, size);
    enum feed_outcome outcome = answer_parse(parser, body, size, "solana", &answer);
    free(body);
    assert(outcome == FEED_OK || outcome == FEED_NOT_JSON || outcome == FEED_MALFORMED ||
           outcome == FEED_WRONG_SHAPE);
    assert(answer.pair_count <= ANSWER_PAIRS_MAX);
    assert(outcome == FEED_OK || answer.pair_count == 0);
    for (size_t i = 0; i < answer.pair_count; i++)
        check_pair(&answer.pairs[i]);
    score(&answer);
}
