#include "base/parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

struct parallel {
    parallel_work *work;
    void *context;
    uint32_t count;
    _Atomic uint32_t next;
    _Atomic uint32_t workers;
};

static void *work_on(void *argument)
{
    struct parallel *parallel = argument;
    uint32_t worker = atomic_fetch_add(&parallel->workers, 1), piece;
    while ((piece = atomic_fetch_add(&parallel->next, 1)) < parallel->count)
        parallel->work(parallel->context, worker, piece);
    return NULL;
}

static uint32_t helpers_wanted(uint32_t count)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t threads = cores < 1                      ? 1
                       : cores > PARALLEL_THREADS_MAX ? PARALLEL_THREADS_MAX
                                                      : (uint32_t)cores;
    return (threads < count ? threads : count) - (count > 0);
}

void parallel_do(uint32_t count, parallel_work *work, void *context)
{
    struct parallel parallel = {.work = work, .context = context, .count = count};
    pthread_t threads[PARALLEL_THREADS_MAX];
    uint32_t started = 0, wanted = helpers_wanted(count);
    while (started < wanted && pthread_create(&threads[started], NULL, work_on, &parallel) == 0)
        started++;
    work_on(&parallel);
    for (uint32_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}
