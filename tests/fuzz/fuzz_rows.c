/*
 * A database whose schema is ours and whose rows are anything: what the store gives of it is sound,
 * and so is what history reads. An input is a list of rows, each a table and its values, some of
 * which are right ones: else hardly a row gets behind the first check. The first byte says whether
 * the database is one of the first version, whose rows are brought over first, and whether some
 * bytes of the file were changed by a disk.
 */
#include "fuzz.h"

#include "alert/saved.h"
#include "base/log.h"
#include "store/log_record.h"
#include "store/sqlite_schema.h"
#include "store/store.h"
#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>

enum { RESUMED = 1, OLDEST = 2, DAMAGED = 4 };

#define ROWS_MAX    24
#define COLUMNS_MAX 40
#define VALUE_MAX   2048

static const char *const tables[] = {"token",         "pool",     "refresh_log_a",
                                     "refresh_log_b", "snapshot", "event",
                                     "setting",       "meta",     "alert"};
#define TABLE_COUNT (sizeof tables / sizeof tables[0])

static char folder[64], path[96], url[112];
/* A database with nothing in it. */
struct empty {
    uint8_t *bytes;
    size_t size;
};
static struct empty present, oldest; /* of this schema, and of the first there was */

/* ---- files ---- */

/* Also one that was moved aside. */
static void remove_files(void)
{
    DIR *names = opendir(folder);
    const struct dirent *entry;
    while ((entry = readdir(names)) != NULL)
        unlinkat(dirfd(names), entry->d_name, 0);
    closedir(names);
}

static void remove_folder(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0)
        return;
}

static void keep_empty(struct empty *empty)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    empty->size = (size_t)lseek(fd, 0, SEEK_END);
    empty->bytes = malloc(empty->size);
    if (empty->bytes == NULL || pread(fd, empty->bytes, empty->size, 0) != (ssize_t)empty->size)
        abort();
    close(fd);
}

static int64_t application_id(sqlite3 *db)
{
    sqlite3_stmt *row = NULL;
    if (sqlite3_prepare_v2(db, "PRAGMA application_id", -1, &row, NULL) != SQLITE_OK ||
        sqlite3_step(row) != SQLITE_ROW)
        abort();
    int64_t id = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    return id;
}

/* What the first version of this program wrote. */
static void make_oldest(void)
{
    sqlite3 *db;
    char sql[96];
    if (sqlite3_open(path, &db) != SQLITE_OK)
        abort();
    snprintf(sql, sizeof sql, "PRAGMA application_id=%lld; PRAGMA user_version=1",
             (long long)application_id(db));
    sqlite3_close(db);
    remove_files();
    if (sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_exec(db, sqlite_schema_migration(0), NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        abort();
    sqlite3_close(db);
}

void fuzz_begin(void)
{
    char why[512];
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_JSON);
    snprintf(folder, sizeof folder, "%s/moonwatch-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(folder) == NULL)
        abort();
    atexit(remove_folder);
    snprintf(path, sizeof path, "%s/test.db", folder);
    snprintf(url, sizeof url, "sqlite:%s", path);
    struct store *store = store_open(url, why);
    assert(store != NULL);
    store_close(store);
    keep_empty(&present);
    make_oldest();
    keep_empty(&oldest);
}

/* ---- rows ---- */

static struct address address_of(uint8_t number)
{
    struct address address = {{number, 1, 2, 3, 4, 5, 6, 7, 8, 9}};
    return address;
}

static void sound_token(uint8_t number, struct store_token *out)
{
    *out = (struct store_token){.id = number};
    out->token.mint = address_of(number);
    out->token.status = number % TOKEN_STATUS_COUNT;
    out->token.state.checked_at.us = out->token.state.fetched_at.us = 1710000000000000;
    out->token.state.answers = 1;
    out->token.state.score = 0.5;
    snprintf(out->token.name, sizeof out->token.name, "Token %u", number);
    snprintf(out->primary_dex, sizeof out->primary_dex, "orca");
}

/* A right one of its kind, of which a few bytes are changed. */
static void bind_record(struct input *input, sqlite3_stmt *row, int column, uint8_t kind)
{
    uint8_t bytes[LOG_RECORD_MAX * 2], number = input_u8(input);
    struct store_token token;
    struct store_snapshot snapshot = {.score_raw = 0.5, .primary_dex = "orca"};
    size_t length = 0;
    sound_token(number, &token);
    if (kind == 5)
        length = state_encode(&token.token, token.primary_dex, bytes);
    else if (kind == 6)
        length = snapshot_encode(&snapshot, bytes);
    else
        for (int i = 0; i < 2; i++)
            length += log_record_encode(&token, bytes + length);
    for (uint8_t changes = input_u8(input) % 4; changes > 0; changes--) {
        uint16_t place = input_u16(input);
        bytes[place % length] = input_u8(input);
    }
    sqlite3_bind_blob(row, column, bytes, (int)length, SQLITE_TRANSIENT);
}

static void bind_bytes(struct input *input, sqlite3_stmt *row, int column, uint8_t kind)
{
    char bytes[VALUE_MAX];
    size_t length = input_take(input, bytes, input_u16(input) % sizeof bytes);
    if (kind == 3)
        sqlite3_bind_text(row, column, bytes, (int)length, SQLITE_TRANSIENT);
    else
        sqlite3_bind_blob(row, column, bytes, (int)length, SQLITE_TRANSIENT);
}

static void bind_value(struct input *input, sqlite3_stmt *row, int column)
{
    static const char *const words[] = {"monitoring", "active",   "archived",     "min_score",
                                        "generation", "identity", "log_position", "0.25"};
    char mint[ADDRESS_TEXT_MAX + 1];
    struct address address;
    uint8_t kind = input_u8(input) % 11;
    uint64_t bits;
    double real;
    switch (kind) {
    case 0:
        sqlite3_bind_null(row, column);
        return;
    case 1:
        sqlite3_bind_int64(row, column, (int64_t)input_u64(input));
        return;
    case 2:
        bits = input_u64(input);
        memcpy(&real, &bits, sizeof real);
        sqlite3_bind_double(row, column, real);
        return;
    case 3:
    case 4:
        bind_bytes(input, row, column, kind);
        return;
    case 5:
    case 6:
    case 7:
        bind_record(input, row, column, kind);
        return;
    case 8:
        sqlite3_bind_text(row, column, words[input_u8(input) % 8], -1, SQLITE_STATIC);
        return;
    case 9:
        address = address_of(input_u8(input));
        address_format(&address, mint);
        sqlite3_bind_text(row, column, mint, -1, SQLITE_TRANSIENT);
        return;
    default:
        sqlite3_bind_int64(row, column, (int8_t)input_u8(input));
    }
}

/* How many values a row of a table has; 0: there was no such table then. */
static int columns_of(sqlite3 *db, const char *table)
{
    char sql[64];
    sqlite3_stmt *row = NULL;
    snprintf(sql, sizeof sql, "SELECT * FROM %s", table);
    if (sqlite3_prepare_v2(db, sql, -1, &row, NULL) != SQLITE_OK)
        return 0;
    int columns = sqlite3_column_count(row);
    sqlite3_finalize(row);
    return columns;
}

static void insert(struct input *input, sqlite3 *db)
{
    char sql[160];
    sqlite3_stmt *row = NULL;
    const char *table = tables[input_u8(input) % TABLE_COUNT];
    int columns = columns_of(db, table);
    assert(columns <= COLUMNS_MAX);
    if (columns == 0)
        return;
    int length = snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO %s VALUES(?", table);
    for (int i = 1; i < columns; i++)
        length += snprintf(sql + length, sizeof sql - (size_t)length, ",?");
    snprintf(sql + length, sizeof sql - (size_t)length, ")");
    if (sqlite3_prepare_v2(db, sql, -1, &row, NULL) != SQLITE_OK)
        abort();
    for (int i = 1; i <= columns; i++)
        bind_value(input, row, i);
    (void)sqlite3_step(row); /* what the schema forbids is not there */
    sqlite3_finalize(row);
}

/* The rest of the input is where, and what stands there now. */
static void damage(struct input *input)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    off_t size = lseek(fd, 0, SEEK_END);
    for (int i = 0; i < 16 && input->left > 0; i++) {
        off_t place = (off_t)input_u16(input) * 8 + input_u8(input);
        uint8_t byte = input_u8(input);
        if (pwrite(fd, &byte, 1, place % size) != 1)
            abort();
    }
    close(fd);
}

static void make_database(struct input *input, uint8_t how)
{
    const struct empty *empty = how & OLDEST ? &oldest : &present;
    sqlite3 *db;
    remove_files();
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, empty->bytes, empty->size) != (ssize_t)empty->size)
        abort();
    close(fd);
    if (sqlite3_open(path, &db) != SQLITE_OK)
        abort();
    sqlite3_exec(db, "PRAGMA synchronous=OFF; BEGIN", NULL, NULL, NULL);
    int rows = how & DAMAGED ? input_u8(input) % ROWS_MAX : ROWS_MAX;
    for (int i = 0; i < rows && input->left > 0; i++)
        insert(input, db);
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    sqlite3_close(db);
    if (how & DAMAGED)
        damage(input);
}

/* ---- what is given ---- */

struct heard {
    token_id last;
    uint32_t tokens;
    int64_t last_alert, last_snapshot;
};

static bool on_token(void *context, const struct store_token *row)
{
    struct heard *heard = context;
    const struct token *token = &row->token;
    assert(row->id > heard->last && token->pool_count <= POOLS_MAX);
    assert(token->status < TOKEN_STATUS_COUNT && token->created_at.us >= 0);
    assert(memchr(token->name, '\0', sizeof token->name) != NULL);
    assert(memchr(token->symbol, '\0', sizeof token->symbol) != NULL);
    assert(memchr(row->primary_dex, '\0', sizeof row->primary_dex) != NULL);
    assert(token_state_complaint(&token->state) == NULL);
    for (uint8_t i = 0; i < token->pool_count; i++)
        assert(pool_is_sound(&row->pools[i].pool));
    heard->last = row->id;
    heard->tokens++;
    return true;
}

static bool on_setting(void *context, const char *name, const char *value)
{
    char why[OPTION_MESSAGE_SIZE];
    struct options options;
    (void)context;
    options_init(&options);
    (void)!options_set(&options, name, value, OPTION_FROM_STORE, why);
    return true;
}

static void on_alert(void *context, int64_t id, const char *text)
{
    struct heard *heard = context;
    struct alert_message message;
    uint32_t waiting;
    assert(heard->last_alert == 0 || id > heard->last_alert);
    heard->last_alert = id;
    (void)!alert_saved_read(id, text, &message, &waiting);
}

static void on_snapshot(void *context, int64_t snapshot_id, token_id token)
{
    struct heard *heard = context;
    assert(token != TOKEN_NONE &&
           (heard->last_snapshot == 0 || snapshot_id > heard->last_snapshot));
    heard->last_snapshot = snapshot_id;
}

static void load(struct store *store)
{
    struct heard heard = {0};
    const struct store_loader loader = {&heard, on_token, on_setting, on_snapshot, on_alert};
    struct store_load_report report;
    enum err err = store_load(store, &loader, &report);
    assert(err == OK || err == ERR_CORRUPT);
    assert(report.tokens == heard.tokens && report.last_token == heard.last);
    assert(report.last_snapshot_id >= 0);
    for (token_id id = store_next_replayed(store); id != TOKEN_NONE;
         id = store_next_replayed(store))
        assert(id <= heard.last);
}

static void resume(struct store *store)
{
    static const token_id some[] = {1, 2, 7, 100};
    struct heard heard = {0};
    const struct store_loader loader = {&heard, on_token, on_setting, on_snapshot, on_alert};
    struct store_load_report report;
    enum err err = store_resume(store, &loader, &report);
    assert((err == OK || err == ERR_CORRUPT) && report.last_snapshot_id >= 0);
    err = store_load_some(store, some, sizeof some / sizeof some[0], &loader);
    assert(err == OK || err == ERR_CORRUPT);
    for (int i = 0; i < 4096 && store_next_replayed(store) != TOKEN_NONE; i++)
        continue;
}

static void read_history(void)
{
    char why[512];
    struct store_snapshot snapshots[8];
    struct store_event events[8];
    struct store_reader *reader = store_reader_open(url, why);
    assert(reader != NULL);
    for (token_id id = 0; id < 4; id++) {
        int count = store_reader_snapshots(reader, id, 100, snapshots, 8);
        for (int i = 0; i < count; i++)
            assert(memchr(snapshots[i].primary_dex, '\0', DEX_NAME_SIZE) != NULL);
        count = store_reader_events(reader, id, events, 8);
        for (int i = 0; i < count; i++)
            assert(memchr(events[i].kind, '\0', sizeof events[i].kind) != NULL &&
                   memchr(events[i].reason, '\0', sizeof events[i].reason) != NULL);
    }
    store_reader_close(reader);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    char why[512] = "";
    uint8_t how = input_u8(&input);
    make_database(&input, how);
    struct store *store = store_open(url, why);
    assert((store == NULL) == (why[0] != '\0'));
    if (store != NULL) {
        if (how & RESUMED)
            resume(store);
        else
            load(store);
        read_history();
        store_close(store);
    }
}
