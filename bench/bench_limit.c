/*
 * A limit that the upstream keeps to itself, in virtual time: 137 requests a minute for each kind,
 * then 300, then 60, while 300 are configured and more is always due. The real core against each
 * way in which upstreams count (sim/limiter.h): from five minutes after each change on, the least
 * share of it that is used, and the largest share of the requests that is refused.
 */
#include "base/options.h"
#include "bench/limit_figures.h"
#include "sim/sim.h"
#include <math.h>

#define VIRTUAL_MINUTES 15 /* each, learning included */
#define SEEDS_FULL      8
#define SEEDS_QUICK     2

struct worst {
    double used[LIMITS], refused[LIMITS];
};

/* One that is never due all the time says nothing: the price lanes only. */
static void judge(const struct sim_result *result, struct worst *worst)
{
    for (size_t i = 0; i < LIMITS; i++)
        for (int lane = LANE_REFRESH; lane <= LANE_SCREEN; lane++) {
            double accepted = 0, refused = 0;
            int from = (int)i * VIRTUAL_MINUTES + LEARN_MINUTES,
                to = (int)(i + 1) * VIRTUAL_MINUTES;
            for (int minute = from; minute < to; minute++) {
                accepted += result->minutes[lane][minute].accepted;
                refused += result->minutes[lane][minute].refused;
            }
            worst->used[i] = fmin(worst->used[i], accepted / (to - from) / limit_values[i]);
            worst->refused[i] = fmax(worst->refused[i], refused / (accepted + refused));
        }
}

static bool run_virtual(enum limiter_kind kind, uint64_t seed, struct worst *worst)
{
    static struct sim_result result;
    char why[OPTION_MESSAGE_SIZE];
    struct options options;
    struct sim_setup setup = {.seed = seed,
                              .tokens = 400,
                              .active = 150,
                              .hours_old = 7,
                              .hours = LIMITS * VIRTUAL_MINUTES / 60.0,
                              .limiter = kind,
                              .options = &options};
    options_init(&options);
    for (size_t i = 0; i < LIMITS; i++)
        setup.limits[i] = (struct sim_limit){(double)i * VIRTUAL_MINUTES * 60, limit_values[i]};
    if (options_set(&options, "hot_interval_sec", "1", OPTION_FROM_COMMAND_LINE, why) != OK ||
        options_set(&options, "cold_interval_sec", "1", OPTION_FROM_COMMAND_LINE, why) != OK ||
        sim_run(&setup, &result) != OK)
        return false;
    judge(&result, worst);
    return true;
}

void bench_limit(struct bench *bench)
{
    struct worst worst = {.used = {INFINITY, INFINITY, INFINITY}};
    int seeds = bench_rounds(bench, SEEDS_FULL, SEEDS_QUICK);
    for (int kind = 0; kind < LIMITER_KIND_COUNT; kind++)
        for (int seed = 1; seed <= seeds; seed++)
            if (!run_virtual((enum limiter_kind)kind, (uint64_t)seed, &worst))
                worst = (struct worst){.used = {NAN, NAN, NAN}, .refused = {NAN, NAN, NAN}};
    for (size_t i = 0; i < LIMITS; i++)
        limit_report(bench, "limit", limit_values[i], worst.used[i], worst.refused[i]);
}
