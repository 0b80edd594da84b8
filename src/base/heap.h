/*
 * How the C library's heap gives back what is not needed. By default glibc raises the size from
 * which a block has a mapping of its own to that of the largest block that was ever freed: after a
 * start, which takes megabytes for a moment, everything lies in one heap that never shrinks.
 */
#ifndef MOONWATCH_BASE_HEAP_H
#define MOONWATCH_BASE_HEAP_H

/* Blocks from this size on go back to the kernel as they are freed: larger than an answer, smaller
 * than what only a start needs. */
#define HEAP_OWN_MAPPING (512 << 10)

/* The free top of the heap that is kept: what a few answers at once take while they come in, so
 * that its pages are not given back and taken again each time. */
#define HEAP_KEPT (512 << 10)

/* Once, before there are threads. */
void heap_set_up(void);

/* Where going on without that little memory would lose something: says so and ends the process, to
 * be started afresh by its supervisor. The program is sound, so that it is no abort(). */
_Noreturn void heap_exhausted(const char *wanted_for);

#endif
