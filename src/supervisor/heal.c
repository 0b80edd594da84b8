/*
 * What each event in a child's life leads to: healing steps 4 (graceful restart), 5 (emergency
 * restart) and 6 (suspects and quarantine) of the design; steps 1 to 3 are the engine's own.
 *
 * An event is a death, a report, a wish (stop, restart) or a time that is over. The ways between
 * the states are in life.h; an engine's are mostly these:
 *
 *   STARTING → RUNNING → DRAINING → (ended) the standby takes over       graceful
 *            → RUNNING → DYING → (dead) → WAITING → STARTING              hung, or by force
 *            → RUNNING → (dead) → WAITING → STARTING                      crashed
 *
 * WAITING is passed through at once when the policy says so. A start takes who stands by, if there
 * is one. Once we are stopping, everybody's way ends in ABSENT: the engine first, then the api.
 */
#include "base/clock.h"
#include "base/log.h"
#include "supervisor/death.h"
#include "supervisor/parts.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOGGER          "supervisor"
#define DRAIN_LIMIT     duration_s(6) /* the engine takes 5 at most */
#define API_DRAIN_LIMIT duration_s(2)

static struct page_process *page_of(struct supervisor *supervisor, const struct child *child)
{
    return &supervisor->world.page->processes[child->process];
}

static bool is_engine(const struct ward *ward)
{
    return ward->child.process == PROCESS_ENGINE;
}

static void record_restart(struct supervisor *supervisor, enum flight_healing healing)
{
    flight_record(&supervisor->world.page->flight, clock_now(),
                  &(struct flight_note){.kind = FLIGHT_HEALING,
                                        .process = PROCESS_SUPERVISOR,
                                        .what = PROCESS_ENGINE,
                                        .to = healing});
}

/* ---- starting ---- */

/* By order is no failure: it is neither counted nor waited for. */
static struct restart_verdict decide_start(struct ward *ward, instant now)
{
    if (ward->death.cause == INCIDENT_COMMAND)
        return (struct restart_verdict){.start_at = now,
                                        .start = START_WARM,
                                        .deaths_last_hour =
                                            restart_policy_deaths(&ward->policy, now)};
    struct restart_verdict verdict = restart_policy_on_death(&ward->policy, now);
    if (ward->death.cause == INCIDENT_UNAWAITABLE)
        verdict.start = START_COLD; /* the table is new, and empty */
    return verdict;
}

static void wait_for_start(struct supervisor *supervisor, struct ward *ward, instant now)
{
    ward->verdict = decide_start(ward, now);
    struct page_process *shown = page_of(supervisor, &ward->child);
    atomic_store(&shown->next_start_at_us, (uint64_t)ward->verdict.start_at.us);
    atomic_store(&shown->deaths_last_hour, ward->verdict.deaths_last_hour);
    life_change(supervisor, &ward->child, PROCESS_WAITING);
    duration wait = instant_diff(ward->verdict.start_at, now);
    if (wait.us > 0)
        log_warning(LOGGER, "waiting before the next start",
                    LOG_STRING("child", process_name(ward->child.process)),
                    LOG_DOUBLE("seconds", duration_to_s(wait)),
                    LOG_INT("deaths_last_hour", ward->verdict.deaths_last_hour));
}

/* Nobody has been at work yet, and a person is watching: no second try. */
static void give_up(struct supervisor *supervisor)
{
    log_error(LOGGER, "not started; ending");
    supervisor->exit_status = 1;
    heal_stop(supervisor);
}

static void start(struct supervisor *supervisor, struct ward *ward, instant now)
{
    bool is_there =
        (is_engine(ward) && life_take_standby(supervisor)) || life_spawn(supervisor, &ward->child);
    if (is_there) {
        life_begin(supervisor, ward, now);
    } else if (!ward->was_ready) {
        give_up(supervisor);
    } else {
        ward->death.cause = INCIDENT_EXIT; /* as bad as a death at once */
        wait_for_start(supervisor, ward, now);
    }
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
    if (!supervisor->is_stopping)
        start(supervisor, &supervisor->api, now);
}

/* ---- ending ---- */

static void kill_by_force(struct supervisor *supervisor, struct ward *ward,
                          const struct incident_death *death)
{
    pid_t thread = 0;
    if (ward->child.pid == 0 || ward->child.state == PROCESS_DYING)
        return;
    ward->death = *death;
    ward->is_doomed = true;
    /* Who hangs may say where; who is stopped does not get to it. */
    if (death->cause == INCIDENT_HANG) {
        thread = (pid_t)atomic_load(&supervisor->world.page->beats[death->beat].thread);
        thread = thread > 0 ? thread : ward->child.pid; /* it never beat: its first one */
    }
    life_end_by_force(supervisor, &ward->child, thread);
}

static void dismiss_standby(struct supervisor *supervisor)
{
    struct child *standby = &supervisor->standby;
    if (standby->state == PROCESS_STARTING || standby->state == PROCESS_WAITING)
        life_end_by_force(supervisor, standby, 0);
}

/* The api outlives the engine: what it is asked meanwhile, it answers. */
static void stop_api_after_engine(struct supervisor *supervisor)
{
    if (supervisor->engine.child.pid == 0)
        life_tell_to_end(supervisor, &supervisor->api.child, API_DRAIN_LIMIT);
}

void heal_stop(struct supervisor *supervisor)
{
    struct child *engine = &supervisor->engine.child, *api = &supervisor->api.child;
    supervisor->is_stopping = true;
    supervisor->drain_cause = INCIDENT_NOT_DRAINED;
    dismiss_standby(supervisor);
    if (api->state == PROCESS_WAITING)
        life_change(supervisor, api, PROCESS_ABSENT);
    if (engine->state == PROCESS_WAITING) {
        log_error(LOGGER, "the engine was waiting to be started again: what the dead one had not "
                          "written yet is lost");
        supervisor->exit_status = 1;
        life_change(supervisor, engine, PROCESS_ABSENT);
    }
    life_tell_to_end(supervisor, engine, DRAIN_LIMIT);
    stop_api_after_engine(supervisor);
}

void heal_kill_all(struct supervisor *supervisor)
{
    const struct incident_death death = {.cause = INCIDENT_COMMAND, .beat = BEAT_COUNT};
    kill_by_force(supervisor, &supervisor->engine, &death);
    kill_by_force(supervisor, &supervisor->api, &death);
}

bool heal_is_over(const struct supervisor *supervisor)
{
    return supervisor->is_stopping && supervisor->engine.child.pid == 0 &&
           supervisor->standby.pid == 0 && supervisor->api.child.pid == 0;
}

void heal_finish(struct supervisor *supervisor)
{
    static const char why[] = "the daemon was told to end";
    death_unhealed(supervisor, &supervisor->engine, why);
    death_unhealed(supervisor, &supervisor->api, why);
    incidents_finish(&supervisor->incidents, supervisor->world.page);
    death_keep_suspects(supervisor);
}

/* ---- deaths ---- */

static bool exited_with(const struct child *child, int status)
{
    return child->status_code == CLD_EXITED && child->status == status;
}

/* It was never at work and says that it cannot be: a wrong option, a database in use. Another try
 * would not mend it. */
static bool is_hopeless(const struct supervisor *supervisor, const struct ward *ward)
{
    return !ward->was_ready && !supervisor->is_stopping && ward->child.status_code == CLD_EXITED &&
           ward->child.status != 0;
}

/* A program that was put in the place of ours and cannot work with what we hold must not keep ours
 * from coming back. The next wish for a restart tries it again. */
static void doubt_program(struct supervisor *supervisor, const struct child *child)
{
    if (supervisor->is_program_refused || !exited_with(child, EXIT_REFUSED))
        return;
    supervisor->is_program_refused = true;
    log_error(LOGGER,
              "the program does not work with the running daemon, which goes on with its "
              "own; restart the daemon for the new one",
              LOG_STRING("program", supervisor->program));
}

static void end_while_stopping(struct supervisor *supervisor, const struct ward *ward,
                               bool ended_well)
{
    if (is_engine(ward) && !ended_well) {
        log_error(LOGGER, "the engine did not end well: not everything may be written");
        supervisor->exit_status = 1;
    }
    stop_api_after_engine(supervisor);
}

static void look_at_ward(struct supervisor *supervisor, struct ward *ward, instant now);

/* It ended as it was told to. */
static void after_end(struct supervisor *supervisor, struct ward *ward, instant now)
{
    life_change(supervisor, &ward->child, PROCESS_ABSENT);
    if (supervisor->is_stopping) {
        end_while_stopping(supervisor, ward, true);
        return;
    }
    if (is_engine(ward))
        page_add(supervisor->world.page, COUNTER_GRACEFUL_RESTARTS, 1);
    ward->verdict.start = START_WARM;
    start(supervisor, ward, now);
}

/* The new process comes first; what is written about the old one can wait. */
static void after_death(struct supervisor *supervisor, struct ward *ward, instant now)
{
    struct status_page *page = supervisor->world.page;
    death_note(supervisor, ward, now);
    if (supervisor->is_stopping) {
        life_change(supervisor, &ward->child, PROCESS_ABSENT);
        end_while_stopping(supervisor, ward, false);
    } else {
        page_add(page, is_engine(ward) ? COUNTER_EMERGENCY_RESTARTS : COUNTER_API_RESTARTS, 1);
        if (is_engine(ward))
            record_restart(supervisor, HEALED_BY_FORCE);
        wait_for_start(supervisor, ward, now);
        look_at_ward(supervisor, ward, now);
    }
    death_keep_suspects(supervisor);
}

/* It is gone: reaped, or left behind. */
static void on_gone(struct supervisor *supervisor, struct ward *ward, instant now)
{
    watch_forget(supervisor->world.page, ward->child.process);
    if (is_hopeless(supervisor, ward)) {
        life_change(supervisor, &ward->child, PROCESS_ABSENT);
        give_up(supervisor);
        return;
    }
    if (ward->child.state == PROCESS_STARTING)
        doubt_program(supervisor, &ward->child);
    if (ward->child.state == PROCESS_DRAINING && exited_with(&ward->child, 0))
        after_end(supervisor, ward, now);
    else
        after_death(supervisor, ward, now);
}

static void on_standby_gone(struct supervisor *supervisor)
{
    struct child *standby = &supervisor->standby;
    if (standby->state != PROCESS_DYING) {
        log_error(LOGGER, "the engine that was to take over ended before it could",
                  LOG_INT("status", standby->status));
        doubt_program(supervisor, standby);
    }
    life_change(supervisor, standby, PROCESS_ABSENT);
    if (supervisor->engine.child.state == PROCESS_RUNNING)
        supervisor->is_api_stale = false; /* all is as it was */
}

void heal_on_death(struct supervisor *supervisor, instant now)
{
    if (child_reap(&supervisor->standby))
        on_standby_gone(supervisor);
    if (child_reap(&supervisor->engine.child))
        on_gone(supervisor, &supervisor->engine, now);
    if (child_reap(&supervisor->api.child))
        on_gone(supervisor, &supervisor->api, now);
}

/* ---- who does not even die ---- */

/* Whatever a lost engine shares is left to it: should it ever wake, its socket to us is closed, and
 * the store refuses its generation. Who else works with that gets what the next engine does. */
static void renew_world(struct supervisor *supervisor, pid_t lost)
{
    dismiss_standby(supervisor);
    if (!world_renew(&supervisor->world)) {
        log_error(LOGGER, "no memory for copies of what the engine shares; going on without",
                  LOG_STRING("error", strerror(errno)));
        return;
    }
    atomic_store(&supervisor->world.page->unawaited_pid, (uint64_t)lost);
    watch_forget(supervisor->world.page, PROCESS_API); /* it beats on the old page */
    supervisor->is_api_stale = false;
    life_tell_to_end(supervisor, &supervisor->api.child, API_DRAIN_LIMIT);
}

/* Killed and not dead: it stands in the kernel, on its way out. */
static void leave_behind(struct supervisor *supervisor, struct ward *ward, instant now)
{
    log_error(LOGGER, "a killed process does not die; it is left behind, and cannot write any more",
              LOG_STRING("child", process_name(ward->child.process)),
              LOG_INT("pid", ward->child.pid));
    ward->death.cause = INCIDENT_UNAWAITABLE;
    pid_t lost = ward->child.pid;
    child_abandon(&ward->child);
    if (is_engine(ward) && !supervisor->is_stopping)
        renew_world(supervisor, lost);
    on_gone(supervisor, ward, now);
}

/* ---- what children report ---- */

/* What a person opens: the address as it was given, with the port that was bound. */
static void tell_address(const struct supervisor *supervisor)
{
    const char *listen = supervisor->options.listen;
    const char *colon = strrchr(listen, ':');
    int host = (int)(colon - listen); /* without a port nothing would listen */
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
    if (ward->child.state != PROCESS_STARTING)
        return;
    atomic_store(&page_of(supervisor, &ward->child)->ready_at_us, (uint64_t)now.us);
    life_change(supervisor, &ward->child, PROCESS_RUNNING);
    ward->was_ready = true;
    death_healed(supervisor, ward, now);
    if (is_engine(ward) && supervisor->is_api_stale && supervisor->standby.pid == 0) {
        supervisor->is_api_stale = false;
        life_tell_to_end(supervisor, &supervisor->api.child, API_DRAIN_LIMIT);
    }
    note_first_time(supervisor);
}

static void on_standby_report(struct supervisor *supervisor, const struct report *report)
{
    struct child *standby = &supervisor->standby;
    if (report->kind != REPORT_STANDBY || standby->state != PROCESS_STARTING)
        return;
    standby->due_at = INSTANT_FAR;
    life_change(supervisor, standby, PROCESS_WAITING);
    life_tell_to_end(supervisor, &supervisor->engine.child, DRAIN_LIMIT);
}

static void on_ward_report(struct supervisor *supervisor, struct ward *ward,
                           const struct report *report)
{
    switch ((enum report_kind)report->kind) {
    case REPORT_STANDBY:
        return; /* it has the word to go already */
    case REPORT_READY:
        on_ready(supervisor, ward);
        return;
    case REPORT_REFUSED:
        log_error(LOGGER, "a process does not start",
                  LOG_STRING("child", process_name(ward->child.process)),
                  LOG_STRING("why", report->why));
        return;
    case REPORT_RESTART:
        heal_restart(supervisor, report->why, INCIDENT_NOT_DRAINED);
        return;
    case REPORT_COLD:
        ward->verdict.start = START_COLD;
        snprintf(ward->start_why, sizeof ward->start_why, "%s", report->why);
        return;
    }
    log_error(LOGGER, "a report of no known kind was ignored", LOG_INT("kind", report->kind));
}

void heal_on_report(struct supervisor *supervisor, const struct child *child,
                    const struct report *report)
{
    if (child == &supervisor->standby)
        on_standby_report(supervisor, report);
    else
        on_ward_report(supervisor,
                       child == &supervisor->api.child ? &supervisor->api : &supervisor->engine,
                       report);
}

/* ---- restarts on purpose ---- */

static bool begin_standby(struct supervisor *supervisor)
{
    struct child *standby = &supervisor->standby;
    if (standby->pid != 0) /* the one before does not die */
        return false;
    if (!life_spawn(supervisor, standby))
        return false;
    standby->due_at = instant_add(clock_now(), duration_s(supervisor->options.start_deadline_sec));
    life_change(supervisor, standby, PROCESS_STARTING);
    return true;
}

bool heal_restart(struct supervisor *supervisor, const char *why, enum incident_cause otherwise)
{
    enum process_state state = supervisor->engine.child.state;
    enum process_state standby = supervisor->standby.state;
    if (supervisor->is_stopping)
        return false;
    if (standby == PROCESS_STARTING || standby == PROCESS_WAITING)
        return true; /* one is under way */
    log_info(LOGGER, "restarting gracefully", LOG_STRING("why", why));
    supervisor->is_program_refused = false; /* it may be another one now */
    if ((state == PROCESS_STARTING || state == PROCESS_RUNNING) && !begin_standby(supervisor))
        return false;
    if (state == PROCESS_WAITING)
        supervisor->engine.verdict.start_at = clock_now();
    /* Of one that is ending already, the next comes anyway. */
    supervisor->is_api_stale = true;
    supervisor->drain_cause = otherwise;
    record_restart(supervisor, HEALED_GRACEFULLY);
    return true;
}

bool heal_emergency(struct supervisor *supervisor, const char *why)
{
    const struct incident_death death = {.cause = INCIDENT_COMMAND, .beat = BEAT_COUNT};
    if (supervisor->is_stopping)
        return false; /* it is writing what it knows */
    log_warning(LOGGER, "emergency restart of the engine", LOG_STRING("why", why));
    if (supervisor->engine.child.state == PROCESS_WAITING)
        supervisor->engine.verdict.start_at = clock_now();
    kill_by_force(supervisor, &supervisor->engine, &death);
    return true;
}

/* ---- times that are over ---- */

static struct ward *ward_of(struct supervisor *supervisor, enum beat beat)
{
    return beat_process(beat) == PROCESS_API ? &supervisor->api : &supervisor->engine;
}

/* A machine that is too busy gave it no CPU: then it is waited for, and not killed. */
static bool is_starved(struct supervisor *supervisor, const struct watch_verdict *verdict)
{
    struct status_page *page = supervisor->world.page;
    struct thread_cpu cpu;
    pid_t process = ward_of(supervisor, verdict->overdue)->child.pid;
    pid_t thread = (pid_t)atomic_load(&page->beats[verdict->overdue].thread);
    return thread_cpu_read(process, thread, &cpu) &&
           watch_is_starved(&supervisor->watch, page, verdict, &cpu);
}

static void wait_for_starved(struct supervisor *supervisor, const struct watch_verdict *verdict,
                             instant now)
{
    struct status_page *page = supervisor->world.page;
    if (!watch_wait_for(&supervisor->watch, page, verdict->overdue, now))
        return;
    page_add(page, COUNTER_STARVED, 1);
    log_warning(LOGGER, "the machine is too busy: a thread gets no CPU, and is waited for",
                LOG_STRING("child", process_name(beat_process(verdict->overdue))),
                LOG_STRING("thread", beat_name(verdict->overdue)),
                LOG_DOUBLE("silent_s", duration_to_s(verdict->silent)));
}

/* Who is overdue and not for want of CPU. Each that is waited for is not overdue any more. */
static struct watch_verdict look_for_hung(struct supervisor *supervisor, instant now)
{
    const struct status_page *page = supervisor->world.page;
    struct watch_verdict verdict = watch_look(&supervisor->watch, page, now);
    while (verdict.overdue != BEAT_COUNT && is_starved(supervisor, &verdict)) {
        wait_for_starved(supervisor, &verdict, now);
        verdict = watch_look(&supervisor->watch, page, now);
    }
    return verdict;
}

static void look_at_beats(struct supervisor *supervisor, instant now)
{
    struct status_page *page = supervisor->world.page;
    struct watch_verdict verdict = look_for_hung(supervisor, now);
    supervisor->watch_at = verdict.look_at;
    if (verdict.overdue == BEAT_COUNT)
        return;
    struct ward *ward = ward_of(supervisor, verdict.overdue);
    const struct incident_death death = {.cause = child_is_stopped(&ward->child) ? INCIDENT_STOPPED
                                                                                 : INCIDENT_HANG,
                                         .beat = verdict.overdue,
                                         .silent = verdict.silent};
    log_error(LOGGER, "a process does not move; it is killed and started afresh",
              LOG_STRING("child", process_name(ward->child.process)),
              LOG_STRING("thread", beat_name(verdict.overdue)),
              LOG_DOUBLE("silent_s", duration_to_s(verdict.silent)));
    page_add(page, COUNTER_HANGS, 1);
    kill_by_force(supervisor, ward, &death);
}

static bool is_over(const struct child *child, instant now)
{
    return child->pid != 0 && !instant_before(now, child->due_at);
}

static void end_of_patience(struct supervisor *supervisor, struct ward *ward)
{
    const struct incident_death death = {.cause = is_engine(ward) ? supervisor->drain_cause
                                                                  : INCIDENT_NOT_DRAINED,
                                         .beat = BEAT_COUNT};
    log_error(LOGGER, "a process does not end as it was told to; it is killed",
              LOG_STRING("child", process_name(ward->child.process)));
    kill_by_force(supervisor, ward, &death);
}

static void look_at_ward(struct supervisor *supervisor, struct ward *ward, instant now)
{
    struct child *child = &ward->child;
    if (child->state == PROCESS_WAITING && !instant_before(now, ward->verdict.start_at))
        start(supervisor, ward, now);
    else if (child->state == PROCESS_DRAINING && is_over(child, now))
        end_of_patience(supervisor, ward);
    else if (child->state == PROCESS_DYING && is_over(child, now) && !life_press(supervisor, child))
        leave_behind(supervisor, ward, now);
}

static void look_at_standby(struct supervisor *supervisor, instant now)
{
    struct child *standby = &supervisor->standby;
    if (!is_over(standby, now))
        return;
    if (standby->state != PROCESS_DYING) {
        log_error(LOGGER, "the engine that was to take over does not get ready; it is killed");
        life_end_by_force(supervisor, standby, 0);
    } else {
        child_abandon(standby); /* it had no word to go: there is nothing that it could write to */
        on_standby_gone(supervisor);
    }
}

void heal_look(struct supervisor *supervisor, instant now)
{
    look_at_ward(supervisor, &supervisor->engine, now);
    look_at_ward(supervisor, &supervisor->api, now);
    look_at_standby(supervisor, now);
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
    deadline = instant_min(deadline, supervisor->standby.due_at);
    return supervisor->is_stopping ? deadline : instant_min(deadline, supervisor->watch_at);
}
