/* One of several nodes: which leases a batch is written under, and what is left out of it. */
#include "base/heap.h"
#include "base/log.h"
#include "core/mint_slot.h"
#include "store/writer_impl.h"
#include <assert.h>

uint16_t writer_lease_of(const struct writer *writer, const struct holds *holds, token_id id)
{
    if (!holds->is_node || id == TOKEN_NONE || id > token_table_count(writer->table))
        return LEASE_NONE;
    struct address mint = token_mint_shared(writer->table, id);
    return mint_slot(&mint);
}

/* ---- the engine's side ---- */

/* What waits to be written about the lease's tokens may still be. */
static bool is_unbroken(uint64_t before, uint64_t after)
{
    return before == after || (before != 0 && after == before + 1);
}

/* Under the mutex. True when marks are to be dropped. */
static bool take_generations(struct holds *holds, const uint64_t generations[LEASE_COUNT],
                             bool is_broken[LEASE_COUNT + 1])
{
    bool has_broken = false;
    for (uint16_t lease = 0; lease < LEASE_COUNT; lease++) {
        is_broken[lease] = !is_unbroken(holds->generations[lease], generations[lease]);
        holds->terms[lease] += is_broken[lease];
        has_broken = has_broken || is_broken[lease];
    }
    memcpy(holds->generations, generations, sizeof holds->generations);
    return has_broken;
}

/* Those that are in a batch just now: batch_put_back() sees to them. */
static void drop_marks(struct writer *writer, const bool is_broken[LEASE_COUNT + 1])
{
    token_id end = token_table_count(writer->table) + 1, id;
    for (token_id from = 1; (id = dirty_set_next(writer->dirty, from, end)) != TOKEN_NONE;
         from = id + 1)
        if (is_broken[writer_lease_of(writer, &writer->holds, id)])
            dirty_set_clear(writer->dirty, id);
}

void writer_hold(struct writer *writer, const struct cluster_change *leases, uint32_t count)
{
    uint64_t generations[LEASE_COUNT] = {0};
    bool is_broken[LEASE_COUNT + 1] = {false};
    for (uint32_t i = 0; i < count; i++) {
        assert(leases[i].lease < LEASE_COUNT && leases[i].generation > 0);
        generations[leases[i].lease] = leases[i].generation;
    }
    uv_mutex_lock(&writer->mutex);
    writer->holds.is_node = true;
    bool has_broken = take_generations(&writer->holds, generations, is_broken);
    uv_mutex_unlock(&writer->mutex);
    if (has_broken)
        drop_marks(writer, is_broken);
}

void writer_flush(struct writer *writer, uint64_t tag)
{
    uv_mutex_lock(&writer->mutex);
    if (!fifo_push(&writer->flushes, &tag))
        heap_exhausted("a flush"); /* that somebody waits for */
    uv_cond_signal(&writer->wake);
    uv_mutex_unlock(&writer->mutex);
}

/* ---- the thread's ---- */

bool hold_is_node(struct writer *writer)
{
    uv_mutex_lock(&writer->mutex);
    bool is_node = writer->holds.is_node;
    uv_mutex_unlock(&writer->mutex);
    return is_node;
}

static void find_needs(const struct writer *writer, bool needs[LEASE_COUNT + 1])
{
    const struct batch *batch = &writer->batch;
    for (size_t i = 0; i < batch->token_count; i++)
        needs[batch->leases[i]] = true;
    for (size_t i = 0; i < batch->row_count; i++)
        needs[batch->rows[i].lease] = true;
    if (batch->addition_count > 0)
        needs[LEASE_SOURCE] = true;
}

/* What was queued when the lease may have been another's afterwards is not written either. */
static void leave_out_rows(struct batch *batch)
{
    for (size_t i = 0; i < batch->row_count; i++) {
        struct queued_row *row = &batch->rows[i];
        row->is_left_out =
            batch->is_lost[row->lease] ||
            (row->lease != LEASE_NONE && row->term != batch->holds.terms[row->lease]);
        batch->rows_left_out += row->is_left_out;
    }
}

/* Told once of each generation. */
static void note_lost(struct writer *writer, uint16_t lease, uint32_t *news)
{
    uint64_t generation = writer->batch.holds.generations[lease];
    writer->batch.is_lost[lease] = true;
    *news += generation != 0 && writer->told_lost[lease] != generation;
    writer->told_lost[lease] = generation;
}

enum err hold_leases(struct writer *writer)
{
    struct batch *batch = &writer->batch;
    struct cluster_change changes[LEASE_COUNT];
    bool needs[LEASE_COUNT + 1] = {false}, held[LEASE_COUNT];
    uint32_t count = 0, news = 0;
    memset(batch->is_lost, 0, sizeof batch->is_lost);
    batch->refreshes_left_out = batch->rows_left_out = 0;
    if (!batch->holds.is_node)
        return OK;
    find_needs(writer, needs);
    for (uint16_t lease = 0; lease < LEASE_COUNT; lease++) {
        if (needs[lease] && batch->holds.generations[lease] != 0)
            changes[count++] = (struct cluster_change){lease, batch->holds.generations[lease]};
        else
            batch->is_lost[lease] = true;
    }
    enum err err = count > 0 ? store_hold(writer->store, changes, count, held) : OK;
    for (uint32_t i = 0; err == OK && i < count; i++)
        if (!held[i])
            note_lost(writer, changes[i].lease, &news);
    if (news > 0)
        log_warning("store",
                    "another node has slots that this one wrote about; what is about them is left "
                    "out",
                    LOG_INT("slots", news));
    leave_out_rows(batch);
    return err;
}

bool hold_lets_in(struct writer *writer, uint16_t lease)
{
    bool lets_in = !writer->batch.is_lost[lease];
    writer->batch.refreshes_left_out += !lets_in;
    return lets_in;
}

void hold_notify(struct writer *writer)
{
    struct batch *batch = &writer->batch;
    bool has_source = !batch->is_lost[LEASE_SOURCE];
    writer->stats.refreshes_left_out += batch->refreshes_left_out;
    writer->stats.rows_left_out += batch->rows_left_out;
    writer->stats.additions_left_out += has_source ? 0 : batch->addition_count;
    for (size_t i = 0; i < batch->addition_count; i++)
        writer_notify(writer, has_source ? NOTICE_TOKEN : NOTICE_TOKEN_LEFT_OUT,
                      batch->additions[i].id, batch->additions[i].tag);
}
