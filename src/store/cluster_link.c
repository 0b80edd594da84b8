/* The loop's side of a cluster's link, and what its threads hand over. See cluster_link.h. */
#include "store/cluster_link.h"

#include "base/heap.h"
#include "base/log.h"
#include "store/cluster_link_impl.h"
#include "store/postgres_leases.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

/* News of one turn of the loop: what they cost must not be felt elsewhere. */
#define NEWS_A_TURN 4

/* ---- for the threads ---- */

enum err link_connect(struct postgres_link *to, const struct cluster_link *link, const char *what,
                      double answer_s, int64_t *node)
{
    struct postgres_schema schema;
    char name[64], sql[64];
    snprintf(name, sizeof name, "moonwatch %s %s", link->name, what);
    snprintf(sql, sizeof sql, "SET statement_timeout=%.0f", answer_s * 1000 - 500);
    enum err err = postgres_link_connect(to, name);
    if (err == OK)
        err = postgres_schema_open(to, &schema);
    if (err == OK)
        err = postgres_take_way(to, schema.identity, false);
    if (err == OK)
        err = postgres_schema_find_node(to, node);
    if (err == OK)
        err = postgres_link_run(to, sql, "set up");
    if (err == OK)
        err = postgres_link_run(to, POSTGRES_NODE_IDLE_MAX, "set up");
    if (err == OK)
        err = postgres_link_look_for_notify(to);
    if (err != OK)
        postgres_link_close(to);
    postgres_link_set_deadline(to, answer_s);
    return err;
}

bool link_is_stopping(struct cluster_link *link)
{
    uv_mutex_lock(&link->mutex);
    bool is_stopping = link->is_stopping;
    uv_mutex_unlock(&link->mutex);
    return is_stopping;
}

struct link_news *link_make_news(enum link_news_kind kind)
{
    struct link_news *news = calloc(1, sizeof *news);
    if (news == NULL)
        heap_exhausted("news of other nodes"); /* half a kilobyte */
    news->kind = kind;
    return news;
}

static void free_news(struct link_news *news)
{
    if (news->kind == NEWS_TOKENS) {
        free(news->batch);
    } else if (news->kind == NEWS_SETTING) {
        free(news->setting.name);
        free(news->setting.value);
    }
    free(news);
}

bool link_hand_over(struct cluster_link *link, struct link_news *news)
{
    bool is_batch = news->kind == NEWS_TOKENS;
    uv_mutex_lock(&link->mutex);
    while (!link->is_stopping && (link->news.count >= LINK_NEWS_MAX ||
                                  (is_batch && link->batches >= CLUSTER_LINK_BATCHES)))
        uv_cond_wait(&link->drained, &link->mutex);
    bool is_taken = !link->is_stopping;
    if (is_taken && !fifo_push(&link->news, &news))
        heap_exhausted("news of other nodes"); /* a pointer */
    link->batches += is_taken && is_batch;
    uv_mutex_unlock(&link->mutex);
    if (is_taken)
        uv_async_send(&link->async);
    else
        free_news(news);
    return is_taken;
}

static void wake_follower(const struct cluster_link *link)
{
    uint64_t one = 1;
    if (write(link->wake, &one, sizeof one) < 0)
        return; /* it is full, so it wakes */
}

void link_want_round(struct cluster_link *link)
{
    uv_mutex_lock(&link->mutex);
    link->is_round_wanted = true;
    uv_mutex_unlock(&link->mutex);
    wake_follower(link);
}

/* ---- delivering ---- */

static void deliver(struct cluster_link *link, const struct link_news *news)
{
    const struct cluster_link_callbacks *call = &link->callbacks;
    switch (news->kind) {
    case NEWS_TOKENS:
        if (call->on_tokens != NULL)
            call->on_tokens(call->context, news->batch->tokens, news->batch->count,
                            news->batch->has_pools);
        break;
    case NEWS_FOLLOWED:
        if (call->on_followed != NULL)
            call->on_followed(call->context, news->round);
        break;
    case NEWS_SETTING:
        if (call->on_setting != NULL)
            call->on_setting(call->context, news->setting.name, news->setting.value);
        break;
    case NEWS_ORDER:
        if (call->on_order != NULL)
            call->on_order(call->context, &news->order);
        break;
    }
}

/* NULL: there is none. */
static struct link_news *take_news(struct cluster_link *link)
{
    struct link_news *news = NULL;
    uv_mutex_lock(&link->mutex);
    if (!link->is_stopping && fifo_pop(&link->news, &news)) {
        link->batches -= news->kind == NEWS_TOKENS;
        uv_cond_signal(&link->drained);
    }
    uv_mutex_unlock(&link->mutex);
    return news;
}

/* A callback may give an order, or end the link. */
static void deliver_news(struct cluster_link *link)
{
    struct link_news *news;
    int count = 0;
    while (count < NEWS_A_TURN && (news = take_news(link)) != NULL) {
        deliver(link, news);
        count += news->kind == NEWS_TOKENS || news->kind == NEWS_ORDER;
        free_news(news);
    }
    if (count == NEWS_A_TURN)
        uv_async_send(&link->async);
}

static void deliver_reply(struct cluster_link *link)
{
    struct cluster_reply reply;
    uv_mutex_lock(&link->mutex);
    bool has_reply = link->has_reply && !link->is_stopping;
    bool is_notified = link->is_notified && !link->is_stopping;
    if (has_reply)
        reply = link->reply;
    link->has_reply = link->is_notified = false;
    uv_mutex_unlock(&link->mutex);
    if (has_reply && link->callbacks.on_reply != NULL)
        link->callbacks.on_reply(link->callbacks.context, &reply);
    if (is_notified && link->callbacks.on_notified != NULL)
        link->callbacks.on_notified(link->callbacks.context);
}

static void on_async(uv_async_t *async)
{
    deliver_reply(async->data);
    deliver_news(async->data);
}

/* ---- beginning and end ---- */

static void release(struct cluster_link *link)
{
    struct link_news *news;
    while (fifo_pop(&link->news, &news))
        free_news(news);
    fifo_finish(&link->news);
    fifo_finish(&link->orders);
    if (link->wake >= 0)
        close(link->wake);
    uv_cond_destroy(&link->drained);
    uv_cond_destroy(&link->asked);
    uv_mutex_destroy(&link->mutex);
    free(link);
}

static void on_closed(uv_handle_t *handle)
{
    release(handle->data);
}

/* NULL with a sentence: no such URL, or one without node=. */
static struct cluster_link *create(const char *url, char why[512])
{
    struct postgres_link parsed;
    if (postgres_link_init(&parsed, url) != OK) {
        snprintf(why, 512, "%s", parsed.message);
        return NULL;
    }
    struct cluster_link *link = parsed.has_node ? calloc(1, sizeof *link) : NULL;
    if (link == NULL) {
        snprintf(why, 512,
                 parsed.has_node ? "out of memory"
                                 : "a node of several needs node=NAME in its database's URL");
        return NULL;
    }
    snprintf(link->url, sizeof link->url, "%s", url);
    snprintf(link->name, sizeof link->name, "%s", parsed.node);
    link->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    link->gone_after = CLUSTER_GONE_AFTER;
    fifo_init(&link->news, sizeof(struct link_news *));
    fifo_init(&link->orders, sizeof(struct waiting_order));
    uv_mutex_init(&link->mutex);
    uv_cond_init(&link->asked);
    uv_cond_init(&link->drained);
    return link;
}

static void end_threads(struct cluster_link *link)
{
    uv_mutex_lock(&link->mutex);
    link->is_stopping = true;
    uv_cond_signal(&link->asked);
    uv_cond_signal(&link->drained);
    uv_mutex_unlock(&link->mutex);
    wake_follower(link);
    if (link->has_exchanging)
        uv_thread_join(&link->exchanging);
    if (link->has_following)
        uv_thread_join(&link->following);
    if (link->has_takeover)
        uv_thread_join(&link->takeover);
}

struct cluster_link *cluster_link_start(const char *url, uv_loop_t *loop,
                                        const struct cluster_link_callbacks *callbacks,
                                        char why[512])
{
    struct cluster_link *link = create(url, why);
    if (link == NULL)
        return NULL;
    link->callbacks = *callbacks;
    link->async.data = link;
    if (link->wake < 0 || uv_async_init(loop, &link->async, on_async) != 0) {
        snprintf(why, 512, "no descriptors for the other nodes: %s", strerror(errno));
        release(link);
        return NULL;
    }
    link->has_exchanging = uv_thread_create(&link->exchanging, cluster_exchange_run, link) == 0;
    link->has_following =
        link->has_exchanging && uv_thread_create(&link->following, cluster_follow_run, link) == 0;
    if (link->has_following)
        return link;
    snprintf(why, 512, "no threads for the other nodes");
    cluster_link_stop(link);
    return NULL;
}

void cluster_link_stop(struct cluster_link *link)
{
    if (link == NULL)
        return;
    end_threads(link);
    uv_close((uv_handle_t *)&link->async, on_closed);
}

/* ---- what is asked for ---- */

void cluster_link_exchange(struct cluster_link *link, const struct cluster_request *request)
{
    uv_mutex_lock(&link->mutex);
    link->request = *request;
    link->has_request = true;
    uv_cond_signal(&link->asked);
    uv_mutex_unlock(&link->mutex);
}

void cluster_link_order(struct cluster_link *link, const struct cluster_order *order)
{
    struct waiting_order waiting = {.order = *order}, oldest;
    if (getrandom(&waiting.nonce, sizeof waiting.nonce, 0) != sizeof waiting.nonce)
        heap_exhausted("random numbers"); /* the kernel always has some */
    uv_mutex_lock(&link->mutex);
    if (link->orders.count >= CLUSTER_LINK_ORDERS && fifo_pop(&link->orders, &oldest))
        link->stats.orders_dropped++;
    if (!fifo_push(&link->orders, &waiting))
        heap_exhausted("an order"); /* that somebody waits for */
    link->is_round_wanted = true;
    uv_mutex_unlock(&link->mutex);
    wake_follower(link);
}

void cluster_link_set_gone_after(struct cluster_link *link, duration gone_after)
{
    uv_mutex_lock(&link->mutex);
    link->gone_after = gone_after;
    uv_mutex_unlock(&link->mutex);
}

void cluster_link_stats(struct cluster_link *link, struct cluster_link_stats *out)
{
    uv_mutex_lock(&link->mutex);
    *out = link->stats;
    uv_mutex_unlock(&link->mutex);
}
