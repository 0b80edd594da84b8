/*
 * The file for bots: whoever reads it, at whatever moment, finds it whole, and never empty once it
 * had something, also when the engine or the daemon is killed in the middle of writing it, many
 * times. What can be wrong with a disk is told, and over when it is over.
 */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEATHS           2  /* of the daemon */
#define ENGINE_DEATHS    10 /* in the life of each */
#define EXPORTS_A_LIFE   4
#define READS_MIN        100
#define MINT_OF_POOL_MIN 32
#define MINT_OF_POOL_MAX 44
#define DISK_OPTIONS     "size=16k"

static const char *const market_options[] = {
    "--tokens", "200",           "--rpm",  "0", "--graduations-per-hour",
    "0",        "--replay-rate", "100000", NULL};

struct reader;
typedef int count_groups(struct reader *reader, char *text, size_t length); /* -1: not whole */

struct reader {
    char path[PATH_SIZE];
    count_groups *count;
    _Atomic bool is_over, has_failed;
    _Atomic unsigned long reads, groups;
    char complaint[256]; /* read when the thread has ended */
};

__attribute__((format(printf, 2, 3))) static int complain(struct reader *reader, const char *format,
                                                          ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reader->complaint, sizeof reader->complaint, format, arguments);
    va_end(arguments);
    return -1;
}

static bool is_pool(const char *text, size_t length)
{
    return text != NULL && length >= MINT_OF_POOL_MIN && length <= MINT_OF_POOL_MAX;
}

/* ---- JSON: [["pool",…],…] ---- */

static bool is_group(const json_t *group)
{
    bool is_good = json_is_array(group) && json_array_size(group) > 0;
    for (size_t i = 0; is_good && i < json_array_size(group); i++) {
        const char *pool = json_string_value(json_array_get(group, i));
        is_good = is_pool(pool, pool == NULL ? 0 : strlen(pool));
    }
    return is_good;
}

static int count_in_json(struct reader *reader, char *text, size_t length)
{
    json_error_t error;
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    bool is_good = json_is_array(root);
    for (size_t i = 0; is_good && i < json_array_size(root); i++)
        is_good = is_group(json_array_get(root, i));
    int count = is_good ? (int)json_array_size(root)
                        : complain(reader, "%zu bytes: %.100s (%.80s)", length, text,
                                   root == NULL ? error.text : "not an array of arrays of pools");
    json_decref(root);
    return count;
}

/* ---- TOML ---- */

/* markets = ["pool", "pool"] */
static bool is_markets(const char *row)
{
    static const char begin[] = "markets = [";
    if (strncmp(row, begin, strlen(begin)) != 0)
        return false;
    for (row += strlen(begin);; row += 2) {
        size_t length = *row == '"' ? strcspn(row + 1, "\"") : 0;
        if (!is_pool(row + 1, length) || row[length + 1] != '"')
            return false;
        row += length + 2;
        if (strcmp(row, "]") == 0)
            return true;
        if (strncmp(row, ", ", 2) != 0)
            return false;
    }
}

static int count_in_toml(struct reader *reader, char *text, size_t length)
{
    static const char time[] = "update_timestamp = 20";
    char *rest = text, *row = NULL;
    int groups = 0;
    if (length == 0 || text[length - 1] != '\n' || strlen(text) != length ||
        strncmp(text, time, strlen(time)) != 0)
        return complain(reader, "%zu bytes: %.100s", length, text);
    text[length - 1] = '\0';
    for (row = strsep(&rest, "\n"); (row = strsep(&rest, "\n")) != NULL; groups++) {
        const char *remark = strsep(&rest, "\n"), *head = strsep(&rest, "\n");
        const char *markets = strsep(&rest, "\n");
        if (*row != '\0' || markets == NULL || strncmp(remark, "# ", 2) != 0 ||
            strcmp(head, "[[group]]") != 0 || !is_markets(markets))
            return complain(reader, "group %d: %.60s %.60s %.80s", groups,
                            remark != NULL ? remark : "", head != NULL ? head : "",
                            markets != NULL ? markets : "");
    }
    return groups;
}

/* ---- a bot ---- */

/* Once it was there, and had something in it, it must always. */
static void *read_on(void *context)
{
    struct reader *reader = context;
    bool was_there = false;
    while (!reader->is_over) {
        size_t length;
        char *text = read_file(reader->path, &length);
        int count = text != NULL ? reader->count(reader, text, length)
                    : was_there  ? complain(reader, "the file went away")
                                 : 0;
        if (count == 0 && reader->groups > 0)
            count = complain(reader, "nothing is in it any more");
        was_there = was_there || text != NULL;
        reader->reads += text != NULL;
        free(text);
        if (count < 0)
            reader->has_failed = reader->is_over = true;
        else
            reader->groups += (unsigned long)count;
    }
    return NULL;
}

static bool has_read_enough(void *context)
{
    struct reader *reader = context;
    return (reader->reads >= READS_MIN && reader->groups > 0) || reader->has_failed;
}

/* ---- deaths ---- */

static pid_t engine_of(const struct process *daemon)
{
    json_t *json = http_json(daemon->port, "/health/supervisor"), *process;
    pid_t pid = 0;
    size_t i;
    json_array_foreach(
        json_object_get(json, "processes"), i,
        process) if (strcmp(json_string_value(json_object_get(process, "name")), "engine") == 0)
        pid = (pid_t)json_integer_value(json_object_get(process, "pid"));
    json_decref(json);
    return pid;
}

struct successor {
    const struct process *daemon;
    pid_t before;
};

/* Asked to, again and again: it may be down. */
static bool has_exported(void *context)
{
    const struct successor *successor = context;
    pid_t pid = engine_of(successor->daemon);
    http_status(successor->daemon->port, "POST", "/notarb/export", NULL);
    return pid != 0 && pid != successor->before &&
           metric(successor->daemon, "exports_total", NULL) >= 1;
}

static void kill_engines(const struct process *daemon)
{
    struct successor successor = {daemon, 0};
    for (int i = 0; i < ENGINE_DEATHS; i++) {
        expect_soon(has_exported, &successor);
        for (int k = 0; k < EXPORTS_A_LIFE; k++)
            http_status(daemon->port, "POST", "/notarb/export", NULL);
        successor.before = engine_of(daemon);
        assert_int_equal(kill(successor.before, SIGKILL), 0);
    }
    expect_soon(has_exported, &successor);
}

static void always_whole(const char *name, count_groups *count)
{
    static struct reader reader;
    pthread_t thread;
    reader = (struct reader){.count = count};
    snprintf(reader.path, sizeof reader.path, "%s", sandbox_path(name));
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
                                   "--restart-backoff-min-sec",
                                   "0.001",
                                   "--restart-backoff-max-sec",
                                   "0.01",
                                   "--max-restarts-per-hour",
                                   "1000",
                                   NULL};
    assert_int_equal(pthread_create(&thread, NULL, read_on, &reader), 0);
    struct process *daemon = NULL;
    for (int i = 0; i < DEATHS; i++) {
        daemon = daemon_start(market, "a.db", options);
        expect_metric(daemon, "exports_total", NULL, 1);
        kill_engines(daemon);
        if (i + 1 < DEATHS)
            process_kill(daemon);
    }
    expect_soon(has_read_enough, &reader);
    process_stop(daemon);
    reader.is_over = true;
    pthread_join(thread, NULL);
    print_message("# %lu reads\n", (unsigned long)reader.reads);
    if (reader.has_failed)
        fail_msg("after %lu reads: %s", reader.reads, reader.complaint);
    assert_true(reader.groups > 0);
    process_stop(market);
}

static void always_whole_json(void)
{
    always_whole("pools.json", count_in_json);
}

static void always_whole_toml(void)
{
    always_whole("pools.toml", count_in_toml);
    /* A parser that we have not written reads it, too. */
    char command[PATH_SIZE * 2];
    snprintf(
        command, sizeof command,
        "python3 -c 'import sys, tomllib, datetime; t = tomllib.load(open(sys.argv[1], \"rb\")); "
        "assert isinstance(t[\"update_timestamp\"], datetime.datetime); "
        "assert t[\"group\"] and all(g[\"markets\"] for g in t[\"group\"])' '%s'",
        sandbox_path("pools.toml"));
    assert_int_equal(system(command), 0); // NOLINT(cert-env33-c)
}

/* ---- disks ---- */

struct said {
    const struct process *process;
    const char *text;
};

static bool is_said(void *context)
{
    const struct said *said = context;
    return process_has_said(said->process, said->text);
}

static bool is_export_found_failing(void *context)
{
    const struct process *daemon = context;
    char *text = http_text(daemon->port, "/health/comprehensive");
    bool is_found = strstr(text, "the export job failed") != NULL;
    free(text);
    return is_found;
}

static bool is_export_well(void *context)
{
    return !is_export_found_failing(context);
}

/* What is wrong is in the log, with the path, and a finding; tokens stay fresh. */
static void expect_told(struct process *daemon, const char *error)
{
    struct said said = {daemon, error};
    expect_soon(is_said, &said);
    expect_soon(is_export_found_failing, daemon);
    expect_healthy(daemon);
}

static bool is_there(void *context)
{
    return access(context, F_OK) == 0;
}

static void fill_disk(const char *path)
{
    static const char zeros[65536];
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    setbuf(file, NULL);
    while (fwrite(zeros, 1, 512, file) == 512)
        continue;
    fclose(file);
}

static struct process *start_with(struct process *market, const char *path)
{
    const char *const options[] = {
        "--export-path", path, "--export-interval-sec", "1", "--notarb-min-score", "-1", NULL};
    return daemon_start(market, "a.db", options);
}

/* Not while a file is open for writing there, as it is when the daemon writes its own. */
static bool is_read_only_now(void *context)
{
    const char *folder = context;
    bool is_done = mount(NULL, folder, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0;
    assert_true(is_done || errno == EBUSY);
    return is_done;
}

/* The daemon may write the file again in between. */
static void put_folder_in_its_place(const char *path)
{
    do
        assert_true(unlink(path) == 0 || errno == ENOENT);
    while (mkdir(path, 0700) != 0 && errno == EEXIST);
}

static void disks(void)
{
    struct process *market = market_start(market_options);
    char folder[PATH_SIZE], path[PATH_SIZE + 16], full[PATH_SIZE + 16];
    snprintf(folder, sizeof folder, "%s", sandbox_path("disk"));
    snprintf(path, sizeof path, "%s/pools.json", folder);
    snprintf(full, sizeof full, "%s/full", folder);
    struct process *daemon = start_with(market, path);
    expect_told(daemon, "No such file or directory");
    assert_int_equal(mkdir(folder, 0700), 0);
    expect_soon(is_export_well, daemon);
    expect_said(daemon, "the file for bots is written again");
    put_folder_in_its_place(path);
    expect_told(daemon, "Is a directory");
    assert_int_equal(rmdir(path), 0);
    expect_soon(is_export_well, daemon);
    if (mount("tmpfs", folder, "tmpfs", 0, DISK_OPTIONS) != 0) {
        harness_skip("only root may mount a small disk");
        process_stop(daemon);
        return;
    }
    harness_unmount_later(folder);
    expect_soon(is_there, path); /* not only counted: that may be one from before */
    fill_disk(full);
    expect_told(daemon, "No space left on device");
    struct reader bot = {0};
    size_t length;
    char *text = read_file(path, &length); /* the one before is there still */
    assert_non_null(text);
    assert_true(count_in_json(&bot, text, length) >= 0);
    free(text);
    assert_int_equal(unlink(full), 0);
    expect_soon(is_export_well, daemon);
    expect_soon(is_read_only_now, folder);
    expect_told(daemon, "Read-only file system");
    assert_int_equal(mount(NULL, folder, NULL, MS_REMOUNT, NULL), 0);
    expect_soon(is_export_well, daemon);
    process_stop(daemon);
}

/* ---- on change ---- */

struct change {
    const char *path;
    const char *text; /* before */
};

static bool has_changed(void *context)
{
    const struct change *change = context;
    char *text = read_file(change->path, NULL);
    bool is_other = text != NULL && strcmp(text, change->text) != 0;
    free(text);
    return is_other;
}

/* Long before its turn, which comes once a day here. */
static void on_change(void)
{
    struct process *market = market_start(market_options);
    const char *path = sandbox_path("pools.json");
    const char *const options[] = {
        "--export-path", path, "--export-interval-sec", "86400", "--export-mode", "0640", NULL};
    struct change change = {path, "[]"};
    struct process *daemon = daemon_start(market, "a.db", options);
    put_setting(daemon, "notarb_min_score", "-1");
    expect_soon(has_changed, &change);
    struct stat file;
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0640);
    char *text = read_file(path, NULL);
    change.text = text;
    put_setting(daemon, "notarb_min_score", "99");
    expect_soon(has_changed, &change);
    free(text);
    process_stop(daemon);
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
        {"the file for bots is always whole", always_whole_json},
        {"so it is as TOML", always_whole_toml},
        {"a disk that can't take it is told of, and over when it is over", disks},
        {"other pools are written at once", on_change},
        {"an export that hangs hinders nobody", one_that_hangs},
    };
    return harness_run(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
