#include "base/json.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "sim/freshness.h"
#include <errno.h>
#include <stdbool.h>
#include <string.h>

static int write_result(const struct freshness_setup *setup, const struct freshness_result *result)
{
    struct json json = {0};
    json_object_open(&json, NULL);
    json_put_int(&json, "tokens", setup->tokens);
    if (setup->swing[0] > 0)
        json_put_string(&json, "capacity", "swing 0.3 0.15 0.6");
    else
        json_put_double(&json, "capacity", setup->capacity);
    json_put_int(&json, "seed", (int64_t)setup->seed);
    json_put_string(&json, "policy", freshness_policy_name(setup->policy));
    json_put_double(&json, "weighted_mean_age_s", result->weighted_mean_age_s);
    json_put_double(&json, "optimum_s", result->optimum_s);
    json_put_double(&json, "ratio", result->ratio);
    json_put_double(&json, "ratio_most", result->ratio_most);
    json_put_double(&json, "maximum_age_s", result->maximum_age_s);
    json_put_int(&json, "refreshes", (int64_t)result->refreshes);
    json_put_double(&json, "decision_ns", result->decision_ns);
    json_object_close(&json);
    bool written = !json.failed && printf("%s\n", json.text) > 0 && fflush(stdout) == 0;
    if (!written)
        fprintf(stderr, "moonwatch freshness: can't print the answer: %s\n",
                json.failed ? "out of memory" : strerror(errno));
    json_finish(&json);
    return written ? EXIT_DONE : EXIT_FAILED;
}

int command_freshness(int argc, char *argv[])
{
    int64_t tokens = 10000, seed = 1;
    double capacity = 0.3;
    const char *policy = "index";
    bool swing = false;
    const struct argument rows[] = {
        {.name = "tokens",
         .type = ARGUMENT_INTEGER,
         .value_name = "N",
         .target = &tokens,
         .low = 1,
         .high = FRESHNESS_TOKENS_MAX,
         .sentence = "Tokens in the lanes."},
        {.name = "capacity",
         .type = ARGUMENT_REAL,
         .value_name = "F",
         .target = &capacity,
         .low = 0.001,
         .high = 100,
         .sentence = "Budget, as a share of what keeping every target would take."},
        {.name = "seed",
         .type = ARGUMENT_INTEGER,
         .value_name = "S",
         .target = &seed,
         .low = 0,
         .high = 9e15,
         .sentence = "The same seed gives the same population."},
        {.name = "policy",
         .type = ARGUMENT_TEXT,
         .value_name = "POLICY",
         .choices = "index|edf|fifo|priority|mix|",
         .target = &policy,
         .sentence = "index (the daemon's), edf, fifo, priority or mix (80 % by priority, 20 % "
                     "oldest first)."},
        {.name = "swing",
         .type = ARGUMENT_SWITCH,
         .target = &swing,
         .sentence = "The budget is 0.3, 0.15 and 0.6 in turn; compared with the optimum of each."},
    };
    const struct argument_spec spec = {.rows = rows, .count = sizeof rows / sizeof rows[0]};
    enum arguments_result parsed = arguments_parse(argc, argv, &spec);
    if (parsed != ARGUMENTS_OK)
        return arguments_exit_status(parsed);
    struct freshness_setup setup = {.tokens = (uint32_t)tokens,
                                    .capacity = capacity,
                                    .seed = (uint64_t)seed,
                                    .policy = freshness_policy_find(policy)};
    if (setup.policy == POLICY_COUNT) {
        fprintf(stderr,
                "moonwatch freshness: --policy %s: one of index, edf, fifo, priority, mix\n",
                policy);
        return EXIT_USAGE;
    }
    if (swing) {
        setup.capacity = 1;
        memcpy(setup.swing, (const double[]){0.3, 0.15, 0.6}, sizeof setup.swing);
    }
    struct freshness_result result;
    enum err err = freshness_run(&setup, &result);
    if (err != OK) {
        fprintf(stderr, "moonwatch freshness: %s\n", err_text(err));
        return EXIT_FAILED;
    }
    return write_result(&setup, &result);
}
