/*
 * Self-healing, seen from outside: real processes are killed, stopped and replaced while clients
 * ask, and `moonwatch ctl` says what it should.
 */
#include "harness.h"

#include "page/status_page.h"
#include "supervisor/control_client.h"
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOKENS         300
#define CRASHES        20
#define REQUESTS       2000
#define INTERVAL_S     1.0
#define NOBODY         "65534"
#define QUICK_BACKOFF  "--restart-backoff-min-sec", "0.01", "--restart-backoff-max-sec", "0.05"
#define MANY           "100000"
#define FAILURES_SHOWN 10

static const char *const few_tokens[] = {
    "--tokens", "300",           "--rpm",  "0", "--graduations-per-hour",
    "0",        "--replay-rate", "100000", NULL};
#define FAST                                                                                       \
    "--hot-interval-sec", "1", "--cold-interval-sec", "1", "--screen-requests-per-minute",         \
        "60000", "--refresh-requests-per-minute", "60000", "--discover-requests-per-minute",       \
        "60000"
static const char *const fast[] = {FAST, NULL};
static const char *const quick[] = {FAST, QUICK_BACKOFF, "--max-restarts-per-hour", MANY, NULL};

struct scene {
    struct process *market, *daemon;
    struct status_page *page;
};

/* ---- the status page ---- */

/* Of the daemon on a.db; it can be read when nobody answers HTTP. */
static struct status_page *map_page(void)
{
    char why[CONTROL_WHY_SIZE];
    struct options options;
    struct control_answer answer;
    const struct command command = {.kind = COMMAND_STATUS};
    options_init(&options);
    snprintf(options.db, sizeof options.db, "sqlite:%.200s", sandbox_path("a.db"));
    int fd = control_connect(&options, why);
    if (fd < 0 || !control_ask(fd, &command, duration_s(WAIT_S), &answer, why))
        fail_msg("%s", why);
    close(fd);
    struct status_page *page = status_page_attach(answer.page_fd, PAGE_READ_ONLY, why);
    close(answer.page_fd);
    assert_non_null(page);
    return page;
}

static pid_t pid_of(const struct status_page *page, enum page_process_id process)
{
    return (pid_t)atomic_load(&page->processes[process].pid);
}

struct life {
    const struct status_page *page;
    enum page_process_id process;
    uint64_t starts;
};

static bool is_at_work(void *context)
{
    const struct life *life = context;
    const struct page_process *process = &life->page->processes[life->process];
    return atomic_load(&process->starts) >= life->starts &&
           atomic_load(&process->state) == PROCESS_RUNNING;
}

static void expect_start(const struct status_page *page, enum page_process_id process,
                         uint64_t starts)
{
    expect_soon(is_at_work, &((struct life){page, process, starts}));
}

/* ---- clients ---- */

struct clients {
    pthread_t thread;
    unsigned port;
    const struct status_page *page;
    atomic_bool is_over;
    _Atomic unsigned long asked, failed, refused;
    _Atomic uint64_t oldest_us; /* the oldest token of any look at the page */
};

static size_t swallow(char *data, size_t size, size_t count, void *context)
{
    (void)data, (void)context;
    return size * count;
}

static void ask(struct clients *clients, CURL *curl, const char *path)
{
    char url[128];
    long status = 0;
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", clients->port, path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    clients->asked++;
    if (code == CURLE_COULDNT_CONNECT)
        clients->refused++;
    if ((code != CURLE_OK || status != 200) && clients->failed++ < FAILURES_SHOWN) {
        print_message("# %s: %s, status %ld\n", path, curl_easy_strerror(code), status);
    }
}

static void look_at_ages(struct clients *clients)
{
    for (int i = 0; i < PAGE_GROUPS; i++) {
        uint64_t age_us = atomic_load(&clients->page->groups[i].oldest_age_us);
        if (age_us > clients->oldest_us)
            clients->oldest_us = age_us;
    }
}

static void *ask_without_end(void *context)
{
    struct clients *clients = context;
    CURL *curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)WAIT_S * SLOWNESS * 1000);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, swallow);
    while (!clients->is_over && clients->failed < REQUESTS) {
        look_at_ages(clients);
        /* One in four comes on a connection of its own. */
        curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, (long)(clients->asked % 4 == 0));
        ask(clients, curl, clients->asked % 2 == 0 ? "/health" : "/tokens?limit=20&min_score=-1");
    }
    curl_easy_cleanup(curl);
    return NULL;
}

static void clients_begin(struct clients *clients, const struct scene *scene)
{
    *clients = (struct clients){.port = scene->daemon->port, .page = scene->page};
    assert_int_equal(pthread_create(&clients->thread, NULL, ask_without_end, clients), 0);
}

static bool have_asked_enough(void *context)
{
    const struct clients *clients = context;
    return clients->asked >= REQUESTS / SLOWNESS;
}

static void clients_end(struct clients *clients)
{
    clients->is_over = true;
    pthread_join(clients->thread, NULL);
    assert_true(clients->asked > 0);
}

/* ---- moonwatch ctl ---- */

struct said {
    int status;
    char *text; /* to be freed */
};

static struct said ctl_as(const char *program, const char *const words[])
{
    char db[PATH_SIZE];
    const char *argv[ARGUMENTS_MAX] = {NULL};
    unsigned count = 0;
    for (; words[count] != NULL; count++)
        argv[count] = words[count];
    snprintf(db, sizeof db, "sqlite:%s", sandbox_path("a.db"));
    argv[count++] = "--db";
    argv[count] = db;
    struct process *process = process_start("ctl", program, argv, NULL);
    assert_true(process_wait(process, WAIT_S * SLOWNESS));
    return (struct said){process_exit_status(process), read_file(process->log, NULL)};
}

#define CTL(...) ctl_as(moonwatch_program(), (const char *const[]){"ctl", __VA_ARGS__, NULL})

static void expect_answer(struct said said, int status, const char *part)
{
    if (said.status != status || strstr(said.text, part) == NULL)
        fail_msg("status %d, not %d, or not \"%s\": %s", said.status, status, part, said.text);
    free(said.text);
}

static void expect_incidents(const char *part)
{
    expect_answer(CTL("incidents"), 0, part);
}

/* ---- what must go on ---- */

static void expect_refreshes_go_on(const struct process *daemon)
{
    double refreshes = metric(daemon, "refreshes_total", NULL);
    expect_metric(daemon, "refreshes_total", NULL, refreshes + TOKENS);
}

static struct scene begin(const char *const options[])
{
    struct scene scene = {.market = market_start(few_tokens)};
    scene.daemon = daemon_start(scene.market, "a.db", options);
    scene.page = map_page();
    expect_metric(scene.daemon, "tokens", NULL, TOKENS);
    expect_refreshes_go_on(scene.daemon);
    return scene;
}

static void end(struct scene *scene)
{
    assert_true(metric(scene->daemon, "tokens", NULL) >= TOKENS);
    process_stop(scene->daemon);
    process_stop(scene->market);
    status_page_detach(scene->page);
}

/* ---- cases ---- */

static void engine_dies_and_nothing_is_lost(void)
{
    struct scene scene = begin(fast);
    struct clients clients;
    char mint[MINT_SIZE];
    struct prng prng;
    prng_seed(&prng, harness_seed());
    random_mint(&prng, mint);
    clients_begin(&clients, &scene);
    assert_int_equal(post_token(scene.daemon, mint, 0), 201);
    assert_int_equal(kill(pid_of(scene.page, PROCESS_ENGINE), SIGKILL), 0);
    expect_start(scene.page, PROCESS_ENGINE, 2);
    expect_refreshes_go_on(scene.daemon);
    clients_end(&clients);
    assert_int_equal(clients.failed, 0);
    assert_true(has_token(scene.daemon, mint));
    assert_int_equal(atomic_load(&scene.page->processes[PROCESS_API].starts), 1);
    expect_incidents("the engine died of SIGKILL");
    end(&scene);
}

static void engine_that_is_stopped_is_replaced(void)
{
    struct scene scene = begin(fast);
    struct clients clients;
    clients_begin(&clients, &scene);
    assert_int_equal(kill(pid_of(scene.page, PROCESS_ENGINE), SIGSTOP), 0);
    expect_start(scene.page, PROCESS_ENGINE, 2);
    expect_refreshes_go_on(scene.daemon);
    clients_end(&clients);
    assert_int_equal(clients.failed, 0);
    expect_incidents("was stopped from outside");
    end(&scene);
}

/* What was under way at its death may be cut; nobody who comes is turned away. */
static void api_is_replaced(void)
{
    static const int numbers[] = {SIGKILL, SIGSTOP, SIGKILL};
    struct scene scene = begin(fast);
    struct clients clients;
    clients_begin(&clients, &scene);
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_int_equal(kill(pid_of(scene.page, PROCESS_API), numbers[i]), 0);
        expect_start(scene.page, PROCESS_API, i + 2);
    }
    clients_end(&clients);
    assert_int_equal(clients.refused, 0);
    assert_true(clients.failed <= sizeof numbers / sizeof numbers[0]);
    assert_int_equal(atomic_load(&scene.page->processes[PROCESS_ENGINE].starts), 1);
    expect_healthy(scene.daemon);
    end(&scene);
}

static bool is_gone(void *context)
{
    const pid_t *pid = context;
    char path[64], *text;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)*pid);
    text = read_file(path, NULL);
    const char *state = text != NULL ? strrchr(text, ')') : NULL;
    bool gone = state == NULL || state[2] == 'Z';
    free(text);
    return gone;
}

static void supervisor_dies(void)
{
    struct scene scene = begin(fast);
    pid_t pids[] = {pid_of(scene.page, PROCESS_ENGINE), pid_of(scene.page, PROCESS_API)};
    process_kill(scene.daemon);
    scene.daemon = daemon_start(scene.market, "a.db", fast); /* at once */
    for (int i = 0; i < 2; i++)
        assert_true(is_gone(&pids[i]));
    expect_refreshes_go_on(scene.daemon);
    end(&scene);
}

static void crash_loop(void)
{
    struct scene scene = begin(quick);
    struct clients clients;
    clients_begin(&clients, &scene);
    for (unsigned i = 0; i < CRASHES; i++) {
        assert_int_equal(kill(pid_of(scene.page, PROCESS_ENGINE), SIGKILL), 0);
        expect_start(scene.page, PROCESS_ENGINE, i + 2);
    }
    expect_soon(have_asked_enough, &clients);
    clients_end(&clients);
    assert_int_equal(clients.failed, 0);
    expect_refreshes_go_on(scene.daemon);
    assert_int_equal(atomic_load(&scene.page->counters[COUNTER_EMERGENCY_RESTARTS]), CRASHES);
    end(&scene);
}

static void graceful_restart_under_load(void)
{
    struct scene scene = begin(fast);
    struct clients clients;
    clients_begin(&clients, &scene);
    for (unsigned i = 0; i < 3; i++) {
        expect_answer(CTL("restart"), 0, "restarting");
        expect_start(scene.page, PROCESS_ENGINE, i + 2);
        expect_start(scene.page, PROCESS_API, i + 2);
    }
    expect_soon(have_asked_enough, &clients);
    clients_end(&clients);
    assert_int_equal(clients.failed, 0);
    /* Nobody was late by more than one interval. */
    print_message("# the oldest token was %.2f s old\n", (double)clients.oldest_us / 1e6);
    assert_true((double)clients.oldest_us / 1e6 < 2 * INTERVAL_S * SLOWNESS);
    expect_refreshes_go_on(scene.daemon);
    assert_int_equal(atomic_load(&scene.page->counters[COUNTER_GRACEFUL_RESTARTS]), 3);
    assert_int_equal(atomic_load(&scene.page->counters[COUNTER_EMERGENCY_RESTARTS]), 0);
    expect_incidents("no incidents");
    end(&scene);
}

static void expect_status_json(const struct scene *scene)
{
    struct said said = CTL("status", "--json");
    json_t *json = json_loads(said.text, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(said.status, 0);
    assert_non_null(json);
    json_t *engine = json_array_get(json_object_get(json, "processes"), PROCESS_ENGINE);
    assert_string_equal(json_string_value(json_object_get(engine, "name")), "engine");
    assert_int_equal(json_integer_value(json_object_get(engine, "pid")),
                     pid_of(scene->page, PROCESS_ENGINE));
    json_decref(json);
    free(said.text);
}

static bool nothing_is_asked(void *context)
{
    const struct scene *scene = context;
    double before = metric(scene->daemon, "refreshes_total", NULL);
    usleep(300000);
    return metric(scene->daemon, "refreshes_total", NULL) == before;
}

static void first_mint(const struct process *daemon, char out[MINT_SIZE])
{
    json_t *list = http_json(daemon->port, "/tokens?limit=1&min_score=-1");
    json_t *item = json_array_get(json_object_get(list, "items"), 0);
    snprintf(out, MINT_SIZE, "%s", json_string_value(json_object_get(item, "mint_address")));
    json_decref(list);
}

static void ctl_does_as_it_says(void)
{
    struct scene scene = begin(fast);
    char mint[MINT_SIZE];
    first_mint(scene.daemon, mint);
    expect_answer(CTL("status"), 0, "Processes");
    expect_status_json(&scene);
    expect_answer(CTL("pause"), 0, "paused: nothing is fetched until it is resumed");
    expect_soon(nothing_is_asked, &scene);
    expect_answer(CTL("status"), 0, "pause");
    expect_answer(CTL("resume"), 0, "resumed");
    expect_refreshes_go_on(scene.daemon);
    expect_answer(CTL("refresh", mint), 0, "refreshed; score ");
    expect_answer(CTL("refresh", "nonsense"), 1, "that is no mint");
    expect_answer(CTL("refresh", "So11111111111111111111111111111111111111112"), 1, "");
    expect_answer(CTL("set", "snapshot_retention_days", "77"), 0,
                  "snapshot_retention_days = 77, in force");
    expect_setting(scene.daemon, "snapshot_retention_days", "77");
    expect_answer(CTL("set", "snapshot_retention_days", "soon"), 1, "");
    expect_answer(CTL("set", "nonsense", "1"), 1, "there is no option");
    expect_answer(CTL("set", "hot_interval_sec", "3"), 1, "command line");
    expect_answer(CTL("release", mint), 1, "no such token is in quarantine");
    expect_answer(CTL("frobnicate"), 2, "there is no request \"frobnicate\"");
    expect_answer(CTL("pause", "it"), 2, "pause takes nothing more");
    expect_incidents("no incidents: nothing has broken yet");
    expect_answer(CTL("restart", "--emergency"), 0, "restarting");
    expect_start(scene.page, PROCESS_ENGINE, 2);
    expect_incidents("was killed because somebody asked for it");
    expect_answer(CTL("incidents", "--json"), 0, "\"cause\": \"command\"");
    expect_setting(scene.daemon, "snapshot_retention_days", "77");
    end(&scene);
}

static void ctl_finds_nobody(void)
{
    expect_answer(CTL("status"), 1, "no daemon runs with its state in");
    expect_incidents("no incidents");
    struct process *daemon = daemon_start(NULL, "a.db", NULL);
    if (geteuid() == 0 && access("/usr/bin/setpriv", X_OK) == 0) {
        assert_int_equal(chmod(sandbox_path("."), 0755), 0);
        expect_answer(ctl_as("/usr/bin/setpriv",
                             (const char *const[]){"--reuid=" NOBODY, "--clear-groups",
                                                   moonwatch_program(), "ctl", "status", NULL}),
                      1, "belongs to somebody else; ask as its owner or as root");
    }
    process_kill(daemon); /* its socket is there still */
    expect_answer(CTL("status"), 1, "no daemon runs with its state in");
}

static void copy_program(const char *to)
{
    size_t length;
    char *program = read_file(moonwatch_program(), &length);
    assert_non_null(program);
    int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, program, length), length);
    close(fd);
    free(program);
}

static ino_t file_of(pid_t pid)
{
    char path[64];
    struct stat file;
    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    assert_int_equal(stat(path, &file), 0);
    return file.st_ino;
}

static ino_t inode_at(const char *path)
{
    struct stat file;
    assert_int_equal(stat(path, &file), 0);
    return file.st_ino;
}

static struct process *start_copy(const char *program)
{
    char db[PATH_SIZE];
    snprintf(db, sizeof db, "sqlite:%s", sandbox_path("a.db"));
    struct process *daemon = process_start(
        "daemon", program,
        (const char *const[]){"run", "--db", db, "--source", "none", "--feed", "http://127.0.0.1:1",
                              "--listen", "127.0.0.1:0", "--log-format", "json", NULL},
        NULL);
    if (!daemon_await_port(daemon))
        fail_msg("%s: status %d", daemon->log, process_exit_status(daemon));
    return daemon;
}

static bool has_doubts(void *context)
{
    return process_has_said(context, "goes on with its own");
}

static void program_is_upgraded(void)
{
    const char *program = sandbox_path("moonwatch"), *next = sandbox_path("next");
    copy_program(program);
    struct process *daemon = start_copy(program);
    struct status_page *page = map_page();
    copy_program(next);
    assert_int_equal(rename(next, program), 0);
    assert_int_not_equal(file_of(pid_of(page, PROCESS_ENGINE)), inode_at(program));
    expect_answer(CTL("restart"), 0, "restarting");
    expect_start(page, PROCESS_ENGINE, 2);
    expect_start(page, PROCESS_API, 2);
    assert_int_equal(file_of(pid_of(page, PROCESS_ENGINE)), inode_at(program));
    assert_int_equal(file_of(pid_of(page, PROCESS_API)), inode_at(program));

    /* One that can't work with what runs harms nobody, and what dies comes back without it. */
    write_file(next, "#!/bin/sh\nexit 2\n");
    assert_int_equal(chmod(next, 0755), 0);
    assert_int_equal(rename(next, program), 0);
    expect_answer(CTL("restart"), 0, "restarting");
    expect_soon(has_doubts, daemon);
    assert_int_equal(kill(pid_of(page, PROCESS_ENGINE), SIGKILL), 0);
    expect_start(page, PROCESS_ENGINE, 3);
    expect_healthy(daemon);
    process_stop(daemon);
    status_page_detach(page);
}

int main(int argc, char *argv[])
{
    static const struct integration_case cases[] = {
        {"an engine dies and nothing is lost", engine_dies_and_nothing_is_lost},
        {"an engine that is stopped is replaced", engine_that_is_stopped_is_replaced},
        {"an api that is killed or stopped is replaced", api_is_replaced},
        {"the supervisor is killed", supervisor_dies},
        {"twenty engines die in a row", crash_loop},
        {"a graceful restart under load", graceful_restart_under_load},
        {"ctl does as it says", ctl_does_as_it_says},
        {"ctl without a daemon, and as somebody else", ctl_finds_nobody},
        {"the program is upgraded", program_is_upgraded},
    };
    return harness_run(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
