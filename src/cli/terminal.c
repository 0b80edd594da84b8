#include "cli/terminal.h"

#include "base/text.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

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

/* ---- clipping ---- */

/* What we draw with, and what it is where there is only ASCII. */
static uint32_t plain_of(uint32_t character)
{
    static const struct {
        uint32_t drawn;
        char plain;
    } glyphs[] = {{0x2013, '-'}, {0x2212, '-'}, {0x2026, '.'}, {0x00b7, '.'}, {0x2500, '-'},
                  {0x2502, '|'}, {0x25cf, '*'}, {0x25b2, '^'}, {0x25bc, 'v'}, {0x25b6, '>'},
                  {0x2191, '^'}, {0x2193, 'v'}, {0x2192, '>'}, {0x2588, '#'}, {0x2593, '='},
                  {0x2592, '-'}, {0x2591, '.'}, {0x2581, '_'}, {0x2582, '.'}, {0x2583, ':'},
                  {0x2584, '-'}, {0x2585, '='}, {0x2586, '+'}, {0x2587, '*'}};
    for (size_t i = 0; i < sizeof glyphs / sizeof glyphs[0]; i++)
        if (glyphs[i].drawn == character)
            return (uint32_t)glyphs[i].plain;
    return '?';
}

/* The columns that a character takes, and what is drawn in its stead. */
static size_t glyph_width(uint32_t *character)
{
    if (*character < 0x20 || (*character >= 0x7f && *character < 0xa0))
        *character = ' ';
    if (text_turns_direction(*character))
        return 0;
    int width = wcwidth((wchar_t)*character);
    if (width >= 0)
        return (size_t)width;
    *character = plain_of(*character);
    return 1;
}

struct clip {
    char *out;
    size_t size, length, columns;
};

static bool clip_put(struct clip *clip, uint32_t character)
{
    char encoded[4];
    size_t bytes = text_encode(character, encoded);
    if (bytes >= clip->size - clip->length)
        return false;
    memcpy(clip->out + clip->length, encoded, bytes);
    clip->length += bytes;
    return true;
}

size_t terminal_clip(const char *text, size_t columns, char *out, size_t size)
{
    struct clip clip = {.out = out, .size = size}, before_last = clip;
    size_t left = strlen(text);
    bool fits = true;
    while (left > 0 && fits) {
        uint32_t character;
        size_t taken = text_decode(text, left, &character);
        size_t width = glyph_width(&character);
        fits = clip.columns + width <= columns && (width == 0 || clip_put(&clip, character));
        clip.columns += fits ? width : 0;
        if (fits && clip.columns < columns) /* room for "…" behind it */
            before_last = clip;
        text += taken;
        left -= taken;
    }
    if (!fits && columns > 0) {
        uint32_t dots = 0x2026;
        clip = before_last;
        clip.columns += glyph_width(&dots) * clip_put(&clip, dots);
    }
    out[clip.length] = '\0';
    return clip.columns;
}

void terminal_pad(FILE *out, size_t used, size_t columns)
{
    size_t spaces = used < columns ? columns - used : 1;
    fprintf(out, "%*s", (int)spaces, "");
}

static void write_word(FILE *out, const char *word, size_t length)
{
    char copy[256];
    for (size_t taken; length > 0; word += taken, length -= taken) {
        taken = length < sizeof copy - 1 ? length : sizeof copy - 1;
        snprintf(copy, sizeof copy, "%.*s", (int)taken, word);
        terminal_write(out, copy);
    }
}

static size_t word_columns(const char *word, size_t length)
{
    char copy[256];
    text_copy(copy, sizeof copy, word, length);
    return terminal_columns(copy);
}

void terminal_write(FILE *out, const char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        uint32_t character;
        char encoded[4];
        size_t taken = text_decode(text, left, &character);
        bool is_control = character < 0x20 || (character >= 0x7f && character < 0xa0);
        if (!text_turns_direction(character))
            fwrite(encoded, 1, text_encode(is_control ? ' ' : character, encoded), out);
        text += taken;
        left -= taken;
    }
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
        write_word(out, text, length);
        column += columns;
        first_of_line = false;
        text += length;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}
