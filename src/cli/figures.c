/* See figures.h. */
#include "cli/figures.h"

#include <math.h>
#include <stdio.h>

#define UNKNOWN "–"

/* The largest step that leaves at least 1; its letter follows the number. */
struct scale {
    double one;
    const char *letter;
};

const char *figure_span(double seconds, char out[FIGURE_SIZE])
{
    if (isnan(seconds))
        return UNKNOWN;
    if (seconds < 99.95)
        snprintf(out, FIGURE_SIZE, "%.1f s", seconds);
    else if (seconds < 7200)
        snprintf(out, FIGURE_SIZE, "%.0f min", seconds / 60);
    else if (seconds < 172800)
        snprintf(out, FIGURE_SIZE, "%.0f h", seconds / 3600);
    else
        snprintf(out, FIGURE_SIZE, "%.0f d", seconds / 86400);
    return out;
}

const char *figure_count(uint64_t count, char out[FIGURE_SIZE])
{
    char digits[FIGURE_SIZE];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count), at = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}

const char *figure_rate(double rate, char out[FIGURE_SIZE])
{
    if (isnan(rate))
        return UNKNOWN;
    snprintf(out, FIGURE_SIZE, "%.0f", rate);
    return out;
}

const char *figure_percent(double ratio, char out[FIGURE_SIZE])
{
    if (isnan(ratio))
        return UNKNOWN;
    snprintf(out, FIGURE_SIZE, "%.1f %%", ratio * 100);
    return out;
}

const char *figure_change(double fraction, char out[FIGURE_SIZE])
{
    if (isnan(fraction))
        return UNKNOWN;
    snprintf(out, FIGURE_SIZE, "%+.1f %%", fraction * 100);
    return out;
}

/* Three digits and a letter; what is larger than all letters is shown as it is. */
static const char *scaled(double value, const char *prefix, const struct scale *scales,
                          const char *suffix, char out[FIGURE_SIZE])
{
    while (scales->one > 1 && fabs(value) < scales->one)
        scales++;
    double shown = value / scales->one;
    int decimals = scales->one > 1 && fabs(shown) < 100;
    if (fabs(shown) < 1e6)
        snprintf(out, FIGURE_SIZE, "%s%.*f%s%s", prefix, decimals, shown, scales->letter, suffix);
    else
        snprintf(out, FIGURE_SIZE, "%s%.1e", prefix, value);
    return out;
}

const char *figure_money(double usd, char out[FIGURE_SIZE])
{
    static const struct scale scales[] = {{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}, {1, ""}};
    return isnan(usd) ? UNKNOWN : scaled(usd, "$", scales, "", out);
}

const char *figure_bytes(double bytes, char out[FIGURE_SIZE])
{
    static const struct scale scales[] = {
        {1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e3, " k"}, {1, " "}};
    return isnan(bytes) ? UNKNOWN : scaled(bytes, "", scales, "B", out);
}

const char *figure_price(double usd, char out[FIGURE_SIZE])
{
    if (isnan(usd))
        return UNKNOWN;
    if (usd >= 1)
        return figure_money(usd, out);
    snprintf(out, FIGURE_SIZE, "$%.3g", usd);
    return out;
}

const char *figure_ms(double seconds, char out[FIGURE_SIZE])
{
    if (isnan(seconds))
        return UNKNOWN;
    snprintf(out, FIGURE_SIZE, seconds < 0.01 ? "%.1f ms" : "%.0f ms", seconds * 1000);
    return out;
}
