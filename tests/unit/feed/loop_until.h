/* Runs a loop until something is so, with a generous bound in place of a sleep. */
#ifndef MOONWATCH_TESTS_LOOP_UNTIL_H
#define MOONWATCH_TESTS_LOOP_UNTIL_H

#include <stdbool.h>
#include <uv.h>

#define LOOP_BOUND_MS 30000

static inline void loop_until_on_bound(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

/* False: the bound was reached, or nothing was left that could happen. */
static inline bool loop_until(uv_loop_t *loop, bool (*is_so)(void *context), void *context)
{
    bool is_over = false;
    uv_timer_t bound;
    uv_timer_init(loop, &bound);
    bound.data = &is_over;
    uv_update_time(loop);
    uv_timer_start(&bound, loop_until_on_bound, LOOP_BOUND_MS, 0);
    bool so;
    while (!(so = is_so(context)) && !is_over) {
        uv_run(loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&bound, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    return so;
}

#endif
