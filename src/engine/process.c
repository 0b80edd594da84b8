/* The engine as a process: what it inherits, its start, its loop, its end. See engine.h. */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/log.h"
#include "engine/parts.h"
#include "engine/restore.h"
#include "page/passed_fd.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOGGER        "engine"
#define DRAIN_LIMIT   duration_s(4)    /* of the five seconds that a stop may take */
#define DRAIN_BEAT    duration_s(6)    /* the loop does not turn while the store's thread drains */
#define EXPORT_LIMIT  duration_ms(500) /* an export takes milliseconds, or it hangs */
#define STOP_STEP_MS  2
#define BEATS         5  /* in the time that a heartbeat may take */
#define LOOK_BELOW_MS 50 /* under a drill a beat at least as often, so that a fault is noticed */

void engine_report(enum report_kind kind, const char *why)
{
    struct report report = {.kind = kind};
    snprintf(report.why, sizeof report.why, "%s", why);
    (void)!send(FD_LINK, &report, sizeof report, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- the end ---- */

static void finish_loop(struct engine *engine)
{
    uv_close((uv_handle_t *)&engine->deadline_timer, NULL);
    uv_close((uv_handle_t *)&engine->before_waiting, NULL);
    uv_close((uv_handle_t *)&engine->second_timer, NULL);
    uv_close((uv_handle_t *)&engine->beat_timer, NULL);
    for (int i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&engine->command_polls[i], NULL);
    uv_stop(&engine->loop); /* the writer still has a handle: it is stopped after the loop */
}

static void on_part_closed(void *context)
{
    struct engine *engine = context;
    if (--engine->closing == 0)
        finish_loop(engine);
}

static void on_workers_closed(void *context, enum feed_workers_end end)
{
    ((struct engine *)context)->is_left_behind = end == FEED_WORKERS_LEFT_BEHIND;
    on_part_closed(context);
}

void engine_begin_stop(struct engine *engine)
{
    if (engine->is_stopping)
        return;
    engine->is_stopping = true;
    exporter_stop(engine->exporter);
    engine->closing = 1; /* us, until all are asked */
    if (engine->source != NULL) {
        engine->closing++;
        source_destroy(engine->source, on_part_closed);
        engine->source = NULL;
    }
    if (engine->workers != NULL) {
        engine->closing++;
        feed_workers_destroy(engine->workers, on_workers_closed);
        engine->workers = NULL;
    }
    on_part_closed(engine);
}

/* Asked twice is asked once: systemd, docker and timeout(1) may all tell whole groups of processes,
 * and who wants it to end at once kills it. */
static void on_signal(uv_signal_t *handle, int number)
{
    struct engine *engine = handle->data;
    if (engine->is_stopping)
        return;
    log_info(LOGGER, "stopping: writing what is known", LOG_STRING("signal", strsignal(number)));
    engine_begin_stop(engine);
}

/* ---- timers ---- */

static void on_second(uv_timer_t *timer)
{
    engine_on_second(timer->data);
}

/* Little by little: what takes its time to get memory must not look like a hang. Each piece knows
 * the one before: all of it is held, as by a list that only grows. */
static void leak(const struct engine *engine)
{
    static void *volatile held;
    size_t size = (size_t)((fault_armed(engine->faults, FAULT_LEAK) << 20) *
                           uv_timer_get_repeat(&engine->beat_timer) / 1000);
    void **piece = size >= sizeof(void *) ? malloc(size) : NULL;
    if (piece == NULL)
        return;
    memset(piece, 1, size);
    *piece = held;
    held = piece;
}

/* Faults of a drill strike here: in the loop, a few times a second. Each but the leak befalls one
 * engine only, and not the one that replaces it. */
static void suffer(struct engine *engine)
{
    if (fault_take(engine->faults, FAULT_CRASH))
        abort();
    if (fault_take(engine->faults, FAULT_HANG))
        for (;;)
            continue;
    leak(engine);
}

static void on_beat(uv_timer_t *timer)
{
    struct engine *engine = timer->data;
    engine_beat(engine, duration_us(0));
    engine_note_lag(engine);
    if (engine->faults != NULL)
        suffer(engine);
}

/* ---- the start ---- */

/* A table that fails its header's checks is attached all the same, to be emptied. */
static bool attach_table(struct engine *engine, struct restore *restore)
{
    enum table_fault fault;
    enum err err = table_memory_attach(&engine->memory, FD_TABLE, &fault);
    if (err == ERR_CORRUPT)
        restore->report.why_cold = table_fault_text(fault);
    if (err == OK || err == ERR_CORRUPT)
        return true;
    log_error(LOGGER, "the token table can't be mapped", LOG_STRING("error", err_text(err)));
    return false;
}

static bool is_warm_possible(const struct engine *engine, struct restore *restore)
{
    const struct token_table *table = engine->memory.table;
    if (table == NULL || token_table_count(table) == 0)
        return false;
    if (engine->start_kind != START_COLD)
        return true;
    restore->report.why_cold = "the engine before lived for less than a minute";
    return false;
}

/* From the table that is there, or else from the store. */
static enum err restore_tokens(struct engine *engine, struct store *store, struct restore *restore)
{
    enum err err = ERR_CORRUPT;
    if (is_warm_possible(engine, restore))
        err = engine_restore_warm(engine, store, restore);
    if (err != ERR_CORRUPT)
        return err;
    if (restore->report.why_cold != NULL)
        engine_report(REPORT_COLD, restore->report.why_cold);
    err = engine_restore_cold(engine, store, restore);
    if (err != ERR_CORRUPT)
        return err;
    /* Everything readable is loaded; the writer replaces the file when it meets the damage. */
    log_error("store", "the database is damaged; going on with what could be read",
              LOG_STRING("cause", store_message(store)));
    return OK;
}

static void tell_restored(struct engine *engine, const struct restore *restore, instant began)
{
    const struct store_load_report *report = &restore->load;
    bool is_warm = restore->report.kind == RESTORE_WARM;
    page_add(engine->page, is_warm ? COUNTER_WARM_STARTS : COUNTER_COLD_STARTS, 1);
    page_set(engine->page, GAUGE_GENERATION, (double)report->generation);
    atomic_store(&engine->page->newest_snapshot, (uint64_t)report->last_snapshot_id);
    restore_log(&restore->report);
    if (is_warm)
        return;
    log_info("store", "loaded", LOG_INT("tokens", report->tokens),
             LOG_INT("replayed", report->replayed), LOG_INT("rows_refused", report->rows_refused),
             LOG_INT("holes", report->holes), LOG_INT("states_refused", report->states_refused),
             LOG_DOUBLE("seconds", duration_to_s(instant_diff(clock_now(), began))));
}

static bool start_writer(struct engine *engine, struct store *store, struct restore *restore)
{
    struct writer_callbacks callbacks;
    engine_store_callbacks(engine, &callbacks);
    engine->writer =
        writer_start(store, engine->memory.table, &engine->loop, &engine->options, &callbacks);
    if (engine->writer == NULL) {
        log_error("store", "no memory for the store's thread");
        return false;
    }
    engine_catch_up(engine, restore);
    return true;
}

static bool open_store(struct engine *engine)
{
    char why[512] = "";
    struct restore restore = {0};
    if (!attach_table(engine, &restore))
        return false;
    struct store *store =
        store_open_after(engine->options.db, (pid_t)engine->page->unawaited_pid, why);
    if (store == NULL) {
        log_error("store", why, LOG_STRING("db", engine->options.db));
        return false;
    }
    engine_note_stage(engine, STAGE_STORE);
    instant began = clock_now();
    enum err err = restore_tokens(engine, store, &restore);
    if (err != OK)
        log_error("store", "cannot load the tokens", LOG_STRING("error", err_text(err)),
                  LOG_STRING("cause", store_message(store)));
    engine_note_stage(engine, STAGE_TABLE);
    if (err == OK)
        tell_restored(engine, &restore, began);
    if (err == OK && start_writer(engine, store, &restore))
        return true;
    store_close(store);
    return false;
}

/* They get ready while the tokens are restored. */
static bool start_workers(struct engine *engine)
{
    char why[512] = "";
    const struct feed_workers_listener listener = {.context = engine,
                                                   .on_received = engine_on_received,
                                                   .on_answer = engine_on_answer,
                                                   .on_start = engine_on_worker_start,
                                                   .on_beat = engine_on_worker_beat,
                                                   .on_open = engine_on_worker_open,
                                                   .on_shut = engine_on_worker_shut,
                                                   .on_end = engine_on_worker_end};
    engine->start_patience = duration_s(engine->options.start_deadline_sec);
    engine->workers = feed_workers_create(&engine->loop, &engine->options, &listener, why);
    if (engine->workers == NULL)
        log_error("feed", why);
    return engine->workers != NULL;
}

static bool start_upstreams(struct engine *engine)
{
    char why[512] = "";
    if (!feed_workers_await(engine->workers, why)) {
        log_error("feed", why);
        return false;
    }
    page_set(engine->page, GAUGE_FEED_WORKERS, feed_workers_count(&engine->options));
    engine->source = source_create(&engine->loop, &engine->options, engine_on_token, engine, why);
    if (engine->source == NULL) {
        log_error("source", why);
        return false;
    }
    return true;
}

/* It came into the world with SIGTERM blocked, so that none was lost until now. */
static void take_signals(struct engine *engine)
{
    sigset_t ended;
    uv_signal_init(&engine->loop, &engine->signal);
    engine->signal.data = engine;
    uv_signal_start(&engine->signal, on_signal, SIGTERM);
    sigemptyset(&ended);
    sigaddset(&ended, SIGTERM);
    pthread_sigmask(SIG_UNBLOCK, &ended, NULL);
    /* A client or a peer that hangs up is an error of that write, not the end of us. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* so is a file that may not grow any more */
}

static void start_handles(struct engine *engine)
{
    static const int channels[2] = {FD_COMMAND, FD_LINK};
    uv_timer_init(&engine->loop, &engine->deadline_timer);
    uv_timer_init(&engine->loop, &engine->second_timer);
    uv_timer_init(&engine->loop, &engine->beat_timer);
    uv_prepare_init(&engine->loop, &engine->before_waiting);
    engine->deadline_timer.data = engine->second_timer.data = engine->beat_timer.data = engine;
    engine->before_waiting.data = engine;
    take_signals(engine);
    for (int i = 0; i < 2; i++) {
        uv_poll_init(&engine->loop, &engine->command_polls[i], channels[i]);
        engine->command_polls[i].data = engine;
    }
}

static void start_timers(struct engine *engine)
{
    int64_t beat_ms = engine->options.heartbeat_deadline_ms / BEATS;
    engine_load_start(engine);
    uv_timer_start(&engine->second_timer, on_second, 1000, 1000);
    uv_prepare_start(&engine->before_waiting, engine_arm_if_due);
    if (engine->faults != NULL && beat_ms > LOOK_BELOW_MS)
        beat_ms = LOOK_BELOW_MS;
    uv_timer_start(&engine->beat_timer, on_beat, 0, (uint64_t)beat_ms);
    for (int i = 0; i < 2; i++)
        uv_poll_start(&engine->command_polls[i], UV_READABLE, engine_on_commands);
}

/* What outlived the engine before: who was in hand at its death, and that it was to rest. */
static void tell_core(struct engine *engine)
{
    engine->incident_kept = atomic_load(&engine->page->incident);
    engine_tell_suspects(engine);
    if (atomic_load(&engine->page->is_paused) == 0)
        return;
    struct event event = {.kind = EVENT_PAUSE, .pause = {.is_paused = true}};
    engine_step(engine, &event);
}

static bool start(struct engine *engine)
{
    start_handles(engine);
    engine->core_memory = malloc(core_size());
    if (engine->core_memory == NULL) {
        log_error(LOGGER, "no memory to start with");
        return false;
    }
    if (!start_workers(engine) || !engine_export_start(engine) || !open_store(engine))
        return false;
    engine_publish_options(engine);
    page_set(engine->page, GAUGE_START_TIME, (double)clock_now().us / 1e6);
    page_set(engine->page, GAUGE_SCHEDULER_ENABLED, engine->options.scheduler_enabled);
    if (!start_upstreams(engine))
        return false;
    if (!engine->options.scheduler_enabled)
        log_warning(LOGGER, "the scheduler is OFF (scheduler_enabled = false): nothing is fetched, "
                            "no token is kept fresh");
    if (fault_armed(engine->faults, FAULT_CRASH_AT_START) != 0)
        abort();
    engine_note_stage(engine, STAGE_UPSTREAMS);
    engine_publish(engine);
    start_timers(engine);
    tell_core(engine);
    engine_arm(engine);
    engine_note_stage(engine, STAGE_READY);
    engine_report(REPORT_READY, "");
    return true;
}

/* ---- what is inherited ---- */

/* The faults of a drill come along with the word to go. */
static struct faults *take_faults(const struct msghdr *message, ssize_t size)
{
    int fd = passed_fd_take(message, size);
    if (fd < 0)
        return NULL;
    void *faults = mmap(NULL, sizeof(struct faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return faults == MAP_FAILED ? NULL : faults;
}

/* Until then the engine before us may be at work: nothing is touched. False: nobody wants us. */
static bool await_go(struct engine *engine)
{
    struct command command;
    union passed_fd passed;
    struct iovec part = {&command, sizeof command};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    struct pollfd waiting = {.fd = FD_LINK, .events = POLLIN};
    while (true) {
        passed_fd_expect(&passed, &message);
        ssize_t size = recvmsg(FD_LINK, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (size == (ssize_t)sizeof command && command.kind == COMMAND_GO) {
            engine->start_kind = command.start;
            engine->faults = take_faults(&message, size);
            return true;
        }
        if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
            return false;
        if (size < 0)
            poll(&waiting, 1, -1);
    }
}

/* The kernel should rather take us than who would start us again. */
static void offer_to_oom_killer(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!write(fd, "200", 3);
    close(fd);
}

static bool inherit(struct engine *engine)
{
    char why[PAGE_WHY_SIZE];
    engine->page = status_page_attach(FD_PAGE, PAGE_READ_WRITE, why);
    if (engine->page == NULL) {
        fprintf(stderr, "moonwatch: %s; `moonwatch run` starts the engine\n", why);
        return false;
    }
    clock_share(&engine->page->clock);
    crash_arm(&engine->page->crashes[PROCESS_ENGINE]);
    offer_to_oom_killer();
    for (int fd = FD_PAGE; fd < FD_INHERITED_END; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    return true;
}

static void release(struct engine *engine)
{
    exporter_destroy(engine->exporter);
    free(engine->core_memory);
    table_memory_finish(&engine->memory);
    status_page_detach(engine->page);
    free(engine);
}

/* What is known is written while the loop stands still. */
static uint32_t drain(struct engine *engine)
{
    uint32_t unwritten = 0;
    engine_beat(engine, DRAIN_BEAT);
    if (engine->writer != NULL)
        unwritten = writer_stop(engine->writer, instant_add(clock_now(), DRAIN_LIMIT));
    page_beat_end(engine->page, BEAT_STORE_THREAD);
    return unwritten;
}

/* Only now: until everything is written, whoever tells us to stop once more (as the kernel does
 * when our supervisor dies) must not end us in the middle of it. */
static void close_signal(struct engine *engine)
{
    uv_close((uv_handle_t *)&engine->signal, NULL);
    signal(SIGTERM, SIG_IGN);
}

/* What the writer had to close, and exports that end soon. False: a thread of ours hangs, and has
 * been told of. */
static bool finish_turns(struct engine *engine)
{
    instant deadline = instant_add(clock_now(), EXPORT_LIMIT);
    close_signal(engine);
    while (!exporter_is_idle(engine->exporter) && instant_before(clock_now(), deadline)) {
        uv_run(&engine->loop, UV_RUN_NOWAIT);
        uv_sleep(STOP_STEP_MS);
    }
    if (!exporter_is_idle(engine->exporter)) {
        log_warning(LOGGER, "the file system of the export hangs; its thread is left behind");
        return false;
    }
    if (engine->is_left_behind)
        return false;
    uv_run(&engine->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&engine->loop) != 0)
        log_error(LOGGER, "handles were left open; please report this");
    return true;
}

static int live(struct engine *engine)
{
    engine_note_stage(engine, STAGE_GO);
    engine_claim_hands(engine);
    engine_beat(engine, duration_s(engine->options.start_deadline_sec));
    bool started = start(engine);
    if (!started)
        engine_begin_stop(engine);
    uv_run(&engine->loop, UV_RUN_DEFAULT);
    uint32_t unwritten = drain(engine);
    bool is_over = finish_turns(engine);
    page_beat_end(engine->page, BEAT_ENGINE_LOOP);
    if (unwritten > 0)
        log_error(LOGGER, "stopped, but the store did not take everything",
                  LOG_INT("tokens_and_settings_not_written", unwritten));
    else if (started)
        log_info(LOGGER, "stopped; everything is written");
    int status = started && unwritten == 0 ? 0 : 1;
    if (!is_over)
        _exit(status); /* libuv would wait for its threads */
    return status;
}

int engine_process(const struct options *options)
{
    struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL || uv_loop_init(&engine->loop) != 0) {
        log_error(LOGGER, "no memory to start with");
        free(engine);
        return 1;
    }
    engine->options = *options;
    engine->memory.fd = -1;
    int status = EXIT_REFUSED;
    if (inherit(engine)) {
        engine_report(REPORT_STANDBY, "");
        status = await_go(engine) ? live(engine) : 0;
    }
    release(engine);
    return status;
}
