/* See aside.h. */
#include "api/aside.h"

#include "api/answer.h"
#include "api/http_loop.h"
#include <pthread.h>
#include <stdlib.h>

struct aside_job {
    struct request *request; /* NULL: it is nobody's */
    void *state;             /* its own, or the request's */
    aside_work *work;        /* with it; or */
    request_step *handler;   /* the whole of it */
};

struct aside {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool thread_runs;
    bool shut;
    unsigned first, count;
    struct aside_job queue[ASIDE_QUEUE_MAX];
};

/* With the lock held. */
static struct aside_job job_take(struct aside *aside)
{
    struct aside_job job = aside->queue[aside->first];
    aside->first = (aside->first + 1) % ASIDE_QUEUE_MAX;
    aside->count--;
    return job;
}

static void job_do(const struct aside_job *job)
{
    if (job->handler != NULL)
        job->handler(job->request);
    else
        job->work(job->state);
}

static void job_refuse(const struct aside_job *job)
{
    if (job->handler != NULL)
        refuse(job->request, MHD_HTTP_SERVICE_UNAVAILABLE, "shutting down");
}

static void *aside_run(void *argument)
{
    struct aside *aside = argument;
    pthread_mutex_lock(&aside->lock);
    while (!aside->shut || aside->count > 0) {
        if (aside->count == 0) {
            pthread_cond_wait(&aside->changed, &aside->lock);
            continue;
        }
        struct aside_job job = job_take(aside);
        bool shut = aside->shut;
        pthread_mutex_unlock(&aside->lock);
        if (shut)
            job_refuse(&job);
        else
            job_do(&job);
        if (job.request != NULL)
            http_loop_resume(job.request->api->loop, job.request->connection);
        pthread_mutex_lock(&aside->lock);
    }
    pthread_mutex_unlock(&aside->lock);
    return NULL;
}

struct aside *aside_create(void)
{
    struct aside *aside = calloc(1, sizeof *aside);
    if (aside == NULL)
        return NULL;
    pthread_mutex_init(&aside->lock, NULL);
    pthread_cond_init(&aside->changed, NULL);
    aside->thread_runs = pthread_create(&aside->thread, NULL, aside_run, aside) == 0;
    if (aside->thread_runs)
        return aside;
    aside_destroy(aside);
    return NULL;
}

void aside_shut(struct aside *aside)
{
    if (aside == NULL || !aside->thread_runs)
        return;
    pthread_mutex_lock(&aside->lock);
    aside->shut = true;
    pthread_cond_signal(&aside->changed);
    pthread_mutex_unlock(&aside->lock);
    pthread_join(aside->thread, NULL);
    aside->thread_runs = false;
}

void aside_destroy(struct aside *aside)
{
    if (aside == NULL)
        return;
    aside_shut(aside);
    pthread_cond_destroy(&aside->changed);
    pthread_mutex_destroy(&aside->lock);
    free(aside);
}

static void suspend(struct request *request, request_step *next)
{
    request->next = next;
    request->waits = true;
    MHD_suspend_connection(request->connection);
}

static bool job_put(struct aside *aside, const struct aside_job *job, request_step *next)
{
    pthread_mutex_lock(&aside->lock);
    bool taken = !aside->shut && aside->count < ASIDE_QUEUE_MAX;
    if (taken) {
        unsigned at = (aside->first + aside->count++) % ASIDE_QUEUE_MAX;
        aside->queue[at] = *job;
        if (job->request != NULL)
            suspend(job->request, next);
        pthread_cond_signal(&aside->changed);
    }
    pthread_mutex_unlock(&aside->lock);
    return taken;
}

bool aside_post(struct aside *aside, aside_work *work, void *state)
{
    const struct aside_job job = {.work = work, .state = state};
    return job_put(aside, &job, NULL);
}

void aside_ask(struct aside *aside, struct request *request, aside_work *work, request_step *next)
{
    const struct aside_job job = {.request = request, .state = request->state, .work = work};
    if (!job_put(aside, &job, next))
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "too much is asked for; try again");
}

/* It has answered. */
static void do_no_more(struct request *request)
{
    (void)request;
}

void aside_handle(struct aside *aside, struct request *request, request_step *handler)
{
    const struct aside_job job = {.request = request, .handler = handler};
    if (!job_put(aside, &job, do_no_more))
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "too many lists are asked for; try again");
}
