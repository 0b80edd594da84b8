/*
 * What /metrics shows, in Prometheus' text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/), and a page for people about it.
 * Both are made from page/metrics.def, a row a metric. A number that nobody has set yet (NaN) is
 * left out, never 0.
 */
#ifndef MOONWATCH_API_METRICS_H
#define MOONWATCH_API_METRICS_H

#include "api/freshness.h"
#include "page/health_view.h"
#include <stdio.h>

/* What the numbers are read from. */
struct metric_view {
    const struct status_page *page;
    const struct freshness_scan *scan;
    const struct health_view *health;
    const struct page_cluster *cluster;
    instant now;
};

void metrics_write(FILE *out, const struct metric_view *view);

/* docs/metrics.md */
void metrics_write_docs(FILE *out);

#endif
