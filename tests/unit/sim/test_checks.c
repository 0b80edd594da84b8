/* What is looked at now and then: of each check a world that is right, and the same one wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "oracle_world.h"
#include "sim/parts.h"

static struct sim *sim;
static const struct sim_setup setup = {.hours = 1};
static struct sim_result result;

static enum vault_mishap no_mishap(void *context)
{
    (void)context;
    return VAULT_WELL;
}

/* As much of a run as the checks look at: tokens that are acknowledged, and an engine. */
static int begin(void **state)
{
    set_up(state);
    sim = calloc(1, sizeof *sim);
    assert_non_null(sim);
    memset(&result, 0, sizeof result);
    sim->setup = &setup;
    sim->result = &result;
    sim->options = world.options;
    sim->memory = world.memory;
    sim->core = world.core;
    sim->oracle = world.oracle;
    sim->now = NOW;
    sim->calm_from = NOW;
    sim->acknowledged = calloc(TOKENS + 1, 1);
    sim->quarantined = calloc(TOKENS + 1, 1);
    sim->mints = calloc(TOKENS, sizeof *sim->mints);
    sim->vault = vault_create(no_mishap, NULL);
    assert_true(sim->acknowledged != NULL && sim->quarantined != NULL && sim->mints != NULL &&
                sim->vault != NULL);
    sim->tokens_seen = TOKENS;
    for (uint8_t n = 0; n < TOKENS; n++)
        sim->mints[n].bytes[0] = n + 1;
    return 0;
}

static int finish(void **state)
{
    agenda_finish(sim);
    vault_destroy(sim->vault);
    free(sim->acknowledged);
    free(sim->quarantined);
    free(sim->mints);
    free(sim);
    return tear_down(state);
}

static void expect(const char *part)
{
    world.oracle = sim->oracle;
    if (part == NULL)
        expect_content();
    else
        expect_complaint(part);
    sim->oracle.verdict[0] = '\0';
}

/* What the core says of itself; a wrong one may say anything. */
static struct core_stats *stats(void)
{
    return (struct core_stats *)core_stats(world.core);
}

static struct store *open_vault(void)
{
    static const struct store_loader loader = {0};
    struct store_load_report report;
    struct store *store = vault_open(sim->vault);
    assert_non_null(store);
    assert_int_equal(store_resume(store, &loader, &report), OK);
    return store;
}

static void put(struct store *store, token_id id)
{
    struct store_token row = {.id = id, .token = *token_slot(world.memory.table, id)};
    assert_int_equal(store_begin(store, STORE_DURABLE), OK);
    assert_int_equal(store_put_token(store, &row), OK);
    assert_int_equal(store_commit(store), OK);
}

static void whoever_was_acknowledged_is_there(void **state)
{
    (void)state;
    struct store *store = open_vault();
    checks_on_check(sim);
    expect(NULL);
    put(store, 1);
    sim->acknowledged[0] = 1;
    checks_on_check(sim);
    expect(NULL);
    sim->acknowledged[1] = 1;
    checks_on_check(sim);
    expect("token number 1 was acknowledged and is in no store");
    put(store, 2);
    sim->mints[1].bytes[0] = 99; /* the table has another one in its place */
    checks_on_check(sim);
    expect("token number 1 was acknowledged and is lost");
    store_close(store);
}

static void only_the_newest_engine_writes(void **state)
{
    (void)state;
    struct store *old = open_vault();
    assert_int_equal(store_begin(old, STORE_RELAXED), OK);
    checks_on_check(sim);
    expect(NULL);
    struct store *new = open_vault();
    assert_int_equal(store_commit(old), OK); /* no store should let it */
    checks_on_check(sim);
    expect("an engine that was replaced has written");
    store_close(old);
    store_close(new);
}

static void no_job_runs_for_ever(void **state)
{
    (void)state;
    stats()->jobs[JOB_EXPORT].running_since = NOW;
    sim->now = later(sim->options.job_deadline_sec + 4);
    checks_on_check(sim);
    expect(NULL);
    sim->now = later(sim->options.job_deadline_sec + 6);
    checks_on_check(sim);
    expect("export runs for");
}

static void settings_stay(void **state)
{
    (void)state;
    checks_put_setting(sim, 0, 20);
    checks_settings(sim);
    expect(NULL); /* nobody was told that it is so */
    checks_setting_is_durable(sim, 1 * SETTINGS_CHANGED + 0);
    checks_settings(sim);
    expect("setting 0 was acknowledged and is lost");
    sim->options.hot_interval_sec = 20;
    checks_settings(sim);
    expect(NULL);
    checks_put_setting(sim, 0, 30); /* put, not acknowledged: either is right */
    checks_settings(sim);
    expect(NULL);
    sim->options.hot_interval_sec = 30;
    checks_settings(sim);
    expect(NULL);
}

static void refresh_all(double at_s)
{
    for (token_id id = 1; id <= TOKENS; id++) {
        token_write_begin(world.memory.table, id)->state.checked_at = later(at_s);
        token_write_end(world.memory.table, id);
        token_table_links(world.memory.table, LINKS_PRICE)[id].stamp = later(at_s);
    }
}

static void all_is_fresh_at_the_end(void **state)
{
    (void)state;
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++)
        stats()->lanes[lane].allowed_per_minute = 300;
    sim->now = later(1000);
    refresh_all(990);
    checks_at_end(sim);
    expect(NULL);
    refresh_all(100);
    checks_at_end(sim);
    expect("token 1 is 900.0 s old");
}

static void all_is_well_at_the_end(void **state)
{
    (void)state;
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++)
        stats()->lanes[lane].allowed_per_minute = 300;
    sim->schedule_count = 1;
    refresh_all(0);
    checks_at_end(sim);
    expect(NULL);
    stats()->findings = (struct findings){
        .count = 1, .of[0] = {.cause = FINDING_STORE_DOWN, .severity = SEVERITY_CRITICAL}};
    checks_at_end(sim);
    expect("all should be well, and: ");
    stats()->findings.of[0].severity = SEVERITY_WARNING;
    checks_at_end(sim);
    expect(NULL);
}

static void every_hang_is_noticed(void **state)
{
    (void)state;
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++)
        stats()->lanes[lane].allowed_per_minute = 300;
    refresh_all(0);
    sim->oracle.hangs_expected = 2;
    sim->oracle.hangs = 2;
    checks_at_end(sim);
    expect(NULL);
    sim->oracle.hangs = 1;
    checks_at_end(sim);
    expect("of 2 hangs 1 were noticed");
}

static void tell(int64_t id, enum alert_message_kind kind)
{
    static struct alert_message message;
    message = (struct alert_message){.id = id, .kind = kind};
    const struct action action = {.kind = ACTION_ALERT, .alert = {&message, 0}};
    messages_keep(sim, &action);
}

static void the_numbers_of_messages_rise(void **state)
{
    (void)state;
    tell(5, ALERT_NEWS);
    tell(6, ALERT_TEST);
    tell(7, ALERT_RESOLVED);
    expect(NULL);
    assert_int_equal(sim->messages.count, 2); /* a test is none that anybody must know */
    tell(7, ALERT_NEWS);
    expect("message 7 came after 7");
}

static void clients_get_one_reply(void **state)
{
    (void)state;
    const struct action reply = {.kind = ACTION_REPLY,
                                 .reply = {.tag = 9, .result = REPLY_CREATED}};
    clients_open(sim, EVENT_TOKEN_SEEN, 9, 2);
    clients_close(sim, &reply);
    expect(NULL);
    assert_int_equal(sim->acknowledged[2], 1);
    clients_close(sim, &reply);
    expect("a reply that nobody waits for");
}

#define CHECKS_TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHECKS_TEST(whoever_was_acknowledged_is_there),
        CHECKS_TEST(only_the_newest_engine_writes),
        CHECKS_TEST(no_job_runs_for_ever),
        CHECKS_TEST(settings_stay),
        CHECKS_TEST(all_is_fresh_at_the_end),
        CHECKS_TEST(all_is_well_at_the_end),
        CHECKS_TEST(every_hang_is_noticed),
        CHECKS_TEST(the_numbers_of_messages_rise),
        CHECKS_TEST(clients_get_one_reply),
    };
    return cmocka_run_group_tests_name("sim.checks", tests, NULL, NULL);
}
