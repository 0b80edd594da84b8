/*
 * Recordings of DexScreener answers, as people keep them: the answer itself, or wrapped in an
 * object with whatever else was recorded ({"url", "status", "body": …}, {"raw": …}), as JSON or as
 * a string of JSON. Finds the answer; what is in it is answer_parse()'s business.
 */
#ifndef MOONWATCH_FEED_DEXSCREENER_RECORDING_H
#define MOONWATCH_FEED_DEXSCREENER_RECORDING_H

#include "base/err.h"
#include <stddef.h>

#define RECORDING_WHY_SIZE   512
#define RECORDING_DEPTH_MAX  4    /* of what is searched; a wrapper is one or two deep */
#define RECORDING_VALUES_MAX 4096 /* that are looked at, breadth first */

/* The first value, breadth first, that is an answer of one of the routes: an array whose elements
 * are like pairs, an object with "pairs" or "pair", or a pair. An empty array is one only where it
 * is the whole recording.
 *
 * OK: `*out` is its text, `*out_length` bytes and ANSWER_PADDING zeroes, to be freed with free().
 * ERR_INVALID: no JSON; ERR_NOT_FOUND: no answer in it; ERR_NO_MEMORY; `why` says what it is
 * instead. A text that is an answer as a whole is handed on byte by byte, oddities included. */
enum err recording_find_answer(const char *text, size_t length, char **out, size_t *out_length,
                               char why[RECORDING_WHY_SIZE]) MUST_CHECK;

#endif
