/*
 * The trend of a signal on one time scale: its newest TREND_BLOCKS blocks of 2^k values, and the
 * curve through their means. A forecast holds one for each k (forecast.h); each hands what it has
 * completed on to the next, as halves of larger blocks.
 *
 * The curve is a line of least squares, in which what lies far off weighs less (Huber's weights),
 * or, where that is plainly wrong, a parabola, which is followed as an exponential: one that
 * steepens or one that levels off. Its errors are those that the residuals suggest, larger when
 * neighbours among them go together, and larger by SURPRISE, which is how many times its promised
 * error a promise was off when its time had come. So a scale that has been wrong about a saw-tooth
 * says so of its next tooth.
 */
#ifndef MOONWATCH_CORE_TREND_H
#define MOONWATCH_CORE_TREND_H

#include <stdbool.h>
#include <stdint.h>

#define TREND_BLOCKS                                                                               \
    24 /* a line's slope to 1/20 of the noise; 25 hours of 15 s at the 9th scale                   \
        */

struct trend_block {
    float mean, variance, high;
    float gap_s; /* since the block before */
};

struct trend {
    struct trend_block blocks[TREND_BLOCKS];
    uint8_t count, newest;
    bool has_half;
    bool is_fitted;          /* the fields from `level` to `spread` say something */
    struct trend_block half; /* first half of a block of the next scale, completed at half_t_s */
    double half_t_s;
    double t_s; /* of the newest block: x = 0 of the curve */
    double window_s;
    double level, slope, bend; /* y, y′ and y″ at x = 0; x in seconds */
    double level_error, slope_error;
    double rest;   /* deviation of the means from the curve */
    double spread; /* of single values from it */
    double surprise;
    double due_s, promised, promised_error; /* a promise that waits for its time; due 0: none */
};

void trend_init(struct trend *trend);

/* A block is complete; its gap_s is filled in here. */
void trend_add(struct trend *trend, double t_s, const struct trend_block *block);
/* Makes the curve of the blocks anew, and holds it to what it promised. */
void trend_fit(struct trend *trend);

/* The next scale's block, when this was its second half: true, with its time and the block. */
bool trend_join(struct trend *trend, double t_s, const struct trend_block *block, double *joined_s,
                struct trend_block *joined);

/* The curve at t_s: what was, between the blocks; followed, after them. */
double trend_at(const struct trend *trend, double t_s);

/* When the followed curve reaches `target`, in seconds from its x = 0; 0 when it is there, NaN when
 * it never does. */
double trend_reaches(const struct trend *trend, double target);

/* How far the highest values of each of our blocks lie over another scale's curve: the quantile
 * `share` of them. */
double trend_height(const struct trend *trend, const struct trend *curve, double share);

#endif
