/*
 * `moonwatch sim`: one seed, many, or one that failed made smaller. A run has a process of its own
 * (sim/apart.h), so that an assertion is a verdict; with --trace it is run here, for a debugger.
 */
#include "base/clock.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/sim_text.h"
#include "cli/sim_view.h"
#include "sim/parts.h"
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sim_command {
    const char *seeds, *nodes, *faults, *keep, *log;
    int64_t seed, tokens, at_once;
    double hours;
    bool is_traced, shrinks, stops_at_failure;
    struct sim_setup setup;
    size_t occurrences; /* with --keep: of its schedule */
    bool *dropped;
    struct progress progress;
    FILE *log_file;
    char first_verdict[320]; /* of the first that failed */
    bool is_stopped_early;
};

static volatile sig_atomic_t is_stopped;

static void on_stop(int signal_number)
{
    (void)signal_number;
    is_stopped = 1;
}

static double since_s(instant began)
{
    return duration_to_s(instant_diff(clock_now(), began));
}

static bool is_ok(const struct sim_result *result)
{
    return strcmp(result->verdict, "ok") == 0;
}

static int fail(enum err err)
{
    fprintf(stderr, "moonwatch sim: %s\n", err_text(err));
    return EXIT_FAILED;
}

static bool said(bool is_written)
{
    if (!is_written)
        fprintf(stderr, "moonwatch sim: can't print the answer\n");
    return is_written;
}

/* ---- a failure: its story, and the smaller run ---- */

/* Run again, now in words: what it did is the same. */
static enum err tell(FILE *out, const struct sim_setup *setup, size_t occurrences)
{
    struct apart run;
    enum err err = apart_run(&run, setup, true);
    if (err == OK)
        sim_view_failure(out, setup, occurrences, &run.found->result, &run.found->story);
    apart_finish(&run);
    return err;
}

static void show_shrinking(void *context, const struct shrunk *so_far)
{
    struct sim_command *command = context;
    char note[64];
    snprintf(note, sizeof note, "%g hours, %" PRIu32 " tokens", so_far->setup.hours,
             so_far->setup.tokens);
    const struct progress_state state = {.count = so_far->runs, .note = note};
    progress_update(&command->progress, &state, clock_now());
}

static enum err tell_smaller(struct sim_command *command, FILE *out, const struct sim_setup *setup,
                             const char *verdict)
{
    struct shrunk smaller;
    progress_begin(&command->progress, stderr, "moonwatch sim --shrink", "runs");
    enum err err = shrink(setup, verdict, show_shrinking, command, &smaller);
    progress_clear(&command->progress);
    if (err == OK) {
        fprintf(out, "after %u runs, of the same kind:\n", smaller.runs);
        err = tell(out, &smaller.setup, smaller.occurrences);
    }
    shrunk_finish(&smaller);
    return err;
}

static enum err explain(struct sim_command *command, FILE *out, const struct sim_setup *setup,
                        const char *verdict)
{
    if (command->shrinks)
        return tell_smaller(command, out, setup, verdict);
    return tell(out, setup, command->occurrences);
}

/* ---- one seed ---- */

static void print_line(void *context, instant at, const char *line)
{
    (void)context;
    printf("%11.3f s  %s\n", duration_to_s(instant_diff(at, SIM_EPOCH)), line);
}

static enum err run_one(struct sim_command *command, struct sim_result *out)
{
    struct apart run;
    if (command->is_traced) {
        command->setup.on_line = print_line;
        return sim_run(&command->setup, out);
    }
    enum err err = apart_run(&run, &command->setup, false);
    if (err == OK)
        *out = run.found->result;
    apart_finish(&run);
    return err;
}

static int run_seed(struct sim_command *command)
{
    static struct sim_result result; /* too large for a stack */
    instant began = clock_now();
    enum err err = run_one(command, &result);
    double wall_s = since_s(began);
    if (err == OK && !is_ok(&result) && !command->is_traced)
        err = explain(command, stderr, &command->setup, result.verdict);
    if (err != OK)
        return fail(err);
    bool is_written = said(sim_view_result(&command->setup, &result, wall_s));
    return is_written && is_ok(&result) ? EXIT_DONE : EXIT_FAILED;
}

/* ---- many ---- */

static void show_sum(struct sim_command *command, const struct seeds_sum *sum)
{
    char note[96];
    sim_view_sum(sum, note, sizeof note);
    uint64_t first, last;
    (void)sim_text_seeds(command->seeds, &first, &last);
    const struct progress_state state = {
        .count = sum->runs,
        .done = sum->runs,
        .total = last == (uint64_t)SIM_SEED_MOST ? 0 : last - first + 1,
        .note = note,
    };
    progress_update(&command->progress, &state, clock_now());
}

static void on_wait(void *context, const struct seeds_sum *sum)
{
    show_sum(context, sum);
}

static void note_failure(struct sim_command *command, const struct sim_setup *setup,
                         const char *verdict)
{
    if (command->first_verdict[0] == '\0')
        snprintf(command->first_verdict, sizeof command->first_verdict, "seed %" PRIu64 ": %s",
                 setup->seed, verdict);
    progress_clear(&command->progress);
    struct progress shown = command->progress;
    FILE *out = command->log_file != NULL ? command->log_file : stderr;
    fprintf(stderr, "seed %" PRIu64 ": %s\n", setup->seed, verdict);
    enum err err = explain(command, out, setup, verdict);
    if (err != OK)
        fprintf(stderr, "moonwatch sim: %s\n", err_text(err));
    fflush(out);
    command->progress = shown;
}

static void on_run(void *context, const struct sim_setup *setup, const struct apart_found *found,
                   const struct seeds_sum *sum)
{
    struct sim_command *command = context;
    if (!is_ok(&found->result) && !command->is_stopped_early) {
        note_failure(command, setup, found->result.verdict);
        command->is_stopped_early = command->stops_at_failure;
        if (command->stops_at_failure)
            is_stopped = 1;
    }
    show_sum(command, sum);
}

static unsigned at_once(const struct sim_command *command)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    int64_t wanted = command->at_once > 0 ? command->at_once : processors;
    return wanted < 1 ? 1 : wanted > SEEDS_AT_ONCE_MAX ? SEEDS_AT_ONCE_MAX : (unsigned)wanted;
}

static void stop_on_signals(void)
{
    struct sigaction action = {.sa_handler = on_stop};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static int run_seeds(struct sim_command *command, uint64_t first, uint64_t last)
{
    static struct seeds_sum sum;
    const struct seeds_setup setup = {.each = command->setup,
                                      .first = first,
                                      .last = last,
                                      .at_once = at_once(command),
                                      .on_run = on_run,
                                      .on_wait = on_wait,
                                      .context = command,
                                      .is_stopped = &is_stopped};
    instant began = clock_now();
    stop_on_signals();
    progress_begin(&command->progress, stderr, "moonwatch sim", "seeds");
    enum err err = seeds_run(&setup, &sum);
    progress_clear(&command->progress);
    if (err != OK)
        return fail(err);
    char note[96];
    sim_view_sum(&sum, note, sizeof note);
    fprintf(stderr, "%" PRIu64 " seeds, %s\n", sum.runs, note);
    if (command->setup.nodes == 0)
        sim_view_unreached(stderr, &sum); /* marks are the engine's */
    const char *verdict = sum.failed == 0 ? "ok" : command->first_verdict;
    bool is_written = said(sim_view_seeds(command->setup.nodes, &sum, verdict, since_s(began)));
    return is_written && sum.failed == 0 ? EXIT_DONE : EXIT_FAILED;
}

/* ---- what was asked for ---- */

static int complain_faults(const char *text, uint32_t nodes)
{
    fprintf(stderr, "moonwatch sim: --faults %s: all, none, or some of", text);
    for (int i = 0; i < sim_fault_kinds(nodes); i++)
        fprintf(stderr, "%s %s", i > 0 ? "," : "", sim_fault_kind_name(nodes, i));
    fputc('\n', stderr);
    return EXIT_USAGE;
}

static int complain(const char *sentence)
{
    fprintf(stderr, "moonwatch sim: %s\n", sentence);
    return EXIT_USAGE;
}

/* Its --keep needs the schedule that the other arguments make. */
static int take_keep(struct sim_command *command)
{
    struct sim_occurrence *schedule = sim_schedule(&command->setup, &command->occurrences);
    if (schedule == NULL)
        return fail(ERR_NO_MEMORY);
    free(schedule);
    command->dropped = sim_text_keep(command->keep, command->occurrences);
    command->setup.dropped = command->dropped;
    if (command->dropped != NULL)
        return EXIT_DONE;
    fprintf(stderr, "moonwatch sim: --keep %s: numbers from 0 to %zu, with commas between\n",
            command->keep, command->occurrences - (command->occurrences > 0));
    return EXIT_USAGE;
}

static int run_as_told(struct sim_command *command)
{
    uint64_t first, last;
    command->setup = (struct sim_setup){.seed = (uint64_t)command->seed,
                                        .hours = command->hours,
                                        .tokens = (uint32_t)command->tokens};
    if (command->nodes != NULL && !sim_text_nodes(command->nodes, &command->setup.nodes)) {
        fprintf(stderr, "moonwatch sim: --nodes %s: a number from 1 to %d, or any\n",
                command->nodes, SIM_NODES_MOST);
        return EXIT_USAGE;
    }
    if (!sim_text_faults(command->faults, command->setup.nodes, &command->setup.faults))
        return complain_faults(command->faults, command->setup.nodes);
    if (command->seeds == NULL) {
        int status = command->keep != NULL ? take_keep(command) : EXIT_DONE;
        return status == EXIT_DONE ? run_seed(command) : status;
    }
    if (!sim_text_seeds(command->seeds, &first, &last))
        return complain("--seeds takes FIRST..LAST, or FIRST.. for without end");
    if (command->keep != NULL || command->is_traced)
        return complain("--keep and --trace are of one --seed");
    if (command->log != NULL && (command->log_file = fopen(command->log, "ae")) == NULL) {
        perror(command->log);
        return EXIT_FAILED;
    }
    return run_seeds(command, first, last);
}

int command_sim(int argc, char *argv[])
{
    static struct sim_command command = {.seed = 1, .hours = 1, .faults = "all"};
    const struct argument rows[] = {
        {.name = "seed",
         .type = ARGUMENT_INTEGER,
         .value_name = "N",
         .target = &command.seed,
         .low = 0,
         .high = (double)SIM_SEED_MOST,
         .sentence = "The same seed gives the same run."},
        {.name = "seeds",
         .type = ARGUMENT_TEXT,
         .value_name = "A..B",
         .target = &command.seeds,
         .sentence = "Many, several at once; A.. goes on until it is stopped."},
        {.name = "hours",
         .type = ARGUMENT_REAL,
         .value_name = "H",
         .target = &command.hours,
         .low = 0.01,
         .high = 100000,
         .sentence = "Virtual time; the last quarter is without faults."},
        {.name = "tokens",
         .type = ARGUMENT_INTEGER,
         .value_name = "N",
         .target = &command.tokens,
         .low = 0,
         .high = 1000000,
         .sentence = "Tokens that graduate; 0 draws 10 to 5,000."},
        {.name = "nodes",
         .type = ARGUMENT_TEXT,
         .value_name = "N",
         .target = &command.nodes,
         .sentence = "So many nodes share the tokens, 1 to 20, or any; without it, one engine in "
                     "all detail."},
        {.name = "faults",
         .type = ARGUMENT_TEXT,
         .value_name = "LIST",
         .target = &command.faults,
         .sentence = "all, none, or names with commas between; each run draws some of them."},
        {.name = "keep",
         .type = ARGUMENT_TEXT,
         .value_name = "NUMBERS",
         .target = &command.keep,
         .sentence = "Only these single faults of those that the seed draws."},
        {.name = "trace",
         .type = ARGUMENT_SWITCH,
         .target = &command.is_traced,
         .sentence = "Tells the whole run, a line for all that happens."},
        {.name = "shrink",
         .type = ARGUMENT_SWITCH,
         .target = &command.shrinks,
         .sentence = "Makes a run that fails as small as it can be."},
        {.name = "until-failure",
         .type = ARGUMENT_SWITCH,
         .target = &command.stops_at_failure,
         .sentence = "Of many: stops at the first that fails."},
        {.name = "at-once",
         .type = ARGUMENT_INTEGER,
         .value_name = "N",
         .target = &command.at_once,
         .low = 0,
         .high = SEEDS_AT_ONCE_MAX,
         .sentence = "Of many: runs at a time; 0, a processor each."},
        {.name = "log",
         .type = ARGUMENT_TEXT,
         .value_name = "FILE",
         .target = &command.log,
         .sentence = "Of many: where the story of each that fails is appended."},
    };
    const struct argument_spec spec = {.rows = rows, .count = sizeof rows / sizeof rows[0]};
    enum arguments_result parsed = arguments_parse(argc, argv, &spec);
    if (parsed != ARGUMENTS_OK)
        return arguments_exit_status(parsed);
    int status = run_as_told(&command);
    free(command.dropped);
    if (command.log_file != NULL)
        fclose(command.log_file);
    return status;
}
