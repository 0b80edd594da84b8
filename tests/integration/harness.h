/*
 * What tests with real processes share: a sandbox folder, processes that cannot outlive the test,
 * HTTP, metrics, and waiting for events.
 *
 * A program of tests calls harness_run() with its cases. Each case gets a sandbox of its own; when
 * it is over, whatever still runs is killed and the sandbox is removed. When it failed, the end of
 * every process's log is printed first. A sanitizer's report in a log fails the case. In the
 * environment, INTEGRATION_KEEP leaves the sandbox there, INTEGRATION_ONLY=GLOB chooses cases.
 *
 * Nothing here waits for a time: it waits for an event, looks every WAIT_STEP_MS, and gives up at
 * a bound that a sound program keeps even on a busy machine.
 */
#ifndef MOONWATCH_TESTS_HARNESS_H
#define MOONWATCH_TESTS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/address.h"
#include "base/prng.h"
#include "base/sanitizer.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define WAIT_STEP_MS  5
#define WAIT_S        30 /* a generous bound: events come long before */
#define PATH_SIZE     512
#define ARGUMENTS_MAX 64
#define MINT_SIZE     (ADDRESS_TEXT_MAX + 1)
#define PROCESSES_MAX 256 /* of one case, dead ones included */
#define LOG_SHOWN_MAX 6000

/* How many times slower the programs are than usual: sanitizers. */
#if WITH_SANITIZER
#define SLOWNESS 4
#else
#define SLOWNESS 1
#endif

/* ---- cases ---- */

struct integration_case {
    const char *name;
    void (*body)(void);
};

/* argv: this program, moonwatch, moonwatch-market. Returns the number of failed cases. */
int harness_run(int argc, char *argv[], const struct integration_case *cases, size_t count);

/* "skipped: …", for a case that can't be run here and returns then. */
void harness_skip(const char *why);

/* Before the sandbox is removed. */
void harness_unmount_later(const char *path);

/* A path in the sandbox; static storage, used in turn, eight at once. */
const char *sandbox_path(const char *name);

/* ---- processes ---- */

struct process {
    pid_t pid;        /* 0: reaped */
    int status;       /* as waitpid() says, once reaped */
    unsigned port;    /* where it listens; 0 unknown */
    unsigned control; /* the market's control port */
    char log[PATH_SIZE];
};

/* `arguments` end with NULL; `environment`, too: NAME=VALUE added to ours, or NULL. */
struct process *process_start(const char *name, const char *program, const char *const arguments[],
                              const char *const environment[]);
/* Waits for the end. False when it does not come within `seconds`. */
bool process_wait(struct process *process, double seconds);
void process_signal(struct process *process, int number);
/* SIGTERM, and exit status 0 within five seconds (times SLOWNESS). */
void process_stop(struct process *process);
/* SIGKILL, and reaped. */
void process_kill(struct process *process);
/* The exit status, −1 when a signal ended it or it runs. */
int process_exit_status(const struct process *process);
bool process_is_running(struct process *process);
/* Is this in what it has printed so far? */
bool process_has_said(const struct process *process, const char *text);
void expect_said(const struct process *process, const char *text);

const char *moonwatch_program(void);
const char *market_program(void);

/* A market on free ports; `extra` may be NULL. */
struct process *market_start(const char *const extra[]);
/* A daemon on a free port, on `database` in the sandbox, with this market (NULL: none; then the
 * feed's address refuses connections and there is no source). Waits until it listens. */
struct process *daemon_start(const struct process *market, const char *database,
                             const char *const extra[]);
/* The same, not waiting; for those that are to fail. */
struct process *daemon_spawn(const struct process *market, const char *database,
                             const char *const extra[], const char *const environment[]);
bool daemon_await_port(struct process *daemon);

/* ---- HTTP ---- */

struct answer {
    int status; /* 0: none came */
    char *body;
    size_t length;
    double seconds;
};

struct call {
    const char *method, *path, *body;
    double patience_s; /* 0: WAIT_S */
    const char *host;  /* NULL: this machine */
    const char *token; /* of the api; NULL: none */
};

/* To be freed with answer_free(). */
struct answer http_call(unsigned port, const struct call *call);
void answer_free(struct answer *answer);
/* Calls, frees, and returns the status only. */
int http_status(unsigned port, const char *method, const char *path, const char *body);
/* Expects 200 and JSON; to be released with json_decref(). */
json_t *http_json(unsigned port, const char *path);
/* The text of /ready, /metrics and the like; to be freed. */
char *http_text(unsigned port, const char *path);
/* The value of a setting as it is in force. */
void expect_setting(const struct process *daemon, const char *key, const char *value);
void put_setting(const struct process *daemon, const char *key, const char *value);
int post_token(const struct process *daemon, const char *mint, double patience_s);
/* GET /tokens/{mint} answers 200. */
bool has_token(const struct process *daemon, const char *mint);
/* GET /health answers 200, and soon. */
void expect_healthy(const struct process *daemon);

/* On the market's control port. */
void market_fault(const struct process *market, const char *json);
void market_end_faults(const struct process *market);
double market_stat(const struct process *market, const char *kind, const char *name);

/* ---- metrics ---- */

/* Without "moonwatch_"; the sum of all lines of that name that have `labels` in them (NULL: all).
 * Fails when there is none. */
double metric(const struct process *daemon, const char *name, const char *labels);
double metric_in(const char *text, const char *name, const char *labels, bool *found);

/* ---- waiting ---- */

double now_s(void); /* monotonic */
void rest(void);    /* one step */

typedef bool predicate(void *context);
bool wait_until(predicate *is_true, void *context, double seconds);
#define expect_soon(is_true, context)                                                              \
    do {                                                                                           \
        if (!wait_until((is_true), (context), WAIT_S * SLOWNESS))                                  \
            fail_msg("%s did not come true within %d s", #is_true, WAIT_S *SLOWNESS);              \
    } while (0)

struct metric_goal {
    const struct process *daemon;
    const char *name, *labels;
    double least;
};
/* A predicate: the metric has reached its goal. Looks whether /health answers, too. */
bool metric_reached(void *metric_goal);
/* Waits for it. */
void expect_metric(const struct process *daemon, const char *name, const char *labels,
                   double least);

/* ---- mints ---- */

void random_mint(struct prng *prng, char out[MINT_SIZE]);
/* From the environment (INTEGRATION_SEED) or the clock; printed. */
uint64_t harness_seed(void);

/* ---- files ---- */

void write_file(const char *path, const char *text);
/* All of it and a NUL; to be freed. NULL: there is none. */
char *read_file(const char *path, size_t *length);

#endif
