/* What a power cut leaves. See the header. */
#include "power_loss.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR_BYTES 512
#define SHM_BYTES    32768

struct pending {
    size_t *ops; /* indices into the film */
    size_t count, capacity;
};

struct content {
    uint8_t *bytes;
    size_t size, capacity;
};

struct power_loss {
    const struct power_film *film;
    size_t at;
    struct content synced[POWER_FILES_MAX];
    struct pending unsynced[POWER_FILES_MAX];
    struct power_names names;
    struct pending unsynced_names;
};

/* How a drawn cut treats what was not synced. */
struct draw {
    struct prng *prng;
    double kept;       /* probability of a write or sector */
    bool by_sector;    /* else whole writes */
    bool is_garbage;   /* where a file was to grow */
    bool is_in_order;  /* all up to some point, nothing after it */
    size_t order_left; /* and then: writes until that point */
};

static void *need(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

/* ---- contents ---- */

/* Zeros where it grows. */
static void content_resize(struct content *content, size_t size)
{
    if (size > content->capacity) {
        content->capacity = size * 2;
        content->bytes = need(realloc(content->bytes, content->capacity));
    }
    if (size > content->size)
        memset(content->bytes + content->size, 0, size - content->size);
    content->size = size;
}

static void content_put(struct content *content, size_t offset, const uint8_t *bytes, size_t length)
{
    if (offset + length > content->size)
        content_resize(content, offset + length);
    memcpy(content->bytes + offset, bytes, length);
}

static void content_apply(struct content *content, const struct power_op *op)
{
    if (op->kind == POWER_TRUNCATE)
        content_resize(content, (size_t)op->offset);
    else
        content_put(content, (size_t)op->offset, op->data, op->length);
}

/* ---- names ---- */

static void names_apply(struct power_names *names, const struct power_op *op)
{
    power_name_of(names, op->name)->file = op->kind == POWER_CREATE ? op->file : -1;
    if (op->kind == POWER_RENAME)
        power_name_of(names, op->to)->file = op->file;
}

/* ---- going through the film ---- */

static void pending_add(struct pending *pending, size_t op)
{
    if (pending->count == pending->capacity) {
        pending->capacity = pending->capacity == 0 ? 64 : pending->capacity * 2;
        pending->ops = need(realloc(pending->ops, pending->capacity * sizeof *pending->ops));
    }
    pending->ops[pending->count++] = op;
}

struct power_loss *power_loss_create(const struct power_film *film)
{
    struct power_loss *loss = need(calloc(1, sizeof *loss));
    loss->film = film;
    loss->names = film->names_at_start;
    for (int i = 0; i < film->file_count; i++)
        if (film->at_start[i].bytes != NULL)
            content_put(&loss->synced[i], 0, film->at_start[i].bytes, film->at_start[i].size);
    return loss;
}

void power_loss_destroy(struct power_loss *loss)
{
    for (int i = 0; i < POWER_FILES_MAX; i++) {
        free(loss->synced[i].bytes);
        free(loss->unsynced[i].ops);
    }
    free(loss->unsynced_names.ops);
    free(loss);
}

static void step(struct power_loss *loss, size_t n)
{
    const struct power_op *op = &loss->film->ops[n];
    switch (op->kind) {
    case POWER_WRITE:
    case POWER_TRUNCATE:
        pending_add(&loss->unsynced[op->file], n);
        break;
    case POWER_SYNC:
        for (size_t i = 0; i < loss->unsynced[op->file].count; i++)
            content_apply(&loss->synced[op->file],
                          &loss->film->ops[loss->unsynced[op->file].ops[i]]);
        loss->unsynced[op->file].count = 0;
        break;
    case POWER_SYNC_FAILED:
        loss->unsynced[op->file].count = 0;
        break;
    case POWER_CREATE:
    case POWER_UNLINK:
    case POWER_RENAME:
        pending_add(&loss->unsynced_names, n);
        break;
    case POWER_SYNC_FOLDER:
        for (size_t i = 0; i < loss->unsynced_names.count; i++)
            names_apply(&loss->names, &loss->film->ops[loss->unsynced_names.ops[i]]);
        loss->unsynced_names.count = 0;
        break;
    }
}

void power_loss_advance(struct power_loss *loss, size_t op)
{
    while (loss->at < op)
        step(loss, loss->at++);
}

bool power_loss_is_open(const struct power_loss *loss)
{
    size_t count = loss->unsynced_names.count;
    for (int i = 0; i < loss->film->file_count; i++)
        count += loss->unsynced[i].count;
    return count > 0;
}

/* ---- what is left ---- */

static bool is_drawn(struct draw *draw)
{
    return prng_unit(draw->prng) < draw->kept;
}

static void put_garbage(struct draw *draw, struct content *content, size_t offset, size_t length)
{
    uint8_t garbage[SECTOR_BYTES];
    for (size_t i = 0; i < length; i++)
        garbage[i] = (uint8_t)prng_next(draw->prng);
    content_put(content, offset, garbage, length);
}

/* Sector by sector; what lies beyond the synced end may be anything. */
static void tear(struct draw *draw, struct content *content, const struct power_op *op,
                 size_t synced_size)
{
    for (size_t done = 0; done < op->length;) {
        size_t offset = (size_t)op->offset + done;
        size_t length = SECTOR_BYTES - offset % SECTOR_BYTES;
        if (length > op->length - done)
            length = op->length - done;
        if (is_drawn(draw))
            content_put(content, offset, op->data + done, length);
        else if (draw->is_garbage && offset >= synced_size)
            put_garbage(draw, content, offset, length);
        done += length;
    }
}

static void apply_drawn(struct draw *draw, struct content *content, const struct power_op *op,
                        size_t synced_size)
{
    if (draw->is_in_order && draw->order_left == 0)
        return;
    if (draw->is_in_order && --draw->order_left > 0)
        content_apply(content, op);
    else if (op->kind == POWER_WRITE && draw->by_sector)
        tear(draw, content, op, synced_size);
    else if (is_drawn(draw))
        content_apply(content, op);
}

static void make_draw(struct draw *draw, struct prng *prng)
{
    static const double chances[] = {0.1, 0.5, 0.9, 0.99};
    draw->prng = prng;
    draw->kept = chances[prng_below(prng, 4)];
    draw->by_sector = prng_below(prng, 2) == 0;
    draw->is_garbage = prng_below(prng, 2) == 0;
    draw->is_in_order = prng_below(prng, 3) == 0;
}

static void build(const struct power_loss *loss, int file, enum power_outcome outcome,
                  struct draw *draw, struct content *out)
{
    const struct content *synced = &loss->synced[file];
    const struct pending *unsynced = &loss->unsynced[file];
    out->size = 0;
    content_put(out, 0, synced->bytes == NULL ? (const uint8_t *)"" : synced->bytes, synced->size);
    if (outcome == POWER_LOST)
        return;
    if (draw->is_in_order)
        draw->order_left = prng_below(draw->prng, unsynced->count + 1);
    for (size_t i = 0; i < unsynced->count; i++) {
        const struct power_op *op = &loss->film->ops[unsynced->ops[i]];
        if (outcome == POWER_KEPT)
            content_apply(out, op);
        else
            apply_drawn(draw, out, op, synced->size);
    }
}

static struct power_names names_left(const struct power_loss *loss, enum power_outcome outcome,
                                     struct prng *prng)
{
    struct power_names names = loss->names;
    size_t kept = loss->unsynced_names.count;
    if (outcome != POWER_KEPT)
        kept = outcome == POWER_LOST ? 0 : prng_below(prng, kept + 1);
    for (size_t i = 0; i < kept; i++)
        names_apply(&names, &loss->film->ops[loss->unsynced_names.ops[i]]);
    return names;
}

static void write_file(const char *folder, const char *name, const struct content *content)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, content->bytes, content->size) != (ssize_t)content->size)
        abort();
    close(fd);
}

static void empty_folder(const char *folder)
{
    DIR *directory = need(opendir(folder));
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
}

/* It may be left from before, and means nothing. */
static void leave_shm(const char *folder, const char *database, struct prng *prng)
{
    static uint8_t garbage[SHM_BYTES];
    char name[POWER_NAME_SIZE + 8];
    struct content content = {garbage, sizeof garbage, sizeof garbage};
    for (size_t i = 0; i < 256; i++)
        garbage[prng_below(prng, sizeof garbage)] = (uint8_t)prng_next(prng);
    snprintf(name, sizeof name, "%s-shm", database);
    write_file(folder, name, &content);
}

void power_loss_leave(const struct power_loss *loss, enum power_outcome outcome, struct prng *prng,
                      const char *folder)
{
    static struct content content;
    struct draw draw = {0};
    struct power_names names = names_left(loss, outcome, prng);
    make_draw(&draw, prng);
    empty_folder(folder);
    for (size_t i = 0; i < names.count; i++) {
        const struct power_name *entry = &names.entries[i];
        if (entry->file < 0)
            continue;
        build(loss, entry->file, outcome, &draw, &content);
        write_file(folder, entry->name, &content);
        if (strstr(entry->name, "-wal") == NULL && outcome == POWER_TORN &&
            prng_below(prng, 4) == 0)
            leave_shm(folder, entry->name, prng);
    }
}
