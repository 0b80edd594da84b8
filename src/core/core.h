/*
 * The core: everything that decides, and nothing else. It reads no clock, touches no descriptor,
 * allocates nothing after core_init(), and is deterministic: the same events give the same actions.
 *
 *     core_step(core, event, actions)   something happened at event->now
 *     core_deadline(core, now)          when to call again with EVENT_TIME if nothing does
 *
 * The shell (src/engine) gathers events, calls core_step(), performs the actions in order, and
 * feeds their results back as events. The simulator (sim/) does the same with a fake world.
 *
 * What it owns: the lanes and their budgets, the requests in flight, the jobs, a copy of the
 * options, and the writing side of the token table. An event's memory is the caller's, for the
 * call; an action's is the core's, until the next step.
 */
#ifndef MOONWATCH_CORE_CORE_H
#define MOONWATCH_CORE_CORE_H

#include "base/histogram.h"
#include "base/options.h"
#include "core/alerts.h"
#include "core/breaker.h"
#include "core/finding.h"
#include "core/lane_kind.h"
#include "core/load.h"
#include "core/mint_slot.h"
#include "core/outcome.h"
#include "core/surroundings.h"
#include "core/token_table.h"
#include "core/transition.h"
#include "core/trust.h"
#include "core/vitals.h"

/* Jobs, each with its own interval. X(code, name) */
#define JOB_LIST(X)                                                                                \
    X(JOB_ARCHIVER, "archiver")                                                                    \
    X(JOB_ACTIVATION, "activation")                                                                \
    X(JOB_EXPORT, "export")                                                                        \
    X(JOB_RETENTION, "retention")                                                                  \
    X(JOB_RECALCULATE, "recalculate") /* on command only */

enum job {
#define X(code, name) code,
    JOB_LIST(X)
#undef X
        JOB_COUNT
};

const char *job_name(enum job job);

/* Sweeps end in the core; export and retention are run outside, which tells when they are done. One
 * that is past job_deadline_sec is cancelled and run again at once: nothing waits for it. */
#define JOB_STATE_LIST(X)                                                                          \
    X(JOB_IDLE, "idle")                                                                            \
    X(JOB_RUNNING, "running")                                                                      \
    X(JOB_CANCELLED, "cancelled") /* it overran */

enum job_run_state {
#define X(code, name) code,
    JOB_STATE_LIST(X)
#undef X
        JOB_STATE_COUNT
};

const char *job_state_name(enum job_run_state state);

/* In a row of one job: then it is not bad luck, and what is stuck may be in ourselves. */
#define JOB_OVERRUNS_MAX 3

/* Whether the upstream may be asked, by order. Paused, nothing new is sent; answers under way are
 * taken, and jobs go on. */
#define PAUSE_STATE_LIST(X)                                                                        \
    X(PAUSE_OFF, "off")                                                                            \
    X(PAUSE_ON, "on")

enum pause_state {
#define X(code, name) code,
    PAUSE_STATE_LIST(X)
#undef X
        PAUSE_STATE_COUNT
};

const char *pause_state_name(enum pause_state state);

/*
 * One of several nodes (docs/cluster.md): they share the tokens by slots (mint_slot.h), and each
 * has all of them in its table. Of each slot this core
 *
 *   works on it       its tokens stand in lanes and are sent for; jobs look at them
 *   listens to it     what is under way is taken when it is answered (scored, saved, as ever), but
 *                     nothing more is sent: it drains
 *   follows it        neither: another node works on it, whose commits come as EVENT_FOLLOWED
 *
 * A core that is never told of shares works on all, and has the source.
 */
#define SHARE_WORDS (MINT_SLOTS / 64)

/* What another node's commit is not taken on for. X(code, name) */
#define FOLLOW_REFUSAL_LIST(X)                                                                     \
    X(FOLLOW_UNSOUND, "unsound")         /* no token can be so */                                  \
    X(FOLLOW_CONTRADICTS, "contradicts") /* its id or mint is that of another durable one here */  \
    X(FOLLOW_NO_ROOM, "no_room")     /* the table does not reach to it, or not for its pools */    \
    X(FOLLOW_LISTENING, "listening") /* its slot is worked on or listened to here */

enum follow_refusal {
#define X(code, name) code,
    FOLLOW_REFUSAL_LIST(X)
#undef X
        FOLLOW_REFUSAL_COUNT
};

const char *follow_refusal_name(enum follow_refusal refusal);

/* Ids between the table's end and a followed one become holes, until their tokens follow. That many
 * are one step of a few milliseconds; whoever is further off is a mistake. */
#define FOLLOW_GAP_MAX 65536

/* What bounds how much a lane asks for. X(code, name) */
#define LANE_LIMIT_LIST(X)                                                                         \
    X(LIMIT_UPSTREAM, "upstream") /* its limit, as far as we use it */                             \
    X(LIMIT_CPU, "cpu")           /* what our CPUs can work through */                             \
    X(LIMIT_STORE, "store")       /* what the store can take */                                    \
    X(LIMIT_LEVEL, "level")       /* what the load level leaves of the work, under strain */

enum lane_limit {
#define X(code, name) code,
    LANE_LIMIT_LIST(X)
#undef X
        LANE_LIMIT_COUNT
};

const char *lane_limit_name(enum lane_limit limit);

/* ---- events ---- */

enum event_kind {
    EVENT_TIME,           /* the deadline has come */
    EVENT_TOKEN_SEEN,     /* a source or a client names a token */
    EVENT_TOKEN_DURABLE,  /* its row is in the store */
    EVENT_TOKEN_REFUSED,  /* and will not be: another node gives the ids now */
    EVENT_ANSWER,         /* a request ended */
    EVENT_REFRESH_WANTED, /* a client wants one token now */
    EVENT_OPTIONS,        /* settings changed */
    EVENT_JOB_WANTED,     /* run a job now */
    EVENT_JOB_DONE,       /* a run outside has ended, well or not */
    EVENT_SUSPECT,        /* a token was in hand when the engine died: send it alone */
    EVENT_QUARANTINE,     /* it was so once too often: do not send it at all */
    EVENT_RELEASE,        /* out of quarantine: a suspect first, in both of its lanes */
    EVENT_LIMIT_KNOWN,    /* what an engine before this one learnt of the upstream's limit */
    EVENT_PAUSE,          /* send nothing new, or go on */
    EVENT_LOAD,           /* the sample of a second: how busy everything is */
    EVENT_ALERT_KNOWN,    /* a message of an engine before this one; oldest first */
    EVENT_ALERT_TEST,     /* somebody wants a message, to see whether it arrives */
    EVENT_SHARE,          /* which slots this node works on changed */
    EVENT_FOLLOWED,       /* another node committed something of a token */
    EVENT_SOURCE,         /* whether new tokens are given their ids here */
    EVENT_KIND_COUNT
};

struct event {
    enum event_kind kind;
    instant now;
    union {
        struct {
            struct address mint;
            const char *name, *symbol; /* may be empty */
            uint64_t tag;              /* 0: nobody waits for a reply */
        } token_seen;
        struct {
            token_id id;
            uint64_t tag;
        } token_durable;
        struct {
            token_id id; /* unless it is durable it is dropped, as if it had not been seen */
            uint64_t tag;
        } token_refused;
        struct {
            uint64_t request;
            enum feed_outcome outcome;
            duration retry_after; /* 0: none, or 0 */
            duration latency;
            const struct pair *pairs; /* with FEED_OK */
            size_t pair_count;
        } answer;
        struct {
            struct address mint;
            uint64_t tag;
        } refresh_wanted;
        struct {
            const struct options *options;
        } options;
        struct {
            enum job job;
        } job_wanted;
        struct {
            enum job job;
            uint64_t run; /* of the action that began it */
            bool has_failed;
        } job_done;
        struct {
            token_id id;
            enum lane_kind lane; /* of the request that it was in */
        } suspect;
        struct {
            token_id id;
        } quarantine;
        struct {
            token_id id;
        } release;
        struct {
            enum lane_kind lane;
            double per_minute;
            double configured; /* then: another one now, and it is forgotten */
            instant at;
        } limit_known;
        struct {
            bool is_paused;
        } pause;
        struct {
            const struct load_sample *sample;
            const struct surroundings *around; /* NULL: nothing is known of them */
        } load;
        struct {
            const struct alert_message *message;
        } alert_known;
        struct {
            uint64_t tag;
        } alert_test;
        struct {
            /* A bit a slot: SHARE_WORDS words. Who is worked on is listened to. */
            const uint64_t *working, *listening;
            /* core_scratch_size() bytes, or NULL: slower. With a million tokens a step in which
             * many come takes up to 0.2 s. */
            void *scratch;
        } share;
        struct {
            token_id id;
            /* As another node has committed it, in this one's time; its flags and where its pools
             * stand mean nothing. An empty name and a time that is never leave what there is. */
            const struct token *token;
            const struct pool *pools; /* names are this table's */
            bool has_pools;           /* else they are those that it has */
        } followed;
        struct {
            bool is_held;
        } source;
    };
};

/* ---- actions ---- */

enum action_kind {
    ACTION_FETCH,      /* send a request; its end comes back as EVENT_ANSWER */
    ACTION_CANCEL,     /* end a request that overran its deadline; no answer is awaited any more */
    ACTION_ADD_TOKEN,  /* write its row durably, then EVENT_TOKEN_DURABLE */
    ACTION_SAVE,       /* its state changed: write it with the next group commit */
    ACTION_SNAPSHOT,   /* add to its history what its slot holds now */
    ACTION_HISTORY,    /* add an event of its life */
    ACTION_REPLY,      /* answer a client */
    ACTION_EXPORT,     /* write the file for bots, then EVENT_JOB_DONE */
    ACTION_RETENTION,  /* delete history from before, then EVENT_JOB_DONE */
    ACTION_JOB_CANCEL, /* give this run up; it is run again at once, with another number */
    ACTION_RESTART,    /* end gracefully and start afresh; asked for once */
    ACTION_SUSPECT_CLEARED, /* it was answered and we live: it is an ordinary token again */
    ACTION_LIMIT,           /* what is learnt of the upstream's limit changed: remember it */
    ACTION_ALERT,           /* tell people */
    ACTION_TRANSITION,      /* a state changed: for the flight recorder and the log */
    ACTION_KIND_COUNT
};

enum reply_result {
    REPLY_CREATED,
    REPLY_KNOWN,
    REPLY_DONE,
    REPLY_NOT_FOUND,
    REPLY_UNAVAILABLE,
    REPLY_ELSEWHERE, /* another node's: of a new token the source's, else who works on its slot */
    REPLY_RESULT_COUNT
};

struct action {
    enum action_kind kind;
    union {
        struct {
            uint64_t request;
            enum lane_kind lane;
            const struct address *addresses; /* pools for LANE_REFRESH, else tokens */
            size_t count;
        } fetch;
        struct {
            uint64_t request;
        } cancel;
        struct {
            token_id id;
            uint64_t tag;
        } add_token;
        struct {
            token_id id;
        } save;
        struct {
            token_id id;
            int64_t snapshot_id, previous;
        } snapshot;
        struct {
            token_id id;
            const char *event, *reason;
        } history;
        struct {
            uint64_t tag;
            enum reply_result result;
            int64_t snapshot_id;
            double score;        /* NaN: none */
            const char *message; /* why not; static */
        } reply;
        struct {
            uint64_t run;
        } export;
        struct {
            uint64_t run;
            instant snapshots_before, events_before;
        } retention;
        struct {
            enum job job;
            uint64_t run;
        } job_cancel;
        struct {
            const char *reason; /* static */
        } restart;
        struct {
            token_id id;
        } suspect_cleared;
        struct {
            enum lane_kind lane;
            double per_minute; /* `configured`: nothing below it is known */
            double before;     /* as it was told last */
            double configured;
        } limit;
        struct {
            const struct alert_message *message;
            uint64_t tag; /* of a test: who waits for its outcome */
        } alert;
        struct {
            enum transition what;
            uint8_t from, to;
            uint32_t id; /* of what `what` says */
        } transition;
    };
};

/* A step never makes more; what does not fit waits for the next step, which is due at once. */
#define ACTIONS_MAX 1024

struct actions {
    size_t count;
    instant now; /* of the step */
    struct action items[ACTIONS_MAX];
};

/* ---- what it tells of itself ---- */

#define RECENT_SPAN_S 300

struct group_stats {
    uint32_t tokens;            /* that this node works on */
    uint64_t refreshes;         /* answers with data for tokens that had been answered before */
    uint64_t refreshes_on_time; /* of these, within 1.1 × target of the one before */
    struct histogram ages;      /* of all of these: from one answer to the next; SCALE_AGES */
    uint32_t recent;            /* the same two of the last RECENT_SPAN_S seconds */
    uint32_t recent_on_time;
    duration target;
    instant last_answer_at;
    duration oldest_age;
    uint32_t deferred;            /* past the target and not sent */
    uint32_t deferred_by_load;    /* of these, for another reason than the upstream's limit */
    duration oldest_deferred_age; /* 0: nobody is deferred */
    uint32_t overdue; /* of the deferred, past the maximum age (counted to thousands): critical */
};

struct lane_stats {
    uint64_t requests;
    uint64_t addresses;
    uint64_t outcomes[FEED_OUTCOME_COUNT];
    uint32_t in_flight;
    double allowed_per_minute;    /* in force */
    double configured_per_minute; /* headroom taken off */
    double learned_per_minute;    /* of the upstream's limit; NaN: nothing below the configured */
    uint32_t used_last_minute;
    duration latency;           /* smoothed */
    struct histogram latencies; /* of answers with data; SCALE_DURATIONS */
    uint32_t deferred;
    double capacities[LANE_LIMIT_COUNT]; /* requests a second; INFINITY: that does not bound it */
    enum lane_limit limit;               /* the smallest of them */
    instant rest_until;                  /* INSTANT_NEVER: not resting */
    instant last_ok_at;
};

struct breaker_stats {
    enum breaker_state state;
    uint64_t opens;
    instant open_until; /* INSTANT_NEVER: not open */
};

struct job_stats {
    uint64_t runs;     /* begun */
    uint64_t overruns; /* of these, cancelled at their deadline */
    uint64_t failures; /* ended, but not well */
    uint32_t overruns_in_a_row, failures_in_a_row;
    instant running_since; /* INSTANT_NEVER: not running */
    instant last_run_at;
    duration interval;
};

/* Of one of several nodes. */
struct share_stats {
    bool is_source;
    uint32_t tokens;                        /* that it works on, those in quarantine as well */
    uint32_t slots_working, slots_draining; /* draining: listened to, not worked on */
    uint64_t changes;                       /* of who works on what */
    uint64_t joined, left;                  /* tokens that came with them, and went */
    uint64_t withdrawn;                     /* of requests that were under way about them */
    uint64_t followed;                      /* commits of other nodes, taken on */
    uint64_t followed_new;                  /* of these, tokens that were not known */
    uint64_t holes;                         /* ids that were passed over, to be filled */
    uint64_t dropped; /* tokens whose ids another node gave to others: they never were durable */
    uint64_t refused[FOLLOW_REFUSAL_COUNT];
};

struct core_stats {
    uint64_t steps;
    struct load load;
    double token_cost_s; /* CPU seconds of the engine for a token answered; NaN: unknown */
    uint64_t tokens_added, tokens_known, tokens_refused;
    uint64_t snapshots, activated, demoted, archived, reactivated;
    uint64_t without_data;
    uint64_t late_answers; /* for requests that had been given up */
    uint64_t late_jobs;    /* ends of runs that had been cancelled */
    uint64_t issues[PAIR_ISSUE_COUNT];
    struct group_stats groups[GROUP_COUNT];
    struct lane_stats lanes[LANE_KIND_COUNT];
    struct job_stats jobs[JOB_COUNT];
    struct breaker_stats breaker;
    uint32_t suspects, quarantined; /* at present */
    uint64_t cleared;               /* suspects that became ordinary again */
    uint64_t suspects_forgotten;    /* of these, without an answer: there were too many */
    bool is_paused;
    double tokens_last_minute; /* answered */
    double errors_last_hour;   /* health.h says what counts as one */
    struct findings findings;  /* what is wrong now */
    struct vital_stats vitals[VITAL_COUNT];
    struct share_stats share;
    instant sampled_at; /* of what is a present state: once a second */
};

/* ---- the interface ---- */

struct core;

size_t core_size(void);

/* `memory` holds core_size() bytes and is the caller's, as the table is. `last_snapshot_id` is the
 * newest there is. Then the tokens that the table holds are put into their lanes by their age:
 * core_start_alone(), or its parts.
 *
 * Nobody is suspect or in quarantine then, whatever the table's flags say: the shell tells who is,
 * before anything else. Steps that tell so send nothing, so that nobody who is still to be told of
 * is sent. */
struct core *core_init(void *memory, struct token_table *table, const struct options *options,
                       int64_t last_snapshot_id, instant now);

/* Between core_init() and the first core_place(): this is one of several nodes. It works on these
 * slots (NULL: none yet), and has not got the source. Later EVENT_SHARE and EVENT_SOURCE tell. */
void core_share(struct core *core, const uint64_t *working);

/* A start, by as many threads as there are cores: places every token (each id once, any ranges),
 * sorts either family (`scratch` of core_scratch_size() bytes for each, or NULL: slower), and
 * begins. */
void core_place(struct core *core, token_id first, token_id last);
void core_sort(struct core *core, enum link_family family, void *scratch);
void core_start(struct core *core, int64_t newest_snapshot); /* of a token; 0: not looked for */
size_t core_scratch_size(const struct token_table *table);
/* A start with the first of the tokens, those that were placed and sorted, while the others are
 * still put into the table, or looked at: these are sent for, the others are none of the core's
 * yet. Until core_start_rest() no job runs and no snapshot is made, and the shell lets nobody in
 * who may be among the others: no token is seen, no client's wish is told, no share changes and
 * nothing is followed. */
void core_start_first(struct core *core);
/* The others are there and placed, both families are to be sorted anew (core_sort() once more): the
 * rest of core_start(). */
void core_start_rest(struct core *core, int64_t newest_snapshot);
/* Who is to be the first, of a table that another engine left and nobody has looked at yet: whoever
 * seems to wait longest, at most `most` of them, and of the table's tokens (`scratch`:
 * core_scratch_size() bytes). What the caller finds sound of them is placed, and sorted without the
 * others. */
size_t core_recall(const struct core *core, token_id *out, size_t most, void *scratch);
void core_sort_some(struct core *core, const token_id *ids, size_t count);
/* All of that, by one thread. */
void core_start_alone(struct core *core, void *scratch);

void core_step(struct core *core, const struct event *event, struct actions *actions);
instant core_deadline(struct core *core, instant now);

const struct core_stats *core_stats(const struct core *core);
const struct alerts *core_alerts(const struct core *core);
const struct options *core_options(const struct core *core);

/* What a request that is under way is about, for the shell to note before it opens the answer.
 * Returns how many tokens; 0 (and LANE_KIND_COUNT): no such request. */
size_t core_request_tokens(const struct core *core, uint64_t request,
                           token_id out[REQUEST_ADDRESSES_MAX]);
enum lane_kind core_request_lane(const struct core *core, uint64_t request);

enum trust core_trust(const struct core *core, token_id id);

/* How many tokens of a slot are in requests under way whose answers are listened to, and a bit for
 * each slot that has any: what a slot that is given away waits for. */
uint32_t core_slot_in_flight(const struct core *core, uint16_t slot);
void core_slots_in_flight(const struct core *core, uint64_t slots[SHARE_WORDS]);

/* For oracles: true when the token is in exactly the lanes it should be in, or in flight. A
 * suspect stands in none, one in quarantine is not in flight either. One of a slot that is not
 * worked on stands in none, and may be in flight while it is listened to. */
bool core_holds_token(const struct core *core, token_id id);

#endif
