/*
 * What the simulator's files share; private to sim/. One struct sim is one run: the world, the
 * engine in it, and what is counted of both from outside.
 */
#ifndef MOONWATCH_SIM_PARTS_H
#define MOONWATCH_SIM_PARTS_H

#include "engine/parts.h"
#include "feed/dexscreener_parse.h"
#include "page/table_memory.h"
#include "sim/body.h"
#include "sim/children.h"
#include "sim/ledger.h"
#include "sim/notice.h"
#include "sim/oracle.h"
#include "sim/pace.h"
#include "sim/sim.h"
#include "sim/vault.h"
#include "supervisor/parts.h"

#define SIM_EPOCH     ((instant){1750000000LL * 1000000}) /* virtual time begins here */
#define SIM_CHECK_S   60.0  /* the oracles look at everything so often */
#define SIM_LIMIT     300   /* requests a minute, a kind, as the upstream says */
#define NOTICE_MEAN_S 0.002 /* from the disk to the engine's loop */
#define TAGS_MAX      8192

enum world_kind {
    WORLD_ANSWER,
    WORLD_DURABLE,
    WORLD_TOKEN,  /* a graduation */
    WORLD_MORE,   /* one of a flood */
    WORLD_FAULT,  /* a fault begins or ends */
    WORLD_CHECK,  /* the oracles look at everything */
    WORLD_WANTED, /* a client wants something */
    WORLD_CHILD,  /* something happens to a process */
    WORLD_JOB,    /* a run of a job outside the core has ended */
    WORLD_LOAD,   /* the sample of a second */
    WORLD_POISON, /* a token begins to kill */
    WORLD_CALM,   /* the faults are over */
    WORLD_SAMPLE, /* somebody looks on */
    WORLD_LIMIT,  /* the upstream's limit changes */
};

struct world_event {
    instant at;
    uint64_t order; /* of events at the same time: first come, first served */
    enum world_kind kind;
    uint32_t life; /* of the engine that it is for: another one never hears of it; 0: any */
    union {
        uint32_t sent; /* number of an answer */
        struct {
            token_id id;
            uint64_t tag;
        } durable;
        struct {
            uint32_t number; /* in the schedule */
            bool begins;
        } fault;
        struct {
            pid_t pid;
            enum child_event what;
            int number; /* of the signal */
        } child;
        struct {
            enum job job;
            uint64_t run;
        } job;
        struct {
            token_id id;
        } poison;
        struct {
            double per_minute;
        } limit;
    };
};

/* A request that was sent, and how it will end. */
struct sent {
    uint64_t request;
    enum lane_kind lane;
    enum feed_outcome outcome; /* FEED_OK: there will be a body */
    duration retry_after, latency;
    uint32_t next_free;
    uint8_t count;
    uint8_t copies; /* still to come */
    struct address addresses[REQUEST_ADDRESSES_MAX];
};

struct agenda {
    struct world_event *heap;
    size_t count, capacity;
    uint64_t order;
    struct sent *sent;
    size_t sent_capacity;
    uint32_t free_sent; /* 0: none */
};

/* Somebody waits for a reply with this tag. */
struct open_tag {
    uint64_t tag;
    enum event_kind kind;
    uint32_t n; /* number of the token that it names */
};

/* One of the settings that change while running: what was acknowledged must be in force after any
 * death, or what was put since. */
#define SETTINGS_CHANGED  8
#define SETTING_PUTS_KEPT 16
struct setting_watch {
    uint64_t acknowledged, puts; /* numbers; 0: none */
    double values[SETTING_PUTS_KEPT];
};

/* The newest messages to people: they are on the disk before they are sent. */
#define MESSAGES_KEPT 64
struct sim_messages {
    uint64_t count; /* ever; number i is at i % MESSAGES_KEPT */
    int64_t last_id;
    struct alert_message of[MESSAGES_KEPT];
};

/* Of the looks at the calm end; the newest, and the sums. */
#define AGES_SETTLED_S 420.0 /* what the faults left behind is worked off by then */
struct sim_ages {
    instant looked_at;
    uint64_t requests;
    uint32_t life;
    double seen_s, best_s;
};

struct sim {
    const struct sim_setup *setup;
    struct sim_result *result;
    struct options options;
    struct table_memory memory;
    void *core_memory;
    struct core *core;
    struct engine shell; /* what the daemon's own restoring works on */
    struct disk *disk;   /* NULL: no engine has it */
    struct vault *vault; /* NULL: the disk is a real one */
    instant disk_free_at;
    struct supervisor *supervisor;
    struct status_page *page;
    struct suspects saved_suspects; /* on the disk */
    struct sim_child children[CHILDREN_MAX];
    pid_t next_pid;
    instant looked_at;
    instant hung_since, engine_began_at, limit_changed_at;
    unsigned over_limit; /* refusals that were not to be expected */
    bool is_dark, is_hung, is_starved, is_in_step;
    bool is_judged; /* in the calm, at its time */
    instant starved_from, starved_until;
    instant asked_until; /* the upstream asked this engine to wait till then; INSTANT_NEVER: not */
    duration
        clock_step; /* after the next power cut all that was written is so much in the future */
    struct sim_messages messages;
    struct notice notice;
    uint64_t crash_after; /* so many actions; 0: no */
    token_id saved_last;
    token_id in_hand[REQUEST_ADDRESSES_MAX];
    instant checked_before[REQUEST_ADDRESSES_MAX];
    size_t in_hand_count;
    enum lane_kind in_hand_lane;
    struct disk *left_disk; /* of an engine that was left behind */
    struct table_memory left_memory;
    struct options first_options;
    struct setting_watch settings[SETTINGS_CHANGED];
    uint8_t *poisoned, *killed;       /* by id: its answer kills; how often it did */
    uint8_t *suspected, *quarantined; /* as the page says */
    uint8_t *acknowledged;            /* by number of the token */
    struct upstream upstream;
    struct oracle oracle;
    struct ledger ledger;
    struct pace pace;
    struct prng world, workload, machine; /* streams of their own */
    struct sim_ages ages;
    uint64_t refreshes_seen; /* at the last sample of load */
    struct agenda agenda;
    uint32_t life; /* of the engine: its number */
    instant now, end, calm_from;
    instant asleep_until; /* the machine is suspended */
    struct sim_occurrence *schedule;
    size_t schedule_count;
    uint64_t present_faults;
    double fault_share[SIM_FAULT_COUNT];     /* of answers hit while it is present */
    uint64_t fault_hits[SIM_FAULT_COUNT];    /* ever: how often one was felt */
    struct prng fault_prng[SIM_FAULT_COUNT]; /* of the newest of its kind */
    uint32_t tokens_expected, tokens_seen;   /* expected: at most */
    struct pair pairs[UPSTREAM_PAIRS_MAX];
    struct body_writer *bodies;
    struct answer_parser *parser;
    struct parsed_answer parsed;
    struct address *mints; /* by number, as they came */
    uint64_t requests[LANE_KIND_COUNT], addresses[LANE_KIND_COUNT];
    instant *answered_at; /* by id: the last answer that the core took; INSTANT_NEVER: none */
    uint64_t on_time[GROUP_COUNT];
    int64_t second; /* of now */
    uint32_t steps_in_second;
    struct open_tag open[TAGS_MAX];
    size_t open_count;
    uint64_t next_tag;
};

/* agenda.c: what comes next */
void agenda_plan(struct sim *sim, instant at, struct world_event event);
/* For the present engine: it dies with it. */
void agenda_plan_of_engine(struct sim *sim, instant at, struct world_event event);
instant agenda_due(const struct sim *sim); /* INSTANT_FAR: nothing comes any more */
struct world_event agenda_take(struct sim *sim);
/* A place for a request that is sent; NULL: no memory, which was complained of. */
struct sent *agenda_send(struct sim *sim, uint32_t *number);
void agenda_forget(struct sim *sim, uint32_t number);
void agenda_finish(struct sim *sim);

/* trace.c: the hash of all actions, and the run in words */
void trace_bytes(struct sim *sim, const void *data, size_t size);
void trace_number(struct sim *sim, uint64_t number);
void trace_action(struct sim *sim, const struct action *action);
void trace_line(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* perform.c */
void perform_action(struct sim *sim, const struct action *action);
void sim_step(struct sim *sim, struct event *event);

/* answers.c */
void answers_on_answer(struct sim *sim, uint32_t number);
void answers_release(struct sim *sim, uint32_t number); /* nobody waits for it */
void answers_count_late_at_end(struct sim *sim);

/* workload.c */
void clients_open(struct sim *sim, enum event_kind kind, uint64_t tag, uint32_t n);
void clients_close(struct sim *sim, const struct action *action);
void clients_forget(struct sim *sim); /* all of them ask the next engine again */
void workload_plan_token(struct sim *sim);
void workload_on_token(struct sim *sim);
void workload_on_more(struct sim *sim);
void workload_flood(struct sim *sim, double share);
void workload_bring_lost(struct sim *sim); /* whom deaths kept from becoming durable */
void workload_on_wanted(struct sim *sim);

/* faults.c */
bool fault_is_present(const struct sim *sim, enum sim_fault fault);
bool fault_hits(struct sim *sim, enum sim_fault fault);
bool fault_is_down(struct sim *sim);
bool fault_is_planned_stuck(const struct sim *sim);
bool fault_is_busy(struct sim *sim);
enum vault_mishap fault_of_store(void *sim);
void fault_release_expired(struct sim *sim);
void fault_begins_or_ends(struct sim *sim, const struct world_event *world);
bool faults_plan(struct sim *sim); /* false: no memory */
void faults_plan_limits(struct sim *sim);

/* shares.c: what this engine works on, as one of several nodes */
void shares_take(struct sim *sim, double share); /* so much goes to others */
void shares_give_back(struct sim *sim);

/* engine.c */
bool engine_begin(struct sim *sim, bool is_cold); /* it works from now on */
bool engine_begin_plainly(struct sim *sim);
void engine_stop(struct sim *sim);       /* it does nothing new */
bool engine_write_rest(struct sim *sim); /* and has ended; false: not all is written */
void engine_fall(struct sim *sim);
void engine_leave_behind(struct sim *sim);
bool engine_renew_table(struct sim *sim);
void engine_wake_left(struct sim *sim);
void engine_forget_left(struct sim *sim);
void engine_lose_all(struct sim *sim);
void engine_publish_limits(struct sim *sim);
void suspects_note(struct sim *sim); /* as they stand on the page */
void suspects_recall(struct sim *sim, const struct address *mint);
instant sim_now_of(void *sim);
void engine_on_token_durable(void *sim, token_id id, uint64_t tag);
void engine_on_setting_durable(void *sim, uint64_t tag);
void engine_on_history_deleted(void *sim, uint64_t run);

/* messages.c: what people are told */
void messages_keep(struct sim *sim, const struct action *action);
void messages_shift(struct sim *sim, duration by);
void messages_tell(struct sim *sim); /* an engine that begins, what the ones before it said */

/* machine.c */
void machine_on_load(struct sim *sim);

/* checks.c */
double checks_achievable_s(const struct sim *sim);
void checks_on_check(struct sim *sim);
void checks_look_on(struct sim *sim);
void checks_watch_outage(struct sim *sim);
void checks_put_setting(struct sim *sim, unsigned which, double value);
void checks_setting_is_durable(struct sim *sim, uint64_t tag);
void checks_settings(struct sim *sim); /* of an engine that begins */
void checks_power_cut(struct sim *sim);
void checks_ages_in_time(struct sim *sim); /* once they must be right again after the faults */
void checks_at_end(struct sim *sim);
void checks_notice(struct sim *sim); /* once a second, while an engine works */

/* calm_ages.c */
void calm_ages_look(struct sim *sim); /* once a check, while an engine works */
double calm_ages_ratio(const struct sim *sim);

/* begin.c */
bool sim_begin(struct sim *sim);

/* sim.c */
instant sim_after(const struct sim *sim, double seconds);
instant sim_at(double seconds); /* since the beginning */
double sim_seconds(const struct sim *sim);

#endif
