/*
 * The peak of load: processes that take all CPU, pinned to each processor, and a budget that is a
 * share of what the tokens take; then both are over. All the while everybody's age is looked at
 * (ages.h), and these must hold:
 *
 *   heavy tokens are refreshed on time, during the peak as before it;
 *   nobody passes the maximum age;
 *   the weighted age is at most 1.1 × the quasi-static optimum of the capacity in force;
 *   two target intervals after the peak nothing is deferred any more;
 *   the load level rises, and falls to what it was.
 *
 * On a machine that others keep busy, before the peak as in it, the bars are wider, and the verdict
 * says so.
 */
#include "drill/ages.h"
#include "drill/drill.h"
#include "drill/expect.h"
#include "drill/look.h"
#include "drill/patience.h"
#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOGS_A_PROCESSOR 2
#define HOGS_MAX         64
#define LOOK_EVERY_MS    200
#define NOTICE_S         10.0
#define RECOVERY_S       20.0

#define TARGET    "3"
#define TARGET_S  3.0
#define MAXIMUM   "15"
#define MAXIMUM_S 15.0
/* So many that a request more or less is nothing: about 60 requests a second keep their targets. */
#define TOKENS        3000
#define MARKET_TOKENS "4000"

#define CALM_S     (3 * TARGET_S)
#define PEAK_S     (8 * TARGET_S) /* beyond the maximum age */
#define AFTER_S    (3 * TARGET_S)
#define PEAK_SHARE 0.6                /* of the requests that keep every target */
#define HEAVY_AT   (0.9 * PEAK_SHARE) /* figures move meanwhile: who is heavy for sure */

#define RATIO_MOST         1.1
#define ON_TIME_LEAST      0.99
#define RATIO_MOST_BUSY    1.3 /* who waits for a processor is older for it, heavy ones too */
#define ON_TIME_LEAST_BUSY 0.9
#define BUSY_FROM          1.5 /* × as long as on an idle machine */
#define DEFERRED_MIN       50
#define LEVEL_S            10.0

struct hogs {
    pid_t pids[HOGS_MAX];
    unsigned count;
};

struct peak {
    struct hogs hogs;
    struct ages *ages;
    double busy;                     /* how many times longer things took before it */
    double level_before, level_most; /* of load */
    double deferred_at_s;            /* when each was seen first; NAN: not */
    double drained_at_s, refreshed_at_s;
};

/* ---- the load ---- */

static _Noreturn void be_hog(pid_t parent, int processor)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
        getppid() != parent)
        _exit(1);
    for (volatile uint64_t turns = 0;; turns++)
        continue;
}

/* On the processors that we may use. */
static void start_hogs(struct drill *drill, struct hogs *hogs)
{
    cpu_set_t ours;
    pid_t parent = getpid();
    if (sched_getaffinity(0, sizeof ours, &ours) != 0)
        drill_fail(drill, "it is not known which processors there are");
    for (int i = 0; i < CPU_SETSIZE && hogs->count + HOGS_A_PROCESSOR <= HOGS_MAX; i++)
        for (int k = 0; k < HOGS_A_PROCESSOR && CPU_ISSET(i, &ours); k++) {
            pid_t pid = fork();
            if (pid == 0)
                be_hog(parent, i);
            if (pid > 0)
                hogs->pids[hogs->count++] = pid;
        }
}

static void stop_hogs(struct hogs *hogs)
{
    for (unsigned i = 0; i < hogs->count; i++)
        if (kill(hogs->pids[i], SIGKILL) == 0) /* else it dies with us */
            waitpid(hogs->pids[i], NULL, 0);
    hogs->count = 0;
}

static void put_budget(struct drill *drill, const char *name, double per_second)
{
    char value[32];
    snprintf(value, sizeof value, "%.1f", fmax(1, per_second * 60));
    sandbox_put_setting(drill, name, value);
}

static void lower_budgets(struct drill *drill, const struct ages_report *report)
{
    put_budget(drill, "refresh_requests_per_minute", PEAK_SHARE * report->need[AGES_REFRESH]);
    put_budget(drill, "screen_requests_per_minute", PEAK_SHARE * report->need[AGES_SCREEN]);
}

/* ---- what is seen ---- */

static uint64_t count_deferred(const struct drill *drill)
{
    uint64_t deferred = 0;
    for (int i = 0; i < PAGE_GROUPS; i++)
        deferred += atomic_load(&drill->sandbox.page->groups[i].deferred);
    return deferred;
}

static double first(double before_s, bool is_seen)
{
    return isnan(before_s) && is_seen ? now_s() : before_s;
}

static void look(struct drill *drill, struct peak *peak)
{
    ages_look(drill, peak->ages);
    peak->level_most = fmax(peak->level_most, look_gauge(drill, GAUGE_LOAD_LEVEL));
    peak->deferred_at_s = first(peak->deferred_at_s, count_deferred(drill) >= DEFERRED_MIN);
    if (drill->ended_s <= drill->struck_s)
        return; /* it is not over */
    peak->drained_at_s = first(peak->drained_at_s, count_deferred(drill) == 0);
    double since_end_s = now_s() - drill->ended_s;
    peak->refreshed_at_s =
        first(peak->refreshed_at_s, ages_report(peak->ages)->oldest_now_s < since_end_s);
}

static void watch(struct drill *drill, struct peak *peak, double seconds)
{
    double began_s = now_s();
    for (double next_s = began_s; now_s() < began_s + seconds;) {
        look(drill, peak);
        next_s += LOOK_EVERY_MS / 1e3;
        double wait_s = next_s - now_s();
        if (wait_s > 0)
            rest_ms((unsigned)(wait_s * 1e3));
    }
}

static void say_lanes(struct drill *drill, const struct ages_report *report, const char *when)
{
    for (int i = 0; i < AGES_LANE_COUNT; i++)
        drill_say(
            drill,
            "%s: %s: %u tokens, %.1f requests a second of the %.1f that they take; weighted age "
            "%.3f × the optimum, %.3f at most so far",
            when, ages_lane_name((enum ages_lane)i), report->tokens[i], report->sent[i],
            report->need[i], report->ratio[i], report->ratio_most[i]);
}

/* ---- what must hold ---- */

static double ratio_most(const struct ages_report *report)
{
    double most = 0;
    for (int i = 0; i < AGES_LANE_COUNT; i++)
        most = fmax(most, report->ratio_most[i]);
    return most;
}

static double on_time(const struct ages_report *report)
{
    return (double)report->heavy_on_time / (double)report->heavy_refreshes;
}

static double drained_s(const struct drill *drill, const struct peak *peak)
{
    return peak->drained_at_s - drill->ended_s;
}

static void put_figures(struct drill *drill, const struct peak *peak)
{
    const struct ages_report *report = ages_report(peak->ages);
    drill_figure(drill, "weighted_age_over_optimum_most", ratio_most(report));
    drill_figure(drill, "heavy_on_time", on_time(report));
    drill_figure(drill, "oldest_s", report->oldest_s);
    drill_figure(drill, "maximum_s", MAXIMUM_S);
    drill_figure(drill, "nothing_deferred_after_s", drained_s(drill, peak));
    drill_figure(drill, "load_level_most", peak->level_most);
    drill_figure(drill, "machine_busy", peak->busy);
}

static void judge(struct drill *drill, const struct peak *peak)
{
    const struct ages_report *report = ages_report(peak->ages);
    bool is_busy = peak->busy > BUSY_FROM;
    if (report->windows == 0 || report->heavy_refreshes == 0)
        drill_fail(drill, "nothing was seen that could be judged");
    if (isnan(peak->deferred_at_s))
        drill_fail(drill, "nothing was deferred: it was no peak");
    if (!(on_time(report) >= (is_busy ? ON_TIME_LEAST_BUSY : ON_TIME_LEAST)))
        drill_fail(drill, "of %" PRIu64 " refreshes of %u heavy tokens only %.2f %% were on time",
                   report->heavy_refreshes, report->heavy, 100 * on_time(report));
    if (!(report->oldest_s <= MAXIMUM_S))
        drill_fail(drill, "a token was %.2f s old; the maximum is %g s", report->oldest_s,
                   MAXIMUM_S);
    if (!(ratio_most(report) <= (is_busy ? RATIO_MOST_BUSY : RATIO_MOST)))
        drill_fail(drill, "the weighted age was %.3f times the optimum", ratio_most(report));
    if (!(drained_s(drill, peak) <= 2 * TARGET_S * peak->busy))
        drill_fail(drill, "something was deferred %.1f s after the peak", 2 * TARGET_S);
}

/* ---- the load level ---- */

/* Of a machine that is as busy without us there is nothing to be seen. */
static void expect_level_rose(struct drill *drill, const struct peak *peak)
{
    if (peak->level_before == 0 && peak->level_most == 0)
        drill_fail(drill, "the load level did not rise");
}

static bool is_level_normal(struct drill *drill)
{
    return look_gauge(drill, GAUGE_LOAD_LEVEL) == 0;
}

static void await_level(struct drill *drill, const struct peak *peak)
{
    if (peak->busy <= BUSY_FROM && peak->level_before == 0)
        drill_await(drill, &(struct drill_wait){is_level_normal, LEVEL_S, "the load is normal"});
}

/* ---- its course ---- */

static void begin_peak(struct drill *drill, struct peak *peak)
{
    const struct ages_report *report = ages_report(peak->ages);
    watch(drill, peak, CALM_S);
    say_lanes(drill, report, "calm");
    ages_choose_heavy(peak->ages, HEAVY_AT);
    peak->busy = patience_factor();
    peak->level_before = peak->level_most;
    peak->deferred_at_s = NAN;
    drill_strike(drill,
                 "%d processes on each processor, %.0f %% of the requests that it takes; %u "
                 "tokens are heavy",
                 HOGS_A_PROCESSOR, 100 * PEAK_SHARE, report->heavy);
    ages_step(peak->ages);
    start_hogs(drill, &peak->hogs);
    lower_budgets(drill, report);
    ages_step(peak->ages);
}

static void end_peak(struct drill *drill, struct peak *peak)
{
    uint64_t deferred = count_deferred(drill);
    say_lanes(drill, ages_report(peak->ages), "peak");
    ages_step(peak->ages);
    stop_hogs(&peak->hogs);
    sandbox_put_budgets(drill, SANDBOX_BUDGET);
    ages_step(peak->ages);
    drill_end_fault(drill, "the peak is over; %" PRIu64 " tokens are deferred", deferred);
    watch(drill, peak, AFTER_S);
    say_lanes(drill, ages_report(peak->ages), "after it");
}

/* Seen long before the list of all tokens is asked for, which agrees. */
static void note_recovery(struct drill *drill, const struct peak *peak)
{
    drill_await_recovery(drill, RECOVERY_S);
    if (!isnan(peak->refreshed_at_s))
        drill->result.recovered_s = peak->refreshed_at_s - drill->ended_s;
    drill->result.noticed_s = peak->deferred_at_s - drill->struck_s;
}

static void note_figures(struct drill *drill, const struct peak *peak)
{
    char busy[64] = "";
    const struct ages_report *report = ages_report(peak->ages);
    if (peak->busy > BUSY_FROM)
        snprintf(busy, sizeof busy, "; others kept the machine %.1f times busy", peak->busy);
    drill_note(drill,
               "weighted age at most %.2f × the optimum, %.1f %% of heavy refreshes on time, "
               "oldest %.1f of %g s, nothing deferred after %.1f s%s",
               ratio_most(report), 100 * on_time(report), report->oldest_s, MAXIMUM_S,
               drained_s(drill, peak), busy);
}

/* Both lanes get their share of tokens, and the screening of new ones is no third. */
static const char *const options[] = {"--hot-interval-sec",
                                      TARGET,
                                      "--cold-interval-sec",
                                      TARGET,
                                      "--maximum-age-sec",
                                      MAXIMUM,
                                      "--discover-active-interval-sec",
                                      "3600",
                                      "--discover-monitoring-interval-sec",
                                      "3600",
                                      "--activation-min-liquidity-usd",
                                      "5000",
                                      "--min-score",
                                      "0.5",
                                      "--w-fresh",
                                      "0",
                                      NULL};

void drill_load_peak(struct drill *drill)
{
    static const char *const market[] = {"--tokens", MARKET_TOKENS, NULL};
    struct peak peak = {.deferred_at_s = NAN, .drained_at_s = NAN, .refreshed_at_s = NAN};
    drill_set_up(drill,
                 &(struct drill_setup){.options = options, .market = market, .tokens = TOKENS});
    peak.ages = ages_open(drill);
    begin_peak(drill, &peak);
    watch(drill, &peak, PEAK_S);
    end_peak(drill, &peak);
    note_recovery(drill, &peak);
    put_figures(drill, &peak);
    judge(drill, &peak);
    expect_level_rose(drill, &peak);
    await_level(drill, &peak);
    expect_moved(drill, COUNTER_HANGS, 0);
    expect_same_processes(drill);
    expect_answered(drill, 0);
    note_figures(drill, &peak);
}
