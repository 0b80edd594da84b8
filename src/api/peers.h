/*
 * How many of something each client address has. All addresses of an IPv6 network of 64 bits are
 * one client's; an IPv4 address is the same however it is written.
 *
 * One thread's. Memory is as much as there are addresses that have some.
 */
#ifndef MOONWATCH_API_PEERS_H
#define MOONWATCH_API_PEERS_H

#include <stdint.h>
#include <sys/socket.h>

#define PEER_BUCKETS 1024 /* a power of two; connections are a few thousand at most */

/* What tells a client from others; 0: not known. */
typedef uint64_t peer_key;
peer_key peer_key_of(const struct sockaddr *address);

struct peer;
struct peers {
    struct peer *buckets[PEER_BUCKETS]; /* zeroed: nobody has any */
};

/* One more of `key`'s. NULL: no memory; then it is not counted. */
struct peer *peers_enter(struct peers *peers, peer_key key);
/* One fewer; NULL: it was not counted. */
void peers_leave(struct peers *peers, struct peer *peer);
unsigned peers_count(const struct peers *peers, peer_key key);

#endif
