/* See guard.h. */
#include "api/guard.h"

#include "base/listen.h"

#include "api/answer.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

/* The name in "name", "name:port", "[v6]" or "[v6]:port". False: it is none of these. */
static bool host_name(const char *host, char out[INET6_ADDRSTRLEN])
{
    bool bracketed = host[0] == '[';
    host += bracketed ? 1 : 0;
    size_t length = strcspn(host, bracketed ? "]" : ":");
    if (length == 0 || length >= INET6_ADDRSTRLEN)
        return false;
    memcpy(out, host, length);
    out[length] = '\0';
    host += length;
    if (bracketed && *host++ != ']')
        return false;
    if (*host == '\0')
        return true;
    return host[0] == ':' && host[strspn(host + 1, "0123456789") + 1] == '\0';
}

bool host_is_loopback(const char *host)
{
    char name[INET6_ADDRSTRLEN];
    if (host == NULL || !host_name(host, name))
        return false;
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, name, &v4.sin_addr) == 1)
        return address_is_loopback((struct sockaddr *)&v4);
    if (host[0] == '[' && inet_pton(AF_INET6, name, &v6.sin6_addr) == 1)
        return address_is_loopback((struct sockaddr *)&v6);
    return strcasecmp(name, "localhost") == 0;
}

bool origin_is_same(const char *origin, const char *host)
{
    static const char scheme[] = "http://";
    if (strncasecmp(origin, scheme, sizeof scheme - 1) != 0)
        return false;
    /* Browsers leave port 80 out of both headers. */
    return strcasecmp(origin + sizeof scheme - 1, host) == 0;
}

bool secret_equal(const char *secret, const char *candidate)
{
    char padded[2][OPTION_TEXT_SIZE] = {{0}};
    size_t length = strlen(candidate);
    unsigned difference = length >= OPTION_TEXT_SIZE;
    memcpy(padded[0], secret, strnlen(secret, OPTION_TEXT_SIZE - 1));
    memcpy(padded[1], candidate, difference ? OPTION_TEXT_SIZE - 1 : length);
    for (size_t i = 0; i < OPTION_TEXT_SIZE; i++)
        difference |= (unsigned)(padded[0][i] ^ padded[1][i]) & 0xff;
    volatile unsigned result = difference;
    return result == 0;
}

static const char *header(struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

static void refuse_token(struct request *request, const char *why)
{
    refuse(request, MHD_HTTP_UNAUTHORIZED, "%s", why);
    if (request->response != NULL)
        MHD_add_response_header(request->response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
}

static bool bearer_is_right(struct request *request, const char *secret)
{
    static const char scheme[] = "Bearer ";
    const char *sent = header(request, MHD_HTTP_HEADER_AUTHORIZATION);
    if (sent == NULL || strncasecmp(sent, scheme, sizeof scheme - 1) != 0) {
        refuse_token(request, "writing needs 'Authorization: Bearer …' with the API token");
        return false;
    }
    if (!secret_equal(secret, sent + sizeof scheme - 1)) {
        refuse_token(request, "this is not the API token");
        return false;
    }
    return true;
}

struct header_count {
    const char *name;
    unsigned found;
};

static enum MHD_Result count_header(void *context, enum MHD_ValueKind kind, const char *key,
                                    const char *value)
{
    (void)kind, (void)value;
    struct header_count *count = context;
    count->found += strcasecmp(key, count->name) == 0;
    return MHD_YES;
}

static bool is_single(struct request *request, const char *name)
{
    struct header_count count = {.name = name};
    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, count_header, &count);
    return count.found <= 1;
}

static bool is_local(struct request *request)
{
    const union MHD_ConnectionInfo *peer =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (peer == NULL || !address_is_loopback(peer->client_addr)) {
        refuse(request, MHD_HTTP_FORBIDDEN,
               "without an API token only this machine may write; set MOONWATCH_API_TOKEN");
        return false;
    }
    const char *host = header(request, MHD_HTTP_HEADER_HOST);
    if (!is_single(request, MHD_HTTP_HEADER_HOST) || !host_is_loopback(host)) {
        refuse(request, MHD_HTTP_FORBIDDEN,
               "without an API token, writes need a loopback name as Host, such as localhost; "
               "set MOONWATCH_API_TOKEN to write through another name");
        return false;
    }
    const char *origin = header(request, "Origin");
    if (!is_single(request, "Origin") || (origin != NULL && !origin_is_same(origin, host))) {
        refuse(request, MHD_HTTP_FORBIDDEN, "pages of another origin may not write");
        return false;
    }
    return true;
}

bool guard_allows_write(struct request *request)
{
    const char *secret = request->api->options.api_token;
    return secret[0] != '\0' ? bearer_is_right(request, secret) : is_local(request);
}
