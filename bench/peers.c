/* See peers.h. */
#include "bench/peers.h"

#include "base/log.h"
#include "bench/process.h"
#include "supervisor/supervisor.h"
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define CONFIG_SIZE (8 * PATH_MAX)

/* ---- bare: what cannot be done faster from user space ---- */

static void become_worker(const char *worker, pid_t parent)
{
    char *const argv[] = {(char *)worker, NULL};
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == parent)
        execv(worker, argv);
    _exit(1);
}

static void supervise_bare(const char *worker)
{
    pid_t parent = getpid();
    while (true) {
        siginfo_t info;
        pid_t pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork): the yardstick */
        if (pid == 0)
            become_worker(worker, parent); /* NOLINT(clang-analyzer-unix.Vfork): system calls */
        if (pid < 0 || waitid(P_PID, (id_t)pid, &info, WEXITED) != 0)
            _exit(1);
    }
}

static pid_t start_bare(struct peer_run *run)
{
    pid_t pid = process_fork(run->folder);
    if (pid == 0)
        supervise_bare(run->worker);
    return pid;
}

/* ---- ours ---- */

static void set(struct options *options, const char *name, const char *value)
{
    char why[OPTION_MESSAGE_SIZE];
    if (options_set(options, name, value, OPTION_FROM_COMMAND_LINE, why) == OK)
        return;
    fprintf(stderr, "bench: %s\n", why);
    _exit(1);
}

/* The whole supervisor, with the worker in the places of engine and api. */
static pid_t start_ours(struct peer_run *run)
{
    static char stamps[] = STAMPS_NAME;
    static char *const arguments[] = {stamps, NULL};
    struct options options;
    pid_t pid = process_fork(run->folder);
    if (pid != 0)
        return pid;
    options_init(&options);
    set(&options, "listen", "127.0.0.1:0");
    set(&options, "state_dir", "state");
    log_setup(LOG_INFO, LOG_FORMAT_JSON);
    const struct supervisor_config config = {
        .options = &options, .arguments = arguments, .program = run->worker, .faults = -1};
    _exit(supervisor_run(&config));
}

/* ---- runit and s6: a folder with a program named run ---- */

static bool link_worker(const struct peer_run *run)
{
    const char *path = path_in(run->folder, "run");
    if (symlink(run->worker, path) == 0)
        return true;
    perror(path);
    return false;
}

static pid_t start_runit(struct peer_run *run)
{
    const char *const argv[] = {"runsv", run->folder, NULL};
    return link_worker(run) ? process_run(run->folder, argv) : -1;
}

static pid_t start_s6(struct peer_run *run)
{
    const char *const argv[] = {"s6-supervise", run->folder, NULL};
    return link_worker(run) && write_text(path_in(run->folder, "notification-fd"), 0644, "3\n")
               ? process_run(run->folder, argv)
               : -1;
}

/* ---- supervisord ---- */

static pid_t start_supervisord(struct peer_run *run)
{
    char text[CONFIG_SIZE];
    const char *const argv[] = {"supervisord", "-n", "-c", "supervisord.conf", NULL};
    snprintf(text, sizeof text,
             "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\n"
             "pidfile=%s/pid\nchildlogdir=%s\n"
             "[program:worker]\ncommand=%s %s/" STAMPS_NAME
             "\nautorestart=true\nstdout_logfile=NONE\nstderr_logfile=NONE\n",
             run->folder, run->folder, run->worker, run->folder);
    return write_text(path_in(run->folder, "supervisord.conf"), 0600, text)
               ? process_run(run->folder, argv)
               : -1;
}

/* ---- monit: looks once a second at the soonest ---- */

static pid_t start_monit(struct peer_run *run)
{
    char text[CONFIG_SIZE];
    const char *f = run->folder;
    const char *const argv[] = {"monit", "-I", "-c", "monitrc", "-p", "monit.pid", NULL};
    snprintf(text, sizeof text,
             "set daemon 1\nset log %s/monit.log\nset idfile %s/id\nset statefile %s/monit.state\n"
             "check process worker with pidfile %s/worker.pid\n"
             "  start program = \"%s %s/" STAMPS_NAME " %s/worker.pid\"\n",
             f, f, f, f, run->worker, f, f);
    return write_text(path_in(f, "monitrc"), 0600, text) ? process_run(f, argv) : -1;
}

/* ---- systemd --user ---- */

/* It runs only where the system was booted with systemd, or seems to have been: in a mount
 * namespace of its own it does. Its session bus and journal are not needed. */
static const char systemd_script[] =
    "set -e\n"
    "mount -t tmpfs none /run/systemd\n"
    "mkdir /run/systemd/system\n"
    "export XDG_RUNTIME_DIR=$PWD/runtime SYSTEMD_UNIT_PATH=$PWD/units:/usr/lib/systemd/user\n"
    "export SYSTEMD_LOG_TARGET=null\n"
    "exec /lib/systemd/systemd --user --unit=worker.service\n";

static bool write_unit(const struct peer_run *run, int watchdog_ms)
{
    char text[CONFIG_SIZE], watchdog[128] = "";
    if (watchdog_ms > 0)
        snprintf(watchdog, sizeof watchdog,
                 "Type=notify\nNotifyAccess=all\nWatchdogSec=%dms\nWatchdogSignal=SIGKILL\n",
                 watchdog_ms);
    snprintf(text, sizeof text,
             "[Unit]\nDefaultDependencies=no\nStartLimitIntervalSec=0\n"
             "[Service]\nExecStart=%s %s/" STAMPS_NAME "\nRestart=always\nRestartSec=0\n"
             "StandardOutput=null\nStandardError=null\n%s",
             run->worker, run->folder, watchdog);
    return make_folder(path_in(run->folder, "units")) &&
           make_folder(path_in(run->folder, "runtime")) &&
           write_text(path_in(run->folder, "units/worker.service"), 0644, text) &&
           write_text(path_in(run->folder, "start.sh"), 0700, systemd_script);
}

pid_t peer_start_systemd(struct peer_run *run, int watchdog_ms)
{
    const char *const argv[] = {"unshare", "--mount", "sh", "start.sh", NULL};
    return write_unit(run, watchdog_ms) ? process_run(run->folder, argv) : -1;
}

static pid_t start_systemd(struct peer_run *run)
{
    return peer_start_systemd(run, 0);
}

/* ---- all of them ---- */

static const struct peer peers[PEER_COUNT] = {
    [PEER_BARE] = {"bare", {NULL}, false, 5, 2000, start_bare},
    [PEER_OURS] = {"ours", {NULL}, false, 5, 2000, start_ours},
    [PEER_RUNIT] = {"runit", {"runsv"}, false, 5, 4000, start_runit},
    [PEER_S6] = {"s6", {"s6-supervise"}, false, 5, 4000, start_s6},
    [PEER_SUPERVISORD] = {"supervisord", {"supervisord"}, false, 1, 8000, start_supervisord},
    [PEER_MONIT] = {"monit", {"monit"}, false, 1, 15000, start_monit},
    [PEER_SYSTEMD] =
        {"systemd_user", {"/lib/systemd/systemd", "unshare"}, true, 1, 4000, start_systemd},
};

const struct peer *peer_row(int index)
{
    return &peers[index];
}

const char *peer_missing(const struct peer *peer)
{
    static char why[128];
    for (int i = 0; i < 3 && peer->programs[i] != NULL; i++) {
        if (process_has_program(peer->programs[i]))
            continue;
        snprintf(why, sizeof why, "not available here: there is no %s", peer->programs[i]);
        return why;
    }
    if (peer->needs_root && getuid() != 0)
        return "not available here: takes root, for a mount namespace";
    return NULL;
}

bool peer_start(const struct peer *peer, const char *folder, const char *worker,
                struct peer_run *out)
{
    *out = (struct peer_run){.worker = worker, .pid = -1};
    snprintf(out->folder, sizeof out->folder, "%s", folder);
    if (!process_has_built(worker) || !make_folder(folder))
        return false;
    out->stamps = stamps_map(path_in(folder, STAMPS_NAME), O_CREAT | O_TRUNC);
    if (out->stamps == NULL)
        return false;
    out->pid = peer->start(out);
    if (out->pid > 0)
        return true;
    peer_stop(out);
    return false;
}

/* The supervisor first, or it would start another worker. */
void peer_stop(struct peer_run *run)
{
    process_kill(run->pid);
    if (run->stamps != NULL) {
        pid_t worker = (pid_t)stamps_newest(run->stamps).pid;
        if (worker > 0)
            kill(worker, SIGKILL);
        munmap(run->stamps, sizeof *run->stamps);
    }
    run->stamps = NULL;
    run->pid = -1;
}

double peer_signal_worker(const struct peer *peer, struct peer_run *run, int number)
{
    uint32_t known = atomic_load(&run->stamps->count);
    pid_t worker = (pid_t)stamps_newest(run->stamps).pid;
    int64_t signalled_ns = stamps_now_ns();
    if (worker <= 0 || kill(worker, number) != 0 ||
        !stamps_await(run->stamps, known, (int64_t)peer->patience_ms))
        return NAN;
    return (double)(stamps_newest(run->stamps).at_ns - signalled_ns) / 1e6;
}
