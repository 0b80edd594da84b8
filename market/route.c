/* Paths: see route.h. */
#include "market/route.h"
#include <string.h>

const char *route_name(enum route_kind kind)
{
    static const char *const names[ROUTE_COUNT] = {
#define X(code, name) [code] = name,
        ROUTE_LIST(X)
#undef X
    };
    return names[kind];
}

static const struct {
    const char *prefix;
    enum route_kind kind;
    bool has_chain;
} forms[] = {{"/tokens/v1/", ROUTE_SCREEN, true},
             {"/latest/dex/pairs/", ROUTE_REFRESH, true},
             {"/token-pairs/v1/", ROUTE_DISCOVER, true},
             {"/latest/dex/tokens/", ROUTE_LEGACY, false}};

static bool is_known(const struct route *route, const struct address *address)
{
    for (unsigned i = 0; i < route->count; i++)
        if (address_equal(&route->addresses[i], address))
            return true;
    return false;
}

static void take_address(struct route *route, const char *text, size_t length)
{
    struct address address;
    if (route->asked++ >= ROUTE_ADDRESSES_MAX)
        route->has_too_many = true;
    else if (address_parse(text, length, &address) && !is_known(route, &address))
        route->addresses[route->count++] = address;
}

static void take_addresses(struct route *route, const char *list)
{
    while (!route->has_too_many) {
        size_t length = strcspn(list, ",");
        take_address(route, list, length);
        if (list[length] == '\0')
            return;
        list += length + 1;
    }
}

/* "solana/…": moves past the chain. False when there is none. */
static bool take_chain(struct route *route, const char **rest)
{
    size_t length = strcspn(*rest, "/");
    if (length == 0 || (*rest)[length] == '\0')
        return false;
    route->is_solana = length == 6 && memcmp(*rest, "solana", 6) == 0;
    *rest += length + 1;
    return true;
}

void route_parse(const char *path, struct route *out)
{
    out->kind = ROUTE_UNKNOWN;
    out->is_solana = true;
    out->has_too_many = false;
    out->asked = out->count = 0;
    if (strcmp(path, "/api/data") == 0) {
        out->kind = ROUTE_STREAM;
        return;
    }
    for (unsigned i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        size_t length = strlen(forms[i].prefix);
        if (strncmp(path, forms[i].prefix, length) != 0)
            continue;
        const char *rest = path + length;
        if (forms[i].has_chain && !take_chain(out, &rest))
            return;
        if (*rest == '\0' || strchr(rest, '/') != NULL)
            return;
        out->kind = forms[i].kind;
        take_addresses(out, rest);
        return;
    }
}
