/*
 * Memory: how much a process holds, how much it may, and whether the kernel killed for want of it.
 *
 * The CEILING is memory_max_mb, else nine tenths of the smallest limit of our cgroup and those
 * above it (v2's memory.max, v1's memory.limit_in_bytes), else there is none. A process over it is
 * restarted gracefully, before the kernel ends it at a moment of its own choice; at most once in
 * MEMORY_RESTART_SEC. When its replacement is over the ceiling again within that time, a restart
 * is no cure: that is said, and nothing is done for MEMORY_FUTILE_SEC.
 *
 * What is read is text of the kernel's (proc(5), Documentation/admin-guide/cgroup-v2.rst); the
 * parsers are pure.
 */
#ifndef MOONWATCH_SUPERVISOR_MEMORY_H
#define MOONWATCH_SUPERVISOR_MEMORY_H

#include "base/cgroup.h"
#include "base/options.h"
#include "base/time.h"
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MEMORY_RESTART_SEC 600  /* between two restarts: each costs a drain and a start */
#define MEMORY_FUTILE_SEC  3600 /* after a restart that did not help */
/* Longer than a path that can be opened: none that we put together is cut, and names another. */
#define MEMORY_PATH_SIZE (2 * PATH_MAX)
#define MEMORY_RETRY_SEC 10 /* after one that could not be begun: what was short may be there */

enum memory_verdict {
    MEMORY_FINE,    /* under the ceiling, or there is none */
    MEMORY_RESTART, /* over it: restart gracefully */
    MEMORY_FUTILE,  /* said once: the replacement is over it again; not before an hour is over */
    MEMORY_OVER,    /* over it, and it is known */
};

struct memory_watch {
    uint64_t ceiling; /* bytes; 0: none */
    pid_t asked_for;  /* the process that was to be restarted last; 0: none yet */
    instant not_before;
    bool is_futile;
    uint64_t kills; /* by the kernel, as last seen */
    char kills_path[MEMORY_PATH_SIZE];
};

void memory_watch_init(struct memory_watch *watch, const struct options *options);
/* The same with another folder in the place of "/", for tests. */
void memory_watch_init_under(struct memory_watch *watch, const struct options *options,
                             const char *root);

/* Bytes in RAM; 0: there is no such process. Shared memory that it has touched counts, so the token
 * table does. */
uint64_t memory_resident(pid_t pid);

/* True when this process is to be restarted gracefully now; says so in the log. */
bool memory_is_over(struct memory_watch *watch, pid_t pid, uint64_t resident, instant now);

/* The restart could not be begun: asked for again after MEMORY_RETRY_SEC. */
void memory_retry(struct memory_watch *watch, instant now);

/* True when the kernel killed somebody since the last look: in our cgroup, or where that does not
 * count, on this machine. For who died of SIGKILL and not by us. */
bool memory_was_killed(struct memory_watch *watch);

/* ---- pure ---- */

enum memory_verdict memory_judge(struct memory_watch *watch, pid_t pid, uint64_t resident,
                                 instant now);

/* /proc/PID/statm: the second number, in pages. */
bool memory_parse_statm(const char *text, uint64_t *pages) MUST_CHECK;
/* memory.max or memory.limit_in_bytes. False: no limit ("max", or v1's nearly 2^63), or no number.
 */
bool memory_parse_limit(const char *text, uint64_t *bytes) MUST_CHECK;
/* The number behind `key` in lines of "key number": memory.events, memory.oom_control, vmstat. */
bool memory_parse_count(const char *text, const char *key, uint64_t *count) MUST_CHECK;

#endif
