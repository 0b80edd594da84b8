/* A node's process. See cluster.h. */
#include "sim/cluster_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LATENCY_LEAST_S 0.03
#define LATENCY_MEAN_S  0.1
#define CUT_ANSWER_S    1.0 /* a market that cannot be reached is noticed by a request so late … */
#define CUT_NOTICED     duration_s(5) /* … and believed so late */
#define MEASURED_EVERY  duration_s(2)
#define MEASURED_NOISE  0.01
#define CAPACITY_UNIT   1000.0 /* it is told in thousandths of a token a second */
#define BURST_S         1.0

/* ---- clocks ---- */

instant node_clock(const struct world *world, const struct world_node *node)
{
    double passed = (double)instant_diff(world->now, node->clock_true).us * node->rate;
    return instant_add(node->clock_local, duration_us((int64_t)passed));
}

void node_set_clock(struct world *world, struct world_node *node, double rate, duration jump)
{
    node->clock_local = instant_add(node_clock(world, node), jump);
    node->clock_true = world->now;
    node->rate = rate;
    if (jump.us > 0)
        world->jumped_at = world->now;
}

bool node_stands(const struct world *world, const struct world_node *node)
{
    return instant_before(world->now, node->stands_until);
}

double node_capacity(const struct world_node *node)
{
    return node->cut_market > 0 ? 0 : node->capacity * node->factor;
}

/* ---- its life ---- */

bool node_prepare(struct world *world, struct world_node *node, uint32_t number)
{
    size_t tokens = world->token_count;
    node->number = number;
    prng_seed(&node->prng, prng_next(&world->prng));
    node->rate = node->factor = 1;
    node->clock_true = world->now;
    node->clock_local =
        instant_add(CLUSTER_EPOCH, duration_s(prng_unit(&world->prng) * 1e6)); /* not the others' */
    node->known = calloc(tokens, sizeof *node->known);
    node->sent_at = calloc(tokens, sizeof *node->sent_at);
    node->dirty = calloc(tokens, sizeof *node->dirty);
    node->dirty_generation = calloc(tokens, sizeof *node->dirty_generation);
    node->dirty_at = calloc(tokens, sizeof *node->dirty_at);
    node->dirty_list = calloc(tokens, sizeof *node->dirty_list);
    return node->known != NULL && node->sent_at != NULL && node->dirty != NULL &&
           node->dirty_generation != NULL && node->dirty_at != NULL && node->dirty_list != NULL;
}

void node_finish(struct world_node *node)
{
    void *memory[] = {node->known,    node->sent_at,   node->dirty, node->dirty_generation,
                      node->dirty_at, node->dirty_list};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        free(memory[i]);
}

void node_kill(struct world *world, struct world_node *node)
{
    if (!node->is_present)
        return;
    node->last_session = node->cluster.session;
    world->result->cluster.exchanges += node->cluster.stats.exchanges;
    world->result->cluster.lapses += node->cluster.stats.lapses;
    world->result->cluster.takeovers += node->cluster.stats.ended;
    node->is_present = false;
    node->life++;
    node->leaves = false;
    node->stands_until = INSTANT_NEVER;
    node->is_suspended = false;
    world->disturbed_at = world->now;
    world_say(world, "node %u is gone", node->number);
}

static uint32_t told_capacity(const struct world_node *node)
{
    return (uint32_t)lround(node_capacity(node) * CAPACITY_UNIT);
}

void node_start(struct world *world, struct world_node *node, uint64_t replaces)
{
    size_t tokens = world->token_count;
    const struct cluster_options options = {.lease = CLUSTER_LEASE_DEFAULT,
                                            .nonce = prng_next(&node->prng) | 1,
                                            .replaces = replaces,
                                            .capacity = told_capacity(node)};
    node->is_present = true;
    node->life++;
    memset(node->known, 0, tokens * sizeof *node->known);
    memset(node->sent_at, 0, tokens * sizeof *node->sent_at);
    memset(node->dirty, 0, tokens * sizeof *node->dirty);
    memset(node->under_way, 0, sizeof node->under_way);
    memset(node->unwritten, 0, sizeof node->unwritten);
    node->dirty_count = 0;
    node->write = node->read = node->sequence = 0;
    node->newest_id = node->given_id = node->acknowledged_id = 0;
    node->bucket = 0;
    node->cut_at = INSTANT_NEVER;
    node->measured_at = node->works_at = node_clock(world, node);
    cluster_init(&node->cluster, &options, node_clock(world, node));
    world->disturbed_at = world->now;
    world->result->restarts++;
    world_say(world, "node %u starts%s", node->number,
              replaces != 0 ? ", in the place of one that is known to be dead" : "");
}

/* ---- actions of the policy ---- */

static void end_request(struct world *world, struct world_node *node, uint32_t token)
{
    node->sent_at[token] = INSTANT_NEVER;
    node->under_way[world->tokens[token].slot]--;
}

/* No answer came in all that time, as after a sleep. */
static void give_up(struct world *world, struct world_node *node, uint32_t token)
{
    world->tokens[token].is_dropped = true;
    end_request(world, node, token);
}

static void forget_dirty(struct world *world, struct world_node *node, uint32_t token)
{
    if (node->dirty[token] == 0)
        return;
    node->dirty[token] = 0;
    node->unwritten[world->tokens[token].slot]--;
}

static void begin_slot(struct world *world, struct world_node *node,
                       const struct cluster_action *action)
{
    uint64_t generation = cluster_generation(&node->cluster, action->lease);
    world_say(world, "node %u begins with lease %u, generation %llu%s", node->number, action->lease,
              (unsigned long long)generation, action->is_unbroken ? ", unbroken" : "");
    if (action->lease == LEASE_SOURCE) {
        node->given_id = node->acknowledged_id = node->newest_id;
        return;
    }
    for (uint32_t i = world->slot_first[action->lease]; i < world->slot_first[action->lease + 1];
         i++) {
        if (action->is_unbroken)
            node->dirty_generation[i] = generation;
        else
            forget_dirty(world, node, i);
    }
}

static void send_exchange(struct world *world, struct world_node *node,
                          const struct cluster_request *request)
{
    struct cluster_request *copy = malloc(sizeof *copy);
    if (copy == NULL) {
        world->is_out_of_memory = true;
        return;
    }
    *copy = *request;
    world_trace(world, request->number << 20 ^ request->claim_count << 10 ^ request->release_count);
    base_ask(world, node, (struct message){.kind = MESSAGE_EXCHANGE, .data = copy});
}

static void perform(struct world *world, struct world_node *node)
{
    for (uint32_t i = 0; i < node->actions.count; i++) {
        const struct cluster_action *action = &node->actions.items[i];
        switch (action->kind) {
        case CLUSTER_EXCHANGE:
            send_exchange(world, node, action->request);
            break;
        case CLUSTER_BEGIN:
            begin_slot(world, node, action);
            break;
        case CLUSTER_LEFT:
            node_kill(world, node);
            return;
        case CLUSTER_LAPSED:
        case CLUSTER_RENEWED:
            world_say(world, "node %u %s", node->number,
                      action->kind == CLUSTER_LAPSED ? "lapses" : "is renewed");
            break;
        case CLUSTER_STOP:
            world_say(world, "node %u loses lease %u", node->number, action->lease);
            break;
        case CLUSTER_DRAIN:
            world_say(world, "node %u drains lease %u", node->number, action->lease);
            break;
        }
    }
}

static void step(struct world *world, struct world_node *node, struct cluster_event event)
{
    event.now = node_clock(world, node);
    cluster_step(&node->cluster, &event, &node->actions);
    perform(world, node);
}

void node_leave(struct world *world, struct world_node *node)
{
    if (!node->is_present || node->leaves)
        return;
    node->leaves = true;
    world_say(world, "node %u leaves", node->number);
    step(world, node, (struct cluster_event){.kind = CLUSTER_LEAVE});
}

/* ---- the market ---- */

static void fetch(struct world *world, struct world_node *node, uint32_t token, instant now)
{
    struct cluster_fetch *sent = malloc(sizeof *sent);
    if (sent == NULL) {
        world->is_out_of_memory = true;
        return;
    }
    uint16_t slot = world->tokens[token].slot;
    double latency = LATENCY_LEAST_S + prng_exponential(&node->prng, LATENCY_MEAN_S);
    *sent = (struct cluster_fetch){
        .token = token, .generation = cluster_generation(&node->cluster, slot), .at = now};
    node->sent_at[token] = now;
    node->under_way[slot]++;
    node->bucket -= 1;
    if (node->cut_market > 0) {
        latency = CUT_ANSWER_S;
    } else {
        sent->number = ++world->fetches;
        checks_on_fetch(world, node, token);
    }
    world_send(world,
               (struct message){
                   .kind = MESSAGE_ANSWER, .node = node->number, .life = node->life, .data = sent},
               duration_s(latency));
}

static bool is_lost(const struct world_node *node, uint32_t token, instant now)
{
    instant sent_at = node->sent_at[token];
    return !instant_is_never(sent_at) && instant_diff(now, sent_at).us > CLUSTER_ANSWER.us;
}

static void fetch_slot(struct world *world, struct world_node *node, uint16_t slot,
                       duration interval, instant now)
{
    for (uint32_t i = world->slot_first[slot]; i < world->slot_first[slot + 1]; i++) {
        if (is_lost(node, i, now))
            give_up(world, node, i);
        bool is_due =
            instant_is_never(node->known[i]) || instant_diff(now, node->known[i]).us >= interval.us;
        if (is_due && world->tokens[i].interval.us == interval.us &&
            instant_is_never(node->sent_at[i]) && node->bucket >= 1)
            fetch(world, node, i, now);
    }
}

static void fetch_all(struct world *world, struct world_node *node, duration interval, instant now)
{
    uint16_t first = (uint16_t)prng_below(&node->prng, MINT_SLOTS); /* nobody is always last */
    for (uint16_t i = 0; i < MINT_SLOTS; i++) {
        uint16_t slot = (first + i) % MINT_SLOTS;
        if (cluster_may_work(&node->cluster, slot, now))
            fetch_slot(world, node, slot, interval, now);
    }
}

static void fetch_what_is_due(struct world *world, struct world_node *node, instant now)
{
    double rate = node->capacity * node->factor;
    node->bucket = fmin(node->bucket + rate * duration_to_s(CLUSTER_WORK), fmax(1, rate * BURST_S));
    fetch_all(world, node, duration_s(HOT_S), now);
    fetch_all(world, node, duration_s(COLD_S), now);
}

static void on_answer(struct world *world, struct world_node *node,
                      const struct cluster_fetch *sent, instant now)
{
    uint32_t token = sent->token;
    if (node->sent_at[token].us != sent->at.us)
        return; /* given up */
    end_request(world, node, token);
    uint16_t slot = world->tokens[token].slot;
    if (sent->number == 0) {
        node->cut_at = instant_is_never(node->cut_at) ? now : node->cut_at;
        return;
    }
    node->cut_at = INSTANT_NEVER;
    if (!cluster_may_take(&node->cluster, slot, sent->generation, now)) {
        world->tokens[token].is_dropped =
            world->tokens[token].is_dropped || !instant_before(now, node->cluster.valid_until);
        return;
    }
    node->known[token] = sent->at;
    if (node->dirty[token] == 0) {
        node->unwritten[slot]++;
        node->dirty_list[node->dirty_count++] = token;
    }
    node->dirty[token] = sent->number;
    node->dirty_at[token] = sent->at;
    node->dirty_generation[token] = sent->generation;
}

/* ---- handing over ---- */

static bool is_drained(struct world *world, struct world_node *node, uint16_t lease, instant now)
{
    if (lease == LEASE_SOURCE)
        return node->given_id == node->acknowledged_id;
    for (uint32_t i = world->slot_first[lease]; i < world->slot_first[lease + 1]; i++)
        if (is_lost(node, i, now))
            give_up(world, node, i);
    return node->under_way[lease] == 0 && node->unwritten[lease] == 0;
}

static void tell_drained(struct world *world, struct world_node *node, instant now)
{
    for (uint16_t lease = 0; lease < LEASE_COUNT && node->is_present; lease++)
        if (cluster_lease_state(&node->cluster, lease) == LEASE_DRAINING &&
            is_drained(world, node, lease, now))
            step(world, node, (struct cluster_event){.kind = CLUSTER_DRAINED, .lease = lease});
}

/* ---- commits ---- */

/* The list without those that are written; they may come in again. */
static void tidy_dirty(struct world_node *node)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < node->dirty_count; i++)
        if (node->dirty[node->dirty_list[i]] != 0)
            node->dirty_list[kept++] = node->dirty_list[i];
    node->dirty_count = kept;
}

static bool has_new_ids(const struct world_node *node)
{
    return node->given_id > node->acknowledged_id;
}

static void commit(struct world *world, struct world_node *node, instant now)
{
    tidy_dirty(node);
    bool waits = node->write != 0 && instant_diff(now, node->write_at).us < CLUSTER_PATIENCE.us;
    if (waits || (node->dirty_count == 0 && !has_new_ids(node)))
        return;
    struct cluster_write *write =
        calloc(1, sizeof *write + node->dirty_count * sizeof write->rows[0]);
    if (write == NULL) {
        world->is_out_of_memory = true;
        return;
    }
    write->session = node->life * (uint64_t)SIM_NODES_MOST + node->number;
    write->sequence = ++node->sequence;
    write->first_id = node->acknowledged_id + 1;
    write->last_id = node->given_id;
    write->source_generation = cluster_generation(&node->cluster, LEASE_SOURCE);
    write->origin = write->session;
    write->count = node->dirty_count;
    for (uint32_t i = 0; i < write->count; i++) {
        uint32_t token = node->dirty_list[i];
        write->rows[i] = (struct cluster_row){.token = token,
                                              .number = node->dirty[token],
                                              .generation = node->dirty_generation[token],
                                              .age = instant_diff(now, node->dirty_at[token])};
    }
    node->write = ++world->numbers;
    node->write_at = now;
    base_ask(world, node,
             (struct message){.kind = MESSAGE_WRITE, .number = node->write, .data = write});
}

static void on_written(struct world *world, struct world_node *node, const struct message *message)
{
    const struct cluster_write *write = message->data;
    if (message->number != node->write)
        return;
    node->write = 0;
    if (write == NULL)
        return;
    for (uint32_t i = 0; i < write->count; i++)
        if (node->dirty[write->rows[i].token] == write->rows[i].number)
            forget_dirty(world, node, write->rows[i].token);
    if (write->last_id > node->acknowledged_id && write->first_id <= write->last_id) {
        node->acknowledged_id = write->last_id;
        world->acknowledged_id = write->last_id;
        world->acknowledged_origin = write->origin;
        world->result->cluster.acknowledged += write->last_id - write->first_id + 1;
    }
}

/* ---- the log ---- */

static void follow_log(struct world *world, struct world_node *node, instant now)
{
    if (node->read != 0 && instant_diff(now, node->read_at).us < CLUSTER_PATIENCE.us)
        return;
    node->read = ++world->numbers;
    node->read_at = now;
    base_ask(world, node,
             (struct message){
                 .kind = MESSAGE_READ, .number = node->read, .position = node->cluster.applied});
}

static void on_rows(struct world *world, struct world_node *node, const struct message *message)
{
    const struct cluster_log_part *part = message->data;
    instant now = node_clock(world, node);
    if (message->number != node->read)
        return;
    node->read = 0;
    if (part == NULL)
        return;
    for (uint32_t i = 0; i < part->count; i++) {
        uint32_t token = part->rows[i].token;
        instant at = instant_add(now, duration_us(-part->rows[i].age.us));
        node->known[token] = instant_max(node->known[token], at);
    }
    node->newest_id = part->newest_id;
    step(world, node, (struct cluster_event){.kind = CLUSTER_APPLIED, .position = part->to});
}

void node_on_source(struct world *world, struct world_node *node)
{
    (void)world;
    node->given_id++;
}

/* ---- its loop ---- */

static void measure(struct world *world, struct world_node *node, instant now)
{
    if (instant_diff(now, node->measured_at).us < MEASURED_EVERY.us)
        return;
    node->measured_at = now;
    bool is_cut =
        !instant_is_never(node->cut_at) && instant_diff(now, node->cut_at).us >= CUT_NOTICED.us;
    if (is_cut && node->cut_market == 0) {
        node->cut_at = INSTANT_NEVER; /* it asks now and then, and is answered */
        is_cut = false;
    }
    double noise = 1 + MEASURED_NOISE * (2 * prng_unit(&node->prng) - 1);
    double rate = is_cut ? 0 : node->capacity * node->factor * noise;
    step(world, node,
         (struct cluster_event){.kind = CLUSTER_MEASURED,
                                .capacity = (uint32_t)lround(rate * CAPACITY_UNIT)});
}

void node_tick(struct world *world, struct world_node *node)
{
    instant now = node_clock(world, node);
    if (!instant_before(now, cluster_deadline(&node->cluster)))
        step(world, node, (struct cluster_event){.kind = CLUSTER_TIME});
    if (!node->is_present || instant_diff(now, node->works_at).us < CLUSTER_WORK.us)
        return;
    node->works_at = now;
    fetch_what_is_due(world, node, now);
    commit(world, node, now);
    follow_log(world, node, now);
    measure(world, node, now);
    tell_drained(world, node, now);
}

static void on_exchanged(struct world *world, struct world_node *node,
                         const struct message *message)
{
    static const struct cluster_reply none = {.outcome = CLUSTER_FAILED};
    struct cluster_reply failed;
    const struct cluster_reply *reply = message->data;
    if (reply == NULL) {
        failed = none;
        failed.number = message->number;
        reply = &failed;
    }
    step(world, node, (struct cluster_event){.kind = CLUSTER_REPLIED, .reply = reply});
}

void node_receive(struct world *world, struct world_node *node, const struct message *message)
{
    switch (message->kind) {
    case MESSAGE_EXCHANGED:
        return on_exchanged(world, node, message);
    case MESSAGE_WRITTEN:
        return on_written(world, node, message);
    case MESSAGE_ROWS:
        return on_rows(world, node, message);
    case MESSAGE_NOTICE:
        return step(world, node, (struct cluster_event){.kind = CLUSTER_NOTIFIED});
    default: /* MESSAGE_ANSWER */
        return on_answer(world, node, message->data, node_clock(world, node));
    }
}
