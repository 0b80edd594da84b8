#include "feed/dexscreener_url.h"
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *path;
    size_t addresses_max;
} routes[LANE_KIND_COUNT] = {
    [LANE_REFRESH] = {"/latest/dex/pairs/", REQUEST_ADDRESSES_MAX},
    [LANE_SCREEN] = {"/tokens/v1/", REQUEST_ADDRESSES_MAX},
    [LANE_DISCOVER] = {"/token-pairs/v1/", 1},
};

static bool is_chain_name(const char *chain)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";
    return chain[0] != '\0' && chain[strspn(chain, letters)] == '\0';
}

/* NULL where the URL has no such part. The caller frees it with curl_free(). */
static char *url_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    return curl_url_get(url, part, &text, 0) == CURLUE_OK ? text : NULL;
}

/* What is wrong with the parts of a URL, as the end of a sentence; NULL when nothing is. */
static const char *take_parts(struct dexscreener_base *base, CURLU *url)
{
    char *scheme = url_part(url, CURLUPART_SCHEME), *host = url_part(url, CURLUPART_HOST);
    char *port = url_part(url, CURLUPART_PORT), *query = url_part(url, CURLUPART_QUERY);
    char *fragment = url_part(url, CURLUPART_FRAGMENT);
    const char *complaint = NULL;

    if (scheme == NULL || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
        complaint = "is neither http:// nor https://";
    else if (host == NULL || host[0] == '\0')
        complaint = "names no host";
    else if (query != NULL || fragment != NULL)
        complaint = "must end with its path: no ? and no #";
    else
        snprintf(base->origin, sizeof(base->origin), "%s://%s%s%s", scheme, host,
                 port != NULL ? ":" : "", port != NULL ? port : "");
    base->is_tls = complaint == NULL && strcmp(scheme, "https") == 0;
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(query);
    curl_free(fragment);
    return complaint;
}

enum err dexscreener_base_init(struct dexscreener_base *base, const struct options *options,
                               char why[OPTION_MESSAGE_SIZE])
{
    *base = (struct dexscreener_base){0};
    if (!is_chain_name(options->chain)) {
        snprintf(why, OPTION_MESSAGE_SIZE,
                 "chain must be lower-case letters, digits, - and _, as in the upstream's paths");
        return ERR_INVALID;
    }
    CURLU *url = curl_url();
    if (url == NULL) {
        snprintf(why, OPTION_MESSAGE_SIZE, "out of memory");
        return ERR_NO_MEMORY;
    }
    const char *complaint = "is no URL";
    if (curl_url_set(url, CURLUPART_URL, options->feed, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK)
        complaint = take_parts(base, url);
    curl_url_cleanup(url);
    if (complaint != NULL) {
        snprintf(why, OPTION_MESSAGE_SIZE, "feed %s; it is like https://api.dexscreener.com",
                 complaint);
        return ERR_INVALID;
    }
    snprintf(base->url, sizeof(base->url), "%s", options->feed);
    for (size_t end = strlen(base->url); end > 0 && base->url[end - 1] == '/'; end--)
        base->url[end - 1] = '\0';
    snprintf(base->chain, sizeof(base->chain), "%s", options->chain);
    return OK;
}

enum err dexscreener_url(const struct dexscreener_base *base, enum lane_kind kind,
                         const struct address *addresses, size_t count,
                         char out[DEXSCREENER_URL_SIZE])
{
    if (count == 0 || count > routes[kind].addresses_max)
        return ERR_INVALID;
    int used =
        snprintf(out, DEXSCREENER_URL_SIZE, "%s%s%s", base->url, routes[kind].path, base->chain);
    char *at = out + used;
    for (size_t i = 0; i < count; i++) {
        *at++ = i == 0 ? '/' : ',';
        at += address_format(&addresses[i], at);
    }
    return OK;
}
