/* See runner.h. */
#include "drill/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOLDERS_OPEN_MAX 16
#define TURN_MS          100
#define DEATH_S          5 /* killed processes take milliseconds */
#define ENVIRONMENT_MAX  32
#define PLACE_BYTES      (512ULL << 20) /* a sandbox takes 30 MiB, of which most is SQLite's log */

struct runner {
    const struct runner_plan *plan;
    struct runner_run *runs;
    size_t count;
    char folder[PATH_MAX / 2];
    int signal_fd;
    bool is_interrupted;
};

/* ---- starting one ---- */

static bool make_folder(const struct runner *runner, struct runner_run *run)
{
    snprintf(run->folder, sizeof run->folder, "%s/%s", runner->folder, run->row->name);
    return mkdir(run->folder, 0700) == 0;
}

/* Nothing of the caller's decides a drill: neither options nor proxies nor systemd's socket. What
 * sanitizers and coverage tools want is let through. */
static void clear_environment(void)
{
    static const char *const kept[] = {"PATH=", "HOME=", "TMPDIR=", "LANG=", "TZ="};
    static char *clean[ENVIRONMENT_MAX + 1];
    size_t count = 0;
    for (char **at = environ; *at != NULL && count < ENVIRONMENT_MAX; at++) {
        bool is_kept = strstr(*at, "SAN_OPTIONS=") != NULL || strncmp(*at, "GCOV", 4) == 0 ||
                       strncmp(*at, "LLVM_PROFILE", 12) == 0;
        for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
            is_kept = is_kept || strncmp(*at, kept[i], strlen(kept[i])) == 0;
        if (is_kept)
            clean[count++] = *at;
    }
    environ = clean;
}

static _Noreturn void be_drill(const struct runner *runner, const struct runner_run *run,
                               int result_fd)
{
    sigset_t none;
    sigemptyset(&none);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* Orphans of a supervisor that was killed are ours, to see how they end. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    sigprocmask(SIG_SETMASK, &none, NULL);
    clear_environment();
    drill_run(run->row, &(struct drill_place){.folder = run->folder,
                                              .moonwatch = runner->plan->moonwatch,
                                              .market = runner->plan->market,
                                              .result_fd = result_fd});
}

static void fail_run(struct runner_run *run, const char *why)
{
    run->state = RUN_DONE;
    run->result =
        (struct drill_result){.verdict = DRILL_FAILED, .noticed_s = NAN, .recovered_s = NAN};
    snprintf(run->result.reason, sizeof run->result.reason, "%s", why);
}

static void start_run(struct runner *runner, struct runner_run *run)
{
    int ends[2];
    if (!make_folder(runner, run) || pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        fail_run(run, "no folder or pipe for the drill");
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        be_drill(runner, run, ends[1]);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        fail_run(run, "no further process");
        return;
    }
    setpgid(pid, pid); /* whoever of us two is first */
    run->pid = pid;
    run->pipe = ends[0];
    run->state = RUN_RUNNING;
    patience_start(&run->patience, run->row->limit_s);
}

static unsigned count_running(const struct runner *runner, bool *has_lonely)
{
    unsigned running = 0;
    *has_lonely = false;
    for (size_t i = 0; i < runner->count; i++) {
        if (runner->runs[i].state != RUN_RUNNING)
            continue;
        running++;
        *has_lonely = *has_lonely || runner->runs[i].row->company == DRILL_ALONE;
    }
    return running;
}

static void start_what_may(struct runner *runner)
{
    for (size_t i = 0; i < runner->count; i++) {
        struct runner_run *run = &runner->runs[i];
        bool has_lonely;
        unsigned running = count_running(runner, &has_lonely);
        if (has_lonely || running >= runner->plan->at_once)
            return;
        if (run->state == RUN_WAITING && (running == 0 || run->row->company == DRILL_PAIRED))
            start_run(runner, run);
    }
}

/* ---- ending one ---- */

/* Orphans come to us when their parents have died: again, until nobody is left. */
static void kill_group(pid_t group)
{
    struct patience patience;
    patience_start(&patience, DEATH_S);
    while (kill(-group, SIGKILL) == 0 && !patience_is_over(&patience)) {
        while (waitpid(-group, NULL, WNOHANG) > 0)
            continue;
        rest_ms(1);
    }
    while (waitpid(-group, NULL, WNOHANG) > 0)
        continue;
}

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
    (void)status, (void)flag, (void)walk;
    return remove(path);
}

static void remove_folder(const char *path)
{
    nftw(path, remove_entry, FOLDERS_OPEN_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void clean_up(const struct runner *runner, const struct runner_run *run)
{
    char disk[PATH_MAX + 8];
    kill_group(run->pid);
    snprintf(disk, sizeof disk, "%s/" DRILL_DISK, run->folder);
    umount2(disk, MNT_DETACH);
    if (runner->plan->sandboxes == RUNNER_REMOVES)
        remove_folder(run->folder);
    close(run->pipe);
}

static void finish_run(struct runner *runner, struct runner_run *run, const char *why)
{
    ssize_t size = read(run->pipe, &run->result, sizeof run->result);
    run->state = RUN_DONE;
    if (size != (ssize_t)sizeof run->result)
        fail_run(run, why);
    clean_up(runner, run);
}

/* ---- all of them ---- */

static void look_at_run(struct runner *runner, struct runner_run *run)
{
    struct pollfd waiting = {.fd = run->pipe, .events = POLLIN};
    if (run->state != RUN_RUNNING)
        return;
    if (poll(&waiting, 1, 0) == 1) {
        finish_run(runner, run, "the drill itself ended without a verdict");
    } else if (patience_is_over(&run->patience)) {
        kill(-run->pid, SIGKILL);
        finish_run(runner, run, "not over within its time");
    }
}

static void wait_a_turn(struct runner *runner)
{
    struct pollfd polls[RUNNER_AT_ONCE_MAX + 1] = {{.fd = runner->signal_fd, .events = POLLIN}};
    nfds_t count = 1;
    for (size_t i = 0; i < runner->count; i++)
        if (runner->runs[i].state == RUN_RUNNING)
            polls[count++] = (struct pollfd){.fd = runner->runs[i].pipe, .events = POLLIN};
    poll(polls, count, TURN_MS);
    runner->is_interrupted = (polls[0].revents & POLLIN) != 0;
}

static bool is_over(const struct runner *runner)
{
    for (size_t i = 0; i < runner->count; i++)
        if (runner->runs[i].state != RUN_DONE)
            return false;
    return true;
}

/* TMPDIR decides. Otherwise memory, where there is enough: drills are about the daemon, and a disk
 * that somebody else keeps busy makes an fsync wait for seconds. */
static const char *choose_place(void)
{
    const char *wanted = getenv("TMPDIR");
    struct statvfs memory;
    if (wanted != NULL && *wanted != '\0')
        return wanted;
    bool is_roomy = statvfs("/dev/shm", &memory) == 0 && access("/dev/shm", W_OK) == 0 &&
                    memory.f_bavail * memory.f_frsize >= PLACE_BYTES;
    return is_roomy ? "/dev/shm" : "/tmp";
}

static bool open_runner(struct runner *runner, char why[RUNNER_WHY_SIZE])
{
    sigset_t signals;
    snprintf(runner->folder, sizeof runner->folder, "%.500s/moonwatch-drill-XXXXXX",
             choose_place());
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    runner->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (runner->signal_fd >= 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 &&
        mkdtemp(runner->folder) != NULL)
        return true;
    snprintf(why, RUNNER_WHY_SIZE, "no sandbox in %.200s: %s", runner->folder, strerror(errno));
    return false;
}

static void close_runner(struct runner *runner)
{
    for (size_t i = 0; i < runner->count; i++)
        if (runner->runs[i].state == RUN_RUNNING)
            finish_run(runner, &runner->runs[i], "interrupted");
    if (runner->plan->sandboxes == RUNNER_REMOVES)
        remove_folder(runner->folder);
    else
        fprintf(stderr, "the sandboxes are kept in %s\n", runner->folder);
    close(runner->signal_fd);
}

bool runner_run(const struct runner_plan *plan, struct runner_run *runs, size_t count,
                char why[RUNNER_WHY_SIZE])
{
    struct runner runner = {.plan = plan, .runs = runs, .count = count};
    if (!open_runner(&runner, why))
        return false;
    while (!is_over(&runner) && !runner.is_interrupted) {
        start_what_may(&runner);
        wait_a_turn(&runner);
        for (size_t i = 0; i < count; i++)
            look_at_run(&runner, &runs[i]);
    }
    close_runner(&runner);
    if (runner.is_interrupted)
        snprintf(why, RUNNER_WHY_SIZE, "interrupted; everything is cleaned up");
    return !runner.is_interrupted;
}
