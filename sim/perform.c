/* What the shell does with the actions of the core. */
#include "sim/parts.h"

#include <signal.h>
#include <string.h>

#define LIMIT_MINUTE_US 60000000
#define LATENCY_MIN_S   0.02
#define LATENCY_MEAN_S  0.08
#define SLOW_MAX_S      15.0
#define LATE_S          60.0 /* over any deadline of a request */
#define TWICE_AFTER_S   0.5
#define RETRY_AFTER_S   4 /* at most */
#define REST_MEAN_S     20.0
#define REST_LONG_IN    40 /* one asks for hours: more than we wait */
#define REST_LONG_S     5000.0
#define CLOCK_BACK_S    3.0
#define JOB_MEAN_S      0.05

static void count_fullness(struct sim *sim, const struct action *action)
{
    sim->requests[action->fetch.lane]++;
    sim->addresses[action->fetch.lane] += action->fetch.count;
}

/* An engine does not know what the one before it sent, nor what the upstream says to nobody. */
static void check_limit(struct sim *sim, enum lane_kind lane)
{
    bool is_told = sim->setup->limits[0].per_minute == 0 && !fault_is_present(sim, SIM_FAULT_LIMIT);
    instant since = instant_max(sim->engine_began_at, sim->limit_changed_at);
    if (is_told && instant_diff(sim->now, since).us > LIMIT_MINUTE_US && ++sim->over_limit > 0)
        oracle_complain(&sim->oracle, sim->now, "%u %s requests over the upstream's limit",
                        sim->over_limit, lane_kind_name(lane));
}

static enum feed_outcome admit(struct sim *sim, enum lane_kind lane)
{
    enum feed_outcome outcome = upstream_admit(&sim->upstream, lane, sim->now);
    int64_t minute = instant_diff(sim->now, SIM_EPOCH).us / LIMIT_MINUTE_US;
    if (outcome != FEED_OK)
        check_limit(sim, lane);
    if (minute >= SIM_MINUTES_MAX)
        return outcome;
    struct sim_minute *counted = &sim->result->minutes[lane][minute];
    counted->accepted += outcome == FEED_OK;
    counted->refused += outcome != FEED_OK;
    return outcome;
}

/* A server error or a refusal that says how long to wait. */
static void ask_for_rest(struct sim *sim, struct sent *sent)
{
    struct prng *prng = &sim->fault_prng[SIM_FAULT_REST];
    sent->outcome = prng_below(prng, 2) == 0 ? FEED_SERVER_ERROR : FEED_RATE_LIMITED;
    double rest_s = 1 + prng_exponential(prng, REST_MEAN_S);
    sent->retry_after = duration_s(prng_below(prng, REST_LONG_IN) == 0 ? REST_LONG_S : rest_s);
}

/* How the upstream will answer, in so far as it is known when it is asked. */
static void decide_end(struct sim *sim, struct sent *sent)
{
    sent->outcome = admit(sim, sent->lane);
    sent->retry_after = duration_us(0);
    if (fault_is_down(sim))
        sent->outcome = FEED_UNREACHABLE;
    else if (fault_hits(sim, SIM_FAULT_ERRORS))
        sent->outcome = FEED_SERVER_ERROR;
    else if (fault_hits(sim, SIM_FAULT_REST))
        ask_for_rest(sim, sent);
    else if (fault_hits(sim, SIM_FAULT_REFUSED)) {
        sent->outcome = FEED_RATE_LIMITED;
        sent->retry_after =
            duration_s((double)prng_below(&sim->fault_prng[SIM_FAULT_REFUSED], RETRY_AFTER_S));
    }
}

static double draw_latency_s(struct sim *sim)
{
    double latency_s = LATENCY_MIN_S + prng_exponential(&sim->world, LATENCY_MEAN_S);
    if (fault_hits(sim, SIM_FAULT_SLOW))
        latency_s += prng_unit(&sim->fault_prng[SIM_FAULT_SLOW]) * SLOW_MAX_S;
    if (fault_hits(sim, SIM_FAULT_LATE))
        latency_s += LATE_S * (1 + prng_unit(&sim->fault_prng[SIM_FAULT_LATE]));
    return latency_s;
}

static void plan_answer(struct sim *sim, struct sent *sent, uint32_t number, double latency_s)
{
    sent->copies++;
    agenda_plan_of_engine(sim, sim_after(sim, latency_s),
                          (struct world_event){.kind = WORLD_ANSWER, .sent = number});
}

static void perform_fetch(struct sim *sim, const struct action *action)
{
    uint32_t number;
    struct sent *sent = agenda_send(sim, &number);
    if (sent == NULL)
        return;
    sent->request = action->fetch.request;
    sent->lane = action->fetch.lane;
    sent->count = (uint8_t)action->fetch.count;
    sent->copies = 0;
    memcpy(sent->addresses, action->fetch.addresses, action->fetch.count * sizeof(struct address));
    count_fullness(sim, action);
    trace_number(sim, action->fetch.request);
    trace_bytes(sim, sent->addresses, action->fetch.count * sizeof(struct address));
    decide_end(sim, sent);
    double latency_s = draw_latency_s(sim);
    sent->latency = duration_s(latency_s);
    bool is_twice = fault_hits(sim, SIM_FAULT_TWICE);
    if (is_twice) /* neither is lost: with the other one nobody would miss it */
        plan_answer(sim, sent, number, latency_s + TWICE_AFTER_S);
    if (is_twice || !fault_hits(sim, SIM_FAULT_LOST))
        plan_answer(sim, sent, number, latency_s);
    if (sent->copies == 0)
        agenda_forget(sim, number);
}

static void count_loss(struct sim *sim, const struct action *action)
{
    double t = sim_seconds(sim);
    if (t >= sim->setup->down_from_s && t < sim->setup->down_to_s &&
        (strcmp(action->history.event, "archived") == 0 ||
         strcmp(action->history.event, "demoted") == 0))
        sim->result->lost_in_outage++;
}

/* Stuck ones end long after their deadline, or never. */
static void perform_job(struct sim *sim, enum job job, uint64_t run)
{
    double length = prng_exponential(&sim->world, JOB_MEAN_S);
    if (fault_is_planned_stuck(sim))
        return;
    if (fault_hits(sim, SIM_FAULT_STUCK))
        length +=
            sim->options.job_deadline_sec * (1 + prng_unit(&sim->fault_prng[SIM_FAULT_STUCK]));
    agenda_plan_of_engine(sim, sim_after(sim, length),
                          (struct world_event){.kind = WORLD_JOB, .job = {job, run}});
}

static void clear_suspect(struct sim *sim, token_id id)
{
    struct suspect *suspect =
        suspects_find(&sim->page->suspects, &token_slot(sim->memory.table, id)->mint);
    if (suspect != NULL && atomic_load(&suspect->state) == SUSPECT_WATCHED)
        suspect_clear(suspect);
    suspects_note(sim);
}

void perform_action(struct sim *sim, const struct action *action)
{
    sim->result->actions++;
    trace_number(sim, action->kind);
    trace_action(sim, action);
    oracle_on_action(&sim->oracle, action, sim->now);
    if (disk_perform(sim->disk, action, sim->now) && action->kind == ACTION_RETENTION)
        return;
    switch (action->kind) {
    case ACTION_FETCH:
        perform_fetch(sim, action);
        return;
    case ACTION_ADD_TOKEN:
        trace_number(sim, action->add_token.id);
        return;
    case ACTION_SAVE:
        trace_number(sim, action->save.id);
        sim->saved_last = action->save.id;
        return;
    case ACTION_SNAPSHOT:
        trace_number(sim, (uint64_t)action->snapshot.snapshot_id);
        return;
    case ACTION_HISTORY:
        trace_number(sim, action->history.id);
        trace_bytes(sim, action->history.reason, strlen(action->history.reason));
        count_loss(sim, action);
        /* Perhaps in the place of one that nobody was told of and a start did not find. */
        if (strcmp(action->history.event, "added") == 0)
            sim->poisoned[action->history.id] = sim->killed[action->history.id] = 0;
        return;
    case ACTION_REPLY:
        clients_close(sim, action);
        return;
    case ACTION_TRANSITION:
        trace_number(sim, action->transition.what);
        trace_number(sim, action->transition.to);
        trace_number(sim, action->transition.id);
        return;
    case ACTION_ALERT:
        trace_number(sim, action->alert.message->kind);
        trace_number(sim, action->alert.message->count);
        messages_keep(sim, action);
        return;
    case ACTION_LIMIT:
        trace_number(sim, action->limit.lane);
        trace_number(sim, (uint64_t)action->limit.per_minute);
        engine_perform_limit(&sim->shell, action);
        return;
    case ACTION_EXPORT:
        perform_job(sim, JOB_EXPORT, action->export.run);
        return;
    case ACTION_RETENTION:
        return;
    case ACTION_SUSPECT_CLEARED:
        clear_suspect(sim, action->suspect_cleared.id);
        return;
    case ACTION_RESTART:
        sim->result->restarts++;
        children_report_restart(sim);
        return;
    case ACTION_CANCEL:
    case ACTION_JOB_CANCEL:
    case ACTION_KIND_COUNT:
        return;
    }
}

/* Before each action the engine may fall. */
static bool falls_now(struct sim *sim)
{
    if (sim->crash_after == 0 || --sim->crash_after > 0)
        return false;
    trace_line(sim, "the engine falls between two actions");
    children_crash(sim, SIGSEGV);
    return true;
}

void sim_step(struct sim *sim, struct event *event)
{
    struct actions *actions = &sim->shell.actions;
    if (!children_engine_works(sim))
        return; /* nobody is there, or it does not listen */
    event->now = sim->now;
    if (fault_is_present(sim, SIM_FAULT_CLOCK))
        event->now = instant_add(
            sim->now, duration_s(-prng_unit(&sim->fault_prng[SIM_FAULT_CLOCK]) * CLOCK_BACK_S));
    if (token_table_is_short(sim->memory.table, 64) && !fault_is_present(sim, SIM_FAULT_MEMORY) &&
        !table_memory_grow(&sim->memory, 64))
        oracle_complain(&sim->oracle, sim->now, "no memory for the table");
    ledger_on_event(&sim->ledger, event);
    core_step(sim->core, event, actions);
    ledger_on_actions(&sim->ledger, event, actions);
    sim->result->events++;
    sim->is_in_step = true;
    sim->saved_last = TOKEN_NONE;
    for (size_t i = 0; i < actions->count && !falls_now(sim); i++)
        perform_action(sim, &actions->items[i]);
    sim->is_in_step = false;
}
