/*
 * Which lines were run is written by the end of a process that calls its exit handlers. One that
 * ends by _exit(), for want of anything else to tidy up, would take its counts with it.
 */
#ifndef MOONWATCH_BASE_COVERAGE_H
#define MOONWATCH_BASE_COVERAGE_H

/* Before an _exit(); nothing in builds that do not count. */
#ifdef MOONWATCH_COVERED
void __gcov_dump(void); /* of libgcov, which --coverage links */
#define coverage_keep() __gcov_dump()
#else
#define coverage_keep() ((void)0)
#endif

#endif
