/*
 * The status page: what the processes share about themselves. Fixed size, no pointers, fit for
 * shared memory, which the supervisor holds; written by the engine, and by the others what is
 * theirs, read by all and by tools; intact after a crash. Numbers are single atomic words; texts
 * stand twice and change by turns. Instants are of one timeline, which lies here too.
 *
 * Counters, gauges and histograms are rows of page/metrics.def, from which /metrics is made, too.
 * What an engine counts begins at 0 with each engine; what the supervisor and the api count, with
 * the daemon. Doubles are kept as their bits; a gauge nobody has set yet is NaN, which readers show
 * as unknown (null, or left out), never as 0.
 */
#ifndef MOONWATCH_PAGE_STATUS_PAGE_H
#define MOONWATCH_PAGE_STATUS_PAGE_H

#include "base/clock.h"
#include "base/histogram.h"
#include "base/log_ring.h"
#include "base/options.h"
#include "base/time.h"
#include "core/finding.h"
#include "page/alert_board.h"
#include "page/changes.h"
#include "page/cluster_page.h"
#include "page/crash.h"
#include "page/flight.h"
#include "page/suspects.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define STATUS_PAGE_MAGIC  0x4d4f4f4e57415443ULL /* "MOONWATC" */
#define STATUS_PAGE_LAYOUT 14

/* X(code, name) */
#define PROCESS_LIST(X)                                                                            \
    X(PROCESS_SUPERVISOR, "supervisor")                                                            \
    X(PROCESS_ENGINE, "engine")                                                                    \
    X(PROCESS_API, "api")

enum page_process_id {
#define X(code, name) code,
    PROCESS_LIST(X)
#undef X
        PROCESS_COUNT
};

#define PROCESS_STATE_LIST(X)                                                                      \
    X(PROCESS_ABSENT, "absent") /* not started, or ended as it was told to */                      \
    X(PROCESS_STARTING, "starting")                                                                \
    X(PROCESS_RUNNING, "running")                                                                  \
    X(PROCESS_DRAINING, "draining") /* told to end; finishes what it has */                        \
    X(PROCESS_DYING, "dying")       /* killed; its death is awaited */                             \
    X(PROCESS_WAITING, "waiting")   /* died; started again when its wait is over */

enum process_state {
#define X(code, name) code,
    PROCESS_STATE_LIST(X)
#undef X
        PROCESS_STATE_COUNT
};

/* What must move, each a thread; of the feed workers as many as there are. X(code, process, name)
 */
#define BEAT_LIST(X)                                                                               \
    X(BEAT_ENGINE_LOOP, PROCESS_ENGINE, "engine loop")                                             \
    X(BEAT_STORE_THREAD, PROCESS_ENGINE, "store thread")                                           \
    X(BEAT_FEED_WORKER_1, PROCESS_ENGINE, "feed worker 1")                                         \
    X(BEAT_FEED_WORKER_2, PROCESS_ENGINE, "feed worker 2")                                         \
    X(BEAT_FEED_WORKER_3, PROCESS_ENGINE, "feed worker 3")                                         \
    X(BEAT_FEED_WORKER_4, PROCESS_ENGINE, "feed worker 4")                                         \
    X(BEAT_FEED_WORKER_5, PROCESS_ENGINE, "feed worker 5")                                         \
    X(BEAT_FEED_WORKER_6, PROCESS_ENGINE, "feed worker 6")                                         \
    X(BEAT_FEED_WORKER_7, PROCESS_ENGINE, "feed worker 7")                                         \
    X(BEAT_FEED_WORKER_8, PROCESS_ENGINE, "feed worker 8")                                         \
    X(BEAT_FEED_WORKER_9, PROCESS_ENGINE, "feed worker 9")                                         \
    X(BEAT_FEED_WORKER_10, PROCESS_ENGINE, "feed worker 10")                                       \
    X(BEAT_FEED_WORKER_11, PROCESS_ENGINE, "feed worker 11")                                       \
    X(BEAT_FEED_WORKER_12, PROCESS_ENGINE, "feed worker 12")                                       \
    X(BEAT_FEED_WORKER_13, PROCESS_ENGINE, "feed worker 13")                                       \
    X(BEAT_FEED_WORKER_14, PROCESS_ENGINE, "feed worker 14")                                       \
    X(BEAT_FEED_WORKER_15, PROCESS_ENGINE, "feed worker 15")                                       \
    X(BEAT_FEED_WORKER_16, PROCESS_ENGINE, "feed worker 16")                                       \
    X(BEAT_API_HTTP, PROCESS_API, "api http thread")                                               \
    X(BEAT_API_LINK, PROCESS_API, "api link thread")                                               \
    X(BEAT_API_EVENTS, PROCESS_API, "api events thread")

enum beat {
#define X(code, process, name) code,
    BEAT_LIST(X)
#undef X
        BEAT_COUNT
};

_Static_assert(BEAT_FEED_WORKER_16 - BEAT_FEED_WORKER_1 + 1 == HANDS_MAX - 1, "a hand each");

enum counter {
#define COUNTER(id, name, help) id,
#include "page/metrics.def"
    COUNTER_COUNT
};

enum gauge {
#define GAUGE(id, name, help) id,
#include "page/metrics.def"
    GAUGE_COUNT
};

enum page_histogram_id {
#define HISTOGRAM(id, name, scale, by, help) id,
#include "page/metrics.def"
    HISTOGRAM_COUNT
};

/* Sizes of the labelled families; checked against the enums they are indexed by in the engine. */
#define PAGE_GROUPS       3  /* enum token_group */
#define PAGE_LANES        3  /* enum lane_kind */
#define PAGE_OUTCOMES     24 /* enum feed_outcome */
#define PAGE_PAIR_ISSUES  16 /* enum pair_issue */
#define PAGE_SOURCE_COUNT 16 /* enum source_count */
#define PAGE_JOBS         8  /* enum job */
#define PAGE_LIMITS       6  /* enum lane_limit */
#define PAGE_READINGS     40 /* enum load_reading */
#define PAGE_SIGNALS      12 /* enum load_signal_id */
#define PAGE_VITALS       16 /* enum vital */
#define PAGE_MEMBERS      3  /* histograms of one name: by group or lane */

struct page_group {
    _Atomic uint64_t tokens;
    _Atomic uint64_t refreshes;         /* answers with data, since start */
    _Atomic uint64_t refreshes_on_time; /* of these, within 1.1 × target of the one before */
    _Atomic uint64_t recent;            /* the same two of the last five minutes */
    _Atomic uint64_t recent_on_time;
    _Atomic uint64_t target_us;          /* the interval in force */
    _Atomic uint64_t last_answer_us;     /* instant */
    _Atomic uint64_t oldest_age_us;      /* of its tokens, at the last sample */
    _Atomic uint64_t deferred;           /* past the target and not sent */
    _Atomic uint64_t deferred_by_load;   /* of these, not because of the upstream's limit */
    _Atomic uint64_t oldest_deferred_us; /* age; 0: nobody is deferred */
};

struct page_lane {
    _Atomic uint64_t requests;
    _Atomic uint64_t addresses; /* in these requests; 30 a request is full */
    _Atomic uint64_t outcomes[PAGE_OUTCOMES];
    _Atomic uint64_t in_flight;
    _Atomic uint64_t allowed_per_minute_bits;    /* double: the budget in force */
    _Atomic uint64_t configured_per_minute_bits; /* double: the limit that a person gave */
    _Atomic uint64_t learned_per_minute_bits;    /* double: the upstream's own; NaN: not below it */
    _Atomic uint64_t sampled_at_us;              /* when these were in force */
    _Atomic uint64_t used_last_minute;
    _Atomic uint64_t latency_us;                   /* smoothed */
    _Atomic uint64_t deferred;                     /* past their target and not sent */
    _Atomic uint64_t paused_until_us;              /* resting after a refusal; 0 not */
    _Atomic uint64_t capacities_bits[PAGE_LIMITS]; /* doubles, requests a second; INFINITY: none */
    _Atomic uint64_t limit;                        /* enum lane_limit: the smallest */
};

/* A struct histogram, by its one writer. */
struct page_histogram {
    _Atomic uint64_t counts[HISTOGRAM_BOUNDS_MAX + 1];
    _Atomic uint64_t sum_us;
};

struct page_job {
    _Atomic uint64_t runs;
    _Atomic uint64_t last_run_us;
    _Atomic uint64_t interval_us;
    _Atomic uint64_t running_since_us; /* 0: not running */
    _Atomic uint64_t overruns_in_a_row;
    _Atomic uint64_t failures_in_a_row;
};

/* What is wrong (health_view.h): twice, changed by turns, as the texts. */
struct page_health {
    _Atomic uint64_t turn; /* 0: nothing was ever said */
    struct findings findings[2];
};

struct page_signal {
    _Atomic uint64_t level;        /* enum load_level */
    _Atomic uint64_t percent_bits; /* double; NaN: unknown */
    _Atomic uint64_t since_us;     /* of the level; 0: from the start */
};

struct page_load {
    _Atomic uint64_t sampled_at_us;
    _Atomic uint64_t readings_bits[PAGE_READINGS]; /* doubles; NaN: unknown */
    struct page_signal signals[PAGE_SIGNALS];
    _Atomic uint64_t level_since_us;
    _Atomic uint64_t features_off; /* a bit for each enum load_feature */
};

/* Of an alert sink. */
struct page_sink {
    _Atomic uint64_t is_on;
    _Atomic uint64_t delivered, failed, refused; /* tries by how they ended */
    _Atomic uint64_t waiting;                    /* messages */
};

/* A forecast, and how good those before it were (core/vitals.h). */
struct page_vital {
    _Atomic uint64_t state;      /* enum vital_state */
    _Atomic uint64_t since_us;   /* of the state; 0: from the start */
    _Atomic uint64_t value_bits; /* doubles; NaN: unknown, or none */
    _Atomic uint64_t threshold_bits;
    _Atomic uint64_t level_bits;
    _Atomic uint64_t slope_bits; /* a second */
    _Atomic uint64_t anomaly_bits;
    _Atomic uint64_t eta_bits; /* seconds */
    _Atomic uint64_t confidence_bits;
    _Atomic uint64_t hits, false_alarms, missed;
    _Atomic uint64_t median_lead_bits; /* seconds */
};

/* Written by the supervisor. */
struct page_process {
    _Atomic uint64_t state; /* enum process_state */
    _Atomic uint64_t pid;   /* 0: none */
    _Atomic uint64_t starts;
    _Atomic uint64_t started_at_us;
    _Atomic uint64_t ready_at_us;
    _Atomic uint64_t next_start_at_us; /* of PROCESS_WAITING */
    _Atomic uint64_t deaths_last_hour;
    _Atomic uint64_t resident_bytes;
    _Atomic uint64_t confined; /* bits of enum confine_part: what it gave up */
};

/* Written by the thread that beats. The supervisor takes a thread that has not beaten within
 * `patience_us` for hung. */
struct page_beat {
    _Atomic uint64_t at_us;       /* instant; 0: does not beat */
    _Atomic uint64_t patience_us; /* until the next; 0: heartbeat_deadline_ms */
    _Atomic uint64_t thread;      /* kernel's id */
    _Atomic uint64_t cpu_us;      /* that the thread has had until then */
};

#define PAGE_TEXT_SIZE 256
#define PAGE_WHY_SIZE  512

/* What is longer than a word; changed at most a few times a second. */
struct page_texts {
    char store_message[PAGE_TEXT_SIZE];
    char source_message[PAGE_TEXT_SIZE];
    char feed_message[PAGE_TEXT_SIZE];
    struct alert_board alerts;
    struct options options; /* in force; the api answers /settings from it */
};

struct status_page {
    uint64_t magic;
    uint32_t layout;
    uint32_t size;           /* of this struct */
    struct clock_line clock; /* the timeline of all processes */
    struct page_process processes[PROCESS_COUNT];
    struct page_beat beats[BEAT_COUNT];
    _Atomic uint64_t incident; /* number of the newest; 0 none */
    _Atomic uint64_t is_paused;
    _Atomic uint64_t unawaited_pid; /* an engine that was killed and does not die; 0 none */
    _Atomic uint64_t counters[COUNTER_COUNT];
    _Atomic uint64_t gauges[GAUGE_COUNT]; /* doubles as bits */
    struct page_histogram histograms[HISTOGRAM_COUNT][PAGE_MEMBERS];
    struct page_group groups[PAGE_GROUPS];
    struct page_lane lanes[PAGE_LANES];
    struct page_job jobs[PAGE_JOBS];
    struct page_load load;
    struct page_vital vitals[PAGE_VITALS];
    struct page_health health;
    struct page_cluster_turns cluster;
    struct page_sink sinks[ALERT_SINK_COUNT];
    _Atomic uint64_t pair_issues[PAGE_PAIR_ISSUES];
    _Atomic uint64_t source_counts[PAGE_SOURCE_COUNT];
    _Atomic uint64_t newest_snapshot; /* id, durable */
    /* Changed by turns: the one that readers read is whole, whatever became of the writer. */
    _Atomic uint32_t text_turn;
    struct page_texts texts[2];
    struct in_hand hands[HANDS_MAX]; /* the engine's: its loop's, then its workers' */
    struct crash_report crashes[PROCESS_COUNT];
    struct suspects suspects;
    struct flight flight;
    struct changes changes; /* token ids */
    struct log_ring log;    /* its lines are written by processes, enum page_process_id */
};

void status_page_init(struct status_page *page);

/* A memfd with a fresh page in it, mapped. NULL with errno; else *fd is the caller's to close. */
struct status_page *status_page_create(int *fd);
/* Maps a page of another process. NULL with a sentence in `why`: it is none, or of another layout,
 * from a version that we are not. PAGE_READ_ONLY for who may not write. */
enum page_access { PAGE_READ_ONLY, PAGE_READ_WRITE };
struct status_page *status_page_attach(int fd, enum page_access access, char why[PAGE_WHY_SIZE]);
void status_page_detach(struct status_page *page);

/* The calling thread moves; `patience` is how long the next beat may take, 0 the usual time. */
void page_beat(struct status_page *page, enum beat beat, instant now, duration patience);
/* It ends as it should: nobody waits for it any more. */
void page_beat_end(struct status_page *page, enum beat beat);
/* How long ago; negative: it does not beat. */
double page_beat_age_s(const struct status_page *page, enum beat beat, instant now);

const char *process_name(enum page_process_id process);
const char *process_state_name(enum process_state state);
const char *beat_name(enum beat beat);
enum page_process_id beat_process(enum beat beat);

static inline void page_add(struct status_page *page, enum counter counter, uint64_t n)
{
    atomic_fetch_add_explicit(&page->counters[counter], n, memory_order_relaxed);
}

/* A word of the page, and a double in one. */
void page_put_word(_Atomic uint64_t *where, uint64_t value);
uint64_t page_word(const _Atomic uint64_t *where);
void page_put_bits(_Atomic uint64_t *where, double value);
double page_bits(const _Atomic uint64_t *where);

void page_set(struct status_page *page, enum gauge gauge, double value);
double page_get(const struct status_page *page, enum gauge gauge); /* NaN: unknown */

/* `member`: of a histogram by group or lane, which; else 0. Put: all of it. Add: one more. */
void page_put_histogram(struct status_page *page, enum page_histogram_id id, unsigned member,
                        const struct histogram *histogram);
void page_add_duration(struct status_page *page, enum page_histogram_id id, duration value);
struct histogram page_histogram(const struct status_page *page, enum page_histogram_id id,
                                unsigned member);
enum histogram_scale_id page_histogram_scale(enum page_histogram_id id);

const char *counter_name(enum counter counter);
const char *gauge_name(enum gauge gauge);

/* One writer. Begin gives a draft of the texts in force, to be changed; end puts it in force. */
struct page_texts *page_text_begin(struct status_page *page);
void page_text_end(struct status_page *page);
/* The texts in force, for the writer's own reading. */
const struct page_texts *page_texts_now(const struct status_page *page);

/* A consistent copy. False when they change faster than they can be read. */
bool page_read_texts(const struct status_page *page, struct page_texts *out) MUST_CHECK;

#endif
