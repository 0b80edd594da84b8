/* A token's life. See the header. */
#include "core/lifecycle.h"

#include "base/mark.h"
#include <assert.h>

#define US_PER_HOUR 3.6e9

static const struct lifecycle_row rows[CHANGE_COUNT] = {
#define X(code, from, to, event, reason) [code] = {from, to, event, reason},
    LIFECYCLE_LIST(X)
#undef X
};

const struct lifecycle_row *lifecycle_row(enum lifecycle_change change)
{
    assert(change > CHANGE_NONE && change < CHANGE_COUNT);
    return &rows[change];
}

bool lifecycle_qualifies(const struct pool *pools, size_t count, const struct options *options)
{
    bool has_pump = false;
    int liquid_external = 0;
    for (size_t i = 0; i < count; i++) {
        has_pump = has_pump || (pools[i].flags & POOL_PUMP_SOL);
        if ((pools[i].flags & POOL_EXTERNAL) &&
            pools[i].liquidity_usd >= options->activation_min_liquidity_usd)
            liquid_external++;
    }
    return liquid_external >= 2 || (has_pump && liquid_external >= 1);
}

enum lifecycle_change lifecycle_on_evidence(const struct token *token, const struct pool *pools,
                                            const struct options *options)
{
    bool qualifies = lifecycle_qualifies(pools, token->pool_count, options);
    switch ((enum token_status)token->status) {
    case TOKEN_MONITORING:
        return qualifies ? CHANGE_ACTIVATED : CHANGE_NONE;
    case TOKEN_ACTIVE:
        return qualifies ? CHANGE_NONE : CHANGE_DEMOTED;
    case TOKEN_ARCHIVED:
        /* Pools alone do not wake it: it was archived with them. */
        MARK_IF(QUALIFIES_BUT_LOW, qualifies && token->state.score < options->min_score);
        return qualifies && token->state.answers > 0 && token->state.score >= options->min_score
                   ? CHANGE_REACTIVATED
                   : CHANGE_NONE;
    case TOKEN_STATUS_COUNT:
        break;
    }
    return CHANGE_NONE;
}

enum lifecycle_change lifecycle_on_archiver(const struct token *token, instant now,
                                            duration evidence, const struct options *options)
{
    if (instant_diff(now, token->state.checked_at).us > evidence.us) {
        MARK(ARCHIVER_SILENCE);
        return CHANGE_NONE;
    }
    /* Its age at its last answer: who came of age in an outage is looked at once more first. */
    double age_us = (double)instant_diff(token->state.checked_at, token->created_at).us;
    if (token->status == TOKEN_ACTIVE &&
        (double)token->state.low_score_us >= options->archive_below_hours * US_PER_HOUR)
        return CHANGE_ARCHIVED_LOW;
    if (token->status == TOKEN_MONITORING &&
        age_us > options->monitoring_timeout_hours * US_PER_HOUR)
        return CHANGE_ARCHIVED_OLD;
    return CHANGE_NONE;
}
