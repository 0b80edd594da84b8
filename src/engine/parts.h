/* What the engine's files share; private to src/engine. */
#ifndef MOONWATCH_ENGINE_PARTS_H
#define MOONWATCH_ENGINE_PARTS_H

#include "api/api.h"
#include "core/core.h"
#include "feed/dexscreener.h"
#include "feed/source.h"
#include "page/command.h"
#include "page/status_page.h"
#include "page/table_memory.h"
#include "store/writer.h"
#include <uv.h>

struct engine {
    uv_loop_t loop;
    struct options options; /* in force */
    struct table_memory memory;
    struct status_page *page;
    struct core *core;
    void *core_memory;
    struct writer *writer;
    struct feed *feed;
    struct source *source;
    struct api *api;
    uv_timer_t deadline_timer;
    uv_timer_t second_timer;
    uv_signal_t signals[2];
    uv_poll_t command_poll;
    int command_fd;
    bool is_stopping;
    unsigned closing; /* parts whose handles are still to be closed */
    bool memory_is_short;
    bool export_failed;
    bool is_stretched;          /* somebody is past the maximum age */
    uint64_t failures_in_a_row; /* of requests */
    instant failure_told_at;
    instant second_expected_at;
    struct actions actions;
};

/* engine.c: the time is filled in here. */
void engine_step(struct engine *engine, struct event *event);

/* perform.c */
void engine_perform(struct engine *engine, const struct action *action);
void engine_reply(struct engine *engine, const struct reply *reply);

/* commands.c */
void engine_on_commands(uv_poll_t *poll, int status, int events);

/* publish.c */
void engine_publish(struct engine *engine);
void engine_publish_options(struct engine *engine);

/* export.c */
void engine_export(struct engine *engine);

#endif
