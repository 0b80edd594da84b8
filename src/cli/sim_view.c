/* See sim_view.h. */
#include "cli/sim_view.h"

#include "base/json.h"
#include "cli/sim_text.h"
#include <inttypes.h>
#include <string.h>

#define REPLAY_SIZE 4096
#define YEAR_S      (365.25 * 86400)

/* ---- in words ---- */

static void write_story(FILE *out, const struct apart_story *story)
{
    uint64_t first = story->count > APART_LINES ? story->count - APART_LINES : 0;
    if (first > 0)
        fprintf(out, "  … %" PRIu64 " before\n", first);
    for (uint64_t i = first; i < story->count; i++)
        fprintf(out, "  %.*s\n", APART_LINE_SIZE, story->lines[i % APART_LINES]);
}

void sim_view_failure(FILE *out, const struct sim_setup *setup, size_t occurrences,
                      const struct sim_result *result, const struct apart_story *story)
{
    char replay[REPLAY_SIZE];
    fprintf(out, "seed %" PRIu64 ": %s\n", setup->seed, result->verdict);
    if (story != NULL)
        write_story(out, story);
    if (sim_text_replay(setup, occurrences, replay, sizeof replay) < sizeof replay)
        fprintf(out, "replay: %s\n", replay);
}

static unsigned count_unreached(const struct seeds_sum *sum)
{
    unsigned count = 0;
    for (int i = 0; i < MARK_COUNT; i++)
        count += sum->reached[i] == 0;
    return count;
}

void sim_view_unreached(FILE *out, const struct seeds_sum *sum)
{
    unsigned count = count_unreached(sum);
    if (count == 0) {
        fprintf(out, "all %d marks were reached\n", MARK_COUNT);
        return;
    }
    fprintf(out, "of %d marks these were not reached:\n", MARK_COUNT);
    for (int i = 0; i < MARK_COUNT; i++)
        if (sum->reached[i] == 0)
            fprintf(out, "  %-28s %s\n", mark_name((enum mark)i), mark_sentence((enum mark)i));
}

size_t sim_view_sum(const struct seeds_sum *sum, char *out, size_t size)
{
    return (size_t)snprintf(out, size, "%.3g virtual years, %" PRIu64 " faults, %" PRIu64 " failed",
                            sum->simulated_s / YEAR_S, sum->faults, sum->failed);
}

/* ---- as JSON ---- */

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

static void put_hash(struct json *json, uint64_t hash)
{
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    json_put_string(json, "trace_hash", text);
}

static bool write_out(struct json *json)
{
    json_object_close(json);
    bool is_written = !json->failed && printf("%s\n", json->text) > 0 && fflush(stdout) == 0;
    json_finish(json);
    return is_written;
}

static void write_cluster(struct json *json, const struct sim_result *result)
{
    const struct cluster_result *cluster = &result->cluster;
    json_put_int(json, "nodes", cluster->nodes);
    json_put_int(json, "tokens", cluster->tokens);
    json_put_int(json, "fetches", (int64_t)cluster->fetches);
    json_put_int(json, "repeated", (int64_t)cluster->repeated);
    json_put_int(json, "exchanges", (int64_t)cluster->exchanges);
    json_put_int(json, "lapses", (int64_t)cluster->lapses);
    json_put_int(json, "takeovers", (int64_t)cluster->takeovers);
    json_put_int(json, "moves", (int64_t)cluster->moves);
    json_put_int(json, "rows_fenced", (int64_t)cluster->fenced);
    json_put_int(json, "commits", (int64_t)result->commits);
    json_put_int(json, "starts", (int64_t)result->restarts);
    json_put_int(json, "new_tokens", (int64_t)cluster->new_tokens);
    json_put_int(json, "acknowledged", (int64_t)cluster->acknowledged);
    json_put_double(json, "uncovered_s", cluster->uncovered_s);
    json_put_double(json, "balanced_s", cluster->balanced_s);
}

bool sim_view_result(const struct sim_setup *setup, const struct sim_result *result, double wall_s)
{
    struct json json = {0};
    json_object_open(&json, NULL);
    json_put_string(&json, "verdict", result->verdict);
    put_hash(&json, result->trace_hash);
    json_put_int(&json, "seed", (int64_t)setup->seed);
    json_put_double(&json, "simulated_s", result->simulated_s);
    json_put_double(&json, "wall_s", wall_s);
    json_put_int(&json, "faults", (int64_t)result->faults_injected);
    json_put_int(&json, "events", (int64_t)result->events);
    if (setup->nodes > 0) {
        write_cluster(&json, result);
        return write_out(&json);
    }
    json_put_int(&json, "actions", (int64_t)result->actions);
    json_put_int(&json, "refused_over_limit", (int64_t)result->refused);
    json_put_int(&json, "deaths", (int64_t)result->deaths);
    json_put_int(&json, "restarts", (int64_t)result->restarts);
    json_put_int(&json, "warm_starts", (int64_t)result->warm_starts);
    json_put_int(&json, "cold_starts", (int64_t)result->cold_starts);
    json_put_int(&json, "slots_torn", (int64_t)result->torn);
    json_put_int(&json, "commits", (int64_t)result->commits);
    json_put_int(&json, "commits_lost", (int64_t)result->lost_commits);
    json_put_int(&json, "writes_fenced", (int64_t)result->fenced);
    json_put_int(&json, "answers", (int64_t)result->answers);
    json_put_double(&json, "age_over_optimum", result->age_ratio);
    json_put_int(&json, "activated", (int64_t)result->stats.activated);
    json_put_int(&json, "demoted", (int64_t)result->stats.demoted);
    json_put_int(&json, "archived", (int64_t)result->stats.archived);
    json_put_int(&json, "reactivated", (int64_t)result->stats.reactivated);
    write_groups(&json, result);
    return write_out(&json);
}

static void put_injected(struct json *json, uint32_t nodes, const struct seeds_sum *sum)
{
    json_object_open(json, "injected");
    for (int i = 0; i < sim_fault_kinds(nodes); i++)
        json_put_int(json, sim_fault_kind_name(nodes, i), (int64_t)sum->injected[i]);
    json_object_close(json);
}

static void put_unreached(struct json *json, const struct seeds_sum *sum)
{
    json_put_int(json, "marks", MARK_COUNT);
    json_array_open(json, "marks_not_reached");
    for (int i = 0; i < MARK_COUNT; i++)
        if (sum->reached[i] == 0)
            json_put_string(json, NULL, mark_name((enum mark)i));
    json_array_close(json);
}

bool sim_view_seeds(uint32_t nodes, const struct seeds_sum *sum, const char *verdict, double wall_s)
{
    struct json json = {0};
    json_object_open(&json, NULL);
    json_put_string(&json, "verdict", verdict);
    put_hash(&json, sum->hash);
    json_put_int(&json, "seeds", (int64_t)sum->runs);
    json_put_int(&json, "failed", (int64_t)sum->failed);
    json_put_double(&json, "simulated_s", sum->simulated_s);
    json_put_double(&json, "wall_s", wall_s);
    json_put_int(&json, "faults", (int64_t)sum->faults);
    put_injected(&json, nodes, sum);
    json_put_int(&json, "deaths", (int64_t)sum->deaths);
    json_put_int(&json, "restarts", (int64_t)sum->restarts);
    if (nodes == 0)
        put_unreached(&json, sum);
    return write_out(&json);
}
