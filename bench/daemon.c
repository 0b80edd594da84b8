/* See daemon.h. */
#include "bench/daemon.h"

#include "base/clock.h"
#include "base/log.h"
#include "bench/process.h"
#include "engine/huge.h"
#include "supervisor/control_client.h"
#include "supervisor/supervisor.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define FAULTS_NAME    "faults"
#define HIGH_FD        32 /* above those that the supervisor hands on */
#define START_PATIENCE duration_s(10)
#define STEP_MS        0.5
#define HUGE_LOOK_MS   2200 /* a round begins and is told of within two seconds */
#define HUGE_PATIENCE  duration_s(30)
#define ASK_PATIENCE   duration_s(10)

static bool set_options(struct options *options, const struct daemon_option *wanted)
{
    char why[OPTION_MESSAGE_SIZE] = "";
    options_init(options);
    for (; wanted->name != NULL; wanted++)
        if (options_set(options, wanted->name, wanted->value, OPTION_FROM_COMMAND_LINE, why) !=
            OK) {
            fprintf(stderr, "bench: %s\n", why);
            return false;
        }
    return true;
}

/* As `moonwatch run` hands them on. */
static char *const *make_arguments(const struct daemon_option *wanted)
{
    static char texts[DAEMON_OPTIONS_MAX][OPTION_TEXT_SIZE + 64];
    static char flag[] = "--set";
    static char *arguments[2 * DAEMON_OPTIONS_MAX + 1];
    int count = 0;
    for (int i = 0; i < DAEMON_OPTIONS_MAX && wanted[i].name != NULL; i++) {
        snprintf(texts[i], sizeof texts[i], "%s=%s", wanted[i].name, wanted[i].value);
        arguments[count++] = flag;
        arguments[count++] = texts[i];
    }
    arguments[count] = NULL;
    return arguments;
}

static void live(const struct daemon *daemon, const struct daemon_spec *spec)
{
    int fd = open(FAULTS_NAME, O_RDWR | O_CLOEXEC);
    int faults = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
    if (fd >= 0)
        close(fd);
    log_setup((enum log_level)daemon->options.log_level, LOG_FORMAT_JSON);
    const struct supervisor_config config = {.options = &daemon->options,
                                             .arguments = make_arguments(spec->options),
                                             .program = spec->program,
                                             .faults = faults};
    _exit(supervisor_run(&config));
}

static struct faults *map_faults(const char *folder)
{
    int fd = open(path_in(folder, FAULTS_NAME), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    void *memory =
        fd < 0 || ftruncate(fd, sizeof(struct faults)) != 0
            ? MAP_FAILED
            : mmap(NULL, sizeof(struct faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    return memory == MAP_FAILED ? NULL : memory;
}

static const struct status_page *ask_for_page(const struct daemon *daemon)
{
    char why[PAGE_WHY_SIZE];
    const struct command command = {.kind = COMMAND_STATUS};
    struct control_answer answer = {.page_fd = -1};
    const struct status_page *page = NULL;
    int fd = control_connect(&daemon->options, why);
    if (fd < 0)
        return NULL;
    if (control_ask(fd, &command, duration_s(1), &answer, why) && answer.page_fd >= 0) {
        page = status_page_attach(answer.page_fd, PAGE_READ_ONLY, why);
        close(answer.page_fd);
    }
    close(fd);
    return page;
}

static bool prepare(struct daemon *daemon, const struct daemon_spec *spec)
{
    *daemon = (struct daemon){.pid = -1};
    snprintf(daemon->folder, sizeof daemon->folder, "%s", spec->folder);
    clock_now(); /* begins the timeline that a forked child goes on with */
    return process_has_built(spec->program) && set_options(&daemon->options, spec->options);
}

static bool await_page(struct daemon *daemon)
{
    instant until = instant_add(clock_now(), START_PATIENCE);
    while (daemon->page == NULL && instant_before(clock_now(), until)) {
        daemon->page = ask_for_page(daemon);
        if (daemon->page == NULL)
            sleep_ms(STEP_MS);
    }
    if (daemon->page != NULL)
        return true;
    fprintf(stderr, "bench: the daemon does not start; see %s/log\n", daemon->folder);
    daemon_kill(daemon);
    return false;
}

bool daemon_start(struct daemon *daemon, const struct daemon_spec *spec)
{
    if (!prepare(daemon, spec))
        return false;
    daemon->faults = map_faults(spec->folder);
    if (daemon->faults == NULL)
        return false;
    daemon->pid = process_fork(spec->folder);
    if (daemon->pid == 0)
        live(daemon, spec);
    return await_page(daemon);
}

static void become_moonwatch(const struct daemon_spec *spec, instant *began)
{
    char verb[] = "run";
    char *argv[2 * DAEMON_OPTIONS_MAX + 3] = {(char *)spec->program, verb};
    char *const *arguments = make_arguments(spec->options);
    for (int i = 0; arguments[i] != NULL; i++)
        argv[2 + i] = arguments[i];
    *began = clock_now();
    execv(spec->program, argv);
    fprintf(stderr, "%s: %s\n", spec->program, strerror(errno));
    _exit(1);
}

bool daemon_exec(struct daemon *daemon, const struct daemon_spec *spec, instant *began)
{
    if (!prepare(daemon, spec))
        return false;
    /* The child says when it was. */
    instant *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return false;
    daemon->pid = process_fork(spec->folder);
    if (daemon->pid == 0)
        become_moonwatch(spec, shared);
    bool is_there = await_page(daemon);
    *began = *shared;
    munmap(shared, sizeof *shared);
    return is_there;
}

static uint64_t state_of(const struct daemon *daemon, enum page_process_id process)
{
    return atomic_load(&daemon->page->processes[process].state);
}

bool daemon_await_running(const struct daemon *daemon, duration patience)
{
    instant until = instant_add(clock_now(), patience);
    while (instant_before(clock_now(), until)) {
        if (state_of(daemon, PROCESS_ENGINE) == PROCESS_RUNNING &&
            state_of(daemon, PROCESS_API) == PROCESS_RUNNING)
            return true;
        sleep_ms(1);
    }
    return false;
}

bool daemon_await_loaded(const struct daemon *daemon, duration patience)
{
    instant until = instant_add(clock_now(), patience);
    while (page_get(daemon->page, GAUGE_LOADING) > 0) {
        if (!instant_before(clock_now(), until))
            return false;
        sleep_ms(1);
    }
    return true;
}

void daemon_await_settled(const struct daemon *daemon)
{
    instant until = instant_add(clock_now(), HUGE_PATIENCE);
    bool is_large = daemon_await_loaded(daemon, HUGE_PATIENCE) &&
                    page_get(daemon->page, GAUGE_TABLE_BYTES) >= HUGE_TABLE_MIN;
    double huge = -1;
    while (is_large && page_get(daemon->page, GAUGE_TABLE_HUGE) > huge &&
           instant_before(clock_now(), until)) {
        huge = page_get(daemon->page, GAUGE_TABLE_HUGE);
        sleep_ms(HUGE_LOOK_MS);
    }
}

static void kill_child(const struct daemon *daemon, enum page_process_id process)
{
    pid_t pid = (pid_t)atomic_load(&daemon->page->processes[process].pid);
    if (pid <= 0)
        return;
    kill(pid, SIGKILL);
    while (kill(pid, 0) == 0) /* an orphan: ours now, and reaped by the handler */
        sleep_ms(STEP_MS);
}

/* The supervisor first, or it would heal. */
void daemon_kill(struct daemon *daemon)
{
    process_kill(daemon->pid);
    if (daemon->page != NULL) {
        kill_child(daemon, PROCESS_ENGINE);
        kill_child(daemon, PROCESS_API);
        status_page_detach((struct status_page *)daemon->page);
    }
    if (daemon->faults != NULL)
        munmap(daemon->faults, sizeof *daemon->faults);
    *daemon = (struct daemon){.pid = -1};
}

pid_t daemon_engine(const struct daemon *daemon)
{
    return (pid_t)atomic_load(&daemon->page->processes[PROCESS_ENGINE].pid);
}

instant daemon_engine_ready_at(const struct daemon *daemon)
{
    return (instant){(int64_t)atomic_load(&daemon->page->processes[PROCESS_ENGINE].ready_at_us)};
}

uint64_t daemon_engine_state(const struct daemon *daemon)
{
    return state_of(daemon, PROCESS_ENGINE);
}

instant daemon_await_ready(const struct daemon *daemon, instant since, duration patience)
{
    instant until = instant_add(clock_now(), patience);
    while (instant_before(clock_now(), until)) {
        instant ready_at = daemon_engine_ready_at(daemon);
        if (instant_before(since, ready_at))
            return ready_at;
        sleep_ms(STEP_MS);
    }
    return INSTANT_NEVER;
}

unsigned daemon_port(const struct daemon *daemon)
{
    char line[1024];
    unsigned port = 0;
    FILE *log = fopen(path_in(daemon->folder, "log"), "r");
    while (log != NULL && port == 0 && fgets(line, sizeof line, log) != NULL) {
        const char *at = strstr(line, "\"port\":");
        if (at != NULL && strstr(line, "listening") != NULL)
            port = (unsigned)strtoul(at + strlen("\"port\":"), NULL, 10);
    }
    if (log != NULL)
        fclose(log);
    return port;
}

uint64_t daemon_counter(const struct daemon *daemon, enum counter counter)
{
    return atomic_load(&daemon->page->counters[counter]);
}

static bool ask(const struct daemon *daemon, const struct command *command)
{
    char why[CONTROL_WHY_SIZE] = "";
    struct control_answer answer = {.page_fd = -1};
    int fd = control_connect(&daemon->options, why);
    bool done = fd >= 0 && control_ask(fd, command, ASK_PATIENCE, &answer, why) &&
                answer.reply.result == RESULT_DONE;
    if (fd >= 0)
        close(fd);
    if (!done)
        fprintf(stderr, "bench: the daemon does not do what it is asked: %s\n",
                why[0] != '\0' ? why : answer.reply.message);
    return done;
}

bool daemon_ask(const struct daemon *daemon, enum command_kind kind)
{
    const struct command command = {.kind = kind};
    return ask(daemon, &command);
}

bool daemon_set(const struct daemon *daemon, const char *setting, const char *value)
{
    struct command command = {.kind = COMMAND_SET};
    snprintf(command.setting, sizeof command.setting, "%s", setting);
    snprintf(command.value, sizeof command.value, "%s", value);
    return ask(daemon, &command);
}

static double cpu_of(pid_t pid)
{
    clockid_t clock;
    struct timespec t = {0};
    if (pid > 0 && clock_getcpuclockid(pid, &clock) == 0)
        clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double daemon_cpu_s(const struct daemon *daemon)
{
    double sum = cpu_of(daemon->pid);
    sum += cpu_of((pid_t)atomic_load(&daemon->page->processes[PROCESS_ENGINE].pid));
    return sum + cpu_of((pid_t)atomic_load(&daemon->page->processes[PROCESS_API].pid));
}
