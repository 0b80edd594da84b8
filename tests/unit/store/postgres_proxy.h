/*
 * Between a store and its server, on a Unix socket of its own: passes bytes on, until it is told to
 * cut the connection at a place that no server can be made to cut it at. One connection at a time;
 * one that comes after a cut is passed on again.
 */
#ifndef MOONWATCH_TESTS_POSTGRES_PROXY_H
#define MOONWATCH_TESTS_POSTGRES_PROXY_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum proxy_cut {
    PROXY_WHOLE,
    PROXY_CUT_REQUEST, /* what the client sends next gets lost, and the connection with it */
    PROXY_CUT_COMMIT,  /* the server commits, and its answer gets lost */
    PROXY_SILENT,      /* what the server says gets lost; the connection stays */
};

struct proxy {
    char folder[64], target[64]; /* of the sockets */
    _Atomic int cut;             /* enum proxy_cut */
    atomic_int cuts;
    atomic_bool is_ending;
    int listening;
    pthread_t thread;
};

static inline struct sockaddr_un proxy_address(const char *folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/.s.PGSQL.5432", folder);
    return address;
}

static inline bool proxy_holds(const char *bytes, size_t length, const char *word)
{
    return memmem(bytes, length, word, strlen(word)) != NULL;
}

/* False: the connection is over. */
static inline bool proxy_pass(struct proxy *proxy, int from, int to, bool is_answer)
{
    char bytes[65536];
    ssize_t length = read(from, bytes, sizeof bytes);
    int cut = atomic_load(&proxy->cut);
    if (length <= 0)
        return false;
    bool is_cut =
        (cut == PROXY_CUT_REQUEST && !is_answer) ||
        (cut == PROXY_CUT_COMMIT && is_answer && proxy_holds(bytes, (size_t)length, "COMMIT"));
    if (is_cut) {
        atomic_store(&proxy->cut, PROXY_WHOLE);
        atomic_fetch_add(&proxy->cuts, 1);
        return false;
    }
    if (cut == PROXY_SILENT && is_answer)
        return true;
    return send(to, bytes, (size_t)length, MSG_NOSIGNAL) == length;
}

static inline void proxy_serve(struct proxy *proxy, int client)
{
    struct sockaddr_un address = proxy_address(proxy->target);
    int behind = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool goes_on = connect(behind, (struct sockaddr *)&address, sizeof address) == 0;
    while (goes_on && !atomic_load(&proxy->is_ending)) {
        struct pollfd fds[] = {{.fd = client, .events = POLLIN}, {.fd = behind, .events = POLLIN}};
        if (poll(fds, 2, 20) <= 0)
            continue;
        if (fds[0].revents != 0)
            goes_on = proxy_pass(proxy, client, behind, false);
        if (goes_on && fds[1].revents != 0)
            goes_on = proxy_pass(proxy, behind, client, true);
    }
    close(behind);
}

static inline void *proxy_run(void *argument)
{
    struct proxy *proxy = argument;
    while (!atomic_load(&proxy->is_ending)) {
        struct pollfd fd = {.fd = proxy->listening, .events = POLLIN};
        if (poll(&fd, 1, 20) <= 0)
            continue;
        int client = accept(proxy->listening, NULL, NULL);
        proxy_serve(proxy, client);
        close(client);
    }
    return NULL;
}

static inline void proxy_start(struct proxy *proxy, const char *target)
{
    *proxy = (struct proxy){.folder = "/tmp/moonwatch-proxy-XXXXXX"};
    assert_non_null(mkdtemp(proxy->folder));
    snprintf(proxy->target, sizeof proxy->target, "%s", target);
    struct sockaddr_un address = proxy_address(proxy->folder);
    proxy->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(proxy->listening, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(proxy->listening, 8), 0);
    assert_int_equal(pthread_create(&proxy->thread, NULL, proxy_run, proxy), 0);
}

static inline void proxy_finish(struct proxy *proxy)
{
    struct sockaddr_un address = proxy_address(proxy->folder);
    if (*proxy->folder == '\0')
        return;
    atomic_store(&proxy->is_ending, true);
    pthread_join(proxy->thread, NULL);
    close(proxy->listening);
    unlink(address.sun_path);
    rmdir(proxy->folder);
    *proxy->folder = '\0';
}

#endif
