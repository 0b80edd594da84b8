/* The lock of a node: one session has it, until it ends. */
#include "store/postgres_store.h"

#include <stdio.h>
#include <time.h>

/* A process that was killed holds its lock until the server sees its end. */
#define LOCK_WAIT_MS  2000
#define LOCK_PAUSE_MS 20

void postgres_name_session(const struct postgres_store *s, long process, char out[64])
{
    snprintf(out, 64, "moonwatch %s %ld", s->link.node, process);
}

#define EXCLUSIVE "SELECT pg_try_advisory_lock($1)"
#define SHARED    "SELECT pg_try_advisory_lock_shared($1)"

/* Differs between schemas of one database: locks are the database's. */
static int64_t lock_key(const struct postgres_store *s)
{
    return (s->schema.identity ^ (s->node << 40)) & INT64_MAX;
}

static enum err try_lock(struct postgres_link *link, const char *sql, int64_t key, bool *is_ours)
{
    struct postgres_values values = {0};
    int64_t taken;
    postgres_add_integer(&values, key);
    enum err err = postgres_link_ask_integer(link, sql, &values, 0, &taken);
    *is_ours = taken != 0;
    return err;
}

static enum err find_holder(struct postgres_link *link, int64_t key, struct postgres_holder *out)
{
    struct postgres_values values = {0};
    PGresult *rows = NULL;
    *out = (struct postgres_holder){0};
    postgres_add_integer(&values, key);
    enum err err = postgres_link_ask(
        link,
        "SELECT l.pid::bigint,a.application_name::text FROM pg_locks l LEFT JOIN pg_stat_activity a"
        " ON a.pid=l.pid WHERE l.locktype='advisory' AND l.granted AND l.objsubid=1 AND"
        " l.classid::bigint=$1>>32 AND l.objid::bigint=($1&4294967295) AND l.database="
        "(SELECT oid FROM pg_database WHERE datname=current_database())",
        &values, "read", &rows);
    if (err == OK && PQntuples(rows) > 0) {
        out->backend = postgres_integer(rows, 0, 0);
        postgres_text(rows, 0, 1, out->name, sizeof out->name);
    }
    PQclear(rows);
    return err;
}

enum err postgres_find_holder(struct postgres_store *s, struct postgres_holder *out)
{
    return find_holder(&s->link, lock_key(s), out);
}

/* Whether who holds the lock may not: a session of ours that the server has not given up yet, or
 * one of an engine that was killed and does not die. */
static bool is_left_over(const struct postgres_store *s, const struct postgres_holder *holder,
                         pid_t unawaited)
{
    char name[64];
    postgres_name_session(s, (long)unawaited, name);
    return holder->backend != 0 && ((s->backend != 0 && holder->backend == s->backend) ||
                                    (unawaited > 0 && strcmp(holder->name, name) == 0));
}

static enum err end_session(struct postgres_store *s, int64_t backend)
{
    struct postgres_values values = {0};
    int64_t done;
    postgres_add_integer(&values, backend);
    return postgres_link_ask_integer(&s->link, "SELECT pg_terminate_backend($1::integer)", &values,
                                     0, &done);
}

enum err postgres_refuse_lock(struct postgres_store *s, const struct postgres_holder *holder)
{
    char sentence[256];
    snprintf(sentence, sizeof sentence,
             "is in use by another moonwatch (node %s%s%s); stop that one first, or give this one "
             "a node of its own (?node=NAME) or another database",
             s->link.node, *holder->name != '\0' ? ", session " : "", holder->name);
    return postgres_link_fail_with(&s->link, ERR_BUSY, sentence);
}

enum err postgres_take_lock(struct postgres_store *s, pid_t unawaited)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000L};
    struct postgres_holder holder = {0};
    bool is_ours = false;
    enum err err = try_lock(&s->link, EXCLUSIVE, lock_key(s), &is_ours);
    for (int waited = 0; err == OK && !is_ours; waited += LOCK_PAUSE_MS) {
        err = postgres_find_holder(s, &holder);
        if (err == OK && is_left_over(s, &holder, unawaited))
            err = end_session(s, holder.backend);
        if (err == OK && waited >= LOCK_WAIT_MS)
            return postgres_refuse_lock(s, &holder);
        nanosleep(&pause, NULL);
        if (err == OK)
            err = try_lock(&s->link, EXCLUSIVE, lock_key(s), &is_ours);
    }
    if (err == OK)
        s->backend = PQbackendPID(s->link.conn);
    return err;
}

/* ---- alone, or one of several ---- */

/* No node has number 0. */
static int64_t way_key(int64_t identity)
{
    return identity & INT64_MAX;
}

static enum err refuse_way(struct postgres_link *link, int64_t key, bool is_alone)
{
    struct postgres_holder holder;
    char sentence[256];
    enum err err = find_holder(link, key, &holder);
    if (err != OK)
        return err;
    snprintf(sentence, sizeof sentence,
             is_alone ? "is shared by several nodes (session %s): this one would be alone on it; "
                        "give it a name among them (?node=NAME), or stop those first"
                      : "is used by a moonwatch that is alone on it (session %s): stop that one, "
                        "or give it a name too (?node=NAME)",
             *holder.name != '\0' ? holder.name : "unknown");
    return postgres_link_fail_with(link, ERR_BUSY, sentence);
}

enum err postgres_take_way(struct postgres_link *link, int64_t identity, bool is_alone)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000L};
    int64_t key = way_key(identity);
    bool is_ours = false;
    enum err err = try_lock(link, is_alone ? EXCLUSIVE : SHARED, key, &is_ours);
    for (int waited = 0; err == OK && !is_ours; waited += LOCK_PAUSE_MS) {
        if (waited >= LOCK_WAIT_MS)
            return refuse_way(link, key, is_alone);
        nanosleep(&pause, NULL);
        err = try_lock(link, is_alone ? EXCLUSIVE : SHARED, key, &is_ours);
    }
    return err;
}
