/* Which source a URL means, and what all sources share; see source.h. */
#include "feed/source.h"
#include "base/clock.h"
#include "feed/source_kind.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *source_count_name(enum source_count count)
{
#define X(code, text) [code] = text,
    static const char *const names[] = {SOURCE_COUNT_LIST(X)};
#undef X
    return (unsigned)count < SOURCE_COUNT_COUNT ? names[count] : "unknown";
}

const char *source_state_name(enum source_state state)
{
#define X(code, text) [code] = text,
    static const char *const names[] = {SOURCE_STATE_LIST(X)};
#undef X
    return (unsigned)state < SOURCE_STATE_COUNT ? names[state] : "unknown";
}

/* `none`: a source of nothing, so that callers need no special case. It owns a handle only because
 * on_closed must come from the loop, as it does for the others. */
struct source_none {
    struct source source;
    uv_timer_t closer;
};

static void on_none_closed(uv_handle_t *handle)
{
    source_finished(handle->data);
}

static void none_destroy(struct source *source)
{
    struct source_none *none = (struct source_none *)source;
    uv_close((uv_handle_t *)&none->closer, on_none_closed);
}

static const struct source_kind none_kind = {.destroy = none_destroy};

static struct source *none_create(const struct source_arguments *arguments, char why[512])
{
    struct source_none *none = calloc(1, sizeof *none);
    if (!none) {
        snprintf(why, 512, "out of memory");
        return NULL;
    }
    source_init(&none->source, &none_kind, arguments);
    uv_timer_init(arguments->loop, &none->closer);
    none->closer.data = none;
    return &none->source;
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

struct source *source_create(uv_loop_t *loop, const struct options *options,
                             source_on_token *on_token, void *context, char why[512])
{
    const struct source_arguments arguments = {loop, options, on_token, context};
    const char *url = options->source;
    why[0] = '\0';
    if (strcmp(url, "none") == 0) {
        return none_create(&arguments, why);
    }
    if (starts_with(url, "file:")) {
        return source_file_create(&arguments, url + strlen("file:"), why);
    }
    if (starts_with(url, "ws://") || starts_with(url, "wss://")) {
        return source_websocket_create(&arguments, url, why);
    }
    snprintf(why, 512, "source \"%s\" is none of ws://…, wss://…, file:PATH, file:- and none", url);
    return NULL;
}

void source_init(struct source *source, const struct source_kind *kind,
                 const struct source_arguments *arguments)
{
    source->kind = kind;
    source->loop = arguments->loop;
    source->on_token = arguments->on_token;
    source->context = arguments->context;
    source->stats.state = SOURCE_NONE;
    source->stats.state_since = clock_now();
}

void source_change(struct source *source, enum source_state state, const char *message)
{
    struct source_stats *stats = &source->stats;
    enum source_state was = stats->state;
    if (message != stats->message) {
        snprintf(stats->message, sizeof stats->message, "%s", message);
    }
    if (was == state) {
        return;
    }
    instant now = clock_now();
    if (source->was_live && was != SOURCE_LIVE) {
        stats->gap_total.us += instant_diff(now, stats->state_since).us;
    }
    source->was_live = source->was_live || state == SOURCE_LIVE;
    stats->state = state;
    stats->state_since = now;
    if (source->on_state && !source->destroyed) {
        source->on_state(source->context, was, state);
    }
}

bool source_take(struct source *source, const struct pumpportal_frame *frame)
{
    if (frame->meaning == SOURCE_MIGRATIONS) {
        if (!source->on_token(source->context, &frame->token)) {
            return false;
        }
        source->stats.last_token_at = clock_now();
    }
    source->stats.counts[frame->meaning]++;
    return true;
}

duration source_backoff(duration min, duration max, unsigned tries, double unit)
{
    int64_t ceiling = min.us;
    for (unsigned i = 0; i < tries && ceiling < max.us; i++) {
        ceiling *= 2;
    }
    ceiling = ceiling < max.us ? ceiling : max.us;
    if (ceiling <= min.us) {
        return min;
    }
    return duration_us(min.us + (int64_t)(unit * (double)(ceiling - min.us)));
}

const char *source_seconds_text(duration d, char out[32])
{
    double seconds = duration_to_s(d);
    snprintf(out, 32, seconds < 10 ? "%.1f s" : "%.0f s", seconds);
    return out;
}

void source_finished(struct source *source)
{
    void (*on_closed)(void *context) = source->on_closed;
    void *context = source->context;
    free(source);
    if (on_closed) {
        on_closed(context);
    }
}

void source_watch(struct source *source, source_on_state *on_state)
{
    source->on_state = on_state;
}

void source_stats(const struct source *source, struct source_stats *out)
{
    *out = source->stats;
}

void source_destroy(struct source *source, void (*on_closed)(void *context))
{
    if (source && !source->destroyed) {
        source->destroyed = true;
        source->on_closed = on_closed;
        source->kind->destroy(source);
    }
}
