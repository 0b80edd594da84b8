/* What comes in becomes an event; the core steps; its actions are performed. See the header. */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/log.h"
#include "engine/node.h"
#include "engine/parts.h"
#include <errno.h>
#include <string.h>

#define LOGGER         "engine"
#define TABLE_HEADROOM 64 /* tokens that a step may add, with room for their pools */

#define FAILURE_TOLD_EVERY duration_s(30)

/* ---- steps ---- */

static void on_deadline(uv_timer_t *timer)
{
    struct engine *engine = timer->data;
    struct event event = {.kind = EVENT_TIME};
    engine_note_late(engine, engine->load.deadline_at);
    engine_step(engine, &event);
}

/* Before the loop waits, and not after each step of a turn: dozens of answers may come in one. */
void engine_arm_if_due(uv_prepare_t *handle)
{
    struct engine *engine = handle->data;
    if (engine->is_arm_due && !engine->is_stopping)
        engine_arm(engine);
    engine->is_arm_due = false;
}

void engine_arm(struct engine *engine)
{
    instant now = clock_now();
    instant deadline = core_deadline(engine->core, now);
    int64_t wait_us = instant_diff(deadline, now).us;
    /* Rounded up: a timer that fires early would only find that it is not time yet. */
    uint64_t wait_ms = wait_us <= 0 ? 0 : (uint64_t)(wait_us + 999) / 1000;
    engine->load.deadline_at = instant_add(now, duration_ms((int64_t)wait_ms));
    uv_update_time(&engine->loop);
    uv_timer_start(&engine->deadline_timer, on_deadline, wait_ms, 0);
}

/* Between two steps: the core itself never allocates. */
static void keep_room(struct engine *engine)
{
    if (!token_table_is_short(engine->memory.table, TABLE_HEADROOM))
        return;
    bool grown = table_memory_grow(&engine->memory, TABLE_HEADROOM);
    if (!grown && !engine->memory_is_short)
        log_error(LOGGER,
                  "no memory for more tokens; those known are kept fresh, new ones are "
                  "refused until there is",
                  LOG_INT("tokens", token_table_count(engine->memory.table)),
                  LOG_STRING("error", strerror(errno)));
    engine->memory_is_short = !grown;
}

static void step_once(struct engine *engine, struct event *event)
{
    event->now = clock_now();
    engine_moved(engine, event->now);
    keep_room(engine);
    core_step(engine->core, event, &engine->actions);
    for (size_t i = 0; i < engine->actions.count; i++)
        engine_perform(engine, &engine->actions.items[i]);
}

/* What has ended while actions were performed is told in a step of its own. */
void engine_step(struct engine *engine, struct event *event)
{
    engine_node_look(engine);
    if (engine->is_stopping)
        return;
    step_once(engine, event);
    while (engine->export_done != 0) {
        struct event done = {.kind = EVENT_JOB_DONE,
                             .job_done = {JOB_EXPORT, engine->export_done, engine->export_failed}};
        engine->export_done = 0;
        step_once(engine, &done);
    }
    engine->is_arm_due = true;
}

/* ---- what comes in ---- */

static void show_failure(struct engine *engine, const char *outcome, const char *detail)
{
    struct page_texts *texts = page_text_begin(engine->page);
    snprintf(texts->feed_message, sizeof texts->feed_message, "%s%s%s", outcome,
             detail[0] == '\0' ? "" : ": ", detail);
    page_text_end(engine->page);
}

static void note_success(struct engine *engine)
{
    if (engine->failures_in_a_row == 0)
        return;
    log_info("feed", "the upstream answers again",
             LOG_INT("failed_requests", engine->failures_in_a_row));
    engine->failures_in_a_row = 0;
    show_failure(engine, "", "");
}

/* An outage is one story, not a line a request: its beginning, how it goes on, its end. */
static void note_failure(struct engine *engine, const struct feed_answer *answer)
{
    const char *outcome = feed_outcome_name(answer->outcome);
    const char *detail = answer->detail == NULL ? "" : answer->detail;
    instant now = clock_now();
    engine->failures_in_a_row++;
    if (engine->failures_in_a_row > 1 &&
        instant_diff(now, engine->failure_told_at).us < FAILURE_TOLD_EVERY.us)
        return;
    engine->failure_told_at = now;
    log_warning("feed", "requests fail; their tokens stay in front and are asked for again",
                LOG_STRING("outcome", outcome), LOG_INT("status", answer->http_status),
                LOG_STRING("detail", detail),
                LOG_INT("failed_in_a_row", engine->failures_in_a_row));
    show_failure(engine, outcome, detail);
}

void engine_on_answer(void *context, const struct feed_answer *answer)
{
    struct engine *engine = context;
    struct event event = {.kind = EVENT_ANSWER};
    event.answer.request = answer->request;
    event.answer.outcome = answer->outcome;
    event.answer.retry_after = answer->has_retry_after ? answer->retry_after : duration_us(0);
    event.answer.latency = answer->latency;
    if (answer->outcome == FEED_OK) {
        event.answer.pairs = answer->parsed->pairs;
        event.answer.pair_count = answer->parsed->pair_count;
    }
    engine_note(engine,
                &(struct flight_note){.kind = FLIGHT_REQUEST_ENDED,
                                      .what = core_request_lane(engine->core, answer->request),
                                      .to = answer->outcome,
                                      .number = answer->request});
    if (answer->outcome == FEED_OK)
        note_success(engine);
    else if (answer->outcome != FEED_CANCELLED)
        note_failure(engine, answer);
    engine_step(engine, &event);
    engine_let_go(engine);
}

void engine_on_received(void *context, uint64_t request)
{
    engine_take_in_hand(context, request);
}

bool engine_on_token(void *context, const struct source_token *token)
{
    struct engine *engine = context;
    if (engine_keeps_out(engine, &token->mint))
        return true;
    struct event event = {.kind = EVENT_TOKEN_SEEN};
    event.token_seen.mint = token->mint;
    event.token_seen.name = token->name;
    event.token_seen.symbol = token->symbol;
    engine_step(engine, &event);
    engine_recall_suspect(engine, &token->mint);
    return !engine->memory_is_short;
}

static void on_token_durable(void *context, token_id id, uint64_t tag)
{
    struct event event = {.kind = EVENT_TOKEN_DURABLE};
    event.token_durable.id = id;
    event.token_durable.tag = tag;
    engine_step(context, &event);
}

static void on_setting_durable(void *context, uint64_t tag)
{
    if (tag == LIMIT_TAG)
        return;
    struct reply reply = {.result = RESULT_DONE, .tag = tag};
    engine_reply(context, &reply);
}

static void on_snapshot_durable(void *context, int64_t snapshot_id)
{
    struct engine *engine = context;
    /* One that was lost and made again may be older than others. */
    if ((uint64_t)snapshot_id > atomic_load(&engine->page->newest_snapshot))
        atomic_store(&engine->page->newest_snapshot, (uint64_t)snapshot_id);
}

static void on_history_deleted(void *context, uint64_t run)
{
    struct event event = {.kind = EVENT_JOB_DONE, .job_done = {JOB_RETENTION, run}};
    engine_step(context, &event);
}

static void on_store_state(void *context, const struct writer_stats *stats)
{
    struct engine *engine = context;
    engine_note(engine, &(struct flight_note){.kind = FLIGHT_STORE,
                                              .from = stats->state == WRITER_OK,
                                              .to = stats->state != WRITER_OK});
    if (stats->state == WRITER_OK)
        log_info("store", "writing again; nothing was lost");
    else
        log_error("store", "cannot write; work goes on in memory, retrying",
                  LOG_STRING("cause", stats->message), LOG_INT("waiting", stats->dirty_tokens));
    struct page_texts *texts = page_text_begin(engine->page);
    snprintf(texts->store_message, sizeof texts->store_message, "%.255s",
             stats->state == WRITER_OK ? "" : stats->message);
    page_text_end(engine->page);
}

static void on_store_beat(void *context)
{
    static _Thread_local bool is_armed;
    struct engine *engine = context;
    if (!is_armed)
        crash_arm_thread();
    is_armed = true;
    page_beat(engine->page, BEAT_STORE_THREAD, clock_now(), engine->store_patience);
    if (fault_take(engine->faults, FAULT_HANG_STORE))
        for (;;)
            continue;
}

void engine_store_callbacks(struct engine *engine, struct writer_callbacks *out)
{
    *out = (struct writer_callbacks){
        .context = engine,
        .on_token_durable = on_token_durable,
        .on_setting_durable = on_setting_durable,
        .on_snapshot_durable = on_snapshot_durable,
        .on_state = on_store_state,
        .on_history_deleted = on_history_deleted,
        .on_alert_durable = engine_on_alert_durable,
        .on_new_file = engine_on_new_file,
        .on_beat = on_store_beat,
        .on_token_left_out = engine_node_on_left_out,
        .on_flushed = engine_node_on_flushed,
    };
}

/* When not even the maximum ages can be kept, people must hear of it. */
static void tell_stretch(struct engine *engine)
{
    const struct core_stats *stats = core_stats(engine->core);
    bool is_stretched =
        stats->groups[GROUP_HOT].overdue > 0 || stats->groups[GROUP_COLD].overdue > 0;
    if (is_stretched == engine->is_stretched)
        return;
    engine->is_stretched = is_stretched;
    if (is_stretched)
        log_error(LOGGER,
                  "the budget does not keep the maximum age of so many tokens; ages "
                  "stretch together, oldest first",
                  LOG_DOUBLE("maximum_age_s", engine->options.maximum_age_sec),
                  LOG_INT("tokens", token_table_count(engine->memory.table)));
    else
        log_info(LOGGER, "the maximum ages are kept again");
}

void engine_on_second(struct engine *engine)
{
    if (engine->is_stopping)
        return; /* feed and source are gone, or going */
    engine_look_at_load(engine);
    engine_node_on_second(engine);
    engine_publish(engine);
    engine_release_expired(engine);
    engine_keep_incidents(engine);
    tell_stretch(engine);
    if (engine->cold != NULL)
        return; /* nothing may slow down a start, and not all tokens are there */
    huge_look(&engine->huge, clock_now());
    engine_export_on_change(engine);
}
