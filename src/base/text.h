/*
 * Text from strangers. Token names, symbols and DEX names come from anyone who can mint a token:
 * they are copied through text_copy(), which leaves valid UTF-8 that fits.
 */
#ifndef MOONWATCH_BASE_TEXT_H
#define MOONWATCH_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies at most size − 1 bytes and a NUL. Invalid UTF-8 becomes U+FFFD, control characters
 * (C0, DEL, C1) become a space, and the cut never splits a character. Returns the length. */
size_t text_copy(char *out, size_t size, const char *in, size_t length);

/* Leaves out blanks, tabs and carriage returns at either end. */
void text_trim(const char **text, size_t *length);

/* Leaves out the byte order mark that some editors write at the beginning of a file. */
void text_skip_mark(const char **text, size_t *length);

/* Case-insensitive for ASCII only. */
bool text_equal_nocase(const char *a, const char *b);

/* Whether `part` stands in `text`, in any case (ASCII). Many times as fast as strcasestr() with
 * texts as short as names. */
bool text_contains_nocase(const char *text, const char *part);

/* For "did you mean": insertions, deletions, substitutions and swaps of neighbours (optimal string
 * alignment). Texts over 63 bytes are TEXT_FAR apart. */
#define TEXT_FAR SIZE_MAX
size_t text_distance(const char *a, const char *b);

/* True when `distance` is small enough for a word of this length to be a slip of the other. */
bool text_is_slip(size_t distance, size_t length);

/* Decodes the first character of `in` (length > 0) and returns the bytes it takes, 1 to 4. What is
 * not UTF-8 gives U+FFFD and takes the longest prefix that could have begun a character. */
size_t text_decode(const char *in, size_t length, uint32_t *character);

/* The reverse: the bytes of a character, and how many. */
size_t text_encode(uint32_t character, char out[4]);

/* Marks that turn the direction of writing: a name with one makes a screen show another text than
 * there is ("Trojan Source", CVE-2021-42574). */
bool text_turns_direction(uint32_t character);

/* The first character of `in` as it may stand between the quotes of a JSON string, also on a
 * screen: UTF-8, or an escape for quotes, backslashes, control characters and what turns the
 * direction. Returns the bytes of `in` it takes. */
#define TEXT_ESCAPED_SIZE 8
size_t text_escape(const char *in, size_t length, char out[TEXT_ESCAPED_SIZE], size_t *out_length);

/* A decimal number, the same in every locale, nothing before or after it. False otherwise, and for
 * what does not fit a double. */
bool text_parse_double(const char *text, size_t length, double *out);
bool text_parse_int(const char *text, size_t length, int64_t *out);

#endif
