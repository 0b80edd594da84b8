#include "base/text.h"

#include <string.h>

#define REPLACEMENT    0xfffdu
#define DISTANCE_BYTES 63

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool is_control(uint32_t character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0);
}

/* How many bytes follow a leading byte, and the bounds of the first of them (RFC 3629's table:
 * they shut out overlong forms, surrogates and what is past U+10FFFF). */
static size_t utf8_tail(uint8_t lead, uint8_t *low, uint8_t *high)
{
    *low = 0x80;
    *high = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 1;
    if (lead >= 0xe0 && lead <= 0xef) {
        if (lead == 0xe0)
            *low = 0xa0;
        if (lead == 0xed)
            *high = 0x9f;
        return 2;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        if (lead == 0xf0)
            *low = 0x90;
        if (lead == 0xf4)
            *high = 0x8f;
        return 3;
    }
    return 0;
}

size_t text_decode(const char *in, size_t length, uint32_t *character)
{
    const uint8_t *bytes = (const uint8_t *)in;
    uint8_t low, high;

    if (bytes[0] < 0x80) {
        *character = bytes[0];
        return 1;
    }
    size_t tail = utf8_tail(bytes[0], &low, &high);
    uint32_t value = bytes[0] & (0x3fu >> tail);
    for (size_t i = 1; i <= tail; i++) {
        if (i >= length || bytes[i] < low || bytes[i] > high) {
            *character = REPLACEMENT;
            return i;
        }
        value = value << 6 | (bytes[i] & 0x3fu);
        low = 0x80;
        high = 0xbf;
    }
    *character = tail == 0 ? REPLACEMENT : value;
    return tail + 1;
}

size_t text_encode(uint32_t character, char out[4])
{
    if (character < 0x80) {
        out[0] = (char)character;
        return 1;
    }
    if (character < 0x800) {
        out[0] = (char)(0xc0 | character >> 6);
        out[1] = (char)(0x80 | (character & 0x3f));
        return 2;
    }
    if (character < 0x10000) {
        out[0] = (char)(0xe0 | character >> 12);
        out[1] = (char)(0x80 | (character >> 6 & 0x3f));
        out[2] = (char)(0x80 | (character & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | character >> 18);
    out[1] = (char)(0x80 | (character >> 12 & 0x3f));
    out[2] = (char)(0x80 | (character >> 6 & 0x3f));
    out[3] = (char)(0x80 | (character & 0x3f));
    return 4;
}

static bool is_plain(char c)
{
    return c >= 0x20 && c < 0x7f;
}

size_t text_copy(char *out, size_t size, const char *in, size_t length)
{
    size_t written = 0;

    if (size == 0)
        return 0;
    /* Most texts are ASCII from end to end. */
    while (written < length && written < size - 1 && is_plain(in[written])) {
        out[written] = in[written];
        written++;
    }
    in += written;
    length -= written;
    while (length > 0) {
        uint32_t character;
        char encoded[4];
        size_t taken = text_decode(in, length, &character);
        size_t bytes = text_encode(is_control(character) ? ' ' : character, encoded);
        if (bytes > size - 1 - written)
            break;
        memcpy(out + written, encoded, bytes);
        written += bytes;
        in += taken;
        length -= taken;
    }
    out[written] = '\0';
    return written;
}

bool text_turns_direction(uint32_t character)
{
    return character == 0x061c || character == 0x200e || character == 0x200f ||
           (character >= 0x202a && character <= 0x202e) ||
           (character >= 0x2066 && character <= 0x2069);
}

static char short_escape(uint32_t character)
{
    switch (character) {
    case '"':
        return '"';
    case '\\':
        return '\\';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

size_t text_escape(const char *in, size_t length, char out[TEXT_ESCAPED_SIZE], size_t *out_length)
{
    static const char digits[] = "0123456789abcdef";
    uint32_t character;
    size_t taken = text_decode(in, length, &character);
    char escape = short_escape(character);

    if (escape != 0) {
        out[0] = '\\';
        out[1] = escape;
        *out_length = 2;
    } else if (is_control(character) || text_turns_direction(character)) {
        out[0] = '\\';
        out[1] = 'u';
        for (int i = 0; i < 4; i++)
            out[2 + i] = digits[character >> (12 - 4 * i) & 15];
        *out_length = 6;
    } else {
        *out_length = text_encode(character, out);
    }
    return taken;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

void text_trim(const char **text, size_t *length)
{
    for (; *length > 0 && is_blank(**text); --*length)
        ++*text;
    while (*length > 0 && is_blank((*text)[*length - 1]))
        --*length;
}

void text_skip_mark(const char **text, size_t *length)
{
    static const char mark[] = "\xEF\xBB\xBF";
    if (*length < 3 || memcmp(*text, mark, 3) != 0)
        return;
    *text += 3;
    *length -= 3;
}

static bool begins_nocase(const char *text, const char *part)
{
    for (; *part != '\0'; text++, part++)
        if (lower(*text) != lower(*part))
            return false;
    return true;
}

bool text_contains_nocase(const char *text, const char *part)
{
    if (*part == '\0')
        return true;
    const char first = lower(*part);
    for (; *text != '\0'; text++)
        if (lower(*text) == first && begins_nocase(text + 1, part + 1))
            return true;
    return false;
}

bool text_equal_nocase(const char *a, const char *b)
{
    while (*a != '\0' && (*a == *b || lower(*a) == lower(*b))) {
        a++;
        b++;
    }
    return lower(*a) == lower(*b);
}

static size_t minimum(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t text_distance(const char *a, const char *b)
{
    size_t rows[3][DISTANCE_BYTES + 1];
    size_t a_length = strlen(a), b_length = strlen(b);

    if (a_length > DISTANCE_BYTES || b_length > DISTANCE_BYTES)
        return TEXT_FAR;
    for (size_t j = 0; j <= b_length; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3], *above_that = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t replace = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = minimum(replace, minimum(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = minimum(row[j], above_that[j - 2] + 1);
        }
    }
    return rows[a_length % 3][b_length];
}

bool text_is_slip(size_t distance, size_t length)
{
    return distance <= 1 + length / 4;
}
