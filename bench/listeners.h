/*
 * Many clients of GET /events that check what they hear: one thread and one epoll loop. All of them
 * ask for the same, so all get the same events; each must get every one, in order, and how long
 * after its origin the last byte of it came is what is measured. The origin is a time inside the
 * event: when the answer about a token was in (fetched_at), or when the pulse was taken (at).
 *
 * The first of them is read as text, and leaves for each event its length, its origin and how it
 * begins; the others count bytes by that, and compare beginnings, so that a thousand of them cost
 * little more than receiving.
 */
#ifndef MOONWATCH_BENCH_LISTENERS_H
#define MOONWATCH_BENCH_LISTENERS_H

#include "bench/sample.h"
#include <stddef.h>
#include <stdint.h>

struct listeners;

struct listeners_heard {
    uint64_t events;     /* different ones */
    uint64_t deliveries; /* of these, to all listeners together */
    uint64_t wrong;      /* not the one that was to come, or not as the first heard it */
    size_t ended;        /* listeners that were hung up on */
    double bytes;
    double median_ms, p99_ms, worst_ms; /* of all deliveries */
    double cpu_s;                       /* of the thread */
};

/* Connects them all and waits until each was greeted. NULL with a sentence on stderr. */
struct listeners *listeners_start(unsigned port, size_t count);
/* What was heard until now does not count. */
void listeners_forget(struct listeners *listeners);
struct listeners_heard listeners_heard(struct listeners *listeners);
void listeners_stop(struct listeners *listeners);

#endif
