/* The simulator. See the header. */
#include "sim/parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGE_SLACK 3.0 /* × target, at the calm end */

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

void sim_tell_durable(void *context, token_id id, uint64_t tag)
{
    struct event event = {.kind = EVENT_TOKEN_DURABLE, .token_durable = {id, tag}};
    sim_step(context, &event);
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
        sim_tell_durable(sim, world->durable.id, world->durable.tag);
        return;
    case WORLD_JOB: {
        struct event event = {.kind = EVENT_JOB_DONE, .job_done = {world->job.job, world->job.run}};
        sim_step(sim, &event);
        return;
    }
    case WORLD_POISON:
        sim->deaths.poisoned[world->poison.id] = 1;
        return;
    case WORLD_LIMIT:
        upstream_set_limit(&sim->upstream, world->limit.per_minute);
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
    if (world->life == 0 || world->life == sim->life)
        act(sim, world);
    else if (world->kind == WORLD_ANSWER)
        answers_release(sim, world->sent);
}

/* ---- running ---- */

/* Who acts next, the world going before the store, and the store before the core. */
enum actor { ACTOR_WORLD, ACTOR_STORE, ACTOR_CORE };

static enum actor next_actor(struct sim *sim, instant *when)
{
    enum actor actor = ACTOR_CORE;
    *when = core_deadline(sim->core, sim->now);
    if (sim->disk != NULL && disk_due(sim->disk).us <= when->us) {
        actor = ACTOR_STORE;
        *when = disk_due(sim->disk);
    }
    if (agenda_due(sim).us <= when->us) {
        actor = ACTOR_WORLD;
        *when = agenda_due(sim);
    }
    *when = instant_max(*when, sim->asleep_until);
    return actor;
}

static void run(struct sim *sim)
{
    while (instant_before(sim->now, sim->end) && sim->oracle.verdict[0] == '\0') {
        instant next;
        enum actor actor = next_actor(sim, &next);
        /* A deadline in the past means at once, but time must pass for the world to act. */
        sim->now =
            instant_max(next, instant_add(sim->now, duration_us(actor == ACTOR_WORLD ? 0 : 1)));
        if (actor == ACTOR_WORLD) {
            struct world_event world = agenda_take(sim);
            act_if_alive(sim, &world);
        } else if (actor == ACTOR_STORE) {
            disk_turn(sim->disk);
        } else {
            struct event event = {.kind = EVENT_TIME};
            sim_step(sim, &event);
        }
        checks_watch_outage(sim);
    }
}

/* ---- the end ---- */

static double share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 1 : (double)part / (double)whole;
}

/* What the next start would find must be what the table holds. */
static void close_disk(struct sim *sim)
{
    if (sim->disk == NULL)
        return;
    uint32_t unwritten = disk_close(sim->disk);
    sim->disk = NULL;
    uint32_t others = disk_compare(sim->setup->database, sim->memory.table);
    if (unwritten > 0 || others > 0)
        oracle_complain(&sim->oracle, sim->now,
                        "the store does not have %u tokens, and %u not as they are", unwritten,
                        others);
}

static void summarise(struct sim *sim)
{
    struct sim_result *result = sim->result;
    oracle_on_table(&sim->oracle, sim->now);
    close_disk(sim);
    answers_count_late_at_end(sim);
    if (sim->setup->down_to_s == 0)
        oracle_on_ages(&sim->oracle, sim->now, duration_s(checks_achievable_s(sim) * AGE_SLACK));
    result->stats = *core_stats(sim->core);
    result->simulated_s = sim_seconds(sim);
    result->refused = sim->upstream.refused;
    /* An engine that was restarted does not know what the one before had sent. */
    bool may_restart =
        sim->setup->faults >> FAULT_RESTART & 1 || result->deaths > 0 || result->restarts > 0;
    bool is_told =
        sim->setup->limits[0].per_minute == 0 && !(sim->setup->faults >> FAULT_LIMIT & 1);
    if (result->refused > 1 && !may_restart && is_told)
        oracle_complain(&sim->oracle, sim->now, "%llu requests over the upstream's limit",
                        (unsigned long long)result->refused);
    for (int i = 0; i < LANE_KIND_COUNT; i++)
        result->addresses_per_request[i] =
            sim->requests[i] == 0 ? 0 : (double)sim->addresses[i] / (double)sim->requests[i];
    for (int i = 0; i < GROUP_COUNT; i++)
        result->on_time[i] = share(sim->on_time[i], result->refreshes[i]);
    snprintf(result->verdict, sizeof result->verdict, "%s",
             sim->oracle.verdict[0] == '\0' ? "ok" : sim->oracle.verdict);
}

enum err sim_run(const struct sim_setup *setup, struct sim_result *out)
{
    struct sim *sim = calloc(1, sizeof *sim);
    if (sim == NULL)
        return ERR_NO_MEMORY;
    memset(out, 0, sizeof *out);
    out->fresh_again_after_s = -1;
    sim->setup = setup;
    sim->result = out;
    sim->memory.fd = -1;
    enum err err = sim_begin(sim) ? OK : ERR_NO_MEMORY;
    if (err == OK) {
        run(sim);
        summarise(sim);
    }
    disk_close(sim->disk);
    table_memory_finish(&sim->memory);
    free(sim->core_memory);
    free(sim->oracle.statuses);
    free(sim->answered_at);
    deaths_finish(&sim->deaths);
    agenda_finish(sim);
    free(sim->schedule);
    free(sim->mints);
    body_writer_destroy(sim->bodies);
    answer_parser_destroy(sim->parser);
    free(sim);
    return err;
}
