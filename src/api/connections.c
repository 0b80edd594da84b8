/* See connections.h. */
#include "api/connections.h"

#include "api/peers.h"
#include "base/clock.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#define REAP_EVERY_SEC 1

struct entry {
    int fd;
    struct peer *peer; /* NULL: it is not counted */
    _Atomic int64_t deadline_us;
    struct entry *next, *previous;
};

struct connections {
    pthread_mutex_t lock;
    pthread_cond_t ends;
    pthread_t thread;
    bool thread_runs;
    bool is_ending;
    struct entry head; /* of a ring */
    struct peers peers;
    unsigned most_of_address;
};

size_t connections_reap(struct connections *connections, instant now)
{
    size_t reaped = 0;
    /* Under the lock no descriptor is closed: an entry leaves the ring before its own is. */
    pthread_mutex_lock(&connections->lock);
    struct entry *head = &connections->head;
    for (struct entry *at = head->next; at != head; at = at->next) {
        if (atomic_load_explicit(&at->deadline_us, memory_order_relaxed) < now.us) {
            shutdown(at->fd, SHUT_RDWR);
            atomic_store_explicit(&at->deadline_us, INT64_MAX, memory_order_relaxed);
            reaped++;
        }
    }
    pthread_mutex_unlock(&connections->lock);
    return reaped;
}

static void *connections_run(void *argument)
{
    struct connections *connections = argument;
    while (true) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += REAP_EVERY_SEC;
        pthread_mutex_lock(&connections->lock);
        if (!connections->is_ending)
            pthread_cond_timedwait(&connections->ends, &connections->lock, &until);
        bool is_ending = connections->is_ending;
        pthread_mutex_unlock(&connections->lock);
        if (is_ending)
            return NULL;
        connections_reap(connections, clock_now());
    }
}

struct connections *connections_create(unsigned most_of_address)
{
    struct connections *connections = calloc(1, sizeof *connections);
    if (connections == NULL)
        return NULL;
    connections->head.next = connections->head.previous = &connections->head;
    connections->most_of_address = most_of_address;
    pthread_mutex_init(&connections->lock, NULL);
    pthread_cond_init(&connections->ends, NULL);
    if (pthread_create(&connections->thread, NULL, connections_run, connections) != 0) {
        connections_destroy(connections);
        return NULL;
    }
    connections->thread_runs = true;
    return connections;
}

void connections_destroy(struct connections *connections)
{
    if (connections == NULL)
        return;
    pthread_mutex_lock(&connections->lock);
    connections->is_ending = true;
    pthread_cond_signal(&connections->ends);
    pthread_mutex_unlock(&connections->lock);
    if (connections->thread_runs)
        pthread_join(connections->thread, NULL);
    pthread_cond_destroy(&connections->ends);
    pthread_mutex_destroy(&connections->lock);
    free(connections);
}

static void entry_add(struct connections *connections, struct MHD_Connection *connection,
                      void **context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *from =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct entry *entry = info != NULL ? calloc(1, sizeof *entry) : NULL;
    *context = entry;
    if (entry == NULL)
        return; /* the library's own timeout is left */
    entry->fd = info->connect_fd;
    if (from != NULL)
        entry->peer = peers_enter(&connections->peers, peer_key_of(from->client_addr));
    atomic_init(&entry->deadline_us, instant_add(clock_now(), duration_s(CONNECTION_HEAD_SEC)).us);
    pthread_mutex_lock(&connections->lock);
    entry->next = &connections->head;
    entry->previous = connections->head.previous;
    entry->previous->next = entry;
    entry->next->previous = entry;
    pthread_mutex_unlock(&connections->lock);
}

static void entry_remove(struct connections *connections, struct entry *entry)
{
    pthread_mutex_lock(&connections->lock);
    entry->previous->next = entry->next;
    entry->next->previous = entry->previous;
    pthread_mutex_unlock(&connections->lock);
    peers_leave(&connections->peers, entry->peer);
    free(entry);
}

enum MHD_Result connections_admit(void *context, const struct sockaddr *address, socklen_t size)
{
    (void)size;
    const struct connections *connections = context;
    return peers_count(&connections->peers, peer_key_of(address)) < connections->most_of_address
               ? MHD_YES
               : MHD_NO;
}

void connections_on_change(void *context, struct MHD_Connection *connection, void **entry,
                           enum MHD_ConnectionNotificationCode change)
{
    if (change == MHD_CONNECTION_NOTIFY_STARTED) {
        entry_add(context, connection, entry);
    } else if (*entry != NULL) {
        entry_remove(context, *entry);
        *entry = NULL;
    }
}

static struct entry *entry_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

void connection_set_apart(struct connections *connections, struct MHD_Connection *connection)
{
    struct entry *entry = entry_of(connection);
    if (entry == NULL)
        return;
    peers_leave(&connections->peers, entry->peer);
    entry->peer = NULL;
}

void connection_set_deadline(struct MHD_Connection *connection, instant deadline)
{
    struct entry *entry = entry_of(connection);
    if (entry != NULL)
        atomic_store_explicit(&entry->deadline_us, deadline.us, memory_order_relaxed);
}
