/* Orders to all nodes, and the members' clocks, as rounds read them. See cluster_link.h. */
#include "base/clock.h"
#include "base/log.h"
#include "store/cluster_follow.h"
#include "store/load_checks.h"
#include "store/postgres_leases.h"
#include <string.h>

#define PAGE_ORDERS 256

/* An offset is measured with an error of how long a message takes. It changes when it is off by
 * more than this, and less than twice this between two clocks is none, or everything that is
 * followed would be told in a slightly other time each round. */
#define OFFSET_STEP  duration_ms(50)
#define SLOWER_LOOKS 3 /* renewals, a third of a lease time apart */
#define TRIP_MAX     duration_ms(500)

/* ---- giving ---- */

static enum err tell(struct follow *f, const char *sql, const struct postgres_values *values)
{
    PGresult *rows = NULL;
    enum err err = postgres_link_ask(&f->s->link, sql, values, "give an order in", &rows);
    PQclear(rows);
    return err;
}

static enum err insert_order(struct follow *f, const struct waiting_order *waiting)
{
    struct postgres_values values = {0}, old = {0};
    int64_t id = 0;
    /* The row is locked until the end: ids are committed in their order. */
    enum err err = postgres_link_ask_integer(
        &f->s->link, "UPDATE moonwatch SET value=value+1 WHERE name='order' RETURNING value", NULL,
        0, &id);
    postgres_add_integer(&values, id);
    postgres_add_integer(&values, (int64_t)(waiting->nonce >> 1));
    postgres_add_text(&values, f->link->name);
    postgres_add_text(&values, waiting->order.kind);
    postgres_add_text(&values, waiting->order.body);
    if (err == OK)
        err = tell(f,
                   "INSERT INTO cluster_order(id,nonce,name,kind,body,at) "
                   "VALUES($1,$2,$3,$4,$5," POSTGRES_CLOCK ") ON CONFLICT(nonce) DO NOTHING",
                   &values);
    postgres_add_integer(&old, id - CLUSTER_ORDERS_KEPT);
    return err == OK ? tell(f, "DELETE FROM cluster_order WHERE id<=$1", &old) : err;
}

static enum err give(struct follow *f, const struct waiting_order *waiting)
{
    struct postgres_link *to = &f->s->link;
    enum err err = postgres_link_run(to, "BEGIN", "give an order in");
    if (err == OK)
        err = insert_order(f, waiting);
    if (err == OK && !to->lacks_notify)
        err = postgres_link_run(to, "SELECT pg_notify('" POSTGRES_ROWS_CHANNEL "','')", "tell");
    return err == OK ? postgres_link_run(to, "COMMIT", "give an order in") : err;
}

static bool first_order(struct follow *f, struct waiting_order *out)
{
    uv_mutex_lock(&f->link->mutex);
    const struct waiting_order *front = fifo_front(&f->link->orders);
    if (front != NULL)
        *out = *front;
    uv_mutex_unlock(&f->link->mutex);
    return front != NULL;
}

/* Unless it was dropped meanwhile, for too many others. */
static void forget_order(struct follow *f, const struct waiting_order *given)
{
    struct waiting_order waiting;
    uv_mutex_lock(&f->link->mutex);
    const struct waiting_order *front = fifo_front(&f->link->orders);
    if (front != NULL && front->nonce == given->nonce && fifo_pop(&f->link->orders, &waiting))
        f->orders_given++;
    uv_mutex_unlock(&f->link->mutex);
}

enum err follow_give_orders(struct follow *f)
{
    struct waiting_order waiting;
    enum err err = OK;
    while (err == OK && first_order(f, &waiting)) {
        err = give(f, &waiting);
        if (err == OK)
            forget_order(f, &waiting);
    }
    return err;
}

/* ---- hearing ---- */

static enum err ask_last(struct follow *f, int64_t *last)
{
    return postgres_link_ask_integer(&f->s->link, "SELECT value FROM moonwatch WHERE name='order'",
                                     NULL, 0, last);
}

enum err follow_begin_orders(struct follow *f)
{
    int64_t last = 0, oldest = 0;
    enum err err = ask_last(f, &last);
    if (err == OK)
        err = postgres_link_ask_integer(&f->s->link, "SELECT min(id) FROM cluster_order", NULL,
                                        last + 1, &oldest);
    if (err != OK)
        return err;
    if (!f->has_orders || last < f->last_order)
        f->last_order = last; /* the first time, or of another database */
    else if (oldest > f->last_order + 1)
        f->orders_missed += (uint64_t)(oldest - f->last_order - 1);
    f->has_orders = true;
    return OK;
}

static bool read_order(const PGresult *rows, int row, struct cluster_order *out)
{
    *out = (struct cluster_order){.id = postgres_integer(rows, row, 0),
                                  .age = {postgres_integer(rows, row, 4)}};
    return postgres_text(rows, row, 1, out->from, sizeof out->from) &&
           postgres_text(rows, row, 2, out->kind, sizeof out->kind) && *out->kind != '\0' &&
           postgres_text(rows, row, 3, out->body, sizeof out->body);
}

static enum err take_order(struct follow *f, const PGresult *rows, int row)
{
    struct cluster_order order;
    bool is_sound = read_order(rows, row, &order);
    f->last_order = order.id;
    if (!is_sound) {
        follow_refuse(f, "cluster_order", order.id, "a text that is too long, or none");
        return OK;
    }
    struct link_news *news = link_make_news(NEWS_ORDER);
    news->order = order;
    f->order_count++;
    return link_hand_over(f->link, news) ? OK : ERR_BUSY;
}

enum err follow_orders(struct follow *f)
{
    enum err err = OK;
    for (int count = PAGE_ORDERS; err == OK && count == PAGE_ORDERS;) {
        struct postgres_values values = {0};
        PGresult *rows = NULL;
        postgres_add_integer(&values, f->last_order);
        postgres_add_integer(&values, PAGE_ORDERS);
        /* One that is not counted is none of ours. */
        err = postgres_link_ask(&f->s->link,
                                "SELECT id,name,kind,body," POSTGRES_CLOCK
                                "-at FROM cluster_order WHERE id>$1 AND id<=(SELECT value FROM "
                                "moonwatch WHERE name='order') ORDER BY id LIMIT $2",
                                &values, "follow", &rows);
        count = err == OK ? PQntuples(rows) : 0;
        for (int row = 0; err == OK && row < count; row++)
            err = take_order(f, rows, row);
        PQclear(rows);
    }
    return err;
}

/* ---- clocks ---- */

static int64_t distance(duration a, duration b)
{
    return a.us < b.us ? b.us - a.us : a.us - b.us;
}

static struct follow_clock *find_clock(struct follow *f, int64_t node)
{
    for (size_t i = 0; i < f->clock_count; i++)
        if (f->clocks[i].node == node)
            return &f->clocks[i];
    return NULL;
}

/* A renewal that was on its way for long makes its clock look slow, never fast: such a look is
 * believed when several renewals in a row say so. */
static void look_at_clock(struct follow_clock *clock, duration offset, int64_t seen)
{
    bool is_slower = offset.us < clock->offset.us;
    if (distance(clock->offset, offset) <= OFFSET_STEP.us) {
        clock->slower = 0;
    } else if (!is_slower || (seen != clock->seen && ++clock->slower >= SLOWER_LOOKS)) {
        clock->offset = offset;
        clock->slower = 0;
    }
    clock->seen = seen;
}

static void note_clock(struct follow *f, int64_t node, duration offset, int64_t seen)
{
    struct follow_clock *clock = find_clock(f, node);
    if (clock == NULL) {
        /* Of the 65th the last one's place: members are 64 at most. */
        clock = &f->clocks[f->clock_count < CLUSTER_NODES_MAX ? f->clock_count++
                                                              : CLUSTER_NODES_MAX - 1];
        *clock = (struct follow_clock){.node = node, .offset = offset, .seen = seen};
    } else {
        look_at_clock(clock, offset, seen);
    }
}

/* Ours against the database's, which it told between these two instants: when they are far apart,
 * nobody knows when. */
static void note_own_clock(struct follow *f, instant before, instant after, int64_t database_us)
{
    if (instant_diff(after, before).us > TRIP_MAX.us)
        return;
    duration offset = {before.us + (after.us - before.us) / 2 - database_us};
    if (!f->is_offset_known || distance(f->offset, offset) > OFFSET_STEP.us)
        f->offset = offset;
    f->is_offset_known = true;
}

static duration offset_of(const struct follow *f, int64_t node, bool *is_known)
{
    const struct follow_clock *clock = find_clock((struct follow *)f, node);
    *is_known = clock != NULL && f->is_offset_known && node != f->s->node;
    return *is_known ? duration_us(clock->offset.us - f->offset.us) : duration_us(0);
}

/* Told once each time that it begins. */
static void tell_offset(const struct cluster_link_member *before,
                        const struct cluster_link_member *now)
{
    if (distance(now->offset, duration_us(0)) > CLUSTER_OFFSET_MAX.us &&
        (before == NULL || distance(before->offset, duration_us(0)) <= CLUSTER_OFFSET_MAX.us))
        log_warning("cluster", "a node's clock is wrong, or ours; instants are converted",
                    LOG_STRING("node", now->name),
                    LOG_INT("ahead_ms", duration_to_ms(now->offset)));
}

static void note_member(struct follow *f, const PGresult *rows, int row,
                        const struct cluster_link_member *before, uint32_t before_count)
{
    struct cluster_link_member *member = &f->members[f->member_count++];
    const struct cluster_link_member *known = NULL;
    *member = (struct cluster_link_member){.session = (uint64_t)postgres_integer(rows, row, 0),
                                           .node = postgres_integer(rows, row, 1)};
    postgres_text(rows, row, 2, member->name, sizeof member->name);
    member->offset = offset_of(f, member->node, &member->is_offset_known);
    for (uint32_t i = 0; i < before_count; i++)
        if (before[i].session == member->session)
            known = &before[i];
    tell_offset(known, member);
}

/* What cannot be a clock's is none: nobody is a century off. */
static bool is_clock(int64_t clock, int64_t seen)
{
    const int64_t century = INT64_C(3155760000) * 1000000;
    return clock > 0 && seen > 0 && clock < 10 * century && seen < 10 * century &&
           clock - seen < century && seen - clock < century;
}

enum err follow_clocks(struct follow *f)
{
    struct cluster_link_member before[CLUSTER_NODES_MAX];
    uint32_t before_count = f->member_count, refused = 0;
    PGresult *rows = NULL;
    instant asked_at = clock_now();
    enum err err = postgres_link_ask(&f->s->link,
                                     "SELECT session,node,name,clock,seen," POSTGRES_CLOCK
                                     " FROM cluster_member ORDER BY session LIMIT 64",
                                     NULL, "follow", &rows);
    instant told_at = clock_now();
    if (err != OK)
        return err;
    memcpy(before, f->members, sizeof before);
    f->member_count = 0;
    if (PQntuples(rows) > 0)
        note_own_clock(f, asked_at, told_at, postgres_integer(rows, 0, 5));
    for (int row = 0; row < PQntuples(rows) && row < CLUSTER_NODES_MAX; row++) {
        int64_t clock = postgres_integer(rows, row, 3), seen = postgres_integer(rows, row, 4);
        if (is_clock(clock, seen))
            note_clock(f, postgres_integer(rows, row, 1), duration_us(clock - seen), seen);
        else
            follow_refuse_standing(f, &f->standing_clocks, ++refused, "cluster_member",
                                   "no clock's time");
        note_member(f, rows, row, before, before_count);
    }
    PQclear(rows);
    return OK;
}

static void convert(instant *at, duration ahead)
{
    if (!instant_is_never(*at))
        *at = instant_max(instant_add(*at, duration_us(-ahead.us)), (instant){1});
}

void follow_convert(const struct follow *f, struct store_token *token, int64_t node)
{
    struct token_state *state = &token->token.state;
    bool is_known;
    duration ahead = offset_of(f, node, &is_known);
    if (distance(ahead, duration_us(0)) > 2 * OFFSET_STEP.us) {
        convert(&state->checked_at, ahead);
        convert(&state->fetched_at, ahead);
        convert(&state->scored_at, ahead);
        convert(&state->discovered_at, ahead);
        convert(&state->status_since, ahead);
    }
    load_clamp_times(token, clock_now());
}
