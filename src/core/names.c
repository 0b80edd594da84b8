/* The names of the core's enums, made from the lists that the enums are made from. */
#include "core/core.h"

#include <string.h>

/* For values that come from shared memory or a file and may be anything. */
#define UNKNOWN_NAME "unknown"

#define X(code, text) [code] = text,
static const char *const lane_kinds[] = {LANE_KIND_LIST(X)};
static const char *const feed_outcomes[] = {FEED_OUTCOME_LIST(X)};
static const char *const pair_issues[] = {PAIR_ISSUE_LIST(X)};
static const char *const token_statuses[] = {TOKEN_STATUS_LIST(X)};
static const char *const token_groups[] = {TOKEN_GROUP_LIST(X)};
static const char *const jobs[] = {JOB_LIST(X)};
static const char *const job_states[] = {JOB_STATE_LIST(X)};
static const char *const trusts[] = {TRUST_LIST(X)};
static const char *const pause_states[] = {PAUSE_STATE_LIST(X)};
static const char *const breaker_states[] = {BREAKER_STATE_LIST(X)};
static const char *const transitions[] = {TRANSITION_LIST(X)};
static const char *const load_levels[] = {LOAD_LEVEL_LIST(X)};
static const char *const lane_limits[] = {LANE_LIMIT_LIST(X)};
static const char *const follow_refusals[] = {FOLLOW_REFUSAL_LIST(X)};
static const char *const feature_states[] = {FEATURE_STATE_LIST(X)};
#undef X

#define X(code, text, help) [code] = text,
static const char *const readings[] = {LOAD_READING_LIST(X)};
static const char *const load_signals[] = {LOAD_SIGNAL_LIST(X)};
#undef X
#define X(code, text, help) [code] = help,
static const char *const reading_helps[] = {LOAD_READING_LIST(X)};
#undef X
#define X(code, text, level, disk, sentence) [code] = text,
static const char *const load_features[] = {LOAD_FEATURE_LIST(X)};
#undef X
#define X(code, text, level, disk, sentence) [code] = sentence,
static const char *const feature_sentences[] = {LOAD_FEATURE_LIST(X)};
#undef X

static const char *name_of(const char *const names[], size_t count, unsigned value)
{
    return value < count ? names[value] : UNKNOWN_NAME;
}

const char *lane_kind_name(enum lane_kind kind)
{
    return name_of(lane_kinds, LANE_KIND_COUNT, (unsigned)kind);
}

const char *feed_outcome_name(enum feed_outcome outcome)
{
    return name_of(feed_outcomes, FEED_OUTCOME_COUNT, (unsigned)outcome);
}

const char *pair_issue_name(enum pair_issue issue)
{
    return name_of(pair_issues, PAIR_ISSUE_COUNT, (unsigned)issue);
}

const char *token_status_name(enum token_status status)
{
    return name_of(token_statuses, TOKEN_STATUS_COUNT, (unsigned)status);
}

bool token_status_parse(const char *text, size_t length, enum token_status *out)
{
    for (unsigned i = 0; i < TOKEN_STATUS_COUNT; i++)
        if (strlen(token_statuses[i]) == length && memcmp(token_statuses[i], text, length) == 0) {
            *out = (enum token_status)i;
            return true;
        }
    return false;
}

const char *token_group_name(enum token_group group)
{
    return name_of(token_groups, GROUP_COUNT, (unsigned)group);
}

const char *breaker_state_name(enum breaker_state state)
{
    return name_of(breaker_states, BREAKER_STATE_COUNT, (unsigned)state);
}

const char *job_name(enum job job)
{
    return name_of(jobs, JOB_COUNT, (unsigned)job);
}

const char *job_state_name(enum job_run_state state)
{
    return name_of(job_states, JOB_STATE_COUNT, (unsigned)state);
}

const char *trust_name(enum trust trust)
{
    return name_of(trusts, TRUST_COUNT, (unsigned)trust);
}

const char *pause_state_name(enum pause_state state)
{
    return name_of(pause_states, PAUSE_STATE_COUNT, (unsigned)state);
}

const char *load_level_name(enum load_level level)
{
    return name_of(load_levels, LOAD_LEVEL_COUNT, (unsigned)level);
}

const char *load_signal_name(enum load_signal_id signal)
{
    return name_of(load_signals, LOAD_SIGNAL_COUNT, (unsigned)signal);
}

const char *load_reading_name(unsigned reading)
{
    return name_of(readings, LOAD_READING_COUNT, reading);
}

const char *load_reading_help(unsigned reading)
{
    return name_of(reading_helps, LOAD_READING_COUNT, reading);
}

const char *load_feature_name(enum load_feature feature)
{
    return name_of(load_features, LOAD_FEATURE_COUNT, (unsigned)feature);
}

const char *load_feature_sentence(enum load_feature feature)
{
    return name_of(feature_sentences, LOAD_FEATURE_COUNT, (unsigned)feature);
}

const char *feature_state_name(enum feature_state state)
{
    return name_of(feature_states, FEATURE_STATE_COUNT, (unsigned)state);
}

const char *lane_limit_name(enum lane_limit limit)
{
    return name_of(lane_limits, LANE_LIMIT_COUNT, (unsigned)limit);
}

const char *follow_refusal_name(enum follow_refusal refusal)
{
    return name_of(follow_refusals, FOLLOW_REFUSAL_COUNT, (unsigned)refusal);
}

const char *transition_name(enum transition what)
{
    return name_of(transitions, TRANSITION_COUNT, (unsigned)what);
}

const char *transition_state_name(enum transition what, unsigned state)
{
    switch (what) {
    case TRANSITION_BREAKER:
        return breaker_state_name((enum breaker_state)state);
    case TRANSITION_JOB:
        return job_state_name((enum job_run_state)state);
    case TRANSITION_SUSPECT:
    case TRANSITION_QUARANTINE:
        return trust_name((enum trust)state);
    case TRANSITION_PAUSE:
        return pause_state_name((enum pause_state)state);
    case TRANSITION_LOAD:
        return load_level_name((enum load_level)state);
    case TRANSITION_FEATURE:
        return feature_state_name((enum feature_state)state);
    case TRANSITION_FORECAST:
        return vital_state_name((enum vital_state)state);
    case TRANSITION_COUNT:
        break;
    }
    return UNKNOWN_NAME;
}
