/* See peers.h. */
#include "api/peers.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define IPV4_NETWORK (0xffffffffULL << 32) /* as one of IPv6 it is nobody's: multicast */

struct peer {
    peer_key key;
    unsigned count;
    struct peer *next; /* of the same bucket */
};

peer_key peer_key_of(const struct sockaddr *address)
{
    struct in6_addr six;
    uint32_t four;
    uint64_t network;
    if (address != NULL && address->sa_family == AF_INET)
        return IPV4_NETWORK | ((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr;
    if (address == NULL || address->sa_family != AF_INET6)
        return 0;
    six = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    memcpy(&four, six.s6_addr + 12, sizeof four);
    memcpy(&network, six.s6_addr, sizeof network);
    return IN6_IS_ADDR_V4MAPPED(&six) ? IPV4_NETWORK | four : network;
}

/* Fibonacci hashing (Knuth, TAOCP 3, 6.4). */
static size_t bucket_of(peer_key key)
{
    return (size_t)(key * 0x9e3779b97f4a7c15ULL >> 32) & (PEER_BUCKETS - 1);
}

static struct peer *find(const struct peers *peers, peer_key key)
{
    struct peer *peer = peers->buckets[bucket_of(key)];
    while (peer != NULL && peer->key != key)
        peer = peer->next;
    return peer;
}

struct peer *peers_enter(struct peers *peers, peer_key key)
{
    struct peer *peer = find(peers, key);
    if (peer == NULL) {
        peer = malloc(sizeof *peer);
        if (peer == NULL)
            return NULL;
        struct peer **bucket = &peers->buckets[bucket_of(key)];
        *peer = (struct peer){.key = key, .next = *bucket};
        *bucket = peer;
    }
    peer->count++;
    return peer;
}

void peers_leave(struct peers *peers, struct peer *peer)
{
    if (peer == NULL || --peer->count > 0)
        return;
    struct peer **at = &peers->buckets[bucket_of(peer->key)];
    while (*at != peer)
        at = &(*at)->next;
    *at = peer->next;
    free(peer);
}

unsigned peers_count(const struct peers *peers, peer_key key)
{
    const struct peer *peer = find(peers, key);
    return peer != NULL ? peer->count : 0;
}
