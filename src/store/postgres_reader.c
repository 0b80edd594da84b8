/*
 * History, read-only, through a connection of its own. It is made when something is asked, and made
 * again when it was lost; what was asked then is not answered.
 */
#include "base/text.h"
#include "store/postgres_store.h"
#include "store/state.h"
#include <math.h>
#include <stdlib.h>

/* Readers wait for people, who do not. */
#define READ_S 5

struct postgres_reader {
    struct store_reader base;
    struct postgres_link link;
};

/* A chain ends where a snapshot is missing (deleted as too old) or is another token's (damage); a
 * chain that is a circle ends at the limit. */
#define SNAPSHOT_CHAIN                                                                             \
    "WITH RECURSIVE chain(id,previous,token_id,at,score,figures,n) AS ("                           \
    " SELECT id,previous,token_id,at,score,figures,1::bigint FROM snapshot"                        \
    "  WHERE id=$1 AND token_id=$2"                                                                \
    " UNION ALL"                                                                                   \
    " SELECT s.id,s.previous,s.token_id,s.at,s.score,s.figures,chain.n+1 FROM chain"               \
    "  JOIN snapshot s ON s.id=chain.previous AND s.token_id=chain.token_id"                       \
    "  WHERE chain.n < $3 AND chain.previous > 0"                                                  \
    ") SELECT id,previous,token_id,at,score,figures FROM chain ORDER BY n LIMIT $3"

static bool is_ready(struct postgres_reader *r)
{
    if (postgres_link_is_up(&r->link))
        return true;
    if (postgres_link_connect(&r->link, "moonwatch reader") != OK)
        return false;
    postgres_link_set_deadline(&r->link, READ_S);
    if (postgres_link_run(&r->link, "SET default_transaction_read_only=on", "set up") == OK)
        return true;
    postgres_link_close(&r->link);
    return false;
}

/* One that no token can have is nobody's. */
static token_id read_token(const PGresult *rows, int row, int column)
{
    int64_t id = postgres_integer(rows, row, column);
    return id < 0 || id > UINT32_MAX ? TOKEN_NONE : (token_id)id;
}

void postgres_read_snapshot(const PGresult *rows, int row, struct store_snapshot *out)
{
    size_t length;
    *out = (struct store_snapshot){.id = postgres_integer(rows, row, 0),
                                   .previous = postgres_integer(rows, row, 1),
                                   .token = read_token(rows, row, 2),
                                   .at = {postgres_integer(rows, row, 3)},
                                   .score = postgres_double(rows, row, 4)};
    const uint8_t *figures = postgres_bytes(rows, row, 5, &length);
    snapshot_decode(figures, length, out);
}

static int snapshots(struct store_reader *reader, token_id token, int64_t newest_id,
                     struct store_snapshot *out, int limit)
{
    struct postgres_reader *r = (struct postgres_reader *)reader;
    struct postgres_values values = {0};
    PGresult *rows = NULL;
    if (!is_ready(r))
        return -1;
    postgres_add_integer(&values, newest_id);
    postgres_add_integer(&values, token);
    postgres_add_integer(&values, limit);
    enum err err = postgres_link_ask(&r->link, SNAPSHOT_CHAIN, &values, "read", &rows);
    int count = err == OK ? PQntuples(rows) : -1;
    for (int i = 0; i < count && i < limit; i++)
        postgres_read_snapshot(rows, i, &out[i]);
    PQclear(rows);
    return count < limit ? count : limit;
}

void postgres_read_event(const PGresult *rows, int row, struct store_event *out)
{
    *out = (struct store_event){.token = read_token(rows, row, 0),
                                .at = {postgres_integer(rows, row, 1)}};
    postgres_text(rows, row, 2, out->kind, sizeof out->kind);
    postgres_text(rows, row, 3, out->reason, sizeof out->reason);
}

static int events(struct store_reader *reader, token_id token, struct store_event *out, int limit)
{
    struct postgres_reader *r = (struct postgres_reader *)reader;
    struct postgres_values values = {0};
    PGresult *rows = NULL;
    if (!is_ready(r))
        return -1;
    postgres_add_integer(&values, limit);
    if (token != TOKEN_NONE)
        postgres_add_integer(&values, token);
    enum err err = postgres_link_ask(
        &r->link,
        token != TOKEN_NONE ? "SELECT token_id,at,kind,reason FROM event WHERE token_id=$2"
                              " ORDER BY at DESC,id DESC LIMIT $1"
                            : "SELECT token_id,at,kind,reason FROM event"
                              " ORDER BY at DESC,id DESC LIMIT $1",
        &values, "read", &rows);
    int count = err == OK ? PQntuples(rows) : -1;
    for (int i = 0; i < count; i++)
        postgres_read_event(rows, i, &out[i]);
    PQclear(rows);
    return count;
}

static void reader_close(struct store_reader *reader)
{
    postgres_link_close(&((struct postgres_reader *)reader)->link);
    free(reader);
}

static const struct store_reader_methods METHODS = {
    .close = reader_close,
    .snapshots = snapshots,
    .events = events,
};

struct store_reader *postgres_reader_open(const char *url, char why[STORE_MESSAGE_SIZE])
{
    struct postgres_reader *r = calloc(1, sizeof *r);
    if (r == NULL) {
        snprintf(why, STORE_MESSAGE_SIZE, "out of memory");
        return NULL;
    }
    r->base.methods = &METHODS;
    if (postgres_link_init(&r->link, url) == OK)
        return &r->base;
    snprintf(why, STORE_MESSAGE_SIZE, "%s", r->link.message);
    free(r);
    return NULL;
}
