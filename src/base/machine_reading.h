/* What is read of the machine (machine.h), for those who judge and show it. */
#ifndef MOONWATCH_BASE_MACHINE_READING_H
#define MOONWATCH_BASE_MACHINE_READING_H

/* X(code, metric name without "moonwatch_load_", help). Ratios are of 1. */
#define MACHINE_READING_LIST(X)                                                                    \
    X(READING_CORES, "cores", "CPUs that we may use, by affinity and the cgroup's limit")          \
    X(READING_CPU, "machine_cpu_ratio", "CPU of the machine in use, steal included")               \
    X(READING_CGROUP_CPU, "cgroup_cpu_ratio", "CPU of the cgroup over its limit")                  \
    X(READING_OWN_CPU, "own_cpu_ratio", "CPU of our processes over what they may use")             \
    X(READING_ENGINE_CPU, "engine_cpu_cores", "CPU of the engine, seconds a second")               \
    X(READING_WAIT, "engine_wait_ratio",                                                           \
      "Share of the time in which the engine's loop was ready and waited for a CPU")               \
    X(READING_MEMORY, "machine_memory_ratio", "Memory of the machine that is not available")       \
    X(READING_CGROUP_MEMORY, "cgroup_memory_ratio", "Memory of the cgroup over its limit")         \
    X(READING_OWN_MEMORY, "own_memory_bytes",                                                      \
      "Memory of our processes that others do not share, and the token table")                     \
    X(READING_MEMORY_LIMIT, "memory_limit_bytes", "Memory of the machine, or the cgroup's limit")  \
    X(READING_CPU_PRESSURE, "machine_cpu_pressure_ratio",                                          \
      "Share of the time in which somebody waited for a CPU")                                      \
    X(READING_MEMORY_PRESSURE, "machine_memory_pressure_ratio", "The same for memory")             \
    X(READING_IO_PRESSURE, "machine_io_pressure_ratio", "The same for disks")                      \
    X(READING_CGROUP_CPU_PRESSURE, "cgroup_cpu_pressure_ratio",                                    \
      "Share of the time in which somebody of the cgroup waited for a CPU")                        \
    X(READING_CGROUP_MEMORY_PRESSURE, "cgroup_memory_pressure_ratio", "The same for memory")       \
    X(READING_CGROUP_IO_PRESSURE, "cgroup_io_pressure_ratio", "The same for disks")                \
    X(READING_DESCRIPTORS, "open_descriptors", "Of the process of ours that has most")             \
    X(READING_DESCRIPTORS_MAX, "max_descriptors", "Descriptors that a process may have")

enum machine_reading {
#define X(code, name, help) code,
    MACHINE_READING_LIST(X)
#undef X
        MACHINE_READING_COUNT
};

#endif
