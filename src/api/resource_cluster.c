/* GET /health/cluster: this daemon as one of several nodes, the others, and who works on what. */
#include "api/handlers.h"
#include "api/health_json.h"
#include "api/token_json.h"
#include <math.h>

#define HOW_TO_JOIN                                                                                \
    "This daemon is alone on its database. To let several share their tokens, keep them on a "     \
    "PostgreSQL server and start each with a name of its own: --db "                               \
    "postgresql://…/moonwatch?node=NAME (docs/cluster.md)."

struct cluster_look {
    struct json *json;
    const struct page_cluster *cluster;
    instant now;
};

static double seconds_since(instant then, instant now)
{
    return instant_is_never(then) ? NAN : duration_to_s(instant_diff(now, then));
}

/* ---- this node ---- */

static void json_node(const struct cluster_look *look)
{
    const struct page_cluster *cluster = look->cluster;
    bool is_valid = instant_before(look->now, cluster->valid_until);
    double left_s = duration_to_s(instant_diff(cluster->valid_until, look->now));
    json_object_open(look->json, "node");
    json_text(look->json, "name", cluster->name);
    json_put_int(look->json, "session", (int64_t)cluster->session);
    json_put_string(look->json, "state", node_state_name((enum node_state)cluster->state));
    json_instant(look->json, "since", cluster->since);
    json_instant(look->json, "looked_at", cluster->looked_at);
    json_put_bool(look->json, "holds_source", cluster->holds_source != 0);
    json_put_double(look->json, "lease_seconds", cluster->lease_s);
    json_put_double(look->json, "lease_left_seconds", is_valid ? left_s : 0);
    json_put_int(look->json, "tokens", (int64_t)cluster->tokens);
    json_put_int(look->json, "own_tokens", (int64_t)cluster->own);
    json_object_close(look->json);
}

static void json_exchanges(const struct cluster_look *look)
{
    const struct page_cluster *cluster = look->cluster;
    json_object_open(look->json, "exchanges");
    json_put_int(look->json, "total", (int64_t)cluster->exchanges);
    json_put_int(look->json, "failed", (int64_t)cluster->failures);
    json_put_double(look->json, "answered_seconds_ago",
                    seconds_since(cluster->answered_at, look->now));
    json_instant(look->json, "failed_at", cluster->failed_at);
    json_text(look->json, "failure", cluster->message);
    json_put_int(look->json, "lapses", (int64_t)cluster->lapses);
    json_put_int(look->json, "sessions", (int64_t)cluster->sessions);
    json_put_int(look->json, "sessions_ended", (int64_t)cluster->ended);
    json_put_int(look->json, "claimed", (int64_t)cluster->claimed);
    json_put_int(look->json, "released", (int64_t)cluster->released);
    json_put_int(look->json, "lost", (int64_t)cluster->lost);
    json_object_close(look->json);
}

static void json_following(const struct cluster_look *look)
{
    const struct page_cluster *cluster = look->cluster;
    json_object_open(look->json, "following");
    json_put_int(look->json, "rounds", (int64_t)cluster->rounds);
    json_put_double(look->json, "behind_seconds", cluster->behind_s);
    json_put_int(look->json, "followed", (int64_t)cluster->followed);
    json_put_int(look->json, "ignored", (int64_t)cluster->ignored);
    json_put_int(look->json, "writes_refused", (int64_t)cluster->fenced);
    json_put_int(look->json, "orders_forwarded", (int64_t)cluster->forwarded);
    json_put_int(look->json, "orders_done", (int64_t)cluster->ordered);
    json_object_close(look->json);
}

/* ---- who works on what ---- */

static void json_member_number(struct json *json, const char *key, uint32_t member)
{
    if (member == PAGE_SLOT_FREE)
        json_put_null(json, key);
    else
        json_put_int(json, key, member);
}

static void json_run(struct json *json, uint32_t owner, unsigned length)
{
    json_array_open(json, NULL);
    json_member_number(json, NULL, owner);
    json_put_int(json, NULL, length);
    json_array_close(json);
}

/* As runs: [0,512] is 512 slots of member 0, [null,4] are 4 that nobody has. */
static void json_owners(const struct cluster_look *look)
{
    const uint8_t *owners = look->cluster->owners;
    json_array_open(look->json, "owners");
    for (unsigned from = 0, to; from < MINT_SLOTS; from = to) {
        for (to = from; to < MINT_SLOTS && owners[to] == owners[from];)
            to++;
        json_run(look->json, owners[from], to - from);
    }
    json_array_close(look->json);
}

static void json_slots(const struct cluster_look *look)
{
    const struct page_cluster *cluster = look->cluster;
    json_object_open(look->json, "slots");
    json_put_int(look->json, "total", MINT_SLOTS);
    json_put_int(look->json, "mine", cluster->mine);
    json_put_int(look->json, "catching_up", cluster->catching_up);
    json_put_int(look->json, "draining", cluster->draining);
    json_put_int(look->json, "releasing", cluster->releasing);
    json_put_int(look->json, "others", cluster->others);
    json_put_int(look->json, "free", cluster->free);
    json_put_int(look->json, "unowned", cluster->unowned);
    json_put_double(look->json, "free_seconds", cluster->free_s);
    json_owners(look);
    json_object_close(look->json);
}

static void json_source(const struct cluster_look *look)
{
    json_object_open(look->json, "source");
    json_member_number(look->json, "member", look->cluster->source);
    json_put_double(look->json, "free_seconds", look->cluster->source_free_s);
    json_object_close(look->json);
}

static void json_member(const struct cluster_look *look, uint32_t i)
{
    const struct page_node *member = &look->cluster->members[i];
    json_object_open(look->json, NULL);
    json_text(look->json, "name", member->name);
    json_put_int(look->json, "session", (int64_t)member->session);
    json_put_bool(look->json, "is_self", member->is_self != 0);
    json_put_bool(look->json, "is_leaving", member->is_leaving != 0);
    json_put_bool(look->json, "holds_source", look->cluster->source == i);
    json_put_int(look->json, "capacity_per_second", member->capacity);
    json_put_double(look->json, "share", cluster_share(look->cluster, i));
    json_put_int(look->json, "slots", member->slots);
    json_put_double(look->json, "renewed_seconds_ago", member->silent_s);
    json_put_double(look->json, "clock_offset_seconds", member->clock_offset_s);
    json_object_close(look->json);
}

static void json_members(const struct cluster_look *look)
{
    json_array_open(look->json, "members");
    for (uint32_t i = 0; i < look->cluster->count; i++)
        json_member(look, i);
    json_array_close(look->json);
}

/* ---- the whole ---- */

static void json_nothing(struct json *json)
{
    static const char *const keys[] = {"node", "exchanges", "following", "slots", "source"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        json_put_null(json, keys[i]);
    json_array_open(json, "members");
    json_array_close(json);
}

void json_cluster(const struct health_page *health)
{
    struct page_cluster cluster;
    struct cluster_look look = {health->json, &cluster, health->now};
    bool is_known = cluster_read(health->page, &cluster);
    bool is_alone = is_known && cluster.state == NODE_ALONE;
    if (is_known)
        json_put_bool(health->json, "alone", is_alone);
    else
        json_put_null(health->json, "alone");
    json_put_string(health->json, "how_to_join", is_alone ? HOW_TO_JOIN : NULL);
    if (!is_known || is_alone) {
        json_nothing(health->json);
        return;
    }
    json_node(&look);
    json_exchanges(&look);
    json_following(&look);
    json_slots(&look);
    json_source(&look);
    json_members(&look);
}

void handle_cluster(struct request *request)
{
    answer_health(request, COMPONENT_BIT(COMPONENT_CLUSTER), json_cluster);
}
