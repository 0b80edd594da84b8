/*
 * Choosing a page of tokens: one scan over the table's columns (status, smoothed score), nothing
 * sorted but what is shown. Order: by score, tokens without one last (descending) or first
 * (ascending), equal ones by id, which is the order they were first seen in.
 *
 * A page near the start keeps its best offset + limit in a heap; one far out, past PICK_HEAP_MAX,
 * gathers all that match and selects. Scores are compared as the columns keep them, in single
 * precision, which tells six decimals apart up to 8.
 */
#ifndef MOONWATCH_API_PICK_H
#define MOONWATCH_API_PICK_H

#include "core/token_table.h"

#define PICK_HEAP_MAX  8192
#define PICK_LIMIT_MAX PICK_HEAP_MAX

enum pick_sort { PICK_SCORE_DESCENDING, PICK_SCORE_ASCENDING };

struct pick_query {
    unsigned statuses; /* 1 << enum token_status */
    double min_score;  /* active tokens count whatever their score */
    enum pick_sort sort;
    uint64_t offset;
    uint32_t limit; /* at most PICK_LIMIT_MAX */
};

struct pick {
    uint32_t total; /* tokens that match */
    uint32_t count;
    token_id ids[]; /* in order */
};

/* NULL: out of memory. To be freed with free(). */
struct pick *pick_tokens(const struct token_table *table, const struct pick_query *query);

/* A consistent copy of a token, safe to use whoever wrote it: names end, enums are in range, counts
 * within bounds. False: not there, or being written by a process that died. */
bool token_look(const struct token_table *table, token_id id, struct token *out,
                struct pool pools[POOLS_MAX]);

#endif
