/* Completion for bash. What a flag's value or a word may be is offered where a table says it;
 * otherwise, files. See completion.h. */
#include "cli/arguments.h"
#include "cli/completion.h"

static void put_choices(FILE *out, const char *choices)
{
    for (; *choices != '\0'; choices++)
        fputc(*choices == '|' ? ' ' : *choices, out);
}

/* ---- options, which several commands take ---- */

static void put_option_flags(FILE *out)
{
    fputs("_moonwatch_options='--config --set", out);
    for (int i = 0; i < OPTION_COUNT; i++) {
        char flag[ARGUMENT_FLAG_SIZE];
        argument_option_flag(option_row((enum option_id)i), flag);
        fprintf(out, " --%s", flag);
    }
    fputs("'\n\n", out);
}

static void put_option_values(FILE *out)
{
    fputs("_moonwatch_option_values() {\n    case $1 in\n", out);
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = option_row((enum option_id)i);
        char flag[ARGUMENT_FLAG_SIZE];
        if (row->type != OPTION_BOOLEAN && row->type != OPTION_CHOICE)
            continue;
        argument_option_flag(row, flag);
        fprintf(out, "    --%s) values='", flag);
        put_choices(out, argument_option_value(row));
        fputs("' ;;\n", out);
    }
    fputs("    esac\n}\n\n", out);
}

/* ---- a command ---- */

static void put_flags(FILE *out, const struct argument_spec *spec)
{
    fputs("        flags='--help", out);
    for (size_t i = 0; i < spec->count; i++)
        if (argument_is_flag(&spec->rows[i]))
            fprintf(out, " --%s", spec->rows[i].name);
    fprintf(out, "'%s\n        switches=' --help", spec->options != NULL ? " options=yes" : "");
    for (size_t i = 0; i < spec->count; i++)
        if (spec->rows[i].type == ARGUMENT_SWITCH)
            fprintf(out, " --%s", spec->rows[i].name);
    fputs(" '\n", out);
}

static void put_words(FILE *out, const struct argument_spec *spec)
{
    unsigned operand = 0;
    for (size_t i = 0; i < spec->count; i++) {
        const struct argument *row = &spec->rows[i];
        if (argument_is_flag(row))
            continue;
        if (row->choices != NULL) {
            fprintf(out, "        words%u='", row->type == ARGUMENT_WORDS ? 0 : ++operand);
            put_choices(out, row->choices);
            fputs("'\n", out);
        } else {
            operand++;
        }
    }
}

static void put_values(FILE *out, const struct argument_spec *spec)
{
    fputs("        case $prev in\n", out);
    for (size_t i = 0; i < spec->count; i++) {
        const struct argument *row = &spec->rows[i];
        if (!argument_is_flag(row) || row->choices == NULL)
            continue;
        fprintf(out, "        --%s) values='", row->name);
        put_choices(out, row->choices);
        fputs("' ;;\n", out);
    }
    fputs("        esac\n", out);
}

static void put_command(void *context, const struct command_row *command,
                        const struct argument_spec *spec)
{
    FILE *out = context;
    fprintf(out, "    %s)\n", command->name);
    put_flags(out, spec);
    put_words(out, spec);
    put_values(out, spec);
    fputs("        ;;\n", out);
}

static void put_commands(FILE *out)
{
    const struct command_row *command;
    fputs("    case $verb in\n", out);
    for (size_t i = 0; (command = command_at(i)) != NULL; i++)
        if (command->audience == COMMAND_FOR_PEOPLE)
            arguments_visit(command, put_command, out);
    fputs("    esac\n", out);
}

static void put_verbs(FILE *out)
{
    const struct command_row *command;
    fputs("_moonwatch_verbs='--help --version", out);
    for (size_t i = 0; (command = command_at(i)) != NULL; i++)
        if (command->audience == COMMAND_FOR_PEOPLE)
            fprintf(out, " %s", command->name);
    fputs("'\n", out);
}

/* ---- the rest is the same for all ---- */

static const char begin[] = "_moonwatch() {\n"
                            "    local cur=${COMP_WORDS[COMP_CWORD]} "
                            "prev=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]}\n"
                            "    local flags='' switches='' options='' values='' words0='' "
                            "words1='' words2='' i word first='' operand=1\n"
                            "    COMPREPLY=()\n"
                            "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                            "        COMPREPLY=($(compgen -W \"$_moonwatch_verbs\" -- \"$cur\"))\n"
                            "        return\n"
                            "    fi\n"
                            "    # --flag=value comes as three words.\n"
                            "    [ \"$cur\" != = ] || cur=''\n"
                            "    [ \"$prev\" != = ] || prev=${COMP_WORDS[COMP_CWORD-2]}\n";

static const char end[] =
    "    [ -z \"$options\" ] || _moonwatch_option_values \"$prev\"\n"
    "    # The value of a flag that takes one.\n"
    "    if [[ $prev == --* && $switches != *\" $prev \"* ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$values\" -- \"$cur\"))\n"
    "        return\n"
    "    fi\n"
    "    if [[ $cur == -* ]]; then\n"
    "        [ -z \"$options\" ] || flags+=\" $_moonwatch_options\"\n"
    "        COMPREPLY=($(compgen -W \"$flags\" -- \"$cur\"))\n"
    "        return\n"
    "    fi\n"
    "    # Which word it is: those before it that are no flags and no values of flags.\n"
    "    for ((i = 2; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        if [[ $word == --* ]]; then\n"
    "            if [ \"${COMP_WORDS[i+1]}\" = = ]; then\n"
    "                ((i += 2))\n"
    "            elif [[ $switches != *\" $word \"* ]]; then\n"
    "                ((i += 1))\n"
    "            fi\n"
    "        else\n"
    "            first=${first:-$word}\n"
    "            ((operand += 1))\n"
    "        fi\n"
    "    done\n"
    "    if [ \"$verb $operand $first\" != 'ctl 2 set' ]; then\n"
    "        words2='' # of ctl, settings: for set alone\n"
    "    fi\n"
    "    values=$words0\n"
    "    [ \"$operand\" -ne 1 ] || values+=$words1\n"
    "    [ \"$operand\" -ne 2 ] || values+=$words2\n"
    "    COMPREPLY=($(compgen -W \"$values\" -- \"$cur\"))\n"
    "}\n"
    "\n"
    "complete -o default -F _moonwatch moonwatch\n";

void completion_write_bash(FILE *out)
{
    fputs("# bash completion for moonwatch, printed by: moonwatch completion bash\n"
          "# shellcheck disable=SC2207 # words without blanks\n\n",
          out);
    put_verbs(out);
    put_option_flags(out);
    put_option_values(out);
    fputs(begin, out);
    put_commands(out);
    fputs(end, out);
}
