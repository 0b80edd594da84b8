/*
 * The oracles: what must hold whatever happens, checked from outside the core in the dullest code
 * possible. Each complaint names what, who and when.
 */
#ifndef MOONWATCH_SIM_ORACLE_H
#define MOONWATCH_SIM_ORACLE_H

#include "core/core.h"

/* Nothing said by the upstream for this long is silence: nobody is demoted or archived then. */
#define ORACLE_SILENCE_S 60.0

#define ORACLE_DEATHS_KEPT 64

struct oracle {
    const struct core *core;
    const struct token_table *table;
    uint8_t *statuses; /* as the events of their lives told, by id; the caller's */
    uint32_t statuses_size;
    const uint8_t *suspected;   /* by id, what the shell knows of deaths; the caller's. NULL: of */
    const uint8_t *quarantined; /* none */
    instant epoch;              /* complaints say how long after it */
    instant data_at; /* when the upstream last said anything about anybody; the caller's */
    bool may_demote; /* settings change, so that a token can stop to qualify without an answer */
    /* Of the engine: the newest deaths, and what may be: so many starts an hour after a death of
     * its own accord, and after that as long a wait as there is. */
    instant deaths[ORACLE_DEATHS_KEPT];
    uint32_t death_count, restarts_per_hour;
    duration slow_restart;
    bool has_fallen;  /* between two actions: what it did last may not have been told */
    unsigned engines; /* at work */
    bool is_replaced; /* who died last: later starts are no answer to that death */
    bool is_by_order; /* the next start is */
    uint64_t hangs, hangs_expected;
    char verdict[256]; /* "" while nothing broke; the first complaint stays */
};

void oracle_complain(struct oracle *oracle, instant now, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Every action as it comes: requests are of the right size, with suspects alone in them and nobody
 * from quarantine; changes of status are ones there are.
 */
void oracle_on_action(struct oracle *oracle, const struct action *action, instant now);

/* The whole table: every token stands in exactly one price lane (or is in flight), its slot is
 * whole, its status is the one that its events led to, its times are not in the future. */
void oracle_on_table(struct oracle *oracle, instant now);

/* An engine gets the word to go; then no other is at work, and not too soon after a death. */
void oracle_on_engine_start(struct oracle *oracle, instant now);
void oracle_on_engine_end(struct oracle *oracle);
/* Of its own accord, or killed because it hung; those by order do not count. */
void oracle_on_engine_death(struct oracle *oracle, instant now);
/* It was killed because it did not move: so many times as it did not. */
void oracle_on_hang_noticed(struct oracle *oracle, instant now);
/* It has restored its tokens: each is as it was, or as the store has it (`status_of`; false: there
 * is no row). */
void oracle_on_restored(struct oracle *oracle,
                        bool (*status_of)(const void *store, token_id id, uint8_t *status),
                        const void *store, instant now);

/* While the budget allows the targets: nobody is older than `limit`, but for those in quarantine.
 */
void oracle_on_ages(struct oracle *oracle, instant now, duration limit);

#endif
