/* The whole supervisor, over fake children: what each event in their lives leads to. */
#include "supervised.h"

#include "page/suspects.h"
#include "supervisor/life.h"
#include "supervisor/restart_policy.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define UP              "absent>starting starting>running "
#define END             "running>draining draining>absent"
#define AGAIN           "waiting>starting starting>running "
#define DRAIN_LIMIT_SEC 6 /* of the engine */
#define RESTARTS        (1000 / SLOWNESS)
#define REST_MS         (600 * SLOWNESS)

/* What is logged may come a moment after what is shown. */
static void expect_said(const char *text)
{
    expect_soon(strstr(supervised_log(), text) != NULL);
}

static struct fake_orders *engine(void)
{
    return orders_of(PROCESS_ENGINE);
}

static struct fake_orders *api(void)
{
    return orders_of(PROCESS_API);
}

static void expect_all_well(void)
{
    assert_int_equal(atomic_load(&engine()->saw_wrong), 0);
    assert_int_equal(atomic_load(&api()->saw_wrong), 0);
}

/* At their next start, once. */
static void order_start(struct fake_orders *orders, enum fake_act at_start, enum fake_act at_go)
{
    atomic_store(&orders->at_start, at_start);
    atomic_store(&orders->at_go, at_go);
    atomic_store(&orders->for_starts, 1);
}

static void order_report(enum page_process_id process, enum report_kind kind, const char *why)
{
    struct fake_orders *orders = orders_of(process);
    orders->report.kind = kind;
    snprintf(orders->report.why, sizeof orders->report.why, "%s", why);
    order(process, FAKE_REPORT);
}

static void restart(void)
{
    assert_int_equal(supervised_ask(COMMAND_RESTART).result, RESULT_DONE);
}

/* ---- the table ---- */

static void test_only_these_ways(void **state)
{
    (void)state;
    int permitted = 0, rows = 0;
#define X(from, to, when)                                                                          \
    assert_true(life_permits(from, to));                                                           \
    rows++;
    LIFE_LIST(X)
#undef X
    for (int from = -1; from <= PROCESS_STATE_COUNT; from++)
        for (int to = -1; to <= PROCESS_STATE_COUNT; to++)
            permitted += life_permits((enum process_state)from, (enum process_state)to);
    assert_int_equal(permitted, rows);
    assert_false(life_permits(PROCESS_RUNNING, PROCESS_STARTING));
}

/* ---- start and stop ---- */

static void test_starts_and_stops(void **state)
{
    (void)state;
    supervised_start_and_up();
    assert_int_equal(atomic_load(&engine()->start_kind), START_WARM);
    assert_int_equal(atomic_load(&engine()->has_faults), 0);
    assert_int_equal(supervised_stop(), 0);
    expect_trace(PROCESS_ENGINE, UP END);
    expect_trace(PROCESS_API, UP END);
    expect_all_well();
    expect_said("listening");
    assert_int_equal(counted(COUNTER_INCIDENTS), 0);
}

static void test_stops_while_starting(void **state)
{
    (void)state;
    order_start(engine(), FAKE_GO_ON, FAKE_NEVER_READY);
    supervised_start();
    expect_soon(atomic_load(&engine()->goes) == 1);
    expect_state(PROCESS_API, PROCESS_RUNNING);
    assert_int_equal(supervised_stop(), 0);
    expect_trace(PROCESS_ENGINE, "absent>starting starting>draining draining>absent");
}

static void test_engine_that_could_not_write_all(void **state)
{
    (void)state;
    supervised_start_and_up();
    atomic_store(&engine()->status, 1);
    assert_int_equal(supervised_stop(), 1);
    expect_trace(PROCESS_ENGINE, UP END);
    expect_trace(PROCESS_API, UP END);
    expect_incident(1, "the engine ended with status 1; it was not replaced: the daemon was told "
                       "to end");
}

static void test_engine_crashes_while_stopping(void **state)
{
    (void)state;
    supervised_start_and_up();
    atomic_store(&engine()->at_end, FAKE_CRASH);
    atomic_store(&engine()->in_hand, 1);
    assert_int_equal(supervised_stop(), 1);
    expect_incident(1, "died of SIGSEGV");
}

static void test_api_crashes_while_stopping(void **state)
{
    (void)state;
    supervised_start_and_up();
    atomic_store(&api()->at_end, FAKE_CRASH);
    assert_int_equal(supervised_stop(), 0);
    expect_incident(1, "the api died of SIGSEGV");
}

static void test_overruns_while_stopping(void **state)
{
    (void)state;
    supervised_start_and_up();
    atomic_store(&engine()->at_end, FAKE_LINGER);
    atomic_store(&api()->at_end, FAKE_LINGER);
    assert_int_equal(kill(supervised()->pid, SIGTERM), 0);
    expect_state(PROCESS_ENGINE, PROCESS_DRAINING);
    /* It is writing for the last time: nobody may kill it by order. */
    assert_int_equal(supervised_ask(COMMAND_EMERGENCY).result, RESULT_UNAVAILABLE);
    assert_int_equal(supervised_ask(COMMAND_RESTART).result, RESULT_UNAVAILABLE);
    assert_int_equal(supervised_wait(), 1);
    expect_trace(PROCESS_ENGINE, UP "running>draining draining>dying dying>absent");
    expect_trace(PROCESS_API, UP "running>draining draining>dying dying>absent");
    expect_incident(1, "the engine did not end in time after it was told to");
    expect_incident(2, "the api did not end in time after it was told to");
}

static void test_asked_twice_to_stop(void **state)
{
    (void)state;
    supervised_start_and_up();
    atomic_store(&engine()->at_end, FAKE_LINGER);
    assert_int_equal(kill(supervised()->pid, SIGINT), 0);
    expect_state(PROCESS_ENGINE, PROCESS_DRAINING);
    assert_int_equal(supervised_stop(), 1);
    expect_trace(PROCESS_ENGINE, UP "running>draining draining>dying dying>absent");
    expect_said("ending at once");
}

static void test_dies_while_stopping(void **state)
{
    (void)state;
    supervised_start_and_up();
    atomic_store(&engine()->at_end, FAKE_LINGER);
    assert_int_equal(kill(supervised()->pid, SIGTERM), 0);
    expect_state(PROCESS_ENGINE, PROCESS_DRAINING);
    order(PROCESS_API, FAKE_CRASH);
    expect_state(PROCESS_API, PROCESS_ABSENT);
    assert_int_equal(supervised_stop(), 1);
    expect_trace(PROCESS_API, UP "running>absent");
}

static void test_supervisor_is_killed(void **state)
{
    (void)state;
    supervised_start_and_up();
    pid_t pids[] = {(pid_t)pid_of(PROCESS_ENGINE), (pid_t)pid_of(PROCESS_API)};
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    assert_int_equal(kill(supervised()->pid, SIGKILL), 0);
    assert_int_equal(supervised_wait(), -SIGKILL);
    /* A second one starts as soon as they are gone. */
    status_page_detach(supervised()->page);
    supervised()->page = NULL;
    supervised_start_and_up();
    for (int i = 0; i < 2; i++)
        assert_int_equal(waitpid(pids[i], NULL, WNOHANG), pids[i]);
    assert_int_equal(supervised_stop(), 0);
}

/* ---- deaths ---- */

static void test_engine_dies(void **state)
{
    (void)state;
    supervised_start_and_up();
    order(PROCESS_ENGINE, FAKE_CRASH);
    expect_starts(PROCESS_ENGINE, 2);
    assert_int_equal(atomic_load(&engine()->start_kind), START_WARM);
    expect_incident(1, "the engine died of SIGSEGV; it was replaced after");
    atomic_store(&engine()->status, 3);
    order(PROCESS_ENGINE, FAKE_EXIT);
    expect_starts(PROCESS_ENGINE, 3);
    assert_int_equal(atomic_load(&engine()->start_kind), START_COLD);
    expect_incident(2, "the engine ended with status 3");
    assert_int_equal(counted(COUNTER_EMERGENCY_RESTARTS), 2);
    expect_soon(counted(COUNTER_INCIDENTS) == 2);
    atomic_store(&engine()->status, 0);
    assert_int_equal(supervised_stop(), 0);
    expect_trace(PROCESS_ENGINE, UP "running>waiting " AGAIN "running>waiting " AGAIN END);
    expect_trace(PROCESS_API, UP END);
    expect_all_well();
}

static void test_api_dies(void **state)
{
    (void)state;
    supervised_start_and_up();
    order(PROCESS_API, FAKE_CRASH);
    expect_starts(PROCESS_API, 2);
    expect_incident(1, "the api died of SIGSEGV");
    assert_int_equal(counted(COUNTER_API_RESTARTS), 1);
    order(PROCESS_API, FAKE_HANG);
    expect_starts(PROCESS_API, 3);
    expect_incident(2, "the api did not move for");
    assert_int_equal(supervised_stop(), 0);
    expect_trace(PROCESS_API, UP "running>waiting " AGAIN "running>dying dying>waiting " AGAIN END);
    expect_trace(PROCESS_ENGINE, UP END);
}

static void test_engine_hangs(void **state)
{
    (void)state;
    supervised_start_and_up();
    order(PROCESS_ENGINE, FAKE_HANG);
    expect_starts(PROCESS_ENGINE, 2);
    expect_incident(1, "SIGABRT");
    expect_incident(1, "the engine did not move for");
    order(PROCESS_ENGINE, FAKE_HANG_DEAFLY);
    expect_starts(PROCESS_ENGINE, 3);
    expect_incident(2, "SIGKILL");
    order(PROCESS_ENGINE, FAKE_STOP);
    expect_starts(PROCESS_ENGINE, 4);
    expect_incident(3, "the engine was stopped from outside and did not move for");
    assert_int_equal(counted(COUNTER_HANGS), 3);
    assert_int_equal(supervised_stop(), 0);
}

/* A machine that is too busy is no reason to kill; but not for ever. */
static void test_engine_starves(void **state)
{
    (void)state;
    supervised_start_and_up();
    uint64_t pid = pid_of(PROCESS_ENGINE);
    atomic_store(&supervised()->injected->is_starving, 1);
    order(PROCESS_ENGINE, FAKE_HANG);
    expect_soon(counted(COUNTER_STARVED) == 1);
    assert_int_equal(pid_of(PROCESS_ENGINE), pid);
    expect_starts(PROCESS_ENGINE, 2);
    assert_int_equal(counted(COUNTER_HANGS), 1);
    expect_incident(1, "the engine did not move for");
    assert_int_equal(supervised_stop(), 0);
}

static void test_hangs_before_its_first_beat(void **state)
{
    (void)state;
    supervised()->options.start_deadline_sec = 1;
    order_start(api(), FAKE_HANG, FAKE_GO_ON);
    supervised_start();
    expect_starts(PROCESS_API, 2);
    expect_incident(1, "the api did not move for");
    assert_int_equal(supervised_stop(), 0);
    expect_trace(PROCESS_API, "absent>starting starting>dying dying>waiting " AGAIN END);
}

static void test_dies_at_its_start_a_few_times(void **state)
{
    (void)state;
    atomic_store(&engine()->at_start, FAKE_CRASH);
    atomic_store(&engine()->for_starts, 3);
    supervised_start_and_up();
    expect_starts(PROCESS_ENGINE, 4);
    expect_incident(1, "3 attempts");
    expect_soon(counted(COUNTER_INCIDENTS) == 1);
    assert_int_equal(supervised_stop(), 0);
    expect_trace(PROCESS_ENGINE, "absent>starting starting>waiting waiting>starting "
                                 "starting>waiting waiting>starting starting>waiting " AGAIN END);
}

static void test_says_that_it_began_cold(void **state)
{
    (void)state;
    supervised_start_and_up();
    order(PROCESS_ENGINE, FAKE_CRASH);
    engine()->report.kind = REPORT_COLD;
    strcpy(engine()->report.why, "a header of another version");
    order_start(engine(), FAKE_GO_ON, FAKE_REPORT);
    expect_starts(PROCESS_ENGINE, 2);
    expect_incident(1, "(cold)");
    expect_incident(1, "a header of another version");
    assert_int_equal(supervised_stop(), 0);
}

static const struct suspects *suspects(void)
{
    return &supervised()->page->suspects;
}

static void test_says_whose_generation(void **state)
{
    (void)state;
    engine()->generation = 5;
    supervised_start_and_up();
    order(PROCESS_ENGINE, FAKE_CRASH);
    expect_incident(1, "\"generation\":5");
    expect_starts(PROCESS_ENGINE, 2);
    engine()->generation = 1e300; /* somebody wrote over the page */
    order(PROCESS_ENGINE, FAKE_CRASH);
    expect_starts(PROCESS_ENGINE, 3);
    order(PROCESS_ENGINE, FAKE_CRASH);
    expect_incident(3, "\"generation\":0");
    assert_int_equal(supervised_stop(), 0);
}

static off_t size_of(const char *name)
{
    struct stat file;
    return stat(supervised_path(name), &file) == 0 ? file.st_size : -1;
}

static void test_suspects_are_kept(void **state)
{
    (void)state;
    atomic_store(&engine()->in_hand, 1);
    supervised_start_and_up();
    order(PROCESS_ENGINE, FAKE_CRASH);
    expect_starts(PROCESS_ENGINE, 2);
    expect_soon(size_of("state/suspects") > 0);
    assert_int_equal(supervised_stop(), 0);
    status_page_detach(supervised()->page);
    supervised()->page = NULL;
    supervised_start_and_up();
    assert_int_equal(suspects_count(suspects(), SUSPECT_WATCHED), 1);
    order(PROCESS_ENGINE, FAKE_CLEAR); /* that is kept, too */
    expect_soon(size_of("state/suspects") == 0);
    assert_int_equal(supervised_stop(), 0);
}

static int times_said(const char *text)
{
    int times = 0;
    for (const char *at = supervised_log(); (at = strstr(at, text)) != NULL; at++)
        times++;
    return times;
}

/* Tried again until it is written; said when it begins and when it ends. */
static void test_suspects_on_a_full_disk(void **state)
{
    (void)state;
    atomic_store(&engine()->in_hand, 1);
    supervised_start_and_up();
    assert_int_equal(mkdir(supervised_path("state/suspects.tmp"), 0700), 0);
    order(PROCESS_ENGINE, FAKE_CRASH);
    expect_starts(PROCESS_ENGINE, 2);
    expect_soon(counted(COUNTER_SUSPECTS_UNSAVED) >= 2);
    assert_int_equal(size_of("state/suspects"), -1);
    assert_int_equal(times_said("the list of suspects can't be written"), 1);
    assert_int_equal(rmdir(supervised_path("state/suspects.tmp")), 0);
    expect_soon(size_of("state/suspects") > 0);
    expect_said("the list of suspects is written now");
    uint64_t failures = counted(COUNTER_SUSPECTS_UNSAVED);
    order(PROCESS_ENGINE, FAKE_CLEAR);
    expect_soon(size_of("state/suspects") == 0);
    assert_int_equal(counted(COUNTER_SUSPECTS_UNSAVED), failures);
    assert_int_equal(supervised_stop(), 0);
}

/* The folder takes no incident for a while; then it does. */
static void test_incident_that_waits_for_room(void **state)
{
    (void)state;
    supervised_start_and_up();
    assert_int_equal(mkdir(supervised_path("state/incidents/unfinished.tmp"), 0700), 0);
    order(PROCESS_ENGINE, FAKE_CRASH);
    expect_starts(PROCESS_ENGINE, 2);
    expect_said("the incident can't be written; trying again once a second");
    assert_int_equal(counted(COUNTER_INCIDENTS), 0);
    assert_int_equal(rmdir(supervised_path("state/incidents/unfinished.tmp")), 0);
    expect_soon(counted(COUNTER_INCIDENTS) == 1);
    expect_incident(1, "SIGSEGV");
    expect_said("the incident is written now");
    assert_int_equal(counted(COUNTER_INCIDENTS_LOST), 0);
    assert_int_equal(supervised_stop(), 0);
}

static void test_tokens_in_hand(void **state)
{
    (void)state;
    atomic_store(&engine()->in_hand, 1);
    supervised_start_and_up();
    order(PROCESS_ENGINE, FAKE_TERMINATE); /* from outside: they can't help it */
    expect_starts(PROCESS_ENGINE, 2);
    assert_int_equal(suspects_count(suspects(), SUSPECT_WATCHED), 0);
    order(PROCESS_ENGINE, FAKE_STOP);
    expect_starts(PROCESS_ENGINE, 3);
    assert_int_equal(supervised_ask(COMMAND_EMERGENCY).result, RESULT_DONE);
    expect_starts(PROCESS_ENGINE, 4);
    assert_int_equal(suspects_count(suspects(), SUSPECT_WATCHED), 0);
    order(PROCESS_ENGINE, FAKE_CRASH);
    expect_starts(PROCESS_ENGINE, 5);
    assert_int_equal(suspects_count(suspects(), SUSPECT_WATCHED), 1);
    order(PROCESS_ENGINE, FAKE_CRASH);
    expect_starts(PROCESS_ENGINE, 6);
    assert_int_equal(suspects_count(suspects(), SUSPECT_QUARANTINED), 1);
    assert_int_equal(counted(COUNTER_QUARANTINED), 1);
    expect_soon(access(supervised_path("state/suspects"), F_OK) == 0);
    atomic_store(&engine()->status, SIGTERM); /* from outside, too */
    order(PROCESS_ENGINE, FAKE_DIE);
    expect_starts(PROCESS_ENGINE, 7);
    assert_int_equal(suspects_count(suspects(), SUSPECT_WATCHED), 0);
    atomic_store(&engine()->status, 0);
    assert_int_equal(supervised_stop(), 0);
}

/* What others have in hand at the time can't help it. */
static void test_thread_that_falls(void **state)
{
    (void)state;
    atomic_store(&engine()->in_hand, 1);
    supervised_start_and_up();
    order(PROCESS_ENGINE, FAKE_FALL);
    expect_starts(PROCESS_ENGINE, 2);
    assert_int_equal(suspects_count(suspects(), SUSPECT_WATCHED), 1);
    assert_int_equal(suspects()->rows[0].mint.bytes[0], FAKE_SECOND_TOKEN);
    expect_incident(1, "while it handled an answer about 1 token;");
    assert_int_equal(supervised_stop(), 0);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    supervised_start_and_up();
    order(PROCESS_ENGINE, FAKE_TERMINATE);
    expect_starts(PROCESS_ENGINE, 2);
    expect_incident(1, "died of SIGKILL");
    atomic_store(&supervised()->injected->kernel_killed, 1);
    order(PROCESS_ENGINE, FAKE_TERMINATE);
    expect_starts(PROCESS_ENGINE, 3);
    expect_incident(2, "was killed by the kernel, which was out of memory");
    assert_int_equal(supervised_stop(), 0);
}

/* ---- waiting ---- */

/* Two deaths: the second is waited after. */
static void begin_to_wait(void)
{
    supervised()->options.restart_backoff_min_sec = 3600;
    supervised()->options.restart_backoff_max_sec = 3600;
    supervised_start_and_up();
    order(PROCESS_ENGINE, FAKE_CRASH);
    expect_starts(PROCESS_ENGINE, 2);
    order(PROCESS_ENGINE, FAKE_CRASH);
    expect_state(PROCESS_ENGINE, PROCESS_WAITING);
    expect_said("waiting before the next start");
}

static void test_stopped_while_waiting(void **state)
{
    (void)state;
    begin_to_wait();
    assert_int_equal(supervised_stop(), 1);
    expect_trace(PROCESS_ENGINE, UP "running>waiting " AGAIN "running>waiting waiting>absent");
    expect_incident(2, "it was not replaced: the daemon was told to end");
}

static void test_stopped_while_the_api_waits(void **state)
{
    (void)state;
    supervised()->options.restart_backoff_min_sec = 3600;
    supervised()->options.restart_backoff_max_sec = 3600;
    supervised_start_and_up();
    order(PROCESS_API, FAKE_CRASH);
    expect_starts(PROCESS_API, 2);
    order(PROCESS_API, FAKE_CRASH);
    expect_state(PROCESS_API, PROCESS_WAITING);
    assert_int_equal(supervised_stop(), 0);
    expect_trace(PROCESS_API, UP "running>waiting " AGAIN "running>waiting waiting>absent");
}

static void test_restart_while_waiting(void **state)
{
    (void)state;
    begin_to_wait();
    restart();
    expect_starts(PROCESS_ENGINE, 3);
    expect_starts(PROCESS_API, 2); /* the api, too, is new then */
    order(PROCESS_ENGINE, FAKE_CRASH);
    expect_state(PROCESS_ENGINE, PROCESS_WAITING);
    assert_int_equal(supervised_ask(COMMAND_EMERGENCY).result, RESULT_DONE);
    expect_starts(PROCESS_ENGINE, 4);
    assert_int_equal(supervised_ask(COMMAND_REFRESH).result, RESULT_DONE);
    assert_int_equal(supervised_stop(), 0);
}

/* By order is no failure: there is no wait after it, however often. */
static void test_emergency(void **state)
{
    (void)state;
    supervised()->options.restart_backoff_min_sec = 3600;
    supervised()->options.restart_backoff_max_sec = 3600;
    supervised_start_and_up();
    for (uint64_t i = 0; i < 4; i++) {
        assert_int_equal(supervised_ask(COMMAND_EMERGENCY).result, RESULT_DONE);
        expect_starts(PROCESS_ENGINE, i + 2);
        expect_incident(i + 1, "was killed because somebody asked for it");
    }
    assert_int_equal(supervised_stop(), 0);
}

/* ---- graceful restarts ---- */

#define HAND_OVER                                                                                  \
    "absent>starting starting>waiting running>draining draining>absent waiting>absent "            \
    "absent>starting starting>running "

static void test_restarts_gracefully(void **state)
{
    (void)state;
    supervised_start_and_up();
    restart();
    expect_starts(PROCESS_ENGINE, 2);
    expect_starts(PROCESS_API, 2);
    assert_int_equal(kill(supervised()->pid, SIGHUP), 0);
    expect_starts(PROCESS_ENGINE, 3);
    expect_starts(PROCESS_API, 3);
    order_report(PROCESS_ENGINE, REPORT_RESTART, "it says so itself");
    expect_starts(PROCESS_ENGINE, 4);
    expect_starts(PROCESS_API, 4);
    expect_said("it says so itself");
    assert_int_equal(counted(COUNTER_GRACEFUL_RESTARTS), 3);
    assert_int_equal(counted(COUNTER_INCIDENTS), 0);
    assert_int_equal(supervised_stop(), 0);
    expect_trace(PROCESS_ENGINE, UP HAND_OVER HAND_OVER HAND_OVER END);
    expect_all_well();
}

static void test_two_wishes_are_one_restart(void **state)
{
    (void)state;
    supervised_start_and_up();
    order_start(engine(), FAKE_NEVER_READY, FAKE_GO_ON);
    restart();
    restart();
    assert_int_equal(kill((pid_t)pid_of(PROCESS_ENGINE), SIGKILL), 0);
    expect_starts(PROCESS_ENGINE, 2);
    expect_starts(PROCESS_API, 2);
    assert_int_equal(atomic_load(&engine()->starts), 2);
    assert_int_equal(supervised_stop(), 0);
    expect_trace(PROCESS_ENGINE, UP "absent>starting running>waiting starting>absent " AGAIN END);
}

static void test_dies_while_the_standby_waits(void **state)
{
    (void)state;
    supervised_start_and_up();
    atomic_store(&engine()->at_end, FAKE_CRASH);
    restart();
    expect_starts(PROCESS_ENGINE, 2);
    expect_incident(1, "died of SIGSEGV");
    assert_int_equal(counted(COUNTER_GRACEFUL_RESTARTS), 0);
    atomic_store(&engine()->at_end, FAKE_GO_ON);
    assert_int_equal(supervised_stop(), 0);
    expect_trace(PROCESS_ENGINE, UP "absent>starting starting>waiting running>draining "
                                    "draining>waiting waiting>absent " AGAIN END);
}

static void test_does_not_drain(void **state)
{
    (void)state;
    supervised_start_and_up();
    atomic_store(&engine()->at_end, FAKE_LINGER);
    restart();
    expect_state(PROCESS_ENGINE, PROCESS_DRAINING);
    restart(); /* it is under way */
    expect_starts(PROCESS_ENGINE, 2);
    expect_incident(1, "the engine did not end in time after it was told to; it was killed and "
                       "replaced");
    atomic_store(&engine()->at_end, FAKE_GO_ON);
    assert_int_equal(supervised_stop(), 0);
    expect_trace(PROCESS_ENGINE, UP "absent>starting starting>waiting running>draining "
                                    "draining>dying dying>waiting waiting>absent " AGAIN END);
}

static void test_killed_by_order_while_draining(void **state)
{
    (void)state;
    supervised_start_and_up();
    atomic_store(&engine()->at_end, FAKE_LINGER);
    restart();
    expect_state(PROCESS_ENGINE, PROCESS_DRAINING);
    assert_int_equal(supervised_ask(COMMAND_EMERGENCY).result, RESULT_DONE);
    expect_starts(PROCESS_ENGINE, 2);
    expect_incident(1, "was killed because somebody asked for it");
    atomic_store(&engine()->at_end, FAKE_GO_ON);
    assert_int_equal(supervised_stop(), 0);
}

static void test_stopped_while_the_standby_waits(void **state)
{
    (void)state;
    supervised_start_and_up();
    atomic_store(&engine()->at_end, FAKE_LINGER);
    restart();
    expect_state(PROCESS_ENGINE, PROCESS_DRAINING);
    assert_int_equal(kill(supervised()->pid, SIGTERM), 0);
    expect_soon(strstr(trace_of(PROCESS_ENGINE), "waiting>dying") != NULL);
    assert_int_equal(supervised_stop(), 1); /* at once: it lingers */
    assert_non_null(strstr(trace_of(PROCESS_ENGINE), "draining>dying"));
}

/* That it stands by, it may say again. */
static void test_standby_that_repeats_itself(void **state)
{
    (void)state;
    supervised_start_and_up();
    atomic_store(&engine()->at_end, FAKE_LINGER);
    engine()->report.kind = REPORT_STANDBY;
    order_start(engine(), FAKE_REPORT, FAKE_GO_ON);
    restart();
    expect_state(PROCESS_ENGINE, PROCESS_DRAINING);
    expect_soon(atomic_load(&engine()->loads) == 2);
    atomic_store(&engine()->at_end, FAKE_GO_ON);
    assert_int_equal(supervised_ask(COMMAND_EMERGENCY).result, RESULT_DONE);
    expect_starts(PROCESS_ENGINE, 2);
    assert_int_equal(supervised_stop(), 0);
    expect_trace(PROCESS_ENGINE, UP "absent>starting starting>waiting running>draining "
                                    "draining>dying dying>waiting waiting>absent " AGAIN END);
}

static void test_restart_of_one_that_starts(void **state)
{
    (void)state;
    order_start(engine(), FAKE_GO_ON, FAKE_NEVER_READY);
    supervised_start();
    expect_soon(atomic_load(&engine()->goes) == 1);
    restart();
    expect_starts(PROCESS_ENGINE, 2);
    assert_int_equal(supervised_stop(), 0);
}

static void test_ready_before_its_standby(void **state)
{
    (void)state;
    order_start(engine(), FAKE_GO_ON, FAKE_NEVER_READY);
    supervised_start();
    expect_soon(atomic_load(&engine()->goes) == 1);
    expect_state(PROCESS_API, PROCESS_RUNNING);
    order_start(engine(), FAKE_NEVER_READY, FAKE_GO_ON);
    restart();
    order_report(PROCESS_ENGINE, REPORT_READY, "late");
    expect_state(PROCESS_ENGINE, PROCESS_RUNNING);
    assert_int_equal(kill((pid_t)pid_of(PROCESS_ENGINE), SIGKILL), 0);
    expect_starts(PROCESS_ENGINE, 2);
    expect_starts(PROCESS_API, 2); /* when the new engine is there, not before */
    assert_int_equal(supervised_stop(), 0);
}

/* Nobody is ready before it has the word to go, whatever it says. */
static void test_standby_that_claims_to_be_ready(void **state)
{
    (void)state;
    supervised_start_and_up();
    engine()->report.kind = REPORT_READY;
    order_start(engine(), FAKE_REPORT, FAKE_GO_ON);
    restart();
    expect_starts(PROCESS_ENGINE, 2);
    expect_starts(PROCESS_API, 2);
    assert_int_equal(supervised_stop(), 0);
    expect_trace(PROCESS_ENGINE, UP HAND_OVER END);
}

static void test_standby_ends(void **state)
{
    (void)state;
    supervised_start_and_up();
    atomic_store(&engine()->status, 1);
    order_start(engine(), FAKE_EXIT, FAKE_GO_ON);
    restart();
    expect_said("ended before it could");
    atomic_store(&engine()->status, 0);
    restart(); /* the next one does */
    expect_starts(PROCESS_ENGINE, 2);
    expect_starts(PROCESS_API, 2);
    assert_int_equal(supervised_stop(), 0);
    expect_trace(PROCESS_ENGINE, UP "absent>starting starting>absent " HAND_OVER END);
}

static void test_standby_does_not_get_ready(void **state)
{
    (void)state;
    supervised()->options.start_deadline_sec = 1;
    supervised_start_and_up();
    order_start(engine(), FAKE_NEVER_READY, FAKE_GO_ON);
    restart();
    expect_said("does not get ready");
    expect_soon(strstr(trace_of(PROCESS_ENGINE), "dying>absent") != NULL);
    assert_int_equal(atomic_load(&supervised()->page->processes[PROCESS_ENGINE].starts), 1);
    assert_int_equal(supervised_stop(), 0);
    expect_trace(PROCESS_ENGINE, UP "absent>starting starting>dying dying>absent " END);
    expect_trace(PROCESS_API, UP END);
}

static void test_stopped_while_the_standby_starts(void **state)
{
    (void)state;
    supervised_start_and_up();
    order_start(engine(), FAKE_NEVER_READY, FAKE_GO_ON);
    restart();
    expect_soon(atomic_load(&engine()->starts) == 2);
    /* Once a second the supervisor looks at what moves slowly; not for the engine's size now. */
    atomic_store(&supervised()->injected->clock_step_s, 1000);
    expect_soon(counted(COUNTER_CLOCK_STEPS) == 1);
    assert_int_equal(supervised_stop(), 0);
    assert_non_null(strstr(trace_of(PROCESS_ENGINE), "starting>dying"));
}

static void test_too_large(void **state)
{
    (void)state;
    supervised()->options.memory_max_mb = 1;      /* the page alone is half of it */
    atomic_store(&engine()->at_end, FAKE_LINGER); /* it is seen to be so within its first second */
    supervised_start_and_up();
    expect_starts(PROCESS_ENGINE, 2);
    expect_said("over the memory ceiling");
    expect_incident(1, "the engine grew over its memory ceiling and did not end");
    atomic_store(&engine()->at_end, FAKE_GO_ON);
    assert_int_equal(supervised_stop(), 0);
}

/* No process can be started at the moment: the large one is better than none, and asked again. */
static void test_too_large_and_no_other(void **state)
{
    struct injected *injected = supervised()->injected;
    (void)state;
    supervised()->options.memory_max_mb = 1;
    atomic_store(&injected->socketpair_errno, EMFILE);
    atomic_store(&injected->after_times, 4); /* the channels, and the two at first */
    atomic_store(&injected->for_times, 1);
    supervised_start_and_up();
    expect_said("cannot start a process");
    assert_int_equal(atomic_load(&supervised()->page->processes[PROCESS_ENGINE].starts), 1);
    assert_int_equal(supervised_stop(), 0);
    expect_trace(PROCESS_ENGINE, UP END);
}

/* ---- starts that fail ---- */

static void test_refused_at_first(void **state)
{
    (void)state;
    engine()->report.kind = REPORT_REFUSED;
    strcpy(engine()->report.why, "a database in use");
    atomic_store(&engine()->status, EXIT_REFUSED);
    order_start(engine(), FAKE_GO_ON, FAKE_REPORT_END);
    supervised_start();
    assert_int_equal(supervised_wait(), 1);
    assert_int_equal(atomic_load(&engine()->starts), 1);
    expect_said("a database in use");
}

static void test_api_fails_at_first(void **state)
{
    (void)state;
    atomic_store(&api()->status, 1);
    order_start(api(), FAKE_EXIT, FAKE_GO_ON);
    supervised_start();
    assert_int_equal(supervised_wait(), 1);
    assert_int_equal(atomic_load(&api()->starts), 1);
}

static void test_no_program(void **state)
{
    (void)state;
    supervised()->program = "/nowhere/moonwatch";
    supervised_start();
    assert_int_equal(supervised_wait(), 1);
    expect_said("No such file or directory");
}

static void expect_no_start(_Atomic int *error)
{
    atomic_store(error, EMFILE);
    atomic_store(&supervised()->injected->for_times, 1);
    supervised_start();
    assert_int_equal(supervised_wait(), 1);
    expect_said("Too many open files");
}

static void test_not_watched_is_not_started(void **state)
{
    (void)state;
    expect_no_start(&supervised()->injected->pidfd_errno);
}

/* The api's start fails after the engine's. */
static void fail_later(void)
{
    struct injected *injected = supervised()->injected;
    atomic_store(&injected->socketpair_errno, EMFILE);
    atomic_store(&injected->for_times, 3);
}

static void test_starts_that_fail_later(void **state)
{
    (void)state;
    supervised_start_and_up();
    fail_later();
    assert_int_equal(supervised_ask(COMMAND_RESTART).result, RESULT_UNAVAILABLE);
    assert_int_equal(atomic_load(&supervised()->page->processes[PROCESS_ENGINE].state),
                     PROCESS_RUNNING);
    order(PROCESS_ENGINE, FAKE_CRASH);
    expect_starts(PROCESS_ENGINE, 2);
    assert_int_equal(supervised_stop(), 0);
    expect_trace(PROCESS_ENGINE, UP "running>waiting waiting>waiting waiting>waiting " AGAIN END);
}

static void test_program_that_does_not_fit(void **state)
{
    (void)state;
    supervised_start_and_up();
    atomic_store(&engine()->status, EXIT_REFUSED);
    order_start(engine(), FAKE_EXIT, FAKE_GO_ON);
    order(PROCESS_ENGINE, FAKE_CRASH);
    expect_said("goes on with its own");
    expect_starts(PROCESS_ENGINE, 3);
    order_start(engine(), FAKE_EXIT, FAKE_GO_ON); /* said once */
    order(PROCESS_ENGINE, FAKE_CRASH);
    expect_starts(PROCESS_ENGINE, 5);
    atomic_store(&engine()->status, 0);
    assert_int_equal(supervised_stop(), 0);
}

static void test_no_parts(void **state)
{
    struct options *options = &supervised()->options;
    (void)state;
    options->listen[0] = '?';
    supervised_start();
    assert_int_equal(supervised_wait(), 1);
    snprintf(options->listen, sizeof options->listen, "127.0.0.1:0");
    atomic_store(&supervised()->injected->memfd_errno, ENOMEM);
    atomic_store(&supervised()->injected->for_times, 1);
    supervised_start();
    assert_int_equal(supervised_wait(), 1);
    expect_said("no memory or descriptors to start with");
    atomic_store(&supervised()->injected->memfd_errno, 0);
    expect_no_start(&supervised()->injected->socketpair_errno); /* the channel */
    options->state_dir[0] = '\0';
    memset(options->db, 'x', sizeof options->db - 1);
    memcpy(options->db, "sqlite:", 7);
    memcpy(options->state_dir, "/dev/null", 10);
    supervised_start();
    assert_int_equal(supervised_wait(), 1);
    expect_said("can't be made or opened");
}

static struct faults *arm_no_death(void);

static void leave_descriptors(rlim_t count)
{
    struct rlimit few;
    getrlimit(RLIMIT_NOFILE, &few);
    few.rlim_cur = count;
    setrlimit(RLIMIT_NOFILE, &few);
}

static void leave_too_few_for_children(void)
{
    leave_descriptors(FD_INHERITED_END - 2);
}

static void leave_too_few_for_signals(void)
{
    leave_descriptors(FD_INHERITED_END);
}

static void test_too_few_descriptors(void **state)
{
    (void)state;
    supervised()->before = leave_too_few_for_children;
    supervised_start();
    assert_int_equal(supervised_wait(), 1);
    expect_said("no descriptors to start with");
    supervised()->before = leave_too_few_for_signals;
    supervised_start();
    assert_int_equal(supervised_wait(), 1);
    expect_said("no descriptors to start with: Too many open files");
    arm_no_death();
    supervised_start();
    assert_int_equal(supervised_wait(), 1);
}

/* As who starts us may leave it. */
static void open_one_in_between(void)
{
    assert_int_equal(open("/dev/null", O_RDONLY | O_CLOEXEC), STDERR_FILENO + 1);
    assert_int_equal(dup2(STDERR_FILENO + 1, FD_TABLE), FD_TABLE);
    close(STDERR_FILENO + 1);
}

static void test_places_that_are_taken(void **state)
{
    (void)state;
    supervised()->before = open_one_in_between;
    supervised()->faults = open("/dev/null", O_RDWR | O_CLOEXEC); /* none that can be mapped */
    supervised_start_and_up();
    assert_int_equal(supervised_stop(), 0);
    expect_all_well();
}

/* Who closes its standard input may not open enough for our children. */
static void leave_none_but_input(void)
{
    close(STDIN_FILENO);
    leave_descriptors(FD_PAGE);
}

static void expect_refusal(const char *text)
{
    supervised_start();
    assert_int_equal(supervised_wait(), 1);
    expect_said(text);
}

static void test_places_that_cannot_be_taken(void **state)
{
    (void)state;
    supervised()->before = leave_none_but_input;
    expect_refusal("no descriptors to start with");
}

static void test_no_path_to_the_program(void **state)
{
    static char path[PATH_MAX + 1];
    (void)state;
    memset(path, 'x', PATH_MAX);
    supervised()->program = path;
    expect_refusal("the program to start can't be told: File name too long");
    supervised()->program = "";
    atomic_store(&supervised()->injected->readlink_errno, ENOENT); /* no /proc */
    atomic_store(&supervised()->injected->for_times, 1);
    expect_refusal("the program to start can't be told: No such file");
}

static void test_no_world(void **state)
{
    struct injected *injected = supervised()->injected;
    (void)state;
    atomic_store(&injected->memfd_errno, ENOMEM);
    atomic_store(&injected->after_times, 1);
    atomic_store(&injected->for_times, 1);
    expect_refusal("no memory or descriptors to start with: Cannot allocate memory");
    atomic_store(&injected->memfd_errno, 0);
    atomic_store(&injected->open_errno, ENFILE);
    atomic_store(&injected->for_times, 1);
    expect_refusal("no memory or descriptors to start with: Too many open files in system");
    assert_int_equal(mkdir(supervised_path("state/control.sock"), 0700), 0);
    expect_refusal("no control socket in the state folder");
    assert_int_equal(rmdir(supervised_path("state/control.sock")), 0);
}

static void test_second_one(void **state)
{
    (void)state;
    supervised_start_and_up();
    pid_t first = supervised()->pid;
    supervised_start();
    assert_int_equal(supervised_wait(), 1);
    expect_said("already running");
    supervised()->pid = first;
    assert_int_equal(supervised_stop(), 0);
}

static void test_starts_itself(void **state)
{
    (void)state;
    supervised()->program = "";
    supervised_start_and_up();
    order(PROCESS_ENGINE, FAKE_CRASH);
    expect_starts(PROCESS_ENGINE, 2);
    atomic_store(&engine()->status, EXIT_REFUSED); /* then by way of /proc/self/exe */
    order_start(engine(), FAKE_EXIT, FAKE_GO_ON);
    order(PROCESS_ENGINE, FAKE_CRASH);
    expect_starts(PROCESS_ENGINE, 4);
    atomic_store(&engine()->status, 0);
    assert_int_equal(supervised_stop(), 0);
}

static void test_too_many_arguments(void **state)
{
    static char word[] = "word";
    static char *arguments[400];
    (void)state;
    for (int i = 0; i < 399; i++)
        arguments[i] = word;
    supervised()->many_arguments = arguments;
    supervised_start();
    assert_int_equal(supervised_wait(), 1);
    expect_said("more than 256 arguments");
}

/* ---- who can't be awaited ---- */

static struct faults *arm_no_death(void)
{
    supervised()->faults = memfd_create("faults", MFD_CLOEXEC);
    assert_int_equal(ftruncate(supervised()->faults, sizeof(struct faults)), 0);
    struct faults *faults =
        mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, supervised()->faults, 0);
    assert_ptr_not_equal(faults, MAP_FAILED);
    return faults;
}

static void set_no_death(struct faults *faults, uint64_t value)
{
    atomic_store(&faults->armed[FAULT_NO_DEATH], value);
}

static void look_at_new_page(void)
{
    status_page_detach(supervised()->page);
    supervised()->page = NULL;
    supervised_look();
}

static void leave_engine_behind(struct faults *faults)
{
    supervised_start_and_up();
    assert_int_equal(atomic_load(&engine()->has_faults), 1);
    set_no_death(faults, 1);
    order(PROCESS_ENGINE, FAKE_HANG_DEAFLY);
    expect_state(PROCESS_ENGINE, PROCESS_DYING);
    assert_int_equal(supervised_ask(COMMAND_EMERGENCY).result, RESULT_DONE); /* it is dying */
    restart();
    expect_said("is left behind");
    set_no_death(faults, 0);
    look_at_new_page();
    expect_starts(PROCESS_ENGINE, 2);
    assert_int_equal(atomic_load(&engine()->start_kind), START_COLD);
}

static bool has_zombies(void)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", supervised()->pid, supervised()->pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    int children = 0;
    for (size_t i = 0; i < length; i++)
        children += text[i] == ' ';
    return children > 2;
}

static void test_engine_that_does_not_die(void **state)
{
    (void)state;
    struct faults *faults = arm_no_death();
    leave_engine_behind(faults);
    expect_starts(PROCESS_API, 2); /* it works with what the new engine does */
    expect_incident(1, "it waits in the kernel");
    assert_int_equal(counted(COUNTER_HANGS), 1);
    expect_soon(!has_zombies()); /* it did end, once its link was closed */
    assert_int_equal(supervised_stop(), 0);
    munmap(faults, sizeof *faults);
}

static void go_on_with_the_old_world(_Atomic int *error, int after_times)
{
    struct faults *faults = arm_no_death();
    supervised_start_and_up();
    set_no_death(faults, 1);
    atomic_store(error, ENOMEM);
    atomic_store(&supervised()->injected->after_times, after_times);
    atomic_store(&supervised()->injected->for_times, 1);
    order(PROCESS_ENGINE, FAKE_HANG_DEAFLY);
    expect_starts(PROCESS_ENGINE, 2);
    expect_said("no memory for copies");
    set_no_death(faults, 0);
    expect_trace(PROCESS_API, "absent>starting starting>running");
    assert_int_equal(supervised_stop(), 0);
    munmap(faults, sizeof *faults);
}

static void test_no_memory_for_a_new_page(void **state)
{
    (void)state;
    go_on_with_the_old_world(&supervised()->injected->memfd_errno, 0);
}

static void test_no_memory_for_a_new_table(void **state)
{
    (void)state;
    go_on_with_the_old_world(&supervised()->injected->memfd_errno, 1);
}

static void test_no_memory_for_a_new_channel(void **state)
{
    (void)state;
    go_on_with_the_old_world(&supervised()->injected->socketpair_errno, 0);
}

static void test_no_memory_for_a_new_channel_of_history(void **state)
{
    (void)state;
    go_on_with_the_old_world(&supervised()->injected->socketpair_errno, 1);
}

static void test_api_that_does_not_die(void **state)
{
    (void)state;
    struct faults *faults = arm_no_death();
    supervised_start_and_up();
    set_no_death(faults, 1);
    order(PROCESS_API, FAKE_HANG_DEAFLY);
    expect_starts(PROCESS_API, 2);
    expect_incident(1, "it waits in the kernel");
    set_no_death(faults, 0);
    assert_int_equal(supervised_stop(), 0);
    expect_trace(PROCESS_ENGINE, UP END);
    munmap(faults, sizeof *faults);
}

static void test_standby_that_does_not_die(void **state)
{
    (void)state;
    struct faults *faults = arm_no_death();
    supervised()->options.start_deadline_sec = 1;
    supervised_start_and_up();
    set_no_death(faults, 1);
    order_start(engine(), FAKE_NEVER_READY, FAKE_GO_ON);
    restart();
    expect_said("does not get ready");
    assert_int_equal(supervised_ask(COMMAND_RESTART).result, RESULT_UNAVAILABLE);
    expect_soon(strstr(trace_of(PROCESS_ENGINE), "dying>absent") != NULL);
    set_no_death(faults, 0);
    restart(); /* its place is free again, whether or not the next one is quick enough */
    assert_int_equal(supervised_stop(), 0);
    munmap(faults, sizeof *faults);
}

static void test_stops_without_a_standby_that_does_not_die(void **state)
{
    (void)state;
    struct faults *faults = arm_no_death();
    supervised()->options.start_deadline_sec = 1;
    supervised_start_and_up();
    set_no_death(faults, 1);
    order_start(engine(), FAKE_NEVER_READY, FAKE_GO_ON);
    restart();
    expect_soon(strstr(trace_of(PROCESS_ENGINE), "starting>dying") != NULL);
    assert_int_equal(supervised_stop(), 0);
    assert_non_null(strstr(trace_of(PROCESS_ENGINE), "dying>absent"));
    munmap(faults, sizeof *faults);
}

static void test_stops_without_one_that_does_not_die(void **state)
{
    (void)state;
    struct faults *faults = arm_no_death();
    supervised_start_and_up();
    set_no_death(faults, 1);
    atomic_store(&engine()->at_end, FAKE_LINGER);
    assert_int_equal(kill(supervised()->pid, SIGTERM), 0);
    expect_state(PROCESS_ENGINE, PROCESS_DRAINING);
    assert_int_equal(supervised_stop(), 1);
    expect_trace(PROCESS_ENGINE, UP "running>draining draining>dying dying>absent");
    munmap(faults, sizeof *faults);
}

/* ---- what must not harm it ---- */

static double cpu_seconds(void)
{
    clockid_t clock;
    struct timespec used;
    assert_int_equal(clock_getcpuclockid(supervised()->pid, &clock), 0);
    assert_int_equal(clock_gettime(clock, &used), 0);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* It sleeps: in this time it takes less than half a core. */
static void expect_rest(void)
{
    double before = cpu_seconds();
    usleep(REST_MS * 1000);
    assert_true(cpu_seconds() - before < REST_MS / 2e3);
}

static void test_children_that_talk_nonsense(void **state)
{
    (void)state;
    supervised_start_and_up();
    order(PROCESS_ENGINE, FAKE_NONSENSE);
    expect_said("no known kind");
    order(PROCESS_API, FAKE_FLOOD);
    order(PROCESS_ENGINE, FAKE_FLOOD);
    expect_soon(atomic_load(&api()->now) == FAKE_GO_ON);
    order_report(PROCESS_API, REPORT_READY, "again");
    expect_soon(atomic_load(&engine()->now) == FAKE_GO_ON);
    order(PROCESS_ENGINE, FAKE_HANG_UP);
    expect_rest();
    assert_int_equal(supervised_ask(COMMAND_PAUSE).result, RESULT_UNAVAILABLE);
    assert_int_equal(supervised_stop(), 0);
    expect_trace(PROCESS_API, UP END);
}

static void test_rests_while_it_stops(void **state)
{
    (void)state;
    supervised_start_and_up();
    atomic_store(&engine()->at_end, FAKE_LINGER);
    assert_int_equal(kill(supervised()->pid, SIGTERM), 0);
    expect_state(PROCESS_ENGINE, PROCESS_DRAINING);
    expect_rest();
    assert_int_equal(supervised_stop(), 1);
}

static void ignore_children(void)
{
    signal(SIGCHLD, SIG_IGN);
}

static void test_parent_that_ignored_deaths(void **state)
{
    (void)state;
    supervised()->before = ignore_children;
    supervised_start_and_up();
    order(PROCESS_ENGINE, FAKE_CRASH);
    expect_starts(PROCESS_ENGINE, 2);
    expect_rest();
    assert_int_equal(supervised_stop(), 0);
}

static void test_clock_that_is_set(void **state)
{
    (void)state;
    supervised_start_and_up();
    atomic_store(&supervised()->injected->clock_step_s, 1000);
    atomic_store(&supervised()->injected->ppoll_errno, EINTR);
    atomic_store(&supervised()->injected->for_times, 1);
    expect_soon(counted(COUNTER_CLOCK_STEPS) == 1);
    assert_int_equal(supervised_stop(), 0);
    expect_trace(PROCESS_ENGINE, UP END);
}

static int open_descriptors(void)
{
    char path[64];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", supervised()->pid);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

/* Once clients of the control socket are noticed to be gone. */
static int settled_descriptors(void)
{
    int before, now = open_descriptors();
    do {
        before = now;
        usleep(50000);
        now = open_descriptors();
    } while (now != before);
    return now;
}

static void die_until(uint64_t starts)
{
    expect_soon(atomic_load(&supervised()->page->processes[PROCESS_ENGINE].starts) >= starts);
}

static void test_a_thousand_restarts_leave_nothing(void **state)
{
    (void)state;
    supervised()->options.incidents_max = 10;
    supervised_start_and_up();
    int descriptors = settled_descriptors();
    atomic_store(&engine()->at_go, FAKE_REPORT_END); /* ready, and dead */
    engine()->report.kind = REPORT_READY;
    atomic_store(&engine()->status, 1);
    atomic_store(&engine()->for_starts, RESTARTS);
    order(PROCESS_ENGINE, FAKE_CRASH);
    die_until(RESTARTS / 2);
    long before = atomic_load(&supervised()->injected->allocations);
    die_until(RESTARTS / 2 + RESTARTS / 5);
    assert_int_equal(atomic_load(&supervised()->injected->allocations), before);
    atomic_store(&engine()->status, 0);
    expect_starts(PROCESS_ENGINE, RESTARTS + 2);
    assert_int_equal(settled_descriptors(), descriptors);
    restart();
    expect_starts(PROCESS_ENGINE, RESTARTS + 3);
    expect_starts(PROCESS_API, 2);
    assert_int_equal(settled_descriptors(), descriptors);
    assert_int_equal(supervised_stop(), 0);
}

int main(int argc, char *argv[])
{
    supervised_main(argc, argv);
#define CASE(name) cmocka_unit_test_setup_teardown(name, supervised_begin, supervised_end)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_these_ways),
        CASE(test_starts_and_stops),
        CASE(test_stops_while_starting),
        CASE(test_engine_that_could_not_write_all),
        CASE(test_engine_crashes_while_stopping),
        CASE(test_api_crashes_while_stopping),
        CASE(test_overruns_while_stopping),
        CASE(test_asked_twice_to_stop),
        CASE(test_dies_while_stopping),
        CASE(test_supervisor_is_killed),
        CASE(test_engine_dies),
        CASE(test_api_dies),
        CASE(test_engine_hangs),
        CASE(test_engine_starves),
        CASE(test_hangs_before_its_first_beat),
        CASE(test_dies_at_its_start_a_few_times),
        CASE(test_says_that_it_began_cold),
        CASE(test_says_whose_generation),
        CASE(test_suspects_are_kept),
        CASE(test_suspects_on_a_full_disk),
        CASE(test_incident_that_waits_for_room),
        CASE(test_tokens_in_hand),
        CASE(test_thread_that_falls),
        CASE(test_out_of_memory),
        CASE(test_stopped_while_waiting),
        CASE(test_stopped_while_the_api_waits),
        CASE(test_restart_while_waiting),
        CASE(test_emergency),
        CASE(test_restarts_gracefully),
        CASE(test_two_wishes_are_one_restart),
        CASE(test_dies_while_the_standby_waits),
        CASE(test_does_not_drain),
        CASE(test_killed_by_order_while_draining),
        CASE(test_stopped_while_the_standby_waits),
        CASE(test_standby_that_repeats_itself),
        CASE(test_restart_of_one_that_starts),
        CASE(test_ready_before_its_standby),
        CASE(test_standby_that_claims_to_be_ready),
        CASE(test_standby_ends),
        CASE(test_standby_does_not_get_ready),
        CASE(test_stopped_while_the_standby_starts),
        CASE(test_too_large),
        CASE(test_too_large_and_no_other),
        CASE(test_refused_at_first),
        CASE(test_api_fails_at_first),
        CASE(test_no_program),
        CASE(test_not_watched_is_not_started),
        CASE(test_starts_that_fail_later),
        CASE(test_program_that_does_not_fit),
        CASE(test_no_parts),
        CASE(test_too_few_descriptors),
        CASE(test_places_that_are_taken),
        CASE(test_places_that_cannot_be_taken),
        CASE(test_no_path_to_the_program),
        CASE(test_no_world),
        CASE(test_second_one),
        CASE(test_starts_itself),
        CASE(test_too_many_arguments),
        CASE(test_engine_that_does_not_die),
        CASE(test_no_memory_for_a_new_page),
        CASE(test_no_memory_for_a_new_table),
        CASE(test_no_memory_for_a_new_channel),
        CASE(test_no_memory_for_a_new_channel_of_history),
        CASE(test_api_that_does_not_die),
        CASE(test_standby_that_does_not_die),
        CASE(test_stops_without_one_that_does_not_die),
        CASE(test_stops_without_a_standby_that_does_not_die),
        CASE(test_children_that_talk_nonsense),
        CASE(test_rests_while_it_stops),
        CASE(test_parent_that_ignored_deaths),
        CASE(test_clock_that_is_set),
        CASE(test_a_thousand_restarts_leave_nothing),
    };
    return supervised_run(tests, sizeof tests / sizeof tests[0]);
}
