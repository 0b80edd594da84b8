/* Answers as they come, and whether they are on time, counted outside the core. */
#include "sim/parts.h"

#include <math.h>
#include <signal.h>

/* Alone it is known after the second, so a third is one too many. */
#define DEATHS_A_TOKEN_MAX 2
#define ON_TIME_FACTOR     1.1 /* × target */
#define ASKED_MOST_S       3600.0
#define BYTES_OF_POOL      30 /* some that say nothing else (upstream.c) */

/* ---- what the upstream sends ---- */

/* Of every other pair the token is the quote. */
static void turn_round(struct sim *sim, size_t count)
{
    for (size_t i = 0; i < count; i += 2) {
        struct address base = sim->pairs[i].base;
        sim->pairs[i].base = sim->pairs[i].quote;
        sim->pairs[i].quote = base;
    }
}

/* Pools without end of the last token; as many pairs as the parser reads, and then some. */
static size_t crowd(struct sim *sim, size_t count)
{
    size_t most = ANSWER_PAIRS_MAX < UPSTREAM_PAIRS_MAX ? ANSWER_PAIRS_MAX : UPSTREAM_PAIRS_MAX;
    for (; count < most; count++) {
        sim->pairs[count] = sim->pairs[count - 1];
        sim->pairs[count].pool.bytes[BYTES_OF_POOL] ^= (uint8_t)count;
    }
    return count;
}

/* Pairs that are wrong, though their bytes are right. */
static size_t spoil(struct sim *sim, size_t count)
{
    if (fault_hits(sim, SIM_FAULT_EMPTY))
        return 0;
    if (fault_hits(sim, SIM_FAULT_WRONG))
        for (size_t i = 0; i < count; i += 2)
            sim->pairs[i].base.bytes[31] ^= 0x55;
    if (fault_hits(sim, SIM_FAULT_QUOTE))
        turn_round(sim, count);
    if (fault_hits(sim, SIM_FAULT_PARTIAL))
        count = (size_t)prng_below(&sim->fault_prng[SIM_FAULT_PARTIAL], count + 1);
    if (count > 0 && fault_hits(sim, SIM_FAULT_CROWD)) /* of those that are left */
        count = crowd(sim, count);
    return count;
}

static enum body_damage draw_damage(struct sim *sim)
{
    if (!fault_hits(sim, SIM_FAULT_GARBAGE))
        return BODY_SOUND;
    return (enum body_damage)prng_below(&sim->fault_prng[SIM_FAULT_GARBAGE], BODY_SOUND);
}

static enum feed_outcome fetch_body(struct sim *sim, const struct sent *sent)
{
    size_t length, count = upstream_answer(&sim->upstream, sent->lane, sent->addresses, sent->count,
                                           sim->now, sim->pairs);
    enum body_damage damage = draw_damage(sim);
    if (damage != BODY_SOUND)
        trace_line(sim, "the answer to %llu: %s", (unsigned long long)sent->request,
                   body_damage_name(damage));
    const char *body = body_write(sim->bodies, sent->lane, sim->pairs, spoil(sim, count), damage,
                                  &sim->fault_prng[SIM_FAULT_GARBAGE], &length);
    sim->result->answers++;
    sim->result->bytes += length;
    return body_read(sim->parser, body, length, &sim->parsed);
}

/* ---- on time or not, from outside ---- */

static double target_s(const struct sim *sim, enum token_group group)
{
    return group == GROUP_HOT    ? sim->options.hot_interval_sec
           : group == GROUP_COLD ? sim->options.cold_interval_sec
                                 : sim->options.archived_interval_sec;
}

static void count_refresh(struct sim *sim, enum token_group group, double age_s)
{
    sim->result->refreshes[group]++;
    sim->on_time[group] += age_s <= ON_TIME_FACTOR * target_s(sim, group);
}

/* The tokens of an answer, each once, with their groups before the core sees it. */
struct answered {
    token_id ids[ANSWER_PAIRS_MAX];
    enum token_group groups[ANSWER_PAIRS_MAX];
    size_t count;
};

static void list_answered(const struct sim *sim, const struct event *event, struct answered *out)
{
    out->count = 0;
    for (size_t i = 0; i < event->answer.pair_count; i++) {
        token_id id = token_table_find(sim->memory.table, &event->answer.pairs[i].base);
        /* Pairs of a token follow each other. */
        if (id == TOKEN_NONE || (out->count > 0 && out->ids[out->count - 1] == id))
            continue;
        out->groups[out->count] = token_column_group(sim->memory.table, id);
        out->ids[out->count++] = id;
    }
}

static void count_answered(struct sim *sim, const struct answered *answered)
{
    for (size_t i = 0; i < answered->count; i++) {
        token_id id = answered->ids[i];
        instant before = sim->answered_at[id];
        const struct token_state *state = &token_slot(sim->memory.table, id)->state;
        if (state->fetched_at.us < sim->now.us)
            continue; /* the core did not take it */
        if (!instant_is_never(before))
            count_refresh(sim, answered->groups[i], duration_to_s(instant_diff(sim->now, before)));
        sim->answered_at[id] = sim->now;
    }
}

/* Who is late when the run ends would never be counted otherwise. */
void answers_count_late_at_end(struct sim *sim)
{
    for (token_id id = 1; id <= token_table_count(sim->memory.table); id++) {
        enum token_group group = token_column_group(sim->memory.table, id);
        double age_s = duration_to_s(instant_diff(sim->now, sim->answered_at[id]));
        if (!instant_is_never(sim->answered_at[id]) && !sim->quarantined[id] &&
            age_s > ON_TIME_FACTOR * target_s(sim, group))
            count_refresh(sim, group, age_s);
    }
}

/* True when the engine dies of this answer. */
static bool dies_of(struct sim *sim, const struct answered *answered)
{
    size_t i = 0;
    while (i < answered->count && !sim->poisoned[answered->ids[i]])
        i++;
    if (sim->in_hand_count == 0 || i == answered->count)
        return false; /* nobody opens an answer that is not waited for */
    for (size_t k = 0; k < sim->in_hand_count; k++) {
        token_id id = sim->in_hand[k];
        sim->killed[id] += sim->poisoned[id];
        if (sim->killed[id] > DEATHS_A_TOKEN_MAX)
            oracle_complain(&sim->oracle, sim->now, "token %u killed us for the third time", id);
    }
    sim->result->poisoned++;
    trace_line(sim, "the answer about token %u kills", answered->ids[i]);
    children_crash(sim, SIGSEGV);
    return true;
}

static void take_in_hand(struct sim *sim, const struct sent *sent)
{
    sim->in_hand_count = core_request_tokens(sim->core, sent->request, sim->in_hand);
    sim->in_hand_lane = sent->lane;
    for (size_t i = 0; i < sim->in_hand_count; i++)
        sim->checked_before[i] = token_slot(sim->memory.table, sim->in_hand[i])->state.checked_at;
}

/* A failure is no answer: nobody is younger for it. */
static void check_failure(struct sim *sim, enum feed_outcome outcome)
{
    for (size_t i = 0; outcome != FEED_OK && i < sim->in_hand_count; i++) {
        token_id id = sim->in_hand[i];
        if (token_slot(sim->memory.table, id)->state.checked_at.us != sim->checked_before[i].us)
            oracle_complain(&sim->oracle, sim->now, "token %u counts as answered by a failure", id);
    }
}

/* Neither the breaker nor a lane waits for longer than an hour, whatever it is asked for. */
static void note_asked(struct sim *sim, const struct sent *sent)
{
    double asked_s = fmin(duration_to_s(sent->retry_after), ASKED_MOST_S);
    if (sent->outcome != FEED_OK && asked_s > 0)
        sim->asked_until = instant_max(sim->asked_until, sim_after(sim, asked_s));
}

static void take_answer(struct sim *sim, struct sent *sent)
{
    struct event event = {.kind = EVENT_ANSWER};
    if (!children_engine_works(sim))
        return;
    event.answer.request = sent->request;
    event.answer.outcome = sent->outcome;
    event.answer.retry_after = sent->retry_after;
    event.answer.latency = sent->latency;
    if (fault_is_down(sim))
        event.answer.outcome = FEED_UNREACHABLE;
    if (event.answer.outcome == FEED_OK)
        event.answer.outcome = fetch_body(sim, sent);
    if (event.answer.outcome == FEED_OK) {
        event.answer.pairs = sim->parsed.pairs;
        event.answer.pair_count = sim->parsed.pair_count;
    }
    sim->result->outcomes[event.answer.outcome]++;
    trace_number(sim, event.answer.outcome);
    trace_line(sim, "answer to %llu: %s, %zu pairs", (unsigned long long)sent->request,
               feed_outcome_name(event.answer.outcome), event.answer.pair_count);
    struct answered answered;
    list_answered(sim, &event, &answered);
    take_in_hand(sim, sent);
    if (dies_of(sim, &answered))
        return;
    if (answered.count > 0)
        sim->oracle.data_at = sim->now;
    sim_step(sim, &event);
    if (!children_engine_works(sim))
        return;
    check_failure(sim, event.answer.outcome);
    note_asked(sim, sent);
    sim->in_hand_count = 0;
    count_answered(sim, &answered);
}

void answers_on_answer(struct sim *sim, uint32_t number)
{
    struct sent sent = sim->agenda.sent[number]; /* a copy: others are sent meanwhile */
    answers_release(sim, number);
    take_answer(sim, &sent);
}

void answers_release(struct sim *sim, uint32_t number)
{
    if (--sim->agenda.sent[number].copies == 0)
        agenda_forget(sim, number);
}
