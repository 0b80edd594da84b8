/*
 * The heartbeat of a thread: what it works on in steps calls pulse() between them, and the status
 * page hears of it when it is time. A thread that has none (the engine's, which also chooses tokens
 * for its export) may call pulse() as well: nothing happens.
 *
 * How often: a thread that waits does so for at most pulse_turn_ms(), half of
 * heartbeat_deadline_ms, and beats before it does anything else; one that works is heard at the
 * first pulse() a tenth after the last.
 */
#ifndef MOONWATCH_API_PULSE_H
#define MOONWATCH_API_PULSE_H

#include "page/status_page.h"
#include <pthread.h>

/* Loops over many tokens call pulse() each so many: well under a millisecond's work. */
#define PULSE_EVERY 1024

/* Starts a thread that calls pulse_begin(): it counts as one that must move already before it
 * first does, so that one that never comes to run is missed. False: no threads. */
struct pulse_thread {
    struct status_page *page;
    enum beat beat;
    void *(*run)(void *argument);
    void *argument;
};
bool pulse_thread_start(const struct pulse_thread *thread, pthread_t *out);

/* The calling thread beats from now on. */
void pulse_begin(struct status_page *page, enum beat beat, const struct options *options);
void pulse(void);
/* It ends as it should. */
void pulse_end(void);

/* How long a beating thread may wait for its events, from now on: to the end of a turn that is the
 * same for all. Threads without work thus wake together, on a core that is awake with its caches
 * warm, which costs half of what it does when each wakes by itself (make bench: small). */
int pulse_turn_ms(const struct options *options);

#endif
