/*
 * A connection to a PostgreSQL server, or to one that speaks its protocol, on which nothing waits
 * longer than it says: what the server does not answer within the deadline ends the connection, and
 * the caller makes another. Used by the store, the reader and `copy`; one thread at a time.
 *
 * Bounds: making a connection takes at most POSTGRES_CONNECT_S a host named in the URL (and what
 * the resolver takes for a name); an answer comes within the deadline that was set. The server
 * itself gives a statement up a second before that (statement_timeout), so that what we do not wait
 * for is not done later either. TCP notices a peer that is gone by the same bounds, on both sides.
 *
 * Messages for people are "can't DOING the database NAME at HOST:PORT: WHAT; ADVICE". They never
 * contain the password.
 */
#ifndef MOONWATCH_STORE_POSTGRES_LINK_H
#define MOONWATCH_STORE_POSTGRES_LINK_H

#include "base/err.h"
#include "base/time.h"
#include "store/store_impl.h"
#include <libpq-fe.h>

#define POSTGRES_CONNECT_S 3
#define POSTGRES_ANSWER_S  10
/* What reads or makes a whole database: loads page by page, migrations. */
#define POSTGRES_LONG_S 600

/* The oldest protocol of SQL that all statements keep to: PostgreSQL 11's, as YugabyteDB has it. */
#define POSTGRES_VERSION_MIN 110000

#define POSTGRES_NODE_SIZE 33
#define POSTGRES_URL_SIZE  1024

enum postgres_type {
    POSTGRES_NO_TYPE = 0, /* ends a list */
    POSTGRES_BYTES = 17,
    POSTGRES_INT8 = 20,
    POSTGRES_INT2 = 21,
    POSTGRES_INT4 = 23,
    POSTGRES_TEXT = 25,
    POSTGRES_FLOAT8 = 701,
    POSTGRES_BYTES_ARRAY = 1001,
    POSTGRES_INT2_ARRAY = 1005,
    POSTGRES_TEXT_ARRAY = 1009,
    POSTGRES_INT8_ARRAY = 1016,
    POSTGRES_FLOAT8_ARRAY = 1022,
};

struct postgres_link {
    PGconn *conn; /* NULL: none */
    char url[POSTGRES_URL_SIZE];
    char node[POSTGRES_NODE_SIZE]; /* the URL's ?node=NAME; "main" */
    bool has_node;                 /* it names one */
    char name[64];                 /* application_name */
    char place[160];               /* "the database NAME at HOST:PORT" */
    char password[256];
    char message[STORE_MESSAGE_SIZE];
    char state[6];       /* SQLSTATE of the newest failure; "" when it was the connection's */
    duration answer_max; /* POSTGRES_ANSWER_S at first */
    int64_t end_ms;      /* 0: none; CLOCK_MONOTONIC */
    bool is_pipelined;
    bool lacks_notify; /* the server knows no pg_notify(), as far as somebody looked */
};

/* Values of a statement, binary. */
#define POSTGRES_VALUES_MAX 16
struct postgres_values {
    int count;
    Oid types[POSTGRES_VALUES_MAX];
    const char *bytes[POSTGRES_VALUES_MAX];
    int lengths[POSTGRES_VALUES_MAX];
    int64_t integers[POSTGRES_VALUES_MAX];
};

/* `url` with its scheme. ERR_INVALID with a message: it is no such URL. */
enum err postgres_link_init(struct postgres_link *link, const char *url) MUST_CHECK;
/* Ends the connection there is and makes another. */
enum err postgres_link_connect(struct postgres_link *link, const char *name) MUST_CHECK;
void postgres_link_close(struct postgres_link *link);
bool postgres_link_is_up(const struct postgres_link *link);
void postgres_link_set_deadline(struct postgres_link *link, double seconds);
/* Of all answers from now on together, until it is set again or a connection is made. */
void postgres_link_set_end(struct postgres_link *link, double seconds);

/* Looks whether the server knows pg_notify(): what it does not know must not be in a transaction.
 */
enum err postgres_link_look_for_notify(struct postgres_link *link) MUST_CHECK;

/* The error behind a failure, with its sentence in link->message. `result` NULL: the connection's.
 */
enum err postgres_link_fail(struct postgres_link *link, const PGresult *result, const char *doing);
/* An error that we found. */
enum err postgres_link_fail_with(struct postgres_link *link, enum err err, const char *sentence);

/* Statements without values, separated by semicolons, as one transaction unless they say other. */
enum err postgres_link_run(struct postgres_link *link, const char *sql,
                           const char *doing) MUST_CHECK;
/* One statement with values, and its rows, binary; *out is the caller's to PQclear(). */
enum err postgres_link_ask(struct postgres_link *link, const char *sql,
                           const struct postgres_values *values, const char *doing,
                           PGresult **out) MUST_CHECK;
/* The first column of the first row; `otherwise` when there is none or it is NULL. */
enum err postgres_link_ask_integer(struct postgres_link *link, const char *sql,
                                   const struct postgres_values *values, int64_t otherwise,
                                   int64_t *out) MUST_CHECK;

/* Statements that go out one after the other without waiting for answers. After a failure the
 * server skips the rest up to the next sync, which reports it. */
enum err postgres_link_prepare(struct postgres_link *link, const char *name, const char *sql,
                               const struct postgres_values *types) MUST_CHECK;
enum err postgres_link_send(struct postgres_link *link, const char *prepared,
                            const struct postgres_values *values) MUST_CHECK;
/* Waits for all answers. `on_rows` (or NULL) hears each result that has rows, in order. */
typedef void postgres_on_rows(void *context, const PGresult *rows);
enum err postgres_link_sync(struct postgres_link *link, const char *doing,
                            postgres_on_rows *on_rows, void *context) MUST_CHECK;

/* ---- values out; what is pointed to must last until the statement was sent ---- */

void postgres_add_integer(struct postgres_values *values, int64_t value);
void postgres_add_text(struct postgres_values *values, const char *text);
void postgres_add_bytes(struct postgres_values *values, enum postgres_type type, const void *bytes,
                        size_t length);

/* ---- values in; of NULL: 0, NaN, "" ---- */

int64_t postgres_integer(const PGresult *rows, int row, int column);
double postgres_double(const PGresult *rows, int row, int column);
bool postgres_is_null(const PGresult *rows, int row, int column);
const void *postgres_bytes(const PGresult *rows, int row, int column, size_t *length);
/* False when it was longer, and cut. */
bool postgres_text(const PGresult *rows, int row, int column, char *out, size_t size);

#endif
