/* Figures of a learnt limit. See the header. */
#include "bench/limit_figures.h"

#include <stdio.h>

#define USED_BAR    0.95
#define REFUSED_BAR 0.01

void limit_report(struct bench *bench, const char *prefix, double limit, double used,
                  double refused)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%g.used", prefix, limit);
    struct figure *figure = report_add(&bench->report, name, "share");
    figure->value = used;
    figure->bar_kind = BAR_VALUE_LEAST;
    figure->bar = USED_BAR;
    snprintf(name, sizeof name, "%s.%g.refused", prefix, limit);
    figure = report_add(&bench->report, name, "share");
    figure->value = refused;
    figure->bar_kind = BAR_VALUE_MOST;
    figure->bar = REFUSED_BAR;
}
