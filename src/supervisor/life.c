/* See life.h. */
#include "supervisor/life.h"

#include "base/clock.h"
#include "base/log.h"
#include "page/passed_fd.h"
#include "supervisor/parts.h"
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define LOGGER      "supervisor"
#define LAST_WORDS  duration_ms(5) /* for the backtrace of who hangs */
#define DEATH_LIMIT duration_s(2)  /* a killed process that is not dead by then is stuck */

bool life_permits(enum process_state from, enum process_state to)
{
    static const bool permitted[PROCESS_STATE_COUNT][PROCESS_STATE_COUNT] = {
#define X(from, to, when) [from][to] = true,
        LIFE_LIST(X)
#undef X
    };
    return (unsigned)from < PROCESS_STATE_COUNT && (unsigned)to < PROCESS_STATE_COUNT &&
           permitted[from][to];
}

static bool is_standby(const struct supervisor *supervisor, const struct child *child)
{
    return child == &supervisor->standby;
}

static void tell_systemd(const struct supervisor *supervisor)
{
    char status[128];
    snprintf(status, sizeof status, "STATUS=engine %s, api %s",
             process_state_name(supervisor->engine.child.state),
             process_state_name(supervisor->api.child.state));
    notify_send(&supervisor->notify, status);
}

void life_change(struct supervisor *supervisor, struct child *child, enum process_state to)
{
    struct page_process *shown = &supervisor->world.page->processes[child->process];
    assert(life_permits(child->state, to));
    flight_record(&supervisor->world.page->flight, clock_now(),
                  &(struct flight_note){.kind = FLIGHT_PROCESS,
                                        .process = PROCESS_SUPERVISOR,
                                        .what = child->process,
                                        .from = child->state,
                                        .to = to,
                                        .number = (uint64_t)child->last_pid});
    child->state = to;
    if (is_standby(supervisor, child))
        return;
    atomic_store(&shown->state, to);
    atomic_store(&shown->pid, (uint64_t)child->pid);
    tell_systemd(supervisor);
}

/* ---- starting ---- */

bool life_spawn(struct supervisor *supervisor, struct child *child)
{
    static char name[] = "moonwatch";
    static char verbs[][8] = {[PROCESS_ENGINE] = "engine", [PROCESS_API] = "api"};
    char *argv[ARGUMENTS_MAX + 3] = {name, verbs[child->process]};
    for (int i = 0; supervisor->config.arguments[i] != NULL; i++) /* they fit: they were counted */
        argv[i + 2] = supervisor->config.arguments[i];
    const struct world *world = &supervisor->world;
    bool is_engine = child->process == PROCESS_ENGINE;
    const struct child_spec spec = {
        .program = supervisor->is_program_refused ? supervisor->own_program : supervisor->program,
        .argv = argv,
        .fds = {[0] = -1,
                [1] = -1,
                [2] = -1,
                [FD_PAGE] = world->page_fd,
                [FD_TABLE] = is_engine ? world->table.fd : world->table_reader_fd,
                [FD_LINK] = -1,
                [FD_COMMAND] = world->channel[is_engine ? 0 : 1],
                [FD_HISTORY] = world->history[is_engine ? 0 : 1],
                [FD_LISTEN] = is_engine ? -1 : supervisor->listening.fd,
                [FD_LOCK] = supervisor->state_dir.lock_fd}};
    if (child_start(child, &spec))
        return true;
    log_error(LOGGER, "cannot start a process", LOG_STRING("child", process_name(child->process)),
              LOG_STRING("program", spec.program), LOG_STRING("error", strerror(errno)));
    supervisor->is_program_refused = true; /* our own is there as long as we are */
    return false;
}

/* The word to begin; under a drill with its faults. */
static void send_go(const struct supervisor *supervisor)
{
    struct command command = {.kind = COMMAND_GO, .start = supervisor->engine.verdict.start};
    union passed_fd passed;
    struct iovec part = {&command, sizeof command};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (supervisor->config.faults >= 0)
        passed_fd_give(&passed, supervisor->config.faults, &message);
    /* A fresh socket takes one message; one that is closed belongs to a dead process. */
    (void)!sendmsg(supervisor->engine.child.link, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void life_begin(struct supervisor *supervisor, struct ward *ward, instant now)
{
    struct status_page *page = supervisor->world.page;
    struct child *child = &ward->child;
    struct page_process *shown = &page->processes[child->process];
    bool is_engine = child->process == PROCESS_ENGINE;
    atomic_store(&page->crashes[child->process].is_filled, 0);
    atomic_store(&shown->started_at_us, (uint64_t)now.us);
    atomic_store(&shown->next_start_at_us, 0);
    atomic_fetch_add(&shown->starts, 1);
    ward->attempts++;
    ward->start_why[0] = '\0';
    watch_expect(page, is_engine ? BEAT_ENGINE_LOOP : BEAT_API_HTTP, now,
                 duration_s(supervisor->options.start_deadline_sec));
    child->due_at = INSTANT_FAR;
    life_change(supervisor, child, PROCESS_STARTING);
    if (is_engine)
        send_go(supervisor);
}

bool life_take_standby(struct supervisor *supervisor)
{
    struct child *standby = &supervisor->standby, *engine = &supervisor->engine.child;
    if (standby->state != PROCESS_STARTING && standby->state != PROCESS_WAITING)
        return false;
    enum process_state state = engine->state;
    life_change(supervisor, standby, PROCESS_ABSENT);
    *engine = *standby;
    engine->state = state;
    child_init(standby, PROCESS_ENGINE);
    return true;
}

/* ---- ending ---- */

void life_tell_to_end(struct supervisor *supervisor, struct child *child, duration limit)
{
    if (child->state != PROCESS_STARTING && child->state != PROCESS_RUNNING)
        return;
    child_signal(child, SIGTERM, 0);
    child->due_at = instant_add(clock_now(), limit);
    life_change(supervisor, child, PROCESS_DRAINING);
}

/* Under a drill, kills may not arrive. */
static void send_death(const struct supervisor *supervisor, const struct child *child, int number,
                       pid_t thread)
{
    if (fault_armed(supervisor->faults, FAULT_NO_DEATH) == 0)
        child_signal(child, number, thread);
}

void life_end_by_force(struct supervisor *supervisor, struct child *child, pid_t thread)
{
    child->is_killed = thread == 0;
    send_death(supervisor, child, child->is_killed ? SIGKILL : SIGABRT, thread);
    child->due_at = instant_add(clock_now(), child->is_killed ? DEATH_LIMIT : LAST_WORDS);
    life_change(supervisor, child, PROCESS_DYING);
}

bool life_press(struct supervisor *supervisor, struct child *child)
{
    if (child->is_killed)
        return false;
    child->is_killed = true;
    send_death(supervisor, child, SIGKILL, 0);
    child->due_at = instant_add(clock_now(), DEATH_LIMIT);
    return true;
}
