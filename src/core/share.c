/*
 * One of several nodes: which tokens are this one's, and what the others commit. See core.h.
 *
 * The slot of each token stands beside its link of the price lane, since a change of shares looks
 * at all tokens, and hashing their mints would take longer than all the rest.
 */
#include "core/state.h"

#include "base/mark.h"
#include <assert.h>
#include <string.h>

#define SLOT_BITS        64
#define PREFETCH_AHEAD   8 /* slots of the table; one takes as long as a few tokens */
#define REMOVAL_IN_SORTS 3 /* one removal takes as long as sorting so many */

_Static_assert(MINT_SLOTS % SLOT_BITS == 0, "a bit a slot, whole words");

static bool is_hole(const struct core *core, token_id id)
{
    return token_slot(core->table, id)->flags & TOKEN_HOLE;
}

void share_learn(struct core *core, token_id id)
{
    if (!core->share.is_part)
        return;
    const struct token *token = token_slot(core->table, id);
    core->price.links[id].slot =
        token->flags & TOKEN_HOLE ? SHARE_SLOT_NONE : mint_slot(&token->mint);
}

/* ---- the slots ---- */

static void set_slots(struct share *share, const uint64_t *working, const uint64_t *listening)
{
    for (int i = 0; i < SHARE_WORDS; i++) {
        share->working[i] = working == NULL ? 0 : working[i];
        share->listening[i] = listening == NULL ? 0 : listening[i];
        assert((share->working[i] & ~share->listening[i]) == 0);
    }
}

static uint32_t count_slots(const uint64_t *slots)
{
    uint32_t count = 0;
    for (int i = 0; i < SHARE_WORDS; i++)
        for (uint64_t bits = slots[i]; bits != 0; bits &= bits - 1)
            count++;
    return count;
}

static void set_stats(struct core *core)
{
    struct share_stats *stats = &core->stats.share;
    stats->is_source = core->share.is_source;
    stats->slots_working = count_slots(core->share.working);
    stats->slots_draining = count_slots(core->share.listening) - stats->slots_working;
}

void share_init(struct core *core)
{
    uint64_t all[SHARE_WORDS];
    memset(all, 0xff, sizeof all);
    core->share.is_source = true;
    set_slots(&core->share, all, all);
    set_stats(core);
}

void core_share(struct core *core, const uint64_t *working)
{
    core->share.is_part = true;
    core->share.is_source = false;
    set_slots(&core->share, working, working);
    set_stats(core);
}

void share_count(struct core *core)
{
    core->stats.share.tokens = 0;
    for (token_id id = 1; core->share.is_part && id <= token_table_count(core->table); id++)
        core->stats.share.tokens += share_works_on(core, id);
}

/* ---- what is under way ---- */

static bool is_listened_to(const struct request *request, int i)
{
    return !(request->withdrawn >> i & 1);
}

static uint16_t slot_of_token(const struct core *core, token_id id)
{
    return core->share.is_part ? core->price.links[id].slot
                               : mint_slot(&token_slot(core->table, id)->mint);
}

uint32_t core_slot_in_flight(const struct core *core, uint16_t slot)
{
    uint32_t count = 0;
    for (int i = 0; i < REQUESTS_MAX; i++) {
        const struct request *request = &core->requests[i];
        for (int k = 0; request->in_flight && k < request->token_count; k++)
            count += is_listened_to(request, k) && slot_of_token(core, request->tokens[k]) == slot;
    }
    return count;
}

void core_slots_in_flight(const struct core *core, uint64_t slots[SHARE_WORDS])
{
    memset(slots, 0, SHARE_WORDS * sizeof *slots);
    for (int i = 0; i < REQUESTS_MAX; i++) {
        const struct request *request = &core->requests[i];
        for (int k = 0; request->in_flight && k < request->token_count; k++) {
            if (!is_listened_to(request, k))
                continue; /* and may have been dropped */
            uint16_t slot = slot_of_token(core, request->tokens[k]);
            assert(slot < MINT_SLOTS);
            slots[slot / SLOT_BITS] |= UINT64_C(1) << slot % SLOT_BITS;
        }
    }
}

static void withdraw(struct core *core, struct request *request, int i)
{
    token_id id = request->tokens[i];
    MARK(SHARE_WITHDRAWN);
    request->withdrawn |= 1U << i;
    core->stats.share.withdrawn++;
    if (request->is_trial) /* it stays a suspect, and is tried when it comes back */
        trust_failed(core, id, request->lane);
}

/* Whoever works on them now need not wait for what we still have under way. */
static void withdraw_others(struct core *core)
{
    for (int i = 0; i < REQUESTS_MAX; i++) {
        struct request *request = &core->requests[i];
        for (int k = 0; request->in_flight && k < request->token_count; k++)
            if (is_listened_to(request, k) && !share_listens_to(core, request->tokens[k]))
                withdraw(core, request, k);
    }
}

/* Who waits for something that is not under way waits in vain here. */
static void refuse_others(struct core *core)
{
    for (uint32_t i = core->wants_count; i-- > 0;) {
        struct want want = core->wants[i];
        if (share_works_on(core, want.id) || schedule_is_under_way(core, want.id, LINKS_DISCOVER))
            continue;
        MARK(SHARE_REFUSED_WAITING);
        core_reply(core, want.tag, REPLY_ELSEWHERE, TOKEN_NONE, NULL);
        core->wants[i] = core->wants[--core->wants_count];
    }
}

/* ---- a change of shares ---- */

struct move {
    const uint64_t *before, *after; /* slots that are worked on */
    uint32_t joining, leaving;      /* tokens */
};

static bool is_joining(const struct core *core, const struct move *move, token_id id)
{
    uint16_t slot = core->price.links[id].slot;
    return !share_has(move->before, slot) && share_has(move->after, slot);
}

static bool is_leaving(const struct core *core, const struct move *move, token_id id)
{
    uint16_t slot = core->price.links[id].slot;
    return share_has(move->before, slot) && !share_has(move->after, slot);
}

static void count_movers(const struct core *core, struct move *move)
{
    for (token_id id = 1; id <= token_table_count(core->table); id++) {
        move->joining += is_joining(core, move, id);
        move->leaving += is_leaving(core, move, id);
    }
}

/* Where each of them will stand once the lanes are sorted. Who is under way, too, for now. */
static void place_movers(struct core *core, const struct move *move)
{
    token_id last = token_table_count(core->table);
    for (token_id id = 1; id <= last; id++) {
        token_id ahead = id + PREFETCH_AHEAD;
        if (last - id >= PREFETCH_AHEAD &&
            (is_joining(core, move, ahead) || is_leaving(core, move, ahead)))
            token_prefetch(core->table, ahead);
        if (is_joining(core, move, id)) {
            follow_place_again(core, id);
        } else if (is_leaving(core, move, id)) {
            lanes_place_nowhere(&core->price, id);
            lanes_place_nowhere(&core->discover, id);
            follow_stand_aside(core, id);
        }
    }
}

/* A turn that is under way and one that was wished for differ by their stamps (follow_put_back),
 * which a placing makes those of a turn. */
struct discoveries {
    instant stamps[REQUESTS_MAX];
};

static void note_discoveries(const struct core *core, struct discoveries *noted)
{
    for (int i = 0; i < REQUESTS_MAX; i++)
        if (core->requests[i].in_flight)
            noted->stamps[i] = core->discover.links[core->requests[i].tokens[0]].stamp;
}

/* Who is under way and listened to (it drained, and comes back) stands nowhere until it ends. */
static void take_out_under_way(struct core *core, const struct move *move,
                               const struct discoveries *noted)
{
    for (int i = 0; i < REQUESTS_MAX; i++) {
        const struct request *request = &core->requests[i];
        for (int k = 0; request->in_flight && k < request->token_count; k++) {
            token_id id = request->tokens[k];
            if (!is_listened_to(request, k) || !is_joining(core, move, id))
                continue;
            MARK(SHARE_BACK_MEANWHILE);
            lanes_place_nowhere(follow_lanes(core, request->lane), id);
            if (request->lane == LANE_DISCOVER)
                core->discover.links[id].stamp = noted->stamps[i];
        }
    }
}

static void take_out_suspects(struct core *core)
{
    for (uint32_t i = 0; i < core->suspects.count; i++) {
        lanes_place_nowhere(&core->price, core->suspects.items[i].id);
        lanes_place_nowhere(&core->discover, core->suspects.items[i].id);
    }
}

/* All at once: the lanes are sorted anew. */
static void move_by_sorting(struct core *core, const struct move *move, void *scratch)
{
    struct discoveries noted;
    MARK(SHARE_SORTED);
    note_discoveries(core, &noted);
    place_movers(core, move);
    take_out_under_way(core, move, &noted);
    take_out_suspects(core);
    core_sort(core, LINKS_PRICE, scratch);
    core_sort(core, LINKS_DISCOVER, scratch);
}

static void remove_leaving(struct core *core, const struct move *move)
{
    MARK(SHARE_REMOVED);
    for (token_id id = 1; id <= token_table_count(core->table); id++)
        if (is_leaving(core, move, id)) {
            follow_leave(core, id);
            follow_stand_aside(core, id);
        }
}

static void move_tokens(struct core *core, struct move *move, void *scratch)
{
    struct share_stats *stats = &core->stats.share;
    count_movers(core, move);
    uint32_t staying = stats->tokens - move->leaving;
    if (move->joining > 0 || move->leaving > staying / REMOVAL_IN_SORTS)
        move_by_sorting(core, move, scratch);
    else
        remove_leaving(core, move);
    stats->joined += move->joining;
    stats->left += move->leaving;
    stats->tokens = staying + move->joining;
    schedule_look_ahead(core);
    if (move->joining > 0) /* as at a start: they are as old as they were left */
        health_excuse(core);
}

static void become_part(struct core *core)
{
    core->share.is_part = true;
    for (token_id id = 1; id <= token_table_count(core->table); id++)
        share_learn(core, id);
    share_count(core);
}

void share_on_change(struct core *core, const struct event *event)
{
    struct share before = core->share;
    assert(core_has_all(core));
    if (!before.is_part)
        become_part(core);
    set_slots(&core->share, event->share.working, event->share.listening);
    set_stats(core);
    core->stats.share.changes++;
    withdraw_others(core);
    refuse_others(core);
    struct move move = {.before = before.working, .after = core->share.working};
    if (memcmp(before.working, core->share.working, sizeof before.working) != 0)
        move_tokens(core, &move, event->share.scratch);
}

void share_on_source(struct core *core, const struct event *event)
{
    core->share.is_source = event->source.is_held;
    set_stats(core);
}

/* ---- what others commit ---- */

static bool are_pools_sound(const struct event *event)
{
    for (int i = 0; event->followed.has_pools && i < event->followed.token->pool_count; i++)
        if (!pool_is_sound(&event->followed.pools[i]))
            return false;
    return true;
}

static bool is_sound(const struct event *event)
{
    static const struct address nobody; /* of a record that does not say whose it is */
    struct token token = *event->followed.token;
    token.flags = TOKEN_DURABLE;
    return event->followed.id != TOKEN_NONE && !address_equal(&token.mint, &nobody) &&
           token_is_sound(&token) && are_pools_sound(event);
}

/* The ids up to it would fit. */
static bool is_within_reach(const struct core *core, token_id id)
{
    token_id last = token_table_count(core->table);
    return id <= last || (id <= token_table_capacity(core->table) && id - last <= FOLLOW_GAP_MAX);
}

static bool is_durable(const struct core *core, token_id id)
{
    return token_slot(core->table, id)->flags & TOKEN_DURABLE;
}

/* We gave it an id that another node gave to another one, or another node knows it by another id:
 * it never got into the store. */
static void drop(struct core *core, token_id id)
{
    MARK(TOKEN_DROPPED);
    assert(!is_durable(core, id));
    schedule_withdraw(core, id);
    core_reply_waiting(core, id, REPLY_ELSEWHERE, NULL);
    trust_forget(core, id);
    follow_leave(core, id);
    core->stats.share.tokens -= core->share.is_part && share_works_on(core, id);
    core->stats.share.dropped++;
    token_table_drop(core->table, id);
    token_table_costs(core->table)[id] = 0;
    share_learn(core, id);
}

static bool exists(const struct core *core, token_id id)
{
    return id != TOKEN_NONE && id <= token_table_count(core->table) && !is_hole(core, id);
}

void share_on_refused(struct core *core, const struct event *event)
{
    token_id id = event->token_refused.id;
    core_reply(core, event->token_refused.tag, REPLY_ELSEWHERE, TOKEN_NONE, NULL);
    if (exists(core, id) && !is_durable(core, id))
        drop(core, id);
}

/* What another node committed tells who of ours was never committed. */
static void drop_contradicted(struct core *core, token_id id, const struct address *mint)
{
    token_id known = token_table_find(core->table, mint);
    if (known != TOKEN_NONE && known != id && !is_durable(core, known))
        drop(core, known);
    if (known != id && exists(core, id) && !is_durable(core, id))
        drop(core, id);
}

/* FOLLOW_REFUSAL_COUNT: nothing is against it. */
static enum follow_refusal why_refused(struct core *core, const struct event *event)
{
    token_id id = event->followed.id;
    if (!is_sound(event))
        return FOLLOW_UNSOUND;
    if (!is_within_reach(core, id))
        return FOLLOW_NO_ROOM;
    drop_contradicted(core, id, &event->followed.token->mint);
    bool is_there = exists(core, id);
    token_id known = token_table_find(core->table, &event->followed.token->mint);
    if (known != (is_there ? id : TOKEN_NONE))
        return FOLLOW_CONTRADICTS;
    if (is_there && share_listens_to(core, id))
        return FOLLOW_LISTENING;
    return FOLLOW_REFUSAL_COUNT;
}

/* True when it was not there. */
static bool make_there(struct core *core, token_id id, const struct address *mint)
{
    while (token_table_count(core->table) + 1 < id) {
        share_learn(core, token_table_add_hole(core->table));
        core->stats.share.holes++;
    }
    if (id > token_table_count(core->table)) {
        token_id added = token_table_add(core->table, mint);
        assert(added == id);
        (void)added;
    } else if (is_hole(core, id)) {
        MARK(FOLLOWED_INTO_HOLE);
        token_table_fill_hole(core->table, id, mint);
    } else {
        return false;
    }
    token_table_costs(core->table)[id] = 0;
    share_learn(core, id);
    return true;
}

/* Pools, and what comes with the memory that they stand in, are this table's business. */
static void take_on(const struct core *core, struct token *draft, const struct token *token)
{
    instant created_at = draft->created_at;
    if (token->name[0] != '\0')
        memcpy(draft->name, token->name, sizeof draft->name);
    if (token->symbol[0] != '\0')
        memcpy(draft->symbol, token->symbol, sizeof draft->symbol);
    draft->created_at = instant_is_never(token->created_at) ? created_at : token->created_at;
    draft->status = token->status;
    draft->flags |= TOKEN_DURABLE;
    draft->state = token->state;
    follow_clamp_times(draft, core->now); /* clocks differ */
}

void share_on_followed(struct core *core, const struct event *event)
{
    token_id id = event->followed.id;
    const struct token *token = event->followed.token;
    assert(core_has_all(core));
    enum follow_refusal refusal = why_refused(core, event);
    if (refusal != FOLLOW_REFUSAL_COUNT) {
        core->stats.share.refused[refusal]++;
        return;
    }
    bool is_new = make_there(core, id, &token->mint);
    struct token *draft = token_write_begin(core->table, id);
    take_on(core, draft, token);
    bool has_pools = event->followed.has_pools;
    if (has_pools &&
        !token_draft_set_pools(core->table, event->followed.pools, token->pool_count)) {
        core->stats.share.refused[FOLLOW_NO_ROOM]++;
        has_pools = false;
    }
    if (has_pools)
        draft->flags &= (uint8_t)~TOKEN_POOLS_CHANGED;
    token_write_end(core->table, id);
    token_mark_followed(core->table, id, has_pools);
    follow_stand_aside(core, id);
    core->stats.share.followed++;
    core->stats.share.followed_new += is_new;
    if (is_new && share_works_on(core, id)) {
        MARK(FOLLOWED_OWN);
        core->stats.share.tokens++;
        follow_join(core, id);
    }
}
