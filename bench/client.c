/* See client.h. */
#include "bench/client.h"

#include "base/prompt.h"
#include "bench/process.h"
#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ANSWERS_MAX (1 << 20) /* a day's at the paces we use */
#define BUFFER_SIZE (1 << 20) /* a page of tokens takes 150 kB */
#define PATIENCE_S  10

struct client {
    struct client_spec spec;
    char request[256];
    pthread_t thread;
    pthread_mutex_t mutex; /* of the measured */
    float *ms;
    size_t count, failures;
    size_t bytes;
    _Atomic bool is_ending;
    int fd; /* −1: none */
    char buffer[BUFFER_SIZE];
};

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- one answer ---- */

static void hang_up(struct client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

static bool call(struct client *client)
{
    const int on = 1;
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)client->spec.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return connect(client->fd, (struct sockaddr *)&address, sizeof address) == 0;
}

/* Of the whole answer; 0: its headers are not all there. */
static size_t expected_length(const struct client *client, size_t length)
{
    const char *end = memmem(client->buffer, length, "\r\n\r\n", 4);
    const char *announced = strcasestr(client->buffer, "\r\nContent-Length:");
    if (end == NULL || announced == NULL || announced > end)
        return 0;
    return (size_t)(end + 4 - client->buffer) + strtoull(announced + 17, NULL, 10);
}

static bool read_answer(struct client *client)
{
    size_t length = 0, expected = 0;
    while (length < BUFFER_SIZE - 1 && (expected == 0 || length < expected)) {
        ssize_t size = recv(client->fd, client->buffer + length, BUFFER_SIZE - 1 - length, 0);
        if (size <= 0)
            return false;
        length += (size_t)size;
        client->buffer[length] = '\0';
        if (expected == 0)
            expected = expected_length(client, length);
    }
    client->bytes = length;
    return length == expected && strncmp(client->buffer, "HTTP/1.1 200", 12) == 0;
}

static bool ask(struct client *client)
{
    size_t length = strlen(client->request);
    bool is_good = (client->fd >= 0 || call(client)) &&
                   send(client->fd, client->request, length, MSG_NOSIGNAL) == (ssize_t)length &&
                   read_answer(client);
    if (!is_good || client->spec.kind == CLIENT_NEW)
        hang_up(client);
    return is_good;
}

/* ---- the thread ---- */

static void note(struct client *client, bool is_good, double ms)
{
    pthread_mutex_lock(&client->mutex);
    if (!is_good)
        client->failures++;
    else if (client->count < ANSWERS_MAX)
        client->ms[client->count++] = (float)ms;
    pthread_mutex_unlock(&client->mutex);
}

static void *run(void *argument)
{
    struct client *client = argument;
    double due = now_ms();
    prompt_thread();
    while (!atomic_load(&client->is_ending)) {
        double began = now_ms();
        bool is_good = ask(client);
        double ended = now_ms();
        note(client, is_good, ended - began);
        due = fmax(due + client->spec.interval_ms, ended);
        sleep_ms(due - ended);
    }
    hang_up(client);
    return NULL;
}

struct client *client_start(const struct client_spec *spec)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return NULL;
    client->spec = *spec;
    client->fd = -1;
    client->ms = malloc(ANSWERS_MAX * sizeof *client->ms);
    snprintf(client->request, sizeof client->request,
             "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", spec->path, spec->port);
    pthread_mutex_init(&client->mutex, NULL);
    if (client->ms != NULL && pthread_create(&client->thread, NULL, run, client) == 0)
        return client;
    free(client->ms);
    free(client);
    return NULL;
}

void client_stop(struct client *client)
{
    if (client == NULL)
        return;
    atomic_store(&client->is_ending, true);
    pthread_join(client->thread, NULL);
    pthread_mutex_destroy(&client->mutex);
    free(client->ms);
    free(client);
}

/* ---- what was measured ---- */

void client_forget(struct client *client)
{
    pthread_mutex_lock(&client->mutex);
    client->count = client->failures = 0;
    pthread_mutex_unlock(&client->mutex);
}

size_t client_count(struct client *client)
{
    pthread_mutex_lock(&client->mutex);
    size_t count = client->count;
    pthread_mutex_unlock(&client->mutex);
    return count;
}

size_t client_failures(struct client *client)
{
    pthread_mutex_lock(&client->mutex);
    size_t failures = client->failures;
    pthread_mutex_unlock(&client->mutex);
    return failures;
}

size_t client_bytes(const struct client *client)
{
    return client->bytes;
}

static int by_size(const void *a, const void *b)
{
    const float *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

double client_quantile(struct client *client, double share)
{
    double value = NAN;
    pthread_mutex_lock(&client->mutex);
    qsort(client->ms, client->count, sizeof *client->ms, by_size);
    if (client->count > 0)
        value = (double)client->ms[(size_t)(share * (double)(client->count - 1))];
    pthread_mutex_unlock(&client->mutex);
    return value;
}
