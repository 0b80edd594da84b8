/*
 * Threads that are wanted at once and for a moment, on CPUs that others keep busy. With a short
 * time slice the kernel lets such a thread run when it wakes, instead of when whoever has the CPU
 * has had all of its own slice, milliseconds later. It gets no larger share of the CPU by that: who
 * asks for more than its share still waits.
 *
 * Linux 6.12 and later: the slice of a SCHED_OTHER thread is `sched_runtime` of sched_setattr(2)
 * (EEVDF: Stoica and Abdel-Wahab, "Earliest Eligible Virtual Deadline First", 1995). Before, and
 * where it is not allowed, nothing changes.
 */
#ifndef MOONWATCH_BASE_PROMPT_H
#define MOONWATCH_BASE_PROMPT_H

#define PROMPT_SLICE_NS 100000 /* the shortest there is */

/* The calling thread, from now on; its policy and nice value stay what they are. */
void prompt_thread(void);

#endif
