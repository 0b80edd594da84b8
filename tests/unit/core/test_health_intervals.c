/*
 * Health never differs from the scheduler: intervals from a second to an hour, changed at random
 * times while the real core runs, in virtual time. Beside it stands the dullest oracle: for each
 * token, when it was refreshed and until when the next refresh is due at the latest. After every
 * second the verdict must be the oracle's: no false alarm, and a real delay within that second.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../seeds.h"

#include "base/prng.h"
#include "core/core.h"
#include "page/table_memory.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START        ((instant){1750000000000000LL})
#define TOKENS_MAX   60
#define PENDING_MAX  1024
#define LATE_FACTOR  2.0
#define ALERT_FACTOR 3.0

/* What a run has in it, a bit each. */
enum {
    WITH_STALLS = 1, /* the upstream hangs, loses requests, or fails */
    WITH_PAUSES = 2, /* paused, and resumed */
    WITH_DEATHS = 4, /* another engine on the same table, after a downtime */
    WITH_JOBS = 8,   /* runs outside the core that hang */
};

struct pending {
    uint64_t request;
    enum lane_kind lane;
    instant due; /* when it is answered; INSTANT_FAR: never */
    size_t count;
    struct address addresses[REQUEST_ADDRESSES_MAX];
};

/* What the oracle knows of one token. */
struct known {
    bool is_hot;
    instant refreshed_at, late_at, alert_at;
};

static struct {
    struct prng prng;
    struct table_memory memory;
    struct core *core;
    struct options options;
    struct actions actions;
    instant now, end, sampled_at;
    unsigned tokens, with;
    struct known known[TOKENS_MAX + 1];
    struct pending pending[PENDING_MAX];
    size_t pending_count;
    instant stalls_until, change_at, stall_at, pause_at, die_at;
    enum { STALL_HANGS, STALL_LOSES, STALL_FAILS } stall;
    bool is_paused;
    uint64_t runs[JOB_COUNT]; /* outside the core; 0: none is under way */
    instant ran_since[JOB_COUNT];
    bool overran[JOB_COUNT]; /* a second ago */
    /* What was seen, so that a test that tests nothing is noticed. */
    uint64_t seconds, late_seconds, alert_seconds, changes, reports;
} world;

/* ---- chance ---- */

static double between(double low, double high)
{
    return low + (high - low) * prng_unit(&world.prng);
}

/* As often from 1 to 10 as from 10 to 100. */
static double of_any_size(double low, double high)
{
    return exp(between(log(low), log(high)));
}

static instant after(double s)
{
    return instant_add(world.now, duration_s(s));
}

/* ---- tokens ---- */

/* The first half is active, and so hot. */
static bool is_lively(unsigned n)
{
    return n <= world.tokens / 2;
}

static struct address mint_of(unsigned n)
{
    return (struct address){{(uint8_t)n, 0, 7}};
}

static void set_pair(struct pair *pair, unsigned n, unsigned pool)
{
    memset(pair, 0, sizeof *pair);
    pair->base = mint_of(n);
    pair->pool = (struct address){{(uint8_t)n, (uint8_t)pool, 7}};
    pair->quote = mint_of(200);
    strcpy(pair->quote_symbol, "SOL");
    strcpy(pair->dex, pool == 1 ? "pumpswap" : "raydium");
    pair->liquidity_usd = 20000;
    pair->price_usd = 0.001;
    pair->market_cap_usd = pair->change_m15_percent = pair->change_m5_percent =
        pair->change_h1_percent = NAN;
}

/* ---- the oracle ---- */

static double interval_s(bool is_hot)
{
    return is_hot ? world.options.hot_interval_sec : world.options.cold_interval_sec;
}

static void oracle_answered(unsigned n)
{
    struct known *known = &world.known[n];
    known->is_hot = token_column_group(world.memory.table, n) == GROUP_HOT;
    known->refreshed_at = world.now;
    known->late_at = after(LATE_FACTOR * interval_s(known->is_hot));
    known->alert_at = after(ALERT_FACTOR * interval_s(known->is_hot));
}

/* The interval is another one from now on. Nobody gets more time than he had, nor less than a new
 * interval from now on, unless he was late already; a longer interval is longer at once. */
static instant oracle_moved(instant until, instant refreshed_at, double allowed_s)
{
    instant anew = instant_add(refreshed_at, duration_s(allowed_s));
    return instant_max(anew, instant_min(until, after(allowed_s)));
}

static void oracle_changed(void)
{
    for (unsigned n = 1; n <= world.tokens; n++) {
        struct known *known = &world.known[n];
        double s = interval_s(known->is_hot);
        known->late_at = oracle_moved(known->late_at, known->refreshed_at, LATE_FACTOR * s);
        known->alert_at = oracle_moved(known->alert_at, known->refreshed_at, ALERT_FACTOR * s);
    }
}

static void oracle_excused(void)
{
    for (unsigned n = 1; n <= world.tokens; n++)
        world.known[n].late_at = world.known[n].alert_at = INSTANT_FAR;
    oracle_changed();
}

static bool oracle_is_late(bool is_hot, bool is_alert)
{
    for (unsigned n = 1; n <= world.tokens; n++) {
        const struct known *known = &world.known[n];
        if (known->is_hot == is_hot &&
            instant_before(is_alert ? known->alert_at : known->late_at, world.now))
            return true;
    }
    return false;
}

/* ---- the verdict against the oracle's ---- */

static void expect_group(enum token_group group)
{
    bool is_hot = group == GROUP_HOT;
    const struct findings *findings = &core_stats(world.core)->findings;
    const struct finding *found = findings_get(findings, FINDING_GROUP_LATE, group);
    bool is_late = !world.is_paused && oracle_is_late(is_hot, false);
    bool is_alert = !world.is_paused && oracle_is_late(is_hot, true);
    if ((found != NULL) != is_late ||
        (found != NULL && (found->severity == SEVERITY_ERROR) != is_alert))
        fail_msg("after %.3f s the %s tokens are %s, and found to be %s",
                 duration_to_s(instant_diff(world.now, START)), token_group_name(group),
                 is_alert  ? "past three intervals"
                 : is_late ? "late"
                           : "on time",
                 found != NULL ? severity_name(found->severity) : "well");
    world.late_seconds += is_late;
    world.alert_seconds += is_alert;
    world.reports += found != NULL && found->since.us == world.now.us;
}

static void expect_jobs(void)
{
    const struct findings *findings = &core_stats(world.core)->findings;
    for (unsigned job = 0; job < JOB_COUNT; job++) {
        assert_null(findings_get(findings, FINDING_JOB_LATE, job));
        bool overran = core_stats(world.core)->jobs[job].overruns_in_a_row > 0;
        bool is_found = findings_get(findings, FINDING_JOB_STUCK, job) != NULL;
        assert_true(is_found == overran || is_found == world.overran[job]); /* within a second */
        world.overran[job] = overran;
        /* Within the second in which it is past its deadline. */
        if (world.runs[job] != 0)
            assert_true(duration_to_s(instant_diff(world.now, world.ran_since[job])) <=
                        world.options.job_deadline_sec + 1);
    }
}

/* All is well: then nothing at all is found, but for what a start or a pause excuses. */
static void expect_nothing(void)
{
    const struct findings *findings = &core_stats(world.core)->findings;
    for (uint32_t i = 0; i < findings->count; i++)
        if (findings->of[i].cause != FINDING_CATCHING_UP &&
            findings->of[i].cause != FINDING_PAUSED) {
            char text[FINDING_TEXT_SIZE];
            finding_text(&findings->of[i], text);
            fail_msg("after %.3f s: %s", duration_to_s(instant_diff(world.now, START)), text);
        }
}

static void check_verdict(void)
{
    instant sampled_at = core_stats(world.core)->sampled_at;
    assert_true(instant_diff(world.now, sampled_at).us <= 1000000);
    if (sampled_at.us == world.sampled_at.us)
        return;
    world.sampled_at = sampled_at;
    world.seconds++;
    expect_group(GROUP_HOT);
    expect_group(GROUP_COLD);
    expect_jobs();
    if (!(world.with & (WITH_STALLS | WITH_JOBS)))
        expect_nothing();
}

/* ---- the world ---- */

static void on_fetch(const struct action *action)
{
    assert_true(world.pending_count < PENDING_MAX);
    struct pending *pending = &world.pending[world.pending_count++];
    bool is_stalled = instant_before(world.now, world.stalls_until);
    pending->request = action->fetch.request;
    pending->lane = action->fetch.lane;
    pending->count = action->fetch.count;
    memcpy(pending->addresses, action->fetch.addresses,
           action->fetch.count * sizeof(struct address));
    pending->due = after(between(0.02, 0.15));
    if (is_stalled && world.stall == STALL_HANGS)
        pending->due = instant_add(world.stalls_until, duration_s(between(0, 0.1)));
    else if (is_stalled && world.stall == STALL_LOSES)
        pending->due = INSTANT_FAR;
}

static void drop_pending(size_t i)
{
    world.pending[i] = world.pending[--world.pending_count];
}

static void on_cancel(uint64_t request)
{
    for (size_t i = 0; i < world.pending_count; i++)
        if (world.pending[i].request == request) {
            drop_pending(i);
            return;
        }
    fail_msg("cancelled what was not sent");
}

static void on_run(enum job job, uint64_t run)
{
    world.runs[job] = run;
    world.ran_since[job] = world.now;
}

static void perform(const struct action *action)
{
    if (action->kind == ACTION_FETCH)
        on_fetch(action);
    else if (action->kind == ACTION_CANCEL)
        on_cancel(action->cancel.request);
    else if (action->kind == ACTION_EXPORT)
        on_run(JOB_EXPORT, action->export.run);
    else if (action->kind == ACTION_RETENTION)
        on_run(JOB_RETENTION, action->retention.run);
}

static void step(struct event event)
{
    event.now = world.now;
    core_step(world.core, &event, &world.actions);
    for (size_t i = 0; i < world.actions.count; i++)
        perform(&world.actions.items[i]);
}

/* An event that may carry a sample is judged by what the oracle knew before it, or after it: the
 * core samples after it has handled the event, and so do we. */
static void step_and_check(struct event event)
{
    step(event);
    check_verdict();
}

static void note_answer(const struct pending *pending)
{
    bool seen[TOKENS_MAX + 1] = {false};
    for (size_t i = 0; i < pending->count; i++)
        seen[pending->addresses[i].bytes[0]] = true;
    for (unsigned n = 1; n <= world.tokens; n++)
        if (seen[n])
            oracle_answered(n);
}

static size_t pairs_of(const struct pending *pending, struct pair *pairs)
{
    size_t count = 0;
    for (size_t i = 0; i < pending->count; i++) {
        unsigned n = pending->addresses[i].bytes[0], pool = pending->addresses[i].bytes[1];
        if (pending->lane == LANE_REFRESH)
            set_pair(&pairs[count++], n, pool);
        else
            set_pair(&pairs[count++], n, 1);
        if (pending->lane == LANE_DISCOVER && is_lively(n))
            set_pair(&pairs[count++], n, 2);
    }
    return count;
}

static void answer(size_t i)
{
    struct pair pairs[REQUEST_ADDRESSES_MAX * 2];
    struct pending pending = world.pending[i];
    bool fails = instant_before(world.now, world.stalls_until) && world.stall == STALL_FAILS;
    struct event event = {.kind = EVENT_ANSWER, .answer = {.request = pending.request}};
    drop_pending(i);
    event.answer.outcome = fails ? FEED_SERVER_ERROR : FEED_OK;
    event.answer.latency = duration_ms(80);
    event.answer.pairs = pairs;
    event.answer.pair_count = fails ? 0 : pairs_of(&pending, pairs);
    step(event);
    if (!fails)
        note_answer(&pending);
    check_verdict();
}

static void set_option(const char *name, double value)
{
    char text[32], why[OPTION_MESSAGE_SIZE];
    snprintf(text, sizeof text, "%.6f", value);
    if (options_set(&world.options, name, text, OPTION_FROM_STORE, why) != OK)
        fail_msg("%s", why);
}

static void change_an_interval(void)
{
    static const char *const names[] = {"hot_interval_sec", "cold_interval_sec",
                                        "activation_interval_sec", "export_interval_sec"};
    unsigned which = (unsigned)between(0, 5);
    set_option(names[which < 2 ? which : which % 4], of_any_size(1, 3600));
    world.changes++;
    oracle_changed();
    step_and_check((struct event){.kind = EVENT_OPTIONS, .options = {&world.options}});
}

static void turn_pause(void)
{
    world.is_paused = !world.is_paused;
    if (!world.is_paused)
        oracle_excused();
    step_and_check((struct event){.kind = EVENT_PAUSE, .pause = {.is_paused = world.is_paused}});
}

static void start(void)
{
    world.core = core_init(world.core, world.memory.table, &world.options, 0, world.now);
    core_start_alone(world.core, NULL);
    world.pending_count = 0;
    memset(world.runs, 0, sizeof world.runs);
    memset(world.overran, 0, sizeof world.overran);
    world.is_paused = false;
    world.sampled_at = INSTANT_NEVER;
}

static void die(void)
{
    world.now = after(of_any_size(0.01, 7200));
    start();
    oracle_excused();
    step_and_check((struct event){.kind = EVENT_TIME});
}

static void begin_stall(void)
{
    world.stall = (unsigned)between(0, 3);
    world.stalls_until = after(of_any_size(1, 10000));
}

/* ---- what happens next ---- */

static size_t next_answer(void)
{
    size_t first = 0;
    for (size_t i = 1; i < world.pending_count; i++)
        if (instant_before(world.pending[i].due, world.pending[first].due))
            first = i;
    return first;
}

static void finish_jobs(void)
{
    for (unsigned job = 0; job < JOB_COUNT; job++) {
        bool hangs = (world.with & WITH_JOBS) && world.runs[job] % 3 != 0;
        uint64_t run = world.runs[job];
        if (run == 0 || hangs)
            continue;
        world.runs[job] = 0;
        step_and_check((struct event){.kind = EVENT_JOB_DONE, .job_done = {job, run, false}});
    }
}

struct happening {
    instant *at;
    double low_s, high_s; /* until the next */
    unsigned with;        /* 0: always */
    void (*happens)(void);
};

static const struct happening happenings[] = {
    {&world.change_at, 0.5, 900, 0, change_an_interval},
    {&world.stall_at, 60, 14400, WITH_STALLS, begin_stall},
    {&world.pause_at, 10, 7200, WITH_PAUSES, turn_pause},
    {&world.die_at, 30, 14400, WITH_DEATHS, die},
};
#define HAPPENINGS (sizeof happenings / sizeof happenings[0])

static void plan(const struct happening *happening)
{
    bool takes_part = happening->with == 0 || (world.with & happening->with);
    *happening->at =
        takes_part ? after(of_any_size(happening->low_s, happening->high_s)) : INSTANT_FAR;
}

static const struct happening *next_happening(void)
{
    const struct happening *first = &happenings[0];
    for (size_t i = 1; i < HAPPENINGS; i++)
        if (instant_before(*happenings[i].at, *first->at))
            first = &happenings[i];
    return first;
}

static void turn(void)
{
    const struct happening *happening = next_happening();
    size_t answered = next_answer();
    instant due = core_deadline(world.core, world.now);
    instant answer_at = world.pending_count > 0 ? world.pending[answered].due : INSTANT_FAR;
    instant next = instant_min(instant_min(due, answer_at), *happening->at);
    world.now = instant_max(world.now, next);
    if (happening->at->us <= next.us) {
        happening->happens();
        plan(happening);
    } else if (answer_at.us <= next.us) {
        answer(answered);
    } else {
        step_and_check((struct event){.kind = EVENT_TIME});
    }
    finish_jobs();
}

static void begin(uint64_t seed, double hours, unsigned with)
{
    int error;
    memset(&world, 0, sizeof world);
    prng_seed(&world.prng, seed);
    assert_true(table_memory_init(&world.memory, 64, &error));
    world.core = malloc(core_size());
    assert_non_null(world.core);
    world.now = START;
    world.end = after(hours * 3600);
    world.with = with;
    options_init(&world.options);
    set_option("w_fresh", 0); /* quiet tokens score nothing */
    set_option("monitoring_timeout_hours", 1000);
    set_option("archive_below_hours", 1000);
    set_option("refresh_requests_per_minute", 1e6);
    set_option("screen_requests_per_minute", 1e6);
    set_option("hot_interval_sec", of_any_size(1, 3600));
    set_option("cold_interval_sec", of_any_size(1, 3600));
    start();
    world.tokens = (unsigned)between(1, TOKENS_MAX);
    for (unsigned n = 1; n <= world.tokens; n++) {
        step((struct event){.kind = EVENT_TOKEN_SEEN,
                            .token_seen = {.mint = mint_of(n), .name = "", .symbol = ""}});
        oracle_answered(n); /* new is as good as answered */
    }
    for (size_t i = 0; i < HAPPENINGS; i++)
        plan(&happenings[i]);
}

static void end(void)
{
    free(world.core);
    table_memory_finish(&world.memory);
}

struct totals {
    uint64_t seconds, late_seconds, alert_seconds, changes, reports;
};

static struct totals run(uint64_t first_seed, unsigned seeds, double hours, unsigned with)
{
    struct totals totals = {0};
    for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
        begin(seed, hours, with);
        while (instant_before(world.now, world.end))
            turn();
        totals.seconds += world.seconds;
        totals.late_seconds += world.late_seconds;
        totals.alert_seconds += world.alert_seconds;
        totals.changes += world.changes;
        totals.reports += world.reports;
        end();
    }
    print_message("# %.0f hours, %d changes, %d delays reported, %.1f hours late\n",
                  (double)totals.seconds / 3600, (int)totals.changes, (int)totals.reports,
                  (double)totals.late_seconds / 3600);
    return totals;
}

/* ---- tests ---- */

static void test_no_false_alarm(void **state)
{
    (void)state;
    struct totals totals = run(1, SEEDS_OF(30), 2, 0);
    assert_int_equal(totals.late_seconds, 0);
    assert_true(totals.changes > SEEDS_OF(500));
}

static void test_every_delay(void **state)
{
    (void)state;
    struct totals totals = run(1000, SEEDS_OF(24), 4, WITH_STALLS);
    assert_true(totals.reports > SEEDS_OF(50) && totals.alert_seconds > 0);
    assert_true(totals.late_seconds < totals.seconds); /* and it ends */
}

static void test_pauses_and_deaths(void **state)
{
    (void)state;
    struct totals totals = run(2000, SEEDS_OF(12), 4, WITH_PAUSES | WITH_DEATHS);
    assert_int_equal(totals.late_seconds, 0);
}

static void test_everything(void **state)
{
    (void)state;
    struct totals totals =
        run(3000, SEEDS_OF(20), 4, WITH_PAUSES | WITH_DEATHS | WITH_STALLS | WITH_JOBS);
    assert_true(totals.reports > SEEDS_OF(20));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_false_alarm),
        cmocka_unit_test(test_every_delay),
        cmocka_unit_test(test_pauses_and_deaths),
        cmocka_unit_test(test_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
