/*
 * GET /tokens/{mint}/history: figures over time, for plots; GET /tokens/{mint}/life: what happened
 * to its status. Both from the store.
 *
 * A plot has at most PLOT_POINTS_MAX points. Its range is cut into steps, and the newest snapshot
 * of each step is its point; a step too short for that many points is made longer. Snapshots are
 * made when the score moves, so a quiet token has few; the token's present figures are the last
 * point where the range reaches until now.
 */
#include "api/answer.h"
#include "api/handlers.h"
#include "api/history.h"
#include "api/query.h"
#include "api/tagged.h"
#include "api/token_find.h"
#include "api/token_json.h"
#include "base/clock.h"
#include "base/json.h"
#include "core/lifecycle.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PLOT_POINTS_MAX 2000
#define PLOT_READ_MAX   50000 /* snapshots looked at, a fifth of a second of reading */
#define PLOT_PAGE       64
#define PLOT_SPAN_S     86400 /* where `from` is not given */
#define US_PER_S        1000000
#define LIFE_EVENTS_MAX 200

/* ---- history ---- */

struct plot_point {
    instant at;
    double score, price_usd, liquidity_usd, volume_5m_usd;
    struct components components;
};

struct plot_query {
    struct history_query base;
    instant from, to;
    int64_t step_us; /* never 0 */
    int64_t last_step;
    int taken;
    struct store_snapshot page[PLOT_PAGE];
    struct plot_point points[PLOT_POINTS_MAX]; /* newest first */
};

static struct plot_point point_of(instant at, double score, const struct metrics *metrics,
                                  const struct components *components)
{
    return (struct plot_point){.at = at,
                               .score = score,
                               .price_usd = metrics->price_usd,
                               .liquidity_usd = metrics->liquidity_usd,
                               .volume_5m_usd = metrics->volume_5m_usd,
                               .components = *components};
}

/* Newer ones of the same step came first. */
static void plot_take(struct plot_query *plot, const struct plot_point *point)
{
    int64_t step = instant_diff(plot->to, point->at).us / plot->step_us;
    if (instant_before(plot->to, point->at) || instant_before(point->at, plot->from) ||
        plot->taken == PLOT_POINTS_MAX || (plot->taken > 0 && step == plot->last_step))
        return;
    plot->last_step = step;
    plot->points[plot->taken++] = *point;
}

static int plot_read(struct history_query *base, struct store_reader *reader)
{
    struct plot_query *plot = (struct plot_query *)base;
    int64_t newest = base->newest_id;
    int looked_at = 0, got = PLOT_PAGE;
    for (; newest > 0 && got == PLOT_PAGE && looked_at < PLOT_READ_MAX; looked_at += got) {
        got = store_reader_snapshots(reader, base->token, newest, plot->page, PLOT_PAGE);
        if (got < 0)
            return -1;
        for (int i = 0; i < got; i++) {
            const struct store_snapshot *snapshot = &plot->page[i];
            struct plot_point point =
                point_of(snapshot->at, snapshot->score, &snapshot->metrics, &snapshot->smoothed);
            plot_take(plot, &point);
            newest = instant_before(snapshot->at, plot->from) ? 0 : snapshot->previous;
        }
    }
    return plot->taken;
}

static void json_point(struct json *json, const struct plot_point *point)
{
    json_object_open(json, NULL);
    json_instant(json, "at", point->at);
    json_put_double(json, "score", point->score);
    json_put_double(json, "price_usd", point->price_usd);
    json_put_double(json, "liquidity_usd", point->liquidity_usd);
    json_put_double(json, "volume_5m", point->volume_5m_usd);
    json_components(json, "components", &point->components);
    json_object_close(json);
}

static void refuse_unreadable(struct request *request)
{
    refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "the store can't be read now; try again");
}

static void answer_plot(struct request *request)
{
    const struct plot_query *plot = request->state;
    if (plot->base.count < 0) {
        refuse_unreadable(request);
        return;
    }
    struct json json = {0};
    json_object_open(&json, NULL);
    json_put_string(&json, "mint_address", request->argument);
    json_instant(&json, "from", plot->from);
    json_instant(&json, "to", plot->to);
    json_put_double(&json, "step_s", duration_to_s(duration_us(plot->step_us)));
    json_array_open(&json, "points");
    for (int i = plot->base.count - 1; i >= 0; i--)
        json_point(&json, &plot->points[i]);
    json_array_close(&json);
    json_object_close(&json);
    answer_tagged(request, &json);
}

static bool read_range(struct request *request, struct plot_query *plot)
{
    int64_t step_s = 0;
    plot->to = clock_now();
    if (!query_instant(request, "to", &plot->to))
        return false;
    plot->from = instant_add(plot->to, duration_s(-PLOT_SPAN_S));
    if (!query_instant(request, "from", &plot->from) || !query_integer(request, "step", &step_s))
        return false;
    int64_t span_us = instant_diff(plot->to, plot->from).us;
    if (span_us < 0) {
        refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "from must not be after to");
        return false;
    }
    int64_t least_us = span_us / (PLOT_POINTS_MAX - 1) + 1; /* the ends of the range count too */
    plot->step_us = step_s * US_PER_S > least_us ? step_s * US_PER_S : least_us;
    return true;
}

void handle_token_history(struct request *request)
{
    struct token token;
    token_id id = token_find(request, &token, NULL);
    if (id == TOKEN_NONE)
        return;
    struct plot_query *plot = calloc(1, sizeof *plot);
    if (plot == NULL) {
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
        return;
    }
    if (!read_range(request, plot)) {
        free(plot);
        return;
    }
    plot->base = (struct history_query){
        .read = plot_read, .token = id, .newest_id = token.state.snapshot_id};
    if (token_has_data(&token)) {
        struct plot_point now = point_of(token.state.fetched_at, token.state.score,
                                         &token.state.metrics, &token.state.smoothed);
        plot_take(plot, &now);
    }
    history_ask(request, &plot->base, answer_plot);
}

/* ---- life ---- */

struct life_query {
    struct history_query base;
    struct store_event events[LIFE_EVENTS_MAX];
};

static int life_read(struct history_query *base, struct store_reader *reader)
{
    struct life_query *life = (struct life_query *)base;
    return store_reader_events(reader, base->token, life->events, LIFE_EVENTS_MAX);
}

static const struct lifecycle_row *row_of(const struct store_event *event)
{
    for (unsigned i = CHANGE_NONE + 1; i < CHANGE_COUNT; i++) {
        const struct lifecycle_row *row = lifecycle_row((enum lifecycle_change)i);
        if (strcmp(row->event, event->kind) == 0 && strcmp(row->reason, event->reason) == 0)
            return row;
    }
    return NULL;
}

/* What is no transition is the beginning: it was added. */
static void json_event(struct json *json, const struct store_event *event)
{
    const struct lifecycle_row *row = row_of(event);
    json_object_open(json, NULL);
    json_instant(json, "at", event->at);
    json_put_string(json, "from", row == NULL ? NULL : token_status_name(row->from));
    json_put_string(json, "to", token_status_name(row == NULL ? TOKEN_MONITORING : row->to));
    json_put_string(json, "reason", event->reason);
    json_object_close(json);
}

static void answer_life(struct request *request)
{
    const struct life_query *life = request->state;
    if (life->base.count < 0) {
        refuse_unreadable(request);
        return;
    }
    struct json json = {0};
    json_object_open(&json, NULL);
    json_array_open(&json, "events");
    for (int i = 0; i < life->base.count; i++)
        json_event(&json, &life->events[i]);
    json_array_close(&json);
    json_object_close(&json);
    answer_tagged(request, &json);
}

void handle_token_life(struct request *request)
{
    struct token token;
    token_id id = token_find(request, &token, NULL);
    if (id == TOKEN_NONE)
        return;
    struct life_query *life = malloc(sizeof *life);
    if (life == NULL) {
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
        return;
    }
    life->base = (struct history_query){.read = life_read, .token = id};
    history_ask(request, &life->base, answer_life);
}
