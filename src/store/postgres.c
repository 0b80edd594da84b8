/* Opening, healing and transactions of the PostgreSQL store. */
#include "base/clock.h"
#include "base/log.h"
#include "store/postgres_leases.h"
#include "store/postgres_store.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SIZE_EVERY duration_s(30)

static const char *const STATEMENT_SQL[] = {
#define X(id, sql) [id] = (sql), /* in parentheses: its parts are one text */
    POSTGRES_STATEMENT_LIST(X)
#undef X
};

static void rollback(struct store *store);

void postgres_table_of_log(int64_t node, int part, char out[64])
{
    snprintf(out, 64, "refresh_log_%" PRId64 "_%c", node, part == 0 ? 'a' : 'b');
}

/* ---- connecting ---- */

static enum err prepare_statements(struct postgres_store *s)
{
    static const struct postgres_values NO_TYPES;
    char name[16], sql[1280], table[64];
    enum err err = OK;
    for (int i = 0; err == OK && i < PG_STATEMENT_COUNT; i++) {
        postgres_table_of_log(s->node, i == PG_APPEND_B || i == PG_CLEAR_B, table);
        const char *mark = strstr(STATEMENT_SQL[i], "%s");
        int length = mark != NULL ? (int)(mark - STATEMENT_SQL[i]) : 0;
        snprintf(name, sizeof name, "s%d", i);
        if (mark != NULL)
            snprintf(sql, sizeof sql, "%.*s%s%s", length, STATEMENT_SQL[i], table, mark + 2);
        else
            snprintf(sql, sizeof sql, "%s", STATEMENT_SQL[i]);
        if ((i != PG_RELAX || s->has_relaxed) && (i != PG_NOTIFY || s->has_notify))
            err = postgres_link_prepare(&s->link, name, sql, &NO_TYPES);
    }
    return err == OK ? postgres_link_sync(&s->link, "set up", NULL, NULL) : err;
}

static enum err look_for_relaxed(struct postgres_store *s)
{
    enum err err = postgres_link_run(&s->link, "SET synchronous_commit=on", "set up");
    s->has_relaxed = err == OK;
    return err != OK && postgres_link_is_up(&s->link) ? OK : err;
}

/* Where the log ends, and which of its parts goes on. */
static enum err read_positions(struct postgres_store *s)
{
    struct postgres_values values = {0};
    int64_t ends[2] = {0}, kept = 0;
    char sql[128], table[64];
    enum err err = OK;
    for (int part = 0; err == OK && part < 2; part++) {
        postgres_table_of_log(s->node, part, table);
        snprintf(sql, sizeof sql, "SELECT max(seq) FROM %s", table);
        err = postgres_link_ask_integer(&s->link, sql, NULL, 0, &ends[part]);
    }
    postgres_add_integer(&values, s->node);
    if (err == OK)
        err = postgres_link_ask_integer(&s->link, "SELECT log_position FROM node WHERE number=$1",
                                        &values, 0, &kept);
    if (err != OK)
        return err;
    s->log_part = ends[1] > ends[0];
    s->is_other_empty = ends[1 - s->log_part] == 0;
    s->log_position = ends[s->log_part] > kept ? ends[s->log_part] : kept;
    s->log_committed = s->log_position;
    return OK;
}

static enum err read_event_id(struct postgres_store *s)
{
    struct postgres_values values = {0};
    int64_t first = postgres_first_id(s->node);
    postgres_add_integer(&values, first);
    postgres_add_integer(&values, postgres_first_id(s->node + 1));
    enum err err =
        postgres_link_ask_integer(&s->link, "SELECT max(id) FROM event WHERE id > $1 AND id < $2",
                                  &values, first, &s->event_committed);
    s->event_id = s->event_committed;
    return err;
}

/* One of several that vanished must not keep others from claiming its leases for longer than they
 * wait; they are told of settings. */
static enum err set_up_node(struct postgres_store *s)
{
    if (!s->link.has_node)
        return OK;
    enum err err = postgres_link_run(&s->link, POSTGRES_NODE_IDLE_MAX, "set up");
    if (err == OK)
        err = postgres_link_look_for_notify(&s->link);
    s->has_notify = err == OK && !s->link.lacks_notify;
    return err;
}

static void forget_size(struct postgres_store *s)
{
    s->size_at = INSTANT_NEVER;
}

static enum err connect_store(struct postgres_store *s, pid_t unawaited)
{
    char name[64];
    postgres_name_session(s, (long)getpid(), name);
    enum err err = postgres_link_connect(&s->link, name);
    if (err == OK)
        err = postgres_schema_open(&s->link, &s->schema);
    if (err == OK)
        err = postgres_schema_find_node(&s->link, &s->node);
    if (err == OK)
        err = postgres_take_lock(s, unawaited);
    if (err == OK)
        err = look_for_relaxed(s);
    if (err == OK)
        err = set_up_node(s);
    if (err == OK)
        err = postgres_schema_add_days(&s->link, &s->schema, clock_now());
    s->day = postgres_day_of(clock_now());
    forget_size(s);
    return err;
}

/* ---- the generation ---- */

struct node_row {
    int64_t generation, transactions;
};

/* Inside a transaction; waits for another one of this node, which would hide what it commits. */
static enum err lock_node(struct postgres_store *s, struct node_row *out)
{
    struct postgres_values values = {0};
    PGresult *rows = NULL;
    postgres_add_integer(&values, s->node);
    enum err err = postgres_link_ask(
        &s->link, "SELECT generation,transactions FROM node WHERE number=$1 FOR UPDATE", &values,
        "read", &rows);
    if (err == OK && PQntuples(rows) == 1)
        *out = (struct node_row){postgres_integer(rows, 0, 0), postgres_integer(rows, 0, 1)};
    else if (err == OK)
        err = postgres_link_fail_with(&s->link, ERR_CORRUPT,
                                      "lost its list of nodes; restore a backup");
    PQclear(rows);
    return err;
}

static enum err write_generation(struct postgres_store *s)
{
    struct postgres_values values = {0};
    PGresult *rows = NULL;
    postgres_add_integer(&values, (int64_t)s->generation);
    postgres_add_integer(&values, s->node);
    enum err err =
        postgres_link_ask(&s->link, "UPDATE node SET generation=$1,transactions=0 WHERE number=$2",
                          &values, "write to", &rows);
    PQclear(rows);
    s->transactions = 0;
    return err;
}

static void abandon(struct postgres_store *s)
{
    if (postgres_link_is_up(&s->link) &&
        postgres_link_run(&s->link, "ROLLBACK", "go on with") != OK)
        postgres_link_close(&s->link);
}

/* Each opening of the writer has a generation of its own, durable before anything else is. */
static enum err start_generation(struct postgres_store *s)
{
    struct node_row row = {0};
    enum err err = postgres_link_run(&s->link, "BEGIN", "write to");
    if (err == OK)
        err = lock_node(s, &row);
    s->generation = (uint64_t)row.generation + 1;
    if (err == OK)
        err = write_generation(s);
    if (err == OK)
        err = postgres_link_run(&s->link, "COMMIT", "write to");
    if (err != OK)
        abandon(s);
    return err;
}

/* ---- leases ---- */

/* Who is alone has all leases, with the next generation: what an earlier node of several does late
 * is refused, and what this one writes is newer than whatever any of them wrote. */
static enum err take_all_leases(struct postgres_store *s)
{
    PGresult *rows = NULL;
    enum err err = postgres_link_ask(
        &s->link,
        "UPDATE cluster_lease SET session=0,generation=generation+1 RETURNING lease,generation",
        NULL, "write to", &rows);
    for (int i = 0; err == OK && i < PQntuples(rows); i++) {
        int64_t lease = postgres_integer(rows, i, 0);
        if (lease < 0 || lease >= LEASE_COUNT)
            continue;
        s->held[lease] = (uint64_t)postgres_integer(rows, i, 1);
        if (lease < MINT_SLOTS)
            s->labels[lease] = s->held[lease];
    }
    PQclear(rows);
    return err;
}

/* The database knows nothing of the generations that were written with any more. */
static enum err forget_leases(struct postgres_store *s)
{
    memset(s->labels, 0, sizeof s->labels);
    return s->is_alone ? take_all_leases(s) : OK;
}

/* ---- healing ---- */

static void heal_as(struct postgres_store *s, enum store_file *file, const char *what)
{
    snprintf(s->healing, sizeof s->healing, "%s %s: everything is written again from memory",
             s->link.place, what);
    *file = STORE_NEW_FILE;
}

/* What became of the database while there was no connection. */
static enum err compare_node(struct postgres_store *s, enum store_file *file)
{
    struct node_row row = {0};
    enum err err = lock_node(s, &row);
    if (err != OK)
        return err;
    if (row.generation > (int64_t)s->generation)
        return postgres_link_fail_with(
            &s->link, ERR_FENCED,
            "was taken over by a newer engine; this one may not write any more");
    if (row.generation < (int64_t)s->generation) {
        heal_as(s, file, "was emptied or put back to an older state");
        err = forget_leases(s);
        return err == OK ? write_generation(s) : err;
    }
    if (row.transactions < s->transactions)
        heal_as(s, file, "lost its newest transactions, as after a crash or a failover");
    s->transactions = row.transactions;
    return OK;
}

static enum err put_settings(struct postgres_store *s)
{
    enum err err = OK;
    for (size_t i = 0; err == OK && i < s->settings.count; i++)
        err = postgres_put_setting(&s->base, s->settings.items[i].name, s->settings.items[i].value);
    return err == OK ? postgres_link_sync(&s->link, "write to", NULL, NULL) : err;
}

static enum err adopt(struct postgres_store *s, enum store_file *file)
{
    enum err err = prepare_statements(s);
    if (err == OK)
        err = postgres_link_run(&s->link, "BEGIN", "write to");
    if (err == OK)
        err = compare_node(s, file);
    if (err == OK && *file == STORE_NEW_FILE)
        err = put_settings(s);
    if (err == OK)
        err = postgres_link_run(&s->link, "COMMIT", "write to");
    if (err != OK)
        abandon(s);
    return err;
}

static enum err reopen(struct store *store, enum store_file *file)
{
    struct postgres_store *s = postgres_of(store);
    *file = STORE_SAME_FILE;
    rollback(store);
    snprintf(s->healing, sizeof s->healing, "connected to %s again", s->link.place);
    enum err err = connect_store(s, 0);
    if (err == OK)
        err = postgres_take_way(&s->link, s->schema.identity, s->is_alone);
    if (err == OK)
        err = adopt(s, file);
    if (err == OK)
        err = read_positions(s);
    if (err != OK) {
        postgres_link_close(&s->link);
        return err;
    }
    if (s->is_replay_lost && *file == STORE_SAME_FILE)
        heal_as(s, file, "did not give back its log");
    s->is_replay_lost = false;
    snprintf(s->link.message, sizeof s->link.message, "%s", s->healing);
    return OK;
}

/* ---- transactions ---- */

static void rollback(struct store *store)
{
    struct postgres_store *s = postgres_of(store);
    if (s->in_transaction && postgres_link_is_up(&s->link)) {
        char message[STORE_MESSAGE_SIZE];
        memcpy(message, s->link.message, sizeof message);
        abandon(s);
        memcpy(s->link.message, message, sizeof message);
    }
    postgres_forget_rows(s);
    s->in_transaction = s->is_other_cleared = false;
    s->log_position = s->log_committed;
    s->event_id = s->event_committed;
}

static void note_fence(void *context, const PGresult *rows)
{
    bool *passes = context;
    *passes = *passes || PQntuples(rows) == 1;
}

static enum err explain_fence(struct postgres_store *s)
{
    struct postgres_values values = {0};
    int64_t generation;
    postgres_add_integer(&values, s->node);
    enum err err = postgres_link_ask_integer(
        &s->link, "SELECT generation FROM node WHERE number=$1", &values, 0, &generation);
    if (err != OK)
        return err;
    if (generation > (int64_t)s->generation)
        return postgres_link_fail_with(
            &s->link, ERR_FENCED,
            "was taken over by a newer engine; this one may not write any more");
    return postgres_link_fail_with(&s->link, ERR_UNAVAILABLE,
                                   "was put back to an older state by somebody else while in use");
}

static enum err send_begin(struct postgres_store *s, enum store_durability durability)
{
    struct postgres_values values = {0};
    char name[16];
    postgres_add_integer(&values, s->transactions + 1);
    postgres_add_integer(&values, s->node);
    postgres_add_integer(&values, (int64_t)s->generation);
    snprintf(name, sizeof name, "s%d", PG_BEGIN);
    enum err err = postgres_link_send(&s->link, name, NULL);
    snprintf(name, sizeof name, "s%d", PG_RELAX);
    if (err == OK && durability == STORE_RELAXED && s->has_relaxed)
        err = postgres_link_send(&s->link, name, NULL);
    snprintf(name, sizeof name, "s%d", PG_FENCE);
    return err == OK ? postgres_link_send(&s->link, name, &values) : err;
}

/* Before a transaction: what is due once in a while. */
static enum err keep_house(struct postgres_store *s)
{
    instant now = clock_now();
    enum err err = OK;
    if (postgres_day_of(now) != s->day) {
        err = postgres_schema_add_days(&s->link, &s->schema, now);
        s->day = postgres_day_of(now);
    }
    duration age = instant_diff(now, s->size_at);
    if (err != OK || (!instant_is_never(s->size_at) && age.us >= 0 && age.us < SIZE_EVERY.us))
        return err;
    s->size_at = now;
    s->size_sent = 0;
    err = postgres_link_ask_integer(&s->link, "SELECT pg_database_size(current_database())", NULL,
                                    0, &s->size_known);
    return err != OK && postgres_link_is_up(&s->link) ? OK : err;
}

static enum err begin(struct store *store, enum store_durability durability)
{
    struct postgres_store *s = postgres_of(store);
    bool passes = false;
    if (!postgres_link_is_up(&s->link))
        return ERR_UNAVAILABLE;
    enum err err = keep_house(s);
    s->in_transaction = err == OK;
    if (!s->is_alone)
        memset(s->held, 0, sizeof s->held);
    if (err == OK)
        err = send_begin(s, durability);
    if (err == OK)
        err = postgres_link_sync(&s->link, "write to", note_fence, &passes);
    if (err == OK && !passes)
        err = explain_fence(s);
    if (err != OK)
        rollback(store);
    return err;
}

static enum err send_commit(struct postgres_store *s)
{
    char name[16];
    snprintf(name, sizeof name, "s%d", PG_COMMIT);
    enum err err = s->kept.count > 0 ? postgres_settle_rows(s) : postgres_send_rows(s);
    if (err == OK)
        err = postgres_link_send(&s->link, name, NULL);
    return err == OK ? postgres_link_sync(&s->link, "write to", NULL, NULL) : err;
}

static enum err commit(struct store *store)
{
    struct postgres_store *s = postgres_of(store);
    enum err err = send_commit(s);
    if (err != OK)
        return err;
    s->in_transaction = false;
    s->transactions++;
    s->log_committed = s->log_position;
    s->event_committed = s->event_id;
    s->is_other_empty = s->is_other_empty || s->is_other_cleared;
    s->is_other_cleared = false;
    return OK;
}

/* ---- the rest of the interface ---- */

static void close_store(struct store *store)
{
    struct postgres_store *s = postgres_of(store);
    rollback(store);
    PQclear(s->reading);
    postgres_link_close(&s->link);
    postgres_finish_rows(s);
    kept_settings_finish(&s->settings);
    free(s->replayed);
    free(s);
}

static void identify(const struct store *store, struct table_store *out)
{
    const struct postgres_store *s = (const struct postgres_store *)store;
    uint64_t node = (uint64_t)s->node * UINT64_C(0x9e3779b97f4a7c15);
    *out = (struct table_store){.identity = (uint64_t)s->schema.identity ^ node,
                                .generation = s->generation};
}

static int64_t log_position(const struct store *store)
{
    return ((const struct postgres_store *)store)->log_position;
}

static const char *message(const struct store *store)
{
    return ((const struct postgres_store *)store)->link.message;
}

/* The server is asked now and then; what was sent since is added. */
static int64_t size_bytes(const struct store *store)
{
    const struct postgres_store *s = (const struct postgres_store *)store;
    return s->size_known + s->size_sent;
}

/* Days that get a partition each: more than events are kept unless somebody wants it. What is older
 * goes to the default one. */
#define COPIED_DAYS_MAX 100

static enum err expect_history(struct store *store, instant oldest)
{
    struct postgres_store *s = postgres_of(store);
    const duration day = duration_s(24 * 3600), step = {PARTITION_DAYS * day.us};
    instant now = clock_now(), since = {now.us - COPIED_DAYS_MAX * day.us};
    enum err err = OK;
    for (instant at = instant_before(oldest, since) ? since : oldest;
         err == OK && instant_before(at, now); at = instant_add(at, step))
        err = postgres_schema_add_days(&s->link, &s->schema, at);
    return err;
}

static const struct store_methods METHODS = {
    .load = postgres_load,
    .resume = postgres_resume,
    .load_some = postgres_load_some,
    .next_replayed = postgres_next_replayed,
    .identify = identify,
    .close = close_store,
    .begin = begin,
    .hold = postgres_hold,
    .put_token = postgres_put_token,
    .append_refresh = postgres_append_refresh,
    .put_pools = postgres_put_pools,
    .checkpoint_token = postgres_checkpoint_token,
    .put_snapshot = postgres_put_snapshot,
    .put_event = postgres_put_event,
    .put_setting = postgres_put_setting,
    .put_alert = postgres_put_alert,
    .start_pass = postgres_start_pass,
    .end_pass = postgres_end_pass,
    .log_position = log_position,
    .delete_history = postgres_delete_history,
    .commit = commit,
    .rollback = rollback,
    .reopen = reopen,
    .message = message,
    .size_bytes = size_bytes,
    .scan_open = postgres_scan_open,
    .extent = postgres_extent,
    .expect_history = expect_history,
    .get_copy = postgres_get_copy,
    .put_copy = postgres_put_copy,
    .end_copy = postgres_end_copy,
};

/* Half of a database must not be taken for one. */
static enum err refuse_unfinished_copy(struct postgres_store *s)
{
    struct store_copy copy;
    enum err err = postgres_get_copy(&s->base, &copy);
    if (err != OK || copy.source == 0 || copy.part == STORE_PART_COUNT)
        return err;
    return postgres_link_fail_with(
        &s->link, ERR_INVALID,
        "is a copy that is not complete; run the same `moonwatch copy` again to "
        "complete it, or delete the database");
}

bool postgres_store_is_shared(const char *url, char node[STORE_NODE_SIZE])
{
    struct postgres_link link;
    if (postgres_link_init(&link, url) != OK || !link.has_node)
        return false;
    if (node != NULL)
        snprintf(node, STORE_NODE_SIZE, "%s", link.node);
    return true;
}

static enum err open_store(struct postgres_store *s, const char *url, pid_t unawaited)
{
    enum err err = postgres_link_init(&s->link, url);
    s->is_alone = !s->link.has_node;
    if (err == OK)
        err = connect_store(s, unawaited);
    if (err == OK)
        err = postgres_take_way(&s->link, s->schema.identity, s->is_alone);
    if (err == OK)
        err = refuse_unfinished_copy(s);
    if (err == OK)
        err = start_generation(s);
    if (err == OK && s->is_alone)
        err = take_all_leases(s);
    if (err == OK)
        err = read_positions(s);
    if (err == OK)
        err = read_event_id(s);
    if (err == OK)
        err = prepare_statements(s);
    return err == OK ? keep_house(s) : err;
}

static struct postgres_store *create(char why[STORE_MESSAGE_SIZE])
{
    struct postgres_store *s = calloc(1, sizeof *s);
    if (s == NULL)
        snprintf(why, STORE_MESSAGE_SIZE, "out of memory");
    else
        s->base.methods = &METHODS;
    return s;
}

static struct store *end_opening(struct postgres_store *s, enum err err,
                                 char why[STORE_MESSAGE_SIZE])
{
    if (err == OK)
        return &s->base;
    snprintf(why, STORE_MESSAGE_SIZE, "%s", s->link.message);
    close_store(&s->base);
    return NULL;
}

struct store *postgres_store_open(const char *url, pid_t unawaited, char why[STORE_MESSAGE_SIZE])
{
    struct postgres_store *s = create(why);
    return s == NULL ? NULL : end_opening(s, open_store(s, url, unawaited), why);
}

/* ---- for a copy ---- */

/* Nothing is made in a database that is no source. */
static enum err check_source(struct postgres_store *s)
{
    int64_t count = 0;
    enum err err = postgres_link_connect(&s->link, "moonwatch copy");
    if (err == OK)
        err = postgres_link_ask_integer(&s->link,
                                        "SELECT count(*) FROM information_schema.tables WHERE"
                                        " table_schema=current_schema() AND table_name='moonwatch'",
                                        NULL, 0, &count);
    return err == OK && count == 0 ? postgres_link_fail_with(&s->link, ERR_NOT_FOUND,
                                                             "has no tables of moonwatch; "
                                                             "check its name and the schema")
                                   : err;
}

/* Of one node: held until the connection ends; where its log ends, and its generation, are added.
 */
static enum err hold_node(struct postgres_store *s, int64_t node, int64_t *position,
                          struct node_row *sum)
{
    struct node_row row = {0};
    int64_t own = s->node;
    s->node = node;
    enum err err = node == own ? OK : postgres_take_lock(s, 0);
    if (err == OK)
        err = read_positions(s);
    *position += s->log_position;
    if (err == OK)
        err = postgres_link_run(&s->link, "BEGIN", "read");
    if (err == OK)
        err = lock_node(s, &row);
    if (err == OK)
        err = postgres_link_run(&s->link, "COMMIT", "read");
    sum->generation += row.generation;
    s->node = own;
    if (node == own)
        sum->transactions = row.transactions;
    return err;
}

/* All nodes stand still as long as we are connected. Together they are one source, whose generation
 * rises with any of theirs. */
static enum err hold_all_nodes(struct postgres_store *s, enum store_role role)
{
    PGresult *nodes = NULL;
    struct node_row sum = {0};
    int64_t position = 0;
    enum err err = postgres_link_ask(&s->link, "SELECT number FROM node ORDER BY number", NULL,
                                     "read", &nodes);
    for (int i = 0; err == OK && i < PQntuples(nodes); i++)
        err = hold_node(s, postgres_integer(nodes, i, 0), &position, &sum);
    PQclear(nodes);
    if (err != OK) {
        abandon(s);
        return err;
    }
    s->generation = (uint64_t)sum.generation;
    s->transactions = sum.transactions;
    if (role == STORE_SOURCE)
        s->log_position = s->log_committed = position;
    return OK;
}

/* One transaction from here on: whoever writes in spite of the locks changes nothing for us. */
static enum err begin_reading(struct postgres_store *s)
{
    enum err err = refuse_unfinished_copy(s);
    if (err == OK)
        err =
            postgres_link_run(&s->link, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "read");
    s->in_transaction = err == OK;
    return err;
}

static enum err begin_filling(struct postgres_store *s)
{
    enum err err = read_positions(s);
    if (err == OK)
        err = read_event_id(s);
    return err == OK ? prepare_statements(s) : err;
}

static enum err tell_two_names(struct postgres_store *s)
{
    struct postgres_holder holder;
    char name[64];
    postgres_name_session(s, (long)getpid(), name);
    enum err err = postgres_find_holder(s, &holder);
    if (err == OK && strcmp(holder.name, name) == 0)
        return postgres_link_fail_with(&s->link, ERR_BUSY,
                                       "is both FROM and TO: they are the same database");
    return err == OK ? postgres_refuse_lock(s, &holder) : err;
}

struct store *postgres_store_open_for_copy(const char *url, enum store_role role,
                                           char why[STORE_MESSAGE_SIZE])
{
    struct postgres_store *s = create(why);
    if (s == NULL)
        return NULL;
    enum err err = postgres_link_init(&s->link, url);
    if (err == OK && role == STORE_SOURCE)
        err = check_source(s);
    if (err == OK)
        err = connect_store(s, 0);
    if (err == ERR_BUSY)
        err = tell_two_names(s);
    s->is_alone = true; /* whatever node its URL names */
    if (err == OK)
        err = hold_all_nodes(s, role);
    if (err == OK)
        err = postgres_take_way(&s->link, s->schema.identity, s->is_alone);
    if (err == OK)
        err = role == STORE_SOURCE ? begin_reading(s) : begin_filling(s);
    return end_opening(s, err, why);
}
