/* See forecast_plot.h. */
#include "bench/forecast_plot.h"

#include "bench/plot.h"
#include <limits.h>
#include <math.h>
#include <stdio.h>

static const char *const titles[FORECAST_LINE_COUNT] = {
    [FORECAST_LINE_OURS] = "moonwatch",
    [FORECAST_LINE_BEST] = "predict_linear, best window",
    [FORECAST_LINE_HOUR] = "predict_linear, 1 h",
};

static void write_data(FILE *file, const struct forecast_picture *picture)
{
    for (int line = 0; line < FORECAST_LINE_COUNT; line++) {
        fprintf(file, "$data_%d << END\n", line);
        for (int i = 0; i < FORECAST_BUDGETS; i++) {
            const struct forecast_point *point = &picture->lines[line][i];
            if (!isnan(point->lead_s))
                fprintf(file, "%g %g %g\n", picture->budgets[i], point->lead_s,
                        point->misses_percent);
        }
        fprintf(file, "END\n");
    }
}

static void write_panel(FILE *file, const char *title, int column)
{
    fprintf(file, "set title \"%s\"\n", title);
    for (int line = 0; line < FORECAST_LINE_COUNT; line++)
        fprintf(file, "%s $data_%d using 1:%d with linespoints lw 2 pt 7 ps 0.6 title \"%s\"",
                line == 0 ? "plot" : ",", line, column, titles[line]);
    fprintf(file, "\n");
}

static void write_script(FILE *file, const struct forecast_picture *picture, const char *svg)
{
    write_data(file, picture);
    fprintf(file,
            "set terminal svg size 900,380 font 'sans-serif,13' background 'white'\n"
            "set output \"%s\"\n"
            "set multiplot layout 1,2\nset rmargin 3\nset logscale x\nset xrange [0.015:1.3]\n"
            "set yrange [0:*]\nset xlabel \"false alarms a day and signal\"\n"
            "set grid lc rgb '#dddddd'\nset key bottom right\n",
            svg);
    write_panel(file, "Median lead before the crossing: s", 2);
    fprintf(file, "set key top right\n");
    write_panel(file, "Crossings without a warning: %", 3);
    fprintf(file, "unset multiplot\n");
}

bool forecast_plot_write(const struct forecast_picture *picture, const char *folder)
{
    char script[PATH_MAX], svg[PATH_MAX];
    snprintf(script, sizeof script, "%s/forecast.gnuplot", folder);
    snprintf(svg, sizeof svg, "%s/forecast.svg", folder);
    FILE *file = fopen(script, "w");
    if (file != NULL)
        write_script(file, picture, svg);
    bool written = file != NULL && fclose(file) == 0;
    if (written && plot_draw(script))
        return true;
    fprintf(stderr, "bench: no plot in %s: it takes gnuplot\n", svg);
    return false;
}
