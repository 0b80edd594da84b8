/* See plot.h. */
#include "bench/plot.h"

#include "bench/process.h"
#include <limits.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define GNUPLOT     "gnuplot"
#define PANEL_LINES 2

extern char **environ;

static const struct {
    const char *name;
    double tokens;
} sizes[] = {{"1,000", 1e3}, {"10,000", 1e4}, {"100,000", 1e5}, {"1,000,000", 1e6}};

#define SIZES (sizeof sizes / sizeof sizes[0])

struct line {
    const char *figure; /* followed by " at 1,000 tokens"; NULL: none */
    const char *title;
};

struct panel {
    const char *title;
    const char *scale; /* of its y axis, in gnuplot's words */
    struct line lines[PANEL_LINES];
};

static const struct panel panels[] = {
    {"Choosing who is next: ns a token", "set yrange [0:*]", {{"decision ns", ""}}},
    {"A token answered: CPU µs of all processes", "set yrange [0:*]", {{"refresh cpu us", ""}}},
    {"Memory of all processes: MB", "set logscale y; set yrange [1:*]", {{"memory MB", ""}}},
    {"To an engine that has all tokens: ms",
     "set logscale y; set yrange [1:*]",
     {{"cold start ms", "from the database"}, {"warm start ms", "kill -9, from the table"}}},
};

#define PANELS (sizeof panels / sizeof panels[0])

/* NaN: not measured. */
static double value_of(const struct report *report, const char *name, size_t size)
{
    char full[64];
    snprintf(full, sizeof full, "%s at %s tokens", name, sizes[size].name);
    const struct figure *figure = report_find(report, full);
    return figure == NULL ? (double)NAN : figure->value;
}

/* As a block of gnuplot's; returns how many points it has. */
static int write_line(FILE *file, const struct report *report, size_t panel, size_t line)
{
    int points = 0;
    fprintf(file, "$data_%zu_%zu << END\n", panel, line);
    for (size_t i = 0; i < SIZES; i++) {
        double value = value_of(report, panels[panel].lines[line].figure, i);
        if (isnan(value))
            continue;
        fprintf(file, "%g %g\n", sizes[i].tokens, value);
        points++;
    }
    fprintf(file, "END\n");
    return points;
}

static void write_panel(FILE *file, size_t panel, const int points[PANEL_LINES])
{
    const char *separator = "plot";
    fprintf(file, "unset logscale y; %s\nset title \"%s\"\n", panels[panel].scale,
            panels[panel].title);
    for (size_t i = 0; i < PANEL_LINES; i++) {
        if (points[i] == 0)
            continue;
        fprintf(file, "%s $data_%zu_%zu with linespoints lw 2 pt 7 ps 0.6 title \"%s\"", separator,
                panel, i, panels[panel].lines[i].title);
        separator = ",";
    }
    fprintf(file, strcmp(separator, "plot") == 0 ? "set multiplot next\n" : "\n");
}

/* Returns how many points there are in all. */
static int write_script(FILE *file, const struct report *report, const char *svg)
{
    int points[PANELS][PANEL_LINES] = {{0}}, sum = 0;
    for (size_t i = 0; i < PANELS; i++)
        for (size_t k = 0; k < PANEL_LINES && panels[i].lines[k].figure != NULL; k++) {
            points[i][k] = write_line(file, report, i, k);
            sum += points[i][k];
        }
    fprintf(file,
            "set terminal svg size 900,640 font 'sans-serif,13' background 'white'\n"
            "set output \"%s\"\n"
            "set multiplot layout 2,2\nset rmargin 5\n"
            "set logscale x\nset xrange [700:1500000]\nset xlabel \"tokens\"\n"
            "set xtics (\"1,000\" 1e3, \"10,000\" 1e4, \"100,000\" 1e5, \"1,000,000\" 1e6)\n"
            "set grid lc rgb '#dddddd'\nset key bottom right\n",
            svg);
    for (size_t i = 0; i < PANELS; i++)
        write_panel(file, i, points[i]);
    fprintf(file, "unset multiplot\n");
    return sum;
}

bool plot_draw(const char *script)
{
    int status = 0;
    pid_t pid;
    char program[] = GNUPLOT;
    char *const argv[] = {program, (char *)script, NULL};
    if (!process_has_program(GNUPLOT) ||
        posix_spawnp(&pid, GNUPLOT, NULL, NULL, argv, environ) != 0)
        return false;
    /* Reaped by the driver's handler when that is faster. */
    return waitpid(pid, &status, 0) != pid || status == 0;
}

bool plot_write(const struct report *report, const char *json_path)
{
    char script[PATH_MAX], svg[PATH_MAX];
    size_t stem = strlen(json_path);
    if (stem > 5 && strcmp(json_path + stem - 5, ".json") == 0)
        stem -= 5;
    snprintf(script, sizeof script, "%.*s.gnuplot", (int)stem, json_path);
    snprintf(svg, sizeof svg, "%.*s.svg", (int)stem, json_path);
    FILE *file = fopen(script, "w");
    int points = file == NULL ? 0 : write_script(file, report, svg);
    bool written = file != NULL && fclose(file) == 0;
    if (written && points == 0)
        return unlink(script) == 0;
    if (written && plot_draw(script))
        return true;
    fprintf(stderr, "bench: no plot in %s: it takes " GNUPLOT "\n", svg);
    return false;
}
