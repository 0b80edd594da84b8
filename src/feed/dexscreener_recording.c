#include "feed/dexscreener_recording.h"
#include "base/text.h"
#include "feed/dexscreener_parse.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SIZE 48 /* bytes of a key that a person is shown */
#define NAMES_MAX 4  /* keys that a person is shown */

/* Recordings hold integers over 64 bits (Solana's rentEpoch): as doubles they are no error. */
#define LOAD_FLAGS (JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL)

/* The queue of the search. A value's name is the key it was found under. */
struct found {
    json_t *value;
    const char *name;
    int depth;
};

struct search {
    struct found queue[RECORDING_VALUES_MAX];
    size_t count;
    json_t *unwrapped; /* an array that owns what strings held */
};

static bool is_pair(const json_t *value)
{
    return json_object_get(value, "pairAddress") != NULL ||
           json_object_get(value, "baseToken") != NULL;
}

static bool is_array_of_pairs(const json_t *value)
{
    return json_is_array(value) && is_pair(json_array_get(value, 0));
}

static bool has_pairs(const json_t *value)
{
    const json_t *pairs = json_object_get(value, "pairs");
    const json_t *pair = json_object_get(value, "pair");
    return json_is_null(pairs) || is_array_of_pairs(pairs) ||
           (json_is_array(pairs) && json_array_size(pairs) == 0) ||
           (pair != NULL && (json_is_null(pair) || is_pair(pair)));
}

static bool is_answer(const json_t *value)
{
    return is_array_of_pairs(value) || has_pairs(value) || is_pair(value);
}

/* ---- the search ---- */

static void enqueue(struct search *search, json_t *value, const char *name, int depth)
{
    if (depth <= RECORDING_DEPTH_MAX && search->count < RECORDING_VALUES_MAX)
        search->queue[search->count++] = (struct found){value, name, depth};
}

/* A string may hold a document of its own. */
static void enqueue_string(struct search *search, const struct found *found)
{
    const char *text = json_string_value(found->value);
    size_t length = json_string_length(found->value);
    if (length < 2 || (text[0] != '{' && text[0] != '['))
        return;
    json_t *inner = json_loadb(text, length, LOAD_FLAGS, NULL);
    if (inner == NULL || json_array_append_new(search->unwrapped, inner) != 0)
        return;
    enqueue(search, inner, found->name, found->depth + 1);
}

static void enqueue_children(struct search *search, const struct found *found)
{
    const char *key;
    json_t *child;
    size_t i;
    if (json_is_string(found->value))
        enqueue_string(search, found);
    json_object_foreach(found->value, key, child) enqueue(search, child, key, found->depth + 1);
    json_array_foreach(found->value, i, child)
        enqueue(search, child, found->name, found->depth + 1);
}

static const struct found *search_answer(struct search *search, json_t *root)
{
    enqueue(search, root, "", 0);
    for (size_t i = 0; i < search->count; i++) {
        if (is_answer(search->queue[i].value))
            return &search->queue[i];
        enqueue_children(search, &search->queue[i]);
    }
    return NULL;
}

/* ---- what a person is told ---- */

static size_t write_keys(char *out, size_t size, json_t *object)
{
    const char *key;
    json_t *value;
    size_t used = 0, shown = 0;
    json_object_foreach(object, key, value)
    {
        char name[NAME_SIZE];
        text_copy(name, sizeof(name), key, strlen(key));
        if (shown == NAMES_MAX || used + NAME_SIZE + 8 > size)
            break;
        used += (size_t)snprintf(out + used, size - used, "%s\"%s\"", shown > 0 ? ", " : "", name);
        shown++;
    }
    if (shown < json_object_size(object))
        used += (size_t)snprintf(out + used, size - used, "…");
    return used;
}

static const struct found *first_list_of_objects(const struct search *search)
{
    for (size_t i = 0; i < search->count; i++)
        if (json_is_object(json_array_get(search->queue[i].value, 0)))
            return &search->queue[i];
    return NULL;
}

static void complain(const struct search *search, char why[RECORDING_WHY_SIZE])
{
    static const char routes[] = "an answer is a list of pairs or has \"pairs\"";
    char keys[NAMES_MAX * (NAME_SIZE + 8)] = "";
    char name[NAME_SIZE];
    json_t *root = search->queue[0].value;
    const struct found *list = first_list_of_objects(search);
    if (list != NULL) {
        text_copy(name, sizeof(name), list->name, strlen(list->name));
        write_keys(keys, sizeof(keys), json_array_get(list->value, 0));
        snprintf(why, RECORDING_WHY_SIZE,
                 "no pairs: %s%s%s a list of %zu objects with the keys %s; %s",
                 name[0] != '\0' ? "\"" : "", name[0] != '\0' ? name : "it is",
                 name[0] != '\0' ? "\" is" : "", json_array_size(list->value),
                 keys[0] != '\0' ? keys : "(none)", routes);
    } else if (json_is_object(root)) {
        write_keys(keys, sizeof(keys), root);
        snprintf(why, RECORDING_WHY_SIZE, "no pairs: an object with the keys %s; %s",
                 keys[0] != '\0' ? keys : "(none)", routes);
    } else {
        snprintf(why, RECORDING_WHY_SIZE, "no pairs: an array of %zu; %s", json_array_size(root),
                 routes);
    }
}

/* ---- the answer's text ---- */

/* Takes `text` over into memory with the padding. */
static enum err pad(const char *text, size_t length, char **out, size_t *out_length)
{
    *out = calloc(1, length + ANSWER_PADDING);
    if (*out == NULL)
        return ERR_NO_MEMORY;
    memcpy(*out, text, length);
    *out_length = length;
    return OK;
}

static enum err write_answer(const json_t *value, char **out, size_t *out_length)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(17));
    enum err err = text != NULL ? pad(text, strlen(text), out, out_length) : ERR_NO_MEMORY;
    free(text);
    return err;
}

/* What is JSON by its grammar, but more than jansson takes: the parser of answers has its own
 * opinion of overflowing numbers and halves of surrogate pairs. */
static bool is_beyond_jansson(const json_error_t *error)
{
    enum json_error_code code = json_error_code(error);
    return code == json_error_numeric_overflow || code == json_error_invalid_utf8 ||
           code == json_error_null_character ||
           (code == json_error_invalid_syntax && strstr(error->text, "Unicode") != NULL);
}

static enum err find_in(json_t *root, const char *text, size_t length, struct search *search,
                        char **out, size_t *out_length)
{
    if (json_is_array(root) && json_array_size(root) == 0)
        return pad(text, length, out, out_length);
    const struct found *found = search_answer(search, root);
    if (found == NULL)
        return ERR_NOT_FOUND;
    return found == search->queue ? pad(text, length, out, out_length)
                                  : write_answer(found->value, out, out_length);
}

enum err recording_find_answer(const char *text, size_t length, char **out, size_t *out_length,
                               char why[RECORDING_WHY_SIZE])
{
    json_error_t error;
    *out = NULL;
    *out_length = 0;
    json_t *root = json_loadb(text, length, LOAD_FLAGS, &error);
    if (root == NULL && is_beyond_jansson(&error))
        return pad(text, length, out, out_length);
    if (root == NULL) {
        char sentence[JSON_ERROR_TEXT_LENGTH];
        text_copy(sentence, sizeof(sentence), error.text, strlen(error.text));
        snprintf(why, RECORDING_WHY_SIZE, "no JSON: line %d, column %d: %s", error.line,
                 error.column, sentence);
        return ERR_INVALID;
    }
    enum err err = ERR_NO_MEMORY;
    struct search *search = calloc(1, sizeof(*search));
    json_t *unwrapped = json_array();
    if (search != NULL && unwrapped != NULL) {
        search->unwrapped = unwrapped;
        err = find_in(root, text, length, search, out, out_length);
    }
    if (err == ERR_NOT_FOUND)
        complain(search, why);
    else if (err != OK)
        snprintf(why, RECORDING_WHY_SIZE, "%s", err_text(err));
    json_decref(unwrapped);
    json_decref(root);
    free(search);
    return err;
}
