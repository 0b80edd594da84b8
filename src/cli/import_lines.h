/*
 * A file of mints as batches to send: line by line, in bounded memory. A line is a mint, with
 * blanks around it and perhaps a comment after it (# …); blank lines and comments are passed over.
 * What is no mint is refused here, with the reason and the line's number, and is never sent.
 */
#ifndef MOONWATCH_CLI_IMPORT_LINES_H
#define MOONWATCH_CLI_IMPORT_LINES_H

#include "base/address.h"
#include <stdint.h>
#include <stdio.h>

#define IMPORT_BATCH_MAX 1000 /* mints; the API lists this many refusals an answer */
#define IMPORT_LINE_MAX  1024 /* bytes; a mint and a comment */

struct import_batch {
    char text[IMPORT_BATCH_MAX * (ADDRESS_TEXT_MAX + 1)]; /* mints, a newline after each */
    size_t length;
    uint64_t lines[IMPORT_BATCH_MAX]; /* where each stood in the file, from 1 */
    unsigned count;
};

struct import_lines {
    FILE *file;
    uint64_t line;  /* lines read */
    uint64_t bytes; /* bytes read */
    uint64_t refused;
    void (*on_refused)(void *context, uint64_t line, const char *reason);
    void *context;
};

/* Reads until the batch is full or the file ends. Returns its count; 0: nothing is left, or the
 * file can't be read (ferror()). */
unsigned import_lines_read(struct import_lines *lines, struct import_batch *batch);

#endif
