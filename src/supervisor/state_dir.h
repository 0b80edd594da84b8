/*
 * The state folder (page/state_dir.h says where), from the supervisor's side. It is ours alone
 * (0700), and so is what is in it:
 *
 *     lock           held with flock(2) by the supervisor and by all its children, which inherit
 *                    it: as long as anybody of an instance lives, no second one starts. Names the
 *                    supervisor, by process id and start time, since ids are used again.
 *     suspects       tokens that were in hand at a death (page/suspects.h)
 *     incidents/     supervisor/incident.h
 *
 * Files are replaced by a rename, so that a reader sees the old or the new one. Nothing is synced:
 * a disk that hangs must not hang who heals; what a power cut takes is a file, not the daemon.
 */
#ifndef MOONWATCH_SUPERVISOR_STATE_DIR_H
#define MOONWATCH_SUPERVISOR_STATE_DIR_H

#include "base/err.h"
#include "base/time.h"
#include "page/suspects.h"
#include <stdbool.h>

#define STATE_DIR_WHY_SIZE 512
/* How long a new supervisor waits for the children of a dead one, which end by themselves as soon
 * as they notice; a batch of the store and a drain take less. */
#define STATE_DIR_PATIENCE_SEC 10

struct state_dir {
    int fd; /* of the folder; -1: not open */
    int incidents_fd;
    int lock_fd; /* -1: not held; the children's to inherit */
};

/* Makes the folders where they are missing. False with a sentence in `why`. */
bool state_dir_open(struct state_dir *dir, const char *path,
                    char why[STATE_DIR_WHY_SIZE]) MUST_CHECK;

/* Takes the lock. When its owner lives: false at once, "already running (process N)". When the
 * owner is dead and children of it still hold it: waits for them up to `patience`. */
bool state_dir_lock(struct state_dir *dir, duration patience,
                    char why[STATE_DIR_WHY_SIZE]) MUST_CHECK;

/* Closes all; the lock stays with children that inherited it. */
void state_dir_close(struct state_dir *dir);

/* Not for several threads. False with errno: not kept; the list before is there still. */
bool state_dir_save_suspects(const struct state_dir *dir,
                             const struct suspects *suspects) MUST_CHECK;
/* What can't be read and damaged lines are logged: a list that is lost is no reason not to run.
 * False: nothing taken up. */
bool state_dir_load_suspects(const struct state_dir *dir, struct suspects *suspects);

#endif
