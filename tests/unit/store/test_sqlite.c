/* What only SQLite's store has: its schema's version, foreign files, damaged rows and pages. */
#include "engine.h"
#include "store/sqlite_schema.h"
#include "store/sqlite_store.h"

#include <fcntl.h>
#include <sys/stat.h>

#define TOKENS 300

static int set_up(void **state)
{
    static struct place place;
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_LOGFMT);
    place_init(&place);
    *state = &place;
    return 0;
}

static int tear_down(void **state)
{
    place_finish(*state);
    return 0;
}

static void change(struct place *place, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void fill(struct place *place)
{
    struct store_token row;
    struct store *store = open_or_fail(place->url);
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    for (token_id id = 1; id <= TOKENS; id++) {
        token_make(&row, id, 1);
        assert_int_equal(store_put_token(store, &row), OK);
        token_make(&row, id, 2);
        assert_int_equal(store_append_refresh(store, &row), OK);
    }
    assert_int_equal(store_put_setting(store, "min_score", "0.2"), OK);
    assert_int_equal(store_commit(store), OK);
    store_close(store);
}

static void assert_refused(struct place *place, const char *sentence)
{
    char why[512] = "";
    assert_null(store_open(place->url, why));
    if (strstr(why, sentence) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", why, sentence);
}

static void a_newer_schema_is_refused(void **state)
{
    fill(*state);
    change(*state, "PRAGMA user_version=99");
    assert_refused(*state, "made by a newer version of moonwatch (schema 99");
    assert_int_equal(ask(((struct place *)*state)->path, "SELECT count(*) FROM token"), TOKENS);
}

static void a_foreign_database_is_left_alone(void **state)
{
    change(*state, "CREATE TABLE mine(x); INSERT INTO mine VALUES(1)");
    assert_refused(*state, "a database of another program");
    assert_int_equal(ask(((struct place *)*state)->path, "SELECT count(*) FROM mine"), 1);
}

static void no_database_is_told_so(void **state)
{
    struct place *place = *state;
    FILE *file = fopen(place->path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database", file);
    fclose(file);
    assert_refused(place, "file is not a database");
}

static void a_missing_folder_is_told_so(void **state)
{
    char why[512] = "";
    (void)state;
    assert_null(store_open("sqlite:/nonexistent/folder/x.db", why));
    assert_non_null(strstr(why, "its folder can't be reached"));
}

static void a_missing_table_is_told_so(void **state)
{
    fill(*state);
    change(*state, "DROP TABLE pool");
    assert_refused(*state, "does not have the tables it should have");
}

static void the_file_says_what_it_is(void **state)
{
    struct place *place = *state;
    fill(place);
    assert_int_equal(ask(place->path, "PRAGMA application_id"), 0x4d4f4f4e);
    assert_int_equal(ask(place->path, "PRAGMA user_version"), (int)sqlite_schema_version());
    assert_true(is_intact(place->path));
}

static void make_first_version(struct place *place)
{
    change(place, sqlite_schema_migration(0));
    change(place, "PRAGMA application_id=0x4d4f4f4e; PRAGMA user_version=1");
}

static void wide_snapshots_become_narrow(void **state)
{
    struct place *place = *state;
    struct store_snapshot found[3];
    char why[512];
    make_first_version(place);
    change(place, "INSERT INTO snapshot VALUES(5,0,1,1000,0.5,0.75,1,2,3,4,5,6,7,8,9,10,11,12,13,"
                  "14,15,16,17,NULL,19,NULL,21,22,23,24,25,26,'orca');"
                  "INSERT INTO snapshot(id,previous,token_id,at,primary_dex,pools,buys_5m)"
                  " VALUES(6,5,1,2000,'a name that is too long',1000,-1)");
    store_close(open_or_fail(place->url));
    struct store_reader *reader = store_reader_open(place->url, why);
    assert_int_equal(store_reader_snapshots(reader, 1, 6, found, 3), 2);
    const struct store_snapshot *bare = &found[0], *full = &found[1];
    assert_true(full->at.us == 1000 && full->score == 0.5 && full->score_raw == 0.75);
    assert_true(full->raw.tx_accel == 1 && full->smoothed.orderflow_imbalance == 8);
    assert_true(full->metrics.liquidity_usd == 9 && full->metrics.primary_liquidity_usd == 17);
    assert_true(isnan(full->metrics.price_usd) && isnan(full->metrics.market_cap_usd));
    assert_true(full->metrics.volume_24h_usd == 19 && full->metrics.buys_5m == 23);
    assert_int_equal(full->metrics.pools, 26);
    assert_string_equal(full->primary_dex, "orca");
    assert_true(isnan(bare->score) && isnan(bare->score_raw) && isnan(bare->metrics.price_usd));
    assert_true(bare->metrics.pools == POOLS_MAX && bare->metrics.buys_5m == 0);
    assert_string_equal(bare->primary_dex, "a name that is ");
    store_reader_close(reader);
    assert_true(is_intact(place->path));
}

static void put_single_row(struct place *place, const char *table, int64_t seq,
                           const struct store_token *row)
{
    sqlite3 *db;
    char *sql, hex[2 * STATE_BLOB_MAX + 1];
    uint8_t bytes[STATE_BLOB_MAX];
    size_t length = state_encode(&row->token, row->primary_dex, bytes);
    for (size_t i = 0; i < length; i++)
        sprintf(hex + 2 * i, "%02x", bytes[i]);
    assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
    sql = sqlite3_mprintf("INSERT INTO %s VALUES(%lld,%u,0,%Q,%Q,%Q,x'%s')", table, seq, row->id,
                          row->token.name, row->token.symbol,
                          token_status_name((enum token_status)row->token.status), hex);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_free(sql);
    sqlite3_close(db);
}

/* Both parts of the log, and a row in it that can't be right. */
static void a_log_of_single_rows_is_replayed(void **state)
{
    struct place *place = *state;
    struct store_token row;
    struct kept kept;
    char sql[256];
    make_first_version(place);
    for (token_id id = 1; id <= 3; id++) {
        snprintf(sql, sizeof sql,
                 "INSERT INTO token(id,mint,name,symbol,status,created_at,log_seq,state)"
                 " VALUES(%u,'So1111111111111111111111111111111111111111%u','','','monitoring',1,0,"
                 "x'00')",
                 id, id + 1);
        change(place, sql);
        token_make(&row, id, 5);
        put_single_row(place, id == 2 ? "refresh_log_b" : "refresh_log_a", id, &row);
    }
    change(place, "UPDATE refresh_log_a SET status='x' WHERE token_id=3");
    struct store *store = open_or_fail(place->url);
    assert_int_equal(kept_load(store, &kept), OK);
    assert_int_equal(kept.report.replayed, 2);
    assert_int_equal(kept.report.states_refused, 1);
    for (token_id id = 1; id <= 2; id++) {
        token_make(&row, id, 5);
        assert_string_equal(kept.tokens[id].token.symbol, row.token.symbol);
        assert_int_equal(kept.tokens[id].token.status, row.token.status);
        assert_int_equal(kept.tokens[id].token.state.low_score_us, 5);
    }
    assert_int_equal(kept.tokens[3].token.state.answers, 0);
    kept_finish(&kept);
    store_close(store);
}

/* What is no figures is unknown, and the chain goes on. */
static void damaged_figures_cost_themselves(void **state)
{
    struct place *place = *state;
    struct store_snapshot found[3];
    char why[512];
    struct store *store = open_or_fail(place->url);
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    for (int64_t id = 1; id <= 3; id++) {
        struct store_snapshot snapshot = {.id = id, .previous = id - 1, .token = 1, .score = 0.5};
        snapshot.metrics.price_usd = 2;
        assert_int_equal(store_put_snapshot(store, &snapshot), OK);
    }
    assert_int_equal(store_commit(store), OK);
    store_close(store);
    change(place, "UPDATE snapshot SET figures=x'01' WHERE id=2");
    struct store_reader *reader = store_reader_open(place->url, why);
    assert_int_equal(store_reader_snapshots(reader, 1, 3, found, 3), 3);
    assert_true(found[0].metrics.price_usd == 2 && found[2].metrics.price_usd == 2);
    assert_true(found[1].score == 0.5 && isnan(found[1].metrics.price_usd));
    store_reader_close(reader);
}

static void any_bytes_of_figures_are_survived(void **state)
{
    const struct store_snapshot snapshot = {.score_raw = 1, .primary_dex = "raydium"};
    struct store_snapshot read;
    uint8_t bytes[SNAPSHOT_BLOB_MAX];
    (void)state;
    size_t length = snapshot_encode(&snapshot, bytes);
    for (size_t cut = 0; cut < length; cut++) {
        snapshot_decode(bytes, cut, &read);
        assert_true(isnan(read.score_raw) && read.primary_dex[0] == '\0');
    }
    snapshot_decode(bytes, length, &read);
    assert_true(read.score_raw == 1);
    assert_string_equal(read.primary_dex, "raydium");
    bytes[0]++;
    snapshot_decode(bytes, length, &read);
    assert_true(isnan(read.score_raw));
}

/* What an older version made is brought up to date, and keeps what is in it. */
static void a_file_of_the_version_before_is_migrated(void **state)
{
    struct place *place = *state;
    fill(place);
    change(place, "DROP TABLE alert; PRAGMA user_version=3");
    struct store *store = open_or_fail(place->url);
    assert_int_equal(store_begin(store, STORE_DURABLE), OK);
    assert_int_equal(store_put_alert(store, 1, "told"), OK);
    assert_int_equal(store_commit(store), OK);
    store_close(store);
    assert_int_equal(ask(place->path, "PRAGMA user_version"), (int)sqlite_schema_version());
    assert_int_equal(ask(place->path, "SELECT count(*) FROM token"), TOKENS);
}

static void an_older_engine_may_not_write(void **state)
{
    struct place *place = *state;
    struct store *store = open_or_fail(place->url);
    change(place, "UPDATE meta SET value=value+1 WHERE name='generation'");
    assert_int_equal(store_begin(store, STORE_RELAXED), ERR_FENCED);
    assert_non_null(strstr(store_message(store), "newer engine"));
    store_close(store);
}

static enum err write_an_event(struct store *store)
{
    const struct store_event event = {.at = {1}, .kind = "zombie", .reason = "wakes up"};
    enum err err = store_begin(store, STORE_RELAXED);
    if (err == OK)
        err = store_put_event(store, &event);
    return err == OK ? store_commit(store) : err;
}

/* An engine that was killed and does not die holds the lock; the next one goes on without. When it
 * wakes after all, it is the fence that keeps it from writing, and nothing else: with its
 * generation back in force the same write goes through. */
static void only_the_fence_stops_a_zombie(void **state)
{
    struct place *place = *state;
    char why[512] = "";
    static const char count[] = "SELECT count(*) FROM event WHERE kind='zombie'";
    struct store *zombie = open_or_fail(place->url);
    assert_null(store_open(place->url, why));
    struct store *next = store_open_after(place->url, getpid(), why);
    assert_non_null(next);
    assert_int_equal(write_an_event(zombie), ERR_FENCED);
    assert_int_equal(ask(place->path, count), 0);
    change(place, "UPDATE meta SET value=value-1 WHERE name='generation'");
    assert_int_equal(write_an_event(zombie), OK);
    assert_int_equal(ask(place->path, count), 1);
    /* Nobody can have put it back but who has another file, or hands of his own. */
    assert_int_equal(write_an_event(next), ERR_CORRUPT);
    assert_non_null(strstr(store_message(next), "older state"));
    store_close(zombie);
    store_close(next);
}

static sqlite3 *lock_file(const struct place *place)
{
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(place->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    return other;
}

/* An engine is not kept from its work by a file that takes no writes for a while. */
static void a_locked_file_is_started_on(void **state)
{
    struct place *place = *state;
    static const char generation[] = "SELECT value FROM meta WHERE name='generation'";
    fill(place);
    int64_t before = ask(place->path, generation);
    sqlite3 *other = lock_file(place);
    struct store *store = open_or_fail(place->url);
    assert_int_equal(write_an_event(store), ERR_BUSY);
    assert_int_equal(ask(place->path, generation), before);
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    assert_int_equal(write_an_event(store), OK);
    assert_int_equal(ask(place->path, generation), before + 1);
    assert_int_equal(write_an_event(store), OK);
    assert_int_equal(ask(place->path, generation), before + 1);
    store_close(store);
}

/* Whoever took the generation that we were to have is the newer one. */
static void a_locked_file_may_be_taken_over(void **state)
{
    struct place *place = *state;
    fill(place);
    sqlite3 *other = lock_file(place);
    struct store *store = open_or_fail(place->url);
    assert_int_equal(sqlite3_exec(other,
                                  "UPDATE meta SET value=value+1 WHERE name='generation'; COMMIT",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(other);
    assert_int_equal(write_an_event(store), ERR_FENCED);
    store_close(store);
}

struct damage {
    const char *name;
    const char *sql; /* done to row 7 of a filled database, after the log was emptied */
    uint32_t tokens, refused, holes, states;
};

static const struct damage DAMAGES[] = {
    {"no mint", "UPDATE token SET mint='0OIl' WHERE id=7", 299, 4, 1, 0},
    {"mint of NULs", "UPDATE token SET mint=zeroblob(44) WHERE id=7", 299, 4, 1, 0},
    {"the mint of another", "UPDATE token SET mint=(SELECT mint FROM token WHERE id=6) WHERE id=7",
     299, 4, 1, 0},
    {"unknown status", "UPDATE token SET status='rich' WHERE id=7", 299, 4, 1, 0},
    {"long name", "UPDATE token SET name=hex(zeroblob(99)) WHERE id=7", 299, 4, 1, 0},
    {"created before all time", "UPDATE token SET created_at=-1 WHERE id=7", 299, 4, 1, 0},
    {"id far off", "UPDATE token SET id=4000000000 WHERE id=7", 299, 4, 1, 0},
    {"id too large", "UPDATE token SET id=9000000000000000000 WHERE id=7", 299, 4, 1, 0},
    {"id below zero", "UPDATE token SET id=-5 WHERE id=7", 299, 3, 1, 0},
    {"empty state", "UPDATE token SET state='' WHERE id=7", 300, 1, 0, 1},
    {"state of another version", "UPDATE token SET state=x'02'||substr(state,2) WHERE id=7", 300, 1,
     0, 1},
    {"a score of NaN",
     "UPDATE token SET state=CAST(substr(state,1,132)||x'000000000000f87f'||substr(state,141)"
     " AS BLOB) WHERE id=7",
     300, 1, 0, 1},
    {"log far ahead", "UPDATE token SET log_seq=999999 WHERE id=7", 300, 0, 0, 0},
    {"pool without address", "UPDATE pool SET address='' WHERE token_id=7 AND n=1", 300, 1, 0, 0},
    {"pool twice",
     "UPDATE pool SET address=(SELECT address FROM pool WHERE token_id=7 AND n=0)"
     " WHERE token_id=7 AND n=1",
     300, 1, 0, 0},
    {"pool with debts", "UPDATE pool SET liquidity_usd=-1 WHERE token_id=7 AND n=1", 300, 1, 0, 0},
    {"pool of infinite wealth", "UPDATE pool SET liquidity_usd=9e999 WHERE token_id=7 AND n=1", 300,
     1, 0, 0},
    {"pool of no number", "UPDATE pool SET token_id='x' WHERE token_id=7 AND n=1", 300, 1, 0, 0},
    {"unknown flags", "UPDATE pool SET flags=-1 WHERE token_id=7 AND n=1", 300, 1, 0, 0},
};

static void check_damage(struct place *place, const struct damage *damage)
{
    struct kept kept;
    unlink(place->path);
    fill(place);
    change(place,
           "DELETE FROM refresh_log_a; UPDATE meta SET value=1000 WHERE name='log_position'");
    change(place, damage->sql);
    struct store *store = open_or_fail(place->url);
    assert_int_equal(kept_load(store, &kept), OK);
    const struct store_load_report *report = &kept.report;
    if (report->tokens != damage->tokens || report->holes != damage->holes ||
        report->states_refused != damage->states || report->rows_refused != damage->refused)
        fail_msg("%s: %u tokens, %u refused, %u holes, %u states", damage->name, report->tokens,
                 report->rows_refused, report->holes, report->states_refused);
    assert_int_equal(kept.has[7], damage->tokens == TOKENS);
    if (damage->states > 0)
        assert_int_equal(kept.tokens[7].token.state.answers, 0);
    kept_finish(&kept);
    store_close(store);
}

static void damaged_rows_cost_themselves(void **state)
{
    for (size_t i = 0; i < sizeof DAMAGES / sizeof *DAMAGES; i++)
        check_damage(*state, &DAMAGES[i]);
}

static void a_time_in_the_future_is_set_to_now(void **state)
{
    struct place *place = *state;
    struct kept kept;
    struct store_token row;
    struct store *store = open_or_fail(place->url);
    token_make(&row, 1, 1);
    row.token.state.checked_at = instant_add(clock_now(), duration_s(1e6));
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    assert_int_equal(store_put_token(store, &row), OK);
    assert_int_equal(store_commit(store), OK);
    store_close(store);
    store = open_or_fail(place->url);
    assert_int_equal(kept_load(store, &kept), OK);
    assert_int_equal(kept.report.times_clamped, 1);
    assert_true(kept.tokens[1].token.state.checked_at.us <= clock_now().us);
    kept_finish(&kept);
    store_close(store);
}

/* Where in a record. */
enum record_byte { LENGTH_BYTE /* the high one */, ID_BYTE, STATUS_BYTE, STATE_VERSION_BYTE };

/* In the row whose records are `bytes`; 0: it has none of the token. */
static size_t find_byte(const uint8_t *bytes, size_t length, token_id id, enum record_byte which)
{
    struct log_walk walk = log_walk_begin(bytes, length, 1, (int64_t)length);
    struct log_record record;
    while (log_walk_next(&walk, &record)) {
        size_t at = (size_t)(record.bytes - bytes);
        size_t name = record.bytes[5], symbol = record.bytes[6 + name];
        const size_t places[] = {at - 1, at, at + 4, at + 7 + name + symbol};
        if (log_record_token(&record) == id)
            return places[which];
    }
    return 0;
}

/* Turns all bits of one byte; an id becomes 0, which is nobody's. */
static void damage_record(struct place *place, token_id id, enum record_byte which)
{
    sqlite3 *db;
    sqlite3_stmt *rows;
    uint8_t bytes[SQLITE_PAGE_BYTES] = {0};
    size_t at = 0;
    assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT seq,records FROM refresh_log_a", -1, &rows, NULL),
        SQLITE_OK);
    while (at == 0 && sqlite3_step(rows) == SQLITE_ROW) {
        size_t length = (size_t)sqlite3_column_bytes(rows, 1);
        memcpy(bytes, sqlite3_column_blob(rows, 1), length);
        at = find_byte(bytes, length, id, which);
    }
    assert_true(at > 0);
    sqlite3_int64 seq = sqlite3_column_int64(rows, 0);
    sqlite3_finalize(rows);
    sqlite3_blob *blob;
    for (size_t i = 0; i < 4; i++)
        bytes[at + i] = which == ID_BYTE ? 0 : (uint8_t)~bytes[at + i];
    assert_int_equal(sqlite3_blob_open(db, "main", "refresh_log_a", "records", seq, 1, &blob),
                     SQLITE_OK);
    assert_int_equal(sqlite3_blob_write(blob, bytes + at, which == ID_BYTE ? 4 : 1, (int)at),
                     SQLITE_OK);
    assert_int_equal(sqlite3_blob_close(blob), SQLITE_OK);
    sqlite3_close(db);
}

static void damaged_log_records_fall_back(void **state)
{
    struct place *place = *state;
    struct kept kept;
    fill(place);
    damage_record(place, 7, STATE_VERSION_BYTE);
    damage_record(place, 8, ID_BYTE);
    damage_record(place, 9, STATUS_BYTE);
    struct store *store = open_or_fail(place->url);
    assert_int_equal(kept_load(store, &kept), OK);
    assert_int_equal(kept.report.tokens, TOKENS);
    assert_int_equal(kept.report.rows_refused, 3);
    for (token_id id = 6; id <= 10; id++)
        assert_int_equal(kept.tokens[id].token.state.low_score_us, id >= 7 && id <= 9 ? 1 : 2);
    kept_finish(&kept);
    store_close(store);
}

/* Of the first row: those before it are sound, those behind it come from their own rows. */
static void a_damaged_length_costs_the_rest_of_the_row(void **state)
{
    struct place *place = *state;
    struct kept kept;
    fill(place);
    int64_t last = ask(place->path, "SELECT min(seq) FROM refresh_log");
    assert_true(last > 20 && last < TOKENS);
    damage_record(place, 20, LENGTH_BYTE);
    struct store *store = open_or_fail(place->url);
    assert_int_equal(kept_load(store, &kept), OK);
    assert_int_equal(kept.report.rows_refused, 1);
    assert_int_equal(kept.report.replayed, TOKENS - (last - 19));
    for (token_id id = 1; id <= TOKENS; id++)
        assert_int_equal(kept.tokens[id].token.state.low_score_us, id >= 20 && id <= last ? 1 : 2);
    kept_finish(&kept);
    store_close(store);
}

static void any_bytes_of_a_state_are_survived(void **state)
{
    struct store_token row;
    struct token token;
    uint8_t bytes[STATE_BLOB_MAX], changed[STATE_BLOB_MAX];
    char dex[DEX_NAME_SIZE];
    struct prng prng;
    (void)state;
    prng_seed(&prng, 3);
    token_make(&row, 1, 1);
    size_t length = state_encode(&row.token, row.primary_dex, bytes);
    assert_null(state_decode(bytes, length, &token, dex));
    assert_string_equal(dex, "raydium");
    for (size_t cut = 0; cut < length; cut++)
        assert_non_null(state_decode(bytes, cut, &token, dex));
    assert_non_null(state_decode(NULL, 0, &token, dex));
    for (int i = 0; i < 100000; i++) {
        memcpy(changed, bytes, length);
        for (uint64_t n = prng_below(&prng, 4); n > 0; n--)
            changed[prng_below(&prng, length)] = (uint8_t)prng_next(&prng);
        (void)state_decode(changed, length, &token, dex);
    }
}

/* Whatever the bytes of the file are, opening and loading end with an answer. */
static void any_bytes_of_the_file_are_survived(void **state)
{
    struct place *place = *state;
    struct prng prng;
    char command[512], why[512];
    prng_seed(&prng, 11);
    fill(place);
    snprintf(command, sizeof command, "cp %s %s.good", place->path, place->path);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command, "cp %s.good %s; rm -f %s-wal %s-shm", place->path,
             place->path, place->path, place->path);
    for (int round = 0; round < 150; round++) {
        struct kept kept;
        struct stat status;
        assert_int_equal(system(command), 0);
        int fd = open(place->path, O_WRONLY);
        assert_int_equal(fstat(fd, &status), 0);
        for (int i = 0; i < 1 << round % 8; i++) {
            uint64_t word = prng_next(&prng);
            off_t at = (off_t)prng_below(&prng, (uint64_t)status.st_size - 8);
            assert_int_equal(pwrite(fd, &word, 1 + round % 8, at), 1 + round % 8);
        }
        close(fd);
        struct store *store = store_open(place->url, why);
        if (store == NULL)
            continue;
        enum err err = kept_load(store, &kept);
        assert_true(err == OK || err == ERR_CORRUPT);
        assert_true(kept.report.tokens <= TOKENS);
        kept_finish(&kept);
        store_close(store);
    }
}

static void a_reader_follows_a_replaced_file(void **state)
{
    struct place *place = *state;
    char why[512], moved[128];
    struct store_snapshot found[2];
    struct store_reader *reader = store_reader_open(place->url, why);
    snprintf(moved, sizeof moved, "%s.old", place->path);
    for (int64_t id = 1; id <= 3; id++) {
        struct store *store = open_or_fail(place->url);
        struct store_snapshot snapshot = {.id = id, .token = 1, .at = {id}};
        assert_int_equal(store_begin(store, STORE_RELAXED), OK);
        assert_int_equal(store_put_snapshot(store, &snapshot), OK);
        assert_int_equal(store_commit(store), OK);
        assert_int_equal(store_reader_snapshots(reader, 1, id, found, 2), 1);
        store_close(store);
        assert_int_equal(rename(place->path, moved), 0);
        assert_int_equal(store_reader_snapshots(reader, 1, id, found, 2), -1);
    }
    store_reader_close(reader);
}

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(a_newer_schema_is_refused),
        ROW(a_foreign_database_is_left_alone),
        ROW(no_database_is_told_so),
        ROW(a_missing_folder_is_told_so),
        ROW(a_missing_table_is_told_so),
        ROW(the_file_says_what_it_is),
        ROW(wide_snapshots_become_narrow),
        ROW(a_log_of_single_rows_is_replayed),
        ROW(damaged_figures_cost_themselves),
        ROW(any_bytes_of_figures_are_survived),
        ROW(a_file_of_the_version_before_is_migrated),
        ROW(an_older_engine_may_not_write),
        ROW(only_the_fence_stops_a_zombie),
        ROW(a_locked_file_is_started_on),
        ROW(a_locked_file_may_be_taken_over),
        ROW(damaged_rows_cost_themselves),
        ROW(a_time_in_the_future_is_set_to_now),
        ROW(damaged_log_records_fall_back),
        ROW(a_damaged_length_costs_the_rest_of_the_row),
        ROW(any_bytes_of_a_state_are_survived),
        ROW(any_bytes_of_the_file_are_survived),
        ROW(a_reader_follows_a_replaced_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
