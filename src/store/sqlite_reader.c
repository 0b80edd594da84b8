/*
 * History, read-only, through a connection of its own. It opens when something is asked, and again
 * when the file at the path is another one than last time; WAL lets it read while the writer
 * writes.
 *
 * Nothing is written, not even to the WAL's index (PATH-shm), which readers of SQLite usually do:
 * with readonly_shm it is mapped to be read, and the writer, which has it open as long as there is
 * something to read, keeps the marks that readers need (https://www.sqlite.org/wal.html#readonly).
 * So a process without any right to write can read. While nobody has the database open, there are
 * neither WAL nor index, and the file is read as one that does not change, until there are.
 */
#include "base/text.h"
#include "store/sqlite_store.h"
#include "store/state.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define READER_CACHE_KB 512
#define READER_BUSY_MS  50
#define URI_SIZE        (3 * PATH_MAX + 32) /* each character escaped */

struct sqlite_reader {
    struct store_reader base;
    sqlite3 *db;
    sqlite3_stmt *snapshot;
    sqlite3_stmt *events;     /* of one token */
    sqlite3_stmt *all_events; /* of any and of none */
    struct file_identity file;
    bool is_at_rest; /* as it was when it was opened */
    char path[PATH_MAX];
};

static void reader_disconnect(struct sqlite_reader *r)
{
    sqlite3_finalize(r->snapshot);
    sqlite3_finalize(r->events);
    sqlite3_finalize(r->all_events);
    sqlite3_close_v2(r->db);
    r->snapshot = r->events = r->all_events = NULL;
    r->db = NULL;
}

static bool prepare(struct sqlite_reader *r, sqlite3_stmt **statement, const char *sql)
{
    return sqlite3_prepare_v3(r->db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL) ==
           SQLITE_OK;
}

/* As https://www.sqlite.org/uri.html wants it; a second slash would begin a host. */
static void format_uri(const char *path, const char *how, char out[URI_SIZE])
{
    size_t length = (size_t)snprintf(out, URI_SIZE, "file:");
    for (const char *c = path; *c != '\0'; c++) {
        bool is_plain = strchr("%?#", *c) == NULL && !(*c == '/' && c == path + 1);
        length += (size_t)snprintf(out + length, URI_SIZE - length, is_plain ? "%c" : "%%%02X",
                                   (unsigned char)*c);
    }
    snprintf(out + length, URI_SIZE - length, "?%s", how);
}

static bool reader_connect(struct sqlite_reader *r)
{
    char sql[96], uri[URI_SIZE];
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI;
    format_uri(r->path, r->is_at_rest ? "immutable=1" : "readonly_shm=1", uri);
    if (sqlite3_open_v2(uri, &r->db, flags, NULL) != SQLITE_OK)
        return false;
    sqlite3_busy_timeout(r->db, READER_BUSY_MS);
    sqlite3_db_config(r->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    snprintf(sql, sizeof sql,
             "PRAGMA cache_size=-%d; PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY",
             READER_CACHE_KB);
    sqlite3_exec(r->db, sql, NULL, NULL, NULL);
    return prepare(r, &r->snapshot,
                   "SELECT id,previous,token_id,at,score,figures FROM snapshot WHERE id=?1") &&
           prepare(r, &r->events,
                   "SELECT token_id,at,kind,reason FROM event WHERE token_id=?1 AND token_id > 0"
                   " ORDER BY id DESC LIMIT ?2") &&
           prepare(r, &r->all_events,
                   "SELECT token_id,at,kind,reason FROM event ORDER BY id DESC LIMIT ?2");
}

static bool is_at_rest(const char *path)
{
    char wal[PATH_MAX + 8];
    snprintf(wal, sizeof wal, "%s-wal", path);
    return access(wal, F_OK) != 0;
}

static bool reader_ready(struct sqlite_reader *r)
{
    struct stat status;
    bool at_rest = is_at_rest(r->path);
    if (stat(r->path, &status) != 0) {
        reader_disconnect(r);
        return false;
    }
    if (r->db != NULL && status.st_dev == r->file.device && status.st_ino == r->file.inode &&
        at_rest == r->is_at_rest)
        return true;
    reader_disconnect(r);
    r->file = (struct file_identity){status.st_dev, status.st_ino};
    r->is_at_rest = at_rest;
    if (reader_connect(r))
        return true;
    reader_disconnect(r);
    return false;
}

/* One that no token can have is nobody's. */
static token_id read_token(sqlite3_stmt *row, int column)
{
    int64_t id = sqlite3_column_int64(row, column);
    return id < 0 || id > UINT32_MAX ? TOKEN_NONE : (token_id)id;
}

static void read_text(sqlite3_stmt *row, int column, char *out, size_t size)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    text_copy(out, size, text == NULL ? "" : text,
              text == NULL ? 0 : (size_t)sqlite3_column_bytes(row, column));
}

void sqlite_read_snapshot(sqlite3_stmt *row, struct store_snapshot *out)
{
    *out = (struct store_snapshot){
        .id = sqlite3_column_int64(row, 0),
        .previous = sqlite3_column_int64(row, 1),
        .token = read_token(row, 2),
        .at = {sqlite3_column_int64(row, 3)},
        .score = sqlite3_column_type(row, 4) == SQLITE_NULL ? (double)NAN
                                                            : sqlite3_column_double(row, 4),
    };
    const uint8_t *figures = sqlite3_column_blob(row, 5);
    snapshot_decode(figures, (size_t)sqlite3_column_bytes(row, 5), out);
}

void sqlite_read_event(sqlite3_stmt *row, struct store_event *out)
{
    *out = (struct store_event){.token = read_token(row, 0)};
    out->at.us = sqlite3_column_int64(row, 1);
    read_text(row, 2, out->kind, sizeof out->kind);
    read_text(row, 3, out->reason, sizeof out->reason);
}

/* A chain ends where a snapshot is missing (deleted as too old) or is another token's (damage);
 * `previous` must fall, so there are no circles. */
static int snapshots(struct store_reader *reader, token_id token, int64_t newest_id,
                     struct store_snapshot *out, int limit)
{
    struct sqlite_reader *r = (struct sqlite_reader *)reader;
    int count = 0;
    if (!reader_ready(r))
        return -1;
    for (int64_t id = newest_id; count < limit && id > 0;) {
        int result = sqlite3_bind_int64(r->snapshot, 1, id);
        if (result == SQLITE_OK)
            result = sqlite3_step(r->snapshot);
        if (result == SQLITE_ROW)
            sqlite_read_snapshot(r->snapshot, &out[count]);
        sqlite3_reset(r->snapshot);
        if (result != SQLITE_ROW && result != SQLITE_DONE) {
            reader_disconnect(r); /* a fresh connection may see a healed file */
            return count > 0 ? count : -1;
        }
        if (result == SQLITE_DONE || out[count].token != token)
            break;
        id = out[count].previous < id ? out[count].previous : 0;
        count++;
    }
    return count;
}

static int events(struct store_reader *reader, token_id token, struct store_event *out, int limit)
{
    struct sqlite_reader *r = (struct sqlite_reader *)reader;
    int count = 0;
    if (!reader_ready(r))
        return -1;
    sqlite3_stmt *rows = token == TOKEN_NONE ? r->all_events : r->events;
    int result = sqlite3_bind_int64(rows, 1, token);
    if (result == SQLITE_OK)
        result = sqlite3_bind_int(rows, 2, limit);
    bool is_bound = result == SQLITE_OK;
    if (is_bound)
        result = SQLITE_DONE; /* of nothing that is asked for */
    while (is_bound && count < limit && (result = sqlite3_step(rows)) == SQLITE_ROW)
        sqlite_read_event(rows, &out[count++]);
    sqlite3_reset(rows);
    if (result == SQLITE_ROW || result == SQLITE_DONE)
        return count;
    reader_disconnect(r);
    return count > 0 ? count : -1;
}

static void reader_close(struct store_reader *reader)
{
    reader_disconnect((struct sqlite_reader *)reader);
    free(reader);
}

static const struct store_reader_methods METHODS = {
    .close = reader_close,
    .snapshots = snapshots,
    .events = events,
};

struct store_reader *sqlite_reader_open(const char *path, char why[STORE_MESSAGE_SIZE])
{
    struct sqlite_reader *r = calloc(1, sizeof *r);
    if (r == NULL || strlen(path) >= sizeof r->path) {
        snprintf(why, STORE_MESSAGE_SIZE, "%s", r == NULL ? "out of memory" : "path too long");
        free(r);
        return NULL;
    }
    r->base.methods = &METHODS;
    strcpy(r->path, path);
    return &r->base;
}
