/* See engine_state.h. */
#include "page/engine_state.h"

#include <stdio.h>

static bool is_supervised(const struct status_page *page)
{
    return page_word(&page->processes[PROCESS_SUPERVISOR].starts) != 0;
}

bool engine_is_up(const struct status_page *page)
{
    return !is_supervised(page) ||
           page_word(&page->processes[PROCESS_ENGINE].state) == PROCESS_RUNNING;
}

uint64_t engine_starts(const struct status_page *page)
{
    return page_word(&page->processes[PROCESS_ENGINE].starts);
}

void engine_down_why(const struct status_page *page, instant now, char out[ENGINE_WHY_SIZE])
{
    const struct page_process *engine = &page->processes[PROCESS_ENGINE];
    enum process_state state = (enum process_state)page_word(&engine->state);
    uint64_t next = page_word(&engine->next_start_at_us);
    int length =
        snprintf(out, ENGINE_WHY_SIZE, "the engine is not running (%s)", process_state_name(state));
    if (state != PROCESS_WAITING || next == 0)
        return;
    double wait = duration_to_s(instant_diff((instant){(int64_t)next}, now));
    snprintf(out + length, ENGINE_WHY_SIZE - (size_t)length, "; the next start is in %.1f s",
             wait < 0 ? 0 : wait);
}
