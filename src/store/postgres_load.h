/*
 * What the files of a load of the PostgreSQL store share: postgres_load.c (rows of tokens,
 * settings, messages), postgres_log.c (the nodes' logs, and which of two states is the newer one).
 * Private to them.
 */
#ifndef MOONWATCH_STORE_POSTGRES_LOAD_H
#define MOONWATCH_STORE_POSTGRES_LOAD_H

#include "store/load_checks.h"
#include "store/log_index.h"
#include "store/postgres_store.h"

/* Tokens, and the pools of theirs. */
struct token_page {
    PGresult *rows, *pools;
    int next_row, next_pool;
    int64_t last; /* largest id that was asked for */
    bool is_last;
};

struct load {
    struct postgres_store *s;
    const struct store_loader *loader;
    struct store_load_report *report;
    struct log_index log;
    struct mint_set mints;
    const token_id *only; /* rising; NULL: everybody */
    size_t only_count;
    struct store_token token;
    struct postgres_origin origin; /* of the token at hand … */
    int64_t log_seq;               /* … and the position */
    uint64_t leases[MINT_SLOTS];   /* their generations */
    struct postgres_position *positions;
    size_t position_count;
    instant now;
    uint32_t refusals_logged;
    char alert_text[STORE_ALERT_TEXT_MAX + 1];
    struct token_page page;
    /* Of a walk: */
    bool is_walk;
    bool has_token; /* in `token`, delivered by the row that was read last */
    bool is_quiet;
    size_t loaded_before;
    struct store_loader walk_loader;
};

/* Counts it and tells the log. */
void load_refuse(struct load *load, const char *table, int64_t key, const char *why);
/* The newest record of each token in all logs. */
enum err load_index_logs(struct load *load) MUST_CHECK;
/* Puts the newest sound record of the logs over the token's state, when it is newer. */
enum err load_replay(struct load *load) MUST_CHECK;

#endif
