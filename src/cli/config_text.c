#include "cli/config_text.h"

#include "base/json.h"
#include "cli/terminal.h"
#include <string.h>

#define GAP          2
#define VALUE_WIDEST 48 /* a longer value pushes its row's last column, not everybody's */

/* ---- the table ---- */

static void shown_value(const struct options *options, enum option_id id,
                        char out[OPTION_TEXT_SIZE])
{
    if (options_show(options, id, out) == 0)
        strcpy(out, "(empty)");
}

struct widths {
    size_t name, value;
};

static struct widths measure(const struct options *options)
{
    struct widths widths = {0};
    char value[OPTION_TEXT_SIZE];

    for (int i = 0; i < OPTION_COUNT; i++) {
        shown_value(options, (enum option_id)i, value);
        size_t name_width = strlen(option_row((enum option_id)i)->name);
        size_t value_width = terminal_columns(value);
        if (name_width > widths.name)
            widths.name = name_width;
        if (value_width > widths.value && value_width <= VALUE_WIDEST)
            widths.value = value_width;
    }
    return widths;
}

static void write_row(FILE *out, const struct options *options, enum option_id id,
                      struct widths widths)
{
    struct terminal_style style = terminal_style(out);
    enum option_source source = (enum option_source)options->origins[id];
    char value[OPTION_TEXT_SIZE];

    shown_value(options, id, value);
    fprintf(out, "  %s", option_row(id)->name);
    terminal_pad(out, strlen(option_row(id)->name), widths.name + GAP);
    fprintf(out, "%s%s%s", source == OPTION_FROM_DEFAULT ? "" : style.green, value, style.end);
    terminal_pad(out, terminal_columns(value), widths.value + GAP);
    fprintf(out, "%s%s%s\n", source == OPTION_FROM_DEFAULT ? style.dim : "",
            option_source_name(source), style.end);
}

static int count_changed(const struct options *options)
{
    int changed = 0;
    for (int i = 0; i < OPTION_COUNT; i++)
        changed += options->origins[i] != OPTION_FROM_DEFAULT;
    return changed;
}

void config_write_table(FILE *out, const struct options *options, const char *config_path)
{
    struct terminal_style style = terminal_style(out);
    struct widths widths = measure(options);
    const char *section = "";

    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = option_row((enum option_id)i);
        if (strcmp(row->section, section) != 0)
            fprintf(out, "%s%s%s%s\n", i == 0 ? "" : "\n", style.bold, row->section, style.end);
        section = row->section;
        write_row(out, options, (enum option_id)i, widths);
    }
    fprintf(out, "\n%d options, %d of them not at their default", OPTION_COUNT,
            count_changed(options));
    if (config_path != NULL)
        fprintf(out, "; the file is %s", config_path);
    fprintf(out, "\n");
}

/* ---- the page ---- */

/* "a|b" as `a`, `b`: a bar would end the table's cell. */
static void write_choices(FILE *out, const char *choices)
{
    while (*choices != '\0') {
        size_t length = strcspn(choices, "|");
        fprintf(out, "`%.*s`", (int)length, choices);
        choices += length;
        if (*choices == '|') {
            fprintf(out, ", ");
            choices++;
        }
    }
}

static void write_values(FILE *out, const struct option_row *row)
{
    char low[32], high[32];

    switch (row->type) {
    case OPTION_CHOICE:
        write_choices(out, row->choices);
        return;
    case OPTION_BOOLEAN:
        fprintf(out, "`true`, `false`");
        return;
    case OPTION_TEXT:
        fprintf(out, "%s text, at most %.0f bytes", row->low > 0 ? "a" : "a possibly empty",
                row->high);
        return;
    case OPTION_INTEGER:
    case OPTION_REAL:
        break;
    }
    json_number_format(row->low, low);
    json_number_format(row->high, high);
    fprintf(out, "%s to %s%s%s%s", low, high, row->type == OPTION_INTEGER ? ", whole" : "",
            option_unit(row) == NULL ? "" : ", ", option_unit(row) == NULL ? "" : option_unit(row));
}

static void write_sentence(FILE *out, const char *sentence)
{
    for (; *sentence != '\0'; sentence++) {
        if (*sentence == '|')
            fputc('\\', out);
        fputc(*sentence, out);
    }
}

static void write_docs_row(FILE *out, enum option_id id)
{
    const struct option_row *row = option_row(id);
    char variable[OPTION_TEXT_SIZE];

    option_environment_name(id, variable);
    fprintf(out, "| `%s` | ", row->name);
    if (row->default_text[0] == '\0')
        fprintf(out, "empty");
    else
        fprintf(out, "`%s`", row->default_text);
    fprintf(out, " | ");
    write_values(out, row);
    fprintf(out, " | %s | ", (row->flags & OPTION_SETTING) != 0 ? "yes" : "at start");
    write_sentence(out, row->sentence);
    fprintf(out, "%s | `%s` |\n",
            (row->flags & OPTION_SECRET) != 0 ? " A secret: it is never shown." : "", variable);
}

static const char introduction[] =
    "# Configuration\n"
    "\n"
    "<!-- Made by `moonwatch config --docs` from src/base/options.def; a test compares the two. "
    "-->\n"
    "\n"
    "Moonwatch runs without any of this: every option has a default. An option can be given in\n"
    "five places; the first of these that has it wins:\n"
    "\n"
    "1. the command line: `--hot-interval-sec 10`, `--hot-interval-sec=10` or\n"
    "   `--set hot_interval_sec=10`;\n"
    "2. the environment: `MOONWATCH_HOT_INTERVAL_SEC=10` (`MOONWATCH_` and the name in capitals);\n"
    "3. the file named with `--config FILE`: lines of `hot_interval_sec = 10`, with `#` comments;\n"
    "   the lines of an `.env` file (`export MOONWATCH_HOT_INTERVAL_SEC=\"10\"`) are understood "
    "too;\n"
    "4. the settings changed while running (`PUT /settings/hot_interval_sec`), which are kept in "
    "the\n"
    "   store;\n"
    "5. the default.\n"
    "\n"
    "An unknown name or a value out of its bounds stops the start, with a sentence that says what "
    "is\n"
    "wrong. `moonwatch config` shows every value and where it came from; `moonwatch config "
    "--check`\n"
    "only says whether all is well. *While running* says whether an option can be changed through\n"
    "the settings API, with effect at once, or is read at the start only.\n";

void config_write_docs(FILE *out)
{
    const char *section = "";

    fputs(introduction, out);
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = option_row((enum option_id)i);
        if (strcmp(row->section, section) != 0)
            fprintf(out,
                    "\n## %s\n\n| option | default | values | while running | what it does | "
                    "environment |\n"
                    "|---|---|---|---|---|---|\n",
                    row->section);
        section = row->section;
        write_docs_row(out, (enum option_id)i);
    }
}
