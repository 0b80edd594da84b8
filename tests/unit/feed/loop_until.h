/* Runs a loop until something is so, with a generous bound in place of a sleep. */
#ifndef MOONWATCH_TESTS_LOOP_UNTIL_H
#define MOONWATCH_TESTS_LOOP_UNTIL_H

#include <stdbool.h>
#include <uv.h>

#define LOOP_BOUND_MS 30000
/* libuv runs timers before it waits for descriptors: what a timer brings about would be seen only
 * after whatever comes next. */
#define LOOP_TICK_MS 10

static inline void loop_until_on_tick(uv_timer_t *timer)
{
    uint64_t *over_at = timer->data;
    if (uv_now(timer->loop) >= *over_at)
        *over_at = 0;
}

/* False: the bound was reached, or nothing was left that could happen. */
static inline bool loop_until(uv_loop_t *loop, bool (*is_so)(void *context), void *context)
{
    uv_update_time(loop);
    uint64_t over_at = uv_now(loop) + LOOP_BOUND_MS; /* 0: it was */
    uv_timer_t tick;
    uv_timer_init(loop, &tick);
    tick.data = &over_at;
    uv_timer_start(&tick, loop_until_on_tick, LOOP_TICK_MS, LOOP_TICK_MS);
    bool so;
    while (!(so = is_so(context)) && over_at != 0) {
        uv_run(loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&tick, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    return so;
}

#endif
