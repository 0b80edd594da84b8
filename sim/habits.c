/* See habits.h. */
#include "sim/habits.h"

#include "base/prng.h"
#include <math.h>
#include <stdio.h>

static const struct habit {
    const char *option;
    double low, high; /* as likely in each octave between them */
} habits[] = {
    {"hot_interval_sec", 5, 60},
    {"cold_interval_sec", 20, 300},
    {"maximum_age_sec", 60, 300}, /* more than once within the calm end of an hour */
    {"archive_below_hours", 0.1, 12},
    {"monitoring_timeout_hours", 0.2, 12},
    {"archiver_interval_sec", 60, 3600},
    {"archived_interval_sec", 60, 3600},
    {"job_deadline_sec", 5, 300},
    {"export_interval_sec", 2, 60},
    {"retention_interval_sec", 60, 3600},
    {"refresh_requests_per_minute", 10, 300},
    {"screen_requests_per_minute", 10, 300},
    {"discover_requests_per_minute", 10, 300},
    {"requests_in_flight_max", 2, 64},
    {"alert_cooldown_sec", 10, 300},
    {"alert_resolve_sec", 5, 120},
    {"alert_repeat_sec", 60, 3600},
    {"alert_max_per_hour", 1, 6},
    {"quarantine_sec", 300, 86400},
    {"store_queue_limit", 64, 65536},
};

/* Whom small things do not interest hears of the end of all trouble. */
static bool draw_severity(struct options *options, struct prng *prng)
{
    static const char *const severities[] = {"info", "warning", "error", "critical"};
    char why[OPTION_MESSAGE_SIZE];
    const char *severity = severities[prng_below(prng, sizeof severities / sizeof severities[0])];
    return options_set(options, "alert_min_severity", severity, OPTION_FROM_STORE, why) == OK;
}

bool habits_draw(struct options *options, uint64_t seed)
{
    char why[OPTION_MESSAGE_SIZE], value[32];
    struct prng prng;
    prng_seed(&prng, seed ^ 0x4ab175ULL << 32);
    for (size_t i = 0; i < sizeof habits / sizeof habits[0]; i++) {
        const struct habit *habit = &habits[i];
        bool is_drawn = prng_unit(&prng) < 0.5;
        double number = habit->low * pow(habit->high / habit->low, prng_unit(&prng));
        /* Few digits, so that they are the same wherever they were worked out. */
        snprintf(value, sizeof value, habit->low < 1 ? "%.2f" : "%.0f", number);
        if (is_drawn && options_set(options, habit->option, value, OPTION_FROM_STORE, why) != OK)
            return false;
    }
    return draw_severity(options, &prng);
}
