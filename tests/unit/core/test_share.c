/*
 * A core that is one of several nodes: which tokens it keeps fresh, what it takes on from others,
 * and how slots come and go. After each step everybody stands where he should, and the lanes are
 * whole; after each change of shares who came stands where a start would have put him.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/prng.h"
#include "core/core.h"
#include "core/state.h"
#include "page/table_memory.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START       ((instant){1750000000000000LL})
#define ROOM        2048 /* tokens that fit */
#define PENDING_MAX REQUESTS_MAX
#define TAGS_MAX    65536
#define NO_REPLY    REPLY_RESULT_COUNT
#define SAVED_MAX   256
#define HOUR_S      3600.0

#define CHECKED_A_STEP 50 /* tokens; all of them after each change of shares */

struct slots {
    uint64_t of[SHARE_WORDS];
};

struct pending {
    uint64_t request;
    enum lane_kind lane;
    size_t count;
    token_id tokens[REQUEST_ADDRESSES_MAX];
    bool is_withdrawn[REQUEST_ADDRESSES_MAX]; /* as far as we know */
    instant sent_at;
};

static struct {
    struct table_memory memory;
    struct core *core, *fresh;
    struct options options;
    struct actions actions;
    void *scratch;
    instant now;
    struct slots working, listening;
    bool is_part, with_scratch;
    struct pending pending[PENDING_MAX];
    size_t pending_count;
    enum reply_result replies[TAGS_MAX];
    token_id saved[SAVED_MAX], checked;
    size_t saved_count, added_count, snapshot_count, cleared_count;
    unsigned history_count, retention_count;
    struct {
        struct lane_link *links[LINK_FAMILY_COUNT];
        uint8_t *costs, *groups;
    } kept;
} world;

/* ---- the world ---- */

static struct address mint_of(unsigned n)
{
    return (struct address){{(uint8_t)n, (uint8_t)(n >> 8), 7}};
}

static struct address pool_of(unsigned n, unsigned pool)
{
    return (struct address){{(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)pool, 9}};
}

static unsigned number_of(token_id id)
{
    const uint8_t *bytes = token_slot(world.memory.table, id)->mint.bytes;
    return bytes[0] + 256U * bytes[1];
}

static uint16_t slot_of_id(token_id id)
{
    return mint_slot(&token_slot(world.memory.table, id)->mint);
}

static bool has(const struct slots *slots, uint16_t slot)
{
    return slots->of[slot / 64] >> slot % 64 & 1;
}

static void put(struct slots *slots, uint16_t slot, bool is_in)
{
    uint64_t bit = UINT64_C(1) << slot % 64;
    slots->of[slot / 64] = is_in ? slots->of[slot / 64] | bit : slots->of[slot / 64] & ~bit;
}

static bool is_hole(token_id id)
{
    return token_slot(world.memory.table, id)->flags & TOKEN_HOLE;
}

static bool is_own(token_id id)
{
    return !is_hole(id) && (!world.is_part || has(&world.working, slot_of_id(id)));
}

static bool is_heard(token_id id)
{
    return !is_hole(id) && (!world.is_part || has(&world.listening, slot_of_id(id)));
}

static instant ago(double s)
{
    return instant_add(world.now, duration_s(-s));
}

static const struct share_stats *shares(void)
{
    return &core_stats(world.core)->share;
}

static const struct token *slot(token_id id)
{
    return token_slot(world.memory.table, id);
}

static struct lane_link *link_of(enum link_family family, token_id id)
{
    return &token_table_links(world.memory.table, family)[id];
}

/* ---- what must hold ---- */

static uint32_t check_fifo(const struct lanes *lanes, unsigned index)
{
    const struct lane_fifo *fifo = &lanes->fifos[index];
    uint32_t count = 0, due = 0;
    token_id prev = TOKEN_NONE, cursor = TOKEN_NONE;
    for (token_id id = fifo->head; id != TOKEN_NONE; prev = id, id = lanes->links[id].next) {
        assert_int_equal(lanes->links[id].prev, prev);
        assert_int_equal(lanes->links[id].fifo, index + 1);
        if (prev != TOKEN_NONE)
            assert_true(lanes->links[prev].stamp.us <= lanes->links[id].stamp.us);
        bool is_due = lanes->links[id].stamp.us <= fifo->due_before.us;
        due += is_due;
        if (!is_due && cursor == TOKEN_NONE)
            cursor = id;
        count++;
    }
    assert_int_equal(fifo->tail, prev);
    assert_int_equal(fifo->count, count);
    assert_int_equal(fifo->due_count, due);
    assert_int_equal(fifo->due_cursor, cursor);
    assert_int_equal(lanes->occupied[index / LANE_CLASSES] >> index % LANE_CLASSES & 1, count > 0);
    return count;
}

static void check_lanes(const struct lanes *lanes)
{
    uint32_t standing = 0, linked = 0;
    for (unsigned i = 0; i < LANE_FIFOS; i++)
        standing += check_fifo(lanes, i);
    for (token_id id = 1; id <= token_table_count(world.memory.table); id++)
        linked += lanes->links[id].fifo != 0;
    assert_int_equal(standing, linked);
}

/* What readers are told of tokens that nobody here looks after. */
static void check_columns(token_id id)
{
    const struct token *token = slot(id);
    uint8_t cost = pools_counting(token_pools(world.memory.table, id), slot(id)->pool_count);
    instant checked = token->state.checked_at;
    assert_int_equal(token_table_costs(world.memory.table)[id], cost);
    assert_int_equal(token_column_checked(world.memory.table, id).us,
                     instant_is_never(checked) ? token->created_at.us : checked.us);
    if (token->status == TOKEN_ARCHIVED || token->status == TOKEN_ACTIVE)
        assert_int_equal(token_column_group(world.memory.table, id),
                         token->status == TOKEN_ARCHIVED ? GROUP_ARCHIVED : GROUP_HOT);
}

static void check_flights(void)
{
    static uint32_t counts[MINT_SLOTS];
    uint64_t busy[SHARE_WORDS];
    memset(counts, 0, sizeof counts);
    for (size_t i = 0; i < world.pending_count; i++)
        for (size_t k = 0; k < world.pending[i].count; k++)
            counts[slot_of_id(world.pending[i].tokens[k])] += !world.pending[i].is_withdrawn[k];
    core_slots_in_flight(world.core, busy);
    for (unsigned i = 0; i < MINT_SLOTS; i++)
        assert_int_equal(busy[i / 64] >> i % 64 & 1, counts[i] > 0);
    for (size_t i = 0; i < world.pending_count && i < 3; i++) {
        uint16_t one = slot_of_id(world.pending[i].tokens[0]);
        assert_int_equal(core_slot_in_flight(world.core, one), counts[one]);
    }
}

static void check_tokens(token_id most)
{
    token_id count = token_table_count(world.memory.table);
    for (token_id i = 0; i < count && i < most; i++) {
        world.checked = world.checked % count + 1;
        if (is_hole(world.checked))
            continue;
        if (!core_holds_token(world.core, world.checked))
            fail_msg("token %u does not stand where it should", world.checked);
        if (!is_own(world.checked) && !is_heard(world.checked))
            check_columns(world.checked);
    }
}

static void check_everything(void)
{
    uint32_t own = 0;
    for (token_id id = 1; id <= token_table_count(world.memory.table); id++)
        own += is_own(id);
    check_tokens(CHECKED_A_STEP);
    if (world.is_part)
        assert_int_equal(shares()->tokens, own);
    check_lanes(&world.core->price);
    check_lanes(&world.core->discover);
    check_flights();
}

/* ---- steps ---- */

static void on_fetch(const struct action *action)
{
    assert_true(world.pending_count < PENDING_MAX);
    struct pending *pending = &world.pending[world.pending_count++];
    *pending = (struct pending){
        .request = action->fetch.request, .lane = action->fetch.lane, .sent_at = world.actions.now};
    pending->count = core_request_tokens(world.core, pending->request, pending->tokens);
    if (shares()->slots_working == 0) { /* it knocks, with somebody of the others' */
        assert_int_not_equal(core_stats(world.core)->breaker.state, BREAKER_CLOSED);
        assert_int_equal(pending->count, 1);
        pending->is_withdrawn[0] = true;
        return;
    }
    for (size_t i = 0; i < pending->count; i++)
        if (!is_own(pending->tokens[i]))
            fail_msg("token %u is fetched, and is another node's", pending->tokens[i]);
}

static void drop_pending(size_t i)
{
    world.pending_count--;
    memmove(&world.pending[i], &world.pending[i + 1],
            (world.pending_count - i) * sizeof *world.pending);
}

static void on_cancel(uint64_t request)
{
    for (size_t i = 0; i < world.pending_count; i++)
        if (world.pending[i].request == request) {
            drop_pending(i);
            return;
        }
    fail_msg("cancelled what was not sent");
}

static void perform(const struct action *action)
{
    if (action->kind == ACTION_FETCH)
        on_fetch(action);
    else if (action->kind == ACTION_CANCEL)
        on_cancel(action->cancel.request);
    else if (action->kind == ACTION_REPLY)
        world.replies[action->reply.tag] = action->reply.result;
    else if (action->kind == ACTION_ADD_TOKEN)
        world.added_count++;
    else if (action->kind == ACTION_SNAPSHOT)
        world.snapshot_count++;
    else if (action->kind == ACTION_SUSPECT_CLEARED)
        world.cleared_count++;
    else if (action->kind == ACTION_HISTORY)
        world.history_count++;
    else if (action->kind == ACTION_RETENTION)
        world.retention_count++;
    else if (action->kind == ACTION_SAVE && world.saved_count < SAVED_MAX)
        world.saved[world.saved_count++] = action->save.id;
}

static void step_unchecked(struct event event)
{
    event.now = world.now;
    world.saved_count = world.added_count = world.snapshot_count = 0;
    core_step(world.core, &event, &world.actions);
    for (size_t i = 0; i < world.actions.count; i++)
        perform(&world.actions.items[i]);
}

static void step(struct event event)
{
    step_unchecked(event);
    check_everything();
}

static void pass(double s)
{
    world.now = instant_add(world.now, duration_s(s));
    step((struct event){.kind = EVENT_TIME});
}

static void grow_scratch(void)
{
    free(world.scratch);
    world.scratch = calloc(1, core_scratch_size(world.memory.table) + 1);
    assert_non_null(world.scratch);
}

/* A node that starts with these slots. */
static void start_with(const struct slots *working)
{
    world.is_part = true;
    world.working = world.listening = working == NULL ? (struct slots){0} : *working;
    core_init(world.core, world.memory.table, &world.options, 0, world.now);
    core_share(world.core, working == NULL ? NULL : working->of);
    grow_scratch();
    core_start_alone(world.core, world.scratch);
    world.pending_count = 0;
    check_everything();
}

static void start_alone(void)
{
    world.is_part = false;
    core_init(world.core, world.memory.table, &world.options, 0, world.now);
    core_start_alone(world.core, NULL);
    world.pending_count = 0;
    check_everything();
}

static int set_up(void **state)
{
    (void)state;
    int error;
    memset(&world, 0, sizeof world);
    assert_true(table_memory_init(&world.memory, ROOM, &error));
    world.core = malloc(core_size());
    world.fresh = malloc(core_size());
    assert_true(world.core != NULL && world.fresh != NULL);
    for (int i = 0; i < LINK_FAMILY_COUNT; i++)
        world.kept.links[i] = malloc((ROOM + 1) * sizeof *world.kept.links[i]);
    world.kept.costs = malloc(ROOM + 1);
    world.kept.groups = malloc(ROOM + 1);
    assert_true(world.kept.costs != NULL && world.kept.groups != NULL);
    for (size_t i = 0; i < TAGS_MAX; i++)
        world.replies[i] = NO_REPLY;
    world.now = START;
    options_init(&world.options);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(world.core);
    free(world.fresh);
    free(world.scratch);
    for (int i = 0; i < LINK_FAMILY_COUNT; i++)
        free(world.kept.links[i]);
    free(world.kept.costs);
    free(world.kept.groups);
    table_memory_finish(&world.memory);
    return 0;
}

static void set_option(const char *name, const char *value)
{
    char why[OPTION_MESSAGE_SIZE];
    if (options_set(&world.options, name, value, OPTION_FROM_STORE, why) != OK)
        fail_msg("%s", why);
}

/* A token as a start finds it. */
static token_id preload(unsigned n, enum token_status status, double age_s)
{
    struct address mint = mint_of(n);
    struct pool pools[] = {
        {.address = pool_of(n, 1), .liquidity_usd = 20000, .flags = POOL_COUNTS | POOL_PUMP_SOL},
        {.address = pool_of(n, 2), .liquidity_usd = 9000, .flags = POOL_COUNTS | POOL_EXTERNAL}};
    token_id id = token_table_add(world.memory.table, &mint);
    assert_int_not_equal(id, TOKEN_NONE);
    struct token *draft = token_write_begin(world.memory.table, id);
    draft->status = (uint8_t)status;
    draft->flags = TOKEN_DURABLE;
    draft->created_at = ago(3 * HOUR_S);
    draft->state.checked_at = draft->state.fetched_at = draft->state.discovered_at = ago(age_s);
    draft->state.answers = 1;
    draft->state.metrics.liquidity_usd = 1000.0 * n;
    draft->state.snapshot_id = 100 + id;
    assert_true(token_draft_set_pools(world.memory.table, pools, status == TOKEN_ACTIVE ? 2 : 1));
    token_write_end(world.memory.table, id);
    return id;
}

/* Some of each kind, of ages that differ. */
static void preload_many(unsigned count)
{
    for (unsigned n = 1; n <= count; n++)
        preload(n,
                n % 4 == 0   ? TOKEN_ACTIVE
                : n % 7 == 0 ? TOKEN_ARCHIVED
                             : TOKEN_MONITORING,
                1 + n % 97 / 4.0);
}

static struct slots slots_of(const token_id *ids, size_t count)
{
    struct slots slots = {0};
    for (size_t i = 0; i < count; i++)
        put(&slots, slot_of_id(ids[i]), true);
    return slots;
}

/* Of the tokens whose ids leave this remainder. */
static struct slots every(unsigned step_by, unsigned rest)
{
    struct slots slots = {0};
    for (token_id id = 1; id <= token_table_count(world.memory.table); id++)
        if (!is_hole(id) && id % step_by == rest)
            put(&slots, slot_of_id(id), true);
    return slots;
}

/* ---- answers ---- */

static void set_pair(struct pair *pair, unsigned n, unsigned pool, double activity)
{
    memset(pair, 0, sizeof *pair);
    pair->base = mint_of(n);
    pair->pool = pool_of(n, pool);
    pair->quote = (struct address){{200}};
    snprintf(pair->base_name, sizeof pair->base_name, "Token %u", n);
    snprintf(pair->base_symbol, sizeof pair->base_symbol, "T%u", n);
    strcpy(pair->quote_symbol, "SOL");
    strcpy(pair->dex, pool == 1 ? "pumpswap" : "raydium");
    pair->liquidity_usd = 9000;
    pair->price_usd = 0.001;
    pair->market_cap_usd = pair->change_m15_percent = NAN;
    pair->change_m5_percent = 3;
    pair->change_h1_percent = 8;
    pair->buys_m5 = (uint32_t)(120 * activity);
    pair->sells_m5 = (uint32_t)(60 * activity);
    pair->buys_h1 = (uint32_t)(900 * activity);
    pair->sells_h1 = (uint32_t)(500 * activity);
    pair->volume_m5_usd = 3000 * activity;
    pair->volume_h1_usd = 24000 * activity;
}

/* With `pools` pools of each token. */
static void answer(size_t at, unsigned pools, double activity)
{
    static struct pair pairs[2 * REQUEST_ADDRESSES_MAX];
    struct pending answered = world.pending[at];
    size_t count = 0;
    drop_pending(at);
    for (size_t i = 0; i < answered.count; i++)
        for (unsigned pool = 1; pool <= pools; pool++)
            set_pair(&pairs[count++], number_of(answered.tokens[i]), pool, activity);
    step((struct event){.kind = EVENT_ANSWER,
                        .answer = {.request = answered.request,
                                   .outcome = FEED_OK,
                                   .latency = duration_ms(100),
                                   .pairs = pairs,
                                   .pair_count = count}});
    /* Each that is listened to is saved, in turn, and nobody else. */
    size_t saved = 0;
    for (size_t i = 0; i < answered.count; i++) {
        if (answered.is_withdrawn[i])
            continue;
        assert_true(saved < world.saved_count);
        assert_int_equal(world.saved[saved], answered.tokens[i]);
        while (saved < world.saved_count && world.saved[saved] == answered.tokens[i])
            saved++; /* a second time, when its status changed */
    }
}

static void fail_one(size_t at, enum feed_outcome outcome)
{
    uint64_t request = world.pending[at].request;
    drop_pending(at);
    step((struct event){.kind = EVENT_ANSWER, .answer = {.request = request, .outcome = outcome}});
}

static void answer_all(unsigned pools)
{
    while (world.pending_count > 0)
        answer(0, pools, 1);
}

/* The request of this token in such a lane; PENDING_MAX: none. */
static size_t find_pending(token_id id, enum link_family family)
{
    for (size_t i = 0; i < world.pending_count; i++)
        for (size_t k = 0; k < world.pending[i].count; k++)
            if (world.pending[i].tokens[k] == id && lane_family(world.pending[i].lane) == family)
                return i;
    return PENDING_MAX;
}

/* ---- what is asked of the core ---- */

static enum reply_result see(unsigned n, uint64_t tag)
{
    step((struct event){.kind = EVENT_TOKEN_SEEN,
                        .token_seen = {.mint = mint_of(n), .name = "", .symbol = "", .tag = tag}});
    return world.replies[tag];
}

static enum reply_result want(unsigned n, uint64_t tag)
{
    step((struct event){.kind = EVENT_REFRESH_WANTED,
                        .refresh_wanted = {.mint = mint_of(n), .tag = tag}});
    return world.replies[tag];
}

static void suspect(token_id id, enum lane_kind lane)
{
    step((struct event){.kind = EVENT_SUSPECT, .suspect = {id, lane}});
}

static void hold_source(bool is_held)
{
    step((struct event){.kind = EVENT_SOURCE, .source = {is_held}});
}

static void run_job(enum job job)
{
    step((struct event){.kind = EVENT_JOB_WANTED, .job_wanted = {job}});
}

/* Whoever is under way and given up is listened to no more. */
static void note_withdrawn(void)
{
    for (size_t i = 0; i < world.pending_count; i++)
        for (size_t k = 0; k < world.pending[i].count; k++)
            world.pending[i].is_withdrawn[k] |= !is_heard(world.pending[i].tokens[k]);
}

static void note_trust(token_id id)
{
    for (size_t i = 0; i < world.pending_count; i++)
        for (size_t k = 0; k < world.pending[i].count; k++)
            if (world.pending[i].tokens[k] == id)
                world.pending[i].is_withdrawn[k] = true;
}

/* ---- shares, and what a start would make of them ---- */

static void keep_lanes(void)
{
    size_t count = token_table_count(world.memory.table) + 1;
    for (int i = 0; i < LINK_FAMILY_COUNT; i++)
        memcpy(world.kept.links[i], token_table_links(world.memory.table, i),
               count * sizeof *world.kept.links[i]);
    memcpy(world.kept.costs, token_table_costs(world.memory.table), count);
    for (token_id id = 1; id < count; id++)
        world.kept.groups[id] = (uint8_t)token_column_group(world.memory.table, id);
}

static void put_lanes_back(void)
{
    size_t count = token_table_count(world.memory.table) + 1;
    for (int i = 0; i < LINK_FAMILY_COUNT; i++)
        memcpy(token_table_links(world.memory.table, i), world.kept.links[i],
               count * sizeof *world.kept.links[i]);
    memcpy(token_table_costs(world.memory.table), world.kept.costs, count);
    for (token_id id = 1; id < count; id++)
        token_set_group(world.memory.table, id, world.kept.groups[id]);
}

static bool is_out(token_id id, enum link_family family)
{
    return schedule_is_under_way(world.core, id, family);
}

/* The lanes of a start hold what came where ours do; the links of ours are in world.kept. */
static void compare_with_start(const struct slots *before, enum link_family family)
{
    for (token_id id = 1; id <= token_table_count(world.memory.table); id++) {
        const struct lane_link *ours = &world.kept.links[family][id];
        const struct lane_link *others = link_of(family, id);
        if (is_hole(id) || !is_own(id) || has(before, slot_of_id(id)))
            continue;
        if (core_trust(world.core, id) != TRUST_ORDINARY || is_out(id, family)) {
            assert_int_equal(ours->fifo, 0);
            continue;
        }
        assert_int_equal(ours->fifo, others->fifo);
        assert_int_equal(ours->stamp.us, others->stamp.us);
        assert_int_equal(world.kept.costs[id], token_table_costs(world.memory.table)[id]);
        assert_int_equal(world.kept.groups[id], token_column_group(world.memory.table, id));
    }
}

/* A start forgets who is in quarantine, and writes so into the table. */
static void check_joined(const struct slots *before)
{
    token_id quarantined[ROOM];
    size_t count = 0;
    for (token_id id = 1; id <= token_table_count(world.memory.table); id++)
        if (slot(id)->flags & TOKEN_QUARANTINED)
            quarantined[count++] = id;
    keep_lanes();
    core_init(world.fresh, world.memory.table, &world.options, 0, world.now);
    core_share(world.fresh, world.working.of);
    core_start_alone(world.fresh, NULL);
    for (size_t i = 0; i < count; i++) {
        struct token token = *slot(quarantined[i]);
        token.flags |= TOKEN_QUARANTINED;
        token_publish(world.memory.table, quarantined[i], &token);
    }
    compare_with_start(before, LINKS_PRICE);
    compare_with_start(before, LINKS_DISCOVER);
    put_lanes_back();
}

/* Who stays stands where he stood. */
static void check_stayed(const struct slots *before, enum link_family family)
{
    for (token_id id = 1; id <= token_table_count(world.memory.table); id++)
        if (is_own(id) && has(before, slot_of_id(id))) {
            assert_int_equal(link_of(family, id)->fifo, world.kept.links[family][id].fifo);
            assert_int_equal(link_of(family, id)->stamp.us, world.kept.links[family][id].stamp.us);
        }
}

/* Nothing is sent in the step itself, and no job runs, so that lanes can be compared. */
static void share(const struct slots *working, const struct slots *listening)
{
    struct slots before = world.working;
    enum pause_state pause = world.core->pause;
    if (!world.is_part)
        memset(&before, 0xff, sizeof before);
    world.core->pause = PAUSE_ON; /* without telling those who wait */
    step((struct event){.kind = EVENT_TIME});
    keep_lanes();
    world.is_part = true;
    world.working = *working;
    world.listening = *listening;
    grow_scratch();
    note_withdrawn();
    world.with_scratch = !world.with_scratch;
    step((struct event){
        .kind = EVENT_SHARE,
        .share = {working->of, listening->of, world.with_scratch ? world.scratch : NULL}});
    check_stayed(&before, LINKS_PRICE);
    check_stayed(&before, LINKS_DISCOVER);
    check_joined(&before);
    check_tokens(ROOM);
    world.core->pause = pause;
    step((struct event){.kind = EVENT_TIME});
}

static void share_both(const struct slots *slots)
{
    share(slots, slots);
}

static struct slots all_slots(void)
{
    struct slots slots;
    memset(&slots, 0xff, sizeof slots);
    return slots;
}

static const struct slots no_slots;

/* ---- shares ---- */

static void a_node_begins_with_nothing(void **state)
{
    (void)state;
    preload_many(200);
    start_with(NULL);
    for (int i = 0; i < 100; i++)
        pass(1);
    assert_int_equal(world.pending_count, 0);
    assert_int_equal(shares()->tokens, 0);
    assert_int_equal(shares()->slots_working, 0);
    assert_false(shares()->is_source);
    for (int i = 0; i < GROUP_COUNT; i++)
        assert_int_equal(core_stats(world.core)->groups[i].tokens, 0);
    assert_int_equal(core_stats(world.core)->findings.count, 0);
    assert_int_equal(see(1, 1), REPLY_KNOWN);
    assert_int_equal(see(999, 2), REPLY_ELSEWHERE);
    assert_int_equal(want(1, 3), REPLY_ELSEWHERE);
    assert_int_equal(want(999, 4), REPLY_NOT_FOUND);
    assert_int_equal(token_table_count(world.memory.table), 200);
}

static void a_node_begins_with_a_share(void **state)
{
    (void)state;
    preload_many(200);
    struct slots mine = every(2, 0);
    start_with(&mine);
    assert_true(shares()->tokens >= 100 && shares()->tokens < 200);
    pass(60);
    assert_true(world.pending_count > 0); /* on_fetch() looks whose they are */
}

/* As a warm start does it: some before the others. */
static void a_node_begins_with_the_first(void **state)
{
    static const token_id first[] = {3, 4, 5, 6};
    (void)state;
    preload_many(200);
    struct slots mine = every(2, 0);
    world.is_part = true;
    world.working = world.listening = mine;
    core_init(world.core, world.memory.table, &world.options, 0, world.now);
    core_share(world.core, mine.of);
    for (unsigned i = 0; i < 4; i++)
        core_place(world.core, first[i], first[i]);
    core_sort_some(world.core, first, 4);
    core_start_first(world.core);
    world.now = instant_add(world.now, duration_s(60));
    step_unchecked((struct event){.kind = EVENT_TIME});
    assert_true(find_pending(4, LINKS_PRICE) < PENDING_MAX);
    assert_int_equal(find_pending(3, LINKS_PRICE), PENDING_MAX);
    for (token_id id = 1; id <= 200; id++)
        if (id < 3 || id > 6)
            core_place(world.core, id, id);
    grow_scratch();
    core_sort(world.core, LINKS_PRICE, world.scratch);
    core_sort(world.core, LINKS_DISCOVER, world.scratch);
    core_start_rest(world.core, 0);
    pass(1);
    check_tokens(ROOM);
}

static void who_is_told_of_no_share_works_on_all(void **state)
{
    (void)state;
    preload_many(100);
    start_alone();
    assert_true(shares()->is_source);
    assert_int_equal(shares()->slots_working, MINT_SLOTS);
    pass(60);
    assert_true(world.pending_count > 0);
    assert_true(core_slot_in_flight(world.core, slot_of_id(world.pending[0].tokens[0])) > 0);
    assert_int_equal(see(999, 1), NO_REPLY);
    assert_int_equal(world.added_count, 1);
}

/* A daemon that becomes one of several while it runs. */
static void shares_come_and_go_while_it_runs(void **state)
{
    (void)state;
    preload_many(300);
    start_alone();
    struct slots half = every(2, 0), third = every(3, 1), all = all_slots();
    share_both(&half);
    assert_true(shares()->left >= 100 && shares()->joined == 0);
    pass(30);
    answer_all(2);
    share_both(&third);
    pass(30);
    share_both(&all);
    assert_int_equal(shares()->tokens, 300);
    assert_int_equal(shares()->slots_working, MINT_SLOTS);
    share_both(&no_slots);
    assert_int_equal(shares()->tokens, 0);
    assert_int_equal(shares()->changes, 4);
}

/* Nobody is sorted anew for a few. */
static void a_few_leave_one_by_one(void **state)
{
    (void)state;
    preload_many(300);
    struct slots mine = all_slots();
    start_with(&mine);
    pass(20);
    answer_all(1);
    put(&mine, slot_of_id(17), false);
    share_both(&mine);
    assert_in_range(shares()->left, 1, 5);
    assert_false(lanes_holds(&world.core->price, 17) || lanes_holds(&world.core->discover, 17));
}

/* They are as old as they were left, which is told of as after a start, and is not late. */
static void who_comes_is_as_old_as_he_was(void **state)
{
    (void)state;
    token_id id = preload(1, TOKEN_MONITORING, 200);
    start_with(NULL);
    struct slots mine = slots_of(&id, 1);
    share_both(&mine);
    pass(1);
    assert_int_equal(world.pending_count, 1);
    const struct findings *findings = &core_stats(world.core)->findings;
    assert_null(findings_get(findings, FINDING_GROUP_LATE, GROUP_COLD));
    answer_all(1);
    assert_int_equal(slot(id)->state.checked_at.us, world.now.us);
}

/* ---- what is under way when a slot goes ---- */

static void what_drains_is_answered(void **state)
{
    (void)state;
    set_option("min_score_change", "0");
    token_id id = preload(1, TOKEN_MONITORING, 100);
    struct slots mine = slots_of(&id, 1);
    start_with(&mine);
    pass(0.01);
    assert_int_equal(world.pending_count, 1);
    share(&no_slots, &mine);
    assert_int_equal(shares()->slots_draining, 1);
    assert_int_equal(core_slot_in_flight(world.core, slot_of_id(id)), 1);
    instant before = world.now;
    answer_all(2);
    assert_int_equal(slot(id)->state.checked_at.us, before.us);
    assert_true(slot(id)->state.answers == 2 && world.saved_count > 0);
    assert_int_equal(world.snapshot_count, 1);
    assert_int_equal(core_slot_in_flight(world.core, slot_of_id(id)), 0);
    check_columns(id);
    pass(300);
    assert_int_equal(world.pending_count, 0);
}

static void what_drains_and_fails_stands_nowhere(void **state)
{
    (void)state;
    token_id id = preload(1, TOKEN_MONITORING, 100);
    struct slots mine = slots_of(&id, 1);
    start_with(&mine);
    pass(0.01);
    assert_int_equal(want(1, 1), NO_REPLY);
    pass(0.01);
    assert_int_equal(world.pending_count, 2);
    share(&no_slots, &mine);
    assert_int_equal(world.replies[1], NO_REPLY); /* it is under way */
    instant checked = slot(id)->state.checked_at;
    fail_one(find_pending(id, LINKS_PRICE), FEED_TIMEOUT);
    fail_one(find_pending(id, LINKS_DISCOVER), FEED_TIMEOUT);
    assert_int_equal(world.replies[1], REPLY_UNAVAILABLE);
    assert_int_equal(slot(id)->state.checked_at.us, checked.us);
    assert_int_equal(core_slot_in_flight(world.core, slot_of_id(id)), 0);
}

/* A request that is lost while its slot drains is given up like any other. */
static void what_drains_and_is_lost_is_given_up(void **state)
{
    (void)state;
    token_id id = preload(1, TOKEN_MONITORING, 100);
    struct slots mine = slots_of(&id, 1);
    start_with(&mine);
    pass(0.01);
    share(&no_slots, &mine);
    for (int i = 0; i < 60; i++)
        pass(1);
    assert_int_equal(world.pending_count, 0);
    assert_int_equal(core_slot_in_flight(world.core, slot_of_id(id)), 0);
}

static void what_is_given_up_is_not_listened_to(void **state)
{
    (void)state;
    preload_many(60);
    struct slots mine = all_slots();
    start_with(&mine);
    pass(60);
    assert_true(world.pending_count > 1);
    instant checked = slot(world.pending[0].tokens[0])->state.checked_at;
    struct slots rest = every(2, 1);
    token_id gone = world.pending[0].tokens[0];
    put(&rest, slot_of_id(gone), false);
    share_both(&rest);
    assert_true(shares()->withdrawn > 0);
    answer_all(2); /* says who is saved */
    assert_int_equal(slot(gone)->state.checked_at.us, checked.us);
}

/* A token that came alive in the archive while its slot drained. */
static void what_drains_may_change_its_status(void **state)
{
    (void)state;
    set_option("min_score", "0");
    token_id archived = preload(1, TOKEN_ARCHIVED, HOUR_S);
    token_id other = preload(2, TOKEN_MONITORING, 100);
    token_id ids[] = {archived, other};
    struct slots mine = slots_of(ids, 2);
    start_with(&mine);
    pass(0.01);
    assert_int_equal(want(1, 1), NO_REPLY);
    pass(0.01);
    size_t discovery = find_pending(archived, LINKS_DISCOVER);
    assert_true(discovery < PENDING_MAX);
    share(&no_slots, &mine);
    answer(find_pending(archived, LINKS_PRICE), 1, 1);
    answer(find_pending(archived, LINKS_DISCOVER), 2, 1);
    assert_int_equal(slot(archived)->status, TOKEN_ACTIVE);
    assert_int_equal(world.replies[1], REPLY_DONE);
    check_columns(archived);
}

static void clients_that_wait_are_told(void **state)
{
    (void)state;
    set_option("discover_requests_per_minute", "60");
    preload_many(100);
    struct slots mine = all_slots();
    start_with(&mine);
    pass(1);
    for (unsigned n = 1; n <= 100; n++)
        want(n, n);
    size_t waiting = 0;
    for (unsigned n = 1; n <= 100; n++)
        waiting += world.replies[n] == NO_REPLY;
    assert_int_equal(waiting, 100);
    share(&no_slots, &mine);
    /* Those that are under way still get an answer. */
    waiting = 0;
    for (token_id id = 1; id <= 100; id++) {
        bool is_under_way = find_pending(id, LINKS_DISCOVER) < PENDING_MAX;
        assert_int_equal(world.replies[id], is_under_way ? NO_REPLY : REPLY_ELSEWHERE);
        waiting += is_under_way;
    }
    assert_true(waiting > 0);
    size_t first = 0;
    while (world.pending[first].lane != LANE_DISCOVER)
        first++;
    token_id answered = world.pending[first].tokens[0];
    answer(first, 2, 1);
    assert_int_equal(world.replies[answered], REPLY_DONE);
    share_both(&no_slots);
    for (unsigned n = 1; n <= 100; n++)
        assert_int_not_equal(world.replies[n], NO_REPLY);
}

/* It drained, and comes back before it is answered: nobody sends for it a second time. */
static void what_comes_back_meanwhile_is_not_sent_twice(void **state)
{
    (void)state;
    token_id price = preload(1, TOKEN_MONITORING, 100), turn = preload(2, TOKEN_ACTIVE, 2 * HOUR_S);
    token_id ids[] = {price, turn};
    struct slots mine = slots_of(ids, 2);
    start_with(&mine);
    pass(0.01);
    assert_true(find_pending(price, LINKS_PRICE) < PENDING_MAX);
    assert_true(find_pending(turn, LINKS_DISCOVER) < PENDING_MAX);
    share(&no_slots, &mine);
    share_both(&mine);
    assert_false(lanes_holds(&world.core->price, price));
    assert_false(lanes_holds(&world.core->discover, turn));
    size_t sent = world.pending_count;
    pass(0.01);
    assert_int_equal(world.pending_count, sent);
    fail_one(find_pending(price, LINKS_PRICE), FEED_UNREACHABLE);
    assert_int_equal(link_of(LINKS_PRICE, price)->stamp.us, slot(price)->state.checked_at.us);
    fail_one(find_pending(turn, LINKS_DISCOVER), FEED_UNREACHABLE);
    assert_int_equal(lanes_group_of(&world.core->discover, turn), DISCOVER_ACTIVE);
}

/* A wish stays one, wherever its slot was meanwhile. */
static void a_wish_that_comes_back_meanwhile_stays_a_wish(void **state)
{
    (void)state;
    token_id id = preload(1, TOKEN_MONITORING, 1);
    struct slots mine = slots_of(&id, 1);
    start_with(&mine);
    want(1, 1);
    pass(0.01);
    assert_true(find_pending(id, LINKS_DISCOVER) < PENDING_MAX);
    share(&no_slots, &mine);
    share_both(&mine);
    step((struct event){.kind = EVENT_PAUSE, .pause = {true}});
    fail_one(find_pending(id, LINKS_DISCOVER), FEED_UNREACHABLE);
    assert_int_equal(lanes_group_of(&world.core->discover, id), DISCOVER_URGENT);
}

/* ---- suspects ---- */

static void a_suspect_is_tried_by_who_works_on_it(void **state)
{
    (void)state;
    token_id id = preload(1, TOKEN_MONITORING, 100);
    start_with(NULL);
    suspect(id, LANE_SCREEN);
    suspect(id, LANE_DISCOVER);
    assert_int_equal(core_trust(world.core, id), TRUST_SUSPECT);
    pass(10);
    assert_int_equal(world.pending_count, 0);
    struct slots mine = slots_of(&id, 1);
    share_both(&mine);
    assert_int_equal(world.pending_count, 2);
    assert_int_equal(core_stats(world.core)->suspects, 1);
    answer_all(1);
    assert_int_equal(core_trust(world.core, id), TRUST_ORDINARY);
    assert_true(lanes_holds(&world.core->price, id));
    assert_int_equal(world.cleared_count, 1);
}

static void a_suspect_that_drains_may_be_cleared(void **state)
{
    (void)state;
    token_id id = preload(1, TOKEN_MONITORING, 100);
    struct slots mine = slots_of(&id, 1);
    start_with(&mine);
    suspect(id, LANE_SCREEN);
    pass(0);
    assert_int_equal(world.pending_count, 1);
    share(&no_slots, &mine);
    answer_all(1);
    assert_int_equal(core_trust(world.core, id), TRUST_ORDINARY);
    assert_int_equal(world.cleared_count, 1);
    assert_false(lanes_holds(&world.core->price, id));
}

static void a_suspect_that_is_given_up_is_tried_again(void **state)
{
    (void)state;
    token_id id = preload(1, TOKEN_MONITORING, 100);
    struct slots mine = slots_of(&id, 1);
    start_with(&mine);
    suspect(id, LANE_SCREEN);
    pass(0);
    share_both(&no_slots);
    answer_all(1); /* says nothing any more */
    assert_int_equal(core_trust(world.core, id), TRUST_SUSPECT);
    share_both(&mine);
    pass(2);
    assert_int_equal(world.pending_count, 1);
    answer_all(1);
    assert_int_equal(core_trust(world.core, id), TRUST_ORDINARY);
}

static void who_is_in_quarantine_stays_there(void **state)
{
    (void)state;
    token_id id = preload(1, TOKEN_MONITORING, 100);
    start_with(NULL);
    step((struct event){.kind = EVENT_QUARANTINE, .quarantine = {id}});
    struct slots mine = slots_of(&id, 1);
    share_both(&mine);
    pass(100);
    assert_int_equal(world.pending_count, 0);
    share_both(&no_slots);
    step((struct event){.kind = EVENT_RELEASE, .release = {id}});
    pass(100);
    assert_int_equal(world.pending_count, 0);
    share_both(&mine);
    assert_int_equal(world.pending_count, 2);
}

/* ---- what others commit ---- */

static struct token token_followed(unsigned n, enum token_status status, double age_s)
{
    struct token token = {.mint = mint_of(n),
                          .created_at = ago(HOUR_S),
                          .status = (uint8_t)status,
                          .state = {.status_since = ago(HOUR_S), .answers = 5, .score = 0.5}};
    snprintf(token.name, sizeof token.name, "Followed %u", n);
    snprintf(token.symbol, sizeof token.symbol, "F%u", n);
    token.state.checked_at = token.state.fetched_at = token.state.discovered_at = ago(age_s);
    token.state.snapshot_id = 77;
    return token;
}

static void follow_with(token_id id, const struct token *token, const struct pool *pools)
{
    step((struct event){
        .kind = EVENT_FOLLOWED,
        .followed = {.id = id, .token = token, .pools = pools, .has_pools = pools != NULL}});
}

static void follow(token_id id, unsigned n, enum token_status status, double age_s)
{
    struct token token = token_followed(n, status, age_s);
    follow_with(id, &token, NULL);
}

static void what_others_commit_is_taken_on(void **state)
{
    (void)state;
    token_id id = preload(1, TOKEN_MONITORING, 100);
    start_with(NULL);
    struct pool pools[] = {{.address = pool_of(1, 5), .liquidity_usd = 1, .flags = POOL_COUNTS},
                           {.address = pool_of(1, 6), .liquidity_usd = 2, .flags = POOL_COUNTS},
                           {.address = pool_of(1, 7), .liquidity_usd = 3, .flags = 0}};
    struct token token = token_followed(1, TOKEN_ACTIVE, 3);
    token.pool_count = 3;
    token.pool_first = 4711; /* of wherever it came from */
    token.pool_class = 3;
    token.flags = TOKEN_POOLS_CHANGED;
    follow_with(id, &token, pools);
    assert_int_equal(shares()->followed, 1);
    assert_int_equal(shares()->followed_new, 0);
    assert_int_equal(slot(id)->status, TOKEN_ACTIVE);
    assert_int_equal(slot(id)->flags, TOKEN_DURABLE);
    assert_int_equal(slot(id)->pool_count, 3);
    assert_memory_equal(token_pools(world.memory.table, id), pools, sizeof pools);
    assert_int_equal(token_table_costs(world.memory.table)[id], 2);
    assert_int_equal(token_column_group(world.memory.table, id), GROUP_HOT);
    assert_int_equal(token_column_checked(world.memory.table, id).us, ago(3).us);
    assert_int_equal(token_column_status(world.memory.table, id), TOKEN_ACTIVE);
    assert_string_equal(slot(id)->name, "Followed 1");
    assert_string_equal(slot(id)->symbol, "F1");
    assert_int_equal(slot(id)->state.answers, 5);
    assert_true(token_is_stored(world.memory.table, id) && token_is_whole(world.memory.table, id));
    assert_int_equal(token_stored_snapshot(world.memory.table, id, 1000), 77);
    assert_int_equal(world.actions.count, 0);
    /* A later one without pools, names and the time that it was made. */
    token = token_followed(1, TOKEN_ARCHIVED, 1);
    token.name[0] = token.symbol[0] = '\0';
    instant created_at = slot(id)->created_at;
    token.created_at = INSTANT_NEVER;
    follow_with(id, &token, NULL);
    assert_int_equal(slot(id)->pool_count, 3);
    assert_string_equal(slot(id)->name, "Followed 1");
    assert_int_equal(slot(id)->created_at.us, created_at.us);
    assert_int_equal(token_column_group(world.memory.table, id), GROUP_ARCHIVED);
    /* It is what a takeover begins with. */
    struct slots mine = slots_of(&id, 1);
    share_both(&mine);
    assert_int_equal(lanes_group_of(&world.core->price, id), PRICE_ARCHIVED);
    assert_int_equal(link_of(LINKS_PRICE, id)->stamp.us, ago(1).us);
}

/* Clocks of nodes differ a little: nobody is younger than now. */
static void nobody_is_followed_into_the_future(void **state)
{
    (void)state;
    token_id id = preload(1, TOKEN_MONITORING, 100);
    start_with(NULL);
    follow(id, 1, TOKEN_MONITORING, -5);
    assert_int_equal(shares()->followed, 1);
    assert_int_equal(slot(id)->state.checked_at.us, world.now.us);
    assert_int_equal(token_column_checked(world.memory.table, id).us, world.now.us);
}

static void who_was_not_known_makes_holes(void **state)
{
    (void)state;
    preload(1, TOKEN_MONITORING, 1);
    start_with(NULL);
    follow(5, 55, TOKEN_MONITORING, 3);
    assert_int_equal(token_table_count(world.memory.table), 5);
    assert_int_equal(shares()->holes, 3);
    assert_int_equal(shares()->followed_new, 1);
    assert_true(is_hole(2) && is_hole(3) && is_hole(4) && !is_hole(5));
    struct address mint = mint_of(55);
    assert_int_equal(token_table_find_shared(world.memory.table, &mint), 5);
    /* The next in the row, and one into a hole. */
    follow(6, 66, TOKEN_ACTIVE, 3);
    follow(3, 33, TOKEN_ARCHIVED, 3);
    assert_int_equal(token_table_count(world.memory.table), 6);
    assert_int_equal(shares()->followed_new, 3);
    mint = mint_of(33);
    assert_int_equal(token_table_find_shared(world.memory.table, &mint), 3);
    assert_true(token_is_whole(world.memory.table, 3));
    assert_int_equal(slot(3)->status, TOKEN_ARCHIVED);
    /* What a slot of a hole is nobody's. */
    struct slots all = all_slots();
    share_both(&all);
    assert_int_equal(shares()->tokens, 4);
    share_both(&no_slots);
    /* The index grew with them. */
    for (unsigned n = 100; n < 300; n++)
        follow(n, n, TOKEN_MONITORING, 1);
    for (unsigned n = 100; n < 300; n++) {
        mint = mint_of(n);
        assert_int_equal(token_table_find_shared(world.memory.table, &mint), n);
    }
}

/* The holder of the source gives ids to tokens of all slots. */
static void a_new_token_of_an_own_slot_is_sent_for(void **state)
{
    (void)state;
    preload(1, TOKEN_MONITORING, 1);
    struct slots mine = all_slots();
    start_with(&mine);
    struct token token = {
        .mint = mint_of(9), .created_at = ago(0.5), .state = {.status_since = ago(0.5)}};
    follow_with(2, &token, NULL);
    assert_int_equal(shares()->tokens, 2);
    assert_true(lanes_holds(&world.core->price, 2));
    assert_int_equal(lanes_group_of(&world.core->discover, 2), DISCOVER_URGENT);
    pass(0.01);
    assert_true(find_pending(2, LINKS_DISCOVER) < PENDING_MAX);
    answer_all(2);
    assert_int_equal(slot(2)->state.answers, 1);
}

static void what_cannot_be_followed_is_counted(void **state)
{
    (void)state;
    const uint64_t *refused = shares()->refused;
    for (unsigned n = 1; n <= 3; n++)
        preload(n, TOKEN_MONITORING, 100);
    token_id first = 1;
    struct slots mine = slots_of(&first, 1);
    start_with(&mine);
    share(&no_slots, &mine);
    instant checked = slot(1)->state.checked_at;
    follow(1, 1, TOKEN_ACTIVE, 3); /* drains */
    assert_int_equal(refused[FOLLOW_LISTENING], 1);
    assert_int_equal(slot(1)->state.checked_at.us, checked.us);
    follow(2, 3, TOKEN_ACTIVE, 3);  /* another one's id */
    follow(4, 3, TOKEN_ACTIVE, 3);  /* it has another id */
    follow(2, 22, TOKEN_ACTIVE, 3); /* another one's id, and unknown */
    assert_int_equal(refused[FOLLOW_CONTRADICTS], 3);
    assert_int_equal(token_table_count(world.memory.table), 3);

    struct token token = token_followed(2, TOKEN_ACTIVE, 3);
    follow_with(TOKEN_NONE, &token, NULL);
    token.state.score = INFINITY;
    follow_with(2, &token, NULL);
    token = token_followed(2, TOKEN_ACTIVE, 3);
    token.status = TOKEN_STATUS_COUNT;
    follow_with(2, &token, NULL);
    token = token_followed(2, TOKEN_ACTIVE, 3);
    token.pool_count = 1;
    follow_with(2, &token, &(struct pool){.liquidity_usd = -1});
    token = token_followed(2, TOKEN_ACTIVE, 3);
    token.mint = (struct address){{0}};
    follow_with(4, &token, NULL);
    assert_int_equal(refused[FOLLOW_UNSOUND], 5);
    assert_int_equal(slot(2)->state.answers, 1);

    token_id room = token_table_capacity(world.memory.table);
    follow(room + 1, 44, TOKEN_MONITORING, 3);
    follow(UINT32_MAX, 44, TOKEN_MONITORING, 3);
    assert_int_equal(refused[FOLLOW_NO_ROOM], 2);
    assert_int_equal(token_table_count(world.memory.table), 3);
    assert_int_equal(shares()->followed, 0);
    follow(room, 44, TOKEN_MONITORING, 3);
    assert_int_equal(shares()->followed, 1);
    assert_int_equal(token_table_count(world.memory.table), room);
    for (int i = 0; i < FOLLOW_REFUSAL_COUNT; i++)
        assert_string_not_equal(follow_refusal_name((enum follow_refusal)i), "unknown");
    assert_string_equal(follow_refusal_name(FOLLOW_REFUSAL_COUNT), "unknown");
}

static void a_gap_has_a_limit(void **state)
{
    (void)state;
    start_with(NULL);
    assert_true(table_memory_grow(&world.memory, FOLLOW_GAP_MAX + 10));
    struct token token = token_followed(1, TOKEN_MONITORING, 3);
    struct event event = {.kind = EVENT_FOLLOWED,
                          .followed = {.id = FOLLOW_GAP_MAX + 1, .token = &token}};
    step_unchecked(event);
    assert_int_equal(shares()->refused[FOLLOW_NO_ROOM], 1);
    event.followed.id = FOLLOW_GAP_MAX;
    step_unchecked(event);
    assert_int_equal(shares()->followed, 1);
    assert_int_equal(shares()->holes, FOLLOW_GAP_MAX - 1);
}

/* The figures are taken, and the pools stay as they were. */
static void pools_that_find_no_room_stay_as_they_were(void **state)
{
    (void)state;
    struct pool pools[POOLS_MAX] = {{.liquidity_usd = 1, .flags = POOL_COUNTS}};
    start_with(NULL);
    struct token token;
    token_id last = token_table_capacity(world.memory.table);
    for (token_id id = 1; id <= last && shares()->refused[FOLLOW_NO_ROOM] == 0; id++) {
        token = token_followed(id, TOKEN_MONITORING, 3);
        token.pool_count = POOLS_MAX;
        step_unchecked((struct event){
            .kind = EVENT_FOLLOWED,
            .followed = {.id = id, .token = &token, .pools = pools, .has_pools = true}});
    }
    assert_int_equal(shares()->refused[FOLLOW_NO_ROOM], 1);
    token_id id = token_table_count(world.memory.table);
    assert_int_equal(shares()->followed, id);
    assert_int_equal(slot(id)->pool_count, 0);
    assert_int_equal(slot(id)->state.answers, 5);
    check_everything();
}

/* ---- who gives ids, and who sweeps ---- */

static void only_the_source_gives_ids(void **state)
{
    (void)state;
    start_with(NULL);
    hold_source(true);
    assert_true(shares()->is_source);
    assert_int_equal(see(1, 1), NO_REPLY);
    assert_int_equal(world.added_count, 1);
    /* It is another node's: it stands nowhere here. */
    assert_int_equal(token_table_count(world.memory.table), 1);
    pass(100);
    assert_int_equal(world.pending_count, 0);
    hold_source(false);
    assert_int_equal(see(2, 2), REPLY_ELSEWHERE);
    assert_int_equal(see(1, 3), REPLY_ELSEWHERE); /* nobody knows yet whether it is durable */
    step((struct event){.kind = EVENT_TOKEN_DURABLE, .token_durable = {.id = 1, .tag = 1}});
    assert_int_equal(world.replies[1], REPLY_CREATED);
    assert_int_equal(see(1, 4), REPLY_KNOWN);
    assert_int_equal(token_table_count(world.memory.table), 1);
    hold_source(true);
    struct slots mine = all_slots();
    share_both(&mine);
    see(3, 5);
    assert_int_equal(shares()->tokens, 2);
    assert_true(find_pending(2, LINKS_DISCOVER) < PENDING_MAX);
}

static void sweeps_look_at_own_tokens_only(void **state)
{
    (void)state;
    set_option("min_score_change", "0");
    token_id own = preload(1, TOKEN_ACTIVE, 1), other = preload(2, TOKEN_ACTIVE, 1);
    token_id promising = preload(3, TOKEN_MONITORING, 1);
    assert_int_not_equal(slot_of_id(own), slot_of_id(other));
    assert_int_not_equal(slot_of_id(own), slot_of_id(promising));
    struct slots mine = slots_of(&own, 1);
    start_with(&mine);
    follow(promising, 3, TOKEN_MONITORING, 1);
    run_job(JOB_RECALCULATE);
    assert_int_equal(world.snapshot_count, 1);
    assert_int_equal(world.saved_count, 1);
    assert_int_equal(world.saved[0], own);
    /* Neither would qualify any more; and the group of the third depends on a threshold. */
    assert_int_equal(token_column_group(world.memory.table, promising), GROUP_HOT);
    set_option("activation_min_liquidity_usd", "1000000");
    set_option("min_score", "0.6");
    step((struct event){.kind = EVENT_OPTIONS, .options = {&world.options}});
    assert_int_equal(slot(own)->status, TOKEN_MONITORING);
    assert_int_equal(slot(other)->status, TOKEN_ACTIVE);
    assert_int_equal(world.history_count, 1);
    assert_int_equal(token_column_group(world.memory.table, promising), GROUP_COLD);
    set_option("monitoring_timeout_hours", "1");
    step((struct event){.kind = EVENT_OPTIONS, .options = {&world.options}});
    pass(50);
    assert_true(world.pending_count > 0);
    answer_all(2);
    run_job(JOB_ARCHIVER);
    assert_int_equal(slot(promising)->status, TOKEN_MONITORING);
    assert_int_equal(slot(own)->status, TOKEN_ARCHIVED);
}

static void only_the_source_deletes_what_is_old(void **state)
{
    (void)state;
    preload(1, TOKEN_MONITORING, 1);
    start_with(NULL);
    run_job(JOB_RETENTION);
    for (int i = 0; i < 100; i++)
        pass(100);
    assert_int_equal(world.retention_count, 0);
    assert_int_equal(core_stats(world.core)->jobs[JOB_RETENTION].runs, 0);
    hold_source(true);
    pass(1);
    assert_int_equal(world.retention_count, 1);
    /* One that overran is not run again by who has not got the source any more. */
    hold_source(false);
    world.now = instant_add(world.now, duration_s(world.options.job_deadline_sec + 1));
    pass(0);
    assert_int_equal(core_stats(world.core)->jobs[JOB_RETENTION].overruns, 1);
    assert_int_equal(world.core->jobs[JOB_RETENTION].state, JOB_IDLE);
    assert_int_equal(world.retention_count, 1);
}

/* ---- tokens that never got into the store ---- */

/* Its id is another node's to give now. */
static void what_is_refused_is_dropped(void **state)
{
    (void)state;
    struct slots mine = all_slots();
    start_with(&mine);
    hold_source(true);
    see(1, 1);
    see(2, 2);
    assert_int_equal(shares()->tokens, 2);
    want(1, 3);
    note_trust(2);
    suspect(2, LANE_DISCOVER);
    answer_all(2);
    pass(20);
    assert_true(world.pending_count > 0);
    for (token_id id = 1; id <= 2; id++) {
        note_trust(id);
        step((struct event){.kind = EVENT_TOKEN_REFUSED, .token_refused = {.id = id, .tag = id}});
        assert_int_equal(world.replies[id], REPLY_ELSEWHERE);
    }
    assert_int_not_equal(world.replies[3], NO_REPLY);
    assert_int_equal(shares()->dropped, 2);
    assert_int_equal(shares()->tokens, 0);
    assert_int_equal(core_stats(world.core)->suspects, 0);
    assert_true(is_hole(1) && is_hole(2));
    struct address mint = mint_of(1);
    assert_int_equal(token_table_find_shared(world.memory.table, &mint), TOKEN_NONE);
    /* What was under way about them says nothing. */
    while (world.pending_count > 0) {
        uint64_t request = world.pending[0].request;
        drop_pending(0);
        step((struct event){.kind = EVENT_ANSWER, .answer = {.request = request}});
    }
    /* And what is durable, or not there, stays. */
    see(3, 4);
    step((struct event){.kind = EVENT_TOKEN_DURABLE, .token_durable = {.id = 3, .tag = 4}});
    step((struct event){.kind = EVENT_TOKEN_REFUSED, .token_refused = {.id = 3}});
    step((struct event){.kind = EVENT_TOKEN_REFUSED, .token_refused = {.id = 1}});
    step((struct event){.kind = EVENT_TOKEN_REFUSED, .token_refused = {.id = 99}});
    step((struct event){.kind = EVENT_TOKEN_REFUSED, .token_refused = {.id = TOKEN_NONE}});
    assert_int_equal(shares()->dropped, 2);
    assert_false(is_hole(3));
}

/* Nobody told us; what the others say shows it. */
static void what_others_contradict_is_dropped(void **state)
{
    (void)state;
    struct slots mine = all_slots();
    start_with(&mine);
    hold_source(true);
    see(1, 0);
    see(2, 0);
    see(3, 0);
    note_trust(3);
    step((struct event){.kind = EVENT_QUARANTINE, .quarantine = {3}});
    share_both(&no_slots);
    follow(1, 11, TOKEN_ACTIVE, 3); /* our id, another mint */
    follow(4, 2, TOKEN_ACTIVE, 3);  /* our mint, another id */
    follow(3, 33, TOKEN_ACTIVE, 3); /* of one in quarantine */
    assert_int_equal(shares()->dropped, 3);
    assert_int_equal(shares()->followed_new, 3);
    assert_int_equal(core_stats(world.core)->quarantined, 0);
    assert_int_equal(core_trust(world.core, 3), TRUST_ORDINARY);
    struct address mint = mint_of(2);
    assert_int_equal(token_table_find_shared(world.memory.table, &mint), 4);
    assert_true(is_hole(2));
    mint = mint_of(11);
    assert_int_equal(token_table_find_shared(world.memory.table, &mint), 1);
    /* Of those that they told us of, nobody is dropped. */
    follow(1, 33, TOKEN_ACTIVE, 3);
    assert_int_equal(shares()->dropped, 3);
    assert_int_equal(shares()->refused[FOLLOW_CONTRADICTS], 1);
    share_both(&mine);
    assert_int_equal(shares()->tokens, 3);
}

/* ---- anything, in any order ---- */

struct chance {
    struct prng prng;
    unsigned known;    /* mints that there are */
    uint64_t last_tag; /* given out */
};

static token_id any_token(struct chance *chance)
{
    return (token_id)(1 + prng_below(&chance->prng, token_table_count(world.memory.table)));
}

/* Each slot of some goes on in its life: worked on, drained, followed. */
static void any_share(struct chance *chance)
{
    struct slots working = world.working, listening = world.listening;
    uint64_t in = prng_below(&chance->prng, 3) == 0 ? 2 : 20;
    if (!world.is_part)
        working = listening = all_slots();
    for (uint16_t i = 0; i < MINT_SLOTS; i++) {
        if (prng_below(&chance->prng, in) != 0)
            continue;
        bool works = prng_below(&chance->prng, 2);
        put(&working, i, works);
        put(&listening, i, works || (has(&listening, i) && prng_below(&chance->prng, 2)));
    }
    share(&working, &listening);
}

static void any_followed(struct chance *chance)
{
    token_id id = any_token(chance);
    unsigned n = is_hole(id) ? chance->known++ : number_of(id);
    struct pool pools[POOLS_MAX];
    if (prng_below(&chance->prng, 8) == 0 && chance->known < 900) {
        n = chance->known++;
        id = token_table_count(world.memory.table) + 1 + (token_id)prng_below(&chance->prng, 3);
    }
    struct token token =
        token_followed(n, (enum token_status)prng_below(&chance->prng, TOKEN_STATUS_COUNT),
                       (double)prng_below(&chance->prng, 100));
    token.state.score = prng_unit(&chance->prng);
    token.pool_count = (uint8_t)prng_below(&chance->prng, 5);
    for (int i = 0; i < token.pool_count; i++)
        pools[i] = (struct pool){.address = pool_of(n, 1 + i), .flags = POOL_COUNTS};
    bool has_pools = prng_below(&chance->prng, 2);
    bool is_refused = id <= token_table_count(world.memory.table) && is_heard(id);
    uint64_t before = shares()->refused[FOLLOW_LISTENING], followed = shares()->followed;
    follow_with(id, &token, has_pools ? pools : NULL);
    assert_int_equal(shares()->refused[FOLLOW_LISTENING], before + is_refused);
    assert_int_equal(shares()->followed, followed + !is_refused);
}

static void any_answer(struct chance *chance)
{
    size_t at = prng_below(&chance->prng, world.pending_count);
    uint64_t how = prng_below(&chance->prng, 10);
    if (how == 0)
        fail_one(at, FEED_UNREACHABLE);
    else if (how == 1)
        fail_one(at, FEED_RATE_LIMITED);
    else
        answer(at, (unsigned)prng_below(&chance->prng, 3), (double)prng_below(&chance->prng, 2));
}

static void any_trust(struct chance *chance)
{
    token_id id = any_token(chance);
    uint64_t how = prng_below(&chance->prng, 4);
    enum trust before = is_hole(id) ? TRUST_ORDINARY : core_trust(world.core, id);
    if (is_hole(id))
        return;
    if (how == 0 && before != TRUST_QUARANTINE)
        note_trust(id);
    if (how == 1 && before == TRUST_QUARANTINE)
        note_trust(id);
    if (how > 1 && before == TRUST_ORDINARY)
        note_trust(id);
    if (how == 0)
        step((struct event){.kind = EVENT_QUARANTINE, .quarantine = {id}});
    else if (how == 1)
        step((struct event){.kind = EVENT_RELEASE, .release = {id}});
    else
        suspect(id, (enum lane_kind)prng_below(&chance->prng, LANE_KIND_COUNT));
}

static void any_option(struct chance *chance)
{
    static const char *const scores[] = {"0", "0.2", "0.5", "0.9"};
    set_option("min_score", scores[prng_below(&chance->prng, 4)]);
    step((struct event){.kind = EVENT_OPTIONS, .options = {&world.options}});
}

static void any_step(struct chance *chance)
{
    uint64_t what = prng_below(&chance->prng, 100);
    if (what < 40 && world.pending_count > 0)
        any_answer(chance);
    else if (what < 60)
        pass((double)prng_below(&chance->prng, 4000) / 1000);
    else if (what < 75)
        any_followed(chance);
    else if (what < 82)
        any_share(chance);
    else if (what < 88)
        want(number_of(any_token(chance)), ++chance->last_tag);
    else if (what < 92)
        any_trust(chance);
    else if (what < 95)
        hold_source(prng_below(&chance->prng, 2));
    else if (what < 97)
        see(prng_below(&chance->prng, 2) && chance->known < 900 ? chance->known++ : 1, 0);
    else if (what < 98)
        any_option(chance);
    else
        run_job((enum job)prng_below(&chance->prng, JOB_COUNT));
}

/* In the end nobody waits for a reply. */
static void check_replies(const struct chance *chance)
{
    struct slots all = all_slots();
    share_both(&all);
    for (int i = 0; i < 40; i++) {
        while (world.pending_count > 0)
            answer(0, 1, 0);
        pass(10);
    }
    share_both(&no_slots);
    for (uint64_t tag = 1; tag <= chance->last_tag; tag++)
        assert_int_not_equal(world.replies[tag], NO_REPLY);
}

static void whatever_happens_everybody_stands_right(void **state)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct chance chance = {.known = 201};
        prng_seed(&chance.prng, seed);
        preload_many(200);
        if (seed % 3 == 0)
            start_alone();
        else
            start_with(NULL);
        for (int i = 0; i < 800; i++)
            any_step(&chance);
        check_replies(&chance);
        assert_true(shares()->joined > 100 && shares()->left > 100 && shares()->followed > 10);
        tear_down(state);
        set_up(state);
    }
}

/* ---- an upstream that does not answer ---- */

static void who_has_nothing_knocks_until_it_is_answered(void **state)
{
    const struct slots all = all_slots();
    (void)state;
    preload_many(200);
    start_with(&all);
    step((struct event){.kind = EVENT_QUARANTINE, .quarantine = {1}}); /* it is passed over */
    for (int i = 0; i < 60 && core_stats(world.core)->breaker.state != BREAKER_OPEN; i++) {
        pass(5);
        while (world.pending_count > 0)
            fail_one(0, FEED_UNREACHABLE);
    }
    assert_int_equal(core_stats(world.core)->breaker.state, BREAKER_OPEN);
    share_both(&no_slots);
    world.pending_count = 0;
    for (int knocks = 0; knocks < 3; knocks++) {
        for (int i = 0; i < 10 && world.pending_count == 0; i++)
            pass(1);
        assert_int_equal(world.pending_count, 1);
        if (knocks < 2)
            fail_one(0, FEED_UNREACHABLE);
    }
    answer(0, 1, 1);
    assert_int_equal(core_stats(world.core)->breaker.state, BREAKER_CLOSED);
    for (int i = 0; i < 10; i++)
        pass(1);
    assert_int_equal(world.pending_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_node_begins_with_nothing),
        TEST(a_node_begins_with_a_share),
        TEST(a_node_begins_with_the_first),
        TEST(who_is_told_of_no_share_works_on_all),
        TEST(shares_come_and_go_while_it_runs),
        TEST(a_few_leave_one_by_one),
        TEST(who_comes_is_as_old_as_he_was),
        TEST(what_drains_is_answered),
        TEST(what_drains_and_fails_stands_nowhere),
        TEST(what_drains_and_is_lost_is_given_up),
        TEST(what_is_given_up_is_not_listened_to),
        TEST(what_drains_may_change_its_status),
        TEST(clients_that_wait_are_told),
        TEST(what_comes_back_meanwhile_is_not_sent_twice),
        TEST(a_wish_that_comes_back_meanwhile_stays_a_wish),
        TEST(a_suspect_is_tried_by_who_works_on_it),
        TEST(a_suspect_that_drains_may_be_cleared),
        TEST(a_suspect_that_is_given_up_is_tried_again),
        TEST(who_is_in_quarantine_stays_there),
        TEST(what_others_commit_is_taken_on),
        TEST(nobody_is_followed_into_the_future),
        TEST(who_was_not_known_makes_holes),
        TEST(a_new_token_of_an_own_slot_is_sent_for),
        TEST(what_cannot_be_followed_is_counted),
        TEST(a_gap_has_a_limit),
        TEST(pools_that_find_no_room_stay_as_they_were),
        TEST(only_the_source_gives_ids),
        TEST(sweeps_look_at_own_tokens_only),
        TEST(only_the_source_deletes_what_is_old),
        TEST(what_is_refused_is_dropped),
        TEST(what_others_contradict_is_dropped),
        TEST(who_has_nothing_knocks_until_it_is_answered),
        TEST(whatever_happens_everybody_stands_right),
    };
    return cmocka_run_group_tests_name("share", tests, NULL, NULL);
}
