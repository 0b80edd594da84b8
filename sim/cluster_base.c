/* The network to the database, and the database. See cluster.h. */
#include "sim/cluster_parts.h"

#include <stdlib.h>
#include <string.h>

#define LATENCY_LEAST_S 0.001
#define LATENCY_MEAN_S  0.004
#define REFUSED_S       0.01 /* a server that is not there says so at once */
#define LATE_SHARE      0.1
#define LOST_SHARE      0.3

/* ---- the network ---- */

static duration way(struct world *world)
{
    double seconds = LATENCY_LEAST_S + prng_exponential(&world->prng, LATENCY_MEAN_S);
    if (world->active[CLUSTER_FAULT_SLOW] > 0)
        seconds += prng_unit(&world->prng) * world->slow_s;
    if (world->active[CLUSTER_FAULT_LATE] > 0 && prng_unit(&world->prng) < LATE_SHARE)
        seconds += prng_unit(&world->prng) * CLUSTER_LATE_S;
    return duration_s(seconds);
}

void base_ask(struct world *world, struct world_node *node, struct message message)
{
    message.node = node->number;
    message.life = node->life;
    if (message.kind == MESSAGE_EXCHANGE)
        message.number = ((const struct cluster_request *)message.data)->number;
    if (node->cut_db > 0 || node->has_link_broken) {
        free(message.data);
        return;
    }
    world_send(world, message, way(world));
}

static void answer(struct world *world, const struct message *asked, enum message_kind kind,
                   void *data)
{
    struct world_node *node = &world->nodes[asked->node];
    if (node->deaf > 0)
        node->has_link_broken = true; /* no new connection while answers do not come */
    if (node->cut_db > 0 || node->deaf > 0) {
        free(data);
        return;
    }
    world_send(world,
               (struct message){.kind = kind,
                                .node = asked->node,
                                .life = asked->life,
                                .number = asked->number,
                                .data = data},
               data == NULL ? duration_s(REFUSED_S) : way(world));
}

/* ---- who has what ---- */

static void notify(struct world *world)
{
    for (uint32_t i = 0; i < world->node_count; i++)
        if (world->nodes[i].is_present && world->nodes[i].cut_db == 0 && world->nodes[i].deaf == 0)
            world_send(
                world,
                (struct message){.kind = MESSAGE_NOTICE, .node = i, .life = world->nodes[i].life},
                way(world));
}

static void note_claims(struct world *world)
{
    for (uint16_t lease = 0; lease < LEASE_COUNT; lease++) {
        uint64_t session = world->rows.view.leases[lease].session;
        world->is_released[lease] = world->is_released[lease] || session == 0;
        if (session == 0 || (session == world->owners[lease] && !world->is_released[lease]))
            continue;
        world->was_handed_over[lease] = world->is_released[lease];
        world->is_released[lease] = false;
        world->claimed_before[lease] = world->claimed_at[lease];
        world->claimed_at[lease] = world->now;
        world->owners[lease] = session;
        world->result->cluster.moves++;
        checks_on_claim(world, lease);
    }
}

static void exchange(struct world *world, const struct message *message, bool is_lost)
{
    struct cluster_reply *reply = malloc(sizeof *reply);
    uint64_t changes = world->rows.changes;
    if (reply == NULL) {
        world->is_out_of_memory = true;
        return;
    }
    cluster_rows_exchange(&world->rows, message->data, reply);
    if (changes != world->rows.changes) {
        note_claims(world);
        notify(world);
    }
    if (is_lost) {
        free(reply);
        reply = NULL;
    }
    answer(world, message, MESSAGE_EXCHANGED, reply);
}

/* ---- refreshes and new tokens ---- */

static void append(struct world *world, struct log_entry entry)
{
    size_t count = world->rows.view.log_at;
    if (count == world->log_capacity) {
        size_t capacity = world->log_capacity == 0 ? 65536 : 2 * world->log_capacity;
        struct log_entry *log = realloc(world->log, capacity * sizeof *log);
        if (log == NULL) {
            world->is_out_of_memory = true;
            return;
        }
        world->log = log;
        world->log_capacity = capacity;
    }
    world->log[count] = entry;
    world->rows.view.log_at++;
}

static void write_row(struct world *world, const struct cluster_row *row)
{
    struct cluster_token *token = &world->tokens[row->token];
    if (!cluster_rows_let_in(&world->rows, token->slot, row->generation)) {
        world->result->cluster.fenced++;
        return;
    }
    append(world,
           (struct log_entry){.token = row->token,
                              .fetched_at = instant_add(world->now, duration_us(-row->age.us))});
    if (row->number == token->fetch)
        token->committed_at = world->now;
    else if (row->number > token->fetch)
        checks_complain(world, "token %u was written before it was fetched", row->token);
}

static bool note_origin(struct world *world, uint32_t id, uint64_t origin)
{
    if (id >= world->origins_capacity) {
        size_t capacity = 2 * (size_t)id + 1024;
        uint64_t *origins = realloc(world->origins, capacity * sizeof *origins);
        if (origins == NULL)
            return false;
        world->origins = origins;
        world->origins_capacity = capacity;
    }
    world->origins[id] = origin;
    return true;
}

/* False: the source is another's now. */
static bool write_ids(struct world *world, const struct cluster_write *write)
{
    if (!cluster_rows_let_in(&world->rows, LEASE_SOURCE, write->source_generation)) {
        world->result->cluster.fenced += write->first_id <= write->last_id;
        return false;
    }
    for (uint32_t id = write->first_id; id <= write->last_id; id++) {
        if (id <= world->newest_id && world->origins[id] == write->origin)
            continue; /* written already: the answer was lost */
        if (id != world->newest_id + 1)
            checks_complain(world, "id %u is given, and the newest is %u", id, world->newest_id);
        if (!note_origin(world, id, write->origin)) {
            world->is_out_of_memory = true;
            return false;
        }
        world->newest_id = id;
        world->result->cluster.new_tokens++;
        append(world, (struct log_entry){.token = TOKEN_IDS, .id = id});
    }
    return true;
}

/* One that comes after a newer one of the same process would take things back. */
static void take_write(struct world *world, const struct message *message, bool is_lost)
{
    const struct cluster_write *write = message->data;
    uint64_t *newest =
        &world->sequences[write->session % (sizeof world->sequences / sizeof world->sequences[0])];
    size_t size = sizeof *write + write->count * sizeof write->rows[0];
    bool has_ids = false;
    if (write->sequence > *newest) {
        *newest = write->sequence;
        for (uint32_t i = 0; i < write->count; i++)
            write_row(world, &write->rows[i]);
        has_ids = write_ids(world, write);
        world->result->commits++;
    }
    struct cluster_write *copy = is_lost ? NULL : malloc(size);
    if (copy != NULL) {
        memcpy(copy, write, size);
        copy->last_id = has_ids ? copy->last_id : copy->first_id - 1; /* none is acknowledged */
    }
    answer(world, message, MESSAGE_WRITTEN, copy);
}

static struct cluster_log_part *part_of_log(const struct world *world, uint64_t from)
{
    uint64_t to = world->rows.view.log_at;
    struct cluster_log_part *part =
        calloc(1, sizeof *part + (size_t)(to - from) * sizeof part->rows[0]);
    if (part == NULL)
        return NULL;
    part->to = to;
    part->newest_id = world->newest_id;
    for (uint64_t i = from; i < to; i++) {
        if (world->log[i].token == TOKEN_IDS)
            continue;
        part->rows[part->count].token = world->log[i].token;
        part->rows[part->count++].age = instant_diff(world->now, world->log[i].fetched_at);
    }
    return part;
}

/* ---- the server ---- */

static enum message_kind answer_to(enum message_kind kind)
{
    if (kind == MESSAGE_EXCHANGE)
        return MESSAGE_EXCHANGED;
    return kind == MESSAGE_WRITE ? MESSAGE_WRITTEN : MESSAGE_ROWS;
}

void base_receive(struct world *world, const struct message *message)
{
    bool writes = message->kind != MESSAGE_READ;
    bool is_lost = world->active[CLUSTER_FAULT_LOST] > 0 && prng_unit(&world->prng) < LOST_SHARE;
    if (world->active[CLUSTER_FAULT_DOWN] > 0 ||
        (writes && world->active[CLUSTER_FAULT_READ_ONLY] > 0))
        return answer(world, message, answer_to(message->kind), NULL);
    if (message->kind == MESSAGE_EXCHANGE)
        exchange(world, message, is_lost);
    else if (message->kind == MESSAGE_WRITE)
        take_write(world, message, is_lost);
    else
        answer(world, message, MESSAGE_ROWS, part_of_log(world, message->position));
}

void base_change_setting(struct world *world)
{
    world->rows.view.settings_version++;
    world->setting_at = world->now;
    notify(world);
}
