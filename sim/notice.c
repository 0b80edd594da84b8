/* See notice.h. */
#include "sim/notice.h"

#define BIT(cause) (1ULL << (cause))
_Static_assert(FINDING_CAUSE_COUNT <= 64, "a bit each");

/* An upstream that fails shows in one of these, whichever is the nearest to people. */
#define UPSTREAM                                                                                   \
    (BIT(FINDING_BREAKER_OPEN) | BIT(FINDING_REFUSED) | BIT(FINDING_FEED_ERRORS) |                 \
     BIT(FINDING_ERRORS) | BIT(FINDING_FEED_SLOW) | BIT(FINDING_FEED_SILENT))
#define STORE                                                                                      \
    (BIT(FINDING_STORE_DOWN) | BIT(FINDING_STORE_LATE) | BIT(FINDING_STORE_ERRORS) |               \
     BIT(FINDING_DISK_SHORT))

static uint64_t count_late(const struct core_stats *stats)
{
    return stats->late_answers;
}

/* Of an answer that is wrong in two ways, one is counted. */
static uint64_t count_refused_pairs(const struct core_stats *stats)
{
    return stats->issues[PAIR_NOT_ASKED] + stats->issues[PAIR_QUOTE_SIDE];
}

/* So are pairs too many of a token that is not the one that was asked for. */
static uint64_t count_over_limit(const struct core_stats *stats)
{
    return stats->issues[PAIR_OVER_LIMIT] + count_refused_pairs(stats);
}

static uint64_t count_overruns(const struct core_stats *stats)
{
    uint64_t count = 0;
    for (int job = 0; job < JOB_COUNT; job++)
        count += stats->jobs[job].overruns;
    return count;
}

static uint64_t count_failures(const struct core_stats *stats)
{
    uint64_t count = 0;
    for (int job = 0; job < JOB_COUNT; job++)
        count += stats->jobs[job].failures;
    return count;
}

/* What the daemon says of a fault: one of these findings, or that it has counted more. */
static const struct row {
    uint64_t causes;
    uint64_t (*count)(const struct core_stats *stats);
    unsigned hits; /* that are not to be overlooked */
    double within_s;
} rows[SIM_FAULT_COUNT] = {
    [SIM_FAULT_DOWN] = {UPSTREAM, NULL, 10, NOTICE_WITHIN_S},
    [SIM_FAULT_ERRORS] = {UPSTREAM, NULL, 30, NOTICE_WITHIN_S},
    [SIM_FAULT_REFUSED] = {UPSTREAM, NULL, 30, NOTICE_WITHIN_S},
    [SIM_FAULT_REST] = {UPSTREAM, NULL, 30, NOTICE_WITHIN_S},
    [SIM_FAULT_LOST] = {UPSTREAM, NULL, 30, NOTICE_WITHIN_S},
    [SIM_FAULT_LATE] = {UPSTREAM, NULL, 30, NOTICE_WITHIN_S},
    [SIM_FAULT_WRONG] = {UPSTREAM, count_refused_pairs, 10, 0},
    [SIM_FAULT_QUOTE] = {UPSTREAM, count_refused_pairs, 10, 0},
    [SIM_FAULT_CROWD] = {UPSTREAM, count_over_limit, 10, 0},
    [SIM_FAULT_TWICE] = {UPSTREAM, count_late, 10, NOTICE_WITHIN_S},
    [SIM_FAULT_STORE] = {STORE, NULL, 30, NOTICE_WITHIN_S},
    [SIM_FAULT_FULL] = {STORE, NULL, 30, NOTICE_WITHIN_S},
    [SIM_FAULT_IO] = {STORE, NULL, 30, NOTICE_WITHIN_S},
    [SIM_FAULT_FILLED] = {STORE, NULL, 10, NOTICE_WITHIN_S},
    [SIM_FAULT_STUCK] = {BIT(FINDING_JOB_STUCK), count_overruns, 3, NOTICE_WITHIN_S},
    [SIM_FAULT_FAILING] = {BIT(FINDING_JOB_FAILED), count_failures, 5, 1},
    [SIM_FAULT_BUSY] = {BIT(FINDING_STRAINED) | BIT(FINDING_LOAD_HIGH), NULL, 60, NOTICE_WITHIN_S},
};

static uint64_t present_causes(const struct findings *findings)
{
    uint64_t causes = 0;
    for (uint32_t i = 0; i < findings->count; i++)
        causes |= BIT(findings->of[i].cause);
    return causes;
}

static uint64_t count_of(const struct row *row, const struct core_stats *stats)
{
    return row->count == NULL ? 0 : row->count(stats);
}

static void look_at(struct notice *notice, struct oracle *oracle, const struct notice_view *view,
                    enum sim_fault fault)
{
    const struct row *row = &rows[fault];
    bool is_there = (view->present & SIM_FAULT_BIT(fault)) && !view->stats->is_paused;
    if (!is_there || instant_is_never(notice->of[fault].since)) {
        notice->of[fault].since = is_there ? view->now : INSTANT_NEVER;
        notice->of[fault].hits = view->hits[fault];
        notice->of[fault].count = count_of(row, view->stats);
        notice->of[fault].is_seen = false;
        return;
    }
    bool is_seen = (present_causes(&view->stats->findings) & row->causes) != 0 ||
                   count_of(row, view->stats) > notice->of[fault].count;
    notice->of[fault].is_seen = notice->of[fault].is_seen || is_seen;
    double for_s = duration_to_s(instant_diff(view->now, notice->of[fault].since));
    uint64_t hits = view->hits[fault] - notice->of[fault].hits;
    if (!notice->of[fault].is_seen && hits >= row->hits && for_s >= row->within_s)
        oracle_complain(oracle, view->now, "\"%s\" hit %llu times in %.1f s, and nobody noticed",
                        sim_fault_name(fault), (unsigned long long)hits, for_s);
}

void notice_look(struct notice *notice, struct oracle *oracle, const struct notice_view *view)
{
    for (int fault = 0; fault < SIM_FAULT_COUNT; fault++)
        if (rows[fault].hits > 0)
            look_at(notice, oracle, view, (enum sim_fault)fault);
}

void notice_forget(struct notice *notice)
{
    for (int fault = 0; fault < SIM_FAULT_COUNT; fault++)
        notice->of[fault].since = INSTANT_NEVER;
}
