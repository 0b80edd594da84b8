/* The opening handshake; see handshake.h. */
#include "feed/handshake.h"
#include "base/text.h"
#include <ctype.h>
#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Section 1.3 of the RFC. */
#define HANDSHAKE_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

struct span {
    const char *text;
    size_t length;
};

/* --- The URL ---------------------------------------------------------------------------------- */

static char *url_part(CURLU *parts, CURLUPart part)
{
    char *text = NULL;
    return curl_url_get(parts, part, &text, 0) == CURLUE_OK ? text : NULL;
}

static bool url_write(const char *scheme, CURLU *parts, struct handshake_url *out)
{
    bool secure = strcmp(scheme, "wss") == 0;
    const char *usual = secure ? "443" : "80";
    char *host = url_part(parts, CURLUPART_HOST);
    char *port = url_part(parts, CURLUPART_PORT);
    char *path = url_part(parts, CURLUPART_PATH);
    char *query = url_part(parts, CURLUPART_QUERY);
    bool fits = false;
    if (host && path) {
        const char *number = port ? port : usual;
        bool is_usual = strcmp(number, usual) == 0;
        const int sizes[] = {
            snprintf(out->connect, sizeof out->connect, "%s://%s:%s/", secure ? "https" : "http",
                     host, number),
            snprintf(out->host, sizeof out->host, "%s%s%s", host, is_usual ? "" : ":",
                     is_usual ? "" : number),
            snprintf(out->target, sizeof out->target, "%s%s%s", path, query ? "?" : "",
                     query ? query : ""),
            snprintf(out->shown, sizeof out->shown, "%s://%s%s%s%s", scheme, host,
                     is_usual ? "" : ":", is_usual ? "" : number, path),
        };
        fits = true;
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            fits = fits && sizes[i] > 0 && sizes[i] < HANDSHAKE_URL_TEXT_MAX;
        }
    }
    curl_free(host);
    curl_free(port);
    curl_free(path);
    curl_free(query);
    return fits;
}

static bool has_part(CURLU *parts, CURLUPart part)
{
    char *text = url_part(parts, part);
    bool has = text != NULL;
    curl_free(text);
    return has;
}

/* NULL when the URL can be used. */
static const char *url_complaint(CURLU *parts, const char *url, struct handshake_url *out)
{
    if (curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE) !=
        CURLUE_OK) {
        return "is no URL";
    }
    if (has_part(parts, CURLUPART_FRAGMENT)) {
        return "has a fragment (#…), which a WebSocket URL must not";
    }
    if (has_part(parts, CURLUPART_USER) || has_part(parts, CURLUPART_PASSWORD)) {
        return "has a user or password, which is not supported";
    }
    char *scheme = url_part(parts, CURLUPART_SCHEME);
    const char *complaint = NULL;
    if (!scheme || (strcmp(scheme, "ws") != 0 && strcmp(scheme, "wss") != 0)) {
        complaint = "has another scheme than ws and wss";
    } else if (!url_write(scheme, parts, out)) {
        complaint = "has no host, or is too long";
    }
    curl_free(scheme);
    return complaint;
}

enum err handshake_url_parse(const char *url, struct handshake_url *out, char why[512])
{
    CURLU *parts = curl_url();
    if (!parts) {
        snprintf(why, 512, "out of memory");
        return ERR_NO_MEMORY;
    }
    const char *complaint = url_complaint(parts, url, out);
    curl_url_cleanup(parts);
    if (complaint) {
        /* Not the whole URL: keys travel in queries, passwords before an @. */
        bool is_shown = strchr(url, '@') == NULL;
        snprintf(why, 512, "source \"%.*s\" %s", is_shown ? (int)strcspn(url, "?#") : 0, url,
                 complaint);
        return ERR_INVALID;
    }
    return OK;
}

/* --- The request ------------------------------------------------------------------------------ */

/* In base64. Without libcrypto, of which the log tells, "": nobody accepts that. */
static void encode(const uint8_t *bytes, int length, char *out)
{
    if (EVP_EncodeBlock((unsigned char *)out, bytes, length) < 0)
        out[0] = '\0';
}

void handshake_key_format(const uint8_t random[HANDSHAKE_KEY_BYTES], char out[HANDSHAKE_KEY_TEXT])
{
    encode(random, HANDSHAKE_KEY_BYTES, out);
}

void handshake_accept(const char *key, char out[HANDSHAKE_ACCEPT_TEXT])
{
    char text[HANDSHAKE_KEY_TEXT + sizeof HANDSHAKE_GUID];
    uint8_t digest[SHA_DIGEST_LENGTH] = {0};
    int length = snprintf(text, sizeof text, "%s%s", key, HANDSHAKE_GUID);
    SHA1((const unsigned char *)text, (size_t)length, digest);
    encode(digest, sizeof digest, out);
}

size_t handshake_request(const struct handshake_url *url, const char *key,
                         char out[HANDSHAKE_REQUEST_MAX])
{
    int length = snprintf(out, HANDSHAKE_REQUEST_MAX,
                          "GET %s HTTP/1.1\r\n"
                          "Host: %s\r\n"
                          "Upgrade: websocket\r\n"
                          "Connection: Upgrade\r\n"
                          "Sec-WebSocket-Key: %s\r\n"
                          "Sec-WebSocket-Version: 13\r\n"
                          "User-Agent: moonwatch/" MOONWATCH_VERSION "\r\n"
                          "\r\n",
                          url->target, url->host, key);
    return length > 0 && length < HANDSHAKE_REQUEST_MAX ? (size_t)length : 0;
}

/* --- The answer ------------------------------------------------------------------------------- */

static enum handshake_result broken(struct handshake_answer *out, const char *what)
{
    text_copy(out->detail, sizeof out->detail, what, strlen(what));
    return HANDSHAKE_BROKEN;
}

static struct span trim(struct span span)
{
    while (span.length > 0 && (*span.text == ' ' || *span.text == '\t')) {
        span.text++;
        span.length--;
    }
    while (span.length > 0 &&
           (span.text[span.length - 1] == ' ' || span.text[span.length - 1] == '\t')) {
        span.length--;
    }
    return span;
}

static bool span_is(struct span span, const char *word)
{
    return span.length == strlen(word) && strncasecmp(span.text, word, span.length) == 0;
}

/* Is `word` one of the comma-separated values? */
static bool list_has(struct span list, const char *word)
{
    while (list.length > 0) {
        const char *comma = memchr(list.text, ',', list.length);
        size_t length = comma ? (size_t)(comma - list.text) : list.length;
        if (span_is(trim((struct span){list.text, length}), word)) {
            return true;
        }
        size_t step = comma ? length + 1 : length;
        list.text += step;
        list.length -= step;
    }
    return false;
}

/* What the headers said, as far as the protocol asks. */
struct seen {
    bool upgrade, connection, accept;
    const char *forbidden; /* an extension or subprotocol that we did not ask for */
    struct span location;
};

static int64_t parse_retry_after(struct span value)
{
    int64_t seconds = 0;
    if (value.length == 0) {
        return -1;
    }
    for (size_t i = 0; i < value.length; i++) {
        if (value.text[i] < '0' || value.text[i] > '9') {
            return -1;
        }
        seconds = seconds * 10 + (value.text[i] - '0');
        if (seconds > HANDSHAKE_RETRY_MAX_S) {
            return HANDSHAKE_RETRY_MAX_S;
        }
    }
    return seconds;
}

static const char *see_accept(struct span value, const char *accept, struct seen *seen)
{
    if (seen->accept) {
        return "Sec-WebSocket-Accept came twice";
    }
    if (value.length != strlen(accept) || memcmp(value.text, accept, value.length) != 0) {
        return "Sec-WebSocket-Accept does not belong to our key";
    }
    seen->accept = true;
    return NULL;
}

/* NULL, or what is wrong with the line. */
static const char *see_header(struct span line, const char *accept, struct seen *seen,
                              struct handshake_answer *out)
{
    const char *colon = memchr(line.text, ':', line.length);
    if (!colon || colon == line.text || *line.text == ' ' || *line.text == '\t') {
        return "a header line without a name";
    }
    struct span name = {line.text, (size_t)(colon - line.text)};
    struct span value = trim((struct span){colon + 1, line.length - name.length - 1});
    if (span_is(name, "Upgrade")) {
        seen->upgrade = seen->upgrade || list_has(value, "websocket");
    } else if (span_is(name, "Connection")) {
        seen->connection = seen->connection || list_has(value, "upgrade");
    } else if (span_is(name, "Sec-WebSocket-Accept") && out->status == 101) {
        return see_accept(value, accept, seen);
    } else if (span_is(name, "Sec-WebSocket-Extensions") && value.length > 0) {
        seen->forbidden = "the server uses an extension that was not asked for";
    } else if (span_is(name, "Sec-WebSocket-Protocol") && value.length > 0) {
        seen->forbidden = "the server uses a subprotocol that was not asked for";
    } else if (span_is(name, "Retry-After")) {
        out->retry_after_s = parse_retry_after(value);
    } else if (span_is(name, "Location")) {
        seen->location = value;
    }
    return NULL;
}

/* "HTTP/1.1 101 Switching Protocols" */
static bool parse_status(struct span line, struct handshake_answer *out)
{
    if (line.length < 12 || memcmp(line.text, "HTTP/1.", 7) != 0 ||
        (line.text[7] != '0' && line.text[7] != '1') || line.text[8] != ' ' ||
        (line.length > 12 && line.text[12] != ' ')) {
        return false;
    }
    int status = 0;
    for (int i = 9; i < 12; i++) {
        if (line.text[i] < '0' || line.text[i] > '9') {
            return false;
        }
        status = status * 10 + (line.text[i] - '0');
    }
    out->status = status;
    return status >= 100;
}

static const char *status_meaning(int status)
{
    switch (status) {
    case 401:
    case 403:
        return " (forbidden: this address or key is not let in)";
    case 404:
        return " (no WebSocket at this path)";
    case 426:
        return " (the server wants another protocol version)";
    case 429:
        return " (too many connections or attempts from this address)";
    default:
        return status >= 500 ? " (the server's own trouble)" : "";
    }
}

static enum handshake_result refused(struct handshake_answer *out, const struct seen *seen)
{
    char text[HANDSHAKE_DETAIL_SIZE];
    int length;
    if (out->status >= 300 && out->status < 400) {
        length =
            snprintf(text, sizeof text,
                     "the server answers %d: a redirect to %.*s; "
                     "redirects are not followed, put the new address into `source`",
                     out->status, (int)(seen->location.length < 96 ? seen->location.length : 96),
                     seen->location.length ? seen->location.text : "");
    } else {
        length = snprintf(text, sizeof text, "the server answers %d%s", out->status,
                          status_meaning(out->status));
    }
    size_t used = (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
    text_copy(out->detail, sizeof out->detail, text, used);
    return HANDSHAKE_REFUSED;
}

static enum handshake_result judge(struct handshake_answer *out, const struct seen *seen)
{
    if (out->status != 101) {
        return refused(out, seen);
    }
    if (!seen->upgrade) {
        return broken(out, "status 101 without \"Upgrade: websocket\"");
    }
    if (!seen->connection) {
        return broken(out, "status 101 without \"Connection: Upgrade\"");
    }
    if (!seen->accept) {
        return broken(out, "status 101 without Sec-WebSocket-Accept");
    }
    if (seen->forbidden) {
        return broken(out, seen->forbidden);
    }
    return HANDSHAKE_ACCEPTED;
}

/* The next line without its CRLF; false at the end of the head. */
static bool next_line(const char **at, const char *end, struct span *line)
{
    const char *newline = memmem(*at, (size_t)(end - *at), "\r\n", 2);
    if (!newline || newline == *at) {
        return false;
    }
    *line = (struct span){*at, (size_t)(newline - *at)};
    *at = newline + 2;
    return true;
}

static enum handshake_result parse_head(const char *bytes, const char *accept,
                                        struct handshake_answer *out)
{
    const char *at = bytes;
    const char *end = bytes + out->length;
    struct span line;
    struct seen seen = {0};
    if (!next_line(&at, end, &line) || !parse_status(line, out)) {
        return broken(out, "the answer is no HTTP/1.1");
    }
    for (int count = 0; next_line(&at, end, &line); count++) {
        const char *wrong = count < HANDSHAKE_HEADERS_MAX ? see_header(line, accept, &seen, out)
                                                          : "too many header lines";
        if (wrong) {
            return broken(out, wrong);
        }
    }
    return judge(out, &seen);
}

enum handshake_result handshake_parse(const char *bytes, size_t length, const char *accept,
                                      struct handshake_answer *out)
{
    static const char http[] = "HTTP/1.";
    *out = (struct handshake_answer){.retry_after_s = -1};
    size_t looked = length < sizeof http - 1 ? length : sizeof http - 1;
    if (memcmp(bytes, http, looked) != 0) {
        return broken(out, "the answer is no HTTP/1.1");
    }
    size_t limit = length < HANDSHAKE_ANSWER_MAX ? length : HANDSHAKE_ANSWER_MAX;
    const char *end = memmem(bytes, limit, "\r\n\r\n", 4);
    if (!end) {
        return limit == HANDSHAKE_ANSWER_MAX ? broken(out, "the answer's head has no end")
                                             : HANDSHAKE_MORE;
    }
    out->length = (size_t)(end - bytes) + 4;
    if (memchr(bytes, '\0', out->length)) {
        return broken(out, "a NUL byte in the answer's head");
    }
    return parse_head(bytes, accept, out);
}
