/*
 * PumpPortal over a WebSocket that is kept alive for ever: connect, subscribe, listen; when the
 * connection ends for whatever reason, say why, wait, and start again. One connection at a time,
 * ever (the upstream allows one an address): the wait begins when the old one is closed and gone.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/prng.h"
#include "feed/handshake.h"
#include "feed/source_kind.h"
#include "feed/websocket.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define LOGGER "source"

/* A connection that lived this long and said something, or that brought a token, was a good one:
 * the next wait is short. */
#define GOOD_LIFE_S 30

/* A shutdown must not wait for a peer that says nothing. */
#define CLOSE_TIMEOUT_S 1

struct source_websocket {
    struct source source;
    char url[OPTION_TEXT_SIZE];
    char shown[HANDSHAKE_URL_TEXT_MAX];
    char ca_file[OPTION_TEXT_SIZE]; /* "": the system's certificates */
    struct websocket_options options;
    struct websocket *websocket; /* until it is closed and gone */
    uv_timer_t timer;            /* to the next connection */
    struct prng prng;
    duration backoff_min, backoff_max;
    duration wait;  /* before the next connection */
    unsigned tries; /* since the last good connection */

    /* Of the present connection. */
    instant opened_at;
    bool heard, delivered, acknowledged, refused;
    uint64_t seen[SOURCE_COUNT_COUNT];
};

static void on_time(uv_timer_t *timer);

static const char *ordinal_suffix(unsigned n)
{
    static const char *const suffixes[] = {"th", "st", "nd", "rd"};
    unsigned last = n % 10;
    return n % 100 / 10 == 1 || last > 3 ? suffixes[0] : suffixes[last];
}

/* --- Between connections ---------------------------------------------------------------------- */

static duration next_wait(struct source_websocket *self, int64_t retry_after_s)
{
    duration wait =
        source_backoff(self->backoff_min, self->backoff_max, self->tries, prng_unit(&self->prng));
    duration asked = duration_s(retry_after_s > 0 ? (double)retry_after_s : 0);
    return asked.us > wait.us ? asked : wait;
}

static void plan_reconnect(struct source_websocket *self, const char *what, const char *detail,
                           int64_t retry_after_s)
{
    char seconds[32];
    char message[640];
    self->tries++;
    self->wait = next_wait(self, retry_after_s);
    snprintf(message, sizeof message, "%s: %.400s; reconnecting in %s (%u%s try)", what, detail,
             source_seconds_text(self->wait, seconds), self->tries, ordinal_suffix(self->tries));
    log_warning(LOGGER, message, LOG_STRING("url", self->shown));
    source_change(&self->source, SOURCE_WAITING, message);
}

static void on_timer_closed(uv_handle_t *handle)
{
    source_finished(handle->data);
}

/* The old connection has left nothing behind. */
static void on_websocket_gone(void *context)
{
    struct source_websocket *self = context;
    self->websocket = NULL;
    if (self->source.destroyed) {
        uv_close((uv_handle_t *)&self->timer, on_timer_closed);
    } else {
        uint64_t ms = (uint64_t)duration_to_ms(self->wait);
        uv_timer_start(&self->timer, on_time, ms > 0 ? ms : 1, 0);
    }
}

/* --- One connection --------------------------------------------------------------------------- */

static void subscribe(struct source_websocket *self)
{
    enum err err =
        websocket_send_text(self->websocket, PUMPPORTAL_SUBSCRIBE, strlen(PUMPPORTAL_SUBSCRIBE));
    if (err != OK) {
        /* The end of the connection is being told by another way. */
        log_debug(LOGGER, "subscription not sent", LOG_STRING("cause", err_text(err)));
    }
}

/* That it opened is not yet a life: a peer that takes connections and then says nothing, neither
 * events nor that we are subscribed, would look just as well as one on which nothing happens. */
static void on_open(void *context)
{
    struct source_websocket *self = context;
    if (self->source.destroyed) {
        return;
    }
    self->source.stats.counts[SOURCE_CONNECTS]++;
    self->source.stats.last_frame_at = clock_now();
    self->opened_at = clock_now();
    self->heard = self->delivered = self->acknowledged = self->refused = false;
    memset(self->seen, 0, sizeof self->seen);
    log_info(LOGGER, "connected; subscribing to migrations", LOG_STRING("url", self->shown));
    subscribe(self);
    source_change(&self->source, SOURCE_CONNECTING, "connected; it has not said anything yet");
}

static void note_first_word(struct source_websocket *self)
{
    if (self->heard) {
        return;
    }
    self->heard = true;
    source_change(&self->source, SOURCE_LIVE, "");
}

static void tell(struct source_websocket *self, const struct pumpportal_frame *frame)
{
    uint64_t count = ++self->seen[frame->meaning];
    if (!source_is_worth_a_line(count)) {
        return;
    }
    switch (frame->meaning) {
    case SOURCE_ACKS:
        log_info(LOGGER, "subscribed", LOG_STRING("answer", frame->text));
        break;
    case SOURCE_REFUSALS:
        log_warning(LOGGER, "the source refuses something; staying connected",
                    LOG_STRING("answer", frame->text), LOG_INT("count", count));
        break;
    case SOURCE_OTHER_EVENTS:
        log_info(LOGGER, "a frame that was not asked for; counted and ignored",
                 LOG_STRING("content", frame->text), LOG_INT("count", count));
        break;
    case SOURCE_BAD_MINTS:
    case SOURCE_JUNK:
    case SOURCE_TOO_LARGE:
        log_warning(LOGGER, "a frame that is no use; counted and ignored",
                    LOG_STRING("kind", source_count_name(frame->meaning)),
                    LOG_STRING("cause", frame->text), LOG_INT("count", count));
        break;
    default:
        break;
    }
}

static void on_message(void *context, enum websocket_kind kind, const char *bytes, size_t length)
{
    struct source_websocket *self = context;
    struct source *source = &self->source;
    struct pumpportal_frame frame = {.meaning = SOURCE_JUNK, .text = "a binary frame"};
    if (source->destroyed) {
        return;
    }
    if (kind == WEBSOCKET_TEXT) {
        pumpportal_parse(bytes, length, &frame);
    }
    source->stats.last_frame_at = clock_now();
    note_first_word(self);
    if (!source_take(source, &frame)) {
        source->stats.counts[frame.meaning]++; /* not again: the caller has counted the refusal */
    }
    if (source->destroyed) {
        return;
    }
    self->delivered = self->delivered || frame.meaning == SOURCE_MIGRATIONS;
    self->acknowledged = self->acknowledged || frame.meaning == SOURCE_ACKS;
    if (frame.meaning == SOURCE_REFUSALS) {
        self->refused = true;
        source_change(source, SOURCE_LIVE, frame.text);
    }
    tell(self, &frame);
}

/* A pong: the connection lives. Were we ever subscribed? Silence would look just the same. */
static void on_pong(void *context)
{
    struct source_websocket *self = context;
    if (self->source.destroyed) {
        return;
    }
    self->source.stats.last_frame_at = clock_now();
    if (!self->acknowledged && !self->delivered && !self->refused) {
        log_warning(LOGGER, "the subscription was not answered; asking again",
                    LOG_STRING("url", self->shown));
        subscribe(self);
    }
    if (!self->heard) {
        source_change(&self->source, SOURCE_CONNECTING,
                      "connected; it answers pings, and does not say that we are subscribed");
    }
}

static void count_end(struct source_websocket *self, const struct websocket_ended *ended)
{
    uint64_t *counts = self->source.stats.counts;
    counts[ended->was_open ? SOURCE_DISCONNECTS : SOURCE_FAILED_CONNECTS]++;
    if (ended->end == WEBSOCKET_TOO_LARGE) {
        counts[SOURCE_TOO_LARGE]++;
    } else if (ended->end == WEBSOCKET_BAD_TEXT || ended->end == WEBSOCKET_BAD_FRAME) {
        counts[SOURCE_JUNK]++;
    }
}

static void on_end(void *context, const struct websocket_ended *ended)
{
    struct source_websocket *self = context;
    if (!self->source.destroyed) {
        count_end(self, ended);
        duration life = instant_diff(clock_now(), self->opened_at);
        bool was_good = self->delivered || (self->heard && life.us >= duration_s(GOOD_LIFE_S).us);
        if (ended->was_open && was_good) {
            self->tries = 0;
        }
        plan_reconnect(self, ended->was_open ? "connection lost" : "no connection", ended->detail,
                       ended->retry_after_s);
    }
    websocket_destroy(self->websocket, on_websocket_gone, self);
}

static void on_time(uv_timer_t *timer)
{
    static const struct websocket_listener listener = {
        .on_open = on_open,
        .on_message = on_message,
        .on_pong = on_pong,
        .on_end = on_end,
    };
    struct source_websocket *self = timer->data;
    char why[512];
    source_change(&self->source, SOURCE_CONNECTING, "");
    self->websocket = websocket_connect(self->source.loop, &self->options, &listener, self, why);
    if (!self->websocket && !self->source.destroyed) {
        self->source.stats.counts[SOURCE_FAILED_CONNECTS]++;
        plan_reconnect(self, "no connection", why, -1);
        on_websocket_gone(self);
    }
}

/* --- Creation and end ------------------------------------------------------------------------- */

static void websocket_source_destroy(struct source *source)
{
    struct source_websocket *self = (struct source_websocket *)source;
    uv_timer_stop(&self->timer);
    if (self->websocket) {
        websocket_close(self->websocket);
    } else {
        on_websocket_gone(self);
    }
}

static const struct source_kind websocket_kind = {.destroy = websocket_source_destroy};

static void configure(struct source_websocket *self, const struct options *options)
{
    memcpy(self->ca_file, options->tls_ca_file, sizeof self->ca_file);
    self->options = (struct websocket_options){
        .url = self->url,
        .ca_file = self->ca_file[0] != '\0' ? self->ca_file : NULL,
        .connect_timeout = duration_s(options->feed_connect_timeout_sec),
        .handshake_timeout = duration_s(options->feed_first_byte_timeout_sec),
        .ping_interval = duration_s(options->source_ping_sec),
        .pong_timeout = duration_s(options->source_pong_timeout_sec),
        .close_timeout = duration_s(CLOSE_TIMEOUT_S),
        .message_max = PUMPPORTAL_FRAME_MAX,
    };
    self->backoff_min = duration_s(options->source_backoff_min_sec);
    self->backoff_max = duration_s(options->source_backoff_max_sec);
}

struct source *source_websocket_create(const struct source_arguments *arguments, const char *url,
                                       char why[512])
{
    struct handshake_url parts;
    if (handshake_url_parse(url, &parts, why) != OK) {
        return NULL;
    }
    uint64_t seed;
    struct source_websocket *self = calloc(1, sizeof *self);
    if (!self || getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        snprintf(why, 512, self ? "no random numbers" : "out of memory");
        free(self);
        return NULL;
    }
    source_init(&self->source, &websocket_kind, arguments);
    snprintf(self->url, sizeof self->url, "%s", url);
    snprintf(self->shown, sizeof self->shown, "%s", parts.shown);
    configure(self, arguments->options);
    prng_seed(&self->prng, seed);
    uv_timer_init(arguments->loop, &self->timer);
    self->timer.data = self;
    uv_timer_start(&self->timer, on_time, 0, 0);
    return &self->source;
}
