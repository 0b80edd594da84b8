/*
 * The file for bots: the pools of the best tokens, so that a bot that re-reads it every few seconds
 * never sees half of it. Its age says whether we live. What is in it is taken from the table here;
 * it is written on another thread (exporter.h).
 */
#include "engine/parts.h"

#include "api/notarb.h"
#include "base/log.h"
#include <errno.h>
#include <string.h>

static void note_end(struct engine *engine, int error)
{
    const char *path = engine->options.export_path;
    bool failed = error != 0;
    page_add(engine->page, failed ? COUNTER_EXPORT_FAILURES : COUNTER_EXPORTS, 1);
    if (failed && !engine->export_failed)
        log_error("export", "cannot write the file for bots; trying again at the next export",
                  LOG_STRING("path", path), LOG_STRING("error", strerror(error)));
    else if (!failed && engine->export_failed)
        log_info("export", "the file for bots is written again", LOG_STRING("path", path));
    engine->export_failed = failed;
}

static void on_written(void *context, uint64_t run, int error)
{
    struct engine *engine = context;
    note_end(engine, error);
    struct event event = {.kind = EVENT_JOB_DONE, .job_done = {JOB_EXPORT, run, error != 0}};
    engine_step(engine, &event);
}

bool engine_export_start(struct engine *engine)
{
    const char *path = engine->options.export_path;
    if (path[0] == '\0')
        return true;
    engine->exporter = exporter_create(&engine->loop, path, on_written, engine);
    if (engine->exporter != NULL)
        exporter_suffer(engine->exporter, engine->faults);
    return engine->exporter != NULL;
}

void engine_export(struct engine *engine, uint64_t run)
{
    if (engine->exporter == NULL) {
        engine->export_done = run;
        return;
    }
    struct notarb_token tokens[NOTARB_TOKENS_MAX];
    struct json json = {0};
    unsigned count = notarb_choose(engine->memory.table, engine->options.notarb_min_score, tokens);
    notarb_write_pools(&json, tokens, count);
    if (!json.failed) {
        exporter_write(engine->exporter, run, &json);
        return;
    }
    json_finish(&json);
    note_end(engine, ENOMEM);
    engine->export_done = run;
}

void engine_export_cancel(struct engine *engine, uint64_t run)
{
    if (engine->exporter != NULL)
        exporter_cancel(engine->exporter, run);
}
