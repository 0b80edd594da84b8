/*
 * A real supervisor in a process of its own, over fake children (fake_child.h), looked at from
 * outside: through the status page that its control socket hands out, its folder and its log.
 */
#ifndef MOONWATCH_TESTS_SUPERVISED_H
#define MOONWATCH_TESTS_SUPERVISED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/sanitizer.h"
#include "fake_child.h"
#include "page/command.h"
#include "page/faults.h"
#include "supervisor/supervisor.h"
#include <sys/types.h>

#define TRACE_SIZE 8192

/* Sanitizers take their time. */
#if WITH_SANITIZER
#define SLOWNESS 4
#else
#define SLOWNESS 1
#endif

/* As long as a sound child may be kept from the processor by a busy machine: most tests are not
 * about hangs, and those that are wait for it. */
#define HEARTBEAT_MS 500

/* The machine's failures, as the test orders them; seen by the supervisor's process. */
struct injected {
    _Atomic int socketpair_errno, accept_errno, peer_errno, pidfd_errno, memfd_errno, ppoll_errno,
        open_errno, socket_errno, listen_errno, readlink_errno;
    _Atomic int after_times;   /* calls of its kind that do as they can before */
    _Atomic int for_times;     /* then the machine does as it can; 0: it does */
    _Atomic int clock_step_s;  /* of the wall clock */
    _Atomic int kernel_killed; /* for want of memory */
    _Atomic int is_starving;   /* every thread is runnable, and gets no CPU */
    _Atomic long allocations;
};

struct supervised {
    struct options options; /* may be changed before the start */
    struct fake_script *script;
    int script_fd;
    struct injected *injected;
    const char *program;   /* NULL: the fake; "": its own */
    char *arguments[2];    /* the fake's script */
    char **many_arguments; /* instead; or NULL */
    int faults;            /* descriptor; −1 */
    void (*before)(void);  /* in the supervisor's process, before it is one; or NULL */
    pid_t pid;
    struct status_page *page; /* read-only; stays mapped when the supervisor is gone */
};

/* Of a test program: takes the fake's path from its arguments. When a supervisor has started it as
 * its own program, it becomes the fake. */
void supervised_main(int argc, char *argv[]);
/* With two more arguments, I and N, every N-th test from the I-th: several of one program, side by
 * side, wait for less long. */
int supervised_run(const struct CMUnitTest *tests, size_t count);

/* For cmocka: a folder, a script without orders and options that are quick. */
int supervised_begin(void **state);
int supervised_end(void **state);
struct supervised *supervised(void);

void supervised_start(void);        /* waits until its control socket answers */
void supervised_look(void);         /* maps the page that its control socket hands out */
void supervised_start_and_up(void); /* and engine and api run */
int supervised_wait(void);          /* for its end; its exit status, or −signal */
int supervised_stop(void);          /* SIGTERM, and its end */
int supervised_control(void);       /* a socket to it */
struct reply supervised_ask(enum command_kind kind);
const char *supervised_path(const char *name);
const char *supervised_log(void);
/* What the newest incident says; "" none. `part` of it must be in there, or the test fails. */
void expect_incident(uint64_t number, const char *part);

struct fake_orders *orders_of(enum page_process_id process);
void order(enum page_process_id process, enum fake_act act); /* now */
uint64_t pid_of(enum page_process_id process);
uint64_t counted(enum counter counter);

/* Transitions of a process, as "absent>starting starting>running"; of the engine, a standby's are
 * among them. */
const char *trace_of(enum page_process_id process);
void expect_trace(enum page_process_id process, const char *expected);

/* Waits, with a bound that a sound program keeps on a busy machine: one whose disk stands still for
 * seconds, or whose kernel lets nobody end for half a minute. */
#define expect_soon(condition)                                                                     \
    do {                                                                                           \
        for (int turns = 0; !(condition); turns++) {                                               \
            if (turns > 60000 * SLOWNESS)                                                          \
                fail_msg("does not come true: %s\n%s", #condition, supervised_log());              \
            usleep(1000);                                                                          \
        }                                                                                          \
    } while (0)

void expect_state(enum page_process_id process, enum process_state state);
void expect_starts(enum page_process_id process, uint64_t starts); /* at work for that time */

#endif
