/* The simulator. See the header. */
#include "sim/parts.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mark.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOW_DISK_MAX_S 10.0
#define BACKLOG_MIN_S   10.0
#define BACKLOG_MAX_S   60.0

instant sim_after(const struct sim *sim, double seconds)
{
    return instant_add(sim->now, duration_s(seconds));
}

instant sim_at(double seconds)
{
    return instant_add(SIM_EPOCH, duration_s(seconds));
}

double sim_seconds(const struct sim *sim)
{
    return duration_to_s(instant_diff(sim->now, SIM_EPOCH));
}

static void tell_durable(struct sim *sim, const struct world_event *world)
{
    struct event event = {.kind = EVENT_TOKEN_DURABLE,
                          .token_durable = {world->durable.id, world->durable.tag}};
    sim_step(sim, &event);
}

static void act(struct sim *sim, struct world_event *world)
{
    switch (world->kind) {
    case WORLD_LOAD:
        machine_on_load(sim);
        return;
    case WORLD_ANSWER:
        answers_on_answer(sim, world->sent);
        return;
    case WORLD_DURABLE:
        tell_durable(sim, world);
        return;
    case WORLD_JOB: {
        struct event event = {
            .kind = EVENT_JOB_DONE,
            .job_done = {world->job.job, world->job.run, fault_hits(sim, SIM_FAULT_FAILING)}};
        sim_step(sim, &event);
        return;
    }
    case WORLD_POISON:
        sim->poisoned[world->poison.id] = 1;
        return;
    case WORLD_LIMIT:
        upstream_set_limit(&sim->upstream, world->limit.per_minute);
        return;
    case WORLD_CALM:
        workload_bring_lost(sim);
        return;
    case WORLD_CHILD:
        children_on_event(sim, world->child.pid, world->child.what, world->child.number);
        return;
    case WORLD_MORE:
        workload_on_more(sim);
        return;
    case WORLD_TOKEN:
        workload_on_token(sim);
        return;
    case WORLD_FAULT:
        fault_begins_or_ends(sim, world);
        return;
    case WORLD_CHECK:
        checks_on_check(sim);
        return;
    case WORLD_WANTED:
        workload_on_wanted(sim);
        return;
    case WORLD_SAMPLE:
        checks_look_on(sim);
        return;
    }
}

/* What was for a dead engine reaches nobody. */
static void act_if_alive(struct sim *sim, struct world_event *world)
{
    bool is_overslept = world->kind == WORLD_ANSWER && instant_before(world->at, sim->now);
    if (is_overslept && sim->agenda.sent[world->sent].outcome == FEED_OK)
        sim->agenda.sent[world->sent].outcome = FEED_RESET; /* the other side did not wait */
    if (world->life != 0 && world->life == sim->life && sim->is_starved)
        agenda_plan(sim, sim->starved_until, *world); /* it lies there until it is looked at */
    else if (world->life == 0 || world->life == sim->life)
        act(sim, world);
    else if (world->kind == WORLD_ANSWER)
        answers_release(sim, world->sent);
}

/* ---- running ---- */

#define STEPS_A_SECOND_MAX 200000

/* Time must go on, whatever the engine thinks is due. */
static void watch_spinning(struct sim *sim)
{
    int64_t second = sim->now.us / 1000000;
    sim->steps_in_second = second == sim->second ? sim->steps_in_second + 1 : 0;
    sim->second = second;
    if (sim->steps_in_second > STEPS_A_SECOND_MAX)
        oracle_complain(&sim->oracle, sim->now, "the engine spins: %d steps in a second",
                        STEPS_A_SECOND_MAX);
}

/* Who acts next: the world before the supervisor, that before the store, that before the core. */
enum actor { ACTOR_WORLD, ACTOR_SUPERVISOR, ACTOR_STORE, ACTOR_CORE };

static void consider(enum actor actor, instant due, enum actor *next, instant *when)
{
    if (due.us > when->us)
        return;
    *next = actor;
    *when = due;
}

static enum actor next_actor(struct sim *sim, instant *when)
{
    enum actor actor = ACTOR_WORLD;
    *when = INSTANT_FAR;
    if (children_engine_works(sim))
        consider(ACTOR_CORE, core_deadline(sim->core, sim->now), &actor, when);
    if (sim->disk != NULL)
        consider(ACTOR_STORE, instant_max(disk_due(sim->disk), sim->disk_free_at), &actor, when);
    if (sim->vault != NULL)
        consider(ACTOR_SUPERVISOR, children_due(sim), &actor, when);
    consider(ACTOR_WORLD, agenda_due(sim), &actor, when);
    *when = instant_max(*when, sim->asleep_until);
    return actor;
}

/* A disk that is slow, or hangs for a while, keeps nobody waiting but the store's thread. */
static void turn_disk(struct sim *sim)
{
    disk_turn(sim->disk);
    if (fault_is_present(sim, SIM_FAULT_BACKLOG))
        sim->disk_free_at =
            sim_after(sim, BACKLOG_MIN_S + prng_unit(&sim->fault_prng[SIM_FAULT_BACKLOG]) *
                                               (BACKLOG_MAX_S - BACKLOG_MIN_S));
    if (fault_hits(sim, SIM_FAULT_DISK))
        sim->disk_free_at =
            sim_after(sim, prng_unit(&sim->fault_prng[SIM_FAULT_DISK]) * SLOW_DISK_MAX_S);
}

static void take_turn(struct sim *sim, enum actor actor)
{
    struct event event = {.kind = EVENT_TIME};
    struct world_event world;
    switch (actor) {
    case ACTOR_WORLD:
        world = agenda_take(sim);
        return act_if_alive(sim, &world);
    case ACTOR_SUPERVISOR:
        return children_look(sim);
    case ACTOR_STORE:
        return turn_disk(sim);
    case ACTOR_CORE:
        return sim_step(sim, &event);
    }
}

static void run(struct sim *sim)
{
    while (instant_before(sim->now, sim->end) && sim->oracle.verdict[0] == '\0') {
        instant next;
        enum actor actor = next_actor(sim, &next);
        /* A deadline in the past means at once, but time must pass for the world to act. */
        sim->now =
            instant_max(next, instant_add(sim->now, duration_us(actor == ACTOR_WORLD ? 0 : 1)));
        take_turn(sim, actor);
        checks_watch_outage(sim);
        watch_spinning(sim);
    }
}

/* ---- the end ---- */

static double share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 1 : (double)part / (double)whole;
}

/* What the next start would find must be what the table holds. */
static void close_store(struct sim *sim)
{
    uint32_t unwritten = disk_close(sim->disk);
    sim->disk = NULL;
    bool had_future = marks_reached[MARK_START_WITH_FUTURE];
    uint32_t others =
        sim->setup->database != NULL
            ? disk_compare(sim->setup->database, sim->memory.table, had_future)
            : disk_compare_store(vault_open(sim->vault), sim->memory.table, had_future);
    if (unwritten > 0 || others > 0)
        oracle_complain(&sim->oracle, sim->now,
                        "the store does not have %u tokens, and %u not as they are", unwritten,
                        others);
}

static void summarise(struct sim *sim)
{
    struct sim_result *result = sim->result;
    bool is_well = sim->oracle.verdict[0] == '\0';
    if (is_well && children_engine_works(sim)) {
        oracle_on_table(&sim->oracle, sim->now);
        ledger_on_end(&sim->ledger, sim->now);
        answers_count_late_at_end(sim);
        checks_at_end(sim);
        close_store(sim);
    } else if (is_well) {
        oracle_complain(&sim->oracle, sim->now, "no engine works in the end");
    }
    if (sim->core != NULL)
        result->stats = *core_stats(sim->core);
    result->simulated_s = sim_seconds(sim);
    result->age_ratio = calm_ages_ratio(sim);
    result->refused = sim->upstream.refused;
    if (sim->vault != NULL) {
        result->commits = vault_commits(sim->vault);
        result->fenced = vault_fenced(sim->vault);
    }
    for (int i = 0; i < LANE_KIND_COUNT; i++)
        result->addresses_per_request[i] =
            sim->requests[i] == 0 ? 0 : (double)sim->addresses[i] / (double)sim->requests[i];
    for (int i = 0; i < GROUP_COUNT; i++)
        result->on_time[i] = share(sim->on_time[i], result->refreshes[i]);
    snprintf(result->verdict, sizeof result->verdict, "%s",
             sim->oracle.verdict[0] == '\0' ? "ok" : sim->oracle.verdict);
}

static void finish(struct sim *sim)
{
    if (sim->disk != NULL && sim->vault != NULL)
        disk_kill(sim->disk);
    else
        disk_close(sim->disk);
    if (sim->vault != NULL)
        engine_forget_left(sim);
    vault_destroy(sim->vault);
    children_finish(sim);
    table_memory_finish(&sim->memory);
    ledger_finish(&sim->ledger);
    agenda_finish(sim);
    body_writer_destroy(sim->bodies);
    answer_parser_destroy(sim->parser);
    void *memory[] = {sim->core_memory,
                      sim->oracle.statuses,
                      sim->answered_at,
                      sim->schedule,
                      sim->mints,
                      sim->page,
                      sim->supervisor,
                      sim->poisoned,
                      sim->killed,
                      sim->suspected,
                      sim->quarantined,
                      sim->acknowledged,
                      sim};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        free(memory[i]);
}

enum err sim_run(const struct sim_setup *setup, struct sim_result *out)
{
    if (setup->nodes > 0)
        return cluster_run(setup, out);
    struct sim *sim = calloc(1, sizeof *sim);
    if (sim == NULL)
        return ERR_NO_MEMORY;
    memset(out, 0, sizeof *out);
    out->fresh_again_after_s = -1;
    sim->setup = setup;
    sim->result = out;
    sim->memory.fd = sim->left_memory.fd = -1;
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_LOGFMT); /* hours of a bad day are nobody's log */
    clock_pretend(sim_now_of, sim);
    enum err err = sim_begin(sim) ? OK : ERR_NO_MEMORY;
    if (err == OK) {
        run(sim);
        summarise(sim);
    }
    finish(sim);
    clock_pretend(NULL, NULL);
    log_setup(LOG_INFO, LOG_FORMAT_AUTO);
    return err;
}
