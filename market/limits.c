/* The sliding minute: see limits.h. */
#include "market/limits.h"
#include "market/chance.h"
#include <assert.h>

#define MINUTE_US 60000000

static struct limit_client *find_client(struct limits *limits, uint64_t client, int64_t minute)
{
    uint64_t home = chance_mix(client);
    struct limit_client *stalest = NULL;
    for (unsigned i = 0; i < LIMIT_PROBES; i++) {
        struct limit_client *seen = &limits->clients[(home + i) % LIMIT_CLIENTS_MAX];
        if (seen->client == client)
            return seen;
        if (stalest == NULL || seen->last_minute < stalest->last_minute)
            stalest = seen;
    }
    *stalest = (struct limit_client){.client = client, .last_minute = minute};
    return stalest;
}

static void turn_to(struct limit_count *count, int64_t minute)
{
    if (count->minute == minute)
        return;
    count->previous = count->minute == minute - 1 ? count->present : 0;
    count->present = 0;
    count->minute = minute;
}

bool limits_allow(struct limits *limits, uint64_t client, enum route_kind kind, instant now)
{
    assert(client != 0 && kind < ROUTE_COUNT);
    if (limits->per_minute == 0)
        return true;
    int64_t minute = now.us / MINUTE_US;
    struct limit_client *known = find_client(limits, client, minute);
    struct limit_count *count = &known->counts[kind];
    known->last_minute = minute;
    turn_to(count, minute);
    double still_in = 1 - (double)(now.us % MINUTE_US) / MINUTE_US;
    if (count->previous * still_in + count->present + 1 > limits->per_minute)
        return false;
    count->present++;
    return true;
}
