/*
 * What a process gives up for good, before it reads anything that a stranger wrote: whoever takes
 * it over gets what the job needs, and no more.
 *
 *     struct confinement confinement;
 *     confine_begin(&confinement, CONFINE_CONNECT);
 *     confine_allow(&confinement, "/etc", CONFINE_READ);
 *     unsigned parts = confine_enter(&confinement);
 *
 * Three things of the kernel's do it, each where it is there; what is missing is told by the bits
 * that are not set, and is never an error:
 *
 * - no_new_privs (prctl(2)): no program that is run gets more rights than we have;
 * - a filter of system calls (seccomp(2)). It is a list of what is denied, EPERM, not of what is
 *   allowed: glibc, libcurl and SQLite change which calls they use with each release and kernel,
 *   and an allow list breaks at a user's site with an update of libc, in paths that no test of ours
 *   takes. Denied is what hands out the kernel's own power or its most broken-into parts (ptrace,
 *   mount, bpf, io_uring, userfaultfd, new namespaces, modules, keyrings, code that is both written
 *   and run…) and, by power, whatever else the job does not need. A denied call is an error that
 *   the caller sees and logs; nobody is killed;
 * - Landlock (https://docs.kernel.org/userspace-api/landlock.html): which folders may be read, and
 *   which written, and, since Linux 6.7, which TCP, since 6.12, which signals.
 *
 * To be entered while there is one thread: those that are started later inherit it, those that run
 * already do not. What is open stays open. It costs some 0.1 ms.
 * In builds for sanitizers and for coverage, whose runtimes need what is denied (ptrace, files
 * anywhere), nothing is entered.
 */
#ifndef MOONWATCH_BASE_CONFINE_H
#define MOONWATCH_BASE_CONFINE_H

#include <stdbool.h>
#include <stdint.h>

/* X(code, name): what is in force, a bit each. */
#define CONFINE_PART_LIST(X)                                                                       \
    X(CONFINE_NO_NEW_PRIVILEGES, "no_new_privileges")                                              \
    X(CONFINE_SYSTEM_CALLS, "system_calls")                                                        \
    X(CONFINE_FILES, "files")                                                                      \
    X(CONFINE_NETWORK, "network")                                                                  \
    X(CONFINE_SIGNALS, "signals")

enum confine_part {
#define X(code, name) code,
    CONFINE_PART_LIST(X)
#undef X
        CONFINE_PART_COUNT
};

/* What a process may do beyond reading files, working with what it has open, and threads. */
enum confine_power {
    CONFINE_WRITE_FILES = 1, /* open for writing, make, rename, delete */
    CONFINE_CONNECT = 2,     /* sockets to others: IPv4, IPv6, UNIX, and the kernel's routes */
    CONFINE_EXECUTE = 4,     /* run programs */
    CONFINE_ALL_FILES = 8,   /* no bounds for files: also for what is run */
    CONFINE_SIGNAL = 16      /* other processes */
};

enum confine_access { CONFINE_READ, CONFINE_READ_WRITE };

struct confinement {
    unsigned powers;
    int ruleset;          /* of Landlock; −1: none */
    int abi;              /* its version; 0: the kernel has none */
    uint64_t read, write; /* rights of files that this version has */
};

const char *confine_part_name(enum confine_part part);

void confine_begin(struct confinement *confinement, unsigned powers);

/* A file, or a folder and what is below; one that is not there is none. */
void confine_allow(struct confinement *confinement, const char *path, enum confine_access access);

/* The folder that a file is in, whether that exists or not, and the one it is in truth in when it
 * is a symbolic link. */
void confine_allow_around(struct confinement *confinement, const char *file,
                          enum confine_access access);

/* What every program reads: libraries, /etc, /proc, /sys, certificates, name servers. */
void confine_allow_system(struct confinement *confinement);

/* What a kernel that has everything gives for these powers; 0 in a build that enters nothing. */
unsigned confine_parts_wanted(unsigned powers);

/* For the calling process, until its end. Bits of enum confine_part. */
unsigned confine_enter(struct confinement *confinement);

/* For confine.c: the filter of system calls; false: the kernel takes none. */
bool system_call_filter_enter(unsigned powers);

#endif
