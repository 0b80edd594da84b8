/*
 * What each event in a child's life leads to: healing steps 4 (graceful restart), 5 (emergency
 * restart) and 6 (suspects and quarantine) of the design; steps 1 to 3 are the engine's own.
 *
 * A child's state is changed by change_state() alone. The way of an engine:
 *
 *   STARTING → RUNNING → DRAINING → (dead) the standby takes over        graceful
 *            → RUNNING → DYING → (dead) → WAITING → STARTING              hung, or by force
 *            → RUNNING → (dead) → WAITING → STARTING                      crashed
 *
 * WAITING is passed through at once when the policy says so.
 */
#include "base/clock.h"
#include "base/log.h"
#include "supervisor/parts.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOGGER          "supervisor"
#define LAST_WORDS      duration_ms(5) /* for the backtrace of who hangs */
#define DEATH_LIMIT     duration_s(2)  /* a killed process that is not dead by then is stuck */
#define DRAIN_LIMIT     duration_s(6)  /* the engine takes 5 at most */
#define API_DRAIN_LIMIT duration_s(2)
#define ARGUMENTS_MAX   256

static struct ward *ward_of(struct supervisor *supervisor, const struct child *child)
{
    return child == &supervisor->api.child ? &supervisor->api : &supervisor->engine;
}

static struct page_process *page_of(struct supervisor *supervisor, const struct child *child)
{
    return &supervisor->world.page->processes[child->process];
}

static void record(struct supervisor *supervisor, const struct flight_note *note)
{
    struct flight_note ours = *note;
    ours.process = PROCESS_SUPERVISOR;
    flight_record(&supervisor->world.page->flight, clock_now(), &ours);
}

/* The one place where a child's state changes. */
static void change_state(struct supervisor *supervisor, struct child *child,
                         enum process_state state)
{
    struct page_process *shown = page_of(supervisor, child);
    record(supervisor, &(struct flight_note){.kind = FLIGHT_PROCESS,
                                             .what = child->process,
                                             .from = child->state,
                                             .to = state,
                                             .number = (uint64_t)child->pid});
    child->state = state;
    atomic_store(&shown->state, state);
    atomic_store(&shown->pid, (uint64_t)child->pid);
}

/* ---- starting ---- */

static bool spawn(struct supervisor *supervisor, struct child *child)
{
    static char name[] = "moonwatch";
    static char verbs[][8] = {[PROCESS_ENGINE] = "engine", [PROCESS_API] = "api"};
    char *argv[ARGUMENTS_MAX + 3] = {name, verbs[child->process]};
    for (int i = 0; i < ARGUMENTS_MAX && supervisor->config.arguments[i] != NULL; i++)
        argv[i + 2] = supervisor->config.arguments[i];
    const struct world *world = &supervisor->world;
    bool is_engine = child->process == PROCESS_ENGINE;
    const struct child_spec spec = {
        .program = supervisor->program,
        .argv = argv,
        .fds = {[0] = -1,
                [1] = -1,
                [2] = -1,
                [FD_PAGE] = world->page_fd,
                [FD_TABLE] = is_engine ? world->table.fd : world->table_reader_fd,
                [FD_LINK] = -1,
                [FD_COMMAND] = world->channel[is_engine ? 0 : 1],
                [FD_LISTEN] = is_engine ? -1 : supervisor->listening.fd,
                [FD_LOCK] = supervisor->state_dir.lock_fd}};
    if (child_start(child, &spec))
        return true;
    log_error(LOGGER, "cannot start a process", LOG_STRING("process", process_name(child->process)),
              LOG_STRING("error", strerror(errno)));
    return false;
}

/* The word to begin; under a drill with its faults. */
static void send_go(struct supervisor *supervisor, const struct child *child)
{
    struct command command = {.kind = COMMAND_GO, .start = supervisor->engine.verdict.start};
    char space[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {&command, sizeof command};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    int faults = supervisor->config.faults;
    if (faults >= 0) {
        message.msg_control = space;
        message.msg_controllen = sizeof space;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof faults);
        memcpy(CMSG_DATA(header), &faults, sizeof faults);
    }
    /* A fresh socket takes one message; one that is closed belongs to a dead process. */
    (void)!sendmsg(child->link, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* From now on it is the process of its kind. */
static void begin_life(struct supervisor *supervisor, struct child *child, instant now)
{
    struct page_process *shown = page_of(supervisor, child);
    struct status_page *page = supervisor->world.page;
    atomic_store(&page->crashes[child->process].is_filled, 0);
    atomic_store(&shown->started_at_us, (uint64_t)now.us);
    atomic_store(&shown->next_start_at_us, 0);
    atomic_fetch_add(&shown->starts, 1);
    ward_of(supervisor, child)->attempts++;
    ward_of(supervisor, child)->start_why[0] = '\0';
    watch_expect(page, child->process == PROCESS_ENGINE ? BEAT_ENGINE_LOOP : BEAT_API_HTTP, now,
                 duration_s(supervisor->options.start_deadline_sec));
    child->due_at = INSTANT_FAR;
    change_state(supervisor, child, PROCESS_STARTING);
    if (child->process == PROCESS_ENGINE)
        send_go(supervisor, child);
}

static void wait_for_start(struct supervisor *supervisor, struct ward *ward, instant now)
{
    ward->verdict = restart_policy_on_death(&ward->policy, now);
    struct page_process *shown = page_of(supervisor, &ward->child);
    atomic_store(&shown->next_start_at_us, (uint64_t)ward->verdict.start_at.us);
    atomic_store(&shown->deaths_last_hour, ward->verdict.deaths_last_hour);
    change_state(supervisor, &ward->child, PROCESS_WAITING);
    duration wait = instant_diff(ward->verdict.start_at, now);
    if (wait.us > 0)
        log_warning(LOGGER, "waiting before the next start",
                    LOG_STRING("process", process_name(ward->child.process)),
                    LOG_DOUBLE("seconds", duration_to_s(wait)),
                    LOG_INT("deaths_last_hour", ward->verdict.deaths_last_hour));
}

static void heal_after_death(struct supervisor *supervisor, struct ward *ward, instant now);

static void start(struct supervisor *supervisor, struct ward *ward, instant now)
{
    if (spawn(supervisor, &ward->child))
        begin_life(supervisor, &ward->child, now);
    else
        wait_for_start(supervisor, ward, now);
}

void heal_start(struct supervisor *supervisor)
{
    instant now = clock_now();
    struct page_process *shown = &supervisor->world.page->processes[PROCESS_SUPERVISOR];
    atomic_store(&shown->pid, (uint64_t)getpid());
    atomic_store(&shown->state, PROCESS_RUNNING);
    atomic_store(&shown->started_at_us, (uint64_t)now.us);
    atomic_store(&shown->ready_at_us, (uint64_t)now.us);
    atomic_store(&shown->starts, 1);
    supervisor->engine.verdict.start = supervisor->api.verdict.start = START_WARM;
    start(supervisor, &supervisor->engine, now);
    start(supervisor, &supervisor->api, now);
}

/* ---- ending ---- */

/* Under a drill, a process that cannot be killed. */
static void kill_now(struct supervisor *supervisor, struct child *child)
{
    if (fault_armed(supervisor->faults, FAULT_NO_DEATH) == 0)
        child_signal(child, SIGKILL, 0);
    child->due_at = instant_add(clock_now(), DEATH_LIMIT);
}

static void kill_by_force(struct supervisor *supervisor, struct ward *ward,
                          const struct incident_death *death)
{
    if (ward->child.pid == 0 || ward->child.state == PROCESS_DYING)
        return;
    ward->death = *death;
    ward->is_doomed = true;
    ward->is_killed = death->beat == BEAT_COUNT;
    change_state(supervisor, &ward->child, PROCESS_DYING);
    if (ward->is_killed) {
        kill_now(supervisor, &ward->child);
        return;
    }
    /* First a signal that makes it say where it is; it has a moment for that. */
    uint64_t thread = atomic_load(&supervisor->world.page->beats[death->beat].thread);
    child_signal(&ward->child, SIGABRT, (pid_t)thread);
    ward->child.due_at = instant_add(clock_now(), LAST_WORDS);
}

static void tell_to_end(struct supervisor *supervisor, struct child *child, duration limit)
{
    if (child->pid == 0 || child->state == PROCESS_DYING || child->state == PROCESS_DRAINING)
        return;
    child_signal(child, SIGTERM, 0);
    child->due_at = instant_add(clock_now(), limit);
    change_state(supervisor, child, PROCESS_DRAINING);
}

void heal_stop(struct supervisor *supervisor)
{
    supervisor->is_stopping = true;
    child_signal(&supervisor->standby, SIGKILL, 0);
    tell_to_end(supervisor, &supervisor->engine.child, DRAIN_LIMIT);
    if (supervisor->engine.child.pid == 0)
        tell_to_end(supervisor, &supervisor->api.child, API_DRAIN_LIMIT);
}

void heal_kill_all(struct supervisor *supervisor)
{
    child_signal(&supervisor->standby, SIGKILL, 0);
    child_signal(&supervisor->engine.child, SIGKILL, 0);
    child_signal(&supervisor->api.child, SIGKILL, 0);
}

bool heal_is_over(const struct supervisor *supervisor)
{
    return supervisor->is_stopping && supervisor->engine.child.pid == 0 &&
           supervisor->standby.pid == 0 && supervisor->api.child.pid == 0;
}

/* ---- leaving behind ---- */

/* The api maps what is renewed: it is replaced, while connections wait in the socket. */
static void replace_api(struct supervisor *supervisor)
{
    tell_to_end(supervisor, &supervisor->api.child, API_DRAIN_LIMIT);
}

/* Killed and not dead: it stands in the kernel. Whatever it shares is left to it; should it ever
 * wake, its socket to us is closed, and the store refuses its generation. */
static void leave_behind(struct supervisor *supervisor, struct ward *ward, instant now)
{
    log_error(LOGGER, "a killed process does not die; it is left behind, and cannot write any more",
              LOG_STRING("process", process_name(ward->child.process)),
              LOG_INT("pid", ward->child.pid));
    ward->death.cause = INCIDENT_UNAWAITABLE;
    ward->verdict.start = START_COLD;
    if (!world_renew(&supervisor->world))
        log_error(LOGGER, "no memory for copies of what it shares",
                  LOG_STRING("error", strerror(errno)));
    if (ward == &supervisor->engine) {
        atomic_store(&supervisor->world.page->unawaited_pid, (uint64_t)ward->child.pid);
        replace_api(supervisor);
    } else if (supervisor->engine.child.pid != 0) {
        heal_restart(supervisor, "the api could not be awaited");
    }
    child_abandon(&ward->child);
    heal_after_death(supervisor, ward, now);
}

/* ---- deaths ---- */

static bool is_asked_for(const struct ward *ward)
{
    return ward->child.state == PROCESS_DRAINING;
}

/* An engine that was never at work and says that it cannot be: a wrong option, a database in use.
 * Another try would not mend it, and a person is watching. */
static bool is_hopeless(const struct supervisor *supervisor, const struct ward *ward)
{
    return !ward->was_ready && ward->child.status_code == CLD_EXITED && ward->child.status != 0 &&
           !supervisor->is_stopping;
}

/* What is known of a death that nobody asked for. */
static struct incident_death explain_death(struct supervisor *supervisor, const struct ward *ward,
                                           instant now)
{
    bool is_exit = ward->child.status_code == CLD_EXITED;
    struct incident_death death = {.cause = is_exit ? INCIDENT_EXIT : INCIDENT_SIGNAL,
                                   .beat = BEAT_COUNT};
    if (ward->is_doomed)
        death = ward->death; /* we killed it, and know why */
    else if (!is_exit && ward->child.status == SIGKILL && memory_was_killed(&supervisor->memory))
        death.cause = INCIDENT_OUT_OF_MEMORY;
    death.at = now;
    death.process = ward->child.process;
    death.pid = (pid_t)atomic_load(&page_of(supervisor, &ward->child)->pid);
    death.signal = is_exit ? 0 : ward->child.status;
    death.exit_status = is_exit ? ward->child.status : 0;
    death.generation = (uint64_t)page_get(supervisor->world.page, GAUGE_GENERATION);
    return death;
}

/* One incident tells of all deaths until one is ready. */
static void open_incident(struct supervisor *supervisor, struct ward *ward, instant now)
{
    struct incident_death death = explain_death(supervisor, ward, now);
    ward->is_doomed = false;
    if (ward->incident.number != 0)
        return;
    ward->died_at = now;
    ward->attempts = 0;
    incident_begin(&supervisor->incidents, &ward->incident, supervisor->world.page, &death);
}

static void close_incident(struct supervisor *supervisor, struct ward *ward, instant now)
{
    struct suspects *suspects = &supervisor->world.page->suspects;
    if (ward->incident.number == 0)
        return;
    struct incident_healing healing = {
        .action = HEALING_EMERGENCY_RESTART,
        .start = ward == &supervisor->engine ? ward->verdict.start : START_NONE,
        .attempts = ward->attempts,
        .replaced_after = instant_diff(now, ward->died_at),
        .quarantined = suspects_count(suspects, SUSPECT_QUARANTINED),
    };
    healing.suspects_now = healing.quarantined + suspects_count(suspects, SUSPECT_WATCHED);
    snprintf(healing.why, sizeof healing.why, "%s", ward->start_why);
    incident_finish(&supervisor->incidents, &ward->incident, &healing, supervisor->world.page);
}

static void blame_tokens(struct supervisor *supervisor, instant now)
{
    struct status_page *page = supervisor->world.page;
    size_t quarantined = suspects_on_death(&page->suspects, &page->in_hand, now,
                                           duration_s(supervisor->options.quarantine_sec));
    atomic_store(&page->in_hand.count, 0);
    if (quarantined == 0)
        return;
    page_add(page, COUNTER_QUARANTINED, quarantined);
    record(supervisor, &(struct flight_note){.kind = FLIGHT_HEALING,
                                             .what = PROCESS_ENGINE,
                                             .to = HEALED_BY_QUARANTINE,
                                             .number = quarantined});
    log_error(LOGGER, "a token was in hand at two deaths: it is in quarantine",
              LOG_INT("tokens", quarantined));
}

static void promote_standby(struct supervisor *supervisor, instant now)
{
    supervisor->engine.child = supervisor->standby;
    child_init(&supervisor->standby, PROCESS_ENGINE);
    supervisor->standby_is_ready = false;
    supervisor->engine.verdict = (struct restart_verdict){.start_at = now, .start = START_WARM};
    begin_life(supervisor, &supervisor->engine.child, now);
}

/* It ended as it was told to. */
static void go_on_after_end(struct supervisor *supervisor, struct ward *ward, instant now)
{
    bool is_engine = ward == &supervisor->engine;
    change_state(supervisor, &ward->child, PROCESS_ABSENT);
    if (supervisor->is_stopping) {
        if (is_engine && ward->child.status != 0)
            supervisor->exit_status = 1;
        if (is_engine)
            tell_to_end(supervisor, &supervisor->api.child, API_DRAIN_LIMIT);
        return;
    }
    if (is_engine && supervisor->standby.pid != 0) {
        page_add(supervisor->world.page, COUNTER_GRACEFUL_RESTARTS, 1);
        promote_standby(supervisor, now);
        return;
    }
    ward->verdict = (struct restart_verdict){.start_at = now, .start = START_WARM};
    start(supervisor, ward, now);
}

static void give_up(struct supervisor *supervisor, struct ward *ward)
{
    change_state(supervisor, &ward->child, PROCESS_ABSENT);
    supervisor->exit_status = 1;
    heal_stop(supervisor);
}

/* Everything that a death leads to, but for those that were asked for. The new process comes
 * first; what is written about it can wait. */
static void heal_after_death(struct supervisor *supervisor, struct ward *ward, instant now)
{
    struct status_page *page = supervisor->world.page;
    bool is_engine = ward == &supervisor->engine;
    watch_forget(page, ward->child.process);
    if (is_hopeless(supervisor, ward)) {
        give_up(supervisor, ward);
        return;
    }
    open_incident(supervisor, ward, now);
    if (is_engine)
        blame_tokens(supervisor, now);
    page_add(page, is_engine ? COUNTER_EMERGENCY_RESTARTS : COUNTER_API_RESTARTS, 1);
    wait_for_start(supervisor, ward, now);
    heal_look(supervisor, now);
    if (is_engine)
        state_dir_save_suspects(&supervisor->state_dir, &page->suspects);
}

static void on_death(struct supervisor *supervisor, struct ward *ward, instant now)
{
    if (!child_reap(&ward->child))
        return;
    if (supervisor->is_stopping || is_asked_for(ward)) {
        watch_forget(supervisor->world.page, ward->child.process);
        go_on_after_end(supervisor, ward, now);
    } else {
        heal_after_death(supervisor, ward, now);
    }
}

static void on_standby_death(struct supervisor *supervisor)
{
    if (!child_reap(&supervisor->standby) || supervisor->is_stopping)
        return;
    supervisor->standby_is_ready = false;
    log_error(LOGGER, "the engine that was to take over ended; the present one goes on",
              LOG_INT("status", supervisor->standby.status));
}

void heal_on_death(struct supervisor *supervisor, instant now)
{
    on_standby_death(supervisor);
    on_death(supervisor, &supervisor->engine, now);
    on_death(supervisor, &supervisor->api, now);
}

/* ---- what children report ---- */

static void tell_systemd(const struct supervisor *supervisor)
{
    const struct page_process *engine = &supervisor->world.page->processes[PROCESS_ENGINE];
    char status[128];
    snprintf(status, sizeof status, "STATUS=engine %s, %llu starts",
             process_state_name(supervisor->engine.child.state),
             (unsigned long long)atomic_load(&engine->starts));
    notify_send(&supervisor->notify, status);
}

/* What a person opens: the address as it was given, with the port that was bound. */
static void tell_address(const struct supervisor *supervisor)
{
    const char *listen = supervisor->options.listen;
    const char *colon = strrchr(listen, ':');
    int host = colon == NULL ? (int)strlen(listen) : (int)(colon - listen);
    char url[OPTION_TEXT_SIZE + 32];
    snprintf(url, sizeof url, "http://%.*s:%u", host, listen, supervisor->listening.port);
    log_info("api", "listening", LOG_INT("port", supervisor->listening.port),
             LOG_STRING("url", url));
}

static void note_first_time(struct supervisor *supervisor)
{
    if (supervisor->was_up || !supervisor->engine.was_ready || !supervisor->api.was_ready)
        return;
    supervisor->was_up = true;
    tell_address(supervisor);
    notify_send(&supervisor->notify, "READY=1");
}

static void on_ready(struct supervisor *supervisor, struct ward *ward)
{
    instant now = clock_now();
    struct page_process *shown = page_of(supervisor, &ward->child);
    if (ward->child.state != PROCESS_STARTING)
        return;
    atomic_store(&shown->ready_at_us, (uint64_t)now.us);
    change_state(supervisor, &ward->child, PROCESS_RUNNING);
    ward->was_ready = true;
    close_incident(supervisor, ward, now);
    if (ward == &supervisor->engine && supervisor->is_api_stale) {
        supervisor->is_api_stale = false;
        replace_api(supervisor);
    }
    note_first_time(supervisor);
    tell_systemd(supervisor);
}

static void on_standby(struct supervisor *supervisor)
{
    supervisor->standby_is_ready = true;
    tell_to_end(supervisor, &supervisor->engine.child, DRAIN_LIMIT);
}

void heal_on_report(struct supervisor *supervisor, const struct child *child,
                    const struct report *report)
{
    struct ward *ward = ward_of(supervisor, child);
    switch ((enum report_kind)report->kind) {
    case REPORT_STANDBY:
        if (child == &supervisor->standby)
            on_standby(supervisor);
        return;
    case REPORT_READY:
        on_ready(supervisor, ward);
        return;
    case REPORT_REFUSED:
        log_error(LOGGER, "a process does not start",
                  LOG_STRING("process", process_name(child->process)),
                  LOG_STRING("why", report->why));
        return;
    case REPORT_RESTART:
        heal_restart(supervisor, report->why);
        return;
    case REPORT_COLD:
        ward->verdict.start = START_COLD;
        snprintf(ward->start_why, sizeof ward->start_why, "%s", report->why);
        return;
    }
    log_error(LOGGER, "a report of no known kind was ignored", LOG_INT("kind", report->kind));
}

/* ---- restarts on purpose ---- */

void heal_restart(struct supervisor *supervisor, const char *why)
{
    instant now = clock_now();
    if (supervisor->is_stopping || supervisor->standby.pid != 0)
        return;
    log_info(LOGGER, "restarting gracefully", LOG_STRING("why", why));
    supervisor->is_api_stale = true;
    record(supervisor, &(struct flight_note){.kind = FLIGHT_HEALING,
                                             .what = PROCESS_ENGINE,
                                             .to = HEALED_GRACEFULLY});
    if (supervisor->engine.child.pid == 0) {
        supervisor->engine.verdict.start_at = now; /* it waits: then at once */
        return;
    }
    if (!spawn(supervisor, &supervisor->standby))
        return;
    supervisor->standby_is_ready = false;
    supervisor->standby.due_at =
        instant_add(now, duration_s(supervisor->options.start_deadline_sec));
}

void heal_emergency(struct supervisor *supervisor, const char *why)
{
    const struct incident_death death = {.cause = INCIDENT_COMMAND, .beat = BEAT_COUNT};
    log_warning(LOGGER, "emergency restart of the engine", LOG_STRING("why", why));
    if (supervisor->engine.child.pid == 0)
        supervisor->engine.verdict.start_at = clock_now();
    kill_by_force(supervisor, &supervisor->engine, &death);
}

/* ---- times that are over ---- */

static void look_at_beats(struct supervisor *supervisor, instant now)
{
    struct status_page *page = supervisor->world.page;
    struct watch_verdict verdict = watch_look(&supervisor->watch, page, now);
    supervisor->watch_at = verdict.look_at;
    if (verdict.overdue == BEAT_COUNT)
        return;
    struct ward *ward =
        beat_process(verdict.overdue) == PROCESS_API ? &supervisor->api : &supervisor->engine;
    const struct incident_death death = {
        .cause = INCIDENT_HANG, .beat = verdict.overdue, .silent = verdict.silent};
    log_error(LOGGER, "a process does not move; it is killed and started afresh",
              LOG_STRING("process", process_name(ward->child.process)),
              LOG_STRING("thread", beat_name(verdict.overdue)),
              LOG_DOUBLE("silent_s", duration_to_s(verdict.silent)));
    page_add(page, COUNTER_HANGS, 1);
    kill_by_force(supervisor, ward, &death);
}

static bool is_over(const struct child *child, instant now)
{
    return child->pid != 0 && !instant_before(now, child->due_at);
}

static void look_at_ward(struct supervisor *supervisor, struct ward *ward, instant now)
{
    struct child *child = &ward->child;
    if (child->state == PROCESS_WAITING && !supervisor->is_stopping &&
        !instant_before(now, ward->verdict.start_at)) {
        start(supervisor, ward, now);
        return;
    }
    if (!is_over(child, now))
        return;
    if (child->state == PROCESS_DRAINING) {
        log_error(LOGGER, "a process does not end as it was told to; it is killed",
                  LOG_STRING("process", process_name(child->process)));
        kill_now(supervisor, child);
        child->state = PROCESS_DRAINING; /* it stays asked for */
        supervisor->exit_status = supervisor->is_stopping ? 1 : supervisor->exit_status;
    } else if (child->state == PROCESS_DYING && !ward->is_killed) {
        ward->is_killed = true;
        kill_now(supervisor, child);
    } else if (child->state == PROCESS_DYING) {
        leave_behind(supervisor, ward, now);
    }
}

void heal_look(struct supervisor *supervisor, instant now)
{
    look_at_ward(supervisor, &supervisor->engine, now);
    look_at_ward(supervisor, &supervisor->api, now);
    if (is_over(&supervisor->standby, now) && !supervisor->standby_is_ready) {
        log_error(LOGGER, "the engine that was to take over does not get ready; it is killed");
        kill_now(supervisor, &supervisor->standby);
    }
    if (!supervisor->is_stopping)
        look_at_beats(supervisor, now);
}

static instant ward_deadline(const struct ward *ward)
{
    return ward->child.state == PROCESS_WAITING ? ward->verdict.start_at : ward->child.due_at;
}

instant heal_deadline(const struct supervisor *supervisor)
{
    instant deadline =
        instant_min(ward_deadline(&supervisor->engine), ward_deadline(&supervisor->api));
    if (!supervisor->standby_is_ready)
        deadline = instant_min(deadline, supervisor->standby.due_at);
    return instant_min(deadline, supervisor->watch_at);
}
