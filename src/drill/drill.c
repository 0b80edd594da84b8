/* The course of one drill. See drill.h. */
#include "drill/drill.h"

#include "drill/look.h"
#include "drill/patience.h"
#include "drill/population.h"
#include "drill/witness.h"
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_EVERY_MS  1
#define FRESH_EVERY_MS 10 /* the list of all tokens is a few dozen kilobytes */
#define FIRST_FRESH_S  20
#define LINE_SIZE      512
#define NAME_WIDTH     21

static const struct drill_row rows[] = {
#define DRILL(function, name, company, limit_s, fault)                                             \
    {name, company, limit_s, fault, drill_##function},
#include "drill/drills.def"
#undef DRILL
};

static const char *const verdict_names[] = {
#define X(code, name) [code] = name,
    DRILL_VERDICT_LIST(X)
#undef X
};

size_t drill_count(void)
{
    return sizeof rows / sizeof rows[0];
}

const struct drill_row *drill_row(size_t index)
{
    return &rows[index];
}

const char *drill_verdict_name(enum drill_verdict verdict)
{
    return verdict_names[verdict];
}

double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void rest_ms(unsigned ms)
{
    const struct timespec span = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&span, NULL);
}

/* ---- what is said ---- */

/* One write a line, since another drill may be speaking, too. */
__attribute__((format(printf, 2, 0))) static void say(const struct drill *drill, const char *format,
                                                      va_list arguments)
{
    char line[LINE_SIZE];
    int used = snprintf(line, sizeof line, "%-*s%8.3f s  ", NAME_WIDTH, drill->row->name,
                        now_s() - drill->began_s);
    used += vsnprintf(line + used, sizeof line - (size_t)used, format, arguments);
    used = used < LINE_SIZE - 1 ? used : LINE_SIZE - 2;
    line[used] = '\n';
    (void)!write(STDERR_FILENO, line, (size_t)used + 1);
}

void drill_say(struct drill *drill, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(drill, format, arguments);
    va_end(arguments);
}

void drill_note(struct drill *drill, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(drill->result.reason, sizeof drill->result.reason, format, arguments);
    va_end(arguments);
}

void drill_figure(struct drill *drill, const char *name, double value)
{
    struct drill_result *result = &drill->result;
    if (result->figure_count == DRILL_FIGURES_MAX)
        return;
    struct drill_figure *figure = &result->figures[result->figure_count++];
    snprintf(figure->name, sizeof figure->name, "%s", name);
    figure->value = value;
}

/* ---- the verdict ---- */

static _Noreturn void end(struct drill *drill, enum drill_verdict verdict)
{
    drill->result.verdict = verdict;
    drill->result.took_s = now_s() - drill->began_s;
    if (drill->sandbox.mints != NULL)
        drill->result.acknowledged = population_acknowledged(drill);
    witness_count(drill);
    const struct drill_result result = drill->result;
    (void)!write(drill->result_fd, &result, sizeof result);
    _exit(0);
}

void drill_fail(struct drill *drill, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(drill->result.reason, sizeof drill->result.reason, format, arguments);
    va_end(arguments);
    drill_say(drill, "FAILED: %s", drill->result.reason);
    sandbox_show_log(drill);
    end(drill, DRILL_FAILED);
}

void drill_skip(struct drill *drill, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(drill->result.reason, sizeof drill->result.reason, format, arguments);
    va_end(arguments);
    drill_say(drill, "skipped: %s", drill->result.reason);
    end(drill, DRILL_SKIPPED);
}

/* Nothing that was acknowledged is lost: neither while it runs, nor to the one after it. */
static void judge(struct drill *drill)
{
    witness_stop(drill);
    uint32_t lost = population_lost(drill);
    int status = sandbox_stop_daemon(drill);
    if (status != 0)
        drill_fail(drill, "the daemon did not end well (exit status %d)", status);
    uint32_t missing = population_lost_in_store(drill);
    drill->result.lost = lost > missing ? lost : missing;
    if (drill->result.lost > 0)
        drill_fail(drill, "%u of %u acknowledged tokens are lost (%u to the API, %u to the store)",
                   drill->result.lost, population_acknowledged(drill), lost, missing);
}

void drill_run(const struct drill_row *row, const struct drill_place *place)
{
    static struct drill drill;
    drill.row = row;
    drill.result_fd = place->result_fd;
    drill.result.noticed_s = drill.result.recovered_s = NAN;
    drill.began_s = now_s();
    drill.sandbox.folder = place->folder;
    drill.sandbox.moonwatch = place->moonwatch;
    drill.sandbox.market_program = place->market;
    drill.sandbox.faults_fd = -1;
    signal(SIGPIPE, SIG_IGN);
    row->run(&drill);
    judge(&drill);
    drill_say(&drill, "healed");
    end(&drill, DRILL_HEALED);
}

/* ---- its course ---- */

static bool await(struct drill *drill, const struct drill_wait *wait, unsigned every_ms)
{
    struct patience patience;
    patience_start(&patience, wait->seconds);
    while (!wait->sign(drill)) {
        if (patience_is_over(&patience))
            return false;
        rest_ms(every_ms);
    }
    return true;
}

bool drill_comes_true(struct drill *drill, const struct drill_wait *wait)
{
    return await(drill, wait, LOOK_EVERY_MS);
}

void drill_await(struct drill *drill, const struct drill_wait *wait)
{
    if (!drill_comes_true(drill, wait))
        drill_fail(drill, "not within %g s: %s", wait->seconds, wait->what);
}

static bool is_well(struct drill *drill)
{
    return population_is_fresh(drill) && look_is_ready(drill);
}

void drill_set_up(struct drill *drill, const struct drill_setup *setup)
{
    static const struct drill_setup nothing = {NULL, NULL, 0};
    setup = setup == NULL ? &nothing : setup;
    unsigned tokens = setup->tokens == 0 ? POPULATION_IMPORTED : setup->tokens;
    sandbox_start_market(drill, setup->market);
    population_read(drill);
    sandbox_set_options(drill, setup->options);
    sandbox_start_daemon(drill);
    sandbox_put_budgets(drill, SANDBOX_BUDGET);
    population_import(drill, 0, tokens);
    drill->sandbox.imported = tokens;
    if (!await(drill, &(struct drill_wait){is_well, FIRST_FRESH_S, ""}, FRESH_EVERY_MS))
        drill_fail(drill, "the tokens did not become fresh before there was a fault");
    witness_start(drill);
    drill_say(drill, "%u tokens are acknowledged and fresh; clients ask and add", tokens);
}

static void remember(struct drill *drill)
{
    const struct status_page *page = drill->sandbox.page;
    struct drill_before *before = &drill->before;
    for (unsigned i = 0; i < COUNTER_COUNT; i++)
        before->counters[i] = atomic_load(&page->counters[i]);
    for (unsigned i = 0; i < PROCESS_COUNT; i++) {
        before->pids[i] = atomic_load(&page->processes[i].pid);
        before->starts[i] = atomic_load(&page->processes[i].starts);
    }
    before->incident = atomic_load(&page->incident);
    before->generation = page_get(page, GAUGE_GENERATION);
    witness_begin_count(drill);
}

void drill_strike(struct drill *drill, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(drill, format, arguments);
    va_end(arguments);
    remember(drill);
    drill->struck_at = drill->ended_at = look_now(drill);
    drill->struck_s = drill->ended_s = now_s();
}

void drill_noticed(struct drill *drill, const char *what)
{
    drill->result.noticed_s = now_s() - drill->struck_s;
    drill_say(drill, "noticed after %.3f s: %s", drill->result.noticed_s, what);
}

void drill_await_notice(struct drill *drill, const struct drill_wait *wait)
{
    drill_await(drill, wait);
    drill_noticed(drill, wait->what);
}

void drill_end_fault(struct drill *drill, const char *format, ...)
{
    va_list arguments;
    drill->ended_at = look_now(drill);
    drill->ended_s = now_s();
    va_start(arguments, format);
    say(drill, format, arguments);
    va_end(arguments);
}

void drill_await_recovery(struct drill *drill, double seconds)
{
    if (!await(drill, &(struct drill_wait){is_well, seconds, ""}, FRESH_EVERY_MS)) {
        population_show_stale(drill);
        drill_fail(drill, "not every token was refreshed within %g s of the fault's end", seconds);
    }
    drill->result.recovered_s = now_s() - drill->ended_s;
    drill_say(drill, "recovered after %.3f s: every token was refreshed, and /ready says yes",
              drill->result.recovered_s);
}
