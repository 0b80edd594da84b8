/* See the header. */
#include "cli/explain_input.h"

#include "feed/dexscreener_recording.h"
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The whole file and ANSWER_PADDING zeros; to be freed. */
static char *read_file(const char *path, size_t *length, char why[EXPLAIN_MESSAGE_SIZE])
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    char *text = NULL;
    size_t capacity = 0, used = 0;
    if (file == NULL) {
        snprintf(why, EXPLAIN_MESSAGE_SIZE, "%.300s: %s", path, strerror(errno));
        return NULL;
    }
    for (;;) {
        if (used + ANSWER_PADDING + 1 >= capacity) {
            capacity = capacity == 0 ? 65536 : capacity * 2;
            char *more = realloc(text, capacity);
            if (more == NULL || capacity > EXPLAIN_FILE_MAX) {
                free(more == NULL ? text : more);
                text = NULL;
                snprintf(why, EXPLAIN_MESSAGE_SIZE, "%.300s: too large", path);
                break;
            }
            text = more;
        }
        size_t n = fread(text + used, 1, capacity - used - ANSWER_PADDING - 1, file);
        used += n;
        if (n == 0)
            break;
    }
    if (text != NULL && ferror(file)) {
        snprintf(why, EXPLAIN_MESSAGE_SIZE, "%.300s: %s", path, strerror(errno));
        free(text);
        text = NULL;
    }
    if (file != stdin)
        fclose(file);
    if (text != NULL)
        memset(text + used, 0, ANSWER_PADDING + 1);
    *length = used;
    return text;
}

static bool parse_answer(const char *path, const char *text, size_t length, const char *chain,
                         struct parsed_answer *out, char why[EXPLAIN_MESSAGE_SIZE])
{
    struct answer_parser *parser = answer_parser_create();
    if (parser == NULL) {
        snprintf(why, EXPLAIN_MESSAGE_SIZE, "out of memory");
        return false;
    }
    enum feed_outcome outcome = answer_parse(parser, text, length, chain, out);
    answer_parser_destroy(parser);
    if (outcome == FEED_OK)
        return true;
    snprintf(why, EXPLAIN_MESSAGE_SIZE, "%.300s holds no answer of the upstream: %s", path,
             feed_outcome_name(outcome));
    return false;
}

static bool read_answer(const char *path, const char *chain, struct parsed_answer *out,
                        char why[EXPLAIN_MESSAGE_SIZE])
{
    size_t length;
    char *text = read_file(path, &length, why);
    if (text == NULL)
        return false;
    char *answer = NULL;
    char cause[RECORDING_WHY_SIZE];
    bool read = recording_find_answer(text, length, &answer, &length, cause) == OK &&
                parse_answer(path, answer, length, chain, out, why);
    if (answer == NULL)
        snprintf(why, EXPLAIN_MESSAGE_SIZE, "%.200s: %.300s", path, cause);
    free(answer);
    free(text);
    return read;
}

static bool number_in(const json_t *object, const char *key, double *out)
{
    const json_t *value = json_object_get(object, key);
    *out = json_number_value(value);
    return json_is_number(value);
}

static bool read_previous(const char *path, struct score *out, char why[EXPLAIN_MESSAGE_SIZE])
{
    size_t length;
    json_error_t error;
    char *text = read_file(path, &length, why);
    if (text == NULL)
        return false;
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    free(text);
    const json_t *parts = json_object_get(root, "smoothed_components");
    bool found = number_in(parts, "tx_accel", &out->components.tx_accel) &&
                 number_in(parts, "vol_momentum", &out->components.vol_momentum) &&
                 number_in(parts, "token_freshness", &out->components.token_freshness) &&
                 number_in(parts, "orderflow_imbalance", &out->components.orderflow_imbalance) &&
                 number_in(root, "smoothed_score", &out->total);
    if (root == NULL)
        snprintf(why, EXPLAIN_MESSAGE_SIZE, "%.200s:%d: %.200s", path, error.line, error.text);
    else if (!found)
        snprintf(why, EXPLAIN_MESSAGE_SIZE,
                 "%.200s: needs smoothed_components and smoothed_score, as explain prints them",
                 path);
    json_decref(root);
    return found;
}

bool explain_input_read(const struct explain_arguments *arguments, const char *chain,
                        struct explain_input *out, char why[EXPLAIN_MESSAGE_SIZE])
{
    size_t length = strlen(arguments->mint);
    if (!address_parse(arguments->mint, length, &out->mint)) {
        snprintf(why, EXPLAIN_MESSAGE_SIZE, "--mint %.100s: %s", arguments->mint,
                 address_complaint(arguments->mint, length));
        return false;
    }
    if (!token_status_parse(arguments->status, strlen(arguments->status), &out->status)) {
        snprintf(why, EXPLAIN_MESSAGE_SIZE, "--status %.100s: monitoring, active or archived",
                 arguments->status);
        return false;
    }
    out->age_hours = arguments->age_hours;
    out->has_previous = arguments->previous_path != NULL;
    if (out->has_previous && !read_previous(arguments->previous_path, &out->previous, why))
        return false;
    return read_answer(arguments->pairs_path, chain, &out->answer, why);
}
