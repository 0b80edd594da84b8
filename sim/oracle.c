/* The oracles. See the header. */
#include "sim/oracle.h"

#include "core/lifecycle.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void oracle_complain(struct oracle *oracle, instant now, const char *format, ...)
{
    if (oracle->verdict[0] != '\0')
        return;
    int n = snprintf(oracle->verdict, sizeof oracle->verdict,
                     "at %.3f s: ", duration_to_s(instant_diff(now, oracle->epoch)));
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(oracle->verdict + n, sizeof oracle->verdict - (size_t)n, format, arguments);
    va_end(arguments);
}

static void check_fetch(struct oracle *oracle, const struct action *action, instant now)
{
    size_t most = action->fetch.lane == LANE_DISCOVER ? 1 : REQUEST_ADDRESSES_MAX;
    if (action->fetch.count == 0 || action->fetch.count > most)
        oracle_complain(oracle, now, "a %s request for %zu addresses",
                        lane_kind_name(action->fetch.lane), action->fetch.count);
    for (size_t i = 0; i < action->fetch.count; i++)
        for (size_t k = 0; k < i; k++)
            if (address_equal(&action->fetch.addresses[i], &action->fetch.addresses[k]))
                oracle_complain(oracle, now, "a %s request asks twice for one address",
                                lane_kind_name(action->fetch.lane));
}

static bool is_in(const uint8_t *set, token_id id)
{
    return set != NULL && set[id] != 0;
}

static void check_trust(struct oracle *oracle, const struct action *action, instant now)
{
    token_id ids[REQUEST_ADDRESSES_MAX];
    size_t count = core_request_tokens(oracle->core, action->fetch.request, ids);
    for (size_t i = 0; i < count; i++) {
        if (is_in(oracle->quarantined, ids[i]))
            oracle_complain(oracle, now, "token %u is sent, but in quarantine", ids[i]);
        if (is_in(oracle->suspected, ids[i]) && count > 1)
            oracle_complain(oracle, now, "token %u is suspect and sent with %zu others", ids[i],
                            count - 1);
    }
}

static void check_silence(struct oracle *oracle, const struct lifecycle_row *row, token_id id,
                          instant now)
{
    bool lost = row->to == TOKEN_ARCHIVED ||
                (row->from == TOKEN_ACTIVE && row->to == TOKEN_MONITORING && !oracle->may_demote);
    if (lost && duration_to_s(instant_diff(now, oracle->data_at)) > ORACLE_SILENCE_S)
        oracle_complain(oracle, now, "token %u was %s while the upstream was silent", id,
                        row->event);
}

static void check_history(struct oracle *oracle, const struct action *action, instant now)
{
    token_id id = action->history.id;
    if (id == TOKEN_NONE || id >= oracle->statuses_size) {
        oracle_complain(oracle, now, "an event of token %u, which there is not", id);
        return;
    }
    if (strcmp(action->history.event, "added") == 0) {
        oracle->statuses[id] = TOKEN_MONITORING;
        return;
    }
    for (int change = CHANGE_NONE + 1; change < CHANGE_COUNT; change++) {
        const struct lifecycle_row *row = lifecycle_row(change);
        if (strcmp(row->event, action->history.event) == 0 &&
            strcmp(row->reason, action->history.reason) == 0 &&
            row->from == (enum token_status)oracle->statuses[id]) {
            check_silence(oracle, row, id, now);
            oracle->statuses[id] = (uint8_t)row->to;
            return;
        }
    }
    oracle_complain(oracle, now, "token %u, %s, was %s because of %s", id,
                    token_status_name(oracle->statuses[id]), action->history.event,
                    action->history.reason);
}

void oracle_on_action(struct oracle *oracle, const struct action *action, instant now)
{
    if (action->kind == ACTION_FETCH) {
        check_fetch(oracle, action, now);
        check_trust(oracle, action, now);
    }
    if (action->kind == ACTION_HISTORY)
        check_history(oracle, action, now);
}

static void check_times(struct oracle *oracle, token_id id, const struct token *token, instant now)
{
    const struct token_state *state = &token->state;
    if (state->checked_at.us > now.us || state->fetched_at.us > state->checked_at.us ||
        state->scored_at.us > now.us || state->discovered_at.us > now.us)
        oracle_complain(oracle, now, "token %u was answered in the future", id);
}

void oracle_on_table(struct oracle *oracle, instant now)
{
    for (token_id id = 1; id <= token_table_count(oracle->table); id++) {
        struct token token;
        if (token_slot(oracle->table, id)->flags & TOKEN_HOLE)
            continue;
        if (!token_read(oracle->table, id, &token, NULL) || !token_is_whole(oracle->table, id)) {
            oracle_complain(oracle, now, "token %u is torn", id);
            continue;
        }
        if ((core_trust(oracle->core, id) == TRUST_QUARANTINE) != is_in(oracle->quarantined, id))
            oracle_complain(oracle, now, "token %u is taken for %s", id,
                            trust_name(core_trust(oracle->core, id)));
        if (!core_holds_token(oracle->core, id))
            oracle_complain(oracle, now, "token %u is in no lane, or in two", id);
        if (token.status != oracle->statuses[id])
            oracle_complain(oracle, now, "token %u became %s without an event", id,
                            token_status_name(token.status));
        check_times(oracle, id, &token, now);
    }
}

void oracle_on_ages(struct oracle *oracle, instant now, duration limit)
{
    for (token_id id = 1; id <= token_table_count(oracle->table); id++) {
        if (token_column_status(oracle->table, id) == TOKEN_ARCHIVED ||
            is_in(oracle->quarantined, id))
            continue;
        duration age = instant_diff(now, token_column_checked(oracle->table, id));
        if (age.us > limit.us)
            oracle_complain(oracle, now, "token %u is %.1f s old; %.1f s could be kept", id,
                            duration_to_s(age), duration_to_s(limit));
    }
}

/* ---- processes ---- */

void oracle_on_engine_death(struct oracle *oracle, instant now)
{
    oracle->deaths[oracle->death_count++ % ORACLE_DEATHS_KEPT] = now;
    oracle->is_replaced = false;
}

void oracle_on_hang_noticed(struct oracle *oracle, instant now)
{
    if (++oracle->hangs > oracle->hangs_expected)
        oracle_complain(oracle, now, "an engine that moved was killed because it did not");
}

static uint32_t deaths_within(const struct oracle *oracle, instant from, instant to)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < oracle->death_count && i < ORACLE_DEATHS_KEPT; i++)
        count += oracle->deaths[i].us >= from.us && oracle->deaths[i].us <= to.us;
    return count;
}

static void check_pace(struct oracle *oracle, instant now)
{
    if (oracle->death_count == 0 || oracle->is_replaced || oracle->is_by_order)
        return;
    instant died = oracle->deaths[(oracle->death_count - 1) % ORACLE_DEATHS_KEPT];
    uint32_t deaths = deaths_within(oracle, instant_add(died, duration_s(-3600)), died);
    duration waited = instant_diff(now, died);
    if (deaths > oracle->restarts_per_hour && waited.us < oracle->slow_restart.us)
        oracle_complain(oracle, now, "started %.1f s after the %uth death within an hour",
                        duration_to_s(waited), deaths);
}

void oracle_on_engine_start(struct oracle *oracle, instant now)
{
    if (++oracle->engines > 1)
        oracle_complain(oracle, now, "%u engines are at work", oracle->engines);
    check_pace(oracle, now);
    oracle->is_replaced = true;
    oracle->is_by_order = false;
}

void oracle_on_engine_end(struct oracle *oracle)
{
    oracle->engines--;
}

static bool is_permitted(uint8_t from, uint8_t to)
{
    for (int change = CHANGE_NONE + 1; change < CHANGE_COUNT; change++)
        if (lifecycle_row(change)->from == (enum token_status)from &&
            lifecycle_row(change)->to == (enum token_status)to)
            return true;
    return false;
}

void oracle_on_restored(struct oracle *oracle,
                        bool (*status_of)(const void *store, token_id id, uint8_t *status),
                        const void *store, instant now)
{
    for (token_id id = 1; id <= token_table_count(oracle->table); id++) {
        const struct token *token = token_slot(oracle->table, id);
        uint8_t stored = 0;
        if (token->flags & TOKEN_HOLE || token->status == oracle->statuses[id])
            continue;
        bool is_untold = oracle->has_fallen && is_permitted(oracle->statuses[id], token->status);
        if (!is_untold && (!status_of(store, id, &stored) || stored != token->status))
            oracle_complain(oracle, now, "token %u was restored as %s, which it was not", id,
                            token_status_name(token->status));
        oracle->statuses[id] = token->status;
    }
    oracle->has_fallen = false;
}
