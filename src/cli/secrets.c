/* See secrets.h. */
#include "cli/secrets.h"

#include "page/state_dir.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SET "set"

/* An option on the command line: one word or two. */
struct given {
    enum option_id id;
    char *value;
    int words;
};

static enum option_id find_option(const char *name, size_t length)
{
    char text[OPTION_TEXT_SIZE];
    snprintf(text, sizeof text, "%.*s", (int)length, name);
    for (char *c = text; *c != '\0'; c++)
        if (*c == '-')
            *c = '_';
    return option_find(text);
}

/* --set NAME=VALUE, --set=NAME=VALUE */
static struct given read_pair(char *pair, int words)
{
    char *equals = pair != NULL ? strchr(pair, '=') : NULL;
    if (equals == NULL)
        return (struct given){.id = OPTION_COUNT, .words = 1};
    return (struct given){find_option(pair, (size_t)(equals - pair)), equals + 1, words};
}

/* --NAME VALUE, --NAME=VALUE; what is no option has the id OPTION_COUNT. */
static struct given read_words(char *const argv[])
{
    char *word = argv[0];
    struct given given = {.id = OPTION_COUNT, .words = 1};
    if (strncmp(word, "--", 2) != 0)
        return given;
    char *name = word + 2, *equals = strchr(name, '=');
    size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
    given.value = equals != NULL ? equals + 1 : argv[1];
    given.words = equals != NULL ? 1 : 2;
    if (length == strlen(SET) && strncmp(name, SET, length) == 0)
        return read_pair(given.value, given.words);
    given.id = find_option(name, length);
    return given;
}

static bool is_secret(const struct given *given)
{
    const char *begin;
    return given->id != OPTION_COUNT && given->value != NULL &&
           option_secret_part(option_row(given->id), given->value, &begin) > 0;
}

static void move_to_environment(const struct given *given)
{
    char name[OPTION_TEXT_SIZE];
    option_environment_name(given->id, name);
    setenv(name, given->value, 1);
    memset(given->value, '*', strlen(given->value));
}

/* How many words these are; an option at the end may lack its value. */
static int count_words(const struct given *given, char *const argv[])
{
    return given->id != OPTION_COUNT && given->words == 2 && argv[1] != NULL ? 2 : 1;
}

static void find_secrets(char *const argv[], bool found[OPTION_COUNT])
{
    for (int i = 0; argv[i] != NULL;) {
        struct given given = read_words(argv + i);
        if (is_secret(&given))
            found[given.id] = true;
        i += count_words(&given, argv + i);
    }
}

/* Of an option that is given more than once, all go: the last is the one that counts. */
int secrets_leave_command_line(char *argv[])
{
    bool found[OPTION_COUNT] = {false};
    int moved = 0, kept = 0;
    find_secrets(argv, found);
    for (int i = 0; argv[i] != NULL;) {
        struct given given = read_words(argv + i);
        int words = count_words(&given, argv + i);
        bool goes = given.id != OPTION_COUNT && found[given.id] && given.value != NULL;
        if (goes)
            move_to_environment(&given);
        for (int word = 0; word < words; word++, i++)
            if (!goes)
                argv[kept++] = argv[i];
        moved += goes;
    }
    argv[kept] = NULL;
    return moved;
}

static void blacken_environment(const char *name)
{
    char *value = getenv(name);
    if (value != NULL)
        memset(value, '*', strlen(value));
}

void secrets_forget_database(struct options *options)
{
    char variable[OPTION_TEXT_SIZE];
    const char *secret;
    size_t length = option_secret_part(option_row(OPTION_ID_db), options->db, &secret);
    if (database_path(options) != NULL)
        return;
    memset(options->db + (secret - options->db), '*', length);
    option_environment_name(OPTION_ID_db, variable);
    blacken_environment(variable);
    blacken_environment("PGPASSWORD");
}
