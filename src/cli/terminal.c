#include "cli/terminal.h"

#include "base/text.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int terminal_width(FILE *out)
{
    struct winsize size;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return TERMINAL_WIDTH_DEFAULT;
    if (size.ws_col < TERMINAL_WIDTH_MIN)
        return TERMINAL_WIDTH_MIN;
    return size.ws_col > TERMINAL_WIDTH_MAX ? TERMINAL_WIDTH_MAX : size.ws_col;
}

/* https://no-color.org */
static bool is_coloured(FILE *out)
{
    const char *no_color = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    return (no_color == NULL || no_color[0] == '\0') &&
           (terminal == NULL || strcmp(terminal, "dumb") != 0) && isatty(fileno(out));
}

struct terminal_style terminal_style(FILE *out)
{
    if (!is_coloured(out))
        return (struct terminal_style){"", "", "", "", "", ""};
    return (struct terminal_style){.bold = "\x1b[1m",
                                   .dim = "\x1b[2m",
                                   .green = "\x1b[32m",
                                   .yellow = "\x1b[33m",
                                   .red = "\x1b[31m",
                                   .end = "\x1b[0m"};
}

size_t terminal_columns(const char *text)
{
    size_t length = strlen(text), columns = 0;
    while (length > 0) {
        uint32_t character;
        size_t taken = text_decode(text, length, &character);
        text += taken;
        length -= taken;
        columns++;
    }
    return columns;
}

void terminal_pad(FILE *out, size_t used, size_t columns)
{
    size_t spaces = used < columns ? columns - used : 1;
    fprintf(out, "%*s", (int)spaces, "");
}

static size_t word_columns(const char *word, size_t length)
{
    char copy[256];
    text_copy(copy, sizeof copy, word, length);
    return terminal_columns(copy);
}

void terminal_write_wrapped(FILE *out, const char *text, struct terminal_wrap wrap)
{
    size_t column = wrap.column;
    bool first_of_line = true;

    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        size_t columns = word_columns(text, length);
        if (!first_of_line && column + 1 + columns > wrap.width) {
            fprintf(out, "\n%*s", (int)wrap.indent, "");
            column = wrap.indent;
            first_of_line = true;
        }
        if (!first_of_line) {
            fputc(' ', out);
            column++;
        }
        fwrite(text, 1, length, out);
        column += columns;
        first_of_line = false;
        text += length;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}
