/* See process.h. */
#include "api/process.h"

#include "api/api.h"
#include "base/clock.h"
#include "base/log.h"
#include "page/confinement.h"
#include "page/inherited.h"
#include "page/state_dir.h"
#include "page/table_memory.h"
#include "store/relay.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOGGER "api"

struct process {
    const struct options *options;
    struct status_page *page;
    struct table_memory table;
    struct listen_socket listening;
    int signals; /* descriptor */
    struct api *api;
};

static void report(enum report_kind kind, const char *why)
{
    struct report report = {.kind = kind};
    snprintf(report.why, sizeof report.why, "%s", why);
    /* A supervisor that takes no report is dead, which its link tells, or is full of ours. */
    if (send(FD_LINK, &report, sizeof report, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_warning(LOGGER, "the supervisor took no report", LOG_STRING("error", strerror(errno)));
}

/* ---- the start ---- */

static bool attach_table(struct process *process, char why[PAGE_WHY_SIZE])
{
    enum table_fault fault;
    enum err err = table_memory_attach_shared(&process->table, FD_TABLE, &fault);
    if (err != OK)
        snprintf(why, PAGE_WHY_SIZE, "the token table can't be mapped: %s%s%s", err_text(err),
                 fault == TABLE_SOUND ? "" : ": ",
                 fault == TABLE_SOUND ? "" : table_fault_text(fault));
    return err == OK;
}

/* What was inherited, taken up. False: it is not what this program works with. */
static bool attach(struct process *process, char why[PAGE_WHY_SIZE])
{
    process->page = status_page_attach(FD_PAGE, PAGE_READ_WRITE, why);
    if (process->page == NULL)
        return false;
    clock_share(&process->page->clock);
    log_share(&process->page->log, PROCESS_API);
    crash_arm(&process->page->crashes[PROCESS_API]);
    if (!attach_table(process, why))
        return false;
    if (listen_inherit(FD_LISTEN, &process->listening))
        return true;
    snprintf(why, PAGE_WHY_SIZE, "the inherited socket does not listen");
    return false;
}

/* Before there are threads, so that signals go to nobody but signalfd. Should the supervisor die
 * before the request to be told, its link has ended. */
static void take_signals(struct process *process)
{
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &wanted, NULL);
    process->signals = signalfd(-1, &wanted, SFD_CLOEXEC);
    signal(SIGPIPE, SIG_IGN); /* a client that hangs up is an error of that write */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
}

/* Each client that listens to /events keeps one; a usual limit is 1,024. */
static void allow_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* A server's database is the engine's to ask. */
static const char *store_url(const struct options *options)
{
    static char relay[sizeof RELAY_SCHEME + 12];
    snprintf(relay, sizeof relay, RELAY_SCHEME "%d", FD_HISTORY);
    return database_path(options) != NULL ? options->db : relay;
}

static bool serve(struct process *process, char why[PAGE_WHY_SIZE])
{
    confine_process(PROCESS_API, process->options, process->page);
    const struct api_world world = {
        .table = process->table.table,
        .page = process->page,
        .store_url = store_url(process->options),
        .command_fd = FD_COMMAND,
        .options = process->options,
        .listening = &process->listening,
    };
    process->api = api_start(&world, why);
    return process->api != NULL;
}

/* ---- the end ---- */

/* What the supervisor sends on the link is no business of ours; its end is. */
static bool link_has_ended(void)
{
    char message[64];
    ssize_t size = recv(FD_LINK, message, sizeof message, MSG_DONTWAIT);
    return size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR);
}

static void wait_for_end(const struct process *process)
{
    struct pollfd fds[] = {{.fd = process->signals, .events = POLLIN},
                           {.fd = FD_LINK, .events = POLLIN}};
    while (true) {
        poll(fds, 2, -1);
        if (fds[0].revents != 0) {
            log_info(LOGGER, "stopping: answering what was begun");
            return;
        }
        if (fds[1].revents != 0 && link_has_ended()) {
            log_warning(LOGGER, "the supervisor is gone; stopping");
            return;
        }
    }
}

static void release(struct process *process)
{
    if (process->signals >= 0)
        close(process->signals);
    table_memory_finish(&process->table);
    /* The page stays mapped: the clock lies there, and a log line may still be written. */
}

int api_process(const struct options *options)
{
    struct process process = {.options = options, .table = {.fd = -1}};
    char why[PAGE_WHY_SIZE] = "";
    int status = API_DONE;
    take_signals(&process);
    allow_descriptors();
    if (!attach(&process, why)) {
        log_error(LOGGER, why);
        report(REPORT_REFUSED, why);
        status = API_REFUSED;
    } else if (!serve(&process, why)) {
        log_error(LOGGER, why);
        status = API_FAILED;
    } else {
        report(REPORT_READY, "");
        wait_for_end(&process);
        api_stop(process.api);
    }
    release(&process);
    return status;
}
