/* Answers as bytes. See the header. */
#include "sim/body.h"

#include "feed/reply.h"
#include "market/number.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What never changes of a pair is written once and kept, where its pool's hash says; whoever comes
 * to the same place writes over it. */
#define PAGE_BYTES    4096
#define HEADS_A_TOKEN 4 /* pools, on average and then some */
#define HEADS_MOST    65536
#define HEAD_MAX      720
#define PAIR_MAX      (HEAD_MAX + 1200)
#define BODY_MAX      (PAIR_MAX * ANSWER_PAIRS_MAX + 64)
#define DEPTH_MAX     20000 /* brackets: far more than any parser should follow */

struct head {
    struct address pool, base;
    uint16_t length; /* 0: none */
    char text[HEAD_MAX];
};

struct body_writer {
    struct head *heads;
    uint64_t mask; /* their number less one */
    char text[BODY_MAX + ANSWER_PADDING];
};

const char *body_damage_name(enum body_damage damage)
{
    static const char *const names[] = {
#define X(code, name) [code] = name,
        BODY_DAMAGE_LIST(X)
#undef X
    };
    return damage < BODY_SOUND ? names[damage] : "sound";
}

/* Its pages are ours from the beginning: who measures what a day's life adds to the process must
 * not see them come. A compiler makes calloc() of malloc() and memset(), which gives none. */
static void touch(void *memory, size_t size)
{
    volatile unsigned char *bytes = memory;
    for (size_t at = 0; at < size; at += PAGE_BYTES)
        bytes[at] = 0;
}

struct body_writer *body_writer_create(uint32_t tokens)
{
    size_t count = 1024;
    while (count < (size_t)tokens * HEADS_A_TOKEN && count < HEADS_MOST)
        count *= 2;
    struct body_writer *writer = calloc(1, sizeof *writer);
    struct head *heads = calloc(count, sizeof *heads);
    if (writer == NULL || heads == NULL) {
        free(heads);
        free(writer);
        return NULL;
    }
    touch(heads, count * sizeof *heads);
    writer->heads = heads;
    writer->mask = count - 1;
    return writer;
}

void body_writer_destroy(struct body_writer *writer)
{
    if (writer != NULL)
        free(writer->heads);
    free(writer);
}

/* ---- a pair ---- */

static void write_head(struct head *head, const struct pair *pair)
{
    char pool[ADDRESS_TEXT_MAX + 1], base[ADDRESS_TEXT_MAX + 1], quote[ADDRESS_TEXT_MAX + 1];
    address_format(&pair->pool, pool);
    address_format(&pair->base, base);
    address_format(&pair->quote, quote);
    int length = snprintf(
        head->text, sizeof head->text,
        "{\"chainId\":\"solana\",\"dexId\":\"%s\",\"url\":\"https://dexscreener.com/solana/%s\","
        "\"pairAddress\":\"%s\",\"baseToken\":{\"address\":\"%s\",\"name\":\"%s\",\"symbol\":\"%"
        "s\"},"
        "\"quoteToken\":{\"address\":\"%s\",\"name\":\"%s\",\"symbol\":\"%s\"},\"priceNative\":",
        pair->dex, pool, pool, base, pair->base_name, pair->base_symbol, quote, pair->quote_symbol,
        pair->quote_symbol);
    head->pool = pair->pool;
    head->base = pair->base;
    head->length = (uint16_t)length;
}

static const struct head *find_head(struct body_writer *writer, const struct pair *pair)
{
    uint64_t hash;
    memcpy(&hash, pair->pool.bytes + 16, sizeof hash);
    hash ^= pair->pool.bytes[5]; /* of one token's pools each has a place */
    struct head *head = &writer->heads[(hash * 0x9e3779b97f4a7c15ULL) >> 40 & writer->mask];
    if (head->length == 0 || !address_equal(&head->pool, &pair->pool) ||
        !address_equal(&head->base, &pair->base))
        write_head(head, pair);
    return head;
}

static char *put(char *at, const char *text, size_t length)
{
    memcpy(at, text, length);
    return at + length;
}

#define PUT(at, text) put((at), (text), sizeof(text) - 1)

static char *put_trades(char *at, int64_t buys, int64_t sells)
{
    at = PUT(at, "{\"buys\":");
    at = number_integer(at, (uint64_t)buys);
    at = PUT(at, ",\"sells\":");
    at = number_integer(at, (uint64_t)sells);
    return PUT(at, "}");
}

static char *put_change(char *at, const char *key, size_t length, double percent, bool is_first)
{
    if (isnan(percent))
        return at;
    if (!is_first)
        at = PUT(at, ",");
    at = put(at, key, length);
    return number_rounded(at, percent, 2);
}

static char *put_price(char *at, double price)
{
    at = PUT(at, "\"");
    at = number_price(at, price, 4);
    return PUT(at, "\"");
}

static char *put_pair(struct body_writer *writer, char *at, const struct pair *pair)
{
    const struct head *head = find_head(writer, pair);
    at = put(at, head->text, head->length);
    at = put_price(at, pair->price_usd / 150);
    at = PUT(at, ",\"priceUsd\":");
    at = put_price(at, pair->price_usd);
    at = PUT(at, ",\"txns\":{\"m5\":");
    at = put_trades(at, pair->buys_m5, pair->sells_m5);
    at = PUT(at, ",\"h1\":");
    at = put_trades(at, pair->buys_h1, pair->sells_h1);
    at = PUT(at, "},\"volume\":{\"h24\":");
    at = number_rounded(at, pair->volume_h24_usd, 2);
    at = PUT(at, ",\"h1\":");
    at = number_rounded(at, pair->volume_h1_usd, 2);
    at = PUT(at, ",\"m5\":");
    at = number_rounded(at, pair->volume_m5_usd, 2);
    at = PUT(at, "},\"priceChange\":{");
    at = put_change(at, "\"m5\":", 5, pair->change_m5_percent, true);
    at = put_change(at, "\"h1\":", 5, pair->change_h1_percent, isnan(pair->change_m5_percent));
    at = PUT(at, "}");
    if (!isnan(pair->liquidity_usd)) {
        at = PUT(at, ",\"liquidity\":{\"usd\":");
        at = number_rounded(at, pair->liquidity_usd, 2);
        at = PUT(at, "}");
    }
    at = PUT(at, ",\"marketCap\":");
    at = number_rounded(at, pair->market_cap_usd, 0);
    return PUT(at, "}");
}

/* ---- a body ---- */

static size_t write_sound(struct body_writer *writer, enum lane_kind lane, const struct pair *pairs,
                          size_t count)
{
    char *at = writer->text;
    bool has_frame = lane == LANE_REFRESH; /* the others are bare arrays */
    if (has_frame && count == 0) {
        at = PUT(at, "{\"schemaVersion\":\"1.0.0\",\"pairs\":null}");
        return (size_t)(at - writer->text);
    }
    at = has_frame ? PUT(at, "{\"schemaVersion\":\"1.0.0\",\"pairs\":[") : PUT(at, "[");
    for (size_t i = 0; i < count && i < ANSWER_PAIRS_MAX; i++) {
        if (i > 0)
            at = PUT(at, ",");
        at = put_pair(writer, at, &pairs[i]);
    }
    at = has_frame ? PUT(at, "]}") : PUT(at, "]");
    return (size_t)(at - writer->text);
}

/* ---- damage ---- */

/* Puts `with` in the place of what stands between `key` and the next comma or bracket, everywhere;
 * the length after it. What does not fit stays as it is. */
static size_t replace_values(char *text, size_t length, const char *key, const char *with)
{
    size_t key_length = strlen(key), with_length = strlen(with);
    char *from = text;
    while (true) {
        char *found = memmem(from, length - (size_t)(from - text), key, key_length);
        if (found == NULL)
            return length;
        char *value = found + key_length;
        size_t old = strcspn(value, ",}]");
        size_t rest = length - (size_t)(value - text) - old;
        from = value;
        if (length - old + with_length > BODY_MAX)
            return length;
        memmove(value + with_length, value + old, rest);
        memcpy(value, with, with_length);
        length += with_length - old;
    }
}

static size_t say(char *text, const char *words)
{
    size_t length = strlen(words);
    memcpy(text, words, length);
    return length;
}

static size_t flip(char *text, size_t length, struct prng *prng)
{
    uint64_t count = 1 + prng_below(prng, 8);
    for (uint64_t i = 0; i < count && length > 0; i++)
        text[prng_below(prng, length)] = (char)prng_below(prng, 256);
    return length;
}

static size_t write_other_shape(char *text, struct prng *prng)
{
    static const char *const shapes[] = {"{}",
                                         "[]",
                                         "[1,2,3]",
                                         "null",
                                         "{\"pairs\":{\"a\":1}}",
                                         "{\"message\":\"try later\"}",
                                         "[null]",
                                         "\"pairs\"",
                                         "{\"pairs\":[[[]]]}"};
    return say(text, shapes[prng_below(prng, sizeof shapes / sizeof *shapes)]);
}

static size_t write_deep(char *text)
{
    memset(text, '[', DEPTH_MAX);
    return DEPTH_MAX;
}

static const char *const figures[] = {
    "\"liquidity\":{\"usd\":", "\"priceUsd\":", "\"buys\":", "\"m5\":", "\"marketCap\":"};

static const char *draw_figure(struct prng *prng)
{
    return figures[prng_below(prng, sizeof figures / sizeof *figures)];
}

static const char *draw_number(struct prng *prng)
{
    static const char *const numbers[] = {"1e999", "-5",    "NaN", "1e-999", "99999999999999999999",
                                          "-0",    "1e300", "0x1", "00",     "\"Infinity\""};
    return numbers[prng_below(prng, sizeof numbers / sizeof *numbers)];
}

static size_t damage_body(char *text, size_t length, enum body_damage damage, struct prng *prng)
{
    switch (damage) {
    case DAMAGE_CUT:
        return length == 0 ? 0 : prng_below(prng, length);
    case DAMAGE_FLIPPED:
        return flip(text, length, prng);
    case DAMAGE_PAGE:
        return say(text,
                   "<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>");
    case DAMAGE_1015:
        return say(text, "error code: 1015");
    case DAMAGE_SHAPE:
        return write_other_shape(text, prng);
    case DAMAGE_NOTHING:
        return 0;
    case DAMAGE_DEEP:
        return write_deep(text);
    case DAMAGE_NULLS:
        return replace_values(text, length, draw_figure(prng), "null");
    case DAMAGE_NUMBERS:
        return replace_values(text, length, draw_figure(prng), draw_number(prng));
    case DAMAGE_TYPES:
        length = replace_values(text, length, draw_figure(prng), "[\"12\"]");
        return replace_values(text, length, "\"dexId\":", "7");
    case DAMAGE_NO_UTF8:
        return replace_values(text, length, "\"name\":", "\"\xff\xfe\xc0\x80 \\ud800\"");
    case DAMAGE_TWICE:
        return replace_values(text, length,
                              "\"marketCap\":", "1,\"marketCap\":2,\"priceUsd\":\"7\"");
    case BODY_SOUND:
        break;
    }
    return length;
}

const char *body_write(struct body_writer *writer, enum lane_kind lane, const struct pair *pairs,
                       size_t count, enum body_damage damage, struct prng *prng, size_t *length)
{
    *length = damage_body(writer->text, write_sound(writer, lane, pairs, count), damage, prng);
    memset(writer->text + *length, 0, ANSWER_PADDING);
    return writer->text;
}

enum feed_outcome body_read(struct answer_parser *parser, const char *body, size_t length,
                            struct parsed_answer *out)
{
    const struct reply reply = {.status = 200, .body = body, .length = length};
    enum feed_outcome outcome = reply_judge(&reply);
    if (outcome == FEED_OK)
        outcome = answer_parse(parser, body, length, "solana", out);
    if ((outcome == FEED_NOT_JSON || outcome == FEED_WRONG_SHAPE) &&
        reply_is_rate_limit(body, length))
        return FEED_RATE_LIMITED;
    return outcome;
}
