/*
 * A server with a made-up population that moves, for looking at the dashboard:
 *
 *     api_demo [PORT] [TOKENS] [NODES]
 *
 * Nothing of it is installed.
 */
#include "base/clock.h"
#include "base/prng.h"
#include "world.h"
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const words[] = {"Moon",   "Pepe",  "Cat",     "Quantum", "Selfie", "Bear",
                                    "Frog",   "Sun",   "Doge",    "Pixel",   "Wave",   "Bonk",
                                    "Turtle", "Ghost", "Noodle",  "Lunar",   "Giga",   "Otter",
                                    "Panda",  "Comet", "Toast",   "Llama",   "Neon",   "Koala",
                                    "Banana", "Mango", "Penguin", "Whale",   "Ninja",  "Rocket"};
static const char *const dexes[] = {"raydium", "meteora", "orca", "pumpswap"};

#define WORDS (sizeof words / sizeof words[0])

struct walk {
    double score, liquidity, price, drift, flow;
};

static void make_token(struct world *world, struct prng *prng, uint32_t number, struct walk *walk)
{
    bool is_active = number % 16 < 2;
    token_id id = world_add(world, number,
                            is_active         ? TOKEN_ACTIVE
                            : number % 9 == 8 ? TOKEN_ARCHIVED
                                              : TOKEN_MONITORING,
                            number % 37 == 36 ? NAN : 0.1);
    struct token_table *table = world->memory.table;
    struct token *token = token_write_begin(table, id);
    const char *first = words[prng_below(prng, WORDS)], *second = words[prng_below(prng, WORDS)];
    snprintf(token->name, sizeof token->name, "%s %s", first, second);
    snprintf(token->symbol, sizeof token->symbol, "%.4s%.4s", first, second);
    for (char *at = token->symbol; *at != '\0'; at++)
        *at = (char)(*at & ~0x20);
    if (number == 2)
        snprintf(token->name, sizeof token->name, "<img src=x onerror=alert(1)>");
    if (number == 17)
        snprintf(token->name, sizeof token->name, "月の猫 🐈 Moon Cat of a Long Name");
    token->state.metrics.primary_dex =
        token_table_dex(table, dexes[prng_below(prng, sizeof dexes / sizeof dexes[0])]);
    token->created_at = instant_add(clock_now(), duration_s(-prng_exponential(prng, 9000)));
    token_write_end(table, id);
    token_set_group(table, id,
                    is_active                         ? GROUP_HOT
                    : token->status == TOKEN_ARCHIVED ? GROUP_ARCHIVED
                                                      : GROUP_COLD);
    *walk = (struct walk){.score = is_active ? 0.4 + 0.5 * prng_unit(prng) : 0.3 * prng_unit(prng),
                          .liquidity = 400 * prng_pareto(prng, 0.9),
                          .price = 1e-6 * prng_pareto(prng, 0.5)};
    walk->liquidity = fmin(walk->liquidity, 4e6);
    walk->price = fmin(walk->price, 20);
}

static void move_token(struct world *world, struct prng *prng, token_id id, struct walk *walk)
{
    struct token_table *table = world->memory.table;
    struct token *token = token_write_begin(table, id);
    instant now = clock_now();
    if (token->state.answers > 0) {
        walk->drift = 0.8 * walk->drift + 0.03 * prng_normal(prng);
        walk->flow = 0.7 * walk->flow + 0.3 * prng_normal(prng);
        walk->price *= exp(walk->drift / 4);
        walk->score = fmax(0, walk->score + 0.02 * prng_normal(prng));
        token->state.score = round(walk->score * 1e6) / 1e6;
        token->state.smoothed = (struct components){
            fmax(0, walk->score * 2 + 0.2 * walk->flow), fmax(0, walk->score * 3.5 + walk->drift),
            fmax(0, 1 - duration_to_s(instant_diff(now, token->created_at)) / 21600),
            fmax(-1, fmin(1, walk->flow))};
        token->state.metrics.liquidity_usd = walk->liquidity;
        token->state.metrics.price_usd = walk->price;
        token->state.metrics.delta_p_5m = walk->drift;
        token->state.metrics.delta_p_15m = 1.7 * walk->drift;
        token->state.metrics.volume_5m_usd = walk->liquidity * fabs(walk->flow) * 0.02;
    }
    token->state.checked_at = token->state.fetched_at = now;
    token_write_end(table, id);
    token_table_links(table, LINKS_PRICE)[id].stamp = now;
}

static void beat(struct world *world)
{
    world_fill_page(world);
    struct status_page *page = world->page;
    struct page_texts *texts = page_text_begin(page);
    snprintf(texts->source_message, sizeof texts->source_message, "connected");
    page_text_end(page);
    for (int i = 0; i < PAGE_LANES; i++)
        atomic_store(&page->lanes[i].used_last_minute, (uint64_t)(290 - 110 * i));
    atomic_store(&page->groups[1].refreshes_on_time, 962);
    atomic_store(&page->groups[1].recent_on_time, 962);
    atomic_store(&page->groups[1].recent, 1000);
    uint32_t groups[GROUP_COUNT] = {0};
    for (token_id id = 1; id <= token_table_count(world->memory.table); id++)
        groups[token_column_group(world->memory.table, id)]++;
    for (int i = 0; i < PAGE_GROUPS; i++)
        atomic_store(&page->groups[i].tokens, groups[i]);
}

/* Nodes that take slots from each other; this one is the second. */
static void move_nodes(struct world *world, struct prng *prng, struct page_cluster *cluster)
{
    uint64_t slot = prng_below(prng, MINT_SLOTS);
    for (uint32_t i = 0; i < cluster->count; i++) {
        struct page_node *member = &cluster->members[i];
        member->silent_s = fmod(member->silent_s + 0.1, 3.4);
        member->slots = 0;
    }
    cluster->owners[slot] = (uint8_t)prng_below(prng, cluster->count);
    for (slot = 0; slot < MINT_SLOTS; slot++)
        if (cluster->owners[slot] != PAGE_SLOT_FREE)
            cluster->members[cluster->owners[slot]].slots++;
    cluster->valid_until = instant_add(clock_now(), duration_s(9 - cluster->members[1].silent_s));
    cluster->answered_at = clock_now();
    cluster_publish(world->page, cluster);
}

static void make_nodes(struct world *world, uint32_t count, struct page_cluster *cluster)
{
    world_fill_cluster(world, cluster);
    for (uint32_t i = cluster->count; i < count && i < PAGE_NODES; i++) {
        struct page_node *member = &cluster->members[cluster->count++];
        *member =
            (struct page_node){.session = 7 + i, .capacity = 100 + 10 * i, .silent_s = i / 3.0};
        snprintf(member->name, sizeof member->name, "node-%u", i);
    }
}

int main(int argc, char **argv)
{
    static struct world world;
    uint32_t count = argc > 2 ? (uint32_t)atoi(argv[2]) : 600;
    struct prng prng;
    prng_seed(&prng, 7);
    signal(SIGPIPE, SIG_IGN);
    char listen[64];
    snprintf(listen, sizeof listen, "127.0.0.1:%s", argc > 1 ? argv[1] : "8080");
    world_start_at(&world, "", listen, "sqlite:none");
    struct walk *walks = calloc(count + 1, sizeof *walks);
    for (uint32_t i = 1; i <= count; i++)
        make_token(&world, &prng, i, &walks[i]);
    for (token_id id = 1; id <= count; id++)
        move_token(&world, &prng, id, &walks[id]);
    printf("http://127.0.0.1:%u with %u tokens\n", world.port, count);
    fflush(stdout);
    static struct page_cluster cluster;
    uint32_t hot = 0, cold = 0, nodes = argc > 3 ? (uint32_t)atoi(argv[3]) : 0;
    if (nodes > 0)
        make_nodes(&world, nodes, &cluster);
    while (true) {
        usleep(100000);
        beat(&world);
        if (nodes > 0)
            move_nodes(&world, &prng, &cluster);
        for (uint32_t i = 0; i < count / 128 + 1; i++) {
            hot = hot % count + 1;
            if (token_column_group(world.memory.table, hot) == GROUP_HOT)
                move_token(&world, &prng, hot, &walks[hot]);
            cold = cold % count + 1;
            if (i % 3 == 0 && token_column_group(world.memory.table, cold) != GROUP_HOT)
                move_token(&world, &prng, cold, &walks[cold]);
        }
    }
}
