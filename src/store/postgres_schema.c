/* See postgres_schema.h. */
#include "store/postgres_schema.h"

#include "base/log.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define DAY_US INT64_C(86400000000)

/* Of the transactions that change the schema: any number that is not another program's. */
#define MIGRATION_LOCK "7813586407"

/* Times are microseconds since the Unix epoch, as everywhere: no conversion can fail, and any time
 * that a wrong clock gave can be stored. */
static const char *const MIGRATIONS[] = {
    "CREATE TABLE node("
    "  number bigint PRIMARY KEY,"
    "  name text NOT NULL UNIQUE,"
    "  generation bigint NOT NULL,"
    "  transactions bigint NOT NULL," /* committed under this generation */
    "  log_position bigint NOT NULL"
    ");"
    "CREATE TABLE token("
    "  id bigint PRIMARY KEY,"
    "  mint text NOT NULL,"
    "  name text NOT NULL,"
    "  symbol text NOT NULL,"
    "  status text NOT NULL,"
    "  slot smallint NOT NULL," /* core/mint_slot.h */
    "  created_at bigint NOT NULL,"
    "  node bigint NOT NULL," /* whose log log_seq is of */
    "  log_seq bigint NOT NULL,"
    "  state bytea NOT NULL," /* state.h */
    "  checked_at bigint,"
    "  fetched_at bigint,"
    "  score double precision,"
    "  liquidity_usd double precision,"
    "  price_usd double precision"
    ");"
    "CREATE TABLE pool("
    "  token_id bigint NOT NULL,"
    "  n smallint NOT NULL,"
    "  address text NOT NULL,"
    "  dex text NOT NULL,"
    "  quote text NOT NULL,"
    "  liquidity_usd double precision,"
    "  flags smallint NOT NULL,"
    "  PRIMARY KEY(token_id, n)"
    ");"
    "CREATE TABLE setting("
    "  name text PRIMARY KEY,"
    "  value text NOT NULL"
    ");"
    "CREATE TABLE alert("
    "  id bigint PRIMARY KEY,"
    "  text text NOT NULL"
    ");",
    /* Of several nodes: cluster/view.h, cluster_link.h. */
    "CREATE SEQUENCE cluster_session;"
    "CREATE TABLE cluster_member("
    "  session bigint PRIMARY KEY,"
    "  nonce bigint NOT NULL UNIQUE,"
    "  number bigint NOT NULL," /* of the newest exchange that was done */
    "  renewals bigint NOT NULL,"
    "  capacity bigint NOT NULL,"
    "  is_leaving bigint NOT NULL,"
    "  node bigint NOT NULL,"
    "  name text NOT NULL,"
    "  clock bigint NOT NULL," /* the node's, at its newest renewal … */
    "  seen bigint NOT NULL"   /* … and the database's then */
    ");"
    "CREATE TABLE cluster_lease("
    "  lease bigint PRIMARY KEY,"
    "  session bigint NOT NULL,"
    "  generation bigint NOT NULL"
    ");"
    "INSERT INTO cluster_lease(lease,session,generation) SELECT n,0,0 FROM "
    "generate_series(0,1024) AS n;"
    "CREATE TABLE cluster_order("
    "  id bigint PRIMARY KEY,"        /* counted in moonwatch, so that they are seen in order */
    "  nonce bigint NOT NULL UNIQUE," /* given twice, it is once */
    "  name text NOT NULL,"           /* of the node that gave it */
    "  kind text NOT NULL,"
    "  body text NOT NULL,"
    "  at bigint NOT NULL" /* by the database's clock */
    ");"
    "INSERT INTO moonwatch VALUES('order', 0);"
    /* Of the slot's lease, under which the state was written: what is older is not put over it. */
    "ALTER TABLE token ADD COLUMN generation bigint NOT NULL DEFAULT 0;"
    /* Whose message it is: each node tells people itself what it found. */
    "ALTER TABLE alert ADD COLUMN node bigint NOT NULL DEFAULT 1;",
};

/* The log's tables came before it: from version 1 to 2. */
#define LOG_MARKS_VERSION 1

#define MIGRATION_COUNT ((int64_t)(sizeof MIGRATIONS / sizeof *MIGRATIONS))

#define SNAPSHOT_TABLE                                                                             \
    "CREATE TABLE snapshot("                                                                       \
    "  id bigint NOT NULL,"                                                                        \
    "  previous bigint NOT NULL,"                                                                  \
    "  token_id bigint NOT NULL,"                                                                  \
    "  at bigint NOT NULL,"                                                                        \
    "  score double precision,"                                                                    \
    "  liquidity_usd double precision,"                                                            \
    "  price_usd double precision,"                                                                \
    "  figures bytea NOT NULL,"                                                                    \
    "  PRIMARY KEY(id, at)"                                                                        \
    ")"

#define EVENT_TABLE                                                                                \
    "CREATE TABLE event("                                                                          \
    "  id bigint NOT NULL,"                                                                        \
    "  token_id bigint NOT NULL,"                                                                  \
    "  at bigint NOT NULL,"                                                                        \
    "  kind text NOT NULL,"                                                                        \
    "  reason text NOT NULL,"                                                                      \
    "  PRIMARY KEY(id, at)"                                                                        \
    ")"

#define EVENT_INDEXES                                                                              \
    "CREATE INDEX event_by_token ON event(token_id, at, id);"                                      \
    "CREATE INDEX event_by_time ON event(at, id);"

/* History, with partitions or without. */
static const char PARTITIONED[] =                                                    //
    SNAPSHOT_TABLE " PARTITION BY RANGE(at);" EVENT_TABLE " PARTITION BY RANGE(at);" //
                   "CREATE TABLE snapshot_default PARTITION OF snapshot DEFAULT;"
                   "CREATE TABLE event_default PARTITION OF event DEFAULT;" EVENT_INDEXES;
static const char WHOLE[] = SNAPSHOT_TABLE ";" EVENT_TABLE ";" EVENT_INDEXES;

/* PostgreSQL alone knows these, and is faster for them: rows of `token` are rewritten where they
 * are, and whole pages of the log are neither compressed nor cut up. */
static const char *const TOKEN_WISHES[] = {"ALTER TABLE token SET (fillfactor=50)",
                                           "ALTER TABLE node SET (fillfactor=10)"};
static const char LOG_WISH[] =
    "ALTER TABLE refresh_log_%" PRId64 "_%c ALTER COLUMN records SET STORAGE PLAIN";

int64_t postgres_day_of(instant t)
{
    int64_t day = t.us / DAY_US;
    return t.us % DAY_US < 0 ? day - 1 : day;
}

/* Done if the server can; otherwise left. Outside of transactions. */
static enum err wish(struct postgres_link *link, const char *sql)
{
    enum err err = postgres_link_run(link, sql, "tune");
    return err != OK && postgres_link_is_up(link) ? OK : err;
}

static void roll_back(struct postgres_link *link)
{
    if (postgres_link_is_up(link) && postgres_link_run(link, "ROLLBACK", "go on with") != OK)
        postgres_link_close(link);
}

/* ---- migrations ---- */

static enum err has_table(struct postgres_link *link, const char *name, bool *out)
{
    struct postgres_values values = {0};
    int64_t count;
    postgres_add_text(&values, name);
    enum err err = postgres_link_ask_integer(
        link,
        "SELECT count(*) FROM information_schema.tables WHERE table_schema=current_schema()"
        " AND table_name=$1",
        &values, 0, &count);
    *out = count > 0;
    return err;
}

static enum err read_meta(struct postgres_link *link, const char *name, int64_t *out)
{
    struct postgres_values values = {0};
    postgres_add_text(&values, name);
    return postgres_link_ask_integer(link, "SELECT value FROM moonwatch WHERE name=$1", &values, 0,
                                     out);
}

static enum err read_schema(struct postgres_link *link, struct postgres_schema *out)
{
    int64_t is_partitioned = 0;
    enum err err = read_meta(link, "schema", &out->version);
    if (err == OK)
        err = read_meta(link, "identity", &out->identity);
    if (err == OK)
        err = read_meta(link, "partitioned", &is_partitioned);
    out->is_partitioned = is_partitioned != 0;
    return err;
}

static enum err make_history(struct postgres_link *link)
{
    enum err err = postgres_link_run(link, "SAVEPOINT history", "set up");
    if (err == OK)
        err = postgres_link_run(link, PARTITIONED, "set up");
    if (err == OK)
        return postgres_link_run(link, "INSERT INTO moonwatch VALUES('partitioned', 1)", "set up");
    if (!postgres_link_is_up(link))
        return err;
    err = postgres_link_run(link, "ROLLBACK TO SAVEPOINT history", "set up");
    if (err == OK)
        err = postgres_link_run(link, WHOLE, "set up");
    return err;
}

static enum err make_first(struct postgres_link *link)
{
    uint64_t random;
    char sql[320];
    bool is_theirs;
    enum err err = has_table(link, "token", &is_theirs);
    if (err == OK && is_theirs)
        return postgres_link_fail_with(link, ERR_INVALID,
                                       "has a table \"token\" of another program; give another "
                                       "database or schema, this one is left alone");
    if (err == OK && getrandom(&random, sizeof random, 0) != sizeof random)
        return postgres_link_fail_with(link, ERR_IO, "gets no identity: no random numbers");
    if (err != OK)
        return err;
    snprintf(sql, sizeof sql,
             "CREATE TABLE moonwatch(name text PRIMARY KEY, value bigint NOT NULL);"
             "INSERT INTO moonwatch VALUES('schema', 0), ('identity', %" PRIu64 ")",
             (random >> 2) + 1);
    err = postgres_link_run(link, sql, "set up");
    return err == OK ? make_history(link) : err;
}

/* The generation of each record of a row, and whether its pools changed: postgres_store.h. */
#define LOG_MARKS "marks bytea NOT NULL DEFAULT ''"

static enum err add_marks(struct postgres_link *link)
{
    PGresult *nodes = NULL;
    char sql[256];
    enum err err = postgres_link_ask(link, "SELECT number FROM node", NULL, "migrate", &nodes);
    for (int i = 0; err == OK && i < PQntuples(nodes); i++) {
        int64_t number = postgres_integer(nodes, i, 0);
        snprintf(sql, sizeof sql,
                 "ALTER TABLE refresh_log_%" PRId64 "_a ADD COLUMN " LOG_MARKS
                 ";ALTER TABLE refresh_log_%" PRId64 "_b ADD COLUMN " LOG_MARKS,
                 number, number);
        err = postgres_link_run(link, sql, "migrate");
    }
    PQclear(nodes);
    return err;
}

static enum err migrate_from(struct postgres_link *link, int64_t version)
{
    char sql[96];
    enum err err = OK;
    for (; err == OK && version < MIGRATION_COUNT; version++) {
        err = postgres_link_run(link, MIGRATIONS[version], "migrate");
        if (err == OK && version == LOG_MARKS_VERSION)
            err = add_marks(link);
    }
    snprintf(sql, sizeof sql, "UPDATE moonwatch SET value=%" PRId64 " WHERE name='schema'",
             version);
    return err == OK ? postgres_link_run(link, sql, "migrate") : err;
}

/* Whoever else migrates is waited for. */
static enum err migrate(struct postgres_link *link)
{
    bool is_there = false;
    int64_t version = 0;
    enum err err = postgres_link_run(
        link, "BEGIN; SET LOCAL statement_timeout=0; SET LOCAL lock_timeout=0", "migrate");
    if (err == OK)
        err =
            postgres_link_run(link, "SELECT pg_advisory_xact_lock(" MIGRATION_LOCK ")", "migrate");
    if (err == OK)
        err = has_table(link, "moonwatch", &is_there);
    if (err == OK)
        err = is_there ? read_meta(link, "schema", &version) : make_first(link);
    if (err == OK)
        err = migrate_from(link, version);
    if (err == OK)
        err = postgres_link_run(link, "COMMIT", "migrate");
    if (err != OK)
        roll_back(link);
    for (size_t i = 0; err == OK && i < sizeof TOKEN_WISHES / sizeof *TOKEN_WISHES; i++)
        err = wish(link, TOKEN_WISHES[i]);
    return err;
}

enum err postgres_schema_open(struct postgres_link *link, struct postgres_schema *out)
{
    bool is_there;
    *out = (struct postgres_schema){0};
    enum err err = has_table(link, "moonwatch", &is_there);
    if (err == OK && is_there)
        err = read_schema(link, out);
    if (err == OK && out->version > MIGRATION_COUNT) {
        char sentence[160];
        snprintf(sentence, sizeof sentence,
                 "was made by a newer version of moonwatch (schema %" PRId64
                 ", this one knows %" PRId64 "); run that version, or restore a backup",
                 out->version, MIGRATION_COUNT);
        return postgres_link_fail_with(link, ERR_VERSION, sentence);
    }
    if (err != OK || out->version == MIGRATION_COUNT)
        return err;
    postgres_link_set_deadline(link, POSTGRES_LONG_S);
    err = migrate(link);
    postgres_link_set_deadline(link, POSTGRES_ANSWER_S);
    return err == OK ? read_schema(link, out) : err;
}

/* ---- days ---- */

static void name_day(const char *table, int64_t day, char out[PARTITION_NAME_MAX])
{
    struct tm date;
    time_t second = (time_t)(day * (DAY_US / 1000000));
    gmtime_r(&second, &date);
    snprintf(out, PARTITION_NAME_MAX, "%s_%04d%02d%02d", table, date.tm_year + 1900,
             date.tm_mon + 1, date.tm_mday);
}

static enum err add_day(struct postgres_link *link, const char *table, int64_t day)
{
    char sql[256], name[PARTITION_NAME_MAX];
    name_day(table, day, name);
    snprintf(sql, sizeof sql,
             "CREATE TABLE IF NOT EXISTS %s PARTITION OF %s FOR VALUES FROM (%" PRId64
             ") TO (%" PRId64 ")",
             name, table, day * DAY_US, (day + 1) * DAY_US);
    enum err err = postgres_link_run(link, sql, "make a day's partition in");
    if (err == OK || !postgres_link_is_up(link))
        return err;
    log_warning("store", link->message);
    return OK;
}

enum err postgres_schema_add_days(struct postgres_link *link, const struct postgres_schema *schema,
                                  instant now)
{
    int64_t today = postgres_day_of(now);
    enum err err = OK;
    for (int64_t day = today; err == OK && schema->is_partitioned && day < today + PARTITION_DAYS;
         day++) {
        err = add_day(link, "snapshot", day);
        if (err == OK)
            err = add_day(link, "event", day);
    }
    return err;
}

enum err postgres_schema_drop_days(struct postgres_link *link, const char *table, instant before)
{
    struct postgres_values values = {0};
    PGresult *rows = NULL;
    char pattern[PARTITION_NAME_MAX], end[PARTITION_NAME_MAX], sql[64 + PARTITION_NAME_MAX];
    snprintf(pattern, sizeof pattern, "%s_%%", table);
    name_day(table, postgres_day_of(before), end);
    postgres_add_text(&values, pattern);
    postgres_add_text(&values, end);
    /* Digits sort before letters: the default partition is not among them. */
    enum err err = postgres_link_ask(
        link,
        "SELECT table_name::text FROM information_schema.tables WHERE"
        " table_schema=current_schema() AND table_name LIKE $1 AND table_name::text COLLATE \"C\" <"
        " $2 ORDER BY 1",
        &values, "read", &rows);
    for (int i = 0; err == OK && i < PQntuples(rows); i++) {
        char name[PARTITION_NAME_MAX];
        size_t prefix = strlen(table) + 1;
        if (!postgres_text(rows, i, 0, name, sizeof name) ||
            strspn(name + prefix, "0123456789") != strlen(end) - prefix)
            continue;
        snprintf(sql, sizeof sql, "DROP TABLE %s", name);
        err = postgres_link_run(link, sql, "drop old history of");
    }
    PQclear(rows);
    return err;
}

/* ---- nodes ---- */

static enum err read_node(struct postgres_link *link, int64_t *number)
{
    struct postgres_values values = {0};
    postgres_add_text(&values, link->node);
    return postgres_link_ask_integer(link, "SELECT number FROM node WHERE name=$1", &values, 0,
                                     number);
}

static enum err add_node(struct postgres_link *link, int64_t number)
{
    char sql[720];
    snprintf(sql, sizeof sql,
             "INSERT INTO node VALUES(%" PRId64 ", '%s', 0, 0, 0);"
             "CREATE TABLE refresh_log_%" PRId64 "_a(seq bigint PRIMARY KEY, first bigint NOT NULL,"
             " records bytea NOT NULL, " LOG_MARKS ");"
             "CREATE TABLE refresh_log_%" PRId64 "_b(seq bigint PRIMARY KEY, first bigint NOT NULL,"
             " records bytea NOT NULL, " LOG_MARKS ")",
             number, link->node, number, number);
    return postgres_link_run(link, sql, "enter a node into");
}

static enum err make_node(struct postgres_link *link, int64_t *number)
{
    int64_t largest = 0;
    char sql[128];
    enum err err = postgres_link_run(link, "BEGIN", "enter a node into");
    if (err == OK)
        err = postgres_link_run(link, "SELECT pg_advisory_xact_lock(" MIGRATION_LOCK ")",
                                "enter a node into");
    if (err == OK)
        err = read_node(link, number);
    if (err == OK && *number == 0) {
        err = postgres_link_ask_integer(link, "SELECT max(number) FROM node", NULL, 0, &largest);
        *number = largest + 1;
        if (err == OK && *number > NODE_NUMBER_MAX)
            err = postgres_link_fail_with(link, ERR_TOO_LARGE, "has too many nodes");
        if (err == OK)
            err = add_node(link, *number);
    }
    if (err == OK)
        err = postgres_link_run(link, "COMMIT", "enter a node into");
    if (err != OK)
        roll_back(link);
    for (char part = 'a'; err == OK && part <= 'b'; part++) {
        snprintf(sql, sizeof sql, LOG_WISH, *number, part);
        err = wish(link, sql);
    }
    return err;
}

enum err postgres_schema_find_node(struct postgres_link *link, int64_t *number)
{
    *number = 0;
    enum err err = read_node(link, number);
    return err == OK && *number == 0 ? make_node(link, number) : err;
}
