/*
 * The anomaly score on a corpus of the Numenta Anomaly Benchmark, and how it moves with each
 * constant of the detector:
 *
 *     build/bench/bench-nab FOLDER                 the score in NAB's three profiles
 *     build/bench/bench-nab FOLDER --sensitivity   the same with each constant 20 % lower and
 * higher build/bench/bench-nab FOLDER CONSTANT=VALUE… with other constants
 */
#include "bench/nab.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP 0.2

static const struct constant {
    const char *name, *unit;
    size_t offset;
} constants[] = {
#define X(name, value, unit, why) {#name, unit, offsetof(struct anomaly_constants, name)},
    ANOMALY_CONSTANT_LIST(X)
#undef X
};
#define CONSTANT_COUNT (sizeof constants / sizeof *constants)

static double *constant_of(struct anomaly_constants *all, size_t index)
{
    return (double *)((char *)all + constants[index].offset);
}

static struct nab_score score_of(struct nab *nab, const struct anomaly_constants *with)
{
    nab_detect(nab, with);
    return nab_judge(nab);
}

static bool set_constant(struct anomaly_constants *all, const char *argument)
{
    const char *equals = strchr(argument, '=');
    for (size_t i = 0; equals != NULL && i < CONSTANT_COUNT; i++)
        if (strlen(constants[i].name) == (size_t)(equals - argument) &&
            strncmp(constants[i].name, argument, (size_t)(equals - argument)) == 0) {
            *constant_of(all, i) = strtod(equals + 1, NULL);
            return true;
        }
    fprintf(stderr, "bench-nab: %s: no such constant\n", argument);
    return false;
}

static void print_sensitivity(struct nab *nab, const struct anomaly_constants *base)
{
    double standard = score_of(nab, base).score[NAB_STANDARD];
    printf("| constant | value | unit | −20 %% | +20 %% |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < CONSTANT_COUNT; i++) {
        struct anomaly_constants low = *base, high = *base;
        *constant_of(&low, i) *= 1 - STEP;
        *constant_of(&high, i) *= 1 + STEP;
        printf("| %s | %g | %s | %+.1f | %+.1f |\n", constants[i].name,
               *constant_of(&low, i) / (1 - STEP), constants[i].unit,
               score_of(nab, &low).score[NAB_STANDARD] - standard,
               score_of(nab, &high).score[NAB_STANDARD] - standard);
    }
}

int main(int argc, char *argv[])
{
    static struct nab nab;
    char why[NAB_WHY_SIZE];
    struct anomaly_constants with = *anomaly_default_constants();
    bool has_sensitivity = false;
    if (argc < 2) {
        fputs("usage: bench-nab FOLDER [--sensitivity] [CONSTANT=VALUE…]\n", stderr);
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--sensitivity") == 0)
            has_sensitivity = true;
        else if (!set_constant(&with, argv[i]))
            return 2;
    }
    bool is_loaded = nab_load(&nab, argv[1], why);
    if (is_loaded) {
        struct nab_score score = score_of(&nab, &with);
        printf("standard %.2f (threshold %.4f), low FP %.2f, low FN %.2f\n",
               score.score[NAB_STANDARD], score.threshold[NAB_STANDARD], score.score[NAB_LOW_FP],
               score.score[NAB_LOW_FN]);
        if (has_sensitivity)
            print_sensitivity(&nab, &with);
    } else {
        fprintf(stderr, "bench-nab: %s\n", why);
    }
    nab_finish(&nab);
    return is_loaded ? 0 : 1;
}
