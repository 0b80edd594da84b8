/* See the header. */
#include "harness.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CASES_MAX   32
#define ANSWER_MAX  (64U * 1024 * 1024)
#define STOP_S      5
#define HEALTH_S    1
#define PATHS_KEPT  8
#define FOLDERS_MAX 16

static struct {
    const char *moonwatch, *market;
    char sandbox[PATH_SIZE / 4];
    struct process processes[PROCESSES_MAX];
    unsigned process_count;
    char mounted[PATH_SIZE];
    bool has_passed;
    CURL *curl;
} harness;

/* ---- time ---- */

double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void rest(void)
{
    const struct timespec step = {.tv_nsec = WAIT_STEP_MS * 1000000L};
    nanosleep(&step, NULL);
}

bool wait_until(predicate *is_true, void *context, double seconds)
{
    double deadline = now_s() + seconds;
    while (!is_true(context)) {
        if (now_s() > deadline)
            return false;
        rest();
    }
    return true;
}

/* ---- files ---- */

const char *sandbox_path(const char *name)
{
    static char paths[PATHS_KEPT][PATH_SIZE];
    static unsigned next;
    char *path = paths[next++ % PATHS_KEPT];
    snprintf(path, PATH_SIZE, "%s/%s", harness.sandbox, name);
    return path;
}

void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

char *read_file(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    size_t capacity = 65536, used = 0, n;
    char *text = malloc(capacity);
    assert_non_null(text);
    while ((n = fread(text + used, 1, capacity - used - 1, file)) > 0) {
        used += n;
        if (capacity - used > 1)
            continue;
        capacity *= 2;
        text = realloc(text, capacity);
        assert_non_null(text);
    }
    fclose(file);
    text[used] = '\0';
    if (length != NULL)
        *length = used;
    return text;
}

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
    (void)status, (void)flag, (void)walk;
    return remove(path);
}

/* ---- processes ---- */

static struct process *new_process(const char *name)
{
    assert_true(harness.process_count < PROCESSES_MAX);
    unsigned number = harness.process_count++;
    struct process *process = &harness.processes[number];
    *process = (struct process){0};
    snprintf(process->log, sizeof process->log, "%s/%03u-%s.log", harness.sandbox, number, name);
    return process;
}

/* Between fork and exec. */
static void become(const char *program, const char *const argv[], const char *log, pid_t parent)
{
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || fd < 0 ||
        dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0 || dup2(null, STDIN_FILENO) < 0)
        _exit(126);
    execv(program, (char *const *)(uintptr_t)argv);
    _exit(127);
}

struct process *process_start(const char *name, const char *program, const char *const arguments[],
                              const char *const environment[])
{
    const char *argv[ARGUMENTS_MAX] = {program};
    for (unsigned i = 0; arguments[i] != NULL; i++) {
        assert_true(i + 2 < ARGUMENTS_MAX);
        argv[i + 1] = arguments[i];
    }
    struct process *process = new_process(name);
    pid_t parent = getpid();
    process->pid = fork();
    assert_true(process->pid >= 0);
    if (process->pid != 0)
        return process;
    for (unsigned i = 0; environment != NULL && environment[i] != NULL; i++)
        putenv((char *)(uintptr_t)environment[i]);
    become(program, argv, process->log, parent);
    return NULL;
}

static bool has_ended(void *context)
{
    struct process *process = context;
    if (process->pid != 0 && waitpid(process->pid, &process->status, WNOHANG) == process->pid)
        process->pid = 0;
    return process->pid == 0;
}

bool process_wait(struct process *process, double seconds)
{
    return wait_until(has_ended, process, seconds);
}

bool process_is_running(struct process *process)
{
    return !has_ended(process);
}

void process_signal(struct process *process, int number)
{
    assert_true(process->pid > 0);
    assert_int_equal(kill(process->pid, number), 0);
}

int process_exit_status(const struct process *process)
{
    bool has_exited = process->pid == 0 && WIFEXITED(process->status);
    return has_exited ? WEXITSTATUS(process->status) : -1;
}

void process_stop(struct process *process)
{
    process_signal(process, SIGTERM);
    if (!process_wait(process, STOP_S * SLOWNESS))
        fail_msg("%s: runs on, %d s after SIGTERM", process->log, STOP_S * SLOWNESS);
    if (process_exit_status(process) != 0)
        fail_msg("%s: wait status %#x after SIGTERM", process->log, (unsigned)process->status);
}

void process_kill(struct process *process)
{
    process_signal(process, SIGKILL);
    assert_true(process_wait(process, WAIT_S * SLOWNESS));
}

bool process_has_said(const struct process *process, const char *text)
{
    char *log = read_file(process->log, NULL);
    bool found = log != NULL && strstr(log, text) != NULL;
    free(log);
    return found;
}

void expect_said(const struct process *process, const char *text)
{
    if (!process_has_said(process, text))
        fail_msg("%s does not say: %s", process->log, text);
}

/* The number behind the first `text` in a log. */
static bool find_number(const struct process *process, const char *text, unsigned *out)
{
    char *log = read_file(process->log, NULL);
    const char *at = log != NULL ? strstr(log, text) : NULL;
    char *end = NULL;
    unsigned long number = at != NULL ? strtoul(at + strlen(text), &end, 10) : 0;
    /* Something must follow it: the line may be half written. */
    bool found = number > 0 && *end != '\0';
    if (found)
        *out = (unsigned)number;
    free(log);
    return found;
}

/* ---- the programs ---- */

const char *moonwatch_program(void)
{
    return harness.moonwatch;
}

const char *market_program(void)
{
    return harness.market;
}

static void append(const char *argv[ARGUMENTS_MAX], const char *const more[])
{
    unsigned count = 0;
    while (argv[count] != NULL)
        count++;
    for (unsigned i = 0; more != NULL && more[i] != NULL; i++) {
        assert_true(count + 1 < ARGUMENTS_MAX);
        argv[count++] = more[i];
    }
    argv[count] = NULL;
}

static bool market_listens(void *context)
{
    struct process *market = context;
    return has_ended(market) ||
           find_number(market, "control on http://127.0.0.1:", &market->control);
}

struct process *market_start(const char *const extra[])
{
    const char *argv[ARGUMENTS_MAX] = {"--port", "0", "--control-port", "0", "--seed", "7", NULL};
    append(argv, extra);
    struct process *market = process_start("market", harness.market, argv, NULL);
    expect_soon(market_listens, market);
    assert_true(process_is_running(market));
    assert_true(find_number(market, "://127.0.0.1:", &market->port));
    return market;
}

struct process *daemon_spawn(const struct process *market, const char *database,
                             const char *const extra[], const char *const environment[])
{
    char db[PATH_SIZE], feed[64] = "http://127.0.0.1:1", source[64] = "none";
    snprintf(db, sizeof db, "sqlite:%s", sandbox_path(database));
    if (market != NULL) {
        snprintf(feed, sizeof feed, "http://127.0.0.1:%u", market->port);
        snprintf(source, sizeof source, "ws://127.0.0.1:%u/api/data", market->port);
    }
    const char *argv[ARGUMENTS_MAX] = {"run",         "--db",         db,     "--feed",
                                       feed,          "--source",     source, "--listen",
                                       "127.0.0.1:0", "--log-format", "json", NULL};
    append(argv, extra);
    return process_start("daemon", harness.moonwatch, argv, environment);
}

static bool daemon_listens(void *context)
{
    struct process *daemon = context;
    return find_number(daemon, "\"msg\":\"listening\",\"port\":", &daemon->port) ||
           has_ended(daemon);
}

bool daemon_await_port(struct process *daemon)
{
    expect_soon(daemon_listens, daemon);
    return daemon->port != 0;
}

static bool daemon_has_tokens(void *context)
{
    struct process *daemon = context;
    struct answer answer = http_call(daemon->port, &(struct call){.path = "/ready"});
    bool is_loading = answer.body != NULL && strstr(answer.body, "still being read") != NULL;
    answer_free(&answer);
    return !is_loading || has_ended(daemon);
}

struct process *daemon_start(const struct process *market, const char *database,
                             const char *const extra[])
{
    struct process *daemon = daemon_spawn(market, database, extra, NULL);
    if (!daemon_await_port(daemon))
        fail_msg("%s: the daemon ended with status %d", daemon->log, process_exit_status(daemon));
    expect_soon(daemon_has_tokens, daemon);
    return daemon;
}

/* ---- HTTP ---- */

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct answer *answer = context;
    size_t length = size * count;
    if (answer->length + length > ANSWER_MAX)
        return 0;
    char *body = realloc(answer->body, answer->length + length + 1);
    if (body == NULL)
        return 0;
    memcpy(body + answer->length, data, length);
    answer->body = body;
    answer->length += length;
    answer->body[answer->length] = '\0';
    return length;
}

static void prepare(CURL *curl, const struct call *call)
{
    double patience = call->patience_s > 0 ? call->patience_s : WAIT_S * SLOWNESS;
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(patience * 1000));
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    if (call->token != NULL) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, call->token);
    }
    if (call->body == NULL)
        return;
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(call->body));
}

struct answer http_call(unsigned port, const struct call *call)
{
    struct answer answer = {.body = calloc(1, 1)};
    char url[PATH_SIZE];
    long status = 0;
    assert_non_null(answer.body);
    snprintf(url, sizeof url, "http://%s:%u%s", call->host != NULL ? call->host : "127.0.0.1", port,
             call->path);
    curl_easy_reset(harness.curl); /* keeps its connections */
    prepare(harness.curl, call);
    curl_easy_setopt(harness.curl, CURLOPT_URL, url);
    curl_easy_setopt(harness.curl, CURLOPT_WRITEDATA, &answer);
    if (curl_easy_perform(harness.curl) == CURLE_OK)
        curl_easy_getinfo(harness.curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(harness.curl, CURLINFO_TOTAL_TIME, &answer.seconds);
    answer.status = (int)status;
    return answer;
}

void answer_free(struct answer *answer)
{
    free(answer->body);
    answer->body = NULL;
}

int http_status(unsigned port, const char *method, const char *path, const char *body)
{
    struct answer answer =
        http_call(port, &(struct call){.method = method, .path = path, .body = body});
    answer_free(&answer);
    return answer.status;
}

char *http_text(unsigned port, const char *path)
{
    struct answer answer = http_call(port, &(struct call){.method = "GET", .path = path});
    if (answer.status == 0)
        fail_msg("GET %s: no answer", path);
    return answer.body;
}

json_t *http_json(unsigned port, const char *path)
{
    struct answer answer = http_call(port, &(struct call){.method = "GET", .path = path});
    json_t *json = json_loadb(answer.body, answer.length, JSON_REJECT_DUPLICATES, NULL);
    if (answer.status != 200 || json == NULL)
        fail_msg("GET %s: status %d: %.300s", path, answer.status, answer.body);
    answer_free(&answer);
    return json;
}

void expect_setting(const struct process *daemon, const char *key, const char *value)
{
    char path[128];
    snprintf(path, sizeof path, "/settings/%s", key);
    json_t *json = http_json(daemon->port, path);
    assert_string_equal(json_string_value(json_object_get(json, "value")), value);
    json_decref(json);
}

void put_setting(const struct process *daemon, const char *key, const char *value)
{
    char path[128], body[256];
    snprintf(path, sizeof path, "/settings/%s", key);
    snprintf(body, sizeof body, "{\"value\":\"%s\"}", value);
    struct answer answer =
        http_call(daemon->port, &(struct call){.method = "PUT", .path = path, .body = body});
    if (answer.status != 200)
        fail_msg("PUT %s: status %d: %s", path, answer.status, answer.body);
    answer_free(&answer);
}

int post_token(const struct process *daemon, const char *mint, double patience_s)
{
    char body[128];
    snprintf(body, sizeof body, "{\"mint_address\":\"%s\"}", mint);
    struct answer answer =
        http_call(daemon->port,
                  &(struct call){
                      .method = "POST", .path = "/tokens", .body = body, .patience_s = patience_s});
    answer_free(&answer);
    return answer.status;
}

bool has_token(const struct process *daemon, const char *mint)
{
    char path[128];
    snprintf(path, sizeof path, "/tokens/%s?history_limit=1", mint);
    return http_status(daemon->port, "GET", path, NULL) == 200;
}

void expect_healthy(const struct process *daemon)
{
    struct answer answer =
        http_call(daemon->port, &(struct call){.method = "GET", .path = "/health"});
    if (answer.status != 200 || answer.seconds > HEALTH_S * SLOWNESS)
        fail_msg("GET /health: status %d after %.3f s", answer.status, answer.seconds);
    answer_free(&answer);
}

void market_fault(const struct process *market, const char *json)
{
    struct answer answer = http_call(
        market->control, &(struct call){.method = "POST", .path = "/fault", .body = json});
    if (answer.status != 200)
        fail_msg("the market refuses the fault %s: %s", json, answer.body);
    answer_free(&answer);
}

void market_end_faults(const struct process *market)
{
    assert_int_equal(http_status(market->control, "DELETE", "/fault", NULL), 200);
}

double market_stat(const struct process *market, const char *kind, const char *name)
{
    json_t *json = http_json(market->control, "/stats");
    json_t *kinds = json_object_get(json, "kinds");
    json_t *value = kind != NULL ? json_object_get(json_object_get(kinds, kind), name)
                                 : json_object_get(json, name);
    assert_true(json_is_number(value));
    double number = json_number_value(value);
    json_decref(json);
    return number;
}

/* ---- metrics ---- */

static bool line_matches(const char *line, const char *name, const char *labels)
{
    static const char prefix[] = "moonwatch_";
    if (strncmp(line, prefix, sizeof prefix - 1) != 0)
        return false;
    line += sizeof prefix - 1;
    size_t length = strlen(name);
    if (strncmp(line, name, length) != 0 || (line[length] != ' ' && line[length] != '{'))
        return false;
    if (labels == NULL)
        return true;
    const char *end = strchr(line, '\n');
    const char *at = strstr(line, labels);
    return at != NULL && (end == NULL || at < end);
}

double metric_in(const char *text, const char *name, const char *labels, bool *found)
{
    double sum = 0;
    *found = false;
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        if (line_matches(line, name, labels)) {
            const char *number = line + strcspn(line, " \n");
            sum += strtod(number, NULL);
            *found = true;
        }
        line = end == NULL ? NULL : end + 1;
    }
    return sum;
}

static double ask_metric(const struct process *daemon, const char *name, const char *labels,
                         bool *found)
{
    char *text = http_text(daemon->port, "/metrics");
    double value = metric_in(text, name, labels, found);
    free(text);
    return value;
}

double metric(const struct process *daemon, const char *name, const char *labels)
{
    bool found;
    double value = ask_metric(daemon, name, labels, &found);
    if (!found)
        fail_msg("/metrics has no %s{%s}", name, labels == NULL ? "" : labels);
    return value;
}

bool metric_reached(void *metric_goal)
{
    const struct metric_goal *goal = metric_goal;
    bool found;
    expect_healthy(goal->daemon);
    double value = ask_metric(goal->daemon, goal->name, goal->labels, &found);
    return found && value >= goal->least; /* what is not known yet is not there yet */
}

void expect_metric(const struct process *daemon, const char *name, const char *labels, double least)
{
    struct metric_goal goal = {daemon, name, labels, least};
    if (!wait_until(metric_reached, &goal, WAIT_S * SLOWNESS))
        fail_msg("%s{%s} is %g and not at least %g within %d s", name, labels == NULL ? "" : labels,
                 metric(daemon, name, labels), least, WAIT_S * SLOWNESS);
}

/* ---- mints ---- */

void random_mint(struct prng *prng, char out[MINT_SIZE])
{
    struct address address;
    for (unsigned i = 0; i < ADDRESS_BYTES; i++)
        address.bytes[i] = (uint8_t)prng_below(prng, 256);
    address_format(&address, out);
}

uint64_t harness_seed(void)
{
    const char *given = getenv("INTEGRATION_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    print_message("# INTEGRATION_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* ---- cases ---- */

static void show_log(const struct process *process)
{
    size_t length;
    char *log = read_file(process->log, &length);
    if (log == NULL)
        return;
    size_t from = length > LOG_SHOWN_MAX ? length - LOG_SHOWN_MAX : 0;
    fprintf(stderr, "---- the end of %s\n%s\n", process->log, log + from);
    free(log);
}

static bool has_sanitizer_report(const struct process *process)
{
    static const char *const signs[] = {"Sanitizer:", "runtime error:"};
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
        if (process_has_said(process, signs[i]))
            return true;
    return false;
}

static int set_up(void **state)
{
    (void)state;
    const char *folder = getenv("TMPDIR");
    snprintf(harness.sandbox, sizeof harness.sandbox, "%.64s/moonwatch-test-XXXXXX",
             folder != NULL && *folder != '\0' ? folder : "/tmp");
    harness.process_count = 0;
    harness.has_passed = false;
    harness.mounted[0] = '\0';
    harness.curl = curl_easy_init();
    return harness.curl != NULL && mkdtemp(harness.sandbox) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    bool has_report = false;
    for (unsigned i = 0; i < harness.process_count; i++) {
        struct process *process = &harness.processes[i];
        if (process->pid > 0) {
            kill(process->pid, SIGKILL);
            waitpid(process->pid, &process->status, 0);
            process->pid = 0;
        }
        bool is_reported = has_sanitizer_report(process);
        has_report = has_report || is_reported;
        bool is_recent = i + 3 >= harness.process_count;
        if (is_reported || (!harness.has_passed && is_recent))
            show_log(process);
    }
    curl_easy_cleanup(harness.curl);
    if (harness.mounted[0] != '\0')
        umount2(harness.mounted, MNT_DETACH);
    if (getenv("INTEGRATION_KEEP") == NULL)
        nftw(harness.sandbox, remove_entry, FOLDERS_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    if (has_report)
        fprintf(stderr, "a sanitizer has something to report\n");
    return has_report ? -1 : 0;
}

static void run_case(void **state)
{
    const struct integration_case *one = *state;
    one->body();
    harness.has_passed = true;
}

void harness_skip(const char *why)
{
    /* Not by skip(): this cmocka calls that "not ok", which counts as a failure. */
    print_message("# skipped: %s\n", why);
}

void harness_unmount_later(const char *path)
{
    snprintf(harness.mounted, sizeof harness.mounted, "%s", path);
}

int harness_run(int argc, char *argv[], const struct integration_case *cases, size_t count)
{
    struct CMUnitTest tests[CASES_MAX];
    assert_in_range(count, 1, CASES_MAX);
    if (argc != 3) {
        fprintf(stderr, "usage: %s MOONWATCH MOONWATCH_MARKET\n", argv[0]);
        return 2;
    }
    harness.moonwatch = argv[1];
    harness.market = argv[2];
    cmocka_set_test_filter(getenv("INTEGRATION_ONLY"));
    curl_global_init(CURL_GLOBAL_DEFAULT);
    for (size_t i = 0; i < count; i++)
        tests[i] = (struct CMUnitTest){.name = cases[i].name,
                                       .test_func = run_case,
                                       .setup_func = set_up,
                                       .teardown_func = tear_down,
                                       .initial_state = (void *)(uintptr_t)&cases[i]};
    int failed = _cmocka_run_group_tests(argv[0], tests, count, NULL, NULL);
    curl_global_cleanup();
    return failed;
}
