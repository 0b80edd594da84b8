/* The simulator. See the header. */
#include "sim/sim.h"

#include "core/lifecycle.h"
#include "core/score.h"
#include "page/table_memory.h"
#include "sim/deaths.h"
#include "sim/oracle.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EPOCH             ((instant){1750000000LL * 1000000}) /* virtual time begins here */
#define CALM_SHARE        0.25 /* of the run, at its end, without faults */
#define TABLE_CHECK_S     60.0
#define TOKENS_DRAWN_MIN  10
#define TOKENS_DRAWN_MAX  5000
#define LATENCY_MEAN_S    0.08
#define USUAL_LIMIT       300 /* requests a minute, a kind */
#define JOB_MEAN_S        0.05
#define CORES             2.0
#define IDLE_CORES        0.01
#define TOKEN_CORES       0.0005 /* a token a second */
#define BUSY_LAG_MEAN_S   0.5
#define BLIND_SHARE       0.1 /* of the samples of a busy machine: unknown */
#define JOB_SLACK_S       5.0 /* a shell whose clock goes back notices later */
#define ANSWER_EVENTS_MAX 4096
#define ON_TIME_FACTOR    1.1 /* × target */
#define TAGS_MAX          8192
#define AGE_SLACK         3.0 /* × target, at the calm end */
#define ARRIVALS_SLACK    1.2 /* of their expected number; luck takes less */
#define ARRIVALS_MORE     100

enum world_kind {
    WORLD_ANSWER,
    WORLD_DURABLE,
    WORLD_TOKEN,  /* a graduation */
    WORLD_FAULT,  /* a fault begins or ends */
    WORLD_CHECK,  /* the oracles look at everything */
    WORLD_WANTED, /* a client wants something */
    WORLD_JOB,    /* a run of a job outside the core has ended */
    WORLD_LOAD,   /* the sample of a second */
    WORLD_POISON, /* a token begins to kill */
    WORLD_SAMPLE, /* somebody looks on */
    WORLD_LIMIT,  /* the upstream's limit changes */
};

struct world_event {
    instant at;
    uint64_t order; /* of events at the same time: first come, first served */
    enum world_kind kind;
    union {
        struct {
            uint64_t request;
            enum lane_kind lane;
            enum feed_outcome outcome;
            duration retry_after, latency;
            uint8_t count;
            struct address addresses[REQUEST_ADDRESSES_MAX];
        } answer;
        struct {
            token_id id;
            uint64_t tag;
        } durable;
        struct {
            enum sim_fault fault;
            bool begins;
        } fault;
        struct {
            enum job job;
            uint64_t run;
        } job;
        struct {
            token_id id;
        } poison;
        struct {
            double per_minute;
        } limit;
    };
};

/* Somebody waits for a reply with this tag. */
struct open_tag {
    uint64_t tag;
    enum event_kind kind;
};

struct sim {
    const struct sim_setup *setup;
    struct sim_result *result;
    struct options options;
    struct table_memory memory;
    void *core_memory;
    struct core *core;
    struct disk *disk; /* NULL: the store is a fake one */
    struct upstream upstream;
    struct oracle oracle;
    struct prng world, workload, faults, machine; /* streams of their own */
    uint64_t refreshes_seen;                      /* at the last sample of load */
    struct world_event *heap;
    size_t heap_count, heap_capacity;
    uint64_t order;
    instant now, end, calm_from;
    unsigned present_faults;
    double fault_share[SIM_FAULT_COUNT];   /* of answers hit while it is present */
    uint32_t tokens_expected, tokens_seen; /* expected: at most */
    struct actions actions;
    struct pair pairs[UPSTREAM_PAIRS_MAX];
    uint64_t requests[LANE_KIND_COUNT], addresses[LANE_KIND_COUNT];
    instant *answered_at; /* by id: the last answer that the core took; INSTANT_NEVER: none */
    uint64_t on_time[GROUP_COUNT];
    struct deaths deaths;
    bool is_restart_asked;
    struct open_tag open[TAGS_MAX];
    size_t open_count;
};

static const char *const fault_names[SIM_FAULT_COUNT] = {
#define X(code, name) [code] = name,
    SIM_FAULT_LIST(X)
#undef X
};

const char *sim_fault_name(enum sim_fault fault)
{
    return fault < SIM_FAULT_COUNT ? fault_names[fault] : "?";
}

/* ---- what comes next: a binary heap ---- */

static bool comes_before(const struct world_event *a, const struct world_event *b)
{
    return a->at.us != b->at.us ? a->at.us < b->at.us : a->order < b->order;
}

static void plan(struct sim *sim, instant at, struct world_event event)
{
    if (sim->heap_count == sim->heap_capacity) {
        size_t capacity = sim->heap_capacity == 0 ? 1024 : sim->heap_capacity * 2;
        struct world_event *heap = realloc(sim->heap, capacity * sizeof *heap);
        if (heap == NULL) {
            oracle_complain(&sim->oracle, sim->now, "the simulator ran out of memory");
            return;
        }
        sim->heap = heap;
        sim->heap_capacity = capacity;
    }
    event.at = at;
    event.order = sim->order++;
    size_t i = sim->heap_count++;
    for (; i > 0 && comes_before(&event, &sim->heap[(i - 1) / 2]); i = (i - 1) / 2)
        sim->heap[i] = sim->heap[(i - 1) / 2];
    sim->heap[i] = event;
}

static struct world_event take_next(struct sim *sim)
{
    struct world_event first = sim->heap[0];
    struct world_event last = sim->heap[--sim->heap_count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < sim->heap_count; i = child) {
        if (child + 1 < sim->heap_count && comes_before(&sim->heap[child + 1], &sim->heap[child]))
            child++;
        if (!comes_before(&sim->heap[child], &last))
            break;
        sim->heap[i] = sim->heap[child];
    }
    if (sim->heap_count > 0)
        sim->heap[i] = last;
    return first;
}

static instant after(const struct sim *sim, double seconds)
{
    return instant_add(sim->now, duration_s(seconds));
}

/* ---- the trace ---- */

static void trace(struct sim *sim, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint64_t hash = sim->result->trace_hash;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3ULL; /* FNV-1a */
    sim->result->trace_hash = hash;
}

static void trace_number(struct sim *sim, uint64_t number)
{
    trace(sim, &number, sizeof number);
}

/* ---- performing actions ---- */

static bool hits(struct sim *sim, enum sim_fault fault)
{
    return (sim->present_faults >> fault & 1) && prng_unit(&sim->faults) < sim->fault_share[fault];
}

static bool is_down(const struct sim *sim)
{
    double t = duration_to_s(instant_diff(sim->now, EPOCH));
    bool planned = t >= sim->setup->down_from_s && t < sim->setup->down_to_s;
    return planned || (sim->present_faults >> FAULT_DOWN & 1);
}

static bool is_planned_stuck(const struct sim *sim)
{
    double t = duration_to_s(instant_diff(sim->now, EPOCH));
    return t >= sim->setup->stuck_from_s && t < sim->setup->stuck_to_s;
}

static void count_fullness(struct sim *sim, const struct action *action)
{
    sim->requests[action->fetch.lane]++;
    sim->addresses[action->fetch.lane] += action->fetch.count;
}

/* ---- who waits for a reply: each gets one ---- */

static void open_tag(struct sim *sim, enum event_kind kind, uint64_t tag)
{
    if (sim->open_count == TAGS_MAX)
        oracle_complain(&sim->oracle, sim->now, "%d clients wait for a reply", TAGS_MAX);
    else
        sim->open[sim->open_count++] = (struct open_tag){tag, kind};
}

static void close_tag(struct sim *sim, const struct action *action)
{
    for (size_t i = 0; i < sim->open_count; i++)
        if (sim->open[i].tag == action->reply.tag) {
            sim->open[i] = sim->open[--sim->open_count];
            return;
        }
    oracle_complain(&sim->oracle, sim->now, "a reply that nobody waits for");
}

/* A dead engine owes nothing but what its store still confirms. */
static void forget_wishes(struct sim *sim)
{
    for (size_t i = sim->open_count; i-- > 0;)
        if (sim->open[i].kind == EVENT_REFRESH_WANTED)
            sim->open[i] = sim->open[--sim->open_count];
}

static enum feed_outcome admit(struct sim *sim, enum lane_kind lane)
{
    enum feed_outcome outcome = upstream_admit(&sim->upstream, lane, sim->now);
    int64_t minute = instant_diff(sim->now, EPOCH).us / 60000000;
    if (minute >= SIM_MINUTES_MAX)
        return outcome;
    struct sim_minute *counted = &sim->result->minutes[lane][minute];
    counted->accepted += outcome == FEED_OK;
    counted->refused += outcome != FEED_OK;
    return outcome;
}

static void perform_fetch(struct sim *sim, const struct action *action)
{
    struct world_event event = {.kind = WORLD_ANSWER};
    event.answer.request = action->fetch.request;
    event.answer.lane = action->fetch.lane;
    event.answer.count = (uint8_t)action->fetch.count;
    memcpy(event.answer.addresses, action->fetch.addresses,
           action->fetch.count * sizeof(struct address));
    count_fullness(sim, action);
    trace_number(sim, action->fetch.request);
    trace(sim, event.answer.addresses, action->fetch.count * sizeof(struct address));

    double latency = 0.02 + prng_exponential(&sim->world, LATENCY_MEAN_S);
    event.answer.outcome = admit(sim, action->fetch.lane);
    if (is_down(sim))
        event.answer.outcome = FEED_UNREACHABLE;
    else if (hits(sim, FAULT_ERRORS))
        event.answer.outcome = FEED_SERVER_ERROR;
    else if (hits(sim, FAULT_REFUSED)) {
        event.answer.outcome = FEED_RATE_LIMITED;
        event.answer.retry_after = duration_s((double)prng_below(&sim->faults, 4));
    }
    if (hits(sim, FAULT_SLOW))
        latency += prng_unit(&sim->faults) * 15;
    if (hits(sim, FAULT_LOST))
        return;
    event.answer.latency = duration_s(latency);
    plan(sim, after(sim, latency), event);
    if (hits(sim, FAULT_TWICE))
        plan(sim, after(sim, latency + 0.5), event);
}

static void count_loss(struct sim *sim, const struct action *action)
{
    double t = duration_to_s(instant_diff(sim->now, EPOCH));
    if (t >= sim->setup->down_from_s && t < sim->setup->down_to_s &&
        (strcmp(action->history.event, "archived") == 0 ||
         strcmp(action->history.event, "demoted") == 0))
        sim->result->lost_in_outage++;
}

/* Stuck ones end long after their deadline, or never. */
static void perform_job(struct sim *sim, enum job job, uint64_t run)
{
    double length = prng_exponential(&sim->world, JOB_MEAN_S);
    if (is_planned_stuck(sim))
        return;
    if (hits(sim, FAULT_STUCK))
        length += sim->options.job_deadline_sec * (1 + prng_unit(&sim->faults));
    plan(sim, after(sim, length), (struct world_event){.kind = WORLD_JOB, .job = {job, run}});
}

static void perform(struct sim *sim, const struct action *action)
{
    sim->result->actions++;
    trace_number(sim, action->kind);
    oracle_on_action(&sim->oracle, action, sim->now);
    bool is_stored = sim->disk != NULL && disk_perform(sim->disk, action, sim->now);
    switch (action->kind) {
    case ACTION_FETCH:
        perform_fetch(sim, action);
        return;
    case ACTION_ADD_TOKEN: {
        if (is_stored)
            return;
        struct world_event event = {.kind = WORLD_DURABLE};
        event.durable.id = action->add_token.id;
        event.durable.tag = action->add_token.tag;
        double wait = 0.01 + prng_unit(&sim->world) * 0.05;
        plan(sim, after(sim, hits(sim, FAULT_STORE) ? wait + 30 : wait), event);
        return;
    }
    case ACTION_SAVE:
        trace_number(sim, action->save.id);
        return;
    case ACTION_SNAPSHOT:
        trace_number(sim, (uint64_t)action->snapshot.snapshot_id);
        return;
    case ACTION_HISTORY:
        trace_number(sim, action->history.id);
        trace(sim, action->history.reason, strlen(action->history.reason));
        count_loss(sim, action);
        return;
    case ACTION_REPLY:
        close_tag(sim, action);
        return;
    case ACTION_TRANSITION:
        trace_number(sim, action->transition.what);
        trace_number(sim, action->transition.to);
        trace_number(sim, action->transition.id);
        return;
    case ACTION_ALERT:
        trace_number(sim, action->alert.message->kind);
        trace_number(sim, action->alert.message->count);
        return;
    case ACTION_LIMIT:
        trace_number(sim, action->limit.lane);
        trace_number(sim, (uint64_t)action->limit.per_minute);
        return;
    case ACTION_EXPORT:
        perform_job(sim, JOB_EXPORT, action->export.run);
        return;
    case ACTION_RETENTION:
        if (!is_stored)
            perform_job(sim, JOB_RETENTION, action->retention.run);
        return;
    case ACTION_SUSPECT_CLEARED:
        deaths_clear(&sim->deaths, action->suspect_cleared.id);
        return;
    case ACTION_RESTART:
        sim->is_restart_asked = true;
        return;
    case ACTION_CANCEL:
    case ACTION_JOB_CANCEL:
    case ACTION_KIND_COUNT:
        return;
    }
}

static void restart(struct sim *sim);

static void step(struct sim *sim, struct event *event)
{
    event->now = sim->now;
    if (sim->present_faults >> FAULT_CLOCK & 1)
        event->now = instant_add(sim->now, duration_s(-prng_unit(&sim->faults) * 3));
    if (token_table_is_short(sim->memory.table, 64) && !table_memory_grow(&sim->memory, 64))
        oracle_complain(&sim->oracle, sim->now, "no memory for the table");
    core_step(sim->core, event, &sim->actions);
    sim->result->events++;
    for (size_t i = 0; i < sim->actions.count; i++)
        perform(sim, &sim->actions.items[i]);
    if (!sim->is_restart_asked)
        return;
    sim->is_restart_asked = false;
    sim->result->restarts++;
    restart(sim);
}

/* ---- the world acts ---- */

static size_t spoil(struct sim *sim, size_t count)
{
    if (hits(sim, FAULT_EMPTY))
        return 0;
    if (hits(sim, FAULT_WRONG))
        for (size_t i = 0; i < count; i += 2)
            sim->pairs[i].base.bytes[31] ^= 0x55;
    if (hits(sim, FAULT_PARTIAL))
        count = (size_t)prng_below(&sim->faults, count + 1);
    return count;
}

/* ---- on time or not, from outside ---- */

static double target_s(const struct sim *sim, enum token_group group)
{
    return group == GROUP_HOT    ? sim->options.hot_interval_sec
           : group == GROUP_COLD ? sim->options.cold_interval_sec
                                 : sim->options.archived_interval_sec;
}

static void count_refresh(struct sim *sim, enum token_group group, double age_s)
{
    sim->result->refreshes[group]++;
    sim->on_time[group] += age_s <= ON_TIME_FACTOR * target_s(sim, group);
}

/* The tokens of an answer, each once, with their groups before the core sees it. */
struct answered {
    token_id ids[UPSTREAM_PAIRS_MAX];
    enum token_group groups[UPSTREAM_PAIRS_MAX];
    size_t count;
};

static void list_answered(const struct sim *sim, const struct event *event, struct answered *out)
{
    out->count = 0;
    for (size_t i = 0; i < event->answer.pair_count; i++) {
        token_id id = token_table_find(sim->memory.table, &event->answer.pairs[i].base);
        /* Pairs of a token follow each other. */
        if (id == TOKEN_NONE || (out->count > 0 && out->ids[out->count - 1] == id))
            continue;
        out->groups[out->count] = token_column_group(sim->memory.table, id);
        out->ids[out->count++] = id;
    }
}

static void count_answered(struct sim *sim, const struct answered *answered)
{
    for (size_t i = 0; i < answered->count; i++) {
        token_id id = answered->ids[i];
        instant before = sim->answered_at[id];
        const struct token_state *state = &token_slot(sim->memory.table, id)->state;
        if (state->fetched_at.us < sim->now.us)
            continue; /* the core did not take it */
        if (!instant_is_never(before))
            count_refresh(sim, answered->groups[i], duration_to_s(instant_diff(sim->now, before)));
        sim->answered_at[id] = sim->now;
    }
}

/* Who is late when the run ends would never be counted otherwise. */
static void count_late_at_end(struct sim *sim)
{
    for (token_id id = 1; id <= token_table_count(sim->memory.table); id++) {
        enum token_group group = token_column_group(sim->memory.table, id);
        double age_s = duration_to_s(instant_diff(sim->now, sim->answered_at[id]));
        if (!instant_is_never(sim->answered_at[id]) && !sim->deaths.quarantined[id] &&
            age_s > ON_TIME_FACTOR * target_s(sim, group))
            count_refresh(sim, group, age_s);
    }
}

/* True when the engine dies of this answer. */
static bool dies_of(struct sim *sim, uint64_t request, const struct answered *answered)
{
    token_id ids[REQUEST_ADDRESSES_MAX];
    size_t count = core_request_tokens(sim->core, request, ids);
    size_t i = 0;
    while (i < answered->count && !sim->deaths.poisoned[answered->ids[i]])
        i++;
    if (count == 0 || i == answered->count)
        return false; /* nobody opens an answer that is not waited for */
    deaths_note(&sim->deaths, core_request_lane(sim->core, request), ids, count);
    for (size_t k = 0; k < count; k++)
        if (sim->deaths.killed[ids[k]] > DEATHS_A_TOKEN_MAX)
            oracle_complain(&sim->oracle, sim->now, "token %u killed us for the third time",
                            ids[k]);
    sim->result->deaths++;
    return true;
}

static void on_answer(struct sim *sim, struct world_event *world)
{
    struct event event = {.kind = EVENT_ANSWER};
    event.answer.request = world->answer.request;
    event.answer.outcome = world->answer.outcome;
    event.answer.retry_after = world->answer.retry_after;
    event.answer.latency = world->answer.latency;
    if (is_down(sim))
        event.answer.outcome = FEED_UNREACHABLE;
    if (event.answer.outcome == FEED_OK) {
        size_t count = upstream_answer(&sim->upstream, world->answer.lane, world->answer.addresses,
                                       world->answer.count, sim->now, sim->pairs);
        event.answer.pairs = sim->pairs;
        event.answer.pair_count = spoil(sim, count);
    }
    struct answered answered;
    list_answered(sim, &event, &answered);
    if (dies_of(sim, world->answer.request, &answered)) {
        restart(sim);
        return;
    }
    if (answered.count > 0)
        sim->oracle.data_at = sim->now;
    step(sim, &event);
    count_answered(sim, &answered);
}

static double mean_gap_s(const struct sim *sim)
{
    if (sim->setup->arrivals_per_hour > 0)
        return 3600 / sim->setup->arrivals_per_hour;
    return duration_to_s(instant_diff(sim->calm_from, EPOCH)) / (sim->tokens_expected + 1);
}

static void plan_token(struct sim *sim)
{
    if (sim->tokens_seen >= sim->tokens_expected)
        return;
    double span = mean_gap_s(sim);
    plan(sim, after(sim, prng_exponential(&sim->workload, span)),
         (struct world_event){.kind = WORLD_TOKEN});
}

static struct address mint_number(const struct sim *sim, uint32_t n)
{
    if (n < token_table_count(sim->memory.table)) /* they come in the order of their numbers */
        return token_slot(sim->memory.table, n + 1)->mint;
    return sim->setup->arrivals_per_hour > 0 ? upstream_fading_mint(&sim->upstream, n, sim->now)
                                             : upstream_mint(&sim->upstream, n, LIFE_CHANGING);
}

static void on_token(struct sim *sim)
{
    struct event event = {.kind = EVENT_TOKEN_SEEN};
    /* Now and then one that is known already. */
    bool again = sim->tokens_seen > 0 && prng_below(&sim->workload, 20) == 0;
    uint32_t n = again ? (uint32_t)prng_below(&sim->workload, sim->tokens_seen) : sim->tokens_seen;
    event.token_seen.mint = mint_number(sim, n);
    event.token_seen.name = event.token_seen.symbol = "";
    event.token_seen.tag = sim->order + 1;
    sim->tokens_seen += !again;
    open_tag(sim, EVENT_TOKEN_SEEN, event.token_seen.tag);
    step(sim, &event);
    plan_token(sim);
}

static void change_settings(struct sim *sim)
{
    char why[OPTION_MESSAGE_SIZE], value[32];
    static const char *const names[] = {"hot_interval_sec", "cold_interval_sec", "min_score",
                                        "activation_min_liquidity_usd", "ewma_alpha"};
    static const double low[] = {5, 20, 0.05, 100, 0.1}, high[] = {60, 300, 0.4, 3000, 0.9};
    size_t which = prng_below(&sim->faults, 5);
    double number = low[which] + prng_unit(&sim->faults) * (high[which] - low[which]);
    snprintf(value, sizeof value, "%.3f", number);
    if (options_set(&sim->options, names[which], value, OPTION_FROM_STORE, why) != OK)
        oracle_complain(&sim->oracle, sim->now, "%s", why);
    struct event event = {.kind = EVENT_OPTIONS, .options = {&sim->options}};
    step(sim, &event);
}

static void start_core(struct sim *sim)
{
    int64_t newest = 0;
    for (token_id id = 1; id <= token_table_count(sim->memory.table); id++) {
        int64_t snapshot = token_slot(sim->memory.table, id)->state.snapshot_id;
        newest = snapshot > newest ? snapshot : newest;
    }
    sim->core = core_init(sim->core_memory, sim->memory.table, &sim->options, newest, sim->now);
    core_start_alone(sim->core, NULL);
    sim->oracle.core = sim->core;
}

/* Connections die with their engine. */
static void forget_requests(struct sim *sim)
{
    struct world_event *old = sim->heap;
    size_t count = sim->heap_count;
    sim->heap = NULL;
    sim->heap_count = sim->heap_capacity = 0;
    for (size_t i = 0; i < count; i++)
        if (old[i].kind != WORLD_ANSWER)
            plan(sim, old[i].at, old[i]);
    free(old);
}

static void tell_suspect(struct sim *sim, token_id id)
{
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++)
        if (sim->deaths.suspected_in[id] >> lane & 1) {
            struct event event = {.kind = EVENT_SUSPECT, .suspect = {id, (enum lane_kind)lane}};
            step(sim, &event);
        }
}

/* What an engine learns of the limits outlives it. */
static void tell_limit(struct sim *sim, enum lane_kind lane, const struct lane_stats *before,
                       instant at)
{
    struct event event = {.kind = EVENT_LIMIT_KNOWN,
                          .limit_known = {.lane = lane,
                                          .per_minute = before->learned_per_minute,
                                          .configured = before->configured_per_minute,
                                          .at = at}};
    if (!isnan(before->learned_per_minute))
        step(sim, &event);
}

/* Over the same table, and with what is known of deaths. */
static void restart(struct sim *sim)
{
    struct core_stats before = *core_stats(sim->core);
    forget_requests(sim);
    forget_wishes(sim);
    start_core(sim);
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++)
        tell_limit(sim, (enum lane_kind)lane, &before.lanes[lane], before.sampled_at);
    for (token_id id = 1; id <= token_table_count(sim->memory.table); id++) {
        if (sim->deaths.quarantined[id]) {
            struct event event = {.kind = EVENT_QUARANTINE, .quarantine = {id}};
            step(sim, &event);
        }
        tell_suspect(sim, id);
    }
}

static void poison_somebody(struct sim *sim)
{
    uint32_t count = token_table_count(sim->memory.table);
    if (count > 0)
        sim->deaths.poisoned[1 + prng_below(&sim->faults, count)] = 1;
}

static void cure_all(struct sim *sim)
{
    for (token_id id = 1; id <= token_table_count(sim->memory.table); id++) {
        bool is_released = sim->deaths.quarantined[id];
        deaths_cure(&sim->deaths, id);
        if (is_released) {
            struct event event = {.kind = EVENT_RELEASE, .release = {id}};
            step(sim, &event);
        }
    }
}

static void on_fault(struct sim *sim, const struct world_event *world)
{
    enum sim_fault fault = world->fault.fault;
    if (world->fault.begins && fault == FAULT_POISON)
        poison_somebody(sim);
    if (!world->fault.begins) {
        sim->present_faults &= ~(1U << fault);
        if (fault == FAULT_POISON)
            cure_all(sim);
    } else if (fault == FAULT_RESTART) {
        restart(sim);
        sim->result->faults_injected++;
    } else if (fault == FAULT_SETTINGS) {
        change_settings(sim);
        sim->result->faults_injected++;
    } else {
        double length = prng_exponential(&sim->faults, 120);
        sim->present_faults |= 1U << fault;
        sim->fault_share[fault] = prng_unit(&sim->faults);
        sim->result->faults_injected++;
        plan(sim, instant_min(after(sim, length), sim->calm_from),
             (struct world_event){.kind = WORLD_FAULT, .fault = {fault, false}});
    }
    instant next = after(sim, prng_exponential(&sim->faults, 900));
    if (world->fault.begins && instant_before(next, sim->calm_from))
        plan(sim, next, (struct world_event){.kind = WORLD_FAULT, .fault = {fault, true}});
}

/* The longest that a target can be kept to with this population and budget. */
static double achievable_s(const struct sim *sim)
{
    double per_s[LANE_KIND_COUNT], need_s = sim->options.cold_interval_sec;
    const struct core_stats *stats = core_stats(sim->core);
    for (int i = 0; i < LANE_KIND_COUNT; i++)
        per_s[i] = fmax(stats->lanes[i].allowed_per_minute / 60, 1e-9);
    double hot = stats->groups[GROUP_HOT].tokens, cold = stats->groups[GROUP_COLD].tokens;
    need_s = fmax(need_s, sim->options.hot_interval_sec);
    need_s = fmax(need_s, hot * 8 / REQUEST_ADDRESSES_MAX / per_s[LANE_REFRESH]);
    return fmax(need_s, (cold + hot) / REQUEST_ADDRESSES_MAX / per_s[LANE_SCREEN]);
}

/* A job that hangs is run again: it is never under way for longer than its deadline. */
static void check_jobs(struct sim *sim)
{
    const struct core_stats *stats = core_stats(sim->core);
    for (int job = 0; job < JOB_COUNT; job++) {
        instant since = stats->jobs[job].running_since;
        double age_s = duration_to_s(instant_diff(sim->now, since));
        if (!instant_is_never(since) && age_s > sim->options.job_deadline_sec + JOB_SLACK_S)
            oracle_complain(&sim->oracle, sim->now, "%s runs for %.1f s", job_name(job), age_s);
    }
}

static void on_check(struct sim *sim)
{
    oracle_on_table(&sim->oracle, sim->now);
    check_jobs(sim);
    if (token_table_count(sim->memory.table) < sim->tokens_seen)
        oracle_complain(&sim->oracle, sim->now, "of %u tokens %u are left", sim->tokens_seen,
                        token_table_count(sim->memory.table));
    plan(sim, after(sim, TABLE_CHECK_S), (struct world_event){.kind = WORLD_CHECK});
}

static void on_wanted(struct sim *sim)
{
    struct event event = {.kind = EVENT_REFRESH_WANTED};
    uint32_t n = sim->tokens_seen == 0 ? 0 : (uint32_t)prng_below(&sim->workload, sim->tokens_seen);
    event.refresh_wanted.mint = mint_number(sim, n);
    event.refresh_wanted.tag = sim->order + 1;
    open_tag(sim, EVENT_REFRESH_WANTED, event.refresh_wanted.tag);
    step(sim, &event);
    plan(sim, after(sim, prng_exponential(&sim->workload, 120)),
         (struct world_event){.kind = WORLD_WANTED});
}

static void look_on(struct sim *sim)
{
    const struct sim_view view = {.now = sim->now,
                                  .at_s = duration_to_s(instant_diff(sim->now, EPOCH)),
                                  .table = sim->memory.table,
                                  .stats = core_stats(sim->core),
                                  .disk = sim->disk};
    sim->setup->on_sample(sim->setup->context, &view);
    plan(sim, after(sim, sim->setup->sample_every_s), (struct world_event){.kind = WORLD_SAMPLE});
}

static void tell_durable(void *context, token_id id, uint64_t tag)
{
    struct event event = {.kind = EVENT_TOKEN_DURABLE, .token_durable = {id, tag}};
    step(context, &event);
}

/* ---- the machine ---- */

static bool is_busy(const struct sim *sim)
{
    double t = duration_to_s(instant_diff(sim->now, EPOCH));
    bool planned = t >= sim->setup->busy_from_s && t < sim->setup->busy_to_s;
    return planned || (sim->present_faults >> FAULT_BUSY & 1);
}

/* What the engine uses follows what it does. */
static double engine_cores(struct sim *sim)
{
    const struct core_stats *stats = core_stats(sim->core);
    uint64_t refreshes = 0, before = sim->refreshes_seen;
    for (int i = 0; i < GROUP_COUNT; i++)
        refreshes += stats->groups[i].refreshes;
    sim->refreshes_seen = refreshes;
    uint64_t answered = refreshes > before ? refreshes - before : 0;
    if (sim->setup->token_cores > 0)
        return sim->setup->idle_cores + sim->setup->token_cores * (double)answered;
    return IDLE_CORES + TOKEN_CORES * (double)answered;
}

static void on_load(struct sim *sim)
{
    struct load_sample sample;
    double *of = sample.of;
    for (int i = 0; i < LOAD_READING_COUNT; i++)
        of[i] = NAN;
    bool busy = is_busy(sim), is_blind = busy && prng_unit(&sim->machine) < BLIND_SHARE;
    of[READING_CORES] = CORES;
    of[READING_ENGINE_CPU] = engine_cores(sim);
    of[READING_OWN_CPU] = of[READING_ENGINE_CPU] / CORES;
    of[READING_CPU] = busy ? 0.8 + 0.2 * prng_unit(&sim->machine) : 0.3;
    of[READING_LAG] = busy ? prng_exponential(&sim->machine, BUSY_LAG_MEAN_S) : 0.002;
    of[READING_MEMORY] = 0.4;
    of[READING_STORE_WRITES] = 1;
    of[READING_STORE_FILL] = 0.01;
    if (is_blind)
        of[READING_CPU] = of[READING_LAG] = of[READING_ENGINE_CPU] = NAN;
    struct event event = {.kind = EVENT_LOAD, .load = {&sample}};
    step(sim, &event);
    plan(sim, after(sim, 1), (struct world_event){.kind = WORLD_LOAD});
}

static void act(struct sim *sim, struct world_event *world)
{
    switch (world->kind) {
    case WORLD_LOAD:
        on_load(sim);
        return;
    case WORLD_ANSWER:
        on_answer(sim, world);
        return;
    case WORLD_DURABLE:
        tell_durable(sim, world->durable.id, world->durable.tag);
        return;
    case WORLD_JOB: {
        struct event event = {.kind = EVENT_JOB_DONE, .job_done = {world->job.job, world->job.run}};
        step(sim, &event);
        return;
    }
    case WORLD_POISON:
        sim->deaths.poisoned[world->poison.id] = 1;
        return;
    case WORLD_LIMIT:
        upstream_set_limit(&sim->upstream, world->limit.per_minute);
        return;
    case WORLD_TOKEN:
        on_token(sim);
        return;
    case WORLD_FAULT:
        on_fault(sim, world);
        return;
    case WORLD_CHECK:
        on_check(sim);
        return;
    case WORLD_WANTED:
        on_wanted(sim);
        return;
    case WORLD_SAMPLE:
        look_on(sim);
        return;
    }
}

/* ---- the real store ---- */

static instant now_of(void *context)
{
    const struct sim *sim = context;
    return sim->now;
}

static void tell_history_deleted(void *context, uint64_t run)
{
    struct event event = {.kind = EVENT_JOB_DONE, .job_done = {JOB_RETENTION, run}};
    step(context, &event);
}

static bool open_disk(struct sim *sim)
{
    char why[512];
    const struct disk_world world = {.context = sim,
                                     .now = now_of,
                                     .on_token_durable = tell_durable,
                                     .on_history_deleted = tell_history_deleted};
    if (sim->setup->database == NULL)
        return true;
    sim->disk = disk_open(sim->setup->database, sim->memory.table, &sim->options, &world, why);
    if (sim->disk == NULL)
        oracle_complain(&sim->oracle, sim->now, "%s", why);
    return sim->disk != NULL;
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

/* ---- beginning ---- */

/* A token as a start finds it in the store: known for long, refreshed lately. */
static void preload_token(struct sim *sim, uint32_t n, enum upstream_life life)
{
    struct address mint = upstream_mint(&sim->upstream, n, life);
    if (token_table_is_short(sim->memory.table, 64) && !table_memory_grow(&sim->memory, 64)) {
        oracle_complain(&sim->oracle, sim->now, "no memory for the table");
        return;
    }
    token_id id = token_table_add(sim->memory.table, &mint);
    bool active = life == LIFE_ACTIVE;
    double target = active ? sim->options.hot_interval_sec : sim->options.cold_interval_sec;
    size_t count = upstream_answer(&sim->upstream, LANE_DISCOVER, &mint, 1, sim->now, sim->pairs);
    struct pool pools[POOLS_MAX] = {0};
    for (size_t i = 0; i < count; i++)
        pools[i] =
            (struct pool){.address = sim->pairs[i].pool,
                          .liquidity_usd = (float)sim->pairs[i].liquidity_usd,
                          .dex = token_table_dex(sim->memory.table, sim->pairs[i].dex),
                          .flags = pool_flags_for(sim->pairs[i].dex, sim->pairs[i].quote_symbol)};
    struct token *draft = token_write_begin(sim->memory.table, id);
    draft->status = active ? TOKEN_ACTIVE : TOKEN_MONITORING;
    draft->flags = TOKEN_DURABLE;
    draft->created_at = after(sim, -sim->setup->hours_old * 3600);
    double stale_s = sim->setup->stale_s;
    double age_s = stale_s > 0 ? stale_s : prng_unit(&sim->world) * target;
    draft->state.checked_at = after(sim, -age_s);
    draft->state.fetched_at = draft->state.checked_at;
    draft->state.discovered_at = after(sim, -prng_unit(&sim->world) * 600);
    draft->state.status_since = draft->created_at;
    draft->state.answers = 1;
    draft->state.score = active ? 0.5 : 0;
    if (!token_draft_set_pools(sim->memory.table, pools, count))
        oracle_complain(&sim->oracle, sim->now, "no memory for pools");
    token_write_end(sim->memory.table, id);
    if (sim->disk != NULL)
        disk_perform(sim->disk, &(struct action){.kind = ACTION_ADD_TOKEN, .add_token = {id, 0}},
                     sim->now);
    sim->oracle.statuses[id] = draft->status;
    sim->answered_at[id] = draft->state.checked_at;
}

static void preload(struct sim *sim)
{
    for (uint32_t n = 0; n < sim->setup->tokens; n++)
        preload_token(sim, n, n < sim->setup->active ? LIFE_ACTIVE : LIFE_QUIET);
    sim->tokens_seen = sim->setup->tokens;
}

static void plan_faults(struct sim *sim)
{
    for (int fault = 0; fault < SIM_FAULT_COUNT; fault++) {
        /* Swarm: each run draws which of the faults it has at all. */
        bool drawn = prng_unit(&sim->faults) < 0.6;
        if ((sim->setup->faults >> fault & 1) && drawn)
            plan(sim, after(sim, prng_exponential(&sim->faults, 600)),
                 (struct world_event){.kind = WORLD_FAULT, .fault = {(enum sim_fault)fault, true}});
    }
}

static void plan_limits(struct sim *sim)
{
    for (int i = 0; i < SIM_LIMITS_MAX && sim->setup->limits[i].per_minute > 0; i++)
        plan(
            sim, after(sim, sim->setup->limits[i].from_s),
            (struct world_event){.kind = WORLD_LIMIT, .limit = {sim->setup->limits[i].per_minute}});
}

static bool begin(struct sim *sim)
{
    const struct sim_setup *setup = sim->setup;
    int error;
    prng_seed(&sim->world, setup->seed * 3 + 0);
    prng_seed(&sim->workload, setup->seed * 3 + 1);
    prng_seed(&sim->faults, setup->seed * 3 + 2);
    prng_seed(&sim->machine, ~setup->seed);
    if (setup->options != NULL)
        sim->options = *setup->options;
    else
        options_init(&sim->options);
    sim->now = EPOCH;
    sim->end = after(sim, setup->hours * 3600);
    sim->calm_from = after(sim, setup->hours * 3600 * (1 - CALM_SHARE));
    sim->tokens_expected =
        setup->tokens != 0
            ? setup->tokens
            : (uint32_t)(TOKENS_DRAWN_MIN +
                         prng_below(&sim->workload, TOKENS_DRAWN_MAX - TOKENS_DRAWN_MIN + 1));
    if (setup->arrivals_per_hour > 0)
        sim->tokens_expected = setup->tokens + ARRIVALS_MORE +
                               (uint32_t)(ARRIVALS_SLACK * setup->arrivals_per_hour * setup->hours);
    sim->oracle.statuses_size = sim->tokens_expected + 1;
    sim->oracle.statuses = calloc(sim->oracle.statuses_size, 1);
    sim->oracle.may_demote = setup->faults >> FAULT_SETTINGS & 1;
    sim->oracle.data_at = sim->now;
    sim->answered_at = calloc(sim->oracle.statuses_size, sizeof *sim->answered_at);
    bool remembers = deaths_init(&sim->deaths, sim->oracle.statuses_size);
    sim->oracle.suspected = sim->deaths.suspected_in;
    sim->oracle.quarantined = sim->deaths.quarantined;
    sim->core_memory = malloc(core_size());
    if (!remembers || sim->answered_at == NULL || sim->oracle.statuses == NULL ||
        sim->core_memory == NULL || !table_memory_init(&sim->memory, 1024, &error))
        return false;
    sim->oracle.table = sim->memory.table;
    if (!open_disk(sim))
        return false;
    upstream_init(&sim->upstream, setup->seed, setup->limiter, USUAL_LIMIT, sim->now);
    sim->upstream.life_s = setup->life_hours * 3600;
    sim->result->trace_hash = 0xcbf29ce484222325ULL;
    if (setup->active > 0)
        preload(sim);
    start_core(sim);
    plan_token(sim);
    plan_faults(sim);
    plan_limits(sim);
    plan(sim, after(sim, TABLE_CHECK_S), (struct world_event){.kind = WORLD_CHECK});
    plan(sim, after(sim, 1), (struct world_event){.kind = WORLD_LOAD});
    if (setup->poison != TOKEN_NONE)
        plan(sim, after(sim, setup->poison_from_s),
             (struct world_event){.kind = WORLD_POISON, .poison = {setup->poison}});
    if (setup->active == 0)
        plan(sim, after(sim, 300), (struct world_event){.kind = WORLD_WANTED});
    if (setup->sample_every_s > 0)
        plan(sim, after(sim, setup->sample_every_s), (struct world_event){.kind = WORLD_SAMPLE});
    return true;
}

/* ---- the outage of a plan: when was everybody answered again? ---- */

static bool all_answered_since(const struct sim *sim, instant since)
{
    for (token_id id = 1; id <= token_table_count(sim->memory.table); id++)
        if (token_column_status(sim->memory.table, id) != TOKEN_ARCHIVED &&
            !sim->deaths.quarantined[id] &&
            instant_before(token_slot(sim->memory.table, id)->state.fetched_at, since))
            return false;
    return true;
}

/* At best: every slot of every request serves one that was not answered yet. */
static double least_recovery_s(const struct sim *sim)
{
    double pools = 0, screened = 0;
    const uint8_t *costs = token_table_costs(sim->memory.table);
    for (token_id id = 1; id <= token_table_count(sim->memory.table); id++) {
        if (token_column_group(sim->memory.table, id) == GROUP_HOT && costs[id] > 0)
            pools += costs[id];
        else if (token_column_group(sim->memory.table, id) != GROUP_ARCHIVED)
            screened += 1;
    }
    const struct core_stats *stats = core_stats(sim->core);
    double refresh = stats->lanes[LANE_REFRESH].allowed_per_minute / 60 * REQUEST_ADDRESSES_MAX;
    double screen = stats->lanes[LANE_SCREEN].allowed_per_minute / 60 * REQUEST_ADDRESSES_MAX;
    /* Discovery answers too, one token a request: better spent where a request takes fewest. */
    double discover = stats->lanes[LANE_DISCOVER].allowed_per_minute / 60;
    return fmax(pools / refresh, screened / (screen + discover));
}

static void watch_outage(struct sim *sim)
{
    instant back = instant_add(EPOCH, duration_s(sim->setup->down_to_s));
    if (sim->setup->down_to_s == 0 || sim->result->fresh_again_after_s >= 0 ||
        instant_before(sim->now, back))
        return;
    if (sim->result->least_s == 0)
        sim->result->least_s = least_recovery_s(sim);
    if (all_answered_since(sim, back))
        sim->result->fresh_again_after_s = duration_to_s(instant_diff(sim->now, back));
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
    if (sim->heap_count > 0 && sim->heap[0].at.us <= when->us) {
        actor = ACTOR_WORLD;
        *when = sim->heap[0].at;
    }
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
            struct world_event world = take_next(sim);
            act(sim, &world);
        } else if (actor == ACTOR_STORE) {
            disk_turn(sim->disk);
        } else {
            struct event event = {.kind = EVENT_TIME};
            step(sim, &event);
        }
        watch_outage(sim);
    }
}

static double share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 1 : (double)part / (double)whole;
}

static void summarise(struct sim *sim)
{
    struct sim_result *result = sim->result;
    oracle_on_table(&sim->oracle, sim->now);
    close_disk(sim);
    count_late_at_end(sim);
    if (sim->setup->down_to_s == 0)
        oracle_on_ages(&sim->oracle, sim->now, duration_s(achievable_s(sim) * AGE_SLACK));
    result->stats = *core_stats(sim->core);
    result->simulated_s = duration_to_s(instant_diff(sim->now, EPOCH));
    result->refused = sim->upstream.refused;
    /* An engine that was restarted does not know what the one before had sent. */
    bool may_restart =
        sim->setup->faults >> FAULT_RESTART & 1 || result->deaths > 0 || result->restarts > 0;
    bool is_told = sim->setup->limits[0].per_minute == 0;
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
    enum err err = begin(sim) ? OK : ERR_NO_MEMORY;
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
    free(sim->heap);
    free(sim);
    return err;
}
