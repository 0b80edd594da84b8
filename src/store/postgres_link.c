/* See postgres_link.h. */
#include "store/postgres_link.h"

#include "base/text.h"
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define STRING_OF(x) #x
#define STRING(x)    STRING_OF(x)

/* What the server is told of a connection. Sockets that are no TCP ignore most of it, and servers
 * that are no PostgreSQL may not know it: each is a wish. */
static const char *const WISHES[] = {
    "SET tcp_keepalives_idle=10",
    "SET tcp_keepalives_interval=5",
    "SET tcp_keepalives_count=3",
    "SET tcp_user_timeout=10000",
    "SET client_connection_check_interval=1000",
    "SET lock_timeout=2000",
    "SET idle_in_transaction_session_timeout=60000",
};

/* ---- messages ---- */

static const char *advice(enum err err, const char *state)
{
    if (strcmp(state, "25006") == 0)
        return "it takes no writes, perhaps after a failover: name all servers in the URL, with "
               "target_session_attrs=read-write";
    if (strcmp(state, "42501") == 0)
        return "grant this user the rights to its schema";
    switch (err) {
    case ERR_FULL:
        return "free some space on the server's disk";
    case ERR_BUSY:
        return "another transaction was in the way";
    case ERR_CORRUPT:
        return "its tables are not those they should be";
    default:
        return "check that the server runs and can be reached, and database, user and password";
    }
}

/* Who writes messages of libpq's may not know what in them is secret. */
static void redact(const struct postgres_link *link, char *text)
{
    size_t length = strlen(link->password);
    for (char *at = text; length > 0 && (at = strstr(at, link->password)) != NULL; at += length)
        memset(at, '*', length);
}

/* The first line, without its end. */
static void copy_line(char *out, size_t size, const char *text)
{
    size_t length = strcspn(text, "\n");
    text_copy(out, size, text, length);
}

static bool is_one_of(const char *state, const char *const *states)
{
    for (; *states != NULL; states++)
        if (strncmp(state, *states, strlen(*states)) == 0)
            return true;
    return false;
}

/* https://www.postgresql.org/docs/15/errcodes-appendix.html. Never ERR_INVALID: that is of a row
 * that can be left out, and no failure of ours says which. */
static enum err err_of(const char *state)
{
    static const char *const RETRY[] = {"40", "55P03", "55006", NULL};
    static const char *const MISSING[] = {"42P01", "42703", "3F000", NULL};
    static const char *const RECONNECT[] = {"08", "57P", "25006", "53", "28", "3D000", NULL};
    if (state[0] == '\0')
        return ERR_UNAVAILABLE;
    if (strcmp(state, "53100") == 0)
        return ERR_FULL;
    if (strcmp(state, "57014") == 0)
        return ERR_TIMEOUT;
    if (is_one_of(state, RETRY))
        return ERR_BUSY;
    if (is_one_of(state, MISSING))
        return ERR_CORRUPT;
    return is_one_of(state, RECONNECT) ? ERR_UNAVAILABLE : ERR_IO;
}

static enum err fail_as(struct postgres_link *link, enum err err, const char *doing,
                        const char *what)
{
    char line[192];
    copy_line(line, sizeof line, what);
    redact(link, line);
    snprintf(link->message, sizeof link->message, "can't %.30s %s: %s; %s", doing, link->place,
             line, advice(err, link->state));
    return err;
}

enum err postgres_link_fail(struct postgres_link *link, const PGresult *result, const char *doing)
{
    const char *state = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *what = result != NULL ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    snprintf(link->state, sizeof link->state, "%s", state != NULL ? state : "");
    if (what == NULL || *what == '\0')
        what = link->conn != NULL ? PQerrorMessage(link->conn) : "there is no connection";
    enum err err = fail_as(link, err_of(link->state), doing, what);
    if (err == ERR_UNAVAILABLE)
        postgres_link_close(link);
    return err;
}

enum err postgres_link_fail_with(struct postgres_link *link, enum err err, const char *sentence)
{
    snprintf(link->message, sizeof link->message, "%s %s", link->place, sentence);
    link->state[0] = '\0';
    return err;
}

/* ---- the URL ---- */

static bool is_node_name(const char *name, size_t length)
{
    if (length == 0 || length >= POSTGRES_NODE_SIZE)
        return false;
    for (size_t i = 0; i < length; i++)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", name[i]) ==
            NULL)
            return false;
    return true;
}

/* Takes node=NAME out of link->url. False: it is no name. */
static bool take_node(struct postgres_link *link)
{
    char *query = strchr(link->url, '?');
    strcpy(link->node, "main");
    while (query != NULL) {
        char *end = strchr(query + 1, '&');
        if (strncmp(query + 1, "node=", 5) == 0) {
            const char *name = query + 6;
            size_t length = end != NULL ? (size_t)(end - name) : strlen(name);
            if (!is_node_name(name, length))
                return false;
            snprintf(link->node, sizeof link->node, "%.*s", (int)length, name);
            link->has_node = true;
            /* '?' stays when other parameters follow. */
            if (end == NULL)
                *query = '\0';
            else
                memmove(query + 1, end + 1, strlen(end));
            return true;
        }
        query = end;
    }
    return true;
}

static void describe(struct postgres_link *link, const PQconninfoOption *options)
{
    const char *host = "its socket", *port = "", *name = "";
    for (; options->keyword != NULL; options++) {
        if (options->val == NULL)
            continue;
        if (strcmp(options->keyword, "host") == 0 && *options->val != '\0')
            host = options->val;
        else if (strcmp(options->keyword, "port") == 0)
            port = options->val;
        else if (strcmp(options->keyword, "dbname") == 0)
            name = options->val;
        else if (strcmp(options->keyword, "password") == 0)
            snprintf(link->password, sizeof link->password, "%s", options->val);
    }
    snprintf(link->place, sizeof link->place, "the database%s%.60s at %.70s%s%.12s",
             *name != '\0' ? " " : "", name, host, *port != '\0' ? ":" : "", port);
}

enum err postgres_link_init(struct postgres_link *link, const char *url)
{
    char *why = NULL;
    *link = (struct postgres_link){.answer_max = duration_s(POSTGRES_ANSWER_S)};
    snprintf(link->place, sizeof link->place, "the database");
    if (strlen(url) >= sizeof link->url)
        return postgres_link_fail_with(link, ERR_INVALID, "has a URL that is too long");
    strcpy(link->url, url);
    if (!take_node(link))
        return postgres_link_fail_with(
            link, ERR_INVALID,
            "cannot be opened: node= in its URL takes at most 32 letters, digits, '-', '_', '.'");
    /* Everything that shows a URL hides what stands before its host, and nothing else. */
    const char *parameters = strchr(link->url, '?');
    if (parameters != NULL && strstr(parameters, "password=") != NULL)
        return postgres_link_fail_with(link, ERR_INVALID,
                                       "cannot be opened: its URL has a password among its "
                                       "parameters, where all can read it; write it before the "
                                       "host, or into ~/.pgpass");
    /* libpq's own words may repeat the URL, password and all. */
    PQconninfoOption *options = PQconninfoParse(link->url, &why);
    PQfreemem(why);
    if (options == NULL)
        return postgres_link_fail_with(
            link, ERR_INVALID,
            "cannot be opened: its URL is none that libpq takes, or libpq5 is not installed; write "
            "postgresql://USER@HOST:PORT/NAME?PARAMETER=VALUE");
    describe(link, options);
    PQconninfoFree(options);
    return OK;
}

/* ---- waiting ---- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static enum err fail_late(struct postgres_link *link, const char *doing)
{
    char what[80];
    snprintf(what, sizeof what, "no answer within %.0f s", duration_to_s(link->answer_max));
    link->state[0] = '\0';
    postgres_link_close(link);
    return fail_as(link, ERR_UNAVAILABLE, doing, what);
}

/* Until something can be read, or, with data that waits to go out, written. */
static enum err wait_socket(struct postgres_link *link, bool has_output, int64_t deadline,
                            const char *doing)
{
    struct pollfd poll_fd = {.fd = PQsocket(link->conn), .events = POLLIN};
    int64_t left = deadline - now_ms();
    if (has_output)
        poll_fd.events |= POLLOUT;
    int ready = left <= 0 ? 0 : poll(&poll_fd, 1, left > INT_MAX ? INT_MAX : (int)left);
    if (ready == 0)
        return fail_late(link, doing);
    if (ready < 0 && errno != EINTR)
        return postgres_link_fail(link, NULL, doing);
    if ((poll_fd.revents & (POLLIN | POLLERR | POLLHUP)) != 0 && PQconsumeInput(link->conn) == 0)
        return postgres_link_fail(link, NULL, doing);
    return OK;
}

static int64_t deadline_of(const struct postgres_link *link)
{
    int64_t deadline = now_ms() + duration_to_ms(link->answer_max);
    return link->end_ms != 0 && link->end_ms < deadline ? link->end_ms : deadline;
}

static enum err flush(struct postgres_link *link, int64_t deadline, const char *doing)
{
    int left;
    while ((left = PQflush(link->conn)) > 0) {
        enum err err = wait_socket(link, true, deadline, doing);
        if (err != OK)
            return err;
    }
    return left < 0 ? postgres_link_fail(link, NULL, doing) : OK;
}

/* *out NULL: none follows. */
static enum err next_result(struct postgres_link *link, int64_t deadline, const char *doing,
                            PGresult **out)
{
    *out = NULL;
    while (PQisBusy(link->conn) != 0) {
        enum err err = wait_socket(link, false, deadline, doing);
        if (err != OK)
            return err;
    }
    *out = PQgetResult(link->conn);
    return OK;
}

static bool is_good(const PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
        return true;
    default:
        return false;
    }
}

/* All results of what was sent; the last one that was good goes to *out, which may be NULL. */
static enum err collect(struct postgres_link *link, const char *doing, PGresult **out)
{
    int64_t deadline = deadline_of(link);
    PGresult *kept = NULL, *result = NULL;
    enum err first = OK, err = flush(link, deadline, doing);
    while (err == OK && (err = next_result(link, deadline, doing, &result)) == OK &&
           result != NULL) {
        if (!is_good(result)) {
            if (first == OK)
                first = postgres_link_fail(link, result, doing);
            PQclear(result);
            if (link->conn == NULL)
                break;
            continue;
        }
        PQclear(kept);
        kept = result;
    }
    if (first != OK)
        err = first;
    if (err == OK && out != NULL)
        *out = kept;
    else
        PQclear(kept);
    return err;
}

/* ---- connections ---- */

static void ignore_notice(void *context, const char *text)
{
    (void)context, (void)text;
}

void postgres_link_close(struct postgres_link *link)
{
    PQfinish(link->conn);
    link->conn = NULL;
    link->is_pipelined = false;
}

bool postgres_link_is_up(const struct postgres_link *link)
{
    return link->conn != NULL && PQstatus(link->conn) == CONNECTION_OK;
}

static enum err set_up(struct postgres_link *link)
{
    char sql[64];
    if (PQserverVersion(link->conn) < POSTGRES_VERSION_MIN)
        return postgres_link_fail_with(link, ERR_VERSION,
                                       "runs on a server that is older than PostgreSQL 11: "
                                       "upgrade that, or take another");
    PQsetNoticeProcessor(link->conn, ignore_notice, NULL);
    if (PQsetnonblocking(link->conn, 1) != 0)
        return postgres_link_fail(link, NULL, "set up");
    snprintf(sql, sizeof sql, "SET statement_timeout=%d", (POSTGRES_ANSWER_S - 1) * 1000);
    enum err err = postgres_link_run(link, sql, "set up");
    for (size_t i = 0; err == OK && i < sizeof WISHES / sizeof *WISHES; i++) {
        err = postgres_link_run(link, WISHES[i], "set up");
        if (err != OK && link->conn != NULL)
            err = OK;
    }
    return err;
}

enum err postgres_link_connect(struct postgres_link *link, const char *name)
{
    /* What stands before dbname the URL may say otherwise; what stands behind it may not. */
    static const char *const KEYWORDS[] = {"connect_timeout",  "keepalives",
                                           "keepalives_idle",  "keepalives_interval",
                                           "keepalives_count", "tcp_user_timeout",
                                           "dbname",           "application_name",
                                           "client_encoding",  NULL};
    const char *const values[] = {
        STRING(POSTGRES_CONNECT_S), "1", "10", "5", "3", "10000", link->url, name, "UTF8", NULL};
    postgres_link_close(link);
    if (name != link->name)
        snprintf(link->name, sizeof link->name, "%s", name);
    link->answer_max = duration_s(POSTGRES_ANSWER_S);
    link->end_ms = 0;
    link->conn = PQconnectdbParams(KEYWORDS, values, 1);
    if (link->conn == NULL)
        return postgres_link_fail(link, NULL, "connect to");
    if (PQstatus(link->conn) != CONNECTION_OK)
        return postgres_link_fail(link, NULL, "connect to");
    enum err err = set_up(link);
    if (err != OK)
        postgres_link_close(link);
    return err;
}

void postgres_link_set_deadline(struct postgres_link *link, double seconds)
{
    link->answer_max = duration_s(seconds);
}

void postgres_link_set_end(struct postgres_link *link, double seconds)
{
    link->end_ms = now_ms() + duration_to_ms(duration_s(seconds));
}

/* ---- statements ---- */

static enum err leave_pipeline(struct postgres_link *link, const char *doing)
{
    if (link->conn == NULL)
        return postgres_link_fail(link, NULL, doing);
    if (link->is_pipelined && PQexitPipelineMode(link->conn) == 0)
        return postgres_link_fail(link, NULL, doing);
    link->is_pipelined = false;
    return OK;
}

enum err postgres_link_run(struct postgres_link *link, const char *sql, const char *doing)
{
    enum err err = leave_pipeline(link, doing);
    if (err != OK)
        return err;
    if (PQsendQuery(link->conn, sql) == 0)
        return postgres_link_fail(link, NULL, doing);
    return collect(link, doing, NULL);
}

enum err postgres_link_look_for_notify(struct postgres_link *link)
{
    enum err err = postgres_link_run(link, "SELECT pg_notify('moonwatch','')", "set up");
    link->lacks_notify = err != OK;
    return err != OK && postgres_link_is_up(link) ? OK : err;
}

static const int BINARY[POSTGRES_VALUES_MAX] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
static const struct postgres_values NO_VALUES;

enum err postgres_link_ask(struct postgres_link *link, const char *sql,
                           const struct postgres_values *values, const char *doing, PGresult **out)
{
    enum err err = leave_pipeline(link, doing);
    *out = NULL;
    if (err != OK)
        return err;
    if (values == NULL)
        values = &NO_VALUES;
    if (PQsendQueryParams(link->conn, sql, values->count, values->types, values->bytes,
                          values->lengths, BINARY, 1) == 0)
        return postgres_link_fail(link, NULL, doing);
    return collect(link, doing, out);
}

enum err postgres_link_ask_integer(struct postgres_link *link, const char *sql,
                                   const struct postgres_values *values, int64_t otherwise,
                                   int64_t *out)
{
    PGresult *rows = NULL;
    enum err err = postgres_link_ask(link, sql, values, "read", &rows);
    *out = otherwise;
    if (err == OK && PQntuples(rows) > 0 && !postgres_is_null(rows, 0, 0))
        *out = postgres_integer(rows, 0, 0);
    PQclear(rows);
    return err;
}

static enum err enter_pipeline(struct postgres_link *link, const char *doing)
{
    if (link->conn == NULL)
        return postgres_link_fail(link, NULL, doing);
    if (!link->is_pipelined && PQenterPipelineMode(link->conn) == 0)
        return postgres_link_fail(link, NULL, doing);
    link->is_pipelined = true;
    return OK;
}

enum err postgres_link_prepare(struct postgres_link *link, const char *name, const char *sql,
                               const struct postgres_values *types)
{
    enum err err = enter_pipeline(link, "set up");
    if (err == OK && PQsendPrepare(link->conn, name, sql, types->count, types->types) == 0)
        err = postgres_link_fail(link, NULL, "set up");
    return err;
}

enum err postgres_link_send(struct postgres_link *link, const char *prepared,
                            const struct postgres_values *values)
{
    enum err err = enter_pipeline(link, "write to");
    if (err != OK)
        return err;
    if (values == NULL)
        values = &NO_VALUES;
    if (PQsendQueryPrepared(link->conn, prepared, values->count, values->bytes, values->lengths,
                            BINARY, 1) == 0)
        return postgres_link_fail(link, NULL, "write to");
    return OK;
}

enum err postgres_link_sync(struct postgres_link *link, const char *doing,
                            postgres_on_rows *on_rows, void *context)
{
    int64_t deadline = deadline_of(link);
    enum err first = OK, err = enter_pipeline(link, doing);
    bool is_over = false;
    if (err == OK && PQpipelineSync(link->conn) == 0)
        err = postgres_link_fail(link, NULL, doing);
    if (err == OK)
        err = flush(link, deadline, doing);
    while (err == OK && !is_over) {
        PGresult *result;
        err = next_result(link, deadline, doing, &result);
        if (err != OK || result == NULL) /* NULL ends the results of one statement */
            continue;
        ExecStatusType status = PQresultStatus(result);
        is_over = status == PGRES_PIPELINE_SYNC;
        if (!is_over && status != PGRES_PIPELINE_ABORTED && !is_good(result) && first == OK)
            first = postgres_link_fail(link, result, doing);
        else if (status == PGRES_TUPLES_OK && on_rows != NULL && first == OK)
            on_rows(context, result);
        PQclear(result);
        if (link->conn == NULL)
            break;
    }
    return first != OK ? first : err;
}

/* ---- values ---- */

void postgres_add_bytes(struct postgres_values *values, enum postgres_type type, const void *bytes,
                        size_t length)
{
    int n = values->count++;
    values->types[n] = type;
    values->bytes[n] = bytes;
    values->lengths[n] = (int)length;
}

void postgres_add_integer(struct postgres_values *values, int64_t value)
{
    int64_t *kept = &values->integers[values->count];
    *kept = (int64_t)htobe64((uint64_t)value);
    postgres_add_bytes(values, POSTGRES_INT8, kept, sizeof *kept);
}

void postgres_add_text(struct postgres_values *values, const char *text)
{
    postgres_add_bytes(values, POSTGRES_TEXT, text, strlen(text));
}

bool postgres_is_null(const PGresult *rows, int row, int column)
{
    return PQgetisnull(rows, row, column) != 0;
}

const void *postgres_bytes(const PGresult *rows, int row, int column, size_t *length)
{
    *length = (size_t)PQgetlength(rows, row, column);
    return PQgetvalue(rows, row, column);
}

int64_t postgres_integer(const PGresult *rows, int row, int column)
{
    size_t length;
    const void *bytes = postgres_bytes(rows, row, column, &length);
    uint64_t eight;
    uint32_t four;
    uint16_t two;
    switch (length) {
    case sizeof eight:
        memcpy(&eight, bytes, sizeof eight);
        return (int64_t)be64toh(eight);
    case sizeof four:
        memcpy(&four, bytes, sizeof four);
        return (int32_t)be32toh(four);
    case sizeof two:
        memcpy(&two, bytes, sizeof two);
        return (int16_t)be16toh(two);
    case 1:
        return *(const int8_t *)bytes;
    default:
        return 0;
    }
}

double postgres_double(const PGresult *rows, int row, int column)
{
    if (postgres_is_null(rows, row, column))
        return (double)NAN;
    int64_t bits = postgres_integer(rows, row, column);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

bool postgres_text(const PGresult *rows, int row, int column, char *out, size_t size)
{
    size_t length;
    const char *text = postgres_bytes(rows, row, column, &length);
    text_copy(out, size, text, length);
    return length < size;
}
