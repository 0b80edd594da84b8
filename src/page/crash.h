/*
 * What a process leaves of itself when a signal ends it: written by its own handler, on a stack of
 * its own, onto the status page; read by the supervisor.
 *
 * A frame is an offset in a MODULE (the program, or a library), so that another process of the same
 * program can name it, wherever the modules lie there, and addr2line(1) too. The handler may not
 * allocate, lock or trust anything: crash_arm() loads and lists beforehand what it needs. What is
 * known first is kept first, so that one who falls again in the handler, or hangs in it until it is
 * killed, still leaves signal and address.
 */
#ifndef MOONWATCH_PAGE_CRASH_H
#define MOONWATCH_PAGE_CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRASH_FRAMES_MAX  48
#define CRASH_MODULES_MAX 64 /* the program has some 40; addresses in what comes later are bare */
#define CRASH_MODULE_SIZE 32 /* of a name: "libmicrohttpd.so.12" */

struct crash_frame {
    uint64_t address;   /* relative to the module, if there is one */
    int32_t module;     /* index; 0: the program; -1: in none */
    uint32_t is_return; /* where a call goes on, not where it is */
};

struct crash_report {
    _Atomic uint32_t is_filled; /* stored after all but the frames */
    int32_t signal, code;
    int32_t thread; /* kernel's id */
    uint64_t fault_address;
    _Atomic uint32_t frame_count; /* stored last */
    uint32_t spare;
    struct crash_frame frames[CRASH_FRAMES_MAX]; /* innermost first */
    char modules[CRASH_MODULES_MAX][CRASH_MODULE_SIZE];
};

/* Handles SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS and SIGABRT from now on: fills the
 * report, then dies of the signal. Called once, by the first thread, when its libraries are loaded.
 * Under a sanitizer, whose handlers say more, it does nothing. */
void crash_arm(struct crash_report *report);

/* Gives the calling thread the stack to do so on when its own has overflown. To be called by every
 * other thread at its start; one that does not still reports everything but that. */
void crash_arm_thread(void);

/* Takes the report off the page of a dead process: `out` is the copy, `from` is empty again. */
void crash_take(struct crash_report *from, struct crash_report *out);

/* "function+0x1f (moonwatch+0x4a3f2)", "libc.so.6+0x3b1c4", "0x7f…": named as far as this process
 * can, which runs the same program. Cut to fit; returns the length. */
size_t crash_describe_frame(const struct crash_report *report, uint32_t index, char *out,
                            size_t size);

#endif
