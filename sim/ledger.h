/*
 * An oracle that keeps its own account of what was asked and what was answered, and compares: in
 * the dullest code possible, and from outside. It complains (oracle.h) when
 *
 *   - a token counts as refreshed, and no request that is still open and was answered well had
 *     asked for it: a failed refresh that counts as done, an answer taken for another request's;
 *   - a score does not follow from the one before it, over restarts too (FACTS: s = a·x + (1 −
 * a)·s);
 *   - a token is activated, demoted or woken whose pools say otherwise;
 *   - in any 60 s more requests of a kind went out than the options allow;
 *   - one engine asked twice to be restarted;
 *   - somebody who wanted a token refreshed never got a reply, while as many were sent as may wait
 *     before him, or none.
 *
 * What an engine knew dies with it, and so does what the ledger expects of it: requests, wishes,
 * what was sent in the last minute. Scores stay.
 */
#ifndef MOONWATCH_SIM_LEDGER_H
#define MOONWATCH_SIM_LEDGER_H

#include "sim/oracle.h"

#define LEDGER_REQUESTS_MAX 1024 /* more than the core has */
#define LEDGER_WISHES_MAX   1024
#define LEDGER_SENT_MAX     4096 /* a minute's requests of a kind */

struct ledger_token {
    instant checked_at;
    double score;
    uint32_t answers;
};

struct ledger_request {
    uint64_t handle;
    size_t count;
    token_id ids[REQUEST_ADDRESSES_MAX];
};

struct ledger_wish {
    uint64_t tag;
    instant at;
    uint64_t sent; /* discover requests by this engine until then */
};

/* A refused one is none: the upstream does not count it, and neither does the daemon. */
struct ledger_sent {
    uint64_t count; /* by this engine; number i is at i % LEDGER_SENT_MAX */
    uint64_t handles[LEDGER_SENT_MAX];
    instant at[LEDGER_SENT_MAX]; /* INSTANT_NEVER: refused */
};

struct ledger {
    struct oracle *oracle;
    const struct options *options; /* in force */
    uint32_t size;
    struct ledger_token *tokens; /* by id */
    size_t request_count, wish_count;
    struct ledger_request requests[LEDGER_REQUESTS_MAX];
    struct ledger_wish wishes[LEDGER_WISHES_MAX];
    struct ledger_sent sent[LANE_KIND_COUNT];
    struct ledger_request answered; /* by the event under way: who may be refreshed by it */
    instant restart_asked_at;       /* INSTANT_NEVER: not */
};

/* Tokens have ids below `size`. False: out of memory. */
bool ledger_init(struct ledger *ledger, struct oracle *oracle, const struct options *options,
                 uint32_t size);
void ledger_finish(struct ledger *ledger);

/* An engine has begun, and restored its tokens: so many of them may be others than they were. */
void ledger_on_start(struct ledger *ledger, uint32_t restored, instant now);
/* Before a step, and after it: with all its actions. */
void ledger_on_event(struct ledger *ledger, const struct event *event);
void ledger_on_actions(struct ledger *ledger, const struct event *event,
                       const struct actions *actions);
/* At the end, when all is well. */
void ledger_on_end(struct ledger *ledger, instant now);

#endif
