/* What a store should hold. See the header. */
#include "store_model.h"

#include "store/sqlite_store.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- hashes ---- */

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    return hash_bytes(hash, text, strlen(text) + 1);
}

static uint64_t hash_number(uint64_t hash, int64_t number)
{
    return hash_bytes(hash, &number, sizeof number);
}

#define HASH_START UINT64_C(0xcbf29ce484222325)

static uint64_t hash_identity(const struct token *token)
{
    uint64_t hash = hash_bytes(HASH_START, &token->mint, sizeof token->mint);
    return hash_number(hash, token->created_at.us) | 1;
}

static uint64_t hash_state(const struct store_token *row)
{
    const struct token_state *state = &row->token.state;
    uint64_t hash = hash_text(HASH_START, row->token.name);
    hash = hash_text(hash, row->token.symbol);
    hash = hash_number(hash, row->token.status);
    hash = hash_number(hash, state->checked_at.us);
    hash = hash_number(hash, state->fetched_at.us);
    hash = hash_number(hash, state->low_score_us);
    hash = hash_number(hash, state->snapshot_id);
    hash = hash_number(hash, state->answers);
    return state->answers == 0 ? hash : hash_bytes(hash, &state->score, sizeof state->score);
}

static uint64_t hash_pools(const struct store_token *row)
{
    uint64_t hash = hash_number(HASH_START, row->token.pool_count);
    for (uint8_t i = 0; i < row->token.pool_count; i++) {
        const struct store_pool *pool = &row->pools[i];
        hash = hash_bytes(hash, &pool->pool.address, sizeof pool->pool.address);
        hash = hash_number(hash, pool->pool.flags);
        hash = hash_text(hash, pool->dex);
        hash = hash_text(hash, pool->quote);
    }
    return hash;
}

/* ---- changes ---- */

static struct model_token *token_of(struct model *model, token_id id)
{
    if (id >= MODEL_TOKENS_MAX)
        abort();
    return &model->tokens[id];
}

void model_put_state(struct model *model, const struct store_token *token)
{
    token_of(model, token->id)->state = hash_state(token);
    token_of(model, token->id)->refreshes = token->token.state.low_score_us;
}

void model_put_pools(struct model *model, const struct store_token *token)
{
    token_of(model, token->id)->pools = hash_pools(token);
}

void model_put_token(struct model *model, const struct store_token *token)
{
    token_of(model, token->id)->identity = hash_identity(&token->token);
    if (token->id > model->last_token)
        model->last_token = token->id;
    model_put_state(model, token);
    model_put_pools(model, token);
}

void model_put_setting(struct model *model, const char *name, const char *value)
{
    size_t i = 0;
    while (i < model->setting_count && strcmp(model->settings[i].name, name) < 0)
        i++;
    struct model_setting *setting = &model->settings[i];
    if (i == model->setting_count || strcmp(setting->name, name) != 0) {
        if (model->setting_count == MODEL_SETTINGS_MAX)
            abort();
        memmove(setting + 1, setting, (model->setting_count++ - i) * sizeof *setting);
    }
    snprintf(setting->name, sizeof setting->name, "%s", name);
    snprintf(setting->value, sizeof setting->value, "%s", value);
}

void model_put_alert(struct model *model, int64_t id, const char *text)
{
    size_t i = 0;
    while (i < model->alert_count && model->alerts[i].id < id)
        i++;
    struct model_row *alert = &model->alerts[i];
    bool is_known = i < model->alert_count && alert->id == id;
    if (is_known && text == NULL)
        memmove(alert, alert + 1, (--model->alert_count - i) * sizeof *alert);
    if (text == NULL)
        return;
    if (!is_known && model->alert_count == MODEL_ALERTS_MAX)
        abort();
    if (!is_known)
        memmove(alert + 1, alert, (model->alert_count++ - i) * sizeof *alert);
    *alert = (struct model_row){.id = id, .hash = hash_text(HASH_START, text)};
}

static void add_row(struct model_rows *rows, struct model_row row)
{
    if (rows->count == MODEL_ROWS_MAX)
        abort();
    rows->rows[rows->count++] = row;
}

static struct model_row snapshot_row(int64_t id, int64_t previous, int64_t token, int64_t at,
                                     double score)
{
    uint64_t hash = hash_number(hash_number(HASH_START, previous), token);
    return (struct model_row){id, at, hash_bytes(hash, &score, sizeof score)};
}

void model_put_snapshot(struct model *model, const struct store_snapshot *snapshot)
{
    add_row(&model->snapshots, snapshot_row(snapshot->id, snapshot->previous, snapshot->token,
                                            snapshot->at.us, snapshot->score));
}

static struct model_row event_row(int64_t token, int64_t at, const char *kind, const char *reason)
{
    uint64_t hash = hash_text(hash_text(hash_number(HASH_START, token), kind), reason);
    return (struct model_row){0, at, hash};
}

void model_put_event(struct model *model, const struct store_event *event)
{
    add_row(&model->events, event_row(event->token, event->at.us, event->kind, event->reason));
}

/* Of the first `most`, those that are old. */
static void delete_old(struct model_rows *rows, instant before, uint32_t most)
{
    size_t kept = 0;
    for (size_t i = 0; i < rows->count; i++)
        if (i >= most || rows->rows[i].at >= before.us)
            rows->rows[kept++] = rows->rows[i];
    rows->count = kept;
}

void model_delete_history(struct model *model, instant snapshots_before, instant events_before,
                          uint32_t most)
{
    delete_old(&model->snapshots, snapshots_before, most);
    delete_old(&model->events, events_before, most);
}

/* ---- reading a store ---- */

static bool take_token(void *context, const struct store_token *token)
{
    model_put_token(context, token);
    return true;
}

static bool take_setting(void *context, const char *name, const char *value)
{
    model_put_setting(context, name, value);
    return true;
}

static void take_alert(void *context, int64_t id, const char *text)
{
    model_put_alert(context, id, text);
}

static bool read_history(sqlite3 *db, struct model *out)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(
        db, "SELECT id,previous,token_id,at,score FROM snapshot ORDER BY id", -1, &statement, NULL);
    while (result == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
        add_row(&out->snapshots,
                snapshot_row(sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1),
                             sqlite3_column_int64(statement, 2), sqlite3_column_int64(statement, 3),
                             sqlite3_column_double(statement, 4)));
    if (sqlite3_finalize(statement) != SQLITE_OK || result != SQLITE_OK)
        return false;
    result = sqlite3_prepare_v2(db, "SELECT token_id,at,kind,reason FROM event ORDER BY id", -1,
                                &statement, NULL);
    while (result == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
        add_row(&out->events,
                event_row(sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1),
                          (const char *)sqlite3_column_text(statement, 2),
                          (const char *)sqlite3_column_text(statement, 3)));
    return sqlite3_finalize(statement) == SQLITE_OK && result == SQLITE_OK;
}

bool model_load(struct store *store, struct model *out, char why[512])
{
    struct store_load_report report;
    const struct store_loader loader = {
        .context = out, .on_token = take_token, .on_setting = take_setting, .on_alert = take_alert};
    *out = (struct model){0};
    enum err err = store_load(store, &loader, &report);
    out->generation = report.generation;
    if (err != OK) {
        snprintf(why, 512, "it can't be loaded: %s", store_message(store));
        return false;
    }
    if (report.rows_refused + report.holes + report.states_refused + report.times_clamped > 0) {
        snprintf(why, 512, "%u rows refused, %u holes, %u states refused, %u times clamped",
                 report.rows_refused, report.holes, report.states_refused, report.times_clamped);
        return false;
    }
    if (!read_history(sqlite_of(store)->db, out)) {
        snprintf(why, 512, "its history can't be read");
        return false;
    }
    return true;
}

/* ---- comparing ---- */

static bool rows_differ(const struct model_row *a, const struct model_row *b, size_t count)
{
    return memcmp(a, b, count * sizeof *a) != 0;
}

const char *model_difference(const struct model *a, const struct model *b)
{
    static char text[160];
    for (token_id id = 1; id < MODEL_TOKENS_MAX; id++) {
        const struct model_token *x = &a->tokens[id], *y = &b->tokens[id];
        if (memcmp(x, y, sizeof *x) == 0)
            continue;
        snprintf(text, sizeof text, "token %u%s: refresh %lld or %lld%s", id,
                 x->identity != y->identity ? " is there or not" : "", (long long)x->refreshes,
                 (long long)y->refreshes, x->pools != y->pools ? ", and its pools" : "");
        return text;
    }
    if (a->setting_count != b->setting_count ||
        memcmp(a->settings, b->settings, a->setting_count * sizeof *a->settings) != 0)
        return "settings";
    if (a->alert_count != b->alert_count || rows_differ(a->alerts, b->alerts, a->alert_count))
        return "alerts";
    if (a->snapshots.count != b->snapshots.count ||
        rows_differ(a->snapshots.rows, b->snapshots.rows, a->snapshots.count)) {
        snprintf(text, sizeof text, "snapshots: %zu or %zu", a->snapshots.count,
                 b->snapshots.count);
        return text;
    }
    if (a->events.count != b->events.count ||
        rows_differ(a->events.rows, b->events.rows, a->events.count)) {
        snprintf(text, sizeof text, "events: %zu or %zu", a->events.count, b->events.count);
        return text;
    }
    return NULL;
}
