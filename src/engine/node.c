/* The engine as one of several nodes. See the header. */
#include "engine/node.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "cluster/cluster.h"
#include "core/mint_slot.h"
#include "engine/cluster_show.h"
#include "engine/parts.h"
#include "engine/restore.h"
#include "store/cluster_link.h"
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define LOGGER         "node"
#define DRAIN_LOOK_MS  20
#define CAPACITY_SHARE 0.05 /* of the newest measurement: two thirds of it are of the last 40 s */
#define MEASURED_EVERY duration_s(2)
#define CUT_NOTICED    duration_s(5)
#define WISHES_MAX     256
#define WISH_PATIENCE  duration_s(30) /* of a command without a time of its own */
#define WISH_MARGIN    duration_s(2)  /* who asked hears of a failure before he gives up himself */

/* How far a slot that is given away has come. */
enum drain {
    DRAIN_NOT,
    DRAIN_ANSWERS, /* until nothing about it is under way */
    DRAIN_WRITES,  /* until what was answered is committed */
};

/* What a client wants that another node may have to do. */
struct wish {
    uint64_t tag;
    uint32_t kind; /* enum command_kind */
    bool is_sent_on;
    struct source_token token; /* its names where it is to be added */
    instant until;
    instant discovered_at; /* of the token, when it was sent on */
};

struct node {
    char name[STORE_NODE_SIZE];
    struct cluster cluster;
    struct cluster_actions actions;
    struct cluster_link *link;
    instant due_at; /* of the next step */
    bool is_stepping;
    bool listens; /* to the source */
    uv_timer_t timer;
    uint64_t working[SHARE_WORDS], listening[SHARE_WORDS];
    uint8_t drains[LEASE_COUNT]; /* enum drain */
    uint64_t flush;              /* number of the one under way; 0: none */
    uint64_t flushes;
    instant measured_at;
    double capacity;     /* smoothed */
    instant answered_at; /* when the upstream was last known to answer */
    uint64_t forwarded, ordered;
    struct cluster_show show;
    struct page_cluster shown;
    uint32_t wish_count;
    struct wish wishes[WISHES_MAX];
};

bool engine_is_node(const struct engine *engine)
{
    return store_is_shared(engine->options.db, NULL);
}

/* ---- what this node works on ---- */

static void put_bit(uint64_t *bits, unsigned n, bool is_set)
{
    bits[n / 64] |= (uint64_t)is_set << (n % 64);
}

static void hold_in_writer(struct engine *engine)
{
    struct node *node = engine->node;
    struct cluster_change held[LEASE_COUNT];
    uint32_t count = 0;
    for (uint16_t lease = 0; lease < LEASE_COUNT; lease++) {
        enum lease_state state = cluster_lease_state(&node->cluster, lease);
        if (state == LEASE_MINE || state == LEASE_DRAINING)
            held[count++] =
                (struct cluster_change){lease, cluster_generation(&node->cluster, lease)};
    }
    writer_hold(engine->writer, held, count);
}

/* Once the lease time is over nothing is worked on, though the leases may still be there: another
 * node may have them already. */
static void compute_share(const struct node *node, uint64_t *working, uint64_t *listening)
{
    memset(working, 0, SHARE_WORDS * sizeof *working);
    memset(listening, 0, SHARE_WORDS * sizeof *listening);
    if (node->cluster.is_lapsed)
        return;
    for (uint16_t slot = 0; slot < MINT_SLOTS; slot++) {
        enum lease_state state = cluster_lease_state(&node->cluster, slot);
        put_bit(working, slot, state == LEASE_MINE);
        put_bit(listening, slot, state == LEASE_MINE || state == LEASE_DRAINING);
    }
}

/* A sort of everybody is quicker with scratch memory, and goes without. */
static void tell_share(struct engine *engine)
{
    struct node *node = engine->node;
    void *scratch = malloc(core_scratch_size(engine->memory.table));
    struct event event = {
        .kind = EVENT_SHARE,
        .share = {.working = node->working, .listening = node->listening, .scratch = scratch}};
    engine_step(engine, &event);
    free(scratch);
}

static void update_share(struct engine *engine)
{
    struct node *node = engine->node;
    uint64_t working[SHARE_WORDS], listening[SHARE_WORDS];
    compute_share(node, working, listening);
    if (memcmp(working, node->working, sizeof working) == 0 &&
        memcmp(listening, node->listening, sizeof listening) == 0)
        return;
    memcpy(node->working, working, sizeof working);
    memcpy(node->listening, listening, sizeof listening);
    tell_share(engine);
}

void engine_node_disown(struct engine *engine)
{
    if (engine_is_node(engine))
        core_share(engine->core, NULL);
}

/* ---- the source ---- */

static void on_source_closed(void *context)
{
    (void)context;
}

static void begin_source(struct engine *engine)
{
    struct event event = {.kind = EVENT_SOURCE, .source = {.is_held = true}};
    engine_step(engine, &event);
    if (!engine_start_source(engine))
        log_error(LOGGER, "this node has the source of new tokens and can't listen to it");
    else
        log_info(LOGGER, "this node listens to the source of new tokens");
}

static void end_source(struct engine *engine)
{
    struct event event = {.kind = EVENT_SOURCE, .source = {.is_held = false}};
    engine_step(engine, &event);
    if (engine->source != NULL)
        source_destroy(engine->source, on_source_closed);
    engine->source = NULL;
}

/* One at a time listens: not whose lease time is over, either. */
static void update_source(struct engine *engine)
{
    struct node *node = engine->node;
    bool listens =
        !node->cluster.is_lapsed && cluster_lease_state(&node->cluster, LEASE_SOURCE) == LEASE_MINE;
    if (listens == node->listens)
        return;
    node->listens = listens;
    if (listens)
        begin_source(engine);
    else
        end_source(engine);
}

/* ---- actions of the policy ---- */

struct tally {
    unsigned begun, drained, lost;
};

static void perform(struct engine *engine, const struct cluster_action *action, struct tally *tally)
{
    struct node *node = engine->node;
    switch (action->kind) {
    case CLUSTER_EXCHANGE:
        cluster_link_exchange(node->link, action->request);
        return;
    case CLUSTER_BEGIN:
        node->drains[action->lease] = DRAIN_NOT;
        tally->begun++;
        return;
    case CLUSTER_DRAIN:
        node->drains[action->lease] = DRAIN_ANSWERS;
        tally->drained++;
        return;
    case CLUSTER_STOP:
        node->drains[action->lease] = DRAIN_NOT;
        tally->lost++;
        return;
    case CLUSTER_LAPSED:
        log_error(LOGGER, "the lease time is over and could not be renewed: nothing is fetched "
                          "until it is; other nodes may take over");
        return;
    case CLUSTER_RENEWED:
        log_info(LOGGER, "the leases are in force",
                 LOG_INT("members", node->cluster.view.member_count));
        return;
    case CLUSTER_LEFT:
        return;
    }
}

static void perform_all(struct engine *engine)
{
    struct node *node = engine->node;
    struct tally tally = {0};
    for (uint32_t i = 0; i < node->actions.count; i++)
        perform(engine, &node->actions.items[i], &tally);
    if (tally.begun + tally.drained + tally.lost > 0) {
        hold_in_writer(engine);
        log_info(LOGGER, "leases moved", LOG_INT("begun", tally.begun),
                 LOG_INT("to_be_given", tally.drained), LOG_INT("lost", tally.lost));
    }
    update_source(engine);
    update_share(engine);
}

static void on_timer(uv_timer_t *timer);

static bool is_draining(const struct node *node)
{
    for (uint16_t lease = 0; lease < LEASE_COUNT; lease++)
        if (node->drains[lease] != DRAIN_NOT)
            return true;
    return false;
}

static void arm(struct engine *engine)
{
    struct node *node = engine->node;
    node->due_at = cluster_deadline(&node->cluster);
    int64_t wait_ms = (instant_diff(node->due_at, clock_now()).us + 999) / 1000;
    if (is_draining(node) && wait_ms > DRAIN_LOOK_MS)
        wait_ms = DRAIN_LOOK_MS;
    uv_update_time(&engine->loop);
    uv_timer_start(&node->timer, on_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

static void step(struct engine *engine, struct cluster_event event)
{
    struct node *node = engine->node;
    if (node->is_stepping || engine->is_stopping)
        return;
    node->is_stepping = true;
    event.now = clock_now();
    cluster_step(&node->cluster, &event, &node->actions);
    atomic_store_explicit(&engine->may_send_until_us, node->cluster.valid_until.us,
                          memory_order_relaxed);
    perform_all(engine);
    node->is_stepping = false;
    arm(engine);
}

void engine_node_look(struct engine *engine)
{
    struct node *node = engine->node;
    if (node != NULL && !node->is_stepping && !instant_before(clock_now(), node->due_at))
        step(engine, (struct cluster_event){.kind = CLUSTER_TIME});
}

bool engine_node_may_send(void *context)
{
    struct engine *engine = context;
    return clock_now().us < atomic_load_explicit(&engine->may_send_until_us, memory_order_relaxed);
}

/* ---- handing over ---- */

/* Nothing about it is under way. */
static bool is_answered(const uint64_t in_flight[SHARE_WORDS], uint16_t lease)
{
    return lease == LEASE_SOURCE || !(in_flight[lease / 64] >> (lease % 64) & 1);
}

/* All that is answered by now is written with one flush. */
static void look_at_drains(struct engine *engine)
{
    struct node *node = engine->node;
    uint64_t in_flight[SHARE_WORDS];
    bool is_wanted = false;
    if (node->flush != 0 || !is_draining(node))
        return;
    core_slots_in_flight(engine->core, in_flight);
    for (uint16_t lease = 0; lease < LEASE_COUNT; lease++) {
        if (node->drains[lease] != DRAIN_ANSWERS || !is_answered(in_flight, lease))
            continue;
        node->drains[lease] = DRAIN_WRITES;
        is_wanted = true;
    }
    if (!is_wanted)
        return;
    node->flush = ++node->flushes;
    writer_flush(engine->writer, node->flush);
}

void engine_node_on_flushed(void *context, uint64_t tag)
{
    struct engine *engine = context;
    struct node *node = engine->node;
    if (node == NULL || tag != node->flush)
        return;
    node->flush = 0;
    for (uint16_t lease = 0; lease < LEASE_COUNT; lease++) {
        if (node->drains[lease] != DRAIN_WRITES)
            continue;
        node->drains[lease] = DRAIN_NOT;
        step(engine, (struct cluster_event){.kind = CLUSTER_DRAINED, .lease = lease});
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct engine *engine = timer->data;
    engine_node_look(engine);
    look_at_drains(engine);
    arm(engine);
}

/* ---- capacity ---- */

static double requests_a_second(const struct lane_stats *lane)
{
    double least = INFINITY;
    for (int i = 0; i < LANE_LIMIT_COUNT; i++)
        least = fmin(least, lane->capacities[i]);
    return isfinite(least) ? least : 0;
}

/* A host that fails for a while, and not one request: then others are to have the tokens. */
static bool can_fetch(struct engine *engine)
{
    struct node *node = engine->node;
    const struct core_stats *stats = core_stats(engine->core);
    instant now = clock_now();
    if (stats->breaker.state == BREAKER_CLOSED)
        node->answered_at = now;
    return engine->options.scheduler_enabled && !stats->is_paused &&
           instant_diff(now, node->answered_at).us < CUT_NOTICED.us;
}

/* Addresses a second of both lanes that keep tokens fresh. What the upstream allows is steady; what
 * the CPUs can do depends on who else is at work, other nodes among them, and would move slots to
 * and fro. */
static uint32_t measure(struct engine *engine)
{
    const struct core_stats *stats = core_stats(engine->core);
    double requests = requests_a_second(&stats->lanes[LANE_REFRESH]) +
                      requests_a_second(&stats->lanes[LANE_SCREEN]);
    struct node *node = engine->node;
    double now = requests * REQUEST_ADDRESSES_MAX;
    node->capacity += (node->capacity > 0 ? CAPACITY_SHARE : 1) * (now - node->capacity);
    if (!can_fetch(engine))
        return 0;
    return node->capacity < UINT32_MAX ? (uint32_t)lround(node->capacity) : UINT32_MAX;
}

/* ---- what clients want of other nodes ---- */

static void drop_wish(struct node *node, uint32_t n)
{
    node->wishes[n] = node->wishes[--node->wish_count];
}

static struct wish *find_wish(struct node *node, uint64_t tag)
{
    for (uint32_t i = 0; i < node->wish_count; i++)
        if (node->wishes[i].tag == tag)
            return &node->wishes[i];
    return NULL;
}

static void refuse(struct engine *engine, uint64_t tag, const char *message)
{
    struct reply reply = {.result = RESULT_UNAVAILABLE, .tag = tag, .score = NAN};
    snprintf(reply.message, sizeof reply.message, "not available now: %s", message);
    engine_reply(engine, &reply);
}

bool engine_node_expect(struct engine *engine, const struct command *command)
{
    struct node *node = engine->node;
    if (node == NULL)
        return true;
    if (node->wish_count == WISHES_MAX) {
        refuse(engine, command->tag, "too many commands wait for other nodes");
        return false;
    }
    instant until = command->until_us != 0
                        ? instant_add((instant){command->until_us}, duration_us(-WISH_MARGIN.us))
                        : instant_add(clock_now(), WISH_PATIENCE);
    struct wish *wish = &node->wishes[node->wish_count++];
    *wish = (struct wish){
        .tag = command->tag, .kind = command->kind, .token.mint = command->mint, .until = until};
    memcpy(wish->token.name, command->name, sizeof wish->token.name);
    memcpy(wish->token.symbol, command->symbol, sizeof wish->token.symbol);
    return true;
}

void engine_node_answered(struct engine *engine, uint64_t tag)
{
    struct node *node = engine->node;
    struct wish *wish = node != NULL ? find_wish(node, tag) : NULL;
    if (wish != NULL)
        drop_wish(node, (uint32_t)(wish - node->wishes));
}

/* The body of an order about a token; its names matter where it is to be added. Not UTF-8: "". */
static void format_token(const struct source_token *token, char body[CLUSTER_ORDER_BODY_SIZE])
{
    char mint[ADDRESS_TEXT_MAX + 1];
    address_format(&token->mint, mint);
    json_t *json =
        json_pack("{s:s,s:s,s:s}", "mint", mint, "symbol", token->symbol, "name", token->name);
    size_t length = json_dumpb(json, body, CLUSTER_ORDER_BODY_SIZE - 1, JSON_COMPACT);
    body[length < CLUSTER_ORDER_BODY_SIZE ? length : 0] = '\0';
    json_decref(json);
}

static bool parse_token(const char *body, struct source_token *out)
{
    const char *mint = "", *symbol = "", *name = "";
    json_t *json = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
    bool is_known =
        json_unpack(json, "{s:s,s?s,s?s}", "mint", &mint, "symbol", &symbol, "name", &name) == 0 &&
        address_parse(mint, strlen(mint), &out->mint);
    text_copy(out->symbol, sizeof out->symbol, symbol, strlen(symbol));
    text_copy(out->name, sizeof out->name, name, strlen(name));
    json_decref(json);
    return is_known;
}

/* `token` NULL: it is about none. */
static void send_order(struct engine *engine, uint32_t kind, const struct source_token *token)
{
    struct cluster_order order = {0};
    snprintf(order.kind, sizeof order.kind, "%s", command_kind_name(kind));
    if (token != NULL)
        format_token(token, order.body);
    cluster_link_order(engine->node->link, &order);
}

bool engine_node_forward(struct engine *engine, uint64_t tag)
{
    struct node *node = engine->node;
    struct wish *wish = node != NULL ? find_wish(node, tag) : NULL;
    if (wish == NULL)
        return false; /* it was given up, or this daemon is alone */
    token_id id = token_table_find(engine->memory.table, &wish->token.mint);
    wish->is_sent_on = true;
    if (id != TOKEN_NONE)
        wish->discovered_at = token_slot(engine->memory.table, id)->state.discovered_at;
    node->forwarded++;
    send_order(engine, wish->kind, &wish->token);
    return true;
}

void engine_node_tell_all(struct engine *engine, const struct command *command)
{
    if (engine->node != NULL)
        send_order(engine, command->kind, NULL);
}

/* What a token's owner has committed may be what a client of ours waits for. */
static bool is_granted(const struct wish *wish, const struct token *token)
{
    return wish->is_sent_on && address_equal(&wish->token.mint, &token->mint) &&
           (wish->kind == COMMAND_ADD_TOKEN ||
            instant_before(wish->discovered_at, token->state.discovered_at));
}

static void grant(struct engine *engine, const struct wish *wish, const struct token *token)
{
    struct reply reply = {.result = wish->kind == COMMAND_ADD_TOKEN ? RESULT_CREATED : RESULT_DONE,
                          .tag = wish->tag,
                          .snapshot_id = token->state.snapshot_id,
                          .score = token->state.answers > 0 ? token->state.score : NAN};
    engine_reply(engine, &reply);
}

static void look_at_wishes(struct engine *engine, token_id id)
{
    struct node *node = engine->node;
    const struct token *token = token_slot(engine->memory.table, id);
    for (uint32_t i = node->wish_count; i-- > 0;) {
        if (!is_granted(&node->wishes[i], token))
            continue;
        grant(engine, &node->wishes[i], token);
        drop_wish(node, i);
    }
}

/* The name of who is to do it; "": nobody is known. */
static const char *doer_of(const struct node *node, const struct wish *wish)
{
    uint32_t member = wish->kind == COMMAND_ADD_TOKEN
                          ? node->shown.source
                          : node->shown.owners[mint_slot(&wish->token.mint)];
    return member < node->shown.count ? node->shown.members[member].name : "";
}

static void tell_elsewhere(struct engine *engine, const struct wish *wish)
{
    struct reply reply = {.tag = wish->tag, .score = NAN};
    reply_elsewhere(&reply, doer_of(engine->node, wish));
    engine_reply(engine, &reply);
}

static void give_up_wishes(struct engine *engine)
{
    struct node *node = engine->node;
    instant now = clock_now();
    for (uint32_t i = node->wish_count; i-- > 0;) {
        if (instant_before(now, node->wishes[i].until))
            continue;
        tell_elsewhere(engine, &node->wishes[i]);
        drop_wish(node, i);
    }
}

/* ---- what others want ---- */

/* Whether this node is the one to do it. */
static bool is_ours(const struct engine *engine, uint32_t kind, const struct address *mint)
{
    uint16_t lease = kind == COMMAND_ADD_TOKEN ? (uint16_t)LEASE_SOURCE : mint_slot(mint);
    return cluster_may_work(&engine->node->cluster, lease, clock_now());
}

static void do_for_token(struct engine *engine, uint32_t kind, const struct source_token *token)
{
    struct event event = {.kind = EVENT_REFRESH_WANTED, .refresh_wanted = {.mint = token->mint}};
    if (!is_ours(engine, kind, &token->mint))
        return;
    engine->node->ordered++;
    if (kind == COMMAND_ADD_TOKEN)
        (void)engine_on_token(engine, token);
    else
        engine_step(engine, &event);
}

static bool do_order(struct engine *engine, const struct cluster_order *order)
{
    struct source_token token;
    uint32_t kind = command_kind_find(order->kind);
    bool is_of_token = kind == COMMAND_ADD_TOKEN || kind == COMMAND_REFRESH;
    if (!is_of_token)
        return engine_do_order(engine, kind);
    if (!parse_token(order->body, &token))
        return false;
    do_for_token(engine, kind, &token);
    return true;
}

/* What was done here before it was given is heard here, too. */
static void on_order(void *context, const struct cluster_order *order)
{
    struct engine *engine = context;
    if (engine->is_stopping || strcmp(order->from, engine->node->name) == 0)
        return;
    if (!do_order(engine, order))
        log_warning(LOGGER, "an order of another node is not known here, or makes no sense",
                    LOG_STRING("kind", order->kind), LOG_STRING("from", order->from));
}

/* ---- what others did ---- */

static void on_reply(void *context, const struct cluster_reply *reply)
{
    step(context, (struct cluster_event){.kind = CLUSTER_REPLIED, .reply = reply});
}

static void on_notified(void *context)
{
    step(context, (struct cluster_event){.kind = CLUSTER_NOTIFIED});
}

static void on_followed(void *context, uint64_t round)
{
    step(context, (struct cluster_event){.kind = CLUSTER_APPLIED, .position = round});
}

/* Room for ids up to this one; between two steps, since the core itself never allocates. */
static bool make_room(struct engine *engine, token_id id)
{
    uint32_t count = token_table_count(engine->memory.table);
    uint32_t missing = id > count ? id - count : 0;
    if (missing > FOLLOW_GAP_MAX)
        return true; /* a mistake, which the core counts */
    return !token_table_is_short(engine->memory.table, missing) ||
           table_memory_grow(&engine->memory, missing);
}

/* A record of a log says neither who a token is nor since when it is known: its row did. */
static void identify(const struct engine *engine, token_id id, struct token *token)
{
    static const struct address none;
    bool is_known = id <= token_table_count(engine->memory.table);
    if (!address_equal(&token->mint, &none) || !is_known)
        return;
    const struct token *known = token_slot(engine->memory.table, id);
    token->mint = known->mint;
    token->created_at = known->created_at;
}

static void follow(struct engine *engine, const struct store_token *row, bool has_pools)
{
    struct token token;
    struct pool pools[POOLS_MAX];
    restore_convert_row(engine->memory.table, row, &token, pools);
    identify(engine, row->id, &token);
    struct event event = {
        .kind = EVENT_FOLLOWED,
        .followed = {.id = row->id, .token = &token, .pools = pools, .has_pools = has_pools}};
    if (!make_room(engine, row->id))
        return; /* engine.c tells of a memory that is short */
    engine_step(engine, &event);
    if (row->id > token_table_count(engine->memory.table))
        return;
    changes_put(&engine->page->changes, row->id);
    look_at_wishes(engine, row->id);
}

static void on_tokens(void *context, const struct store_token *tokens, size_t count,
                      const bool *has_pools)
{
    struct engine *engine = context;
    for (size_t i = 0; i < count && !engine->is_stopping; i++)
        follow(engine, &tokens[i], has_pools[i]);
}

void engine_node_on_left_out(void *context, token_id id, uint64_t tag)
{
    struct event event = {.kind = EVENT_TOKEN_REFUSED, .token_refused = {.id = id, .tag = tag}};
    engine_step(context, &event);
}

static void on_setting(void *context, const char *name, const char *value)
{
    engine_take_setting(context, name, value);
}

/* ---- what people see ---- */

static void show_names(const struct cluster_link_stats *link, struct page_cluster *page)
{
    for (uint32_t i = 0; i < page->count; i++)
        for (uint32_t k = 0; k < link->member_count; k++) {
            const struct cluster_link_member *member = &link->members[k];
            if (member->session != page->members[i].session)
                continue;
            snprintf(page->members[i].name, sizeof page->members[i].name, "%s", member->name);
            page->members[i].clock_offset_s =
                member->is_offset_known ? duration_to_s(member->offset) : (double)NAN;
        }
}

static uint64_t count_refused(const struct share_stats *stats)
{
    uint64_t count = 0;
    for (int i = 0; i < FOLLOW_REFUSAL_COUNT; i++)
        count += stats->refused[i];
    return count;
}

static void show_link(const struct cluster_link_stats *link, instant now, struct page_cluster *page)
{
    bool is_well = link->is_connected && link->is_following;
    page->behind_s = instant_is_never(link->round_at)
                         ? (double)NAN
                         : duration_to_s(instant_diff(now, link->round_at));
    if (is_well || strcmp(page->message, link->message) == 0)
        return;
    page->failed_at = now;
    snprintf(page->message, sizeof page->message, "%.255s", link->message);
}

static void publish(struct engine *engine)
{
    struct node *node = engine->node;
    struct page_cluster *page = &node->shown;
    const struct share_stats *share = &core_stats(engine->core)->share;
    struct cluster_link_stats link;
    struct writer_stats writer;
    instant now = clock_now();
    cluster_link_stats(node->link, &link);
    writer_stats(engine->writer, &writer);
    cluster_show(&node->show, &node->cluster, now, page);
    snprintf(page->name, sizeof page->name, "%s", node->name);
    show_names(&link, page);
    show_link(&link, now, page);
    page->followed = share->followed;
    page->ignored = count_refused(share);
    page->fenced = writer.refreshes_left_out + writer.rows_left_out + writer.additions_left_out;
    page->forwarded = node->forwarded;
    page->ordered = node->ordered;
    page->tokens = token_table_count(engine->memory.table);
    page->own = share->tokens;
    cluster_publish(engine->page, page);
}

void engine_node_on_second(struct engine *engine)
{
    struct node *node = engine->node;
    if (node == NULL)
        return;
    if (instant_diff(clock_now(), node->measured_at).us >= MEASURED_EVERY.us) {
        node->measured_at = clock_now();
        step(engine, (struct cluster_event){.kind = CLUSTER_MEASURED, .capacity = measure(engine)});
    }
    give_up_wishes(engine);
    publish(engine);
}

/* ---- a life ---- */

/* The engine before this one is dead: nobody need wait for its leases to run out. One that was
 * killed and does not die may still send. */
static uint64_t session_before(const struct engine *engine)
{
    struct page_cluster before;
    bool is_known = cluster_read(engine->page, &before) && engine->page->unawaited_pid == 0;
    return is_known ? before.session : 0;
}

static bool prepare(struct engine *engine, struct node *node)
{
    struct cluster_options options = {.lease = CLUSTER_LEASE_DEFAULT,
                                      .replaces = session_before(engine)};
    if (getrandom(&options.nonce, sizeof options.nonce, 0) != sizeof options.nonce) {
        log_error(LOGGER, "no random numbers to tell this start from others by");
        return false;
    }
    options.nonce = options.nonce >> 2 | 1; /* a bigint, and another one for each session after */
    cluster_init(&node->cluster, &options, clock_now());
    node->answered_at = clock_now();
    return true;
}

bool engine_node_start(struct engine *engine)
{
    char why[512];
    const struct cluster_link_callbacks callbacks = {.context = engine,
                                                     .on_reply = on_reply,
                                                     .on_notified = on_notified,
                                                     .on_tokens = on_tokens,
                                                     .on_followed = on_followed,
                                                     .on_setting = on_setting,
                                                     .on_order = on_order};
    if (!engine_is_node(engine))
        return true;
    struct node *node = calloc(1, sizeof *node);
    if (node != NULL)
        (void)store_is_shared(engine->options.db, node->name);
    if (node == NULL || !prepare(engine, node)) {
        free(node);
        return false;
    }
    node->link = cluster_link_start(engine->options.db, &engine->loop, &callbacks, why);
    if (node->link == NULL) {
        log_error(LOGGER, why);
        free(node);
        return false;
    }
    uv_timer_init(&engine->loop, &node->timer);
    node->timer.data = engine;
    engine->node = node;
    step(engine, (struct cluster_event){.kind = CLUSTER_MEASURED, .capacity = measure(engine)});
    publish(engine);
    return true;
}

void engine_node_begin_stop(struct engine *engine)
{
    if (engine->node != NULL)
        uv_close((uv_handle_t *)&engine->node->timer, NULL);
}

/* All is written, or nobody can: the leases are free at once, and not when they run out. */
void engine_node_end(struct engine *engine)
{
    struct node *node = engine->node;
    if (node == NULL)
        return;
    const struct cluster_request last = {
        .number = node->cluster.last_number + 1, .session = node->cluster.session, .is_last = true};
    if (last.session != 0)
        cluster_link_exchange(node->link, &last);
    cluster_link_stop(node->link);
    publish(engine);
}
