/* Numbers as people read them, as exact as is of use and never wider than a column. What is not
 * known is "–". Each returns `out`. */
#ifndef MOONWATCH_CLI_FIGURES_H
#define MOONWATCH_CLI_FIGURES_H

#include <stdint.h>

#define FIGURE_SIZE 32

const char *figure_span(double seconds, char out[FIGURE_SIZE]);    /* 12.3 s, 5 min, 7 h, 3 d */
const char *figure_count(uint64_t count, char out[FIGURE_SIZE]);   /* 1,234,567 */
const char *figure_rate(double rate, char out[FIGURE_SIZE]);       /* 294 */
const char *figure_percent(double ratio, char out[FIGURE_SIZE]);   /* 99.9 % of 0.999 */
const char *figure_change(double fraction, char out[FIGURE_SIZE]); /* +12.5 %, −3.0 % */
const char *figure_money(double usd, char out[FIGURE_SIZE]);       /* $950, $1.2k, $3.4M */
const char *figure_price(double usd, char out[FIGURE_SIZE]);       /* $0.0000123 */
const char *figure_bytes(double bytes, char out[FIGURE_SIZE]);     /* 12.3 MB */
const char *figure_ms(double seconds, char out[FIGURE_SIZE]);      /* 31 ms */

#endif
