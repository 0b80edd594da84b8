#include "cli/arguments.h"

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_SIZE   64 /* of a flag, without dashes */
#define HELP_INDENT 2
#define HELP_COLUMN 34 /* where the sentences begin */

/* A command line being read. */
struct parse {
    const char *verb;
    const struct argument_spec *spec;
    int argc;
    char **argv;
    int next;
    size_t operands; /* seen so far */
    uint64_t given;  /* bit i: row i was given */
    const char *config_path;
};

__attribute__((format(printf, 2, 3))) static enum arguments_result wrong(const struct parse *parse,
                                                                         const char *format, ...)
{
    char text[OPTION_MESSAGE_SIZE + 4 * NAME_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "moonwatch %s: ", parse->verb);
    terminal_write(stderr, text);
    fprintf(stderr, "\nmoonwatch %s --help says what there is.\n", parse->verb);
    return ARGUMENTS_WRONG;
}

/* What a stranger typed, fit to be printed. */
struct shown {
    char text[NAME_SIZE];
};

static struct shown show(const char *text)
{
    struct shown shown;
    text_copy(shown.text, sizeof shown.text, text, strlen(text));
    return shown;
}

static void swap_characters(char *text, char from, char to)
{
    for (; *text != '\0'; text++)
        if (*text == from)
            *text = to;
}

/* ---- names that are not known ---- */

struct nearest {
    char name[NAME_SIZE];
    size_t distance;
};

static void consider(struct nearest *nearest, const char *typed, const char *candidate)
{
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "%s", candidate);
    swap_characters(name, '_', '-');
    size_t distance = text_distance(typed, name);
    if (distance < nearest->distance) {
        nearest->distance = distance;
        memcpy(nearest->name, name, sizeof name);
    }
}

static enum arguments_result unknown_flag(const struct parse *parse, const char *typed)
{
    struct nearest nearest = {.distance = TEXT_FAR};

    consider(&nearest, typed, "help");
    for (size_t i = 0; i < parse->spec->count; i++)
        if (argument_is_flag(&parse->spec->rows[i]))
            consider(&nearest, typed, parse->spec->rows[i].name);
    if (parse->spec->options != NULL) {
        consider(&nearest, typed, "set");
        consider(&nearest, typed, "config");
        for (int i = 0; i < OPTION_COUNT; i++)
            consider(&nearest, typed, option_row((enum option_id)i)->name);
    }
    if (text_is_slip(nearest.distance, strlen(typed)))
        return wrong(parse, "there is no --%s; did you mean --%s?", show(typed).text, nearest.name);
    return wrong(parse, "there is no --%s", show(typed).text);
}

/* ---- values ---- */

/* What follows "=", or the next word. NULL when there is none. */
static const char *take_value(struct parse *parse, const char *attached)
{
    if (attached != NULL)
        return attached;
    return parse->next < parse->argc ? parse->argv[parse->next++] : NULL;
}

static enum arguments_result bad_number(const struct parse *parse, const struct argument *row,
                                        const char *value)
{
    const char *kind = row->type == ARGUMENT_INTEGER ? "a whole number" : "a number";
    char low[32], high[32];

    if (row->low == 0 && row->high == 0)
        return wrong(parse, "--%s: \"%s\" must be %s", row->name, show(value).text, kind);
    json_number_format(row->low, low);
    json_number_format(row->high, high);
    return wrong(parse, "--%s: \"%s\" must be %s from %s to %s", row->name, show(value).text, kind,
                 low, high);
}

static bool is_within(const struct argument *row, double value)
{
    return (row->low == 0 && row->high == 0) || (value >= row->low && value <= row->high);
}

static enum arguments_result set_integer(const struct parse *parse, const struct argument *row,
                                         const char *value)
{
    int64_t number;
    if (!text_parse_int(value, strlen(value), &number) || !is_within(row, (double)number))
        return bad_number(parse, row, value);
    *(int64_t *)row->target = number;
    return ARGUMENTS_OK;
}

static enum arguments_result set_real(const struct parse *parse, const struct argument *row,
                                      const char *value)
{
    double number;
    if (!text_parse_double(value, strlen(value), &number) || !is_within(row, number))
        return bad_number(parse, row, value);
    *(double *)row->target = number;
    return ARGUMENTS_OK;
}

static enum arguments_result set_own(struct parse *parse, size_t index, const char *attached)
{
    const struct argument *row = &parse->spec->rows[index];

    parse->given |= UINT64_C(1) << index;
    if (row->type == ARGUMENT_SWITCH) {
        if (attached != NULL)
            return wrong(parse, "--%s takes no value", row->name);
        *(bool *)row->target = true;
        return ARGUMENTS_OK;
    }
    const char *value = take_value(parse, attached);
    if (value == NULL)
        return wrong(parse, "--%s needs a value: --%s %s", row->name, row->name, row->value_name);
    if (row->type == ARGUMENT_INTEGER)
        return set_integer(parse, row, value);
    if (row->type == ARGUMENT_REAL)
        return set_real(parse, row, value);
    *(const char **)row->target = value;
    return ARGUMENTS_OK;
}

/* ---- options ---- */

static enum arguments_result set_option(const struct parse *parse, const char *name,
                                        const char *value)
{
    char why[OPTION_MESSAGE_SIZE];
    if (options_set(parse->spec->options, name, value, OPTION_FROM_COMMAND_LINE, why) != OK)
        return wrong(parse, "%s", why);
    return ARGUMENTS_OK;
}

/* The value of --set: key=value. */
static enum arguments_result set_pair(struct parse *parse, const char *attached)
{
    const char *pair = take_value(parse, attached);
    const char *equals = pair == NULL ? NULL : strchr(pair, '=');
    char name[NAME_SIZE];

    if (equals == NULL)
        return wrong(parse, "--set needs key=value");
    snprintf(name, sizeof name, "%.*s", (int)(equals - pair), pair);
    swap_characters(name, '-', '_');
    return set_option(parse, name, equals + 1);
}

/* The shared flags that are no option: --set and --config. */
static bool is_shared(const struct parse *parse, const char *name, const char *shared)
{
    return parse->spec->options != NULL && strcmp(name, shared) == 0;
}

static enum arguments_result set_shared(struct parse *parse, const char *name, const char *attached)
{
    char option[NAME_SIZE];

    if (is_shared(parse, name, "set"))
        return set_pair(parse, attached);
    if (is_shared(parse, name, "config")) {
        parse->config_path = take_value(parse, attached);
        return parse->config_path == NULL ? wrong(parse, "--config needs a value: --config FILE")
                                          : ARGUMENTS_OK;
    }
    snprintf(option, sizeof option, "%s", name);
    swap_characters(option, '-', '_');
    if (parse->spec->options == NULL || option_find(option) == OPTION_COUNT)
        return unknown_flag(parse, name);
    const char *value = take_value(parse, attached);
    return value == NULL ? wrong(parse, "--%s needs a value", name)
                         : set_option(parse, option, value);
}

/* ---- the command line ---- */

static enum arguments_result take_flag(struct parse *parse, const char *word)
{
    const char *equals = strchr(word, '=');
    const char *attached = equals == NULL ? NULL : equals + 1;
    char name[NAME_SIZE];

    snprintf(name, sizeof name, "%.*s",
             (int)(equals == NULL ? strlen(word) : (size_t)(equals - word)), word);
    for (size_t i = 0; i < parse->spec->count; i++)
        if (argument_is_flag(&parse->spec->rows[i]) && strcmp(parse->spec->rows[i].name, name) == 0)
            return set_own(parse, i, attached);
    return set_shared(parse, name, attached);
}

static enum arguments_result take_one_of_words(struct parse *parse, size_t index, const char *word)
{
    struct argument_words *words = parse->spec->rows[index].target;
    if (words->count == ARGUMENT_WORDS_MAX)
        return wrong(parse, "more than %d words", ARGUMENT_WORDS_MAX);
    parse->given |= UINT64_C(1) << index;
    words->items[words->count++] = word;
    return ARGUMENTS_OK;
}

static enum arguments_result take_operand(struct parse *parse, const char *word)
{
    size_t operand = 0;
    for (size_t i = 0; i < parse->spec->count; i++) {
        if (parse->spec->rows[i].type == ARGUMENT_WORDS)
            return take_one_of_words(parse, i, word);
        if (parse->spec->rows[i].type != ARGUMENT_OPERAND || operand++ < parse->operands)
            continue;
        parse->operands++;
        parse->given |= UINT64_C(1) << i;
        *(const char **)parse->spec->rows[i].target = word;
        return ARGUMENTS_OK;
    }
    return wrong(parse, "\"%s\" is one word too many", show(word).text);
}

static enum arguments_result take_words(struct parse *parse)
{
    enum arguments_result result = ARGUMENTS_OK;
    bool only_operands = false;

    while (result == ARGUMENTS_OK && parse->next < parse->argc) {
        const char *word = parse->argv[parse->next++];
        if (only_operands || word[0] != '-' || word[1] == '\0')
            result = take_operand(parse, word);
        else if (strcmp(word, "--") == 0)
            only_operands = true;
        else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
            return ARGUMENTS_HELPED;
        else if (word[1] != '-')
            result = wrong(parse, "\"%s\": flags begin with two dashes", show(word).text);
        else
            result = take_flag(parse, word + 2);
    }
    return result;
}

#define CHOICES_NAMED_MAX 16 /* more are for --help */

/* ": a, b or c"; "" where there is no telling, or no end. */
static void name_choices(const struct argument *row, char *out, size_t size)
{
    size_t count = 0, length = 0;
    out[0] = '\0';
    for (const char *c = row->choices; c != NULL && *c != '\0'; c++)
        count += *c == '|';
    if (count == 0 || count > CHOICES_NAMED_MAX)
        return;
    const char *word = row->choices;
    for (size_t i = 0; i < count && length < size; i++) {
        int taken = (int)strcspn(word, "|");
        const char *before = i == 0 ? ": " : i + 1 < count ? ", " : " or ";
        length += (size_t)snprintf(out + length, size - length, "%s%.*s", before, taken, word);
        word += taken + 1;
    }
}

static enum arguments_result missing(const struct parse *parse, const struct argument *row)
{
    char choices[256];
    name_choices(row, choices, sizeof choices);
    if (argument_is_flag(row))
        return wrong(parse, "--%s %s is missing%s", row->name, row->value_name, choices);
    return wrong(parse, "%s is missing%s", row->name, choices);
}

static enum arguments_result check_required(const struct parse *parse)
{
    for (size_t i = 0; i < parse->spec->count; i++) {
        const struct argument *row = &parse->spec->rows[i];
        if (row->need == ARGUMENT_REQUIRED && (parse->given >> i & 1) == 0)
            return missing(parse, row);
    }
    return ARGUMENTS_OK;
}

static enum arguments_result read_other_sources(const struct parse *parse)
{
    struct options *options = parse->spec->options;
    char *const *environment =
        parse->spec->environment == NULL ? environ : (char *const *)parse->spec->environment;
    char why[OPTION_MESSAGE_SIZE];

    if (options_read_environment(options, environment, why) != OK ||
        (parse->config_path != NULL && options_read_file(options, parse->config_path, why) != OK) ||
        options_check(options, why) != OK)
        return wrong(parse, "%s", why);
    return ARGUMENTS_OK;
}

/* ---- without running the verb ---- */

static struct {
    const struct command_row *command; /* NULL: verbs are run */
    argument_visitor *visit;
    void *context;
} visitor;

void arguments_visit(const struct command_row *command, argument_visitor *visit, void *context)
{
    char help[] = "--help", name[NAME_SIZE];
    char *argv[] = {name, help, NULL};
    snprintf(name, sizeof name, "%s", command->name);
    visitor.command = command;
    visitor.visit = visit;
    visitor.context = context;
    (void)command->run(2, argv);
    visitor.command = NULL;
}

enum arguments_result arguments_parse(int argc, char *argv[], const struct argument_spec *spec)
{
    if (visitor.command != NULL) {
        visitor.visit(visitor.context, visitor.command, spec);
        return ARGUMENTS_HELPED;
    }
    struct parse parse = {.verb = argv[0], .spec = spec, .argc = argc, .argv = argv, .next = 1};

    if (spec->options != NULL)
        options_init(spec->options);
    enum arguments_result result = take_words(&parse);
    if (result == ARGUMENTS_HELPED)
        arguments_help(stdout, argv[0], spec);
    if (result == ARGUMENTS_OK)
        result = check_required(&parse);
    if (result == ARGUMENTS_OK && spec->options != NULL)
        result = read_other_sources(&parse);
    if (spec->config_path != NULL)
        *spec->config_path = parse.config_path;
    return result;
}

static void hide(const char *text, size_t length)
{
    char secret[OPTION_TEXT_SIZE];
    snprintf(secret, sizeof secret, "%.*s", (int)length, text);
    log_hide(secret);
}

/* What is secret of a value as a whole; in a URL, the name and password also alone, as they stand
 * in what others say of it. */
static void hide_secrets(const struct option_row *row, const char *value)
{
    const char *secret, *user;
    size_t length = option_secret_part(row, value, &secret);
    if (length == 0)
        return;
    hide(secret, length);
    length = option_url_user(value, &user);
    if (length == 0)
        return;
    hide(user, length);
    const char *colon = memchr(user, ':', length);
    if (colon != NULL)
        hide(colon + 1, length - (size_t)(colon + 1 - user));
}

void arguments_set_up_log(const struct options *options)
{
    char value[OPTION_TEXT_SIZE];
    log_setup((enum log_level)options->log_level, (enum log_format)options->log_format);
    for (enum option_id id = 0; id < OPTION_COUNT; id++) {
        options_get(options, id, value);
        hide_secrets(option_row(id), value);
    }
}

int arguments_exit_status(enum arguments_result result)
{
    return result == ARGUMENTS_WRONG ? EXIT_USAGE : EXIT_DONE;
}

/* ---- help ---- */

static void help_row(FILE *out, const char *flag, const char *sentence)
{
    size_t used = HELP_INDENT + terminal_columns(flag);

    fprintf(out, "%*s%s", HELP_INDENT, "", flag);
    if (used + 1 > HELP_COLUMN) {
        fputc('\n', out);
        used = 0;
    }
    terminal_pad(out, used, HELP_COLUMN);
    terminal_write_wrapped(out, sentence,
                           (struct terminal_wrap){.column = HELP_COLUMN,
                                                  .indent = HELP_COLUMN,
                                                  .width = (size_t)terminal_width(out)});
}

static void help_own(FILE *out, const struct argument_spec *spec)
{
    char flag[2 * NAME_SIZE];

    for (size_t i = 0; i < spec->count; i++) {
        const struct argument *row = &spec->rows[i];
        if (!argument_is_flag(row))
            snprintf(flag, sizeof flag, "%s", row->name);
        else
            snprintf(flag, sizeof flag, "--%s %s", row->name,
                     row->value_name == NULL ? "" : row->value_name);
        help_row(out, flag, row->sentence);
    }
    help_row(out, "--help", "Prints this.");
}

void argument_option_flag(const struct option_row *row, char out[ARGUMENT_FLAG_SIZE])
{
    snprintf(out, ARGUMENT_FLAG_SIZE, "%s", row->name);
    swap_characters(out, '_', '-');
}

const char *argument_option_value(const struct option_row *row)
{
    static const char *const kinds[] = {[OPTION_INTEGER] = "N",
                                        [OPTION_REAL] = "X",
                                        [OPTION_BOOLEAN] = "true|false",
                                        [OPTION_TEXT] = "TEXT",
                                        [OPTION_CHOICE] = NULL};
    return row->type == OPTION_CHOICE ? row->choices : kinds[row->type];
}

static void help_option(FILE *out, const struct option_row *row)
{
    char name[ARGUMENT_FLAG_SIZE], flag[3 * NAME_SIZE], sentence[1024];

    argument_option_flag(row, name);
    snprintf(flag, sizeof flag, "--%s %s", name, argument_option_value(row));
    snprintf(sentence, sizeof sentence, "%s%s%s%s", row->sentence,
             row->default_text[0] == '\0' ? "" : " [", row->default_text,
             row->default_text[0] == '\0' ? "" : "]");
    help_row(out, flag, sentence);
}

static void help_options(FILE *out)
{
    struct terminal_style style = terminal_style(out);
    const char *section = "";

    fprintf(out,
            "\n%sOptions%s, also as MOONWATCH_NAME in the environment or as name = value in a "
            "file:\n",
            style.bold, style.end);
    help_row(out, "--config FILE", "Reads options from a file.");
    help_row(out, "--set key=value", "Sets one option, as --key value does.");
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = option_row((enum option_id)i);
        if (strcmp(row->section, section) != 0)
            fprintf(out, "\n%s%s%s\n", style.bold, row->section, style.end);
        section = row->section;
        help_option(out, row);
    }
}

void arguments_help(FILE *out, const char *verb, const struct argument_spec *spec)
{
    const struct command_row *command = command_find(verb);

    if (command != NULL)
        fprintf(out, "Usage: moonwatch %s %s\n\n%s\n\n", verb, command->synopsis,
                command->sentence);
    help_own(out, spec);
    if (spec->options != NULL)
        help_options(out);
}
