/* Simulated processes under the daemon's own healing. See the header. */
#include "sim/parts.h"

#include "sim/children.h"
#include "supervisor/death.h"
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define FIRST_PID        1000
#define SPEAK_MIN_S      0.002
#define SPEAK_MEAN_S     0.01
#define START_MIN_S      0.005
#define START_MEAN_S     0.02
#define COLD_TOKEN_S     20e-6 /* more, a token */
#define DRAIN_MEAN_S     0.05
#define DEATH_MEAN_S     0.002
#define API_STOP_S       0.005
#define STORE_PATIENCE   30000000 /* us: store_deadline_sec */
#define NOTICED_WITHIN_S 5.0      /* a hang: and the kill, the last words, the wait for its death */
#define OVERSLEPT        2        /* times: then it may look before the others have moved */

/* The functions below have no word about the world that they are called in: there is one at a time.
 */
static struct sim *here;

/* ---- the table of processes ---- */

static struct sim_child *find(struct sim *sim, pid_t pid)
{
    for (int i = 0; i < CHILDREN_MAX && pid != 0; i++)
        if (sim->children[i].pid == pid && sim->children[i].life != CHILD_NONE)
            return &sim->children[i];
    return NULL;
}

static struct sim_child *engine_of(struct sim *sim)
{
    return find(sim, sim->supervisor->engine.child.pid);
}

static void plan(struct sim *sim, pid_t pid, enum child_event what, int number, double wait_s)
{
    agenda_plan(sim, sim_after(sim, wait_s),
                (struct world_event){.kind = WORLD_CHILD, .child = {pid, what, number}});
}

bool children_engine_works(const struct sim *sim)
{
    return sim->core != NULL && !sim->is_hung && !sim->is_starved;
}

/* ---- what heal.c, life.c and death.c call ---- */

static struct sim_child *free_row(struct sim *sim)
{
    for (int i = 0; i < CHILDREN_MAX; i++)
        if (sim->children[i].life == CHILD_NONE)
            return &sim->children[i];
    oracle_complain(&sim->oracle, sim->now, "there are %d processes", CHILDREN_MAX);
    return NULL;
}

bool child_start(struct child *child, const struct child_spec *spec)
{
    (void)spec;
    struct sim_child *row = free_row(here);
    if (row == NULL)
        return false;
    *row = (struct sim_child){.pid = here->next_pid++,
                              .life = CHILD_SPAWNED,
                              .is_engine = child->process == PROCESS_ENGINE};
    child->pid = child->last_pid = row->pid;
    child->pidfd = child->link = -1;
    child->is_killed = false;
    child->status = child->status_code = 0;
    plan(here, row->pid, CHILD_SPEAKS, 0,
         SPEAK_MIN_S + prng_exponential(&here->machine, SPEAK_MEAN_S));
    return true;
}

static void begin_drain(struct sim *sim, struct sim_child *row)
{
    row->life = CHILD_DRAINING;
    double wait_s = row->is_engine ? prng_exponential(&sim->machine, DRAIN_MEAN_S) : API_STOP_S;
    if (row->is_engine)
        engine_stop(sim);
    plan(sim, row->pid, CHILD_ENDS, 0, wait_s);
}

static void told_to_end(struct sim *sim, struct sim_child *row)
{
    if (row->life == CHILD_STARTING || (row->life == CHILD_SPAWNED && row->is_engine))
        row->is_told_to_end = true;
    else if (row->life == CHILD_RUNNING || row->life == CHILD_SPAWNED)
        begin_drain(sim, row);
}

/* Who gets no CPU is waited for. It had beaten at most a look before. */
static void check_starved_long_enough(struct sim *sim, struct sim_child *row)
{
    double deadline_s = duration_to_s(sim->supervisor->watch.deadline);
    double least_s = deadline_s * (WATCH_STARVED_MAX - 1);
    double starved_s = duration_to_s(instant_diff(sim->now, sim->starved_from));
    if (row->is_given_up)
        return;
    row->is_given_up = true;
    sim->oracle.hangs_expected++;
    if (starved_s < least_s)
        oracle_complain(&sim->oracle, sim->now, "killed after %.1f s without a CPU, not %.1f s",
                        starved_s, least_s);
}

void child_signal(const struct child *child, int number, pid_t thread)
{
    struct sim_child *row = find(here, child->pid);
    (void)thread;
    if (row != NULL && row == engine_of(here) && here->is_starved && number != SIGTERM)
        check_starved_long_enough(here, row);
    if (row == NULL || row->life == CHILD_DEAD)
        return;
    if (number == SIGTERM)
        told_to_end(here, row);
    else if (!row->is_undead)
        plan(here, row->pid, CHILD_DIES, number, prng_exponential(&here->machine, DEATH_MEAN_S));
}

bool child_reap(struct child *child)
{
    struct sim_child *row = find(here, child->pid);
    if (row == NULL || row->life != CHILD_DEAD)
        return false;
    child->status = row->status;
    child->status_code = row->status_code;
    *row = (struct sim_child){0};
    child->pid = 0;
    child->due_at = INSTANT_FAR;
    return true;
}

bool child_is_stopped(const struct child *child)
{
    (void)child;
    return false;
}

static void bury_left(struct sim *sim)
{
    for (int i = 0; i < CHILDREN_MAX; i++)
        if (sim->children[i].life == CHILD_LEFT)
            sim->children[i] = (struct sim_child){0};
}

void child_abandon(struct child *child)
{
    struct sim_child *row = find(here, child->pid);
    child->pid = 0;
    child->due_at = INSTANT_FAR;
    if (row == NULL)
        return;
    bool was_at_work = row->life != CHILD_SPAWNED;
    bury_left(here); /* of those that are left behind one wakes up */
    row->life = CHILD_LEFT;
    if (!row->is_engine || !was_at_work)
        return;
    oracle_on_engine_end(&here->oracle);
    oracle_on_engine_death(&here->oracle, here->now);
    engine_leave_behind(here);
}

bool world_renew(struct world *world)
{
    (void)world;
    return engine_renew_table(here);
}

void notify_send(const struct notify *notify, const char *state)
{
    (void)notify, (void)state;
}

void incident_begin(struct incidents *incidents, struct incident *out, struct status_page *page,
                    const struct incident_death *death)
{
    (void)page;
    out->number = ++incidents->next;
    out->death = *death;
    here->result->incidents++;
    if (death->process == PROCESS_ENGINE &&
        (death->cause == INCIDENT_HANG || death->cause == INCIDENT_UNAWAITABLE))
        oracle_on_hang_noticed(&here->oracle, here->now);
    trace_line(here, "INCIDENT %s of the %s", incident_cause_name(death->cause),
               process_name(death->process));
}

bool incident_finish(struct incidents *incidents, struct incident *incident,
                     const struct incident_healing *healing, struct status_page *page)
{
    (void)incidents, (void)healing, (void)page;
    incident->number = 0;
    return true;
}

void incidents_finish(struct incidents *incidents, struct status_page *page)
{
    (void)incidents, (void)page;
}

/* The folder of states outlives a power cut. */
bool state_dir_save_suspects(const struct state_dir *dir, const struct suspects *suspects)
{
    (void)dir;
    memcpy(&here->saved_suspects, suspects, sizeof here->saved_suspects);
    return true;
}

bool memory_was_killed(struct memory_watch *watch)
{
    (void)watch;
    return false;
}

/* Whoever does not move hangs, asleep, or waits for a CPU. */
bool thread_cpu_read(pid_t process, pid_t thread, struct thread_cpu *out)
{
    (void)process, (void)thread;
    *out = (struct thread_cpu){.is_runnable = here->is_starved, .used = duration_us(0)};
    return true;
}

/* ---- an engine's life ---- */

static struct child *child_of(struct sim *sim, pid_t pid)
{
    struct supervisor *supervisor = sim->supervisor;
    return supervisor->engine.child.pid == pid ? &supervisor->engine.child
           : supervisor->standby.pid == pid    ? &supervisor->standby
           : supervisor->api.child.pid == pid  ? &supervisor->api.child
                                               : NULL;
}

/* Whoever got the word to go starts; the supervisor may have given it in any of its calls. */
static void look_for_go(struct sim *sim)
{
    const struct ward *ward = &sim->supervisor->engine;
    struct sim_child *row = engine_of(sim);
    if (row == NULL || row->life != CHILD_SPAWNED || ward->child.state != PROCESS_STARTING)
        return;
    row->life = CHILD_STARTING;
    row->is_cold = ward->verdict.start == START_COLD;
    oracle_on_engine_start(&sim->oracle, sim->now);
    trace_line(sim, "engine %d starts %s", (int)row->pid, row->is_cold ? "cold" : "warm");
    double wait_s = START_MIN_S + prng_exponential(&sim->machine, START_MEAN_S);
    if (row->is_cold)
        wait_s += token_table_count(sim->memory.table) * COLD_TOKEN_S;
    plan(sim, row->pid, CHILD_READY, 0, wait_s);
}

static void die(struct sim *sim, struct sim_child *row, int number)
{
    bool is_at_work = row->is_engine && (row->life == CHILD_RUNNING || row->life == CHILD_HUNG ||
                                         row->life == CHILD_DRAINING);
    row->life = CHILD_DEAD;
    row->status = number;
    row->status_code = number == SIGKILL ? CLD_KILLED : CLD_DUMPED;
    trace_line(sim, "%s %d dies of signal %d", row->is_engine ? "engine" : "api", (int)row->pid,
               number);
    if (is_at_work)
        engine_fall(sim);
    bool is_by_order = sim->supervisor->engine.is_doomed &&
                       sim->supervisor->engine.death.cause == INCIDENT_COMMAND;
    if (row->is_engine && child_of(sim, row->pid) == &sim->supervisor->engine.child) {
        oracle_on_engine_end(&sim->oracle);
        sim->oracle.is_by_order = is_by_order;
        if (!is_by_order)
            oracle_on_engine_death(&sim->oracle, sim->now);
    }
    heal_on_death(sim->supervisor, sim->now);
    suspects_note(sim);
    heal_look(sim->supervisor, sim->now);
    look_for_go(sim);
}

static void end_well(struct sim *sim, struct sim_child *row, int status)
{
    row->life = CHILD_DEAD;
    row->status = status;
    row->status_code = CLD_EXITED;
    trace_line(sim, "%s %d ends", row->is_engine ? "engine" : "api", (int)row->pid);
    if (row->is_engine && child_of(sim, row->pid) == &sim->supervisor->engine.child)
        oracle_on_engine_end(&sim->oracle);
    heal_on_death(sim->supervisor, sim->now);
    look_for_go(sim);
}

static void report(struct sim *sim, pid_t pid, enum report_kind kind)
{
    const struct report said = {.kind = kind, .why = "it was asked for"};
    struct child *child = child_of(sim, pid);
    if (child != NULL)
        heal_on_report(sim->supervisor, child, &said);
    look_for_go(sim);
}

static void speak(struct sim *sim, struct sim_child *row)
{
    if (row->is_told_to_end) {
        end_well(sim, row, 0);
    } else if (row->is_engine) {
        report(sim, row->pid, REPORT_STANDBY);
    } else if (row->life == CHILD_SPAWNED) {
        row->life = CHILD_RUNNING;
        report(sim, row->pid, REPORT_READY);
    }
}

static void beat_all(struct sim *sim);

static void get_ready(struct sim *sim, struct sim_child *row)
{
    if (row->life != CHILD_STARTING)
        return;
    if (!engine_begin(sim, row->is_cold)) {
        end_well(sim, row, 1);
        return;
    }
    row->life = CHILD_RUNNING;
    beat_all(sim); /* as its timer does at once: the patience of a start is over */
    report(sim, row->pid, REPORT_READY);
    if (row->is_told_to_end)
        begin_drain(sim, row);
}

void children_on_event(struct sim *sim, pid_t pid, enum child_event what, int number)
{
    struct sim_child *row = find(sim, pid);
    if (row == NULL || row->life == CHILD_DEAD || row->life == CHILD_LEFT)
        return;
    switch (what) {
    case CHILD_SPEAKS:
        return speak(sim, row);
    case CHILD_READY:
        return get_ready(sim, row);
    case CHILD_ENDS:
        return end_well(sim, row, row->is_engine && !engine_write_rest(sim));
    case CHILD_DIES:
        return die(sim, row, number);
    case CHILD_RESTART:
        return report(sim, pid, REPORT_RESTART);
    }
}

/* ---- what befalls it ---- */

void children_crash(struct sim *sim, int number)
{
    struct sim_child *row = engine_of(sim);
    if (row != NULL && row->life == CHILD_RUNNING)
        die(sim, row, number);
}

void children_hang(struct sim *sim, enum hang hang)
{
    struct sim_child *row = engine_of(sim);
    if (row == NULL || row->life != CHILD_RUNNING)
        return;
    row->life = CHILD_HUNG;
    sim->is_starved = false;
    row->is_undead = hang == HANG_UNDEAD;
    sim->is_hung = true;
    sim->hung_since = sim->now;
    sim->oracle.hangs_expected++;
}

void children_starve(struct sim *sim, instant until)
{
    const struct sim_child *row = engine_of(sim);
    if (row == NULL || row->life != CHILD_RUNNING || sim->is_hung)
        return;
    sim->is_starved = true;
    sim->starved_from = sim->now;
    sim->starved_until = until;
}

/* Its timer is overdue, so it beats at once. */
void children_feed(struct sim *sim)
{
    bool was_starved = sim->is_starved;
    sim->is_starved = false;
    if (was_starved)
        beat_all(sim);
}

void children_wake_left(struct sim *sim)
{
    bury_left(sim);
    engine_wake_left(sim);
}

void children_restart(struct sim *sim, bool by_force)
{
    if (sim->is_dark)
        return;
    sim->oracle.is_by_order = sim->supervisor->engine.child.state == PROCESS_WAITING;
    if (!by_force)
        heal_restart(sim->supervisor, "by order", INCIDENT_NOT_DRAINED);
    else if (!heal_emergency(sim->supervisor, "by order"))
        oracle_complain(&sim->oracle, sim->now, "an order to restart was refused");
    look_for_go(sim);
}

void children_report_restart(struct sim *sim)
{
    const struct sim_child *row = engine_of(sim);
    if (row != NULL)
        plan(sim, row->pid, CHILD_RESTART, 0, 0);
}

void children_cut_power(struct sim *sim)
{
    memset(sim->children, 0, sizeof sim->children);
    sim->oracle.engines = 0;
    sim->oracle.death_count = 0; /* the supervisor that counted is gone, too */
    engine_lose_all(sim);
    sim->is_dark = true;
}

/* What was written has the time of another clock. */
static void step_all(struct sim *sim, duration step)
{
    trace_line(sim, "the clock was set by %.1f s meanwhile", -duration_to_s(step));
    vault_shift(sim->vault, step);
    messages_shift(sim, step);
    for (size_t i = 0; i < SUSPECTS_MAX; i++) {
        struct suspect *row = &sim->saved_suspects.rows[i];
        row->since_us += step.us;
        if (atomic_load(&row->until_us) != 0)
            atomic_fetch_add(&row->until_us, step.us);
    }
}

void children_restore_power(struct sim *sim)
{
    sim->is_dark = false;
    if (sim->clock_step.us != 0)
        step_all(sim, sim->clock_step);
    sim->clock_step = duration_us(0);
    children_begin(sim);
}

/* ---- the supervisor's turns ---- */

static void beat(struct sim *sim, enum beat which, int64_t patience_us)
{
    struct page_beat *beat = &sim->page->beats[which];
    atomic_store_explicit(&beat->patience_us, (uint64_t)patience_us, memory_order_relaxed);
    atomic_store_explicit(&beat->at_us, (uint64_t)sim->now.us, memory_order_relaxed);
}

/* Whoever moves has moved by now. */
static void beat_all(struct sim *sim)
{
    const struct sim_child *engine = engine_of(sim);
    const struct sim_child *api = find(sim, sim->supervisor->api.child.pid);
    bool moves =
        engine != NULL && (engine->life == CHILD_RUNNING || engine->life == CHILD_DRAINING);
    if (moves && !sim->is_starved)
        beat(sim, BEAT_ENGINE_LOOP, 0);
    if (moves || (engine != NULL && engine->life == CHILD_HUNG))
        beat(sim, BEAT_STORE_THREAD, STORE_PATIENCE);
    if (api != NULL && api->life == CHILD_RUNNING)
        beat(sim, BEAT_API_HTTP, 0);
}

/* A machine that slept gives everybody a fresh deadline. */
static void check_hang(struct sim *sim)
{
    instant since = instant_max(sim->hung_since, sim->asleep_until);
    if (sim->is_hung && duration_to_s(instant_diff(sim->now, since)) > NOTICED_WITHIN_S)
        oracle_complain(&sim->oracle, sim->now, "the engine hangs, and nobody notices");
    double patience_s =
        duration_to_s(sim->supervisor->watch.deadline) * WATCH_STARVED_MAX + NOTICED_WITHIN_S;
    since = instant_max(sim->starved_from, sim->asleep_until);
    if (sim->is_starved && duration_to_s(instant_diff(sim->now, since)) > patience_s)
        oracle_complain(&sim->oracle, sim->now, "the engine starves for ever");
}

instant children_due(const struct sim *sim)
{
    return sim->is_dark ? INSTANT_FAR : heal_deadline(sim->supervisor);
}

void children_look(struct sim *sim)
{
    int64_t silent_us = instant_diff(sim->now, sim->looked_at).us;
    int64_t usual_us = sim->supervisor->watch.deadline.us / WATCH_LOOKS_PER_DEADLINE;
    if (silent_us <= OVERSLEPT * usual_us)
        beat_all(sim);
    heal_look(sim->supervisor, sim->now);
    beat_all(sim);
    sim->looked_at = sim->now;
    look_for_go(sim);
    check_hang(sim);
}

void children_on_second(struct sim *sim)
{
    if (sim->is_dark || sim->vault == NULL)
        return;
    struct supervisor *supervisor = sim->supervisor;
    atomic_store(&sim->page->processes[PROCESS_ENGINE].deaths_last_hour,
                 restart_policy_deaths(&supervisor->engine.policy, sim->now));
    death_keep_suspects(supervisor);
}

bool children_begin(struct sim *sim)
{
    static char *no_arguments[] = {NULL};
    struct supervisor *supervisor = sim->supervisor;
    uint64_t incidents = supervisor->incidents.next;
    here = sim;
    memset(supervisor, 0, sizeof *supervisor);
    supervisor->options = sim->options;
    supervisor->config.arguments = no_arguments;
    supervisor->config.faults = -1;
    supervisor->own_program = "";
    supervisor->drain_cause = INCIDENT_NOT_DRAINED;
    supervisor->incidents.next = incidents;
    child_init(&supervisor->engine.child, PROCESS_ENGINE);
    child_init(&supervisor->standby, PROCESS_ENGINE);
    child_init(&supervisor->api.child, PROCESS_API);
    snprintf(supervisor->options.listen, sizeof supervisor->options.listen, "127.0.0.1:8000");
    status_page_init(sim->page);
    memcpy(&sim->page->suspects, &sim->saved_suspects, sizeof sim->page->suspects);
    supervisor->world.page = sim->page;
    struct restart_limits limits = restart_limits_of(&sim->options);
    restart_policy_init(&supervisor->engine.policy, &limits, sim->setup->seed);
    restart_policy_init(&supervisor->api.policy, &limits, sim->setup->seed + 1);
    watch_init(&supervisor->watch, duration_ms(sim->options.heartbeat_deadline_ms));
    sim->looked_at = sim->now;
    heal_start(supervisor);
    look_for_go(sim);
    return true;
}

void children_finish(struct sim *sim)
{
    (void)sim;
    here = NULL;
}
