#include "base/options.h"

#include "base/json.h"
#include "base/option_rules.h"
#include "base/text.h"
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENVIRONMENT_PREFIX "MOONWATCH_"
#define FILE_LINE_MAX      1024 /* bytes of a line; a value has at most 255 */
#define FILE_LINES_MAX     10000
#define CHOICES_SIZE       96
#define SHOWN_VALUE_SIZE   64 /* of a bad value, in a complaint */

/* The flags as options.def writes them. */
enum { PROCESS = OPTION_PROCESS, SETTING = OPTION_SETTING, SECRET = OPTION_SECRET };

static struct option_row rows[OPTION_COUNT] = {
#define OPTION(type, name, value, low, high, flags, sentence)                                      \
    {#name, OPTION_##type, value, low, high, flags, sentence, NULL, NULL},
#include "base/options.def"
#undef OPTION
};

static const size_t offsets[OPTION_COUNT] = {
#define OPTION(type, name, value, low, high, flags, sentence) offsetof(struct options, name),
#include "base/options.def"
#undef OPTION
};

/* Which row a section begins with: the enumerators count the rows and skip the titles. */
enum {
#define OPTION(type, name, value, low, high, flags, sentence) POSITION_##name,
#define OPTION_SECTION(tag, title)                            SECTION_##tag, AFTER_SECTION_##tag = SECTION_##tag - 1,
#include "base/options.def"
#undef OPTION
};

static const struct section {
    int first;
    const char *title;
} sections[] = {
#define OPTION(type, name, value, low, high, flags, sentence)
#define OPTION_SECTION(tag, title) {SECTION_##tag, title},
#include "base/options.def"
#undef OPTION
};

static char choices[OPTION_COUNT][CHOICES_SIZE];
static pthread_once_t rows_once = PTHREAD_ONCE_INIT;

/* "a|b: sentence" becomes "a|b" and "sentence". */
static void split_choices(int i)
{
    const char *colon = strstr(rows[i].sentence, ": ");
    assert(colon != NULL && (size_t)(colon - rows[i].sentence) < CHOICES_SIZE);
    memcpy(choices[i], rows[i].sentence, (size_t)(colon - rows[i].sentence));
    rows[i].choices = choices[i];
    rows[i].sentence = colon + 2;
}

static void complete_rows(void)
{
    size_t next = 0;
    const char *section = "";

    for (int i = 0; i < OPTION_COUNT; i++) {
        if (next < sizeof sections / sizeof sections[0] && sections[next].first == i)
            section = sections[next++].title;
        rows[i].section = section;
        if (rows[i].type == OPTION_CHOICE)
            split_choices(i);
    }
}

const struct option_row *option_row(enum option_id id)
{
    assert((unsigned)id < OPTION_COUNT);
    pthread_once(&rows_once, complete_rows);
    return &rows[id];
}

const char *option_unit(const struct option_row *row)
{
    static const struct {
        const char *suffix, *text;
    } units[] = {
        {"_sec", "seconds"},     {"_ms", "milliseconds"}, {"_hours", "hours"},
        {"_days", "days"},       {"_kb", "kB"},           {"_mb", "MB"},
        {"_percent", "percent"}, {"_usd", "USD"},         {"_per_minute", "per minute"},
    };
    size_t length = strlen(row->name);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t suffix = strlen(units[i].suffix);
        if (length > suffix && strcmp(row->name + length - suffix, units[i].suffix) == 0)
            return units[i].text;
    }
    return NULL;
}

enum option_id option_find(const char *name)
{
    for (int i = 0; i < OPTION_COUNT; i++)
        if (strcmp(rows[i].name, name) == 0)
            return (enum option_id)i;
    return OPTION_COUNT;
}

const char *option_source_name(enum option_source source)
{
    static const char *const names[OPTION_SOURCE_COUNT] = {"default", "settings", "file",
                                                           "environment", "command line"};
    return (unsigned)source < OPTION_SOURCE_COUNT ? names[source] : "unknown";
}

size_t option_environment_name(enum option_id id, char out[OPTION_TEXT_SIZE])
{
    size_t length =
        (size_t)snprintf(out, OPTION_TEXT_SIZE, "%s%s", ENVIRONMENT_PREFIX, option_row(id)->name);
    for (size_t i = 0; i < length; i++)
        out[i] = (char)toupper((unsigned char)out[i]);
    return length;
}

/* ---- complaints ---- */

static void complain_unknown(const char *name, char why[OPTION_MESSAGE_SIZE])
{
    char shown[SHOWN_VALUE_SIZE];
    const char *nearest = NULL;
    size_t least = TEXT_FAR;

    text_copy(shown, sizeof shown, name, strlen(name));
    for (int i = 0; i < OPTION_COUNT; i++) {
        size_t distance = text_distance(name, rows[i].name);
        if (distance < least) {
            least = distance;
            nearest = rows[i].name;
        }
    }
    if (nearest != NULL && text_is_slip(least, strlen(name)))
        snprintf(why, OPTION_MESSAGE_SIZE, "there is no option \"%s\"; did you mean \"%s\"?", shown,
                 nearest);
    else
        snprintf(why, OPTION_MESSAGE_SIZE,
                 "there is no option \"%s\"; \"moonwatch config --help\" lists them all", shown);
}

static size_t mask(const struct option_row *row, const char *text, char *out, size_t size);

/* `problem` follows the value: `hot_interval_sec: "0" is …`. A secret's value is not repeated. */
static enum err complain_value(const struct option_row *row, const char *text, const char *problem,
                               char why[OPTION_MESSAGE_SIZE])
{
    char masked[OPTION_TEXT_SIZE], shown[SHOWN_VALUE_SIZE];
    size_t length = mask(row, text, masked, sizeof masked);
    text_copy(shown, sizeof shown, masked, length);
    if ((row->flags & OPTION_SECRET) != 0)
        snprintf(why, OPTION_MESSAGE_SIZE, "%s: the value %s", row->name, problem);
    else
        snprintf(why, OPTION_MESSAGE_SIZE, "%s: \"%s\" %s", row->name, shown, problem);
    return ERR_INVALID;
}

/* ---- one value of each type ---- */

static enum err complain_bounds(const struct option_row *row, const char *text, const char *kind,
                                char why[OPTION_MESSAGE_SIZE])
{
    char low[32], high[32], problem[128];
    json_number_format(row->low, low);
    json_number_format(row->high, high);
    snprintf(problem, sizeof problem, "must be %s from %s to %s", kind, low, high);
    return complain_value(row, text, problem, why);
}

static enum err set_integer(void *member, const struct option_row *row, const char *text,
                            char why[OPTION_MESSAGE_SIZE])
{
    int64_t value;
    if (!text_parse_int(text, strlen(text), &value) || (double)value < row->low ||
        (double)value > row->high)
        return complain_bounds(row, text, "a whole number", why);
    *(int64_t *)member = value;
    return OK;
}

static enum err set_real(void *member, const struct option_row *row, const char *text,
                         char why[OPTION_MESSAGE_SIZE])
{
    double value;
    if (!text_parse_double(text, strlen(text), &value) || value < row->low || value > row->high)
        return complain_bounds(row, text, "a number", why);
    *(double *)member = value;
    return OK;
}

static enum err set_boolean(void *member, const struct option_row *row, const char *text,
                            char why[OPTION_MESSAGE_SIZE])
{
    static const char *const words[2][4] = {{"false", "no", "off", "0"},
                                            {"true", "yes", "on", "1"}};
    for (int value = 0; value < 2; value++)
        for (int i = 0; i < 4; i++)
            if (text_equal_nocase(text, words[value][i])) {
                *(bool *)member = value == 1;
                return OK;
            }
    return complain_value(row, text, "must be true or false", why);
}

static bool has_control_character(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return true;
    return false;
}

static enum err set_text(void *member, const struct option_row *row, const char *text,
                         char why[OPTION_MESSAGE_SIZE])
{
    size_t length = strlen(text);
    char problem[128];

    if (has_control_character(text))
        return complain_value(row, text, "has a control character in it", why);
    if (length == 0 && row->low > 0)
        return complain_value(row, text, "may not be empty", why);
    if ((double)length < row->low || (double)length > row->high) {
        snprintf(problem, sizeof problem, "has %zu bytes; it must have %g to %g", length, row->low,
                 row->high);
        return complain_value(row, text, problem, why);
    }
    memcpy(member, text, length + 1);
    return OK;
}

/* The index of `text` among "a|b|c", or −1. */
static int choice_index(const char *list, const char *text)
{
    size_t length = strlen(text);
    for (int index = 0;; index++) {
        size_t span = strcspn(list, "|");
        if (span == length && strncasecmp(list, text, span) == 0)
            return index;
        if (list[span] == '\0')
            return -1;
        list += span + 1;
    }
}

static enum err set_choice(void *member, const struct option_row *row, const char *text,
                           char why[OPTION_MESSAGE_SIZE])
{
    char problem[CHOICES_SIZE + 32];
    int index = choice_index(row->choices, text);
    if (index < 0) {
        snprintf(problem, sizeof problem, "must be one of %s", row->choices);
        return complain_value(row, text, problem, why);
    }
    *(int *)member = index;
    return OK;
}

typedef enum err (*setter)(void *member, const struct option_row *row, const char *text,
                           char why[OPTION_MESSAGE_SIZE]);

static const setter setters[] = {
    [OPTION_INTEGER] = set_integer, [OPTION_REAL] = set_real,     [OPTION_BOOLEAN] = set_boolean,
    [OPTION_TEXT] = set_text,       [OPTION_CHOICE] = set_choice,
};

/* A value of any type, to be parsed without touching the options. */
union scratch {
    int64_t integer;
    double real;
    bool boolean;
    int choice;
    char text[OPTION_TEXT_SIZE];
};

static const size_t sizes[] = {
    [OPTION_INTEGER] = sizeof(int64_t), [OPTION_REAL] = sizeof(double),
    [OPTION_BOOLEAN] = sizeof(bool),    [OPTION_TEXT] = OPTION_TEXT_SIZE,
    [OPTION_CHOICE] = sizeof(int),
};

static enum err set_by_id(struct options *options, enum option_id id, const char *text,
                          enum option_source source, char why[OPTION_MESSAGE_SIZE])
{
    const struct option_row *row = option_row(id);
    union scratch scratch = {0};
    enum err err = setters[row->type](&scratch, row, text, why);

    if (err == OK && (unsigned)source >= options->origins[id]) {
        memcpy((char *)options + offsets[id], &scratch, sizes[row->type]);
        options->origins[id] = (uint8_t)source;
    }
    return err;
}

void options_init(struct options *options)
{
    char why[OPTION_MESSAGE_SIZE];

    memset(options, 0, sizeof *options);
    for (int i = 0; i < OPTION_COUNT; i++) {
        enum err err =
            set_by_id(options, (enum option_id)i, rows[i].default_text, OPTION_FROM_DEFAULT, why);
        assert(err == OK); /* a default within its own bounds */
        (void)err;
    }
}

enum err options_set(struct options *options, const char *name, const char *text,
                     enum option_source source, char why[OPTION_MESSAGE_SIZE])
{
    enum option_id id = option_find(name);
    why[0] = '\0';
    if (id == OPTION_COUNT) {
        complain_unknown(name, why);
        return ERR_NOT_FOUND;
    }
    return set_by_id(options, id, text, source, why);
}

/* "" of one that there is not. */
static size_t choice_text(const char *list, int index, char out[OPTION_TEXT_SIZE])
{
    for (; index > 0 && *list != '\0'; index--) {
        list += strcspn(list, "|");
        list += *list == '|';
    }
    size_t length = strcspn(list, "|");
    memcpy(out, list, length);
    out[length] = '\0';
    return length;
}

/* Options are read from shared memory, too, where anything may stand. */
size_t options_get(const struct options *options, enum option_id id, char out[OPTION_TEXT_SIZE])
{
    const struct option_row *row = option_row(id);
    const void *member = (const char *)options + offsets[id];

    switch (row->type) {
    case OPTION_INTEGER:
        return (size_t)snprintf(out, OPTION_TEXT_SIZE, "%lld", (long long)*(const int64_t *)member);
    case OPTION_REAL:
        return json_number_format(*(const double *)member, out);
    case OPTION_BOOLEAN:
        return (size_t)snprintf(out, OPTION_TEXT_SIZE, "%s",
                                *(const unsigned char *)member != 0 ? "true" : "false");
    case OPTION_CHOICE:
        return choice_text(row->choices, *(const int *)member, out);
    case OPTION_TEXT:
        break;
    }
    return (size_t)snprintf(out, OPTION_TEXT_SIZE, "%.*s", OPTION_TEXT_SIZE - 1,
                            (const char *)member);
}

void options_mend(struct options *options)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        unsigned char *member = (unsigned char *)options + offsets[i];
        if (rows[i].type == OPTION_BOOLEAN)
            *member = *member != 0;
        else if (rows[i].type == OPTION_TEXT)
            member[OPTION_TEXT_SIZE - 1] = '\0';
    }
}

/* ---- secrets ---- */

/* scheme://NAME:PASSWORD@host (RFC 3986, 3.2.1); the last @ before the path, as curl has it. */
size_t option_url_user(const char *text, const char **begin)
{
    const char *authority = strstr(text, "://");
    *begin = text;
    if (authority == NULL)
        return 0;
    *begin = authority + 3;
    size_t length = strcspn(*begin, "/?#");
    const char *at = memrchr(*begin, '@', length);
    return at != NULL ? (size_t)(at - *begin) : 0;
}

size_t option_secret_part(const struct option_row *row, const char *text, const char **begin)
{
    *begin = text;
    if ((row->flags & OPTION_SECRET) != 0)
        return strlen(text);
    return row->type == OPTION_TEXT ? option_url_user(text, begin) : 0;
}

/* In a copy; one that would not fit is cut. */
static size_t mask(const struct option_row *row, const char *text, char *out, size_t size)
{
    const char *begin;
    size_t secret = option_secret_part(row, text, &begin);
    size_t length = secret == 0 ? (size_t)snprintf(out, size, "%s", text)
                                : (size_t)snprintf(out, size, "%.*s" OPTION_MASK "%s",
                                                   (int)(begin - text), text, begin + secret);
    return length < size ? length : size - 1;
}

size_t options_show(const struct options *options, enum option_id id, char out[OPTION_TEXT_SIZE])
{
    char value[OPTION_TEXT_SIZE];
    options_get(options, id, value);
    return mask(option_row(id), value, out, OPTION_TEXT_SIZE);
}

void options_forget_secrets(struct options *options)
{
    char shown[OPTION_TEXT_SIZE];
    for (enum option_id id = 0; id < OPTION_COUNT; id++) {
        const struct option_row *row = option_row(id);
        if (row->type != OPTION_TEXT)
            continue;
        size_t length = options_show(options, id, shown);
        char *member = (char *)options + offsets[id];
        memset(member, 0, OPTION_TEXT_SIZE);
        if ((row->flags & OPTION_SECRET) == 0)
            memcpy(member, shown, length);
    }
}

/* ---- bounds that span several options ---- */

struct ordered_pair {
    enum option_id low, high;
};

/* The first may not be over the second. */
static const struct ordered_pair ordered[] = {
    {OPTION_ID_source_backoff_min_sec, OPTION_ID_source_backoff_max_sec},
    {OPTION_ID_feed_connect_timeout_sec, OPTION_ID_feed_timeout_sec},
    {OPTION_ID_feed_first_byte_timeout_sec, OPTION_ID_feed_timeout_sec},
    {OPTION_ID_hot_interval_sec, OPTION_ID_maximum_age_sec},
    {OPTION_ID_cold_interval_sec, OPTION_ID_maximum_age_sec},
    {OPTION_ID_alert_retry_min_sec, OPTION_ID_alert_retry_max_sec},
    {OPTION_ID_arbitrage_min_tx_5m, OPTION_ID_arbitrage_optimal_tx_5m},
    {OPTION_ID_load_reduced_cpu_percent, OPTION_ID_load_minimal_cpu_percent},
    {OPTION_ID_load_reduced_memory_percent, OPTION_ID_load_minimal_memory_percent},
    {OPTION_ID_load_minimal_scale, OPTION_ID_load_reduced_scale},
    {OPTION_ID_deferral_resume_cpu_percent, OPTION_ID_deferral_low_cpu_percent},
    {OPTION_ID_deferral_low_cpu_percent, OPTION_ID_deferral_most_cpu_percent},
    {OPTION_ID_priority_low, OPTION_ID_priority_high},
    {OPTION_ID_disk_reduced_percent, OPTION_ID_disk_minimal_percent},
    {OPTION_ID_descriptors_reduced_percent, OPTION_ID_descriptors_minimal_percent},
};

static double real_value(const struct options *options, enum option_id id)
{
    assert(rows[id].type == OPTION_REAL);
    double value;
    memcpy(&value, (const char *)options + offsets[id], sizeof value);
    return value;
}

enum err options_check_settings(const struct options *options, char why[OPTION_MESSAGE_SIZE])
{
    char low[32], high[32];

    why[0] = '\0';
    for (size_t i = 0; i < sizeof ordered / sizeof ordered[0]; i++) {
        double low_value = real_value(options, ordered[i].low);
        double high_value = real_value(options, ordered[i].high);
        if (low_value <= high_value)
            continue;
        json_number_format(low_value, low);
        json_number_format(high_value, high);
        snprintf(why, OPTION_MESSAGE_SIZE, "%s (%s) may not be over %s (%s)",
                 rows[ordered[i].low].name, low, rows[ordered[i].high].name, high);
        return ERR_INVALID;
    }
    if (options->arbitrage_min_tx_5m >= options->arbitrage_optimal_tx_5m) {
        snprintf(why, OPTION_MESSAGE_SIZE,
                 "arbitrage_min_tx_5m must be under arbitrage_optimal_tx_5m");
        return ERR_INVALID;
    }
    if (options->w_tx + options->w_vol + options->w_fresh + options->w_oi <= 0) {
        snprintf(why, OPTION_MESSAGE_SIZE,
                 "w_tx, w_vol, w_fresh and w_oi are all 0: at least one must count");
        return ERR_INVALID;
    }
    return OK;
}

enum err options_check(const struct options *options, char why[OPTION_MESSAGE_SIZE])
{
    enum err err = options_check_settings(options, why);
    if (err == OK)
        err = option_rules_export(options, why);
    return err == OK ? option_rules_alerts(options, why) : err;
}

/* ---- files ---- */

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    text[length] = '\0';
    return text;
}

/* hot_interval_sec from MOONWATCH_HOT_INTERVAL_SEC, HOT_INTERVAL_SEC or hot-interval-sec, in
 * place. */
static char *option_style(char *name)
{
    if (strncasecmp(name, ENVIRONMENT_PREFIX, strlen(ENVIRONMENT_PREFIX)) == 0)
        name += strlen(ENVIRONMENT_PREFIX);
    for (char *c = name; *c != '\0'; c++)
        *c = *c == '-' ? '_' : (char)tolower((unsigned char)*c);
    return name;
}

/* Takes the quotes off in place: '…' is literal, "…" knows \" \\ \n and \t. After the closing quote
 * only a comment may follow. NULL when the quotes do not close or more follows. */
static char *unquote(char *text)
{
    char quote = text[0];
    char *out = text, *in = text + 1;

    for (; *in != quote; in++) {
        if (quote == '"' && *in == '\\' && in[1] != '\0') {
            in++;
            *out++ = *in == 'n' ? '\n' : *in == 't' ? '\t' : *in;
        } else if (*in == '\0') {
            return NULL;
        } else {
            *out++ = *in;
        }
    }
    char *rest = trim(in + 1);
    if (*rest != '\0' && *rest != '#')
        return NULL;
    *out = '\0';
    return text;
}

/* An unquoted value ends where a # follows a space. */
static char *without_comment(char *text)
{
    for (char *c = text; *c != '\0'; c++)
        if (*c == '#' && (c == text || isspace((unsigned char)c[-1]))) {
            *c = '\0';
            break;
        }
    return trim(text);
}

static enum err read_assignment(struct options *options, char *line, char why[OPTION_MESSAGE_SIZE])
{
    char *name = trim(line);
    if (*name == '\0' || *name == '#')
        return OK;
    if (strncmp(name, "export", 6) == 0 && isspace((unsigned char)name[6]))
        name = trim(name + 6);
    char *equals = strchr(name, '=');
    if (equals == NULL) {
        snprintf(why, OPTION_MESSAGE_SIZE, "\"key = value\" is expected");
        return ERR_INVALID;
    }
    *equals = '\0';
    char *value = trim(equals + 1);
    value = *value == '"' || *value == '\'' ? unquote(value) : without_comment(value);
    if (value == NULL) {
        snprintf(why, OPTION_MESSAGE_SIZE, "the quotes of the value do not close, or text follows");
        return ERR_INVALID;
    }
    return options_set(options, option_style(trim(name)), value, OPTION_FROM_FILE, why);
}

/* Puts "PATH:LINE: " before the sentence. */
static void place(const char *path, int number, char why[OPTION_MESSAGE_SIZE])
{
    char sentence[291], shown[201];
    text_copy(sentence, sizeof sentence, why, strlen(why));
    text_copy(shown, sizeof shown, path, strlen(path));
    snprintf(why, OPTION_MESSAGE_SIZE, "%s:%d: %s", shown, number, sentence);
}

static enum err read_line(struct options *options, char *line, size_t length,
                          char why[OPTION_MESSAGE_SIZE])
{
    if (length >= FILE_LINE_MAX) {
        snprintf(why, OPTION_MESSAGE_SIZE, "the line is longer than %d bytes", FILE_LINE_MAX - 1);
        return ERR_TOO_LARGE;
    }
    if (memchr(line, '\0', length) != NULL) {
        snprintf(why, OPTION_MESSAGE_SIZE, "the line has a NUL byte in it");
        return ERR_INVALID;
    }
    return read_assignment(options, line, why);
}

static enum err read_lines(struct options *options, FILE *file, const char *path,
                           char why[OPTION_MESSAGE_SIZE])
{
    char *line = NULL;
    size_t size = 0;
    enum err err = OK;

    for (int number = 1; err == OK; number++) {
        ssize_t length = getline(&line, &size, file);
        if (length < 0)
            break;
        char *start = number == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0 ? line + 3 : line;
        snprintf(why, OPTION_MESSAGE_SIZE, "the file has more than %d lines", FILE_LINES_MAX);
        err = number > FILE_LINES_MAX
                  ? ERR_TOO_LARGE
                  : read_line(options, start, (size_t)length - (size_t)(start - line), why);
        if (err != OK)
            place(path, number, why);
    }
    if (err == OK && ferror(file)) {
        snprintf(why, OPTION_MESSAGE_SIZE, "%.300s: %s", path, strerror(errno));
        err = ERR_IO;
    }
    free(line);
    return err;
}

enum err options_read_file(struct options *options, const char *path, char why[OPTION_MESSAGE_SIZE])
{
    struct options changed = *options; /* a file with a mistake in it changes nothing */
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        snprintf(why, OPTION_MESSAGE_SIZE, "%.300s: %s", path, strerror(errno));
        return ERR_IO;
    }
    enum err err = read_lines(&changed, file, path, why);
    fclose(file);
    if (err == OK) {
        *options = changed;
        why[0] = '\0';
    }
    return err;
}

/* ---- the environment ---- */

static void place_variable(const char *variable, size_t name_length, char why[OPTION_MESSAGE_SIZE])
{
    char sentence[401], shown[81];
    text_copy(sentence, sizeof sentence, why, strlen(why));
    text_copy(shown, sizeof shown, variable, name_length);
    snprintf(why, OPTION_MESSAGE_SIZE, "environment variable %s: %s", shown, sentence);
}

/* `name` is where the option's name begins in `variable` (NAME=value). */
static enum err read_variable(struct options *options, const char *variable, const char *name,
                              char why[OPTION_MESSAGE_SIZE])
{
    const char *equals = strchr(variable, '=');
    char option[OPTION_TEXT_SIZE];

    if (equals == NULL)
        return OK;
    snprintf(option, sizeof option, "%.*s", (int)(equals - name), name);
    enum err err =
        options_set(options, option_style(option), equals + 1, OPTION_FROM_ENVIRONMENT, why);
    if (err != OK)
        place_variable(variable, (size_t)(equals - variable), why);
    return err;
}

enum err options_read_environment(struct options *options, char *const environment[],
                                  char why[OPTION_MESSAGE_SIZE])
{
    struct options changed = *options;
    enum err err = OK;

    why[0] = '\0';
    /* The old name first, so that the new one overrides it. */
    for (int i = 0; environment[i] != NULL && err == OK; i++)
        if (strncmp(environment[i], "SCHEDULER_ENABLED=", 18) == 0)
            err = read_variable(&changed, environment[i], environment[i], why);
    for (int i = 0; environment[i] != NULL && err == OK; i++)
        if (strncmp(environment[i], ENVIRONMENT_PREFIX, strlen(ENVIRONMENT_PREFIX)) == 0)
            err = read_variable(&changed, environment[i],
                                environment[i] + strlen(ENVIRONMENT_PREFIX), why);
    if (err == OK)
        *options = changed;
    return err;
}
