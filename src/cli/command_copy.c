/* A whole database into another: from one file to one elsewhere, or to a server. */
#include "base/clock.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "store/copy.h"
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct command_copy {
    struct progress progress;
    char note[64];
};

static volatile sig_atomic_t stop_wanted;

static void on_signal(int signal)
{
    (void)signal;
    stop_wanted = 1;
}

/* A second one ends the process at once: nothing is lost by that either. */
static void catch_signals(void)
{
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static bool on_progress(void *context, const struct copy_progress *progress)
{
    static const char *const STAGES[] = {[COPY_COPYING] = "",
                                         [COPY_READING_SOURCE] = "checking FROM: ",
                                         [COPY_READING_TARGET] = "checking TO: "};
    struct command_copy *command = context;
    snprintf(command->note, sizeof command->note, "%s%s", STAGES[progress->stage],
             store_part_name(progress->part));
    const struct progress_state state = {
        .count = progress->rows,
        .done = progress->done,
        .total = progress->total,
        .note = command->note,
    };
    progress_update(&command->progress, &state, clock_now());
    return stop_wanted == 0;
}

static void print_report(const struct copy_report *report, duration elapsed)
{
    for (int i = 0; i < STORE_PART_COUNT; i++)
        printf("%-10s %12" PRIu64 "  %016" PRIx64 "\n", store_part_name((enum store_part)i),
               report->sums[i].rows, report->sums[i].checksum);
    printf("%" PRIu64 " rows copied in %.1f s%s; all rows of FROM and TO were read and are equal\n",
           report->rows, duration_to_s(elapsed),
           report->continued > 0 ? ", the others before" : "");
    if (report->refused > 0)
        printf("%" PRIu64 " rows of FROM can't be right and were left out, as a start leaves them "
               "out; the log above has the first of them\n",
               report->refused);
}

static int say_outcome(enum copy_outcome outcome, const char *why)
{
    fputs("moonwatch copy: ", stderr);
    if (outcome == COPY_STOPPED)
        fputs("stopped; the same command goes on from here", stderr);
    else
        terminal_write(stderr, why);
    fputc('\n', stderr);
    return EXIT_FAILED;
}

/* A copy of a word; where it stood, and everybody can read it as long as we run, name and password
 * in a URL are overwritten. NULL: no memory. */
static char *take_url(char *argv[], const char *word)
{
    const char *begin;
    char *url = strdup(word);
    for (int i = 0; url != NULL && argv[i] != NULL; i++)
        if (argv[i] == word) {
            size_t length = option_url_user(word, &begin);
            memset(argv[i] + (begin - word), '*', length);
        }
    return url;
}

static int copy(const char *from, const char *to)
{
    struct command_copy command = {.note = ""};
    const struct copy_watch watch = {.context = &command, .on_progress = on_progress};
    struct copy_report report;
    char why[512];
    instant began = clock_now();
    catch_signals();
    progress_begin(&command.progress, stderr, "moonwatch copy", "rows");
    enum copy_outcome outcome = store_copy(from, to, &watch, &report, why);
    progress_clear(&command.progress);
    if (outcome != COPY_DONE)
        return say_outcome(outcome, why);
    print_report(&report, instant_diff(clock_now(), began));
    return command_finish_output("copy");
}

int command_copy(int argc, char *argv[])
{
    const char *from = NULL, *to = NULL;
    const struct argument rows[] = {
        {.name = "FROM",
         .type = ARGUMENT_OPERAND,
         .target = &from,
         .need = ARGUMENT_REQUIRED,
         .sentence = "The database, as --db takes it. No daemon may be using it."},
        {.name = "TO",
         .type = ARGUMENT_OPERAND,
         .target = &to,
         .need = ARGUMENT_REQUIRED,
         .sentence = "Where it is copied: empty, not there yet, or what this command began."},
    };
    const struct argument_spec spec = {.rows = rows, .count = sizeof rows / sizeof rows[0]};
    enum arguments_result result = arguments_parse(argc, argv, &spec);
    if (result != ARGUMENTS_OK)
        return arguments_exit_status(result);

    char *from_url = take_url(argv, from), *to_url = take_url(argv, to);
    int status = EXIT_FAILED;
    if (from_url != NULL && to_url != NULL)
        status = copy(from_url, to_url);
    else
        fputs("moonwatch copy: out of memory\n", stderr);
    free(from_url);
    free(to_url);
    return status;
}
