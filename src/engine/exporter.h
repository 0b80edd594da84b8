/*
 * Writes a file on libuv's threads, so that a file system that hangs (a dead NFS server) never
 * blocks the loop. The file is replaced atomically: a file of another name in the same folder,
 * complete on disk, then renamed.
 *
 * Each write is a RUN with a number. A run that hangs is cancelled by its number and forgotten: it
 * is told of no more, and replaces nothing when it goes on after all. Renames stand behind a gate
 * that is never waited for: while one hangs in the middle of it no other run gets through, so that
 * an older file never takes the place of a newer one.
 *
 * A thread that hangs cannot be ended. At most EXPORTS_MAX do; the next run waits for one of them
 * to return, and a newer one takes its place. Called by the loop's thread; so is `on_done`.
 */
#ifndef MOONWATCH_ENGINE_EXPORTER_H
#define MOONWATCH_ENGINE_EXPORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#define EXPORTS_MAX                                                                                \
    2 /* half of the threads that libuv has: the others read files and look up names */

#define EXPORT_TEXT_SIZE 4096 /* of a file: a few groups of pools take a kilobyte */

struct exporter;
struct faults;

/* `error` is 0, or the errno of what failed. */
typedef void exporter_done(void *context, uint64_t run, int error);

/* The file has this path and mode, whatever the umask says. NULL: out of memory. */
struct exporter_target {
    const char *path;
    mode_t mode;
};
struct exporter *exporter_create(uv_loop_t *loop, const struct exporter_target *target,
                                 exporter_done *on_done, void *context);

/* For drills: a run may be made to hang (page/faults.h). */
void exporter_suffer(struct exporter *exporter, struct faults *faults);

/* Copies the text: less than EXPORT_TEXT_SIZE bytes. */
void exporter_write(struct exporter *exporter, uint64_t run, const char *text, size_t length);
void exporter_cancel(struct exporter *exporter, uint64_t run);

/* Cancels all; nothing is told from now on. */
void exporter_stop(struct exporter *exporter);
/* False while a thread is still in one of our writes. */
bool exporter_is_idle(const struct exporter *exporter);
/* Only when it is idle: a thread that hangs needs its memory until the process ends. */
void exporter_destroy(struct exporter *exporter);

#endif
