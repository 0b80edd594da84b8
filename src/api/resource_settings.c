/* /settings: what can be changed while running. The values in force stand in the status page. */
#include "api/answer.h"
#include "api/engine_link.h"
#include "api/handlers.h"
#include "api/json_body.h"
#include "api/page_view.h"
#include "api/tagged.h"
#include "base/json.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SET_PATIENCE_SEC 15

static bool is_setting(enum option_id id)
{
    return id < OPTION_COUNT && (option_row(id)->flags & OPTION_SETTING) != 0;
}

/* OPTION_COUNT after 404. */
static enum option_id find_setting(struct request *request)
{
    enum option_id id = option_find(request->argument);
    if (is_setting(id))
        return id;
    if (id < OPTION_COUNT)
        refuse(request, MHD_HTTP_NOT_FOUND, "%s is no setting: it is read at start only",
               option_row(id)->name);
    else
        refuse(request, MHD_HTTP_NOT_FOUND, "there is no setting '%s'", request->argument);
    return OPTION_COUNT;
}

static void answer_settings(struct request *request, const struct options *options)
{
    struct json json = {0};
    json_object_open(&json, NULL);
    for (enum option_id id = 0; id < OPTION_COUNT; id++) {
        char value[OPTION_TEXT_SIZE];
        if (!is_setting(id))
            continue;
        options_get(options, id, value);
        json_put_string(&json, option_row(id)->name, value);
    }
    json_object_close(&json);
    answer_tagged(request, &json);
}

void handle_settings(struct request *request)
{
    struct page_texts texts;
    if (page_view(request, &texts))
        answer_settings(request, &texts.options);
}

void handle_settings_defaults(struct request *request)
{
    struct options defaults;
    options_init(&defaults);
    answer_settings(request, &defaults);
}

static const char *type_name(enum option_type type)
{
    switch (type) {
    case OPTION_INTEGER:
        return "integer";
    case OPTION_REAL:
        return "number";
    case OPTION_BOOLEAN:
        return "boolean";
    case OPTION_CHOICE:
        return "choice";
    case OPTION_TEXT:
        break;
    }
    return "text";
}

/* "choices" is there for a choice only. */
static void json_choices(struct json *json, const char *choices)
{
    json_array_open(json, "choices");
    while (*choices != '\0') {
        size_t length = strcspn(choices, "|");
        json_put_string_n(json, NULL, choices, length);
        choices += length + (choices[length] == '|');
    }
    json_array_close(json);
}

static void json_option(struct json *json, const struct option_row *row)
{
    bool has_bounds = row->type == OPTION_INTEGER || row->type == OPTION_REAL;
    json_object_open(json, NULL);
    json_put_string(json, "key", row->name);
    json_put_string(json, "type", type_name(row->type));
    json_put_string(json, "default", row->default_text);
    json_put_double(json, "min", has_bounds ? row->low : NAN);
    json_put_double(json, "max", has_bounds ? row->high : NAN);
    json_put_string(json, "unit", has_bounds ? option_unit(row) : NULL);
    json_put_string(json, "sentence", row->sentence);
    json_put_string(json, "section", row->section);
    if (row->choices != NULL)
        json_choices(json, row->choices);
    json_object_close(json);
}

void handle_settings_schema(struct request *request)
{
    struct json json = {0};
    json_array_open(&json, NULL);
    for (enum option_id id = 0; id < OPTION_COUNT; id++)
        if (is_setting(id))
            json_option(&json, option_row(id));
    json_array_close(&json);
    answer_tagged(request, &json);
}

void handle_settings_weights(struct request *request)
{
    struct page_texts texts;
    char model[OPTION_TEXT_SIZE];
    if (!page_view(request, &texts))
        return;
    options_get(&texts.options, OPTION_ID_scoring_model_active, model);
    struct json json = {0};
    json_object_open(&json, NULL);
    json_object_open(&json, "hybrid_momentum");
    json_put_double(&json, "w_tx", texts.options.w_tx);
    json_put_double(&json, "w_vol", texts.options.w_vol);
    json_put_double(&json, "w_fresh", texts.options.w_fresh);
    json_put_double(&json, "w_oi", texts.options.w_oi);
    json_object_close(&json);
    json_object_open(&json, "legacy");
    json_object_close(&json);
    json_put_string(&json, "active_model", model);
    json_object_close(&json);
    answer_tagged(request, &json);
}

static void answer_setting(struct request *request, const char *name, const char *value)
{
    struct json json = {0};
    json_object_open(&json, NULL);
    json_put_string(&json, "key", name);
    json_put_string(&json, "value", value);
    json_object_close(&json);
    answer_tagged(request, &json);
}

void handle_setting(struct request *request)
{
    struct page_texts texts;
    char value[OPTION_TEXT_SIZE];
    enum option_id id = find_setting(request);
    if (id == OPTION_COUNT || !page_view(request, &texts))
        return;
    options_get(&texts.options, id, value);
    answer_setting(request, option_row(id)->name, value);
}

static void answer_put(struct request *request)
{
    if (!refuse_unless_done(request, MHD_HTTP_BAD_REQUEST))
        answer_setting(request, option_row(option_find(request->argument))->name, request->state);
}

/* Tries the value on a copy, so that what is wrong is said without asking the engine. */
static bool is_acceptable(struct request *request, enum option_id id, const char *value)
{
    char why[OPTION_MESSAGE_SIZE];
    struct page_texts texts;
    if (!page_view(request, &texts))
        return false;
    enum option_source source = (enum option_source)texts.options.origins[id];
    if (source > OPTION_FROM_STORE) {
        refuse(request, MHD_HTTP_CONFLICT,
               "%s was given by %s, which outranks settings: change it there", option_row(id)->name,
               option_source_name(source));
        return false;
    }
    if (options_set(&texts.options, option_row(id)->name, value, OPTION_FROM_STORE, why) != OK ||
        options_check_settings(&texts.options, why) != OK) {
        refuse(request, MHD_HTTP_BAD_REQUEST, "%s", why);
        return false;
    }
    return true;
}

static void free_value(struct request *request)
{
    free(request->state);
}

void handle_setting_put(struct request *request)
{
    enum option_id id = find_setting(request);
    struct json_body *body = id < OPTION_COUNT ? json_body_open(request) : NULL;
    if (body == NULL)
        return;
    struct command command = {.kind = COMMAND_SET};
    bool is_good = json_body_value(body, "value", command.value, sizeof command.value) &&
                   is_acceptable(request, id, command.value);
    json_body_close(body);
    if (!is_good)
        return;
    snprintf(command.setting, sizeof command.setting, "%s", option_row(id)->name);
    request->state = strdup(command.value);
    request->state_free = free_value;
    engine_ask(request, &command, duration_s(SET_PATIENCE_SEC), answer_put);
}
