/*
 * How fresh the tokens are: one scan over the table's columns, kept for FRESHNESS_KEPT_MS so that
 * many readers cost no more than one, and longer while load has that spared. Percentiles come from
 * a histogram whose buckets are 1/32 of an octave wide: within 2.2 % of the true value; the maximum
 * is exact.
 */
#ifndef MOONWATCH_API_FRESHNESS_H
#define MOONWATCH_API_FRESHNESS_H

#include "core/token_table.h"
#include "page/status_page.h"

#define FRESHNESS_KEPT_MS        1000
#define FRESHNESS_KEPT_SPARED_MS 10000

#define AGE_STEPS 21 /* tenths of the target, and the last what is beyond twice of it */

struct group_ages {
    uint32_t tokens;
    uint32_t never;                    /* of these, without any answer yet; not in the ages */
    double p50_s, p95_s, p99_s, max_s; /* NaN: no ages */
    double step_s;                     /* a tenth of the target */
    uint32_t steps[AGE_STEPS];         /* tokens by age */
};

struct freshness_scan {
    struct group_ages groups[GROUP_COUNT];
    uint32_t statuses[TOKEN_STATUS_COUNT];
    uint32_t tokens;
};

struct freshness;
struct freshness *freshness_create(void);
void freshness_destroy(struct freshness *freshness);

/* The last scan, made anew where it is too old. Valid until the next call. */
const struct freshness_scan *freshness_look(struct freshness *freshness,
                                            const struct token_table *table,
                                            const struct status_page *page, instant now);

#endif
