/*
 * The file for bots: whoever reads it, at whatever moment, finds it whole, also when the daemon is
 * killed in the middle of writing it and started again.
 */
#include "harness.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>

#define DEATHS           6
#define EXPORTS_A_LIFE   40
#define READS_MIN        100
#define MINT_OF_POOL_MIN 32
#define MINT_OF_POOL_MAX 44

static const char *const market_options[] = {
    "--tokens", "200",           "--rpm",  "0", "--graduations-per-hour",
    "0",        "--replay-rate", "100000", NULL};

struct reader {
    char path[PATH_SIZE];
    _Atomic bool is_over, has_failed;
    _Atomic unsigned long reads, groups;
    char complaint[256]; /* read when the thread has ended */
};

static bool is_group(const json_t *group)
{
    bool is_good = json_is_array(group) && json_array_size(group) > 0;
    for (size_t i = 0; is_good && i < json_array_size(group); i++) {
        const char *pool = json_string_value(json_array_get(group, i));
        size_t length = pool == NULL ? 0 : strlen(pool);
        is_good = length >= MINT_OF_POOL_MIN && length <= MINT_OF_POOL_MAX;
    }
    return is_good;
}

static bool is_whole(struct reader *reader, const char *text, size_t length)
{
    json_error_t error;
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    bool is_good = json_is_array(root);
    for (size_t i = 0; is_good && i < json_array_size(root); i++)
        is_good = is_group(json_array_get(root, i));
    if (!is_good)
        snprintf(reader->complaint, sizeof reader->complaint, "%zu bytes: %.100s (%.80s)", length,
                 text, root == NULL ? error.text : "not an array of arrays of pools");
    reader->groups += is_good ? json_array_size(root) : 0;
    json_decref(root);
    return is_good;
}

/* Once it was there it must always be. */
static void *read_on(void *context)
{
    struct reader *reader = context;
    bool was_there = false;
    while (!reader->is_over) {
        size_t length;
        char *text = read_file(reader->path, &length);
        if (text == NULL && was_there)
            snprintf(reader->complaint, sizeof reader->complaint, "the file went away");
        was_there = was_there || text != NULL;
        reader->reads += text != NULL;
        bool is_good = text == NULL ? !was_there : is_whole(reader, text, length);
        free(text);
        if (!is_good)
            reader->has_failed = reader->is_over = true;
    }
    return NULL;
}

static bool has_read_enough(void *context)
{
    struct reader *reader = context;
    return reader->reads >= READS_MIN || reader->has_failed;
}

static void always_whole(void)
{
    static struct reader reader;
    pthread_t thread;
    reader = (struct reader){0};
    snprintf(reader.path, sizeof reader.path, "%s", sandbox_path("pools.json"));
    struct process *market = market_start(market_options);
    const char *const options[] = {"--export-path",
                                   reader.path,
                                   "--notarb-min-score",
                                   "-1",
                                   "--hot-interval-sec",
                                   "1",
                                   "--cold-interval-sec",
                                   "1",
                                   "--export-interval-sec",
                                   "1",
                                   "--screen-requests-per-minute",
                                   "6000",
                                   "--refresh-requests-per-minute",
                                   "6000",
                                   "--discover-requests-per-minute",
                                   "60000",
                                   NULL};
    assert_int_equal(pthread_create(&thread, NULL, read_on, &reader), 0);
    struct process *daemon = NULL;
    for (int i = 0; i < DEATHS; i++) {
        daemon = daemon_start(market, "a.db", options);
        expect_metric(daemon, "exports_total", NULL, 1);
        for (int k = 0; k < EXPORTS_A_LIFE; k++)
            assert_int_equal(http_status(daemon->port, "POST", "/notarb/export", NULL), 200);
        if (i + 1 < DEATHS)
            process_kill(daemon);
    }
    expect_soon(has_read_enough, &reader);
    process_stop(daemon);
    reader.is_over = true;
    pthread_join(thread, NULL);
    if (reader.has_failed)
        fail_msg("after %lu reads: %s", reader.reads, reader.complaint);
    assert_true(reader.groups > 0);
    process_stop(market);
}

/* A FIFO that nobody reads, in the place of the file being written, is a file system that hangs. */
static void one_that_hangs(void)
{
    struct process *market = market_start(market_options);
    const char *const options[] = {"--export-path",
                                   sandbox_path("pools.json"),
                                   "--notarb-min-score",
                                   "-1",
                                   "--export-interval-sec",
                                   "1",
                                   "--job-deadline-sec",
                                   "2",
                                   NULL};
    assert_int_equal(mkfifo(sandbox_path("pools.json.new"), 0600), 0);
    struct process *daemon = daemon_start(market, "a.db", options);
    /* The first run hangs, and the next ones write. */
    expect_metric(daemon, "exports_total", NULL, 3);
    assert_int_equal(http_status(daemon->port, "POST", "/notarb/export", NULL), 200);
    process_stop(daemon); /* in time, and well */
    process_stop(market);
}

int main(int argc, char *argv[])
{
    static const struct integration_case cases[] = {
        {"the file for bots is always whole", always_whole},
        {"an export that hangs hinders nobody", one_that_hangs},
    };
    return harness_run(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
