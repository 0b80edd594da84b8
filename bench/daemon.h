/*
 * The real daemon under measurement: the supervisor of `moonwatch run` in a process of its own,
 * with the built moonwatch as engine and api, watched through its status page, which the control
 * socket hands out. It shares the driver's timeline: clock_now() here and there agree.
 */
#ifndef MOONWATCH_BENCH_DAEMON_H
#define MOONWATCH_BENCH_DAEMON_H

#include "base/options.h"
#include "base/time.h"
#include "page/command.h"
#include "page/faults.h"
#include "page/status_page.h"
#include <limits.h>
#include <sys/types.h>

#define DAEMON_OPTIONS_MAX 24

struct daemon_option {
    const char *name, *value;
};

struct daemon_spec {
    const char *program;                 /* moonwatch */
    const char *folder;                  /* of its log and, by default, its database */
    const struct daemon_option *options; /* a NULL name at their end */
};

struct daemon {
    char folder[PATH_MAX];
    struct options options;
    pid_t pid;                      /* the supervisor's */
    const struct status_page *page; /* read-only */
    struct faults *faults;          /* to be armed */
};

/* Waits until its page can be seen. False with a sentence on stderr. */
bool daemon_start(struct daemon *daemon, const struct daemon_spec *spec);
/* The same by exec of `moonwatch run`, as a person starts it: nothing is inherited, its timeline
 * begins by itself. *began is the moment before exec. */
bool daemon_exec(struct daemon *daemon, const struct daemon_spec *spec, instant *began);
/* Until engine and api are at work. */
bool daemon_await_running(const struct daemon *daemon, duration patience);
/* Until all tokens are in their lanes: an engine works with the first of them sooner. */
bool daemon_await_loaded(const struct daemon *daemon, duration patience);
/* As after its first seconds: what fills a large table has been put into huge pages
 * (engine/huge.h), or the kernel has none. */
void daemon_await_settled(const struct daemon *daemon);
/* All of it, by force: what it leaves is what a power cut would. */
void daemon_kill(struct daemon *daemon);

pid_t daemon_engine(const struct daemon *daemon);
instant daemon_engine_ready_at(const struct daemon *daemon);
uint64_t daemon_engine_state(const struct daemon *daemon);
/* Until an engine is ready that was not at `since`. When that was; never: it did not come. */
instant daemon_await_ready(const struct daemon *daemon, instant since, duration patience);
/* Of the api that listens on port 0: the one that was found free, from the log; 0: it is not there.
 */
unsigned daemon_port(const struct daemon *daemon);
uint64_t daemon_counter(const struct daemon *daemon, enum counter counter);

/* Asks through the control socket, and waits until it is done; `kind` is one without arguments.
 * False with a sentence on stderr. */
bool daemon_ask(const struct daemon *daemon, enum command_kind kind);
bool daemon_set(const struct daemon *daemon, const char *setting, const char *value);

/* CPU time of its three processes so far, in seconds. */
double daemon_cpu_s(const struct daemon *daemon);

#endif
