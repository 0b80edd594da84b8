/*
 * What the daemon shows of itself, and nothing else is believed: the status page (asked for over
 * the control socket, as `moonwatch ctl` does), /ready, /metrics, the incident files.
 */
#ifndef MOONWATCH_DRILL_LOOK_H
#define MOONWATCH_DRILL_LOOK_H

#include "base/time.h"
#include "page/command.h"
#include "page/status_page.h"
#include <jansson.h>

struct drill;

/* Maps the page of the present supervisor, which may have made another one since. False: nobody
 * answers. */
bool look_attach(struct drill *drill);
void look_detach(struct drill *drill);
/* A command over the control socket; the reply's message in `why` when it is no success. */
bool look_command(struct drill *drill, const struct command *command, char why[512]);

/* The daemon's time. */
instant look_now(const struct drill *drill);
enum process_state look_state(const struct drill *drill, enum page_process_id process);
uint64_t look_counter(const struct drill *drill, enum counter counter);
/* By how much it grew since the strike. */
uint64_t look_moved(const struct drill *drill, enum counter counter);
double look_gauge(const struct drill *drill, enum gauge gauge);
uint64_t look_starts(const struct drill *drill, enum page_process_id process);
bool look_is_ready(const struct drill *drill);
/* Is this in the text of /ready? */
bool look_ready_says(const struct drill *drill, const char *text);
/* Of /metrics, without "moonwatch_", with labels if there are any; NaN: not there. */
double look_metric(const struct drill *drill, const char *name);

/* The newest incident whose file is there, of those since the strike; NULL: none. To be released
 * with json_decref(). */
json_t *look_incident(const struct drill *drill);
/* How many files there are since the strike. */
unsigned look_incidents(const struct drill *drill);

#endif
