/* See memory.h. */
#include "supervisor/memory.h"

#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB             (1ULL << 20)
#define TEXT_SIZE       16384        /* vmstat, the longest, has 4 KiB */
#define V1_NO_LIMIT     (1ULL << 60) /* the kernel writes 2^63 less a page */
#define CGROUP_LEVELS   64           /* more than anybody nests; a bound for the walk up */
#define CEILING_PERCENT 90           /* of a cgroup's limit: the rest is room to drain in */

/* ---- parsers ---- */

static bool parse_number(const char *text, uint64_t *out)
{
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && (*end == '\0' || *end == ' ' || *end == '\n');
}

bool memory_parse_statm(const char *text, uint64_t *pages)
{
    const char *second = strchr(text, ' ');
    return second != NULL && parse_number(second + 1, pages);
}

bool memory_parse_limit(const char *text, uint64_t *bytes)
{
    return parse_number(text, bytes) && *bytes < V1_NO_LIMIT;
}

bool memory_parse_count(const char *text, const char *key, uint64_t *count)
{
    size_t length = strlen(key);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) == 0 && line[length] == ' ')
            return parse_number(line + length + 1, count);
    }
    return false;
}

/* ---- reading ---- */

/* Its beginning; "", which says nothing to any parser, when it can't be read. */
static void read_text(const char *path, char text[TEXT_SIZE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    text[0] = '\0';
    if (fd < 0)
        return;
    ssize_t length = read(fd, text, TEXT_SIZE - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
}

uint64_t memory_resident(pid_t pid)
{
    char path[64], text[TEXT_SIZE];
    uint64_t pages;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    read_text(path, text);
    if (!memory_parse_statm(text, &pages))
        return 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static bool read_kills(const char *path, uint64_t *count)
{
    char text[TEXT_SIZE] = "";
    read_text(path, text);
    return memory_parse_count(text, "oom_kill", count);
}

struct cgroup {
    enum cgroup_version version;
    const char *root;
    char path[PATH_MAX];
};

static void cgroup_file(const struct cgroup *cgroup, const char *name, char out[MEMORY_PATH_SIZE])
{
    const char *mount = cgroup->version == CGROUP_V1 ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup";
    const char *place = strcmp(cgroup->path, "/") == 0 ? "" : cgroup->path;
    snprintf(out, MEMORY_PATH_SIZE, "%s%s%s/%s", cgroup->root, mount, place, name);
}

/* To the one above; false at the top. A path begins with '/'. */
static bool go_up(struct cgroup *cgroup)
{
    char *last = strrchr(cgroup->path, '/');
    if (last[1] == '\0')
        return false;
    last[last == cgroup->path] = '\0';
    return true;
}

/* The smallest of our cgroup's and of those above it; 0: none. */
static uint64_t smallest_limit(struct cgroup cgroup)
{
    const char *name = cgroup.version == CGROUP_V1 ? "memory.limit_in_bytes" : "memory.max";
    char file[MEMORY_PATH_SIZE], text[TEXT_SIZE];
    uint64_t smallest = 0, bytes;
    for (int level = 0; level < CGROUP_LEVELS; level++) {
        cgroup_file(&cgroup, name, file);
        read_text(file, text);
        if (memory_parse_limit(text, &bytes) && (smallest == 0 || bytes < smallest))
            smallest = bytes;
        if (!go_up(&cgroup))
            break;
    }
    return smallest;
}

static void find_cgroup(struct cgroup *cgroup, const char *root)
{
    char file[PATH_MAX], text[TEXT_SIZE];
    *cgroup = (struct cgroup){.version = CGROUP_NONE, .root = root};
    snprintf(file, sizeof file, "%s/proc/self/cgroup", root);
    read_text(file, text);
    cgroup->version = cgroup_parse(text, "memory", cgroup->path);
}

static void find_kills(struct memory_watch *watch, const struct cgroup *cgroup)
{
    const char *name = cgroup->version == CGROUP_V1 ? "memory.oom_control" : "memory.events";
    cgroup_file(cgroup, name, watch->kills_path);
    if (cgroup->version != CGROUP_NONE && read_kills(watch->kills_path, &watch->kills))
        return;
    snprintf(watch->kills_path, sizeof watch->kills_path, "%s/proc/vmstat", cgroup->root);
    if (!read_kills(watch->kills_path, &watch->kills))
        watch->kills = 0;
}

void memory_watch_init_under(struct memory_watch *watch, const struct options *options,
                             const char *root)
{
    struct cgroup cgroup;
    *watch = (struct memory_watch){.ceiling = (uint64_t)options->memory_max_mb * MIB};
    find_cgroup(&cgroup, root);
    if (watch->ceiling == 0 && cgroup.version != CGROUP_NONE)
        watch->ceiling = smallest_limit(cgroup) / 100 * CEILING_PERCENT;
    find_kills(watch, &cgroup);
}

void memory_watch_init(struct memory_watch *watch, const struct options *options)
{
    memory_watch_init_under(watch, options, "");
}

bool memory_was_killed(struct memory_watch *watch)
{
    uint64_t before = watch->kills;
    return read_kills(watch->kills_path, &watch->kills) && watch->kills > before;
}

/* ---- the verdict ---- */

enum memory_verdict memory_judge(struct memory_watch *watch, pid_t pid, uint64_t resident,
                                 instant now)
{
    if (watch->ceiling == 0 || resident <= watch->ceiling)
        return MEMORY_FINE;
    if (!instant_before(now, watch->not_before)) {
        watch->asked_for = pid;
        watch->not_before = instant_add(now, duration_s(MEMORY_RESTART_SEC));
        watch->is_futile = false;
        return MEMORY_RESTART;
    }
    /* Who was asked takes its time to drain; only the one after it says that it did not help. */
    if (pid == watch->asked_for || watch->is_futile)
        return MEMORY_OVER;
    watch->is_futile = true;
    watch->not_before = instant_add(now, duration_s(MEMORY_FUTILE_SEC));
    return MEMORY_FUTILE;
}

void memory_retry(struct memory_watch *watch, instant now)
{
    watch->not_before = instant_add(now, duration_s(MEMORY_RETRY_SEC));
}

bool memory_is_over(struct memory_watch *watch, pid_t pid, uint64_t resident, instant now)
{
    enum memory_verdict verdict = memory_judge(watch, pid, resident, now);
    if (verdict == MEMORY_RESTART)
        log_warning("supervisor", "over the memory ceiling; restarting it gracefully",
                    LOG_INT("pid", pid), LOG_INT("bytes", resident),
                    LOG_INT("ceiling", watch->ceiling));
    if (verdict == MEMORY_FUTILE)
        log_error("supervisor",
                  "over the memory ceiling again right after a restart, which does not help then; "
                  "raise memory_max_mb or the cgroup's limit. Next restart in an hour",
                  LOG_INT("pid", pid), LOG_INT("bytes", resident),
                  LOG_INT("ceiling", watch->ceiling));
    return verdict == MEMORY_RESTART;
}
