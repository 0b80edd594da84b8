/* See top_source.h. */
#include "cli/top_source.h"

#include <stdio.h>
#include <unistd.h>

#define PATIENCE duration_s(2)

void top_source_init(struct top_source *source)
{
    *source = (struct top_source){.fd = -1, .memory = {.fd = -1}};
}

static void hang_up(struct top_source *source)
{
    if (source->fd >= 0)
        close(source->fd);
    source->fd = -1;
}

static void forget(struct top_source *source)
{
    status_page_detach((struct status_page *)(uintptr_t)source->page);
    source->page = NULL;
    table_memory_finish(&source->memory);
}

/* The descriptor that the reply to `kind` brings; −1 with a sentence. */
static int ask_for(struct top_source *source, enum command_kind kind)
{
    const struct command command = {.kind = kind};
    struct control_answer answer;
    if (!control_ask(source->fd, &command, PATIENCE, &answer, source->why))
        return -1;
    if (answer.page_fd < 0)
        snprintf(source->why, sizeof source->why, "the daemon: %.400s",
                 answer.reply.message[0] != '\0' ? answer.reply.message : "nothing to look at");
    return answer.page_fd;
}

static bool get_page(struct top_source *source)
{
    int fd = ask_for(source, COMMAND_STATUS);
    if (fd < 0)
        return false;
    source->page = status_page_attach(fd, PAGE_READ_ONLY, source->why);
    close(fd);
    return source->page != NULL;
}

/* A table that we cannot read leaves all else to be shown. */
static void get_table(struct top_source *source)
{
    enum table_fault fault;
    int fd = ask_for(source, COMMAND_TABLE);
    if (fd >= 0 && table_memory_attach_shared(&source->memory, fd, &fault) != OK)
        close(fd);
}

/* What the old descriptors showed is kept until there is something newer. */
static bool open_anew(struct top_source *source, const struct options *options)
{
    struct top_source fresh;
    top_source_init(&fresh);
    fresh.fd = control_connect(options, fresh.why);
    if (fresh.fd >= 0 && get_page(&fresh)) {
        get_table(&fresh);
        top_source_finish(source);
        *source = fresh;
        return true;
    }
    snprintf(source->why, sizeof source->why, "%s", fresh.why);
    top_source_finish(&fresh);
    return false;
}

bool top_source_look(struct top_source *source, const struct options *options)
{
    instant now = clock_now();
    double age_s = duration_to_s(instant_diff(now, source->opened_at));
    if (source->fd >= 0 && age_s < TOP_SOURCE_RENEW_S)
        return false;
    /* Who is there and does not answer in time is busy: what it gave is as good as before. */
    bool is_new = open_anew(source, options);
    if (source->fd >= 0)
        source->opened_at = now;
    return is_new;
}

void top_source_on_end(struct top_source *source)
{
    hang_up(source);
}

void top_source_finish(struct top_source *source)
{
    hang_up(source);
    forget(source);
}
