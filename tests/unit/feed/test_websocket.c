/* The WebSocket client and the source on it, against a server that follows scripts. */
#include "base/prng.h"
#include "feed/handshake.h"
#include "feed/source_kind.h"
#include "feed/websocket.h"
#include "loop_until.h"
#include "tls_server.h"
#include "ws_server.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MINT_A    "BzqYzBGydDrwjnYVtWfupr8GFoSxpCQdTkjRppBKpump"
#define MINT_B    "GoXKAKmBmUkQjSc5oq1qVsvYXgXdRLfK23FccKBvpump"
#define ACK       "{\"message\":\"Subscribed to 'migration' events.\"}"
#define MIGRATION "{\"mint\":\"" MINT_A "\",\"txType\":\"migrate\",\"pool\":\"pump-amm\"}"
#define CREATION  "{\"mint\":\"" MINT_B "\",\"txType\":\"create\",\"name\":\"A\"}"
#define REFUSAL   "{\"errors\":\"Invalid API key. PumpSwap data will not be streamed.\"}"

/* --- The handshake, pure ---------------------------------------------------------------------- */

#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define HEAD   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"

static void test_accept(void **state)
{
    char accept[HANDSHAKE_ACCEPT_TEXT];
    char key[HANDSHAKE_KEY_TEXT];
    (void)state;
    handshake_accept("dGhlIHNhbXBsZSBub25jZQ==", accept); /* RFC 6455 section 1.3 */
    assert_string_equal(accept, ACCEPT);
    handshake_key_format((const uint8_t *)"the sample nonce", key);
    assert_string_equal(key, "dGhlIHNhbXBsZSBub25jZQ==");
}

static void test_urls(void **state)
{
    static const struct {
        const char *url, *connect, *host, *target, *shown;
    } rows[] = {
        {"wss://pumpportal.fun/api/data", "https://pumpportal.fun:443/", "pumpportal.fun",
         "/api/data", "wss://pumpportal.fun/api/data"},
        {"wss://pumpportal.fun/api/data?api-key=secret", "https://pumpportal.fun:443/",
         "pumpportal.fun", "/api/data?api-key=secret", "wss://pumpportal.fun/api/data"},
        {"WS://localhost:8001", "http://localhost:8001/", "localhost:8001", "/",
         "ws://localhost:8001/"},
        {"ws://[::1]:80/x", "http://[::1]:80/", "[::1]", "/x", "ws://[::1]/x"},
        {"ws://a/b c", "http://a:80/", "a", "/b%20c", "ws://a/b%20c"},
        {"http://a/", NULL, NULL, NULL, NULL},
        {"ws://a/#b", NULL, NULL, NULL, NULL},
        {"ws://a\r\nEvil: 1/", NULL, NULL, NULL, NULL},
        {"", NULL, NULL, NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct handshake_url url;
        char why[512] = "";
        enum err err = handshake_url_parse(rows[i].url, &url, why);
        if ((err == OK) != (rows[i].connect != NULL)) {
            fail_msg("%s: %s", rows[i].url, why);
        }
        if (err == OK) {
            assert_string_equal(url.connect, rows[i].connect);
            assert_string_equal(url.host, rows[i].host);
            assert_string_equal(url.target, rows[i].target);
            assert_string_equal(url.shown, rows[i].shown);
            char request[HANDSHAKE_REQUEST_MAX];
            size_t length = handshake_request(&url, "key", request);
            assert_int_equal(length, strlen(request));
            assert_memory_equal(request + length - 4, "\r\n\r\n", 4);
        }
    }
}

struct head_row {
    const char *head;
    enum handshake_result result;
    const char *detail;
};

static const struct head_row heads[] = {
    {HEAD "Sec-WebSocket-Accept: " ACCEPT "\r\n\r\n", HANDSHAKE_ACCEPTED, ""},
    {HEAD "Sec-WebSocket-Accept: " ACCEPT "\r\n\r\n\x81\x00", HANDSHAKE_ACCEPTED, ""},
    {HEAD "sec-websocket-accept:" ACCEPT "  \r\nSec-WebSocket-Protocol:\r\n\r\n",
     HANDSHAKE_ACCEPTED, ""},
    {"HTTP/1.1 101\r\nupgrade: h2c, WebSocket\r\nconnection: keep-alive ,UPGRADE\r\n"
     "Sec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
     HANDSHAKE_ACCEPTED, ""},
    {HEAD "\r\n", HANDSHAKE_BROKEN, "without Sec-WebSocket-Accept"},
    {HEAD "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOO=\r\n\r\n", HANDSHAKE_BROKEN,
     "does not belong"},
    {HEAD "Sec-WebSocket-Accept: " ACCEPT "=\r\n\r\n", HANDSHAKE_BROKEN, "does not belong"},
    {HEAD "Sec-WebSocket-Accept: " ACCEPT "\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
     HANDSHAKE_BROKEN, "twice"},
    {HEAD "Sec-WebSocket-Accept: " ACCEPT
          "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
     HANDSHAKE_BROKEN, "extension"},
    {HEAD "Sec-WebSocket-Accept: " ACCEPT "\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
     HANDSHAKE_BROKEN, "subprotocol"},
    {"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
     HANDSHAKE_BROKEN, "Connection: Upgrade"},
    {"HTTP/1.1 101 OK\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
     HANDSHAKE_BROKEN, "Upgrade: websocket"},
    {HEAD " folded: line\r\n\r\n", HANDSHAKE_BROKEN, "without a name"},
    {HEAD ": x\r\n\r\n", HANDSHAKE_BROKEN, "without a name"},
    {HEAD "nothing\r\n\r\n", HANDSHAKE_BROKEN, "without a name"},
    {"HTTP/2 101\r\n\r\n", HANDSHAKE_BROKEN, "no HTTP/1.1"},
    {"HTTP/1.1 1x1 a\r\n\r\n", HANDSHAKE_BROKEN, "no HTTP/1.1"},
    {"HTTP/1.1 1010\r\n\r\n", HANDSHAKE_BROKEN, "no HTTP/1.1"},
    {"HTTP/1.1 099 a\r\n\r\n", HANDSHAKE_BROKEN, "no HTTP/1.1"},
    {"SSH-2.0-OpenSSH", HANDSHAKE_BROKEN, "no HTTP/1.1"},
    {"\r\n\r\n", HANDSHAKE_BROKEN, "no HTTP/1.1"},
    {"HTTP/1.1 200 OK\r\n\r\n", HANDSHAKE_REFUSED, "answers 200"},
    {"HTTP/1.1 403 Forbidden\r\nserver: cloudflare\r\n\r\n<html>", HANDSHAKE_REFUSED, "403"},
    {"HTTP/1.0 429 Too Many\r\nRetry-After: 7\r\n\r\n", HANDSHAKE_REFUSED, "too many"},
    {"HTTP/1.1 502 Bad\r\n\r\n", HANDSHAKE_REFUSED, "trouble"},
    {"HTTP/1.1 301 Moved\r\nLocation: https://else.where/\x01x\r\n\r\n", HANDSHAKE_REFUSED,
     "redirect to https://else.where/ x;"},
    {"HTTP/1.1 302 Moved\r\n\r\n", HANDSHAKE_REFUSED, "redirect"},
    {"", HANDSHAKE_MORE, ""},
    {"HTTP/1.1 101 OK\r\n", HANDSHAKE_MORE, ""},
};

static void test_heads(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct handshake_answer answer;
        size_t length = strlen(heads[i].head);
        char *copy = malloc(length + 2);
        assert_non_null(copy);
        memcpy(copy, heads[i].head, length);
        enum handshake_result result = handshake_parse(copy, length, ACCEPT, &answer);
        if (result != heads[i].result || !strstr(answer.detail, heads[i].detail)) {
            fail_msg("%s: is %d, \"%s\"", heads[i].head, result, answer.detail);
        }
        free(copy);
    }
    struct handshake_answer answer;
    static const char head[] = "HTTP/1.1 429 a\r\nRetry-After: 7\r\n\r\n";
    handshake_parse(head, strlen(head), ACCEPT, &answer);
    assert_int_equal(answer.retry_after_s, 7);
}

/* However the bytes are cut, nothing is decided before the end, and the end decides. */
static void test_head_prefixes(void **state)
{
    static const char head[] = HEAD "Sec-WebSocket-Accept: " ACCEPT "\r\n\r\n";
    struct handshake_answer answer;
    (void)state;
    for (size_t length = 0; length < strlen(head); length++) {
        assert_int_equal(handshake_parse(head, length, ACCEPT, &answer), HANDSHAKE_MORE);
    }
    assert_int_equal(handshake_parse(head, strlen(head), ACCEPT, &answer), HANDSHAKE_ACCEPTED);
    assert_int_equal(answer.length, strlen(head));
}

static void test_head_limits(void **state)
{
    static char head[HANDSHAKE_ANSWER_MAX + 100];
    struct handshake_answer answer;
    (void)state;
    memset(head, 'a', sizeof head);
    memcpy(head, "HTTP/1.1 101 ", 13);
    assert_int_equal(handshake_parse(head, HANDSHAKE_ANSWER_MAX - 1, ACCEPT, &answer),
                     HANDSHAKE_MORE);
    assert_int_equal(handshake_parse(head, HANDSHAKE_ANSWER_MAX, ACCEPT, &answer),
                     HANDSHAKE_BROKEN);
    assert_int_equal(handshake_parse(head, sizeof head, ACCEPT, &answer), HANDSHAKE_BROKEN);
    char *at = head + sprintf(head, "HTTP/1.1 101 OK\r\n");
    for (int i = 0; i <= HANDSHAKE_HEADERS_MAX; i++) {
        at += sprintf(at, "a: b\r\n");
    }
    at += sprintf(at, "\r\n");
    assert_int_equal(handshake_parse(head, (size_t)(at - head), ACCEPT, &answer), HANDSHAKE_BROKEN);
    assert_non_null(strstr(answer.detail, "too many"));
}

static void test_head_damage(void **state)
{
    struct prng prng;
    (void)state;
    prng_seed(&prng, 11);
    for (int i = 0; i < 100000; i++) {
        char head[] = HEAD "Sec-WebSocket-Accept: " ACCEPT "\r\nRetry-After: 12\r\n\r\n";
        size_t length = strlen(head);
        for (uint64_t n = 1 + prng_below(&prng, 4); n > 0; n--) {
            head[prng_below(&prng, length)] = (char)prng_next(&prng);
        }
        struct handshake_answer answer;
        enum handshake_result result = handshake_parse(head, length, ACCEPT, &answer);
        assert_true(result != HANDSHAKE_ACCEPTED || memmem(head, length, ACCEPT, 28));
    }
}

/* --- Frames for scripts ----------------------------------------------------------------------- */

#define TEXT   0x81
#define BINARY 0x82

struct bytes {
    char *at;
    size_t length;
};

static void add(struct bytes *bytes, const void *data, size_t length)
{
    bytes->at = realloc(bytes->at, bytes->length + length + 1);
    assert_non_null(bytes->at);
    memcpy(bytes->at + bytes->length, data, length);
    bytes->length += length;
    bytes->at[bytes->length] = '\0';
}

static void add_frame_n(struct bytes *bytes, uint8_t first, const void *data, size_t length)
{
    uint8_t head[10] = {first};
    size_t size = 2;
    if (length < 126) {
        head[1] = (uint8_t)length;
    } else if (length < 65536) {
        head[1] = 126;
        head[2] = (uint8_t)(length >> 8);
        head[3] = (uint8_t)length;
        size = 4;
    } else {
        head[1] = 127;
        for (int i = 0; i < 8; i++) {
            head[2 + i] = (uint8_t)((uint64_t)length >> (56 - 8 * i));
        }
        size = 10;
    }
    add(bytes, head, size);
    add(bytes, data, length);
}

static void add_frame(struct bytes *bytes, uint8_t first, const char *text)
{
    add_frame_n(bytes, first, text, strlen(text));
}

static void add_fill(struct bytes *bytes, uint8_t first, size_t length)
{
    char *fill = malloc(length);
    assert_non_null(fill);
    memset(fill, ' ', length);
    add_frame_n(bytes, first, fill, length);
    free(fill);
}

/* --- The source ------------------------------------------------------------------------------- */

struct world {
    uv_loop_t loop;
    struct options options;
    struct ws_server server;
    struct source *source;
    struct source_stats stats;
    uint64_t tokens, wanted;
    char mint[ADDRESS_TEXT_MAX + 1];
    char waiting[8][256]; /* messages of SOURCE_WAITING, in order */
    unsigned waits;
    unsigned lives, lost_lives; /* times it went live, and ceased to be */
    bool destroys_within;
    bool is_closed;
    struct bytes good; /* what a good connection sends */
};

static void on_closed(void *context)
{
    struct world *world = context;
    world->is_closed = true;
}

static bool is_closed(void *context)
{
    const struct world *world = context;
    return world->is_closed;
}

static bool on_token(void *context, const struct source_token *token)
{
    struct world *world = context;
    assert_false(world->is_closed);
    address_format(&token->mint, world->mint);
    world->tokens++;
    if (world->destroys_within) {
        source_destroy(world->source, on_closed);
        world->source = NULL;
    }
    return world->tokens % 2 == 0; /* whether it is taken must not matter to the connection */
}

static void on_state(void *context, enum source_state was, enum source_state now)
{
    struct world *world = context;
    world->lives += now == SOURCE_LIVE;
    world->lost_lives += was == SOURCE_LIVE;
    if (now == SOURCE_WAITING) {
        struct source_stats stats;
        source_stats(world->source, &stats);
        snprintf(world->waiting[world->waits % 8], sizeof world->waiting[0], "%s", stats.message);
        world->waits++;
    }
}

static bool has_tokens(void *context)
{
    struct world *world = context;
    if (world->source) {
        source_stats(world->source, &world->stats);
    }
    return world->tokens >= world->wanted;
}

static bool is_live(void *context)
{
    const struct world *world = context;
    return world->lives > 0;
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    assert_int_equal(uv_loop_init(&world->loop), 0);
    options_init(&world->options);
    world->options.source_ping_sec = 5;
    world->options.source_pong_timeout_sec = 5;
    world->options.source_backoff_min_sec = 0.01;
    world->options.source_backoff_max_sec = 0.05;
    world->options.feed_connect_timeout_sec = 5;
    world->options.feed_first_byte_timeout_sec = 5;
    add_frame(&world->good, TEXT, ACK);
    add_frame(&world->good, TEXT, CREATION);
    add_frame(&world->good, TEXT, MIGRATION);
    *state = world;
    return 0;
}

static void start_source(struct world *world, const struct ws_script *scripts, unsigned count)
{
    char why[512];
    ws_server_start(&world->server, &world->loop, scripts, count);
    snprintf(world->options.source, sizeof world->options.source,
             "ws://127.0.0.1:%d/api/data?key=1", world->server.port);
    world->source = source_create(&world->loop, &world->options, on_token, world, why);
    if (!world->source) {
        fail_msg("%s", why);
    }
    source_watch(world->source, on_state);
}

static void stop_source(struct world *world)
{
    if (world->source) {
        source_destroy(world->source, on_closed);
        world->source = NULL;
    }
    assert_true(loop_until(&world->loop, is_closed, world));
    ws_server_stop(&world->server);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    if (world->server.is_wrong) {
        fail_msg("the client: %s", world->server.complaint);
    }
}

static int tear_down(void **state)
{
    struct world *world = *state;
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    free(world->good.at);
    free(world);
    return 0;
}

static void test_live(void **state)
{
    struct world *world = *state;
    const struct ws_script scripts[] = {{WS_ANSWER, world->good.at, world->good.length, NULL}};
    start_source(world, scripts, 1);
    source_stats(world->source, &world->stats);
    assert_int_equal(world->server.connections, 0); /* nothing before the loop runs */
    world->wanted = 1;
    assert_true(loop_until(&world->loop, has_tokens, world));
    assert_string_equal(world->mint, MINT_A);
    assert_int_equal(world->stats.state, SOURCE_LIVE);
    assert_int_equal(world->stats.counts[SOURCE_CONNECTS], 1);
    assert_int_equal(world->stats.counts[SOURCE_ACKS], 1);
    assert_int_equal(world->stats.counts[SOURCE_CREATIONS], 1);
    assert_int_equal(world->stats.counts[SOURCE_MIGRATIONS], 1);
    assert_int_equal(world->server.subscriptions, 1);
    stop_source(world);
    assert_int_equal(world->server.close_code, 1001);
    assert_int_equal(world->waits, 0);
}

/* A connection that goes wrong, then a good one. */
struct bad_row {
    const char *name;
    struct ws_script script;
    const char *message;         /* within what SOURCE_WAITING says */
    enum source_count counted;   /* once … */
    double pong_s, first_byte_s; /* 0: generous */
};

static void check_bad(const struct bad_row *row)
{
    void *state;
    set_up(&state);
    struct world *world = state;
    const struct ws_script scripts[] = {row->script,
                                        {WS_ANSWER, world->good.at, world->good.length, NULL}};
    if (row->pong_s > 0) {
        world->options.source_ping_sec = row->pong_s;
        world->options.source_pong_timeout_sec = row->pong_s;
    }
    if (row->first_byte_s > 0) {
        world->options.feed_first_byte_timeout_sec = row->first_byte_s;
    }
    start_source(world, scripts, 2);
    world->wanted = 1;
    if (!loop_until(&world->loop, has_tokens, world)) {
        fail_msg("%s: no token; %s", row->name, world->stats.message);
    }
    if (!strstr(world->waiting[0], row->message) ||
        !strstr(world->waiting[0], "; reconnecting in 0.0 s (1st try)") ||
        world->stats.counts[row->counted] != 1) {
        fail_msg("%s: \"%s\", counted %d", row->name, world->waiting[0],
                 (int)world->stats.counts[row->counted]);
    }
    assert_int_equal(world->waits, 1);
    assert_int_equal(world->server.connections, 2);
    assert_int_equal(
        world->stats.counts[SOURCE_CONNECTS] + world->stats.counts[SOURCE_FAILED_CONNECTS], 2);
    bool was_open = world->stats.counts[SOURCE_CONNECTS] == 2;
    assert_int_equal(world->stats.counts[SOURCE_DISCONNECTS], was_open ? 1 : 0);
    assert_int_equal(world->stats.gap_total.us > 0, world->lost_lives > 0);
    assert_true(was_open || world->lost_lives == 0);
    assert_int_equal(world->lives, world->lost_lives + 1);
    stop_source(world);
    tear_down(&state);
}

static void test_bad_handshakes(void **state)
{
    static char endless[3 * HANDSHAKE_ANSWER_MAX] = "HTTP/1.1 101 ";
    memset(endless + 13, 'x', sizeof endless - 14);
    const struct bad_row rows[] = {
        {"403",
         {WS_REFUSE, "HTTP/1.1 403 Forbidden\r\n\r\n<html>", 0, NULL},
         "403 (forbidden",
         SOURCE_FAILED_CONNECTS,
         0,
         0},
        {"429",
         {WS_REFUSE, "HTTP/1.1 429 No\r\nRetry-After: 0\r\n\r\n", 0, NULL},
         "429 (too many connections",
         SOURCE_FAILED_CONNECTS,
         0,
         0},
        {"redirect",
         {WS_REFUSE, "HTTP/1.1 301 Moved\r\nLocation: wss://x/\r\n\r\n", 0, NULL},
         "redirect to wss://x/",
         SOURCE_FAILED_CONNECTS,
         0,
         0},
        {"200",
         {WS_REFUSE, "HTTP/1.1 200 OK\r\n\r\n", 0, NULL},
         "answers 200",
         SOURCE_FAILED_CONNECTS,
         0,
         0},
        {"no HTTP",
         {WS_REFUSE, "hello\r\n\r\n", 0, NULL},
         "no HTTP/1.1",
         SOURCE_FAILED_CONNECTS,
         0,
         0},
        {"half a head",
         {WS_REFUSE, "HTTP/1.1 101 Sw", 0, NULL},
         "dropped the connection",
         SOURCE_FAILED_CONNECTS,
         0,
         0},
        {"endless head", {WS_REFUSE, endless, 0, NULL}, "no end", SOURCE_FAILED_CONNECTS, 0, 0},
        {"wrong accept",
         {WS_ANSWER, "", 0, ACCEPT},
         "does not belong to our key",
         SOURCE_FAILED_CONNECTS,
         0,
         0},
        {"no answer",
         {WS_HANG, NULL, 0, NULL},
         "no answer to the handshake within 0.1 s",
         SOURCE_FAILED_CONNECTS,
         0,
         0.1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_bad(&rows[i]);
    }
}

static void test_bad_frames(void **state)
{
    struct bytes close = {0}, rude = {0}, text = {0}, large = {0}, pieces = {0}, reserved = {0},
                 rsv = {0}, control = {0}, half = {0}, padded = {0}, stuffing = {0};
    (void)state;
    add_frame_n(&close, 0x88, "\x03\xe9restart\n", 10);
    add_frame(&rude, 0x88, "");
    add_frame(&text, TEXT, "{\"a\":\"\xC3\x28\"}");
    add_fill(&large, TEXT, PUMPPORTAL_FRAME_MAX + 1);
    for (int i = 0; i < 70; i++) {
        add_fill(&pieces, i == 0 ? 0x01 : 0x00, 1000);
    }
    add_frame(&reserved, 0x83, "x");
    add_frame(&rsv, 0xC1, "x");
    add_fill(&control, 0x89, 126);
    add(&half, "\x81\x7e\x01\x00half", 8);
    add(&padded, "\x81\x7f\0\0\0\0\0\0\x01\0half", 14); /* a length in more bytes than it takes */
    char ping[125] = "";
    struct bytes block = {0};
    for (int i = 0; i < 1000; i++) {
        add_frame_n(&block, 0x89, ping, sizeof ping);
    }
    for (int i = 0; i < 120; i++) {
        add(&stuffing, block.at, block.length);
    }
    free(block.at);
    const struct bad_row rows[] = {
        {"dropped",
         {WS_DROP, "", 0, NULL},
         "connection lost: the peer dropped",
         SOURCE_DISCONNECTS,
         0,
         0},
        {"half a frame",
         {WS_DROP, half.at, half.length, NULL},
         "the peer dropped",
         SOURCE_DISCONNECTS,
         0,
         0},
        {"closed",
         {WS_ANSWER, close.at, close.length, NULL},
         "closed the connection with code 1001: restart",
         SOURCE_DISCONNECTS,
         0,
         0},
        {"closed without a code",
         {WS_ANSWER, rude.at, rude.length, NULL},
         "the peer closed the connection;",
         SOURCE_DISCONNECTS,
         0,
         0},
        {"no UTF-8", {WS_ANSWER, text.at, text.length, NULL}, "not UTF-8", SOURCE_JUNK, 0, 0},
        {"too large",
         {WS_ANSWER, large.at, large.length, NULL},
         "over 65536 bytes",
         SOURCE_TOO_LARGE,
         0,
         0},
        {"too large in pieces",
         {WS_ANSWER, pieces.at, pieces.length, NULL},
         "over 65536 bytes",
         SOURCE_TOO_LARGE,
         0,
         0},
        {"reserved opcode",
         {WS_ANSWER, reserved.at, reserved.length, NULL},
         "break the protocol",
         SOURCE_JUNK,
         0,
         0},
        {"reserved bit",
         {WS_ANSWER, rsv.at, rsv.length, NULL},
         "break the protocol",
         SOURCE_JUNK,
         0,
         0},
        {"padded length",
         {WS_ANSWER, padded.at, padded.length, NULL},
         "break the protocol",
         SOURCE_JUNK,
         0,
         0},
        {"large ping",
         {WS_ANSWER, control.at, control.length, NULL},
         "break the protocol",
         SOURCE_JUNK,
         0,
         0},
        {"no pong",
         {WS_DEAF, "", 0, NULL},
         "no answer to a ping within 0.2 s",
         SOURCE_DISCONNECTS,
         0.2,
         0},
        {"stuffed",
         {WS_STUFF, stuffing.at, stuffing.length, NULL},
         "does not read",
         SOURCE_DISCONNECTS,
         0,
         0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_bad(&rows[i]);
    }
    struct bytes *all[] = {&close, &rude,    &text, &large,  &pieces,  &reserved,
                           &rsv,   &control, &half, &padded, &stuffing};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        free(all[i]->at);
    }
}

/* What must not disturb a connection. */
static void test_odd_frames(void **state)
{
    struct world *world = *state;
    struct bytes odd = {0};
    add_frame(&odd, TEXT, ACK);
    add_frame(&odd, BINARY, MIGRATION);
    add_frame(&odd, TEXT, "");
    add_frame(&odd, TEXT, "hello");
    add_frame(&odd, TEXT, "{\"txType\":\"migrate\",\"mint\":\"x\"}");
    add_frame(&odd, TEXT, REFUSAL);
    add_frame(&odd, 0x8A, "a pong nobody asked for");
    add_frame(&odd, 0x01, "{\"mint\":\"" MINT_B "\",");
    add_frame(&odd, 0x89, "a ping between fragments");
    add_frame(&odd, 0x00, "");
    add_frame(&odd, 0x00, "\"txType\":");
    add_frame(&odd, 0x80, "\"migrate\"}");
    add_fill(&odd, TEXT, PUMPPORTAL_FRAME_MAX);
    add_frame(&odd, TEXT, MIGRATION);
    const struct ws_script script = {WS_ANSWER, odd.at, odd.length, NULL};
    start_source(world, &script, 1);
    world->wanted = 2;
    assert_true(loop_until(&world->loop, has_tokens, world));
    const uint64_t *counts = world->stats.counts;
    assert_int_equal(counts[SOURCE_MIGRATIONS], 2);
    assert_int_equal(counts[SOURCE_ACKS], 1);
    assert_int_equal(counts[SOURCE_JUNK], 4);
    assert_int_equal(counts[SOURCE_BAD_MINTS], 1);
    assert_int_equal(counts[SOURCE_REFUSALS], 1);
    assert_int_equal(world->waits, 0);
    assert_non_null(strstr(world->stats.message, "Invalid API key"));
    stop_source(world);
    free(odd.at);
}

/* The same bytes, however they are delivered. */
static void test_deliveries(void **state)
{
    static const enum ws_manner manners[] = {WS_SLOW, WS_WITH_HEAD, WS_AFTER_PONG};
    (void)state;
    for (size_t i = 0; i < sizeof manners / sizeof *manners; i++) {
        void *own;
        set_up(&own);
        struct world *world = own;
        const struct ws_script script = {manners[i], world->good.at, world->good.length, NULL};
        start_source(world, &script, 1);
        world->wanted = 1;
        assert_true(loop_until(&world->loop, has_tokens, world));
        assert_int_equal(world->stats.counts[SOURCE_CREATIONS], 1);
        assert_int_equal(world->waits, 0);
        stop_source(world);
        tear_down(&own);
    }
}

static void test_resubscription(void **state)
{
    struct world *world = *state;
    const struct ws_script script = {WS_DROP, world->good.at, world->good.length, NULL};
    start_source(world, &script, 1);
    world->wanted = 5;
    assert_true(loop_until(&world->loop, has_tokens, world));
    assert_int_equal(world->server.connections, 5);
    assert_int_equal(world->server.subscriptions, 5);
    /* It delivered each time, so each wait is a first one. */
    for (unsigned i = 0; i < world->waits; i++) {
        assert_non_null(strstr(world->waiting[i], "(1st try)"));
    }
    stop_source(world);
}

static bool has_waited(void *context)
{
    const struct world *world = context;
    return world->waits >= world->wanted;
}

static void test_tries(void **state)
{
    static const char *const tries[] = {"(1st try)", "(2nd try)", "(3rd try)", "(4th try)"};
    struct world *world = *state;
    struct bytes ack = {0};
    add_frame(&ack, TEXT, ACK); /* an answer alone does not make a connection a good one */
    const struct ws_script script = {WS_DROP, ack.at, ack.length, NULL};
    start_source(world, &script, 1);
    world->wanted = 4;
    assert_true(loop_until(&world->loop, has_waited, world));
    for (int i = 0; i < 4; i++) {
        assert_non_null(strstr(world->waiting[i], tries[i]));
    }
    stop_source(world);
    free(ack.at);
}

static bool has_pinged(void *context)
{
    const struct world *world = context;
    return world->server.pings >= world->wanted;
}

static bool has_subscribed(void *context)
{
    const struct world *world = context;
    return world->server.subscriptions >= world->wanted;
}

static void test_pings(void **state)
{
    struct world *world = *state;
    const struct ws_script script = {WS_ANSWER, world->good.at, world->good.length, NULL};
    world->options.source_ping_sec = 0.02;
    start_source(world, &script, 1);
    world->wanted = 10;
    assert_true(loop_until(&world->loop, has_pinged, world));
    assert_int_equal(world->server.subscriptions, 1);
    assert_int_equal(world->waits, 0);
    stop_source(world);
}

static void test_unanswered_subscription(void **state)
{
    struct world *world = *state;
    const struct ws_script script = {WS_ANSWER, "", 0, NULL};
    world->options.source_ping_sec = 0.02;
    start_source(world, &script, 1);
    world->wanted = 3;
    assert_true(loop_until(&world->loop, has_subscribed, world));
    assert_int_equal(world->server.connections, 1);
    source_stats(world->source, &world->stats);
    assert_int_equal(world->stats.state, SOURCE_CONNECTING); /* it pongs, and never said yes */
    assert_non_null(strstr(world->stats.message, "does not say that we are subscribed"));
    assert_int_equal(world->lives, 0);
    stop_source(world);
}

/* Taken for dead from its first moment on, each time, and each wait is a longer one. */
static void test_silent_from_the_start(void **state)
{
    static const char *const tries[] = {"(1st try)", "(2nd try)", "(3rd try)"};
    struct world *world = *state;
    const struct ws_script script = {WS_DEAF, "", 0, NULL};
    world->options.source_ping_sec = world->options.source_pong_timeout_sec = 0.05;
    start_source(world, &script, 1);
    world->wanted = 3;
    assert_true(loop_until(&world->loop, has_waited, world));
    for (int i = 0; i < 3; i++) {
        assert_non_null(strstr(world->waiting[i], "no answer to a ping"));
        assert_non_null(strstr(world->waiting[i], tries[i]));
    }
    source_stats(world->source, &world->stats);
    assert_int_equal(world->stats.counts[SOURCE_CONNECTS], 3);
    assert_int_equal(world->lives, 0);
    stop_source(world);
}

static bool has_opened(void *context)
{
    struct world *world = context;
    source_stats(world->source, &world->stats);
    return world->stats.counts[SOURCE_CONNECTS] >= world->wanted;
}

/* Whatever it says, even that it refuses us: then somebody is there. */
static void test_first_words(void **state)
{
    static const char *const words[] = {ACK, MIGRATION, CREATION, REFUSAL, "hello"};
    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        void *own;
        struct bytes bytes = {0};
        set_up(&own);
        struct world *world = own;
        add_frame(&bytes, TEXT, words[i]);
        const struct ws_script script = {WS_SLOW, bytes.at, bytes.length, NULL};
        start_source(world, &script, 1);
        world->wanted = 1;
        assert_true(loop_until(&world->loop, has_opened, world));
        assert_int_equal(world->stats.state, SOURCE_CONNECTING);
        assert_string_equal(world->stats.message, "connected; it has not said anything yet");
        assert_true(loop_until(&world->loop, is_live, world));
        stop_source(world);
        tear_down(&own);
        free(bytes.at);
    }
}

static void test_retry_after(void **state)
{
    struct world *world = *state;
    const struct ws_script script = {WS_REFUSE, "HTTP/1.1 429 a\r\nRetry-After: 120\r\n\r\n", 0,
                                     NULL};
    start_source(world, &script, 1);
    world->wanted = 1;
    assert_true(loop_until(&world->loop, has_waited, world));
    assert_non_null(strstr(world->waiting[0], "reconnecting in 120 s"));
    stop_source(world);
    assert_int_equal(world->server.connections, 1);
}

static void test_nobody_listens(void **state)
{
    struct world *world = *state;
    const struct ws_script script = {WS_ANSWER, "", 0, NULL};
    start_source(world, &script, 1);
    ws_server_stop(&world->server);
    world->wanted = 2;
    assert_true(loop_until(&world->loop, has_waited, world));
    assert_non_null(strstr(world->waiting[0], "no connection: "));
    stop_source(world);
}

/* --- Ends ------------------------------------------------------------------------------------- */

static void test_destroy_within(void **state)
{
    struct world *world = *state;
    const struct ws_script script = {WS_ANSWER, world->good.at, world->good.length, NULL};
    world->destroys_within = true;
    start_source(world, &script, 1);
    assert_true(loop_until(&world->loop, is_closed, world));
    assert_int_equal(world->tokens, 1);
    stop_source(world);
}

static void test_destroy_any_time(void **state)
{
    (void)state;
    for (int turns = 0; turns < 24; turns++) {
        void *own;
        set_up(&own);
        struct world *world = own;
        const struct ws_script script = {WS_ANSWER, world->good.at, world->good.length, NULL};
        start_source(world, &script, 1);
        for (int i = 0; i < turns; i++) {
            uv_run(&world->loop, UV_RUN_NOWAIT);
        }
        stop_source(world);
        tear_down(&own);
    }
}

static void destroy_when_answered(uv_prepare_t *before_poll)
{
    struct world *world = before_poll->data;
    if (world->source != NULL && world->server.last_key[0] != '\0') {
        source_destroy(world->source, on_closed);
        world->source = NULL;
    }
}

/* The answer to the handshake lies in the socket: the connection opens once more, to be closed. */
static void test_destroy_before_the_answer_is_read(void **state)
{
    struct world *world = *state;
    const struct ws_script script = {WS_ANSWER, world->good.at, world->good.length, NULL};
    uv_prepare_t before_poll = {.data = world};
    start_source(world, &script, 1);
    uv_prepare_init(&world->loop, &before_poll);
    uv_prepare_start(&before_poll, destroy_when_answered);
    bool has_closed = loop_until(&world->loop, is_closed, world);
    uv_close((uv_handle_t *)&before_poll, NULL);
    uv_run(&world->loop, UV_RUN_NOWAIT);
    assert_true(has_closed);
    assert_int_equal(world->tokens, 0);
    stop_source(world);
}

/* A deaf peer must not hold up a shutdown for more than a second. */
static void test_destroy_deaf(void **state)
{
    struct world *world = *state;
    const struct ws_script script = {WS_DEAF, world->good.at, world->good.length, NULL};
    start_source(world, &script, 1);
    world->wanted = 1;
    assert_true(loop_until(&world->loop, has_tokens, world));
    uint64_t began = uv_hrtime();
    stop_source(world);
    assert_true(uv_hrtime() - began < 5000000000u);
}

/* --- TLS -------------------------------------------------------------------------------------- */

struct direct {
    uv_loop_t loop;
    struct websocket *websocket;
    bool is_open, is_ended, is_closed;
    uint64_t messages, bytes;
    enum websocket_end end;
    char detail[512];
};

static void direct_on_open(void *context)
{
    struct direct *direct = context;
    direct->is_open = true;
    assert_int_equal(websocket_send_text(direct->websocket, "go", 2), OK);
}

static void direct_on_message(void *context, enum websocket_kind kind, const char *bytes,
                              size_t length)
{
    struct direct *direct = context;
    (void)kind;
    (void)bytes;
    direct->messages++;
    direct->bytes += length;
}

static void direct_on_pong(void *context)
{
    (void)context;
}

static void direct_on_gone(void *context)
{
    struct direct *direct = context;
    direct->is_closed = true;
}

static void direct_on_end(void *context, const struct websocket_ended *ended)
{
    struct direct *direct = context;
    direct->end = ended->end;
    snprintf(direct->detail, sizeof direct->detail, "%s", ended->detail);
    direct->is_ended = true;
    websocket_destroy(direct->websocket, direct_on_gone, direct);
}

static bool direct_is_closed(void *context)
{
    const struct direct *direct = context;
    return direct->is_closed;
}

static void connect_directly(struct direct *direct, const char *url, const char *ca_file,
                             double timeout_s)
{
    static const struct websocket_listener listener = {
        .on_open = direct_on_open,
        .on_message = direct_on_message,
        .on_pong = direct_on_pong,
        .on_end = direct_on_end,
    };
    const struct websocket_options options = {
        .url = url,
        .connect_timeout = duration_s(timeout_s),
        .handshake_timeout = duration_s(5),
        .ping_interval = duration_s(5),
        .pong_timeout = duration_s(5),
        .close_timeout = duration_s(1),
        .message_max = 65536,
        .ca_file = ca_file,
    };
    char why[512];
    memset(direct, 0, sizeof *direct);
    assert_int_equal(uv_loop_init(&direct->loop), 0);
    direct->websocket = websocket_connect(&direct->loop, &options, &listener, direct, why);
    assert_non_null(direct->websocket);
    assert_true(loop_until(&direct->loop, direct_is_closed, direct));
    uv_run(&direct->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&direct->loop), 0);
}

static void test_tls(void **state)
{
    struct tls_server server;
    struct direct direct;
    char url[64];
    (void)state;
    tls_server_start(&server);

    snprintf(url, sizeof url, "wss://127.0.0.1:%d/", server.port);
    connect_directly(&direct, url, NULL, 20); /* signed by itself: nobody we trust */
    assert_int_equal(direct.end, WEBSOCKET_TLS);
    assert_false(direct.is_open);
    assert_non_null(strstr(direct.detail, "certificate"));

    connect_directly(&direct, url, server.certificate_path, 20); /* trusted: flows, to the end */
    assert_true(direct.is_open);
    assert_int_equal(direct.messages, TLS_SERVER_MESSAGES);
    assert_int_equal(direct.bytes, (uint64_t)TLS_SERVER_MESSAGES * TLS_SERVER_MESSAGE_BYTES);
    assert_int_equal(direct.end, WEBSOCKET_CLOSED_BY_PEER);

    snprintf(url, sizeof url, "wss://localhost:%d/", server.port);
    connect_directly(&direct, url, server.certificate_path, 20); /* trusted, but for another name */
    assert_int_equal(direct.end, WEBSOCKET_TLS);

    tls_server_stop(&server);
}

/* A server that accepts and never speaks TLS. */
static void test_connect_timeout(void **state)
{
    struct direct direct;
    struct ws_server server;
    uv_loop_t other; /* which never runs: its kernel socket accepts all by itself */
    char url[64];
    const struct ws_script script = {WS_HANG, NULL, 0, NULL};
    (void)state;
    assert_int_equal(uv_loop_init(&other), 0);
    ws_server_start(&server, &other, &script, 1);
    snprintf(url, sizeof url, "wss://127.0.0.1:%d/", server.port);
    connect_directly(&direct, url, NULL, 0.3);
    assert_int_equal(direct.end, WEBSOCKET_CONNECT_TIMEOUT);
    ws_server_stop(&server);
    uv_run(&other, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&other), 0);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_head_prefixes),
        cmocka_unit_test(test_head_limits),
        cmocka_unit_test(test_head_damage),
        ROW(test_live),
        cmocka_unit_test(test_bad_handshakes),
        cmocka_unit_test(test_bad_frames),
        ROW(test_odd_frames),
        cmocka_unit_test(test_deliveries),
        ROW(test_resubscription),
        ROW(test_tries),
        ROW(test_pings),
        ROW(test_unanswered_subscription),
        ROW(test_silent_from_the_start),
        ROW(test_first_words),
        ROW(test_retry_after),
        ROW(test_nobody_listens),
        ROW(test_destroy_within),
        ROW(test_destroy_before_the_answer_is_read),
        cmocka_unit_test(test_destroy_any_time),
        ROW(test_destroy_deaf),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_connect_timeout),
    };
    return cmocka_run_group_tests_name("websocket", tests, NULL, NULL);
}
