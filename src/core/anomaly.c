#include "core/anomaly.h"
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#define VALUE_MOST 1e100 /* the square of a distance is still a number */
#define WARM_UP    10    /* values, before which everything would be news */
#define DAY_S      86400.0

/* Below this share of a value's size, differences are rounding. */
#define RESOLUTION 1e-9
/* Of usual jumps: how little the present ones may count for. A calm of a while is no law. */
#define CALM_LEAST 0.1
/* Of the spread: states closer than that are the same one, at first. */
#define STATE_RADIUS 0.05

static_assert(sizeof(struct anomaly) <= ANOMALY_BYTES_MAX, "a series costs more than it may");

static const struct anomaly_constants default_constants = {
#define X(name, value, unit, why) .name = value,
    ANOMALY_CONSTANT_LIST(X)
#undef X
};

const struct anomaly_constants *anomaly_default_constants(void)
{
    return &default_constants;
}

void anomaly_init_with(struct anomaly *anomaly, const struct anomaly_constants *constants)
{
    memset(anomaly, 0, sizeof *anomaly);
    anomaly->constants = constants;
    day_profile_init(&anomaly->day);
    for (int c = 0; c < CHANNEL_COUNT; c++)
        peaks_init(&anomaly->channels[c], (uint32_t)lround(constants->among));
    peaks_init(&anomaly->weights, (uint32_t)lround(constants->among_all));
}

void anomaly_init(struct anomaly *anomaly)
{
    anomaly_init_with(anomaly, &default_constants);
}

/* Of the newest value in a mean over so many: the plain mean at first. */
static double share(const struct anomaly *anomaly, double values)
{
    return 1 / fmin((double)anomaly->count, values);
}

static double least_difference(const struct anomaly *anomaly)
{
    return RESOLUTION * (fabs(anomaly->slow) + RESOLUTION);
}

static double measure_jump(struct anomaly *anomaly, double value)
{
    const struct anomaly_constants *constants = anomaly->constants;
    double jump = fabs(value - anomaly->previous);
    double usual = anomaly->noise + CALM_LEAST * anomaly->noise_usual + least_difference(anomaly);
    anomaly->noise += share(anomaly, constants->noise) * (jump - anomaly->noise);
    anomaly->noise_usual += share(anomaly, constants->slow) * (jump - anomaly->noise_usual);
    anomaly->previous = value;
    return jump / usual;
}

static double measure_level(struct anomaly *anomaly, double value)
{
    const struct anomaly_constants *constants = anomaly->constants;
    double slow = share(anomaly, constants->slow);
    anomaly->fast += share(anomaly, constants->fast) * (value - anomaly->fast);
    anomaly->middle += share(anomaly, constants->middle) * (value - anomaly->middle);
    double size =
        fabs(anomaly->middle - anomaly->slow) / (anomaly->spread + least_difference(anomaly));
    anomaly->spread += slow * (fabs(value - anomaly->slow) - anomaly->spread);
    anomaly->slow += slow * (value - anomaly->slow);
    return size;
}

static double measure_season(struct anomaly *anomaly, double t_s, double value)
{
    const struct anomaly_constants *constants = anomaly->constants;
    double off = fabs(day_profile_add(&anomaly->day, t_s, value, constants->days));
    if (!(off > least_difference(anomaly))) /* or not known */
        return 0;
    double size = off / (anomaly->off_season + least_difference(anomaly));
    anomaly->off_season += share(anomaly, constants->slow) * (off - anomaly->off_season);
    return size;
}

/* The time of the day as a number without a jump at midnight; morning and evening are the same. */
static double measure_state(struct anomaly *anomaly, double t_s, double value)
{
    double unit = anomaly->spread + least_difference(anomaly);
    double hour = isfinite(t_s) ? anomaly->spread * cos(t_s * (2 * M_PI / DAY_S)) : 0;
    const double state[NOVELTY_DIMENSIONS] = {value, anomaly->fast, hour};
    if (anomaly->count <= WARM_UP)
        return 0;
    return novelty_add(&anomaly->states, state, STATE_RADIUS * unit) / unit;
}

static void measure(struct anomaly *anomaly, double t_s, double value, double sizes[CHANNEL_COUNT])
{
    if (anomaly->count == 1)
        anomaly->previous = anomaly->fast = anomaly->middle = anomaly->slow = value;
    sizes[CHANNEL_JUMP] = measure_jump(anomaly, value);
    sizes[CHANNEL_LEVEL] = measure_level(anomaly, value);
    sizes[CHANNEL_SEASON] = measure_season(anomaly, t_s, value);
    sizes[CHANNEL_STATE] = measure_state(anomaly, t_s, value);
    sizes[CHANNEL_HIGH] = value;
    sizes[CHANNEL_LOW] = -value;
}

static double values_remembered(const struct anomaly *anomaly)
{
    return fmin((double)anomaly->count, PEAKS_HORIZON);
}

static double weigh(struct anomaly *anomaly, const double sizes[CHANNEL_COUNT])
{
    const struct anomaly_constants *constants = anomaly->constants;
    double values = values_remembered(anomaly), sum = 0;
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        struct peaks *past = &anomaly->channels[c];
        double surprise = peaks_surprise(past, sizes[c], constants->beyond);
        if (surprise > 0)
            surprise += log((values + 1) / (past->kept + 1.0));
        peaks_add(past, sizes[c], anomaly->count, constants->apart * values);
        double lasting = anomaly->surprises[c] * (1 - 1 / constants->memory);
        anomaly->surprises[c] = fmax(surprise, lasting);
        sum += anomaly->surprises[c] * anomaly->surprises[c];
    }
    return sqrt(sum);
}

/* Whether the event that was told last, or what it caused, is all there is to tell. */
static bool is_told(const struct anomaly *anomaly, double size)
{
    const struct anomaly_constants *constants = anomaly->constants;
    double since = (double)(anomaly->count - anomaly->told_at);
    return anomaly->told_at != 0 && since <= constants->rest * values_remembered(anomaly) &&
           size < constants->louder * anomaly->told_size;
}

static double judge(struct anomaly *anomaly, double weight)
{
    const struct anomaly_constants *constants = anomaly->constants;
    double size = peaks_surprise(&anomaly->weights, weight, constants->beyond);
    double apart = constants->apart * values_remembered(anomaly);
    peaks_add(&anomaly->weights, weight, anomaly->count, apart);
    double score = -expm1(-size);
    if (score < constants->alarm)
        return score;
    if (is_told(anomaly, size))
        return constants->alarm * size / (constants->louder * anomaly->told_size);
    anomaly->told_at = anomaly->count;
    anomaly->told_size = size;
    return score;
}

double anomaly_add(struct anomaly *anomaly, double t_s, double value)
{
    double sizes[CHANNEL_COUNT];
    if (!(fabs(value) <= VALUE_MOST))
        return 0;
    anomaly->count++;
    measure(anomaly, t_s, value, sizes);
    if (anomaly->count <= WARM_UP)
        return 0;
    return judge(anomaly, weigh(anomaly, sizes));
}
