/*
 * The api's end of the command socket: sends commands, matches replies to who asked by their tag,
 * and ends the wait of those that get none in time. A thread of its own reads replies, so that
 * the HTTP thread never waits for the engine.
 *
 * The socket outlives engines. What is sent while none runs waits in it for the next one. What an
 * engine took and did not answer before it died nobody knows: so when another engine has come (the
 * status page tells), every command without an answer is sent again, once for each engine. Commands
 * may be done twice without harm; one that asked for a restart is answered by the restart. A second
 * answer, and answers to commands of an api that died, have tags that nobody waits for: they are
 * dropped. Tags begin at a random number, so that the tags of two apis differ.
 *
 * Limits: LINK_PENDING_MAX commands may be unanswered at once; a socket that takes no more is
 * ERR_BUSY. Both are answered to clients as 503, at once. What is to be sent again waits for room
 * in the socket, and no longer than its own deadline.
 *
 * One lock covers the table of pending commands and whatever an on_reply callback touches; who
 * suspends a connection for a reply does it under the lock, so that the reply cannot come first.
 */
#ifndef MOONWATCH_API_ENGINE_LINK_H
#define MOONWATCH_API_ENGINE_LINK_H

#include "api/request.h"
#include "base/time.h"

#define LINK_PENDING_MAX 1024

struct engine_link;

/* Called on the link's thread, under the lock. Without an answer in time, or from a dead engine,
 * `reply` is RESULT_UNAVAILABLE with the reason. */
typedef void link_on_reply(void *context, uint64_t note, const struct reply *reply);

struct link_waiter {
    link_on_reply *on_reply;
    void *context;
    uint64_t note; /* the waiter's own */
    instant deadline;
};

/* The descriptor is the link's from now on, even if it fails: NULL, out of memory or threads. */
struct engine_link *engine_link_create(int fd, struct status_page *page,
                                       const struct options *options);

/* Answers everything that waits with RESULT_UNAVAILABLE; later commands are ERR_UNAVAILABLE. */
void engine_link_shut(struct engine_link *link);
void engine_link_destroy(struct engine_link *link);

void engine_link_lock(struct engine_link *link);
void engine_link_unlock(struct engine_link *link);

/* With the lock held. Fills in tag and deadline. ERR_BUSY: too much under way; ERR_UNAVAILABLE: the
 * socket is closed. Nothing was sent then. */
enum err engine_link_send(struct engine_link *link, struct command *command,
                          const struct link_waiter *waiter) MUST_CHECK;

/* With the lock held: replies for this context are dropped from now on. */
void engine_link_forget(struct engine_link *link, const void *context);

/* The common case: sends one command for `request` and suspends it; `next` runs with
 * request->reply filled in. Where it can't be sent, answers 503 instead. */
void engine_ask(struct request *request, struct command *command, duration patience,
                request_step *next);

/* Answers what a reply that is no success means: 404, 422 or 400 as `invalid_status`, 503. False
 * when the reply is a success and nothing was answered. */
bool refuse_unless_done(struct request *request, unsigned invalid_status);

#endif
