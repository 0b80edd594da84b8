/* What must hold at the end of a drill; what does not fails it, with a sentence. */
#ifndef MOONWATCH_DRILL_EXPECT_H
#define MOONWATCH_DRILL_EXPECT_H

#include "page/status_page.h"
#include <stdint.h>

struct drill;

/* A counter moved by exactly so much since the strike; or at least. */
void expect_moved(struct drill *drill, enum counter counter, uint64_t by);
void expect_moved_at_least(struct drill *drill, enum counter counter, uint64_t by);

/* The newest incident since the strike, by its names; NULL: any. */
struct incident_wanted {
    const char *process, *cause, *signal, *start, *beat;
};
void expect_incident(struct drill *drill, const struct incident_wanted *wanted);
void expect_no_incident(struct drill *drill);

/* Of the clients' requests since the strike at most so many failed. */
void expect_answered(struct drill *drill, uint32_t failures_most);

/* Neither engine nor api was started again since the strike. */
void expect_same_processes(struct drill *drill);

#endif
