/* The engine's side, the thread's loop, and what a failure does. */
#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "store/writer_impl.h"
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define DISK_EVERY duration_s(1)

/* A condition waits at most this long, so that a clock that was set is noticed. */
#define WAIT_MAX_MS 1000

/* While failing, a line in the log at each doubling and then one in so many tries (a minute). */
#define LOG_EVERY_FAILURES 12

instant writer_now(const struct writer *writer)
{
    const struct writer_callbacks *callbacks = &writer->callbacks;
    return callbacks->now == NULL ? clock_now() : callbacks->now(callbacks->context);
}

/* ---- telling the engine ---- */

/* Under the mutex. */
void writer_notify(struct writer *writer, enum notice_kind kind, int64_t id, uint64_t tag)
{
    struct notice notice = {kind, id, tag};
    if (!fifo_push(&writer->notices, &notice))
        heap_exhausted("an acknowledgement"); /* it can't be made up for */
    if (writer->has_loop)
        uv_async_send(&writer->async);
}

static void deliver(struct writer *writer, const struct notice *notice)
{
    const struct writer_callbacks *callbacks = &writer->callbacks;
    struct writer_stats stats;
    switch (notice->kind) {
    case NOTICE_TOKEN:
        if (callbacks->on_token_durable != NULL)
            callbacks->on_token_durable(callbacks->context, (token_id)notice->id, notice->tag);
        break;
    case NOTICE_TOKEN_LEFT_OUT:
        if (callbacks->on_token_left_out != NULL)
            callbacks->on_token_left_out(callbacks->context, (token_id)notice->id, notice->tag);
        break;
    case NOTICE_FLUSHED:
        if (callbacks->on_flushed != NULL)
            callbacks->on_flushed(callbacks->context, notice->tag);
        break;
    case NOTICE_SETTING:
        if (callbacks->on_setting_durable != NULL)
            callbacks->on_setting_durable(callbacks->context, notice->tag);
        break;
    case NOTICE_HISTORY:
        if (callbacks->on_history_deleted != NULL)
            callbacks->on_history_deleted(callbacks->context, notice->tag);
        break;
    case NOTICE_ALERT:
        if (callbacks->on_alert_durable != NULL)
            callbacks->on_alert_durable(callbacks->context, notice->id);
        break;
    case NOTICE_NEW_FILE:
        if (callbacks->on_new_file != NULL)
            callbacks->on_new_file(callbacks->context);
        break;
    case NOTICE_STATE:
        writer_stats(writer, &stats);
        if (callbacks->on_state != NULL)
            callbacks->on_state(callbacks->context, &stats);
        break;
    }
}

static void deliver_notices(struct writer *writer)
{
    struct notice notice;
    uv_mutex_lock(&writer->mutex);
    struct fifo notices = writer->notices;
    fifo_init(&writer->notices, sizeof notice);
    uv_mutex_unlock(&writer->mutex);
    while (fifo_pop(&notices, &notice))
        deliver(writer, &notice);
    fifo_finish(&notices);
}

static void on_async(uv_async_t *async)
{
    deliver_notices(async->data);
}

/* ---- failing and recovering ---- */

static duration backoff(unsigned failures)
{
    int64_t ms = BACKOFF_MIN_MS;
    for (unsigned i = 1; i < failures && ms < BACKOFF_MAX_MS; i++)
        ms *= 2;
    return duration_ms(ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS);
}

static void log_failure(const struct writer *writer, const char *message, duration wait)
{
    char line[700];
    unsigned n = writer->failures_in_a_row;
    if (wait.us == BACKOFF_MAX_MS * INT64_C(1000) && n % LOG_EVERY_FAILURES != 0)
        return;
    snprintf(line, sizeof line,
             "%s; nothing is lost, all is kept in memory; retrying in %.1f s (try %u)", message,
             duration_to_s(wait), n + 1);
    log_warning("store", line);
}

static bool wants_reopen(const struct writer *writer, enum err err)
{
    return err == ERR_NOT_FOUND || err == ERR_CORRUPT || err == ERR_UNAVAILABLE ||
           (err == ERR_IO && writer->failures_in_a_row >= REOPEN_AFTER);
}

static void on_failure(struct writer *writer, enum err err)
{
    const char *message = store_message(writer->store);
    duration wait = backoff(++writer->failures_in_a_row);
    log_failure(writer, message, wait);
    writer->retry_at = instant_add(writer_now(writer), wait);
    writer->is_reopen_wanted = writer->is_reopen_wanted || wants_reopen(writer, err);
    uv_mutex_lock(&writer->mutex);
    struct writer_stats *stats = &writer->stats;
    stats->failures++;
    bool is_news = stats->state != WRITER_RETRYING || strcmp(stats->message, message) != 0;
    stats->state = WRITER_RETRYING;
    snprintf(stats->message, sizeof stats->message, "%s", message);
    if (is_news)
        writer_notify(writer, NOTICE_STATE, 0, 0);
    uv_mutex_unlock(&writer->mutex);
    store_rollback(writer->store);
    batch_put_back(writer);
    history_end(writer);
}

static void on_success(struct writer *writer)
{
    writer->retry_at = INSTANT_NEVER;
    if (writer->failures_in_a_row == 0)
        return;
    log_info("store", "writing again", LOG_INT("failures", writer->failures_in_a_row));
    writer->failures_in_a_row = 0;
    uv_mutex_lock(&writer->mutex);
    writer->stats.state = WRITER_OK;
    writer->stats.message[0] = '\0';
    writer_notify(writer, NOTICE_STATE, 0, 0);
    uv_mutex_unlock(&writer->mutex);
}

void writer_note_store(struct writer *writer, uint64_t is_behind)
{
    struct table_store note;
    store_identify(writer->store, &note);
    note.is_behind = is_behind;
    token_table_set_store(writer->table, &note);
}

/* The new file holds nothing: the token table does. */
static void start_rewrite(struct writer *writer)
{
    uv_mutex_lock(&writer->mutex);
    token_id end = writer->known_end;
    writer_notify(writer, NOTICE_NEW_FILE, 0, 0);
    uv_mutex_unlock(&writer->mutex);
    writer->rewrite = (struct rewrite){.is_running = end > 1, .next = 1, .end = end};
    writer->checkpoint.is_running = writer->checkpoint.is_dropping = false;
    writer_note_store(writer, writer->rewrite.is_running);
}

static enum err reopen(struct writer *writer)
{
    enum store_file file = STORE_SAME_FILE;
    enum err err = store_reopen(writer->store, &file);
    if (err != OK)
        return err;
    writer->is_reopen_wanted = false;
    log_warning("store", store_message(writer->store));
    if (file == STORE_NEW_FILE)
        start_rewrite(writer);
    return OK;
}

/* ---- the thread ---- */

static enum err write_batch(struct writer *writer)
{
    batch_fill(writer);
    writer->is_idle = batch_is_empty(writer);
    enum err err = writer->is_idle ? OK : batch_write(writer);
    if (err == OK)
        batch_end_flushes(writer);
    return err;
}

/* One transaction of each kind of work that is due. */
static enum err turn(struct writer *writer)
{
    enum err err = writer->is_reopen_wanted ? reopen(writer) : OK;
    if (err == OK && writer->rewrite.is_running) {
        err = rewrite_slice(writer);
        if (writer->rewrite.is_running)
            return err;
    }
    /* At once after the last slice: what a failed commit put back has nobody else to ask for it. */
    if (err == OK)
        err = write_batch(writer);
    if (err == OK)
        err = checkpoint_step(writer, writer_now(writer));
    if (err == OK && writer->history_running.is_wanted)
        err = history_step(writer);
    return err;
}

static bool is_hurried(const struct writer *writer)
{
    return writer->additions.count + writer->settings.count + writer->alerts.count +
                   writer->flushes.count >
               0 ||
           writer->batch.is_full || writer->rewrite.is_running;
}

/* Under the mutex. */
static instant next_turn(const struct writer *writer)
{
    if (!instant_is_never(writer->retry_at))
        return writer->retry_at;
    if (is_hurried(writer))
        return INSTANT_NEVER;
    instant due = checkpoint_due(writer);
    if (!instant_is_never(writer->waiting_since))
        due = instant_min(due, instant_add(writer->waiting_since, writer->commit_interval));
    return due;
}

/* Under the mutex. */
static void take_requests(struct writer *writer)
{
    if (writer->history.is_wanted)
        writer->history_running = writer->history;
    writer->history.is_wanted = false;
}

/* Under the mutex. Also when stopping: without it the store lacks what the table says it has. */
static void take_rewrite(struct writer *writer)
{
    if (writer->is_rewrite_wanted)
        writer->rewrite = (struct rewrite){.is_running = true, .next = 1, .end = writer->known_end};
    writer->is_rewrite_wanted = false;
}

static void beat(const struct writer *writer)
{
    if (writer->callbacks.on_beat != NULL)
        writer->callbacks.on_beat(writer->callbacks.context);
}

/* Under the mutex. False when it is time for a turn. */
static bool wait_a_moment(struct writer *writer)
{
    const int64_t most_us = WAIT_MAX_MS * INT64_C(1000);
    int64_t wait_us = instant_diff(next_turn(writer), writer_now(writer)).us;
    if (wait_us <= 0)
        return false;
    uv_cond_timedwait(&writer->wake, &writer->mutex,
                      (uint64_t)(wait_us < most_us ? wait_us : most_us) * 1000);
    return true;
}

/* Here, since this is the thread that may wait for a disk. */
static void look_at_disk(struct writer *writer)
{
    struct store_disk disk;
    instant now = clock_now();
    if (instant_diff(now, writer->disk_seen_at).us < DISK_EVERY.us)
        return;
    bool is_known = store_disk(writer->store, &disk);
    writer->disk_seen_at = now;
    uv_mutex_lock(&writer->mutex);
    writer->stats.is_disk_known = is_known;
    if (is_known)
        writer->stats.disk = disk;
    uv_mutex_unlock(&writer->mutex);
}

/* True when it is time for a turn, false when the writer is to stop. Beats outside of the mutex:
 * what hangs there must hang nobody else. */
static bool wait_for_work(struct writer *writer)
{
    bool is_stopping, is_waiting;
    do {
        beat(writer);
        look_at_disk(writer);
        uv_mutex_lock(&writer->mutex);
        is_stopping = writer->is_stopping;
        if (!is_stopping)
            take_requests(writer);
        take_rewrite(writer);
        is_waiting = !is_stopping && wait_a_moment(writer);
        uv_mutex_unlock(&writer->mutex);
    } while (is_waiting);
    return !is_stopping;
}

static void settle(struct writer *writer, enum err err)
{
    if (err == OK)
        on_success(writer);
    else
        on_failure(writer, err);
}

static void pause_until(instant t, instant deadline)
{
    int64_t ms = duration_to_ms(instant_diff(instant_min(t, deadline), clock_now())) + 1;
    if (ms > 0)
        uv_sleep((unsigned)ms);
}

/* Without a thread nobody's time passes while we try. */
static bool may_go_on(const struct writer *writer, enum err err)
{
    return writer->has_loop ? instant_before(clock_now(), writer->stop_deadline) : err == OK;
}

/* A file that was lost since the last commit is not left so, though there be nothing to write. One
 * that is locked is no reason to wait for it. */
static enum err look_at_file(struct writer *writer)
{
    enum err err = store_begin(writer->store, STORE_RELAXED);
    store_rollback(writer->store);
    return err == ERR_FENCED || wants_reopen(writer, err) ? err : OK;
}

/* Half of what is left of the time goes to a last checkpoint. */
static void drain(struct writer *writer)
{
    instant deadline = writer->stop_deadline;
    writer->retry_at = INSTANT_NEVER;
    writer->failures_in_a_row = 0;
    writer->is_idle = false;
    enum err err = writer->has_loop ? look_at_file(writer) : OK;
    while (true) {
        settle(writer, err);
        /* Fenced: what we know, the newer engine knows better, and no waiting changes that. */
        if (err == ERR_FENCED || !may_go_on(writer, err))
            return;
        if (writer->is_idle)
            break;
        if (!instant_is_never(writer->retry_at))
            pause_until(writer->retry_at, deadline);
        beat(writer);
        err = turn(writer);
    }
    instant now = writer_now(writer);
    instant half = instant_add(now, duration_us(instant_diff(deadline, now).us / 2));
    if (!checkpoint_is_done(writer) && checkpoint_all(writer, half) != OK)
        store_rollback(writer->store); /* the log has it all: only the next start is slower */
}

/* Damage may have made ids that no token has. */
static void mark_replayed(struct writer *writer)
{
    token_id id, end = token_table_count(writer->table) + 1;
    while ((id = store_next_replayed(writer->store)) != TOKEN_NONE)
        if (id < end)
            dirty_set_mark(writer->checkpoint.set, id);
}

static void end(struct writer *writer)
{
    drain(writer);
    store_close(writer->store);
    writer->store = NULL;
}

static void run(void *argument)
{
    struct writer *writer = argument;
    pthread_setname_np(pthread_self(), "store"); /* as top(1) and perf(1) show it */
    mark_replayed(writer);
    while (wait_for_work(writer))
        settle(writer, turn(writer));
    end(writer);
}

/* ---- beginning and end ---- */

static struct writer *allocate(void)
{
    struct writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return NULL;
    writer->dirty = dirty_set_create();
    writer->checkpoint.set = dirty_set_create();
    if (writer->dirty != NULL && writer->checkpoint.set != NULL)
        return writer;
    dirty_set_destroy(writer->dirty);
    dirty_set_destroy(writer->checkpoint.set);
    free(writer);
    return NULL;
}

static void release(struct writer *writer)
{
    struct setting_change change;
    while (fifo_pop(&writer->settings, &change)) {
        free(change.name);
        free(change.value);
    }
    for (size_t i = 0; i < writer->batch.setting_count; i++) {
        free(writer->batch.settings[i].name);
        free(writer->batch.settings[i].value);
    }
    struct alert_change alert;
    while (fifo_pop(&writer->alerts, &alert))
        free(alert.text);
    for (size_t i = 0; i < writer->batch.alert_count; i++)
        free(writer->batch.alerts[i].text);
    fifo_finish(&writer->additions);
    fifo_finish(&writer->settings);
    fifo_finish(&writer->alerts);
    fifo_finish(&writer->rows);
    fifo_finish(&writer->notices);
    fifo_finish(&writer->flushes);
    dirty_set_destroy(writer->dirty);
    dirty_set_destroy(writer->checkpoint.set);
    uv_cond_destroy(&writer->wake);
    uv_mutex_destroy(&writer->mutex);
    free(writer);
}

static void on_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static struct writer *create(struct store *store, struct token_table *table,
                             const struct options *options,
                             const struct writer_callbacks *callbacks)
{
    struct writer *writer = allocate();
    if (writer == NULL)
        return NULL;
    writer->store = store;
    writer->table = table;
    writer->callbacks = *callbacks;
    writer->commit_interval = duration_s(options->store_commit_sec);
    writer->checkpoint_interval = duration_s(options->store_checkpoint_sec);
    writer->queue_limit = (size_t)options->store_queue_limit;
    writer->known_end = token_table_count(table) + 1;
    writer->stats.size_bytes = store_size_bytes(store);
    fifo_init(&writer->additions, sizeof(struct addition));
    fifo_init(&writer->settings, sizeof(struct setting_change));
    fifo_init(&writer->alerts, sizeof(struct alert_change));
    fifo_init(&writer->rows, sizeof(struct queued_row));
    fifo_init(&writer->notices, sizeof(struct notice));
    fifo_init(&writer->flushes, sizeof(uint64_t));
    uv_mutex_init(&writer->mutex);
    uv_cond_init(&writer->wake);
    return writer;
}

struct writer *writer_prepare(struct store *store, struct token_table *table, uv_loop_t *loop,
                              const struct options *options,
                              const struct writer_callbacks *callbacks)
{
    struct writer *writer = create(store, table, options, callbacks);
    if (writer == NULL)
        return NULL;
    writer->has_loop = true;
    writer->async.data = writer;
    if (uv_async_init(loop, &writer->async, on_async) == 0)
        return writer;
    release(writer);
    return NULL;
}

bool writer_begin(struct writer *writer)
{
    assert(writer->has_loop && !writer->has_begun);
    writer->known_end = token_table_count(writer->table) + 1;
    writer->has_begun = uv_thread_create(&writer->thread, run, writer) == 0;
    return writer->has_begun;
}

struct writer *writer_start(struct store *store, struct token_table *table, uv_loop_t *loop,
                            const struct options *options, const struct writer_callbacks *callbacks)
{
    struct writer *writer = writer_prepare(store, table, loop, options, callbacks);
    if (writer == NULL || writer_begin(writer))
        return writer;
    uv_close((uv_handle_t *)&writer->async, on_closed);
    return NULL;
}

/* ---- without a thread ---- */

struct writer *writer_start_alone(struct store *store, struct token_table *table,
                                  const struct options *options,
                                  const struct writer_callbacks *callbacks)
{
    struct writer *writer = create(store, table, options, callbacks);
    if (writer != NULL) {
        writer->has_begun = true;
        mark_replayed(writer);
    }
    return writer;
}

instant writer_due(struct writer *writer)
{
    assert(!writer->has_loop);
    take_requests(writer);
    take_rewrite(writer);
    return next_turn(writer);
}

void writer_turn(struct writer *writer)
{
    if (writer_now(writer).us >= writer_due(writer).us)
        settle(writer, turn(writer));
    deliver_notices(writer);
}

/* ---- the engine's side ---- */

/* Under the mutex. */
static void start_waiting(struct writer *writer)
{
    if (!instant_is_never(writer->waiting_since))
        return;
    writer->waiting_since = writer_now(writer);
    uv_cond_signal(&writer->wake);
}

void writer_add_token(struct writer *writer, token_id id, uint64_t tag)
{
    struct addition addition = {id, tag};
    uv_mutex_lock(&writer->mutex);
    if (!fifo_push(&writer->additions, &addition))
        heap_exhausted("a new token"); /* 16 bytes of one that has just got 500 */
    if (id >= writer->known_end)
        writer->known_end = id + 1;
    uv_cond_signal(&writer->wake);
    uv_mutex_unlock(&writer->mutex);
}

void writer_mark_dirty(struct writer *writer, token_id id)
{
    dirty_set_mark(writer->dirty, id);
    if (atomic_load(&writer->is_marked) || atomic_exchange(&writer->is_marked, true))
        return;
    uv_mutex_lock(&writer->mutex);
    start_waiting(writer);
    uv_mutex_unlock(&writer->mutex);
}

/* Under the mutex. */
static void drop_oldest(struct writer *writer)
{
    struct queued_row oldest;
    if (!fifo_pop(&writer->rows, &oldest))
        return;
    if (oldest.kind == ROW_SNAPSHOT)
        writer->stats.snapshots_dropped++;
    else
        writer->stats.events_dropped++;
}

static void queue_row(struct writer *writer, struct queued_row *row, token_id token)
{
    /* That a token came is said by who gave it its id, whoever works on it then. */
    bool is_arrival = row->kind == ROW_EVENT && strcmp(row->event.kind, "added") == 0;
    row->lease = is_arrival && writer->holds.is_node
                     ? LEASE_SOURCE
                     : writer_lease_of(writer, &writer->holds, token);
    uv_mutex_lock(&writer->mutex);
    if (row->lease != LEASE_NONE)
        row->term = writer->holds.terms[row->lease];
    if (writer->rows.count >= writer->queue_limit)
        drop_oldest(writer);
    while (!fifo_push(&writer->rows, row) && writer->rows.count > 0)
        drop_oldest(writer);
    start_waiting(writer);
    uv_mutex_unlock(&writer->mutex);
}

void writer_add_snapshot(struct writer *writer, const struct store_snapshot *snapshot)
{
    queue_row(writer, &(struct queued_row){.kind = ROW_SNAPSHOT, .snapshot = *snapshot},
              snapshot->token);
}

/* Of what the slot of `snapshot->token` holds. */
static void take_snapshot(struct writer *writer, struct store_snapshot *snapshot)
{
    const struct token_state *state = &token_slot(writer->table, snapshot->token)->state;
    snapshot->score = state->score;
    snapshot->score_raw = state->score_raw;
    snapshot->raw = state->raw;
    snapshot->smoothed = state->smoothed;
    snapshot->metrics = state->metrics;
    snprintf(snapshot->primary_dex, sizeof snapshot->primary_dex, "%s",
             token_table_dex_name(writer->table, state->metrics.primary_dex));
    writer_add_snapshot(writer, snapshot);
}

void writer_take_snapshot(struct writer *writer, token_id id, int64_t snapshot_id, int64_t previous)
{
    instant at = token_slot(writer->table, id)->state.scored_at;
    take_snapshot(writer, &(struct store_snapshot){
                              .id = snapshot_id, .previous = previous, .token = id, .at = at});
}

void writer_take_lost_snapshot(struct writer *writer, token_id id, int64_t previous)
{
    const struct token_state *state = &token_slot(writer->table, id)->state;
    take_snapshot(writer, &(struct store_snapshot){.id = state->snapshot_id,
                                                   .previous = previous,
                                                   .token = id,
                                                   .at = state->fetched_at});
}

void writer_add_event(struct writer *writer, const struct store_event *event)
{
    queue_row(writer, &(struct queued_row){.kind = ROW_EVENT, .event = *event}, event->token);
}

void writer_put_setting(struct writer *writer, const char *name, const char *value, uint64_t tag)
{
    struct setting_change change = {strdup(name), strdup(value), tag};
    uv_mutex_lock(&writer->mutex);
    if (change.name == NULL || change.value == NULL || !fifo_push(&writer->settings, &change))
        heap_exhausted("a setting"); /* that somebody waits for */
    uv_cond_signal(&writer->wake);
    uv_mutex_unlock(&writer->mutex);
}

void writer_put_alert(struct writer *writer, int64_t id, const char *text)
{
    struct alert_change change = {id, text == NULL ? NULL : strdup(text)};
    uv_mutex_lock(&writer->mutex);
    if ((text != NULL && change.text == NULL) || !fifo_push(&writer->alerts, &change))
        heap_exhausted("a message"); /* as with a setting */
    uv_cond_signal(&writer->wake);
    uv_mutex_unlock(&writer->mutex);
}

void writer_delete_history(struct writer *writer, instant snapshots_before, instant events_before,
                           uint64_t tag)
{
    uv_mutex_lock(&writer->mutex);
    writer->history = (struct history){true, snapshots_before, events_before, tag};
    uv_cond_signal(&writer->wake);
    uv_mutex_unlock(&writer->mutex);
}

void writer_rewrite(struct writer *writer)
{
    uv_mutex_lock(&writer->mutex);
    writer->is_rewrite_wanted = true;
    uv_cond_signal(&writer->wake);
    uv_mutex_unlock(&writer->mutex);
}

void writer_stats(struct writer *writer, struct writer_stats *out)
{
    uv_mutex_lock(&writer->mutex);
    *out = writer->stats;
    out->queue_depth = (uint32_t)(writer->rows.count + writer->batch.row_count);
    uv_mutex_unlock(&writer->mutex);
    out->dirty_tokens = dirty_set_count(writer->dirty);
}

uint32_t writer_stop(struct writer *writer, instant deadline)
{
    if (writer == NULL)
        return 0;
    uv_mutex_lock(&writer->mutex);
    writer->is_stopping = true;
    writer->stop_deadline = deadline;
    uv_cond_signal(&writer->wake);
    uv_mutex_unlock(&writer->mutex);
    if (!writer->has_begun)
        store_close(writer->store);
    else if (writer->has_loop)
        uv_thread_join(&writer->thread);
    else
        end(writer);
    deliver_notices(writer);
    uint32_t unwritten = (uint32_t)(writer->additions.count + writer->settings.count +
                                    writer->alerts.count + writer->batch.addition_count +
                                    writer->batch.setting_count + writer->batch.alert_count);
    if (writer->has_loop)
        uv_close((uv_handle_t *)&writer->async, on_closed);
    else
        release(writer);
    return unwritten;
}
