/* `moonwatch size`: how many nodes some tokens need, and what ages fewer give (sim/sizing.h). */
#include "base/json.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/figures.h"
#include "cluster/view.h"
#include "sim/sizing.h"
#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#define TOKENS_MOST  100000000.0
#define NODES_MOST   100000
#define SECONDS_MOST 604800.0

static const double table_tokens[] = {1000,  2000,   5000,   10000,  20000,
                                      50000, 100000, 200000, 500000, 1000000};
#define TABLE_ROWS (sizeof table_tokens / sizeof table_tokens[0])

static void put_seconds(struct json *json, const char *key, double seconds)
{
    if (isfinite(seconds))
        json_put_double(json, key, seconds);
    else
        json_put_null(json, key);
}

static void write_row(struct json *json, const struct sizing *sizing,
                      const struct sizing_result *result)
{
    json_object_open(json, NULL);
    json_put_int(json, "tokens", (int64_t)sizing->tokens);
    json_put_int(json, "nodes", result->nodes);
    json_put_int(json, "nodes_with_one_dead", result->nodes_with_one_dead);
    json_put_bool(json, "fits_cluster", result->nodes_with_one_dead <= CLUSTER_NODES_MAX);
    json_put_string(json, "bound_by", sizing_bound_name(result->bound));
    json_object_open(json, "requests_per_minute");
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++)
        json_put_double(json, lane_kind_name((enum lane_kind)lane),
                        result->requests_per_minute[lane]);
    json_object_close(json);
    json_put_double(json, "tokens_per_s", result->tokens_per_s);
    json_object_open(json, "ages");
    json_put_int(json, "nodes", result->given);
    json_put_bool(json, "keeps_targets", result->keeps_targets);
    json_put_double(json, "hot_interval_s", result->hot_mean_s);
    json_put_double(json, "hot_longest_s", result->hot_longest_s);
    json_put_double(json, "cold_interval_s", result->cold_mean_s);
    json_put_double(json, "cold_longest_s", result->cold_longest_s);
    put_seconds(json, "discover_s", result->discover_s);
    json_object_close(json);
    json_object_close(json);
}

static void print_head(const struct sizing *sizing)
{
    printf(
        "%.3g %% hot, every %g s, with %.3g pools each; the others every %g s; an address may send "
        "%g, %g and %g requests a minute\n(refresh, screen, discover), of which %.3g %% are left "
        "alone.\n\n",
        100 * sizing->hot_share, sizing->hot_s, sizing->pools, sizing->cold_s,
        sizing->per_minute[LANE_REFRESH], sizing->per_minute[LANE_SCREEN],
        sizing->per_minute[LANE_DISCOVER], 100 * sizing->headroom);
    printf("%10s %7s %8s  %-8s %8s %8s %8s  %s\n", "", "", "one", "", "refresh", "screen",
           "discover", sizing->nodes > 0 ? "with so many nodes" : "then");
    printf("%10s %7s %8s  %-8s %26s  %5s %8s %8s %10s\n", "tokens", "nodes", "may die", "bound by",
           "requests a minute     ", "nodes", "hot", "cold", "pools of cold");
}

static void print_row(const struct sizing *sizing, const struct sizing_result *result)
{
    char tokens[FIGURE_SIZE], hot[FIGURE_SIZE], cold[FIGURE_SIZE], pools[FIGURE_SIZE];
    figure_count((uint64_t)sizing->tokens, tokens);
    figure_span(result->hot_mean_s, hot);
    figure_span(result->cold_mean_s, cold);
    figure_span(isfinite(result->discover_s) ? result->discover_s : NAN, pools);
    printf("%10s %7u %8u  %-8s %8.0f %8.0f %8.0f  %5u %8s %8s %10s\n", tokens, result->nodes,
           result->nodes_with_one_dead, sizing_bound_name(result->bound),
           result->requests_per_minute[LANE_REFRESH], result->requests_per_minute[LANE_SCREEN],
           result->requests_per_minute[LANE_DISCOVER], result->given, hot, cold, pools);
}

static int fail(const char *sentence)
{
    fprintf(stderr, "moonwatch size: %s\n", sentence);
    return EXIT_FAILED;
}

/* One row, or the table. */
static int show(const struct sizing *sizing, bool as_json)
{
    struct json json = {0};
    size_t rows = sizing->tokens > 0 ? 1 : TABLE_ROWS;
    uint32_t most = 0;
    json_object_open(&json, NULL);
    json_array_open(&json, "sizes");
    if (!as_json)
        print_head(sizing);
    for (size_t i = 0; i < rows; i++) {
        struct sizing row = *sizing;
        struct sizing_result result;
        if (sizing->tokens == 0)
            row.tokens = table_tokens[i];
        enum err err = sizing_compute(&row, &result);
        if (err != OK) {
            json_finish(&json);
            return fail(err_text(err));
        }
        most = result.nodes > most ? result.nodes : most;
        if (as_json)
            write_row(&json, &row, &result);
        else
            print_row(&row, &result);
    }
    if (!as_json && most > CLUSTER_NODES_MAX)
        printf("\nA cluster takes %d nodes at most: --nodes %d shows the ages that these give.\n",
               CLUSTER_NODES_MAX, CLUSTER_NODES_MAX);
    json_array_close(&json);
    json_object_close(&json);
    bool is_written =
        !json.failed && (!as_json || printf("%s\n", json.text) > 0) && fflush(stdout) == 0;
    json_finish(&json);
    return is_written ? EXIT_DONE : fail("can't print the answer");
}

#define REAL(key, unit, field, least, most, words)                                                 \
    {                                                                                              \
        .name = (key), .type = ARGUMENT_REAL, .value_name = (unit), .target = &(field),            \
        .low = (least), .high = (most), .sentence = (words)                                        \
    }

int command_size(int argc, char *argv[])
{
    static struct sizing sizing;
    static double hot_percent, headroom_percent;
    static int64_t nodes, tokens;
    static bool as_json;
    sizing = sizing_defaults();
    hot_percent = 100 * sizing.hot_share;
    headroom_percent = 100 * sizing.headroom;
    const struct argument rows[] = {
        {.name = "tokens",
         .type = ARGUMENT_INTEGER,
         .value_name = "N",
         .target = &tokens,
         .low = 1,
         .high = TOKENS_MOST,
         .sentence = "Tokens that are followed; without it, a table from 1,000 to 1,000,000."},
        {.name = "nodes",
         .type = ARGUMENT_INTEGER,
         .value_name = "N",
         .target = &nodes,
         .low = 1,
         .high = NODES_MOST,
         .sentence = "The ages that so many nodes give, instead of those with as many as needed."},
        REAL("hot-percent", "P", hot_percent, 0, 100,
             "How many of the tokens are hot: active, or promising."),
        REAL("pools", "N", sizing.pools, 1, REQUEST_ADDRESSES_MAX,
             "Pools of a hot token that count."),
        REAL("hot-interval", "S", sizing.hot_s, 1, SECONDS_MOST, "Target age of hot tokens."),
        REAL("cold-interval", "S", sizing.cold_s, 1, SECONDS_MOST, "Target age of the others."),
        REAL("refresh-per-minute", "N", sizing.per_minute[LANE_REFRESH], 1, 1e8,
             "Requests by pool address that the upstream allows an address."),
        REAL("screen-per-minute", "N", sizing.per_minute[LANE_SCREEN], 1, 1e8,
             "Requests by token address."),
        REAL("discover-per-minute", "N", sizing.per_minute[LANE_DISCOVER], 1, 1e8,
             "Requests for all pools of one token."),
        REAL("headroom-percent", "P", headroom_percent, 0, 90, "Of these, left alone."),
        REAL("new-per-hour", "N", sizing.new_per_hour, 0, 1e8, "New tokens."),
        REAL("cores", "N", sizing.cores, 0.01, 10000, "CPUs of a node."),
        REAL("tokens-per-core", "N", sizing.tokens_per_core, 1, 1e9,
             "Tokens a second that one CPU keeps up with (docs/performance.md)."),
        {.name = "json", .type = ARGUMENT_SWITCH, .target = &as_json, .sentence = "As JSON."},
    };
    const struct argument_spec spec = {.rows = rows, .count = sizeof rows / sizeof rows[0]};
    enum arguments_result parsed = arguments_parse(argc, argv, &spec);
    if (parsed != ARGUMENTS_OK)
        return arguments_exit_status(parsed);
    sizing.tokens = (double)tokens;
    sizing.nodes = (uint32_t)nodes;
    sizing.hot_share = hot_percent / 100;
    sizing.headroom = headroom_percent / 100;
    return show(&sizing, as_json);
}
