/*
 * What an HTTP reply of the upstream means before its JSON is looked at. Pure.
 *
 * The upstream stands behind Cloudflare, which answers in its place: over the limit with status
 * 429 or "error code: 1015" as text or HTML under whatever status, to suspects with a challenge
 * page.
 * https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-1xxx-errors/
 */
#ifndef MOONWATCH_FEED_REPLY_H
#define MOONWATCH_FEED_REPLY_H

#include "base/time.h"
#include "core/outcome.h"
#include <stdbool.h>
#include <stddef.h>

/* Pages say what they are near their beginning. */
#define REPLY_SCAN_MAX ((size_t)64 * 1024)

/* A server that asks for more rest than this is taken to mean this. */
#define RETRY_AFTER_MAX_S 86400

struct reply {
    int status;
    bool is_challenge; /* the header "cf-mitigated: challenge" came */
    const char *body;
    size_t length;
};

/* FEED_OK: status 200 and no page of Cloudflare's; whether it is JSON is the parser's business. */
enum feed_outcome reply_judge(const struct reply *reply);

/* Does a text speak of Cloudflare's error 1015? */
bool reply_is_rate_limit(const char *body, size_t length);

/* Retry-After: seconds or an HTTP date (RFC 9110, section 10.2.3), as a span from `now`; a date
 * that has passed is 0. False: neither. `value` ends with a NUL. */
bool retry_after_parse(const char *value, instant now, duration *out);

#endif
