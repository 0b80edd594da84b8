/*
 * What the load leaves to each lane: a core with tokens in its lanes gets samples, and says what
 * bounds it. 90 cold tokens at 45 s are 2 tokens a second, at 30 a request; 20 hot ones with two
 * pools at 15 s are 4/3.
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

#define START ((instant){1750000000000000LL})
#define COLD  90
#define HOT   20

static struct {
    struct table_memory memory;
    struct core *core;
    struct options options;
    struct load_sample sample;
    struct actions actions;
    char trace[4096];
    int second;
} world;

static void set_option(const char *name, const char *value)
{
    char why[OPTION_MESSAGE_SIZE];
    assert_int_equal(options_set(&world.options, name, value, OPTION_FROM_COMMAND_LINE, why), OK);
}

/* Answered just now; heavy ones have liquidity, volume and momentum. */
static void preload(uint32_t n, enum token_status status, bool is_heavy)
{
    struct address mint = {{(uint8_t)n, 1}};
    token_id id = token_table_add(world.memory.table, &mint);
    struct token *draft = token_write_begin(world.memory.table, id);
    struct pool pools[] = {{.address = {{(uint8_t)n, 2}},
                            .liquidity_usd = 20000,
                            .flags = POOL_COUNTS | POOL_PUMP_SOL},
                           {.address = {{(uint8_t)n, 3}},
                            .liquidity_usd = status == TOKEN_ACTIVE ? 9000 : 0,
                            .flags = POOL_COUNTS | POOL_EXTERNAL}};
    draft->status = (uint8_t)status;
    draft->flags = TOKEN_DURABLE;
    draft->created_at = draft->state.checked_at = draft->state.discovered_at = START;
    draft->state.fetched_at = START;
    draft->state.answers = 1;
    draft->state.metrics.liquidity_usd = is_heavy ? 1e6 : 0;
    draft->state.metrics.volume_24h_usd = is_heavy ? 1e6F : 0;
    draft->state.metrics.delta_p_5m = is_heavy ? 0.3F : 0;
    assert_true(token_draft_set_pools(world.memory.table, pools, 2));
    token_write_end(world.memory.table, id);
}

static void start(void)
{
    world.core = core_init(world.core, world.memory.table, &world.options, 0, START);
    core_start_alone(world.core, NULL);
}

static int set_up_with(uint32_t heavy)
{
    int error;
    memset(&world, 0, sizeof world);
    assert_true(table_memory_init(&world.memory, 256, &error));
    world.core = malloc(core_size());
    options_init(&world.options);
    set_option("scheduler_enabled", "false"); /* nothing is sent: who stands there stays there */
    for (uint32_t i = 0; i < COLD; i++)
        preload(i, TOKEN_MONITORING, i < heavy);
    for (uint32_t i = 0; i < HOT; i++)
        preload(COLD + i, TOKEN_ACTIVE, false);
    for (int i = 0; i < LOAD_READING_COUNT; i++)
        world.sample.of[i] = NAN;
    start();
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_with(COLD / 2);
}

static int set_up_light(void **state)
{
    (void)state;
    return set_up_with(0);
}

static int tear_down(void **state)
{
    (void)state;
    free(world.core);
    table_memory_finish(&world.memory);
    return 0;
}

static void note(const struct action *action)
{
    size_t length = strlen(world.trace);
    if (action->kind != ACTION_TRANSITION || action->transition.what < TRANSITION_LOAD)
        return;
    bool is_level = action->transition.what == TRANSITION_LOAD;
    snprintf(world.trace + length, sizeof world.trace - length, "%d %s: %s → %s\n", world.second,
             is_level ? load_signal_name((enum load_signal_id)action->transition.id)
                      : load_feature_name((enum load_feature)action->transition.id),
             transition_state_name(action->transition.what, action->transition.from),
             transition_state_name(action->transition.what, action->transition.to));
}

static void seconds(int count)
{
    for (; count > 0; count--) {
        struct event event = {.kind = EVENT_LOAD,
                              .now = instant_add(START, duration_s(++world.second)),
                              .load = {&world.sample}};
        core_step(world.core, &event, &world.actions);
        for (size_t i = 0; i < world.actions.count; i++)
            note(&world.actions.items[i]);
    }
}

static const struct lane_stats *lane(enum lane_kind kind)
{
    return &core_stats(world.core)->lanes[kind];
}

static void expect_capacity(enum lane_kind kind, enum lane_limit limit, double capacity)
{
    double is = lane(kind)->capacities[limit];
    if (isinf(capacity) ? !isinf(is) : fabs(is - capacity) > capacity * 0.01)
        fail_msg("%s bounds %s to %g, not %g", lane_limit_name(limit), lane_kind_name(kind), is,
                 capacity);
}

/* ---- cases ---- */

static void unknown_readings_bound_nothing(void **state)
{
    (void)state;
    seconds(5);
    for (int kind = 0; kind < LANE_KIND_COUNT; kind++) {
        expect_capacity(kind, LIMIT_CPU, INFINITY);
        expect_capacity(kind, LIMIT_STORE, INFINITY);
        expect_capacity(kind, LIMIT_LEVEL, INFINITY);
        assert_int_equal(lane(kind)->limit, LIMIT_UPSTREAM);
    }
    assert_string_equal(world.trace, "");
}

static void a_level_is_told_of_and_sheds_under_strain(void **state)
{
    (void)state;
    world.sample.of[READING_CPU] = 0.9;
    world.sample.of[READING_OWN_CPU] = 0.1;
    seconds(3);
    expect_capacity(LANE_SCREEN, LIMIT_LEVEL, INFINITY); /* busy, but we keep up */
    world.sample.of[READING_LAG] = 0.25;
    seconds(3);
    assert_int_equal(lane(LANE_SCREEN)->limit, LIMIT_LEVEL);
    world.sample.of[READING_LAG] = 0.01;
    world.sample.of[READING_CPU] = 0.5;
    seconds(10);
    assert_int_equal(lane(LANE_SCREEN)->limit, LIMIT_UPSTREAM);
    expect_capacity(LANE_SCREEN, LIMIT_LEVEL, INFINITY);
    assert_string_equal(world.trace, "2 cpu: normal → minimal\n"
                                     "2 deferral: normal → reduced\n"
                                     "5 strain: normal → reduced\n"
                                     "5 statistics: on → off\n"
                                     "5 history_detail: on → off\n"
                                     "5 export_rate: on → off\n"
                                     "5 clean_up: on → off\n"
                                     "5 log_detail: on → off\n"
                                     "8 cpu: minimal → normal\n"
                                     "8 strain: reduced → normal\n"
                                     "8 deferral: reduced → normal\n"
                                     "8 statistics: off → on\n"
                                     "8 history_detail: off → on\n"
                                     "8 export_rate: off → on\n"
                                     "8 clean_up: off → on\n"
                                     "8 log_detail: off → on\n");
}

static void the_scale_of_a_level_is_of_what_is_needed(void **state)
{
    (void)state;
    world.sample.of[READING_CPU] = 0.5;
    world.sample.of[READING_LAG] = 0.25;
    seconds(3);
    /* 0.7 of it is less than a request in 15 s, which every lane may send. */
    expect_capacity(LANE_SCREEN, LIMIT_LEVEL, 1 / 15.0);
    set_option("cold_interval_sec", "1");
    struct event event = {.kind = EVENT_OPTIONS,
                          .now = instant_add(START, duration_s(world.second)),
                          .options = {&world.options}};
    core_step(world.core, &event, &world.actions);
    seconds(1);
    expect_capacity(LANE_SCREEN, LIMIT_LEVEL, 3 * 0.7); /* 90 a second, 30 a request */
    world.sample.of[READING_LAG] = 0.5;
    seconds(2);
    expect_capacity(LANE_SCREEN, LIMIT_LEVEL, 3 * 0.3);
}

/* Half of the cold ones weigh 0.92 and half 0.02: the roots of what they lack to 0.8 and 0.3 say
 * how much less often they are due. */
static void priority_decides_who_waits(void **state)
{
    (void)state;
    set_option("cold_interval_sec", "1");
    set_option("load_minimal_scale", "1");
    set_option("load_reduced_scale", "1");
    start();
    world.sample.of[READING_CPU] = 0.82;
    world.sample.of[READING_LAG] = 0.25;
    seconds(3);
    assert_int_equal(core_stats(world.core)->load.defer, LOAD_REDUCED);
    double low = lane(LANE_SCREEN)->capacities[LIMIT_LEVEL];
    world.sample.of[READING_CPU] = 0.97;
    seconds(3);
    assert_int_equal(core_stats(world.core)->load.defer, LOAD_MINIMAL);
    double most = lane(LANE_SCREEN)->capacities[LIMIT_LEVEL];
    /* A class is within a factor of 2^(1/3) of the weight. */
    assert_true(low > 1.5 + 1.5 / sqrt(0.3 / 0.02) / 1.3 &&
                low < 1.5 + 1.5 / sqrt(0.3 / 0.02) * 1.3);
    assert_true(most > 1.5 + 1.5 / sqrt(0.8 / 0.02) / 1.3 &&
                most < 1.5 + 1.5 / sqrt(0.8 / 0.02) * 1.3);
}

/* Nothing of ours goes under what keeps the maximum ages. */
static void nobody_starves(void **state)
{
    (void)state;
    set_option("maximum_age_sec", "20");
    set_option("cold_interval_sec", "10");
    set_option("load_minimal_scale", "0.05");
    start();
    world.sample.of[READING_CPU] = 1;
    world.sample.of[READING_LAG] = 2;
    world.sample.of[READING_WAIT] = 1;
    seconds(30);
    assert_true(core_stats(world.core)->load.scale == 0.05);
    expect_capacity(LANE_SCREEN, LIMIT_LEVEL, COLD / 20.0 / 30 * 1.1);
    assert_true(lane(LANE_DISCOVER)->capacities[LIMIT_LEVEL] >= 1);
}

/* However long the strain lasts, and however little is planned because of it. */
static void high_priority_never_waits_for_the_load(void **state)
{
    (void)state;
    set_option("cold_interval_sec", "1");
    set_option("load_minimal_scale", "0.05");
    start();
    world.sample.of[READING_CPU] = 1;
    world.sample.of[READING_LAG] = 2;
    world.sample.of[READING_CORES] = 2;
    world.sample.of[READING_ENGINE_CPU] = 0.1;
    seconds(60);
    double kept = COLD / 2.0 / 30;
    assert_true(lane(LANE_SCREEN)->capacities[LIMIT_LEVEL] > kept);
    assert_true(lane(LANE_SCREEN)->capacities[LIMIT_LEVEL] < kept * 1.3);
    assert_true(lane(LANE_SCREEN)->capacities[LIMIT_CPU] > kept);
}

/* ---- CPU ---- */

static void a_pair_about(struct pair *pair, token_id id)
{
    memset(pair, 0, sizeof *pair);
    pair->base = token_slot(world.memory.table, id)->mint;
    strcpy(pair->quote_symbol, "SOL");
    strcpy(pair->dex, "pumpswap");
    pair->liquidity_usd = 1;
    pair->price_usd = pair->market_cap_usd = pair->change_m5_percent = NAN;
    pair->change_m15_percent = pair->change_h1_percent = NAN;
}

/* One request is answered: 30 tokens. Returns how many. */
static uint32_t answer_one(const struct action *fetch)
{
    struct pair pairs[REQUEST_ADDRESSES_MAX];
    token_id ids[REQUEST_ADDRESSES_MAX];
    size_t count = core_request_tokens(world.core, fetch->fetch.request, ids);
    for (size_t i = 0; i < count; i++)
        a_pair_about(&pairs[i], ids[i]);
    struct event event = {.kind = EVENT_ANSWER,
                          .now = instant_add(START, duration_s(world.second)),
                          .answer = {.request = fetch->fetch.request,
                                     .outcome = FEED_OK,
                                     .pairs = pairs,
                                     .pair_count = count}};
    core_step(world.core, &event, &world.actions);
    return (uint32_t)count;
}

/* Lets time pass until one request goes out and is answered. */
static uint32_t one_request(void)
{
    for (int i = 0; i < 100; i++) {
        struct event event = {.kind = EVENT_TIME,
                              .now = instant_add(START, duration_s(++world.second))};
        core_step(world.core, &event, &world.actions);
        for (size_t k = 0; k < world.actions.count; k++)
            if (world.actions.items[k].kind == ACTION_FETCH) {
                struct action fetch = world.actions.items[k];
                return answer_one(&fetch);
            }
    }
    return 0;
}

static void what_a_token_costs_is_measured(void **state)
{
    (void)state;
    set_option("scheduler_enabled", "true");
    set_option("cold_interval_sec", "5");
    start();
    world.sample.of[READING_CORES] = 2;
    world.sample.of[READING_ENGINE_CPU] = 0.5;
    seconds(1);
    assert_true(isnan(core_stats(world.core)->token_cost_s)); /* nobody was answered */
    uint32_t tokens = one_request();
    assert_true(tokens > 1);
    int before = 1, now = world.second + 1;
    seconds(1);
    double cost_s = 0.5 * (now - before) / tokens;
    assert_true(fabs(core_stats(world.core)->token_cost_s - cost_s) < 1e-9);
    /* Two CPUs less a tenth. */
    double tokens_a_second = 2 * 0.9 / cost_s, need = COLD / 5.0 + HOT / 15.0;
    /* What screening needs, and all that nobody else does. */
    double screened = COLD / 5.0 / 30 + (tokens_a_second - need) / 30;
    assert_true(fabs(lane(LANE_SCREEN)->capacities[LIMIT_CPU] / screened - 1) < 0.2);
    /* With CPUs for a tenth of what is needed, each lane has its share of them. */
    world.sample.of[READING_CORES] = cost_s * need / 10;
    seconds(1);
    assert_true(lane(LANE_SCREEN)->capacities[LIMIT_CPU] < 0.9 * COLD / 5.0 / 30);
    assert_true(lane(LANE_SCREEN)->capacities[LIMIT_CPU] > 0);
}

static void sort_all(void)
{
    core_sort(world.core, LINKS_PRICE, NULL);
    core_sort(world.core, LINKS_DISCOVER, NULL);
}

/* With the first of the tokens at work, and the others still read. */
static void what_reading_the_others_costs_is_nobodys(void **state)
{
    (void)state;
    set_option("scheduler_enabled", "true");
    set_option("cold_interval_sec", "5");
    world.core = core_init(world.core, world.memory.table, &world.options, 0, START);
    core_place(world.core, 1, token_table_count(world.memory.table));
    sort_all();
    core_start_first(world.core);
    world.sample.of[READING_CORES] = 2;
    world.sample.of[READING_ENGINE_CPU] = 0.9;
    for (int i = 0; i < 3; i++) {
        assert_true(one_request() > 0);
        seconds(1);
        assert_true(isnan(core_stats(world.core)->token_cost_s));
    }
    sort_all();
    core_start_rest(world.core, 0);
    seconds(1); /* of which a part went into reading */
    assert_true(isnan(core_stats(world.core)->token_cost_s));
    world.sample.of[READING_ENGINE_CPU] = 0.1;
    assert_true(one_request() > 0);
    seconds(1);
    assert_true(core_stats(world.core)->token_cost_s < 0.1);
}

/* What an idle engine uses is not the price of tokens. */
static void an_idle_engine_says_nothing_about_cost(void **state)
{
    (void)state;
    set_option("scheduler_enabled", "true");
    start();
    world.sample.of[READING_CORES] = 2;
    world.sample.of[READING_ENGINE_CPU] = 0.01;
    seconds(1);
    assert_true(one_request() > 0);
    seconds(1);
    assert_true(isnan(core_stats(world.core)->token_cost_s));
    expect_capacity(LANE_SCREEN, LIMIT_CPU, INFINITY);
}

/* ---- the store ---- */

static void a_store_that_falls_behind_bounds_the_work(void **state)
{
    (void)state;
    set_option("cold_interval_sec", "1");
    start();
    world.sample.of[READING_STORE_WRITES] = 1;
    world.sample.of[READING_STORE_FILL] = 0.6;
    seconds(3);
    expect_capacity(LANE_SCREEN, LIMIT_STORE, 3 * 0.7);
    assert_int_equal(lane(LANE_SCREEN)->limit, LIMIT_STORE);
    world.sample.of[READING_STORE_WRITES] = 0; /* not at all: known elsewhere, and not helped */
    world.sample.of[READING_STORE_FILL] = 1;
    seconds(3);
    expect_capacity(LANE_SCREEN, LIMIT_STORE, 3 * 0.7);
    world.sample.of[READING_STORE_WRITES] = 1;
    world.sample.of[READING_STORE_FILL] = 0;
    seconds(3);
    expect_capacity(LANE_SCREEN, LIMIT_STORE, INFINITY);
}

/* ---- who is deferred, and why ---- */

static void deferral_has_a_reason_and_an_age(void **state)
{
    (void)state;
    seconds(30);
    const struct group_stats *hot = &core_stats(world.core)->groups[GROUP_HOT];
    const struct group_stats *cold = &core_stats(world.core)->groups[GROUP_COLD];
    assert_int_equal(hot->deferred, HOT);
    assert_int_equal(hot->deferred_by_load, 0);
    assert_int_equal(hot->oldest_deferred_age.us, 30 * 1000000);
    assert_int_equal(cold->deferred, 0);
    assert_int_equal(cold->oldest_deferred_age.us, 0);
    set_option("hot_interval_sec", "1");
    start();
    world.sample.of[READING_LAG] = 1;
    world.sample.of[READING_CPU] = 0.99;
    seconds(5);
    assert_int_equal(lane(LANE_REFRESH)->limit, LIMIT_LEVEL);
    assert_int_equal(hot->deferred_by_load, HOT);
}

static void exports_and_history_are_spared(void **state)
{
    (void)state;
    world.sample.of[READING_MEMORY] = 0.8;
    seconds(3);
    const struct job_stats *jobs = core_stats(world.core)->jobs;
    assert_int_equal(jobs[JOB_EXPORT].interval.us, 10 * 1000000);
    assert_int_equal(jobs[JOB_RETENTION].interval.us, 2400 * 1000000LL);
    world.sample.of[READING_MEMORY] = 0.2;
    seconds(3);
    assert_int_equal(jobs[JOB_EXPORT].interval.us, 5 * 1000000);
}

#define TEST(name)       cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_LIGHT(name) cmocka_unit_test_setup_teardown(name, set_up_light, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(unknown_readings_bound_nothing),
        TEST(a_level_is_told_of_and_sheds_under_strain),
        TEST_LIGHT(the_scale_of_a_level_is_of_what_is_needed),
        TEST(priority_decides_who_waits),
        TEST_LIGHT(nobody_starves),
        TEST(high_priority_never_waits_for_the_load),
        TEST(what_a_token_costs_is_measured),
        TEST(what_reading_the_others_costs_is_nobodys),
        TEST(an_idle_engine_says_nothing_about_cost),
        TEST(a_store_that_falls_behind_bounds_the_work),
        TEST(deferral_has_a_reason_and_an_age),
        TEST(exports_and_history_are_spared),
    };
    return cmocka_run_group_tests_name("core.capacity", tests, NULL, NULL);
}
