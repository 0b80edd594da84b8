/*
 * What a process leaves of itself when a signal ends it: written by its own handler, on a stack of
 * its own, onto the status page; read by the supervisor. Frames are addresses relative to the
 * program's own base where they lie in it, so that any process of the same program can name them;
 * those of libraries are named by nobody and kept as they are.
 *
 * crash_arm() is called once by each thread's process, at start: it loads what the handler needs,
 * since a handler may not allocate.
 */
#ifndef MOONWATCH_PAGE_CRASH_H
#define MOONWATCH_PAGE_CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRASH_FRAMES_MAX 48

struct crash_frame {
    uint64_t address; /* relative to the program when `is_own` */
    uint32_t is_own;
    uint32_t spare;
};

struct crash_report {
    _Atomic uint32_t is_filled; /* stored last */
    int32_t signal, code;
    int32_t thread; /* kernel's id */
    uint64_t fault_address;
    uint32_t frame_count;
    uint32_t spare;
    struct crash_frame frames[CRASH_FRAMES_MAX];
};

/* Handles SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT: fills the report, then dies of the signal.
 * Under a sanitizer, whose handlers say more, it does nothing. */
void crash_arm(struct crash_report *report);

/* Takes the report off the page of a dead process: `out` is the copy, `from` is empty again. */
void crash_take(struct crash_report *from, struct crash_report *out);

/* A function's name and offset for a frame, or "?"; for the supervisor. Returns the length. */
size_t crash_describe_frame(const struct crash_frame *frame, char *out, size_t size);

#endif
