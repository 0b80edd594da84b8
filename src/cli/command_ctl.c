/* `moonwatch ctl`: what a person or a script asks of a running daemon, a row a request. */
#include "base/address.h"
#include "base/clock.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/incident_view.h"
#include "cli/status_view.h"
#include "cli/terminal.h"
#include "supervisor/control_client.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE duration_s(10)
/* A refresh waits for the upstream, a setting for the disk, a test for the slowest receiver. */
#define LONG_PATIENCE duration_s(45)

struct ctl {
    struct options options;
    const char *words[3]; /* the request and its operands */
    bool is_json, is_emergency;
};

struct request_row {
    const char *name;
    int operands;
    enum command_kind kind;
    int (*run)(struct ctl *ctl, const struct request_row *row);
    const char *done;
};

static int fail(const char *why)
{
    fputs("moonwatch ctl: ", stderr);
    terminal_write(stderr, why);
    fputc('\n', stderr);
    return EXIT_FAILED;
}

/* ---- what is asked ---- */

static bool is_long(uint32_t kind)
{
    return kind == COMMAND_REFRESH || kind == COMMAND_SET || kind == COMMAND_TEST_ALERT;
}

static int ask(const struct ctl *ctl, const struct command *command, struct control_answer *out)
{
    char why[CONTROL_WHY_SIZE] = "";
    int fd = control_connect(&ctl->options, why);
    if (fd < 0)
        return fail(why);
    duration patience = is_long(command->kind) ? LONG_PATIENCE : PATIENCE;
    bool answered = control_ask(fd, command, patience, out, why);
    close(fd);
    if (!answered)
        return fail(why);
    if (out->reply.result > RESULT_KNOWN)
        return fail(out->reply.message[0] != '\0' ? out->reply.message : "not available now");
    return EXIT_DONE;
}

static int run_plain(struct ctl *ctl, const struct request_row *row)
{
    struct command command = {.kind = row->kind};
    struct control_answer answer;
    if (row->kind == COMMAND_RESTART && ctl->is_emergency)
        command.kind = COMMAND_EMERGENCY;
    int status = ask(ctl, &command, &answer);
    if (status == EXIT_DONE)
        puts(row->done);
    return status;
}

static int run_with_mint(struct ctl *ctl, const struct request_row *row)
{
    struct command command = {.kind = row->kind};
    struct control_answer answer;
    if (!address_parse(ctl->words[1], strlen(ctl->words[1]), &command.mint))
        return fail("that is no mint: 32 to 44 characters of base58 are");
    int status = ask(ctl, &command, &answer);
    if (status != EXIT_DONE)
        return status;
    if (row->kind == COMMAND_REFRESH && answer.reply.score == answer.reply.score)
        printf("%s; score %.6f\n", row->done, answer.reply.score);
    else
        puts(row->done);
    return EXIT_DONE;
}

/* What the daemon would refuse, in more words than it has. */
static bool is_setting(const char *name, const char *value, char why[OPTION_MESSAGE_SIZE])
{
    struct options scratch;
    options_init(&scratch);
    if (options_set(&scratch, name, value, OPTION_FROM_STORE, why) != OK)
        return false;
    if (option_row(option_find(name))->flags & OPTION_SETTING)
        return true;
    snprintf(why, OPTION_MESSAGE_SIZE,
             "%.64s is read when the daemon starts, and not changed later", name);
    return false;
}

static int run_set(struct ctl *ctl, const struct request_row *row)
{
    struct command command = {.kind = row->kind};
    struct control_answer answer;
    char why[OPTION_MESSAGE_SIZE];
    if (!is_setting(ctl->words[1], ctl->words[2], why))
        return fail(why);
    snprintf(command.setting, sizeof command.setting, "%s", ctl->words[1]);
    snprintf(command.value, sizeof command.value, "%s", ctl->words[2]);
    int status = ask(ctl, &command, &answer);
    if (status == EXIT_DONE)
        printf("%s = %s, in force\n", command.setting, command.value);
    return status;
}

/* Waits for every sink, and says how each did. */
static int run_test_alert(struct ctl *ctl, const struct request_row *row)
{
    struct command command = {.kind = row->kind};
    struct control_answer answer;
    int status = ask(ctl, &command, &answer);
    if (status == EXIT_DONE)
        puts(answer.reply.message);
    return status;
}

static int show_status(const struct ctl *ctl, int page_fd)
{
    char why[PAGE_WHY_SIZE] = "";
    struct json json = {0};
    struct status_page *page = status_page_attach(page_fd, PAGE_READ_ONLY, why);
    if (page == NULL)
        return fail(why);
    instant now = clock_now_on(&page->clock);
    if (ctl->is_json) {
        status_json(&json, page, now);
        puts(json.failed ? "null" : json.text);
        json_finish(&json);
    } else {
        status_print(stdout, page, now);
    }
    status_page_detach(page);
    return EXIT_DONE;
}

static int run_status(struct ctl *ctl, const struct request_row *row)
{
    struct command command = {.kind = row->kind};
    struct control_answer answer;
    int status = ask(ctl, &command, &answer);
    if (status != EXIT_DONE)
        return status;
    if (answer.page_fd < 0)
        return fail("the daemon sent no status page");
    status = show_status(ctl, answer.page_fd);
    close(answer.page_fd);
    return status;
}

/* From the folder: they can be read when no daemon runs any more. */
static int run_incidents(struct ctl *ctl, const struct request_row *row)
{
    (void)row;
    incidents_print(stdout, &ctl->options, ctl->is_json);
    return EXIT_DONE;
}

/* X(name, operands, command, function, what is said when it is done) */
#define REQUEST_LIST(X)                                                                            \
    X("status", 0, COMMAND_STATUS, run_status, NULL)                                               \
    X("restart", 0, COMMAND_RESTART, run_plain, "restarting; moonwatch ctl status shows it")       \
    X("pause", 0, COMMAND_PAUSE, run_plain, "paused: nothing is fetched until it is resumed")      \
    X("resume", 0, COMMAND_RESUME, run_plain, "resumed: what is due goes first")                   \
    X("refresh", 1, COMMAND_REFRESH, run_with_mint, "refreshed")                                   \
    X("set", 2, COMMAND_SET, run_set, NULL)                                                        \
    X("test-alert", 0, COMMAND_TEST_ALERT, run_test_alert, NULL)                                   \
    X("release", 1, COMMAND_RELEASE, run_with_mint,                                                \
      "released: it is asked for again, alone first")                                              \
    X("incidents", 0, COMMAND_COUNT, run_incidents, NULL)

static const struct request_row rows[] = {
#define X(name, operands, kind, run, done) {name, operands, kind, run, done},
    REQUEST_LIST(X)
#undef X
};

#define X(name, operands, kind, run, done) name "|"
static const char requests[] = REQUEST_LIST(X);
#undef X

#define ROWS (sizeof rows / sizeof rows[0])

/* ---- which ---- */

static int complain(const char *typed)
{
    const char *nearest = NULL;
    size_t least = TEXT_FAR;
    char shown[64];
    text_copy(shown, sizeof shown, typed, strlen(typed));
    fputs("moonwatch ctl: there is no request \"", stderr);
    terminal_write(stderr, shown);
    fputc('"', stderr);
    for (size_t i = 0; i < ROWS; i++) {
        size_t distance = text_distance(typed, rows[i].name);
        if (distance < least) {
            least = distance;
            nearest = rows[i].name;
        }
    }
    if (nearest != NULL && text_is_slip(least, strlen(typed)))
        fprintf(stderr, "; did you mean \"%s\"?", nearest);
    fputs("\nThere are:", stderr);
    for (size_t i = 0; i < ROWS; i++)
        fprintf(stderr, " %s", rows[i].name);
    fputc('\n', stderr);
    return EXIT_USAGE;
}

static int run_row(struct ctl *ctl, const struct request_row *row)
{
    int given = (ctl->words[1] != NULL) + (ctl->words[2] != NULL);
    if (given == row->operands)
        return row->run(ctl, row);
    fprintf(stderr, "moonwatch ctl: %s takes %s\n", row->name,
            row->operands == 0   ? "nothing more"
            : row->operands == 1 ? "a mint"
                                 : "a setting and its value");
    return EXIT_USAGE;
}

/* The names of all settings, as completions want them. */
static const char *settings(void)
{
    static char names[OPTION_COUNT * ARGUMENT_FLAG_SIZE];
    size_t length = 0;
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = option_row((enum option_id)i);
        if (row->flags & OPTION_SETTING)
            length += (size_t)snprintf(names + length, sizeof names - length, "%s|", row->name);
    }
    return names;
}

int command_ctl(int argc, char *argv[])
{
    static struct ctl ctl;
    const struct argument arguments[] = {
        {.name = "REQUEST",
         .type = ARGUMENT_OPERAND,
         .target = &ctl.words[0],
         .need = ARGUMENT_REQUIRED,
         .choices = requests,
         .sentence = "status, restart, pause, resume, refresh MINT, set KEY VALUE, release MINT "
                     "(from quarantine), test-alert or incidents."},
        {.name = "WHAT",
         .type = ARGUMENT_OPERAND,
         .target = &ctl.words[1],
         .choices = settings(),
         .sentence = "A mint, or a setting."},
        {.name = "VALUE",
         .type = ARGUMENT_OPERAND,
         .target = &ctl.words[2],
         .sentence = "Its value."},
        {.name = "json",
         .type = ARGUMENT_SWITCH,
         .target = &ctl.is_json,
         .sentence = "status, incidents: as JSON."},
        {.name = "emergency",
         .type = ARGUMENT_SWITCH,
         .target = &ctl.is_emergency,
         .sentence = "restart: kills the engine and starts it afresh."},
    };
    const struct argument_spec spec = {.rows = arguments,
                                       .count = sizeof arguments / sizeof arguments[0],
                                       .options = &ctl.options};
    enum arguments_result result = arguments_parse(argc, argv, &spec);
    if (result != ARGUMENTS_OK)
        return arguments_exit_status(result);
    for (size_t i = 0; i < ROWS; i++)
        if (strcmp(rows[i].name, ctl.words[0]) == 0)
            return run_row(&ctl, &rows[i]);
    return complain(ctl.words[0]);
}
