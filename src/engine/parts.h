/* What the engine's files share; private to src/engine. */
#ifndef MOONWATCH_ENGINE_PARTS_H
#define MOONWATCH_ENGINE_PARTS_H

#include "base/histogram.h"
#include "base/machine.h"
#include "core/core.h"
#include "engine/exporter.h"
#include "engine/huge.h"
#include "feed/source.h"
#include "feed/workers.h"
#include "page/command.h"
#include "page/faults.h"
#include "page/inherited.h"
#include "page/status_page.h"
#include "page/table_memory.h"
#include "store/relay.h"
#include "store/writer.h"
#include <uv.h>

/* What load.c keeps between two looks. */
#define REFUSED_SPAN_S 60
struct load_watch {
    struct machine machine;
    struct load_sample sample; /* the newest */
    double lag_s;              /* worst since the last look */
    struct histogram lags;     /* of all timers; SCALE_DURATIONS */
    instant deadline_at;       /* when the loop's timers were to fire */
    struct {
        uint64_t ended, refused; /* of all requests ever, a minute ago and since */
    } past[REFUSED_SPAN_S];
    uint64_t looks;
};

#define LIMIT_TAG UINT64_MAX /* of writes that nobody waits for */

/* What was learnt of one lane's limit; 0 a minute: nothing. */
struct known_limit {
    double per_minute, configured;
    instant at;
};

struct delivery;

struct engine {
    uv_loop_t loop;
    struct options options; /* in force */
    struct table_memory memory;
    struct huge huge; /* its pages */
    struct status_page *page;
    struct core *core;
    void *core_memory;
    struct writer *writer;
    struct relay *relay;     /* of history, when the database is on a server; or NULL */
    struct restore *restore; /* of this start, until all tokens are in their lanes */
    struct cold *cold;       /* tokens are still read from the store; else NULL */
    uv_async_t rows_async;   /* some of them have come */
    struct feed_workers *workers;
    struct source *source;             /* NULL: not yet, or another node listens to it */
    struct node *node;                 /* NULL: alone on its database, or not yet one of several */
    _Atomic int64_t may_send_until_us; /* of a node: its lease time; for feed workers, too */
    struct delivery *delivery;         /* of messages to people */
    struct faults *faults;             /* NULL but under a drill */
    uint32_t start_kind;               /* enum start_kind: what the supervisor advises */
    struct exporter *exporter;         /* NULL: no file is wanted */
    uv_timer_t deadline_timer;
    uv_prepare_t before_waiting;
    bool is_arm_due; /* there was a step since the deadline was set */
    uv_timer_t second_timer;
    uv_timer_t beat_timer;
    instant beat_due_at; /* when it fires, unless something is done before; never: not yet */
    uv_signal_t signal;
    uv_poll_t command_polls[2]; /* FD_COMMAND and FD_LINK */
    bool is_stopping;
    bool has_failed;  /* it stops because it must */
    unsigned closing; /* parts whose handles are still to be closed */
    bool memory_is_short;
    instant export_look_at; /* whether other pools are the best, not before */
    uint64_t exported;      /* which pools the newest export was of; 0: none yet */
    bool export_failed;
    uint64_t export_done; /* a run that has ended and is to be told of; 0: none */
    struct known_limit known_limits[LANE_KIND_COUNT]; /* at the start */
    bool is_stretched;                                /* somebody is past the maximum age */
    uint64_t incident_kept;     /* the newest that the store has been told of */
    uint64_t failures_in_a_row; /* of requests */
    instant failure_told_at;
    /* Of threads, which must not look at `options`; before there are any: */
    duration start_patience; /* how long one may take to start */
    duration store_patience; /* how long the store's may wait for its disk */
    bool is_left_behind;     /* a feed worker hangs, and the process must not wait for it */
    struct load_watch load;
    struct actions actions;
};

/* engine.c: the time is filled in here. */
void engine_step(struct engine *engine, struct event *event);
void engine_arm(struct engine *engine);
void engine_arm_if_due(uv_prepare_t *handle);
/* Its callbacks for the parts: answers, tokens, the store. */
void engine_on_answer(void *context, const struct feed_answer *answer);
void engine_on_received(void *context, uint64_t request);
bool engine_on_token(void *context, const struct source_token *token);
void engine_store_callbacks(struct engine *engine, struct writer_callbacks *out);
void engine_on_second(struct engine *engine);

/* process.c */
void engine_report(enum report_kind kind, const char *why);
/* No new work; what is under way is given up, what is known is written. */
void engine_begin_stop(struct engine *engine);
/* Timers beat, and the passing seconds are told of. */
void engine_start_timers(struct engine *engine);
/* Clients and the supervisor are listened to. */
void engine_listen(struct engine *engine);

/* start.c: from an inherited table, or a database, to work. False: why not is in the log. */
bool engine_start(struct engine *engine);
bool engine_start_source(struct engine *engine);
void engine_on_rows(uv_async_t *async);
/* Tokens that are still being read are given up. */
void engine_start_give_up(struct engine *engine);

/* watch.c: what others see of its life */
void engine_beat(struct engine *engine, duration patience);
/* Something is done at this time: that is a heartbeat, too, and the timer's may come later. */
void engine_moved(struct engine *engine, instant now);
void engine_note(struct engine *engine, const struct flight_note *note);
void engine_claim_hands(struct engine *engine);
void engine_take_in_hand(struct engine *engine, uint64_t request);
void engine_let_go(struct engine *engine);
void engine_note_stage(struct engine *engine, enum start_stage stage);
void engine_keep_incidents(struct engine *engine);

/* watch.c, in a feed worker's own thread */
void engine_on_worker_start(void *context, unsigned worker);
void engine_on_worker_beat(void *context, unsigned worker);
void engine_on_worker_open(void *context, unsigned worker, const struct feed_order *order);
void engine_on_worker_shut(void *context, unsigned worker);
void engine_on_worker_end(void *context, unsigned worker);

/* trust.c: the page's suspects */
void engine_tell_suspects(struct engine *engine);
/* A token has come: the death of which it is suspect may have taken its row with it. */
void engine_recall_suspect(struct engine *engine, const struct address *mint);
void engine_on_cleared(struct engine *engine, token_id id);
void engine_release(struct engine *engine, struct suspect *suspect);
void engine_release_expired(struct engine *engine);
bool engine_keeps_out(struct engine *engine, const struct address *mint);

/* perform.c */
void engine_perform(struct engine *engine, const struct action *action);
void engine_reply(struct engine *engine, const struct reply *reply);

/* limits.c */
void engine_perform_limit(struct engine *engine, const struct action *action);
/* What the engine before us knew when it died; before anything is published. */
void engine_inherit_limits(struct engine *engine);
/* A setting of the store: true when it is one of these. What is older than what is known is not
 * taken. */
bool engine_take_limit(struct engine *engine, const char *name, const char *value);
/* What the core is told of an inherited limit; false: there is nothing to tell. */
bool engine_limit_event(const struct engine *engine, enum lane_kind lane, struct event *out);
/* Tells the core. */
void engine_recall_limits(struct engine *engine);

/* alerts.c: False: why not is in the log. */
bool engine_alerts_start(struct engine *engine);
/* What the store kept, oldest first; then the core is told of it, and then it goes on. */
void engine_alerts_restore(struct engine *engine, int64_t id, const char *text);
void engine_alerts_recall(struct engine *engine);
void engine_alerts_begin(struct engine *engine);
void engine_perform_alert(struct engine *engine, const struct action *action);
void engine_on_alert_durable(void *engine, int64_t id);
void engine_on_new_file(void *engine);
void engine_publish_alerts(struct engine *engine);

/* commands.c */
/* What a command without an object does, when no client waits: false: it is none of these. */
bool engine_do_order(struct engine *engine, uint32_t kind);
/* Another node changed it. */
void engine_take_setting(struct engine *engine, const char *name, const char *value);
void engine_on_commands(uv_poll_t *poll, int status, int events);

/* load.c */
void engine_load_start(struct engine *engine);
/* A timer of the loop has fired: how late? */
void engine_note_late(struct engine *engine, instant expected);
void engine_look_at_load(struct engine *engine);
void engine_tell_load(struct engine *engine, const struct action *action);
void engine_publish_load(struct engine *engine);

/* publish.c */
void engine_publish(struct engine *engine);
void engine_publish_options(struct engine *engine);

/* export.c */
bool engine_export_start(struct engine *engine);
void engine_export(struct engine *engine, uint64_t run);
void engine_export_cancel(struct engine *engine, uint64_t run);
/* Has it written anew when other pools are the best. */
void engine_export_on_change(struct engine *engine);

#endif
