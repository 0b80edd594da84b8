/* Tokens: what an answer makes of one, and where it stands then. */
#include "core/state.h"

#include "base/mark.h"
#include "base/text.h"
#include <assert.h>
#include <math.h>

#define COARSE_HISTORY 2 /* × min_score_change, while detail is what can be spared */

/* Not twice in this time for the same wish, however the upstream's answers flap. */
#define DISCOVER_AGAIN_MIN duration_s(60)

/* A gap longer than this was an outage of ours or the upstream's: not time seen under min_score. */
#define OBSERVED_GAP_MAX duration_s(300)

struct lanes *follow_lanes(struct core *core, enum lane_kind lane)
{
    return lane == LANE_DISCOVER ? &core->discover : &core->price;
}

unsigned follow_group_mask(enum lane_kind lane)
{
    assert(lane < LANE_KIND_COUNT);
    switch (lane) {
    case LANE_REFRESH:
        return 1U << PRICE_HOT;
    case LANE_SCREEN:
        return 1U << PRICE_HOT_WITHOUT_POOLS | 1U << PRICE_COLD | 1U << PRICE_ARCHIVED;
    case LANE_DISCOVER:
        break;
    case LANE_KIND_COUNT:
        __builtin_unreachable();
    }
    return 1U << DISCOVER_WANTED | 1U << DISCOVER_URGENT | 1U << DISCOVER_ACTIVE |
           1U << DISCOVER_MONITORING;
}

/* ---- where a token stands ---- */

static bool is_hot(const struct core *core, const struct token *token)
{
    return token->status == TOKEN_ACTIVE ||
           (token->state.answers > 0 && token->state.score >= core->options.min_score);
}

static enum price_group price_group_for(const struct core *core, const struct token *token,
                                        uint8_t cost)
{
    if (token->status == TOKEN_ARCHIVED)
        return PRICE_ARCHIVED;
    if (!is_hot(core, token))
        return PRICE_COLD;
    return cost > 0 ? PRICE_HOT : PRICE_HOT_WITHOUT_POOLS;
}

static enum price_group price_group_of(const struct core *core, token_id id)
{
    return price_group_for(core, token_slot(core->table, id), token_table_costs(core->table)[id]);
}

static enum token_group group_of(enum price_group group)
{
    return group == PRICE_ARCHIVED ? GROUP_ARCHIVED : group == PRICE_COLD ? GROUP_COLD : GROUP_HOT;
}

/* Weight over cost: the share of a request it takes. */
static double weight_over_cost(double value, enum price_group group, uint8_t cost)
{
    return value * REQUEST_ADDRESSES_MAX / (group == PRICE_HOT ? cost : 1);
}

static double price_weight(const struct core *core, token_id id, enum price_group group)
{
    return weight_over_cost(weight_of_value(token_slot(core->table, id)), group,
                            token_table_costs(core->table)[id]);
}

static void insert_price(struct core *core, token_id id)
{
    enum price_group group = price_group_of(core, id);
    token_set_group(core->table, id, group_of(group));
    bool inserted = lanes_insert(&core->price, id, group, price_weight(core, id, group), core->now);
    assert(inserted); /* nothing in a lane is newer than now */
    (void)inserted;
}

static bool belongs_to_discover(const struct core *core, token_id id)
{
    return token_slot(core->table, id)->status != TOKEN_ARCHIVED;
}

static enum discover_group discover_group_of(const struct core *core, token_id id)
{
    return token_slot(core->table, id)->status == TOKEN_ACTIVE ? DISCOVER_ACTIVE
                                                               : DISCOVER_MONITORING;
}

static void insert_discover(struct core *core, token_id id)
{
    /* It may have got back in while it was under way: reactivated, or wished for. */
    MARK_IF(DISCOVER_BACK_MEANWHILE, lanes_holds(&core->discover, id));
    if (lanes_holds(&core->discover, id))
        lanes_remove(&core->discover, id);
    bool inserted = lanes_insert(&core->discover, id, discover_group_of(core, id),
                                 weight_of_value(token_slot(core->table, id)), core->now);
    assert(inserted);
    (void)inserted;
}

/* Of one that is as old as it was. */
static void set_group(struct core *core, token_id id, enum token_group group)
{
    enum token_group before = token_column_group(core->table, id);
    if (before == group)
        return;
    token_set_group(core->table, id, group);
    if (instant_before(token_slot(core->table, id)->state.status_since, core->now))
        health_moved(core, before, group);
}

void follow_regroup(struct core *core, token_id id)
{
    if (!lanes_holds(&core->price, id))
        return; /* in flight: it is put right when it comes back */
    enum price_group group = price_group_of(core, id);
    if (lanes_group_of(&core->price, id) == (unsigned)group)
        return;
    /* Where its place is too far to look for, its next answer puts it right. */
    if (lanes_move(&core->price, id, group, price_weight(core, id, group))) {
        MARK(MOVED);
        set_group(core, id, group_of(group));
    } else {
        MARK(MOVED_TOO_FAR);
    }
}

static void regroup_discover(struct core *core, token_id id)
{
    if (!lanes_holds(&core->discover, id) || lanes_group_of(&core->discover, id) <= DISCOVER_URGENT)
        return;
    if (!belongs_to_discover(core, id))
        lanes_remove(&core->discover, id);
    else
        (void)lanes_move(&core->discover, id, discover_group_of(core, id),
                         weight_of_value(token_slot(core->table, id)));
}

void follow_put_back(struct core *core, token_id id, enum lane_kind lane)
{
    if (!share_works_on(core, id))
        return;
    if (lane == LANE_DISCOVER && lanes_holds(&core->discover, id)) {
        MARK(DISCOVER_PUT_BACK_HELD);
        return;
    }
    if (lane == LANE_DISCOVER) {
        /* A wish stays a wish; a turn keeps its place. A turn's stamp is its last discovery. */
        instant stamp = token_table_links(core->table, LINKS_DISCOVER)[id].stamp;
        bool in_turn = belongs_to_discover(core, id) &&
                       !instant_before(token_slot(core->table, id)->state.discovered_at, stamp);
        MARK_IF(DISCOVER_WISH_PUT_BACK, !in_turn);
        lanes_put_back(&core->discover, id, in_turn ? discover_group_of(core, id) : DISCOVER_URGENT,
                       weight_of_value(token_slot(core->table, id)));
        return;
    }
    enum price_group group = price_group_of(core, id);
    set_group(core, id, group_of(group));
    lanes_put_back(&core->price, id, group, price_weight(core, id, group));
}

void follow_discover_now(struct core *core, token_id id, enum discover_group group)
{
    struct lanes *lanes = &core->discover;
    if (!share_works_on(core, id))
        return;
    if (trust_of(core, id) != TRUST_ORDINARY) {
        if (group == DISCOVER_WANTED) {
            MARK(DISCOVER_SUSPECT);
            trust_discover(core, id);
        }
        return;
    }
    if (lanes_holds(lanes, id)) {
        if (lanes_group_of(lanes, id) <= (unsigned)group)
            return;
        lanes_remove(lanes, id);
    } else if (belongs_to_discover(core, id)) {
        MARK(DISCOVER_UNDER_WAY);
        return; /* under way */
    }
    bool inserted = lanes_insert(lanes, id, group, 0, core->now);
    assert(inserted);
    (void)inserted;
}

/* ---- out of the lanes and back ---- */

enum lane_kind follow_price_lane(const struct core *core, token_id id)
{
    return price_group_of(core, id) == PRICE_HOT ? LANE_REFRESH : LANE_SCREEN;
}

void follow_leave(struct core *core, token_id id)
{
    if (lanes_holds(&core->price, id))
        lanes_remove(&core->price, id);
    if (lanes_holds(&core->discover, id))
        lanes_remove(&core->discover, id);
}

static void join_discover(struct core *core, token_id id)
{
    const struct token *token = token_slot(core->table, id);
    instant stamp = token->state.discovered_at;
    /* Never discovered, or its place is too far to look for: at once is as good. */
    bool inserted =
        !instant_is_never(stamp) && lanes_insert(&core->discover, id, discover_group_of(core, id),
                                                 weight_of_value(token), stamp);
    if (!inserted)
        inserted = lanes_insert(&core->discover, id, DISCOVER_URGENT, 0, core->now);
    assert(inserted);
}

void follow_join(struct core *core, token_id id)
{
    if (!share_works_on(core, id))
        return;
    follow_put_back(core, id, follow_price_lane(core, id));
    if (belongs_to_discover(core, id))
        join_discover(core, id);
}

/* ---- new tokens ---- */

static void set_names(struct token *draft, const char *name, const char *symbol)
{
    if (draft->name[0] == '\0' && name != NULL)
        text_copy(draft->name, sizeof draft->name, name, strlen(name));
    if (draft->symbol[0] == '\0' && symbol != NULL)
        text_copy(draft->symbol, sizeof draft->symbol, symbol, strlen(symbol));
}

static void insert_new(struct core *core, token_id id)
{
    core->stats.share.tokens += core->share.is_part;
    insert_price(core, id);
    bool inserted = lanes_insert(&core->discover, id, DISCOVER_URGENT, 0, core->now);
    assert(inserted);
    (void)inserted;
}

static void add_token(struct core *core, token_id id, const struct event *event)
{
    struct token *draft = token_write_begin(core->table, id);
    draft->created_at = core->now;
    draft->state.status_since = core->now;
    set_names(draft, event->token_seen.name, event->token_seen.symbol);
    token_write_end(core->table, id);
    token_table_costs(core->table)[id] = 0;
    share_learn(core, id);
    core->stats.tokens_added++;
    if (share_works_on(core, id))
        insert_new(core, id);
    else
        follow_stand_aside(core, id);
    struct action *action = core_act(core, ACTION_HISTORY);
    action->history.id = id;
    action->history.event = "added";
    action->history.reason = "seen";
}

void follow_new(struct core *core, const struct event *event)
{
    uint64_t tag = event->token_seen.tag;
    token_id id = token_table_find(core->table, &event->token_seen.mint);
    bool is_durable = id != TOKEN_NONE && token_slot(core->table, id)->flags & TOKEN_DURABLE;
    if (!core->share.is_source && !is_durable) {
        MARK(SEEN_ELSEWHERE);
        core_reply(core, tag, REPLY_ELSEWHERE, TOKEN_NONE, NULL);
        return;
    }
    if (id != TOKEN_NONE) {
        core->stats.tokens_known++;
        MARK_IF(TOKEN_KNOWN, is_durable);
        MARK_IF(TOKEN_NOT_YET_DURABLE, !is_durable);
        if (is_durable) {
            core_reply(core, tag, REPLY_KNOWN, id, NULL);
            return;
        }
    } else {
        id = token_table_add(core->table, &event->token_seen.mint);
        if (id == TOKEN_NONE) {
            MARK(TABLE_FULL);
            core->stats.tokens_refused++;
            core_reply(core, tag, REPLY_UNAVAILABLE, TOKEN_NONE,
                       "no memory for another token; it can be offered again");
            return;
        }
        add_token(core, id, event);
    }
    struct action *action = core_act(core, ACTION_ADD_TOKEN);
    action->add_token.id = id;
    action->add_token.tag = tag;
}

/* ---- pools ---- */

static struct pool pool_from(struct core *core, const struct pair *pair)
{
    return (struct pool){
        .address = pair->pool,
        .liquidity_usd = (float)pair->liquidity_usd,
        .dex = token_table_dex(core->table, pair->dex),
        .quote = token_table_quote(core->table, pair->quote_symbol),
        .flags = pool_flags_for(pair->dex, pair->quote_symbol),
    };
}

static int pool_find(const struct pool *pools, size_t count, const struct address *address)
{
    for (size_t i = 0; i < count; i++)
        if (address_equal(&pools[i].address, address))
            return (int)i;
    return -1;
}

/* A pool that was known before. A liquidity that an answer leaves out is not evidence that it is
 * gone: nobody is demoted for it. */
static struct pool pool_again(struct core *core, const struct pool *old, const struct pair *pair)
{
    struct pool pool = pool_from(core, pair);
    MARK_IF(POOL_WITHOUT_LIQUIDITY, isnan(pool.liquidity_usd));
    if (isnan(pool.liquidity_usd))
        pool.liquidity_usd = old->liquidity_usd;
    return pool;
}

/* All its pools: what is not among them is gone. */
static bool replace_pools(struct core *core, struct token *draft, const struct pair *const pairs[],
                          size_t count)
{
    struct pool fresh[POOLS_MAX];
    const struct pool *old = token_draft_pools(core->table);
    size_t n = 0;
    bool changed = false;
    for (size_t i = 0; i < count && n < POOLS_MAX; i++) {
        if (pool_find(fresh, n, &pairs[i]->pool) >= 0)
            continue;
        int at = pool_find(old, draft->pool_count, &pairs[i]->pool);
        fresh[n++] = at < 0 ? pool_from(core, pairs[i]) : pool_again(core, &old[at], pairs[i]);
        changed = changed || at < 0;
    }
    changed = changed || n != draft->pool_count;
    return token_draft_set_pools(core->table, fresh, n) && changed;
}

/* Some of its pools: figures of those it has, and those it did not have yet. */
static bool merge_pools(struct core *core, struct token *draft, enum lane_kind lane,
                        const struct pair *const pairs[], size_t count)
{
    struct pool pools[POOLS_MAX];
    size_t n = draft->pool_count;
    memcpy(pools, token_draft_pools(core->table), n * sizeof *pools);
    for (size_t i = 0; i < n && lane == LANE_REFRESH; i++)
        if (pools[i].flags & POOL_COUNTS)
            pools[i].flags |= POOL_MISSING; /* until found below */
    for (size_t i = 0; i < count; i++) {
        int at = pool_find(pools, n, &pairs[i]->pool);
        if (at >= 0)
            pools[at] = pool_again(core, &pools[at], pairs[i]);
        else if (n < POOLS_MAX)
            pools[n++] = pool_from(core, pairs[i]);
    }
    bool changed = n != draft->pool_count;
    return token_draft_set_pools(core->table, pools, n) && changed;
}

/* ---- what an answer says ---- */

static void set_score(struct core *core, struct token *draft)
{
    struct token_state *state = &draft->state;
    struct score raw = score_raw(&state->metrics, draft->status, &core->options);
    struct score before = {state->smoothed, state->score};
    struct score smoothed =
        score_smooth(&raw, state->answers > 0 ? &before : NULL, core->options.ewma_alpha);
    state->raw = raw.components;
    state->score_raw = raw.total;
    state->smoothed = smoothed.components;
    state->score = smoothed.total;
}

/* How far a score must have moved to enter the token's history. */
static double change_to_keep(const struct core *core)
{
    if (!load_has(&core->load, FEATURE_HISTORY))
        return INFINITY;
    bool in_detail = load_has(&core->load, FEATURE_HISTORY_DETAIL);
    return core->options.min_score_change * (in_detail ? 1 : COARSE_HISTORY);
}

/* True when the newest score is to be kept in its history. */
static bool set_snapshot(struct core *core, struct token_state *state)
{
    if (!core_has_all(core))
        return false; /* which number is the next, the rest of the tokens may tell */
    if (state->snapshot_id != 0 && fabs(state->score - state->score_stored) < change_to_keep(core))
        return false;
    MARK(SNAPSHOT);
    state->snapshot_id = ++core->last_snapshot_id;
    state->score_stored = state->score;
    state->scored_at = core->now;
    core->stats.snapshots++;
    return true;
}

static void observe_low_score(struct core *core, struct token *draft, instant before)
{
    if (draft->status != TOKEN_ACTIVE || draft->state.score >= core->options.min_score) {
        draft->state.low_score_us = 0;
        return;
    }
    duration gap = instant_diff(core->now, before);
    MARK_IF(LOW_SCORE_GAP, gap.us >= OBSERVED_GAP_MAX.us);
    draft->state.low_score_us += gap.us < OBSERVED_GAP_MAX.us ? gap.us : OBSERVED_GAP_MAX.us;
}

static void save(struct core *core, token_id id)
{
    core_act(core, ACTION_SAVE)->save.id = id;
}

static void save_snapshot(struct core *core, token_id id, int64_t previous)
{
    struct action *action = core_act(core, ACTION_SNAPSHOT);
    action->snapshot.id = id;
    action->snapshot.snapshot_id = token_slot(core->table, id)->state.snapshot_id;
    action->snapshot.previous = previous;
}

static int64_t slice_number(instant t)
{
    return t.us / (RECENT_SPAN_S * 1000000LL / RECENT_SLICES);
}

static struct recent_slice *present_slice(struct core *core, enum token_group group)
{
    int64_t number = slice_number(core->now);
    struct recent_slice *slice = &core->recent[group][number % RECENT_SLICES];
    if (slice->number != number)
        *slice = (struct recent_slice){.number = number};
    return slice;
}

void follow_sum_recent(struct core *core, enum token_group group)
{
    struct group_stats *stats = &core->stats.groups[group];
    int64_t oldest = slice_number(core->now) - RECENT_SLICES + 1;
    stats->recent = stats->recent_on_time = 0;
    for (int i = 0; i < RECENT_SLICES; i++) {
        const struct recent_slice *slice = &core->recent[group][i];
        if (slice->number < oldest)
            continue;
        stats->recent += slice->refreshes;
        stats->recent_on_time += slice->on_time;
    }
}

static void count_on_time(struct core *core, token_id id, instant before)
{
    enum token_group group = token_column_group(core->table, id);
    struct group_stats *stats = &core->stats.groups[group];
    stats->last_answer_at = core->now;
    if (instant_is_never(before))
        return;
    duration age = instant_diff(core->now, before);
    bool is_on_time = health_is_on_time(core, group, before);
    struct recent_slice *slice = present_slice(core, group);
    MARK_IF(ANSWERED_LATE, !is_on_time);
    slice->refreshes++;
    slice->on_time += is_on_time;
    stats->refreshes++;
    stats->refreshes_on_time += is_on_time;
    histogram_add(&stats->ages, SCALE_AGES, age);
}

/* What a screening can show that asks for all pools of a token. */
static bool wants_discovery(const struct core *core, const struct token *before, bool pools_changed,
                            const struct token *after)
{
    const struct token_state *old = &before->state, *new = &after->state;
    if (instant_diff(core->now, new->discovered_at).us < DISCOVER_AGAIN_MIN.us) {
        MARK(DISCOVERY_TOO_SOON);
        return false;
    }
    double threshold = core->options.activation_min_liquidity_usd;
    bool had = old->answers > 0;
    bool crossed =
        new->metrics.liquidity_usd >= threshold && (!had || old->metrics.liquidity_usd < threshold);
    bool alive = new->metrics.tx_count_1h > 0 && had && old->metrics.tx_count_1h == 0;
    bool promising =
        new->score >= core->options.min_score && (!had || old->score < core->options.min_score);
    return pools_changed || crossed || alive || promising;
}

/* Takes the figures of an answer into the slot. True when its pools are others now. */
static bool take_figures(struct core *core, struct token *draft, enum lane_kind lane,
                         const struct pair *const pairs[], size_t count)
{
    bool pools_changed = lane == LANE_DISCOVER ? replace_pools(core, draft, pairs, count)
                                               : merge_pools(core, draft, lane, pairs, count);
    const struct pair *primary;
    set_names(draft, pairs[0]->base_name, pairs[0]->base_symbol);
    draft->state.metrics = market_gather(pairs, count, draft->status, &core->options, &primary);
    draft->state.metrics.hours_since_creation =
        duration_to_s(instant_diff(core->now, draft->created_at)) / 3600;
    if (primary != NULL)
        draft->state.metrics.primary_dex = token_table_dex(core->table, primary->dex);
    MARK_IF(POOLS_CHANGED, pools_changed);
    if (pools_changed)
        draft->flags |= TOKEN_POOLS_CHANGED;
    return pools_changed;
}

static void answered_with_data(struct core *core, token_id id, enum lane_kind lane,
                               const struct pair *const pairs[], size_t count)
{
    const struct token *before = token_slot(core->table, id); /* until the draft is published */
    instant checked_before = before->state.checked_at;
    int64_t snapshot_before = before->state.snapshot_id;
    struct token *draft = token_write_begin(core->table, id);
    bool pools_changed = take_figures(core, draft, lane, pairs, count);
    set_score(core, draft);
    observe_low_score(core, draft, checked_before);
    draft->state.answers += draft->state.answers < UINT32_MAX;
    draft->state.checked_at = draft->state.fetched_at = core->now;
    if (lane == LANE_DISCOVER)
        draft->state.discovered_at = core->now;
    bool snapshot = set_snapshot(core, &draft->state);
    const struct pool *pools = token_draft_pools(core->table);
    token_table_costs(core->table)[id] = pools_counting(pools, draft->pool_count);
    bool discover = lane != LANE_DISCOVER && wants_discovery(core, before, pools_changed, draft);
    token_write_end(core->table, id);

    count_on_time(core, id, checked_before);
    save(core, id);
    if (snapshot)
        save_snapshot(core, id, snapshot_before);
    MARK_IF(DISCOVERY_WANTED, discover);
    if (discover)
        follow_discover_now(core, id, DISCOVER_URGENT);
}

static void answered_without_data(struct core *core, token_id id, enum lane_kind lane)
{
    MARK(WITHOUT_DATA);
    core->stats.without_data++;
    struct token *draft = token_write_begin(core->table, id);
    draft->state.checked_at = core->now;
    if (lane == LANE_DISCOVER)
        draft->state.discovered_at = core->now;
    token_write_end(core->table, id);
    save(core, id);
    /* Its pools may have been replaced by others. */
    const struct token *token = token_slot(core->table, id);
    if (lane == LANE_REFRESH &&
        instant_diff(core->now, token->state.discovered_at).us >= DISCOVER_AGAIN_MIN.us)
        follow_discover_now(core, id, DISCOVER_URGENT);
}

/* Into its lanes, age 0. */
static void stand_again(struct core *core, token_id id, enum lane_kind lane)
{
    if (lane == LANE_DISCOVER && belongs_to_discover(core, id))
        insert_discover(core, id);
    /* All its pools are fresher than any refresh: its turn in the price lane is done, too, unless
     * it is under way there. */
    bool is_held = lanes_holds(&core->price, id);
    if (lane == LANE_DISCOVER && !is_held)
        return;
    MARK_IF(PRICE_DONE_BY_DISCOVERY, is_held);
    if (is_held)
        lanes_remove(&core->price, id);
    insert_price(core, id);
}

void follow_answered(struct core *core, token_id id, enum lane_kind lane,
                     const struct pair *const pairs[], size_t count)
{
    if (count > 0)
        answered_with_data(core, id, lane, pairs, count);
    else
        answered_without_data(core, id, lane);
    if (count > 0) {
        enum lifecycle_change change = lifecycle_on_evidence(
            token_slot(core->table, id), token_pools(core->table, id), &core->options);
        if (change != CHANGE_NONE)
            follow_change_status(core, id, change);
    }
    if (!share_works_on(core, id))
        follow_stand_aside(core, id);
    else if (trust_of(core, id) == TRUST_ORDINARY)
        stand_again(core, id, lane);
}

void follow_recalculate(struct core *core, token_id id)
{
    if (token_slot(core->table, id)->state.answers == 0)
        return;
    MARK(RECALCULATED);
    int64_t previous = token_slot(core->table, id)->state.snapshot_id;
    struct token *draft = token_write_begin(core->table, id);
    set_score(core, draft);
    bool snapshot = set_snapshot(core, &draft->state);
    token_write_end(core->table, id);
    save(core, id);
    if (snapshot)
        save_snapshot(core, id, previous);
    follow_regroup(core, id);
}

/* ---- status ---- */

static void count_change(struct core_stats *stats, enum lifecycle_change change)
{
    assert(change > CHANGE_NONE && change < CHANGE_COUNT);
    switch (change) {
    case CHANGE_ACTIVATED:
        MARK(ACTIVATED);
        stats->activated++;
        return;
    case CHANGE_DEMOTED:
        MARK(DEMOTED);
        stats->demoted++;
        return;
    case CHANGE_ARCHIVED_LOW:
        MARK(ARCHIVED_LOW);
        stats->archived++;
        return;
    case CHANGE_ARCHIVED_OLD:
        MARK(ARCHIVED_OLD);
        stats->archived++;
        return;
    case CHANGE_REACTIVATED:
        MARK(REACTIVATED);
        stats->reactivated++;
        break;
    case CHANGE_NONE:
    case CHANGE_COUNT:
        __builtin_unreachable();
    }
}

/* The one place where a status changes. */
void follow_change_status(struct core *core, token_id id, enum lifecycle_change change)
{
    const struct lifecycle_row *row = lifecycle_row(change);
    struct token *draft = token_write_begin(core->table, id);
    assert(draft->status == (uint8_t)row->from);
    draft->status = (uint8_t)row->to;
    draft->state.status_since = core->now;
    draft->state.low_score_us = 0;
    token_write_end(core->table, id);
    count_change(&core->stats, change);
    struct action *action = core_act(core, ACTION_HISTORY);
    action->history.id = id;
    action->history.event = row->event;
    action->history.reason = row->reason;
    save(core, id);
    follow_regroup(core, id);
    regroup_discover(core, id);
    /* Back from the archive: it is in the discover lane again. */
    if (change == CHANGE_REACTIVATED && trust_of(core, id) == TRUST_ORDINARY &&
        share_works_on(core, id) && !lanes_holds(&core->discover, id))
        insert_discover(core, id);
}

/* ---- a start ---- */

static instant known_stamp(instant stamp, instant otherwise)
{
    return instant_is_never(stamp) ? otherwise : stamp;
}

static bool is_in_future(const struct token *token, instant now)
{
    const struct token_state *state = &token->state;
    return token->created_at.us > now.us || state->checked_at.us > now.us ||
           state->fetched_at.us > now.us || state->scored_at.us > now.us ||
           state->discovered_at.us > now.us || state->status_since.us > now.us;
}

void follow_clamp_times(struct token *token, instant now)
{
    struct token_state *state = &token->state;
    token->created_at = instant_min(token->created_at, now);
    state->checked_at = instant_min(state->checked_at, now);
    state->fetched_at = instant_min(state->fetched_at, now);
    state->scored_at = instant_min(state->scored_at, now);
    state->discovered_at = instant_min(state->discovered_at, now);
    state->status_since = instant_min(state->status_since, now);
}

/* The clock was set back since this was written: ages must not be negative. And who is in
 * quarantine is told to each engine anew. Needs no draft, since several threads do this. */
static void put_right(struct core *core, token_id id)
{
    struct token token = *token_slot(core->table, id);
    MARK_IF(START_WITH_FUTURE, is_in_future(&token, core->now));
    token.flags &= (uint8_t)~TOKEN_QUARANTINED;
    follow_clamp_times(&token, core->now);
    token_publish(core->table, id, &token);
}

static void place_in_discover(struct core *core, token_id id, const struct token *token,
                              double value)
{
    instant stamp = known_stamp(token->state.discovered_at, token->created_at);
    if (token->status == TOKEN_ARCHIVED)
        lanes_place_nowhere(&core->discover, id);
    else if (instant_is_never(token->state.discovered_at))
        lanes_place(&core->discover, id, DISCOVER_URGENT, 0, stamp);
    else
        lanes_place(&core->discover, id,
                    token->status == TOKEN_ACTIVE ? DISCOVER_ACTIVE : DISCOVER_MONITORING, value,
                    stamp);
}

/* Returns what it is worth. */
static double place_in_price(struct core *core, token_id id, const struct token *token)
{
    uint8_t cost = pools_counting(token_pools(core->table, id), token->pool_count);
    enum price_group group = price_group_for(core, token, cost);
    double value = weight_of_value(token);
    token_table_costs(core->table)[id] = cost;
    token_set_group(core->table, id, group_of(group));
    lanes_place(&core->price, id, group, weight_over_cost(value, group, cost),
                known_stamp(token->state.checked_at, token->created_at));
    return value;
}

static void place_nowhere(struct core *core, token_id id)
{
    lanes_place_nowhere(&core->price, id);
    lanes_place_nowhere(&core->discover, id);
}

void follow_stand_aside(struct core *core, token_id id)
{
    assert(!lanes_holds(&core->price, id) && !lanes_holds(&core->discover, id));
    place_in_price(core, id, token_slot(core->table, id));
    lanes_place_nowhere(&core->price, id);
}

void follow_place_again(struct core *core, token_id id)
{
    const struct token *token = token_slot(core->table, id);
    double value = place_in_price(core, id, token);
    place_in_discover(core, id, token, value);
    if (token->flags & TOKEN_QUARANTINED)
        place_nowhere(core, id);
}

/* A million of these are a start, so the slot is looked up once. */
void follow_place(struct core *core, token_id id)
{
    const struct token *token = token_slot(core->table, id);
    share_learn(core, id);
    if (token->flags & TOKEN_HOLE) {
        place_nowhere(core, id);
        return;
    }
    if (is_in_future(token, core->now) || (token->flags & TOKEN_QUARANTINED))
        put_right(core, id);
    double value = place_in_price(core, id, token);
    place_in_discover(core, id, token, value);
    if (!share_works_on(core, id))
        place_nowhere(core, id);
}
