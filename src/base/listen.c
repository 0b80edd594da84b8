/* See listen.h. */
#include "base/listen.h"

#include "base/options.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTEN_BACKLOG 511
/* A client of HTTP speaks first (RFC 9112), so nobody is woken for one that has not yet: a busy
 * machine would let who was woken for nothing wait for his next turn. Seconds until one that keeps
 * silent is shown all the same, and then timed out as any other. */
#define LISTEN_SILENCE_S 2
#define WHY_SIZE         512

struct listen_parts {
    char host[OPTION_TEXT_SIZE];
    char port[8];
};

static bool split(const char *text, struct listen_parts *out)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || strlen(colon + 1) == 0 || strlen(colon + 1) >= sizeof out->port ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return false;
    size_t length = (size_t)(colon - text);
    bool bracketed = length >= 2 && text[0] == '[' && text[length - 1] == ']';
    const char *host = bracketed ? text + 1 : text;
    length -= bracketed ? 2 : 0;
    if (length == 0 || length >= sizeof out->host || (!bracketed && memchr(host, ':', length)))
        return false;
    memcpy(out->host, host, length);
    out->host[length] = '\0';
    strcpy(out->port, colon + 1);
    return strtol(out->port, NULL, 10) <= UINT16_MAX;
}

bool address_is_loopback(const struct sockaddr *address)
{
    if (address == NULL)
        return false;
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa_family == AF_INET6) {
        const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
    }
    return false;
}

union socket_address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

static uint16_t port_of(const union socket_address *bound)
{
    return ntohs(bound->any.sa_family == AF_INET6 ? bound->six.sin6_port : bound->four.sin_port);
}

static bool bind_one(const struct addrinfo *address, struct listen_socket *out)
{
    out->family = address->ai_family;
    out->fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (out->fd < 0)
        return false;
    int on = 1;
    setsockopt(out->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    int silence_s = LISTEN_SILENCE_S;
    setsockopt(out->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &silence_s, sizeof silence_s);
    union socket_address bound = {0};
    socklen_t size = sizeof bound;
    if (bind(out->fd, address->ai_addr, address->ai_addrlen) == 0 &&
        listen(out->fd, LISTEN_BACKLOG) == 0 && getsockname(out->fd, &bound.any, &size) == 0) {
        out->port = port_of(&bound);
        return true;
    }
    int saved = errno;
    close(out->fd);
    errno = saved;
    return false;
}

static bool bind_first(const char *text, const struct addrinfo *found, bool has_token,
                       struct listen_socket *out, char why[WHY_SIZE])
{
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
        if (!has_token && !address_is_loopback(at->ai_addr)) {
            snprintf(why, WHY_SIZE,
                     "listen = %s can be reached from other machines, which needs api_token: set "
                     "MOONWATCH_API_TOKEN, or listen on 127.0.0.1",
                     text);
            return false;
        }
        if (bind_one(at, out))
            return true;
    }
    snprintf(why, WHY_SIZE, "can't listen on %s: %s", text, strerror(errno));
    return false;
}

bool listen_open(const char *text, bool has_token, struct listen_socket *out, char why[WHY_SIZE])
{
    struct listen_parts parts;
    if (!split(text, &parts)) {
        snprintf(why, WHY_SIZE, "listen = %s is not ADDRESS:PORT, such as 127.0.0.1:8000", text);
        return false;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int failure = getaddrinfo(parts.host, parts.port, &hints, &found);
    /* A machine without a hosts file knows it all the same: RFC 6761, section 6.3. */
    if (failure != 0 && strcasecmp(parts.host, "localhost") == 0)
        failure = getaddrinfo("127.0.0.1", parts.port, &hints, &found);
    if (failure != 0) {
        snprintf(why, WHY_SIZE, "can't listen on %s: %s", text, gai_strerror(failure));
        return false;
    }
    bool bound = bind_first(text, found, has_token, out, why);
    freeaddrinfo(found);
    return bound;
}

bool listen_inherit(int fd, struct listen_socket *out)
{
    int listens = 0;
    socklen_t size = sizeof listens;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0)
        return false;
    union socket_address bound = {0};
    size = sizeof bound;
    if (getsockname(fd, &bound.any, &size) != 0)
        return false;
    *out = (struct listen_socket){fd, bound.any.sa_family, port_of(&bound)};
    return true;
}
