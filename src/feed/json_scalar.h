/*
 * Numbers and strings of JSON as they stand in a document, read strictly and independently of the
 * locale. For the DexScreener parser, which takes numbers from strings too.
 * https://www.rfc-editor.org/rfc/rfc8259 sections 6 and 7
 */
#ifndef MOONWATCH_FEED_JSON_SCALAR_H
#define MOONWATCH_FEED_JSON_SCALAR_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum json_number {
    JSON_NUMBER_OK,
    JSON_NUMBER_TOO_LARGE, /* over what a double holds */
    JSON_NUMBER_WORD,      /* NaN, Inf or Infinity, with or without a sign, in any case */
    JSON_NUMBER_NONE       /* anything else, such as "", "+1", "01", "1.", "0x1", " 1" */
};

/* The nearest double; numbers too small for one are 0. `out` is set for JSON_NUMBER_OK only. */
enum json_number json_number_read(const char *text, size_t length, double *out);

/* Unescapes what stands between the quotes of a string, and stops when `out` is full; no NUL is
 * added. Half a surrogate pair, which is valid JSON but no character, becomes U+FFFD. False: an
 * escape that JSON does not know. */
#define JSON_UNESCAPED_MAX 256
bool json_text_unescape(const char *text, size_t length, char out[JSON_UNESCAPED_MAX],
                        size_t *out_length);

#ifdef __cplusplus
}
#endif

#endif
