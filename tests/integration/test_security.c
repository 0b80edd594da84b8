/*
 * What a daemon keeps to itself, and what it gave up: secrets given in every way that there is, and
 * everything that it says, to anybody, searched for them; what each process can still do, as the
 * kernel tells it.
 */
#include "harness.h"

#include "page/inherited.h"
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* In each secret; nothing else has it. */
#define CANARY "kanarienvogel"

#define EVENTS_S 2 /* what /events says at once */

/* ---- the daemon ---- */

static const char *const environment[] = {
    "MOONWATCH_API_TOKEN=" CANARY "6",
    "MOONWATCH_ALERT_WEBHOOK_URL=http://me:" CANARY "1@127.0.0.1:1/hook/" CANARY "2",
    "MOONWATCH_ALERT_TELEGRAM_TOKEN=12345:" CANARY "3", "MOONWATCH_ALERT_TELEGRAM_CHAT=1", NULL};

static void write_receiver(void)
{
    char script[4 * PATH_SIZE];
    snprintf(script, sizeof script, "#!/bin/sh\n{ cat; env; } >>'%s'\n", sandbox_path("received"));
    write_file(sandbox_path("receiver"), script);
    assert_int_equal(chmod(sandbox_path("receiver"), 0755), 0);
}

/* By file, by environment, and in each form on the command line. Nobody listens at port 1, so that
 * everybody complains. */
static struct process *start(void)
{
    char command[PATH_SIZE + 32], file[PATH_SIZE];
    snprintf(command, sizeof command, "--alert-command=%s", sandbox_path("receiver"));
    snprintf(file, sizeof file, "%s", sandbox_path("options"));
    write_receiver();
    write_file(file, "alert_webhook_token = " CANARY "4\n"
                     "alert_telegram_url = http://me:" CANARY "5@127.0.0.1:1\n");
    const char *const options[] = {"--config",
                                   file,
                                   "--api-token",
                                   CANARY "6",
                                   "--set",
                                   "alert_alertmanager_url=http://127.0.0.1:1/" CANARY "7",
                                   "--feed=http://me:" CANARY "8@127.0.0.1:1",
                                   command,
                                   "--log-level",
                                   "debug",
                                   NULL};
    struct process *daemon = daemon_spawn(NULL, "a.db", options, environment);
    assert_true(daemon_await_port(daemon));
    return daemon;
}

/* ---- looking ---- */

static void expect_none(const char *where, const char *bytes, size_t length)
{
    const char *found = bytes == NULL ? NULL : memmem(bytes, length, CANARY, strlen(CANARY));
    if (found != NULL)
        fail_msg("%s shows a secret: …%.*s…", where,
                 (int)(bytes + length - found < 40 ? bytes + length - found : 40), found);
}

static void expect_none_in_file(const char *path)
{
    size_t length;
    char *bytes = read_file(path, &length);
    expect_none(path, bytes, length);
    free(bytes);
}

static int look_at(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status, (void)walk;
    if (kind == FTW_F && strcmp(path + walk->base, "options") != 0)
        expect_none_in_file(path);
    return 0;
}

static pid_t pid_of(const struct process *daemon, const char *name)
{
    json_t *whole = http_json(daemon->port, "/health/supervisor"), *process;
    json_t *processes = json_object_get(whole, "processes");
    size_t i;
    pid_t pid = 0;
    json_array_foreach(processes, i, process)
    {
        if (strcmp(json_string_value(json_object_get(process, "name")), name) == 0)
            pid = (pid_t)json_integer_value(json_object_get(process, "pid"));
    }
    json_decref(whole);
    return pid;
}

/* What anybody may read of a process. */
static void expect_none_in_command_line(pid_t pid)
{
    char path[64];
    assert_true(pid > 0);
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    expect_none_in_file(path);
}

static void expect_none_in_page(pid_t pid)
{
    char path[64];
    struct stat status = {0};
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, FD_PAGE);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    char *page = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(page != MAP_FAILED);
    expect_none(path, page, (size_t)status.st_size);
    munmap(page, (size_t)status.st_size);
    close(fd);
}

/* Every resource that is read, as the API lists them itself. */
static void expect_none_in_answers(const struct process *daemon)
{
    json_t *whole = http_json(daemon->port, "/openapi.json"), *methods;
    const char *path;
    size_t count = 0;
    json_object_foreach(json_object_get(whole, "paths"), path, methods)
    {
        char target[PATH_SIZE];
        bool is_read = json_object_get(methods, "get") != NULL;
        const char *hole = strchr(path, '{');
        if (!is_read)
            continue;
        snprintf(target, sizeof target, "%.*s%s", hole != NULL ? (int)(hole - path) : 300, path,
                 hole != NULL ? "1" : "");
        double patience = strcmp(path, "/events") == 0 ? EVENTS_S : 0;
        struct answer answer =
            http_call(daemon->port, &(struct call){.path = target, .patience_s = patience});
        expect_none(target, answer.body, answer.length);
        answer_free(&answer);
        count++;
    }
    assert_true(count > 20);
    json_decref(whole);
}

static void expect_none_said_by(const char *name, const char *const arguments[])
{
    struct process *process = process_start(name, moonwatch_program(), arguments, environment);
    assert_true(process_wait(process, WAIT_S * SLOWNESS));
    expect_none_in_file(process->log);
}

static bool has_received(void *context)
{
    (void)context;
    return access(sandbox_path("received"), F_OK) == 0;
}

/* The upstream was asked, in vain, as the sinks were. */
static bool has_complained(void *context)
{
    return process_has_said(context, "\"to\":\"half_open\"") &&
           process_has_said(context, "\"sink\":\"telegram\"");
}

static bool has_incident(void *context)
{
    json_t *json = http_json(((struct process *)context)->port, "/incidents");
    bool has = json_array_size(json_object_get(json, "items")) > 0 || json_array_size(json) > 0;
    json_decref(json);
    return has;
}

static void secrets_are_nowhere(void)
{
    char db[PATH_SIZE + 8], file[PATH_SIZE], list[PATH_SIZE], url[64];
    struct process *daemon = start();
    snprintf(db, sizeof db, "sqlite:%s", sandbox_path("a.db"));
    snprintf(file, sizeof file, "%s", sandbox_path("options"));
    snprintf(list, sizeof list, "%s", sandbox_path("mints"));
    snprintf(url, sizeof url, "http://127.0.0.1:%u", daemon->port);
    write_file(list, "6WiPdtpzZDo5CnEcSB99g6UYGaCEG49ZbRQ4UxPFpump\n");
    const char *const test_alert[] = {"ctl", "--db", db, "test-alert", NULL};
    const char *const add[] = {"import", list, "--to", url, NULL};
    const char *const status[] = {"ctl", "--db", db, "status", "--json", NULL};
    static const char feed[] = "http://a:" CANARY "@127.0.0.1";
    static const char source[] = "source=ftp://a:" CANARY "@127.0.0.1";
    const char *const config[] = {"config", "--config", file, "--api-token",
                                  CANARY,   "--feed",   feed, NULL};
    char long_chat[160];
    snprintf(long_chat, sizeof long_chat, "--alert-telegram-chat=http://a:" CANARY "@b/%080d", 0);
    const char *const bad[] = {"config", "--set", source, "--api-token", CANARY, long_chat, NULL};
    expect_none_said_by("test-alert", test_alert);
    expect_none_said_by("refresh", add);
    expect_soon(has_received, NULL);
    expect_soon(has_complained, daemon);
    /* Sanitizers report falls themselves. */
    assert_int_equal(kill(pid_of(daemon, "engine"), SLOWNESS > 1 ? SIGKILL : SIGSEGV), 0);
    expect_soon(has_incident, daemon);
    expect_none_said_by("status", status);
    expect_none_said_by("config", config);
    expect_none_said_by("bad", bad);
    assert_int_equal(http_status(daemon->port, "POST", "/admin/pause", NULL), 401);
    assert_int_equal(http_status(daemon->port, "POST", "/tokens", "{}"), 401);
    expect_none_in_answers(daemon);
    expect_none_in_command_line(daemon->pid);
    expect_none_in_command_line(pid_of(daemon, "engine"));
    expect_none_in_command_line(pid_of(daemon, "api"));
    expect_none_in_page(pid_of(daemon, "api"));
    process_stop(daemon);
    /* The database, the incidents, the log, what the program for alerts got and had around it. */
    assert_int_equal(nftw(sandbox_path(""), look_at, 16, FTW_PHYS), 0);
}

/* What is wrong with it is said without it. */
static void a_refused_start_tells_none(void)
{
    const char *const options[] = {"--set=source=ws://me:" CANARY "@127.0.0.1:1/x", NULL};
    struct process *daemon = daemon_spawn(NULL, "a.db", options, NULL);
    assert_true(process_wait(daemon, WAIT_S * SLOWNESS));
    expect_said(daemon, "has a user or password");
    expect_none_in_file(daemon->log);
}

/* ---- what was given up ---- */

static double status_of(pid_t pid, const char *key)
{
    char path[64];
    size_t length;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    char *text = read_file(path, &length), *line = text != NULL ? strstr(text, key) : NULL;
    double value = line != NULL ? strtod(line + strlen(key), NULL) : -1;
    free(text);
    return value;
}

/* Files of ours that it could write through what it has open; not the lock, which all hold. */
static size_t count_writable(pid_t pid)
{
    char folder[64], path[PATH_SIZE], target[PATH_SIZE], *text;
    size_t count = 0, length;
    snprintf(folder, sizeof folder, "/proc/%d/fd", (int)pid);
    DIR *fds = opendir(folder);
    assert_non_null(fds);
    for (struct dirent *entry; (entry = readdir(fds)) != NULL;) {
        snprintf(path, sizeof path, "%s/%.20s", folder, entry->d_name);
        ssize_t size = readlink(path, target, sizeof target - 1);
        target[size > 0 ? size : 0] = '\0';
        if (strstr(target, "a.db") == NULL || strstr(target, "-state/lock") != NULL)
            continue;
        snprintf(path, sizeof path, "/proc/%d/fdinfo/%.20s", (int)pid, entry->d_name);
        text = read_file(path, &length);
        const char *flags = text != NULL ? strstr(text, "flags:") : NULL;
        count += flags != NULL && (strtol(flags + 6, NULL, 8) & O_ACCMODE) != O_RDONLY;
        free(text);
    }
    closedir(fds);
    return count;
}

static bool has_history(void *context)
{
    struct process *daemon = context;
    json_t *json = http_json(daemon->port, "/tokens?min_score=-1&limit=1");
    const char *mint = json_string_value(
        json_object_get(json_array_get(json_object_get(json, "items"), 0), "mint_address"));
    char path[PATH_SIZE];
    bool has = false;
    if (mint != NULL) {
        snprintf(path, sizeof path, "/tokens/%.64s", mint);
        json_t *token = http_json(daemon->port, path);
        has = json_array_size(json_object_get(token, "score_history")) > 0;
        json_decref(token);
    }
    json_decref(json);
    return has;
}

static void each_process_gave_up_what_it_can(void)
{
    static const char *const names[] = {"supervisor", "engine", "api"};
    struct process *market = market_start((const char *const[]){"--tokens", "50", NULL});
    struct process *daemon = daemon_start(market, "a.db", NULL);
    expect_soon(has_history, daemon);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        pid_t pid = strcmp(names[i], "supervisor") == 0 ? daemon->pid : pid_of(daemon, names[i]);
        bool is_confined = status_of(pid, "NoNewPrivs:") == 1;
        if (!is_confined && SLOWNESS > 1) {
            harness_skip("sanitizers need what is given up");
            process_stop(daemon);
            return;
        }
        assert_true(is_confined);
        assert_true(status_of(pid, "Seccomp:") == 2); /* SECCOMP_MODE_FILTER */
    }
    assert_true(count_writable(pid_of(daemon, "engine")) > 0);
    assert_int_equal(count_writable(pid_of(daemon, "api")), 0);
    process_stop(daemon);
}

static bool says_it_was_given(void *context)
{
    return process_has_said(context, "secrets were given on the command line");
}

static void off_is_off(void)
{
    struct process *daemon =
        daemon_start(NULL, "a.db", (const char *const[]){"--sandbox", "off", NULL});
    assert_true(status_of(pid_of(daemon, "api"), "Seccomp:") == 0);
    assert_false(says_it_was_given(daemon));
    process_stop(daemon);
}

/* What it makes is its owner's alone, whatever the umask. */
static void files_are_the_owners(void)
{
    static const char *const names[] = {"a.db", "a.db-state"};
    mode_t before = umask(0);
    struct process *daemon = daemon_start(NULL, "a.db", NULL);
    umask(before);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct stat status;
        assert_int_equal(stat(sandbox_path(names[i]), &status), 0);
        assert_int_equal(status.st_mode & 077, 0);
    }
    process_stop(daemon);
}

int main(int argc, char *argv[])
{
    static const struct integration_case cases[] = {
        {"secrets are nowhere", secrets_are_nowhere},
        {"a refused start tells none", a_refused_start_tells_none},
        {"each process gave up what it can", each_process_gave_up_what_it_can},
        {"off is off", off_is_off},
        {"files are the owner's", files_are_the_owners},
    };
    return harness_run(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
