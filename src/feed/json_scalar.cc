#include "feed/json_scalar.h"
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <strings.h>

namespace
{

constexpr size_t UTF8_BYTES_MAX = 4;

bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The parts of a number by JSON's grammar (RFC 8259, section 6), as integers. */
struct decimal {
    bool negative = false;
    uint64_t mantissa = 0;
    bool exact = true;     /* every digit is in the mantissa */
    int64_t exponent = 0;  /* the value is mantissa · 10^exponent while exact */
    int64_t magnitude = 0; /* the value is under 10^magnitude */
};

constexpr int64_t EXPONENT_MAX = 100000;
constexpr uint64_t MANTISSA_ROOM = (UINT64_MAX - 9) / 10;

const char *scan_digits(const char *at, const char *end, decimal &out, int64_t exponent_step)
{
    for (; at < end && is_digit(*at); at++) {
        if (out.mantissa <= MANTISSA_ROOM) {
            out.mantissa = out.mantissa * 10 + (uint64_t)(*at - '0');
            out.exponent += exponent_step;
        } else {
            out.exact = false;
        }
        if (exponent_step == 0 && out.mantissa != 0)
            out.magnitude++;
        if (exponent_step != 0 && out.mantissa == 0)
            out.magnitude--;
    }
    return at;
}

bool scan_exponent(const char *&at, const char *end, decimal &out)
{
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '+' || *at == '-'))
        at++;
    if (at == end || !is_digit(*at))
        return false;
    int64_t exponent = 0;
    for (; at < end && is_digit(*at); at++)
        if (exponent < EXPONENT_MAX)
            exponent = exponent * 10 + (*at - '0');
    exponent = negative ? -exponent : exponent;
    out.exponent += exponent;
    out.magnitude += exponent;
    return true;
}

bool scan_number(std::string_view text, decimal &out)
{
    const char *at = text.data(), *end = at + text.size();
    out.negative = at < end && *at == '-';
    at += out.negative;
    const char *digits = at;
    at = scan_digits(at, end, out, 0);
    if (at == digits || (*digits == '0' && at - digits > 1))
        return false;
    if (at < end && *at == '.') {
        const char *fraction = ++at;
        at = scan_digits(at, end, out, -1);
        if (at == fraction)
            return false;
    }
    if (at < end && (*at == 'e' || *at == 'E') && !scan_exponent(++at, end, out))
        return false;
    return at == end;
}

/* Up to so many digits fit a mantissa whatever they are. */
constexpr ptrdiff_t DIGITS_EASY = 19;

const char *take_digits(const char *at, const char *end, uint64_t &mantissa)
{
    for (; at < end && is_digit(*at); at++)
        mantissa = mantissa * 10 + (uint64_t)(*at - '0');
    return at;
}

/* Nearly all numbers: digits, or digits, a point and digits, and not many. False: look closer. */
bool scan_easy_number(std::string_view text, decimal &out)
{
    const char *at = text.data(), *end = at + text.size();
    out.negative = at < end && *at == '-';
    at += out.negative;
    if (end - at > DIGITS_EASY)
        return false;
    const char *digits = at;
    at = take_digits(at, end, out.mantissa);
    if (at == digits || (*digits == '0' && at - digits > 1))
        return false;
    if (at == end)
        return true;
    const char *fraction = at + 1;
    if (*at != '.' || fraction == end)
        return false;
    at = take_digits(fraction, end, out.mantissa);
    out.exponent = fraction - at;
    return at == end;
}

/* Both factors are doubles without error, so one rounding is all there is (Clinger 1990). */
bool convert_quickly(const decimal &parts, double &out)
{
    static constexpr double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                        1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                        1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (!parts.exact || parts.mantissa > (uint64_t)1 << 53 || parts.exponent < -22 ||
        parts.exponent > 22)
        return false;
    double value = (double)parts.mantissa;
    value = parts.exponent < 0 ? value / powers[-parts.exponent] : value * powers[parts.exponent];
    out = parts.negative ? -value : value;
    return true;
}

/* What other languages write for numbers that are none. */
bool is_not_finite_word(std::string_view text)
{
    char word[16];
    if (!text.empty() && (text[0] == '-' || text[0] == '+'))
        text.remove_prefix(1);
    if (text.size() >= sizeof(word))
        return false;
    memcpy(word, text.data(), text.size());
    word[text.size()] = '\0';
    return strcasecmp(word, "nan") == 0 || strcasecmp(word, "inf") == 0 ||
           strcasecmp(word, "infinity") == 0;
}

bool read_hex4(std::string_view text, uint32_t &out)
{
    if (text.size() < 4)
        return false;
    std::from_chars_result result = std::from_chars(text.data(), text.data() + 4, out, 16);
    return result.ec == std::errc() && result.ptr == text.data() + 4;
}

size_t write_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

bool is_low_surrogate(uint32_t code)
{
    return code >= 0xdc00 && code <= 0xdfff;
}

/* `text` begins after "\u". Takes what it used off its front. A surrogate without its other half
 * is what JavaScript writes for a name cut in the middle: valid JSON, but no character. */
bool unescape_unicode(std::string_view &text, uint32_t &code)
{
    uint32_t low = 0;
    if (!read_hex4(text, code))
        return false;
    text.remove_prefix(4);
    if (code < 0xd800 || code > 0xdfff)
        return true;
    if (!is_low_surrogate(code) && text.substr(0, 2) == "\\u" && read_hex4(text.substr(2), low) &&
        is_low_surrogate(low)) {
        text.remove_prefix(6);
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        return true;
    }
    code = 0xfffd;
    return true;
}

/* `text` begins after the backslash. */
bool unescape_one(std::string_view &text, uint32_t &code)
{
    static constexpr std::string_view letters = "\"\\/bfnrt";
    static constexpr char values[] = "\"\\/\b\f\n\r\t";
    if (text.empty())
        return false;
    char letter = text[0];
    text.remove_prefix(1);
    if (letter == 'u')
        return unescape_unicode(text, code);
    size_t found = letters.find(letter);
    if (found == std::string_view::npos)
        return false;
    code = (unsigned char)values[found];
    return true;
}

} // namespace

extern "C" enum json_number json_number_read(const char *text, size_t length, double *out)
{
    decimal easy, parts;
    if (scan_easy_number(std::string_view(text, length), easy) && convert_quickly(easy, *out))
        return JSON_NUMBER_OK;
    if (!scan_number(std::string_view(text, length), parts))
        return is_not_finite_word(std::string_view(text, length)) ? JSON_NUMBER_WORD
                                                                  : JSON_NUMBER_NONE;
    if (convert_quickly(parts, *out))
        return JSON_NUMBER_OK;
    double value = 0;
    std::from_chars_result result = std::from_chars(text, text + length, value);
    if (result.ec == std::errc::result_out_of_range && parts.magnitude > 0)
        return JSON_NUMBER_TOO_LARGE;
    *out = result.ec == std::errc() ? value : 0;
    return JSON_NUMBER_OK;
}

extern "C" bool json_text_unescape(const char *text, size_t length, char *out, size_t *out_length)
{
    std::string_view rest(text, length);
    size_t used = 0;
    while (!rest.empty() && used + UTF8_BYTES_MAX <= JSON_UNESCAPED_MAX) {
        uint32_t code = 0;
        char next = rest[0];
        rest.remove_prefix(1);
        if (next != '\\') {
            out[used++] = next;
            continue;
        }
        if (!unescape_one(rest, code))
            return false;
        used += write_utf8(out + used, code);
    }
    *out_length = used;
    return true;
}
