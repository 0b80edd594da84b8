/* Writing the file for bots, on other threads. See the header. */
#include "engine/exporter.h"

#include "base/options.h"
#include "page/faults.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is to be written. */
struct text {
    size_t length;
    char bytes[EXPORT_TEXT_SIZE];
};

/* One run under way. Its thread touches nothing else but the gate. */
struct slot {
    uv_work_t work;
    struct exporter *exporter;
    uint64_t run;
    struct text text;
    bool is_busy;
    _Atomic bool is_cancelled;
    int error; /* of the thread's work */
    char temporary[OPTION_TEXT_SIZE + 8];
};

struct exporter {
    uv_loop_t *loop;
    exporter_done *on_done;
    void *context;
    struct faults *faults; /* NULL but under a drill */
    bool is_stopped;
    uv_mutex_t gate; /* held while a file is put in place; only ever tried */
    struct slot slots[EXPORTS_MAX];
    uint64_t waiting_run; /* 0: none */
    struct text waiting;
    mode_t mode;
    char path[OPTION_TEXT_SIZE];
};

/* ---- on a thread ---- */

static bool write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, text, length);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0) {
            text += n;
            length -= (size_t)n;
        }
    }
    return true;
}

/* In a folder where others may write, somebody can have put there what would become their file, or
 * a second name of another of ours. */
static bool is_ours_alone(int fd)
{
    struct stat status;
    bool ours = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1 &&
                status.st_uid == geteuid();
    if (!ours)
        errno = EPERM;
    return ours;
}

static int write_temporary(const struct slot *slot)
{
    int fd =
        open(slot->temporary, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, slot->exporter->mode);
    if (fd < 0)
        return errno;
    bool written = is_ours_alone(fd) && ftruncate(fd, 0) == 0 &&
                   fchmod(fd, slot->exporter->mode) == 0 &&
                   write_all(fd, slot->text.bytes, slot->text.length) && fsync(fd) == 0;
    int error = written ? 0 : errno;
    if (close(fd) != 0 && written)
        error = errno;
    return error;
}

static int put_in_place(struct slot *slot)
{
    struct exporter *exporter = slot->exporter;
    if (uv_mutex_trylock(&exporter->gate) != 0)
        return EBUSY;
    int error = 0;
    if (slot->is_cancelled)
        error = ECANCELED;
    else if (rename(slot->temporary, exporter->path) != 0)
        error = errno;
    uv_mutex_unlock(&exporter->gate);
    return error;
}

static void on_thread(uv_work_t *work)
{
    struct slot *slot = work->data;
    if (fault_take(slot->exporter->faults, FAULT_STUCK_EXPORT))
        for (;;)
            pause();
    slot->error = write_temporary(slot);
    if (slot->error == 0)
        slot->error = put_in_place(slot);
    if (slot->error != 0)
        (void)unlink(slot->temporary);
}

/* ---- on the loop ---- */

static void begin(struct slot *slot, uint64_t run, const struct text *text);

static void begin_waiting(struct slot *slot)
{
    struct exporter *exporter = slot->exporter;
    uint64_t run = exporter->waiting_run;
    exporter->waiting_run = 0;
    if (run != 0)
        begin(slot, run, &exporter->waiting);
}

static void on_returned(uv_work_t *work, int status)
{
    struct slot *slot = work->data;
    struct exporter *exporter = slot->exporter;
    (void)status; /* we never ask libuv to take one back */
    bool is_told = !slot->is_cancelled && !exporter->is_stopped;
    uint64_t run = slot->run;
    int error = slot->error;
    slot->is_busy = false;
    begin_waiting(slot);
    if (is_told)
        exporter->on_done(exporter->context, run, error);
}

static void begin(struct slot *slot, uint64_t run, const struct text *text)
{
    slot->is_busy = true;
    slot->is_cancelled = false;
    slot->run = run;
    slot->text = *text;
    int status = uv_queue_work(slot->exporter->loop, &slot->work, on_thread, on_returned);
    assert(status == 0); /* only a missing function is refused */
    (void)status;
}

static struct slot *find_free(struct exporter *exporter)
{
    for (int i = 0; i < EXPORTS_MAX; i++)
        if (!exporter->slots[i].is_busy)
            return &exporter->slots[i];
    return NULL;
}

struct exporter *exporter_create(uv_loop_t *loop, const struct exporter_target *target,
                                 exporter_done *on_done, void *context)
{
    struct exporter *exporter = calloc(1, sizeof *exporter);
    if (exporter == NULL)
        return NULL;
    if (uv_mutex_init(&exporter->gate) != 0) {
        free(exporter);
        return NULL;
    }
    exporter->loop = loop;
    exporter->on_done = on_done;
    exporter->context = context;
    exporter->mode = target->mode;
    snprintf(exporter->path, sizeof exporter->path, "%s", target->path);
    for (int i = 0; i < EXPORTS_MAX; i++) {
        struct slot *slot = &exporter->slots[i];
        slot->exporter = exporter;
        slot->work.data = slot;
        /* A name a slot: two that hang must not write into one file, and a crash leaves no litter
         * that the next run does not take. */
        snprintf(slot->temporary, sizeof slot->temporary, i == 0 ? "%s.new" : "%s.new%d",
                 target->path, i);
    }
    return exporter;
}

void exporter_suffer(struct exporter *exporter, struct faults *faults)
{
    exporter->faults = faults;
}

void exporter_write(struct exporter *exporter, uint64_t run, const char *text, size_t length)
{
    assert(run != 0 && !exporter->is_stopped && length < EXPORT_TEXT_SIZE);
    struct slot *slot = find_free(exporter);
    exporter->waiting.length = length;
    memcpy(exporter->waiting.bytes, text, length);
    if (slot != NULL)
        begin(slot, run, &exporter->waiting);
    else
        exporter->waiting_run = run;
}

void exporter_cancel(struct exporter *exporter, uint64_t run)
{
    if (exporter->waiting_run == run)
        exporter->waiting_run = 0;
    for (int i = 0; i < EXPORTS_MAX; i++)
        if (exporter->slots[i].is_busy && exporter->slots[i].run == run)
            exporter->slots[i].is_cancelled = true;
}

void exporter_stop(struct exporter *exporter)
{
    if (exporter == NULL)
        return;
    exporter->is_stopped = true;
    exporter->waiting_run = 0;
    for (int i = 0; i < EXPORTS_MAX; i++)
        exporter->slots[i].is_cancelled = true;
}

bool exporter_is_idle(const struct exporter *exporter)
{
    for (int i = 0; exporter != NULL && i < EXPORTS_MAX; i++)
        if (exporter->slots[i].is_busy)
            return false;
    return true;
}

void exporter_destroy(struct exporter *exporter)
{
    if (exporter == NULL)
        return;
    assert(exporter_is_idle(exporter));
    uv_mutex_destroy(&exporter->gate);
    free(exporter);
}
