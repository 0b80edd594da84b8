/* The owner's side of feed workers. See workers.h. */
#include "feed/workers.h"

#include "base/log.h"
#include "feed/worker.h"
#include <string.h>

/* Answers taken in one turn of the loop, so that what else is on it gets its turn. */
#define ANSWERS_A_TURN 64
/* Workers are not left without work for longer than so many answers take to handle. */
#define ANSWERS_A_WAKE 8

struct feed_workers {
    struct feed_workers_listener listener;
    uv_async_t news;
    uv_prepare_t before_waiting;
    uv_timer_t end_timer;
    uv_sem_t ready;
    struct errand_list idle, under_way;
    uint32_t errand_count, errands_max;
    bool is_awaited, is_closing, is_left_behind;
    unsigned open_handles;
    void (*on_closed)(void *context, enum feed_workers_end end);
    unsigned count;
    struct worker workers[];
};

/* ---- waking ---- */

void feed_workers_wake(struct feed_workers *workers)
{
    for (unsigned i = 0; i < workers->count; i++) {
        struct worker *worker = &workers->workers[i];
        if (worker->is_wake_due)
            uv_async_send(&worker->wake);
        worker->is_wake_due = false;
    }
}

static void on_before_waiting(uv_prepare_t *handle)
{
    feed_workers_wake(handle->data);
}

/* ---- sending ---- */

/* ERR_FULL, ERR_NO_MEMORY. */
static enum err take_errand(struct feed_workers *workers, struct errand **out)
{
    *out = TAILQ_FIRST(&workers->idle);
    if (*out != NULL) {
        TAILQ_REMOVE(&workers->idle, *out, owners_link);
        return OK;
    }
    if (workers->errand_count >= workers->errands_max)
        return ERR_FULL;
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return ERR_NO_MEMORY;
    workers->errand_count++;
    return OK;
}

static bool is_valid(const struct feed_order *order)
{
    return order->count >= 1 && order->count <= REQUEST_ADDRESSES_MAX &&
           order->token_count <= REQUEST_ADDRESSES_MAX &&
           (order->kind != LANE_DISCOVER || order->count == 1);
}

static struct worker *least_loaded(struct feed_workers *workers)
{
    struct worker *least = &workers->workers[0];
    for (unsigned i = 1; i < workers->count; i++)
        if (workers->workers[i].load < least->load)
            least = &workers->workers[i];
    return least;
}

static void fill(struct errand *errand, const struct feed_order *order)
{
    errand->request = order->request;
    errand->kind = order->kind;
    errand->count = order->count;
    errand->token_count = order->token_count;
    memcpy(errand->addresses, order->addresses, order->count * sizeof *order->addresses);
    memcpy(errand->tokens, order->tokens, order->token_count * sizeof *order->tokens);
    atomic_store_explicit(&errand->is_cancelled, false, memory_order_relaxed);
    errand->buffer = NULL;
}

enum err feed_workers_send(struct feed_workers *workers, const struct feed_order *order)
{
    struct errand *errand;
    if (workers->is_closing)
        return ERR_UNAVAILABLE;
    enum err err = is_valid(order) ? take_errand(workers, &errand) : ERR_INVALID;
    if (err != OK)
        return err;
    fill(errand, order);
    errand->worker = least_loaded(workers);
    errand->worker->load++;
    errand->worker->is_wake_due = true;
    TAILQ_INSERT_TAIL(&workers->under_way, errand, owners_link);
    handoff_give(&errand->worker->errands, errand);
    return OK;
}

void feed_workers_cancel(struct feed_workers *workers, uint64_t request)
{
    struct errand *errand;
    if (workers->is_closing)
        return;
    TAILQ_FOREACH(errand, &workers->under_way, owners_link)
    if (errand->request == request) {
        atomic_store_explicit(&errand->is_cancelled, true, memory_order_release);
        atomic_store_explicit(&errand->worker->has_cancelled, true, memory_order_release);
        errand->worker->is_wake_due = true;
    }
}

/* ---- answers ---- */

static void tell(struct feed_workers *workers, const struct errand *errand)
{
    const struct feed_workers_listener *listener = &workers->listener;
    if (listener->on_received != NULL)
        listener->on_received(listener->context, errand->request);
    listener->on_answer(listener->context, &errand->answer);
}

/* The one used last is the one in the cache. */
static void put_away(struct feed_workers *workers, struct errand *errand)
{
    struct worker *worker = errand->worker;
    if (errand->buffer != NULL)
        handoff_give(&worker->buffers, errand->buffer);
    errand->buffer = NULL;
    worker->load--;
    TAILQ_REMOVE(&workers->under_way, errand, owners_link);
    TAILQ_INSERT_HEAD(&workers->idle, errand, owners_link);
}

/* One of each worker's, in turn. False when nobody has any. */
static bool take_round(struct feed_workers *workers, unsigned *taken)
{
    bool found = false;
    for (unsigned i = 0; i < workers->count && !workers->is_closing; i++) {
        struct errand *errand = handoff_take(&workers->workers[i].answers);
        if (errand == NULL)
            continue;
        found = true;
        tell(workers, errand);
        put_away(workers, errand);
        if (++*taken % ANSWERS_A_WAKE == 0)
            feed_workers_wake(workers);
    }
    return found;
}

static void take_answers(struct feed_workers *workers)
{
    unsigned taken = 0;
    while (taken < ANSWERS_A_TURN && take_round(workers, &taken))
        continue;
    if (taken >= ANSWERS_A_TURN && !workers->is_closing)
        uv_async_send(&workers->news); /* there may be more */
}

void feed_workers_stats(const struct feed_workers *workers, struct feed_stats *out)
{
    *out = (struct feed_stats){0};
    for (unsigned i = 0; i < workers->count; i++) {
        const struct worker_stats *stats = &workers->workers[i].stats;
        out->requests += atomic_load_explicit(&stats->requests, memory_order_relaxed);
        out->bytes_received += atomic_load_explicit(&stats->bytes_received, memory_order_relaxed);
        out->connections_opened +=
            atomic_load_explicit(&stats->connections_opened, memory_order_relaxed);
        for (int k = 0; k < PAIR_ISSUE_COUNT; k++)
            out->issues[k] += atomic_load_explicit(&stats->issues[k], memory_order_relaxed);
        out->in_flight += workers->workers[i].load;
    }
}

/* ---- the end ---- */

static void free_errands(struct errand_list *list)
{
    struct errand *errand;
    while ((errand = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, errand, owners_link);
        free(errand->buffer);
        free(errand);
    }
}

/* What a thread that still runs may touch is left as it is. */
static void release(struct feed_workers *workers)
{
    if (workers->is_left_behind)
        return;
    for (unsigned i = 0; i < workers->count; i++)
        worker_finish(&workers->workers[i]);
    free_errands(&workers->idle);
    free_errands(&workers->under_way);
    uv_sem_destroy(&workers->ready);
    free(workers);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct feed_workers *workers = handle->data;
    if (--workers->open_handles > 0)
        return;
    void (*on_closed)(void *, enum feed_workers_end) = workers->on_closed;
    void *context = workers->listener.context;
    enum feed_workers_end end =
        workers->is_left_behind ? FEED_WORKERS_LEFT_BEHIND : FEED_WORKERS_ENDED;
    release(workers);
    if (on_closed != NULL)
        on_closed(context, end);
}

static void close_handles(struct feed_workers *workers)
{
    workers->open_handles = 3;
    uv_close((uv_handle_t *)&workers->news, on_handle_closed);
    uv_close((uv_handle_t *)&workers->before_waiting, on_handle_closed);
    uv_close((uv_handle_t *)&workers->end_timer, on_handle_closed);
}

static bool has_ended(const struct worker *worker)
{
    return atomic_load_explicit(&worker->has_ended, memory_order_acquire);
}

static bool have_all_ended(const struct feed_workers *workers)
{
    for (unsigned i = 0; i < workers->count; i++)
        if (!has_ended(&workers->workers[i]))
            return false;
    return true;
}

/* Those that have ended. A thread's last act is to send the news: joining it waits for nothing. */
static void join_workers(struct feed_workers *workers)
{
    for (unsigned i = 0; i < workers->count; i++)
        if (has_ended(&workers->workers[i]))
            uv_thread_join(&workers->workers[i].thread);
}

static void end_if_all_ended(struct feed_workers *workers)
{
    if (workers->open_handles > 0 || !have_all_ended(workers))
        return;
    join_workers(workers);
    close_handles(workers);
}

static void on_end_timer(uv_timer_t *timer)
{
    struct feed_workers *workers = timer->data;
    if (workers->open_handles > 0)
        return;
    log_error("feed", "a worker does not end; its thread is left behind");
    workers->is_left_behind = true;
    join_workers(workers);
    close_handles(workers);
}

static void on_news(uv_async_t *handle)
{
    struct feed_workers *workers = handle->data;
    if (!workers->is_closing)
        take_answers(workers);
    if (workers->is_closing)
        end_if_all_ended(workers);
}

void feed_workers_destroy(struct feed_workers *workers,
                          void (*on_closed)(void *context, enum feed_workers_end end))
{
    if (workers == NULL || workers->is_closing)
        return;
    workers->is_closing = true;
    workers->on_closed = on_closed;
    for (unsigned i = 0; i < workers->count; i++) {
        workers->workers[i].is_wake_due = false;
        atomic_store_explicit(&workers->workers[i].is_stopping, true, memory_order_release);
        uv_async_send(&workers->workers[i].wake);
    }
    uv_update_time(workers->end_timer.loop);
    uv_timer_start(&workers->end_timer, on_end_timer, FEED_WORKERS_END_MS, 0);
    uv_async_send(&workers->news); /* none may have begun */
}

/* ---- the beginning ---- */

unsigned feed_workers_count(const struct options *options)
{
    unsigned cores = uv_available_parallelism();
    unsigned wanted = (unsigned)options->feed_workers;
    if (wanted == 0)
        wanted = cores > 1 ? cores - 1 : 1;
    if (wanted > (unsigned)options->feed_connections)
        wanted = (unsigned)options->feed_connections;
    return wanted < FEED_WORKERS_MAX ? wanted : FEED_WORKERS_MAX;
}

/* The first ones get what cannot be shared out evenly. */
static int64_t share_of(int64_t connections, unsigned number, unsigned count)
{
    return connections / count + (number < connections % count);
}

static enum err start_worker(struct feed_workers *workers, const struct options *options,
                             unsigned wanted)
{
    struct worker *worker = &workers->workers[workers->count];
    worker->listener = &workers->listener;
    worker->options = *options;
    worker->number = workers->count;
    worker->options.feed_connections = share_of(options->feed_connections, worker->number, wanted);
    worker->news = &workers->news;
    worker->ready = &workers->ready;
    enum err err = worker_init(worker, workers->errands_max);
    if (err == OK)
        err = worker_start(worker);
    workers->count += err == OK;
    return err;
}

/* False: nothing was made. */
static bool start_handles(struct feed_workers *workers, uv_loop_t *loop)
{
    if (uv_sem_init(&workers->ready, 0) != 0)
        return false;
    if (uv_async_init(loop, &workers->news, on_news) != 0) {
        uv_sem_destroy(&workers->ready);
        return false;
    }
    uv_prepare_init(loop, &workers->before_waiting);
    uv_timer_init(loop, &workers->end_timer);
    workers->news.data = workers->before_waiting.data = workers->end_timer.data = workers;
    uv_prepare_start(&workers->before_waiting, on_before_waiting);
    return true;
}

static struct feed_workers *allocate(uv_loop_t *loop, unsigned count)
{
    struct feed_workers *workers = calloc(1, sizeof *workers + count * sizeof workers->workers[0]);
    if (workers == NULL)
        return NULL;
    TAILQ_INIT(&workers->idle);
    TAILQ_INIT(&workers->under_way);
    if (start_handles(workers, loop))
        return workers;
    free(workers);
    return NULL;
}

struct feed_workers *feed_workers_create(uv_loop_t *loop, const struct options *options,
                                         const struct feed_workers_listener *listener,
                                         char why[OPTION_MESSAGE_SIZE])
{
    unsigned count = feed_workers_count(options);
    snprintf(why, OPTION_MESSAGE_SIZE, "no memory or no threads for %u feed workers", count);
    struct feed_workers *workers = allocate(loop, count);
    if (workers == NULL)
        return NULL;
    workers->listener = *listener;
    workers->errands_max = (uint32_t)options->requests_in_flight_max * LANE_KIND_COUNT;
    while (workers->count < count)
        if (start_worker(workers, options, count) != OK) {
            feed_workers_destroy(workers, NULL);
            return NULL;
        }
    return workers;
}

bool feed_workers_await(struct feed_workers *workers, char why[OPTION_MESSAGE_SIZE])
{
    for (unsigned i = 0; i < workers->count && !workers->is_awaited; i++)
        uv_sem_wait(&workers->ready);
    workers->is_awaited = true;
    for (unsigned i = 0; i < workers->count; i++)
        if (workers->workers[i].is_unfit) {
            snprintf(why, OPTION_MESSAGE_SIZE, "%s", workers->workers[i].why);
            return false;
        }
    return true;
}
