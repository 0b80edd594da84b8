/*
 * `moonwatch drill` itself: drills that are quick and that together touch every healing step, each
 * a case of its own; and what it says of drills that cannot be run, or fail.
 *
 * They run beside each other, once, in the first case; the cases after it look at what came of
 * each. How long they may take is the drills' own business (drill/patience.h).
 */
#include "harness.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#define AT_ONCE   (SLOWNESS > 1 ? "2" : "4")
#define ALL_S     160 /* 15 on an idle machine */
#define REFUSAL_S 10
#define REQUESTS  20 /* of clients, in the shortest drill */

/* Of one run, for all cases. */
static json_t *results;

static const char *const drills[] = {
    "stuck-request", /* step 1: requests */
    "upstream-429",  /* step 2: lanes and breaker */
    "stuck-job",     /* step 3: jobs */
    "memory-leak",   /* step 4: graceful restarts */
    "engine-crash",
    "engine-hang",
    "api-crash",    /* step 5: emergency restarts */
    "poison-token", /* step 6: quarantine */
    "zombie-engine",
    "database-locked",
    "source-silent", /* fence, store, source */
    NULL,
};

/* ---- running ---- */

/* A sanitizer takes SIGSEGV for its own, reports at length and exits. Here it is a drill's means,
 * and has to kill. */
static const char *sanitizer_options(const char *name, char text[PATH_SIZE])
{
    const char *given = getenv(name);
    snprintf(text, PATH_SIZE, "%s=%s:handle_segv=0", name, given == NULL ? "" : given);
    return text;
}

static struct process *run_drills(const char *program, const char *const arguments[],
                                  double seconds)
{
    char address[PATH_SIZE], threads[PATH_SIZE];
    const char *const environment[] = {sanitizer_options("ASAN_OPTIONS", address),
                                       sanitizer_options("TSAN_OPTIONS", threads), NULL};
    struct process *process = process_start("drill", program, arguments, environment);
    if (!process_wait(process, seconds * SLOWNESS))
        fail_msg("%s: not over within %g s", process->log, seconds * SLOWNESS);
    return process;
}

/* Progress is written to the same file. NULL: there is no answer. */
static json_t *read_answer(const struct process *process)
{
    char *log = read_file(process->log, NULL);
    const char *at = log == NULL ? NULL : strstr(log, "{\"drills\":");
    json_t *answer = at == NULL ? NULL : json_loads(at, JSON_DISABLE_EOF_CHECK, NULL);
    free(log);
    return answer;
}

static void all_are_run(void)
{
    const char *arguments[ARGUMENTS_MAX] = {"drill", "--json", "--at-once", AT_ONCE};
    for (unsigned i = 0; drills[i] != NULL; i++)
        arguments[4 + i] = drills[i];
    struct process *process = run_drills(moonwatch_program(), arguments, ALL_S);
    results = read_answer(process);
    assert_non_null(results);
    assert_int_equal(process_exit_status(process), 0);
    size_t count = sizeof drills / sizeof drills[0] - 1;
    assert_int_equal(json_array_size(json_object_get(results, "drills")), count);
    assert_int_equal(json_integer_value(json_object_get(results, "healed")), count);
}

/* ---- one drill ---- */

static const json_t *find_result(const char *name)
{
    size_t i;
    const json_t *drill;
    json_array_foreach(json_object_get(results, "drills"), i, drill)
    {
        if (strcmp(json_string_value(json_object_get(drill, "name")), name) == 0)
            return drill;
    }
    fail_msg("there is no result of %s (is the first case left out?)", name);
    return NULL;
}

static void expect_healed(const char *name)
{
    const json_t *drill = find_result(name);
    const char *reason = json_string_value(json_object_get(drill, "reason"));
    if (strcmp(json_string_value(json_object_get(drill, "verdict")), "healed") != 0)
        fail_msg("%s: %s", name, reason == NULL ? "no reason" : reason);
    assert_true(json_number_value(json_object_get(drill, "noticed_after_s")) > 0);
    assert_true(json_number_value(json_object_get(drill, "recovered_after_s")) > 0);
    assert_true(json_integer_value(json_object_get(drill, "tokens_acknowledged")) >= 200);
    assert_int_equal(json_integer_value(json_object_get(drill, "tokens_lost")), 0);
    assert_true(json_integer_value(json_object_get(drill, "requests")) >= REQUESTS);
}

#define HEALED(function, name)                                                                     \
    static void function(void)                                                                     \
    {                                                                                              \
        expect_healed(name);                                                                       \
    }

HEALED(stuck_request, "stuck-request")
HEALED(upstream_429, "upstream-429")
HEALED(stuck_job, "stuck-job")
HEALED(memory_leak, "memory-leak")
HEALED(engine_crash, "engine-crash")
HEALED(engine_hang, "engine-hang")
HEALED(api_crash, "api-crash")
HEALED(poison_token, "poison-token")
HEALED(zombie_engine, "zombie-engine")
HEALED(database_locked, "database-locked")
HEALED(source_silent, "source-silent")

/* ---- what cannot be run ---- */

static void an_unknown_name_is_refused(void)
{
    const char *const arguments[] = {"drill", "engine-crush", NULL};
    struct process *process = run_drills(moonwatch_program(), arguments, REFUSAL_S);
    assert_int_equal(process_exit_status(process), 2);
    expect_said(process, "there is no drill \"engine-crush\"; did you mean \"engine-crash\"?");
    expect_said(process, "moonwatch drill --list shows them all");
}

static void copy_program(const char *to)
{
    char command[2 * PATH_SIZE + 16];
    snprintf(command, sizeof command, "cp '%s' '%s'", moonwatch_program(), to);
    assert_int_equal(system(command), 0);
}

static void a_missing_market_is_told(void)
{
    const char *const arguments[] = {"drill", "engine-crash", NULL};
    const char *program = sandbox_path("moonwatch");
    copy_program(program);
    struct process *process = run_drills(program, arguments, REFUSAL_S);
    assert_int_equal(process_exit_status(process), 1);
    expect_said(process, "moonwatch-market is missing");
}

/* A drill that cannot do its work is no drill that went well: neither to a person nor to a script.
 */
static void a_broken_drill_fails(void)
{
    const char *const arguments[] = {"drill", "--json", "engine-crash", "api-crash", NULL};
    const char *program = sandbox_path("moonwatch"), *market = sandbox_path("moonwatch-market");
    copy_program(program);
    write_file(market, "#!/bin/sh\necho nobody trades today\nexit 3\n");
    assert_int_equal(chmod(market, 0755), 0);
    struct process *process = run_drills(program, arguments, WAIT_S);
    assert_int_equal(process_exit_status(process), 1);
    json_t *answer = read_answer(process);
    assert_int_equal(json_integer_value(json_object_get(answer, "failed")), 2);
    assert_int_equal(json_integer_value(json_object_get(answer, "healed")), 0);
    const json_t *first = json_array_get(json_object_get(answer, "drills"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "verdict")), "failed");
    assert_true(json_is_null(json_object_get(first, "noticed_after_s")));
    assert_non_null(
        strstr(json_string_value(json_object_get(first, "reason")), "the market did not start"));
    json_decref(answer);
}

int main(int argc, char *argv[])
{
    const struct integration_case cases[] = {
        {"all_are_run", all_are_run},
        {"stuck_request", stuck_request},
        {"upstream_429", upstream_429},
        {"stuck_job", stuck_job},
        {"memory_leak", memory_leak},
        {"engine_crash", engine_crash},
        {"engine_hang", engine_hang},
        {"api_crash", api_crash},
        {"poison_token", poison_token},
        {"zombie_engine", zombie_engine},
        {"database_locked", database_locked},
        {"source_silent", source_silent},
        {"an_unknown_name_is_refused", an_unknown_name_is_refused},
        {"a_missing_market_is_told", a_missing_market_is_told},
        {"a_broken_drill_fails", a_broken_drill_fails},
    };
    int failed = harness_run(argc, argv, cases, sizeof cases / sizeof *cases);
    json_decref(results);
    return failed;
}
