/* What a group of processes uses: the daemon's three, or one peer's. */
#ifndef MOONWATCH_BENCH_USAGE_H
#define MOONWATCH_BENCH_USAGE_H

#include <stddef.h>
#include <sys/types.h>

/* User and system time so far, in seconds; NaN: one of them is not there. */
double usage_cpu_s(const pid_t pids[], size_t count);
/* PSS, in MB (10^6 bytes): what is shared counts once among all that share it. NaN: unknown. */
double usage_pss_mb(const pid_t pids[], size_t count);
/* The same as if nobody else had mapped what they have: each file as often as the one of them that
 * has most of it. At least PSS, and the same whatever else runs on the machine. */
double usage_alone_mb(const pid_t pids[], size_t count);
/* The same, but for files whose path has `part` in it (NULL: all count). */
double usage_alone_without_mb(const pid_t pids[], size_t count, const char *part);
/* Open descriptors of one process; 0: it is not there. */
unsigned usage_descriptors(pid_t pid);

#endif
