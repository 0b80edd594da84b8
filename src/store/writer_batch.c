/* One group commit: what is taken, in which order it is written, what is told after it. */
#include "base/log.h"
#include "store/writer_impl.h"
#include <stdlib.h>

/* A publication takes under a microsecond, but its thread can be off the processor in the middle.
 */
#define READ_PATIENCE_MS 20

#define PREFETCH_AHEAD 2 /* as many lines as a core waits for at once */

static bool read_patiently(struct writer *writer, token_id id)
{
    for (int i = 0; i < READ_PATIENCE_MS; i++) {
        if (token_read_publication(writer->table, id, &writer->row.token, writer->row_pools,
                                   &writer->publication))
            return true;
        uv_sleep(1);
    }
    return false;
}

bool writer_read_token(struct writer *writer, token_id id)
{
    struct store_token *row = &writer->row;
    if (!token_read_publication(writer->table, id, &row->token, writer->row_pools,
                                &writer->publication) &&
        !read_patiently(writer, id))
        return false;
    row->id = id;
    strncpy(row->primary_dex,
            token_table_dex_name(writer->table, row->token.state.metrics.primary_dex),
            sizeof row->primary_dex - 1);
    for (uint8_t i = 0; i < row->token.pool_count; i++) {
        const struct pool *pool = &writer->row_pools[i];
        row->pools[i].pool = *pool;
        strncpy(row->pools[i].dex, token_table_dex_name(writer->table, pool->dex),
                sizeof row->pools[i].dex - 1);
        strncpy(row->pools[i].quote, token_table_quote_name(writer->table, pool->quote),
                sizeof row->pools[i].quote - 1);
    }
    return true;
}

/* Of what a pool is, not of what is in it: liquidity changes with every refresh. Never 0. */
uint32_t writer_hash_pools(const struct store_token *row)
{
    uint64_t hash = row->token.pool_count + UINT64_C(0x9e3779b97f4a7c15);
    for (uint8_t i = 0; i < row->token.pool_count; i++) {
        const struct pool *pool = &row->pools[i].pool;
        uint64_t words[5] = {0};
        memcpy(words, pool->address.bytes, sizeof pool->address.bytes);
        words[4] = (uint64_t)pool->dex << 16 | (uint64_t)pool->quote << 8 |
                   (pool->flags & (unsigned)~POOL_MISSING);
        for (size_t w = 0; w < 5; w++)
            hash = (hash ^ words[w]) * UINT64_C(0xff51afd7ed558ccd) ^ hash >> 29;
    }
    return (uint32_t)(hash >> 32) | 1;
}

enum err writer_tolerate(struct writer *writer, enum err err)
{
    if (err != ERR_INVALID)
        return err;
    log_error("store", "a row was refused and left out",
              LOG_STRING("why", store_message(writer->store)));
    return OK;
}

/* ---- taking ---- */

static void fill_array(struct fifo *fifo, void *array, size_t *count, size_t most)
{
    unsigned char *items = array;
    while (*count < most && fifo_pop(fifo, items + *count * fifo->item_size))
        (*count)++;
}

void batch_fill(struct writer *writer)
{
    struct batch *batch = &writer->batch;
    uv_mutex_lock(&writer->mutex);
    /* Before the marks are taken: a mark made from now on starts a new wait. */
    atomic_store(&writer->is_marked, false);
    writer->waiting_since = INSTANT_NEVER;
    batch->holds = writer->holds;
    writer->flushing = writer->flushes.count;
    fill_array(&writer->additions, batch->additions, &batch->addition_count, BATCH_ADDITIONS_MAX);
    fill_array(&writer->settings, batch->settings, &batch->setting_count, BATCH_SETTINGS_MAX);
    fill_array(&writer->alerts, batch->alerts, &batch->alert_count, BATCH_ALERTS_MAX);
    fill_array(&writer->rows, batch->rows, &batch->row_count, BATCH_ROWS_MAX);
    /* A token whose own row waits must not get into the log before it. */
    const struct addition *waiting = fifo_front(&writer->additions);
    token_id end = waiting != NULL ? waiting->id : writer->known_end;
    batch->is_full = waiting != NULL || writer->settings.count > 0 || writer->alerts.count > 0 ||
                     writer->rows.count > 0;
    uv_mutex_unlock(&writer->mutex);
    token_id from = 1;
    batch->token_count = dirty_set_take(writer->dirty, &from, end, batch->tokens, BATCH_TOKENS_MAX);
    batch->is_full = batch->is_full || batch->token_count == BATCH_TOKENS_MAX;
    for (size_t i = 0; i < batch->token_count; i++)
        batch->leases[i] = writer_lease_of(writer, &batch->holds, batch->tokens[i]);
}

bool batch_is_empty(const struct writer *writer)
{
    const struct batch *batch = &writer->batch;
    return batch->addition_count + batch->setting_count + batch->alert_count + batch->row_count +
               batch->token_count ==
           0;
}

void batch_put_back(struct writer *writer)
{
    struct batch *batch = &writer->batch;
    uv_mutex_lock(&writer->mutex);
    for (size_t i = 0; i < batch->token_count; i++) {
        uint16_t lease = batch->leases[i]; /* of which the marks were dropped meanwhile? */
        if (lease == LEASE_NONE || batch->holds.terms[lease] == writer->holds.terms[lease])
            dirty_set_mark(writer->dirty, batch->tokens[i]);
    }
    uv_mutex_unlock(&writer->mutex);
    batch->token_count = 0;
}

void batch_end_flushes(struct writer *writer)
{
    uint64_t tag;
    if (writer->batch.is_full)
        return;
    uv_mutex_lock(&writer->mutex);
    for (; writer->flushing > 0 && fifo_pop(&writer->flushes, &tag); writer->flushing--)
        writer_notify(writer, NOTICE_FLUSHED, 0, tag);
    uv_mutex_unlock(&writer->mutex);
}

/* ---- writing ---- */

static enum err write_additions(struct writer *writer)
{
    struct batch *batch = &writer->batch;
    enum err err = OK;
    if (batch->is_lost[LEASE_SOURCE])
        return OK;
    for (size_t i = 0; err == OK && i < batch->addition_count; i++) {
        if (writer_read_token(writer, batch->additions[i].id)) {
            err = writer_tolerate(writer, store_put_token(writer->store, &writer->row));
            batch->rows_written++;
        } else {
            log_error("store", "a new token is not in the table; its row was left out",
                      LOG_INT("token", batch->additions[i].id));
        }
    }
    return err;
}

static enum err write_settings(struct writer *writer)
{
    struct batch *batch = &writer->batch;
    enum err err = OK;
    for (size_t i = 0; err == OK && i < batch->setting_count; i++, batch->rows_written++)
        err = writer_tolerate(writer, store_put_setting(writer->store, batch->settings[i].name,
                                                        batch->settings[i].value));
    return err;
}

static enum err write_alerts(struct writer *writer)
{
    struct batch *batch = &writer->batch;
    enum err err = OK;
    for (size_t i = 0; err == OK && i < batch->alert_count; i++, batch->rows_written++)
        err = writer_tolerate(
            writer, store_put_alert(writer->store, batch->alerts[i].id, batch->alerts[i].text));
    return err;
}

static enum err write_token(struct writer *writer, size_t n)
{
    struct batch *batch = &writer->batch;
    batch->publications[n] = batch->pool_hashes[n] = 0;
    if (!hold_lets_in(writer, batch->leases[n]))
        return OK;
    if (!writer_read_token(writer, batch->tokens[n]))
        return OK; /* marked, and a hole: nothing to write */
    batch->publications[n] = writer->publication;
    enum err err = writer_tolerate(writer, store_append_refresh(writer->store, &writer->row));
    batch->rows_written++;
    if (err != OK || !(writer->row.token.flags & TOKEN_POOLS_CHANGED))
        return err;
    uint32_t hash = writer_hash_pools(&writer->row);
    if (hash == token_stored_pools(writer->table, batch->tokens[n]))
        return OK;
    batch->pool_hashes[n] = hash;
    /* Until the commit is known: after a death in between, the store has either list. */
    token_mark_stored_pools(writer->table, batch->tokens[n], 0);
    batch->rows_written += writer->row.token.pool_count;
    return writer_tolerate(writer, store_put_pools(writer->store, &writer->row));
}

static enum err write_row(struct writer *writer, const struct queued_row *row)
{
    if (row->is_left_out)
        return OK;
    if (row->kind == ROW_EVENT)
        return store_put_event(writer->store, &row->event);
    writer->batch.newest_snapshot = row->snapshot.id;
    return store_put_snapshot(writer->store, &row->snapshot);
}

static enum err write_all(struct writer *writer)
{
    struct batch *batch = &writer->batch;
    enum err err = hold_leases(writer);
    if (err == OK)
        err = write_additions(writer);
    if (err == OK)
        err = write_settings(writer);
    if (err == OK)
        err = write_alerts(writer);
    for (size_t i = 0; err == OK && i < batch->token_count; i++) {
        if (i + PREFETCH_AHEAD < batch->token_count)
            token_prefetch(writer->table, batch->tokens[i + PREFETCH_AHEAD]);
        err = write_token(writer, i);
    }
    for (size_t i = 0; err == OK && i < batch->row_count; i++, batch->rows_written++)
        err = writer_tolerate(writer, write_row(writer, &batch->rows[i]));
    return err;
}

/* ---- afterwards ---- */

static void notice_commit(struct writer *writer, duration took)
{
    struct batch *batch = &writer->batch;
    struct writer_stats *stats = &writer->stats;
    int64_t size = store_size_bytes(writer->store);
    uv_mutex_lock(&writer->mutex);
    stats->commits++;
    stats->rows += batch->rows_written;
    stats->commit_seconds_last = duration_to_s(took);
    stats->commit_seconds_total += stats->commit_seconds_last;
    histogram_add(&stats->commits_by_duration, SCALE_DURATIONS, took);
    if (stats->commit_seconds_last > stats->commit_seconds_max)
        stats->commit_seconds_max = stats->commit_seconds_last;
    stats->last_commit_at = writer_now(writer);
    stats->size_bytes = size;
    hold_notify(writer);
    for (size_t i = 0; i < batch->setting_count; i++)
        writer_notify(writer, NOTICE_SETTING, 0, batch->settings[i].tag);
    for (size_t i = 0; i < batch->alert_count; i++)
        if (batch->alerts[i].text != NULL)
            writer_notify(writer, NOTICE_ALERT, batch->alerts[i].id, 0);
    uv_mutex_unlock(&writer->mutex);
    const struct writer_callbacks *callbacks = &writer->callbacks;
    if (batch->newest_snapshot != 0 && callbacks->on_snapshot_durable != NULL)
        callbacks->on_snapshot_durable(callbacks->context, batch->newest_snapshot);
}

static void mark_stored(struct writer *writer)
{
    struct batch *batch = &writer->batch;
    for (size_t i = 0; i < batch->token_count; i++) {
        if (batch->publications[i] != 0)
            token_mark_stored(writer->table, batch->tokens[i], batch->publications[i]);
        if (batch->pool_hashes[i] != 0)
            token_mark_stored_pools(writer->table, batch->tokens[i], batch->pool_hashes[i]);
    }
    for (size_t i = 0; i < batch->row_count; i++) {
        const struct store_snapshot *snapshot = &batch->rows[i].snapshot;
        if (batch->rows[i].kind == ROW_SNAPSHOT && !batch->rows[i].is_left_out &&
            snapshot->token != TOKEN_NONE && snapshot->token <= token_table_count(writer->table))
            token_mark_stored_snapshot(writer->table, snapshot->token, snapshot->id);
    }
}

static void empty_batch(struct writer *writer)
{
    struct batch *batch = &writer->batch;
    mark_stored(writer);
    for (size_t i = 0; i < batch->token_count; i++)
        if (batch->publications[i] != 0)
            dirty_set_mark(writer->checkpoint.set, batch->tokens[i]);
    for (size_t i = 0; i < batch->setting_count; i++) {
        free(batch->settings[i].name);
        free(batch->settings[i].value);
    }
    for (size_t i = 0; i < batch->alert_count; i++)
        free(batch->alerts[i].text);
    uv_mutex_lock(&writer->mutex);
    batch->addition_count = batch->setting_count = batch->alert_count = batch->row_count = 0;
    uv_mutex_unlock(&writer->mutex);
    batch->token_count = 0;
}

enum err batch_write(struct writer *writer)
{
    struct batch *batch = &writer->batch;
    bool is_acknowledged = batch->addition_count + batch->setting_count + batch->alert_count > 0;
    instant began = writer_now(writer);
    batch->rows_written = 0;
    batch->newest_snapshot = 0;
    enum err err = store_begin(writer->store, is_acknowledged ? STORE_DURABLE : STORE_RELAXED);
    if (err == OK)
        err = write_all(writer);
    if (err == OK)
        err = store_commit(writer->store);
    if (err != OK)
        return err;
    notice_commit(writer, instant_diff(writer_now(writer), began));
    empty_batch(writer);
    return OK;
}

/* One of several nodes puts no token in the place of what another has written since. */
static enum err rewrite_token(struct writer *writer, token_id id, bool is_node)
{
    if (!token_read(writer->table, id, &writer->row.token, NULL) || !writer_read_token(writer, id))
        return OK;
    return writer_tolerate(writer, is_node ? store_checkpoint_token(writer->store, &writer->row)
                                           : store_put_token(writer->store, &writer->row));
}

enum err rewrite_slice(struct writer *writer)
{
    struct rewrite *rewrite = &writer->rewrite;
    token_id next = rewrite->next;
    bool is_node = hold_is_node(writer);
    enum err err = store_begin(writer->store, STORE_DURABLE);
    for (int n = 0; err == OK && n < REWRITE_ROWS_MAX && next < rewrite->end; n++, next++)
        err = rewrite_token(writer, next, is_node);
    if (err == OK)
        err = store_commit(writer->store);
    if (err != OK)
        return err;
    for (token_id id = rewrite->next; id < next; id++) {
        /* The marks were about another file; pools are written again when they change, whatever to.
         */
        token_mark_stored_pools(writer->table, id, 0);
        /* What the server lost of the log the other nodes may not have seen: it is there again. */
        if (is_node)
            dirty_set_mark(writer->dirty, id);
    }
    rewrite->next = next;
    rewrite->is_running = next < rewrite->end;
    if (!rewrite->is_running)
        writer_note_store(writer, 0);
    return OK;
}
