/* The settings that are in a store, kept for the day it has to be written anew. */
#ifndef MOONWATCH_STORE_KEPT_SETTINGS_H
#define MOONWATCH_STORE_KEPT_SETTINGS_H

#include <stddef.h>

/* Far more than there are options. */
#define SETTINGS_KEPT_MAX 1024

struct kept_setting {
    char *name;
    char *value;
};

struct kept_settings {
    struct kept_setting items[SETTINGS_KEPT_MAX];
    size_t count;
};

/* Copies both. Without memory, or room, the setting stays as it was kept before. `value` may be the
 * one that is kept. */
void kept_settings_put(struct kept_settings *settings, const char *name, const char *value);
void kept_settings_finish(struct kept_settings *settings);

#endif
