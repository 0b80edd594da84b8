/*
 * `moonwatch top`: what its files share. command_top.c runs it (keys, ticks, signals), top_source
 * reads the daemon, top_tokens chooses tokens, top_draw.c lays the screen out, and top_pane.c draws
 * its lower half, one of the panes below.
 */
#ifndef MOONWATCH_CLI_TOP_H
#define MOONWATCH_CLI_TOP_H

#include "api/freshness.h"
#include "cli/canvas.h"
#include "cli/top_source.h"
#include "cli/top_tokens.h"
#include "core/core.h"
#include "page/health_view.h"

#define TOP_TICK_MS   1000
#define TOP_TRACE_MAX 240 /* ticks that are remembered */
#define TOP_FLIGHT    FLIGHT_RECORDS

/* X(code, name) */
#define TOP_PANE_LIST(X)                                                                           \
    X(PANE_TOKENS, "tokens")                                                                       \
    X(PANE_ALERTS, "alerts")                                                                       \
    X(PANE_EVENTS, "events")

enum top_pane {
#define X(code, name) code,
    TOP_PANE_LIST(X)
#undef X
        PANE_COUNT
};

enum top_mode { TOP_LOOKING, TOP_SEARCHING, TOP_CARD, TOP_HELP };

struct top_trace {
    double values[TOP_TRACE_MAX]; /* oldest first */
    size_t count;
};

struct top {
    struct options options; /* where the daemon is */
    struct top_source source;
    instant now; /* on the daemon's timeline */
    struct freshness *freshness;
    const struct freshness_scan *ages; /* NULL: no table */
    struct health_view health;
    struct page_texts texts;
    uint64_t refreshes; /* of all groups, at the last tick */
    uint64_t engine_starts;
    struct top_trace answers, cpu;

    enum top_mode mode;
    enum top_pane pane;
    bool is_held; /* the screen stands still */
    struct top_query query;
    bool is_stale; /* the tokens are those of an older query */
    struct top_tokens tokens;
    struct flight_record flight[TOP_FLIGHT];
    size_t flight_count;
    int pane_rows;          /* of the list, as last drawn */
    int pane_count;         /* of what is listed */
    int first[PANE_COUNT];  /* row of the list that is on top */
    int chosen[PANE_COUNT]; /* row of the cursor */
};

/* top_draw.c */
void top_draw(struct top *top);

/* top_pane.c: from `row` down to, and without, `end`. */
void top_draw_pane(struct top *top, int row, int end);
void top_draw_card(struct top *top, int row, int end);

static inline bool top_is_there(const struct top *top)
{
    return top->source.fd >= 0;
}

#endif
