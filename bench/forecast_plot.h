/* The picture of bench_forecast.c: lead and misses over false alarms a day, drawn by gnuplot. */
#ifndef MOONWATCH_BENCH_FORECAST_PLOT_H
#define MOONWATCH_BENCH_FORECAST_PLOT_H

#include <stdbool.h>

#define FORECAST_BUDGETS 6

enum forecast_line {
    FORECAST_LINE_OURS,
    FORECAST_LINE_BEST, /* predict_linear over its best window */
    FORECAST_LINE_HOUR, /* predict_linear over an hour */
    FORECAST_LINE_COUNT
};

struct forecast_point {
    double lead_s, misses_percent; /* NaN: no rule keeps within the budget */
};

struct forecast_picture {
    double budgets[FORECAST_BUDGETS]; /* false alarms a day */
    struct forecast_point lines[FORECAST_LINE_COUNT][FORECAST_BUDGETS];
};

/* folder/forecast.svg, and forecast.gnuplot, which makes it. False with a sentence on stderr. */
bool forecast_plot_write(const struct forecast_picture *picture, const char *folder);

#endif
