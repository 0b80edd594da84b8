/*
 * What the core's files share; private to src/core.
 *
 *   core.c      one event in, actions out; the next deadline; the sample a second
 *   schedule.c  requests: what to send now, what an answer means, what overran
 *   early.c     in a lull, those near their target go early
 *   follow.c    tokens: what an answer makes of one, and where it stands then
 *   jobs.c      archiver, activation sweep, export, retention
 *   capacity.c  what the load leaves of the work: the lanes' ceilings
 *   trust.c     tokens that may have killed us: alone, or not at all
 *   share.c     one of several nodes: which tokens are this one's
 *   health.c    what is wrong now; health_work.c, health_rules.c: a rule each
 */
#ifndef MOONWATCH_CORE_STATE_H
#define MOONWATCH_CORE_STATE_H

#include "core/breaker.h"
#include "core/budget.h"
#include "core/core.h"
#include "core/cost.h"
#include "core/gather.h"
#include "core/health.h"
#include "core/lane.h"
#include "core/lifecycle.h"
#include "core/score.h"
#include "core/trial.h"
#include "core/weight.h"

#define REQUESTS_MAX    (256 * LANE_KIND_COUNT) /* the bound of requests_in_flight_max */
#define WANTS_MAX       256                     /* clients waiting for a refresh of one token */
#define MINUTE_SLOTS    60
#define RECENT_SLICES   30 /* of RECENT_SPAN_S */
#define ON_TIME_FACTOR  1.1
#define SAMPLE_INTERVAL duration_s(1)

/* Groups of the price family; refresh serves the first, screen the others. */
enum price_group { PRICE_HOT, PRICE_HOT_WITHOUT_POOLS, PRICE_COLD, PRICE_ARCHIVED };
enum discover_group { DISCOVER_WANTED, DISCOVER_URGENT, DISCOVER_ACTIVE, DISCOVER_MONITORING };

struct request {
    uint32_t generation;
    bool in_flight;
    bool is_trial; /* of one suspect */
    uint8_t lane;  /* enum lane_kind */
    uint8_t token_count;
    uint8_t address_count;
    uint32_t withdrawn; /* a bit for each token whose answer is not listened to any more */
    instant sent_at;
    token_id tokens[REQUEST_ADDRESSES_MAX];
    struct address addresses[REQUEST_ADDRESSES_MAX];
};

/* A client that waits for one token. */
struct want {
    token_id id; /* TOKEN_NONE: free */
    uint64_t tag;
};

struct lane_state {
    struct budget budget;
    struct gather gather;
    double limit_told; /* what is known of the upstream's limit, as ACTION_LIMIT told it last */
    instant limit_told_at;
    instant data_at;   /* the last answer that said anything about anybody */
    double latency_s;  /* smoothed */
    double token_cost; /* addresses a token, smoothed */
    double need;       /* requests a second that keep every target of this lane */
    bool is_feasible;  /* the budget can keep them */
    double early;      /* requests that may begin with tokens before their target; see early.c */
    instant early_at;  /* as of when */
    struct {
        int64_t second;
        uint32_t count;
    } used[MINUTE_SLOTS]; /* requests sent in each of the last seconds */
};

/* Refreshes within one slice of the recent past. */
struct recent_slice {
    int64_t number; /* of slices since the epoch: which one this is */
    uint32_t refreshes, on_time;
};

struct job_state {
    enum job_run_state state;
    bool is_wanted;
    token_id cursor;     /* the next to look at; TOKEN_NONE: not sweeping */
    uint64_t run;        /* number of the newest */
    instant last_run_at; /* when the newest began */
};

/* Of the links of holes: a slot that nobody has. */
#define SHARE_SLOT_NONE MINT_SLOTS

struct share {
    bool is_part; /* of several nodes: links say their slots. Else all is this one's */
    bool is_source;
    uint64_t working[SHARE_WORDS + 1]; /* the last word is for SHARE_SLOT_NONE, and 0 */
    uint64_t listening[SHARE_WORDS + 1];
};

/* What the CPUs can work through. */
struct cpu_meter {
    struct cost cost;
    double usable_cores; /* for the engine; NaN: unknown */
    uint64_t tokens_before;
    instant measured_at;
    bool was_loading; /* tokens, from the store, when it was measured last */
};

struct core {
    struct options options;
    struct token_table *table;
    struct actions *actions; /* of the step under way */
    instant now;             /* of the step under way; never goes back */
    struct lanes price;
    struct lanes discover;
    struct lane_state lanes[LANE_KIND_COUNT];
    struct breaker breaker;
    uint32_t knocked;          /* times that we asked for somebody else's token */
    enum lane_kind probe_lane; /* whose turn to send the next probe it is */
    struct job_state jobs[JOB_COUNT];
    int64_t last_snapshot_id;
    token_id last_of_first;   /* while the others are still put into the table; else TOKEN_NONE */
    instant restart_asked_at; /* INSTANT_NEVER: not */
    enum pause_state pause;
    struct load load;
    struct cpu_meter cpu;
    struct health_state health;
    struct vitals vitals;
    uint64_t tokens_answered;
    struct recent_slice recent[GROUP_COUNT][RECENT_SLICES];
    struct core_stats stats;
    struct alerts alerts;
    struct alert_message alert_message; /* of the action under way */
    struct trials suspects;
    struct share share;
    struct want wants[WANTS_MAX];
    uint32_t wants_count;
    uint32_t free_count;
    uint16_t free_requests[REQUESTS_MAX];
    struct request requests[REQUESTS_MAX];
};

/* core.c */
struct action *core_act(struct core *core, enum action_kind kind);
size_t core_room(const struct core *core);   /* actions that still fit into this step */
bool core_has_all(const struct core *core);  /* it does not wait for the rest of its tokens */
token_id core_last(const struct core *core); /* that it knows of */
void core_reply(struct core *core, uint64_t tag, enum reply_result result, token_id id,
                const char *message);

/* Answers all clients that wait for this token. */
void core_reply_waiting(struct core *core, token_id id, enum reply_result result,
                        const char *message);
/* `reason` is static. Asked once, and again when RESTART_PATIENCE passed without a successor: it
 * may not have been able to start. */
#define RESTART_PATIENCE duration_s(300)
void core_ask_for_restart(struct core *core, const char *reason);
/* The one place that tells of a change of state. */
void core_tell(struct core *core, enum transition what, unsigned from, unsigned to, uint32_t id);

/* schedule.c */
void schedule_apply_options(struct core *core);
void schedule_send(struct core *core);
void schedule_on_answer(struct core *core, const struct event *event);
void schedule_cancel_overdue(struct core *core);
void schedule_look_ahead(struct core *core);
void schedule_learn(struct core *core); /* once a second */
void schedule_on_limit_known(struct core *core, const struct event *event);
instant schedule_deadline(struct core *core);
const struct request *schedule_find(const struct core *core, uint64_t handle);
/* What is under way about this token is not listened to any more. */
void schedule_withdraw(struct core *core, token_id id);
/* In a request of this family, whose answer is listened to. */
bool schedule_is_under_way(const struct core *core, token_id id, enum link_family family);
bool schedule_is_silent(const struct core *core); /* no answer said anything of late */

/* early.c */
#define EARLY_SHARE 0.1 /* of its target, at most, that a token goes before it */
/* When the next request of this lane may begin with tokens that are near their target. */
instant early_ready_at(struct core *core, enum lane_kind lane);
double early_share(struct core *core, enum lane_kind lane); /* by how much now; 0: not at all */
void early_sent(struct core *core, enum lane_kind lane);    /* a request, early or not */

/* capacity.c */
void capacity_init(struct core *core);
void capacity_on_load(struct core *core, const struct load_sample *sample);
void capacity_plan(struct core *core); /* once a second: who stands in the lanes has changed */

/* follow.c */
struct lanes *follow_lanes(struct core *core, enum lane_kind lane);
unsigned follow_group_mask(enum lane_kind lane);
void follow_new(struct core *core, const struct event *event);
/* At a start: where a token will stand, once its lanes are sorted. */
void follow_place(struct core *core, token_id id);
/* Of one that joins later. */
void follow_place_again(struct core *core, token_id id);
/* It stands in no lane, and its group, cost and age are told to readers nonetheless. */
void follow_stand_aside(struct core *core, token_id id);
/* No instant of it after this one. */
void follow_clamp_times(struct token *token, instant now);
/* The request for this token failed: back to where it was, as old as it was. */
void follow_put_back(struct core *core, token_id id, enum lane_kind lane);
/* It was answered: `pairs` (maybe none) have it as their base. Stands in its lanes afterwards. */
void follow_answered(struct core *core, token_id id, enum lane_kind lane,
                     const struct pair *const pairs[], size_t count);
void follow_change_status(struct core *core, token_id id, enum lifecycle_change change);
/* Scores it again from the figures it has. */
void follow_recalculate(struct core *core, token_id id);
/* Sums the slices of the recent past. */
void follow_sum_recent(struct core *core, enum token_group group);
/* Moves it to the group that its status and score call for. */
void follow_regroup(struct core *core, token_id id);
/* `group` is DISCOVER_WANTED or DISCOVER_URGENT. */
void follow_discover_now(struct core *core, token_id id, enum discover_group group);

/* Out of both lanes, and back into them, as old as it is, if it is worked on. */
void follow_leave(struct core *core, token_id id);
void follow_join(struct core *core, token_id id);
enum lane_kind follow_price_lane(const struct core *core, token_id id);

/* trust.c */
enum trust trust_of(const struct core *core, token_id id);
const char *trust_refusal(const struct core *core, token_id id); /* of a refresh; NULL: none */
void trust_on_suspect(struct core *core, token_id id, enum lane_kind lane);
void trust_on_quarantine(struct core *core, token_id id);
void trust_on_release(struct core *core, token_id id);
/* Somebody waits for all pools of a suspect. */
void trust_discover(struct core *core, token_id id);
/* Who is to be sent alone in this kind of lane now; TOKEN_NONE: nobody. */
token_id trust_next_suspect(const struct core *core, enum lane_kind lane);
instant trust_next_due(const struct core *core, enum lane_kind lane);
void trust_sent(struct core *core, token_id id, enum lane_kind lane);
void trust_failed(struct core *core, token_id id, enum lane_kind lane);
/* Before its answer is taken. True when it has become an ordinary token, which stands in its lanes
 * again; trust_cleared() tells so, after the answer was taken. */
bool trust_passed(struct core *core, token_id id, enum lane_kind lane);
void trust_cleared(struct core *core, token_id id);
/* The token is dropped. */
void trust_forget(struct core *core, token_id id);

/* share.c */
void share_init(struct core *core);
void share_learn(struct core *core, token_id id); /* its slot: it is new, or placed */
void share_count(struct core *core);              /* its tokens, at a start */
void share_on_change(struct core *core, const struct event *event);
void share_on_followed(struct core *core, const struct event *event);
void share_on_source(struct core *core, const struct event *event);
void share_on_refused(struct core *core, const struct event *event);

static inline bool share_has(const uint64_t *slots, uint16_t slot)
{
    return slots[slot / 64] >> slot % 64 & 1;
}

/* One of several nodes that works on nothing. */
static inline bool share_is_idle(const struct core *core)
{
    return core->share.is_part && core->stats.share.slots_working == 0;
}

static inline bool share_works_on(const struct core *core, token_id id)
{
    return !core->share.is_part || share_has(core->share.working, core->price.links[id].slot);
}

static inline bool share_listens_to(const struct core *core, token_id id)
{
    return !core->share.is_part || share_has(core->share.listening, core->price.links[id].slot);
}

/* health.c */
void health_init(struct core *core);
/* Everybody has a full interval from now on: tokens were read, or fetching goes on after a pause.
 */
void health_excuse(struct core *core);
void health_apply_options(struct core *core);
void health_on_load(struct core *core, const struct event *event);
/* A token that stays as old as it is, and keeps its status, stands in another group. */
void health_moved(struct core *core, enum token_group from, enum token_group to);
/* Was a token answered in time that had been answered at `before`? */
bool health_is_on_time(const struct core *core, enum token_group group, instant before);
void health_judge(struct core *core); /* once a second, when everything else is sampled */

bool health_is_fetching(const struct core *core);

/* health_rules.c and health_work.c: each rule adds what it finds */
void health_apply_rules(struct core *core);
void health_look_at_scheduler(struct core *core);
void health_look_at_jobs(struct core *core);
void health_find(struct core *core, struct finding finding);
enum severity health_severity(bool is_worse, enum severity usual, enum severity worse);
double health_percent(double part, double whole); /* 0 of nothing */

/* foresee.c */
void foresee_init(struct core *core);
void foresee_on_load(struct core *core, const struct load_sample *sample);
void foresee_find(struct core *core); /* findings of what is foretold */

/* jobs.c */
void jobs_init(struct core *core);
void jobs_want(struct core *core, enum job job);
void jobs_on_done(struct core *core, const struct event *event);
void jobs_run(struct core *core);
instant jobs_deadline(const struct core *core);
duration jobs_interval(const struct core *core, enum job job);

#endif
