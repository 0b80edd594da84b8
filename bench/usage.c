/* See usage.h. */
#include "bench/usage.h"

#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAPPINGS_MAX 1024 /* of files, of one group; a process of ours has 200 */
#define LINE_SIZE    8192

static FILE *open_proc(pid_t pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return fopen(path, "r");
}

/* ---- CPU ---- */

static double cpu_s_of(pid_t pid)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return NAN;
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double usage_cpu_s(const pid_t pids[], size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += cpu_s_of(pids[i]);
    return sum;
}

/* ---- memory ---- */

static double pss_kb_of(pid_t pid)
{
    char line[LINE_SIZE];
    double kb = NAN;
    FILE *file = open_proc(pid, "smaps_rollup");
    while (file != NULL && isnan(kb) && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "Pss:", 4) == 0)
            kb = strtod(line + 4, NULL);
    if (file != NULL)
        fclose(file);
    return kb;
}

double usage_pss_mb(const pid_t pids[], size_t count)
{
    double kb = 0;
    for (size_t i = 0; i < count; i++)
        kb += pss_kb_of(pids[i]);
    return kb * 1024 / 1e6;
}

struct mapping {
    char name[PATH_MAX + 32]; /* offset and path */
    double kb;                /* the most that one process has of it */
};

struct summing {
    struct mapping *mappings;
    size_t count;
    double anonymous_kb;
};

static void note_mapping(struct summing *summing, const char *name, double kb)
{
    size_t i = 0;
    while (i < summing->count && strcmp(summing->mappings[i].name, name) != 0)
        i++;
    if (i == MAPPINGS_MAX)
        return;
    struct mapping *mapping = &summing->mappings[i];
    if (i == summing->count) {
        snprintf(mapping->name, sizeof mapping->name, "%s", name);
        mapping->kb = 0;
        summing->count++;
    }
    mapping->kb = fmax(mapping->kb, kb);
}

/* What follows about it begins with a capital. */
static bool is_head(const char *line)
{
    return (line[0] >= '0' && line[0] <= '9') || (line[0] >= 'a' && line[0] <= 'f');
}

/* "from-to access offset device inode path": what it is is offset and path; "" when anonymous. */
static void read_head(const char *line, char name[PATH_MAX + 32])
{
    const char *path = strchr(line, '/');
    const char *access = strchr(line, ' ');
    const char *offset = access == NULL ? NULL : strchr(access + 1, ' ');
    name[0] = '\0';
    if (path == NULL || offset == NULL)
        return;
    int digits = (int)strcspn(offset + 1, " ");
    snprintf(name, PATH_MAX + 32, "%.*s %s", digits, offset + 1, path);
}

static bool add_maps(struct summing *summing, pid_t pid)
{
    char line[LINE_SIZE], name[PATH_MAX + 32] = "";
    double resident = 0, anonymous = 0;
    FILE *file = open_proc(pid, "smaps");
    if (file == NULL)
        return false;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "Rss:", 4) == 0) {
            resident = strtod(line + 4, NULL);
        } else if (strncmp(line, "Anonymous:", 10) == 0) {
            anonymous = strtod(line + 10, NULL);
            summing->anonymous_kb += anonymous;
            if (name[0] != '\0')
                note_mapping(summing, name, resident - anonymous);
        } else if (is_head(line)) {
            read_head(line, name);
        }
    }
    fclose(file);
    return true;
}

double usage_alone_without_mb(const pid_t pids[], size_t count, const char *part)
{
    struct summing summing = {.mappings = calloc(MAPPINGS_MAX, sizeof *summing.mappings)};
    bool is_whole = summing.mappings != NULL;
    for (size_t i = 0; i < count && is_whole; i++)
        is_whole = add_maps(&summing, pids[i]);
    double kb = summing.anonymous_kb;
    for (size_t i = 0; i < summing.count; i++)
        if (part == NULL || strstr(summing.mappings[i].name, part) == NULL)
            kb += summing.mappings[i].kb;
    free(summing.mappings);
    return is_whole ? kb * 1024 / 1e6 : (double)NAN;
}

double usage_alone_mb(const pid_t pids[], size_t count)
{
    return usage_alone_without_mb(pids, count, NULL);
}

unsigned usage_descriptors(pid_t pid)
{
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    while (folder != NULL && readdir(folder) != NULL)
        count++;
    if (folder != NULL)
        closedir(folder);
    return count < 2 ? 0 : count - 2;
}
