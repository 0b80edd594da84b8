/* What the children share. See parts.h. */
#include "supervisor/parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_CAPACITY 1024 /* tokens; the engine makes room for more */

#define NOTHING                                                                                    \
    (struct world)                                                                                 \
    {                                                                                              \
        .page_fd = -1, .table = {.fd = -1}, .table_reader_fd = -1, .channel = {-1, -1},            \
        .history = {                                                                               \
            -1,                                                                                    \
            -1                                                                                     \
        }                                                                                          \
    }

static bool make_channel(int channel[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, channel) == 0;
}

static bool make_channels(struct world *world)
{
    return make_channel(world->channel) && make_channel(world->history);
}

static void close_channel(int channel[2])
{
    for (int i = 0; i < 2; i++)
        if (channel[i] >= 0)
            close(channel[i]);
}

static bool make_table(struct world *world)
{
    int error = 0;
    if (!table_memory_init(&world->table, FIRST_CAPACITY, &error)) {
        errno = error;
        return false;
    }
    world->table_reader_fd = table_memory_reader_fd(world->table.fd);
    return world->table_reader_fd >= 0;
}

static bool make_page(struct world *world)
{
    world->page = status_page_create(&world->page_fd);
    return world->page != NULL;
}

bool world_init(struct world *world, const struct options *options, char why[512])
{
    *world = NOTHING;
    if (make_page(world) && make_table(world) && make_channels(world)) {
        page_text_begin(world->page)->options = *options;
        page_text_end(world->page);
        return true;
    }
    snprintf(why, 512, "no memory or descriptors to start with: %s", strerror(errno));
    world_finish(world);
    return false;
}

void world_finish(struct world *world)
{
    status_page_detach(world->page);
    if (world->page_fd >= 0)
        close(world->page_fd);
    table_memory_finish(&world->table);
    if (world->table_reader_fd >= 0)
        close(world->table_reader_fd);
    close_channel(world->channel);
    close_channel(world->history);
    *world = NOTHING;
}

bool world_renew(struct world *world)
{
    struct world fresh = NOTHING;
    if (!make_page(&fresh) || !make_table(&fresh) || !make_channels(&fresh)) {
        world_finish(&fresh);
        return false;
    }
    memcpy(fresh.page, world->page, sizeof *fresh.page);
    clock_share(&fresh.page->clock);
    log_share(&fresh.page->log, PROCESS_SUPERVISOR);
    world_finish(world);
    *world = fresh;
    return true;
}
