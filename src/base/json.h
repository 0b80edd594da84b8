/*
 * A streaming JSON writer over a buffer, growing or given: commas and escapes are its business, so
 * what is written is always JSON. Numbers are the shortest text that reads back as the same double;
 * a number that is not finite is written as null. Documents are PARSED by jansson and simdjson.
 *
 *     struct json json = {0};
 *     json_object_open(&json, NULL);
 *     json_put_string(&json, "name", token_name);
 *     json_array_open(&json, "pools"); … json_array_close(&json);
 *     json_object_close(&json);
 *     … json.text, json.length …; json_finish(&json);
 *
 * `key` is NULL inside arrays and at the top. Out of memory, or at the end of a given buffer, sets
 * `failed` and drops what follows.
 */
#ifndef MOONWATCH_BASE_JSON_H
#define MOONWATCH_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
    char *text; /* NUL-terminated once anything was written; owned */
    size_t length;
    size_t capacity;
    bool comma;
    bool failed;
    bool is_fixed; /* the buffer was given: never grown, never freed */
};

/* Writes into `buffer` (size > 0), for who may not allocate. */
void json_init_fixed(struct json *json, char *buffer, size_t size);

void json_object_open(struct json *json, const char *key);
void json_object_close(struct json *json);
void json_array_open(struct json *json, const char *key);
void json_array_close(struct json *json);
void json_put_string(struct json *json, const char *key, const char *value); /* NULL → null */
void json_put_string_n(struct json *json, const char *key, const char *value, size_t length);
void json_put_double(struct json *json, const char *key, double value);
void json_put_int(struct json *json, const char *key, int64_t value);
void json_put_bool(struct json *json, const char *key, bool value);
void json_put_null(struct json *json, const char *key);
/* Text that is known to be one JSON value, as it is. */
void json_put_raw(struct json *json, const char *key, const char *text, size_t length);

/* Text that is known to be members of a JSON object, "a":1,"b":2, as it is; not empty. */
void json_put_members(struct json *json, const char *text, size_t length);

/* Empties the text and keeps the memory, for the next document. */
void json_reset(struct json *json);
void json_finish(struct json *json);

/* The text of a number as the writer writes it; returns the length. */
size_t json_number_format(double value, char out[32]);

#endif
