/* Drills in which the engine fails. */
#include "base/address.h"
#include "drill/drill.h"
#include "drill/expect.h"
#include "drill/look.h"
#include "drill/patience.h"
#include "drill/population.h"
#include "drill/witness.h"
#include "supervisor/restart_policy.h"
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NOTICE_S   5.0
#define RECOVERY_S 20.0

/* ---- signs ---- */

static bool is_replaced(struct drill *drill)
{
    return look_moved(drill, COUNTER_EMERGENCY_RESTARTS) >= 1;
}

static bool is_hang_seen(struct drill *drill)
{
    return look_moved(drill, COUNTER_HANGS) >= 1;
}

/* What holds after one death of the engine: the same whatever it died of. */
static void expect_one_restart(struct drill *drill, const struct incident_wanted *wanted)
{
    expect_moved(drill, COUNTER_EMERGENCY_RESTARTS, 1);
    expect_moved(drill, COUNTER_WARM_STARTS, 1);
    expect_moved(drill, COUNTER_API_RESTARTS, 0);
    expect_incident(drill, wanted);
    expect_answered(drill, 0);
}

void drill_engine_crash(struct drill *drill)
{
    drill_set_up(drill, NULL);
    drill_strike(drill, "SIGSEGV to the engine, process %d", sandbox_pid(drill, PROCESS_ENGINE));
    sandbox_signal(drill, PROCESS_ENGINE, SIGSEGV);
    drill_await_notice(drill, &(struct drill_wait){is_replaced, NOTICE_S, "the death is seen"});
    drill_await_recovery(drill, RECOVERY_S);
    expect_moved(drill, COUNTER_HANGS, 0);
    expect_one_restart(
        drill, &(struct incident_wanted){
                   .process = "engine", .cause = "signal", .signal = "SIGSEGV", .start = "warm"});
}

static void await_hang(struct drill *drill)
{
    drill_await_notice(drill,
                       &(struct drill_wait){is_hang_seen, NOTICE_S, "a thread does not move"});
    drill_await_recovery(drill, RECOVERY_S);
    expect_moved(drill, COUNTER_HANGS, 1);
}

void drill_engine_hang(struct drill *drill)
{
    drill_set_up(drill, NULL);
    drill_strike(drill, "the engine's loop is to turn without end");
    sandbox_arm(drill, FAULT_HANG, 1);
    await_hang(drill);
    expect_one_restart(
        drill, &(struct incident_wanted){
                   .process = "engine", .cause = "hang", .beat = "engine loop", .start = "warm"});
}

/* Which of its threads is missed first is chance: all of them stand still. */
void drill_engine_stopped(struct drill *drill)
{
    drill_set_up(drill, NULL);
    drill_strike(drill, "SIGSTOP to the engine");
    sandbox_signal(drill, PROCESS_ENGINE, SIGSTOP);
    await_hang(drill);
    expect_one_restart(
        drill, &(struct incident_wanted){.process = "engine", .cause = "stopped", .start = "warm"});
}

void drill_worker_hang(struct drill *drill)
{
    static const char *const options[] = {"--feed-workers", "2", NULL};
    drill_set_up(drill, &(struct drill_setup){.options = options});
    drill_strike(drill, "a feed worker is to turn without end");
    sandbox_arm(drill, FAULT_HANG_WORKER, 1);
    await_hang(drill);
    expect_one_restart(
        drill, &(struct incident_wanted){.process = "engine", .cause = "hang", .start = "warm"});
}

void drill_store_thread_hang(struct drill *drill)
{
    static const char *const options[] = {"--store-deadline-sec", "2", NULL};
    drill_set_up(drill, &(struct drill_setup){.options = options});
    drill_strike(drill, "the store's thread is to turn without end");
    sandbox_arm(drill, FAULT_HANG_STORE, 1);
    await_hang(drill);
    expect_one_restart(
        drill, &(struct incident_wanted){
                   .process = "engine", .cause = "hang", .beat = "store thread", .start = "warm"});
}

/* ---- crash-loop ---- */

#define LOOP_CRASHES     50
#define LOOP_S           60.0
#define BACKOFF_MIN      "0.02"
#define BACKOFF_MAX      "0.1"
#define BACKOFF_MIN_US   20000
#define BACKOFF_MAX_US   100000
#define BACKOFF_EARLY_US 5000  /* it counts from the death, which is recorded a little later */
#define BACKOFF_LATE_US  50000 /* to wake up and to start; more on a slow machine */
#define LOOP_REQUESTS    10000 /* that clients ask meanwhile */
#define LOOP_ASKED_S     30.0

static bool has_crashed_often(struct drill *drill)
{
    return look_moved(drill, COUNTER_EMERGENCY_RESTARTS) >= LOOP_CRASHES;
}

static bool is_loop_seen(struct drill *drill)
{
    return look_moved(drill, COUNTER_EMERGENCY_RESTARTS) >= 2 &&
           look_state(drill, PROCESS_ENGINE) != PROCESS_RUNNING;
}

static int64_t wanted_wait_us(unsigned death)
{
    int64_t wait_us = BACKOFF_MIN_US;
    if (death == 1)
        return 0;
    for (unsigned i = 2; i < death && wait_us < BACKOFF_MAX_US; i++)
        wait_us *= 2;
    return wait_us < BACKOFF_MAX_US ? wait_us : BACKOFF_MAX_US;
}

/* As documented: stretched by chance by a fifth at most. */
static void expect_wait(struct drill *drill, unsigned death, int64_t waited_us)
{
    int64_t wanted = wanted_wait_us(death);
    int64_t most =
        wanted + (int64_t)((double)wanted * RESTART_JITTER + BACKOFF_LATE_US * patience_worst());
    if (waited_us < wanted - BACKOFF_EARLY_US || waited_us > most)
        drill_fail(drill, "after death %u it waited %" PRId64 " us, not %" PRId64, death, waited_us,
                   wanted);
}

static bool is_of_loop(const struct drill *drill, const struct flight_record *record)
{
    return record->kind == FLIGHT_PROCESS && record->what == PROCESS_ENGINE &&
           record->at_us >= drill->struck_at.us;
}

/* By the flight recorder: from each death to the start that answered it. Of a long loop it has lost
 * the beginning. */
static void expect_backoff(struct drill *drill)
{
    static struct flight_record records[FLIGHT_RECORDS];
    size_t count = flight_read(&drill->sandbox.page->flight, records, FLIGHT_RECORDS);
    unsigned deaths = 0, death = (unsigned)look_moved(drill, COUNTER_EMERGENCY_RESTARTS);
    for (size_t i = 0; i < count; i++)
        deaths += is_of_loop(drill, &records[i]) && records[i].to == PROCESS_WAITING;
    if (deaths < LOOP_CRASHES)
        drill_fail(drill, "the flight recorder tells of %u deaths only", deaths);
    death -= deaths;
    int64_t died_at_us = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_of_loop(drill, &records[i]))
            continue;
        if (records[i].to == PROCESS_WAITING) {
            died_at_us = records[i].at_us;
            death++;
        } else if (records[i].to == PROCESS_STARTING && died_at_us != 0) {
            expect_wait(drill, death, records[i].at_us - died_at_us);
        }
    }
    drill_say(drill, "every wait of %u was as configured", deaths);
}

static bool are_enough_asked(struct drill *drill)
{
    witness_count(drill);
    return drill->result.asked >= LOOP_REQUESTS;
}

/* A slow machine may not get to so many: what was asked counts. */
static void expect_crowd_answered(struct drill *drill)
{
    expect_answered(drill, 0);
    const struct drill_result *result = &drill->result;
    if (result->asked <= result->connections || result->connections < result->asked / 8)
        drill_fail(drill, "%u connections for %u requests: not both kinds were tried",
                   result->connections, result->asked);
    drill_note(drill, "%" PRIu64 " crashes, %u requests on %u new connections, %u failed",
               look_moved(drill, COUNTER_EMERGENCY_RESTARTS), result->asked, result->connections,
               result->unanswered);
}

void drill_crash_loop(struct drill *drill)
{
    static const char *const options[] = {"--restart-backoff-min-sec", BACKOFF_MIN,
                                          "--restart-backoff-max-sec", BACKOFF_MAX, NULL};
    drill_set_up(drill, &(struct drill_setup){.options = options});
    witness_call_crowd(drill);
    drill_strike(drill, "the engine is to fall at every start, and falls now");
    sandbox_arm(drill, FAULT_CRASH_AT_START, 1);
    sandbox_signal(drill, PROCESS_ENGINE, SIGKILL);
    drill_await_notice(drill, &(struct drill_wait){is_loop_seen, NOTICE_S, "it falls again"});
    drill_await(drill, &(struct drill_wait){has_crashed_often, LOOP_S, "fifty crashes"});
    if (!drill_comes_true(drill, &(struct drill_wait){are_enough_asked, LOOP_ASKED_S, ""}))
        drill_say(drill, "no more than %u requests could be asked", drill->result.asked);
    drill_say(drill, "%u requests were asked, %u of them in vain", drill->result.asked,
              drill->result.unanswered);
    sandbox_arm(drill, FAULT_CRASH_AT_START, 0);
    drill_end_fault(drill, "after %" PRIu64 " crashes the cause is gone",
                    look_moved(drill, COUNTER_EMERGENCY_RESTARTS));
    drill_await_recovery(drill, RECOVERY_S);
    expect_backoff(drill);
    expect_incident(drill, &(struct incident_wanted){.process = "engine", .cause = "signal"});
    expect_crowd_answered(drill);
}

/* ---- stuck-job ---- */

#define EXPORTS_WANTED 3

static bool is_job_rerun(struct drill *drill)
{
    return look_moved(drill, COUNTER_JOBS_RERUN) >= 1;
}

static bool has_exported(struct drill *drill)
{
    return look_moved(drill, COUNTER_EXPORTS) >= EXPORTS_WANTED;
}

void drill_stuck_job(struct drill *drill)
{
    char path[SANDBOX_PATH];
    snprintf(path, sizeof path, "%s", sandbox_path(drill, "export.json"));
    const char *const options[] = {
        "--job-deadline-sec", "1", "--export-interval-sec", "1", "--export-path", path, NULL};
    drill_set_up(drill, &(struct drill_setup){.options = options});
    drill_strike(drill, "the next export is to wait without end");
    sandbox_arm(drill, FAULT_STUCK_EXPORT, 1);
    drill_await_notice(drill, &(struct drill_wait){is_job_rerun, NOTICE_S, "the job is rerun"});
    drill_await_recovery(drill, RECOVERY_S);
    drill_await(drill, &(struct drill_wait){has_exported, NOTICE_S, "exports are written again"});
    struct stat file;
    if (stat(drill->sandbox.options.export_path, &file) != 0 || file.st_size == 0)
        drill_fail(drill, "there is no export file");
    expect_same_processes(drill);
    expect_no_incident(drill);
    expect_answered(drill, 0);
}

/* ---- poison-token ---- */

#define QUIET_MS 3000 /* three targets: who would ask for it again would have by then */

static bool is_quarantined(struct drill *drill)
{
    return look_moved(drill, COUNTER_QUARANTINED) >= 1;
}

static void expect_quarantine(struct drill *drill)
{
    const struct suspects *suspects = &drill->sandbox.page->suspects;
    unsigned quarantined = 0;
    for (size_t i = 0; i < SUSPECTS_MAX; i++) {
        char mint[MINT_SIZE];
        if (atomic_load(&suspects->rows[i].state) != SUSPECT_QUARANTINED)
            continue;
        quarantined++;
        address_format(&suspects->rows[i].mint, mint);
        if (strcmp(mint, drill->spared) != 0)
            drill_fail(drill, "%s is in quarantine, and is not the poison", mint);
    }
    if (quarantined != 1)
        drill_fail(drill, "%u tokens are in quarantine", quarantined);
}

static bool is_refreshed_again(struct drill *drill)
{
    return population_fetched_us(drill, drill->spared) > drill->ended_at.us;
}

/* The poison is gone, and somebody says so. */
static void release(struct drill *drill)
{
    char why[512];
    struct command command = {.kind = COMMAND_RELEASE, .mint = drill->sandbox.faults->mint};
    sandbox_arm(drill, FAULT_POISON, 0);
    instant before = drill->ended_at;
    drill->ended_at = look_now(drill);
    if (!look_command(drill, &command, why))
        drill_fail(drill, "it is not released: %.200s", why);
    drill_await(drill, &(struct drill_wait){is_refreshed_again, RECOVERY_S,
                                            "the released token is refreshed"});
    drill->ended_at = before;
    drill_say(drill, "the poison is gone: released, and refreshed again");
}

void drill_poison_token(struct drill *drill)
{
    drill_set_up(drill, NULL);
    snprintf(drill->spared, sizeof drill->spared, "%s", drill->sandbox.mints[7]);
    if (!address_parse(drill->spared, strlen(drill->spared), &drill->sandbox.faults->mint))
        drill_fail(drill, "the market's mint is none");
    /* In its worker, which opens the answer, the first time; in its loop the second. */
    drill_strike(drill, "answers about %s are to fell the engine", drill->spared);
    sandbox_arm(drill, FAULT_POISON, 1);
    drill_await_notice(drill,
                       &(struct drill_wait){is_quarantined, 4 * NOTICE_S, "it is in quarantine"});
    drill_end_fault(drill, "%s stays poisonous; the others must not suffer", drill->spared);
    drill_await_recovery(drill, RECOVERY_S);
    rest_ms(QUIET_MS);
    expect_moved(drill, COUNTER_EMERGENCY_RESTARTS, 2);
    expect_quarantine(drill);
    expect_incident(drill, &(struct incident_wanted){
                               .process = "engine", .cause = "signal", .signal = "SIGABRT"});
    expect_answered(drill, 0);
    release(drill);
    expect_moved(drill, COUNTER_EMERGENCY_RESTARTS, 2);
}

/* ---- memory-leak ---- */

#define LEAK_MIB_A_SECOND 100

static bool is_over_ceiling(struct drill *drill)
{
    return look_state(drill, PROCESS_ENGINE) == PROCESS_DRAINING ||
           look_moved(drill, COUNTER_GRACEFUL_RESTARTS) >= 1;
}

void drill_memory_leak(struct drill *drill)
{
    /* It is about memory: a machine that is slow to give it must not look like a hang. */
    static const char *const options[] = {"--memory-max-mb", "150", "--heartbeat-deadline-ms",
                                          "3000", NULL};
    drill_set_up(drill, &(struct drill_setup){.options = options});
    drill_strike(drill, "the engine is to lose %d MiB a second", LEAK_MIB_A_SECOND);
    sandbox_arm(drill, FAULT_LEAK, LEAK_MIB_A_SECOND);
    drill_await_notice(drill, &(struct drill_wait){is_over_ceiling, 2 * NOTICE_S,
                                                   "it is over its ceiling, and is replaced"});
    sandbox_arm(drill, FAULT_LEAK, 0);
    drill_end_fault(drill, "the next one does not leak");
    drill_await_recovery(drill, RECOVERY_S);
    expect_moved(drill, COUNTER_GRACEFUL_RESTARTS, 1);
    expect_moved(drill, COUNTER_EMERGENCY_RESTARTS, 0);
    expect_no_incident(drill);
    expect_answered(drill, 0);
}
