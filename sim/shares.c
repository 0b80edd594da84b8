/*
 * Slots that come and go, as if this engine were one of several nodes: others take them over for a
 * while, now and then the source as well, refresh their tokens, and give them back. What they
 * commit says nothing new of a token but that it was answered, so that the oracles' accounts stay
 * right.
 */
#include "sim/parts.h"

#include "core/mint_slot.h"
#include <stdlib.h>
#include <string.h>

#define DRAINED_IN     2  /* one slot in so many drains first, the others go at once */
#define SOURCE_IN      2  /* the source goes with the slots, one time in so many */
#define FOLLOWED_IN    2  /* one token in so many is refreshed by others */
#define FOLLOWED_AGE_S 10 /* at most, when we hear of it */

static void tell_share(struct sim *sim, const uint64_t *working, const uint64_t *listening)
{
    struct event event = {.kind = EVENT_SHARE, .share = {working, listening, NULL}};
    void *scratch = malloc(core_scratch_size(sim->memory.table) + 1);
    event.share.scratch = scratch; /* without memory it takes longer */
    sim_step(sim, &event);
    free(scratch);
}

static void tell_source(struct sim *sim, bool is_held)
{
    struct event event = {.kind = EVENT_SOURCE, .source = {is_held}};
    sim_step(sim, &event);
}

void shares_take(struct sim *sim, double share)
{
    struct prng *prng = &sim->fault_prng[SIM_FAULT_SHARE];
    uint64_t working[SHARE_WORDS] = {0}, listening[SHARE_WORDS] = {0};
    for (unsigned slot = 0; slot < MINT_SLOTS; slot++) {
        bool is_taken = prng_unit(prng) < share;
        bool drains = is_taken && prng_below(prng, DRAINED_IN) == 0;
        working[slot / 64] |= (uint64_t)!is_taken << slot % 64;
        listening[slot / 64] |= (uint64_t)(!is_taken || drains) << slot % 64;
    }
    bool is_source_taken = prng_below(prng, SOURCE_IN) == 0;
    trace_line(sim, "other nodes take %.0f %% of the slots%s", share * 100,
               is_source_taken ? ", and the source" : "");
    tell_share(sim, working, listening);
    if (is_source_taken)
        tell_source(sim, false);
}

/* What another node committed is in the store already. There is none here that could have written
 * it, so our own writer does. */
static void write_followed(struct sim *sim, token_id id)
{
    token_mark_stored(sim->memory.table, id, 0);
    writer_mark_dirty(disk_writer(sim->disk), id);
}

/* Only of those that are in the store: nobody else knows of others. */
static void follow(struct sim *sim, token_id id)
{
    struct prng *prng = &sim->fault_prng[SIM_FAULT_SHARE];
    struct token token = *token_slot(sim->memory.table, id);
    instant at = sim_after(sim, -prng_unit(prng) * FOLLOWED_AGE_S);
    bool is_known =
        (token.flags & (TOKEN_HOLE | TOKEN_DURABLE)) == TOKEN_DURABLE && token.state.answers > 0;
    if (!is_known || prng_below(prng, FOLLOWED_IN) != 0 ||
        !instant_before(token.state.checked_at, at))
        return;
    token.state.checked_at = token.state.fetched_at = at;
    struct event event = {.kind = EVENT_FOLLOWED, .followed = {.id = id, .token = &token}};
    uint64_t followed = core_stats(sim->core)->share.followed;
    sim_step(sim, &event);
    if (sim->core == NULL || core_stats(sim->core)->share.followed == followed)
        return;
    sim->answered_at[id] = at;
    write_followed(sim, id);
}

void shares_give_back(struct sim *sim)
{
    uint64_t all[SHARE_WORDS];
    memset(all, 0xff, sizeof all);
    for (token_id id = 1; children_engine_works(sim) && id <= token_table_count(sim->memory.table);
         id++)
        follow(sim, id);
    trace_line(sim, "other nodes give all slots back");
    tell_share(sim, all, all);
    tell_source(sim, true);
    if (children_engine_works(sim))
        workload_bring_lost(sim); /* whom the others would have given ids */
}
