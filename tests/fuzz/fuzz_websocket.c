/*
 * What the peer of our WebSocket sends, from the handshake's answer on, in pieces: through libcurl,
 * websocket.c, wslay and source_websocket.c, over a connection of its own each time. The first byte
 * says whether the right answer to the handshake comes before the bytes, and whether the peer reads
 * what we send; the second how long the pieces are.
 */
#include "peer.h"

#include "base/log.h"
#include "feed/handshake.h"
#include "feed/source.h"
#include <signal.h>

enum { SHAKES_HANDS = 1, READS_NOTHING = 2 };

static uv_loop_t loop;
static struct peer peer;
static struct options options;
static struct source *source;

/* The right answer to the request. */
static size_t shake_hands(const char *head, size_t length, char out[PEER_FRONT_MAX])
{
    static const char name[] = "Sec-WebSocket-Key: ";
    char accept[HANDSHAKE_ACCEPT_TEXT], key[HANDSHAKE_KEY_TEXT];
    const char *at = strstr(head, name);
    (void)length;
    assert(at != NULL);
    snprintf(key, sizeof key, "%s", at + sizeof name - 1);
    handshake_accept(key, accept);
    return (size_t)snprintf(out, PEER_FRONT_MAX,
                            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                            "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                            accept);
}

void fuzz_begin(void)
{
    signal(SIGPIPE, SIG_IGN);
    log_setup(LOG_ERROR, LOG_FORMAT_JSON);
    options_init(&options);
    if (uv_loop_init(&loop) != 0)
        abort();
    peer_start(&peer, &loop);
    snprintf(options.source, sizeof options.source, "ws://127.0.0.1:%d/api/data", peer.port);
}

static bool on_token(void *context, const struct source_token *token)
{
    (void)context, (void)token;
    return true;
}

static void on_closed(void *context)
{
    (void)context;
    source = NULL;
}

/* In pieces or as a whole, an answer to the handshake means the same. */
static void parse_handshake(const char *bytes, size_t length)
{
    static const char accept[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    struct handshake_answer whole, part;
    enum handshake_result result = handshake_parse(bytes, length, accept, &whole);
    assert(whole.length <= length && strlen(whole.detail) < sizeof whole.detail);
    assert(whole.retry_after_s >= -1 && whole.retry_after_s <= HANDSHAKE_RETRY_MAX_S);
    for (size_t i = length < 64 ? 0 : length - 64; i < length; i++) {
        enum handshake_result then = handshake_parse(bytes, i, accept, &part);
        assert(then == HANDSHAKE_MORE || then == result);
    }
    char *url = strndup(bytes, length), why[512];
    struct handshake_url parts;
    if (handshake_url_parse(url, &parts, why) == OK) {
        char request[HANDSHAKE_REQUEST_MAX];
        size_t size = handshake_request(&parts, "key", request);
        assert(size == 0 || size == strlen(request));
    }
    free(url);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    char why[512];
    struct source_stats stats;
    uint8_t how = input_u8(&input), piece = input_u8(&input);
    parse_handshake((const char *)input.at, input.left);
    peer.front = how & SHAKES_HANDS ? shake_hands : NULL;
    peer.reads_nothing = (how & READS_NOTHING) != 0;
    peer_expect(&peer, &input, piece);
    source = source_create(&loop, &options, on_token, NULL, why);
    assert(source != NULL);
    do {
        uv_run(&loop, UV_RUN_ONCE);
        source_stats(source, &stats);
    } while (stats.state != SOURCE_WAITING);
    uint64_t frames = 0;
    for (int i = 0; i < SOURCE_FRAME_COUNTS; i++)
        frames += stats.counts[i];
    assert(frames <= size);
    source_destroy(source, on_closed);
    peer_drop(&peer);
    while (source != NULL)
        uv_run(&loop, UV_RUN_ONCE);
}
