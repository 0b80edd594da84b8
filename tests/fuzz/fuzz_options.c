/*
 * Options: a file, the environment, one by one as the API sets them, and the command line. The
 * first byte says which.
 */
#include "fuzz.h"

#include "base/text.h"
#include "cli/arguments.h"

#define WORDS_MAX 32

void fuzz_begin(void) {}

/* Each has a name in the environment, where it is taken, too. */
static void check_environment(enum option_id id, const char *value)
{
    char name[OPTION_TEXT_SIZE], variable[2 * OPTION_TEXT_SIZE], why[OPTION_MESSAGE_SIZE];
    char again[OPTION_TEXT_SIZE];
    struct options options;
    options_init(&options);
    option_environment_name(id, name);
    snprintf(variable, sizeof variable, "%s=%s", name, value);
    if (options_read_environment(&options, (char *[]){variable, NULL}, why) != OK)
        abort();
    options_get(&options, id, again);
    assert(strcmp(value, again) == 0);
    assert(strcmp(option_source_name((enum option_source)options.origins[id]), "unknown") != 0);
}

/* What is in force can be written down and read again. */
static void check(const struct options *options)
{
    char why[OPTION_MESSAGE_SIZE] = "", text[OPTION_TEXT_SIZE], again[OPTION_TEXT_SIZE];
    struct options copy;
    options_init(&copy);
    if (options_check(options, why) != OK)
        assert(why[0] != '\0');
    for (int i = 0; i < OPTION_COUNT; i++) {
        enum option_id id = (enum option_id)i;
        assert(options_get(options, id, text) == strlen(text));
        if (options_set(&copy, option_row(id)->name, text, OPTION_FROM_FILE, why) != OK)
            abort();
        options_get(&copy, id, again);
        assert(strcmp(text, again) == 0);
        check_environment(id, text);
    }
}

static void complain_well(enum err err, const char *why)
{
    char clean[OPTION_MESSAGE_SIZE];
    text_copy(clean, sizeof clean, why, strlen(why));
    assert((err == OK) == (why[0] == '\0') && strcmp(clean, why) == 0);
}

static void read_file(struct options *options, struct input *input)
{
    char path[FUZZ_PATH_SIZE], why[OPTION_MESSAGE_SIZE] = "";
    int fd = fuzz_file(input->at, input->left, path);
    complain_well(options_read_file(options, path, why), why);
    close(fd);
}

/* name=value, a line each. */
static void set_each(struct options *options, struct input *input)
{
    while (input->left > 0) {
        char why[OPTION_MESSAGE_SIZE] = "";
        char *line = input_text(input, '\n'), *equals = strchr(line, '=');
        if (equals != NULL) {
            *equals = '\0';
            complain_well(options_set(options, line, equals + 1, OPTION_FROM_STORE, why), why);
        }
        free(line);
    }
}

static size_t take_words(struct input *input, char *words[WORDS_MAX + 1])
{
    size_t count = 0;
    while (input->left > 0 && count < WORDS_MAX)
        words[count++] = input_text(input, '\n');
    words[count] = NULL;
    return count;
}

static void free_words(char *words[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(words[i]);
}

static void read_environment(struct options *options, struct input *input)
{
    char *words[WORDS_MAX + 1], why[OPTION_MESSAGE_SIZE] = "";
    size_t count = take_words(input, words);
    complain_well(options_read_environment(options, words, why), why);
    free_words(words, count);
}

static void read_command_line(struct options *options, struct input *input)
{
    static const char *const environment[] = {NULL};
    char *words[WORDS_MAX + 1], *argv[WORDS_MAX + 2] = {(char[]){"run"}};
    size_t count = take_words(input, words);
    bool is_wanted = false;
    int64_t number = 0;
    double figure = 0;
    const char *text = NULL, *operand = NULL, *config = NULL;
    struct argument_words rest = {0};
    const struct argument rows[] = {
        {.name = "wanted", .type = ARGUMENT_SWITCH, .target = &is_wanted, .sentence = ""},
        {.name = "number",
         .type = ARGUMENT_INTEGER,
         .value_name = "N",
         .target = &number,
         .low = 1,
         .high = 9,
         .sentence = ""},
        {.name = "figure",
         .type = ARGUMENT_REAL,
         .value_name = "X",
         .target = &figure,
         .sentence = ""},
        {.name = "text",
         .type = ARGUMENT_TEXT,
         .value_name = "TEXT",
         .choices = "a|b|",
         .target = &text,
         .need = ARGUMENT_REQUIRED,
         .sentence = ""},
        {.name = "FILE", .type = ARGUMENT_OPERAND, .target = &operand, .sentence = ""},
        {.name = "WORD", .type = ARGUMENT_WORDS, .target = &rest, .sentence = ""},
    };
    const struct argument_spec spec = {.rows = rows,
                                       .count = sizeof rows / sizeof rows[0],
                                       .options = options,
                                       .environment = environment,
                                       .config_path = &config};
    memcpy(argv + 1, words, (count + 1) * sizeof *words);
    for (size_t i = 0; i < count; i++) /* whose file would it be? */
        if (strncmp(words[i], "--config", 8) == 0)
            words[i][2] = 'k';
    enum arguments_result result = arguments_parse((int)count + 1, argv, &spec);
    assert(result != ARGUMENTS_OK || (text != NULL && number >= 0 && number <= 9));
    free_words(words, count);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct options options;
    options_init(&options);
    switch (input_u8(&input) % 4) {
    case 0:
        read_file(&options, &input);
        break;
    case 1:
        set_each(&options, &input);
        break;
    case 2:
        read_environment(&options, &input);
        break;
    default:
        read_command_line(&options, &input);
    }
    check(&options);
}
