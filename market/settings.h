/* The command line of moonwatch-market. */
#ifndef MOONWATCH_MARKET_SETTINGS_H
#define MOONWATCH_MARKET_SETTINGS_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SETTINGS_MESSAGE_SIZE 256

struct settings {
    uint16_t port;
    uint16_t control_port;
    bool has_control_port;
    bool wants_help;
    const char *address;
    const char *journal_path;                /* NULL: none */
    const char *certificate_path, *key_path; /* both or neither */
    uint32_t tokens;
    uint64_t seed;
    double speed;
    double requests_per_minute; /* 0: no limit */
    double graduations_per_hour;
    double replay_per_s; /* 0: no replay */
    double pools_mean;
    uint32_t latency_ms;
    uint32_t cache_s;
};

/* ERR_INVALID with a sentence in `why`. The texts point into `arguments`. */
enum err settings_parse(int count, char *const arguments[], struct settings *out,
                        char why[SETTINGS_MESSAGE_SIZE]) MUST_CHECK;

void settings_help(FILE *out);

#endif
