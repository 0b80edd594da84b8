/* The thread of a feed worker. See workers.h. */
#include "feed/worker.h"

#include <pthread.h>
#include <string.h>

#define BEATS         2 /* in the time that a heartbeat may take, while nothing is to be done */
#define BEATS_AT_WORK 8 /* … while there is always something */

/* ---- answers ---- */

/* Those that the owner is done with are on top: they are in this core's cache, or were. */
static struct answer_buffer *take_buffer(struct worker *worker)
{
    struct answer_buffer *buffer;
    while ((buffer = handoff_take(&worker->buffers)) != NULL)
        SLIST_INSERT_HEAD(&worker->spare_buffers, buffer, link);
    buffer = SLIST_FIRST(&worker->spare_buffers);
    if (buffer == NULL)
        return malloc(sizeof *buffer);
    SLIST_REMOVE_HEAD(&worker->spare_buffers, link);
    return buffer;
}

static void copy_parsed(struct parsed_answer *to, const struct parsed_answer *from)
{
    memcpy(to->pairs, from->pairs, from->pair_count * sizeof to->pairs[0]);
    memcpy(to->issues, from->issues, sizeof to->issues);
    to->pair_count = from->pair_count;
}

static void say(struct errand *errand, const char *detail)
{
    snprintf(errand->detail, sizeof errand->detail, "%s", detail);
    errand->answer.detail = errand->detail;
}

/* What an answer points to is its feed's, for the call: the errand gets its own. */
static void fill(struct errand *errand, const struct feed_answer *answer)
{
    errand->answer = *answer;
    errand->answer.request = errand->request;
    if (answer->detail != NULL)
        say(errand, answer->detail);
    if (answer->parsed == NULL)
        return;
    errand->buffer = take_buffer(errand->worker);
    if (errand->buffer == NULL) {
        errand->answer.outcome = FEED_CANCELLED;
        errand->answer.parsed = NULL;
        say(errand, "no memory for its pairs");
        return;
    }
    copy_parsed(&errand->buffer->parsed, answer->parsed);
    errand->answer.parsed = &errand->buffer->parsed;
}

static void give_back(struct errand *errand)
{
    struct worker *worker = errand->worker;
    TAILQ_REMOVE(&worker->under_way, errand, threads_link);
    handoff_give(&worker->answers, errand);
    worker->has_news = true;
}

static struct errand *errand_of(uint64_t request)
{
    return (struct errand *)(uintptr_t)request;
}

static void on_received(void *context, uint64_t request)
{
    const struct worker *worker = context;
    const struct errand *errand = errand_of(request);
    if (worker->listener->on_open == NULL)
        return;
    const struct feed_order order = {.request = errand->request,
                                     .kind = errand->kind,
                                     .addresses = errand->addresses,
                                     .count = errand->count,
                                     .tokens = errand->tokens,
                                     .token_count = errand->token_count};
    worker->listener->on_open(worker->listener->context, worker->number, &order);
}

static void on_answer(void *context, const struct feed_answer *answer)
{
    const struct worker *worker = context;
    struct errand *errand = errand_of(answer->request);
    fill(errand, answer);
    if (worker->listener->on_shut != NULL)
        worker->listener->on_shut(worker->listener->context, worker->number);
    give_back(errand);
}

static void put(_Atomic uint64_t *where, uint64_t value)
{
    atomic_store_explicit(where, value, memory_order_relaxed);
}

static void publish_stats(struct worker *worker)
{
    struct feed_stats stats;
    feed_stats(worker->feed, &stats);
    put(&worker->stats.requests, stats.requests);
    put(&worker->stats.bytes_received, stats.bytes_received);
    put(&worker->stats.connections_opened, stats.connections_opened);
    for (int i = 0; i < PAIR_ISSUE_COUNT; i++)
        put(&worker->stats.issues[i], stats.issues[i]);
}

static void beat(struct worker *worker)
{
    worker->beat_at = uv_now(&worker->loop);
    if (worker->listener->on_beat != NULL)
        worker->listener->on_beat(worker->listener->context, worker->number);
}

/* A turn in which something was done is a heartbeat, too, and the timer's may come later. */
static void note_turn(struct worker *worker)
{
    uint64_t deadline_ms = (uint64_t)worker->options.heartbeat_deadline_ms;
    if (uv_now(&worker->loop) - worker->beat_at < deadline_ms / BEATS_AT_WORK)
        return;
    beat(worker);
    uv_timer_again(&worker->beat_timer);
}

/* All that this turn of the loop brought is told of at once. */
static void on_before_waiting(uv_prepare_t *handle)
{
    struct worker *worker = handle->data;
    note_turn(worker);
    if (!worker->has_news)
        return;
    worker->has_news = false;
    publish_stats(worker);
    uv_async_send(worker->news);
}

/* ---- errands ---- */

static bool may_send(void *context)
{
    const struct feed_workers_listener *listener = ((const struct worker *)context)->listener;
    return listener->may_send == NULL || listener->may_send(listener->context);
}

static void refuse(struct errand *errand, enum err err)
{
    char sentence[FEED_DETAIL_SIZE];
    snprintf(sentence, sizeof sentence, "not sent: %s", err_text(err));
    errand->answer = (struct feed_answer){.request = errand->request, .outcome = FEED_CANCELLED};
    say(errand, sentence);
    give_back(errand);
}

static void begin(struct worker *worker, struct errand *errand)
{
    uint64_t request = (uintptr_t)errand;
    TAILQ_INSERT_TAIL(&worker->under_way, errand, threads_link);
    enum err err = feed_send(worker->feed, errand->kind, errand->addresses, errand->count, request);
    if (err != OK)
        refuse(errand, err);
    else if (atomic_load_explicit(&errand->is_cancelled, memory_order_acquire))
        feed_cancel(worker->feed, request);
}

static void cancel_marked(struct worker *worker)
{
    struct errand *errand;
    TAILQ_FOREACH(errand, &worker->under_way, threads_link)
    if (atomic_load_explicit(&errand->is_cancelled, memory_order_acquire))
        feed_cancel(worker->feed, (uintptr_t)errand);
}

/* ---- life ---- */

static void close_handles(void *context)
{
    struct worker *worker = context;
    uv_close((uv_handle_t *)&worker->wake, NULL);
    uv_close((uv_handle_t *)&worker->before_waiting, NULL);
    uv_close((uv_handle_t *)&worker->beat_timer, NULL);
}

static void stop(struct worker *worker)
{
    if (worker->is_ending)
        return;
    worker->is_ending = true;
    worker->has_news = false;
    if (worker->feed != NULL)
        feed_destroy(worker->feed, close_handles);
    else
        close_handles(worker);
}

static void on_wake(uv_async_t *handle)
{
    struct worker *worker = handle->data;
    struct errand *errand;
    if (atomic_load_explicit(&worker->is_stopping, memory_order_acquire)) {
        stop(worker);
        return;
    }
    while ((errand = handoff_take(&worker->errands)) != NULL)
        begin(worker, errand);
    /* One that is marked was given before, but maybe is not taken yet: begin() looks too. */
    if (atomic_exchange_explicit(&worker->has_cancelled, false, memory_order_acquire))
        cancel_marked(worker);
}

static void on_beat_timer(uv_timer_t *timer)
{
    beat(timer->data);
}

static void start_handles(struct worker *worker)
{
    uint64_t beat_ms = (uint64_t)worker->options.heartbeat_deadline_ms / BEATS;
    uv_prepare_init(&worker->loop, &worker->before_waiting);
    uv_timer_init(&worker->loop, &worker->beat_timer);
    worker->before_waiting.data = worker->beat_timer.data = worker;
    uv_prepare_start(&worker->before_waiting, on_before_waiting);
    uv_timer_start(&worker->beat_timer, on_beat_timer, 0, beat_ms);
}

/* One without a feed waits for its end. */
static void get_ready(struct worker *worker)
{
    const struct feed_listener listener = {.context = worker,
                                           .may_send = may_send,
                                           .on_received = on_received,
                                           .on_answer = on_answer};
    worker->feed = feed_create(&worker->loop, &worker->options, &listener, worker->why);
    worker->is_unfit = worker->feed == NULL;
    start_handles(worker);
    uv_sem_post(worker->ready);
}

/* As top(1) and perf(1) show it. */
static void name_thread(const struct worker *worker)
{
    char name[16];
    snprintf(name, sizeof name, "feed-worker-%u", worker->number + 1);
    pthread_setname_np(pthread_self(), name);
}

static void run(void *argument)
{
    struct worker *worker = argument;
    const struct feed_workers_listener *listener = worker->listener;
    name_thread(worker);
    if (listener->on_start != NULL)
        listener->on_start(listener->context, worker->number);
    get_ready(worker);
    uv_run(&worker->loop, UV_RUN_DEFAULT);
    if (listener->on_end != NULL)
        listener->on_end(listener->context, worker->number);
    atomic_store_explicit(&worker->has_ended, true, memory_order_release);
    uv_async_send(worker->news);
}

static void finish_queues(struct worker *worker)
{
    handoff_finish(&worker->errands);
    handoff_finish(&worker->answers);
    handoff_finish(&worker->buffers);
}

enum err worker_init(struct worker *worker, uint32_t errands_max)
{
    TAILQ_INIT(&worker->under_way);
    SLIST_INIT(&worker->spare_buffers);
    worker->wake.data = worker;
    if (handoff_init(&worker->errands, errands_max) == OK &&
        handoff_init(&worker->answers, errands_max) == OK &&
        handoff_init(&worker->buffers, errands_max) == OK && uv_loop_init(&worker->loop) == 0) {
        if (uv_async_init(&worker->loop, &worker->wake, on_wake) == 0)
            return OK;
        uv_loop_close(&worker->loop);
    }
    finish_queues(worker);
    return ERR_NO_MEMORY;
}

enum err worker_start(struct worker *worker)
{
    if (uv_thread_create(&worker->thread, run, worker) == 0)
        return OK;
    uv_close((uv_handle_t *)&worker->wake, NULL);
    uv_run(&worker->loop, UV_RUN_DEFAULT);
    uv_loop_close(&worker->loop);
    finish_queues(worker);
    return ERR_NO_MEMORY;
}

void worker_finish(struct worker *worker)
{
    struct answer_buffer *buffer;
    while ((buffer = handoff_take(&worker->buffers)) != NULL)
        SLIST_INSERT_HEAD(&worker->spare_buffers, buffer, link);
    while ((buffer = SLIST_FIRST(&worker->spare_buffers)) != NULL) {
        SLIST_REMOVE_HEAD(&worker->spare_buffers, link);
        free(buffer);
    }
    uv_loop_close(&worker->loop);
    finish_queues(worker);
}
