/*
 * A disk that remembers: an SQLite VFS over the ordinary one that keeps a FILM of everything that
 * would have to reach a disk (writes, truncations, syncs, files made, renamed, deleted, folders
 * synced), in order. power_loss.h says what a power cut at any point of it may leave.
 *
 * It is the default VFS once power_disk_install() was called, so that the store runs unchanged.
 * Nothing is really synced: the film knows what a sync is worth. One thread. What the program
 * renames and unlinks itself is on the film where it is linked with --wrap=rename,--wrap=unlink.
 */
#ifndef MOONWATCH_TESTS_TORTURE_POWER_DISK_H
#define MOONWATCH_TESTS_TORTURE_POWER_DISK_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POWER_NAME_SIZE 96
#define POWER_FILES_MAX 64 /* ever made in one film */

enum power_op_kind {
    POWER_WRITE,
    POWER_TRUNCATE, /* to `offset` */
    POWER_SYNC,
    POWER_SYNC_FAILED, /* what was not synced is forgotten, though it can still be read */
    POWER_CREATE,      /* `name` */
    POWER_UNLINK,      /* `name` */
    POWER_RENAME,      /* `name` becomes `to` */
    POWER_SYNC_FOLDER
};

struct power_op {
    enum power_op_kind kind;
    int file; /* not of UNLINK and SYNC_FOLDER */
    int64_t offset;
    size_t length;
    uint8_t *data;
    const char *name, *to; /* the film's */
};

struct power_name {
    char name[POWER_NAME_SIZE]; /* in the folder */
    int file;                   /* −1: none */
};

struct power_names {
    size_t count;
    struct power_name entries[POWER_FILES_MAX];
};

struct power_file_data {
    uint8_t *bytes;
    size_t size;
};

struct power_film {
    char folder[128];
    struct power_op *ops;
    size_t count, capacity;
    int file_count;
    struct power_names names; /* as they are now */
    struct power_names names_at_start;
    struct power_file_data at_start[POWER_FILES_MAX];
};

void power_disk_install(void);

/* What is in the folder now is taken for safely on the disk. */
void power_film_start(struct power_film *film, const char *folder);
/* Nothing is filmed after it. */
void power_film_stop(void);
void power_film_free(struct power_film *film);

/* The entry of a name; one is made where there is none. NULL: too many. */
struct power_name *power_name_of(struct power_names *names, const char *name);

/* Which calls fail, for tests of failing disks: asked before each; an SQLITE_IOERR_… or SQLITE_FULL
 * is what the store gets. NULL: none fails. */
typedef int power_fault(void *context, enum power_op_kind kind, const char *name);
void power_disk_fail(power_fault *fault, void *context);
/* A disk whose syncs do nothing, and are said to have done it. */
void power_disk_lie(bool is_lying);
/* Puts garbage into the file of an open database, as if somebody else did it. */
void power_disk_overwrite(sqlite3 *db, int64_t offset, int length);

#endif
