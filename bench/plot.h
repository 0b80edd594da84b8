/*
 * How cost grows with the number of tokens, as a picture: what the figures named "… at 1,000
 * tokens" to "… at 1,000,000 tokens" say, drawn by gnuplot into an SVG.
 */
#ifndef MOONWATCH_BENCH_PLOT_H
#define MOONWATCH_BENCH_PLOT_H

#include "bench/report.h"

/* Beside the report's JSON: bench.json has bench.svg, and bench.gnuplot, which makes it. Nothing,
 * when none of its figures was measured. False with a sentence on stderr. */
bool plot_write(const struct report *report, const char *json_path);

/* Runs gnuplot on a script. */
bool plot_draw(const char *script);

#endif
