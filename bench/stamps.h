/*
 * When a worker came to life: a small file that the worker and the driver map, a row a life. The
 * worker stamps first thing in main(), so what is measured ends where a program begins, whoever
 * started it; the driver sleeps on the count (futex(2)) and looks at nothing meanwhile.
 *
 * One worker lives at a time, so one writes. Header only: the worker links nothing but libc.
 */
#ifndef MOONWATCH_BENCH_STAMPS_H
#define MOONWATCH_BENCH_STAMPS_H

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define STAMPS_MAX  256 /* lives; later ones write over the first */
#define STAMPS_NAME "stamps"

struct stamp {
    int64_t at_ns; /* CLOCK_MONOTONIC, one for all processes of a machine */
    int64_t pid;
};

struct stamps {
    _Atomic uint32_t count; /* lives so far; stored after the row */
    uint32_t spare;
    struct stamp rows[STAMPS_MAX];
};

static inline int64_t stamps_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* NULL with errno: no such file. */
static inline struct stamps *stamps_map(const char *path, int flags)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
    if (fd < 0)
        return NULL;
    void *memory =
        ftruncate(fd, sizeof(struct stamps)) != 0
            ? MAP_FAILED
            : mmap(NULL, sizeof(struct stamps), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return memory == MAP_FAILED ? NULL : memory;
}

static inline void stamps_add(struct stamps *stamps, int64_t at_ns)
{
    uint32_t count = atomic_load(&stamps->count);
    stamps->rows[count % STAMPS_MAX] = (struct stamp){.at_ns = at_ns, .pid = getpid()};
    atomic_store(&stamps->count, count + 1);
    syscall(SYS_futex, &stamps->count, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Waits until there are more than `known`; false when there are not within the time. */
static inline bool stamps_await(struct stamps *stamps, uint32_t known, int64_t wait_ms)
{
    int64_t until_ns = stamps_now_ns() + wait_ms * 1000000;
    while (atomic_load(&stamps->count) <= known) {
        int64_t left_ns = until_ns - stamps_now_ns();
        if (left_ns <= 0)
            return false;
        const struct timespec wait = {.tv_sec = left_ns / 1000000000,
                                      .tv_nsec = left_ns % 1000000000};
        syscall(SYS_futex, &stamps->count, FUTEX_WAIT, atomic_load(&stamps->count), &wait, NULL, 0);
    }
    return true;
}

/* The newest life; pid 0: none yet. */
static inline struct stamp stamps_newest(const struct stamps *stamps)
{
    uint32_t count = atomic_load(&stamps->count);
    return count == 0 ? (struct stamp){0} : stamps->rows[(count - 1) % STAMPS_MAX];
}

#endif
