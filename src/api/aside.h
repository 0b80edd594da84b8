/*
 * What may wait for a disk is done aside, by a thread of its own: the HTTP thread waits for nothing
 * and must keep beating. So is what looks at every token, by another one: it takes milliseconds
 * with a million of them, in which /health would not be answered; and, by a third, what reads every
 * token's slot, which takes tenths of a second then. A request whose work is done here is suspended
 * meanwhile.
 *
 * At most ASIDE_QUEUE_MAX requests wait, as many as there are connections; more are refused with
 * 503. (Score history has a thread of its own, history.h: it also waits for commits.)
 */
#ifndef MOONWATCH_API_ASIDE_H
#define MOONWATCH_API_ASIDE_H

#include "api/request.h"

#define ASIDE_QUEUE_MAX 512

struct aside;

/* Gets the request's `state`, which is nobody else's until `next` runs. */
typedef void aside_work(void *state);

/* NULL: out of memory or threads. */
struct aside *aside_create(void);

/* Ends the thread; requests that wait go on with their state as it was. */
void aside_shut(struct aside *aside);
void aside_destroy(struct aside *aside);

/* Suspends `request`; the other thread runs `handler`, which answers as any does. What such
 * handlers share is theirs alone. */
void aside_handle(struct aside *aside, struct request *request, request_step *handler);

/* Does `work` for no request; false where too many wait. What waits when it ends is not done. */
bool aside_post(struct aside *aside, aside_work *work, void *state) MUST_CHECK;

/* Suspends `request` and runs `next` when the work is done; 503 where too many wait. */
void aside_ask(struct aside *aside, struct request *request, aside_work *work, request_step *next);

#endif
