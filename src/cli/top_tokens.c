/* See top_tokens.h. */
#include "cli/top_tokens.h"

#include "api/pick.h"
#include "base/clock.h"
#include <math.h>
#include <string.h>
#include <strings.h>

const char *top_sort_name(enum top_sort sort)
{
    static const char *const names[TOP_SORT_COUNT] = {
#define X(code, name) [code] = name,
        TOP_SORT_LIST(X)
#undef X
    };
    return names[sort];
}

bool top_tokens_are_old(const struct top_tokens *tokens, instant now)
{
    return instant_is_never(tokens->chosen_at) ||
           instant_diff(now, tokens->chosen_at).us >= tokens->took.us * TOP_TOKENS_REST;
}

/* ---- one token ---- */

static bool is_found(const struct token *token, const char *search)
{
    char mint[ADDRESS_TEXT_MAX + 1];
    address_format(&token->mint, mint);
    return strcasestr(mint, search) != NULL || strcasestr(token->name, search) != NULL ||
           strcasestr(token->symbol, search) != NULL;
}

static bool is_in_slot(enum top_sort sort)
{
    return sort != TOP_BY_SCORE && sort != TOP_BY_AGE;
}

static double value_in_slot(const struct token *token, enum top_sort sort)
{
    const struct metrics *metrics = &token->state.metrics;
    if (sort == TOP_BY_BIRTH)
        return (double)token->created_at.us;
    if (token->state.answers == 0)
        return NAN;
    switch (sort) {
    case TOP_BY_LIQUIDITY:
        return metrics->liquidity_usd;
    case TOP_BY_VOLUME:
        return metrics->volume_5m_usd;
    case TOP_BY_TRADES:
        return metrics->tx_count_5m;
    default:
        return metrics->delta_p_5m;
    }
}

/* What it is sorted by, the largest first; what is not known comes last, whichever way. */
static double value_of(const struct token_table *table, token_id id, const struct top_query *query,
                       const struct token *token, instant now)
{
    double value;
    instant checked = token_column_checked(table, id);
    if (query->sort == TOP_BY_SCORE)
        value = token_column_score(table, id);
    else if (query->sort == TOP_BY_AGE)
        value = instant_is_never(checked) ? NAN : duration_to_s(instant_diff(now, checked));
    else
        value = value_in_slot(token, query->sort);
    if (isnan(value))
        return -INFINITY;
    return query->is_reversed ? -value : value;
}

/* ---- the best of them: a heap with the worst on top ---- */

struct entry {
    double value;
    token_id id;
};

static bool is_worse(struct entry a, struct entry b)
{
    return a.value < b.value || (a.value == b.value && a.id > b.id);
}

static struct entry entry_at(const struct top_tokens *tokens, uint32_t i)
{
    return (struct entry){tokens->values[i], tokens->ids[i]};
}

static void put_at(struct top_tokens *tokens, uint32_t i, struct entry entry)
{
    tokens->values[i] = entry.value;
    tokens->ids[i] = entry.id;
}

static void sift_up(struct top_tokens *tokens, uint32_t at)
{
    struct entry entry = entry_at(tokens, at);
    while (at > 0 && is_worse(entry, entry_at(tokens, (at - 1) / 2))) {
        put_at(tokens, at, entry_at(tokens, (at - 1) / 2));
        at = (at - 1) / 2;
    }
    put_at(tokens, at, entry);
}

/* Of the first `count`, the one on top is where it belongs afterwards. */
static void sift_down(struct top_tokens *tokens, uint32_t count)
{
    struct entry entry = entry_at(tokens, 0);
    uint32_t at = 0;
    for (uint32_t child = 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && is_worse(entry_at(tokens, child + 1), entry_at(tokens, child)))
            child++;
        if (!is_worse(entry_at(tokens, child), entry))
            break;
        put_at(tokens, at, entry_at(tokens, child));
        at = child;
    }
    put_at(tokens, at, entry);
}

static void keep(struct top_tokens *tokens, struct entry entry)
{
    if (tokens->count < TOP_TOKENS_MAX) {
        put_at(tokens, tokens->count, entry);
        sift_up(tokens, tokens->count++);
    } else if (is_worse(entry_at(tokens, 0), entry)) {
        put_at(tokens, 0, entry);
        sift_down(tokens, tokens->count);
    }
}

/* The worst goes to the end, and so on: the best come first. */
static void sort_kept(struct top_tokens *tokens)
{
    for (uint32_t left = tokens->count; left > 1; left--) {
        struct entry worst = entry_at(tokens, 0);
        put_at(tokens, 0, entry_at(tokens, left - 1));
        sift_down(tokens, left - 1);
        put_at(tokens, left - 1, worst);
    }
}

void top_tokens_choose(struct top_tokens *tokens, const struct token_table *table,
                       const struct top_query *query, instant now)
{
    instant begun = clock_now();
    uint32_t count = token_table_count(table);
    bool needs_slot = query->search[0] != '\0' || is_in_slot(query->sort);
    tokens->count = tokens->matching = 0;
    tokens->total = count;
    for (token_id id = 1; id <= count; id++) {
        struct token token;
        unsigned status = token_column_status(table, id);
        if (status >= TOKEN_STATUS_COUNT || !(query->statuses >> status & 1) ||
            (needs_slot && !token_look(table, id, &token, NULL)) ||
            (query->search[0] != '\0' && !is_found(&token, query->search)))
            continue;
        tokens->matching++;
        keep(tokens, (struct entry){value_of(table, id, query, &token, now), id});
    }
    sort_kept(tokens);
    tokens->chosen_at = now;
    tokens->took = instant_diff(clock_now(), begun);
}
