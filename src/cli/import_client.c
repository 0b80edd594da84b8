#include "cli/import_client.h"
#include "base/clock.h"
#include "base/text.h"
#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct import_client {
    struct import_client_options options;
    char url[512];
    CURL *curl;
    struct curl_slist *headers;
    char curl_error[CURL_ERROR_SIZE];
    char *answer;
    size_t answer_length;
    bool has_answered; /* the daemon, once */
    double wait_s;     /* before the next try */
};

/* How one try ended. */
enum outcome {
    TAKEN,
    LATER, /* may pass by itself */
    NEVER
};

struct attempt {
    enum outcome outcome;
    long status;
    uint64_t earlier; /* added by tries that did not come to their end */
    char why[512];
};

/* --- The answer ------------------------------------------------------------------------------- */

static uint64_t count_of(const json_t *answer, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(answer, key));
    return value > 0 ? (uint64_t)value : 0;
}

static void tell_refused(struct import_client *client, const json_t *refused,
                         const struct import_batch *batch)
{
    size_t i;
    const json_t *row;
    json_array_foreach(refused, i, row)
    {
        json_int_t line = json_integer_value(json_object_get(row, "line"));
        const char *text = json_string_value(json_object_get(row, "reason"));
        char reason[256];
        text = text ? text : "no reason given";
        text_copy(reason, sizeof reason, text, strlen(text));
        if (line >= 1 && (uint64_t)line <= batch->count)
            client->options.on_refused(client->options.context, batch->lines[line - 1], reason);
    }
}

/* 200: the whole batch was looked at. */
static void read_counts(struct import_client *client, const json_t *answer,
                        const struct import_batch *batch, struct attempt *attempt,
                        struct import_counts *counts)
{
    const json_t *refused = json_object_get(answer, "refused");
    uint64_t added = count_of(answer, "added");
    uint64_t known = count_of(answer, "known");
    uint64_t refusals = count_of(answer, "refused_total");
    uint64_t listed = json_array_size(refused);
    refusals = refusals > listed ? refusals : listed;
    if (!json_is_array(refused) || added + known + refusals != batch->count) {
        attempt->outcome = NEVER;
        snprintf(attempt->why, sizeof attempt->why,
                 "the answer's counts do not add up to the %u mints sent", batch->count);
        return;
    }
    /* What an unfinished try has added is known to this one, but it was we who added it. */
    uint64_t ours = attempt->earlier < known ? attempt->earlier : known;
    counts->added += added + ours;
    counts->known += known - ours;
    counts->refused += refusals;
    tell_refused(client, refused, batch);
    attempt->outcome = TAKEN;
}

/* Any other status: the sentence that came with it. */
static void read_complaint(const json_t *answer, struct attempt *attempt)
{
    const char *text = json_string_value(json_object_get(answer, "detail"));
    char detail[256] = "";
    if (text)
        text_copy(detail, sizeof detail, text, strlen(text));
    const char *hint = "";
    if (attempt->status == 401 || attempt->status == 403)
        hint = "; give the daemon's api_token with --api-token or MOONWATCH_API_TOKEN";
    else if (attempt->status == 404 || attempt->status == 405)
        hint = "; is this a Moonwatch?";
    snprintf(attempt->why, sizeof attempt->why, "the daemon answers %ld%s%s%s", attempt->status,
             detail[0] ? ": " : "", detail, hint);
    bool may_pass = attempt->status == 429 || attempt->status >= 500;
    attempt->outcome = may_pass ? LATER : NEVER;
    attempt->earlier += count_of(answer, "added");
}

static void read_answer(struct import_client *client, const struct import_batch *batch,
                        struct attempt *attempt, struct import_counts *counts)
{
    json_t *answer = json_loadb(client->answer, client->answer_length, 0, NULL);
    if (attempt->status != 200) {
        read_complaint(answer, attempt);
    } else if (!json_is_object(answer)) {
        attempt->outcome = NEVER;
        snprintf(attempt->why, sizeof attempt->why, "the answer is no JSON; is this a Moonwatch?");
    } else {
        read_counts(client, answer, batch, attempt, counts);
    }
    json_decref(answer);
}

/* --- The request ------------------------------------------------------------------------------ */

static size_t on_body(char *bytes, size_t size, size_t count, void *user_data)
{
    struct import_client *client = user_data;
    size_t length = size * count;
    if (length > IMPORT_ANSWER_MAX - client->answer_length)
        return 0; /* which ends the request */
    memcpy(client->answer + client->answer_length, bytes, length);
    client->answer_length += length;
    return length;
}

static void explain_failure(const struct import_client *client, CURLcode code,
                            struct attempt *attempt)
{
    const char *cause = client->curl_error[0] ? client->curl_error : curl_easy_strerror(code);
    bool nobody = code == CURLE_COULDNT_CONNECT && !client->has_answered;
    bool no_name = code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_URL_MALFORMAT ||
                   code == CURLE_UNSUPPORTED_PROTOCOL;
    attempt->outcome = nobody || no_name || code == CURLE_PEER_FAILED_VERIFICATION ? NEVER : LATER;
    if (nobody)
        snprintf(
            attempt->why, sizeof attempt->why,
            "no daemon listens at %.200s (%.100s); start one with `moonwatch run`, or say where "
            "it listens with --listen ADDR:PORT",
            client->options.url, cause);
    else
        snprintf(attempt->why, sizeof attempt->why, "%.200s: %.200s", client->options.url, cause);
}

static void try_once(struct import_client *client, const struct import_batch *batch,
                     struct attempt *attempt, struct import_counts *counts)
{
    CURL *curl = client->curl;
    client->answer_length = 0;
    client->curl_error[0] = '\0';
    CURLcode code = curl_easy_setopt(curl, CURLOPT_POSTFIELDS, batch->text);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)batch->length);
    if (code == CURLE_OK)
        code = curl_easy_perform(curl);
    attempt->status = 0;
    if (code != CURLE_OK) {
        explain_failure(client, code, attempt);
        return;
    }
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &attempt->status);
    client->has_answered = true;
    read_answer(client, batch, attempt, counts);
}

static void sleep_for(duration d)
{
    struct timespec left = {.tv_sec = d.us / 1000000, .tv_nsec = d.us % 1000000 * 1000};
    while (nanosleep(&left, &left) != 0) {
    }
}

enum err import_client_send(struct import_client *client, const struct import_batch *batch,
                            struct import_counts *counts, char why[512])
{
    struct attempt attempt = {.outcome = LATER};
    instant limit = instant_add(clock_now(), client->options.patience);
    client->wait_s = IMPORT_RETRY_MIN_SEC;
    for (;;) {
        try_once(client, batch, &attempt, counts);
        if (attempt.outcome == TAKEN)
            return OK;
        duration wait = duration_s(client->wait_s);
        bool is_over = !instant_before(instant_add(clock_now(), wait), limit);
        if (attempt.outcome == NEVER || is_over) {
            snprintf(why, 512, "%s", attempt.why);
            return ERR_UNAVAILABLE;
        }
        client->options.on_retry(client->options.context, attempt.why, wait);
        sleep_for(wait);
        double longer = client->wait_s * 2;
        client->wait_s = longer < IMPORT_RETRY_MAX_SEC ? longer : IMPORT_RETRY_MAX_SEC;
    }
}

/* --- Creation --------------------------------------------------------------------------------- */

static bool add_header(struct import_client *client, const char *header)
{
    struct curl_slist *longer = curl_slist_append(client->headers, header);
    client->headers = longer ? longer : client->headers;
    return longer != NULL;
}

static bool configure(struct import_client *client)
{
    CURL *curl = client->curl;
    char header[600];
    bool fits = add_header(client, "Content-Type: text/plain") && add_header(client, "Expect:");
    if (client->options.token[0]) {
        snprintf(header, sizeof header, "Authorization: Bearer %s", client->options.token);
        fits = fits && add_header(client, header);
    }
    fits &= curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->curl_error) == CURLE_OK;
    fits &= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    fits &= curl_easy_setopt(curl, CURLOPT_POST, 1L) == CURLE_OK;
    fits &= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK;
    fits &= curl_easy_setopt(curl, CURLOPT_WRITEDATA, client) == CURLE_OK;
    fits &= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)IMPORT_CONNECT_SEC) == CURLE_OK;
    fits &= curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)IMPORT_ANSWER_SEC) == CURLE_OK;
    fits &= curl_easy_setopt(curl, CURLOPT_NOPROXY, "*") ==
            CURLE_OK; /* the daemon is ours; a proxy is for the world */
    return fits && curl_easy_setopt(curl, CURLOPT_HTTPHEADER, client->headers) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_URL, client->url) == CURLE_OK;
}

struct import_client *import_client_create(const struct import_client_options *options)
{
    struct import_client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->options = *options;
    int length = (int)strlen(options->url);
    while (length > 0 && options->url[length - 1] == '/')
        length--;
    snprintf(client->url, sizeof client->url, "%.*s/tokens/import", length < 480 ? length : 480,
             options->url);
    client->answer = malloc(IMPORT_ANSWER_MAX);
    client->curl = curl_easy_init();
    if (!client->answer || !client->curl || !configure(client)) {
        import_client_destroy(client);
        return NULL;
    }
    return client;
}

void import_client_destroy(struct import_client *client)
{
    if (client) {
        curl_easy_cleanup(client->curl);
        curl_slist_free_all(client->headers);
        free(client->answer);
        free(client);
    }
}
