#include "feed/transfer.h"
#include "base/clock.h"
#include "feed/reply.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CAPACITY_MIN      ((size_t)16 * 1024)
#define HEADER_VALUE_SIZE 128
#define KEEPALIVE_S       30L
#define RECEIVE_BYTES     (64L * 1024) /* a whole answer as a rule; over 128 it would be mapped */

/* ---- libcurl's callbacks; returning less than was given ends the transfer ---- */

static int on_prerequest(void *context, char *remote_ip, char *local_ip, int remote_port,
                         int local_port)
{
    struct transfer *transfer = context;
    (void)remote_ip;
    (void)local_ip;
    (void)remote_port;
    (void)local_port;
    if (!transfer->settings->on_sent(transfer->owner)) {
        transfer->broken_by = FEED_CANCELLED;
        return CURL_PREREQFUNC_ABORT;
    }
    transfer->sent_at = clock_now();
    return CURL_PREREQFUNC_OK;
}

static int on_socket_made(void *context, curl_socket_t socket, curlsocktype purpose)
{
    struct transfer *transfer = context;
    (void)purpose;
    transfer->settings->on_connection(transfer->owner, socket);
    return CURL_SOCKOPT_OK;
}

static enum err reserve(struct transfer *transfer, size_t length)
{
    if (length <= transfer->capacity)
        return OK;
    size_t capacity = transfer->capacity > 0 ? transfer->capacity : CAPACITY_MIN;
    while (capacity < length)
        capacity *= 2;
    char *body = realloc(transfer->body, capacity + transfer->settings->padding);
    if (body == NULL)
        return ERR_NO_MEMORY;
    transfer->body = body;
    transfer->capacity = capacity;
    return OK;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    size_t length = size * count;
    transfer->wire_bytes += length;
    if (length > transfer->settings->body_limit - transfer->length ||
        reserve(transfer, transfer->length + length) != OK) {
        transfer->broken_by = FEED_TOO_LARGE;
        return 0;
    }
    memcpy(transfer->body + transfer->length, bytes, length);
    transfer->length += length;
    memset(transfer->body + transfer->length, 0, transfer->settings->padding);
    return length;
}

/* A status line begins a reply: what an interim one (100, 103) said is void. */
static void begin_reply(struct transfer *transfer)
{
    transfer->encoding[0] = '\0';
    transfer->is_challenge = false;
    transfer->has_retry_after = false;
}

/* The value of header `name` when `line` is one; trimmed, cut to fit. */
static bool header_value(const char *line, size_t length, const char *name,
                         char out[HEADER_VALUE_SIZE])
{
    size_t at = strlen(name);
    if (length <= at || strncasecmp(line, name, at) != 0 || line[at] != ':')
        return false;
    at++;
    while (at < length && isspace((unsigned char)line[at]))
        at++;
    while (length > at && isspace((unsigned char)line[length - 1]))
        length--;
    size_t taken = length - at < HEADER_VALUE_SIZE ? length - at : HEADER_VALUE_SIZE - 1;
    memcpy(out, line + at, taken);
    out[taken] = '\0';
    return true;
}

static void take_header(struct transfer *transfer, const char *line, size_t length)
{
    char value[HEADER_VALUE_SIZE];
    if (length > 5 && memcmp(line, "HTTP/", 5) == 0) {
        begin_reply(transfer);
    } else if (header_value(line, length, "content-encoding", value)) {
        for (size_t i = 0; value[i] != '\0'; i++)
            value[i] = (char)tolower((unsigned char)value[i]);
        snprintf(transfer->encoding, sizeof(transfer->encoding), "%.*s",
                 (int)sizeof(transfer->encoding) - 1, value);
    } else if (header_value(line, length, "retry-after", value)) {
        transfer->has_retry_after = retry_after_parse(value, clock_now(), &transfer->retry_after);
    } else if (header_value(line, length, "cf-mitigated", value)) {
        transfer->is_challenge = strcasecmp(value, "challenge") == 0;
    }
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    size_t length = size * count;
    transfer->wire_bytes += length;
    transfer->header_bytes += length;
    if (transfer->header_bytes > TRANSFER_HEADERS_MAX) {
        transfer->broken_by = FEED_TOO_LARGE;
        return 0;
    }
    take_header(transfer, line, length);
    return length;
}

/* ---- life ---- */

static bool set_callbacks(struct transfer *transfer)
{
    CURL *easy = transfer->easy;
    bool is_set = true;
    is_set &= curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_prerequest) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket_made) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, transfer) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION,
                               transfer->settings->close_socket) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, transfer->settings->close_context) ==
              CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error) == CURLE_OK;
    return is_set;
}

static bool set_protocol(struct transfer *transfer)
{
    CURL *easy = transfer->easy;
    bool is_set = true;
    const struct transfer_settings *settings = transfer->settings;
    is_set &= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, settings->http_version) == CURLE_OK;
    /* Wait for a connection that can be shared rather than open another. */
    is_set &=
        curl_easy_setopt(easy, CURLOPT_PIPEWAIT,
                         settings->http_version == CURL_HTTP_VERSION_1_1 ? 0L : 1L) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, settings->headers) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_USERAGENT, "moonwatch/" MOONWATCH_VERSION) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK;
    if (settings->base_url != NULL)
        is_set &= curl_easy_setopt(easy, CURLOPT_URL, settings->base_url) == CURLE_OK;
    if (settings->ca_file != NULL)
        is_set &= curl_easy_setopt(easy, CURLOPT_CAINFO, settings->ca_file) == CURLE_OK;
    return is_set;
}

static bool set_limits(struct transfer *transfer)
{
    CURL *easy = transfer->easy;
    bool is_set = true;
    const struct transfer_settings *settings = transfer->settings;
    is_set &= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BYTES) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_S) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_S) == CURLE_OK;
    is_set &=
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, settings->connect_timeout_ms) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, settings->timeout_ms) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)settings->body_limit) ==
              CURLE_OK;
    /* Otherwise ending a transfer waits for its name lookup, and the whole loop with it: */
    is_set &= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK;
    return is_set;
}

/* A new handle for each transfer: libcurl 7.88 keeps a pointer to the last header of the transfer
 * before, which it has freed, and goes on with that header when the first line of a reply looks
 * like the continuation of one (curl_easy_reset() leaves it there, too). What a connection needs is
 * kept by the multi handle. */
static enum err renew(struct transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    transfer->easy = curl_easy_init();
    if (transfer->easy == NULL)
        return ERR_NO_MEMORY;
    if (set_callbacks(transfer) && set_protocol(transfer) && set_limits(transfer))
        return OK;
    curl_easy_cleanup(transfer->easy);
    transfer->easy = NULL;
    return ERR_NO_MEMORY;
}

enum err transfer_init(struct transfer *transfer, const struct transfer_settings *settings)
{
    *transfer = (struct transfer){.settings = settings};
    return renew(transfer);
}

void transfer_finish(struct transfer *transfer)
{
    if (transfer == NULL)
        return;
    curl_easy_cleanup(transfer->easy);
    free(transfer->body);
    *transfer = (struct transfer){0};
}

void transfer_forget(struct transfer *transfer)
{
    begin_reply(transfer);
    transfer->length = 0;
    transfer->status = 0;
    transfer->started_at = INSTANT_NEVER;
    transfer->sent_at = INSTANT_NEVER;
    transfer->wire_bytes = 0;
    transfer->header_bytes = 0;
    transfer->broken_by = FEED_OK;
    transfer->error[0] = '\0';
}

enum err transfer_prepare(struct transfer *transfer, const char *url)
{
    transfer_forget(transfer);
    transfer->started_at = clock_now();
    if (transfer->capacity > TRANSFER_KEEP_BYTES) {
        free(transfer->body);
        transfer->body = NULL;
        transfer->capacity = 0;
    }
    /* An empty body is readable too, and its padding with it. */
    enum err err = reserve(transfer, 1);
    if (err == OK)
        err = renew(transfer);
    if (err != OK)
        return err;
    memset(transfer->body, 0, transfer->settings->padding);
    /* libcurl takes a URL apart letter by letter, and ours are of 1,400. */
    CURLoption option = transfer->settings->base_url != NULL ? CURLOPT_REQUEST_TARGET : CURLOPT_URL;
    return curl_easy_setopt(transfer->easy, option, url) == CURLE_OK ? OK : ERR_NO_MEMORY;
}

/* ---- how it went ---- */

bool transfer_has_first_byte(const struct transfer *transfer)
{
    curl_off_t after_us = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_STARTTRANSFER_TIME_T, &after_us);
    return after_us > 0 || transfer->wire_bytes > 0;
}

static enum feed_outcome judge_code(const struct transfer *transfer, CURLcode code)
{
    bool is_sent = !instant_is_never(transfer->sent_at);
    switch (code) {
    case CURLE_OK:
        return FEED_OK;
    case CURLE_OPERATION_TIMEDOUT:
        return is_sent ? FEED_TIMEOUT : FEED_CONNECT_TIMEOUT;
    case CURLE_FILESIZE_EXCEEDED:
        return FEED_TOO_LARGE;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_USE_SSL_FAILED:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT:
        return FEED_TLS;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL: /* what libcurl calls a reply that is no HTTP */
        return FEED_BAD_STATUS;
    case CURLE_BAD_CONTENT_ENCODING:
        return FEED_BAD_ENCODING;
    default:
        return is_sent ? FEED_RESET : FEED_UNREACHABLE;
    }
}

enum feed_outcome transfer_judge(struct transfer *transfer, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    transfer->status = (int)status;
    if (code != CURLE_OK && transfer->error[0] == '\0')
        snprintf(transfer->error, sizeof(transfer->error), "%s", curl_easy_strerror(code));
    return transfer->broken_by != FEED_OK ? transfer->broken_by : judge_code(transfer, code);
}
