/*
 * Which tokens `moonwatch top` lists: one pass over the token table, of which the first
 * TOP_TOKENS_MAX by some figure are kept. Score and age are columns of the table, so that a million
 * are passed in 12 ms; the other figures are in the slots, which takes 0.2 s, and a search 0.7 s. A
 * pass is not made again before TOP_TOKENS_REST times as long as it took have passed.
 */
#ifndef MOONWATCH_CLI_TOP_TOKENS_H
#define MOONWATCH_CLI_TOP_TOKENS_H

#include "core/token_table.h"

#define TOP_TOKENS_MAX  1000
#define TOP_TOKENS_REST 20
#define TOP_SEARCH_SIZE 48

/* X(code, name), each highest first. */
#define TOP_SORT_LIST(X)                                                                           \
    X(TOP_BY_SCORE, "score")                                                                       \
    X(TOP_BY_AGE, "age")                                                                           \
    X(TOP_BY_LIQUIDITY, "liquidity")                                                               \
    X(TOP_BY_VOLUME, "volume")                                                                     \
    X(TOP_BY_TRADES, "trades")                                                                     \
    X(TOP_BY_CHANGE, "change")                                                                     \
    X(TOP_BY_BIRTH, "first seen")

enum top_sort {
#define X(code, name) code,
    TOP_SORT_LIST(X)
#undef X
        TOP_SORT_COUNT
};

struct top_query {
    unsigned statuses; /* 1 << enum token_status */
    enum top_sort sort;
    bool is_reversed;
    char search[TOP_SEARCH_SIZE]; /* in the mint, the name or the symbol, any case; "": all */
};

struct top_tokens {
    uint32_t total, matching; /* of the statuses and the search */
    uint32_t count;           /* of these, kept, in order */
    token_id ids[TOP_TOKENS_MAX];
    double values[TOP_TOKENS_MAX];
    instant chosen_at;
    duration took;
};

const char *top_sort_name(enum top_sort sort);

/* `now` is the daemon's. */
void top_tokens_choose(struct top_tokens *tokens, const struct token_table *table,
                       const struct top_query *query, instant now);
/* Whether it is time for another pass. */
bool top_tokens_are_old(const struct top_tokens *tokens, instant now);

#endif
