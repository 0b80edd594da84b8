/*
 * A shared library that is loaded when it is first called, by those who call it. What is linked in
 * the usual way is loaded by every process at every start, whether needed or not: libcurl brings
 * thirty libraries, whose symbols take longer to look up than an engine takes to go on.
 *
 * Whoever forwards a library's functions (feed/curl.c, api/microhttpd.c) defines each under the
 * library's own name and prototype, so that callers, their headers and the checks in these are as
 * ever, and only the linker does not see the library.
 */
#ifndef MOONWATCH_BASE_LIBRARY_H
#define MOONWATCH_BASE_LIBRARY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

struct library {
    const char *soname;         /* with the version of its ABI, for dlopen(3) */
    const char *package;        /* of Debian, for the message when it is missing */
    const char *const *symbols; /* the functions that are called … */
    void **entries;             /* … and where they are, once loaded */
    size_t count;               /* of both */
    pthread_mutex_t lock;
    atomic_int state; /* 0 at first */
};

/* Defines `library` in a file that forwards the functions of FUNCTION_LIST(X). */
#define LIBRARY_DEFINE(of_soname, of_package)                                                      \
    enum { FUNCTION_LIST(LIBRARY_NUMBER) LIBRARY_FUNCTIONS };                                      \
    static const char *const library_symbols[] = {FUNCTION_LIST(LIBRARY_SYMBOL)};                  \
    static void *library_entries[LIBRARY_FUNCTIONS];                                               \
    static struct library library = {.soname = (of_soname),                                        \
                                     .package = (of_package),                                      \
                                     .symbols = library_symbols,                                   \
                                     .entries = library_entries,                                   \
                                     .count = LIBRARY_FUNCTIONS,                                   \
                                     .lock = PTHREAD_MUTEX_INITIALIZER}

#define LIBRARY_NUMBER(name) NUMBER_OF_##name,
#define LIBRARY_SYMBOL(name) #name,

/* The body of a function that forwards: calls the library's of this name, or, without the library,
 * returns `otherwise`. */
#define FORWARD(name, otherwise, ...)                                                              \
    __typeof__(&(name)) function = library_entry(&library, NUMBER_OF_##name);                      \
    return function != NULL ? function(__VA_ARGS__) : (otherwise)

#define FORWARD_VOID(name, ...)                                                                    \
    __typeof__(&(name)) function = library_entry(&library, NUMBER_OF_##name);                      \
    if (function != NULL)                                                                          \
    function(__VA_ARGS__)

/* The function of this number; loads the library if nobody has. NULL: the library, or a function of
 * it, is missing; the first to find out writes so to the log. From any thread. */
void *library_entry(struct library *library, size_t number);

#endif
