/*
 * What the kernel writes about its machine, as values: /proc/stat, /proc/meminfo, /proc/pressure
 * and their sisters in a cgroup (proc(5); Documentation/accounting/psi.rst and
 * admin-guide/cgroup-v2.rst of Linux). Pure: text in, values out.
 *
 * A text that is cut off, lacks its line or has something else in the place of a number is BAD, and
 * nothing is taken from it: half a number is a wrong one. NONE is what a text says itself ("max").
 */
#ifndef MOONWATCH_BASE_MACHINE_TEXT_H
#define MOONWATCH_BASE_MACHINE_TEXT_H

#include "base/err.h"
#include <stdint.h>

enum text_verdict { TEXT_OK, TEXT_NONE, TEXT_BAD };

/* /proc/stat, first line. In ticks, since the machine started, of all CPUs together. What the
 * hypervisor took away (steal) is busy: it is not there to be used. */
struct cpu_ticks {
    uint64_t busy, total;
};
enum text_verdict machine_parse_cpu(const char *text, struct cpu_ticks *out) MUST_CHECK;

/* /proc/meminfo, in bytes. Available is what can be had without swapping. */
struct memory_room {
    uint64_t total, available;
};
enum text_verdict machine_parse_memory(const char *text, struct memory_room *out) MUST_CHECK;

/* A pressure file: how long somebody has waited for this resource, ever, in µs ("some"). */
enum text_verdict machine_parse_pressure(const char *text, uint64_t *waited_us) MUST_CHECK;

/* cpu.max, "100000 50000" or "max 100000": how many CPUs. */
enum text_verdict machine_parse_cpu_limit(const char *text, double *cpus) MUST_CHECK;
/* memory.max, memory.current and v1's; v1 writes nearly 2^63 for no limit. */
enum text_verdict machine_parse_bytes(const char *text, uint64_t *bytes) MUST_CHECK;
/* The number behind `key` in lines of "key number": cpu.stat, memory.stat. */
enum text_verdict machine_parse_key(const char *text, const char *key, uint64_t *out) MUST_CHECK;

/* /proc/PID/statm. In pages; those shared with others are among the resident ones. */
struct process_pages {
    uint64_t resident, shared;
};
enum text_verdict machine_parse_pages(const char *text, struct process_pages *out) MUST_CHECK;

/* /proc/thread-self/schedstat: how long the thread was ready and waited for a CPU, in ns. */
enum text_verdict machine_parse_wait(const char *text, uint64_t *waited_ns) MUST_CHECK;

#endif
