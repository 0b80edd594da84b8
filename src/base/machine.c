/* See machine.h. */
#include "base/machine.h"

#include "base/machine_text.h"
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEXT_SIZE     8192 /* memory.stat has 2 KiB; of /proc/stat the first line is enough */
#define CGROUP_LEVELS 64   /* more than anybody nests; a bound for the walk up */

static const char *const resources[] = {"cpu", "memory", "io"};
static const char *const pressures[] = {"/proc/pressure/cpu", "/proc/pressure/memory",
                                        "/proc/pressure/io"};
#define RESOURCES 3

/* ---- reading ---- */

static bool read_file(const char *path, char text[TEXT_SIZE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, text, TEXT_SIZE - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    return length > 0;
}

__attribute__((format(printf, 3, 4))) static bool
read_under(const struct machine *machine, char text[TEXT_SIZE], const char *format, ...)
{
    char path[MACHINE_ROOT_MAX + PATH_MAX];
    size_t length = (size_t)snprintf(path, sizeof path, "%s", machine->root);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path + length, sizeof path - length, format, arguments);
    va_end(arguments);
    return read_file(path, text);
}

/* As read_under(); under another root, where files come and go, nothing is kept open. */
static bool read_kept(struct machine *machine, enum machine_file file, const char *path,
                      char text[TEXT_SIZE])
{
    int *fd = &machine->files[file];
    if (machine->root[0] != '\0')
        return read_under(machine, text, "%s", path);
    if (*fd < 0)
        *fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = *fd < 0 ? -1 : pread(*fd, text, TEXT_SIZE - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    return length > 0;
}

/* What makes no sense is unknown, and counted. */
static bool accept(struct machine *machine, enum text_verdict verdict)
{
    machine->bad_texts += verdict == TEXT_BAD;
    return verdict == TEXT_OK;
}

/* ---- where we are: the cgroup with the tightest limit ---- */

/* To the one above; false at the top. */
static bool go_up(char path[PATH_MAX])
{
    char *last = strrchr(path, '/');
    if (last == NULL || last[1] == '\0')
        return false;
    last[last == path] = '\0';
    return true;
}

/* "" when it is too long to be one. */
static void dir_in(const char *mount, const char *path, char out[PATH_MAX])
{
    const char *place = strcmp(path, "/") == 0 ? "" : path;
    if (snprintf(out, PATH_MAX, "%s%s", mount, place) >= PATH_MAX)
        out[0] = '\0';
}

typedef double limit_of(struct machine *machine, const char *dir);

static double memory_limit_in(struct machine *machine, const char *dir)
{
    char text[TEXT_SIZE];
    uint64_t bytes;
    const char *name =
        machine->memory_version == CGROUP_V1 ? "memory.limit_in_bytes" : "memory.max";
    if (!read_under(machine, text, "%s/%s", dir, name) ||
        !accept(machine, machine_parse_bytes(text, &bytes)))
        return NAN;
    return (double)bytes;
}

static double cpu_limit_in(struct machine *machine, const char *dir)
{
    char text[TEXT_SIZE];
    double cpus;
    if (!read_under(machine, text, "%s/cpu.max", dir) ||
        !accept(machine, machine_parse_cpu_limit(text, &cpus)))
        return NAN;
    return cpus;
}

/* "" when there is no limit. */
static void find_tightest(struct machine *machine, const char *mount, char path[PATH_MAX],
                          limit_of *limit, char out[PATH_MAX])
{
    double tightest = INFINITY;
    out[0] = '\0';
    for (int level = 0; level < CGROUP_LEVELS; level++) {
        char dir[PATH_MAX];
        dir_in(mount, path, dir);
        double here = limit(machine, dir);
        if (here < tightest) {
            tightest = here;
            memcpy(out, dir, sizeof dir);
        }
        if (!go_up(path))
            return;
    }
}

static void find_cgroup(struct machine *machine)
{
    char text[TEXT_SIZE], path[PATH_MAX];
    if (!read_under(machine, text, "/proc/self/cgroup"))
        return;
    machine->memory_version = cgroup_parse(text, "memory", path);
    if (machine->memory_version != CGROUP_NONE)
        find_tightest(machine,
                      machine->memory_version == CGROUP_V1 ? "/sys/fs/cgroup/memory"
                                                           : "/sys/fs/cgroup",
                      path, memory_limit_in, machine->memory_dir);
    if (cgroup_parse(text, "cpu", path) != CGROUP_V2)
        return;
    dir_in("/sys/fs/cgroup", path, machine->own_dir);
    find_tightest(machine, "/sys/fs/cgroup", path, cpu_limit_in, machine->cpu_dir);
}

void machine_init_under(struct machine *machine, const char *root)
{
    cpu_set_t allowed;
    *machine = (struct machine){.affinity = (double)sysconf(_SC_NPROCESSORS_ONLN)};
    assert(strlen(root) < MACHINE_ROOT_MAX);
    memcpy(machine->root, root, strlen(root) + 1);
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
        machine->affinity = CPU_COUNT(&allowed);
    for (int i = 0; i < MACHINE_COUNTER_COUNT; i++)
        machine->counters[i] = NAN;
    for (int i = 0; i < MACHINE_FILE_COUNT; i++)
        machine->files[i] = -1;
    find_cgroup(machine);
}

void machine_init(struct machine *machine)
{
    machine_init_under(machine, "");
}

/* ---- what the kernel counts ---- */

static void count_ticks(struct machine *machine, double counters[])
{
    char text[TEXT_SIZE];
    struct cpu_ticks ticks;
    if (!read_kept(machine, FILE_STAT, "/proc/stat", text) ||
        !accept(machine, machine_parse_cpu(text, &ticks)))
        return;
    counters[COUNTER_TICKS_BUSY] = (double)ticks.busy;
    counters[COUNTER_TICKS] = (double)ticks.total;
}

static void count_cgroup_cpu(struct machine *machine, double counters[])
{
    char text[TEXT_SIZE];
    uint64_t used_us;
    if (machine->cpu_dir[0] != '\0' && read_under(machine, text, "%s/cpu.stat", machine->cpu_dir) &&
        accept(machine, machine_parse_key(text, "usage_usec", &used_us)))
        counters[COUNTER_CGROUP_CPU_US] = (double)used_us;
}

static void count_wait(struct machine *machine, double counters[])
{
    char text[TEXT_SIZE];
    uint64_t waited_ns;
    if (read_kept(machine, FILE_SCHEDSTAT, "/proc/thread-self/schedstat", text) &&
        accept(machine, machine_parse_wait(text, &waited_ns)))
        counters[COUNTER_WAIT_NS] = (double)waited_ns;
}

static void count_pressure(struct machine *machine, double counters[])
{
    char text[TEXT_SIZE];
    uint64_t waited_us;
    for (int i = 0; i < RESOURCES; i++)
        if (read_kept(machine, (enum machine_file)(FILE_PRESSURE + i), pressures[i], text) &&
            accept(machine, machine_parse_pressure(text, &waited_us)))
            counters[COUNTER_PRESSURE_US + i] = (double)waited_us;
    for (int i = 0; i < RESOURCES && machine->own_dir[0] != '\0'; i++)
        if (read_under(machine, text, "%s/%s.pressure", machine->own_dir, resources[i]) &&
            accept(machine, machine_parse_pressure(text, &waited_us)))
            counters[COUNTER_PRESSURE_US + RESOURCES + i] = (double)waited_us;
}

/* ---- rates ---- */

struct rates {
    const struct machine *machine;
    const double *now; /* the counters */
    double elapsed_s;
};

/* NaN: unknown at either end, or it went back. */
static double grown(const struct rates *rates, enum machine_counter counter)
{
    double by = rates->now[counter] - rates->machine->counters[counter];
    return by >= 0 ? by : NAN;
}

/* Of the time, for what counts it in fractions of a second. More than all of it is a rounding. */
static double share_of_time(const struct rates *rates, enum machine_counter counter, double unit)
{
    double share = grown(rates, counter) / unit / rates->elapsed_s;
    return share > 1 ? 1 : share;
}

static double share_busy(const struct rates *rates)
{
    double total = grown(rates, COUNTER_TICKS), busy = grown(rates, COUNTER_TICKS_BUSY);
    return total > 0 && busy <= total ? busy / total : NAN;
}

static double cores_of(struct machine *machine)
{
    if (machine->cpu_dir[0] == '\0')
        return machine->affinity;
    double limit = cpu_limit_in(machine, machine->cpu_dir);
    return limit < machine->affinity ? limit : machine->affinity;
}

static void take_rates(struct machine *machine, const struct rates *rates, double out[])
{
    double limit = machine->cpu_dir[0] == '\0' ? NAN : cpu_limit_in(machine, machine->cpu_dir);
    out[READING_CPU] = share_busy(rates);
    out[READING_CGROUP_CPU] = grown(rates, COUNTER_CGROUP_CPU_US) / 1e6 / rates->elapsed_s / limit;
    out[READING_WAIT] = share_of_time(rates, COUNTER_WAIT_NS, 1e9);
    for (int i = 0; i < 2 * RESOURCES; i++)
        out[READING_CPU_PRESSURE + i] =
            share_of_time(rates, (enum machine_counter)(COUNTER_PRESSURE_US + i), 1e6);
}

/* ---- our own processes ---- */

/* Seconds since it started; NaN: there is no such process. */
static double cpu_of(pid_t pid)
{
    clockid_t clock;
    struct timespec used;
    if (pid <= 0 || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return NAN;
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static double used_before(const struct machine *machine, pid_t pid)
{
    for (int i = 0; i < MACHINE_PROCESSES_MAX; i++)
        if (machine->processes[i].pid == pid)
            return machine->processes[i].used_s;
    return 0; /* it came into the world since */
}

/* All of ours together: one that is gone between two looks takes its last second along. */
static void take_own_cpu(struct machine *machine, const pid_t *pids, size_t count, double elapsed_s,
                         double out[])
{
    struct process_cpu now[MACHINE_PROCESSES_MAX] = {{0, 0}};
    double total_s = 0;
    for (size_t i = 0; i < count; i++) {
        double used_s = cpu_of(pids[i]);
        if (isnan(used_s))
            continue;
        now[i] = (struct process_cpu){pids[i], used_s};
        double grown_s = used_s - used_before(machine, pids[i]);
        total_s += grown_s;
        if (i == 0)
            out[READING_ENGINE_CPU] = grown_s / elapsed_s;
    }
    out[READING_OWN_CPU] = total_s / elapsed_s / out[READING_CORES];
    memcpy(machine->processes, now, sizeof now);
}

static void take_own_memory(struct machine *machine, const pid_t *pids, size_t count, double out[])
{
    double bytes = 0;
    for (size_t i = 0; i < count; i++) {
        char text[TEXT_SIZE];
        struct process_pages pages;
        if (pids[i] > 0 && read_under(machine, text, "/proc/%d/statm", (int)pids[i]) &&
            accept(machine, machine_parse_pages(text, &pages)))
            bytes += (double)(pages.resident - pages.shared) * (double)sysconf(_SC_PAGESIZE);
    }
    if (bytes > 0)
        out[READING_OWN_MEMORY] = bytes;
}

/* Since Linux 6.2 the size of the folder is their number; 0: before, or unknown. */
static int told_descriptors(const char *path)
{
    struct stat folder;
    return stat(path, &folder) == 0 ? (int)folder.st_size : 0;
}

/* −1: it cannot be looked into. */
static int count_descriptors(const struct machine *machine, pid_t pid)
{
    char path[MACHINE_ROOT_MAX + 64];
    snprintf(path, sizeof path, "%s/proc/%d/fd", machine->root, (int)pid);
    int told = machine->root[0] == '\0' ? told_descriptors(path) : 0;
    if (told > 0)
        return told;
    DIR *folder = opendir(path);
    if (folder == NULL)
        return -1;
    int count = 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

/* The one that has most is the one that will fail first: they all have the same limit. */
static void take_descriptors(const struct machine *machine, const pid_t *pids, size_t count,
                             double out[])
{
    struct rlimit limit;
    int most = -1;
    for (size_t i = 0; i < count; i++) {
        int here = pids[i] > 0 ? count_descriptors(machine, pids[i]) : -1;
        most = here > most ? here : most;
    }
    if (most >= 0)
        out[READING_DESCRIPTORS] = most;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        out[READING_DESCRIPTORS_MAX] = (double)limit.rlim_cur;
}

/* ---- memory ---- */

/* What can be dropped at any time does not fill a cgroup. */
static double cgroup_memory_used(struct machine *machine)
{
    bool is_v1 = machine->memory_version == CGROUP_V1;
    char text[TEXT_SIZE];
    uint64_t used, idle;
    if (!read_under(machine, text, "%s/%s", machine->memory_dir,
                    is_v1 ? "memory.usage_in_bytes" : "memory.current") ||
        !accept(machine, machine_parse_bytes(text, &used)))
        return NAN;
    if (!read_under(machine, text, "%s/memory.stat", machine->memory_dir) ||
        !accept(machine,
                machine_parse_key(text, is_v1 ? "total_inactive_file" : "inactive_file", &idle)))
        return NAN;
    return used > idle ? (double)(used - idle) : 0;
}

static void take_memory(struct machine *machine, double out[])
{
    char text[TEXT_SIZE];
    struct memory_room room;
    if (read_kept(machine, FILE_MEMINFO, "/proc/meminfo", text) &&
        accept(machine, machine_parse_memory(text, &room))) {
        out[READING_MEMORY] = 1 - (double)room.available / (double)room.total;
        out[READING_MEMORY_LIMIT] = (double)room.total;
    }
    if (machine->memory_dir[0] == '\0')
        return;
    double limit = memory_limit_in(machine, machine->memory_dir);
    out[READING_CGROUP_MEMORY] = cgroup_memory_used(machine) / limit;
    if (limit > 0 && !(out[READING_MEMORY_LIMIT] < limit))
        out[READING_MEMORY_LIMIT] = limit;
}

void machine_look(struct machine *machine, const pid_t *pids, size_t count, instant now,
                  double out[MACHINE_READING_COUNT])
{
    assert(count <= MACHINE_PROCESSES_MAX);
    double counters[MACHINE_COUNTER_COUNT];
    double elapsed_s = instant_is_never(machine->looked_at)
                           ? NAN
                           : duration_to_s(instant_diff(now, machine->looked_at));
    if (elapsed_s <= 0)
        elapsed_s = NAN;
    for (int i = 0; i < MACHINE_COUNTER_COUNT; i++)
        counters[i] = NAN;
    for (int i = 0; i < MACHINE_READING_COUNT; i++)
        out[i] = NAN;
    count_ticks(machine, counters);
    count_cgroup_cpu(machine, counters);
    count_wait(machine, counters);
    count_pressure(machine, counters);
    out[READING_CORES] = cores_of(machine);
    take_rates(machine, &(struct rates){machine, counters, elapsed_s}, out);
    take_own_cpu(machine, pids, count, elapsed_s, out);
    take_own_memory(machine, pids, count, out);
    take_descriptors(machine, pids, count, out);
    take_memory(machine, out);
    memcpy(machine->counters, counters, sizeof counters);
    machine->looked_at = now;
}
