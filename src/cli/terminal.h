/* What the tools share about the screen: colours where a person looks, and text in columns. */
#ifndef MOONWATCH_CLI_TERMINAL_H
#define MOONWATCH_CLI_TERMINAL_H

#include <stddef.h>
#include <stdio.h>

#define TERMINAL_WIDTH_DEFAULT 100
#define TERMINAL_WIDTH_MIN     50
#define TERMINAL_WIDTH_MAX     120 /* wider lines are hard to read */

/* Columns to write into: the terminal's, within the bounds above. */
int terminal_width(FILE *out);

/* Escape sequences, or "" where they would be noise (no terminal, or NO_COLOR is set). */
struct terminal_style {
    const char *bold, *dim, *green, *yellow, *red, *end;
};
struct terminal_style terminal_style(FILE *out);

/* Columns that a UTF-8 text takes, one a character: enough for what our tools print. */
size_t terminal_columns(const char *text);

/* What may stand on a screen of a text that a stranger wrote: no control characters, no marks that
 * turn the direction of writing, nothing without a width; at most `columns` wide, as the locale's
 * wcwidth() measures. Where the locale has no such character, one that looks like it or a question
 * mark. With `columns` too few, the last is "…". Returns how many it takes. */
size_t terminal_clip(const char *text, size_t columns, char *out, size_t size);

/* Writes a text that a stranger may have had a part in: without control characters and what turns
 * the direction of writing. */
void terminal_write(FILE *out, const char *text);

/* The same: writes words, breaking lines at `width` and indenting the later ones; `column` is where
 * the cursor stands. Ends with a newline. */
struct terminal_wrap {
    size_t column, indent, width;
};
void terminal_write_wrapped(FILE *out, const char *text, struct terminal_wrap wrap);

/* Pads to `columns` with spaces, at least one. */
void terminal_pad(FILE *out, size_t used, size_t columns);

#endif
