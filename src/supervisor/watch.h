/*
 * Who has stopped moving. Pure: the page and an instant in, a verdict out.
 *
 * Every thread that must move beats on the page (page_beat()) and says how long the next beat may
 * take. One that is late is OVERDUE, and its process is hung. Who looks may have been stopped
 * itself (a debugger, a suspended laptop, a starved machine), and then the others were not given
 * the time to beat either: if it wakes more than a quarter of a deadline later than it asked for,
 * all beats get a fresh deadline from now. So that such a stop cannot hide in a long sleep, it asks
 * to look four times in each deadline: one of less than half a deadline makes nobody overdue, who
 * beats at least twice in it, and a longer one is noticed.
 *
 * A single thread can be starved, too. One that is runnable and has had next to no CPU since its
 * last beat does not hang, and to kill it would make a busy machine busier: it is waited for, until
 * it has had the CPU and still does not beat, or for WATCH_STARVED_MAX times its patience.
 *
 * Only beats of processes that should move count: not those of dead, dying or waiting ones.
 */
#ifndef MOONWATCH_SUPERVISOR_WATCH_H
#define MOONWATCH_SUPERVISOR_WATCH_H

#include "base/time.h"
#include "page/status_page.h"
#include "supervisor/thread_cpu.h"

#define WATCH_LOOKS_PER_DEADLINE 4    /* the thread has at least a quarter of it to itself */
#define WATCH_LATE               0.25 /* of it: more than that was a stop of our own */
#define WATCH_STARVED_MAX        10   /* times; whoever gets no CPU for so long is no use either */
#define WATCH_STARVED_SHARE      0.5  /* of its patience in CPU time: it could have beaten */
#define WATCH_PATIENCE_MAX_SEC   3600 /* of start_deadline_sec; more is no patience but damage */

struct watch {
    duration deadline;  /* heartbeat_deadline_ms */
    instant asked_for;  /* when it wanted to look again; never: not yet */
    instant fresh_from; /* no beat counts as older than this */
    uint64_t lateness;  /* times that it was late itself */
    instant starved_until[BEAT_COUNT];
};

struct watch_verdict {
    enum beat overdue; /* the one that is so for longest; BEAT_COUNT: none */
    duration silent;   /* since its last beat, what we slept through ourselves left out */
    instant due;       /* when the next beat is overdue; INSTANT_FAR: none is awaited */
    instant look_at;   /* when to look again, at the latest */
};

void watch_init(struct watch *watch, duration deadline);

/* May be called at any time, also before `look_at`. */
struct watch_verdict watch_look(struct watch *watch, const struct status_page *page, instant now);

/* Was the beat that is overdue not to be had, by what its thread has had of the CPU? */
bool watch_is_starved(const struct watch *watch, const struct status_page *page,
                      const struct watch_verdict *verdict, const struct thread_cpu *cpu);
/* It is looked at again in a quarter of a deadline. True: the first time since it beat. */
bool watch_wait_for(struct watch *watch, const struct status_page *page, enum beat beat,
                    instant now);

/* A process was just started: its first beat may take `patience`. */
void watch_expect(struct status_page *page, enum beat beat, instant now, duration patience);
/* A process is gone: nobody waits for its beats. */
void watch_forget(struct status_page *page, enum page_process_id process);

#endif
