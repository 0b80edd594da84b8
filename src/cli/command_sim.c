#include "base/json.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "sim/sim.h"
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define ALL_FAULTS ((1U << SIM_FAULT_COUNT) - 1)

/* all, none, or names with commas between. */
static bool parse_faults(const char *text, unsigned *out)
{
    *out = strcmp(text, "all") == 0 ? ALL_FAULTS : 0;
    if (*out != 0 || strcmp(text, "none") == 0)
        return true;
    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        int fault = 0;
        while (fault < SIM_FAULT_COUNT &&
               (strlen(sim_fault_name((enum sim_fault)fault)) != length ||
                strncmp(sim_fault_name((enum sim_fault)fault), text, length) != 0))
            fault++;
        if (fault == SIM_FAULT_COUNT)
            return false;
        *out |= 1U << fault;
        text += length + (text[length] == ',');
    }
    return true;
}

static void complain_faults(const char *text)
{
    fprintf(stderr, "moonwatch sim: --faults %s: all, none, or some of", text);
    for (int i = 0; i < SIM_FAULT_COUNT; i++)
        fprintf(stderr, "%s %s", i > 0 ? "," : "", sim_fault_name((enum sim_fault)i));
    fputc('\n', stderr);
}

static void write_groups(struct json *json, const struct sim_result *result)
{
    json_object_open(json, "groups");
    for (int i = 0; i < GROUP_COUNT; i++) {
        const struct group_stats *group = &result->stats.groups[i];
        json_object_open(json, token_group_name((enum token_group)i));
        json_put_int(json, "tokens", group->tokens);
        json_put_int(json, "refreshes", (int64_t)group->refreshes);
        json_put_double(json, "on_time", result->on_time[i]);
        json_object_close(json);
    }
    json_object_close(json);
    json_object_open(json, "lanes");
    for (int i = 0; i < LANE_KIND_COUNT; i++) {
        json_object_open(json, lane_kind_name((enum lane_kind)i));
        json_put_int(json, "requests", (int64_t)result->stats.lanes[i].requests);
        json_put_double(json, "addresses_per_request", result->addresses_per_request[i]);
        json_object_close(json);
    }
    json_object_close(json);
}

static int write_result(const struct sim_setup *setup, const struct sim_result *result,
                        double wall_s)
{
    char hash[17];
    struct json json = {0};
    snprintf(hash, sizeof hash, "%016" PRIx64, result->trace_hash);
    json_object_open(&json, NULL);
    json_put_string(&json, "verdict", result->verdict);
    json_put_string(&json, "trace_hash", hash);
    json_put_int(&json, "seed", (int64_t)setup->seed);
    json_put_double(&json, "simulated_s", result->simulated_s);
    json_put_double(&json, "wall_s", wall_s);
    json_put_int(&json, "faults", (int64_t)result->faults_injected);
    json_put_int(&json, "events", (int64_t)result->events);
    json_put_int(&json, "actions", (int64_t)result->actions);
    json_put_int(&json, "refused_over_limit", (int64_t)result->refused);
    json_put_int(&json, "deaths", (int64_t)result->deaths);
    json_put_int(&json, "restarts", (int64_t)result->restarts);
    json_put_int(&json, "activated", (int64_t)result->stats.activated);
    json_put_int(&json, "demoted", (int64_t)result->stats.demoted);
    json_put_int(&json, "archived", (int64_t)result->stats.archived);
    json_put_int(&json, "reactivated", (int64_t)result->stats.reactivated);
    write_groups(&json, result);
    json_object_close(&json);
    bool written = !json.failed && printf("%s\n", json.text) > 0 && fflush(stdout) == 0;
    json_finish(&json);
    return written && strcmp(result->verdict, "ok") == 0 ? EXIT_DONE : EXIT_FAILED;
}

int command_sim(int argc, char *argv[])
{
    int64_t seed = 1, tokens = 0;
    double hours = 1;
    const char *faults = "all";
    const struct argument rows[] = {
        {.name = "seed",
         .type = ARGUMENT_INTEGER,
         .value_name = "N",
         .target = &seed,
         .low = 0,
         .high = 9e15,
         .sentence = "The same seed gives the same run."},
        {.name = "hours",
         .type = ARGUMENT_REAL,
         .value_name = "H",
         .target = &hours,
         .low = 0.01,
         .high = 100000,
         .sentence = "Virtual time; the last quarter is without faults."},
        {.name = "tokens",
         .type = ARGUMENT_INTEGER,
         .value_name = "N",
         .target = &tokens,
         .low = 0,
         .high = 1000000,
         .sentence = "Tokens that graduate; 0 draws 10 to 5,000."},
        {.name = "faults",
         .type = ARGUMENT_TEXT,
         .value_name = "LIST",
         .target = &faults,
         .sentence = "all, none, or names with commas between; each run draws some of them."},
    };
    const struct argument_spec spec = {.rows = rows, .count = sizeof rows / sizeof rows[0]};
    enum arguments_result parsed = arguments_parse(argc, argv, &spec);
    if (parsed != ARGUMENTS_OK)
        return arguments_exit_status(parsed);
    struct sim_setup setup = {.seed = (uint64_t)seed, .hours = hours, .tokens = (uint32_t)tokens};
    if (!parse_faults(faults, &setup.faults)) {
        complain_faults(faults);
        return EXIT_USAGE;
    }
    struct timespec before, after;
    struct sim_result result;
    clock_gettime(CLOCK_MONOTONIC, &before);
    enum err err = sim_run(&setup, &result);
    clock_gettime(CLOCK_MONOTONIC, &after);
    if (err != OK) {
        fprintf(stderr, "moonwatch sim: %s\n", err_text(err));
        return EXIT_FAILED;
    }
    double wall_s =
        (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
    if (strcmp(result.verdict, "ok") != 0)
        fprintf(stderr,
                "replay: moonwatch sim --seed %" PRId64 " --hours %g --tokens %" PRId64
                " --faults %s\n",
                seed, hours, tokens, faults);
    return write_result(&setup, &result, wall_s);
}
