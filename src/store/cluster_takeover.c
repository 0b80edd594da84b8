/*
 * The log of a node that is gone for good would stay for ever, and each start would read it.
 * Whoever finds that a node is no member, has not written and has a log for as long as
 * `gone_after`, is that node for a moment: opens its store, which fences the node, should it come
 * back just now; brings the rows of the tokens in its log up to what is newest; drops the log.
 * Others who had not read its end find that it was cut off, and read the rows. Of several who try
 * at once the node's lock lets one.
 */
#include "base/clock.h"
#include "base/log.h"
#include "store/cluster_follow.h"
#include "store/dirty_set.h"
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#define LOOKS_A_TIME 10 /* within gone_after */

/* ---- being the node ---- */

struct takeover {
    struct cluster_link *link;
    char url[POSTGRES_URL_SIZE + POSTGRES_NODE_SIZE + 8];
    char name[POSTGRES_NODE_SIZE];
    struct store *store;
    enum err err;
};

static bool write_row(void *context, const struct store_token *token)
{
    struct takeover *t = context;
    if (link_is_stopping(t->link))
        return false;
    t->err = store_checkpoint_token(t->store, token);
    return t->err == OK;
}

/* Rising, each once. NULL: no memory. */
static token_id *find_ids(struct takeover *t, size_t *count)
{
    struct dirty_set *set = dirty_set_create();
    token_id id, from = 1, *ids = NULL;
    *count = 0;
    if (set == NULL)
        return NULL;
    while ((id = store_next_replayed(t->store)) != TOKEN_NONE)
        dirty_set_mark(set, id);
    size_t most = dirty_set_count(set);
    ids = malloc((most + 1) * sizeof *ids);
    if (ids != NULL)
        *count = dirty_set_take(set, &from, UINT32_MAX, ids, most);
    dirty_set_destroy(set);
    return ids;
}

static enum err write_rows(struct takeover *t)
{
    const struct store_loader loader = {.context = t, .on_token = write_row};
    struct store_load_report report;
    size_t count = 0;
    enum err err = store_resume(t->store, &loader, &report);
    token_id *ids = err == OK ? find_ids(t, &count) : NULL;
    if (err == OK && ids == NULL)
        err = ERR_NO_MEMORY;
    if (err == OK)
        err = store_begin(t->store, STORE_DURABLE);
    if (err == OK)
        err = store_load_some(t->store, ids, count, &loader);
    if (t->err != OK)
        err = t->err;
    if (err == OK)
        err = store_commit(t->store);
    free(ids);
    return err;
}

static enum err drop_log(struct takeover *t)
{
    enum err err = OK;
    for (int part = 0; err == OK && part < 2; part++) {
        store_start_pass(t->store);
        err = store_begin(t->store, STORE_DURABLE);
        if (err == OK)
            err = store_end_pass(t->store);
        if (err == OK)
            err = store_commit(t->store);
    }
    return err;
}

static void run(void *argument)
{
    struct takeover *t = argument;
    struct cluster_link *link = t->link;
    char why[512];
    pthread_setname_np(pthread_self(), "takeover");
    t->store = store_open(t->url, why);
    enum err err = t->store == NULL ? ERR_BUSY : write_rows(t);
    if (err == OK)
        err = drop_log(t);
    if (t->store != NULL && err != OK) {
        snprintf(why, sizeof why, "%s", store_message(t->store));
        store_rollback(t->store);
    }
    store_close(t->store);
    if (err == OK)
        log_info("cluster", "took over the log of a node that is gone",
                 LOG_STRING("node", t->name));
    else
        log_warning("cluster", why);
    uv_mutex_lock(&link->mutex);
    link->stats.logs_taken_over += err == OK;
    link->is_taking_over = false;
    uv_mutex_unlock(&link->mutex);
    free(t);
}

/* ---- finding it ---- */

/* The link's URL, with the other node's name. */
static void write_url(struct takeover *t)
{
    struct postgres_link parsed;
    if (postgres_link_init(&parsed, t->link->url) != OK)
        return; /* it was parsed before */
    snprintf(t->url, sizeof t->url, "%s%snode=%s", parsed.url,
             strchr(parsed.url, '?') != NULL ? "&" : "?", t->name);
}

static void begin(struct follow *f, const char *name)
{
    struct cluster_link *link = f->link;
    struct takeover *t = calloc(1, sizeof *t);
    if (t == NULL)
        return; /* another time */
    t->link = link;
    snprintf(t->name, sizeof t->name, "%s", name);
    write_url(t);
    uv_mutex_lock(&link->mutex);
    bool is_free = !link->is_taking_over && !link->is_stopping;
    link->is_taking_over = link->is_taking_over || is_free;
    uv_mutex_unlock(&link->mutex);
    if (is_free && link->has_takeover)
        uv_thread_join(&link->takeover); /* it is over */
    link->has_takeover =
        is_free ? uv_thread_create(&link->takeover, run, t) == 0 : link->has_takeover;
    if (is_free && link->has_takeover)
        return;
    free(t);
    if (is_free) {
        uv_mutex_lock(&link->mutex);
        link->is_taking_over = false;
        uv_mutex_unlock(&link->mutex);
    }
}

static bool is_member(const struct follow *f, int64_t node)
{
    for (uint32_t i = 0; i < f->member_count; i++)
        if (f->members[i].node == node)
            return true;
    return node == f->s->node;
}

static enum err has_log(struct follow *f, int64_t node, bool *out)
{
    int64_t count = 0;
    char sql[256];
    snprintf(sql, sizeof sql,
             "SELECT (SELECT count(*) FROM (SELECT 1 FROM refresh_log_%" PRId64
             "_a LIMIT 1) AS a)+(SELECT count(*) FROM (SELECT 1 FROM refresh_log_%" PRId64
             "_b LIMIT 1) AS b)",
             node, node);
    enum err err = postgres_link_ask_integer(&f->s->link, sql, NULL, 0, &count);
    *out = count > 0;
    return err;
}

/* NULL: no memory, or so many nodes that this one waits. */
static struct follow_absent *find_absent(struct follow *f, int64_t node)
{
    for (size_t i = 0; i < f->absent_count; i++)
        if (f->absent[i].node == node)
            return &f->absent[i];
    if (f->absent_count == FOLLOW_ABSENT_MAX)
        return NULL;
    f->absent[f->absent_count] = (struct follow_absent){.node = node};
    return &f->absent[f->absent_count++];
}

static enum err look_at(struct follow *f, const struct postgres_position *now, const char *name,
                        duration gone_after)
{
    struct follow_absent *absent = find_absent(f, now->node);
    bool has_one = false;
    if (absent == NULL)
        return OK;
    if (is_member(f, now->node) || instant_is_never(absent->since) ||
        absent->generation != now->generation || absent->transactions != now->transactions)
        *absent =
            (struct follow_absent){now->node, now->generation, now->transactions, clock_now()};
    if (instant_diff(clock_now(), absent->since).us < gone_after.us)
        return OK;
    enum err err = has_log(f, now->node, &has_one);
    if (err == OK && has_one)
        begin(f, name);
    absent->since = clock_now(); /* not again at once */
    return err;
}

enum err follow_look_for_gone(struct follow *f)
{
    PGresult *nodes = NULL;
    instant now = clock_now();
    uv_mutex_lock(&f->link->mutex);
    duration gone_after = f->link->gone_after;
    uv_mutex_unlock(&f->link->mutex);
    if (instant_before(
            now, instant_add(f->looked_for_gone_at, duration_us(gone_after.us / LOOKS_A_TIME))))
        return OK;
    f->looked_for_gone_at = now;
    enum err err = postgres_link_ask(
        &f->s->link, "SELECT " POSTGRES_NODE_COLUMNS ",name FROM node ORDER BY number", NULL,
        "follow", &nodes);
    for (int row = 0; err == OK && row < PQntuples(nodes); row++) {
        struct postgres_position position;
        char name[POSTGRES_NODE_SIZE];
        postgres_read_position(nodes, row, &position);
        if (postgres_text(nodes, row, 4, name, sizeof name))
            err = look_at(f, &position, name, gone_after);
    }
    PQclear(nodes);
    return err;
}
