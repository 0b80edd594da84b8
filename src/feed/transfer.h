/*
 * One HTTP GET through libcurl: its handle, its limits, and what came back. Made once and used
 * again and again. It does not run itself: that is curl_loop's business.
 *
 * It asks for gzip by header, and leaves the body as it came. No redirects, nothing but HTTP, TLS
 * verified against the system's certificates, a proxy from the environment as libcurl does it.
 */
#ifndef MOONWATCH_FEED_TRANSFER_H
#define MOONWATCH_FEED_TRANSFER_H

#include "base/err.h"
#include "base/time.h"
#include "core/outcome.h"
#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define TRANSFER_ENCODING_SIZE 24

/* Body memory over this is given back after each use. */
#define TRANSFER_KEEP_BYTES ((size_t)256 * 1024)

/* All header lines of a reply; real ones take about 1 KB. */
#define TRANSFER_HEADERS_MAX ((size_t)64 * 1024)

struct transfer_settings {
    struct curl_slist *headers; /* the owner's, for as long as transfers live */
    const char *ca_file;        /* NULL: the system's certificates */
    const char *base_url;       /* of all transfers; NULL: each has its own */
    long http_version;          /* CURL_HTTP_VERSION_… */
    long connect_timeout_ms;
    long timeout_ms;
    size_t body_limit; /* bytes on the wire */
    size_t padding;    /* zeroes after the body */
    /* Told from within libcurl, so they must not call it: */
    void (*on_connection)(void *owner, curl_socket_t socket); /* one is being opened */
    bool (*on_sent)(void *owner); /* the request is about to be sent; false: it must not be */
    curl_closesocket_callback close_socket; /* closes it again */
    void *close_context;
};

struct transfer {
    CURL *easy;
    const struct transfer_settings *settings;
    void *owner; /* whom it runs for */
    SLIST_ENTRY(transfer) link;

    char *body; /* as it came; `length` bytes and the padding */
    size_t length;
    size_t capacity;

    int status;                            /* 0: none came */
    char encoding[TRANSFER_ENCODING_SIZE]; /* Content-Encoding in lower case; "" none */
    bool is_challenge;                     /* cf-mitigated: challenge */
    bool has_retry_after;
    duration retry_after;

    instant started_at;
    instant sent_at;     /* INSTANT_NEVER while it connects */
    uint64_t wire_bytes; /* headers and body */
    size_t header_bytes;
    enum feed_outcome broken_by; /* why we ended it ourselves; FEED_OK: we did not */
    char error[CURL_ERROR_SIZE]; /* libcurl's sentence; "" none */
};

/* `settings` must outlive it; CURLOPT_PRIVATE is the transfer. ERR_NO_MEMORY. */
enum err transfer_init(struct transfer *transfer,
                       const struct transfer_settings *settings) MUST_CHECK;
void transfer_finish(struct transfer *transfer);

/* Forgets the last reply. */
void transfer_forget(struct transfer *transfer);

/* Forgets the last reply and takes the next URL, or with a base_url the next target: path and query
 * as they are sent; then the handle may be run. */
enum err transfer_prepare(struct transfer *transfer, const char *url) MUST_CHECK;

/* Has any byte of a reply come? True before its first line is whole; not for libcurl's callbacks.
 */
bool transfer_has_first_byte(const struct transfer *transfer);

/* How a transfer that libcurl ended with `code` went. FEED_OK: a whole reply of any status. */
enum feed_outcome transfer_judge(struct transfer *transfer, CURLcode code);

#endif
