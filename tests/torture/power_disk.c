/* The VFS that films. See the header. */
#include "power_disk.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct power_file {
    sqlite3_file base;
    char name[POWER_NAME_SIZE];
    int file;             /* of the film; −1: not on it */
    bool is_folder_owed;  /* its first sync syncs the folder too, as the ordinary VFS does it */
    sqlite3_file *actual; /* behind this struct */
};

static sqlite3_vfs *ordinary;
static struct power_film *film; /* NULL: nothing is filmed */
static power_fault *fault;
static void *fault_context;
static bool is_lie;

/* ---- the film ---- */

static struct power_op *add(enum power_op_kind kind, int file)
{
    if (film->count == film->capacity) {
        film->capacity = film->capacity == 0 ? 1024 : film->capacity * 2;
        film->ops = realloc(film->ops, film->capacity * sizeof *film->ops);
        if (film->ops == NULL)
            abort();
    }
    film->ops[film->count] = (struct power_op){.kind = kind, .file = file};
    return &film->ops[film->count++];
}

struct power_name *power_name_of(struct power_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->entries[i].name, name) == 0)
            return &names->entries[i];
    if (names->count == POWER_FILES_MAX)
        abort();
    struct power_name *entry = &names->entries[names->count++];
    snprintf(entry->name, sizeof entry->name, "%s", name);
    entry->file = -1;
    return entry;
}

static int new_file(const char *name)
{
    if (film->file_count == POWER_FILES_MAX)
        abort();
    return power_name_of(&film->names, name)->file = film->file_count++;
}

/* The name within the film's folder; NULL: it lies elsewhere, or nothing is filmed. */
static const char *name_on_film(const char *path)
{
    size_t length = film == NULL || path == NULL ? 0 : strlen(film->folder);
    if (length == 0 || strncmp(path, film->folder, length) != 0 || path[length] != '/')
        return NULL;
    return path + length + 1;
}

static void note_create(const char *name)
{
    add(POWER_CREATE, new_file(name))->name = strdup(name);
}

static void note_unlink(const char *name)
{
    struct power_name *entry = power_name_of(&film->names, name);
    if (entry->file < 0)
        return;
    add(POWER_UNLINK, entry->file)->name = strdup(name);
    entry->file = -1;
}

static void note_rename(const char *name, const char *to)
{
    struct power_name *entry = power_name_of(&film->names, name);
    if (entry->file < 0)
        return;
    struct power_op *op = add(POWER_RENAME, entry->file);
    op->name = strdup(name);
    op->to = strdup(to);
    power_name_of(&film->names, to)->file = entry->file;
    entry->file = -1;
}

static void read_file(const char *path, struct power_file_data *out)
{
    struct stat status;
    FILE *file = fopen(path, "rb");
    if (file == NULL || fstat(fileno(file), &status) != 0)
        abort();
    out->size = (size_t)status.st_size;
    out->bytes = malloc(out->size + 1);
    if (out->bytes == NULL || fread(out->bytes, 1, out->size, file) != out->size)
        abort();
    fclose(file);
}

/* The -shm is memory, the lock file nobody reads. */
static bool is_data(const char *name)
{
    const char *dot = strrchr(name, '.');
    return *name != '.' && strstr(name, "-shm") == NULL &&
           (dot == NULL || strcmp(dot, ".lock") != 0);
}

void power_film_start(struct power_film *started, const char *folder)
{
    *started = (struct power_film){0};
    snprintf(started->folder, sizeof started->folder, "%s", folder);
    film = started;
    DIR *directory = opendir(folder);
    if (directory == NULL)
        abort();
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char path[512];
        if (!is_data(entry->d_name))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        read_file(path, &film->at_start[new_file(entry->d_name)]);
    }
    closedir(directory);
    film->names_at_start = film->names;
}

void power_film_stop(void)
{
    film = NULL;
}

void power_film_free(struct power_film *ended)
{
    for (size_t i = 0; i < ended->count; i++) {
        free(ended->ops[i].data);
        free((char *)ended->ops[i].name);
        free((char *)ended->ops[i].to);
    }
    for (int i = 0; i < ended->file_count; i++)
        free(ended->at_start[i].bytes);
    free(ended->ops);
    *ended = (struct power_film){0};
}

void power_disk_fail(power_fault *wanted, void *context)
{
    fault = wanted;
    fault_context = context;
}

void power_disk_lie(bool is_lying)
{
    is_lie = is_lying;
}

void power_disk_overwrite(sqlite3 *db, int64_t offset, int length)
{
    uint8_t garbage[4096];
    sqlite3_file *file = NULL;
    memset(garbage, 0xa5, sizeof garbage);
    if (length > (int)sizeof garbage ||
        sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
        file->pMethods->xWrite(file, garbage, length, offset) != SQLITE_OK)
        abort();
}

static int fault_of(enum power_op_kind kind, const char *name)
{
    return fault == NULL ? SQLITE_OK : fault(fault_context, kind, name);
}

/* ---- what the program does itself: linked with --wrap ---- */

int __real_rename(const char *from, const char *to);
int __real_unlink(const char *path);
int __wrap_rename(const char *from, const char *to);
int __wrap_unlink(const char *path);

int __wrap_rename(const char *from, const char *to)
{
    const char *name = name_on_film(from), *new_name = name_on_film(to);
    int result = __real_rename(from, to);
    if (result == 0 && name != NULL && new_name != NULL && is_data(name))
        note_rename(name, new_name);
    return result;
}

int __wrap_unlink(const char *path)
{
    const char *name = name_on_film(path);
    int result = __real_unlink(path);
    if (result == 0 && name != NULL && is_data(name))
        note_unlink(name);
    return result;
}

/* ---- the methods of a file ---- */

static struct power_file *file_of(sqlite3_file *file)
{
    return (struct power_file *)file;
}

static sqlite3_file *actual_of(sqlite3_file *file)
{
    return file_of(file)->actual;
}

static bool is_filmed(sqlite3_file *file)
{
    return film != NULL && file_of(file)->file >= 0;
}

static int on_close(sqlite3_file *file)
{
    return actual_of(file)->pMethods->xClose(actual_of(file));
}

static int on_read(sqlite3_file *file, void *buffer, int length, sqlite3_int64 offset)
{
    return actual_of(file)->pMethods->xRead(actual_of(file), buffer, length, offset);
}

static int on_write(sqlite3_file *file, const void *bytes, int length, sqlite3_int64 offset)
{
    int result = fault_of(POWER_WRITE, file_of(file)->name);
    if (result == SQLITE_OK)
        result = actual_of(file)->pMethods->xWrite(actual_of(file), bytes, length, offset);
    if (result != SQLITE_OK || !is_filmed(file))
        return result;
    struct power_op *op = add(POWER_WRITE, file_of(file)->file);
    op->offset = offset;
    op->length = (size_t)length;
    op->data = malloc((size_t)length);
    if (op->data == NULL)
        abort();
    memcpy(op->data, bytes, (size_t)length);
    return result;
}

static int on_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int result = fault_of(POWER_TRUNCATE, file_of(file)->name);
    if (result == SQLITE_OK)
        result = actual_of(file)->pMethods->xTruncate(actual_of(file), size);
    if (result == SQLITE_OK && is_filmed(file))
        add(POWER_TRUNCATE, file_of(file)->file)->offset = size;
    return result;
}

static int on_sync(sqlite3_file *file, int flags)
{
    int result = fault_of(POWER_SYNC, file_of(file)->name);
    (void)flags;
    if (result != SQLITE_OK && is_filmed(file))
        add(POWER_SYNC_FAILED, file_of(file)->file);
    if (result != SQLITE_OK || !is_filmed(file) || is_lie)
        return result;
    add(POWER_SYNC, file_of(file)->file);
    if (file_of(file)->is_folder_owed)
        add(POWER_SYNC_FOLDER, -1);
    file_of(file)->is_folder_owed = false;
    return SQLITE_OK;
}

static int on_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return actual_of(file)->pMethods->xFileSize(actual_of(file), size);
}

static int on_lock(sqlite3_file *file, int level)
{
    return actual_of(file)->pMethods->xLock(actual_of(file), level);
}

static int on_unlock(sqlite3_file *file, int level)
{
    return actual_of(file)->pMethods->xUnlock(actual_of(file), level);
}

static int on_check_lock(sqlite3_file *file, int *out)
{
    return actual_of(file)->pMethods->xCheckReservedLock(actual_of(file), out);
}

/* A hint to make the file larger would be a write that is not on the film. */
static int on_control(sqlite3_file *file, int what, void *argument)
{
    if (what == SQLITE_FCNTL_SIZE_HINT || what == SQLITE_FCNTL_CHUNK_SIZE)
        return SQLITE_NOTFOUND;
    return actual_of(file)->pMethods->xFileControl(actual_of(file), what, argument);
}

static int on_sector_size(sqlite3_file *file)
{
    return actual_of(file)->pMethods->xSectorSize(actual_of(file));
}

static int on_characteristics(sqlite3_file *file)
{
    return actual_of(file)->pMethods->xDeviceCharacteristics(actual_of(file));
}

static int on_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    return actual_of(file)->pMethods->xShmMap(actual_of(file), page, size, extend, out);
}

static int on_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return actual_of(file)->pMethods->xShmLock(actual_of(file), offset, count, flags);
}

static void on_shm_barrier(sqlite3_file *file)
{
    actual_of(file)->pMethods->xShmBarrier(actual_of(file));
}

static int on_shm_unmap(sqlite3_file *file, int is_deleting)
{
    return actual_of(file)->pMethods->xShmUnmap(actual_of(file), is_deleting);
}

static const sqlite3_io_methods METHODS = {
    .iVersion = 2, /* without mapped reading */
    .xClose = on_close,
    .xRead = on_read,
    .xWrite = on_write,
    .xTruncate = on_truncate,
    .xSync = on_sync,
    .xFileSize = on_size,
    .xLock = on_lock,
    .xUnlock = on_unlock,
    .xCheckReservedLock = on_check_lock,
    .xFileControl = on_control,
    .xSectorSize = on_sector_size,
    .xDeviceCharacteristics = on_characteristics,
    .xShmMap = on_shm_map,
    .xShmLock = on_shm_lock,
    .xShmBarrier = on_shm_barrier,
    .xShmUnmap = on_shm_unmap,
};

/* ---- the methods of the VFS ---- */

static int on_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out)
{
    struct power_file *opened = file_of(file);
    const char *name = name_on_film(path);
    bool is_new = path == NULL || access(path, F_OK) != 0;
    (void)vfs;
    *opened = (struct power_file){.file = -1, .actual = (sqlite3_file *)(opened + 1)};
    int result = name == NULL ? SQLITE_OK : fault_of(POWER_CREATE, name);
    if (result == SQLITE_OK)
        result = ordinary->xOpen(ordinary, path, opened->actual, flags, out);
    if (result != SQLITE_OK)
        return result;
    opened->base.pMethods = &METHODS;
    if (name == NULL)
        return SQLITE_OK;
    snprintf(opened->name, sizeof opened->name, "%s", name);
    if (is_new)
        note_create(name);
    opened->file = power_name_of(&film->names, name)->file;
    opened->is_folder_owed = is_new && (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
    return SQLITE_OK;
}

static int on_delete(sqlite3_vfs *vfs, const char *path, int is_synced)
{
    const char *name = name_on_film(path);
    (void)vfs;
    int result = name == NULL ? SQLITE_OK : fault_of(POWER_UNLINK, name);
    if (result == SQLITE_OK)
        result = ordinary->xDelete(ordinary, path, 0);
    if (result != SQLITE_OK || name == NULL)
        return result;
    note_unlink(name);
    if (is_synced)
        add(POWER_SYNC_FOLDER, -1);
    return SQLITE_OK;
}

void power_disk_install(void)
{
    static sqlite3_vfs vfs;
    if (ordinary != NULL)
        return;
    ordinary = sqlite3_vfs_find(NULL);
    vfs = *ordinary;
    vfs.zName = "power";
    vfs.szOsFile = (int)sizeof(struct power_file) + ordinary->szOsFile;
    vfs.pNext = NULL;
    vfs.xOpen = on_open;
    vfs.xDelete = on_delete;
    if (sqlite3_vfs_register(&vfs, 1) != SQLITE_OK)
        abort();
}
