#include "alert/delivery.h"

#include "alert/post.h"
#include "alert/saved.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/prng.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOGGER      "alert"
#define REPORT_SIZE 480
#define GONE_MAX    1024 /* as many as a start may hear of; what is over it the next one finds */

struct entry {
    struct alert_message message;
    uint32_t waiting;  /* a bit for each sink that still lacks it */
    uint32_t given_up; /* and for each that did not want it */
    uint32_t tried;    /* of a test: who is done with it */
    bool is_kept, is_test;
    uint64_t tag; /* of a test */
    instant put_at;
    enum sink_outcome outcomes[ALERT_SINK_COUNT]; /* of a test */
    char details[ALERT_SINK_COUNT][SINK_DETAIL_SIZE];
};

struct post_box {
    struct sink *sink; /* NULL: not wanted */
    int64_t busy_with; /* id; 0: idle */
    unsigned failures; /* in a row */
    unsigned refusals; /* of the message that is first */
    instant next_at;   /* not before; INSTANT_NEVER: at once */
    struct sink_stats stats;
};

struct delivery {
    uv_loop_t *loop;
    uv_timer_t timer;
    struct options options;
    struct alert_origin origin;
    struct delivery_listener listener;
    struct curl_loop *curl_loop;
    struct sink_world world;
    struct post_box boxes[ALERT_SINK_COUNT];
    struct entry *entries[DELIVERY_MESSAGES_MAX]; /* in the order of ids */
    size_t count;
    bool has_begun;
    int64_t gone[GONE_MAX]; /* before that: what is to be forgotten then */
    size_t gone_count;
    uint64_t dropped;
    struct prng prng;
    void (*on_closed)(void *context);
    void *closed_context;
    unsigned closing;
};

static void pump(struct delivery *delivery);

/* ---- entries ---- */

static uint32_t bit(enum alert_sink sink)
{
    return 1U << sink;
}

static struct entry *find(const struct delivery *delivery, int64_t id)
{
    for (size_t i = 0; i < delivery->count; i++)
        if (delivery->entries[i]->message.id == id)
            return delivery->entries[i];
    return NULL;
}

static void keep(struct delivery *delivery, const struct entry *entry)
{
    struct json json = {0};
    if (entry->is_test)
        return;
    alert_save(&json, &entry->message, entry->waiting);
    if (!json.failed)
        delivery->listener.keep(delivery->listener.context, entry->message.id, json.text);
    json_finish(&json);
}

static void let_go(struct delivery *delivery, int64_t id)
{
    if (delivery->has_begun)
        delivery->listener.keep(delivery->listener.context, id, NULL);
    else if (delivery->gone_count < GONE_MAX)
        delivery->gone[delivery->gone_count++] = id;
}

static void remove_at(struct delivery *delivery, size_t i)
{
    struct entry *entry = delivery->entries[i];
    if (!entry->is_test)
        let_go(delivery, entry->message.id);
    delivery->count--;
    for (; i < delivery->count; i++)
        delivery->entries[i] = delivery->entries[i + 1];
    free(entry);
}

static bool is_under_way(const struct delivery *delivery, const struct entry *entry)
{
    for (int sink = 0; sink < ALERT_SINK_COUNT; sink++)
        if (delivery->boxes[sink].busy_with == entry->message.id)
            return true;
    return false;
}

/* Those that are done, beyond what is kept of them, oldest first. */
static void forget_done(struct delivery *delivery)
{
    size_t done = 0;
    for (size_t i = delivery->count; i-- > 0;)
        if (delivery->entries[i]->waiting == 0 && ++done > DELIVERY_KEPT_MAX)
            remove_at(delivery, i);
}

/* Nothing is left but what still waits: the oldest of the least severe goes. */
static void drop_one(struct delivery *delivery)
{
    size_t least = delivery->count;
    for (size_t i = 0; i < delivery->count; i++) {
        const struct entry *entry = delivery->entries[i];
        if (!is_under_way(delivery, entry) &&
            (least == delivery->count ||
             entry->message.severity < delivery->entries[least]->message.severity))
            least = i;
    }
    assert(least < delivery->count); /* there are far fewer sinks than entries */
    log_warning(LOGGER, "too many messages wait for their delivery; one was dropped",
                LOG_INT("id", delivery->entries[least]->message.id),
                LOG_STRING("severity", severity_name(delivery->entries[least]->message.severity)));
    delivery->dropped++;
    remove_at(delivery, least);
}

static void make_room(struct delivery *delivery)
{
    for (size_t i = 0; i < delivery->count && delivery->count == DELIVERY_MESSAGES_MAX; i++)
        if (delivery->entries[i]->waiting == 0)
            remove_at(delivery, i);
    if (delivery->count == DELIVERY_MESSAGES_MAX)
        drop_one(delivery);
}

static struct entry *add(struct delivery *delivery, const struct alert_message *message)
{
    struct entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL) {
        delivery->dropped++;
        return NULL;
    }
    make_room(delivery);
    entry->message = *message;
    entry->put_at = clock_now();
    for (int sink = 0; sink < ALERT_SINK_COUNT; sink++)
        if (delivery->boxes[sink].sink != NULL)
            entry->waiting |= bit((enum alert_sink)sink);
    delivery->entries[delivery->count++] = entry;
    return entry;
}

/* ---- whose turn it is ---- */

static bool may_go(const struct entry *entry, instant now)
{
    return entry->is_kept || entry->is_test ||
           instant_diff(now, entry->put_at).us >= DELIVERY_KEEP_PATIENCE.us;
}

/* A test first, and it does not wait for what failed before it. */
static struct entry *next_for(const struct delivery *delivery, enum alert_sink sink, instant now)
{
    const struct post_box *box = &delivery->boxes[sink];
    struct entry *first = NULL;
    for (size_t i = 0; i < delivery->count; i++) {
        struct entry *entry = delivery->entries[i];
        if (!(entry->waiting & bit(sink)))
            continue;
        if (entry->is_test)
            return entry;
        if (first == NULL)
            first = entry;
    }
    if (first == NULL || !may_go(first, now) || instant_before(now, box->next_at))
        return NULL;
    return first;
}

static void pump_sink(struct delivery *delivery, enum alert_sink sink, instant now)
{
    struct post_box *box = &delivery->boxes[sink];
    if (box->sink == NULL || box->busy_with != 0)
        return;
    struct entry *entry = next_for(delivery, sink, now);
    if (entry == NULL)
        return;
    box->busy_with = entry->message.id;
    box->sink->methods->send(box->sink, &entry->message);
}

/* When to look again: a wait is over, or the patience with the store. */
static int64_t wait_us(const struct delivery *delivery, instant now)
{
    instant at = INSTANT_FAR;
    for (size_t i = 0; i < delivery->count; i++) {
        const struct entry *entry = delivery->entries[i];
        if (entry->waiting != 0 && !may_go(entry, now))
            at = instant_min(at, instant_add(entry->put_at, DELIVERY_KEEP_PATIENCE));
    }
    for (int sink = 0; sink < ALERT_SINK_COUNT; sink++)
        if (instant_before(now, delivery->boxes[sink].next_at))
            at = instant_min(at, delivery->boxes[sink].next_at);
    return at.us == INSTANT_FAR.us ? -1 : instant_diff(at, now).us;
}

static void on_timer(uv_timer_t *timer)
{
    pump(timer->data);
}

static void pump(struct delivery *delivery)
{
    instant now = clock_now();
    if (!delivery->has_begun || delivery->on_closed != NULL)
        return;
    for (int sink = 0; sink < ALERT_SINK_COUNT; sink++)
        pump_sink(delivery, (enum alert_sink)sink, now);
    int64_t wait = wait_us(delivery, now);
    uv_update_time(delivery->loop);
    if (wait < 0)
        uv_timer_stop(&delivery->timer);
    else
        uv_timer_start(&delivery->timer, on_timer, (uint64_t)(wait + 999) / 1000, 0);
}

/* ---- how it went ---- */

/* Half of it is chance, so that those who failed together do not come back together. */
static duration backoff(struct delivery *delivery, unsigned failures)
{
    double wait = delivery->options.alert_retry_min_sec;
    for (unsigned i = 1; i < failures && wait < delivery->options.alert_retry_max_sec; i++)
        wait *= 2;
    if (wait > delivery->options.alert_retry_max_sec)
        wait = delivery->options.alert_retry_max_sec;
    return duration_s(wait * (0.5 + prng_unit(&delivery->prng) / 2));
}

static void put_off(struct delivery *delivery, struct post_box *box,
                    const struct sink_result *result)
{
    duration wait = backoff(delivery, ++box->failures);
    if (result->has_retry_after && result->retry_after.us > wait.us)
        wait = result->retry_after;
    if (wait.us > DELIVERY_WAIT_MAX.us)
        wait = DELIVERY_WAIT_MAX;
    box->next_at = instant_add(clock_now(), wait);
    box->stats.next_at = box->next_at;
    log_warning(LOGGER, "a message was not delivered; it is tried again",
                LOG_STRING("sink", alert_sink_name((enum alert_sink)(box - delivery->boxes))),
                LOG_STRING("why", result->detail), LOG_DOUBLE("in_s", duration_to_s(wait)),
                LOG_INT("failed_in_a_row", box->failures));
}

static void done_with(struct delivery *delivery, struct post_box *box, struct entry *entry)
{
    entry->waiting &= ~bit((enum alert_sink)(box - delivery->boxes));
    box->refusals = 0;
    keep(delivery, entry);
}

static void give_up(struct delivery *delivery, struct post_box *box, struct entry *entry)
{
    enum alert_sink sink = (enum alert_sink)(box - delivery->boxes);
    log_error(LOGGER, "a receiver refuses a message, again and again; it is given up",
              LOG_STRING("sink", alert_sink_name(sink)), LOG_INT("id", entry->message.id));
    entry->given_up |= bit(sink);
    box->stats.given_up++;
    done_with(delivery, box, entry);
}

static void count(struct post_box *box, const struct sink_result *result)
{
    struct sink_stats *stats = &box->stats;
    stats->delivered += result->outcome == SINK_DELIVERED;
    stats->failed += result->outcome == SINK_FAILED;
    stats->refused += result->outcome == SINK_REFUSED;
    snprintf(stats->detail, sizeof stats->detail, "%s",
             result->outcome == SINK_DELIVERED ? "" : result->detail);
}

static void settle(struct delivery *delivery, struct post_box *box, struct entry *entry,
                   const struct sink_result *result)
{
    if (result->outcome == SINK_DELIVERED) {
        box->failures = 0;
        box->next_at = box->stats.next_at = INSTANT_NEVER;
        done_with(delivery, box, entry);
        return;
    }
    box->refusals += result->outcome == SINK_REFUSED;
    if (box->refusals >= DELIVERY_REFUSALS_MAX) {
        give_up(delivery, box, entry);
        return;
    }
    put_off(delivery, box, result);
}

/* ---- tests ---- */

static bool report(const struct delivery *delivery, const struct entry *entry,
                   char out[REPORT_SIZE])
{
    bool is_well = true;
    int length = snprintf(out, REPORT_SIZE, "log: delivered");
    for (int sink = 0; sink < ALERT_SINK_COUNT; sink++) {
        if (delivery->boxes[sink].sink == NULL)
            continue;
        bool is_delivered = entry->outcomes[sink] == SINK_DELIVERED;
        is_well = is_well && is_delivered;
        length += snprintf(out + length, REPORT_SIZE - (size_t)length, "; %s: %s",
                           alert_sink_name((enum alert_sink)sink),
                           sink_outcome_name(entry->outcomes[sink]));
        if (!is_delivered)
            length +=
                snprintf(out + length, REPORT_SIZE - (size_t)length, " (%s)", entry->details[sink]);
    }
    return is_well;
}

/* Tried by all: whoever asked is told, and it is forgotten. */
static void end_test(struct delivery *delivery, struct entry *entry)
{
    char text[REPORT_SIZE];
    bool is_well = report(delivery, entry, text);
    uint64_t tag = entry->tag;
    for (size_t i = 0; i < delivery->count; i++)
        if (delivery->entries[i] == entry) {
            remove_at(delivery, i);
            break;
        }
    delivery->listener.on_tested(delivery->listener.context, tag, is_well, text);
}

static void note_test(struct delivery *delivery, enum alert_sink sink, struct entry *entry,
                      const struct sink_result *result)
{
    entry->outcomes[sink] = result->outcome;
    snprintf(entry->details[sink], sizeof entry->details[sink], "%s", result->detail);
    entry->waiting &= ~bit(sink);
    if (entry->waiting == 0)
        end_test(delivery, entry);
}

static void on_done(void *context, enum alert_sink sink, const struct sink_result *result)
{
    struct delivery *delivery = context;
    struct post_box *box = &delivery->boxes[sink];
    struct entry *entry = find(delivery, box->busy_with);
    int64_t id = box->busy_with;
    assert(entry != NULL); /* what is under way is never dropped */
    box->busy_with = 0;
    count(box, result);
    if (entry->is_test)
        note_test(delivery, sink, entry, result);
    else
        settle(delivery, box, entry, result);
    delivery->listener.on_try(delivery->listener.context, sink, id, result);
    forget_done(delivery);
    pump(delivery);
}

static void on_curl_done(void *context, CURL *easy, CURLcode code)
{
    (void)context;
    post_on_done(easy, code);
}

/* ---- the interface ---- */

/* Without a sink nothing is posted, and nobody waits for libcurl to be loaded. */
static bool open_curl_loop(struct delivery *delivery)
{
    if (delivery->curl_loop == NULL)
        delivery->curl_loop = curl_loop_create(delivery->loop, on_curl_done, delivery);
    delivery->world.curl_loop = delivery->curl_loop;
    return delivery->curl_loop != NULL;
}

static bool create_sinks(struct delivery *delivery)
{
    delivery->world = (struct sink_world){.loop = delivery->loop,
                                          .options = &delivery->options,
                                          .origin = &delivery->origin,
                                          .on_done = on_done,
                                          .context = delivery};
    for (int sink = 0; sink < ALERT_SINK_COUNT; sink++) {
        if (!alert_sink_is_wanted((enum alert_sink)sink, &delivery->options))
            continue;
        if (!open_curl_loop(delivery))
            return false;
        struct post_box *box = &delivery->boxes[sink];
        box->sink = alert_sink_create((enum alert_sink)sink, &delivery->world);
        box->stats.is_on = true;
        if (box->sink == NULL)
            return false;
    }
    return true;
}

struct delivery *delivery_create(uv_loop_t *loop, const struct options *options,
                                 const struct delivery_listener *listener)
{
    struct delivery *delivery = calloc(1, sizeof *delivery);
    if (delivery == NULL)
        return NULL;
    delivery->loop = loop;
    delivery->options = *options;
    delivery->listener = *listener;
    delivery->timer.data = delivery;
    delivery->boxes[ALERT_SINK_LOG].stats.is_on = true;
    alert_origin_init(&delivery->origin, options);
    prng_seed(&delivery->prng, (uint64_t)clock_now().us);
    uv_timer_init(loop, &delivery->timer);
    if (create_sinks(delivery))
        return delivery;
    delivery_destroy(delivery, NULL, NULL);
    return NULL;
}

bool delivery_restore(struct delivery *delivery, int64_t id, const char *text,
                      struct alert_message *out)
{
    uint32_t waiting = 0;
    if (alert_saved_read(id, text, out, &waiting) != OK || find(delivery, id) != NULL) {
        log_warning(LOGGER, "a stored message is none, and is deleted", LOG_INT("id", id));
        let_go(delivery, id);
        return false;
    }
    struct entry *entry = add(delivery, out);
    if (entry != NULL) {
        entry->waiting &= waiting; /* a sink that is new gets what is new */
        entry->is_kept = true;
    }
    return true;
}

void delivery_begin(struct delivery *delivery)
{
    delivery->has_begun = true;
    for (size_t i = 0; i < delivery->gone_count; i++)
        let_go(delivery, delivery->gone[i]);
    forget_done(delivery);
    pump(delivery);
}

void delivery_put(struct delivery *delivery, const struct alert_message *message)
{
    sink_log_write(message, &delivery->origin);
    delivery->boxes[ALERT_SINK_LOG].stats.delivered++;
    struct entry *entry = add(delivery, message);
    if (entry == NULL)
        return;
    keep(delivery, entry);
    pump(delivery);
}

void delivery_test(struct delivery *delivery, const struct alert_message *message, uint64_t tag)
{
    sink_log_write(message, &delivery->origin);
    struct entry *entry = add(delivery, message);
    if (entry == NULL) {
        delivery->listener.on_tested(delivery->listener.context, tag, false, "out of memory");
        return;
    }
    entry->is_test = true;
    entry->tag = tag;
    if (entry->waiting == 0)
        end_test(delivery, entry);
    else
        pump(delivery);
}

void delivery_kept(struct delivery *delivery, int64_t id)
{
    struct entry *entry = find(delivery, id);
    if (entry == NULL || entry->is_kept)
        return;
    entry->is_kept = true;
    pump(delivery);
}

void delivery_keep_again(struct delivery *delivery)
{
    for (size_t i = 0; i < delivery->count; i++)
        keep(delivery, delivery->entries[i]);
}

void delivery_stats(const struct delivery *delivery, struct delivery_stats *out)
{
    out->dropped = delivery->dropped;
    for (int sink = 0; sink < ALERT_SINK_COUNT; sink++) {
        out->sinks[sink] = delivery->boxes[sink].stats;
        out->sinks[sink].waiting = 0;
        for (size_t i = 0; i < delivery->count; i++)
            out->sinks[sink].waiting +=
                delivery->entries[i]->waiting >> sink & 1; /* tests are among them */
    }
}

static enum delivery_state state_at(const struct delivery *delivery, const struct entry *entry,
                                    enum alert_sink sink)
{
    if (sink == ALERT_SINK_LOG)
        return DELIVERY_DONE;
    if (entry->waiting & bit(sink))
        return DELIVERY_WAITING;
    if (entry->given_up & bit(sink))
        return DELIVERY_GIVEN_UP;
    return delivery->boxes[sink].sink == NULL ? DELIVERY_NOT_WANTED : DELIVERY_DONE;
}

size_t delivery_recent(const struct delivery *delivery, struct delivered out[], size_t most)
{
    size_t count = 0;
    for (size_t i = delivery->count; i-- > 0 && count < most; count++) {
        const struct entry *entry = delivery->entries[i];
        out[count].message = &entry->message;
        for (int sink = 0; sink < ALERT_SINK_COUNT; sink++)
            out[count].sinks[sink] = state_at(delivery, entry, (enum alert_sink)sink);
    }
    return count;
}

/* ---- the end ---- */

static void on_part_closed(void *context)
{
    struct delivery *delivery = context;
    if (--delivery->closing > 0)
        return;
    void (*on_closed)(void *) = delivery->on_closed;
    void *closed_context = delivery->closed_context;
    free(delivery);
    on_closed(closed_context);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

static void nobody(void *context)
{
    (void)context;
}

void delivery_destroy(struct delivery *delivery, void (*on_closed)(void *context), void *context)
{
    if (delivery == NULL)
        return;
    delivery->on_closed = on_closed == NULL ? nobody : on_closed;
    delivery->closed_context = context;
    for (int sink = 0; sink < ALERT_SINK_COUNT; sink++)
        if (delivery->boxes[sink].sink != NULL)
            delivery->boxes[sink].sink->methods->destroy(delivery->boxes[sink].sink);
    for (size_t i = 0; i < delivery->count; i++)
        free(delivery->entries[i]);
    delivery->closing = delivery->curl_loop == NULL ? 1 : 2;
    uv_close((uv_handle_t *)&delivery->timer, on_timer_closed);
    curl_loop_destroy(delivery->curl_loop, on_part_closed, delivery);
}
