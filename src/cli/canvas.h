/*
 * The screen of `moonwatch top`: cells in rows and columns, over ncurses. Whatever is drawn goes
 * through terminal_clip(), so that strangers' names move nothing but their own columns, and an
 * ASCII locale gets ASCII. Colours only where the terminal has some and NO_COLOR is not set;
 * meaning never hangs on them alone.
 */
#ifndef MOONWATCH_CLI_CANVAS_H
#define MOONWATCH_CLI_CANVAS_H

#include <stdbool.h>
#include <stddef.h>

enum ink {
    INK_PLAIN,
    INK_DIM,
    INK_BOLD,
    INK_TITLE, /* heads of columns */
    INK_BAND,  /* the first and the last row */
    INK_GOOD,
    INK_WARNING,
    INK_BAD,
    INK_ACCENT,
    INK_CHOSEN, /* the row of the cursor */
    INK_COUNT
};

#define CANVAS_WHY_SIZE 256

/* Takes the terminal. False with a sentence: standard input or output is none, or one of a type
 * that nobody knows. */
bool canvas_begin(char why[CANVAS_WHY_SIZE]);
/* Gives it back as it was. Nothing when it was not taken. */
void canvas_end(void);

int canvas_rows(void);
int canvas_columns(void);
/* The terminal's size may have changed. */
void canvas_resize(void);
/* Gives it to the shell until somebody goes on with us. For whoever blocks SIGTSTP, so that
 * ncurses' own handler, which allocates, never runs in the middle of anything. */
void canvas_stop(void);

/* A key that waits, as ncurses has it; −1: none. */
int canvas_key(void);

void canvas_clear(void);
void canvas_show(void);
/* Fills a row with this ink; what is drawn on it later keeps its own. */
void canvas_fill(int row, enum ink ink);

/* At most `width` columns of the text, from `column` on; returns the column after it. What lies
 * outside the screen is not drawn. */
int canvas_text(int row, int column, int width, enum ink ink, const char *text);
/* The same, ending where the width does. */
void canvas_right(int row, int column, int width, enum ink ink, const char *text);

__attribute__((format(printf, 5, 6))) int canvas_print(int row, int column, int width, enum ink ink,
                                                       const char *format, ...);

/* A bar of `width` columns, `ratio` of it full. NaN: empty. */
void canvas_bar(int row, int column, int width, enum ink ink, double ratio);
/* The newest `width` of `count` values, oldest first, each a column between 0 and `top`. */
struct canvas_trace {
    const double *values;
    size_t count;
    double top;
};
void canvas_spark(int row, int column, int width, enum ink ink, const struct canvas_trace *trace);

#endif
