/*
 * What a store should hold, in the dullest form: arrays. The oracle of what a power cut may lose:
 * a MODEL is changed as store.h says that the store is, and compared with what a start finds.
 */
#ifndef MOONWATCH_TESTS_TORTURE_STORE_MODEL_H
#define MOONWATCH_TESTS_TORTURE_STORE_MODEL_H

#include "store/store.h"

#define MODEL_TOKENS_MAX   64
#define MODEL_SETTINGS_MAX 16
#define MODEL_ALERTS_MAX   64
#define MODEL_ROWS_MAX     512 /* snapshots, and events, that are not deleted */

struct model_token {
    uint64_t identity, state, pools; /* hashes; identity 0: no token */
    int64_t refreshes;               /* state.low_score_us: which refresh this is */
};

struct model_setting {
    char name[32], value[32];
};

struct model_row {
    int64_t id; /* of an event: 0 */
    int64_t at;
    uint64_t hash;
};

struct model_rows {
    size_t count;
    struct model_row rows[MODEL_ROWS_MAX];
};

struct model {
    uint64_t generation; /* of the newest opening */
    token_id last_token;
    struct model_token tokens[MODEL_TOKENS_MAX]; /* by id */
    size_t setting_count;
    struct model_setting settings[MODEL_SETTINGS_MAX]; /* by name */
    size_t alert_count;
    struct model_row alerts[MODEL_ALERTS_MAX]; /* by id */
    struct model_rows snapshots, events;
};

void model_put_token(struct model *model, const struct store_token *token);
void model_put_state(struct model *model, const struct store_token *token);
void model_put_pools(struct model *model, const struct store_token *token);
void model_put_setting(struct model *model, const char *name, const char *value);
void model_put_alert(struct model *model, int64_t id, const char *text);
void model_put_snapshot(struct model *model, const struct store_snapshot *snapshot);
void model_put_event(struct model *model, const struct store_event *event);
void model_delete_history(struct model *model, instant snapshots_before, instant events_before,
                          uint32_t most);

/* As a cold start reads it, and history as people do. False with a sentence: something of it could
 * not be read, or was not believed. */
bool model_load(struct store *store, struct model *out, char why[512]);

/* The first thing in which they differ, the generation aside; NULL: nothing. */
const char *model_difference(const struct model *a, const struct model *b);

#endif
