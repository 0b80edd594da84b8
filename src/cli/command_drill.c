/* `moonwatch drill`: does the daemon heal, here and now? */
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/drill_view.h"
#include "drill/runner.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT_ONCE 2 /* a drill waits most of its time */

struct drill_command {
    struct argument_words names;
    bool is_list, is_json, is_kept, is_strict;
    int64_t at_once;
    char moonwatch[PATH_MAX], market[PATH_MAX];
};

static const struct drill_row *find_row(const char *name)
{
    for (size_t i = 0; i < drill_count(); i++)
        if (strcmp(drill_row(i)->name, name) == 0)
            return drill_row(i);
    return NULL;
}

static int complain(const char *typed)
{
    const char *nearest = NULL;
    size_t least = TEXT_FAR;
    char shown[64];
    for (size_t i = 0; i < drill_count(); i++) {
        size_t distance = text_distance(typed, drill_row(i)->name);
        nearest = distance < least ? drill_row(i)->name : nearest;
        least = distance < least ? distance : least;
    }
    text_copy(shown, sizeof shown, typed, strlen(typed));
    fprintf(stderr, "moonwatch drill: there is no drill \"%s\"", shown);
    if (nearest != NULL && text_is_slip(least, strlen(typed)))
        fprintf(stderr, "; did you mean \"%s\"?", nearest);
    fprintf(stderr, "\nmoonwatch drill --list shows them all.\n");
    return EXIT_USAGE;
}

/* Ourselves, and the market beside us. */
static bool find_programs(struct drill_command *command)
{
    ssize_t length = readlink("/proc/self/exe", command->moonwatch, sizeof command->moonwatch - 1);
    if (length <= 0) {
        fprintf(stderr, "moonwatch drill: can't tell where this program is: /proc/self/exe: %s\n",
                strerror(errno));
        return false;
    }
    command->moonwatch[length] = '\0';
    const char *slash = strrchr(command->moonwatch, '/');
    int room = snprintf(command->market, sizeof command->market, "%.*s/moonwatch-market",
                        (int)(slash - command->moonwatch), command->moonwatch);
    if (room < (int)sizeof command->market && access(command->market, X_OK) == 0)
        return true;
    fprintf(stderr, "moonwatch drill: %s is missing; make build makes it\n", command->market);
    return false;
}

/* Those that were named, in the order of the table; all when none was. */
static size_t choose(const struct drill_command *command, struct runner_run *runs)
{
    size_t count = 0;
    for (size_t i = 0; i < drill_count(); i++) {
        bool is_wanted = command->names.count == 0;
        for (size_t k = 0; k < command->names.count; k++)
            is_wanted = is_wanted || find_row(command->names.items[k]) == drill_row(i);
        if (is_wanted)
            runs[count++] = (struct runner_run){.row = drill_row(i)};
    }
    return count;
}

static int judge(const struct drill_command *command, const struct runner_run *runs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        enum drill_verdict verdict = runs[i].result.verdict;
        if (verdict == DRILL_FAILED || (verdict == DRILL_SKIPPED && command->is_strict))
            return EXIT_FAILED;
    }
    return EXIT_DONE;
}

static int run(struct drill_command *command)
{
    char why[RUNNER_WHY_SIZE] = "";
    struct runner_run *runs = calloc(drill_count(), sizeof *runs);
    if (runs == NULL)
        fprintf(stderr, "moonwatch drill: no memory\n");
    if (runs == NULL || !find_programs(command)) {
        free(runs);
        return EXIT_FAILED;
    }
    size_t count = choose(command, runs);
    const struct runner_plan plan = {
        .moonwatch = command->moonwatch,
        .market = command->market,
        .at_once = (unsigned)command->at_once,
        .sandboxes = command->is_kept ? RUNNER_KEEPS : RUNNER_REMOVES,
    };
    int status = EXIT_FAILED;
    if (runner_run(&plan, runs, count, why)) {
        (command->is_json ? drill_view_json : drill_view_table)(stdout, runs, count);
        status = judge(command, runs, count);
    } else {
        fprintf(stderr, "moonwatch drill: %s\n", why);
    }
    free(runs);
    return status;
}

#define DRILL(function, name, company, limit_s, fault) name "|"
static const char drills[] =
#include "drill/drills.def"
    ;
#undef DRILL

int command_drill(int argc, char *argv[])
{
    static struct drill_command command = {.at_once = AT_ONCE};
    const struct argument arguments[] = {
        {.name = "NAME…",
         .type = ARGUMENT_WORDS,
         .target = &command.names,
         .choices = drills,
         .sentence = "The drills to run; all without."},
        {.name = "list",
         .type = ARGUMENT_SWITCH,
         .target = &command.is_list,
         .sentence = "Shows what there is, and runs nothing."},
        {.name = "json",
         .type = ARGUMENT_SWITCH,
         .target = &command.is_json,
         .sentence = "The results as JSON."},
        {.name = "at-once",
         .type = ARGUMENT_INTEGER,
         .value_name = "N",
         .target = &command.at_once,
         .low = 1,
         .high = RUNNER_AT_ONCE_MAX,
         .sentence = "Drills beside each other (2); those that measure load run alone anyway."},
        {.name = "keep",
         .type = ARGUMENT_SWITCH,
         .target = &command.is_kept,
         .sentence = "Leaves the sandboxes, with logs, databases and incidents."},
        {.name = "strict",
         .type = ARGUMENT_SWITCH,
         .target = &command.is_strict,
         .sentence = "A drill that this machine or user cannot run counts as failed."},
    };
    const struct argument_spec spec = {.rows = arguments,
                                       .count = sizeof arguments / sizeof arguments[0]};
    enum arguments_result result = arguments_parse(argc, argv, &spec);
    if (result != ARGUMENTS_OK)
        return arguments_exit_status(result);
    if (command.is_list) {
        drill_view_list(stdout);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < command.names.count; i++)
        if (find_row(command.names.items[i]) == NULL)
            return complain(command.names.items[i]);
    return run(&command);
}
