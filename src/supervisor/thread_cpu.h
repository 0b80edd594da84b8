/*
 * What a thread has had of the CPU, as the kernel tells it in /proc/PID/task/TID/stat (proc(5)) and
 * …/schedstat (the kernel's Documentation/scheduler/sched-stats.rst: nanoseconds on the CPU,
 * nanoseconds of waiting for it, times it was put on it). A thread that is runnable and has had
 * none waits for its turn. Allocates nothing.
 */
#ifndef MOONWATCH_SUPERVISOR_THREAD_CPU_H
#define MOONWATCH_SUPERVISOR_THREAD_CPU_H

#include "base/time.h"
#include <stdbool.h>
#include <sys/types.h>

struct thread_cpu {
    bool is_runnable; /* on the CPU, or would be; not asleep, stopped, or waiting for a disk */
    duration used;
};

/* False: there is no such thread, or the kernel does not tell. */
bool thread_cpu_read(pid_t process, pid_t thread, struct thread_cpu *out);

/* The two texts, pure. False: they are something else. */
bool thread_cpu_parse(const char *stat, const char *schedstat, struct thread_cpu *out);

#endif
