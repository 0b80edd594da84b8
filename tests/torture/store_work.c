/* An engine's work for the store. See the header. */
#include "store_work.h"

#include "store/writer_impl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_US      INT64_C(1710000000000000)
#define TOKENS_MAX    (MODEL_TOKENS_MAX - 8) /* the rest is for the next start */
#define ALERTS_MAX    (MODEL_ALERTS_MAX - 8)
#define SETTING_NAMES 5
#define HISTORY_KEPT  duration_s(12)
#define STOP_PATIENCE duration_s(3600) /* virtual: it stands still meanwhile */

static const char *const POOL_DEXES[] = {"pumpswap", "raydium", "orca"};

/* ---- what the writer says: each must be true of what is on the disk ---- */

static const struct model *durable(const struct work *work)
{
    const struct witness_notes *notes = work->witness.notes;
    for (size_t i = notes->count; i > 0; i--)
        if (notes->notes[i - 1].is_durable)
            return &notes->notes[i - 1].after;
    return NULL;
}

static void expect(struct work *work, bool is_so, const char *complaint)
{
    work->acknowledged++;
    if (!is_so)
        work->complaint = complaint;
}

static void on_token_durable(void *context, token_id id, uint64_t tag)
{
    struct work *work = context;
    (void)tag;
    expect(work, durable(work)->tokens[id].identity != 0, "a token was acknowledged too early");
}

static void on_setting_durable(void *context, uint64_t tag)
{
    struct work *work = context;
    bool is_there = false;
    const struct model *model = durable(work);
    for (size_t i = 0; i < model->setting_count; i++)
        is_there = is_there || strtoull(model->settings[i].value, NULL, 10) >= tag;
    expect(work, is_there, "a setting was acknowledged too early");
}

static void on_alert_durable(void *context, int64_t id)
{
    struct work *work = context;
    bool is_there = false;
    const struct model *model = durable(work);
    for (size_t i = 0; i < model->alert_count; i++)
        is_there = is_there || model->alerts[i].id == id;
    expect(work, is_there, "a message was acknowledged too early");
}

static void on_history_deleted(void *context, uint64_t tag)
{
    ((struct work *)context)->history_deleted = tag;
}

static instant now_of(void *context)
{
    return ((struct work *)context)->now;
}

/* ---- beginning and end ---- */

void work_init(struct work *work, uint64_t seed, const struct power_film *film,
               struct witness_notes *notes)
{
    *work = (struct work){.now = {START_US}};
    work->witness.film = film;
    work->witness.notes = notes;
    prng_seed(&work->prng, seed);
    options_init(&work->options);
    work->options.store_commit_sec = 0.2;
    work->options.store_checkpoint_sec = 4;
}

static bool restore_token(void *context, const struct store_token *row)
{
    struct work *work = context;
    struct token_table *table = work->memory.table;
    struct pool pools[POOLS_MAX];
    token_id id = token_table_add(table, &row->token.mint);
    for (uint8_t i = 0; i < row->token.pool_count; i++) {
        pools[i] = row->pools[i].pool;
        pools[i].dex = token_table_dex(table, row->pools[i].dex);
        pools[i].quote = token_table_quote(table, row->pools[i].quote);
    }
    struct token *draft = token_write_begin(table, id);
    memcpy(draft->name, row->token.name, sizeof draft->name);
    memcpy(draft->symbol, row->token.symbol, sizeof draft->symbol);
    draft->created_at = row->token.created_at;
    draft->status = row->token.status;
    draft->state = row->token.state;
    draft->flags = TOKEN_DURABLE;
    bool has_room = token_draft_set_pools(table, pools, row->token.pool_count);
    token_write_end(table, id);
    if (draft->state.low_score_us > work->refreshes)
        work->refreshes = draft->state.low_score_us;
    return has_room && id == row->id;
}

static bool take_setting(void *context, const char *name, const char *value)
{
    struct work *work = context;
    int64_t number = strtoll(value, NULL, 10);
    (void)name;
    if (number > work->next_setting)
        work->next_setting = number;
    return true;
}

static void take_alert(void *context, int64_t id, const char *text)
{
    struct work *work = context;
    (void)text;
    if (id > work->next_alert)
        work->next_alert = id;
}

bool work_start(struct work *work, const char *url, char why[512])
{
    const struct writer_callbacks callbacks = {.context = work,
                                               .on_token_durable = on_token_durable,
                                               .on_setting_durable = on_setting_durable,
                                               .on_alert_durable = on_alert_durable,
                                               .on_history_deleted = on_history_deleted,
                                               .now = now_of};
    const struct store_loader loader = {.context = work,
                                        .on_token = restore_token,
                                        .on_setting = take_setting,
                                        .on_alert = take_alert};
    struct store_load_report report;
    int error;
    struct store *store = witness_open(&work->witness, url, work->unawaited, why);
    if (store == NULL)
        return false;
    snprintf(why, 512, "no memory");
    if (!table_memory_init(&work->memory, MODEL_TOKENS_MAX, &error))
        return false;
    if (store_load(store, &loader, &report) != OK) {
        snprintf(why, 512, "%s", store_message(store));
        return false;
    }
    work->next_snapshot = report.last_snapshot_id;
    work->writer = writer_start_alone(store, work->memory.table, &work->options, &callbacks);
    return work->writer != NULL;
}

void work_stop(struct work *work)
{
    if (work->writer == NULL)
        return;
    if (writer_stop(work->writer, instant_add(work->now, STOP_PATIENCE)) != 0)
        work->complaint = "a stop left something unwritten";
    work->writer = NULL;
    table_memory_finish(&work->memory);
}

/* ---- at work ---- */

static bool happens(struct work *work, double probability)
{
    return prng_unit(&work->prng) < probability;
}

static void add_token(struct work *work)
{
    struct token_table *table = work->memory.table;
    struct address mint;
    if (token_table_count(table) >= TOKENS_MAX)
        return;
    for (int i = 0; i < 4; i++) {
        uint64_t word = prng_next(&work->prng);
        memcpy(&mint.bytes[i * 8], &word, 8);
    }
    token_id id = token_table_add(table, &mint);
    struct token *draft = token_write_begin(table, id);
    snprintf(draft->name, sizeof draft->name, "Token %u", id);
    draft->created_at = work->now;
    token_write_end(table, id);
    writer_add_token(work->writer, id, id);
}

static void change_pools(struct work *work, struct token *draft)
{
    struct token_table *table = work->memory.table;
    struct pool pools[6] = {0};
    size_t count = prng_below(&work->prng, 7);
    for (size_t i = 0; i < count; i++) {
        uint64_t word = prng_next(&work->prng);
        memcpy(pools[i].address.bytes, &word, 8);
        pools[i].liquidity_usd = 100;
        pools[i].flags = POOL_COUNTS;
        pools[i].dex = token_table_dex(table, POOL_DEXES[prng_below(&work->prng, 3)]);
        pools[i].quote = token_table_quote(table, "SOL");
    }
    if (token_draft_set_pools(table, pools, count))
        draft->flags |= TOKEN_POOLS_CHANGED;
}

static void refresh(struct work *work, token_id id)
{
    struct token_table *table = work->memory.table;
    bool has_snapshot = happens(work, 0.5);
    int64_t previous = token_slot(table, id)->state.snapshot_id;
    struct token *draft = token_write_begin(table, id);
    struct token_state *state = &draft->state;
    state->checked_at = state->fetched_at = work->now;
    state->low_score_us = ++work->refreshes;
    state->answers++;
    state->score = (double)work->refreshes / 8;
    if (has_snapshot) {
        state->snapshot_id = ++work->next_snapshot;
        state->scored_at = work->now;
    }
    if (happens(work, 0.2))
        change_pools(work, draft);
    token_write_end(table, id);
    writer_mark_dirty(work->writer, id);
    if (has_snapshot)
        writer_take_snapshot(work->writer, id, work->next_snapshot, previous);
}

static void put_setting(struct work *work)
{
    char name[32], value[32];
    snprintf(name, sizeof name, "setting_%d", (int)prng_below(&work->prng, SETTING_NAMES));
    snprintf(value, sizeof value, "%lld", (long long)++work->next_setting);
    writer_put_setting(work->writer, name, value, (uint64_t)work->next_setting);
}

static void change_alerts(struct work *work)
{
    const struct model *model = &work->witness.now;
    char text[64];
    if (model->alert_count > 0 && (model->alert_count >= ALERTS_MAX / 2 || happens(work, 0.5))) {
        size_t which = prng_below(&work->prng, model->alert_count);
        writer_put_alert(work->writer, model->alerts[which].id, NULL);
        return;
    }
    snprintf(text, sizeof text, "{\"message\": %lld}", (long long)++work->next_alert);
    writer_put_alert(work->writer, work->next_alert, text);
}

static void add_event(struct work *work)
{
    struct store_event event = {.token = 1, .at = work->now, .kind = "activated"};
    snprintf(event.reason, sizeof event.reason, "reason %lld", (long long)work->refreshes);
    writer_add_event(work->writer, &event);
}

void work_step(struct work *work)
{
    work->now.us += 20000 + (int64_t)prng_below(&work->prng, 380000);
    if (happens(work, 0.3) || token_table_count(work->memory.table) == 0)
        add_token(work);
    for (uint64_t i = prng_below(&work->prng, 5); i > 0; i--)
        refresh(work, 1 + (token_id)prng_below(&work->prng, token_table_count(work->memory.table)));
    if (happens(work, 0.2))
        add_event(work);
    if (happens(work, 0.1))
        put_setting(work);
    if (happens(work, 0.12))
        change_alerts(work);
    if (happens(work, 0.04)) {
        instant before = instant_add(work->now, duration_us(-HISTORY_KEPT.us));
        writer_delete_history(work->writer, before, before, (uint64_t)work->now.us);
    }
    if (writer_due(work->writer).us <= work->now.us)
        writer_turn(work->writer);
}
