/* PumpPortal's protocol; see pumpportal.h. */
#include "feed/pumpportal.h"
#include "base/text.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Numbers are not needed, so one that overflows an integer must not cost its frame; names may hold
 * an escaped NUL. */
#define FRAME_FLAGS                                                                                \
    (JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL | JSON_DECODE_ANY)

static void say(struct pumpportal_frame *frame, enum source_count meaning, const char *text,
                size_t length)
{
    frame->meaning = meaning;
    text_copy(frame->text, sizeof frame->text, text, length);
}

static void say_string(struct pumpportal_frame *frame, enum source_count meaning,
                       const json_t *string)
{
    say(frame, meaning, json_string_value(string), json_string_length(string));
}

static bool contains_nocase(const json_t *string, const char *word)
{
    return strcasestr(json_string_value(string), word) != NULL;
}

static void copy_string(const json_t *object, const char *key, char *out, size_t size)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_string(value)) {
        text_copy(out, size, json_string_value(value), json_string_length(value));
    }
}

static void parse_migration(const json_t *object, struct pumpportal_frame *out)
{
    const json_t *mint = json_object_get(object, "mint");
    if (!json_is_string(mint)) {
        const char *what = mint ? "the mint is no string" : "a migration without a mint";
        say(out, SOURCE_BAD_MINTS, what, strlen(what));
        return;
    }
    const char *text = json_string_value(mint);
    size_t length = json_string_length(mint);
    if (!address_parse(text, length, &out->token.mint)) {
        const char *complaint = address_complaint(text, length);
        complaint = complaint ? complaint : "no address";
        say(out, SOURCE_BAD_MINTS, complaint, strlen(complaint));
        return;
    }
    out->meaning = SOURCE_MIGRATIONS;
    copy_string(object, "name", out->token.name, sizeof out->token.name);
    copy_string(object, "symbol", out->token.symbol, sizeof out->token.symbol);
}

static void parse_event(const json_t *object, const json_t *type, struct pumpportal_frame *out)
{
    if (!json_is_string(type)) {
        const char *what = "txType is no string";
        say(out, SOURCE_JUNK, what, strlen(what));
        return;
    }
    if (strcmp(json_string_value(type), "migrate") == 0) {
        parse_migration(object, out);
        return;
    }
    bool is_creation = strcmp(json_string_value(type), "create") == 0;
    say_string(out, is_creation ? SOURCE_CREATIONS : SOURCE_OTHER_EVENTS, type);
}

static void parse_errors(const json_t *errors, struct pumpportal_frame *out)
{
    if (json_is_string(errors)) {
        say_string(out, SOURCE_REFUSALS, errors);
        return;
    }
    char text[PUMPPORTAL_TEXT_SIZE];
    size_t length = json_dumpb(errors, text, sizeof text, JSON_COMPACT | JSON_ENCODE_ANY);
    say(out, SOURCE_REFUSALS, text, length < sizeof text ? length : sizeof text);
}

static void parse_message(const json_t *message, struct pumpportal_frame *out)
{
    enum source_count meaning = SOURCE_OTHER_EVENTS;
    if (contains_nocase(message, "only available when")) {
        meaning = SOURCE_REFUSALS;
    } else if (contains_nocase(message, "subscribed to") &&
               !contains_nocase(message, "unsubscribed")) {
        meaning = SOURCE_ACKS;
    }
    say_string(out, meaning, message);
}

static void parse_object(const json_t *object, struct pumpportal_frame *out)
{
    const json_t *type = json_object_get(object, "txType");
    const json_t *errors = json_object_get(object, "errors");
    const json_t *message = json_object_get(object, "message");
    if (type) {
        parse_event(object, type, out);
    } else if (errors && !json_is_null(errors)) {
        parse_errors(errors, out);
    } else if (json_is_string(message)) {
        parse_message(message, out);
    } else {
        const char *what = "an object that is no known event";
        say(out, SOURCE_OTHER_EVENTS, what, strlen(what));
    }
}

/* NULL when `out` says already what is wrong with the bytes. */
static json_t *load_object(const char *bytes, size_t length, struct pumpportal_frame *out)
{
    memset(out, 0, sizeof *out);
    if (length > PUMPPORTAL_FRAME_MAX) {
        char text[PUMPPORTAL_TEXT_SIZE];
        int n =
            snprintf(text, sizeof text, "%zu bytes; the limit is %d", length, PUMPPORTAL_FRAME_MAX);
        say(out, SOURCE_TOO_LARGE, text, (size_t)n);
        return NULL;
    }
    json_error_t error;
    json_t *root = json_loadb(bytes, length, FRAME_FLAGS, &error);
    if (!root) {
        say(out, SOURCE_JUNK, error.text, strlen(error.text));
        return NULL;
    }
    if (!json_is_object(root)) {
        const char *what = "JSON, but no object";
        say(out, SOURCE_JUNK, what, strlen(what));
        json_decref(root);
        return NULL;
    }
    return root;
}

void pumpportal_parse(const char *bytes, size_t length, struct pumpportal_frame *out)
{
    json_t *object = load_object(bytes, length, out);
    if (object) {
        parse_object(object, out);
        json_decref(object);
    }
}

void pumpportal_parse_recorded(const char *bytes, size_t length, struct pumpportal_frame *out)
{
    json_t *object = load_object(bytes, length, out);
    if (!object) {
        return;
    }
    const json_t *raw = json_object_get(object, "raw");
    if (json_is_string(raw)) {
        pumpportal_parse(json_string_value(raw), json_string_length(raw), out);
    } else if (raw) {
        const char *what = "a recorded line whose \"raw\" is no string";
        say(out, SOURCE_JUNK, what, strlen(what));
    } else {
        parse_object(object, out);
    }
    json_decref(object);
}
