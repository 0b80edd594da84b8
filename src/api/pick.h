/*
 * Choosing a page of tokens: one scan over the table's columns (status, smoothed score), nothing
 * sorted but what is shown. Order: by score or by what else is named below, tokens without it last
 * (descending) or first (ascending), equal ones by id, which is the order they were first seen in.
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

/* X(code, name). An age is the time since a token's last answer; who never had one is the oldest.
 * Liquidity and text are read from the slots: with a million tokens some tenths of a second. */
#define PICK_SORT_LIST(X)                                                                          \
    X(PICK_SCORE_DESCENDING, "score_desc")                                                         \
    X(PICK_SCORE_ASCENDING, "score_asc")                                                           \
    X(PICK_AGE_DESCENDING, "age_desc")                                                             \
    X(PICK_AGE_ASCENDING, "age_asc")                                                               \
    X(PICK_LIQUIDITY_DESCENDING, "liquidity_desc")                                                 \
    X(PICK_LIQUIDITY_ASCENDING, "liquidity_asc")                                                   \
    X(PICK_CREATED_DESCENDING, "created_desc")                                                     \
    X(PICK_CREATED_ASCENDING, "created_asc")

enum pick_sort {
#define X(code, name) code,
    PICK_SORT_LIST(X)
#undef X
        PICK_SORT_COUNT
};

const char *pick_sort_name(enum pick_sort sort);

struct pick_query {
    unsigned statuses;  /* 1 << enum token_status */
    unsigned groups;    /* 1 << enum token_group; 0: any */
    const char *search; /* part of a mint, a name or a symbol, in any case (ASCII); NULL: any */
    double min_score;   /* active tokens count whatever their score */
    instant now;        /* for ages */
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
 * within bounds. False: not there, or being written by a process that died. Both wait, some
 * milliseconds, for a writer that lost its processor in the middle. */
bool token_look(const struct token_table *table, token_id id, struct token *out,
                struct pool pools[POOLS_MAX]);
token_id token_seek(const struct token_table *table, const struct address *mint);

#endif
