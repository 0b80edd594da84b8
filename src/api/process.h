/*
 * The api as a process of its own, `moonwatch api`: the supervisor's child, which inherits all it
 * works with (page/inherited.h) and opens nothing but the store's history, for reading.
 *
 * It does not need the engine to live: when that one dies, page and table stay mapped, lists are
 * served with their ages, and commands wait for the next engine (engine_link.h). It needs its
 * supervisor: the end of FD_LINK, like SIGTERM, ends it, with what it had begun to
 * answer answered. The listening socket stays open in the supervisor, so that clients who come
 * between two apis wait a moment and are served by the next.
 */
#ifndef MOONWATCH_API_PROCESS_H
#define MOONWATCH_API_PROCESS_H

#include "base/options.h"
#include "page/inherited.h"

enum api_exit {
    API_DONE = 0,
    API_FAILED = 1, /* no memory, threads…; another try may do */
    API_REFUSED =
        EXIT_REFUSED, /* what it inherited is of another version; another try would not do */
};

/* Reports REPORT_READY once it answers, or REPORT_REFUSED with the reason. An enum api_exit. */
int api_process(const struct options *options);

#endif
