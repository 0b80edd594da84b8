/*
 * Tokens from a file, a pipe or standard input. A line is
 *
 *     a mint, with blanks around it, and perhaps a comment after it (# …);
 *     a JSON object: a frame of PumpPortal (pumpportal.h);
 *     a line of a recording, {"t_wall":…,"raw":"FRAME"};
 *     or nothing, or a comment: those are not counted.
 *
 * Read once from the beginning, or followed (?follow): what is appended is read soon, a file that
 * was truncated is read from its beginning, and one that was replaced is read to its end, and then
 * its successor. A file that shrinks and grows beyond its old size between two looks cannot be told
 * from one that grew. A line without an end counts once the file has ended or was replaced.
 *
 * A token that is not taken is offered again, and until it is taken nothing more is read.
 * Complaints name the line; the first SOURCE_COMPLAINTS_MAX are logged, then ever fewer.
 */
#ifndef MOONWATCH_FEED_SOURCE_FILE_H
#define MOONWATCH_FEED_SOURCE_FILE_H

#include "feed/pumpportal.h"

/* A frame of the largest size, escaped within a recording, with room for its time. */
#define SOURCE_LINE_MAX (2 * PUMPPORTAL_FRAME_MAX + 4096)

/* Read in one turn of the loop: some 700 mints, well under a millisecond of parsing. */
#define SOURCE_CHUNK 32768

#define SOURCE_COMPLAINTS_MAX 20

#define SOURCE_FOLLOW_MS    250  /* between two looks at a followed file */
#define SOURCE_QUIET_LOOKS  4    /* a replaced file must be quiet this often: writers let go late */
#define SOURCE_REOPEN_MS    1000 /* between two tries to open a file that is not there */
#define SOURCE_OFFER_MIN_MS 5    /* before a token is offered again; doubles */
#define SOURCE_OFFER_MAX_MS 500

/* What one line means; false when it means nothing (blank, comment). Pure. */
bool source_line_parse(const char *line, size_t length, struct pumpportal_frame *out);

#endif
