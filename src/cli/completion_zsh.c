/* Completion for zsh, with the sentences of --help. See completion.h. */
#include "cli/arguments.h"
#include "cli/completion.h"
#include <string.h>

/* Inside single quotes, where brackets and colons separate parts. */
static void put_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else if (strchr("[]:\\", *text) != NULL)
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
    }
}

/* ":NAME:(a b)", or files. */
static void put_value(FILE *out, const char *name, const char *choices)
{
    fputc(':', out);
    put_text(out, name);
    if (choices == NULL) {
        fputs(":_files", out);
        return;
    }
    fputs(":(", out);
    for (; *choices != '\0'; choices++)
        fputc(*choices == '|' ? ' ' : *choices, out);
    fputc(')', out);
}

static void put_flag(FILE *out, const char *flag, const char *value, const char *sentence)
{
    fprintf(out, "        '--%s%s[", flag, value == NULL ? "" : "=");
    put_text(out, sentence);
    fputc(']', out);
}

static void put_options(FILE *out)
{
    fputs("    local -a options=(\n        '--config=[Reads options from a file.]:FILE:_files'\n"
          "        '*--set=[Sets one option.]:key=value:'\n",
          out);
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = option_row((enum option_id)i);
        bool is_chosen = row->type == OPTION_BOOLEAN || row->type == OPTION_CHOICE;
        const char *value = argument_option_value(row);
        char flag[ARGUMENT_FLAG_SIZE];
        argument_option_flag(row, flag);
        put_flag(out, flag, value, row->sentence);
        put_value(out, is_chosen ? row->name : value, is_chosen ? value : NULL);
        fputs("'\n", out);
    }
    fputs("    )\n", out);
}

static void put_row(FILE *out, const struct argument *row)
{
    if (argument_is_flag(row)) {
        put_flag(out, row->name, row->value_name, row->sentence);
        if (row->value_name != NULL)
            put_value(out, row->value_name, row->choices);
    } else {
        fprintf(out, "        '%s", row->type == ARGUMENT_WORDS ? "*" : "");
        put_value(out, row->name, row->choices);
    }
    fputs("'\n", out);
}

static void put_command(void *context, const struct command_row *command,
                        const struct argument_spec *spec)
{
    FILE *out = context;
    fprintf(out, "    %s)\n        specs=(\n        '--help[Prints what there is.]'\n",
            command->name);
    for (size_t i = 0; i < spec->count; i++)
        put_row(out, &spec->rows[i]);
    fprintf(out, "        %s)\n        ;;\n", spec->options != NULL ? "$options " : "");
}

static void put_commands(FILE *out, void (*put)(FILE *out, const struct command_row *command))
{
    const struct command_row *command;
    for (size_t i = 0; (command = command_at(i)) != NULL; i++)
        if (command->audience == COMMAND_FOR_PEOPLE)
            put(out, command);
}

static void put_verb(FILE *out, const struct command_row *command)
{
    fprintf(out, "        '%s:", command->name);
    put_text(out, command->sentence);
    fputs("'\n", out);
}

static void visit(FILE *out, const struct command_row *command)
{
    arguments_visit(command, put_command, out);
}

void completion_write_zsh(FILE *out)
{
    fputs(
        "#compdef moonwatch\n# zsh completion for moonwatch, printed by: moonwatch completion "
        "zsh\n\n"
        "_moonwatch() {\n    local curcontext=$curcontext state line\n    local -a specs verbs=(\n",
        out);
    put_commands(out, put_verb);
    fputs("    )\n", out);
    put_options(out);
    fputs("    _arguments -C '(- *)--help[Lists the commands.]' '(- *)--version[Says which this "
          "is.]' \\\n"
          "        '1:command:->verb' '*::argument:->rest' && return\n"
          "    if [[ $state = verb ]]; then\n        _describe command verbs\n        return\n    "
          "fi\n"
          "    case $words[1] in\n",
          out);
    put_commands(out, visit);
    fputs("    esac\n    _arguments $specs\n}\n\n"
          "if [[ $funcstack[1] = _moonwatch ]]; then\n    _moonwatch \"$@\"\nelse\n"
          "    compdef _moonwatch moonwatch\nfi\n",
          out);
}
