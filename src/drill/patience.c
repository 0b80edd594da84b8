/* See patience.h. */
#include "drill/patience.h"

#include "base/sanitizer.h"
#include "drill/drill.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAMPLE_S 0.02 /* what a look costs is not to be felt */

/* What sanitizers make of it, as in the tests of whole processes. */
#if WITH_SANITIZER
#define BUILD_FACTOR 4.0
#else
#define BUILD_FACTOR 1.0
#endif

static double worst = BUILD_FACTOR;

/* The fourth word: "running/all". */
double patience_of_load(const char *loadavg, long processors)
{
    const char *at = loadavg;
    for (int i = 0; i < 3 && at != NULL; i++)
        at = strchr(at + (i > 0), ' ');
    unsigned long running = at == NULL ? 0 : strtoul(at + 1, NULL, 10);
    if (processors < 1 || running < 1)
        return 1;
    double busy = (double)running / (double)processors;
    return busy < 1 ? 1 : busy > PATIENCE_BUSY_MAX ? PATIENCE_BUSY_MAX : busy;
}

static double look_at_load(void)
{
    char text[128] = "";
    FILE *file = fopen("/proc/loadavg", "re");
    if (file == NULL)
        return 1;
    const char *read = fgets(text, sizeof text, file);
    fclose(file);
    return read == NULL ? 1 : patience_of_load(text, sysconf(_SC_NPROCESSORS_ONLN));
}

double patience_factor(void)
{
    static double factor = BUILD_FACTOR, looked_s;
    if (now_s() - looked_s < SAMPLE_S)
        return factor;
    looked_s = now_s();
    factor = BUILD_FACTOR * look_at_load();
    worst = factor > worst ? factor : worst;
    return factor;
}

double patience_of_build(void)
{
    return BUILD_FACTOR;
}

double patience_worst(void)
{
    return worst;
}

void patience_start(struct patience *patience, double seconds)
{
    *patience = (struct patience){.left_s = seconds, .looked_s = now_s()};
}

bool patience_is_over(struct patience *patience)
{
    double now = now_s();
    patience->left_s -= (now - patience->looked_s) / patience_factor();
    patience->looked_s = now;
    return patience->left_s < 0;
}
