/* See freshness.h. */
#include "api/freshness.h"

#include "api/pulse.h"
#include "page/load_view.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SUB_BUCKETS 32
#define OCTAVES     34 /* 1 ms … 198 days; what is older counts as that */
#define BUCKETS     (SUB_BUCKETS * OCTAVES)

struct freshness {
    instant scanned_at;
    struct freshness_scan scan;
    uint32_t histogram[GROUP_COUNT][BUCKETS];
};

struct freshness *freshness_create(void)
{
    return calloc(1, sizeof(struct freshness));
}

void freshness_destroy(struct freshness *freshness)
{
    free(freshness);
}

/* Milliseconds 1 … 31 have a bucket each; from there on 32 buckets an octave. */
static unsigned bucket_of(uint64_t age_ms)
{
    if (age_ms < SUB_BUCKETS)
        return (unsigned)age_ms;
    unsigned octave = 63u - (unsigned)__builtin_clzll(age_ms) - 5;
    unsigned bucket = (octave + 1) * SUB_BUCKETS + (unsigned)(age_ms >> octave) - SUB_BUCKETS;
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

/* The middle of a bucket, in seconds. */
static double bucket_age_s(unsigned bucket)
{
    if (bucket < SUB_BUCKETS)
        return bucket / 1e3;
    unsigned octave = bucket / SUB_BUCKETS - 1;
    double low = (double)((uint64_t)(bucket % SUB_BUCKETS + SUB_BUCKETS) << octave);
    return (low + (double)(1ULL << octave) / 2) / 1e3;
}

static double percentile_s(const uint32_t histogram[BUCKETS], uint32_t count, double share)
{
    uint64_t wanted = (uint64_t)ceil(share * count), seen = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += histogram[i];
        if (seen >= wanted)
            return bucket_age_s(i);
    }
    return bucket_age_s(BUCKETS - 1);
}

static void ages_finish(struct group_ages *ages, const uint32_t histogram[BUCKETS])
{
    uint32_t count = ages->tokens - ages->never;
    if (count == 0) {
        ages->p50_s = ages->p95_s = ages->p99_s = ages->max_s = NAN;
        return;
    }
    ages->p50_s = fmin(percentile_s(histogram, count, 0.50), ages->max_s);
    ages->p95_s = fmin(percentile_s(histogram, count, 0.95), ages->max_s);
    ages->p99_s = fmin(percentile_s(histogram, count, 0.99), ages->max_s);
}

static void age_add(struct freshness *freshness, enum token_group group, instant checked,
                    instant now)
{
    struct group_ages *ages = &freshness->scan.groups[group];
    ages->tokens++;
    if (instant_is_never(checked)) {
        ages->never++;
        return;
    }
    duration age = instant_diff(now, checked);
    if (age.us < 0)
        age.us = 0;
    double step = ages->step_s > 0 ? duration_to_s(age) / ages->step_s : 0;
    ages->steps[step < AGE_STEPS - 1 ? (unsigned)step : AGE_STEPS - 1]++;
    ages->max_s = fmax(ages->max_s, duration_to_s(age));
    freshness->histogram[group][bucket_of((uint64_t)duration_to_ms(age))]++;
}

static void scan_make(struct freshness *freshness, const struct token_table *table,
                      const struct status_page *page, instant now)
{
    memset(&freshness->scan, 0, sizeof freshness->scan);
    memset(freshness->histogram, 0, sizeof freshness->histogram);
    for (int i = 0; i < GROUP_COUNT; i++)
        freshness->scan.groups[i].step_s = (double)page_word(&page->groups[i].target_us) / 1e7;
    uint32_t count = token_table_count(table);
    freshness->scan.tokens = count;
    for (token_id id = 1; id <= count; id++) {
        if (id % PULSE_EVERY == 0)
            pulse();
        unsigned status = token_column_status(table, id);
        unsigned group = token_column_group(table, id);
        if (status < TOKEN_STATUS_COUNT)
            freshness->scan.statuses[status]++;
        if (group < GROUP_COUNT)
            age_add(freshness, group, token_column_checked(table, id), now);
    }
    for (int i = 0; i < GROUP_COUNT; i++)
        ages_finish(&freshness->scan.groups[i], freshness->histogram[i]);
    freshness->scanned_at = now;
}

const struct freshness_scan *freshness_look(struct freshness *freshness,
                                            const struct token_table *table,
                                            const struct status_page *page, instant now)
{
    int64_t kept_ms = load_feature_is_off(page, FEATURE_STATISTICS) ? FRESHNESS_KEPT_SPARED_MS
                                                                    : FRESHNESS_KEPT_MS;
    bool is_old = duration_to_ms(instant_diff(now, freshness->scanned_at)) >= kept_ms;
    if (instant_is_never(freshness->scanned_at) || is_old)
        scan_make(freshness, table, page, now);
    return &freshness->scan;
}
