/* See http_loop.h. */
#include "api/http_loop.h"

#include "api/pulse.h"
#include "base/clock.h"
#include "base/prompt.h"
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define DRAIN_TURN_MS 5

struct http_loop {
    struct http_loop_parts parts;
    pthread_t thread;
    bool thread_runs;
    int wake_fd;
    int epoll_fd; /* the library's */
    _Atomic bool is_woken;
    _Atomic bool is_ending;
};

static void wake(struct http_loop *loop)
{
    if (!atomic_exchange_explicit(&loop->is_woken, true, memory_order_acq_rel))
        eventfd_write(loop->wake_fd, 1);
}

void http_loop_resume(struct http_loop *loop, struct MHD_Connection *connection)
{
    MHD_resume_connection(connection);
    wake(loop);
}

/* How long the library can wait: not at all while it has work in hand, less where a connection's
 * timeout ends. */
static int wait_of(const struct http_loop *loop, int most_ms)
{
    MHD_UNSIGNED_LONG_LONG ms;
    if (MHD_get_timeout(loop->parts.daemon, &ms) != MHD_YES || ms > (unsigned)most_ms)
        return most_ms;
    return (int)ms;
}

static void turn(struct http_loop *loop, int most_ms)
{
    int wait_ms = wait_of(loop, most_ms);
    if (wait_ms > 0) {
        struct pollfd fds[] = {{.fd = loop->epoll_fd, .events = POLLIN},
                               {.fd = loop->wake_fd, .events = POLLIN}};
        poll(fds, 2, wait_ms);
        if (fds[1].revents != 0) {
            eventfd_t count;
            eventfd_read(loop->wake_fd, &count);
            /* Before the library looks: who resumes from here on wakes us again. */
            atomic_store_explicit(&loop->is_woken, false, memory_order_seq_cst);
        }
    }
    pulse();
    MHD_run(loop->parts.daemon);
}

/* Who had connected and whose request is still on its way is answered, too. */
static bool is_drained(const struct http_loop *loop, instant lingers_until)
{
    if (*loop->parts.requests_open > 0)
        return false;
    const union MHD_DaemonInfo *connections =
        MHD_get_daemon_info(loop->parts.daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    return !instant_before(clock_now(), lingers_until) ||
           (connections != NULL && connections->num_connections == 0);
}

static void drain(struct http_loop *loop)
{
    instant now = clock_now();
    instant until = instant_add(now, duration_ms(HTTP_DRAIN_MS));
    instant lingers_until = instant_add(now, duration_ms(HTTP_LINGER_MS));
    /* Taken out of the library, so that the next api on the same socket gets who comes now. */
    int listen_fd = MHD_quiesce_daemon(loop->parts.daemon);
    do
        turn(loop, DRAIN_TURN_MS);
    while (!is_drained(loop, lingers_until) && instant_before(clock_now(), until));
    if (listen_fd >= 0)
        close(listen_fd);
}

static void *run(void *argument)
{
    struct http_loop *loop = argument;
    pulse_begin(loop->parts.page, BEAT_API_HTTP, loop->parts.options);
    prompt_thread(); /* somebody waits for each answer, and what takes long is done aside */
    while (!atomic_load_explicit(&loop->is_ending, memory_order_acquire))
        turn(loop, pulse_turn_ms(loop->parts.options));
    drain(loop);
    pulse_end();
    return NULL;
}

struct http_loop *http_loop_create(void)
{
    struct http_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return NULL;
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd >= 0)
        return loop;
    free(loop);
    return NULL;
}

bool http_loop_start(struct http_loop *loop, const struct http_loop_parts *parts)
{
    loop->parts = *parts;
    const union MHD_DaemonInfo *epoll =
        MHD_get_daemon_info(parts->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (epoll == NULL)
        return false;
    loop->epoll_fd = epoll->epoll_fd;
    const struct pulse_thread thread = {parts->page, BEAT_API_HTTP, run, loop};
    loop->thread_runs = pulse_thread_start(&thread, &loop->thread);
    return loop->thread_runs;
}

void http_loop_stop(struct http_loop *loop)
{
    if (loop == NULL || !loop->thread_runs)
        return;
    atomic_store_explicit(&loop->is_ending, true, memory_order_release);
    wake(loop);
    pthread_join(loop->thread, NULL);
    loop->thread_runs = false;
}

void http_loop_destroy(struct http_loop *loop)
{
    if (loop == NULL)
        return;
    http_loop_stop(loop);
    close(loop->wake_fd);
    free(loop);
}
