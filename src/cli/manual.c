/* See manual.h. */
#include "cli/manual.h"

#include "cli/arguments.h"
#include <ctype.h>
#include <string.h>

#define MANUAL_DATE                                                                                \
    "November 26, 2026" /* of what these pages say; no build's, so that builds agree */
#define LINE_WIDTH 76

/* ---- text: nothing in it is a request, a line for each sentence, none too long ---- */

static void put_word(FILE *out, const char *word, size_t length)
{
    if (word[0] == '.' || word[0] == '\'')
        fputs("\\&", out);
    for (size_t i = 0; i < length; i++)
        if (word[i] == '\\')
            fputs("\\e", out);
        else
            fputc(word[i], out);
}

static void put_text(FILE *out, const char *text)
{
    size_t column = 0;
    bool ends_sentence = false;
    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        if (column > 0 && (ends_sentence || column + 1 + length > LINE_WIDTH)) {
            fputc('\n', out);
            column = 0;
        } else if (column > 0) {
            fputc(' ', out);
            column++;
        }
        put_word(out, text, length);
        column += length;
        ends_sentence = length > 0 && text[length - 1] == '.';
        text += length;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

/* The word of a request: one that holds a quote, or is punctuation to mdoc, must not count as that.
 */
static void put_argument(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text != '\0'; text++)
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '"')
            fputs("\"\"", out);
        else
            fputc(*text, out);
    fputc('"', out);
}

static void put_capitals(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        fputc(toupper((unsigned char)*text), out);
}

/* ---- a page ---- */

struct page {
    const char *name, *section, *sentence;
};

static void put_head(FILE *out, const struct page *page)
{
    size_t length = strlen(page->sentence);
    fprintf(out, ".Dd " MANUAL_DATE "\n.Dt ");
    put_capitals(out, page->name);
    fprintf(out, " %s\n.Os Moonwatch " MOONWATCH_VERSION "\n.Sh NAME\n.Nm %s\n.Nd ", page->section,
            page->name);
    put_word(out, page->sentence, length - (length > 0 && page->sentence[length - 1] == '.'));
    fputc('\n', out);
}

static void put_options_note(FILE *out)
{
    fputs(".Pp\nIt takes all options of\n.Xr moonwatch.conf 5 ,\nwith dashes for underscores:\n"
          ".Bl -tag -width Ds\n.It Fl -config Ar FILE\nReads options from a file.\n"
          ".It Fl -set Ar key=value\nSets one option, as\n.Fl -key Ar value\ndoes.\n.El\n",
          out);
}

static void put_bounds(FILE *out, const struct argument *row)
{
    if (row->low != 0 || row->high != 0)
        fprintf(out, "From %.10g to %.10g.\n", row->low, row->high);
}

static void put_row(FILE *out, const struct argument *row)
{
    fputs(".It ", out);
    if (argument_is_flag(row)) {
        fprintf(out, "Fl -%s", row->name);
        if (row->value_name != NULL)
            fprintf(out, " Ar %s", row->value_name);
    } else {
        fprintf(out, "Ar %s", row->name);
    }
    fputc('\n', out);
    put_text(out, row->sentence);
    put_bounds(out, row);
}

static void put_tail(FILE *out)
{
    fputs(".Sh EXIT STATUS\n0 when it was done, 1 when it could not be, 2 when the command line, "
          "the\n"
          "environment or the file of options is wrong.\n",
          out);
}

static void put_command(void *context, const struct command_row *command,
                        const struct argument_spec *spec)
{
    FILE *out = context;
    fputs(".Bl -tag -width Ds\n", out);
    for (size_t i = 0; i < spec->count; i++)
        put_row(out, &spec->rows[i]);
    fputs(".It Fl -help\nPrints what there is.\n.El\n", out);
    if (spec->options != NULL)
        put_options_note(out);
    (void)command;
}

void manual_write_command(FILE *out, const struct command_row *command)
{
    char name[64];
    snprintf(name, sizeof name, "moonwatch-%s", command->name);
    put_head(out, &(struct page){name, "1", command->sentence});
    fprintf(out, ".Sh SYNOPSIS\n.Nm moonwatch\n.Cm %s\n", command->name);
    if (command->synopsis[0] != '\0')
        put_text(out, command->synopsis);
    fputs(".Sh DESCRIPTION\n", out);
    put_text(out, command->sentence);
    arguments_visit(command, put_command, out);
    put_tail(out);
    fputs(".Sh SEE ALSO\n.Xr moonwatch 1 ,\n.Xr moonwatch.conf 5\n", out);
}

/* ---- the page over all ---- */

void manual_write_all(FILE *out)
{
    const struct command_row *command;
    put_head(out, &(struct page){"moonwatch", "1", "keeps a population of Solana tokens fresh"});
    fputs(
        ".Sh SYNOPSIS\n.Nm\n.Ar COMMAND\n.Op Ar ARGUMENT ...\n.Sh DESCRIPTION\n"
        "It learns of tokens, fetches their markets within the upstream's request\nbudget, scores "
        "them and serves them over HTTP.\nIts commands are:\n.Bl -tag -width Ds\n",
        out);
    for (size_t i = 0; (command = command_at(i)) != NULL; i++) {
        if (command->audience != COMMAND_FOR_PEOPLE)
            continue;
        fprintf(out, ".It Xr moonwatch-%s 1\n", command->name);
        put_text(out, command->sentence);
    }
    fputs(
        ".El\n.Sh ENVIRONMENT\n.Bl -tag -width Ds\n.It Ev MOONWATCH_NAME\n"
        "An option, as in\n.Xr moonwatch.conf 5 .\n.It Ev SCHEDULER_ENABLED\n"
        "The option scheduler_enabled.\n.It Ev NO_COLOR\nWhen it is set, nothing is coloured.\n"
        ".El\n.Sh FILES\n.Bl -tag -width Ds\n.It Pa moonwatch.db\nThe database, unless the option "
        "db says otherwise.\n.It Pa moonwatch.db-state\nThe control socket, incidents, and what "
        "is in quarantine.\n.El\n",
        out);
    put_tail(out);
    fputs(".Sh SEE ALSO\n.Xr moonwatch.conf 5\n", out);
}

/* ---- options ---- */

static void put_option(FILE *out, const struct option_row *row, enum option_id id)
{
    char variable[OPTION_TEXT_SIZE];
    bool is_number = row->type == OPTION_INTEGER || row->type == OPTION_REAL;
    fprintf(out, ".It Cm %s Ar ", row->name);
    put_argument(out, argument_option_value(row));
    fputc('\n', out);
    put_text(out, row->sentence);
    if (row->default_text[0] != '\0') {
        fputs("By default\n.Ql ", out);
        put_argument(out, row->default_text);
        fputs(" .\n", out);
    }
    if (is_number)
        fprintf(out, "From %.10g to %.10g.\n", row->low, row->high);
    if (row->flags & OPTION_SETTING)
        fputs("Can be changed while it runs.\n", out);
    option_environment_name(id, variable);
    fprintf(out, "Environment:\n.Ev %s .\n", variable);
}

void manual_write_options(FILE *out)
{
    const char *section = "";
    put_head(out, &(struct page){"moonwatch.conf", "5", "options of Moonwatch"});
    fputs(
        ".Sh DESCRIPTION\nA file that is given with\n.Fl -config Ar FILE\nhas a line\n"
        ".Ql name = value\nfor each option; what follows a\n.Ql #\nis a remark.\n"
        "The same options can be given on the command line, with dashes for\nunderscores, and in "
        "the environment.\nThe command line is stronger than the environment, that than the file, "
        "that\nthan what was set through the API, and that than the defaults.\n",
        out);
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = option_row((enum option_id)i);
        if (strcmp(row->section, section) != 0) {
            fprintf(out, "%s.Ss ", i == 0 ? "" : ".El\n");
            put_argument(out, row->section);
            fputs("\n.Bl -tag -width Ds\n", out);
        }
        section = row->section;
        put_option(out, row, (enum option_id)i);
    }
    fputs(".El\n.Sh SEE ALSO\n.Xr moonwatch 1\n", out);
}
