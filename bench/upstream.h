/*
 * An upstream that answers at once and knows nothing: every request gets a whole, empty answer of
 * its kind. It notes when the first request of a new engine arrives, which it tells by the
 * connection: those of the dead engine died with it. One thread, one epoll loop.
 */
#ifndef MOONWATCH_BENCH_UPSTREAM_H
#define MOONWATCH_BENCH_UPSTREAM_H

#include "base/time.h"
#include <stdint.h>

struct upstream;

/* On a free port of this machine; NULL with a sentence on stderr. Lives as long as the driver. */
struct upstream *upstream_start(void);
unsigned upstream_port(const struct upstream *upstream);
/* Requests answered so far. */
uint64_t upstream_requests(const struct upstream *upstream);

/* From now on the first request over a connection that is yet to be made is awaited. */
void upstream_arm(struct upstream *upstream);
/* When it arrived; never: it did not, within `patience`. */
instant upstream_first(struct upstream *upstream, duration patience);

#endif
