/*
 * What the implementations of source.h share: the head of every source, its counts and its state,
 * which is changed by one function. Only src/feed/source*.c includes this.
 */
#ifndef MOONWATCH_FEED_SOURCE_KIND_H
#define MOONWATCH_FEED_SOURCE_KIND_H

#include "feed/pumpportal.h"
#include "feed/source.h"

struct source_kind {
    /* Closes all handles, then calls source_finished(); the source is marked as destroyed before.
     */
    void (*destroy)(struct source *source);
};

/* The first member of every source. */
struct source {
    const struct source_kind *kind;
    uv_loop_t *loop;
    source_on_token *on_token;
    source_on_state *on_state;
    void *context;
    void (*on_closed)(void *context);
    struct source_stats stats;
    bool destroyed;
    bool was_live;
};

struct source_arguments {
    uv_loop_t *loop;
    const struct options *options;
    source_on_token *on_token;
    void *context;
};

void source_init(struct source *source, const struct source_kind *kind,
                 const struct source_arguments *arguments);

/* The one place where the state changes. `message` may be "". */
void source_change(struct source *source, enum source_state state, const char *message);

/* Counts a frame or line, except a migration that was not taken. False: not taken. */
bool source_take(struct source *source, const struct pumpportal_frame *frame);

/* The last step of destroy: calls on_closed and frees the source. */
void source_finished(struct source *source);

/* How long to wait before try number `tries` (from 1): between `min` and a ceiling that doubles
 * with each try up to `max`, chosen by `unit` in [0, 1), so that many clients do not come back at
 * once. "Full jitter": https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ */
duration source_backoff(duration min, duration max, unsigned tries, double unit);

/* "0.7 s" or "42 s". */
const char *source_seconds_text(duration d, char out[32]);

/* Complaints that could flood a log are written at the 1st, 2nd, 4th, 8th… of their kind. */
static inline bool source_is_worth_a_line(uint64_t count)
{
    return count != 0 && (count & (count - 1)) == 0;
}

struct source *source_websocket_create(const struct source_arguments *arguments, const char *url,
                                       char why[512]);
struct source *source_file_create(const struct source_arguments *arguments, const char *path,
                                  char why[512]);

#endif
