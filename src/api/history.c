/* See history.h. */
#include "api/history.h"

#include "api/answer.h"
#include "api/http_loop.h"
#include "base/clock.h"
#include "base/log.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define COMMIT_POLL_MS 20

struct history_job {
    struct request *request;
    struct history_query *query;
    instant asked_at;
};

struct history {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool thread_runs;
    bool shut;
    unsigned first, count;
    struct history_job queue[HISTORY_QUEUE_MAX];
    char url[OPTION_TEXT_SIZE];
    const struct status_page *page;
    struct store_reader *reader;
    bool complained;
};

static bool reader_is_open(struct history *history)
{
    char why[512];
    if (history->reader == NULL)
        history->reader = store_reader_open(history->url, why);
    if (history->reader == NULL && !history->complained) {
        log_warning("api", "score history can't be read", LOG_STRING("cause", why));
        history->complained = true;
    }
    return history->reader != NULL;
}

int history_read_snapshots(struct history_query *base, struct store_reader *reader)
{
    struct snapshots_query *query = (struct snapshots_query *)base;
    return store_reader_snapshots(reader, base->token, base->newest_id, query->snapshots,
                                  query->limit);
}

static void answer_query(struct history *history, struct history_query *query)
{
    query->count = -1;
    if (!reader_is_open(history))
        return;
    query->count = query->read(query, history->reader);
    if (query->count < 0) {
        store_reader_close(history->reader);
        history->reader = NULL;
    } else {
        history->complained = false;
    }
}

static bool is_committed(const struct history *history, const struct history_job *job)
{
    uint64_t newest = atomic_load_explicit(&history->page->newest_snapshot, memory_order_acquire);
    return (int64_t)newest >= job->query->newest_id;
}

static bool is_ready(const struct history *history, const struct history_job *job, instant now)
{
    return history->shut || is_committed(history, job) ||
           duration_to_ms(instant_diff(now, job->asked_at)) >= HISTORY_COMMIT_WAIT_MS;
}

/* Takes the first job that is ready. */
static bool job_take(struct history *history, struct history_job *out)
{
    instant now = clock_now();
    for (unsigned i = 0; i < history->count; i++) {
        struct history_job *job = &history->queue[(history->first + i) % HISTORY_QUEUE_MAX];
        if (!is_ready(history, job, now))
            continue;
        *out = *job;
        *job = history->queue[history->first];
        history->first = (history->first + 1) % HISTORY_QUEUE_MAX;
        history->count--;
        return true;
    }
    return false;
}

static void wait_for_change(struct history *history)
{
    if (history->count == 0) {
        pthread_cond_wait(&history->changed, &history->lock);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += COMMIT_POLL_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_cond_timedwait(&history->changed, &history->lock, &until);
}

static void *history_run(void *argument)
{
    struct history *history = argument;
    pthread_mutex_lock(&history->lock);
    while (!history->shut || history->count > 0) {
        struct history_job job;
        if (!job_take(history, &job)) {
            wait_for_change(history);
            continue;
        }
        bool shut = history->shut;
        pthread_mutex_unlock(&history->lock);
        if (shut)
            job.query->count = -1;
        else
            answer_query(history, job.query);
        http_loop_resume(job.request->api->loop, job.request->connection);
        pthread_mutex_lock(&history->lock);
    }
    pthread_mutex_unlock(&history->lock);
    return NULL;
}

struct history *history_create(const char *store_url, const struct status_page *page)
{
    struct history *history = calloc(1, sizeof *history);
    if (history == NULL)
        return NULL;
    snprintf(history->url, sizeof history->url, "%s", store_url);
    history->page = page;
    pthread_mutex_init(&history->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&history->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&history->thread, NULL, history_run, history) != 0) {
        history_destroy(history);
        return NULL;
    }
    history->thread_runs = true;
    return history;
}

void history_shut(struct history *history)
{
    if (history == NULL || !history->thread_runs)
        return;
    pthread_mutex_lock(&history->lock);
    history->shut = true;
    pthread_cond_signal(&history->changed);
    pthread_mutex_unlock(&history->lock);
    pthread_join(history->thread, NULL);
    history->thread_runs = false;
}

void history_destroy(struct history *history)
{
    if (history == NULL)
        return;
    history_shut(history);
    store_reader_close(history->reader);
    pthread_cond_destroy(&history->changed);
    pthread_mutex_destroy(&history->lock);
    free(history);
}

static void free_state(struct request *request)
{
    free(request->state);
}

void history_ask(struct request *request, struct history_query *query, request_step *next)
{
    request->state = query;
    request->state_free = free_state;
    struct history *history = request->api->history;
    pthread_mutex_lock(&history->lock);
    bool taken = !history->shut && history->count < HISTORY_QUEUE_MAX;
    if (taken) {
        unsigned at = (history->first + history->count++) % HISTORY_QUEUE_MAX;
        history->queue[at] =
            (struct history_job){.request = request, .query = query, .asked_at = clock_now()};
        request->next = next;
        request->waits = true;
        MHD_suspend_connection(request->connection);
        pthread_cond_signal(&history->changed);
    }
    pthread_mutex_unlock(&history->lock);
    if (!taken)
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "too many reads of history; try again");
}
