/*
 * The oracles: what must hold whatever happens, checked from outside the core in the dullest code
 * possible. Each complaint names what, who and when.
 */
#ifndef MOONWATCH_SIM_ORACLE_H
#define MOONWATCH_SIM_ORACLE_H

#include "core/core.h"

/* Nothing said by the upstream for this long is silence: nobody is demoted or archived then. */
#define ORACLE_SILENCE_S 60.0

struct oracle {
    const struct core *core;
    const struct token_table *table;
    uint8_t *statuses; /* as the events of their lives told, by id; the caller's */
    uint32_t statuses_size;
    const uint8_t *suspected;   /* by id, what the shell knows of deaths; the caller's. NULL: of */
    const uint8_t *quarantined; /* none */
    instant data_at;   /* when the upstream last said anything about anybody; the caller's */
    bool may_demote;   /* settings change, so that a token can stop to qualify without an answer */
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

/* While the budget allows the targets: nobody is older than `limit`, but for those in quarantine.
 */
void oracle_on_ages(struct oracle *oracle, instant now, duration limit);

#endif
