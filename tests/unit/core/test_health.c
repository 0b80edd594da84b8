/*
 * What is found wrong, and when. A trace has a line for each finding that comes (+), changes its
 * severity (~) or goes (-), with the seconds since the start; rules that need no history are
 * tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/core.h"
#include "page/table_memory.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START       ((instant){1750000000000000LL})
#define TOKENS      5
#define LATENCY     duration_ms(100)
#define PENDING_MAX 1024
#define TRACE_SIZE  8192

struct pending {
    uint64_t request;
    size_t count;
    enum lane_kind lane;
    struct address addresses[REQUEST_ADDRESSES_MAX];
    instant sent_at;
};

static struct {
    struct table_memory memory;
    struct core *core;
    struct options options;
    struct actions actions;
    instant now, looked_at;
    struct load_sample sample;
    struct surroundings around;
    bool is_blind; /* nobody looks */
    enum feed_outcome outcome;
    duration latency;
    enum { JOBS_END, JOBS_FAIL, JOBS_HANG } jobs;
    uint64_t runs[JOB_COUNT];
    struct pending pending[PENDING_MAX];
    size_t pending_count;
    struct findings before;
    char trace[TRACE_SIZE];
    size_t trace_length;
} world;

/* ---- the trace ---- */

static double seconds(instant t)
{
    return duration_to_s(instant_diff(t, START));
}

static void say(char sign, const struct finding *finding)
{
    const char *subject = finding_subject_name(finding->cause, finding->subject);
    bool has_reason = finding->because != FINDING_CAUSE_COUNT && sign != '-';
    int n = snprintf(world.trace + world.trace_length, TRACE_SIZE - world.trace_length,
                     "%4.0f %c %s%s%s%s%s%s%s\n", seconds(world.now), sign,
                     finding_name(finding->cause), subject[0] != '\0' ? " " : "", subject,
                     sign == '-' ? "" : ", ", sign == '-' ? "" : severity_name(finding->severity),
                     has_reason ? ", because of " : "",
                     has_reason ? finding_name(finding->because) : "");
    assert_true(n > 0 && (size_t)n < TRACE_SIZE - world.trace_length);
    world.trace_length += (size_t)n;
}

static void trace_findings(void)
{
    const struct findings *now = &core_stats(world.core)->findings;
    for (uint32_t i = 0; i < world.before.count; i++)
        if (findings_get(now, world.before.of[i].cause, world.before.of[i].subject) == NULL)
            say('-', &world.before.of[i]);
    for (uint32_t i = 0; i < now->count; i++) {
        const struct finding *old =
            findings_get(&world.before, now->of[i].cause, now->of[i].subject);
        if (old == NULL)
            say('+', &now->of[i]);
        else if (old->severity != now->of[i].severity)
            say('~', &now->of[i]);
        if (old != NULL)
            assert_true(old->since.us == now->of[i].since.us);
    }
    world.before = *now;
}

static void expect_trace(const char *expected)
{
    assert_string_equal(world.trace, expected);
    world.trace_length = 0;
    world.trace[0] = '\0';
}

/* ---- the world ---- */

static void on_fetch(const struct action *action)
{
    assert_true(world.pending_count < PENDING_MAX);
    struct pending *pending = &world.pending[world.pending_count++];
    pending->request = action->fetch.request;
    pending->lane = action->fetch.lane;
    pending->count = action->fetch.count;
    pending->sent_at = world.now;
    memcpy(pending->addresses, action->fetch.addresses,
           action->fetch.count * sizeof(struct address));
}

static void step(struct event event)
{
    event.now = world.now;
    core_step(world.core, &event, &world.actions);
    for (size_t i = 0; i < world.actions.count; i++) {
        const struct action *action = &world.actions.items[i];
        if (action->kind == ACTION_FETCH)
            on_fetch(action);
        else if (action->kind == ACTION_EXPORT)
            world.runs[JOB_EXPORT] = action->export.run;
        else if (action->kind == ACTION_RETENTION)
            world.runs[JOB_RETENTION] = action->retention.run;
    }
    trace_findings();
}

static size_t pairs_of(const struct pending *pending, struct pair *pairs)
{
    for (size_t i = 0; i < pending->count; i++) {
        struct pair *pair = &pairs[i];
        memset(pair, 0, sizeof *pair);
        pair->base = pending->addresses[i];
        pair->pool = (struct address){{pair->base.bytes[0], 1, 7}};
        strcpy(pair->quote_symbol, "SOL");
        strcpy(pair->dex, "pumpswap");
        pair->liquidity_usd = 20000;
        pair->price_usd = 0.001;
        pair->market_cap_usd = pair->change_m15_percent = NAN;
        pair->change_m5_percent = pair->change_h1_percent = NAN;
    }
    return pending->count;
}

static void answer_first(void)
{
    struct pair pairs[REQUEST_ADDRESSES_MAX];
    struct pending first = world.pending[0];
    world.pending_count--;
    memmove(&world.pending[0], &world.pending[1], world.pending_count * sizeof first);
    struct event event = {.kind = EVENT_ANSWER, .answer = {.request = first.request}};
    event.answer.outcome = world.outcome;
    event.answer.latency = world.latency;
    event.answer.pairs = pairs;
    event.answer.pair_count = world.outcome == FEED_OK ? pairs_of(&first, pairs) : 0;
    step(event);
}

static void end_jobs(void)
{
    for (unsigned job = 0; job < JOB_COUNT && world.jobs != JOBS_HANG; job++) {
        uint64_t run = world.runs[job];
        world.runs[job] = 0;
        if (run != 0)
            step((struct event){.kind = EVENT_JOB_DONE,
                                .job_done = {job, run, world.jobs == JOBS_FAIL}});
    }
}

static void look(void)
{
    world.looked_at = world.now;
    if (!world.is_blind)
        step((struct event){.kind = EVENT_LOAD, .load = {&world.sample, &world.around}});
}

static void run_until(double s)
{
    instant until = instant_add(START, duration_s(s));
    while (true) {
        instant next = core_deadline(world.core, world.now);
        instant look_at = instant_add(world.looked_at, duration_s(1));
        instant answer_at =
            world.pending_count > 0 ? instant_add(world.pending[0].sent_at, LATENCY) : INSTANT_FAR;
        instant first = instant_min(instant_min(next, look_at), answer_at);
        if (first.us > until.us)
            break;
        world.now = instant_max(world.now, first);
        if (first.us == look_at.us)
            look();
        else if (first.us == answer_at.us)
            answer_first();
        else
            step((struct event){.kind = EVENT_TIME});
        end_jobs();
    }
    world.now = until;
}

static void set_option(const char *name, const char *value)
{
    char why[OPTION_MESSAGE_SIZE];
    if (options_set(&world.options, name, value, OPTION_FROM_STORE, why) != OK)
        fail_msg("%s", why);
}

static void change_option(const char *name, const char *value)
{
    set_option(name, value);
    step((struct event){.kind = EVENT_OPTIONS, .options = {&world.options}});
}

static void pause_or_resume(bool is_paused)
{
    step((struct event){.kind = EVENT_PAUSE, .pause = {.is_paused = is_paused}});
}

static int set_up(void **state)
{
    (void)state;
    int error;
    memset(&world, 0, sizeof world);
    assert_true(table_memory_init(&world.memory, 64, &error));
    world.core = malloc(core_size());
    assert_non_null(world.core);
    world.now = world.looked_at = START;
    world.latency = LATENCY;
    for (int i = 0; i < LOAD_READING_COUNT; i++)
        world.sample.of[i] = 0.1;
    world.sample.of[READING_CORES] = 2;
    world.sample.of[READING_ENGINE_CPU] = 0.01;
    world.sample.of[READING_STORE_WRITES] = 1;
    world.sample.of[READING_DESCRIPTORS_MAX] = 1000;
    world.around.source_silent_s = NAN;
    options_init(&world.options);
    set_option("w_fresh", "0"); /* quiet tokens score nothing, and stay cold */
    set_option("retention_interval_sec", "600");
    world.core = core_init(world.core, world.memory.table, &world.options, 0, world.now);
    core_start_alone(world.core, NULL);
    for (unsigned n = 1; n <= TOKENS; n++)
        step(
            (struct event){.kind = EVENT_TOKEN_SEEN,
                           .token_seen = {.mint = {{(uint8_t)n, 0, 7}}, .name = "", .symbol = ""}});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(world.core);
    table_memory_finish(&world.memory);
    return 0;
}

/* ---- scheduler ---- */

static void test_all_is_well(void **state)
{
    (void)state;
    run_until(1000);
    expect_trace("");
    change_option("cold_interval_sec", "5");
    run_until(1100);
    change_option("cold_interval_sec", "900");
    run_until(4000);
    change_option("cold_interval_sec", "5");
    run_until(4100);
    expect_trace("");
}

/* What an outage makes of tokens is told as what follows from it, and goes soon after it. */
static void test_an_outage(void **state)
{
    (void)state;
    run_until(200);
    world.outcome = FEED_UNREACHABLE;
    run_until(500);
    world.outcome = FEED_OK;
    run_until(1200);
    expect_trace(" 226 + breaker_open, warning\n"
                 " 226 + feed_errors screen, warning, because of breaker_open\n"
                 " 227 ~ feed_errors screen, error, because of breaker_open\n"
                 " 237 ~ breaker_open, error\n"
                 " 257 + feed_silent screen, error, because of breaker_open\n"
                 " 271 + group_late cold, warning, because of breaker_open\n"
                 " 316 ~ group_late cold, error, because of breaker_open\n"
                 " 316 + group_silent cold, critical, because of breaker_open\n"
                 " 502 - group_late cold\n"
                 " 502 - group_silent cold\n"
                 " 502 - breaker_open\n"
                 " 502 - feed_silent screen\n"
                 " 691 + group_unpunctual cold, warning, because of breaker_open\n"
                 " 790 ~ feed_errors screen, warning, because of breaker_open\n"
                 " 795 - feed_errors screen\n"
                 " 800 - group_unpunctual cold\n");
}

/* The last request of a lane failed, and then its tokens are not due for long. */
static void test_a_lane_that_nobody_waits_for(void **state)
{
    (void)state;
    const struct core_stats *stats = core_stats(world.core);
    double s = 200;
    run_until(s);
    world.outcome = FEED_SERVER_ERROR;
    while (stats->lanes[LANE_SCREEN].outcomes[FEED_SERVER_ERROR] == 0 ||
           stats->lanes[LANE_SCREEN].in_flight > 0)
        run_until(s += 0.05);
    world.outcome = FEED_OK;
    change_option("cold_interval_sec", "600");
    for (double end = s + 300; s < end; s++) {
        run_until(s);
        assert_null(findings_get(&stats->findings, FINDING_FEED_SILENT, LANE_SCREEN));
    }
}

static void test_a_pause(void **state)
{
    (void)state;
    run_until(100);
    pause_or_resume(true);
    run_until(400);
    pause_or_resume(false);
    run_until(600);
    expect_trace(" 101 + paused, warning\n"
                 " 401 - paused\n");
}

/* Nobody answers, and no breaker opens: requests are simply never ended. */
static void test_late(void **state)
{
    (void)state;
    run_until(100);
    change_option("refresh_requests_per_minute", "1");
    change_option("screen_requests_per_minute", "1");
    change_option("discover_requests_per_minute", "1");
    change_option("cold_interval_sec", "5");
    run_until(200);
    expect_trace(" 111 + group_late cold, warning\n"
                 " 116 ~ group_late cold, error\n"
                 " 121 + group_silent cold, critical\n"
                 " 151 - group_late cold\n"
                 " 151 - group_silent cold\n"
                 " 161 + group_late cold, warning\n"
                 " 166 ~ group_late cold, error\n"
                 " 181 + group_silent cold, critical\n");
}

/* ---- jobs ---- */

static void test_jobs(void **state)
{
    (void)state;
    set_option("export_interval_sec", "100");
    change_option("activation_interval_sec", "100");
    run_until(50);
    world.jobs = JOBS_FAIL;
    run_until(450);
    world.jobs = JOBS_END;
    run_until(650);
    world.jobs = JOBS_HANG;
    run_until(1900);
    world.jobs = JOBS_END;
    end_jobs();
    run_until(2000);
    expect_trace(" 101 + job_failed export, warning\n"
                 " 301 ~ job_failed export, error\n"
                 " 501 - job_failed export\n"
                 "1001 + job_stuck export, error\n"
                 "1531 + job_stuck retention, error\n"
                 "1601 ~ job_stuck export, critical\n"
                 "1901 - job_stuck export\n"
                 "1901 - job_stuck retention\n");
}

/* ---- feeds ---- */

static void test_refused(void **state)
{
    (void)state;
    run_until(100);
    world.outcome = FEED_RATE_LIMITED;
    run_until(160);
    world.outcome = FEED_OK;
    run_until(400);
    expect_trace(" 136 + limit_learnt screen, info\n"
                 " 139 + refused screen, error\n"
                 " 199 - refused screen\n"
                 " 302 + group_unpunctual cold, warning, because of refused\n"
                 " 340 - group_unpunctual cold\n"
                 " 347 + group_unpunctual cold, warning, because of refused\n"
                 " 390 - group_unpunctual cold\n"
                 " 392 + group_unpunctual cold, warning, because of refused\n");
}

static void test_slow(void **state)
{
    (void)state;
    run_until(100);
    world.latency = duration_s(8);
    run_until(400);
    world.latency = LATENCY;
    run_until(1000);
    expect_trace(" 179 + feed_slow screen, warning\n"
                 " 310 ~ feed_slow screen, error\n"
                 " 484 ~ feed_slow screen, warning\n"
                 " 688 - feed_slow screen\n");
}

static void test_errors(void **state)
{
    (void)state;
    run_until(100);
    world.around.store_failures = 10;
    run_until(200);
    expect_trace(" 101 + store_errors, warning\n");
    world.around.store_failures = 11;
    run_until(3750);
    expect_trace(" 201 + errors, error\n"
                 "3680 - errors\n");
}

/* ---- what the shell sees ---- */

struct look_case {
    const char *what;
    size_t offset; /* of a double in the world */
    double value;
    double lasts_s;
    enum finding_cause cause; /* FINDING_CAUSE_COUNT: none */
    uint8_t subject;
    enum severity severity;
};

#define AROUND(member) offsetof(struct surroundings, member)
#define READING(reading)                                                                           \
    sizeof(struct surroundings) + offsetof(struct load_sample, of) + (reading) * sizeof(double)

static const struct look_case look_cases[] = {
    {"source down", AROUND(source_down_s), 31, 2, FINDING_SOURCE_DOWN, 0, SEVERITY_WARNING},
    {"source down for long", AROUND(source_down_s), 601, 2, FINDING_SOURCE_DOWN, 0, SEVERITY_ERROR},
    {"source down for a moment", AROUND(source_down_s), 29, 2, FINDING_CAUSE_COUNT, 0, 0},
    {"no source", AROUND(source_down_s), NAN, 2, FINDING_CAUSE_COUNT, 0, 0},
    {"source silent", AROUND(source_silent_s), 1801, 2, FINDING_SOURCE_SILENT, 0, SEVERITY_WARNING},
    {"a node that is not let in", AROUND(outside_s), 16, 2, FINDING_NODE_OUTSIDE, 0,
     SEVERITY_CRITICAL},
    {"a node that has just come", AROUND(outside_s), 14, 2, FINDING_CAUSE_COUNT, 0, 0},
    {"a lease time that is over", AROUND(rests_s), 0.1, 2, FINDING_NODE_RESTS, 0,
     SEVERITY_CRITICAL},
    {"a database that says nothing", AROUND(unheard_s), 3.5, 2, FINDING_NODE_UNHEARD, 0,
     SEVERITY_ERROR},
    {"a database that is slow", AROUND(unheard_s), 2.5, 2, FINDING_CAUSE_COUNT, 0, 0},
    {"others are followed late", AROUND(behind_s), 5.5, 2, FINDING_FOLLOWS_LATE, 0,
     SEVERITY_WARNING},
    {"others are followed very late", AROUND(behind_s), 61, 2, FINDING_FOLLOWS_LATE, 0,
     SEVERITY_ERROR},
    {"others are followed", AROUND(behind_s), 1, 2, FINDING_CAUSE_COUNT, 0, 0},
    {"slots that nobody takes", AROUND(slots_unowned), 1, 2, FINDING_SLOTS_UNOWNED, 0,
     SEVERITY_CRITICAL},
    {"a source that nobody takes", AROUND(source_unowned_s), 16, 2, FINDING_SOURCE_UNOWNED, 0,
     SEVERITY_WARNING},
    {"a source that nobody takes for long", AROUND(source_unowned_s), 121, 2,
     FINDING_SOURCE_UNOWNED, 0, SEVERITY_ERROR},
    {"a source that changes hands", AROUND(source_unowned_s), 11, 2, FINDING_CAUSE_COUNT, 0, 0},
    {"a clock that is off", AROUND(clock_off_s), 1.5, 2, FINDING_CLOCK_OFF, 0, SEVERITY_WARNING},
    {"a clock that is right", AROUND(clock_off_s), 0.2, 2, FINDING_CAUSE_COUNT, 0, 0},
    {"a clock that nobody knows", AROUND(clock_off_s), NAN, 2, FINDING_CAUSE_COUNT, 0, 0},
    {"engine died", AROUND(deaths_last_hour[WATCHED_ENGINE]), 1, 2, FINDING_RESTARTED,
     WATCHED_ENGINE, SEVERITY_WARNING},
    {"api dies again and again", AROUND(deaths_last_hour[WATCHED_API]), 6, 2, FINDING_CRASH_LOOP,
     WATCHED_API, SEVERITY_CRITICAL},
    {"history dropped", AROUND(store_dropped), 3, 2, FINDING_STORE_DROPPED, 0, SEVERITY_WARNING},
    {"commits that do not come", AROUND(store_waiting), 9, 8, FINDING_STORE_LATE, 0,
     SEVERITY_ERROR},
    {"rows that have just come", AROUND(store_waiting), 9, 4, FINDING_CAUSE_COUNT, 0, 0},
    {"no writes", READING(READING_STORE_WRITES), 0, 2, FINDING_STORE_DOWN, 0, SEVERITY_ERROR},
    {"no writes for long", READING(READING_STORE_WRITES), 0, 40, FINDING_STORE_DOWN, 0,
     SEVERITY_CRITICAL},
    {"slow commits", READING(READING_STORE_COMMIT), 1.5, 2, FINDING_STORE_SLOW, 0,
     SEVERITY_WARNING},
    {"half the queue", READING(READING_STORE_FILL), 0.6, 4, FINDING_STORE_BEHIND, 0,
     SEVERITY_WARNING},
    {"all of the queue", READING(READING_STORE_FILL), 0.9, 4, FINDING_STORE_BEHIND, 0,
     SEVERITY_CRITICAL},
    {"disk", READING(READING_DISK), 0.93, 4, FINDING_DISK_SHORT, 0, SEVERITY_WARNING},
    {"disk full", READING(READING_DISK), 0.98, 4, FINDING_DISK_SHORT, 0, SEVERITY_CRITICAL},
    {"memory", READING(READING_MEMORY), 0.8, 4, FINDING_LOAD_HIGH, SIGNAL_MEMORY, SEVERITY_WARNING},
    {"memory used up", READING(READING_MEMORY), 0.95, 4, FINDING_LOAD_HIGH, SIGNAL_MEMORY,
     SEVERITY_CRITICAL},
    {"a busy CPU, while we keep up", READING(READING_CPU), 1, 4, FINDING_LOAD_HIGH, SIGNAL_CPU,
     SEVERITY_INFO},
    {"descriptors", READING(READING_DESCRIPTORS), 960, 4, FINDING_LOAD_HIGH, SIGNAL_DESCRIPTORS,
     SEVERITY_CRITICAL},
    {"a late loop", READING(READING_LAG), 0.3, 4, FINDING_STRAINED, 0, SEVERITY_WARNING},
    {"a very late loop", READING(READING_LAG), 3, 4, FINDING_STRAINED, 0, SEVERITY_CRITICAL},
    {"descriptors unknown", READING(READING_DESCRIPTORS), NAN, 6, FINDING_LOAD_UNKNOWN,
     SIGNAL_DESCRIPTORS, SEVERITY_WARNING},
    {"unknown for a moment", READING(READING_DESCRIPTORS), NAN, 3, FINDING_CAUSE_COUNT, 0, 0},
};

static double *what_is_seen(size_t offset)
{
    if (offset < sizeof world.around)
        return (double *)((char *)&world.around + offset);
    return (double *)((char *)&world.sample + (offset - sizeof world.around));
}

static void test_looks(void **state)
{
    tear_down(state);
    for (size_t i = 0; i < sizeof look_cases / sizeof look_cases[0]; i++) {
        const struct look_case *row = &look_cases[i];
        set_up(state);
        world.sample.of[READING_LAG] = 0;
        run_until(20);
        *what_is_seen(row->offset) = row->value;
        run_until(20 + row->lasts_s);
        const struct findings *found = &core_stats(world.core)->findings;
        if (row->cause == FINDING_CAUSE_COUNT) {
            if (found->count != 0)
                fail_msg("%s: found %s", row->what, finding_name(found->of[0].cause));
        } else {
            const struct finding *finding = findings_get(found, row->cause, row->subject);
            if (finding == NULL || finding->severity != row->severity || found->count != 1)
                fail_msg("%s: %u findings, %s", row->what, found->count,
                         finding == NULL ? "not this one" : severity_name(finding->severity));
        }
        tear_down(state);
    }
    set_up(state);
}

/* A database that is gone: first nobody answers, then the lease time is over. */
static void test_a_node_without_its_database(void **state)
{
    (void)state;
    run_until(20);
    expect_trace("");
    world.around.unheard_s = 4;
    run_until(25);
    world.around.unheard_s = 10;
    world.around.rests_s = 1;
    run_until(30);
    world.around.unheard_s = world.around.rests_s = 0;
    run_until(35);
    expect_trace("  21 + node_unheard, error\n"
                 "  26 + node_rests, critical, because of node_unheard\n"
                 "  31 - node_rests\n"
                 "  31 - node_unheard\n");
}

/* One of several nodes that see it is enough: the others find it, too, and nothing of theirs is
 * wrong. */
static void test_what_an_older_node_tells(void **state)
{
    (void)state;
    run_until(20);
    world.around.others_tell = 1;
    world.around.slots_unowned = 4;
    world.around.source_unowned_s = 130;
    world.around.clock_off_s = 2;
    world.around.behind_s = 6; /* but this is its own */
    run_until(22);
    world.around.others_tell = 0; /* now it is the oldest */
    run_until(24);
    expect_trace("  21 + follows_late, warning\n"
                 "  21 + slots_unowned, info\n"
                 "  21 + source_unowned, info, because of slots_unowned\n"
                 "  21 + clock_off, info\n"
                 "  23 ~ slots_unowned, critical\n"
                 "  23 ~ source_unowned, error, because of slots_unowned\n"
                 "  23 ~ clock_off, warning\n");
}

/* Then what was seen is not known any more, and nothing is said of it. */
static void test_nobody_looks(void **state)
{
    (void)state;
    world.sample.of[READING_STORE_WRITES] = 0;
    world.sample.of[READING_MEMORY] = 0.8;
    run_until(20);
    expect_trace("   1 + store_down, error\n   2 + load_high memory, warning\n");
    world.is_blind = true;
    run_until(40);
    expect_trace("  26 - store_down\n  26 - load_high memory\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_is_well, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_outage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_lane_that_nobody_waits_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_pause, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_late, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_jobs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_looks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_node_without_its_database, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_an_older_node_tells, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_looks, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
