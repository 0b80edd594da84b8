/* The settings in force, read from the status page. */
#ifndef MOONWATCH_API_PAGE_VIEW_H
#define MOONWATCH_API_PAGE_VIEW_H

#include "api/request.h"

/* A consistent copy of the page's texts and options; false after having answered 503: the engine
 * died while it wrote them. */
bool page_view(struct request *request, struct page_texts *out);

/* When the engine's loop last turned, in seconds; NaN: never. */
double heartbeat_age_s(const struct status_page *page, instant now);

#endif
