/* What is wanted of us: new tokens, and clients that wait for a reply. Each gets one. */
#include "sim/parts.h"

#include "feed/pumpportal.h"
#include <stdio.h>
#include <string.h>

#define CLIENTS_ONE_IN    10 /* of new tokens, named by a client who waits */
#define KNOWN_ONE_IN      20
#define WANTED_UNKNOWN_IN 20
#define WANTED_CROWD_IN   20
#define WANTED_CROWD_MAX  600
#define WANTED_MEAN_S     120.0
#define AGAIN_S           5.0

/* ---- who waits ---- */

void clients_open(struct sim *sim, enum event_kind kind, uint64_t tag, uint32_t n)
{
    if (sim->open_count == TAGS_MAX)
        oracle_complain(&sim->oracle, sim->now, "%d clients wait for a reply", TAGS_MAX);
    else
        sim->open[sim->open_count++] = (struct open_tag){tag, kind, n};
}

/* Who was told that a token is there may rely on it, whatever happens. */
static void note_reply(struct sim *sim, const struct open_tag *open, enum reply_result result)
{
    if (open->kind == EVENT_TOKEN_SEEN && (result == REPLY_CREATED || result == REPLY_KNOWN))
        sim->acknowledged[open->n] = 1;
}

void clients_close(struct sim *sim, const struct action *action)
{
    for (size_t i = 0; i < sim->open_count; i++)
        if (sim->open[i].tag == action->reply.tag) {
            note_reply(sim, &sim->open[i], action->reply.result);
            sim->open[i] = sim->open[--sim->open_count];
            return;
        }
    oracle_complain(&sim->oracle, sim->now, "a reply that nobody waits for");
}

/* A dead engine owes nothing any more. */
void clients_forget(struct sim *sim)
{
    sim->open_count = 0;
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

static void see_token(struct sim *sim, const struct address *mint, const char *name,
                      const char *symbol, uint64_t tag, uint32_t n)
{
    struct event event = {.kind = EVENT_TOKEN_SEEN};
    if (engine_keeps_out(&sim->shell, mint))
        return;
    event.token_seen.mint = *mint;
    event.token_seen.name = name;
    event.token_seen.symbol = symbol;
    event.token_seen.tag = tag;
    if (tag != 0)
        clients_open(sim, EVENT_TOKEN_SEEN, tag, n);
    sim_step(sim, &event);
    suspects_recall(sim, mint);
}

/* What a frame means, by the real parser; only migrations get any further. */
static void take_frame(struct sim *sim, const char *text, size_t length)
{
    struct pumpportal_frame frame;
    pumpportal_parse(text, length, &frame);
    trace_number(sim, frame.meaning);
    if (frame.meaning == SOURCE_MIGRATIONS)
        see_token(sim, &frame.token.mint, frame.token.name, frame.token.symbol, 0, 0);
}

/* What a source may say besides, and what must not become a token. */
static void send_junk(struct sim *sim)
{
    static const char *const frames[] = {
        "{\"message\":\"Subscribed to 'migration' events.\"}",
        "{\"errors\":\"too many connections\"}",
        "{\"signature\":\"5x\",\"mint\":\"0OIl\",\"txType\":\"migrate\",\"pool\":\"pump-amm\"}",
        "{\"signature\":\"5x\",\"txType\":\"migrate\"}",
        "{\"mint\":{},\"txType\":\"migrate\"}",
        "{\"txType\":\"create\",\"mint\":\"So11111111111111111111111111111111111111112\"}",
        "\xff\xfe{}",
        "{\"signature\":",
        "[]",
        "",
    };
    struct prng *prng = &sim->fault_prng[SIM_FAULT_SOURCE];
    const char *frame = frames[prng_below(prng, sizeof frames / sizeof *frames)];
    take_frame(sim, frame, strlen(frame));
}

static void send_frame(struct sim *sim, const struct address *mint)
{
    char text[ADDRESS_TEXT_MAX + 1], frame[256];
    address_format(mint, text);
    int length = snprintf(
        frame, sizeof frame,
        "{\"signature\":\"4ZvA\",\"mint\":\"%s\",\"txType\":\"migrate\",\"pool\":\"pump-amm\"}",
        text);
    if (fault_hits(sim, SIM_FAULT_SOURCE))
        send_junk(sim);
    take_frame(sim, frame, (size_t)length);
    if (fault_hits(sim, SIM_FAULT_SOURCE))
        take_frame(sim, frame, (size_t)length);
}

/* By its number: one that came already, or the next. */
static struct address mint_number(struct sim *sim, uint32_t n)
{
    if (n < sim->tokens_seen)
        return sim->mints[n];
    return sim->setup->arrivals_per_hour > 0 ? upstream_fading_mint(&sim->upstream, n, sim->now)
                                             : upstream_mint(&sim->upstream, n, LIFE_CHANGING);
}

/* From the source, or a client who waits to be told. */
static void bring_token(struct sim *sim, uint32_t n)
{
    struct address mint = mint_number(sim, n);
    sim->mints[n] = mint;
    sim->tokens_seen += n == sim->tokens_seen;
    if (prng_below(&sim->workload, CLIENTS_ONE_IN) == 0)
        see_token(sim, &mint, "", "", ++sim->next_tag, n);
    else
        send_frame(sim, &mint);
}

void workload_on_token(struct sim *sim)
{
    if (sim->tokens_seen == sim->tokens_expected)
        return; /* a flood has brought the last ones */
    if (!children_engine_works(sim)) {
        workload_plan_token(sim);
        return; /* who is not heard says it again */
    }
    /* Now and then one that is known already. */
    bool again = sim->tokens_seen > 0 && prng_below(&sim->workload, KNOWN_ONE_IN) == 0;
    bring_token(sim,
                again ? (uint32_t)prng_below(&sim->workload, sim->tokens_seen) : sim->tokens_seen);
    workload_plan_token(sim);
}

/* A good part of those that are still to come, within a second. */
void workload_flood(struct sim *sim, double share)
{
    uint32_t left = sim->tokens_expected - sim->tokens_seen;
    uint32_t count = (uint32_t)(left * share);
    for (uint32_t i = 0; i < count; i++)
        agenda_plan(sim, sim_after(sim, prng_unit(&sim->fault_prng[SIM_FAULT_FLOOD])),
                    (struct world_event){.kind = WORLD_MORE});
}

void workload_on_more(struct sim *sim)
{
    if (sim->tokens_seen == sim->tokens_expected)
        return;
    if (children_engine_works(sim))
        bring_token(sim, sim->tokens_seen);
    else
        agenda_plan(sim, sim_after(sim, AGAIN_S), (struct world_event){.kind = WORLD_MORE});
}

void workload_bring_lost(struct sim *sim)
{
    for (uint32_t n = 0; children_engine_works(sim) && n < sim->tokens_seen; n++)
        if (token_table_find(sim->memory.table, &sim->mints[n]) == TOKEN_NONE)
            bring_token(sim, n);
    if (!children_engine_works(sim)) /* who is not heard says it again */
        agenda_plan(sim, sim_after(sim, AGAIN_S), (struct world_event){.kind = WORLD_CALM});
}

/* ---- clients ---- */

static void want_one(struct sim *sim)
{
    struct event event = {.kind = EVENT_REFRESH_WANTED};
    uint32_t n = sim->tokens_seen == 0 ? 0 : (uint32_t)prng_below(&sim->workload, sim->tokens_seen);
    event.refresh_wanted.mint = mint_number(sim, n); /* of nobody, before the first came */
    if (prng_below(&sim->workload, WANTED_UNKNOWN_IN) == 0)
        event.refresh_wanted.mint.bytes[0] ^= 0x55;
    event.refresh_wanted.tag = ++sim->next_tag;
    clients_open(sim, EVENT_REFRESH_WANTED, event.refresh_wanted.tag, n);
    sim_step(sim, &event);
}

/* Now and then many at once: more than may wait. */
void workload_on_wanted(struct sim *sim)
{
    uint64_t count = 1;
    if (prng_below(&sim->workload, WANTED_CROWD_IN) == 0)
        count = 1 + prng_below(&sim->workload, WANTED_CROWD_MAX);
    for (uint64_t i = 0; i < count && children_engine_works(sim); i++)
        want_one(sim);
    agenda_plan(sim, sim_after(sim, prng_exponential(&sim->workload, WANTED_MEAN_S)),
                (struct world_event){.kind = WORLD_WANTED});
}
