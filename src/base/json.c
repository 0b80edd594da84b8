#include "base/json.h"

#include "base/text.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No document of ours comes near it; one that does is a mistake, not a reason to eat all memory. */
#define JSON_LENGTH_MAX   ((size_t)1 << 30)
#define JSON_CAPACITY_MIN 256

static bool reserve(struct json *json, size_t more)
{
    if (json->failed)
        return false;
    if (more < json->capacity - json->length)
        return true;
    if (json->is_fixed) {
        json->failed = true;
        return false;
    }
    size_t capacity = json->capacity < JSON_CAPACITY_MIN ? JSON_CAPACITY_MIN : json->capacity;
    while (capacity - json->length <= more && capacity < JSON_LENGTH_MAX)
        capacity *= 2;
    char *text = capacity - json->length > more ? realloc(json->text, capacity) : NULL;
    if (text == NULL) {
        json->failed = true;
        return false;
    }
    json->text = text;
    json->capacity = capacity;
    return true;
}

static void append(struct json *json, const char *bytes, size_t length)
{
    if (!reserve(json, length))
        return;
    memcpy(json->text + json->length, bytes, length);
    json->length += length;
    json->text[json->length] = '\0';
}

/* The length of the run that needs neither an escape nor a look at its UTF-8. */
static size_t plain_run(const char *text, size_t length)
{
    size_t i = 0;
    while (i < length && text[i] >= ' ' && text[i] < 0x7f && text[i] != '"' && text[i] != '\\')
        i++;
    return i;
}

/* In one piece what needs no escape, which is nearly everything. */
static bool append_plain(struct json *json, const char *text, size_t length)
{
    if (plain_run(text, length) != length || !reserve(json, length + 2))
        return false;
    char *to = json->text + json->length;
    to[0] = '"';
    memcpy(to + 1, text, length);
    to[length + 1] = '"';
    to[length + 2] = '\0';
    json->length += length + 2;
    return true;
}

static void append_quoted(struct json *json, const char *text, size_t length)
{
    if (append_plain(json, text, length))
        return;
    append(json, "\"", 1);
    while (length > 0) {
        size_t taken = plain_run(text, length);
        if (taken > 0) {
            append(json, text, taken);
        } else {
            char escaped[TEXT_ESCAPED_SIZE];
            size_t escaped_length;
            taken = text_escape(text, length, escaped, &escaped_length);
            append(json, escaped, escaped_length);
        }
        text += taken;
        length -= taken;
    }
    append(json, "\"", 1);
}

/* What stands before a value: a comma when it is not the first, and its key. */
static void begin_value(struct json *json, const char *key)
{
    if (json->comma)
        append(json, ",", 1);
    json->comma = true;
    if (key != NULL) {
        append_quoted(json, key, strlen(key));
        append(json, ":", 1);
    }
}

static void open_with(struct json *json, const char *key, const char *bracket)
{
    begin_value(json, key);
    append(json, bracket, 1);
    json->comma = false;
}

static void close_with(struct json *json, const char *bracket)
{
    append(json, bracket, 1);
    json->comma = true;
}

static void literal(struct json *json, const char *key, const char *text)
{
    begin_value(json, key);
    append(json, text, strlen(text));
}

void json_init_fixed(struct json *json, char *buffer, size_t size)
{
    buffer[0] = '\0';
    *json = (struct json){.text = buffer, .capacity = size, .is_fixed = true};
}

void json_object_open(struct json *json, const char *key)
{
    open_with(json, key, "{");
}

void json_object_close(struct json *json)
{
    close_with(json, "}");
}

void json_array_open(struct json *json, const char *key)
{
    open_with(json, key, "[");
}

void json_array_close(struct json *json)
{
    close_with(json, "]");
}

void json_put_string(struct json *json, const char *key, const char *value)
{
    if (value == NULL)
        json_put_null(json, key);
    else
        json_put_string_n(json, key, value, strlen(value));
}

void json_put_string_n(struct json *json, const char *key, const char *value, size_t length)
{
    begin_value(json, key);
    append_quoted(json, value, length);
}

void json_put_double(struct json *json, const char *key, double value)
{
    char text[32];
    json_number_format(value, text);
    literal(json, key, text);
}

void json_put_int(struct json *json, const char *key, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    literal(json, key, text);
}

void json_put_bool(struct json *json, const char *key, bool value)
{
    literal(json, key, value ? "true" : "false");
}

void json_put_raw(struct json *json, const char *key, const char *text, size_t length)
{
    begin_value(json, key);
    append(json, text, length);
}

void json_put_members(struct json *json, const char *text, size_t length)
{
    begin_value(json, NULL);
    append(json, text, length);
}

void json_put_null(struct json *json, const char *key)
{
    literal(json, key, "null");
}

void json_reset(struct json *json)
{
    json->length = 0;
    json->comma = false;
    json->failed = false;
    if (json->text != NULL)
        json->text[0] = '\0';
}

void json_finish(struct json *json)
{
    if (json == NULL)
        return;
    if (!json->is_fixed)
        free(json->text);
    *json = (struct json){0};
}
