/* The engine's parts, its loop, its start and its end. See the header. */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/log.h"
#include "engine/parts.h"
#include "engine/restore.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOGGER         "engine"
#define DRAIN_LIMIT    duration_s(4) /* of the five seconds that a stop may take */
#define TABLE_HEADROOM 64            /* tokens that a step may add, with room for their pools */
#define FIRST_CAPACITY 1024

#define FAILURE_TOLD_EVERY duration_s(30)

/* ---- steps ---- */

static void arm_deadline(struct engine *engine);

static void on_deadline(uv_timer_t *timer)
{
    struct event event = {.kind = EVENT_TIME};
    engine_step(timer->data, &event);
}

static void arm_deadline(struct engine *engine)
{
    instant now = clock_now();
    instant deadline = core_deadline(engine->core, now);
    int64_t wait_us = instant_diff(deadline, now).us;
    /* Rounded up: a timer that fires early would only find that it is not time yet. */
    uint64_t wait_ms = wait_us <= 0 ? 0 : (uint64_t)(wait_us + 999) / 1000;
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

void engine_step(struct engine *engine, struct event *event)
{
    if (engine->is_stopping)
        return;
    event->now = clock_now();
    keep_room(engine);
    core_step(engine->core, event, &engine->actions);
    for (size_t i = 0; i < engine->actions.count; i++)
        engine_perform(engine, &engine->actions.items[i]);
    arm_deadline(engine);
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
    log_warning("feed", "requests fail; their tokens stay in front, the lanes rest and try again",
                LOG_STRING("outcome", outcome), LOG_INT("status", answer->http_status),
                LOG_STRING("detail", detail),
                LOG_INT("failed_in_a_row", engine->failures_in_a_row));
    show_failure(engine, outcome, detail);
}

static void on_answer(void *context, const struct feed_answer *answer)
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
    if (answer->outcome == FEED_OK)
        note_success(engine);
    else if (answer->outcome != FEED_CANCELLED)
        note_failure(engine, answer);
    engine_step(engine, &event);
}

static bool on_token(void *context, const struct source_token *token)
{
    struct engine *engine = context;
    struct event event = {.kind = EVENT_TOKEN_SEEN};
    event.token_seen.mint = token->mint;
    event.token_seen.name = token->name;
    event.token_seen.symbol = token->symbol;
    engine_step(engine, &event);
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

static void on_store_state(void *context, const struct writer_stats *stats)
{
    struct engine *engine = context;
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

static void on_second(uv_timer_t *timer)
{
    struct engine *engine = timer->data;
    instant now = clock_now();
    double lag = duration_to_s(instant_diff(now, engine->second_expected_at));
    page_set(engine->page, GAUGE_LOOP_LAG, lag < 0 ? 0 : lag);
    engine->second_expected_at = instant_add(now, duration_s(1));
    if (clock_discipline()) {
        page_add(engine->page, COUNTER_CLOCK_STEPS, 1);
        log_warning(LOGGER,
                    "the wall clock was set; ages do not depend on it, times shown follow "
                    "slowly",
                    LOG_DOUBLE("offset_s", duration_to_s(clock_offset())));
    }
    engine_publish(engine);
    tell_stretch(engine);
}

/* ---- the end ---- */

static void finish_loop(struct engine *engine)
{
    uv_close((uv_handle_t *)&engine->deadline_timer, NULL);
    uv_close((uv_handle_t *)&engine->second_timer, NULL);
    uv_close((uv_handle_t *)&engine->signals[0], NULL);
    uv_close((uv_handle_t *)&engine->signals[1], NULL);
    if (engine->command_fd >= 0)
        uv_close((uv_handle_t *)&engine->command_poll, NULL);
    uv_stop(&engine->loop); /* the writer still has a handle: it is stopped after the loop */
}

static void on_part_closed(void *context)
{
    struct engine *engine = context;
    if (--engine->closing == 0)
        finish_loop(engine);
}

/* No new work; what is under way is given up, what is known is written. */
static void begin_stop(struct engine *engine)
{
    if (engine->is_stopping)
        return;
    engine->is_stopping = true;
    engine->closing = 1; /* us, until all are asked */
    if (engine->source != NULL) {
        engine->closing++;
        source_destroy(engine->source, on_part_closed);
        engine->source = NULL;
    }
    if (engine->feed != NULL) {
        engine->closing++;
        feed_destroy(engine->feed, on_part_closed);
        engine->feed = NULL;
    }
    on_part_closed(engine);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct engine *engine = handle->data;
    if (engine->is_stopping) {
        log_warning(LOGGER, "asked again to stop; ending at once");
        _exit(1);
    }
    log_info(LOGGER, "stopping: writing what is known", LOG_STRING("signal", strsignal(number)));
    begin_stop(engine);
}

/* ---- the start ---- */

static bool make_page(struct engine *engine)
{
    engine->page =
        mmap(NULL, sizeof *engine->page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (engine->page == MAP_FAILED) {
        engine->page = NULL;
        return false;
    }
    status_page_init(engine->page);
    return true;
}

static bool make_memory(struct engine *engine)
{
    int error = ENOMEM;
    engine->core_memory = malloc(core_size());
    if (engine->core_memory != NULL && make_page(engine) &&
        table_memory_init(&engine->memory, FIRST_CAPACITY, &error))
        return true;
    log_error(LOGGER, "no memory to start with", LOG_STRING("error", strerror(error)));
    return false;
}

static bool open_store(struct engine *engine)
{
    char why[512] = "";
    struct restore restore = {0};
    const struct store_load_report *report = &restore.load;
    struct store *store = store_open(engine->options.db, why);
    if (store == NULL) {
        log_error("store", why, LOG_STRING("db", engine->options.db));
        return false;
    }
    instant began = clock_now();
    enum err err = engine_restore_cold(engine, store, &restore);
    if (err == ERR_CORRUPT) {
        /* Everything readable is loaded; the writer replaces the file when it meets the damage. */
        log_error("store", "the database is damaged; going on with what could be read",
                  LOG_STRING("cause", store_message(store)));
    } else if (err != OK) {
        log_error("store", "cannot load the tokens", LOG_STRING("error", err_text(err)),
                  LOG_STRING("cause", store_message(store)));
        store_close(store);
        return false;
    }
    log_info("store", "loaded", LOG_INT("tokens", report->tokens),
             LOG_INT("replayed", report->replayed), LOG_INT("rows_refused", report->rows_refused),
             LOG_INT("holes", report->holes), LOG_INT("states_refused", report->states_refused),
             LOG_DOUBLE("seconds", duration_to_s(instant_diff(clock_now(), began))));
    page_set(engine->page, GAUGE_GENERATION, (double)report->generation);
    atomic_store(&engine->page->newest_snapshot, (uint64_t)report->last_snapshot_id);
    const struct writer_callbacks callbacks = {
        .context = engine,
        .on_token_durable = on_token_durable,
        .on_setting_durable = on_setting_durable,
        .on_snapshot_durable = on_snapshot_durable,
        .on_state = on_store_state,
    };
    engine->writer =
        writer_start(store, engine->memory.table, &engine->loop, &engine->options, &callbacks);
    if (engine->writer != NULL) {
        engine_catch_up(engine, &restore);
        return true;
    }
    log_error("store", "no memory for the store's thread");
    store_close(store);
    return false;
}

/* What a person opens: the address as it was given, with the port that was bound. */
static void tell_address(const struct engine *engine)
{
    const char *listen = engine->options.listen;
    const char *colon = strrchr(listen, ':');
    int host = colon == NULL ? (int)strlen(listen) : (int)(colon - listen);
    char url[OPTION_TEXT_SIZE + 32];
    snprintf(url, sizeof url, "http://%.*s:%u", host, listen, api_port(engine->api));
    log_info("api", "listening", LOG_INT("port", api_port(engine->api)), LOG_STRING("url", url));
}

static bool start_api(struct engine *engine)
{
    char why[512] = "";
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
        log_error("api", "no socket pair", LOG_STRING("error", strerror(errno)));
        return false;
    }
    engine->command_fd = pair[0];
    engine->command_poll.data = engine;
    uv_poll_init(&engine->loop, &engine->command_poll, engine->command_fd);
    uv_poll_start(&engine->command_poll, UV_READABLE, engine_on_commands);
    const struct api_world world = {
        .table = engine->memory.table,
        .page = engine->page,
        .store_url = engine->options.db,
        .command_fd = pair[1],
        .options = &engine->options,
    };
    engine->api = api_start(&world, why);
    if (engine->api == NULL) {
        log_error("api", why);
        return false;
    }
    tell_address(engine);
    return true;
}

static bool start_upstreams(struct engine *engine)
{
    char why[512] = "";
    engine->feed = feed_create(&engine->loop, &engine->options, on_answer, engine, why);
    if (engine->feed == NULL) {
        log_error("feed", why);
        return false;
    }
    engine->source = source_create(&engine->loop, &engine->options, on_token, engine, why);
    if (engine->source == NULL) {
        log_error("source", why);
        return false;
    }
    return true;
}

static void start_handles(struct engine *engine)
{
    static const int numbers[2] = {SIGTERM, SIGINT};
    uv_timer_init(&engine->loop, &engine->deadline_timer);
    uv_timer_init(&engine->loop, &engine->second_timer);
    engine->deadline_timer.data = engine->second_timer.data = engine;
    for (int i = 0; i < 2; i++) {
        uv_signal_init(&engine->loop, &engine->signals[i]);
        engine->signals[i].data = engine;
        uv_signal_start(&engine->signals[i], on_signal, numbers[i]);
    }
    /* A client or a peer that hangs up is an error of that write, not the end of us. */
    signal(SIGPIPE, SIG_IGN);
}

static bool start(struct engine *engine)
{
    start_handles(engine);
    if (!make_memory(engine) || !open_store(engine))
        return false;
    engine_publish_options(engine);
    page_set(engine->page, GAUGE_START_TIME, (double)clock_now().us / 1e6);
    page_set(engine->page, GAUGE_SCHEDULER_ENABLED, engine->options.scheduler_enabled);
    if (!start_api(engine) || !start_upstreams(engine))
        return false;
    if (!engine->options.scheduler_enabled)
        log_warning(LOGGER, "the scheduler is OFF (scheduler_enabled = false): nothing is fetched, "
                            "no token is kept fresh");
    engine->second_expected_at = instant_add(clock_now(), duration_s(1));
    uv_timer_start(&engine->second_timer, on_second, 1000, 1000);
    engine_publish(engine);
    arm_deadline(engine);
    return true;
}

static void release(struct engine *engine)
{
    free(engine->core_memory);
    table_memory_finish(&engine->memory);
    if (engine->page != NULL)
        munmap(engine->page, sizeof *engine->page);
    if (engine->command_fd >= 0)
        close(engine->command_fd);
    free(engine);
}

int engine_run(const struct options *options)
{
    struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL || uv_loop_init(&engine->loop) != 0) {
        log_error(LOGGER, "no memory to start with");
        free(engine);
        return 1;
    }
    engine->options = *options;
    engine->command_fd = -1;
    engine->memory.fd = -1;
    bool started = start(engine);
    if (!started)
        begin_stop(engine);
    uv_run(&engine->loop, UV_RUN_DEFAULT);

    if (engine->api != NULL)
        api_stop(engine->api);
    uint32_t unwritten = 0;
    if (engine->writer != NULL)
        unwritten = writer_stop(engine->writer, instant_add(clock_now(), DRAIN_LIMIT));
    uv_run(&engine->loop, UV_RUN_DEFAULT); /* what the writer had to close */
    if (uv_loop_close(&engine->loop) != 0)
        log_error(LOGGER, "handles were left open; please report this");
    if (unwritten > 0)
        log_error(LOGGER, "stopped, but the store did not take everything",
                  LOG_INT("tokens_and_settings_not_written", unwritten));
    else if (started)
        log_info(LOGGER, "stopped; everything is written");
    release(engine);
    return started && unwritten == 0 ? 0 : 1;
}
