/* The thread of exchanges. See cluster_link.h. */
#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "store/cluster_link_impl.h"
#include "store/postgres_leases.h"
#include <pthread.h>
#include <stdlib.h>

struct exchanger {
    struct cluster_link *link;
    struct postgres_link to;
    struct postgres_self self;
    unsigned failures; /* in a row */
    instant retry_at;
    struct cluster_request request;
    struct cluster_reply reply;
};

/* ---- answers ---- */

/* Under the mutex. Whose leases were not the node's before: a round is to begin at once, so that it
 * can begin to work on them. */
static bool note_own(struct cluster_link *link, const struct cluster_reply *reply)
{
    bool has_news = false;
    for (uint16_t lease = 0; lease < LEASE_COUNT; lease++) {
        const struct cluster_lease *is = &reply->view.leases[lease];
        if (reply->session == 0 || is->session != reply->session)
            continue;
        has_news = has_news || link->own[lease] != is->generation;
        link->own[lease] = is->generation;
    }
    return has_news;
}

static void answer(struct exchanger *x, double seconds)
{
    struct cluster_link *link = x->link;
    struct cluster_link_stats *stats = &link->stats;
    bool has_news = false;
    uv_mutex_lock(&link->mutex);
    if (x->reply.outcome == CLUSTER_FAILED) {
        stats->exchange_failures++;
    } else {
        x->reply.view.log_at = link->rounds_begun + 1;
        has_news = note_own(link, &x->reply);
        stats->exchange_seconds_last = seconds;
        if (seconds > stats->exchange_seconds_max)
            stats->exchange_seconds_max = seconds;
    }
    stats->exchanges++;
    link->reply = x->reply;
    link->has_reply = true;
    uv_mutex_unlock(&link->mutex);
    uv_async_send(&link->async);
    if (has_news)
        link_want_round(link);
}

/* ---- connections ---- */

static void set_connected(struct exchanger *x, bool is_connected)
{
    struct cluster_link_stats *stats = &x->link->stats;
    uv_mutex_lock(&x->link->mutex);
    bool was_connected = stats->is_connected;
    stats->is_connected = is_connected;
    if (!is_connected)
        snprintf(stats->message, sizeof stats->message, "%s", x->to.message);
    uv_mutex_unlock(&x->link->mutex);
    if (!is_connected && (was_connected || x->failures == 0))
        log_warning("cluster", x->to.message);
    else if (is_connected && x->failures > 0)
        log_info("cluster", "exchanges with the database again", LOG_INT("failures", x->failures));
}

static enum err make_ready(struct exchanger *x)
{
    if (postgres_link_is_up(&x->to))
        return OK;
    return link_connect(&x->to, x->link, "exchange", EXCHANGE_ANSWER_S, &x->self.node);
}

static void fail(struct exchanger *x)
{
    int64_t ms = LINK_BACKOFF_MIN_MS << (x->failures < 8 ? x->failures : 8);
    postgres_link_close(&x->to);
    set_connected(x, false);
    x->failures++;
    if (ms > LINK_BACKOFF_MAX_MS)
        ms = LINK_BACKOFF_MAX_MS;
    x->retry_at = instant_add(clock_now(), duration_ms(ms));
}

static void exchange(struct exchanger *x)
{
    instant began = clock_now();
    enum err err = make_ready(x);
    postgres_link_set_end(&x->to, EXCHANGE_ANSWER_S);
    if (err == OK)
        err = postgres_leases_exchange(&x->to, &x->self, &x->request, &x->reply);
    if (err != OK) {
        fail(x);
        x->reply.outcome = CLUSTER_FAILED;
        x->reply.number = x->request.number;
    } else {
        set_connected(x, true);
        x->failures = 0;
        x->retry_at = INSTANT_NEVER;
    }
    answer(x, duration_to_s(instant_diff(clock_now(), began)));
}

/* ---- the thread ---- */

/* After a failure not before the pause is over. At the end what was asked goes out if it can at
 * once: it gives the leases back. */
static bool is_ready(const struct exchanger *x, int64_t pause_us)
{
    return x->link->has_request && pause_us <= 0 &&
           (!x->link->is_stopping || postgres_link_is_up(&x->to));
}

/* Under the mutex. False: the end. */
static bool wait_for_request(struct exchanger *x)
{
    struct cluster_link *link = x->link;
    while (true) {
        int64_t pause_us =
            instant_is_never(x->retry_at) ? 0 : instant_diff(x->retry_at, clock_now()).us;
        if (is_ready(x, pause_us))
            return true;
        if (link->is_stopping)
            return false;
        if (link->has_request)
            uv_cond_timedwait(&link->asked, &link->mutex, (uint64_t)pause_us * 1000);
        else
            uv_cond_wait(&link->asked, &link->mutex);
    }
}

static bool take_request(struct exchanger *x)
{
    struct cluster_link *link = x->link;
    uv_mutex_lock(&link->mutex);
    bool has_one = wait_for_request(x);
    if (has_one)
        x->request = link->request;
    link->has_request = false;
    uv_mutex_unlock(&link->mutex);
    return has_one;
}

void cluster_exchange_run(void *argument)
{
    struct cluster_link *link = argument;
    struct exchanger *x = calloc(1, sizeof *x);
    pthread_setname_np(pthread_self(), "exchange");
    if (x == NULL)
        heap_exhausted("exchanges"); /* 50 KiB at a start */
    x->link = link;
    x->self.name = link->name;
    x->retry_at = INSTANT_NEVER;
    if (postgres_link_init(&x->to, link->url) == OK)
        while (take_request(x))
            exchange(x);
    postgres_link_close(&x->to);
    free(x);
}
