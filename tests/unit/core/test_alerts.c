/* Which findings become messages, and when: traces over virtual time. */
#include "../seeds.h"

#include "base/prng.h"
#include "core/alerts.h"
#include "core/core.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define START_S 1700000000LL

struct world {
    struct alerts alerts;
    struct options options;
    struct findings findings;
    int64_t second; /* since the start */
    size_t messages, resolved;
    int64_t first_at, last_at; /* of messages; −1: none */
    char trace[8192];
    struct alert_message message; /* the newest */
};

static instant now_of(const struct world *world)
{
    return (instant){(START_S + world->second) * 1000000};
}

static int set_up(void **state)
{
    static struct world world;
    world = (struct world){.first_at = -1, .last_at = -1};
    alerts_init(&world.alerts);
    options_init(&world.options);
    *state = &world;
    return 0;
}

/* "12 news error: new breaker_open, goes on group_late cold" */
static void note(struct world *world)
{
    const struct alert_message *message = &world->message;
    size_t at = strlen(world->trace);
    char *end = world->trace + sizeof world->trace;
    char *out = world->trace + at;
    out += snprintf(out, (size_t)(end - out), "%lld %s %s:", (long long)world->second,
                    alert_message_kind_name(message->kind), severity_name(message->severity));
    for (size_t i = 0; i < message->count; i++) {
        const struct alert_entry *entry = &message->of[i];
        const char *who = finding_subject_name(entry->finding.cause, entry->finding.subject);
        out += snprintf(out, (size_t)(end - out), "%s %s %s%s%s%s", i > 0 ? "," : "",
                        alert_change_name(entry->change), finding_name(entry->finding.cause),
                        who[0] == '\0' ? "" : " ", who, entry->flaps ? " (flaps)" : "");
    }
    if (message->waited > 0)
        out += snprintf(out, (size_t)(end - out), " [%u waited]", message->waited);
    snprintf(out, (size_t)(end - out), "\n");
}

static void tick(struct world *world)
{
    instant now = now_of(world);
    if (alerts_step(&world->alerts, &world->findings, &world->options, now, &world->message)) {
        note(world);
        world->messages++;
        world->resolved += world->message.kind == ALERT_RESOLVED;
        world->last_at = world->second;
        if (world->first_at < 0)
            world->first_at = world->second;
    }
    world->second++;
}

static void run(struct world *world, int64_t until)
{
    while (world->second < until)
        tick(world);
}

static void on(struct world *world, enum finding_cause cause, unsigned subject, enum severity how)
{
    struct findings *findings = &world->findings;
    for (size_t i = 0; i < findings->count; i++)
        if (findings->of[i].cause == cause && findings->of[i].subject == subject) {
            findings->of[i].severity = how;
            return;
        }
    findings->of[findings->count++] = (struct finding){.cause = cause,
                                                       .subject = (uint8_t)subject,
                                                       .severity = how,
                                                       .because = FINDING_CAUSE_COUNT,
                                                       .since = now_of(world),
                                                       .value = 1,
                                                       .limit = 2};
}

static void off(struct world *world, enum finding_cause cause, unsigned subject)
{
    struct findings *findings = &world->findings;
    for (size_t i = 0; i < findings->count; i++)
        if (findings->of[i].cause == cause && findings->of[i].subject == subject)
            findings->of[i--] = findings->of[--findings->count];
}

#define BREAKER FINDING_BREAKER_OPEN, 0
#define HOT     FINDING_GROUP_LATE, GROUP_HOT
#define COLD    FINDING_GROUP_LATE, GROUP_COLD
#define DISK    FINDING_DISK_SHORT, 0

/* ---- one story ---- */

static void one_outage_is_three_messages(void **state)
{
    struct world *world = *state;
    run(world, 10);
    on(world, BREAKER, SEVERITY_ERROR);
    tick(world);
    on(world, HOT, SEVERITY_WARNING); /* a second later, told with it */
    run(world, 60);
    on(world, COLD, SEVERITY_WARNING); /* waits for the cooldown */
    run(world, 600);
    off(world, BREAKER);
    off(world, HOT);
    run(world, 630);
    off(world, COLD);
    run(world, 2000);
    assert_string_equal(world->trace,
                        "11 news error: new breaker_open, new group_late hot\n"
                        "311 news error: new group_late cold, goes on breaker_open, "
                        "goes on group_late hot\n"
                        "750 resolved error: resolved breaker_open, resolved group_late hot, "
                        "resolved group_late cold\n");
}

static void what_is_worse_goes_at_once(void **state)
{
    struct world *world = *state;
    on(world, HOT, SEVERITY_WARNING);
    run(world, 30);
    on(world, HOT, SEVERITY_ERROR);
    run(world, 40);
    on(world, HOT, SEVERITY_CRITICAL);
    run(world, 50);
    on(world, HOT, SEVERITY_WARNING); /* up and down again: known */
    run(world, 60);
    on(world, HOT, SEVERITY_CRITICAL);
    run(world, 1000);
    assert_string_equal(world->trace, "1 news warning: new group_late hot\n"
                                      "31 news error: worse group_late hot\n"
                                      "41 news critical: worse group_late hot\n");
    assert_int_equal(world->message.of[0].before, SEVERITY_ERROR);
}

static void what_stays_is_repeated_at_growing_intervals(void **state)
{
    struct world *world = *state;
    on(world, DISK, SEVERITY_WARNING);
    run(world, 100 * 3600);
    assert_string_equal(world->trace, "1 news warning: new disk_short\n"
                                      "3601 repeat warning: goes on disk_short\n"
                                      "10801 repeat warning: goes on disk_short\n"
                                      "25201 repeat warning: goes on disk_short\n"
                                      "54001 repeat warning: goes on disk_short\n"
                                      "111601 repeat warning: goes on disk_short\n"
                                      "198001 repeat warning: goes on disk_short\n"
                                      "284401 repeat warning: goes on disk_short\n");
}

/* What follows from what people know is no news, unless it is worse; but a message says it too. */
static void what_follows_is_not_told_apart(void **state)
{
    struct world *world = *state;
    on(world, BREAKER, SEVERITY_ERROR);
    run(world, 30);
    on(world, HOT, SEVERITY_ERROR);
    world->findings.of[1].because = FINDING_BREAKER_OPEN;
    run(world, 2000);
    assert_string_equal(world->trace, "1 news error: new breaker_open\n");
    on(world, HOT, SEVERITY_CRITICAL);
    run(world, 2500);
    on(world, COLD, SEVERITY_ERROR);
    run(world, 4000);
    assert_string_equal(world->trace, "1 news error: new breaker_open\n"
                                      "2000 news critical: new group_late hot, goes on "
                                      "breaker_open\n"
                                      "2600 news critical: new group_late cold, goes on "
                                      "group_late hot, goes on breaker_open\n");
}

static void what_is_under_the_least_severity_is_not_told(void **state)
{
    struct world *world = *state;
    on(world, HOT, SEVERITY_INFO);
    run(world, 1000);
    assert_string_equal(world->trace, "");
    world->options.alert_min_severity = SEVERITY_CRITICAL;
    on(world, HOT, SEVERITY_ERROR);
    run(world, 2000);
    on(world, HOT, SEVERITY_CRITICAL);
    run(world, 3000);
    on(world, HOT, SEVERITY_ERROR); /* over, as far as people are told */
    run(world, 4000);
    assert_string_equal(world->trace, "2001 news critical: new group_late hot\n"
                                      "3120 resolved critical: resolved group_late hot\n");
}

/* A blip that is gone before anything was said is not said; it counts. */
static void what_came_and_went_is_counted(void **state)
{
    struct world *world = *state;
    on(world, HOT, SEVERITY_ERROR);
    tick(world);
    off(world, HOT);
    run(world, 1000);
    assert_string_equal(world->trace, "");
    assert_int_equal(world->alerts.untold, 1);
    assert_int_equal(world->alerts.onsets, 1);
}

/* ---- flapping ---- */

static void fifty_flaps_in_an_hour_are_a_few_messages(void **state)
{
    struct world *world = *state;
    run(world, 100);
    for (int flap = 0; flap < 50; flap++) {
        int64_t from = world->second;
        on(world, BREAKER, SEVERITY_ERROR);
        run(world, from + 36);
        off(world, BREAKER);
        run(world, from + 72);
    }
    run(world, 2 * 3600);
    assert_string_equal(world->trace, "101 news error: new breaker_open\n"
                                      "3701 repeat error: goes on breaker_open (flaps)\n"
                                      "4229 resolved error: resolved breaker_open\n");
    assert_int_equal(world->message.of[0].onsets, 50);
}

/* Whatever the rhythm and however many causes come along: at most six messages to the end of the
 * hour, the first within five seconds, one resolved, and it is the last. */
static void any_flapping_stays_within_six_messages(void **state)
{
    static const struct {
        enum finding_cause cause;
        unsigned subject;
        enum severity severity;
    } along[] = {{BREAKER, SEVERITY_ERROR},
                 {HOT, SEVERITY_WARNING},
                 {COLD, SEVERITY_ERROR},
                 {FINDING_GROUP_SILENT, GROUP_HOT, SEVERITY_CRITICAL},
                 {FINDING_FEED_ERRORS, LANE_SCREEN, SEVERITY_ERROR},
                 {FINDING_ERRORS, 0, SEVERITY_WARNING}};
    struct prng prng;
    for (uint64_t seed = 1; seed <= SEEDS_OF(300); seed++) {
        set_up(state);
        struct world *world = *state;
        prng_seed(&prng, seed);
        for (int flap = 0; flap < 50; flap++) {
            int64_t down = 6 + (int64_t)prng_below(&prng, 60), up = 72 - down;
            int64_t from = world->second;
            on(world, BREAKER, SEVERITY_ERROR);
            for (size_t i = 1; i < sizeof along / sizeof along[0]; i++)
                if (prng_below(&prng, 4) == 0)
                    on(world, along[i].cause, along[i].subject, along[i].severity);
            run(world, from + down);
            for (size_t i = 0; i < sizeof along / sizeof along[0]; i++)
                off(world, along[i].cause, along[i].subject);
            run(world, from + down + up);
        }
        assert_in_range(world->first_at, 0, 5);
        run(world, 2 * 3600);
        if (world->messages > 6 || world->resolved != 1 || world->message.kind != ALERT_RESOLVED)
            fail_msg("seed %llu:\n%s", (unsigned long long)seed, world->trace);
    }
}

/* Good spells that are long enough, again and again: within the cooldown it is not told
 * anew; then it flaps, and is not over until it has been quiet. */
static void slow_flapping_is_damped(void **state)
{
    struct world *world = *state;
    for (int flap = 0; flap < 12; flap++) {
        int64_t from = world->second;
        on(world, BREAKER, SEVERITY_ERROR);
        run(world, from + 60);
        off(world, BREAKER);
        run(world, from + 240);
    }
    run(world, 3 * 3600);
    assert_string_equal(world->trace, "1 news error: new breaker_open\n"
                                      "180 resolved error: resolved breaker_open\n"
                                      "481 news error: new breaker_open\n"
                                      "660 resolved error: resolved breaker_open\n"
                                      "961 news error: new breaker_open (flaps)\n"
                                      "3134 resolved error: resolved breaker_open\n");
}

/* ---- the hour ---- */

static void an_hour_has_so_many_messages_and_a_digest(void **state)
{
    struct world *world = *state;
    world->options.alert_max_per_hour = 3;
    world->options.alert_cooldown_sec = 10;
    on(world, FINDING_JOB_LATE, JOB_ARCHIVER, SEVERITY_WARNING);
    for (unsigned job = 1; job <= JOB_RETENTION; job++) {
        run(world, 100 * job);
        on(world, FINDING_JOB_LATE, job, SEVERITY_WARNING);
    }
    run(world, 1000);
    on(world, BREAKER, SEVERITY_CRITICAL); /* what the last one was kept for */
    run(world, 1100);
    on(world, DISK, SEVERITY_CRITICAL);
    run(world, 4000);
    assert_string_equal(
        world->trace,
        "1 news warning: new job_late archiver\n"
        "100 news warning: new job_late activation, goes on job_late archiver\n"
        "1001 digest critical: new breaker_open, new job_late export, new job_late retention, "
        "goes on job_late archiver, goes on job_late activation [2 waited]\n"
        "3700 digest critical: new disk_short, goes on breaker_open, goes on job_late archiver, "
        "goes on job_late activation, goes on job_late export, goes on job_late retention "
        "[1 waited]\n");
}

static void no_hour_ever_has_more(void **state)
{
    struct prng prng;
    prng_seed(&prng, 7);
    for (int round = 0; round < 40; round++) {
        set_up(state);
        struct world *world = *state;
        int64_t sent[512], count = 0;
        world->options.alert_max_per_hour = 1 + (int64_t)prng_below(&prng, 8);
        world->options.alert_cooldown_sec = (double)prng_below(&prng, 100);
        world->options.alert_resolve_sec = (double)prng_below(&prng, 50);
        world->options.alert_repeat_sec = 60;
        while (world->second < 4 * 3600) {
            enum finding_cause cause =
                (enum finding_cause)(FINDING_STORE_DOWN + prng_below(&prng, 6));
            if (prng_below(&prng, 20) == 0)
                on(world, cause, 0, (enum severity)prng_below(&prng, SEVERITY_COUNT));
            if (prng_below(&prng, 20) == 0)
                off(world, cause, 0);
            size_t before = world->messages;
            tick(world);
            world->trace[0] = '\0';
            if (world->messages > before)
                sent[count++] = world->second;
        }
        assert_true(count > 0);
        for (int64_t i = world->options.alert_max_per_hour; i < count; i++)
            assert_true(sent[i] - sent[i - world->options.alert_max_per_hour] >= 3600);
    }
}

/* ---- limits ---- */

static void a_message_leaves_the_least_severe_out(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < FINDINGS_MAX; i++)
        on(world, (enum finding_cause)(i % FINDING_CAUSE_COUNT),
           (unsigned)(i / FINDING_CAUSE_COUNT), i == 40 ? SEVERITY_ERROR : SEVERITY_WARNING);
    run(world, 10);
    assert_int_equal(world->messages, 1);
    assert_int_equal(world->message.count, ALERT_ENTRIES_MAX);
    assert_int_equal(world->message.omitted, FINDINGS_MAX - ALERT_ENTRIES_MAX);
    assert_int_equal(world->message.of[0].finding.severity, SEVERITY_ERROR);
    run(world, 310); /* the others have not been told of yet */
    assert_int_equal(world->messages, 2);
    for (size_t i = 0; i < ALERT_ENTRIES_MAX; i++)
        assert_int_equal(world->message.of[i].change, ALERT_IS_NEW);
    assert_int_equal(world->alerts.overflowed, 0);
}

static void too_many_alerts_are_counted(void **state)
{
    struct world *world = *state;
    for (unsigned i = 0; i < FINDINGS_MAX; i++) {
        world->findings.count = 0;
        for (unsigned k = 0; k < 2; k++)
            on(world, FINDING_LOAD_HIGH, 2 * i + k, SEVERITY_WARNING);
        tick(world); /* each stands for a second, and none is over so soon */
    }
    assert_true(world->alerts.overflowed > 0);
    const struct alert *active[ALERTS_MAX];
    assert_int_equal(alerts_active(&world->alerts, active), ALERTS_MAX);
}

/* ---- restarts ---- */

static void a_restart_tells_nothing_twice(void **state)
{
    struct world *world = *state;
    on(world, BREAKER, SEVERITY_ERROR);
    on(world, HOT, SEVERITY_WARNING);
    run(world, 500);
    struct alert_message told = world->message;
    alerts_init(&world->alerts);
    alerts_restore(&world->alerts, &told, &world->options, now_of(world));
    run(world, 560);
    off(world, BREAKER); /* known from the engine before; over */
    run(world, 800);
    off(world, HOT);
    run(world, 1000);
    assert_string_equal(world->trace, "1 news error: new breaker_open, new group_late hot\n"
                                      "680 news warning: resolved breaker_open, "
                                      "goes on group_late hot\n"
                                      "920 resolved warning: resolved group_late hot\n");
    assert_int_equal(world->message.of[0].finding.since.us, START_S * 1000000);
}

/* Over while there was no engine, and told before: people hear of it. The hour's count goes on. */
static void what_ended_during_a_restart_is_resolved(void **state)
{
    struct world *world = *state;
    struct alert_message kept[4];
    size_t count = 0;
    world->options.alert_max_per_hour = 2;
    on(world, BREAKER, SEVERITY_ERROR);
    run(world, 10);
    kept[count++] = world->message;
    alerts_make_test(&world->alerts, now_of(world), &kept[count++]);
    assert_true(kept[1].id > kept[0].id);
    alerts_init(&world->alerts);
    for (size_t i = 0; i < count; i++)
        alerts_restore(&world->alerts, &kept[i], &world->options, now_of(world));
    world->findings.count = 0;
    run(world, 200);
    on(world, DISK, SEVERITY_WARNING); /* two messages were sent in this hour */
    run(world, 3700);
    assert_string_equal(world->trace, "1 news error: new breaker_open\n"
                                      "130 resolved error: resolved breaker_open\n"
                                      "3601 digest warning: new disk_short [1 waited]\n");
}

static void repeats_go_on_after_a_restart(void **state)
{
    struct world *world = *state;
    on(world, DISK, SEVERITY_WARNING);
    run(world, 3700); /* with its first repetition */
    struct alert_message told = world->message;
    alerts_init(&world->alerts);
    told.at.us += 86400LL * 1000000; /* the clock was set back since */
    alerts_restore(&world->alerts, &told, &world->options, now_of(world));
    run(world, 20000);
    assert_string_equal(world->trace, "1 news warning: new disk_short\n"
                                      "3601 repeat warning: goes on disk_short\n"
                                      "10900 repeat warning: goes on disk_short\n");
}

/* Each message says all: what an older one told of is over, or told again. */
static void what_was_over_stays_over(void **state)
{
    struct world *world = *state;
    on(world, BREAKER, SEVERITY_ERROR);
    run(world, 10);
    struct alert_message first = world->message;
    off(world, BREAKER);
    run(world, 500);
    struct alert_message last = world->message;
    alerts_init(&world->alerts);
    alerts_restore(&world->alerts, &first, &world->options, now_of(world));
    alerts_restore(&world->alerts, &last, &world->options, now_of(world));
    run(world, 2000);
    on(world, BREAKER, SEVERITY_ERROR);
    run(world, 2010);
    assert_string_equal(world->trace, "1 news error: new breaker_open\n"
                                      "130 resolved error: resolved breaker_open\n"
                                      "2001 news error: new breaker_open\n");
}

int main(void)
{
#define ROW(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        ROW(one_outage_is_three_messages),
        ROW(what_was_over_stays_over),
        ROW(what_is_worse_goes_at_once),
        ROW(what_stays_is_repeated_at_growing_intervals),
        ROW(what_follows_is_not_told_apart),
        ROW(what_is_under_the_least_severity_is_not_told),
        ROW(what_came_and_went_is_counted),
        ROW(fifty_flaps_in_an_hour_are_a_few_messages),
        ROW(any_flapping_stays_within_six_messages),
        ROW(slow_flapping_is_damped),
        ROW(an_hour_has_so_many_messages_and_a_digest),
        ROW(no_hour_ever_has_more),
        ROW(a_message_leaves_the_least_severe_out),
        ROW(too_many_alerts_are_counted),
        ROW(a_restart_tells_nothing_twice),
        ROW(what_ended_during_a_restart_is_resolved),
        ROW(repeats_go_on_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
