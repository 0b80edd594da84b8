/*
 * How busy the machine is, our cgroup on it, and we ourselves: one look a second.
 *
 * A reading is a double; what cannot be known is NaN, never 0: a file that is not there, a text
 * that makes no sense (counted), a limit that nobody has set. What the kernel counts (CPU, waiting)
 * becomes the rate since the look before, so the first look knows no rates, and a counter that went
 * back is unknown once.
 *
 * Only /proc and cgroup files are read, which no disk can block: some twenty small ones. The
 * tightest limit of our cgroup and those above it counts; of v1, memory alone. Where pressure is
 * not accounted for, or there is no cgroup, those readings are unknown and the others stand.
 */
#ifndef MOONWATCH_BASE_MACHINE_H
#define MOONWATCH_BASE_MACHINE_H

#include "base/cgroup.h"
#include "base/machine_reading.h"
#include "base/time.h"
#include <stddef.h>
#include <sys/types.h>

#define MACHINE_PROCESSES_MAX 4
#define MACHINE_ROOT_MAX      256 /* bytes of the folder that stands for "/", in tests */

enum machine_counter {
    COUNTER_TICKS_BUSY,
    COUNTER_TICKS,
    COUNTER_CGROUP_CPU_US,
    COUNTER_WAIT_NS,
    COUNTER_PRESSURE_US, /* six of them, in the order of the readings */
    MACHINE_COUNTER_COUNT = COUNTER_PRESSURE_US + 6
};

struct process_cpu {
    pid_t pid; /* 0: none */
    double used_s;
};

/* What is read each second and never moves: kept open. */
enum machine_file {
    FILE_STAT,
    FILE_SCHEDSTAT,
    FILE_PRESSURE, /* cpu, memory, io */
    FILE_MEMINFO = FILE_PRESSURE + 3,
    MACHINE_FILE_COUNT
};

struct machine {
    int files[MACHINE_FILE_COUNT]; /* −1: not open */
    char root[MACHINE_ROOT_MAX];
    char cpu_dir[PATH_MAX];    /* of the tightest limit; "": none is known of */
    char memory_dir[PATH_MAX]; /* the same */
    char own_dir[PATH_MAX];    /* the cgroup itself, of v2 */
    enum cgroup_version memory_version;
    double affinity; /* CPUs */
    instant looked_at;
    double counters[MACHINE_COUNTER_COUNT]; /* at the last look; NaN: unknown */
    struct process_cpu processes[MACHINE_PROCESSES_MAX];
    uint64_t bad_texts; /* ever */
};

/* The calling thread is the one whose waiting is read. */
void machine_init(struct machine *machine);
/* With another folder in the place of "/". */
void machine_init_under(struct machine *machine, const char *root);

/* The pids of our processes, the engine's first; 0: not running. */
void machine_look(struct machine *machine, const pid_t *pids, size_t count, instant now,
                  double out[MACHINE_READING_COUNT]);

#endif
