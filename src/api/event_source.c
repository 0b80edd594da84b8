/* See event_source.h. */
#include "api/event_source.h"

#include "api/alert_json.h"
#include "api/aside.h"
#include "api/event_client.h"
#include "api/event_json.h"
#include "api/freshness.h"
#include "api/incidents.h"
#include "api/log_json.h"
#include "api/pick.h"
#include "api/pulse.h"
#include "api/token_json.h"
#include "page/engine_state.h"
#include "page/load_view.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define IDS_AT_ONCE     1024
#define STATUS_UNSEEN   0xff
#define FIRST_CAPACITY  4096
#define PULSE_SEC       1
#define UNFINISHED_SEC  1 /* then whoever writes a log line has died in it */
#define WORD_BITS       64
#define LOAD_IS_UNKNOWN (-1)

/* What was last said of a token. */
struct seen {
    float score;
    uint32_t stamp; /* of its newest answer, in about milliseconds */
    uint8_t status; /* STATUS_UNSEEN: nothing */
    uint8_t spare[3];
};

/* An incident's file, read aside. */
struct incident_read {
    const char *folder;
    uint64_t number;
    struct json json;
    bool is_asked;
    _Atomic bool is_done;
};

struct event_source {
    struct event_source_parts parts;
    struct freshness *freshness;
    struct json json;

    struct seen *seen; /* by id */
    uint64_t *dirty;   /* a bit for each id that is still to be told */
    uint32_t *namers;  /* how many clients name each id */
    uint32_t capacity; /* of these */
    uint32_t dirty_count;
    uint32_t cursor;                 /* word of `dirty` where the last look ended */
    token_id named[EVENT_NAMED_MAX]; /* dirty, and to be told first */
    uint32_t named_count;
    uint32_t listeners[TOKEN_STATUS_COUNT]; /* to all tokens of a status */
    uint32_t strangers; /* named before they were there: until then all tokens are wanted */
    uint64_t changes_at;
    bool must_compare; /* all tokens, as soon as the engine has them */
    uint64_t engine_starts;

    uint64_t log_at; /* serial of the next line */
    instant log_waits_since;
    uint32_t text_turn;
    int64_t message; /* id of the newest one told */
    int load_level;
    uint64_t health;
    uint64_t incident;
    instant pulse_at;
    struct incident_read incident_read;
    struct page_texts texts;
};

struct event_source *event_source_create(const struct event_source_parts *parts)
{
    struct event_source *source = calloc(1, sizeof *source);
    if (source == NULL)
        return NULL;
    source->parts = *parts;
    source->incident_read.folder = parts->incidents_folder;
    source->freshness = freshness_create();
    if (source->freshness != NULL)
        return source;
    event_source_destroy(source);
    return NULL;
}

void event_source_destroy(struct event_source *source)
{
    if (source == NULL)
        return;
    freshness_destroy(source->freshness);
    json_finish(&source->json);
    json_finish(&source->incident_read.json);
    free(source->seen);
    free(source->dirty);
    free(source->namers);
    free(source);
}

/* ---- saying ---- */

static struct json *compose(struct event_source *source)
{
    json_reset(&source->json);
    return &source->json;
}

static void publish(struct event_source *source, struct event_news news)
{
    news.json = source->json.text;
    news.length = source->json.length;
    if (!source->json.failed)
        event_buffer_add(source->parts.buffer, &news);
}

/* ---- tokens ---- */

static void *grown(void *old, size_t old_size, size_t size)
{
    char *larger = realloc(old, size);
    if (larger != NULL)
        memset(larger + old_size, 0, size - old_size);
    return larger;
}

/* False: no memory; what is beyond is not told of. */
static bool reserve(struct event_source *source, uint32_t count)
{
    uint32_t capacity = source->capacity == 0 ? FIRST_CAPACITY : source->capacity;
    while (capacity <= count)
        capacity *= 2;
    if (capacity == source->capacity)
        return true;
    struct seen *seen =
        grown(source->seen, source->capacity * sizeof *seen, capacity * sizeof *seen);
    if (seen == NULL)
        return false;
    source->seen = seen;
    uint64_t *dirty = grown(source->dirty, source->capacity / 8, capacity / 8);
    if (dirty == NULL)
        return false;
    source->dirty = dirty;
    uint32_t *namers =
        grown(source->namers, source->capacity * sizeof *namers, capacity * sizeof *namers);
    if (namers == NULL)
        return false;
    source->namers = namers;
    for (uint32_t id = source->capacity; id < capacity; id++)
        seen[id].status = STATUS_UNSEEN;
    source->capacity = capacity;
    return true;
}

/* Where there is no room, it waits its turn. */
static void put_first(struct event_source *source, token_id id)
{
    if (source->named_count < EVENT_NAMED_MAX)
        source->named[source->named_count++] = id;
}

static void mark(struct event_source *source, token_id id)
{
    if (id == TOKEN_NONE || id > token_table_count(source->parts.table) || !reserve(source, id))
        return;
    uint64_t bit = 1ULL << id % WORD_BITS;
    if ((source->dirty[id / WORD_BITS] & bit) != 0)
        return;
    source->dirty[id / WORD_BITS] |= bit;
    source->dirty_count++;
    if (source->namers[id] > 0)
        put_first(source, id);
}

static uint32_t stamp_of(instant checked)
{
    return (uint32_t)(checked.us >> 10);
}

/* As the table's columns have it now. */
static struct seen glance(const struct token_table *table, token_id id)
{
    return (struct seen){.score = token_column_score(table, id),
                         .stamp = stamp_of(token_column_checked(table, id)),
                         .status = (uint8_t)token_column_status(table, id)};
}

static bool is_same_score(float a, float b)
{
    return a == b || (isnan(a) && isnan(b));
}

static bool is_same(const struct seen *a, const struct seen *b)
{
    return a->status == b->status && a->stamp == b->stamp && is_same_score(a->score, b->score);
}

/* All tokens against what was said of them; those that differ are to be told. */
static void compare_all(struct event_source *source)
{
    uint32_t count = token_table_count(source->parts.table);
    if (!reserve(source, count))
        return;
    for (token_id id = 1; id <= count; id++) {
        struct seen now = glance(source->parts.table, id);
        if (!is_same(&now, &source->seen[id]))
            mark(source, id);
        if (id % PULSE_EVERY == 0)
            pulse();
    }
}

static void take_all_as_told(struct event_source *source)
{
    uint32_t count = token_table_count(source->parts.table);
    if (!reserve(source, count))
        return;
    memset(source->dirty, 0, source->capacity / 8);
    source->dirty_count = source->named_count = 0;
    for (token_id id = 1; id <= count; id++) {
        source->seen[id] = glance(source->parts.table, id);
        if (id % PULSE_EVERY == 0)
            pulse();
    }
}

static const char *change_of(const struct seen *before, const struct seen *now)
{
    if (before->status == STATUS_UNSEEN)
        return "added";
    if (before->status != now->status)
        return "status";
    return is_same_score(before->score, now->score) ? "figures" : "score";
}

static void tell_token(struct event_source *source, token_id id)
{
    struct token token;
    struct seen *seen = &source->seen[id];
    if (!token_look(source->parts.table, id, &token, NULL))
        return;
    const struct seen now = {
        .score = token_has_data(&token) ? (float)token.state.score : NAN,
        .stamp = stamp_of(token.state.checked_at),
        .status = token.status,
    };
    struct json *json = compose(source);
    json_object_open(json, NULL);
    json_put_string(json, "change", change_of(seen, &now));
    json_token_item(json, "item", source->parts.table, &token);
    json_object_close(json);
    unsigned statuses = 1U << now.status;
    if (seen->status < TOKEN_STATUS_COUNT)
        statuses |= 1U << seen->status;
    publish(source, (struct event_news){.topic = TOPIC_TOKEN,
                                        .statuses = statuses,
                                        .mint = event_mint(&token.mint)});
    *seen = now;
}

/* False: it is not to be told any more. */
static bool unmark(struct event_source *source, token_id id)
{
    uint64_t *word = &source->dirty[id / WORD_BITS], bit = 1ULL << id % WORD_BITS;
    if ((*word & bit) == 0)
        return false;
    *word &= ~bit;
    source->dirty_count--;
    return true;
}

static void tell_named(struct event_source *source)
{
    for (uint32_t i = 0; i < source->named_count; i++)
        if (unmark(source, source->named[i]))
            tell_token(source, source->named[i]);
    source->named_count = 0;
}

static bool is_any_listened_to(const struct event_source *source)
{
    uint32_t listeners = source->strangers;
    for (int i = 0; i < TOKEN_STATUS_COUNT; i++)
        listeners += source->listeners[i];
    return listeners > 0;
}

/* As it is, or as it was when it was last told of. */
static bool is_wanted(const struct event_source *source, token_id id)
{
    unsigned now = token_column_status(source->parts.table, id), before = source->seen[id].status;
    return source->namers[id] > 0 || source->strangers > 0 ||
           (now < TOKEN_STATUS_COUNT && source->listeners[now] > 0) ||
           (before < TOKEN_STATUS_COUNT && source->listeners[before] > 0);
}

/* Those of 64 ids; returns how many were told. */
static uint32_t tell_word(struct event_source *source, uint32_t word, uint32_t most)
{
    uint32_t told = 0;
    for (uint64_t bits = source->dirty[word]; bits != 0 && told < most; bits &= bits - 1) {
        token_id id = word * WORD_BITS + (unsigned)__builtin_ctzll(bits);
        if (!is_wanted(source, id))
            continue;
        unmark(source, id);
        tell_token(source, id);
        told++;
    }
    return told;
}

/* Who is named, then round and round, so that nobody waits longer than for one round. */
static void tell_tokens(struct event_source *source)
{
    uint32_t words = source->capacity / WORD_BITS, left = EVENT_TOKENS_MAX;
    tell_named(source);
    for (uint32_t i = 0; i < words && source->dirty_count > 0 && is_any_listened_to(source); i++) {
        left -= tell_word(source, source->cursor, left);
        if (left == 0)
            return; /* this word may have more */
        source->cursor = (source->cursor + 1) % words;
        if (i % PULSE_EVERY == 0)
            pulse();
    }
}

/* ---- who wants what ---- */

static bool wants_all_tokens(const struct event_filter *filter)
{
    return (filter->topics >> TOPIC_TOKEN & 1) != 0 && filter->mint_count == 0;
}

/* One that is not there yet is a stranger, and stays that for who named it. */
static void name_token(struct event_source *source, token_id *id)
{
    if (*id == TOKEN_NONE || !reserve(source, *id)) {
        *id = TOKEN_NONE;
        source->strangers++;
        return;
    }
    source->namers[*id]++;
    if ((source->dirty[*id / WORD_BITS] >> *id % WORD_BITS & 1) != 0)
        put_first(source, *id);
}

void event_source_want(struct event_source *source, struct event_filter *filter,
                       enum event_arrival arrival)
{
    bool wants_all = wants_all_tokens(filter);
    if (wants_all && arrival == EVENT_CLIENT_FRESH && !is_any_listened_to(source)) {
        tell_named(source);
        take_all_as_told(source);
    }
    for (int i = 0; wants_all && i < TOKEN_STATUS_COUNT; i++)
        source->listeners[i] += filter->statuses >> i & 1;
    for (unsigned i = 0; i < filter->mint_count; i++)
        name_token(source, &filter->ids[i]);
}

void event_source_want_no_more(struct event_source *source, const struct event_filter *filter)
{
    for (int i = 0; wants_all_tokens(filter) && i < TOKEN_STATUS_COUNT; i++)
        source->listeners[i] -= filter->statuses >> i & 1;
    for (unsigned i = 0; i < filter->mint_count; i++) {
        if (filter->ids[i] == TOKEN_NONE)
            source->strangers--;
        else
            source->namers[filter->ids[i]]--;
    }
}

/* Not while its tokens are still on their way from the store. */
static bool has_tokens(const struct status_page *page)
{
    return engine_is_up(page) && page_get(page, GAUGE_LOADING) != 1;
}

static void look_at_tokens(struct event_source *source)
{
    const struct status_page *page = source->parts.page;
    uint32_t ids[IDS_AT_ONCE];
    size_t count;
    do {
        source->must_compare |=
            !changes_read(&page->changes, &source->changes_at, ids, IDS_AT_ONCE, &count);
        for (size_t i = 0; i < count; i++)
            mark(source, ids[i]);
        pulse();
    } while (count == IDS_AT_ONCE);
    if (engine_starts(page) != source->engine_starts) {
        source->engine_starts = engine_starts(page);
        source->must_compare = true;
    }
    if (source->must_compare && has_tokens(page)) {
        source->must_compare = false;
        compare_all(source);
    }
    tell_tokens(source);
}

/* ---- log lines ---- */

/* Whether the line that is not there yet is waited for. */
static bool is_awaited(struct event_source *source, instant now)
{
    if (instant_is_never(source->log_waits_since))
        source->log_waits_since = now;
    return duration_to_s(instant_diff(now, source->log_waits_since)) < UNFINISHED_SEC;
}

static void look_at_log(struct event_source *source, instant now)
{
    const struct log_ring *ring = &source->parts.page->log;
    uint64_t last = log_ring_last(ring), first = log_ring_first(ring);
    if (source->log_at < first)
        source->log_at = first;
    for (int i = 0; i < EVENT_LINES_MAX && source->log_at <= last; i++) {
        struct log_line line;
        enum log_ring_result result = log_ring_read(ring, source->log_at, &line);
        if (result == LOG_RING_UNFINISHED && is_awaited(source, now))
            return;
        source->log_waits_since = INSTANT_NEVER;
        source->log_at++;
        if (result != LOG_RING_READ)
            continue;
        json_log_line(compose(source), &line);
        publish(source, (struct event_news){.topic = TOPIC_LOG});
    }
}

/* ---- the page ---- */

/* The newest message is the first; older ones are told first. */
static void tell_messages(struct event_source *source, const struct alert_board *board)
{
    uint32_t count =
        board->message_count < BOARD_MESSAGES_MAX ? board->message_count : BOARD_MESSAGES_MAX;
    for (uint32_t i = count; i > 0; i--) {
        const struct board_message *message = &board->messages[i - 1];
        if (message->id <= source->message)
            continue;
        source->message = message->id;
        json_alert_message(compose(source), message);
        publish(source, (struct event_news){.topic = TOPIC_ALERT});
    }
}

static bool texts_changed(struct event_source *source)
{
    uint32_t turn = atomic_load_explicit(&source->parts.page->text_turn, memory_order_acquire);
    if (turn == source->text_turn || !page_read_texts(source->parts.page, &source->texts))
        return false;
    source->text_turn = turn;
    return true;
}

static void look_at_alerts(struct event_source *source)
{
    if (texts_changed(source))
        tell_messages(source, &source->texts.alerts);
}

static int load_level_of(const struct status_page *page, instant now)
{
    return load_is_known(page, now) ? (int)load_level_now(page) : LOAD_IS_UNKNOWN;
}

static void look_at_load(struct event_source *source, instant now)
{
    int level = load_level_of(source->parts.page, now);
    if (level == source->load_level)
        return;
    source->load_level = level;
    event_json_load(compose(source), source->parts.page, now);
    publish(source, (struct event_news){.topic = TOPIC_LOAD});
}

/* The same as long as the same is wrong, just as badly. */
static uint64_t digest_of(const struct health_view *view)
{
    uint64_t digest = (uint64_t)view->health + 1;
    for (uint32_t i = 0; i < view->findings.count; i++) {
        const struct finding *finding = &view->findings.of[i];
        digest = digest * 1000003 + (uint64_t)finding->cause * 65536 + finding->subject * 256U +
                 (uint64_t)finding->severity;
    }
    return digest;
}

static void look_at_health(struct event_source *source, instant now)
{
    struct health_view view;
    health_look(source->parts.page, now, &view);
    uint64_t digest = digest_of(&view);
    if (digest == source->health)
        return;
    source->health = digest;
    event_json_health(compose(source), &view);
    publish(source, (struct event_news){.topic = TOPIC_HEALTH});
}

static void look_for_pulse(struct event_source *source, instant now)
{
    const struct status_page *page = source->parts.page;
    if (duration_to_s(instant_diff(now, source->pulse_at)) < PULSE_SEC)
        return;
    source->pulse_at = now;
    event_json_pulse(compose(source), page,
                     freshness_look(source->freshness, source->parts.table, page, now), now);
    publish(source, (struct event_news){.topic = TOPIC_PULSE});
}

/* ---- incidents ---- */

/* Aside. One that is gone or damaged is left out. */
static void read_incident(void *state)
{
    struct incident_read *read = state;
    json_reset(&read->json);
    if (incident_put(&read->json, NULL, read->folder, read->number) != OK)
        json_reset(&read->json);
    atomic_store_explicit(&read->is_done, true, memory_order_release);
}

/* On one line: the file may have been written by a hand. */
static void tell_incident(struct event_source *source)
{
    const struct json *json = &source->incident_read.json;
    if (json->length == 0 || json->failed)
        return;
    for (size_t i = 0; i < json->length; i++)
        if (json->text[i] == '\n' || json->text[i] == '\r')
            json->text[i] = ' ';
    event_buffer_add(
        source->parts.buffer,
        &(struct event_news){.topic = TOPIC_INCIDENT, .json = json->text, .length = json->length});
}

static void look_at_incidents(struct event_source *source)
{
    struct incident_read *read = &source->incident_read;
    if (read->is_asked && !atomic_load_explicit(&read->is_done, memory_order_acquire))
        return;
    if (read->is_asked)
        tell_incident(source);
    read->is_asked = false;
    if (page_word(&source->parts.page->incident) <= source->incident)
        return;
    read->number = source->incident + 1;
    atomic_store_explicit(&read->is_done, false, memory_order_relaxed);
    read->is_asked = aside_post(source->parts.aside, read_incident, read);
    source->incident += read->is_asked;
}

/* ---- all of it ---- */

void event_source_begin(struct event_source *source, instant now)
{
    const struct status_page *page = source->parts.page;
    struct health_view view;
    source->changes_at = changes_end(&page->changes); /* before the tokens are looked at */
    source->engine_starts = engine_starts(page);
    source->must_compare = !has_tokens(page);
    take_all_as_told(source);
    source->log_at = log_ring_last(&page->log) + 1;
    source->log_waits_since = INSTANT_NEVER;
    if (texts_changed(source))
        for (uint32_t i = 0; i < BOARD_MESSAGES_MAX && i < source->texts.alerts.message_count; i++)
            if (source->texts.alerts.messages[i].id > source->message)
                source->message = source->texts.alerts.messages[i].id;
    source->load_level = load_level_of(page, now);
    health_look(page, now, &view);
    source->health = digest_of(&view);
    source->incident = page_word(&page->incident);
    source->pulse_at = INSTANT_NEVER;
}

void event_source_look(struct event_source *source, instant now)
{
    look_at_tokens(source);
    look_at_log(source, now);
    look_at_alerts(source);
    look_at_load(source, now);
    look_at_health(source, now);
    look_at_incidents(source);
    look_for_pulse(source, now);
}
