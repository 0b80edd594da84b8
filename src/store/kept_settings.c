/* See kept_settings.h. */
#include "store/kept_settings.h"

#include <stdlib.h>
#include <string.h>

void kept_settings_put(struct kept_settings *settings, const char *name, const char *value)
{
    size_t i = 0;
    while (i < settings->count && strcmp(settings->items[i].name, name) != 0)
        i++;
    if (i == SETTINGS_KEPT_MAX || (i < settings->count && settings->items[i].value == value))
        return;
    char *copy = strdup(value);
    char *key = i == settings->count ? strdup(name) : settings->items[i].name;
    if (copy == NULL || key == NULL) {
        free(copy);
        if (i == settings->count)
            free(key);
        return;
    }
    if (i < settings->count)
        free(settings->items[i].value);
    settings->items[i] = (struct kept_setting){key, copy};
    if (i == settings->count)
        settings->count++;
}

void kept_settings_finish(struct kept_settings *settings)
{
    for (size_t i = 0; i < settings->count; i++) {
        free(settings->items[i].name);
        free(settings->items[i].value);
    }
    settings->count = 0;
}
