#include "feed/curl_loop.h"
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

/* A socket in error is still read this often, since what came before the error is data. */
#define SOCKET_ERRORS_MAX 64

/* So many transfers can be found unable to go on in one call of libcurl's; more would wait until
 * their time is over. */
#define UNWATCHED_MAX 64

/* libcurl lets go of a connection after each transfer and takes it up again for the next. To tell
 * the kernel each time would cost six system calls, so a connection that is KEPT is watched until
 * its socket is closed. */
struct socket_watch {
    uv_poll_t poll;
    int events;   /* that libcurl waits for; 0: none, the connection is idle */
    int watching; /* that we do */
    bool is_kept;
    unsigned errors;
    curl_socket_t socket;
    struct curl_loop *owner;
    TAILQ_ENTRY(socket_watch) link;
};

struct curl_loop {
    CURLM *multi; /* NULL once it closes */
    uv_loop_t *loop;
    uv_timer_t timer;
    TAILQ_HEAD(, socket_watch) watches;
    size_t open_handles;
    CURL *unwatched[UNWATCHED_MAX]; /* transfers whose socket can't be watched, to be ended */
    size_t unwatched_count;
    curl_loop_on_done *on_done;
    void *context;
    void (*on_closed)(void *context);
    void *closed_context;
};

static CURLcode global_result;

static void start_libcurl(void)
{
    global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void on_handle_closed(struct curl_loop *curl_loop)
{
    if (--curl_loop->open_handles > 0 || curl_loop->multi != NULL)
        return;
    void (*on_closed)(void *) = curl_loop->on_closed;
    void *context = curl_loop->closed_context;
    free(curl_loop);
    if (on_closed != NULL)
        on_closed(context);
}

static void end(struct curl_loop *curl_loop, CURL *easy, CURLcode code)
{
    curl_multi_remove_handle(curl_loop->multi, easy);
    curl_loop->on_done(curl_loop->context, easy, code);
}

/* Tells of finished transfers until there are none, or until one of them ended it all. */
static void report_done(struct curl_loop *curl_loop)
{
    int left;
    CURLMsg *message;
    while (curl_loop->multi != NULL &&
           (message = curl_multi_info_read(curl_loop->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE)
            end(curl_loop, message->easy_handle, message->data.result);
    }
}

static void watch_for(struct socket_watch *watch, int events);

static void forget_unwatched(struct curl_loop *curl_loop, const CURL *easy)
{
    size_t kept = 0;
    for (size_t i = 0; i < curl_loop->unwatched_count; i++)
        if (curl_loop->unwatched[i] != easy)
            curl_loop->unwatched[kept++] = curl_loop->unwatched[i];
    curl_loop->unwatched_count = kept;
}

static void note_unwatched(struct curl_loop *curl_loop, CURL *easy)
{
    forget_unwatched(curl_loop, easy);
    if (curl_loop->unwatched_count < UNWATCHED_MAX)
        curl_loop->unwatched[curl_loop->unwatched_count++] = easy;
}

static void end_unwatched(struct curl_loop *curl_loop)
{
    while (curl_loop->multi != NULL && curl_loop->unwatched_count > 0)
        end(curl_loop, curl_loop->unwatched[--curl_loop->unwatched_count],
            CURLE_ABORTED_BY_CALLBACK);
}

static void act(struct curl_loop *curl_loop, curl_socket_t socket, int events)
{
    int running;
    if (curl_loop->multi == NULL)
        return;
    curl_multi_socket_action(curl_loop->multi, socket, events, &running);
    end_unwatched(curl_loop);
    report_done(curl_loop);
}

/* libuv stops watching a socket in error. libcurl that is told of nothing but an error gives up
 * without reading, and a reply that a reset followed would be lost. */
static int revive(struct socket_watch *watch)
{
    watch->watching = 0;
    if (++watch->errors > SOCKET_ERRORS_MAX)
        return CURL_CSELECT_ERR;
    watch_for(watch, watch->events);
    return CURL_CSELECT_ERR | CURL_CSELECT_IN | CURL_CSELECT_OUT;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct socket_watch *watch = poll->data;
    if (watch->events == 0) {
        watch_for(watch, 0); /* of an idle connection, libcurl looks itself before it is used */
        return;
    }
    int flags = status < 0 ? revive(watch) : 0;
    flags |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
    flags |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    act(watch->owner, watch->socket, flags);
}

static void on_timer(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct socket_watch *watch = handle->data;
    struct curl_loop *owner = watch->owner;
    free(watch);
    on_handle_closed(owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_handle_closed(handle->data);
}

static void watch_for(struct socket_watch *watch, int events)
{
    if (events == watch->watching)
        return;
    watch->watching = events;
    if (events == 0 || uv_poll_start(&watch->poll, events, on_poll) != 0)
        uv_poll_stop(&watch->poll);
}

static void drop_watch(struct socket_watch *watch)
{
    TAILQ_REMOVE(&watch->owner->watches, watch, link);
    uv_poll_stop(&watch->poll);
    uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

static struct socket_watch *add_watch(struct curl_loop *curl_loop, curl_socket_t socket)
{
    struct socket_watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL)
        return NULL;
    *watch = (struct socket_watch){.socket = socket, .owner = curl_loop, .poll.data = watch};
    if (uv_poll_init_socket(curl_loop->loop, &watch->poll, socket) != 0) {
        free(watch);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&curl_loop->watches, watch, link);
    curl_loop->open_handles++;
    return watch;
}

static struct socket_watch *find_watch(struct curl_loop *curl_loop, curl_socket_t socket)
{
    struct socket_watch *watch;
    TAILQ_FOREACH(watch, &curl_loop->watches, link)
    if (watch->socket == socket)
        return watch;
    return NULL;
}

static void let_go(struct socket_watch *watch)
{
    watch->events = 0;
    watch->errors = 0;
    if (!watch->is_kept)
        drop_watch(watch);
}

/* libcurl says what it waits for on a socket. It is never told that this failed: libcurl 7.88 would
 * call its multi handle dead then, ask for no timer any more, and let all other transfers wait for
 * ever. Those that can't go on are ended when it has returned. */
static int on_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *assigned)
{
    struct curl_loop *curl_loop = context;
    struct socket_watch *watch = assigned != NULL ? assigned : find_watch(curl_loop, socket);
    if (what == CURL_POLL_REMOVE) {
        if (watch != NULL)
            let_go(watch);
        return 0;
    }
    if (watch == NULL)
        watch = add_watch(curl_loop, socket);
    if (watch != NULL) {
        if (assigned == NULL)
            curl_multi_assign(curl_loop->multi, socket, watch);
        watch->events = what & CURL_POLL_IN ? UV_READABLE : 0;
        watch->events |= what & CURL_POLL_OUT ? UV_WRITABLE : 0;
        watch_for(watch, watch->events);
    }
    if (watch == NULL || watch->watching != watch->events)
        note_unwatched(curl_loop, easy);
    return 0;
}

void curl_loop_keep(struct curl_loop *curl_loop, curl_socket_t socket)
{
    struct socket_watch *watch = add_watch(curl_loop, socket);
    if (watch != NULL)
        watch->is_kept = true;
}

int curl_loop_close_socket(void *context, curl_socket_t socket)
{
    struct socket_watch *watch = find_watch(context, socket);
    if (watch != NULL)
        drop_watch(watch);
    return close(socket);
}

static int on_timeout(CURLM *multi, long timeout_ms, void *context)
{
    struct curl_loop *curl_loop = context;
    (void)multi;
    if (timeout_ms < 0)
        return uv_timer_stop(&curl_loop->timer);
    return uv_timer_start(&curl_loop->timer, on_timer, (uint64_t)timeout_ms, 0);
}

static bool set_up(struct curl_loop *curl_loop)
{
    CURLM *multi = curl_loop->multi;
    return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, curl_loop) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timeout) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_TIMERDATA, curl_loop) == CURLM_OK;
}

struct curl_loop *curl_loop_create(uv_loop_t *loop, curl_loop_on_done *on_done, void *context)
{
    static uv_once_t once = UV_ONCE_INIT;
    uv_once(&once, start_libcurl);
    struct curl_loop *curl_loop = global_result == CURLE_OK ? calloc(1, sizeof(*curl_loop)) : NULL;
    if (curl_loop == NULL)
        return NULL;
    curl_loop->multi = curl_multi_init();
    if (curl_loop->multi == NULL || !set_up(curl_loop) ||
        uv_timer_init(loop, &curl_loop->timer) != 0) {
        curl_multi_cleanup(curl_loop->multi);
        free(curl_loop);
        return NULL;
    }
    curl_loop->loop = loop;
    curl_loop->on_done = on_done;
    curl_loop->context = context;
    curl_loop->timer.data = curl_loop;
    curl_loop->open_handles = 1;
    TAILQ_INIT(&curl_loop->watches);
    return curl_loop;
}

CURLM *curl_loop_multi(struct curl_loop *curl_loop)
{
    return curl_loop->multi;
}

enum err curl_loop_add(struct curl_loop *curl_loop, CURL *easy)
{
    CURLMcode code = curl_multi_add_handle(curl_loop->multi, easy);
    if (code == CURLM_OK)
        return OK;
    return code == CURLM_OUT_OF_MEMORY ? ERR_NO_MEMORY : ERR_INVALID;
}

void curl_loop_remove(struct curl_loop *curl_loop, CURL *easy)
{
    forget_unwatched(curl_loop, easy);
    curl_multi_remove_handle(curl_loop->multi, easy);
}

void curl_loop_destroy(struct curl_loop *curl_loop, void (*on_closed)(void *context), void *context)
{
    if (curl_loop == NULL)
        return;
    CURLM *multi = curl_loop->multi;
    curl_loop->on_closed = on_closed;
    curl_loop->closed_context = context;
    /* While their sockets are open: another thread may have the numbers of closed ones. */
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, NULL);
    while (!TAILQ_EMPTY(&curl_loop->watches))
        drop_watch(TAILQ_FIRST(&curl_loop->watches));
    curl_multi_cleanup(multi);
    curl_loop->multi = NULL;
    uv_close((uv_handle_t *)&curl_loop->timer, on_timer_closed);
}
