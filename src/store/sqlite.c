/* Opening, healing and transactions of the SQLite store. */
#include "base/clock.h"
#include "base/log.h"
#include "store/sqlite_schema.h"
#include "store/sqlite_store.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char *const STATEMENT_SQL[] = {
#define X(id, sql) [id] = (sql), /* in parentheses: its parts are one text */
    STATEMENT_LIST(X)
#undef X
};

#define LOG_RANGE " WHERE seq BETWEEN 0 AND 4611686018427387903"

/* What became of the file under our feet. */
enum file_fate { FILE_SAME, FILE_GONE, FILE_REPLACED, FILE_WAL_GONE };

/* ---- errors ---- */

enum err sqlite_err(int result)
{
    switch (result & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_FULL:
        return ERR_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    case SQLITE_NOMEM:
        return ERR_NO_MEMORY;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_RANGE:
        return ERR_INVALID;
    default:
        return ERR_IO;
    }
}

static const char *advice(enum err err)
{
    switch (err) {
    case ERR_FULL:
        return "free some space on that disk";
    case ERR_BUSY:
        return "another program holds it locked: let it finish or stop it";
    case ERR_CORRUPT:
        return "the file is damaged: restore a backup, or save what can be read with sqlite3's "
               ".recover";
    case ERR_NO_MEMORY:
        return "free some memory";
    case ERR_INVALID:
        return "the row was left out";
    default:
        return "check the disk, the path and the permissions";
    }
}

enum err sqlite_fail(struct sqlite_store *s, int result, const char *doing)
{
    enum err err = sqlite_err(result);
    int error_number = s->db != NULL ? sqlite3_system_errno(s->db) : 0;
    bool has_cause = error_number != 0 && (err == ERR_IO || err == ERR_FULL);
    snprintf(s->message, sizeof s->message, "can't %s %.300s: %s%s%s; %s", doing, s->path,
             s->db != NULL && sqlite3_errcode(s->db) == result ? sqlite3_errmsg(s->db)
                                                               : sqlite3_errstr(result),
             has_cause ? ": " : "", has_cause ? strerror(error_number) : "", advice(err));
    s->failure = err;
    s->is_sync_failed = s->is_sync_failed || result == SQLITE_IOERR_FSYNC;
    if (err == ERR_CORRUPT)
        s->damage_reports++;
    return err;
}

enum err sqlite_fail_with(struct sqlite_store *s, enum err err, const char *sentence)
{
    snprintf(s->message, sizeof s->message, "%.300s %s", s->path, sentence);
    s->failure = err;
    return err;
}

enum err sqlite_run(struct sqlite_store *s, enum statement id)
{
    int result = s->bound == SQLITE_OK ? sqlite3_step(s->statements[id]) : s->bound;
    enum err err = OK;
    s->bound = SQLITE_OK;
    if (result != SQLITE_DONE && result != SQLITE_ROW)
        err = sqlite_fail(s, result, "write to");
    sqlite3_reset(s->statements[id]);
    return err;
}

static enum err execute(struct sqlite_store *s, const char *sql, const char *doing)
{
    int result = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
    return result == SQLITE_OK ? OK : sqlite_fail(s, result, doing);
}

/* The first column of the first row; 0 when there is none. */
static enum err query_integer(struct sqlite_store *s, const char *sql, int64_t *out)
{
    sqlite3_stmt *statement = NULL;
    *out = 0;
    int result = sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        *out = sqlite3_column_int64(statement, 0);
    enum err err = sqlite_err(result) == OK ? OK : sqlite_fail(s, result, "read");
    sqlite3_finalize(statement);
    return err;
}

/* ---- the file and its lock ---- */

static struct file_identity identity_of(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return (struct file_identity){0};
    return (struct file_identity){status.st_dev, status.st_ino};
}

static bool is_same_file(struct file_identity a, struct file_identity b)
{
    return a.device == b.device && a.inode == b.inode;
}

static void sibling_path(const struct sqlite_store *s, const char *suffix, char out[PATH_MAX + 64])
{
    snprintf(out, PATH_MAX + 64, "%s%s", s->path, suffix);
}

static struct file_identity sibling_identity(const struct sqlite_store *s, const char *suffix)
{
    char path[PATH_MAX + 64];
    sibling_path(s, suffix, path);
    return identity_of(path);
}

static enum file_fate file_fate(const struct sqlite_store *s)
{
    struct file_identity now = identity_of(s->path);
    if (now.inode == 0)
        return FILE_GONE;
    if (!is_same_file(now, s->file))
        return FILE_REPLACED;
    if (s->wal.inode != 0 && !is_same_file(sibling_identity(s, "-wal"), s->wal))
        return FILE_WAL_GONE;
    return FILE_SAME;
}

/* An absolute path without symbolic links, so that two names of one file meet at one lock. */
static enum err resolve_path(struct sqlite_store *s, const char *path)
{
    snprintf(s->path, sizeof s->path, "%s", path);
    char whole[PATH_MAX], folder[PATH_MAX];
    if (strlen(path) + 64 > PATH_MAX || strcmp(path, ":memory:") == 0)
        return sqlite_fail_with(s, ERR_INVALID, "is no path of a file");
    if (realpath(path, whole) != NULL) {
        strcpy(s->path, whole);
        return OK;
    }
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    snprintf(folder, sizeof folder, "%.*s", (int)length, path);
    if (realpath(length == 0 ? "." : folder, whole) == NULL)
        return sqlite_fail_with(s, ERR_IO,
                                "can't be opened: its folder can't be reached; make the folder "
                                "or give another path");
    if (strlen(whole) + strlen(path) + 66 > PATH_MAX)
        return sqlite_fail_with(s, ERR_INVALID, "is too long for a path");
    size_t at = strlen(whole);
    snprintf(s->path + 0, sizeof s->path, "%s", whole);
    snprintf(s->path + at, sizeof s->path - at, "/%s", path + length);
    return OK;
}

/* 0: it does not say. */
static pid_t lock_owner(const struct sqlite_store *s)
{
    char owner[32] = "";
    ssize_t length = pread(s->lock_fd, owner, sizeof owner - 1, 0);
    owner[length > 0 ? strspn(owner, "0123456789") : 0] = '\0';
    return (pid_t)strtol(owner, NULL, 10);
}

static enum err refuse_lock(struct sqlite_store *s, pid_t unawaited)
{
    char who[48] = "", sentence[160];
    pid_t owner = lock_owner(s);
    if (unawaited > 0 && owner == unawaited)
        return OK; /* whoever comes next waits for it or for us, as the lock falls */
    if (owner > 0)
        snprintf(who, sizeof who, " (process %ld)", (long)owner);
    snprintf(sentence, sizeof sentence,
             "is in use by another moonwatch%s; stop that one first, or give this one another "
             "database",
             who);
    return sqlite_fail_with(s, ERR_BUSY, sentence);
}

static enum err take_lock(struct sqlite_store *s, pid_t unawaited)
{
    char path[PATH_MAX + 64];
    sibling_path(s, ".lock", path);
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (s->lock_fd < 0) {
        char sentence[160];
        snprintf(sentence, sizeof sentence, "can't be locked: %s; check the permissions",
                 strerror(errno));
        return sqlite_fail_with(s, ERR_IO, sentence);
    }
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return refuse_lock(s, unawaited);
    /* Who holds it is a courtesy to the next one: without it the lock holds all the same. */
    if (ftruncate(s->lock_fd, 0) == 0)
        dprintf(s->lock_fd, "%ld\n", (long)getpid());
    return OK;
}

/* ---- connecting ---- */

static void disconnect(struct sqlite_store *s)
{
    sqlite3_finalize(s->replaying);
    s->replaying = NULL;
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        sqlite3_finalize(s->statements[i]);
        s->statements[i] = NULL;
    }
    sqlite3_close_v2(s->db);
    s->db = NULL;
    s->in_transaction = s->is_other_cleared = false;
    s->log_row.length = 0;
    s->log_position = s->log_committed;
    s->head = (struct file_head){0};
}

static enum err check_owner(struct sqlite_store *s, int64_t *version)
{
    int64_t application, tables;
    enum err err = query_integer(s, "PRAGMA application_id", &application);
    if (err == OK)
        err = query_integer(s, "PRAGMA user_version", version);
    if (err == OK)
        err = query_integer(s, "SELECT count(*) FROM sqlite_master", &tables);
    if (err != OK)
        return err;
    if (application != SQLITE_APPLICATION_ID && (application != 0 || tables != 0))
        return sqlite_fail_with(
            s, ERR_INVALID,
            "is a database of another program; give another path, it is left alone");
    if (*version < 0 || (size_t)*version > sqlite_schema_version()) {
        char sentence[160];
        snprintf(sentence, sizeof sentence,
                 "was made by a newer version of moonwatch (schema %" PRId64
                 ", this one knows %zu); run that version, or restore a backup",
                 *version, sqlite_schema_version());
        return sqlite_fail_with(s, ERR_VERSION, sentence);
    }
    return OK;
}

static enum err migrate_step(struct sqlite_store *s, int64_t version)
{
    char pragmas[128];
    snprintf(pragmas, sizeof pragmas,
             "PRAGMA application_id=%d; PRAGMA user_version=%" PRId64 "; COMMIT",
             SQLITE_APPLICATION_ID, version + 1);
    enum err err = execute(s, "BEGIN IMMEDIATE", "migrate");
    if (err == OK)
        err = execute(s, sqlite_schema_migration((size_t)version), "migrate");
    if (err == OK)
        err = execute(s, pragmas, "migrate");
    if (err != OK && !sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

static enum err migrate(struct sqlite_store *s, int64_t version)
{
    int result = sqlite_schema_add_functions(s->db);
    enum err err = result == SQLITE_OK ? OK : sqlite_fail(s, result, "migrate");
    for (; err == OK && (size_t)version < sqlite_schema_version(); version++)
        err = migrate_step(s, version);
    return err;
}

/* After each commit. SQLite's own hook does the same, but keeps to itself what became of it. */
static int fold_wal(void *context, sqlite3 *db, const char *schema, int pages)
{
    struct sqlite_store *s = context;
    if (pages >= s->wal_pages && sqlite3_wal_checkpoint_v2(db, schema, SQLITE_CHECKPOINT_PASSIVE,
                                                           NULL, NULL) == SQLITE_IOERR_FSYNC)
        s->is_sync_failed = true;
    return SQLITE_OK;
}

static enum err configure(struct sqlite_store *s)
{
    char sql[320];
    snprintf(sql, sizeof sql,
             "PRAGMA page_size=%d; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
             "PRAGMA cache_size=-%d; PRAGMA journal_size_limit=%d;"
             "PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY",
             SQLITE_PAGE_BYTES, SQLITE_CACHE_KB, SQLITE_WAL_BYTES);
    s->is_synchronous_full = true;
    sqlite3_wal_hook(s->db, fold_wal, s);
    return execute(s, sql, "set up");
}

static enum err prepare_statements(struct sqlite_store *s)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        int result = sqlite3_prepare_v3(s->db, STATEMENT_SQL[i], -1, SQLITE_PREPARE_PERSISTENT,
                                        &s->statements[i], NULL);
        /* A table or a column that should be there is not. */
        if (result == SQLITE_ERROR)
            return sqlite_fail_with(s, ERR_CORRUPT,
                                    "does not have the tables it should have; restore a "
                                    "backup, or move it away to start with a new one");
        if (result != SQLITE_OK)
            return sqlite_fail(s, result, "use");
    }
    return OK;
}

/* Its statistics of memory cost a lock at each allocation, a quarter of the time of a row. Nobody
 * reads them. Only before the first connection of a process; later it changes nothing. */
static void configure_process(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static enum err open_connection(struct sqlite_store *s)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure_process);
    int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int result = sqlite3_open_v2(s->path, &s->db, flags, NULL);
    if (result != SQLITE_OK)
        return sqlite_fail(s, result, "open");
    sqlite3_busy_timeout(s->db, SQLITE_BUSY_MS);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return OK;
}

/* The part with the newest row is the one that was appended to. A position beyond 2^62 is damage,
 * and would leave no room to count on. */
static enum err find_log(struct sqlite_store *s)
{
    int64_t a, b, dropped;
    enum err err = query_integer(s, "SELECT max(seq) FROM refresh_log_a" LOG_RANGE, &a);
    if (err == OK)
        err = query_integer(s, "SELECT max(seq) FROM refresh_log_b" LOG_RANGE, &b);
    if (err == OK)
        err = query_integer(s, "SELECT value FROM meta WHERE name='log_position'", &dropped);
    if (err != OK)
        return err;
    s->log_part = b > a;
    s->is_other_empty = a == 0 || b == 0;
    s->log_position = a > b ? a : b;
    if (dropped > s->log_position && dropped >> 62 == 0)
        s->log_position = dropped;
    return OK;
}

static enum err connect_file(struct sqlite_store *s)
{
    int64_t version = 0;
    enum err err = open_connection(s);
    if (err == OK)
        err = check_owner(s, &version);
    if (err == OK)
        err = configure(s);
    if (err == OK)
        err = migrate(s, version);
    if (err == OK)
        err = prepare_statements(s);
    if (err == OK)
        err = find_log(s);
    s->log_committed = s->log_position;
    if (err != OK)
        disconnect(s);
    else
        s->file = identity_of(s->path);
    return err;
}

/* ---- transactions ---- */

#define HEAD_BYTES 100

static uint32_t big_endian(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Where the numbers stand in the first 100 bytes. */
static struct file_head parse_head(const unsigned char bytes[HEAD_BYTES], int64_t size)
{
    uint32_t page_bytes = (uint32_t)bytes[16] << 8 | bytes[17];
    return (struct file_head){.page_bytes = page_bytes == 1 ? 65536 : page_bytes,
                              .changes = big_endian(bytes + 24),
                              .pages = big_endian(bytes + 28),
                              .schema_cookie = big_endian(bytes + 40),
                              .application = big_endian(bytes + 68),
                              .size = size};
}

/* False: it has none, so it is no database. When it can't be read, what was known stays. */
static bool read_head(const struct sqlite_store *s, struct file_head *out)
{
    static const char magic[16] = "SQLite format 3";
    unsigned char bytes[HEAD_BYTES];
    sqlite3_file *file = NULL;
    sqlite3_int64 size = 0;
    *out = s->head;
    int result = sqlite3_file_control(s->db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (result != SQLITE_OK || file == NULL || file->pMethods == NULL)
        return true;
    result = file->pMethods->xRead(file, bytes, sizeof bytes, 0);
    if (result == SQLITE_IOERR_SHORT_READ)
        return false;
    if (result != SQLITE_OK || file->pMethods->xFileSize(file, &size) != SQLITE_OK)
        return true;
    *out = parse_head(bytes, size);
    return memcmp(bytes, magic, sizeof magic) == 0;
}

/* The counts only ever rise. A file shrinks by a VACUUM, which changes the cookie; it is never
 * shorter than it says, but for the moments in which another folds the log into it. */
static bool is_other_head(const struct file_head *before, const struct file_head *now)
{
    bool is_short = now->size < (int64_t)now->pages * now->page_bytes;
    bool is_same_schema = now->schema_cookie == before->schema_cookie;
    return now->page_bytes != before->page_bytes ||
           (before->application == SQLITE_APPLICATION_ID &&
            now->application != SQLITE_APPLICATION_ID) ||
           now->schema_cookie < before->schema_cookie || now->changes < before->changes ||
           (is_same_schema && now->pages < before->pages) || (now->size < before->size && is_short);
}

/* SQLite trusts what it has in its cache, so that a file that was emptied, cut off or written over
 * could go unnoticed until the next start, and all of it be lost then. This asks the file itself;
 * it takes 2 us. */
static bool is_written_over(struct sqlite_store *s)
{
    struct file_head now;
    if (!read_head(s, &now))
        return true;
    if (s->head.page_bytes != 0 && is_other_head(&s->head, &now))
        return true;
    s->head = now;
    return false;
}

static enum err fail_overwritten(struct sqlite_store *s, const char *sentence)
{
    s->damage_reports++;
    s->is_overwritten = true;
    return sqlite_fail_with(s, ERR_CORRUPT, sentence);
}

static enum err check_fate(struct sqlite_store *s)
{
    if (is_written_over(s))
        return fail_overwritten(s, "was emptied or written over by somebody else while in use");
    switch (file_fate(s)) {
    case FILE_GONE:
        return sqlite_fail_with(s, ERR_NOT_FOUND, "was deleted while in use");
    case FILE_REPLACED:
        return sqlite_fail_with(s, ERR_NOT_FOUND, "was replaced by another file while in use");
    case FILE_WAL_GONE:
        return sqlite_fail_with(s, ERR_NOT_FOUND, "lost its -wal file while in use");
    default:
        return OK;
    }
}

/* SQLite takes no change of this inside a transaction. */
static enum err set_durability(struct sqlite_store *s, enum store_durability durability)
{
    bool full = durability == STORE_DURABLE;
    if (s->is_synchronous_full == full)
        return OK;
    enum err err =
        execute(s, full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL", "set up");
    if (err == OK)
        s->is_synchronous_full = full;
    return err;
}

static enum err read_generation(struct sqlite_store *s, uint64_t *out)
{
    sqlite3_stmt *statement = s->statements[STATEMENT_GENERATION];
    int result = sqlite3_step(statement);
    enum err err = OK;
    int64_t value = result == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    if (result != SQLITE_ROW && result != SQLITE_DONE)
        err = sqlite_fail(s, result, "read");
    else if (value < 0)
        err = sqlite_fail_with(s, ERR_CORRUPT, "has a generation below zero; restore a backup");
    sqlite3_reset(statement);
    *out = (uint64_t)value;
    return err;
}

/* After a sync that failed the kernel takes what it could not write for written, and the next sync
 * succeeds without it (https://wiki.postgresql.org/wiki/Fsync_Errors): what is acknowledged then
 * would stand behind a gap in the -wal. So all of that is written once more, as it can still be
 * read. Within a transaction, so that nobody else begins it anew meanwhile. */
static enum err write_wal_again(struct sqlite_store *s)
{
    unsigned char bytes[SQLITE_PAGE_BYTES];
    sqlite3_file *file = NULL;
    sqlite3_int64 size = 0;
    int result = sqlite3_file_control(s->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
    if (result != SQLITE_OK || file == NULL || file->pMethods == NULL)
        return OK; /* there is none yet */
    result = file->pMethods->xFileSize(file, &size);
    for (sqlite3_int64 at = 0; result == SQLITE_OK && at < size; at += SQLITE_PAGE_BYTES) {
        int length = size - at < SQLITE_PAGE_BYTES ? (int)(size - at) : SQLITE_PAGE_BYTES;
        result = file->pMethods->xRead(file, bytes, length, at);
        if (result == SQLITE_OK)
            result = file->pMethods->xWrite(file, bytes, length, at);
    }
    if (result == SQLITE_OK)
        result = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
    if (result != SQLITE_OK)
        return sqlite_fail(s, result, "sync");
    s->is_sync_failed = false;
    log_warning("store", "a sync had failed; what it was to bring to the disk was written again");
    return OK;
}

static enum err begin_immediate(struct sqlite_store *s, enum store_durability durability)
{
    enum err err = set_durability(s, durability);
    if (err == OK)
        err = sqlite_run(s, STATEMENT_BEGIN);
    if (err != OK)
        return err;
    s->in_transaction = true;
    return s->is_sync_failed ? write_wal_again(s) : OK;
}

static void rollback(struct store *store)
{
    struct sqlite_store *s = sqlite_of(store);
    if (s->db != NULL && !sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    s->in_transaction = s->is_other_cleared = false;
    s->log_row.length = 0;
    s->log_position = s->log_committed;
}

static enum err write_generation(struct sqlite_store *s)
{
    sqlite_bound(
        s, sqlite3_bind_int64(s->statements[STATEMENT_SET_GENERATION], 1, (int64_t)s->generation));
    enum err err = sqlite_run(s, STATEMENT_SET_GENERATION);
    if (err == OK && sqlite3_changes(s->db) != 1)
        err = sqlite_fail_with(s, ERR_CORRUPT, "lost its generation; restore a backup");
    return err;
}

/* Whoever had the file locked at our start may have appended since. */
static enum err pay_generation(struct sqlite_store *s)
{
    int64_t newest;
    enum err err = write_generation(s);
    if (err == OK)
        err = query_integer(s, "SELECT max(seq) FROM refresh_log" LOG_RANGE, &newest);
    if (err == OK && newest > s->log_position)
        s->log_position = newest;
    return err;
}

/* What the file says as long as nobody but us has written to it. */
static uint64_t generation_in_force(const struct sqlite_store *s)
{
    return s->generation - s->is_generation_owed;
}

static enum err check_generation(struct sqlite_store *s)
{
    uint64_t generation;
    enum err err = read_generation(s, &generation);
    if (err == OK && generation > generation_in_force(s))
        err = sqlite_fail_with(s, ERR_FENCED,
                               "was taken over by a newer engine; this one may not write any more");
    if (err == OK && generation < generation_in_force(s))
        err = fail_overwritten(s, "was put back to an older state by somebody else while in use");
    return err;
}

static enum err begin(struct store *store, enum store_durability durability)
{
    struct sqlite_store *s = sqlite_of(store);
    if (s->db == NULL)
        return s->failure != OK ? s->failure : ERR_UNAVAILABLE;
    enum err err = check_fate(s);
    if (err == OK)
        err = begin_immediate(s, s->is_generation_owed ? STORE_DURABLE : durability);
    if (err == OK)
        err = check_generation(s);
    if (err == OK && s->is_generation_owed)
        err = pay_generation(s);
    if (err != OK)
        rollback(store);
    return err;
}

static enum err commit(struct store *store)
{
    struct sqlite_store *s = sqlite_of(store);
    enum err err = sqlite_flush_log(s);
    if (err == OK)
        err = sqlite_run(s, STATEMENT_COMMIT);
    if (err != OK)
        return err;
    s->in_transaction = s->is_generation_owed = false;
    s->log_committed = s->log_position;
    s->is_other_empty = s->is_other_empty || s->is_other_cleared;
    s->is_other_cleared = false;
    s->failure = OK;
    s->damage_reports = 0;
    if (s->wal.inode == 0)
        s->wal = sibling_identity(s, "-wal");
    return OK;
}

/* Nobody writes now: another program holds the file locked, or the disk is full. That must not keep
 * an engine from its work: the first transaction takes the generation along. */
static enum err owe_generation(struct sqlite_store *s)
{
    enum err err = read_generation(s, &s->generation);
    s->generation++;
    s->is_generation_owed = err == OK;
    if (err == OK)
        log_warning("store", "the database takes no writes yet; starting all the same");
    return err;
}

static enum err take_generation(struct sqlite_store *s)
{
    enum err err = begin_immediate(s, STORE_DURABLE);
    if (err == OK)
        err = read_generation(s, &s->generation);
    s->generation++;
    if (err == OK)
        err = write_generation(s);
    if (err == OK)
        err = commit(&s->base);
    if (err != OK)
        rollback(&s->base);
    return err;
}

/* Each opening of the writer has a generation of its own, durable before anything else is. */
static enum err start_generation(struct sqlite_store *s)
{
    enum err err = take_generation(s);
    if (s->is_sync_failed) /* whoever comes after us would not know */
        err = take_generation(s);
    return err == ERR_BUSY || err == ERR_FULL ? owe_generation(s) : err;
}

/* ---- healing ---- */

/* Files of ours that outlived the database they belonged to: SQLite would apply the old -wal to a
 * new file. */
static void remove_orphans(struct sqlite_store *s)
{
    char path[PATH_MAX + 64];
    if (s->wal.inode == 0 || !is_same_file(sibling_identity(s, "-wal"), s->wal))
        return;
    sibling_path(s, "-wal", path);
    unlink(path);
    sibling_path(s, "-shm", path);
    unlink(path);
}

/* Moves the file and what belongs to it to NAME.why-TIME. */
static enum err move_aside(struct sqlite_store *s, const char *why, char moved[PATH_MAX + 64])
{
    static const char *const PARTS[] = {"-wal", "-shm", ""};
    int64_t second = clock_now().us / 1000000;
    char from[PATH_MAX + 64], to[PATH_MAX + 128];
    do
        snprintf(moved, PATH_MAX + 64, "%s.%s-%" PRId64, s->path, why, second++);
    while (identity_of(moved).inode != 0);
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++) {
        sibling_path(s, PARTS[i], from);
        snprintf(to, sizeof to, "%s%s", moved, PARTS[i]);
        if (rename(from, to) != 0 && errno != ENOENT) {
            char sentence[200];
            snprintf(sentence, sizeof sentence, "can't be moved aside: %s; move it away by hand",
                     strerror(errno));
            return sqlite_fail_with(s, ERR_IO, sentence);
        }
    }
    return OK;
}

static bool passes_check(struct sqlite_store *s)
{
    sqlite3_stmt *statement = NULL;
    const char *said = NULL; /* NULL also for lack of memory */
    if (open_connection(s) == OK &&
        sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        said = (const char *)sqlite3_column_text(statement, 0);
    bool passes = said != NULL && strcmp(said, "ok") == 0;
    sqlite3_finalize(statement);
    disconnect(s);
    return passes;
}

/* What a new file gets at once: it must not be taken for one that was never used. */
static enum err fill_new_file(struct sqlite_store *s)
{
    enum err err = begin_immediate(s, STORE_DURABLE);
    if (err == OK)
        err = write_generation(s);
    for (size_t i = 0; err == OK && i < s->settings.count; i++)
        err = sqlite_put_setting(&s->base, s->settings.items[i].name, s->settings.items[i].value);
    if (err == OK)
        err = commit(&s->base);
    if (err != OK)
        rollback(&s->base);
    return err;
}

/* The old file is given up; from here on any failure leads back to making the new one. */
static void want_new_file(struct sqlite_store *s)
{
    s->is_new_wanted = true;
    s->is_overwritten = s->is_sync_failed = false;
    s->file = (struct file_identity){0};
    s->wal = (struct file_identity){0};
    s->log_position = s->log_committed = 0;
}

static enum err leave_damaged(struct sqlite_store *s)
{
    char moved[PATH_MAX + 64];
    enum err err = move_aside(s, "damaged", moved);
    if (err != OK)
        return err;
    want_new_file(s);
    snprintf(s->healing, sizeof s->healing,
             "the database was damaged: it was moved to %.250s, and a new one is written from "
             "memory; history up to now is in the moved file",
             moved);
    return OK;
}

static enum err leave_replaced(struct sqlite_store *s)
{
    char moved[PATH_MAX + 64];
    enum err err = move_aside(s, "replaced", moved);
    if (err != OK)
        return err;
    want_new_file(s);
    snprintf(s->healing, sizeof s->healing,
             "another file was put in the database's place: it was moved to %.200s, and a new one "
             "is written from memory; to go on with that one, stop moonwatch and move it back",
             moved);
    return OK;
}

static enum err adopt_file(struct sqlite_store *s)
{
    uint64_t generation;
    enum err err = read_generation(s, &generation);
    if (err == OK && generation > s->generation)
        err = sqlite_fail_with(s, ERR_FENCED,
                               "was taken over by a newer engine; this one may not write any more");
    if (err == OK && s->is_new_wanted && generation != 0 && generation != s->generation) {
        /* Somebody was quicker than we in making a file here; the next try will find none. */
        disconnect(s);
        err = leave_replaced(s);
        return err == OK ? sqlite_fail_with(s, ERR_UNAVAILABLE, "was another file again") : err;
    }
    if (err == OK && !s->is_new_wanted && generation < generation_in_force(s)) {
        disconnect(s);
        err = leave_damaged(s);
        return err == OK ? sqlite_fail_with(s, ERR_UNAVAILABLE, "had lost what was in it") : err;
    }
    if (err == OK && s->is_new_wanted)
        err = fill_new_file(s);
    return err;
}

static enum err leave_file(struct sqlite_store *s)
{
    enum file_fate fate = s->file.inode == 0 ? FILE_SAME : file_fate(s);
    bool is_damaged = s->failure == ERR_CORRUPT;
    /* What the lost -wal held goes into the file while its last descriptor is open. */
    if (s->db != NULL && fate == FILE_WAL_GONE && !is_damaged)
        sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    /* What was overwritten is put aside as it was found; what was not synced must not be folded. */
    if (s->db != NULL && (s->is_overwritten || s->is_sync_failed))
        sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    disconnect(s);
    if (fate == FILE_GONE || fate == FILE_REPLACED)
        remove_orphans(s);
    if (fate == FILE_REPLACED)
        return leave_replaced(s);
    if (fate == FILE_GONE) {
        want_new_file(s);
        snprintf(s->healing, sizeof s->healing,
                 "the database was deleted: a new one is written from memory; history is lost");
    } else if (is_damaged && (s->is_overwritten || s->damage_reports > 1 || !passes_check(s))) {
        return leave_damaged(s);
    }
    return OK;
}

static enum err reopen(struct store *store, enum store_file *file)
{
    struct sqlite_store *s = sqlite_of(store);
    *file = STORE_SAME_FILE;
    rollback(store);
    snprintf(s->healing, sizeof s->healing, "the database was opened again");
    enum err err = leave_file(s);
    if (err == OK)
        err = connect_file(s);
    if (err == ERR_CORRUPT) {
        err = leave_damaged(s);
        if (err == OK)
            err = connect_file(s);
    }
    if (err == OK)
        err = adopt_file(s);
    if (err != OK) {
        disconnect(s);
        return err;
    }
    s->wal = sibling_identity(s, "-wal");
    if (s->is_new_wanted)
        *file = STORE_NEW_FILE;
    s->is_new_wanted = false;
    s->failure = OK;
    snprintf(s->message, sizeof s->message, "%s", s->healing);
    return OK;
}

/* ---- the rest of the interface ---- */

static void close_store(struct store *store)
{
    struct sqlite_store *s = sqlite_of(store);
    rollback(store);
    if (s->db != NULL && s->file.inode != 0 && file_fate(s) == FILE_SAME)
        sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    disconnect(s);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    kept_settings_finish(&s->settings);
    free(s->replayed);
    free(s);
}

/* A file is itself as long as it keeps its place on the disk; a copy is another. */
static void identify(const struct store *store, struct table_store *out)
{
    const struct sqlite_store *s = (const struct sqlite_store *)store;
    uint64_t identity = (uint64_t)s->file.device * UINT64_C(0x9e3779b97f4a7c15);
    *out = (struct table_store){.identity = identity ^ (uint64_t)s->file.inode,
                                .generation = s->generation};
}

static int64_t log_position(const struct store *store)
{
    return ((const struct sqlite_store *)store)->log_position;
}

static const char *message(const struct store *store)
{
    return ((const struct sqlite_store *)store)->message;
}

static int64_t size_bytes(const struct store *store)
{
    const struct sqlite_store *s = (const struct sqlite_store *)store;
    char wal[PATH_MAX + 64];
    struct stat status;
    int64_t size = stat(s->path, &status) == 0 ? status.st_size : 0;
    sibling_path(s, "-wal", wal);
    return size + (stat(wal, &status) == 0 ? status.st_size : 0);
}

/* As df(1) has it: what is kept for root is not there for us. */
static bool disk(const struct store *store, struct store_disk *out)
{
    struct statvfs space;
    if (statvfs(((const struct sqlite_store *)store)->path, &space) != 0)
        return false;
    double used = (double)(space.f_blocks - space.f_bfree), left = (double)space.f_bavail;
    if (used + left <= 0)
        return false;
    *out = (struct store_disk){used / (used + left), left * (double)space.f_frsize};
    return true;
}

static const struct store_methods METHODS = {
    .load = sqlite_load,
    .resume = sqlite_resume,
    .load_some = sqlite_load_some,
    .next_replayed = sqlite_next_replayed,
    .identify = identify,
    .close = close_store,
    .begin = begin,
    .put_token = sqlite_put_token,
    .append_refresh = sqlite_append_refresh,
    .put_pools = sqlite_put_pools,
    .checkpoint_token = sqlite_checkpoint_token,
    .put_snapshot = sqlite_put_snapshot,
    .put_event = sqlite_put_event,
    .put_setting = sqlite_put_setting,
    .put_alert = sqlite_put_alert,
    .start_pass = sqlite_start_pass,
    .end_pass = sqlite_end_pass,
    .log_position = log_position,
    .delete_history = sqlite_delete_history,
    .commit = commit,
    .rollback = rollback,
    .reopen = reopen,
    .message = message,
    .size_bytes = size_bytes,
    .disk = disk,
    .scan_open = sqlite_scan_open,
    .extent = sqlite_extent,
    .get_copy = sqlite_get_copy,
    .put_copy = sqlite_put_copy,
    .end_copy = sqlite_end_copy,
};

static struct sqlite_store *create(char why[STORE_MESSAGE_SIZE])
{
    struct sqlite_store *s = calloc(1, sizeof *s);
    if (s == NULL) {
        snprintf(why, STORE_MESSAGE_SIZE, "out of memory");
        return NULL;
    }
    s->base.methods = &METHODS;
    s->lock_fd = -1;
    s->wal_pages = SQLITE_WAL_PAGES;
    return s;
}

static struct store *end_opening(struct sqlite_store *s, enum err err, char why[STORE_MESSAGE_SIZE])
{
    if (err == OK)
        return &s->base;
    snprintf(why, STORE_MESSAGE_SIZE, "%s", s->message);
    close_store(&s->base);
    return NULL;
}

/* Half of a database must not be taken for one. */
static enum err refuse_unfinished_copy(struct sqlite_store *s)
{
    struct store_copy copy;
    enum err err = sqlite_get_copy(&s->base, &copy);
    if (err != OK || copy.source == 0 || copy.part == STORE_PART_COUNT)
        return err;
    return sqlite_fail_with(s, ERR_INVALID,
                            "is a copy that is not complete; run the same `moonwatch copy` again "
                            "to complete it, or delete the file");
}

struct store *sqlite_store_open(const char *path, pid_t unawaited, char why[STORE_MESSAGE_SIZE])
{
    struct sqlite_store *s = create(why);
    if (s == NULL)
        return NULL;
    enum err err = resolve_path(s, path);
    if (err == OK)
        err = take_lock(s, unawaited);
    if (err == OK)
        err = connect_file(s);
    if (err == OK)
        err = refuse_unfinished_copy(s);
    if (err == OK)
        err = start_generation(s);
    return end_opening(s, err, why);
}

/* Neither a file nor its lock is made, and an empty one is no database. */
static enum err check_source(struct sqlite_store *s)
{
    struct stat status;
    if (stat(s->path, &status) != 0)
        return sqlite_fail_with(s, ERR_NOT_FOUND, "is not there; check the path");
    if (status.st_size == 0)
        return sqlite_fail_with(s, ERR_INVALID, "is empty: no database of moonwatch");
    return OK;
}

/* One transaction from here on, so that whoever writes to the file in spite of the lock (sqlite3)
 * changes nothing for us. */
static enum err begin_reading(struct sqlite_store *s)
{
    enum err err = refuse_unfinished_copy(s);
    return err == OK ? execute(s, "BEGIN", "read") : err;
}

struct store *sqlite_store_open_for_copy(const char *path, enum store_role role,
                                         char why[STORE_MESSAGE_SIZE])
{
    struct sqlite_store *s = create(why);
    if (s == NULL)
        return NULL;
    enum err err = resolve_path(s, path);
    if (err == OK && role == STORE_SOURCE)
        err = check_source(s);
    if (err == OK)
        err = take_lock(s, 0);
    if (err == ERR_BUSY && lock_owner(s) == getpid())
        err = sqlite_fail_with(s, err, "is both FROM and TO: they are the same database");
    if (err == OK)
        err = connect_file(s);
    if (err == OK && role == STORE_SOURCE)
        err = begin_reading(s);
    if (err == OK)
        err = read_generation(s, &s->generation);
    return end_opening(s, err, why);
}
