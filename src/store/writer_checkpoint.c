/*
 * Token rows brought up to the log, in the order of their ids, spread over half of
 * store_checkpoint_sec: a row that changes just behind a pass is reached within the next one.
 */
#include "store/writer_impl.h"

/* A slice is a transaction. Of few tokens it takes fewer, or they would cost more than the rows. */
#define SLICES_A_PASS 64
#define ROWS_A_SLICE  512
#define PASS_END      UINT32_MAX

static duration pass_duration(const struct writer *writer)
{
    return duration_us(writer->checkpoint_interval.us / 2);
}

static bool has_work(const struct checkpoint *checkpoint)
{
    return checkpoint->is_running || checkpoint->is_dropping ||
           dirty_set_count(checkpoint->set) > 0;
}

bool checkpoint_is_done(const struct writer *writer)
{
    return !has_work(&writer->checkpoint);
}

instant checkpoint_due(const struct writer *writer)
{
    const struct checkpoint *checkpoint = &writer->checkpoint;
    if (writer->history_running.is_wanted || checkpoint->is_dropping)
        return INSTANT_NEVER;
    return has_work(checkpoint) ? checkpoint->slice_at : INSTANT_FAR;
}

static void start_pass(struct writer *writer, instant now)
{
    struct checkpoint *checkpoint = &writer->checkpoint;
    checkpoint->is_running = true;
    checkpoint->next = 1;
    checkpoint->began_at = now;
    store_start_pass(writer->store);
}

static void end_pass(struct writer *writer)
{
    struct checkpoint *checkpoint = &writer->checkpoint;
    checkpoint->is_running = false;
    checkpoint->is_dropping = true;
    uv_mutex_lock(&writer->mutex);
    writer->stats.checkpoint_began_at = checkpoint->began_at;
    uv_mutex_unlock(&writer->mutex);
}

static duration slice_duration(const struct writer *writer)
{
    int64_t slices = token_table_count(writer->table) / ROWS_A_SLICE + 1;
    if (slices > SLICES_A_PASS)
        slices = SLICES_A_PASS;
    duration slice = duration_us(pass_duration(writer).us / slices);
    return slice.us < writer->commit_interval.us ? writer->commit_interval : slice;
}

/* How far a pass should have come by now. */
static token_id pass_target(const struct writer *writer, instant now)
{
    const struct checkpoint *checkpoint = &writer->checkpoint;
    int64_t elapsed = instant_diff(now, checkpoint->began_at).us;
    int64_t whole = pass_duration(writer).us;
    if (elapsed >= whole)
        return PASS_END;
    int64_t count = token_table_count(writer->table);
    return 1 + (token_id)(count * ((double)elapsed / (double)whole));
}

static enum err write_rows(struct writer *writer, size_t count)
{
    enum err err = store_begin(writer->store, STORE_RELAXED);
    for (size_t i = 0; err == OK && i < count; i++)
        if (writer_read_token(writer, writer->checkpoint.ids[i]))
            err = writer_tolerate(writer, store_checkpoint_token(writer->store, &writer->row));
    return err == OK ? store_commit(writer->store) : err;
}

/* Sets *is_behind when the target was not reached. */
static enum err pass_slice(struct writer *writer, token_id target, bool *is_behind)
{
    struct checkpoint *checkpoint = &writer->checkpoint;
    token_id from = checkpoint->next;
    size_t count =
        dirty_set_take(checkpoint->set, &from, target, checkpoint->ids, CHECKPOINT_ROWS_MAX);
    enum err err = count > 0 ? write_rows(writer, count) : OK;
    if (err != OK) {
        for (size_t i = 0; i < count; i++)
            dirty_set_mark(checkpoint->set, checkpoint->ids[i]);
        return err;
    }
    checkpoint->next = from;
    *is_behind = from < target;
    uv_mutex_lock(&writer->mutex);
    writer->stats.rows += count;
    uv_mutex_unlock(&writer->mutex);
    return OK;
}

static enum err drop_log(struct writer *writer)
{
    enum err err = store_begin(writer->store, STORE_RELAXED);
    if (err == OK)
        err = store_end_pass(writer->store);
    if (err == OK)
        err = store_commit(writer->store);
    if (err == OK)
        writer->checkpoint.is_dropping = false;
    return err;
}

static enum err step_towards(struct writer *writer, token_id target, instant next_slice)
{
    struct checkpoint *checkpoint = &writer->checkpoint;
    bool is_behind = false;
    enum err err = pass_slice(writer, target, &is_behind);
    if (err != OK)
        return err;
    checkpoint->slice_at = is_behind ? INSTANT_NEVER : next_slice;
    if (!is_behind && target == PASS_END)
        end_pass(writer);
    return OK;
}

enum err checkpoint_step(struct writer *writer, instant now)
{
    struct checkpoint *checkpoint = &writer->checkpoint;
    if (checkpoint->is_dropping)
        return drop_log(writer);
    if (!has_work(checkpoint) || instant_before(now, checkpoint->slice_at))
        return OK;
    if (!checkpoint->is_running)
        start_pass(writer, now);
    return step_towards(writer, pass_target(writer, now), instant_add(now, slice_duration(writer)));
}

/* A whole pass at once, so that the next start has nothing to replay. Of one of several nodes the
 * log stays until its next pass: others may not have read its end yet. */
enum err checkpoint_all(struct writer *writer, instant deadline)
{
    enum err err = OK;
    struct checkpoint *checkpoint = &writer->checkpoint;
    bool is_kept = hold_is_node(writer);
    checkpoint->is_running = false; /* it may have gone by some of them already */
    while (err == OK && has_work(checkpoint) && instant_before(writer_now(writer), deadline)) {
        if (!checkpoint->is_dropping && !checkpoint->is_running)
            start_pass(writer, writer_now(writer));
        if (checkpoint->is_dropping && is_kept)
            break;
        err = checkpoint->is_dropping ? drop_log(writer)
                                      : step_towards(writer, PASS_END, INSTANT_NEVER);
    }
    return err;
}

enum err history_step(struct writer *writer)
{
    struct history *history = &writer->history_running;
    bool more = false;
    enum err err = store_begin(writer->store, STORE_RELAXED);
    if (err == OK)
        err = store_delete_history(writer->store, history->snapshots_before, history->events_before,
                                   HISTORY_ROWS_MAX, &more);
    if (err == OK)
        err = store_commit(writer->store);
    if (err == OK && !more)
        history_end(writer);
    return err;
}

void history_end(struct writer *writer)
{
    if (!writer->history_running.is_wanted)
        return;
    writer->history_running.is_wanted = false;
    uv_mutex_lock(&writer->mutex);
    writer_notify(writer, NOTICE_HISTORY, 0, writer->history_running.tag);
    uv_mutex_unlock(&writer->mutex);
}
