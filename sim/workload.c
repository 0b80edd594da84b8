/* What is wanted of us: new tokens, and clients that wait for a reply. Each gets one. */
#include "sim/parts.h"

/* ---- who waits ---- */

void clients_open(struct sim *sim, enum event_kind kind, uint64_t tag)
{
    if (sim->open_count == TAGS_MAX)
        oracle_complain(&sim->oracle, sim->now, "%d clients wait for a reply", TAGS_MAX);
    else
        sim->open[sim->open_count++] = (struct open_tag){tag, kind};
}

void clients_close(struct sim *sim, const struct action *action)
{
    for (size_t i = 0; i < sim->open_count; i++)
        if (sim->open[i].tag == action->reply.tag) {
            sim->open[i] = sim->open[--sim->open_count];
            return;
        }
    oracle_complain(&sim->oracle, sim->now, "a reply that nobody waits for");
}

/* A dead engine owes nothing but what its store still confirms. */
void clients_forget_wishes(struct sim *sim)
{
    for (size_t i = sim->open_count; i-- > 0;)
        if (sim->open[i].kind == EVENT_REFRESH_WANTED)
            sim->open[i] = sim->open[--sim->open_count];
}

/* ---- new tokens ---- */

static double mean_gap_s(const struct sim *sim)
{
    if (sim->setup->arrivals_per_hour > 0)
        return 3600 / sim->setup->arrivals_per_hour;
    return duration_to_s(instant_diff(sim->calm_from, SIM_EPOCH)) / (sim->tokens_expected + 1);
}

void workload_plan_token(struct sim *sim)
{
    if (sim->tokens_seen >= sim->tokens_expected)
        return;
    double span = mean_gap_s(sim);
    agenda_plan(sim, sim_after(sim, prng_exponential(&sim->workload, span)),
                (struct world_event){.kind = WORLD_TOKEN});
}

static struct address mint_number(const struct sim *sim, uint32_t n)
{
    if (n < token_table_count(sim->memory.table)) /* they come in the order of their numbers */
        return token_slot(sim->memory.table, n + 1)->mint;
    return sim->setup->arrivals_per_hour > 0 ? upstream_fading_mint(&sim->upstream, n, sim->now)
                                             : upstream_mint(&sim->upstream, n, LIFE_CHANGING);
}

void workload_on_token(struct sim *sim)
{
    struct event event = {.kind = EVENT_TOKEN_SEEN};
    /* Now and then one that is known already. */
    bool again = sim->tokens_seen > 0 && prng_below(&sim->workload, 20) == 0;
    uint32_t n = again ? (uint32_t)prng_below(&sim->workload, sim->tokens_seen) : sim->tokens_seen;
    event.token_seen.mint = mint_number(sim, n);
    event.token_seen.name = event.token_seen.symbol = "";
    event.token_seen.tag = sim->order + 1;
    sim->tokens_seen += !again;
    clients_open(sim, EVENT_TOKEN_SEEN, event.token_seen.tag);
    sim_step(sim, &event);
    workload_plan_token(sim);
}

/* ---- clients ---- */

void workload_on_wanted(struct sim *sim)
{
    struct event event = {.kind = EVENT_REFRESH_WANTED};
    uint32_t n = sim->tokens_seen == 0 ? 0 : (uint32_t)prng_below(&sim->workload, sim->tokens_seen);
    event.refresh_wanted.mint = mint_number(sim, n);
    event.refresh_wanted.tag = sim->order + 1;
    clients_open(sim, EVENT_REFRESH_WANTED, event.refresh_wanted.tag);
    sim_step(sim, &event);
    agenda_plan(sim, sim_after(sim, prng_exponential(&sim->workload, 120)),
                (struct world_event){.kind = WORLD_WANTED});
}
