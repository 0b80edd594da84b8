/*
 * The file for bots: the pools of the best tokens, so that a bot that re-reads it every few seconds
 * never sees half of it: JSON, or TOML. Its age says whether we live. What is in it is taken from
 * the table here; it is written on another thread (exporter.h), at every turn of the export job
 * and, within a second, when other pools are the best.
 */
#include "engine/parts.h"

#include "api/notarb.h"
#include "base/clock.h"
#include "base/log.h"
#include "page/load_view.h"
#include <stdlib.h>
#include <string.h>

#define LOOK_REST 500 /* 0.2 % of the loop's time; a million tokens take some 10 ms */

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
    const struct options *options = &engine->options;
    const struct exporter_target target = {.path = options->export_path,
                                           .mode = (mode_t)strtoul(options->export_mode, NULL, 8)};
    if (target.path[0] == '\0')
        return true;
    engine->exporter = exporter_create(&engine->loop, &target, on_written, engine);
    if (engine->exporter != NULL)
        exporter_suffer(engine->exporter, engine->faults);
    return engine->exporter != NULL;
}

static bool is_toml(const struct options *options)
{
    const char *end = strrchr(options->export_path, '.');
    if (options->export_format != EXPORT_FORMAT_AUTO)
        return options->export_format == EXPORT_FORMAT_TOML;
    return end != NULL && strcmp(end, ".toml") == 0;
}

void engine_export(struct engine *engine, uint64_t run)
{
    struct notarb_token tokens[NOTARB_TOKENS_MAX];
    char text[EXPORT_TEXT_SIZE];
    if (engine->exporter == NULL) {
        engine->export_done = run;
        return;
    }
    unsigned count = notarb_choose(engine->memory.table, engine->options.notarb_min_score, tokens);
    size_t length;
    if (is_toml(&engine->options)) {
        length = notarb_write_toml(text, sizeof text, tokens, count, clock_now());
    } else {
        struct json json;
        json_init_fixed(&json, text, sizeof text);
        notarb_write_pools(&json, tokens, count);
        length = json.length;
    }
    engine->exported = notarb_digest(tokens, count);
    exporter_write(engine->exporter, run, text, length);
}

/* Every second; with so many tokens that looking takes long, not before LOOK_REST times as long.
 * Where load has the export spared, its turns are all there is. */
void engine_export_on_change(struct engine *engine)
{
    struct notarb_token tokens[NOTARB_TOKENS_MAX];
    struct event event = {.kind = EVENT_JOB_WANTED, .job_wanted = {JOB_EXPORT}};
    instant now = clock_now();
    if (engine->exporter == NULL || instant_before(now, engine->export_look_at) ||
        load_feature_is_off(engine->page, FEATURE_EXPORT_RATE))
        return;
    unsigned count = notarb_choose(engine->memory.table, engine->options.notarb_min_score, tokens);
    duration took = instant_diff(clock_now(), now);
    engine->export_look_at = instant_add(now, duration_us(took.us * LOOK_REST));
    if (notarb_digest(tokens, count) != engine->exported)
        engine_step(engine, &event);
}

void engine_export_cancel(struct engine *engine, uint64_t run)
{
    if (engine->exporter != NULL)
        exporter_cancel(engine->exporter, run);
}
