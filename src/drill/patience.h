/*
 * How long to wait for what a sound daemon does. Limits are written for an idle machine and the
 * programs that people run; under a sanitizer, or beside others that want the same processors, all
 * takes longer, and that is no fault of the daemon's. So patience is time that passes the slower,
 * the slower the machine is: that is looked at all the while, by how many threads want to run for
 * each processor (proc_loadavg(5)). A daemon that does nothing is found out all the same.
 */
#ifndef MOONWATCH_DRILL_PATIENCE_H
#define MOONWATCH_DRILL_PATIENCE_H

#include <stdbool.h>

/* Beyond it a drill says nothing about the daemon any more, and may fail for it. */
#define PATIENCE_BUSY_MAX 4.0

struct patience {
    double left_s;
    double looked_s; /* when it was looked at last */
};

void patience_start(struct patience *patience, double seconds);
/* To be asked again and again: it is used up between two questions. */
bool patience_is_over(struct patience *patience);

/* How many times longer everything takes with sanitizers in this program; 1: there are none. */
double patience_of_build(void);
/* How many times longer than usual things take now; 1 at least. */
double patience_factor(void);
/* The worst that was seen in this process. */
double patience_worst(void);

/* The factor behind the text of /proc/loadavg on so many processors; 1 when it cannot be read. */
double patience_of_load(const char *loadavg, long processors);

#endif
