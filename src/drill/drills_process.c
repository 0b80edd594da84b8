/* Drills in which another process than the engine fails, the clock, the machine, or the order in
 * which processes live. */
#include "drill/drill.h"
#include "drill/expect.h"
#include "drill/look.h"
#include "drill/patience.h"
#include "drill/witness.h"
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOTICE_S   5.0
#define RECOVERY_S 20.0

/* ---- api ---- */

static bool is_api_replaced(struct drill *drill)
{
    return look_moved(drill, COUNTER_API_RESTARTS) >= 1;
}

/* Who was being answered when it died gets no answer; whoever comes later waits in the socket. */
#define IN_HAND_OF_API 1

static void expect_api_restart(struct drill *drill, const struct incident_wanted *wanted)
{
    expect_moved(drill, COUNTER_API_RESTARTS, 1);
    expect_moved(drill, COUNTER_EMERGENCY_RESTARTS, 0);
    expect_incident(drill, wanted);
    expect_answered(drill, IN_HAND_OF_API);
}

void drill_api_crash(struct drill *drill)
{
    drill_set_up(drill, NULL);
    drill_strike(drill, "SIGSEGV to the api, process %d", sandbox_pid(drill, PROCESS_API));
    sandbox_signal(drill, PROCESS_API, SIGSEGV);
    drill_await_notice(drill, &(struct drill_wait){is_api_replaced, NOTICE_S, "the death is seen"});
    drill_await_recovery(drill, RECOVERY_S);
    expect_api_restart(
        drill, &(struct incident_wanted){.process = "api", .cause = "signal", .signal = "SIGSEGV"});
}

void drill_api_hang(struct drill *drill)
{
    drill_set_up(drill, NULL);
    drill_strike(drill, "SIGSTOP to the api");
    sandbox_signal(drill, PROCESS_API, SIGSTOP);
    drill_await_notice(drill, &(struct drill_wait){is_api_replaced, NOTICE_S, "it is replaced"});
    drill_await_recovery(drill, RECOVERY_S);
    expect_moved(drill, COUNTER_HANGS, 1);
    expect_api_restart(drill, &(struct incident_wanted){.process = "api", .cause = "stopped"});
}

/* ---- supervisor ---- */

#define END_S 8.0

/* Orphans are ours to reap (PR_SET_CHILD_SUBREAPER). */
static void expect_clean_end(struct drill *drill, pid_t pid, const char *name)
{
    int status;
    if (!sandbox_await_end(pid, END_S, &status))
        drill_fail(drill, "the %s lives on without its supervisor", name);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        drill_fail(drill, "the %s did not end well (wait status %#x)", name, (unsigned)status);
}

void drill_supervisor_crash(struct drill *drill)
{
    drill_set_up(drill, NULL);
    pid_t engine = sandbox_pid(drill, PROCESS_ENGINE), api = sandbox_pid(drill, PROCESS_API);
    drill_strike(drill, "SIGKILL to the supervisor, process %d", drill->sandbox.supervisor);
    if (kill(drill->sandbox.supervisor, SIGKILL) != 0)
        drill_fail(drill, "the supervisor cannot be given a signal");
    waitpid(drill->sandbox.supervisor, NULL, 0);
    expect_clean_end(drill, engine, "engine");
    expect_clean_end(drill, api, "api");
    drill_noticed(drill, "engine and api have ended by themselves, all written");
    sandbox_start_daemon(drill); /* as systemd would */
    drill->before = (struct drill_before){.generation = drill->before.generation};
    drill_say(drill, "started again");
    drill_await_recovery(drill, RECOVERY_S);
    double generation = look_gauge(drill, GAUGE_GENERATION);
    if (!(generation > drill->before.generation))
        drill_fail(drill, "the generation went from %.0f to %.0f", drill->before.generation,
                   generation);
    expect_moved(drill, COUNTER_COLD_STARTS, 1);
    expect_no_incident(drill);
}

/* ---- the clock ---- */

#define JUMP_AHEAD_US ((int64_t)3600 * 1000000)
#define JUMP_BACK_US  (-(int64_t)3600 * 1000000)
#define STEADY_S      3.0
#define MINUTE_US     60000000

static bool is_jump_seen(struct drill *drill)
{
    return look_moved(drill, COUNTER_CLOCK_STEPS) >= 1;
}

static bool is_second_jump_seen(struct drill *drill)
{
    return look_moved(drill, COUNTER_CLOCK_STEPS) >= 2;
}

/* No token is late for it: the daemon's time goes on as before, but for a slew of 1 %. */
static void expect_steady(struct drill *drill)
{
    const struct status_page *page = drill->sandbox.page;
    instant began = look_now(drill);
    double began_s = now_s();
    while (now_s() < began_s + STEADY_S) {
        for (int i = 0; i < PAGE_GROUPS; i++)
            if (atomic_load(&page->groups[i].oldest_age_us) > MINUTE_US / 6)
                drill_fail(drill, "a token is %.0f s old after the clock jumped",
                           (double)atomic_load(&page->groups[i].oldest_age_us) / 1e6);
        rest_ms(20);
    }
    double passed = duration_to_s(instant_diff(look_now(drill), began));
    if (fabs(passed - (now_s() - began_s)) > STEADY_S / 20)
        drill_fail(drill, "the daemon's time went %.3f s in %.3f s", passed, now_s() - began_s);
}

/* The machine's clock is everybody's, and time namespaces leave the wall clock alone: so the
 * supervisor, which alone looks at it for all, is made to read it so much wrong. */
void drill_clock_jump(struct drill *drill)
{
    drill_set_up(drill, NULL);
    drill_strike(drill, "the wall clock jumps an hour ahead");
    sandbox_arm(drill, FAULT_CLOCK, (uint64_t)JUMP_AHEAD_US);
    drill_await_notice(drill, &(struct drill_wait){is_jump_seen, NOTICE_S, "the step is seen"});
    expect_steady(drill);
    drill_say(drill, "the wall clock jumps two hours back");
    sandbox_arm(drill, FAULT_CLOCK, (uint64_t)JUMP_BACK_US);
    drill_await(drill, &(struct drill_wait){is_second_jump_seen, NOTICE_S, "the step is seen"});
    expect_steady(drill);
    sandbox_arm(drill, FAULT_CLOCK, 0);
    drill_end_fault(drill, "the wall clock is right again");
    drill_await_recovery(drill, RECOVERY_S);
    expect_same_processes(drill);
    expect_no_incident(drill);
    expect_answered(drill, 0);
}

/* ---- zombie-engine ---- */

#define LEFT_BEHIND_S 10.0
#define DIRTY_MS      400 /* within which some of the tokens are refreshed */
#define QUIET_S       1.5 /* what is done once a second has been done by then */

struct zombie {
    pid_t pid;
    sqlite3 *db;
    int64_t rows; /* ever given out, of log, snapshots and events */
};

static int64_t ask_number(struct drill *drill, sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW)
        drill_fail(drill, "%s: %s", sql, sqlite3_errmsg(db));
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

static sqlite3 *open_database(struct drill *drill)
{
    sqlite3 *db = NULL;
    if (sqlite3_open_v2(sandbox_database(drill), &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        drill_fail(drill, "the database can't be opened: %s", sqlite3_errmsg(db));
    sqlite3_busy_timeout(db, 5000);
    /* Looks only: the log is the daemon's to take in. */
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return db;
}

/* Stopped with tokens in its hands that it has not written: it waits for our lock meanwhile, so it
 * is not in a transaction of its own. */
static void stop_with_work(struct drill *drill, struct zombie *zombie)
{
    zombie->pid = sandbox_pid(drill, PROCESS_ENGINE);
    zombie->db = open_database(drill);
    if (sqlite3_exec(zombie->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        drill_fail(drill, "no lock: %s", sqlite3_errmsg(zombie->db));
    rest_ms(DIRTY_MS);
    drill_strike(drill, "SIGSTOP to the engine, process %d, which no signal can kill", zombie->pid);
    sandbox_arm(drill, FAULT_NO_DEATH, 1);
    kill(zombie->pid, SIGSTOP);
}

/* One that was stopped in the middle of a transaction would hold this lock for as long as it does
 * not die: the next engine must get to work without. */
static void let_go(struct drill *drill, struct zombie *zombie)
{
    sqlite3_exec(zombie->db, "ROLLBACK", NULL, NULL, NULL);
    drill_say(drill, "what it would hold of the database in a transaction is free only now");
}

static bool is_hang_seen(struct drill *drill)
{
    return look_moved(drill, COUNTER_HANGS) >= 1;
}

/* Its page is another one: it is asked for again. */
static bool is_left_behind(struct drill *drill)
{
    return look_attach(drill) && look_state(drill, PROCESS_ENGINE) == PROCESS_RUNNING &&
           sandbox_pid(drill, PROCESS_ENGINE) != (pid_t)drill->before.pids[PROCESS_ENGINE];
}

static int64_t count_rows(struct drill *drill, const struct zombie *zombie)
{
    return ask_number(drill, zombie->db,
                      "SELECT coalesce((SELECT max(seq) FROM refresh_log),0)"
                      " + coalesce((SELECT max(id) FROM snapshot),0)"
                      " + coalesce((SELECT max(id) FROM event),0)"
                      " + (SELECT count(*) FROM token)");
}

/* With the new engine at rest, whoever commits is the old one. */
static void make_quiet(struct drill *drill, struct zombie *zombie)
{
    char why[512];
    const struct command pause = {.kind = COMMAND_PAUSE};
    witness_stop(drill);
    if (!look_command(drill, &pause, why))
        drill_fail(drill, "the engine does not rest: %.200s", why);
    double quiet_since = now_s();
    struct patience patience;
    patience_start(&patience, RECOVERY_S);
    int64_t rows = count_rows(drill, zombie);
    while (now_s() < quiet_since + QUIET_S) {
        rest_ms(20);
        int64_t now = count_rows(drill, zombie);
        quiet_since = now == rows ? quiet_since : now_s();
        rows = now;
        if (patience_is_over(&patience))
            drill_fail(drill, "the engine writes on, though it is paused");
    }
    zombie->rows = rows;
}

static bool is_dead(pid_t pid)
{
    char path[64], line[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return true;
    const char *read = fgets(line, sizeof line, file);
    fclose(file);
    const char *at = read == NULL ? NULL : strrchr(line, ')');
    return at == NULL || at[2] == 'Z' || at[2] == 'X';
}

static void wake_up(struct drill *drill, struct zombie *zombie)
{
    struct patience patience;
    patience_start(&patience, END_S);
    drill_say(drill, "SIGCONT: the old engine wakes up");
    kill(zombie->pid, SIGCONT);
    while (!is_dead(zombie->pid)) {
        if (patience_is_over(&patience))
            drill_fail(drill, "the old engine lives on");
        rest_ms(5);
    }
    int64_t written = count_rows(drill, zombie) - zombie->rows;
    if (written != 0)
        drill_fail(drill, "the old engine wrote %" PRId64 " rows", written);
    if (!sandbox_log_says(drill, "was taken over by a newer engine"))
        drill_fail(drill, "the old engine did not even try to write: this shows nothing");
    drill_say(drill, "it tried to write, was refused, and has ended; 0 rows are its");
}

void drill_zombie_engine(struct drill *drill)
{
    struct zombie zombie;
    char why[512];
    const struct command resume = {.kind = COMMAND_RESUME};
    drill_set_up(drill, NULL);
    stop_with_work(drill, &zombie);
    drill_await_notice(drill, &(struct drill_wait){is_hang_seen, NOTICE_S, "it does not move"});
    drill_await(drill, &(struct drill_wait){is_left_behind, LEFT_BEHIND_S,
                                            "it is left behind, another is at work"});
    sandbox_arm(drill, FAULT_NO_DEATH, 0);
    let_go(drill, &zombie);
    drill_say(drill, "left behind; generation %.0f is at work",
              look_gauge(drill, GAUGE_GENERATION));
    drill_await_recovery(drill, RECOVERY_S);
    expect_answered(drill, 0);
    expect_incident(drill, &(struct incident_wanted){
                               .process = "engine", .cause = "unawaitable", .start = "cold"});
    make_quiet(drill, &zombie);
    wake_up(drill, &zombie);
    if (!look_command(drill, &resume, why))
        drill_fail(drill, "the engine does not resume: %.200s", why);
    sqlite3_close(zombie.db);
}
