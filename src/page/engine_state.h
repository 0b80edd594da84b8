/* Whether there is an engine to take commands, as the supervisor tells on the status page. */
#ifndef MOONWATCH_PAGE_ENGINE_STATE_H
#define MOONWATCH_PAGE_ENGINE_STATE_H

#include "base/time.h"
#include "page/status_page.h"

#define ENGINE_WHY_SIZE 160

/* Without a supervisor, in tests and where the api is a part of the engine's own process, it is. */
bool engine_is_up(const struct status_page *page);

/* Why it is not, for a person: "the engine is not running (waiting); the next start is in 12 s". */
void engine_down_why(const struct status_page *page, instant now, char out[ENGINE_WHY_SIZE]);

/* Changes whenever another engine takes commands; the same number while it does. */
uint64_t engine_starts(const struct status_page *page);

#endif
