/*
 * Feed workers: threads that fetch and parse, so that the thread that decides does neither. Each
 * has a loop, a feed (dexscreener.h) and connections of its own; feed_connections are shared out
 * among them. The OWNER, one thread with a loop, sends requests and is told of answers there, as if
 * it had a feed itself.
 *
 *     owner ── errands ──▶ worker      an ERRAND is a request on its way out and, with its answer
 *     owner ◀── answers ── worker      in it, on its way back; a request goes to the worker that
 *     owner ── buffers ──▶ worker      has the fewest under way
 *
 * All three are bounded queues between two threads (handoff.h), no longer than what may be under
 * way; the pairs of an answer are in a buffer that goes back and forth. In steady state nothing is
 * allocated. Either side is woken once for all that was given to it in one turn of the other's
 * loop.
 *
 * The listener also learns, in the worker's own thread, when it starts, moves and ends, and which
 * answer it is about to open: whoever wonders what felled us must know what was in whose hand. It
 * is also asked there whether a request may still go out: the thread may have slept meanwhile.
 */
#ifndef MOONWATCH_FEED_WORKERS_H
#define MOONWATCH_FEED_WORKERS_H

#include "feed/dexscreener.h"

/* More than one upstream's answers can keep busy: each parses a gigabyte in a few seconds. */
#define FEED_WORKERS_MAX 16

/* How long the end of all workers may take. One that hangs for longer is left behind. */
#define FEED_WORKERS_END_MS 300

struct feed_order {
    uint64_t request;
    enum lane_kind kind;
    const struct address *addresses; /* as for feed_send() */
    size_t count;
    const struct address *tokens; /* that the answer will be about */
    size_t token_count;
};

struct feed_workers_listener {
    void *context;
    /* In the owner's thread, from its loop, as those of feed_listener. */
    void (*on_received)(void *context, uint64_t request);
    void (*on_answer)(void *context, const struct feed_answer *answer);
    /* In the worker's own thread; each may be NULL. */
    void (*on_start)(void *context, unsigned worker);
    void (*on_beat)(void *context, unsigned worker); /* at least twice in heartbeat_deadline_ms */
    void (*on_open)(void *context, unsigned worker, const struct feed_order *order);
    void (*on_shut)(void *context, unsigned worker); /* the answer is parsed, and handed on */
    void (*on_end)(void *context, unsigned worker);
    bool (*may_send)(void *context); /* as that of feed_listener */
};

enum feed_workers_end { FEED_WORKERS_ENDED, FEED_WORKERS_LEFT_BEHIND };

struct feed_workers;

/* How many there will be: feed_workers; 0: one less than there are cores, at least 1. Never more
 * than there are connections. */
unsigned feed_workers_count(const struct options *options);

/* NULL with a sentence in `why`. The threads get ready while the caller goes on. The options are
 * copied. */
struct feed_workers *feed_workers_create(uv_loop_t *loop, const struct options *options,
                                         const struct feed_workers_listener *listener,
                                         char why[OPTION_MESSAGE_SIZE]);

/* Waits until all are ready; before the first feed_workers_send(). False with a sentence in `why`:
 * one cannot work. */
bool feed_workers_await(struct feed_workers *workers, char why[OPTION_MESSAGE_SIZE]) MUST_CHECK;

/* What the order points to is copied. ERR_FULL: requests_in_flight_max of every kind are under way;
 * ERR_INVALID: more addresses or tokens than a request has, or none; ERR_NO_MEMORY;
 * ERR_UNAVAILABLE: it ends. With OK exactly one answer comes, unless it is destroyed before. */
enum err feed_workers_send(struct feed_workers *workers, const struct feed_order *order) MUST_CHECK;

/* What was sent in this turn of the loop goes out when the turn ends, or now. */
void feed_workers_wake(struct feed_workers *workers);

/* As feed_cancel(). */
void feed_workers_cancel(struct feed_workers *workers, uint64_t request);

/* The sums, as far as the workers have told of them. */
void feed_workers_stats(const struct feed_workers *workers, struct feed_stats *out);

/* Ends everything without calling on_answer. `on_closed` comes from the owner's loop with the
 * listener's context, within FEED_WORKERS_END_MS or not much more. FEED_WORKERS_LEFT_BEHIND: a
 * thread still runs, and what it may touch stays allocated: the process has to end by _exit(). */
void feed_workers_destroy(struct feed_workers *workers,
                          void (*on_closed)(void *context, enum feed_workers_end end));

#endif
