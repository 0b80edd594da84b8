/*
 * Suspects: tokens whose answer may have killed the engine. Each is sent ALONE, so that the next
 * death names one, and is cleared by an answer that was handled.
 *
 * A suspect has a TRIAL in each family of lanes (price, discover), where it may be asked for
 * something else each time and has something else to prove:
 *
 *   none        nothing to prove there, or proved
 *   waiting     to be sent as soon as it may be
 *   under way   its request is out; answered it has passed, failed it waits again, for a while:
 *               one that is never answered must not take a lane from the others
 *
 * Pure; who is told, and where a token stands, is trust.c's business.
 */
#ifndef MOONWATCH_CORE_TRIAL_H
#define MOONWATCH_CORE_TRIAL_H

#include "core/lane_kind.h"
#include "core/token_table.h"

/* Four full requests: what a death leaves, and the deaths before it that are not cleared yet. */
#define TRIALS_MAX        128
#define TRIAL_RETRY_FIRST duration_s(1)
/* So rarely that even TRIALS_MAX of them leave a lane of 300 requests a minute to the others. */
#define TRIAL_RETRY_MOST duration_s(300)

enum trial_state { TRIAL_NONE, TRIAL_WAITING, TRIAL_UNDER_WAY };

struct trial {
    enum trial_state state;
    enum lane_kind lane; /* while under way */
    uint32_t failures;   /* in a row */
    instant not_before;  /* while waiting */
};

struct defendant {
    token_id id;
    struct trial trials[LINK_FAMILY_COUNT];
};

struct trials {
    uint32_t count;
    struct defendant items[TRIALS_MAX]; /* oldest first */
};

enum link_family lane_family(enum lane_kind lane);

bool trials_has(const struct trials *suspects, token_id id);
/* NULL: it is none. Valid until the next one is added or removed. */
struct defendant *trials_find(struct trials *suspects, token_id id);
/* It is none yet, and there are fewer than TRIALS_MAX. It has nothing to prove so far. */
struct defendant *trials_add(struct trials *suspects, token_id id);
void trials_remove(struct trials *suspects, token_id id);

/* One suspect at a time in each kind of lane. */
bool trials_has_under_way(const struct trials *suspects, enum lane_kind lane);

void trial_try(struct defendant *suspect, enum link_family family);
void trial_sent(struct defendant *suspect, enum lane_kind lane);
/* True when it has nothing left to prove. */
bool trial_passed(struct defendant *suspect, enum lane_kind lane);
void trial_failed(struct defendant *suspect, enum lane_kind lane, instant now);

#endif
