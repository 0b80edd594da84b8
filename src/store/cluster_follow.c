/*
 * The thread of rounds. See cluster_link.h.
 *
 * Of each other node it knows how far its log was read, and the row that this ends in, as a
 * bookmark: a log whose bookmark is gone was cut off before it was read, or the server lost a part
 * of it, and everything is read again. A node whose count of transactions stands still is not
 * asked.
 *
 * Of each token it knows the generation of what was delivered, 4 bytes, and of each slot the newest
 * generation of the node's own that rounds have caught up with: what is older is not delivered.
 */
#include "store/cluster_follow.h"

#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "store/load_checks.h"
#include "store/postgres_leases.h"
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_S      10
#define PAGE_LOG_ROWS 256
#define REFUSALS_TOLD 20
#define SETTINGS_MAX  1024
#define SETTING_SIZE  4097

void follow_refuse(struct follow *f, const char *table, int64_t key, const char *why)
{
    f->refused++;
    if (f->refusals_told++ < REFUSALS_TOLD)
        log_warning("cluster", "row of another node refused", LOG_STRING("table", table),
                    LOG_INT("row", key), LOG_STRING("why", why));
}

void follow_refuse_standing(struct follow *f, uint32_t *standing, uint32_t count, const char *table,
                            const char *why)
{
    if (count <= *standing)
        return;
    *standing = count;
    follow_refuse(f, table, 0, why);
}

/* ---- what goes to the loop ---- */

static enum err stopped(void)
{
    return ERR_BUSY;
}

/* Pools of those whose pools changed, as they are now. */
static enum err add_pools(struct follow *f, struct link_batch *batch)
{
    token_id ids[CLUSTER_LINK_TOKENS];
    PGresult *pools = NULL;
    size_t count = 0;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->has_pools[i] && f->lacks_pools[i])
            ids[count++] = batch->tokens[i].id;
    if (count == 0)
        return OK;
    enum err err = postgres_ask_for_ids(&f->s->link, ids, count,
                                        "SELECT " POSTGRES_POOL_COLUMNS
                                        " FROM pool WHERE token_id=ANY($1::bigint[]) ORDER BY "
                                        "token_id,n",
                                        &pools);
    for (int row = 0; err == OK && row < PQntuples(pools); row++) {
        int64_t id = postgres_integer(pools, row, 0);
        const char *complaint = NULL;
        for (size_t i = 0; i < batch->count && complaint == NULL; i++)
            if (f->lacks_pools[i] && (int64_t)batch->tokens[i].id == id)
                complaint = postgres_read_pool(pools, row, &batch->tokens[i]);
        if (complaint != NULL)
            follow_refuse(f, "pool", id, complaint);
    }
    PQclear(pools);
    return err;
}

enum err follow_send_batch(struct follow *f)
{
    if (f->batch == NULL)
        return OK;
    enum err err = add_pools(f, f->batch);
    if (err != OK)
        return err;
    struct link_news *news = link_make_news(NEWS_TOKENS);
    f->tokens += f->batch->count;
    news->batch = f->batch;
    f->batch = NULL;
    return link_hand_over(f->link, news) ? OK : stopped();
}

static enum err make_batch(struct follow *f)
{
    if (f->batch != NULL && f->batch->count < CLUSTER_LINK_TOKENS)
        return OK;
    enum err err = follow_send_batch(f);
    if (err != OK)
        return err;
    f->batch = malloc(sizeof *f->batch);
    if (f->batch == NULL)
        return postgres_link_fail_with(&f->s->link, ERR_NO_MEMORY,
                                       "is not followed: no memory for it");
    f->batch->count = 0;
    return OK;
}

/* ---- what is news ---- */

static bool make_room(struct follow *f, token_id id)
{
    if (id < f->room)
        return true;
    size_t room = (size_t)id + id / 2 + 1024;
    uint32_t *larger = realloc(f->generations, room * sizeof *larger);
    if (larger == NULL)
        return false;
    memset(larger + f->room, 0, (room - f->room) * sizeof *larger);
    f->generations = larger;
    f->room = room;
    return true;
}

/* One more than the generation of what was delivered; 0: nothing was. */
static bool is_stale(const struct follow *f, token_id id, uint16_t slot, uint64_t generation)
{
    bool is_known = id < f->room && f->generations[id] != 0;
    bool is_own = f->caught_up[slot] != 0 && generation <= f->caught_up[slot];
    return is_known && (is_own || generation + 1 < f->generations[id]);
}

enum err follow_add(struct follow *f, const struct store_token *token, uint16_t slot,
                    const struct postgres_origin *origin, enum follow_pools pools)
{
    if (is_stale(f, token->id, slot, origin->generation)) {
        f->stale++;
        return OK;
    }
    enum err err = make_batch(f);
    if (err == OK && !make_room(f, token->id))
        err = postgres_link_fail_with(&f->s->link, ERR_NO_MEMORY,
                                      "is not followed: no memory for it");
    if (err != OK)
        return err;
    struct link_batch *batch = f->batch;
    f->generations[token->id] = (uint32_t)origin->generation + 1;
    f->lacks_pools[batch->count] = pools == FOLLOW_POOLS_CHANGED;
    batch->has_pools[batch->count] = pools != FOLLOW_NO_POOLS;
    struct store_token *copy = &batch->tokens[batch->count++];
    memcpy(copy, token, offsetof(struct store_token, pools));
    if (pools == FOLLOW_POOLS_GIVEN)
        memcpy(copy->pools, token->pools, token->token.pool_count * sizeof *copy->pools);
    else
        copy->token.pool_count = 0;
    follow_convert(f, copy, origin->node);
    return OK;
}

/* ---- new tokens ---- */

static enum err take_walk(struct follow *f, struct load *walk)
{
    const struct store_token *token = NULL;
    enum err err = OK;
    do {
        err = postgres_walk_next(walk, &token);
        if (err != OK || token == NULL)
            break;
        struct postgres_origin origin = postgres_walk_origin(walk);
        err = follow_add(f, token, mint_slot(&token->token.mint), &origin, FOLLOW_POOLS_GIVEN);
        if (token->id > f->last_token)
            f->last_token = token->id;
    } while (err == OK);
    return err;
}

enum err follow_new_tokens(struct follow *f)
{
    struct store_load_report report;
    struct load *walk = NULL;
    bool is_quiet = f->standing_tokens > 0; /* they were told of, and stand there still */
    enum err err = postgres_walk_new(f->s, f->last_token, is_quiet, &report, &walk);
    if (err == OK)
        err = take_walk(f, walk);
    if (err == OK && report.rows_refused > f->standing_tokens)
        f->refused += report.rows_refused - f->standing_tokens;
    if (err == OK)
        f->standing_tokens = report.rows_refused;
    postgres_walk_end(walk);
    return err;
}

/* ---- logs ---- */

/* A damaged generation would make stale all that comes after it. */
static enum err check_generation(struct follow *f, const struct log_record *record,
                                 const char **complaint)
{
    if (record->generation <= f->leases[record->slot])
        return OK;
    enum err err = postgres_leases_generations(&f->s->link, "follow", f->leases);
    if (err == OK && record->generation > f->leases[record->slot])
        *complaint = "a generation ahead of its lease's";
    return err;
}

static enum err take_record(struct follow *f, int64_t node, const struct log_record *record)
{
    struct postgres_origin origin = {node, record->generation};
    struct store_token *token = &f->token;
    enum err err = OK;
    *token = (struct store_token){0};
    token->token.mint = (struct address){0}; /* its row alone says these */
    token->token.created_at = INSTANT_NEVER;
    const char *complaint = log_record_decode(record, token);
    if (complaint == NULL)
        err = check_generation(f, record, &complaint);
    if (complaint == NULL && err == OK && token->id > f->last_token)
        err = follow_new_tokens(f);
    if (complaint == NULL && err == OK && (token->id >= f->room || f->generations[token->id] == 0))
        complaint = "a token that is not there";
    if (complaint != NULL)
        follow_refuse(f, "refresh_log", record->position, complaint);
    if (complaint != NULL || err != OK)
        return err;
    return follow_add(f, token, record->slot, &origin,
                      record->has_pools ? FOLLOW_POOLS_CHANGED : FOLLOW_NO_POOLS);
}

static enum err take_row(struct follow *f, struct postgres_position *position, const PGresult *rows,
                         int row)
{
    struct log_record record;
    struct log_walk walk;
    enum err err = OK;
    const char *complaint = postgres_log_row(rows, row, position, &walk);
    while (err == OK && complaint == NULL && log_walk_next(&walk, &record)) {
        complaint = postgres_log_mark(rows, row, &record);
        if (complaint == NULL)
            err = take_record(f, position->node, &record);
    }
    if (complaint == NULL && err == OK && !log_walk_is_whole(&walk))
        complaint = "records that are cut off";
    if (complaint != NULL)
        follow_refuse(f, "refresh_log", postgres_integer(rows, row, 0), complaint);
    return err;
}

/* From the row of the newest record that was read on. */
static enum err ask_log(struct follow *f, const struct postgres_position *position, PGresult **out)
{
    struct postgres_values values = {0};
    char sql[400], a[64], b[64];
    postgres_table_of_log(position->node, 0, a);
    postgres_table_of_log(position->node, 1, b);
    /* Each part by its index, however long it is. */
    snprintf(sql, sizeof sql,
             "(SELECT " POSTGRES_LOG_COLUMNS " FROM %s WHERE seq>=$1 ORDER BY seq LIMIT %d) UNION "
             "ALL (SELECT " POSTGRES_LOG_COLUMNS " FROM %s WHERE seq>=$1 ORDER BY seq LIMIT %d) "
             "ORDER BY seq LIMIT %d",
             a, PAGE_LOG_ROWS, b, PAGE_LOG_ROWS, PAGE_LOG_ROWS);
    postgres_add_integer(&values, position->after);
    return postgres_link_ask(&f->s->link, sql, &values, "follow", out);
}

/* Nothing is left of the log: was all of it read? */
static enum err compare_end(struct follow *f, const struct postgres_position *position,
                            bool *is_whole)
{
    struct postgres_values values = {0};
    int64_t kept = 0;
    postgres_add_integer(&values, position->node);
    enum err err = postgres_link_ask_integer(
        &f->s->link, "SELECT log_position FROM node WHERE number=$1", &values, 0, &kept);
    *is_whole = kept == position->after;
    return err;
}

/* Whether the rows go on where the log was read to; *first is the first that was not. */
static enum err find_bookmark(struct follow *f, const struct postgres_position *position,
                              const PGresult *rows, int *first, bool *is_whole)
{
    *first = 0;
    if (PQntuples(rows) == 0)
        return compare_end(f, position, is_whole);
    bool is_mark = position->after > 0 && postgres_integer(rows, 0, 0) == position->after;
    *first = is_mark;
    *is_whole = is_mark ? postgres_log_hash(rows, 0) == position->hash
                        : postgres_integer(rows, 0, 1) == position->after + 1;
    return OK;
}

static enum err follow_log(struct follow *f, struct postgres_position *position)
{
    enum err err = OK;
    for (bool is_last = false; err == OK && !is_last && f->is_synced;) {
        PGresult *rows = NULL;
        int first = 0;
        err = ask_log(f, position, &rows);
        if (err == OK)
            err = find_bookmark(f, position, rows, &first, &f->is_synced);
        int64_t before = position->after;
        int count = err == OK ? PQntuples(rows) : 0;
        for (int row = first; err == OK && f->is_synced && row < count; row++)
            err = take_row(f, position, rows, row);
        is_last = count < PAGE_LOG_ROWS || position->after == before;
        PQclear(rows);
    }
    return err;
}

/* NULL: no memory. */
static struct postgres_position *find_position(struct follow *f,
                                               const struct postgres_position *now)
{
    for (size_t i = 0; i < f->position_count; i++)
        if (f->positions[i].node == now->node)
            return &f->positions[i];
    struct postgres_position *larger =
        realloc(f->positions, (f->position_count + 1) * sizeof *larger);
    if (larger == NULL)
        return NULL;
    f->positions = larger;
    f->positions[f->position_count] = (struct postgres_position){.node = now->node};
    return &f->positions[f->position_count++];
}

static enum err follow_node(struct follow *f, const struct postgres_position *now)
{
    struct postgres_position *known = find_position(f, now);
    if (known == NULL)
        return postgres_link_fail_with(&f->s->link, ERR_NO_MEMORY,
                                       "is not followed: no memory for it");
    if (known->node == f->s->node ||
        (known->generation == now->generation && known->transactions == now->transactions))
        return OK;
    known->kept = now->kept;
    enum err err = follow_log(f, known);
    if (err == OK) {
        known->generation = now->generation;
        known->transactions = now->transactions;
    }
    return err;
}

static enum err follow_logs(struct follow *f)
{
    PGresult *nodes = NULL;
    enum err err =
        postgres_link_ask(&f->s->link, "SELECT " POSTGRES_NODE_COLUMNS " FROM node ORDER BY number",
                          NULL, "follow", &nodes);
    for (int row = 0; err == OK && f->is_synced && row < PQntuples(nodes); row++) {
        struct postgres_position now;
        postgres_read_position(nodes, row, &now);
        err = follow_node(f, &now);
    }
    PQclear(nodes);
    return err;
}

/* Everything, as a start does. */
static enum err resync(struct follow *f)
{
    struct store_load_report report;
    struct load *walk = NULL;
    const struct postgres_position *ends;
    f->resyncs++;
    enum err err = postgres_walk_begin(f->s, &report, &walk);
    if (err == OK)
        err = take_walk(f, walk);
    f->refused += report.rows_refused;
    if (err == OK) {
        ends = postgres_walk_positions(walk, &f->position_count);
        free(f->positions);
        f->positions = malloc((f->position_count + 1) * sizeof *ends);
        if (f->positions == NULL)
            heap_exhausted("positions"); /* 50 bytes a node */
        memcpy(f->positions, ends, f->position_count * sizeof *ends);
    }
    postgres_walk_end(walk);
    free(f->s->replayed);
    f->s->replayed = NULL;
    f->s->replayed_count = 0;
    f->is_synced = err == OK;
    return err;
}

/* ---- a round ---- */

static enum err take_setting(struct follow *f, const char *name, const char *value)
{
    struct link_news *news = link_make_news(NEWS_SETTING);
    news->setting.name = strdup(name);
    news->setting.value = strdup(value);
    if (news->setting.name == NULL || news->setting.value == NULL)
        heap_exhausted("a setting"); /* that another node has */
    kept_settings_put(&f->settings, name, value);
    f->setting_count++;
    return link_hand_over(f->link, news) ? OK : stopped();
}

static bool is_known_setting(const struct follow *f, const char *name, const char *value)
{
    for (size_t i = 0; i < f->settings.count; i++)
        if (strcmp(f->settings.items[i].name, name) == 0)
            return strcmp(f->settings.items[i].value, value) == 0;
    return false;
}

static enum err follow_settings(struct follow *f)
{
    PGresult *rows = NULL;
    uint32_t refused = 0;
    enum err err =
        postgres_link_ask(&f->s->link, "SELECT name,value FROM setting ORDER BY name LIMIT 1024",
                          NULL, "follow", &rows);
    for (int row = 0; err == OK && row < PQntuples(rows); row++) {
        char name[SETTING_SIZE], value[SETTING_SIZE];
        if (!postgres_text(rows, row, 0, name, sizeof name) ||
            !postgres_text(rows, row, 1, value, sizeof value))
            follow_refuse_standing(f, &f->standing_settings, ++refused, "setting",
                                   "a name or a value that is too long");
        else if (!is_known_setting(f, name, value))
            err = take_setting(f, name, value);
    }
    PQclear(rows);
    return err;
}

static enum err follow_tokens(struct follow *f)
{
    enum err err = f->is_synced ? follow_new_tokens(f) : OK;
    if (err == OK && f->is_synced)
        err = follow_logs(f);
    if (err == OK && !f->is_synced)
        err = resync(f);
    return err == OK ? follow_send_batch(f) : err;
}

static enum err do_round(struct follow *f)
{
    enum err err = follow_give_orders(f);
    if (err == OK)
        err = follow_clocks(f);
    if (err == OK)
        err = follow_settings(f);
    if (err == OK)
        err = follow_orders(f);
    if (err == OK)
        err = follow_tokens(f);
    return err == OK ? follow_look_for_gone(f) : err;
}

/* What was this node's before the round began is in the table now, up to the generation before. */
static void note_own(struct follow *f, const uint64_t own[LEASE_COUNT])
{
    for (uint16_t slot = 0; slot < MINT_SLOTS; slot++)
        if (own[slot] > f->caught_up[slot])
            f->caught_up[slot] = own[slot];
}

/* Under the mutex. */
static void count_round(struct follow *f, struct cluster_link_stats *stats)
{
    stats->tokens = f->tokens;
    stats->stale = f->stale;
    stats->rows_refused = f->refused;
    stats->resyncs = f->resyncs;
    stats->settings = f->setting_count;
    stats->orders = f->order_count;
    stats->orders_given = f->orders_given;
    stats->orders_missed = f->orders_missed;
    stats->is_offset_known = f->is_offset_known;
    stats->offset = f->offset;
    stats->member_count = f->member_count;
    memcpy(stats->members, f->members, sizeof stats->members);
}

static uint64_t begin_round(struct follow *f, uint64_t own[LEASE_COUNT])
{
    struct cluster_link *link = f->link;
    uv_mutex_lock(&link->mutex);
    uint64_t round = ++link->rounds_begun;
    link->is_round_wanted = false;
    memcpy(own, link->own, sizeof link->own);
    uv_mutex_unlock(&link->mutex);
    return round;
}

static void end_round(struct follow *f, enum err err, uint64_t round, instant began)
{
    struct cluster_link_stats *stats = &f->link->stats;
    double seconds = duration_to_s(instant_diff(clock_now(), began));
    uv_mutex_lock(&f->link->mutex);
    bool was_following = stats->is_following;
    stats->is_following = err == OK;
    count_round(f, stats);
    if (err == OK) {
        stats->round = round;
        stats->round_at = began;
        stats->round_seconds_last = seconds;
        if (seconds > stats->round_seconds_max)
            stats->round_seconds_max = seconds;
    } else {
        stats->round_failures++;
        snprintf(stats->message, sizeof stats->message, "%s", f->s->link.message);
    }
    uv_mutex_unlock(&f->link->mutex);
    if (err != OK && (was_following || f->failures == 0))
        log_warning("cluster", f->s->link.message);
    else if (err == OK && f->failures > 0)
        log_info("cluster", "follows the other nodes again", LOG_INT("failures", f->failures));
}

static void save_progress(struct follow *f)
{
    free(f->saved.positions);
    f->saved.positions = malloc((f->position_count + 1) * sizeof *f->positions);
    if (f->saved.positions == NULL)
        heap_exhausted("positions"); /* 50 bytes a node */
    if (f->position_count > 0)
        memcpy(f->saved.positions, f->positions, f->position_count * sizeof *f->positions);
    f->saved.position_count = f->position_count;
    f->saved.last_token = f->last_token;
    f->saved.is_synced = f->is_synced;
}

/* What was read and not handed over is read again. */
static void take_back_progress(struct follow *f)
{
    for (size_t id = (size_t)f->saved.last_token + 1; id <= f->last_token && id < f->room; id++)
        f->generations[id] = 0;
    free(f->batch);
    free(f->positions);
    f->batch = NULL;
    f->positions = f->saved.positions;
    f->position_count = f->saved.position_count;
    f->last_token = f->saved.last_token;
    f->is_synced = f->saved.is_synced;
    f->saved.positions = NULL;
}

/* A server that died may have lost the newest transactions, and have counted others in their place.
 */
static void doubt_counts(struct follow *f)
{
    for (size_t i = 0; i < f->position_count; i++)
        f->positions[i].transactions = -1;
}

static enum err connect_follower(struct follow *f)
{
    if (postgres_link_is_up(&f->s->link))
        return OK;
    doubt_counts(f);
    enum err err = link_connect(&f->s->link, f->link, "follow", ANSWER_S, &f->s->node);
    if (err == OK)
        err = postgres_link_run(&f->s->link,
                                "LISTEN " POSTGRES_LEASES_CHANNEL ";LISTEN " POSTGRES_ROWS_CHANNEL,
                                "follow");
    /* A server that knows no notifications is asked twice a second. */
    if (err != OK && postgres_link_is_up(&f->s->link))
        err = OK;
    return err == OK ? follow_begin_orders(f) : err;
}

static void run_round(struct follow *f)
{
    uint64_t own[LEASE_COUNT];
    instant began = clock_now();
    enum err err = connect_follower(f);
    uint64_t round = begin_round(f, own);
    save_progress(f);
    if (err == OK)
        err = do_round(f);
    if (err != OK)
        take_back_progress(f);
    end_round(f, err, round, began);
    if (err == OK) {
        struct link_news *news = link_make_news(NEWS_FOLLOWED);
        news->round = round;
        note_own(f, own);
        f->failures = 0;
        if (!link_hand_over(f->link, news))
            return; /* it is being stopped */
    } else {
        f->failures++;
        postgres_link_close(&f->s->link);
    }
}

/* ---- waiting ---- */

static void take_notifications(struct follow *f)
{
    PGnotify *notify;
    bool has_leases = false;
    while (postgres_link_is_up(&f->s->link) && (notify = PQnotifies(f->s->link.conn)) != NULL) {
        bool is_rows = strcmp(notify->relname, POSTGRES_ROWS_CHANNEL) == 0;
        has_leases = has_leases || !is_rows;
        f->is_round_wanted = f->is_round_wanted || is_rows;
        PQfreemem(notify);
    }
    if (!has_leases)
        return;
    uv_mutex_lock(&f->link->mutex);
    f->link->is_notified = true;
    uv_mutex_unlock(&f->link->mutex);
    uv_async_send(&f->link->async);
}

static bool wants_round(struct follow *f)
{
    uv_mutex_lock(&f->link->mutex);
    bool is_wanted = f->link->is_round_wanted || f->is_round_wanted || f->link->is_stopping;
    uv_mutex_unlock(&f->link->mutex);
    return is_wanted;
}

static duration pause_of(const struct follow *f)
{
    int64_t ms = LINK_BACKOFF_MIN_MS << (f->failures < 8 ? f->failures : 8);
    if (f->failures == 0)
        return CLUSTER_LINK_ROUND;
    return duration_ms(ms < LINK_BACKOFF_MAX_MS ? ms : LINK_BACKOFF_MAX_MS);
}

/* Until the next round is due, or wanted; after a failure, until the pause is over. */
static void wait_for_round(struct follow *f, instant began)
{
    instant due = instant_add(f->failures == 0 ? began : clock_now(), pause_of(f));
    while (true) {
        struct pollfd fds[2] = {{.fd = f->link->wake, .events = POLLIN},
                                {.fd = -1, .events = POLLIN}};
        uint64_t count;
        take_notifications(f);
        int64_t left = duration_to_ms(instant_diff(due, clock_now()));
        if (left <= 0 || (f->failures == 0 && wants_round(f)) || link_is_stopping(f->link))
            break;
        if (postgres_link_is_up(&f->s->link))
            fds[1].fd = PQsocket(f->s->link.conn);
        poll(fds, 2, left > 1000 ? 1000 : (int)left + 1);
        if (fds[0].revents != 0 && read(f->link->wake, &count, sizeof count) < 0)
            continue; /* somebody else's poll */
        if (fds[1].revents != 0 && PQconsumeInput(f->s->link.conn) == 0)
            break; /* the round will say why */
    }
    f->is_round_wanted = false;
}

static void finish(struct follow *f)
{
    postgres_link_close(&f->s->link);
    kept_settings_finish(&f->settings);
    free(f->s->replayed);
    free(f->s);
    free(f->batch);
    free(f->positions);
    free(f->saved.positions);
    free(f->generations);
    free(f);
}

static struct follow *create(struct cluster_link *link)
{
    struct follow *f = calloc(1, sizeof *f);
    if (f != NULL)
        f->s = calloc(1, sizeof *f->s);
    if (f == NULL || f->s == NULL)
        heap_exhausted("following other nodes"); /* 200 KiB at a start */
    f->link = link;
    f->s->log_position = INT64_MAX; /* whatever a row of ours says to know of our log, it does */
    return f;
}

void cluster_follow_run(void *argument)
{
    struct cluster_link *link = argument;
    struct follow *f = create(link);
    pthread_setname_np(pthread_self(), "follow");
    if (postgres_link_init(&f->s->link, link->url) == OK)
        while (!link_is_stopping(link)) {
            instant began = clock_now();
            run_round(f);
            wait_for_round(f, began);
        }
    if (postgres_link_is_up(&f->s->link)) {
        postgres_link_set_end(&f->s->link, LAST_ORDERS_S);
        if (follow_give_orders(f) != OK)
            log_warning("cluster", f->s->link.message);
    }
    finish(f);
}
