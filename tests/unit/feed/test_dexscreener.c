#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feed/dexscreener.h"
#include "sample_answers.h"
#include "scripted_server.h"
#include <arpa/inet.h>
#include <libdeflate.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS 30000 /* nothing here takes a second; a hang ends the test */
#define TICK_MS     10    /* so that what a timer of libcurl's brings is seen at once */
#define ANSWERS_MAX 64

struct told {
    uint64_t request;
    enum feed_outcome outcome;
    int status;
    bool has_retry_after;
    int64_t retry_after_s, latency_ms;
    size_t pairs, body_bytes;
    char detail[FEED_DETAIL_SIZE];
};

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL)
        abort();
    return memory;
}

struct fixture {
    uv_loop_t loop;
    uv_timer_t tick;
    uint64_t patient_until;
    struct scripted_server *server;
    struct options options;
    struct feed *feed;
    struct feed_listener listener;
    bool is_closed, is_forbidden;
    struct told told[ANSWERS_MAX];
    size_t told_count;
    void (*then)(struct fixture *f, const struct feed_answer *answer);
};

static void on_answer(void *context, const struct feed_answer *answer)
{
    struct fixture *f = context;
    assert_in_range(f->told_count, 0, ANSWERS_MAX - 1);
    struct told *told = &f->told[f->told_count++];
    *told = (struct told){
        .request = answer->request,
        .outcome = answer->outcome,
        .status = answer->http_status,
        .has_retry_after = answer->has_retry_after,
        .retry_after_s = answer->retry_after.us / 1000000,
        .latency_ms = duration_to_ms(answer->latency),
        .pairs = answer->parsed != NULL ? answer->parsed->pair_count : 0,
        .body_bytes = answer->body_bytes,
    };
    assert_true((answer->outcome == FEED_OK) == (answer->detail == NULL));
    assert_true((answer->outcome == FEED_OK) == (answer->parsed != NULL));
    if (answer->detail != NULL)
        snprintf(told->detail, sizeof(told->detail), "%s", answer->detail);
    if (f->then != NULL)
        f->then(f, answer);
}

static void on_tick(uv_timer_t *timer)
{
    const struct fixture *f = timer->data;
    if (uv_now(timer->loop) >= f->patient_until)
        fail_msg("nothing came within %d ms", PATIENCE_MS);
}

static void on_closed(void *context)
{
    ((struct fixture *)context)->is_closed = true;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    uv_loop_init(&f->loop);
    f->patient_until = uv_now(&f->loop) + PATIENCE_MS;
    uv_timer_init(&f->loop, &f->tick);
    f->tick.data = f;
    uv_timer_start(&f->tick, on_tick, TICK_MS, TICK_MS);
    uv_unref((uv_handle_t *)&f->tick);
    f->server = scripted_server_create(&f->loop);
    options_init(&f->options);
    snprintf(f->options.feed, sizeof(f->options.feed), "http://127.0.0.1:%u",
             scripted_server_port(f->server));
    *state = f;
    return f->server == NULL;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    feed_destroy(f->feed, on_closed);
    scripted_server_destroy(f->server);
    uv_close((uv_handle_t *)&f->tick, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(f->feed == NULL || f->is_closed);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    free(f);
    return 0;
}

static bool may_send(void *context)
{
    return !((const struct fixture *)context)->is_forbidden;
}

static const struct feed_listener *listener_of(struct fixture *f)
{
    f->listener =
        (struct feed_listener){.context = f, .may_send = may_send, .on_answer = on_answer};
    return &f->listener;
}

static void open_feed(struct fixture *f)
{
    char why[OPTION_MESSAGE_SIZE] = "";
    f->feed = feed_create(&f->loop, &f->options, listener_of(f), why);
    if (f->feed == NULL)
        fail_msg("%s", why);
}

static void send_kind(struct fixture *f, enum lane_kind kind, size_t count, uint64_t id)
{
    struct address addresses[REQUEST_ADDRESSES_MAX] = {0};
    for (size_t i = 0; i < count; i++)
        assert_true(address_parse(SAMPLE_WSOL, strlen(SAMPLE_WSOL), &addresses[i]));
    assert_int_equal(feed_send(f->feed, kind, addresses, count, id), OK);
}

static void send_one(struct fixture *f, uint64_t id)
{
    send_kind(f, LANE_SCREEN, 1, id);
}

static void run_until_told(struct fixture *f, size_t count)
{
    while (f->told_count < count)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->told_count, count);
}

static const struct told *ask(struct fixture *f)
{
    size_t before = f->told_count;
    send_one(f, before + 100);
    run_until_told(f, before + 1);
    assert_int_equal(f->told[before].request, before + 100);
    return &f->told[before];
}

static void assert_told(const struct told *told, enum feed_outcome outcome, const char *words)
{
    if (told->outcome != outcome || strstr(told->detail, words) == NULL)
        fail_msg("%s instead of %s: %s", feed_outcome_name(told->outcome),
                 feed_outcome_name(outcome), told->detail);
}

/* From now on the server answers like this. */
static void push(struct fixture *f, const char *status, const char *headers, const char *body)
{
    scripted_server_clear(f->server);
    scripted_server_push_answer(f->server, status, headers, body, strlen(body));
}

/* ---- requests ---- */

static void test_routes(void **state)
{
    struct fixture *f = *state;
    push(f, "200 OK", "", "[]");
    open_feed(f);
    send_kind(f, LANE_DISCOVER, 1, 1);
    run_until_told(f, 1);
    const char *request = scripted_server_last_request(f->server);
    assert_memory_equal(request, "GET /token-pairs/v1/solana/" SAMPLE_WSOL " HTTP/1.1\r\n", 78);
    assert_non_null(strstr(request, "\r\nAccept: application/json\r\n"));
    assert_non_null(strstr(request, "\r\nAccept-Encoding: gzip\r\n"));
    assert_non_null(strstr(request, "\r\nUser-Agent: moonwatch/" MOONWATCH_VERSION "\r\n"));
    send_kind(f, LANE_SCREEN, 2, 2);
    run_until_told(f, 2);
    assert_non_null(strstr(scripted_server_last_request(f->server),
                           "GET /tokens/v1/solana/" SAMPLE_WSOL "," SAMPLE_WSOL " HTTP/1.1"));
    send_kind(f, LANE_REFRESH, REQUEST_ADDRESSES_MAX, 3);
    run_until_told(f, 3);
    assert_non_null(strstr(scripted_server_last_request(f->server),
                           "GET /latest/dex/pairs/solana/" SAMPLE_WSOL ","));
}

static void test_refused_sends(void **state)
{
    struct fixture *f = *state;
    struct address addresses[REQUEST_ADDRESSES_MAX + 1] = {0};
    push(f, "200 OK", "", "[]");
    f->options.requests_in_flight_max = 2;
    open_feed(f);
    assert_int_equal(feed_send(f->feed, LANE_SCREEN, addresses, 0, 1), ERR_INVALID);
    assert_int_equal(feed_send(f->feed, LANE_SCREEN, addresses, 31, 1), ERR_INVALID);
    assert_int_equal(feed_send(f->feed, LANE_DISCOVER, addresses, 2, 1), ERR_INVALID);
    for (int i = 0; i < 2 * LANE_KIND_COUNT; i++)
        send_one(f, 1);
    assert_int_equal(feed_send(f->feed, LANE_SCREEN, addresses, 1, 7), ERR_FULL);
    run_until_told(f, (size_t)2 * LANE_KIND_COUNT);
    send_one(f, 8);
    run_until_told(f, (size_t)2 * LANE_KIND_COUNT + 1);
}

static void test_bad_base_urls(void **state)
{
    struct fixture *f = *state;
    static const char *const urls[] = {
        "ftp://example.com",      "api.dexscreener.com:x", "http://", "https://example.com/?a=1",
        "https://example.com/#a", "file:///etc/passwd",    ""};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        char why[OPTION_MESSAGE_SIZE] = "";
        snprintf(f->options.feed, sizeof(f->options.feed), "%s", urls[i]);
        if (feed_create(&f->loop, &f->options, listener_of(f), why) != NULL)
            fail_msg("%s was taken", urls[i]);
        assert_non_null(strstr(why, "feed"));
    }
    char why[OPTION_MESSAGE_SIZE] = "";
    snprintf(f->options.feed, sizeof(f->options.feed), "https://example.com");
    snprintf(f->options.chain, sizeof(f->options.chain), "../x");
    assert_null(feed_create(&f->loop, &f->options, listener_of(f), why));
    assert_non_null(strstr(why, "chain"));
}

/* ---- every outcome ---- */

static void test_outcomes_of_replies(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *status, *headers, *body;
        enum feed_outcome outcome;
        int code;
        const char *words;
    } rows[] = {
        {"200 OK", "", SAMPLE_ARRAY, FEED_OK, 200, ""},
        {"200 OK", "Content-Encoding: identity\r\n", SAMPLE_PAIRS, FEED_OK, 200, ""},
        {"429 Too Many Requests", "", "error code: 1015", FEED_RATE_LIMITED, 429, "429: \"error"},
        {"200 OK", "", "error code: 1015", FEED_RATE_LIMITED, 200, "1015"},
        {"403 Forbidden", "", "<html>Error 1015</html>", FEED_RATE_LIMITED, 403, "1015"},
        {"200 OK", "", "{\"title\":\"Error 1015: rate limited\"}", FEED_RATE_LIMITED, 200, "1015"},
        {"403 Forbidden", "", "<html>no</html>", FEED_FORBIDDEN, 403, "status 403: \"<html>no"},
        {"503 Service Unavailable", "CF-Mitigated: challenge\r\n", "", FEED_FORBIDDEN, 503, "503"},
        {"200 OK", "", "<title>Just a moment...</title>", FEED_FORBIDDEN, 200, "moment"},
        {"404 Not Found", "", "nope", FEED_NOT_FOUND, 404, "404"},
        {"400 Bad Request", "", "{}", FEED_CLIENT_ERROR, 400, "400"},
        {"500 Internal Server Error", "", "", FEED_SERVER_ERROR, 500, "500"},
        {"502 Bad Gateway", "Content-Encoding: gzip\r\n", "not gzip", FEED_SERVER_ERROR, 502, ""},
        {"302 Found", "Location: http://127.0.0.1:1/\r\n", "", FEED_BAD_STATUS, 302, "302"},
        {"200 OK", "", "<html>hello</html>", FEED_NOT_JSON, 200, "no JSON: \"<html>hello"},
        {"200 OK", "", "\x1b[31mred\n", FEED_NOT_JSON, 200, "\" [31mred \""},
        {"200 OK", "", "[{\"pairAddress\":", FEED_MALFORMED, 200, "damaged"},
        {"200 OK", "", "", FEED_MALFORMED, 200, "0 bytes"},
        {"200 OK", "", "{\"message\":\"hello\"}", FEED_WRONG_SHAPE, 200, "hello"},
        {"200 OK", "Content-Encoding: gzip\r\n", "[]", FEED_BAD_ENCODING, 200, "decompressed"},
        {"200 OK", "Content-Encoding: br\r\n", "[]", FEED_BAD_ENCODING, 200, "decompressed"},
    };
    open_feed(f);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        push(f, rows[i].status, rows[i].headers, rows[i].body);
        const struct told *told = ask(f);
        assert_told(told, rows[i].outcome, rows[i].words);
        assert_int_equal(told->status, rows[i].code);
        if (rows[i].outcome != FEED_OK)
            assert_non_null(strstr(told->detail, "screen of 1 token at http://127.0.0.1:"));
    }
    assert_int_equal(f->told[0].pairs, 3);
    assert_int_equal(f->told[0].body_bytes, strlen(SAMPLE_ARRAY));
}

static void test_retry_after(void **state)
{
    struct fixture *f = *state;
    push(f, "429 Too Many Requests", "Retry-After: 17\r\n", "error code: 1015");
    open_feed(f);
    const struct told *told = ask(f);
    assert_true(told->has_retry_after);
    assert_int_equal(told->retry_after_s, 17);
    push(f, "429 Too Many Requests", "retry-after: Fri, 31 Dec 2100 23:59:59 GMT\r\n", "");
    told = ask(f);
    assert_true(told->has_retry_after && told->retry_after_s == 86400);
    push(f, "429 Too Many Requests", "Retry-After: later\r\n", "");
    assert_false(ask(f)->has_retry_after);
    push(f, "429 Too Many Requests", "", "");
    assert_false(ask(f)->has_retry_after);
}

static void push_raw(struct fixture *f, const char *bytes, enum script_end end)
{
    scripted_server_clear(f->server);
    scripted_server_push(f->server,
                         &(struct script){.bytes = bytes, .length = strlen(bytes), .end = end});
}

static void test_broken_connections(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *bytes;
        enum script_end end;
        enum feed_outcome outcome;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{", SCRIPT_CLOSE, FEED_RESET},
        {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{", SCRIPT_RESET, FEED_RESET},
        {"HTTP/1.1 200 OK\r\nContent-Le", SCRIPT_RESET, FEED_RESET},
        {"", SCRIPT_CLOSE, FEED_RESET},
        {"", SCRIPT_RESET, FEED_RESET},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[{\"pa", SCRIPT_CLOSE,
         FEED_RESET},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n[{\"pa", SCRIPT_CLOSE,
         FEED_RESET},
        {"HTTP/1.1 200 OK\r\n\r\n[{\"pairAddress\":\"abc", SCRIPT_CLOSE, FEED_MALFORMED},
        {"HTTP/1.1 200 OK\r\n\r\n[]", SCRIPT_CLOSE, FEED_OK},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n1\r\n]\r\n0\r\n\r\n",
         SCRIPT_KEEP_OPEN, FEED_OK},
        {"HTTP/1.1 429 Slow Down\r\nContent-Length: 100\r\n\r\nerr", SCRIPT_RESET,
         FEED_RATE_LIMITED},
        {"SSH-2.0-OpenSSH_9.2\r\n", SCRIPT_CLOSE, FEED_BAD_STATUS},
    };
    open_feed(f);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        push_raw(f, rows[i].bytes, rows[i].end);
        const struct told *told = ask(f);
        if (told->outcome != rows[i].outcome)
            fail_msg("row %zu: %s: %s", i, feed_outcome_name(told->outcome), told->detail);
    }
}

static size_t gzip(const char *text, char *out, size_t size)
{
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(6);
    size_t made = libdeflate_gzip_compress(compressor, text, strlen(text), out, size);
    libdeflate_free_compressor(compressor);
    return made;
}

static void test_gzip(void **state)
{
    struct fixture *f = *state;
    char packed[4096];
    size_t length = gzip(SAMPLE_PAIRS, packed, sizeof(packed));
    assert_in_range(length, 1, strlen(SAMPLE_PAIRS) / 2);
    scripted_server_push_answer(f->server, "200 OK", "Content-Encoding: GZIP\r\n", packed, length);
    open_feed(f);
    const struct told *told = ask(f);
    assert_told(told, FEED_OK, "");
    assert_int_equal(told->pairs, 3);
    assert_int_equal(told->body_bytes, strlen(SAMPLE_PAIRS));
    scripted_server_clear(f->server);
    length = gzip("error code: 1015", packed, sizeof(packed));
    scripted_server_push_answer(f->server, "403 Forbidden", "Content-Encoding: gzip\r\n", packed,
                                length);
    assert_told(ask(f), FEED_RATE_LIMITED, "1015");
}

static void test_no_compression_asked(void **state)
{
    struct fixture *f = *state;
    push(f, "200 OK", "", "[]");
    f->options.feed_compression = false;
    open_feed(f);
    ask(f);
    assert_null(strstr(scripted_server_last_request(f->server), "Accept-Encoding"));
}

static void test_body_limits(void **state)
{
    struct fixture *f = *state;
    enum { LIMIT_KB = 16, HUGE = 300000 };
    char *huge = allocate(HUGE + 1), packed[4096];
    memset(huge, ' ', HUGE);
    f->options.feed_body_limit_kb = LIMIT_KB;
    push(f, "200 OK", "", huge); /* told by Content-Length */
    open_feed(f);
    assert_told(ask(f), FEED_TOO_LARGE, "feed_body_limit_kb (16)");
    char *chunked = allocate(HUGE + 200);
    int head = sprintf(chunked, "HTTP/1.1 200 OK\r\n\r\n%s", huge);
    push_raw(f, chunked, SCRIPT_CLOSE); /* no length told */
    assert_told(ask(f), FEED_TOO_LARGE, "feed_body_limit_kb (16)");
    assert_true(head > HUGE);
    size_t length = gzip(huge, packed, sizeof(packed));
    assert_in_range(length, 1, 4000);
    scripted_server_clear(f->server);
    scripted_server_push_answer(f->server, "200 OK", "Content-Encoding: gzip\r\n", packed, length);
    assert_told(ask(f), FEED_TOO_LARGE, "feed_body_limit_kb (16)");
    huge[LIMIT_KB * 1024] = '\0';
    memcpy(huge, "[]", 2);
    push(f, "200 OK", "", huge);
    assert_told(ask(f), FEED_OK, "");
    free(huge);
    free(chunked);
}

static void test_endless_headers(void **state)
{
    struct fixture *f = *state;
    enum { LINES = 2000, LINE = 60 };
    char *bytes = allocate((size_t)LINES * LINE + 100), *at = bytes;
    at += sprintf(at, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < LINES; i++)
        at += sprintf(at, "X-Header-%04d: 0123456789012345678901234567890123\r\n", i);
    sprintf(at, "\r\n[]");
    push_raw(f, bytes, SCRIPT_CLOSE);
    free(bytes);
    open_feed(f);
    assert_told(ask(f), FEED_TOO_LARGE, "");
}

static void test_first_byte_timeout(void **state)
{
    struct fixture *f = *state;
    scripted_server_push(f->server, &(struct script){.bytes = "", .length = 0});
    f->options.feed_first_byte_timeout_sec = 0.15;
    open_feed(f);
    for (uint64_t i = 0; i < 5; i++)
        send_one(f, i);
    run_until_told(f, 5);
    for (int i = 0; i < 5; i++) {
        assert_told(&f->told[i], FEED_FIRST_BYTE_TIMEOUT, "within 0.15 s");
        assert_true(f->told[i].latency_ms >= 150);
    }
    push(f, "200 OK", "", "[]");
    assert_told(ask(f), FEED_OK, "");
}

static void test_slow_first_byte_in_time(void **state)
{
    struct fixture *f = *state;
    const char *bytes = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]";
    scripted_server_push(
        f->server, &(struct script){.bytes = bytes, .length = strlen(bytes), .delay_ms = 120});
    open_feed(f);
    const struct told *told = ask(f);
    assert_told(told, FEED_OK, "");
    assert_true(told->latency_ms >= 119);
}

static void test_trickle_times_out(void **state)
{
    struct fixture *f = *state;
    const char *bytes = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[                      ]";
    scripted_server_push(f->server, &(struct script){.bytes = bytes,
                                                     .length = strlen(bytes),
                                                     .piece_bytes = 1,
                                                     .piece_interval_ms = 20});
    f->options.feed_timeout_sec = 0.4;
    f->options.feed_first_byte_timeout_sec = 0.2;
    open_feed(f);
    assert_told(ask(f), FEED_TIMEOUT, "timed out");
}

static void test_trickle_in_time(void **state)
{
    struct fixture *f = *state;
    const char *bytes = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n[                  ]";
    scripted_server_push(f->server, &(struct script){.bytes = bytes,
                                                     .length = strlen(bytes),
                                                     .piece_bytes = 1,
                                                     .piece_interval_ms = 1});
    open_feed(f);
    assert_told(ask(f), FEED_OK, "");
}

static unsigned unused_port(int *holder)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    socklen_t length = sizeof(address);
    *holder = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(*holder, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(*holder, (struct sockaddr *)&address, &length), 0);
    return ntohs(address.sin_port);
}

static void test_unreachable(void **state)
{
    struct fixture *f = *state;
    int holder;
    snprintf(f->options.feed, sizeof(f->options.feed), "http://127.0.0.1:%u", unused_port(&holder));
    open_feed(f);
    const struct told *told = ask(f);
    assert_told(told, FEED_UNREACHABLE, "");
    assert_int_equal(told->status, 0);
    close(holder);
}

static void test_no_such_name(void **state)
{
    struct fixture *f = *state;
    /* A label of over 63 letters: refused by the resolver itself, no network needed. */
    snprintf(f->options.feed, sizeof(f->options.feed), "http://%080d.example", 7);
    open_feed(f);
    assert_told(ask(f), FEED_UNREACHABLE, "resolve host");
}

static void test_connect_timeout(void **state)
{
    struct fixture *f = *state;
    /* A server that never answers the TLS greeting. */
    snprintf(f->options.feed, sizeof(f->options.feed), "https://127.0.0.1:%u",
             scripted_server_port(f->server));
    f->options.feed_connect_timeout_sec = 0.2;
    open_feed(f);
    assert_told(ask(f), FEED_CONNECT_TIMEOUT, "");
}

/* ---- TLS ---- */

struct tls_server {
    int listener;
    SSL_CTX *context;
    pthread_t thread;
};

static void sign_itself(SSL_CTX *context)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    assert_true(key != NULL && certificate != NULL);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"127.0.0.1", -1, -1,
                               0);
    X509_set_issuer_name(certificate, name);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    assert_int_equal(SSL_CTX_use_certificate(context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

/* Shakes one hand, and ends when the client has taken its own back. */
static void *serve_tls(void *argument)
{
    struct tls_server *server = argument;
    char byte;
    int socket = accept(server->listener, NULL, NULL);
    if (socket < 0)
        return NULL;
    SSL *ssl = SSL_new(server->context);
    SSL_set_fd(ssl, socket);
    if (SSL_accept(ssl) == 1)
        SSL_read(ssl, &byte, 1);
    SSL_free(ssl);
    close(socket);
    return NULL;
}

static void test_self_signed_certificate(void **state)
{
    struct fixture *f = *state;
    struct tls_server server = {.context = SSL_CTX_new(TLS_server_method())};
    unsigned port = unused_port(&server.listener);
    assert_int_equal(listen(server.listener, 1), 0);
    sign_itself(server.context);
    assert_int_equal(pthread_create(&server.thread, NULL, serve_tls, &server), 0);
    snprintf(f->options.feed, sizeof(f->options.feed), "https://127.0.0.1:%u", port);
    open_feed(f);
    assert_told(ask(f), FEED_TLS, "certificate");
    pthread_join(server.thread, NULL);
    close(server.listener);
    SSL_CTX_free(server.context);
}

static void test_tls_to_a_plain_server(void **state)
{
    struct fixture *f = *state;
    snprintf(f->options.feed, sizeof(f->options.feed), "https://127.0.0.1:%u",
             scripted_server_port(f->server));
    scripted_server_greet(f->server, "HTTP/1.1 400 Bad Request\r\n\r\n");
    open_feed(f);
    assert_told(ask(f), FEED_TLS, "");
}

/* ---- connections ---- */

static void test_connection_is_reused(void **state)
{
    struct fixture *f = *state;
    struct scripted_server_stats server;
    struct feed_stats stats;
    push(f, "200 OK", "", SAMPLE_ARRAY);
    open_feed(f);
    for (int i = 0; i < 20; i++)
        assert_told(ask(f), FEED_OK, "");
    scripted_server_stats(f->server, &server);
    feed_stats(f->feed, &stats);
    assert_int_equal(server.requests, 20);
    assert_int_equal(server.connections, 1);
    assert_int_equal(stats.connections_opened, 1);
    assert_int_equal(stats.requests, 20);
    assert_int_equal(stats.in_flight, 0);
    assert_true(stats.bytes_received > 20 * strlen(SAMPLE_ARRAY));
}

static void test_closed_connection_is_opened_again(void **state)
{
    struct fixture *f = *state;
    struct feed_stats stats;
    push_raw(f, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", SCRIPT_CLOSE);
    open_feed(f);
    for (int i = 0; i < 5; i++)
        assert_told(ask(f), FEED_OK, "");
    feed_stats(f->feed, &stats);
    assert_int_equal(stats.connections_opened, 5);
}

static void test_concurrency_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct scripted_server_stats server;
    struct feed_stats stats;
    const char *bytes = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]";
    scripted_server_push(f->server,
                         &(struct script){.bytes = bytes, .length = strlen(bytes), .delay_ms = 10});
    f->options.feed_connections = 4;
    open_feed(f);
    for (uint64_t i = 0; i < 40; i++)
        send_one(f, i);
    feed_stats(f->feed, &stats);
    assert_int_equal(stats.in_flight, 40);
    run_until_told(f, 40);
    uint64_t seen = 0;
    for (int i = 0; i < 40; i++) {
        assert_told(&f->told[i], FEED_OK, "");
        seen |= UINT64_C(1) << f->told[i].request;
    }
    assert_true(seen == (UINT64_C(1) << 40) - 1);
    scripted_server_stats(f->server, &server);
    feed_stats(f->feed, &stats);
    assert_int_equal(server.most_open, 4);
    assert_int_equal(stats.connections_opened, 4);
    assert_int_equal(stats.in_flight, 0);
}

/* ---- cancelling and ending ---- */

static void push_silence(struct fixture *f)
{
    scripted_server_push(f->server, &(struct script){.bytes = "", .length = 0});
}

static void run_until_requests(struct fixture *f, size_t count)
{
    struct scripted_server_stats server;
    do {
        uv_run(&f->loop, UV_RUN_ONCE);
        scripted_server_stats(f->server, &server);
    } while (server.requests < count);
}

static void test_cancel(void **state)
{
    struct fixture *f = *state;
    push_silence(f);
    f->options.feed_connections = 1;
    open_feed(f);
    send_one(f, 1);
    send_one(f, 2);
    run_until_requests(f, 1);
    feed_cancel(f->feed, 99);
    feed_cancel(f->feed, 2); /* waits in our queue */
    feed_cancel(f->feed, 2);
    assert_int_equal(f->told_count, 0); /* never from within */
    run_until_told(f, 1);
    feed_cancel(f->feed, 1); /* is on its way */
    assert_int_equal(f->told_count, 1);
    run_until_told(f, 2);
    assert_told(&f->told[0], FEED_CANCELLED, "cancelled");
    assert_told(&f->told[1], FEED_CANCELLED, "cancelled");
    assert_int_equal(f->told[0].request, 2);
    push(f, "200 OK", "", "[]");
    send_one(f, 3);
    run_until_requests(f, 2);
    feed_cancel(f->feed, 3);
    run_until_told(f, 3);
    assert_told(ask(f), FEED_OK, "");
}

/* Asked at the last moment: on a connection to be opened, and on one that is there. */
static void test_not_to_be_sent(void **state)
{
    struct fixture *f = *state;
    push(f, "200 OK", "", "[]");
    open_feed(f);
    f->is_forbidden = true;
    assert_told(ask(f), FEED_CANCELLED, "cancelled");
    f->is_forbidden = false;
    assert_told(ask(f), FEED_OK, "");
    f->is_forbidden = true;
    assert_told(ask(f), FEED_CANCELLED, "cancelled");
    f->is_forbidden = false;
    assert_told(ask(f), FEED_OK, "");
    struct scripted_server_stats server;
    scripted_server_stats(f->server, &server);
    assert_int_equal(server.requests, 2);
}

static void cancel_the_rest(struct fixture *f, const struct feed_answer *answer)
{
    if (answer->outcome == FEED_CANCELLED)
        return;
    for (uint64_t i = 0; i < 10; i++)
        feed_cancel(f->feed, i);
}

static void test_cancel_from_an_answer(void **state)
{
    struct fixture *f = *state;
    push(f, "200 OK", "", "[]");
    f->options.feed_connections = 3;
    open_feed(f);
    f->then = cancel_the_rest;
    for (uint64_t i = 0; i < 10; i++)
        send_one(f, i);
    run_until_told(f, 10);
    uint32_t seen = 0;
    for (int i = 0; i < 10; i++)
        seen |= 1u << f->told[i].request;
    assert_int_equal(seen, 0x3ff);
}

static void send_another(struct fixture *f, const struct feed_answer *answer)
{
    if (answer->request < 20)
        send_one(f, answer->request + 1);
}

static void test_send_from_an_answer(void **state)
{
    struct fixture *f = *state;
    push(f, "200 OK", "", "[]");
    open_feed(f);
    f->then = send_another;
    send_one(f, 1);
    run_until_told(f, 20);
    assert_int_equal(f->told[19].request, 20);
}

static void destroy_at_once(struct fixture *f, const struct feed_answer *answer)
{
    (void)answer;
    feed_destroy(f->feed, on_closed);
}

static void test_destroy_from_an_answer(void **state)
{
    struct fixture *f = *state;
    push(f, "200 OK", "", "[]");
    open_feed(f);
    f->then = destroy_at_once;
    for (uint64_t i = 0; i < 20; i++)
        send_one(f, i);
    while (!f->is_closed)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->told_count, 1);
    f->feed = NULL;
}

static void test_destroy_under_way(void **state)
{
    struct fixture *f = *state;
    push_silence(f);
    f->options.feed_connections = 2;
    open_feed(f);
    for (uint64_t i = 0; i < 6; i++)
        send_one(f, i);
    run_until_requests(f, 2);
    feed_cancel(f->feed, 0);
    feed_destroy(f->feed, on_closed);
    while (!f->is_closed)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->told_count, 0);
    f->feed = NULL;
    feed_destroy(NULL, on_closed);
}

static void test_issues_are_counted(void **state)
{
    struct fixture *f = *state;
    struct feed_stats stats;
    push(f, "200 OK", "", "[" SAMPLE_PAIR_FULL "," SAMPLE_PAIR_FULL ",{\"chainId\":\"base\"}]");
    open_feed(f);
    assert_int_equal(ask(f)->pairs, 1);
    ask(f);
    feed_stats(f->feed, &stats);
    assert_int_equal(stats.issues[PAIR_DUPLICATE], 2);
    assert_int_equal(stats.issues[PAIR_OTHER_CHAIN], 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_routes),
        TEST(test_refused_sends),
        TEST(test_bad_base_urls),
        TEST(test_outcomes_of_replies),
        TEST(test_retry_after),
        TEST(test_broken_connections),
        TEST(test_gzip),
        TEST(test_no_compression_asked),
        TEST(test_body_limits),
        TEST(test_endless_headers),
        TEST(test_first_byte_timeout),
        TEST(test_slow_first_byte_in_time),
        TEST(test_trickle_times_out),
        TEST(test_trickle_in_time),
        TEST(test_unreachable),
        TEST(test_no_such_name),
        TEST(test_connect_timeout),
        TEST(test_self_signed_certificate),
        TEST(test_tls_to_a_plain_server),
        TEST(test_connection_is_reused),
        TEST(test_closed_connection_is_opened_again),
        TEST(test_concurrency_is_bounded),
        TEST(test_cancel),
        TEST(test_not_to_be_sent),
        TEST(test_cancel_from_an_answer),
        TEST(test_send_from_an_answer),
        TEST(test_destroy_from_an_answer),
        TEST(test_destroy_under_way),
        TEST(test_issues_are_counted),
    };
    signal(SIGPIPE, SIG_IGN);
    unsetenv("http_proxy");
    unsetenv("https_proxy");
    unsetenv("HTTPS_PROXY");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
