/*
 * Drills: `moonwatch drill` shows that the daemon heals. Each puts a real daemon into a sandbox
 * folder of its own, against moonwatch-market, applies one fault to it, and measures.
 *
 *   drills.def          the drills, a row each; drills_*.c and drill_load.c their functions
 *   drill.h, drill.c    the course of one: set up, strike, notice, recover, verdict
 *   sandbox.c           its processes: the market, the supervisor, and what the faults lie in
 *   population.c        its tokens: acknowledged ones, fresh ones, lost ones
 *   witness.c           processes that use the daemon all the while, and count what fails
 *   look.c              what the daemon shows of itself: status page, metrics, incidents
 *   patience.c          how long to wait, on a machine that may be busy
 *   ages.c              everybody's age, against the optimum
 *   expect.c            what must hold at the end
 *   runner.c            all drills, in processes of their own
 *
 * The course of a drill:
 *
 *   set up     some hundred tokens are acknowledged and fresh, /ready says yes, the witnesses work
 *   strike     the fault is applied: from outside (signals, a filled disk, a lock, the market's
 *              faults) or at a fault point (page/faults.h), which only a supervisor that a drill
 *              forked hands to its engine: no option, environment or network can arm one
 *   notice     the daemon shows that it knows: NOTICED AFTER counts from the strike
 *   end        where the fault lasts, it is taken away
 *   recover    every followed token was refreshed after the fault's end, and /ready says yes:
 *              RECOVERED AFTER counts from the end (of a fault that is a moment: from the strike)
 *   verdict    what the drill itself demands; then the daemon is stopped, and every token that was
 *              ever acknowledged must be known to the API and stand in the store: LOST counts those
 *              that do not
 *
 * Each drill runs in a process of its own, which ends when the verdict is known: nothing of it
 * needs to be undone in order, since the runner kills its whole process group and removes its
 * sandbox, however it ended.
 */
#ifndef MOONWATCH_DRILL_DRILL_H
#define MOONWATCH_DRILL_DRILL_H

#include "base/time.h"
#include "drill/sandbox.h"
#include "page/status_page.h"
#include <stdbool.h>
#include <stdint.h>

struct drill;

/* Drills that measure what the machine's load would change run without a second one beside them. */
enum drill_company { DRILL_PAIRED, DRILL_ALONE };

struct drill_row {
    const char *name;
    enum drill_company company;
    double limit_s; /* of patience; then it has failed */
    const char *fault;
    void (*run)(struct drill *drill);
};

#define DRILL_VERDICT_LIST(X)                                                                      \
    X(DRILL_HEALED, "healed")                                                                      \
    X(DRILL_FAILED, "failed")                                                                      \
    X(DRILL_SKIPPED, "skipped") /* this machine or user cannot apply the fault */

enum drill_verdict {
#define X(code, name) code,
    DRILL_VERDICT_LIST(X)
#undef X
        DRILL_VERDICT_COUNT
};

#define DRILL_REASON_SIZE 400
#define DRILL_FIGURES_MAX 8

/* A number that a drill measured besides the usual ones. */
struct drill_figure {
    char name[40];
    double value;
};

struct drill_result {
    enum drill_verdict verdict;
    double noticed_s, recovered_s; /* NaN: it did not come to that */
    double took_s;
    uint32_t acknowledged, lost;
    uint32_t asked, unanswered, connections; /* requests of witnesses since the strike; new ones */
    struct drill_figure figures[DRILL_FIGURES_MAX];
    uint32_t figure_count;
    char reason[DRILL_REASON_SIZE]; /* of a failure or a skip; else what is worth to be known */
};

/* What the page said when the fault struck. */
struct drill_before {
    uint64_t counters[COUNTER_COUNT];
    uint64_t pids[PROCESS_COUNT], starts[PROCESS_COUNT];
    uint64_t incident;
    double generation;
    uint32_t asked, unanswered, connections; /* what the witnesses had counted */
};

struct drill {
    const struct drill_row *row;
    struct sandbox sandbox;
    struct drill_result result;
    int result_fd;
    double began_s, struck_s, ended_s; /* now_s() */
    instant struck_at, ended_at;       /* the same on the daemon's timeline */
    struct drill_before before;
    char spared[MINT_SIZE]; /* a token that recovery does not wait for; "" none */
};

size_t drill_count(void);
const struct drill_row *drill_row(size_t index);
const char *drill_verdict_name(enum drill_verdict verdict);

/* Runs one to its verdict, which is written to `result_fd`. Never returns. */
struct drill_place {
    const char *folder;    /* its own, empty */
    const char *moonwatch; /* the program */
    const char *market;
    int result_fd;
};
_Noreturn void drill_run(const struct drill_row *row, const struct drill_place *place);

/* ---- for the drills ---- */

/* Of the daemon and the market besides the usual; NULL-terminated, NULL: none. */
struct drill_setup {
    const char *const *options, *const *market;
    unsigned tokens; /* acknowledged before the strike; 0: POPULATION_IMPORTED */
};

void drill_set_up(struct drill *drill, const struct drill_setup *setup);

/* Says what is done and starts the watch: before the fault is applied. */
__attribute__((format(printf, 2, 3))) void drill_strike(struct drill *drill, const char *format,
                                                        ...);

/* Looks every millisecond until `sign` is true; after `seconds` (patience.h) the drill has failed.
 */
typedef bool drill_sign(struct drill *drill);
struct drill_wait {
    drill_sign *sign;
    double seconds;
    const char *what; /* "the engine is replaced" */
};
void drill_await(struct drill *drill, const struct drill_wait *wait);
/* The same, and false in the place of a failure. */
bool drill_comes_true(struct drill *drill, const struct drill_wait *wait);
/* The same, and what is awaited is that the daemon has noticed. */
void drill_await_notice(struct drill *drill, const struct drill_wait *wait);
/* The sign that was awaited by other means came just now. */
void drill_noticed(struct drill *drill, const char *what);

/* The fault has been taken away. */
__attribute__((format(printf, 2, 3))) void drill_end_fault(struct drill *drill, const char *format,
                                                           ...);
void drill_await_recovery(struct drill *drill, double seconds);

__attribute__((format(printf, 2, 3))) void drill_say(struct drill *drill, const char *format, ...);
__attribute__((format(printf, 2, 3))) _Noreturn void drill_fail(struct drill *drill,
                                                                const char *format, ...);
__attribute__((format(printf, 2, 3))) _Noreturn void drill_skip(struct drill *drill,
                                                                const char *format, ...);
void drill_figure(struct drill *drill, const char *name, double value);
/* For the table's last column, when all is well. */
__attribute__((format(printf, 2, 3))) void drill_note(struct drill *drill, const char *format, ...);

#define DRILL(function, name, company, limit_s, fault) void drill_##function(struct drill *drill);
#include "drill/drills.def"
#undef DRILL

double now_s(void); /* monotonic */
void rest_ms(unsigned ms);

#endif
