/* See sandbox.h. */
#include "drill/sandbox.h"

#include "base/log.h"
#include "drill/drill.h"
#include "drill/http.h"
#include "drill/look.h"
#include "drill/patience.h"
#include "supervisor/supervisor.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_S     30 /* a start takes milliseconds; the machine may be busy */
#define STOP_S      12 /* the engine takes 5 at most, then the api 2 */
#define PATHS_KEPT  4
#define LOG_SHOWN   30000 /* bytes, of which most are of no interest */
#define HIGH_FD     64    /* above the places that the supervisor's children inherit */
#define NO_EXEC     127
#define ARGV_MAX    64
#define MARKET_SEED "7"

/* Everything that takes a minute in earnest takes a second here. */
static const char *const usual_options[] = {"--log-format",
                                            "json",
                                            "--hot-interval-sec",
                                            "1",
                                            "--cold-interval-sec",
                                            "1",
                                            "--archived-interval-sec",
                                            "1",
                                            "--discover-active-interval-sec",
                                            "10",
                                            "--discover-monitoring-interval-sec",
                                            "10",
                                            "--archiver-interval-sec",
                                            "604800",
                                            "--min-score-change",
                                            "0",
                                            "--store-checkpoint-sec",
                                            "2",
                                            "--restart-backoff-min-sec",
                                            "0.02",
                                            "--restart-backoff-max-sec",
                                            "0.5",
                                            "--max-restarts-per-hour",
                                            "100000",
                                            "--source-backoff-min-sec",
                                            "0.05",
                                            "--source-backoff-max-sec",
                                            "0.5",
                                            NULL};

const char *sandbox_path(const struct drill *drill, const char *name)
{
    static char paths[PATHS_KEPT][SANDBOX_PATH];
    static unsigned next;
    char *path = paths[next++ % PATHS_KEPT];
    snprintf(path, SANDBOX_PATH, "%s/%s", drill->sandbox.folder, name);
    return path;
}

const char *sandbox_database(const struct drill *drill)
{
    return drill->sandbox.options.db + sizeof "sqlite:" - 1;
}

/* ---- between fork and work ---- */

static void write_to_log(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || null < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0 ||
        dup2(null, STDIN_FILENO) < 0)
        _exit(NO_EXEC);
}

/* It must not outlive us: who drills may be killed. */
static void end_with(pid_t parent, int number)
{
    if (prctl(PR_SET_PDEATHSIG, number) != 0 || getppid() != parent)
        _exit(NO_EXEC);
}

static pid_t fork_or_fail(struct drill *drill)
{
    pid_t pid = fork();
    if (pid < 0)
        drill_fail(drill, "no further process: %s", strerror(errno));
    return pid;
}

bool sandbox_await_end(pid_t pid, double seconds, int *status)
{
    struct patience patience;
    patience_start(&patience, seconds);
    while (waitpid(pid, status, WNOHANG) != pid) {
        if (patience_is_over(&patience))
            return false;
        rest_ms(1);
    }
    return true;
}

static bool append(const char **list, unsigned capacity, const char *const more[])
{
    unsigned count = 0;
    while (list[count] != NULL)
        count++;
    for (; more != NULL && *more != NULL; more++) {
        if (count + 1 >= capacity)
            return false;
        list[count++] = *more;
    }
    list[count] = NULL;
    return true;
}

/* ---- the market ---- */

/* The number behind `text` in a file; 0: not there yet. */
static unsigned number_in(const char *path, const char *text)
{
    char content[1024] = "";
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    size_t length = fread(content, 1, sizeof content - 1, file);
    fclose(file);
    content[length] = '\0';
    const char *at = strstr(content, text);
    return at == NULL || strchr(at, '\n') == NULL ? 0
                                                  : (unsigned)strtoul(at + strlen(text), NULL, 10);
}

static bool market_listens(struct drill *drill)
{
    int status;
    struct sandbox *sandbox = &drill->sandbox;
    if (waitpid(sandbox->market, &status, WNOHANG) == sandbox->market)
        drill_fail(drill, "the market did not start (wait status %#x)", (unsigned)status);
    const char *log = sandbox_path(drill, "market.log");
    sandbox->market_port = number_in(log, "://127.0.0.1:");
    sandbox->control_port = number_in(log, "control on http://127.0.0.1:");
    return sandbox->market_port != 0 && sandbox->control_port != 0;
}

void sandbox_start_market(struct drill *drill, const char *const extra[])
{
    static const char *const usual[] = {"moonwatch-market",
                                        "--port",
                                        "0",
                                        "--control-port",
                                        "0",
                                        "--tokens",
                                        "400",
                                        "--rpm",
                                        "0",
                                        "--seed",
                                        MARKET_SEED,
                                        "--graduations-per-hour",
                                        "0",
                                        "--no-replay",
                                        NULL};
    const char *argv[ARGV_MAX] = {NULL};
    if (!append(argv, ARGV_MAX, usual) || !append(argv, ARGV_MAX, extra))
        drill_fail(drill, "too many arguments for the market");
    pid_t parent = getpid();
    pid_t pid = fork_or_fail(drill);
    if (pid == 0) {
        end_with(parent, SIGKILL);
        write_to_log(sandbox_path(drill, "market.log"));
        execv(drill->sandbox.market_program, (char *const *)(uintptr_t)argv);
        _exit(NO_EXEC);
    }
    drill->sandbox.market = pid;
    drill_await(drill, &(struct drill_wait){market_listens, START_S, "the market listens"});
}

static void ask_market(struct drill *drill, const char *method, const char *body)
{
    struct http_answer answer = http_ask(&(struct http_question){
        .port = drill->sandbox.control_port, .method = method, .path = "/fault", .body = body});
    if (answer.status != 200)
        drill_fail(drill, "the market takes no fault: %s", body == NULL ? answer.why : body);
    http_forget(&answer);
}

void sandbox_market_fault(struct drill *drill, const char *json)
{
    ask_market(drill, "POST", json);
}

void sandbox_market_mend(struct drill *drill)
{
    ask_market(drill, "DELETE", NULL);
}

/* ---- the daemon ---- */

/* Free now, and not given to anybody else for a while: the same one serves after a restart. */
static unsigned free_port(struct drill *drill)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        drill_fail(drill, "no free port: %s", strerror(errno));
    close(fd);
    return ntohs(address.sin_port);
}

static const char *keep_text(const char *text)
{
    char *copy = strdup(text);
    return copy == NULL ? "" : copy;
}

static void read_options(struct drill *drill)
{
    struct sandbox *sandbox = &drill->sandbox;
    char why[OPTION_MESSAGE_SIZE];
    options_init(&sandbox->options);
    for (unsigned i = 0; sandbox->arguments[i] != NULL; i += 2) {
        char name[OPTION_TEXT_SIZE];
        snprintf(name, sizeof name, "%s", sandbox->arguments[i] + 2);
        for (char *at = name; *at != '\0'; at++)
            *at = *at == '-' ? '_' : *at;
        if (options_set(&sandbox->options, name, sandbox->arguments[i + 1],
                        OPTION_FROM_COMMAND_LINE, why) != OK)
            drill_fail(drill, "%.300s", why);
    }
    if (options_check(&sandbox->options, why) != OK)
        drill_fail(drill, "%.300s", why);
}

/* The daemon's own patience is made for the programs that people run. */
static const char *const *options_of_build(void)
{
    static char deadline[16];
    static const char *const slow[] = {"--heartbeat-deadline-ms", deadline, NULL};
    static const char *const none[] = {NULL};
    struct options usual;
    options_init(&usual);
    snprintf(deadline, sizeof deadline, "%.0f",
             (double)usual.heartbeat_deadline_ms * patience_of_build());
    return patience_of_build() > 1 ? slow : none;
}

void sandbox_set_options(struct drill *drill, const char *const extra[])
{
    struct sandbox *sandbox = &drill->sandbox;
    char db[SANDBOX_PATH], feed[64], source[64], listen[64];
    sandbox->port = free_port(drill);
    snprintf(db, sizeof db, "sqlite:%s", sandbox_path(drill, "moonwatch.db"));
    snprintf(feed, sizeof feed, "http://127.0.0.1:%u", sandbox->market_port);
    snprintf(source, sizeof source, "ws://127.0.0.1:%u/api/data", sandbox->market_port);
    snprintf(listen, sizeof listen, "127.0.0.1:%u", sandbox->port);
    const char *const places[] = {"--db",          keep_text(db),     "--feed",
                                  keep_text(feed), "--source",        keep_text(source),
                                  "--listen",      keep_text(listen), NULL};
    sandbox->arguments[0] = NULL;
    if (!append(sandbox->arguments, SANDBOX_ARGUMENTS, places) ||
        !append(sandbox->arguments, SANDBOX_ARGUMENTS, usual_options) ||
        !append(sandbox->arguments, SANDBOX_ARGUMENTS, options_of_build()) ||
        !append(sandbox->arguments, SANDBOX_ARGUMENTS, extra))
        drill_fail(drill, "too many options for the daemon");
    read_options(drill);
}

static void make_faults(struct drill *drill)
{
    struct sandbox *sandbox = &drill->sandbox;
    int low = memfd_create("moonwatch-faults", MFD_CLOEXEC);
    int fd = low < 0 ? -1 : fcntl(low, F_DUPFD_CLOEXEC, HIGH_FD);
    void *faults = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, sizeof(struct faults)) == 0)
        faults = mmap(NULL, sizeof(struct faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (faults == MAP_FAILED)
        drill_fail(drill, "no memory for the faults: %s", strerror(errno));
    close(low);
    sandbox->faults_fd = fd;
    sandbox->faults = faults;
}

/* In the forked process: as `moonwatch run` does, but for what to start and its faults. */
static _Noreturn void be_supervisor(const struct drill *drill)
{
    const struct sandbox *sandbox = &drill->sandbox;
    const struct options *options = &sandbox->options;
    const struct supervisor_config config = {
        .options = options,
        .arguments = (char *const *)(uintptr_t)sandbox->arguments,
        .program = sandbox->moonwatch,
        .faults = sandbox->faults_fd,
    };
    write_to_log(sandbox_path(drill, "daemon.log"));
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    log_setup((enum log_level)options->log_level, (enum log_format)options->log_format);
    close_range(STDERR_FILENO + 1, (unsigned)sandbox->faults_fd - 1, 0);
    close_range((unsigned)sandbox->faults_fd + 1, ~0U, 0);
    _exit(supervisor_run(&config));
}

static bool daemon_is_ready(struct drill *drill)
{
    int status;
    struct sandbox *sandbox = &drill->sandbox;
    if (waitpid(sandbox->supervisor, &status, WNOHANG) == sandbox->supervisor)
        drill_fail(drill, "the daemon did not start (wait status %#x)", (unsigned)status);
    return look_attach(drill) && look_state(drill, PROCESS_ENGINE) == PROCESS_RUNNING &&
           look_state(drill, PROCESS_API) == PROCESS_RUNNING;
}

void sandbox_start_daemon(struct drill *drill)
{
    struct sandbox *sandbox = &drill->sandbox;
    if (sandbox->faults == NULL)
        make_faults(drill);
    look_detach(drill);
    pid_t parent = getpid();
    pid_t pid = fork_or_fail(drill);
    if (pid == 0) {
        end_with(parent, SIGTERM);
        be_supervisor(drill);
    }
    sandbox->supervisor = pid;
    drill_await(drill, &(struct drill_wait){daemon_is_ready, START_S, "the daemon is ready"});
}

int sandbox_stop_daemon(struct drill *drill)
{
    int status;
    pid_t pid = drill->sandbox.supervisor;
    if (pid == 0)
        return -1;
    drill->sandbox.supervisor = 0;
    kill(pid, SIGTERM);
    if (!sandbox_await_end(pid, STOP_S, &status))
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

pid_t sandbox_pid(const struct drill *drill, enum page_process_id process)
{
    return (pid_t)atomic_load(&drill->sandbox.page->processes[process].pid);
}

void sandbox_signal(struct drill *drill, enum page_process_id process, int number)
{
    pid_t pid = sandbox_pid(drill, process);
    if (pid <= 1 || kill(pid, number) != 0)
        drill_fail(drill, "the %s cannot be given a signal", process_name(process));
}

void sandbox_arm(struct drill *drill, enum fault fault, uint64_t number)
{
    atomic_store_explicit(&drill->sandbox.faults->armed[fault], number, memory_order_release);
}

void sandbox_put_setting(struct drill *drill, const char *name, const char *value)
{
    char path[128], body[64];
    snprintf(path, sizeof path, "/settings/%s", name);
    snprintf(body, sizeof body, "{\"value\":\"%s\"}", value);
    struct http_answer answer = http_ask(&(struct http_question){
        .port = drill->sandbox.port, .method = "PUT", .path = path, .body = body});
    if (answer.status != 200)
        drill_fail(drill, "PUT %s: status %d, %.200s", path, answer.status,
                   answer.body == NULL ? answer.why : answer.body);
    http_forget(&answer);
}

void sandbox_put_budgets(struct drill *drill, const char *value)
{
    static const char *const names[] = {"refresh_requests_per_minute", "screen_requests_per_minute",
                                        "discover_requests_per_minute"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        sandbox_put_setting(drill, names[i], value);
}

/* ---- the log ---- */

/* To be freed; NULL: none. */
static char *read_log(const struct drill *drill, long most)
{
    FILE *file = fopen(sandbox_path(drill, "daemon.log"), "r");
    if (file == NULL)
        return NULL;
    fseek(file, 0, SEEK_END);
    long length = ftell(file);
    long from = length > most ? length - most : 0;
    char *text = calloc(1, (size_t)(length - from) + 1);
    fseek(file, from, SEEK_SET);
    if (text != NULL && fread(text, 1, (size_t)(length - from), file) == 0)
        text[0] = '\0';
    fclose(file);
    return text;
}

/* What happens to single tokens is left out. */
static bool is_worth_showing(const char *line)
{
    return strstr(line, "\"logger\":\"life\"") == NULL;
}

void sandbox_show_log(const struct drill *drill)
{
    char *text = read_log(drill, LOG_SHOWN);
    fprintf(stderr, "---- the end of the daemon's log of %s\n", drill->row->name);
    for (char *line = text == NULL ? NULL : strtok(text, "\n"); line != NULL;
         line = strtok(NULL, "\n"))
        if (is_worth_showing(line))
            fprintf(stderr, "%s\n", line);
    fprintf(stderr, "----\n");
    free(text);
}

bool sandbox_log_says(const struct drill *drill, const char *text)
{
    char *log = read_log(drill, LONG_MAX);
    bool found = log != NULL && strstr(log, text) != NULL;
    free(log);
    return found;
}
