/* See ages.h. */
#include "drill/ages.h"

#include "core/lane_kind.h"
#include "core/score.h"
#include "core/weight.h"
#include "drill/drill.h"
#include "drill/look.h"
#include "page/inherited.h"
#include "page/table_memory.h"
#include "sim/optimum.h"
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ON_TIME_FACTOR 1.1
#define LOOKS_KEPT     256 /* of a window: ten times as many as there are in three seconds */
#define AT_TARGET      1.0001
#define STEP_SHARE     0.1  /* of a capacity: a smaller change is none */
#define SHORT_SHARE    0.97 /* of what is needed: with less, somebody must wait */
#define HEAVY_SHARE    0.9  /* of what was sent: figures move, and so do capacities */

/* What the page said of a lane, when it said something new. */
struct mark {
    double at_s;
    uint64_t requests;
};

struct look {
    double at_s;
    double mean_age_s; /* weighted */
};

struct lane_watch {
    struct optimum_token tokens[AGES_TOKENS_MAX]; /* at the newest look */
    token_id ids[AGES_TOKENS_MAX];
    size_t count;
    double aged, weights; /* Σ weight · age, Σ weight */
    struct mark marks[LOOKS_KEPT];
    size_t mark_count;
    struct look looks[LOOKS_KEPT];
    size_t look_count;
    double capacity; /* in force since the newest step */
    double stepped_s;
};

struct ages {
    struct table_memory memory;
    double target_s, maximum_s;
    struct lane_watch lanes[AGES_LANE_COUNT];
    double intervals[AGES_TOKENS_MAX];
    instant stamps[AGES_TOKENS_MAX + 1]; /* at the look before, by id; INSTANT_NEVER: none */
    bool is_chosen[AGES_TOKENS_MAX + 1]; /* heavy at the planned share */
    bool is_heavy[AGES_TOKENS_MAX + 1];  /* and at present */
    struct ages_report report;
};

static const enum lane_kind kinds[] = {[AGES_REFRESH] = LANE_REFRESH, [AGES_SCREEN] = LANE_SCREEN};

const char *ages_lane_name(enum ages_lane lane)
{
    return lane_kind_name(kinds[lane]);
}

/* ---- opening ---- */

struct ages *ages_open(struct drill *drill)
{
    char path[64];
    enum table_fault fault;
    struct ages *ages = calloc(1, sizeof *ages);
    snprintf(path, sizeof path, "/proc/%d/fd/%d", sandbox_pid(drill, PROCESS_ENGINE), FD_TABLE);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (ages == NULL || fd < 0 || table_memory_attach_shared(&ages->memory, fd, &fault) != OK)
        drill_fail(drill, "the engine's token table can't be looked at");
    ages->target_s = drill->sandbox.options.hot_interval_sec;
    ages->maximum_s = drill->sandbox.options.maximum_age_sec;
    ages_step(ages);
    return ages;
}

/* ---- one token ---- */

static void judge_refresh(struct ages *ages, token_id id, instant stamp)
{
    instant before = ages->stamps[id];
    ages->stamps[id] = stamp;
    if (!ages->is_heavy[id] || instant_is_never(before) || before.us == stamp.us)
        return;
    double interval_s = duration_to_s(instant_diff(stamp, before));
    ages->report.heavy_refreshes++;
    ages->report.heavy_on_time += interval_s <= ON_TIME_FACTOR * ages->target_s;
}

static void look_at(struct ages *ages, token_id id, instant now)
{
    struct token token;
    struct pool pools[POOLS_MAX];
    const struct token_table *table = ages->memory.table;
    if (token_column_status(table, id) == TOKEN_ARCHIVED || !token_read(table, id, &token, pools))
        return;
    unsigned cost = pools_counting(pools, token.pool_count);
    bool is_refreshed = token_column_group(table, id) == GROUP_HOT && cost > 0;
    struct lane_watch *lane = &ages->lanes[is_refreshed ? AGES_REFRESH : AGES_SCREEN];
    instant stamp = token_column_checked(table, id);
    double age_s = duration_to_s(instant_diff(now, stamp)), weight = weight_of_value(&token);
    lane->tokens[lane->count] = (struct optimum_token){
        .weight = weight,
        .cost = (double)(is_refreshed ? cost : 1) / REQUEST_ADDRESSES_MAX,
        .target_s = ages->target_s,
        .maximum_s = ages->maximum_s,
    };
    lane->ids[lane->count++] = id;
    lane->aged += weight * age_s;
    lane->weights += weight;
    ages->report.oldest_now_s = fmax(ages->report.oldest_now_s, age_s);
    judge_refresh(ages, id, stamp);
}

/* ---- a lane ---- */

static void note_requests(struct lane_watch *lane, const struct page_lane *page, double at_s)
{
    struct mark mark = {at_s, atomic_load(&page->requests)};
    if (lane->mark_count > 0 &&
        lane->marks[(lane->mark_count - 1) % LOOKS_KEPT].requests == mark.requests)
        return;
    lane->marks[lane->mark_count++ % LOOKS_KEPT] = mark;
}

/* Requests a second, from the newest mark back to one that is a window older; NaN: there is none.
 */
static double requests_sent(const struct ages *ages, const struct lane_watch *lane)
{
    if (lane->mark_count == 0)
        return NAN;
    size_t newest = lane->mark_count - 1, at = newest;
    const struct mark *last = &lane->marks[newest % LOOKS_KEPT];
    while (at > 0 && newest - at < LOOKS_KEPT - 1 &&
           last->at_s - lane->marks[at % LOOKS_KEPT].at_s < ages->target_s)
        at--;
    const struct mark *first = &lane->marks[at % LOOKS_KEPT];
    double span_s = last->at_s - first->at_s;
    return span_s < ages->target_s ? NAN : (double)(last->requests - first->requests) / span_s;
}

/* Of the looks within a window before now. */
static double mean_age_s(const struct ages *ages, const struct lane_watch *lane, double at_s)
{
    double sum = 0, count = 0;
    for (size_t i = lane->look_count; i-- > 0 && lane->look_count - i <= LOOKS_KEPT;) {
        const struct look *look = &lane->looks[i % LOOKS_KEPT];
        if (at_s - look->at_s > ages->target_s)
            break;
        sum += look->mean_age_s;
        count++;
    }
    return sum / count;
}

static double need_of(const struct lane_watch *lane)
{
    double need = 0;
    for (size_t i = 0; i < lane->count; i++)
        need += lane->tokens[i].cost / lane->tokens[i].target_s;
    return need;
}

/* The requests of the newest window began to be counted up to a second before it. */
static bool sees_a_step(const struct ages *ages, const struct lane_watch *lane, double at_s)
{
    return at_s - lane->stepped_s < ages->target_s + 1;
}

/* What is allowed beyond the need makes no difference. */
static void look_for_step(struct lane_watch *lane, const struct page_lane *page, double at_s)
{
    double capacity = fmin(page_bits(&page->allowed_per_minute_bits) / 60, need_of(lane));
    if (fabs(capacity - lane->capacity) <= STEP_SHARE * lane->capacity)
        return;
    lane->capacity = capacity;
    lane->stepped_s = at_s;
}

static void find_heavy(struct ages *ages, const struct lane_watch *lane, double sent)
{
    bool is_short = sent < SHORT_SHARE * need_of(lane);
    if (is_short)
        optimum_mean_age(lane->tokens, lane->count, HEAVY_SHARE * sent, ages->intervals);
    for (size_t i = 0; i < lane->count; i++)
        ages->is_heavy[lane->ids[i]] =
            ages->is_chosen[lane->ids[i]] &&
            (!is_short || ages->intervals[i] <= ages->target_s * AT_TARGET);
}

static void judge_lane(struct ages *ages, enum ages_lane which, double at_s)
{
    struct lane_watch *lane = &ages->lanes[which];
    struct ages_report *report = &ages->report;
    report->tokens[which] = (uint32_t)lane->count;
    report->need[which] = need_of(lane);
    report->sent[which] = requests_sent(ages, lane);
    report->ratio[which] = NAN;
    if (lane->count == 0)
        return;
    lane->looks[lane->look_count++ % LOOKS_KEPT] = (struct look){at_s, lane->aged / lane->weights};
    if (!(report->sent[which] > 0))
        return;
    find_heavy(ages, lane, report->sent[which]);
    if (sees_a_step(ages, lane, at_s))
        return;
    double optimum_s = optimum_mean_age(lane->tokens, lane->count, report->sent[which], NULL);
    report->ratio[which] = mean_age_s(ages, lane, at_s) / optimum_s;
    report->ratio_most[which] = fmax(report->ratio_most[which], report->ratio[which]);
    report->windows++;
}

/* ---- for the drill ---- */

void ages_look(struct drill *drill, struct ages *ages)
{
    const struct status_page *page = drill->sandbox.page;
    token_id last = token_table_count(ages->memory.table);
    instant now = look_now(drill);
    double at_s = now_s();
    if (last > AGES_TOKENS_MAX)
        drill_fail(drill, "more tokens than can be watched");
    ages->report.oldest_now_s = 0;
    for (int i = 0; i < AGES_LANE_COUNT; i++) {
        ages->lanes[i].count = 0;
        ages->lanes[i].aged = ages->lanes[i].weights = 0;
        note_requests(&ages->lanes[i], &page->lanes[kinds[i]], at_s);
    }
    for (token_id id = 1; id <= last; id++)
        look_at(ages, id, now);
    ages->report.oldest_s = fmax(ages->report.oldest_s, ages->report.oldest_now_s);
    for (int i = 0; i < AGES_LANE_COUNT; i++) {
        look_for_step(&ages->lanes[i], &page->lanes[kinds[i]], at_s);
        judge_lane(ages, (enum ages_lane)i, at_s);
    }
}

void ages_step(struct ages *ages)
{
    for (int i = 0; i < AGES_LANE_COUNT; i++)
        ages->lanes[i].stepped_s = now_s();
}

void ages_choose_heavy(struct ages *ages, double share)
{
    memset(ages->is_chosen, 0, sizeof ages->is_chosen);
    ages->report.heavy = 0;
    for (int i = 0; i < AGES_LANE_COUNT; i++) {
        const struct lane_watch *lane = &ages->lanes[i];
        if (lane->count == 0)
            continue;
        optimum_mean_age(lane->tokens, lane->count, share * need_of(lane), ages->intervals);
        for (size_t k = 0; k < lane->count; k++) {
            bool is_heavy = ages->intervals[k] <= ages->target_s * AT_TARGET;
            ages->is_chosen[lane->ids[k]] = is_heavy;
            ages->report.heavy += is_heavy;
        }
    }
}

const struct ages_report *ages_report(const struct ages *ages)
{
    return &ages->report;
}
