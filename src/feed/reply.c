#include "feed/reply.h"
#include <ctype.h>
#include <curl/curl.h>
#include <string.h>
#include <strings.h>

static const char *find_nocase(const char *text, size_t length, const char *needle)
{
    size_t needle_length = strlen(needle);
    for (size_t i = 0; i + needle_length <= length; i++)
        if (strncasecmp(text + i, needle, needle_length) == 0)
            return text + i;
    return NULL;
}

static size_t scan_length(size_t length)
{
    return length < REPLY_SCAN_MAX ? length : REPLY_SCAN_MAX;
}

/* As a number of its own: ray ids and figures hold the digits too. */
static bool has_word_1015(const char *text, size_t length)
{
    static const char word[] = "1015";
    const size_t size = sizeof(word) - 1;
    for (size_t i = 0; i + size <= length; i++) {
        bool begins = i == 0 || !isalnum((unsigned char)text[i - 1]);
        bool ends = i + size == length || !isalnum((unsigned char)text[i + size]);
        if (begins && ends && memcmp(text + i, word, size) == 0)
            return true;
    }
    return false;
}

bool reply_is_rate_limit(const char *body, size_t length)
{
    length = scan_length(length);
    return has_word_1015(body, length) && (find_nocase(body, length, "error") != NULL ||
                                           find_nocase(body, length, "rate limit") != NULL);
}

static bool is_challenge_page(const char *body, size_t length)
{
    static const char *const signs[] = {"just a moment",
                                        "challenge-platform",
                                        "cf-chl",
                                        "cf_chl",
                                        "cf-challenge",
                                        "attention required!",
                                        "verify you are human",
                                        "checking your browser"};
    length = scan_length(length);
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
        if (find_nocase(body, length, signs[i]) != NULL)
            return true;
    return false;
}

static enum feed_outcome judge_status(int status)
{
    if (status == 429)
        return FEED_RATE_LIMITED;
    if (status == 403)
        return FEED_FORBIDDEN;
    if (status == 404)
        return FEED_NOT_FOUND;
    if (status >= 400 && status <= 499)
        return FEED_CLIENT_ERROR;
    if (status >= 500 && status <= 599)
        return FEED_SERVER_ERROR;
    return status == 200 ? FEED_OK : FEED_BAD_STATUS;
}

static bool begins_like_json(const char *body, size_t length)
{
    size_t i = 0;
    while (i < length && isspace((unsigned char)body[i]))
        i++;
    return i < length && (body[i] == '{' || body[i] == '[');
}

enum feed_outcome reply_judge(const struct reply *reply)
{
    enum feed_outcome outcome = judge_status(reply->status);
    bool is_page = !begins_like_json(reply->body, reply->length);
    if (outcome == FEED_RATE_LIMITED)
        return outcome;
    if ((is_page || outcome != FEED_OK) && reply_is_rate_limit(reply->body, reply->length))
        return FEED_RATE_LIMITED;
    if (reply->is_challenge || (is_page && is_challenge_page(reply->body, reply->length)))
        return FEED_FORBIDDEN;
    return outcome;
}

static bool seconds_parse(const char *value, int64_t *out)
{
    int64_t seconds = 0;
    size_t i = 0;
    for (; isdigit((unsigned char)value[i]); i++)
        if (seconds <= RETRY_AFTER_MAX_S)
            seconds = seconds * 10 + (value[i] - '0');
    *out = seconds;
    return i > 0 && value[i] == '\0';
}

bool retry_after_parse(const char *value, instant now, duration *out)
{
    int64_t seconds;
    if (!seconds_parse(value, &seconds)) {
        time_t date = isalpha((unsigned char)value[0]) ? curl_getdate(value, NULL) : -1;
        if (date < 0)
            return false;
        seconds = (int64_t)date - now.us / 1000000;
    }
    if (seconds < 0)
        seconds = 0;
    if (seconds > RETRY_AFTER_MAX_S)
        seconds = RETRY_AFTER_MAX_S;
    *out = duration_s((double)seconds);
    return true;
}
