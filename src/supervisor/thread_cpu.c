/* See thread_cpu.h. */
#include "supervisor/thread_cpu.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_SIZE 512 /* what matters stands within the first bytes */
#define PATH_SIZE 64

/* The name in the brackets may hold brackets itself, so the last one counts. */
static char state_in(const char *stat)
{
    const char *name_end = strrchr(stat, ')');
    return name_end != NULL && name_end[1] == ' ' ? name_end[2] : '\0';
}

bool thread_cpu_parse(const char *stat, const char *schedstat, struct thread_cpu *out)
{
    char *end;
    char state = state_in(stat);
    unsigned long long ns = strtoull(schedstat, &end, 10);
    if (state == '\0' || end == schedstat || *end != ' ')
        return false;
    *out =
        (struct thread_cpu){.is_runnable = state == 'R', .used = duration_us((int64_t)(ns / 1000))};
    return true;
}

/* An empty text when it can't be read. */
static void read_text(pid_t process, pid_t thread, const char *name, char text[TEXT_SIZE])
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "/proc/%d/task/%d/%s", (int)process, (int)thread, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = read(fd, text, TEXT_SIZE - 1); /* of no descriptor: fails */
    text[length > 0 ? length : 0] = '\0';
    close(fd);
}

bool thread_cpu_read(pid_t process, pid_t thread, struct thread_cpu *out)
{
    char stat[TEXT_SIZE], schedstat[TEXT_SIZE];
    read_text(process, thread, "stat", stat);
    read_text(process, thread, "schedstat", schedstat);
    return thread_cpu_parse(stat, schedstat, out);
}
