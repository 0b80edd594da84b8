/* `moonwatch help`: what --help prints, and manual pages. */
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/manual.h"
#include <string.h>

struct help {
    const char *word;
    bool is_man;
};

static void print_help_of(void *context, const struct command_row *command,
                          const struct argument_spec *spec)
{
    (void)context;
    arguments_help(stdout, command->name, spec);
}

static int help_of(const struct help *help, const struct command_row *command)
{
    if (help->is_man)
        manual_write_command(stdout, command);
    else
        arguments_visit(command, print_help_of, NULL);
    return command_finish_output("help");
}

static int help_all(const struct help *help)
{
    if (help->is_man)
        manual_write_all(stdout);
    else
        command_print_help(stdout);
    return command_finish_output("help");
}

#define COMMAND(name, synopsis, sentence) #name "|"
static const char pages[] =
#include "cli/commands.def"
    "options|";
#undef COMMAND

int command_help(int argc, char *argv[])
{
    struct help help = {0};
    const struct argument rows[] = {
        {.name = "COMMAND",
         .type = ARGUMENT_OPERAND,
         .target = &help.word,
         .choices = pages,
         .sentence = "Which; all without. With --man, options is the page of all options."},
        {.name = "man",
         .type = ARGUMENT_SWITCH,
         .target = &help.is_man,
         .sentence = "Prints the manual page: moonwatch help ctl --man | man -l -"},
    };
    const struct argument_spec spec = {.rows = rows, .count = sizeof rows / sizeof rows[0]};
    enum arguments_result result = arguments_parse(argc, argv, &spec);
    if (result != ARGUMENTS_OK)
        return arguments_exit_status(result);
    if (help.word == NULL)
        return help_all(&help);
    if (help.is_man && strcmp(help.word, "options") == 0) {
        manual_write_options(stdout);
        return command_finish_output("help");
    }
    const struct command_row *command = command_find(help.word);
    if (command == NULL || command->audience != COMMAND_FOR_PEOPLE)
        return command_complain_unknown(help.word);
    return help_of(&help, command);
}
