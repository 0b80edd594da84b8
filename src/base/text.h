/*
 * Text from strangers. Token names, symbols and DEX names come from anyone who can mint a token:
 * they are copied through text_copy(), which leaves valid UTF-8 that fits.
 */
#ifndef MOONWATCH_BASE_TEXT_H
#define MOONWATCH_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Copies at most size − 1 bytes and a NUL. Invalid UTF-8 becomes U+FFFD, control characters
 * (C0, DEL, C1) become a space, and the cut never splits a character. Returns the length. */
size_t text_copy(char *out, size_t size, const char *in, size_t length);

/* Case-insensitive for ASCII only. */
bool text_equal_nocase(const char *a, const char *b);

/* Levenshtein distance, for "did you mean". Texts over 63 bytes count as far apart. */
size_t text_distance(const char *a, const char *b);

#endif
