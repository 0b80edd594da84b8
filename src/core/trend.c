/* See trend.h. */
#include "core/trend.h"

#include <math.h>
#include <string.h>

#define FIT_LEAST      8   /* blocks: fewer give a slope that is mostly noise */
#define PARABOLA_LEAST 12  /* blocks */
#define FAR            3   /* deviations, from which on a block weighs less */
#define CLEAR          2.5 /* errors, of which one in a hundred lines has a bend by chance */
#define FOLLOW_MOST    0.9 /* what neighbours may have in common; more would excuse everything */

/* Of a parabola through n points at even distances over a window of 1, at its end, times the
 * deviation over √n: the errors of its value, slope and coefficient of x². */
#define PARABOLA_LEVEL_ERROR 3.0
#define PARABOLA_SLOPE_ERROR 13.86 /* √192 */
#define PARABOLA_BEND_ERROR  13.42 /* √180 */

/* An exponential that grows e^6-fold in a window looks like a step, and is not followed as more. */
#define GROWTH_MOST 6.0

#define SURPRISE_MEMORY 16     /* promises */
#define SURPRISE_MOST   1000.0 /* of one, squared: the fall of a tooth counts for many kept ones */
#define ROUNDING        1e-6   /* of a level: what floats cannot tell apart */
#define TINY            1e-300

struct points {
    int count;
    double x[TREND_BLOCKS], y[TREND_BLOCKS], weight[TREND_BLOCKS], rest[TREND_BLOCKS];
};

struct line {
    double level, slope;
    double weight, mean_x, xx; /* sums that its errors need */
};

void trend_init(struct trend *trend)
{
    memset(trend, 0, sizeof *trend);
    trend->surprise = 1;
}

static int before(int block)
{
    return block == 0 ? TREND_BLOCKS - 1 : block - 1;
}

/* ---- statistics of a few numbers ---- */

static void sort(double values[], int count)
{
    for (int i = 1; i < count; i++) {
        double value = values[i];
        int at = i;
        for (; at > 0 && values[at - 1] > value; at--)
            values[at] = values[at - 1];
        values[at] = value;
    }
}

/* The deviation that the median of the distances suggests, were they normal. */
static double robust_deviation(const double rest[], int count)
{
    double sizes[TREND_BLOCKS];
    for (int i = 0; i < count; i++)
        sizes[i] = fabs(rest[i]);
    sort(sizes, count);
    return 1.4826 * sizes[count / 2];
}

static double deviation(const struct points *points, int parameters)
{
    double sum = 0, weight = 0;
    for (int i = 0; i < points->count; i++) {
        sum += points->weight[i] * points->rest[i] * points->rest[i];
        weight += points->weight[i];
    }
    return sqrt(sum / fmax(weight - parameters, 1));
}

/* By how much errors grow because neighbours go together (an autoregressive process of order 1). */
static double inflation(const double rest[], int count)
{
    double together = 0, alone = TINY;
    for (int i = 0; i < count; i++) {
        alone += rest[i] * rest[i];
        together += i > 0 ? rest[i] * rest[i - 1] : 0;
    }
    double share = fmin(fmax(together / alone, 0), FOLLOW_MOST);
    return sqrt((1 + share) / (1 - share));
}

/* ---- the line ---- */

static struct line fit_line(struct points *points)
{
    struct line line = {0};
    double mean_y = 0, xy = 0;
    for (int i = 0; i < points->count; i++) {
        line.weight += points->weight[i];
        line.mean_x += points->weight[i] * points->x[i];
        mean_y += points->weight[i] * points->y[i];
    }
    line.mean_x /= line.weight;
    mean_y /= line.weight;
    for (int i = 0; i < points->count; i++) {
        double x = points->x[i] - line.mean_x;
        line.xx += points->weight[i] * x * x;
        xy += points->weight[i] * x * (points->y[i] - mean_y);
    }
    line.slope = xy / fmax(line.xx, TINY);
    line.level = mean_y - line.slope * line.mean_x;
    for (int i = 0; i < points->count; i++)
        points->rest[i] = points->y[i] - line.level - line.slope * points->x[i];
    return line;
}

static void weigh(struct points *points)
{
    double far = FAR * robust_deviation(points->rest, points->count);
    for (int i = 0; i < points->count; i++) {
        double size = fabs(points->rest[i]);
        points->weight[i] = size <= far ? 1 : fmax(far / size, 1e-3);
    }
}

static void take_line(struct trend *trend, struct points *points)
{
    fit_line(points);
    weigh(points);
    struct line line = fit_line(points);
    trend->rest = deviation(points, 2);
    double error = trend->rest * inflation(points->rest, points->count);
    trend->level = line.level;
    trend->slope = line.slope;
    trend->bend = 0;
    trend->slope_error = error / sqrt(fmax(line.xx, TINY));
    trend->level_error =
        error * sqrt(1 / line.weight + line.mean_x * line.mean_x / fmax(line.xx, TINY));
}

/* ---- the parabola ---- */

/* Gauss's elimination with pivots; the solution is left in column 3. */
static bool solve(double m[3][4])
{
    for (int i = 0; i < 3; i++) {
        int pivot = i;
        for (int row = i + 1; row < 3; row++)
            if (fabs(m[row][i]) > fabs(m[pivot][i]))
                pivot = row;
        if (fabs(m[pivot][i]) < 1e-12)
            return false;
        for (int k = 0; k < 4; k++) {
            double swapped = m[i][k];
            m[i][k] = m[pivot][k];
            m[pivot][k] = swapped;
        }
        for (int row = 0; row < 3; row++) {
            double share = row == i ? 0 : m[row][i] / m[i][i];
            for (int k = i; k < 4 && row != i; k++)
                m[row][k] -= share * m[i][k];
        }
    }
    for (int i = 0; i < 3; i++)
        m[i][3] /= m[i][i];
    return true;
}

/* In x over the window, so that the equations are well conditioned. False: cannot be solved. */
static bool fit_parabola(struct points *points, double window_s, double of[3])
{
    double m[3][4] = {{0}};
    for (int i = 0; i < points->count; i++) {
        double x = points->x[i] / window_s, weight = points->weight[i];
        const double powers[] = {1, x, x * x};
        for (int row = 0; row < 3; row++) {
            for (int k = 0; k < 3; k++)
                m[row][k] += weight * powers[row] * powers[k];
            m[row][3] += weight * powers[row] * points->y[i];
        }
    }
    if (!solve(m))
        return false;
    for (int k = 0; k < 3; k++)
        of[k] = m[k][3];
    for (int i = 0; i < points->count; i++) {
        double x = points->x[i] / window_s;
        points->rest[i] = points->y[i] - of[0] - of[1] * x - of[2] * x * x;
    }
    return true;
}

/* Only where it is plain that there is a bend. */
static void take_parabola(struct trend *trend, struct points *points)
{
    double of[3], window_s = trend->window_s;
    if (points->count < PARABOLA_LEAST || !fit_parabola(points, window_s, of))
        return;
    double rest = deviation(points, 3);
    double error = rest * inflation(points->rest, points->count) / sqrt(points->count);
    if (fabs(of[2]) <= CLEAR * PARABOLA_BEND_ERROR * error)
        return;
    trend->level = of[0];
    trend->slope = of[1] / window_s;
    trend->bend = 2 * of[2] / (window_s * window_s);
    trend->level_error = PARABOLA_LEVEL_ERROR * error;
    trend->slope_error = PARABOLA_SLOPE_ERROR * error / window_s;
    trend->rest = rest;
}

/* ---- fitting ---- */

static double gather(const struct trend *trend, struct points *points)
{
    double x = 0, variance = 0;
    int block = trend->newest;
    points->count = trend->count;
    for (int i = 0; i < points->count; i++, block = before(block)) {
        points->x[i] = x;
        points->y[i] = trend->blocks[block].mean;
        points->weight[i] = 1;
        variance += trend->blocks[block].variance / points->count;
        x -= trend->blocks[block].gap_s;
    }
    return variance;
}

static void fit(struct trend *trend)
{
    struct points points;
    trend->is_fitted = trend->count >= FIT_LEAST;
    if (!trend->is_fitted)
        return;
    double variance = gather(trend, &points);
    take_line(trend, &points);
    take_parabola(trend, &points);
    double rounding = ROUNDING * fabs(trend->level) + TINY;
    trend->level_error += rounding;
    trend->slope_error += rounding / trend->window_s;
    trend->spread = sqrt(variance + trend->rest * trend->rest);
}

/* ---- promises ---- */

/* One at a time, of half a window ahead: is the curve worth anything beyond its own blocks? */
static void keep_promise(struct trend *trend)
{
    double value = trend->blocks[trend->newest].mean;
    if (trend->due_s > 0 && trend->t_s >= trend->due_s) {
        double off = (value - trend->promised) / trend->promised_error;
        trend->surprise += (fmin(off * off, SURPRISE_MOST) - trend->surprise) / SURPRISE_MEMORY;
        trend->due_s = 0;
    }
    if (trend->due_s > 0 || !trend->is_fitted)
        return;
    double ahead_s = trend->window_s / 2, slope_error = trend->slope_error * ahead_s;
    trend->due_s = trend->t_s + ahead_s;
    trend->promised = trend_at(trend, trend->due_s);
    trend->promised_error = sqrt(trend->level_error * trend->level_error +
                                 slope_error * slope_error + trend->rest * trend->rest);
}

void trend_fit(struct trend *trend)
{
    fit(trend);
    keep_promise(trend);
}

/* ---- blocks ---- */

void trend_add(struct trend *trend, double t_s, const struct trend_block *block)
{
    trend->newest = (uint8_t)((trend->newest + 1) % TREND_BLOCKS);
    if (trend->count == TREND_BLOCKS)
        trend->window_s -= trend->blocks[(trend->newest + 1) % TREND_BLOCKS].gap_s;
    else
        trend->count++;
    struct trend_block *kept = &trend->blocks[trend->newest];
    *kept = *block;
    kept->gap_s = trend->count > 1 ? (float)(t_s - trend->t_s) : 0;
    trend->window_s += kept->gap_s;
    trend->t_s = t_s;
}

bool trend_join(struct trend *trend, double t_s, const struct trend_block *block, double *joined_s,
                struct trend_block *joined)
{
    const struct trend_block *half = &trend->half;
    trend->has_half = !trend->has_half;
    if (trend->has_half) {
        trend->half = *block;
        trend->half_t_s = t_s;
        return false;
    }
    float apart = block->mean - half->mean;
    *joined_s = (trend->half_t_s + t_s) / 2;
    *joined = (struct trend_block){
        .mean = (half->mean + block->mean) / 2,
        .variance = (half->variance + block->variance) / 2 + apart * apart / 4,
        .high = half->high > block->high ? half->high : block->high,
    };
    return true;
}

/* ---- the curve ---- */

/* Per second; 0 for a line. Only what rises is followed as an exponential. Of the parabola through
 * one, y″/y′ is its rate in the middle of the window, and less than that at its end. */
static double growth(const struct trend *trend)
{
    double most = GROWTH_MOST / trend->window_s;
    double middle = trend->slope - trend->bend * trend->window_s / 2;
    if (trend->bend == 0 || trend->slope <= 0)
        return 0;
    return middle > 0 ? fmin(trend->bend / middle, most) : most;
}

double trend_at(const struct trend *trend, double t_s)
{
    double x = t_s - trend->t_s, rate = growth(trend);
    if (x <= 0)
        return trend->level + trend->slope * x + trend->bend * x * x / 2;
    if (rate == 0)
        return trend->level + trend->slope * x;
    return trend->level + trend->slope / rate * expm1(fmin(rate * x, 50));
}

double trend_reaches(const struct trend *trend, double target)
{
    double distance = target - trend->level, rate = growth(trend);
    if (distance <= 0)
        return 0;
    if (trend->slope <= 0)
        return NAN;
    double share = rate * distance / trend->slope; /* −1: where one that levels off ends */
    if (rate == 0)
        return distance / trend->slope;
    return share > -1 ? log1p(share) / rate : NAN;
}

double trend_height(const struct trend *trend, const struct trend *curve, double share)
{
    double heights[TREND_BLOCKS], t_s = trend->t_s;
    int block = trend->newest;
    for (int i = 0; i < trend->count; i++, block = before(block)) {
        heights[i] = trend->blocks[block].high - trend_at(curve, t_s);
        t_s -= trend->blocks[block].gap_s;
    }
    sort(heights, trend->count);
    return trend->count == 0 ? 0 : heights[(int)(share * (trend->count - 1))];
}
