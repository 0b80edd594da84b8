/* See canvas.h. */
#include "cli/canvas.h"

#include "cli/terminal.h"
#include <curses.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ESCAPE_MS  25 /* a key's sequence arrives at once, also through ssh */
#define LINE_BYTES 2048
#define LEVELS     8 /* of a spark's columns */

static SCREEN *screen; /* ncurses has one at a time */
static bool is_coloured;

static bool wants_colour(void)
{
    const char *no_color = getenv("NO_COLOR"); /* https://no-color.org */
    return (no_color == NULL || no_color[0] == '\0') && has_colors();
}

static void prepare_colours(void)
{
    static const struct {
        enum ink ink;
        short colour;
    } colours[] = {{INK_GOOD, COLOR_GREEN},
                   {INK_WARNING, COLOR_YELLOW},
                   {INK_BAD, COLOR_RED},
                   {INK_ACCENT, COLOR_CYAN}};
    is_coloured = wants_colour() && start_color() == OK && use_default_colors() == OK;
    for (size_t i = 0; is_coloured && i < sizeof colours / sizeof colours[0]; i++)
        init_pair((short)colours[i].ink, colours[i].colour, -1);
}

bool canvas_begin(char why[CANVAS_WHY_SIZE])
{
    const char *type = getenv("TERM");
    char shown[64];
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        snprintf(why, CANVAS_WHY_SIZE,
                 "this is no terminal; moonwatch ctl status says the same once, with --json for "
                 "scripts");
        return false;
    }
    setlocale(LC_CTYPE, "");
    screen = newterm(NULL, stdout, stdin);
    if (screen == NULL) {
        terminal_clip(type == NULL ? "" : type, 40, shown, sizeof shown);
        snprintf(why, CANVAS_WHY_SIZE,
                 "no terminal of the type TERM=\"%s\" is known here; try TERM=xterm", shown);
        return false;
    }
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(ESCAPE_MS);
    curs_set(0);
    prepare_colours();
    return true;
}

void canvas_end(void)
{
    if (screen == NULL)
        return;
    endwin();
    delscreen(screen);
    screen = NULL;
}

int canvas_rows(void)
{
    return LINES;
}

int canvas_columns(void)
{
    return COLS;
}

void canvas_resize(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
        resizeterm(size.ws_row, size.ws_col);
    clearok(curscr, TRUE); /* what a terminal leaves there when it is resized is anybody's guess */
}

/* It stops by the signal, as programs without a handler do: where no shell could go on with it, the
 * kernel does not stop it. */
void canvas_stop(void)
{
    sigset_t set;
    endwin();
    signal(SIGTSTP, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, SIGTSTP);
    raise(SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &set, NULL); /* here */
    sigprocmask(SIG_BLOCK, &set, NULL);
    refresh();
    canvas_resize();
}

int canvas_key(void)
{
    int key = getch();
    return key == ERR ? -1 : key;
}

void canvas_clear(void)
{
    erase();
}

void canvas_show(void)
{
    refresh();
}

static attr_t attributes_of(enum ink ink)
{
    static const attr_t plain[INK_COUNT] = {
        [INK_DIM] = A_DIM,       [INK_BOLD] = A_BOLD,    [INK_TITLE] = A_UNDERLINE,
        [INK_BAND] = A_REVERSE,  [INK_WARNING] = A_BOLD, [INK_BAD] = A_BOLD,
        [INK_CHOSEN] = A_REVERSE};
    bool has_pair = is_coloured && ink >= INK_GOOD && ink <= INK_ACCENT;
    return plain[ink] | (has_pair ? (attr_t)COLOR_PAIR(ink) : 0);
}

void canvas_fill(int row, enum ink ink)
{
    attr_t attributes = attributes_of(ink);
    mvhline(row, 0, ' ' | attributes, COLS);
}

int canvas_text(int row, int column, int width, enum ink ink, const char *text)
{
    char shown[LINE_BYTES];
    if (column + width > COLS)
        width = COLS - column;
    if (row < 0 || row >= LINES || column < 0 || width <= 0)
        return column;
    int used = (int)terminal_clip(text, (size_t)width, shown, sizeof shown);
    attrset((int)attributes_of(ink));
    mvaddstr(row, column, shown);
    attrset(A_NORMAL);
    return column + used;
}

void canvas_right(int row, int column, int width, enum ink ink, const char *text)
{
    int used = (int)terminal_columns(text);
    int indent = used < width ? width - used : 0;
    canvas_text(row, column + indent, width - indent, ink, text);
}

int canvas_print(int row, int column, int width, enum ink ink, const char *format, ...)
{
    char text[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return canvas_text(row, column, width, ink, text);
}

/* `count` times the same glyph. */
static int repeat(int row, int column, int count, enum ink ink, const char *glyph)
{
    for (int i = 0; i < count; i++)
        column = canvas_text(row, column, 1, ink, glyph);
    return column;
}

void canvas_bar(int row, int column, int width, enum ink ink, double ratio)
{
    double share = isnan(ratio) || ratio < 0 ? 0 : ratio > 1 ? 1 : ratio;
    int full = (int)lround(share * width);
    if (full == 0 && share > 0)
        full = 1;
    column = repeat(row, column, full, ink, "█");
    repeat(row, column, width - full, INK_DIM, "░");
}

void canvas_spark(int row, int column, int width, enum ink ink, const struct canvas_trace *trace)
{
    static const char *const levels[LEVELS] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    size_t shown = trace->count < (size_t)width ? trace->count : (size_t)width;
    column += width - (int)shown;
    for (size_t i = trace->count - shown; i < trace->count; i++, column++) {
        double share = trace->top > 0 ? trace->values[i] / trace->top : 0;
        int level = share >= 1 ? LEVELS - 1 : share > 0 ? (int)(share * LEVELS) : 0;
        if (!isnan(trace->values[i]))
            canvas_text(row, column, 1, ink, levels[level]);
    }
}
