#include "cluster/cluster.h"

#include "cluster/balance.h"
#include <assert.h>
#include <string.h>

/* Releases that come one after the other go together. */
#define GATHER duration_ms(50)

static duration part_of(duration lease, int64_t parts)
{
    return duration_us(lease.us / parts);
}

static duration look_time(const struct cluster *cluster)
{
    return part_of(cluster->options.lease, CLUSTER_LOOKS);
}

/* A jump of the clocks of those who watch is worth one look at most. */
duration cluster_owner_time(duration lease)
{
    return duration_us(lease.us * (100 - CLUSTER_RATE_PERCENT) / 100 -
                       part_of(lease, CLUSTER_LOOKS).us);
}

duration cluster_watch_time(duration lease)
{
    return duration_us(lease.us * (100 + CLUSTER_RATE_PERCENT) / 100);
}

/* An exchange that takes longer is given up; one that was slow still renews for half of the time.
 */
static duration patience(const struct cluster *cluster)
{
    return part_of(cluster->options.lease, 2);
}

void cluster_init(struct cluster *cluster, const struct cluster_options *options, instant now)
{
    assert(options->lease.us >= duration_s(1).us && options->nonce != 0);
    memset(cluster, 0, sizeof *cluster);
    cluster->options = *options;
    cluster->capacity = options->capacity;
    cluster->is_lapsed = true;
    cluster->next_exchange = now;
}

/* ---- actions ---- */

static struct cluster_action *add(struct cluster_actions *actions, enum cluster_action_kind kind)
{
    assert(actions->count < CLUSTER_ACTIONS_MAX);
    struct cluster_action *action = &actions->items[actions->count++];
    *action = (struct cluster_action){.kind = kind};
    return action;
}

static void add_of(struct cluster_actions *actions, enum cluster_action_kind kind, uint16_t lease)
{
    add(actions, kind)->lease = lease;
}

static bool is_valid(const struct cluster *cluster, instant now)
{
    return cluster->session != 0 && instant_before(now, cluster->valid_until);
}

static void hurry(struct cluster *cluster, instant by)
{
    cluster->next_exchange = instant_min(cluster->next_exchange, by);
}

static uint32_t count_held(const struct cluster *cluster, enum lease_state state)
{
    uint32_t count = 0;
    for (uint16_t slot = 0; slot < MINT_SLOTS; slot++)
        count += cluster->held[slot].state == (uint8_t)state;
    return count;
}

static bool holds_any(const struct cluster *cluster)
{
    for (uint16_t lease = 0; lease < LEASE_COUNT; lease++)
        if (cluster->held[lease].state != LEASE_OTHER)
            return true;
    return false;
}

/* ---- what the view says of the own leases ---- */

static void take(struct cluster *cluster, uint16_t lease)
{
    cluster->held[lease].state = LEASE_CATCHING_UP;
    cluster->held[lease].needs = cluster->view.log_at;
    cluster->stats.claimed++;
}

static void lose(struct cluster *cluster, uint16_t lease, struct cluster_actions *actions)
{
    enum lease_state was = cluster->held[lease].state;
    cluster->held[lease].state = LEASE_OTHER;
    if (was == LEASE_RELEASING) {
        cluster->stats.released++;
        return;
    }
    cluster->stats.lost++;
    if (was != LEASE_CATCHING_UP)
        add_of(actions, CLUSTER_STOP, lease);
}

static void begin_caught_up(struct cluster *cluster, struct cluster_actions *actions)
{
    for (uint16_t lease = 0; lease < LEASE_COUNT; lease++) {
        if (cluster->held[lease].state != LEASE_CATCHING_UP ||
            cluster->held[lease].needs > cluster->applied)
            continue;
        uint64_t before = cluster->held[lease].generation;
        uint64_t after = cluster->view.leases[lease].generation;
        cluster->held[lease].state = LEASE_MINE;
        cluster->held[lease].generation = after;
        struct cluster_action *action = add(actions, CLUSTER_BEGIN);
        action->lease = lease;
        action->is_unbroken = before != 0 && before + 1 == after;
    }
}

static void compare_held(struct cluster *cluster, struct cluster_actions *actions)
{
    for (uint16_t lease = 0; lease < LEASE_COUNT; lease++) {
        bool was_held = cluster->held[lease].state != LEASE_OTHER;
        bool is_held =
            cluster->session != 0 && cluster->view.leases[lease].session == cluster->session;
        if (is_held && !was_held)
            take(cluster, lease);
        else if (was_held && !is_held)
            lose(cluster, lease, actions);
    }
}

/* ---- others: who is silent ---- */

/* A look's share of silence: what has passed, but never more than a look should take. */
static duration look_credit(const struct cluster *cluster, instant now)
{
    duration passed = instant_diff(now, cluster->looked_at), most = look_time(cluster);
    return passed.us < most.us ? passed : most;
}

static duration silence_of(const struct cluster_watch *before, uint32_t count,
                           const struct cluster_member *member, duration credit)
{
    for (uint32_t i = 0; i < count; i++)
        if (before[i].session == member->session && before[i].renewals == member->renewals)
            return duration_us(before[i].silent.us + credit.us);
    return duration_us(0);
}

static void watch_members(struct cluster *cluster, instant now)
{
    struct cluster_watch before[CLUSTER_NODES_MAX];
    uint32_t count = cluster->watch_count;
    duration credit = look_credit(cluster, now);
    memcpy(before, cluster->watches, sizeof before);
    for (uint32_t i = 0; i < cluster->view.member_count; i++) {
        const struct cluster_member *member = &cluster->view.members[i];
        cluster->watches[i] = (struct cluster_watch){member->session, member->renewals,
                                                     silence_of(before, count, member, credit)};
    }
    cluster->watch_count = cluster->view.member_count;
    cluster->looked_at = now;
}

static bool is_dead(const struct cluster *cluster, uint32_t watch)
{
    return cluster->watches[watch].session != cluster->session &&
           cluster->watches[watch].silent.us >= cluster_watch_time(cluster->options.lease).us;
}

static bool sees_dead(const struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->watch_count; i++)
        if (is_dead(cluster, i))
            return true;
    return false;
}

/* ---- giving ---- */

static void give(struct cluster *cluster, uint16_t lease, struct cluster_actions *actions)
{
    if (cluster->held[lease].state == LEASE_MINE) {
        cluster->held[lease].state = LEASE_DRAINING;
        add_of(actions, CLUSTER_DRAIN, lease);
    } else if (cluster->held[lease].state == LEASE_CATCHING_UP) {
        cluster->held[lease].state = LEASE_RELEASING; /* nothing was sent yet */
    }
}

static bool can_be_given(const struct cluster *cluster, uint16_t lease)
{
    return cluster->held[lease].state == LEASE_MINE ||
           cluster->held[lease].state == LEASE_CATCHING_UP;
}

static void give_surplus(struct cluster *cluster, const struct balance *balance, uint32_t me,
                         struct cluster_actions *actions)
{
    uint32_t surplus = balance_surplus(balance, &cluster->view, me);
    uint32_t going = count_held(cluster, LEASE_DRAINING) + count_held(cluster, LEASE_RELEASING);
    uint32_t most = balance->nodes[me].target == 0 ? MINT_SLOTS : CLUSTER_MOVES_MAX;
    uint32_t wanted = surplus < most ? surplus : most;
    for (uint16_t slot = MINT_SLOTS; slot-- > 0 && going < wanted;)
        if (can_be_given(cluster, slot)) {
            give(cluster, slot, actions);
            going++;
        }
}

static void give_source(struct cluster *cluster, struct cluster_actions *actions)
{
    if (balance_source(&cluster->view) != cluster->session && can_be_given(cluster, LEASE_SOURCE))
        give(cluster, LEASE_SOURCE, actions);
}

/* ---- an exchange ---- */

static bool is_capacity_news(const struct cluster *cluster, const struct cluster_member *me)
{
    int64_t told = me->capacity, is = cluster->capacity;
    int64_t off = told > is ? told - is : is - told;
    return off * 100 > told * CLUSTER_CAPACITY_PERCENT;
}

static void ask_claims(struct cluster *cluster, const struct cluster_member *me)
{
    struct cluster_request *request = &cluster->request;
    struct balance balance;
    uint16_t slots[MINT_SLOTS];
    balance_compute(&balance, &cluster->view);
    uint32_t count =
        balance_claims(&balance, &cluster->view, (uint32_t)(me - cluster->view.members), slots);
    for (uint32_t i = 0; i < count; i++)
        request->claims[request->claim_count++] =
            (struct cluster_change){slots[i], cluster->view.leases[slots[i]].generation};
    if (cluster_view_is_free(&cluster->view, LEASE_SOURCE) &&
        balance_source(&cluster->view) == cluster->session)
        request->claims[request->claim_count++] =
            (struct cluster_change){LEASE_SOURCE, cluster->view.leases[LEASE_SOURCE].generation};
}

static void ask_releases(struct cluster *cluster)
{
    struct cluster_request *request = &cluster->request;
    for (uint16_t lease = 0; lease < LEASE_COUNT; lease++)
        if (cluster->held[lease].state == LEASE_RELEASING)
            request->releases[request->release_count++] =
                (struct cluster_change){lease, cluster->view.leases[lease].generation};
}

static void ask_ends(struct cluster *cluster)
{
    struct cluster_request *request = &cluster->request;
    for (uint32_t i = 0; i < cluster->watch_count; i++)
        if (is_dead(cluster, i)) {
            request->ends[request->end_count].session = cluster->watches[i].session;
            request->ends[request->end_count++].renewals = cluster->watches[i].renewals;
        }
}

static void ask_as_member(struct cluster *cluster, instant now)
{
    struct cluster_request *request = &cluster->request;
    const struct cluster_member *me = cluster_view_member(&cluster->view, cluster->session);
    duration since = instant_diff(now, cluster->renewed_at);
    request->session = cluster->session;
    request->is_leaving = cluster->is_leaving;
    if (!is_capacity_news(cluster, me))
        request->capacity = me->capacity; /* noise is not told with renewals either */
    request->is_renewal = since.us >= part_of(cluster->options.lease, CLUSTER_RENEWALS).us ||
                          !is_valid(cluster, now) || me->renewals == 0 ||
                          is_capacity_news(cluster, me) || me->is_leaving != cluster->is_leaving;
    request->is_last = cluster->is_leaving && !holds_any(cluster);
    ask_ends(cluster);
    ask_releases(cluster);
    if (is_valid(cluster, now) && !cluster->is_leaving)
        ask_claims(cluster, me);
}

static void send(struct cluster *cluster, instant now, struct cluster_actions *actions)
{
    struct cluster_request *request = &cluster->request;
    cluster->stats.failures += cluster->under_way != 0;
    memset(request, 0, sizeof *request);
    request->number = ++cluster->last_number;
    request->capacity = cluster->capacity;
    request->is_renewal = true;
    if (cluster->session == 0) {
        request->nonce = cluster->options.nonce;
        request->replaces = cluster->options.replaces;
    } else {
        ask_as_member(cluster, now);
    }
    cluster->under_way = request->number;
    cluster->is_renewal_under_way = request->is_renewal;
    cluster->sent_at = now;
    cluster->next_exchange = instant_add(now, patience(cluster));
    cluster->stats.exchanges++;
    add(actions, CLUSTER_EXCHANGE)->request = request;
}

static bool has_claims(const struct cluster *cluster, const struct balance *balance, uint32_t me)
{
    uint16_t slots[MINT_SLOTS];
    return balance_claims(balance, &cluster->view, me, slots) > 0 ||
           (cluster_view_is_free(&cluster->view, LEASE_SOURCE) &&
            balance_source(&cluster->view) == cluster->session);
}

/* What the rows call for. What can be done at once is. */
static void plan(struct cluster *cluster, instant now, struct cluster_actions *actions)
{
    const struct cluster_member *me = cluster_view_member(&cluster->view, cluster->session);
    struct balance balance;
    uint32_t number = (uint32_t)(me - cluster->view.members);
    balance_compute(&balance, &cluster->view);
    give_surplus(cluster, &balance, number, actions);
    give_source(cluster, actions);
    if (me->renewals == 0 || sees_dead(cluster) || count_held(cluster, LEASE_RELEASING) > 0 ||
        (!cluster->is_leaving && has_claims(cluster, &balance, number)) ||
        (cluster->is_leaving && !holds_any(cluster)))
        hurry(cluster, now);
}

/* ---- replies ---- */

static void end_session(struct cluster *cluster, instant now)
{
    cluster->session = 0;
    cluster->options.nonce++;
    cluster->options.replaces = 0;
    cluster->valid_until = INSTANT_NEVER;
    hurry(cluster, now);
}

static void note_renewal(struct cluster *cluster)
{
    if (!cluster->is_renewal_under_way)
        return;
    cluster->renewed_at = cluster->sent_at;
    cluster->valid_until =
        instant_add(cluster->sent_at, cluster_owner_time(cluster->options.lease));
}

static void look(struct cluster *cluster, const struct cluster_reply *reply, instant now,
                 struct cluster_actions *actions)
{
    bool is_first = cluster->session == 0;
    cluster->view = reply->view;
    cluster->has_view = true;
    cluster->session = reply->session;
    cluster->stats.ended += cluster->request.end_count;
    watch_members(cluster, now);
    if (cluster_view_member(&cluster->view, cluster->session) == NULL) {
        cluster->has_left = cluster->request.is_last;
        end_session(cluster, now);
    } else {
        cluster->stats.sessions += is_first;
        note_renewal(cluster);
    }
    compare_held(cluster, actions);
    begin_caught_up(cluster, actions);
    if (cluster->has_left) {
        add(actions, CLUSTER_LEFT);
        cluster->next_exchange = INSTANT_FAR;
    } else if (cluster->session != 0) {
        plan(cluster, now, actions);
    }
}

static void on_reply(struct cluster *cluster, const struct cluster_reply *reply, instant now,
                     struct cluster_actions *actions)
{
    if (reply->number != cluster->under_way)
        return; /* given up: what it did, the next one shows */
    cluster->under_way = 0;
    cluster->next_exchange = instant_max(now, instant_add(cluster->sent_at, look_time(cluster)));
    if (reply->outcome == CLUSTER_DONE)
        look(cluster, reply, now, actions);
    else
        cluster->stats.failures++;
}

/* ---- the interface ---- */

static void on_drained(struct cluster *cluster, uint16_t lease, instant now)
{
    if (cluster->held[lease].state != LEASE_DRAINING)
        return; /* lost meanwhile */
    cluster->held[lease].state = LEASE_RELEASING;
    if (cluster->under_way == 0)
        hurry(cluster, instant_add(now, GATHER));
}

static void on_measured(struct cluster *cluster, uint32_t capacity, instant now)
{
    cluster->capacity = capacity;
    const struct cluster_member *me = cluster_view_member(&cluster->view, cluster->session);
    if (cluster->under_way == 0 && me != NULL && is_capacity_news(cluster, me))
        hurry(cluster, now);
}

/* Whether the lease time is over, told once each way. */
static void tell_lapse(struct cluster *cluster, instant now, struct cluster_actions *actions)
{
    bool is_lapsed = !is_valid(cluster, now);
    if (is_lapsed == cluster->is_lapsed)
        return;
    cluster->is_lapsed = is_lapsed;
    cluster->stats.lapses += is_lapsed && cluster->session != 0;
    add(actions, is_lapsed ? CLUSTER_LAPSED : CLUSTER_RENEWED);
}

static void take_event(struct cluster *cluster, const struct cluster_event *event,
                       struct cluster_actions *actions)
{
    switch (event->kind) {
    case CLUSTER_TIME:
        return;
    case CLUSTER_REPLIED:
        return on_reply(cluster, event->reply, event->now, actions);
    case CLUSTER_DRAINED:
        return on_drained(cluster, event->lease, event->now);
    case CLUSTER_APPLIED:
        cluster->applied = event->position;
        return begin_caught_up(cluster, actions);
    case CLUSTER_MEASURED:
        return on_measured(cluster, event->capacity, event->now);
    case CLUSTER_LEAVE:
        cluster->is_leaving = true;
        break;
    case CLUSTER_NOTIFIED:
        break;
    }
    if (cluster->under_way == 0 && !cluster->has_left)
        hurry(cluster, event->now);
}

void cluster_step(struct cluster *cluster, const struct cluster_event *event,
                  struct cluster_actions *actions)
{
    actions->count = 0;
    take_event(cluster, event, actions);
    tell_lapse(cluster, event->now, actions);
    if (!instant_before(event->now, cluster->next_exchange) && !cluster->has_left)
        send(cluster, event->now, actions);
}

instant cluster_deadline(const struct cluster *cluster)
{
    return cluster->is_lapsed ? cluster->next_exchange
                              : instant_min(cluster->next_exchange, cluster->valid_until);
}

bool cluster_may_work(const struct cluster *cluster, uint16_t lease, instant now)
{
    return cluster->held[lease].state == LEASE_MINE && is_valid(cluster, now);
}

bool cluster_may_take(const struct cluster *cluster, uint16_t lease, uint64_t generation,
                      instant now)
{
    enum lease_state state = cluster->held[lease].state;
    return (state == LEASE_MINE || state == LEASE_DRAINING) &&
           cluster->held[lease].generation == generation && is_valid(cluster, now);
}

enum lease_state cluster_lease_state(const struct cluster *cluster, uint16_t lease)
{
    return cluster->held[lease].state;
}

uint64_t cluster_generation(const struct cluster *cluster, uint16_t lease)
{
    return cluster->held[lease].generation;
}
