/*
 * The options table. options.def has a row for each option; everything else here is made from it.
 *
 * Where a value comes from, strongest first: command line, environment, file, settings stored
 * through the API, default. options_set() remembers the strongest source, so the order in which
 * sources are read does not matter. An unknown name or a bad value is an error with a sentence
 * that says which, why, and the nearest known name; nothing is changed then.
 */
#ifndef MOONWATCH_BASE_OPTIONS_H
#define MOONWATCH_BASE_OPTIONS_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTION_TEXT_SIZE    256 /* bytes of a value with the NUL */
#define OPTION_MESSAGE_SIZE 512 /* bytes of a complaint */

enum option_source {
    OPTION_FROM_DEFAULT,
    OPTION_FROM_STORE,
    OPTION_FROM_FILE,
    OPTION_FROM_ENVIRONMENT,
    OPTION_FROM_COMMAND_LINE,
    OPTION_SOURCE_COUNT
};

enum option_type { OPTION_INTEGER, OPTION_REAL, OPTION_BOOLEAN, OPTION_TEXT, OPTION_CHOICE };

enum option_flags { OPTION_PROCESS = 1, OPTION_SETTING = 2, OPTION_SECRET = 4 };

enum option_id {
#define OPTION(type, name, value, low, high, flags, sentence) OPTION_ID_##name,
#include "base/options.def"
#undef OPTION
    OPTION_COUNT
};

/* A CHOICE is the index of its value among the choices. */
enum { TX_MODE_ACCELERATION, TX_MODE_ARBITRAGE_ACTIVITY };
enum { FEED_HTTP_1_1, FEED_HTTP_2 };
enum { SANDBOX_ON, SANDBOX_OFF };
enum { EXPORT_FORMAT_AUTO, EXPORT_FORMAT_JSON, EXPORT_FORMAT_TOML };

/* The values, a member each: options.hot_interval_sec. */
struct options {
#define OPTION_MEMBER_INTEGER(name)                           int64_t name;
#define OPTION_MEMBER_REAL(name)                              double name;
#define OPTION_MEMBER_BOOLEAN(name)                           bool name;
#define OPTION_MEMBER_TEXT(name)                              char name[OPTION_TEXT_SIZE];
#define OPTION_MEMBER_CHOICE(name)                            int name;
#define OPTION(type, name, value, low, high, flags, sentence) OPTION_MEMBER_##type(name)
#include "base/options.def"
#undef OPTION
    uint8_t origins[OPTION_COUNT]; /* enum option_source */
};

struct option_row {
    const char *name;
    enum option_type type;
    const char *default_text;
    double low, high;
    unsigned flags;
    const char *sentence; /* for a CHOICE without its "a|b: " */
    const char *choices;  /* "a|b"; NULL for the other types */
    const char *section;  /* title of its group; rows of a group follow each other */
};

const struct option_row *option_row(enum option_id id);

/* What a number counts, by the end of its name: "seconds"…; NULL: nothing that has a name. */
const char *option_unit(const struct option_row *row);

/* OPTION_COUNT when there is none. */
enum option_id option_find(const char *name);

void options_init(struct options *options);

/* Sets one option from text. ERR_NOT_FOUND or ERR_INVALID with a sentence in `why`. A weaker source
 * than the one the present value came from leaves the value and returns OK. */
enum err options_set(struct options *options, const char *name, const char *text,
                     enum option_source source, char why[OPTION_MESSAGE_SIZE]) MUST_CHECK;

/* Bounds that span several options (low under high, weights that add up…). */
enum err options_check(const struct options *options, char why[OPTION_MESSAGE_SIZE]) MUST_CHECK;
/* Those of them that settings have a part in: also where secrets were forgotten. */
enum err options_check_settings(const struct options *options,
                                char why[OPTION_MESSAGE_SIZE]) MUST_CHECK;

/* The present value as text, as options_set() would take it. Returns the length. */
size_t options_get(const struct options *options, enum option_id id, char out[OPTION_TEXT_SIZE]);

/* Options whose bytes may be anything, as those on a damaged page: texts end, booleans are true or
 * false. Numbers and choices stay as they are. */
void options_mend(struct options *options);

/* What of a text of this option's nobody is to see: all of a SECRET, else the name and password in
 * a URL. Its length, 0: nothing; *begin is where in the text. */
size_t option_url_user(const char *text, const char **begin); /* of any URL, the same way */
size_t option_secret_part(const struct option_row *row, const char *text, const char **begin);

#define OPTION_MASK "********"

/* The present value as it may be shown: with OPTION_MASK in place of what is secret. */
size_t options_show(const struct options *options, enum option_id id, char out[OPTION_TEXT_SIZE]);

/* Every value becomes what options_show() shows of it; a SECRET becomes empty. */
void options_forget_secrets(struct options *options);

/* `key = value` lines; # comments; `export KEY="value"` of .env files; environment-style names
 * are understood. Complaints name file and line. ERR_IO when it cannot be read. */
enum err options_read_file(struct options *options, const char *path,
                           char why[OPTION_MESSAGE_SIZE]) MUST_CHECK;

/* MOONWATCH_HOT_INTERVAL_SEC=… for hot_interval_sec; SCHEDULER_ENABLED for scheduler_enabled. An
 * unknown MOONWATCH_… variable is an error. */
enum err options_read_environment(struct options *options, char *const environment[],
                                  char why[OPTION_MESSAGE_SIZE]) MUST_CHECK;

/* MOONWATCH_… for a row. */
size_t option_environment_name(enum option_id id, char out[OPTION_TEXT_SIZE]);

const char *option_source_name(enum option_source source);

#endif
