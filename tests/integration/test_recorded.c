/*
 * What the real upstreams were recorded to say, through the programs: every answer of the API
 * through `explain` and through the daemon, where each pair is used or counted; every frame of the
 * stream through the source, where each migration becomes a token and each other frame is counted.
 */
#include "harness.h"

#include "core/outcome.h"
#include "feed/dexscreener_recording.h"
#include <dirent.h>
#include <microhttpd.h>
#include <pthread.h>

#define RECORDED       MOONWATCH_SOURCE_ROOT "/../shared/data/market"
#define PAIRS_MAX      128
#define TOKEN_PAIRS    30 /* of one token that count, as the API has it */
#define URL_TOKENS_MAX 64
#define PRICE_REQUESTS 4
#define TARGET_FAST    "1"
#define TARGET_NEVER   "3600" /* as good as */
#define ANY_MINT       "So11111111111111111111111111111111111111112"

/* ---- recordings ---- */

struct recording {
    char *answer;
    size_t length, elements; /* pairs of the answer, of whatever chain */
    struct {
        char pool[MINT_SIZE], base[MINT_SIZE];
    } pairs[PAIRS_MAX]; /* those of our chain */
    size_t pair_count;
    char tokens[PAIRS_MAX][MINT_SIZE]; /* the bases, each once */
    size_t token_count;
};

static void add_pair(struct recording *out, const json_t *pair)
{
    const char *chain = json_string_value(json_object_get(pair, "chainId"));
    const char *pool = json_string_value(json_object_get(pair, "pairAddress"));
    const json_t *token = json_object_get(pair, "baseToken");
    const char *base = json_string_value(json_object_get(token, "address"));
    if (chain == NULL || strcmp(chain, "solana") != 0)
        return;
    assert_true(pool != NULL && base != NULL && out->pair_count < PAIRS_MAX);
    snprintf(out->pairs[out->pair_count].pool, MINT_SIZE, "%s", pool);
    snprintf(out->pairs[out->pair_count++].base, MINT_SIZE, "%s", base);
    for (size_t i = 0; i < out->token_count; i++)
        if (strcmp(out->tokens[i], base) == 0)
            return;
    snprintf(out->tokens[out->token_count++], MINT_SIZE, "%s", base);
}

/* False when the file holds no answer of these routes. */
static bool load(const char *path, struct recording *out)
{
    char why[RECORDING_WHY_SIZE];
    size_t length;
    char *text = read_file(path, &length);
    assert_non_null(text);
    *out = (struct recording){0};
    enum err err = recording_find_answer(text, length, &out->answer, &out->length, why);
    free(text);
    if (err != OK)
        return false;
    json_t *root = json_loadb(out->answer, out->length, 0, NULL);
    json_t *pairs = json_is_array(root) ? root : json_object_get(root, "pairs");
    out->elements = json_array_size(pairs);
    for (size_t i = 0; i < out->elements; i++)
        add_pair(out, json_array_get(pairs, i));
    json_decref(root);
    if (out->token_count == 0)
        strcpy(out->tokens[out->token_count++], ANY_MINT);
    return true;
}

/* Calls `each` with every file of that ending; false where there are none. */
static bool for_each_file(const char *folder, const char *ending, void (*each)(const char *path))
{
    DIR *list = opendir(folder);
    if (list == NULL) {
        harness_skip("no recorded data");
        return false;
    }
    size_t count = 0;
    for (struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list)) {
        char path[PATH_SIZE * 2];
        size_t length = strlen(entry->d_name), end = strlen(ending);
        if (length < end || strcmp(entry->d_name + length - end, ending) != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        each(path);
        count++;
    }
    closedir(list);
    assert_true(count > 0);
    return true;
}

/* ---- explain ---- */

static struct process *explain(const char *path, const char *mint)
{
    const char *const arguments[] = {"explain", "--mint", mint, "--pairs", path, NULL};
    struct process *process = process_start("explain", moonwatch_program(), arguments, NULL);
    assert_true(process_wait(process, WAIT_S * SLOWNESS));
    return process;
}

static void expect_explanation(const struct process *process, const char *path)
{
    char *text = read_file(process->log, NULL);
    char *object = text == NULL ? NULL : strchr(text, '{');
    if (object == NULL) {
        fail_msg("%s: nothing was explained", path);
        return;
    }
    object[strcspn(object, "\n")] = '\0';
    json_t *json = json_loads(object, JSON_REJECT_DUPLICATES, NULL);
    if (process_exit_status(process) != 0 || json == NULL)
        fail_msg("%s: exit status %d: %s", path, process_exit_status(process), text);
    /* What JSON can say is finite; what is not would be null. */
    assert_true(json_is_number(json_object_get(json, "score")));
    assert_true(json_is_number(json_object_get(json, "smoothed_score")));
    assert_true(json_is_boolean(json_object_get(json, "activates")));
    json_t *components = json_object_get(json, "raw_components"), *value;
    const char *key;
    json_object_foreach(components, key, value) assert_true(json_is_number(value));
    assert_int_equal(json_object_size(components), 4);
    json_decref(json);
    free(text);
}

static void explain_file(const char *path)
{
    static struct recording recording;
    if (!load(path, &recording)) {
        struct process *process = explain(path, ANY_MINT);
        assert_int_equal(process_exit_status(process), 1);
        expect_said(process, "is a list of");
        return;
    }
    for (size_t i = 0; i < recording.token_count; i++)
        expect_explanation(explain(path, recording.tokens[i]), path);
    free(recording.answer);
}

static void recorded_answers_are_explained(void)
{
    for_each_file(RECORDED "/dexscreener_raw", ".json", explain_file);
}

/* ---- a server that answers everything with one recording ---- */

struct upstream {
    struct MHD_Daemon *http;
    const struct recording *recording;
    pthread_mutex_t mutex;
    size_t answers, used; /* pairs that the answers had for those who asked */
};

static size_t pairs_of(const struct recording *recording, const char *token)
{
    size_t count = 0;
    for (size_t i = 0; i < recording->pair_count; i++)
        count += strcmp(recording->pairs[i].base, token) == 0;
    return count < TOKEN_PAIRS ? count : TOKEN_PAIRS;
}

/* The token that an address of a request means: itself, or its pool's. */
static const char *token_of(const struct recording *recording, const char *address)
{
    for (size_t i = 0; i < recording->pair_count; i++)
        if (strcmp(recording->pairs[i].pool, address) == 0)
            return recording->pairs[i].base;
    return address;
}

static size_t pairs_for(const struct recording *recording, const char *url)
{
    char list[8192], *rest_of = NULL;
    const char *tokens[URL_TOKENS_MAX];
    size_t count = 0, used = 0;
    snprintf(list, sizeof list, "%s", strrchr(url, '/') + 1);
    for (char *at = strtok_r(list, ",", &rest_of); at != NULL; at = strtok_r(NULL, ",", &rest_of)) {
        const char *token = token_of(recording, at);
        size_t i = 0;
        while (i < count && strcmp(tokens[i], token) != 0)
            i++;
        if (i < count || count == URL_TOKENS_MAX)
            continue;
        tokens[count++] = token;
        used += pairs_of(recording, token);
    }
    return used;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *body,
                                  size_t *size, void **state)
{
    struct upstream *upstream = context;
    (void)method, (void)version, (void)body, (void)size, (void)state;
    pthread_mutex_lock(&upstream->mutex);
    upstream->answers++;
    upstream->used += pairs_for(upstream->recording, url);
    pthread_mutex_unlock(&upstream->mutex);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        upstream->recording->length, upstream->recording->answer, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, "Content-Type", "application/json; charset=utf-8");
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static unsigned upstream_start(struct upstream *upstream, const struct recording *recording)
{
    *upstream = (struct upstream){.recording = recording, .mutex = PTHREAD_MUTEX_INITIALIZER};
    upstream->http = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request,
                                      upstream, MHD_OPTION_END);
    assert_non_null(upstream->http);
    return MHD_get_daemon_info(upstream->http, MHD_DAEMON_INFO_BIND_PORT)->port;
}

/* ---- the daemon ---- */

static double refused_in(const char *metrics)
{
    double sum = 0;
    bool found;
    for (int i = 0; i < PAIR_FIRST_REMARK; i++) {
        char labels[64];
        snprintf(labels, sizeof labels, "issue=\"%s\"", pair_issue_name((enum pair_issue)i));
        sum += metric_in(metrics, "pair_issues_total", labels, &found);
        assert_true(found);
    }
    return sum;
}

struct quiet_goal {
    const struct process *daemon;
    struct upstream *upstream;
    size_t answers, used;
    double refused;
};

/* All that was sent was answered and has been counted. */
static bool is_quiet(void *context)
{
    struct quiet_goal *goal = context;
    bool found;
    pthread_mutex_lock(&goal->upstream->mutex);
    goal->answers = goal->upstream->answers;
    goal->used = goal->upstream->used;
    pthread_mutex_unlock(&goal->upstream->mutex);
    char *text = http_text(goal->daemon->port, "/metrics");
    double sent = metric_in(text, "requests_sent_total", NULL, &found);
    double ok = metric_in(text, "requests_total", "outcome=\"ok\"", &found);
    double empty = metric_in(text, "requests_total", "outcome=\"empty\"", &found);
    goal->refused = refused_in(text);
    free(text);
    return sent == (double)goal->answers && ok + empty == sent;
}

static void expect_pools(const struct process *daemon, const struct recording *recording)
{
    for (size_t i = 0; i < recording->token_count; i++) {
        char path[128];
        snprintf(path, sizeof path, "/tokens/%s/pools", recording->tokens[i]);
        json_t *pools = http_json(daemon->port, path);
        assert_int_equal(json_array_size(pools), pairs_of(recording, recording->tokens[i]));
        json_decref(pools);
    }
}

static struct process *start_on(const struct recording *recording, unsigned port)
{
    char feed[64], source[PATH_SIZE + 8], *list = calloc(PAIRS_MAX, MINT_SIZE + 1);
    const char *path = sandbox_path("mints.txt");
    char database[32];
    static unsigned number;
    assert_non_null(list);
    for (size_t i = 0; i < recording->token_count; i++)
        strcat(strcat(list, recording->tokens[i]), "\n");
    write_file(path, list);
    free(list);
    snprintf(feed, sizeof feed, "http://127.0.0.1:%u", port);
    snprintf(source, sizeof source, "file:%s", path);
    snprintf(database, sizeof database, "%u.db", number++);
    return daemon_start(NULL, database,
                        (const char *const[]){"--feed", feed, "--source", source,
                                              "--refresh-requests-per-minute", "6000",
                                              "--screen-requests-per-minute", "6000",
                                              "--discover-requests-per-minute", "60000", NULL});
}

static void serve_file(const char *path)
{
    static struct recording recording;
    struct upstream upstream;
    if (!load(path, &recording))
        return;
    struct process *daemon = start_on(&recording, upstream_start(&upstream, &recording));
    put_setting(daemon, "hot_interval_sec", TARGET_FAST);
    put_setting(daemon, "cold_interval_sec", TARGET_FAST);
    expect_metric(daemon, "requests_sent_total", "kind=\"discover\"",
                  (double)recording.token_count);
    double price = metric(daemon, "requests_sent_total", "kind=\"screen\"") +
                   metric(daemon, "requests_sent_total", "kind=\"refresh\"");
    expect_metric(daemon, "requests_sent_total", NULL,
                  (double)recording.token_count + price + PRICE_REQUESTS);
    put_setting(daemon, "hot_interval_sec", TARGET_NEVER);
    put_setting(daemon, "cold_interval_sec", TARGET_NEVER);
    struct quiet_goal goal = {.daemon = daemon, .upstream = &upstream};
    expect_soon(is_quiet, &goal);
    double told = (double)(recording.elements * goal.answers);
    if ((double)goal.used + goal.refused != told)
        fail_msg("%s: %g pairs came in %zu answers; %zu were used and %g counted", path, told,
                 goal.answers, goal.used, goal.refused);
    expect_pools(daemon, &recording);
    process_stop(daemon);
    MHD_stop_daemon(upstream.http);
    free(recording.answer);
}

static void recorded_answers_are_served(void)
{
    for_each_file(RECORDED "/dexscreener_raw", ".json", serve_file);
}

/* ---- the stream ---- */

struct frames {
    double lines, migrations;
    size_t mints;
};

static void count_frames(const char *path, struct frames *out)
{
    size_t length;
    char *text = read_file(path, &length), *rest_of = NULL;
    json_t *mints = json_object();
    *out = (struct frames){0};
    for (char *line = strtok_r(text, "\n", &rest_of); line != NULL;
         line = strtok_r(NULL, "\n", &rest_of)) {
        json_t *recorded = json_loads(line, 0, NULL);
        json_t *frame = json_loads(json_string_value(json_object_get(recorded, "raw")), 0, NULL);
        const char *type = json_string_value(json_object_get(frame, "txType"));
        out->lines++;
        if (type != NULL && strcmp(type, "migrate") == 0) {
            out->migrations++;
            json_object_set_new(mints, json_string_value(json_object_get(frame, "mint")),
                                json_true());
        }
        json_decref(frame);
        json_decref(recorded);
    }
    out->mints = json_object_size(mints);
    json_decref(mints);
    free(text);
}

/* Without connects, disconnects and failed_connects, which are no frames. */
static double frames_counted(const struct process *daemon)
{
    return metric(daemon, "source_frames_total", NULL) -
           metric(daemon, "source_frames_total", "connects\"");
}

static void stream_file(const char *path)
{
    struct frames frames;
    char source[PATH_SIZE * 2 + 8];
    static unsigned number;
    char database[32];
    count_frames(path, &frames);
    assert_true(frames.lines > 0);
    snprintf(source, sizeof source, "file:%s", path);
    snprintf(database, sizeof database, "frames%u.db", number++);
    struct process *daemon = daemon_start(
        NULL, database,
        (const char *const[]){"--source", source, "--scheduler-enabled", "false", NULL});
    expect_metric(daemon, "source_frames_total", "kind=\"connects\"", 1);
    expect_metric(daemon, "source_frames_total", NULL, frames.lines + 1);
    assert_int_equal((int)metric(daemon, "source_frames_total", "kind=\"migrations\""),
                     (int)frames.migrations);
    expect_metric(daemon, "tokens", NULL, (double)frames.mints);
    assert_int_equal((int)metric(daemon, "tokens", NULL), (int)frames.mints);
    assert_int_equal((int)frames_counted(daemon), (int)frames.lines);
    process_stop(daemon);
}

static void recorded_frames_are_taken(void)
{
    for_each_file(RECORDED "/pumpportal", ".jsonl", stream_file);
}

int main(int argc, char *argv[])
{
    static const struct integration_case cases[] = {
        {"recorded answers are explained", recorded_answers_are_explained},
        {"recorded answers are used or counted", recorded_answers_are_served},
        {"recorded frames become tokens or are counted", recorded_frames_are_taken},
    };
    return harness_run(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
