/* The listening socket: "ADDRESS:PORT", "[V6]:PORT", "NAME:PORT". Port 0 takes a free one. */
#ifndef MOONWATCH_BASE_LISTEN_H
#define MOONWATCH_BASE_LISTEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct listen_socket {
    int fd;
    int family; /* AF_INET or AF_INET6 */
    uint16_t port;
};

/* False with a sentence in `why`, also for an address that is not loopback without a token. */
bool listen_open(const char *text, bool has_token, struct listen_socket *out, char why[512]);

/* A socket that somebody else opened. False: it does not listen. */
bool listen_inherit(int fd, struct listen_socket *out);

bool address_is_loopback(const struct sockaddr *address);

#endif
