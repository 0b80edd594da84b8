/* The engine as a process: what it inherits, its start, its loop, its end. See engine.h. */
#include "engine/engine.h"

#include "alert/delivery.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/node.h"
#include "engine/parts.h"
#include "page/confinement.h"
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
#define BEATS         2  /* in the time that a heartbeat may take, while nothing is to be done */
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
    uv_close((uv_handle_t *)&engine->rows_async, NULL);
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
    huge_cancel(&engine->huge);
    exporter_stop(engine->exporter);
    engine_start_give_up(engine);
    engine_node_begin_stop(engine);
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
    if (engine->delivery != NULL) {
        engine->closing++;
        delivery_destroy(engine->delivery, on_part_closed, engine);
        engine->delivery = NULL;
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
    engine_note_late(engine, engine->beat_due_at);
    engine_moved(engine, clock_now());
    if (engine->faults != NULL)
        suffer(engine);
}

/* ---- handles ---- */

/* It came into the world with SIGTERM blocked, so that none was lost until now. */
static bool take_signals(struct engine *engine)
{
    sigset_t ended;
    engine->signal.data = engine;
    if (uv_signal_init(&engine->loop, &engine->signal) != 0 ||
        uv_signal_start(&engine->signal, on_signal, SIGTERM) != 0)
        return false;
    sigemptyset(&ended);
    sigaddset(&ended, SIGTERM);
    pthread_sigmask(SIG_UNBLOCK, &ended, NULL);
    /* A client or a peer that hangs up is an error of that write, not the end of us. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* so is a file that may not grow any more */
    return true;
}

static bool start_handles(struct engine *engine)
{
    static const int channels[2] = {FD_COMMAND, FD_LINK};
    uv_timer_init(&engine->loop, &engine->deadline_timer);
    uv_timer_init(&engine->loop, &engine->second_timer);
    uv_timer_init(&engine->loop, &engine->beat_timer);
    uv_prepare_init(&engine->loop, &engine->before_waiting);
    if (uv_async_init(&engine->loop, &engine->rows_async, engine_on_rows) != 0)
        return false;
    engine->deadline_timer.data = engine->second_timer.data = engine->beat_timer.data = engine;
    engine->before_waiting.data = engine->rows_async.data = engine;
    bool is_started = take_signals(engine);
    for (int i = 0; is_started && i < 2; i++) {
        is_started = uv_poll_init(&engine->loop, &engine->command_polls[i], channels[i]) == 0;
        engine->command_polls[i].data = engine;
    }
    return is_started;
}

void engine_start_timers(struct engine *engine)
{
    int64_t beat_ms = engine->options.heartbeat_deadline_ms / BEATS;
    engine_load_start(engine);
    engine->beat_due_at = clock_now();
    uv_timer_start(&engine->second_timer, on_second, 1000, 1000);
    uv_prepare_start(&engine->before_waiting, engine_arm_if_due);
    if (engine->faults != NULL && beat_ms > LOOK_BELOW_MS)
        beat_ms = LOOK_BELOW_MS;
    uv_timer_start(&engine->beat_timer, on_beat, 0, (uint64_t)beat_ms);
}

void engine_listen(struct engine *engine)
{
    for (int i = 0; i < 2; i++)
        uv_poll_start(&engine->command_polls[i], UV_READABLE, engine_on_commands);
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
    log_share(&engine->page->log, PROCESS_ENGINE);
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
    free(engine->restore);
    free(engine->node);
    table_memory_finish(&engine->memory);
    status_page_detach(engine->page);
    free(engine);
}

/* What is known is written while the loop stands still. */
static uint32_t drain(struct engine *engine)
{
    uint32_t unwritten = 0;
    engine_beat(engine, DRAIN_BEAT);
    huge_finish(&engine->huge);
    if (engine->writer != NULL)
        unwritten = writer_stop(engine->writer, instant_add(clock_now(), DRAIN_LIMIT));
    engine_node_end(engine);
    relay_stop(engine->relay);
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
    if (!start_handles(engine)) {
        log_error(LOGGER, "the event loop can't be set up: out of memory or descriptors");
        _exit(1); /* with half of it there is no orderly end */
    }
    bool started = engine_start(engine);
    if (!started)
        engine_begin_stop(engine);
    uv_run(&engine->loop, UV_RUN_DEFAULT);
    started = started && !engine->has_failed;
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
        bool is_wanted = await_go(engine);
        if (is_wanted)
            confine_process(PROCESS_ENGINE, options, engine->page);
        status = is_wanted ? live(engine) : 0;
    }
    release(engine);
    return status;
}
