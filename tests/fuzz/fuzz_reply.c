/*
 * What comes before an answer is parsed: Retry-After, gzip, and whether the bytes are an answer or
 * a page of Cloudflare's. The first byte says which status, and whether the body is compressed.
 */
#include "fuzz.h"

#include "feed/dexscreener_parse.h"
#include "feed/gunzip.h"
#include "feed/reply.h"

#define BODY_LIMIT ((size_t)3 << 20)

static struct gunzip gunzip;

void fuzz_begin(void)
{
    if (gunzip_init(&gunzip, ANSWER_PADDING) != OK)
        abort();
}

static void wait_as_told(const char *value)
{
    duration rest;
    if (retry_after_parse(value, (instant){1800000000000000}, &rest))
        assert(rest.us >= 0 && rest.us <= duration_s(RETRY_AFTER_MAX_S).us);
}

static bool unpack(const struct input *input, const char **body, size_t *length)
{
    if (gunzip_run(&gunzip, input->at, input->left, BODY_LIMIT, length) != OK)
        return false;
    assert(*length <= BODY_LIMIT);
    for (size_t i = 0; i < ANSWER_PADDING; i++)
        assert(gunzip.out[*length + i] == 0);
    *body = gunzip.out;
    return true;
}

void fuzz_one(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 429, 403, 404, 400, 500, 302, 0};
    struct input input = {data, size};
    uint8_t how = input_u8(&input);
    char *retry_after = input_text(&input, '\n');
    wait_as_told(retry_after);
    free(retry_after);
    const char *body = (const char *)input.at;
    size_t length = input.left;
    if ((how & 0x80) != 0 && !unpack(&input, &body, &length))
        return;
    struct reply reply = {.status = statuses[how & 7],
                          .is_challenge = (how & 0x40) != 0,
                          .body = body,
                          .length = length};
    assert((unsigned)reply_judge(&reply) < FEED_OUTCOME_COUNT);
    reply_is_rate_limit(body, length);
}
