/* See postgres_leases.h. */
#include "store/postgres_leases.h"

#include "base/clock.h"
#include "store/postgres_column.h"
#include <string.h>

#define DOING      "share the tokens in"
#define JOIN_LOCK  "7813586408" /* of the transactions that begin sessions */
#define CHANGES_AS " FROM unnest($2::bigint[],$3::bigint[]) AS u(lease,generation) "

_Static_assert(LEASE_COUNT == 1025, "the rows of cluster_lease in postgres_schema.c");

/* ---- statements ---- */

/* Its rows are of no interest. */
static enum err tell(struct postgres_link *link, const char *sql,
                     const struct postgres_values *values)
{
    PGresult *rows;
    enum err err = postgres_link_ask(link, sql, values, DOING, &rows);
    PQclear(rows);
    return err;
}

/* `first`, then two columns of numbers. */
static enum err tell_of_pairs(struct postgres_link *link, const char *sql, uint64_t first,
                              struct postgres_column columns[2])
{
    struct postgres_values values = {0};
    postgres_add_integer(&values, (int64_t)first);
    enum err err = postgres_add_column(&values, &columns[0]);
    if (err == OK)
        err = postgres_add_column(&values, &columns[1]);
    return err == OK ? tell(link, sql, &values) : err;
}

static void begin_columns(struct postgres_column columns[2])
{
    memset(columns, 0, 2 * sizeof *columns);
    for (int i = 0; i < 2; i++)
        postgres_column_begin(&columns[i], POSTGRES_INT8_ARRAY);
}

static void finish_columns(struct postgres_column columns[2])
{
    for (int i = 0; i < 2; i++)
        postgres_column_finish(&columns[i]);
}

static void add_changes(struct postgres_column columns[2], const struct cluster_change *changes,
                        uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        postgres_column_integer(&columns[0], changes[i].lease);
        postgres_column_integer(&columns[1], (int64_t)changes[i].generation);
    }
}

/* ---- sessions ---- */

static enum err join(struct postgres_link *link, const struct postgres_self *self,
                     const struct cluster_request *request, int64_t *session)
{
    struct postgres_values replaced = {0}, begun = {0}, nonce = {0};
    postgres_add_integer(&replaced, (int64_t)request->replaces);
    postgres_add_integer(&begun, (int64_t)request->nonce);
    postgres_add_integer(&begun, (int64_t)request->number);
    postgres_add_integer(&begun, request->capacity);
    postgres_add_integer(&begun, request->is_leaving);
    postgres_add_integer(&begun, CLUSTER_NODES_MAX);
    postgres_add_integer(&begun, self->node);
    postgres_add_text(&begun, self->name);
    postgres_add_integer(&begun, clock_now().us);
    postgres_add_integer(&nonce, (int64_t)request->nonce);
    enum err err = tell(link, "SELECT pg_advisory_xact_lock(" JOIN_LOCK ")", NULL);
    if (err == OK)
        err = tell(link, "DELETE FROM cluster_member WHERE session=$1", &replaced);
    if (err == OK)
        err = tell(link,
                   "INSERT INTO cluster_member(session,nonce,number,renewals,capacity,is_leaving,"
                   "node,name,clock,seen) SELECT nextval('cluster_session'),$1,$2,0,$3,$4,$6,$7,"
                   "$8," POSTGRES_CLOCK " WHERE (SELECT count(*) FROM cluster_member)<$5 "
                   "ON CONFLICT(nonce) DO NOTHING",
                   &begun);
    if (err == OK)
        err = postgres_link_ask_integer(link, "SELECT session FROM cluster_member WHERE nonce=$1",
                                        &nonce, 0, session);
    return err;
}

/* *session 0: it was ended, or the request comes after a newer one. */
static enum err renew(struct postgres_link *link, const struct cluster_request *request,
                      int64_t *session)
{
    struct postgres_values values = {0};
    postgres_add_integer(&values, (int64_t)request->session);
    postgres_add_integer(&values, (int64_t)request->number);
    postgres_add_integer(&values, request->is_renewal);
    postgres_add_integer(&values, request->capacity);
    postgres_add_integer(&values, request->is_leaving);
    postgres_add_integer(&values, clock_now().us);
    return postgres_link_ask_integer(link,
                                     "UPDATE cluster_member SET number=$2,renewals=renewals+$3,"
                                     "capacity=CASE WHEN $3=1 THEN $4 ELSE capacity END,"
                                     "is_leaving=CASE WHEN $3=1 THEN $5 ELSE is_leaving END,"
                                     "clock=CASE WHEN $3=1 THEN $6 ELSE clock END,"
                                     "seen=CASE WHEN $3=1 THEN " POSTGRES_CLOCK " ELSE seen END "
                                     "WHERE session=$1 AND number<$2 RETURNING session",
                                     &values, 0, session);
}

static enum err end_others(struct postgres_link *link, const struct cluster_request *request)
{
    struct postgres_column columns[2];
    if (request->end_count == 0)
        return OK;
    begin_columns(columns);
    for (uint32_t i = 0; i < request->end_count; i++) {
        postgres_column_integer(&columns[0], (int64_t)request->ends[i].session);
        postgres_column_integer(&columns[1], (int64_t)request->ends[i].renewals);
    }
    enum err err = tell_of_pairs(
        link,
        "DELETE FROM cluster_member WHERE session<>$1 AND session IN (SELECT m.session FROM "
        "cluster_member AS m JOIN unnest($2::bigint[],$3::bigint[]) AS u(session,renewals) ON "
        "m.session=u.session AND m.renewals=u.renewals FOR UPDATE OF m SKIP LOCKED)",
        request->session, columns);
    finish_columns(columns);
    return err;
}

static enum err end_own(struct postgres_link *link, const struct cluster_request *request)
{
    struct postgres_values values = {0};
    postgres_add_integer(&values, (int64_t)request->session);
    return request->is_last ? tell(link, "DELETE FROM cluster_member WHERE session=$1", &values)
                            : OK;
}

/* ---- leases ---- */

static enum err change_leases(struct postgres_link *link, const char *sql, uint64_t session,
                              const struct cluster_change *changes, uint32_t count)
{
    struct postgres_column columns[2];
    if (count == 0)
        return OK;
    begin_columns(columns);
    add_changes(columns, changes, count);
    enum err err = tell_of_pairs(link, sql, session, columns);
    finish_columns(columns);
    return err;
}

static enum err release(struct postgres_link *link, const struct cluster_request *request)
{
    return change_leases(link,
                         "UPDATE cluster_lease AS l SET session=0" CHANGES_AS
                         "WHERE l.lease=u.lease AND l.generation=u.generation AND l.session=$1",
                         request->session, request->releases, request->release_count);
}

static enum err claim(struct postgres_link *link, const struct cluster_request *request)
{
    return change_leases(
        link,
        "WITH free AS (SELECT l.lease FROM cluster_lease AS l JOIN "
        "unnest($2::bigint[],$3::bigint[]) AS u(lease,generation) ON l.lease=u.lease AND "
        "l.generation=u.generation WHERE NOT EXISTS (SELECT 1 FROM cluster_member AS m WHERE "
        "m.session=l.session) FOR UPDATE OF l SKIP LOCKED) "
        "UPDATE cluster_lease AS l SET session=$1,generation=l.generation+1 FROM free WHERE "
        "l.lease=free.lease",
        request->session, request->claims, request->claim_count);
}

/* ---- what all decide by ---- */

static void take_row(struct cluster_view *view, const PGresult *rows, int row)
{
    int64_t lease = postgres_integer(rows, row, 0);
    uint64_t session = (uint64_t)postgres_integer(rows, row, 1);
    uint64_t number = (uint64_t)postgres_integer(rows, row, 2);
    if (lease >= 0 && lease < LEASE_COUNT) {
        view->leases[lease] = (struct cluster_lease){session, number};
    } else if (view->member_count < CLUSTER_NODES_MAX) {
        view->members[view->member_count++] =
            (struct cluster_member){.session = session,
                                    .renewals = number,
                                    .capacity = (uint32_t)postgres_integer(rows, row, 3),
                                    .is_leaving = postgres_integer(rows, row, 4) != 0};
    }
}

/* One statement sees one moment. */
static enum err read_view(struct postgres_link *link, struct cluster_view *view)
{
    PGresult *rows;
    enum err err = postgres_link_ask(
        link,
        "SELECT lease,session,generation,0::bigint,0::bigint FROM cluster_lease UNION ALL "
        "SELECT -1::bigint,session,renewals,capacity,is_leaving FROM cluster_member ORDER BY 1,2",
        NULL, DOING, &rows);
    memset(view, 0, sizeof *view);
    for (int row = 0; err == OK && row < PQntuples(rows); row++)
        take_row(view, rows, row);
    PQclear(rows);
    return err;
}

/* ---- an exchange ---- */

static enum err change(struct postgres_link *link, const struct cluster_request *request)
{
    enum err err = end_others(link, request);
    if (err == OK)
        err = release(link, request);
    if (err == OK)
        err = claim(link, request);
    if (err == OK)
        err = end_own(link, request);
    return err;
}

static bool is_news(const struct cluster_request *request)
{
    return request->session == 0 || request->end_count > 0 || request->release_count > 0 ||
           request->claim_count > 0 || request->is_last;
}

static enum err work(struct postgres_link *link, const struct postgres_self *self,
                     const struct cluster_request *request, struct cluster_reply *out)
{
    int64_t session = 0;
    enum err err = postgres_link_run(link, "BEGIN", DOING);
    if (err == OK)
        err = request->session == 0 ? join(link, self, request, &session)
                                    : renew(link, request, &session);
    if (err == OK && request->session != 0 && session != 0)
        err = change(link, request);
    if (err == OK && is_news(request) && !link->lacks_notify)
        err = tell(link, "SELECT pg_notify('" POSTGRES_LEASES_CHANNEL "','')", NULL);
    if (err == OK)
        err = read_view(link, &out->view);
    if (err == OK)
        err = postgres_link_run(link, "COMMIT", DOING);
    out->session = request->session == 0 ? (uint64_t)session : request->session;
    out->outcome = out->session == 0 ? CLUSTER_FULL : CLUSTER_DONE;
    return err;
}

enum err postgres_leases_exchange(struct postgres_link *link, const struct postgres_self *self,
                                  const struct cluster_request *request, struct cluster_reply *out)
{
    enum err err = work(link, self, request, out);
    out->number = request->number;
    if (err != OK)
        out->outcome = CLUSTER_FAILED;
    return err;
}

/* ---- writers ---- */

static void note_held(const struct cluster_change *leases, uint32_t count, int64_t lease,
                      bool *holds)
{
    for (uint32_t i = 0; i < count; i++)
        if (leases[i].lease == lease)
            holds[i] = true;
}

enum err postgres_leases_hold(struct postgres_link *link, const struct cluster_change *leases,
                              uint32_t count, bool *holds)
{
    struct postgres_column columns[2];
    struct postgres_values values = {0};
    PGresult *rows = NULL;
    memset(holds, 0, count * sizeof *holds);
    begin_columns(columns);
    add_changes(columns, leases, count);
    enum err err = postgres_add_column(&values, &columns[0]);
    if (err == OK)
        err = postgres_add_column(&values, &columns[1]);
    if (err == OK)
        err = postgres_link_ask(
            link,
            "SELECT l.lease FROM cluster_lease AS l JOIN unnest($1::bigint[],$2::bigint[]) AS "
            "u(lease,generation) ON l.lease=u.lease AND l.generation=u.generation ORDER BY l.lease "
            "FOR SHARE OF l",
            &values, DOING, &rows);
    for (int row = 0; err == OK && row < PQntuples(rows); row++)
        note_held(leases, count, postgres_integer(rows, row, 0), holds);
    PQclear(rows);
    finish_columns(columns);
    return err;
}

enum err postgres_leases_generations(struct postgres_link *link, const char *doing,
                                     uint64_t out[MINT_SLOTS])
{
    PGresult *rows = NULL;
    enum err err =
        postgres_link_ask(link, "SELECT lease,generation FROM cluster_lease", NULL, doing, &rows);
    for (int row = 0; err == OK && row < PQntuples(rows); row++) {
        int64_t lease = postgres_integer(rows, row, 0);
        if (lease >= 0 && lease < MINT_SLOTS)
            out[lease] = (uint64_t)postgres_integer(rows, row, 1);
    }
    PQclear(rows);
    return err;
}
