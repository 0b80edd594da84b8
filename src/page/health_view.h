/*
 * What is wrong, as the page tells it: the findings of the engine's core (core/health.h), and those
 * that an engine cannot have, because it is down or does not move. Then what it found last is old,
 * and not shown; what the supervisor knows of the processes is.
 */
#ifndef MOONWATCH_PAGE_HEALTH_VIEW_H
#define MOONWATCH_PAGE_HEALTH_VIEW_H

#include "page/status_page.h"

#define ENGINE_STILL_S 5.0 /* its loop turns at least every second */

struct health_view {
    enum health health;
    struct findings findings;
};

/* By the engine, once a second. */
void health_publish(struct status_page *page, const struct findings *findings);

/* What is out of range in a damaged page is left out. */
void health_look(const struct status_page *page, instant now, struct health_view *out);

/* Those of these components (a bit each) alone, and what they come to. */
struct health_view health_of(const struct health_view *view, unsigned components);

#endif
