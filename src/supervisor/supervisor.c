/* The supervisor's parts, its loop and its end. See the header. */
#include "supervisor/supervisor.h"

#include "base/clock.h"
#include "base/log.h"
#include "page/confinement.h"
#include "supervisor/death.h"
#include "supervisor/parts.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define LOGGER          "supervisor"
#define MESSAGES_A_TURN 64 /* of a child that reports without end; the others have their turn */

/* What the loop waits for, by place. */
enum {
    POLL_SIGNALS,
    POLL_CHILDREN, /* pidfd and link of each */
    POLL_CONTROL = POLL_CHILDREN + 6,
    POLL_COUNT = POLL_CONTROL + CONTROL_POLLS
};

/* ---- what comes in ---- */

static void on_signals(struct supervisor *supervisor)
{
    struct signalfd_siginfo info;
    while (read(supervisor->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            heal_restart(supervisor, "asked for by SIGHUP", INCIDENT_NOT_DRAINED);
            continue;
        }
        if (supervisor->is_stopping) {
            log_warning(LOGGER, "asked again to stop; ending at once");
            heal_kill_all(supervisor);
            supervisor->exit_status = 1;
            continue;
        }
        log_info(LOGGER, "stopping", LOG_STRING("signal", strsignal((int)info.ssi_signo)));
        notify_send(&supervisor->notify, "STOPPING=1");
        heal_stop(supervisor);
    }
}

union message {
    struct report report;
    struct reply reply;
};

static void on_message(struct supervisor *supervisor, const struct child *child,
                       union message *message, size_t size)
{
    if (size == sizeof message->report) {
        message->report.why[sizeof message->report.why - 1] = '\0';
        heal_on_report(supervisor, child, &message->report);
    } else if (size == sizeof message->reply) {
        message->reply.message[sizeof message->reply.message - 1] = '\0';
        control_on_reply(&supervisor->control, &message->reply);
    }
}

/* Reports and replies of a child. An end that it has closed is closed here, too: what it does
 * without, its pidfd and its heartbeat tell, and poll() would return at once for ever. */
static void on_link(struct supervisor *supervisor, struct child *child)
{
    union message message;
    for (int i = 0; i < MESSAGES_A_TURN && child->link >= 0; i++) {
        ssize_t size = recv(child->link, &message, sizeof message, MSG_DONTWAIT);
        if (size < 0 && errno == EAGAIN)
            return;
        if (size <= 0) {
            close(child->link);
            child->link = -1;
            return;
        }
        on_message(supervisor, child, &message, (size_t)size);
    }
}

bool supervisor_tell_engine(struct supervisor *supervisor, const struct command *command)
{
    const struct child *engine = &supervisor->engine.child;
    return engine->link >= 0 && engine->state == PROCESS_RUNNING &&
           send(engine->link, command, sizeof *command, MSG_DONTWAIT | MSG_NOSIGNAL) ==
               (ssize_t)sizeof *command;
}

/* ---- once a second ---- */

static void watch_memory(struct supervisor *supervisor, instant now)
{
    struct page_process *engine = &supervisor->world.page->processes[PROCESS_ENGINE];
    struct page_process *api = &supervisor->world.page->processes[PROCESS_API];
    const struct child *child = &supervisor->engine.child;
    atomic_store(&supervisor->world.page->processes[PROCESS_SUPERVISOR].resident_bytes,
                 memory_resident(getpid()));
    atomic_store(&api->resident_bytes, memory_resident(supervisor->api.child.pid));
    uint64_t resident = memory_resident(child->pid);
    atomic_store(&engine->resident_bytes, resident);
    if (child->state == PROCESS_RUNNING && supervisor->standby.pid == 0 &&
        memory_is_over(&supervisor->memory, child->pid, resident, now) &&
        !heal_restart(supervisor, "the engine grew beyond its memory limit",
                      INCIDENT_MEMORY_CEILING))
        memory_retry(&supervisor->memory, now);
}

static void reap_others(const struct supervisor *supervisor)
{
    const pid_t ours[] = {supervisor->engine.child.pid, supervisor->standby.pid,
                          supervisor->api.child.pid};
    child_reap_others(ours, sizeof ours / sizeof ours[0]);
}

static void on_second(struct supervisor *supervisor, instant now)
{
    struct world *world = &supervisor->world;
    supervisor->second_at = instant_add(now, duration_s(1));
    if (supervisor->faults != NULL)
        clock_mislead(duration_us((int64_t)fault_armed(supervisor->faults, FAULT_CLOCK)));
    if (clock_discipline()) {
        page_add(world->page, COUNTER_CLOCK_STEPS, 1);
        flight_record(&world->page->flight, now,
                      &(struct flight_note){.kind = FLIGHT_CLOCK,
                                            .process = PROCESS_SUPERVISOR,
                                            .number = (uint64_t)clock_offset().us});
        log_warning(LOGGER,
                    "the wall clock was set; ages do not depend on it, times shown follow slowly",
                    LOG_DOUBLE("offset_s", duration_to_s(clock_offset())));
    }
    page_set(world->page, GAUGE_CLOCK_OFFSET, duration_to_s(clock_offset()));
    atomic_store(&world->page->processes[PROCESS_ENGINE].deaths_last_hour,
                 restart_policy_deaths(&supervisor->engine.policy, now));
    atomic_store(&world->page->processes[PROCESS_API].deaths_last_hour,
                 restart_policy_deaths(&supervisor->api.policy, now));
    watch_memory(supervisor, now);
    death_keep_suspects(supervisor);
    incidents_retry(&supervisor->incidents, world->page);
    control_on_second(&supervisor->control, now);
    reap_others(supervisor);
}

/* ---- the loop ---- */

static void fill_polls(const struct supervisor *supervisor, struct pollfd polls[POLL_COUNT])
{
    const struct child *children[] = {&supervisor->engine.child, &supervisor->standby,
                                      &supervisor->api.child};
    polls[POLL_SIGNALS] = (struct pollfd){.fd = supervisor->signal_fd, .events = POLLIN};
    for (int i = 0; i < 3; i++) {
        polls[POLL_CHILDREN + 2 * i] = (struct pollfd){.fd = children[i]->pidfd, .events = POLLIN};
        polls[POLL_CHILDREN + 2 * i + 1] =
            (struct pollfd){.fd = children[i]->link, .events = POLLIN};
    }
    control_polls(&supervisor->control, &polls[POLL_CONTROL]);
}

/* False: nothing came, it is only that time has passed. */
static bool wait_for_something(const struct supervisor *supervisor, struct pollfd polls[POLL_COUNT])
{
    instant deadline = instant_min(heal_deadline(supervisor), supervisor->second_at);
    deadline = instant_min(deadline, supervisor->notify.next);
    int64_t wait_us = instant_diff(deadline, clock_now()).us;
    wait_us = wait_us < 0 ? 0 : wait_us;
    const struct timespec wait = {.tv_sec = wait_us / 1000000, .tv_nsec = wait_us % 1000000 * 1000};
    fill_polls(supervisor, polls);
    int ready = ppoll(polls, POLL_COUNT, &wait, NULL);
    if (ready < 0)
        for (int i = 0; i < POLL_COUNT; i++)
            polls[i].revents = 0;
    return ready != 0;
}

static void take_what_came(struct supervisor *supervisor, instant now)
{
    on_signals(supervisor);
    /* The last words of who is dead before its death. */
    on_link(supervisor, &supervisor->engine.child);
    on_link(supervisor, &supervisor->standby);
    on_link(supervisor, &supervisor->api.child);
    heal_on_death(supervisor, now);
}

/* Most turns are only to look at the heartbeats. */
static void turn(struct supervisor *supervisor)
{
    struct pollfd polls[POLL_COUNT];
    bool has_come = wait_for_something(supervisor, polls);
    instant now = clock_now();
    bool is_second = !instant_before(now, supervisor->second_at);
    if (has_come || is_second)
        take_what_came(supervisor, now);
    heal_look(supervisor, clock_now());
    if (has_come)
        control_on_polls(supervisor, &polls[POLL_CONTROL], now);
    if (is_second)
        on_second(supervisor, now);
    notify_watchdog(&supervisor->notify, now);
}

/* ---- start and end ---- */

static bool open_signals(struct supervisor *supervisor)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL); /* who ignores it, as our parent may have, can await no death */
    supervisor->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return supervisor->signal_fd >= 0;
}

/* Its path, so that a file that was replaced is what the next child runs. */
static bool find_program(struct supervisor *supervisor, char why[512])
{
    const char *given = supervisor->config.program;
    char *path = supervisor->program;
    supervisor->own_program = given != NULL ? given : "/proc/self/exe";
    errno = ENAMETOOLONG;
    ssize_t length = given != NULL ? snprintf(path, PATH_MAX, "%s", given)
                                   : readlink(supervisor->own_program, path, PATH_MAX - 1);
    if (length > 0 && length < PATH_MAX) {
        path[length] = '\0';
        return true;
    }
    snprintf(why, 512, "the program to start can't be told: %s", strerror(errno));
    return false;
}

static bool open_listening(struct supervisor *supervisor, char why[512])
{
    const struct options *options = &supervisor->options;
    return listen_open(options->listen, options->api_token[0] != '\0', &supervisor->listening, why);
}

/* So that no descriptor of ours is where a child expects one of its own: before any is opened. */
static bool occupy_places(struct supervisor *supervisor)
{
    int *faults = &supervisor->config.faults;
    if (*faults >= 0 && (*faults = fcntl(*faults, F_DUPFD_CLOEXEC, FD_INHERITED_END)) < 0)
        return false;
    for (int place = FD_PAGE; place < FD_INHERITED_END; place++) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (fd < 0 || (fd != place && dup3(fd, place, O_CLOEXEC) < 0))
            return false;
        if (fd != place)
            close(fd);
    }
    return true;
}

static bool open_state_dir(struct supervisor *supervisor, char why[512])
{
    char path[PATH_MAX];
    state_dir_path(&supervisor->options, path);
    return state_dir_open(&supervisor->state_dir, path, why) &&
           state_dir_lock(&supervisor->state_dir, duration_s(STATE_DIR_PATIENCE_SEC), why);
}

static bool arguments_fit(char *const *arguments)
{
    int count = 0;
    while (count <= ARGUMENTS_MAX && arguments[count] != NULL)
        count++;
    return count <= ARGUMENTS_MAX;
}

static void map_faults(struct supervisor *supervisor)
{
    if (supervisor->config.faults < 0)
        return;
    void *faults = mmap(NULL, sizeof(struct faults), PROT_READ | PROT_WRITE, MAP_SHARED,
                        supervisor->config.faults, 0);
    supervisor->faults = faults == MAP_FAILED ? NULL : faults;
}

static bool start_parts(struct supervisor *supervisor, char why[512])
{
    const struct options *options = &supervisor->options;
    if (!find_program(supervisor, why))
        return false;
    if (!open_signals(supervisor)) {
        snprintf(why, 512, "no descriptors to start with: %s", strerror(errno));
        return false;
    }
    if (!arguments_fit(supervisor->config.arguments)) {
        snprintf(why, 512, "more than %d arguments; put options into a file (--config)",
                 ARGUMENTS_MAX);
        return false;
    }
    if (!open_state_dir(supervisor, why) || !open_listening(supervisor, why) ||
        !world_init(&supervisor->world, options, why) ||
        !control_init(&supervisor->control, supervisor->state_dir.fd, why))
        return false;
    instant now = clock_now();
    clock_share(&supervisor->world.page->clock);
    log_share(&supervisor->world.page->log, PROCESS_SUPERVISOR);
    confine_process(PROCESS_SUPERVISOR, options, supervisor->world.page);
    map_faults(supervisor);
    state_dir_load_suspects(&supervisor->state_dir, &supervisor->world.page->suspects);
    incidents_init(&supervisor->incidents, supervisor->state_dir.incidents_fd,
                   options->incidents_max);
    struct restart_limits limits = restart_limits_of(options);
    restart_policy_init(&supervisor->engine.policy, &limits, (uint64_t)now.us);
    restart_policy_init(&supervisor->api.policy, &limits, (uint64_t)now.us + 1);
    watch_init(&supervisor->watch, duration_ms(options->heartbeat_deadline_ms));
    memory_watch_init(&supervisor->memory, options);
    supervisor->second_at = now;
    return true;
}

static void finish_parts(struct supervisor *supervisor)
{
    control_finish(&supervisor->control, supervisor->state_dir.fd);
    world_finish(&supervisor->world);
    if (supervisor->listening.fd >= 0)
        close(supervisor->listening.fd);
    if (supervisor->signal_fd >= 0)
        close(supervisor->signal_fd);
    if (supervisor->faults != NULL)
        munmap(supervisor->faults, sizeof *supervisor->faults);
    notify_finish(&supervisor->notify);
    state_dir_close(&supervisor->state_dir);
}

int supervisor_run(const struct supervisor_config *config)
{
    /* Static: it is large, there is one, and nothing of it is ever given back. */
    static struct supervisor supervisor;
    char why[512] = "";
    supervisor = (struct supervisor){
        .options = *config->options,
        .config = *config,
        .world = {.page_fd = -1,
                  .table = {.fd = -1},
                  .table_reader_fd = -1,
                  .channel = {-1, -1},
                  .history = {-1, -1}},
        .listening = {.fd = -1},
        .state_dir = {.fd = -1, .incidents_fd = -1, .lock_fd = -1},
        .control = {.fd = -1},
        .signal_fd = -1,
        .drain_cause = INCIDENT_NOT_DRAINED,
    };
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        supervisor.control.clients[i].fd = -1;
    child_init(&supervisor.engine.child, PROCESS_ENGINE);
    child_init(&supervisor.standby, PROCESS_ENGINE);
    child_init(&supervisor.api.child, PROCESS_API);
    bool has_places = occupy_places(&supervisor);
    notify_init(&supervisor.notify, clock_now());
    if (has_places && start_parts(&supervisor, why)) {
        heal_start(&supervisor);
        while (!heal_is_over(&supervisor))
            turn(&supervisor);
        heal_finish(&supervisor);
    } else {
        log_error(LOGGER, has_places ? why : "no descriptors to start with");
        supervisor.exit_status = 1;
    }
    finish_parts(&supervisor);
    return supervisor.exit_status;
}
