/*
 * What a token costs in CPU time. What the engine uses is a line: so much for being there (the
 * store's checkpoint, the clock, the page), and so much for each token that is answered. Once a
 * second a point of it is measured; the line is the one with the least squares through the points,
 * of which older ones count less and less.
 *
 * A mean of cores over rates would not do: in a second with hardly any answers, all that being
 * there costs falls on a few tokens, and one such second would make the CPUs look too few for the
 * next peak. Points that all lie at one rate cannot tell the two parts apart, and then all is taken
 * for the tokens': the line is held to the origin as if by a tenth of the points (ridge regression:
 * Hoerl and Kennard, Technometrics 1970).
 */
#ifndef MOONWATCH_CORE_COST_H
#define MOONWATCH_CORE_COST_H

/* Sums over the points, discounted. */
struct cost {
    double points, rate, cores, rate_squared, rate_cores;
};

void cost_init(struct cost *cost);
/* `rate` > 0: tokens a second; `cores`: CPU seconds a second that the engine used meanwhile. */
void cost_add(struct cost *cost, double rate, double cores);

struct cost_line {
    double token_s;    /* CPU seconds a token, above 0; NaN: no point yet */
    double idle_cores; /* that are used whoever is answered, from 0 on */
};

struct cost_line cost_line(const struct cost *cost);

#endif
