/* What clients ask of the engine, through the api or through the supervisor. */
#include "engine/node.h"
#include "engine/parts.h"

#include "base/clock.h"
#include "base/log.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define COMMANDS_A_TURN 64 /* then the loop looks at the others */

static void refuse(struct engine *engine, const struct command *command, const char *message)
{
    struct reply reply = {.result = RESULT_INVALID, .tag = command->tag};
    snprintf(reply.message, sizeof reply.message, "%s", message);
    engine_reply(engine, &reply);
}

static void do_add_token(struct engine *engine, const struct command *command)
{
    if (engine_keeps_out(engine, &command->mint)) {
        refuse(engine, command, "the token is in quarantine; release it first");
        return;
    }
    if (!engine_node_expect(engine, command))
        return;
    struct event event = {.kind = EVENT_TOKEN_SEEN};
    event.token_seen.mint = command->mint;
    event.token_seen.name = command->name;
    event.token_seen.symbol = command->symbol;
    event.token_seen.tag = command->tag;
    engine_step(engine, &event);
    engine_recall_suspect(engine, &command->mint);
}

static void do_refresh(struct engine *engine, const struct command *command)
{
    if (!engine_node_expect(engine, command))
        return;
    struct event event = {.kind = EVENT_REFRESH_WANTED};
    event.refresh_wanted.mint = command->mint;
    event.refresh_wanted.tag = command->tag;
    engine_step(engine, &event);
}

/* In force at once, in every part: they all read the core's copy or the page's. */
static void take_options(struct engine *engine, const struct options *options, const char *name,
                         const char *value)
{
    engine->options = *options;
    engine_publish_options(engine);
    log_info("settings", "changed", LOG_STRING("name", name), LOG_STRING("value", value));
    struct event event = {.kind = EVENT_OPTIONS};
    event.options.options = &engine->options;
    engine_step(engine, &event);
}

void engine_take_setting(struct engine *engine, const char *name, const char *value)
{
    char why[OPTION_MESSAGE_SIZE] = "no such setting";
    struct options options = engine->options;
    enum option_id id = option_find(name);
    if (engine_take_limit(engine, name, value))
        return;
    if (id != OPTION_COUNT && options.origins[id] > OPTION_FROM_STORE)
        return; /* what this node was started with is stronger */
    if (id == OPTION_COUNT || !(option_row(id)->flags & OPTION_SETTING) ||
        options_set(&options, name, value, OPTION_FROM_STORE, why) != OK ||
        options_check(&options, why) != OK)
        log_warning("settings", "a setting of another node is not valid here; it stays as it was",
                    LOG_STRING("name", name), LOG_STRING("value", value), LOG_STRING("why", why));
    else
        take_options(engine, &options, name, value);
}

static void do_set(struct engine *engine, const struct command *command)
{
    char why[OPTION_MESSAGE_SIZE];
    struct options options = engine->options;
    enum option_id id = option_find(command->setting);
    if (id == OPTION_COUNT || !(option_row(id)->flags & OPTION_SETTING)) {
        refuse(engine, command, "no such setting");
        return;
    }
    if (options.origins[id] > OPTION_FROM_STORE) {
        snprintf(why, sizeof why, "%s is set by the %s, which is stronger; remove it there",
                 command->setting, option_source_name(options.origins[id]));
        refuse(engine, command, why);
        return;
    }
    if (options_set(&options, command->setting, command->value, OPTION_FROM_STORE, why) != OK ||
        options_check(&options, why) != OK) {
        refuse(engine, command, why);
        return;
    }
    take_options(engine, &options, command->setting, command->value);
    writer_put_setting(engine->writer, command->setting, command->value, command->tag);
}

static void reply_done(struct engine *engine, const struct command *command)
{
    struct reply reply = {.result = RESULT_DONE, .tag = command->tag};
    engine_reply(engine, &reply);
}

static void run_job(struct engine *engine, enum job job)
{
    struct event event = {.kind = EVENT_JOB_WANTED};
    event.job_wanted.job = job;
    engine_step(engine, &event);
}

static void set_pause(struct engine *engine, bool is_paused)
{
    struct event event = {.kind = EVENT_PAUSE};
    event.pause.is_paused = is_paused;
    atomic_store(&engine->page->is_paused, is_paused);
    engine_step(engine, &event);
    log_info("engine", is_paused ? "paused: nothing is fetched until it is resumed"
                                 : "resumed: what is due goes first");
}

bool engine_do_order(struct engine *engine, uint32_t kind)
{
    switch (kind) {
    case COMMAND_RECALCULATE:
        run_job(engine, JOB_RECALCULATE);
        return true;
    case COMMAND_ARCHIVE:
        run_job(engine, JOB_ARCHIVER);
        return true;
    case COMMAND_ACTIVATION:
        run_job(engine, JOB_ACTIVATION);
        return true;
    case COMMAND_EXPORT:
        run_job(engine, JOB_EXPORT);
        return true;
    case COMMAND_PAUSE:
    case COMMAND_RESUME:
        set_pause(engine, kind == COMMAND_PAUSE);
        return true;
    default:
        return false;
    }
}

/* Here, and on all other nodes. */
static void do_order(struct engine *engine, const struct command *command)
{
    (void)engine_do_order(engine, command->kind);
    engine_node_tell_all(engine, command);
    reply_done(engine, command);
}

static void do_test_alert(struct engine *engine, const struct command *command)
{
    struct event event = {.kind = EVENT_ALERT_TEST};
    event.alert_test.tag = command->tag;
    engine_step(engine, &event);
}

static void do_release(struct engine *engine, const struct command *command)
{
    struct suspect *suspect = suspects_find(&engine->page->suspects, &command->mint);
    if (suspect == NULL || atomic_load(&suspect->state) != SUSPECT_QUARANTINED) {
        struct reply reply = {.result = RESULT_NOT_FOUND, .tag = command->tag};
        snprintf(reply.message, sizeof reply.message, "no such token is in quarantine");
        engine_reply(engine, &reply);
        return;
    }
    engine_release(engine, suspect);
    reply_done(engine, command);
}

static void on_command(struct engine *engine, struct command *command)
{
    engine_note(engine, &(struct flight_note){.kind = FLIGHT_COMMAND,
                                              .what = command->kind,
                                              .number = command->tag & ~LINK_TAG});
    /* The sender may be another process: no text is believed to end. */
    command->name[sizeof command->name - 1] = '\0';
    command->symbol[sizeof command->symbol - 1] = '\0';
    command->setting[sizeof command->setting - 1] = '\0';
    command->value[sizeof command->value - 1] = '\0';
    switch ((enum command_kind)command->kind) {
    case COMMAND_ADD_TOKEN:
        do_add_token(engine, command);
        return;
    case COMMAND_REFRESH:
        do_refresh(engine, command);
        return;
    case COMMAND_SET:
        do_set(engine, command);
        return;
    case COMMAND_RECALCULATE:
    case COMMAND_ARCHIVE:
    case COMMAND_ACTIVATION:
    case COMMAND_EXPORT:
    case COMMAND_PAUSE:
    case COMMAND_RESUME:
        do_order(engine, command);
        return;
    case COMMAND_RELEASE:
        do_release(engine, command);
        return;
    case COMMAND_TEST_ALERT:
        do_test_alert(engine, command);
        return;
    case COMMAND_RESTART:
        engine_report(REPORT_RESTART, "asked for by a client");
        reply_done(engine, command);
        return;
    case COMMAND_EMERGENCY:
    case COMMAND_STATUS:
    case COMMAND_TABLE:
    case COMMAND_GO:
    case COMMAND_COUNT:
        break;
    }
    refuse(engine, command, "no such command");
}

/* Our end of a channel is closed: of the api's nobody reads any more, the supervisor's means that
 * we are alone. */
static void on_end(struct engine *engine, uv_poll_t *poll, int fd)
{
    uv_poll_stop(poll);
    if (fd != FD_LINK)
        return;
    log_warning("engine", "the supervisor is gone; stopping");
    engine_begin_stop(engine);
}

/* It lay in the socket while no engine ran. */
static bool is_given_up(const struct command *command)
{
    return command->until_us != 0 && command->until_us < clock_now().us;
}

void engine_on_commands(uv_poll_t *poll, int status, int events)
{
    struct engine *engine = poll->data;
    int fd = poll == &engine->command_polls[0] ? FD_COMMAND : FD_LINK;
    (void)events;
    if (status < 0)
        return;
    for (int i = 0; i < COMMANDS_A_TURN && !engine->is_stopping; i++) {
        struct command command;
        ssize_t size = recv(fd, &command, sizeof command, MSG_DONTWAIT);
        if (size == (ssize_t)sizeof command) {
            command.tag = fd == FD_LINK ? command.tag | LINK_TAG : command.tag & ~LINK_TAG;
            if (!is_given_up(&command))
                on_command(engine, &command);
            continue;
        }
        if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
            on_end(engine, poll, fd);
        if (size <= 0)
            return;
        log_error("api", "a command of the wrong size was ignored", LOG_INT("bytes", size));
    }
}
