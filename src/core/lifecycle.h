/*
 * A token's life: which status the evidence calls for. Pure.
 *
 *   monitoring → active      it qualifies (lifecycle_qualifies)
 *   active → monitoring      it no longer does
 *   active → archived        low_score_timeout: no score ≥ min_score for archive_below_hours
 *   monitoring → archived    monitoring_timeout: older than monitoring_timeout_hours
 *   archived → active        it qualifies and its score is ≥ min_score: it came alive
 *
 * One table, LIFECYCLE_LIST, holds every transition there is; the core changes a status only
 * through it, and the simulator's oracle checks against it.
 */
#ifndef MOONWATCH_CORE_LIFECYCLE_H
#define MOONWATCH_CORE_LIFECYCLE_H

#include "base/options.h"
#include "core/token_table.h"

/* X(code, from, to, event, reason) */
#define LIFECYCLE_LIST(X)                                                                          \
    X(CHANGE_ACTIVATED, TOKEN_MONITORING, TOKEN_ACTIVE, "activated", "qualifies")                  \
    X(CHANGE_DEMOTED, TOKEN_ACTIVE, TOKEN_MONITORING, "demoted", "no_longer_qualifies")            \
    X(CHANGE_ARCHIVED_LOW, TOKEN_ACTIVE, TOKEN_ARCHIVED, "archived", "low_score_timeout")          \
    X(CHANGE_ARCHIVED_OLD, TOKEN_MONITORING, TOKEN_ARCHIVED, "archived", "monitoring_timeout")     \
    X(CHANGE_REACTIVATED, TOKEN_ARCHIVED, TOKEN_ACTIVE, "reactivated", "came_alive")

enum lifecycle_change {
    CHANGE_NONE,
#define X(code, from, to, event, reason) code,
    LIFECYCLE_LIST(X)
#undef X
        CHANGE_COUNT
};

struct lifecycle_row {
    enum token_status from, to;
    const char *event;
    const char *reason;
};

const struct lifecycle_row *lifecycle_row(enum lifecycle_change change);

/* A SOL-quoted pool on pump.fun's venues and an external pool with enough liquidity, or two such
 * external pools. */
bool lifecycle_qualifies(const struct pool *pools, size_t count, const struct options *options);

/* What its pools and score call for: to be asked after an answer about the token, and by the
 * activation sweep. */
enum lifecycle_change lifecycle_on_evidence(const struct token *token, const struct pool *pools,
                                            const struct options *options);

/* What its age calls for: asked by the archiver. Never archives on silence: the token must have
 * been answered about within `evidence`, and a monitoring one since it came of age. */
enum lifecycle_change lifecycle_on_archiver(const struct token *token, instant now,
                                            duration evidence, const struct options *options);

#endif
