/*
 * The sink that runs a program and writes the message, as the webhook has it, to its standard
 * input.
 *
 * alert_command is a path and words between spaces: no shell takes it apart, so nothing in it or in
 * a message is ever run but that program. It gets our environment without anything of ours in it
 * (MOONWATCH_…: there are secrets among them), and ALERT_ID, ALERT_STATUS and ALERT_SEVERITY. Exit
 * status 0 is a delivery. After alert_timeout_sec its whole session is killed.
 */
#include "alert/document.h"
#include "alert/sink.h"
#include "base/json.h"
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX       32
#define ENVIRONMENT_MAX 512
#define VARIABLE_SIZE   64

extern char **environ;

/* One run: a process, a pipe to it and a deadline. It outlives a cancellation until all of these
 * are closed. */
struct run {
    struct command *owner; /* NULL: nobody waits for it any more */
    uv_process_t process;
    uv_pipe_t pipe;
    uv_timer_t deadline;
    uv_write_t write;
    struct json body;
    int open_handles;
    bool is_spawned, has_ended, is_late;
    struct sink_result result;
};

struct command {
    struct sink base;
    struct run *run;
    uv_timer_t refusal; /* of what could not begin; also what is closed last */
};

/* ---- the end of a run ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct run *run = handle->data;
    if (--run->open_handles > 0)
        return;
    struct command *owner = run->owner;
    struct sink_result result = run->result;
    json_finish(&run->body);
    free(run);
    if (owner == NULL)
        return;
    owner->run = NULL;
    owner->base.world->on_done(owner->base.world->context, ALERT_SINK_COMMAND, &result);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_handle_closed);
}

static void finish(struct run *run)
{
    close_handle((uv_handle_t *)&run->process);
    close_handle((uv_handle_t *)&run->pipe);
    close_handle((uv_handle_t *)&run->deadline);
}

static void on_ended(uv_process_t *process, int64_t status, int signal)
{
    struct run *run = process->data;
    run->has_ended = true;
    run->result.outcome = status == 0 && signal == 0 ? SINK_DELIVERED : SINK_FAILED;
    if (run->is_late)
        snprintf(run->result.detail, sizeof run->result.detail, "not done in time, killed");
    else if (signal != 0)
        snprintf(run->result.detail, sizeof run->result.detail, "killed by signal %d", signal);
    else
        snprintf(run->result.detail, sizeof run->result.detail, "exit status %" PRId64, status);
    finish(run);
}

/* The session, so that what it started goes with it. */
static void kill_session(const struct run *run)
{
    if (run->is_spawned && !run->has_ended)
        kill(-run->process.pid, SIGKILL);
}

static void on_deadline(uv_timer_t *timer)
{
    struct run *run = timer->data;
    run->is_late = true;
    kill_session(run);
}

/* ---- its beginning ---- */

static void on_written(uv_write_t *write, int status)
{
    struct run *run = write->data;
    (void)status; /* who does not read says so by its exit status */
    close_handle((uv_handle_t *)&run->pipe);
}

static void split(char *text, char *words[WORDS_MAX + 1])
{
    size_t count = 0;
    char *rest = text;
    for (char *word; count < WORDS_MAX && (word = strtok_r(rest, " ", &rest)) != NULL;)
        words[count++] = word;
    words[count] = NULL;
}

struct environment {
    char *items[ENVIRONMENT_MAX + 1];
    size_t count;
    char ours[3][VARIABLE_SIZE];
};

static void make_environment(struct environment *out, const struct alert_message *message)
{
    static const char prefix[] = "MOONWATCH_";
    bool is_over = message->kind == ALERT_RESOLVED;
    out->count = 0;
    snprintf(out->ours[0], VARIABLE_SIZE, "ALERT_ID=%" PRId64, message->id);
    snprintf(out->ours[1], VARIABLE_SIZE, "ALERT_STATUS=%s", is_over ? "resolved" : "firing");
    snprintf(out->ours[2], VARIABLE_SIZE, "ALERT_SEVERITY=%s", severity_name(message->severity));
    for (int i = 0; i < 3; i++)
        out->items[out->count++] = out->ours[i];
    for (char **variable = environ; *variable != NULL && out->count < ENVIRONMENT_MAX; variable++)
        if (strncmp(*variable, prefix, sizeof prefix - 1) != 0)
            out->items[out->count++] = *variable;
    out->items[out->count] = NULL;
}

static int spawn(struct run *run, const struct alert_message *message)
{
    char text[OPTION_TEXT_SIZE], *words[WORDS_MAX + 1];
    struct environment environment;
    uv_stdio_container_t files[3] = {{.flags = (uv_stdio_flags)(UV_CREATE_PIPE | UV_READABLE_PIPE),
                                      .data.stream = (uv_stream_t *)&run->pipe},
                                     {.flags = UV_IGNORE},
                                     {.flags = UV_INHERIT_FD, .data.fd = 2}};
    snprintf(text, sizeof text, "%s", run->owner->base.world->options->alert_command);
    split(text, words);
    make_environment(&environment, message);
    const uv_process_options_t options = {.exit_cb = on_ended,
                                          .file = words[0],
                                          .args = words,
                                          .env = environment.items,
                                          .cwd = "/",
                                          .flags = UV_PROCESS_DETACHED, /* a session of its own */
                                          .stdio = files,
                                          .stdio_count = 3};
    return uv_spawn(run->owner->base.world->loop, &run->process, &options);
}

static void write_body(struct run *run, const struct alert_message *message)
{
    alert_webhook_json(&run->body, message, run->owner->base.world->origin);
    uv_buf_t buffer = uv_buf_init(run->body.text, (unsigned)run->body.length);
    run->write.data = run;
    if (run->body.failed ||
        uv_write(&run->write, (uv_stream_t *)&run->pipe, &buffer, 1, on_written) != 0)
        close_handle((uv_handle_t *)&run->pipe);
}

static struct run *create_run(struct command *command)
{
    struct run *run = calloc(1, sizeof *run);
    uv_loop_t *loop = command->base.world->loop;
    if (run == NULL)
        return NULL;
    run->owner = command;
    uv_pipe_init(loop, &run->pipe, 0);
    uv_timer_init(loop, &run->deadline);
    run->process.data = run->pipe.data = run->deadline.data = run;
    run->open_handles = 3;
    return run;
}

static void on_refusal(uv_timer_t *timer)
{
    struct command *command = timer->data;
    struct sink_result result = {.outcome = SINK_FAILED, .detail = "out of memory"};
    command->base.world->on_done(command->base.world->context, ALERT_SINK_COMMAND, &result);
}

static void send_message(struct sink *sink, const struct alert_message *message)
{
    struct command *command = (struct command *)sink;
    struct run *run = command->run = create_run(command);
    if (run == NULL) {
        uv_timer_start(&command->refusal, on_refusal, 0, 0);
        return;
    }
    int error = spawn(run, message);
    run->is_spawned = error == 0;
    run->result.outcome = SINK_FAILED;
    if (error != 0) { /* libuv has the handle as if it had run */
        snprintf(run->result.detail, sizeof run->result.detail, "cannot run it: %s",
                 uv_strerror(error));
        finish(run);
        return;
    }
    uint64_t most_ms = (uint64_t)(sink->world->options->alert_timeout_sec * 1000);
    uv_timer_start(&run->deadline, on_deadline, most_ms, 0);
    write_body(run, message);
}

static void cancel(struct sink *sink)
{
    struct command *command = (struct command *)sink;
    uv_timer_stop(&command->refusal);
    if (command->run == NULL)
        return;
    command->run->owner = NULL;
    kill_session(command->run);
    finish(command->run);
    command->run = NULL;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void destroy(struct sink *sink)
{
    struct command *command = (struct command *)sink;
    cancel(sink);
    uv_close((uv_handle_t *)&command->refusal, on_closed);
}

struct sink *sink_command_create(const struct sink_world *world)
{
    static const struct sink_methods methods = {send_message, cancel, destroy};
    struct command *command = calloc(1, sizeof *command);
    if (command == NULL)
        return NULL;
    command->base = (struct sink){&methods, world, ALERT_SINK_COMMAND};
    command->refusal.data = command;
    uv_timer_init(world->loop, &command->refusal);
    return &command->base;
}
