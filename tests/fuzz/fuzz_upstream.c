/*
 * What servers answer to our requests, from their status line on: the upstream's to the feed
 * (dexscreener.c), and those of receivers of alerts to their sinks (alert/post.c). The first byte
 * says whom we ask, and whether the bytes are a whole answer or the body of a right one; the second
 * how long the pieces are.
 */
#include "peer.h"

#include "../unit/alert/messages.h"
#include "alert/post.h"
#include "base/log.h"
#include "feed/dexscreener.h"
#include "feed/reply.h"
#include <signal.h>

enum { IS_BODY = 4, IS_GZIP = 8 };

static uv_loop_t loop;
static struct peer peer;
static struct options options;
static bool is_answered, is_closed;
static bool is_gzip;

/* Who is asked, and how. */
struct asked {
    void (*send)(void *whom);
    void *whom;
};

static struct curl_loop *curl_loop;
static struct sink_world world;
static struct alert_origin origin;
static struct sink *sinks[3];

static size_t right_head(const char *head, size_t length, char out[PEER_FRONT_MAX])
{
    (void)head;
    return (size_t)snprintf(out, PEER_FRONT_MAX,
                            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                            "%sContent-Length: %zu\r\nConnection: close\r\n\r\n",
                            is_gzip ? "Content-Encoding: gzip\r\n" : "", length);
}

static void on_sink_done(void *context, enum alert_sink sink, const struct sink_result *result)
{
    (void)context, (void)sink;
    assert(result->outcome < SINK_OUTCOME_COUNT);
    assert(memchr(result->detail, '\0', sizeof result->detail) != NULL);
    assert(!result->has_retry_after || (result->retry_after.us >= 0 &&
                                        duration_to_s(result->retry_after) <= RETRY_AFTER_MAX_S));
    is_answered = true;
}

static void on_transfer_done(void *context, CURL *easy, CURLcode code)
{
    (void)context;
    post_on_done(easy, code);
}

static void make_sinks(void)
{
    static const enum alert_sink which[] = {ALERT_SINK_WEBHOOK, ALERT_SINK_ALERTMANAGER,
                                            ALERT_SINK_TELEGRAM};
    curl_loop = curl_loop_create(&loop, on_transfer_done, NULL);
    assert(curl_loop != NULL);
    alert_origin_init(&origin, &options);
    world = (struct sink_world){.loop = &loop,
                                .curl_loop = curl_loop,
                                .options = &options,
                                .origin = &origin,
                                .on_done = on_sink_done};
    for (size_t i = 0; i < sizeof which / sizeof which[0]; i++) {
        sinks[i] = alert_sink_create(which[i], &world);
        assert(sinks[i] != NULL);
    }
}

void fuzz_begin(void)
{
    signal(SIGPIPE, SIG_IGN);
    log_setup(LOG_ERROR, LOG_FORMAT_JSON);
    options_init(&options);
    if (uv_loop_init(&loop) != 0)
        abort();
    peer_start(&peer, &loop);
    snprintf(options.feed, sizeof options.feed, "http://127.0.0.1:%d", peer.port);
    snprintf(options.alert_webhook_url, sizeof options.feed, "%s", options.feed);
    snprintf(options.alert_alertmanager_url, sizeof options.feed, "%s", options.feed);
    snprintf(options.alert_telegram_url, sizeof options.feed, "%s", options.feed);
    snprintf(options.alert_telegram_token, sizeof options.feed, "1:a");
    snprintf(options.alert_telegram_chat, sizeof options.feed, "1");
    options.feed_body_limit_kb = 16;
    make_sinks();
}

static void on_answer(void *context, const struct feed_answer *answer)
{
    (void)context;
    assert(answer->request == 7 && (unsigned)answer->outcome < FEED_OUTCOME_COUNT);
    assert((answer->outcome == FEED_OK) == (answer->parsed != NULL));
    assert((answer->outcome == FEED_OK) == (answer->detail == NULL));
    assert(answer->body_bytes <= (size_t)options.feed_body_limit_kb << 10);
    assert(!answer->has_retry_after || (answer->retry_after.us >= 0 &&
                                        duration_to_s(answer->retry_after) <= RETRY_AFTER_MAX_S));
    is_answered = true;
}

static void on_closed(void *context)
{
    (void)context;
    is_closed = true;
}

static void ask(const struct asked *asked)
{
    is_answered = false;
    asked->send(asked->whom);
    while (!is_answered)
        uv_run(&loop, UV_RUN_ONCE);
    peer_drop(&peer);
}

/* The bytes come in answer to the second request, after a right answer to the first, of which
 * something may have been kept. */
static void ask_twice(const struct asked *asked, const struct input *input, uint8_t how,
                      uint8_t piece)
{
    static const struct input right = {(const uint8_t *)"[]", 2};
    peer.front = right_head;
    is_gzip = false;
    peer_expect(&peer, &right, 0);
    ask(asked);
    peer.front = how & IS_BODY ? right_head : NULL;
    is_gzip = (how & IS_GZIP) != 0;
    peer_expect(&peer, input, piece);
    ask(asked);
}

static void ask_upstream(void *feed)
{
    static const struct address address = {{1}};
    if (feed_send(feed, LANE_SCREEN, &address, 1, 7) != OK)
        abort();
}

static void ask_receiver(void *whom)
{
    struct sink *sink = whom;
    struct alert_message message = message_of(1);
    sink->methods->send(sink, &message);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    static const struct feed_listener listener = {.on_answer = on_answer};
    struct input input = {data, size};
    uint8_t how = input_u8(&input), piece = input_u8(&input);
    if ((how & 3) != 3) {
        ask_twice(&(struct asked){ask_receiver, sinks[how & 3]}, &input, how, piece);
        return;
    }
    char why[OPTION_MESSAGE_SIZE];
    struct feed *feed = feed_create(&loop, &options, &listener, why);
    assert(feed != NULL);
    ask_twice(&(struct asked){ask_upstream, feed}, &input, how, piece);
    is_closed = false;
    feed_destroy(feed, on_closed);
    while (!is_closed)
        uv_run(&loop, UV_RUN_ONCE);
}
