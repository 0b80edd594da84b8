/* Numbers as text. C has no shortest form that reads back and no parser that leaves the locale
 * out; <charconv> has both (Ryu, in libstdc++ since GCC 11), so this file is C++. */
#include <charconv>
#include <cmath>
#include <cstring>
#include <system_error>

extern "C" {
#include "base/json.h"
#include "base/text.h"
}

namespace
{

/* Plain digits as long as they are what a person would write; the exponent form elsewhere. */
constexpr double plain_from = 1e-6;
constexpr double plain_below = 1e15;

bool is_plain(double value)
{
    double size = std::fabs(value);
    return size == 0 || (size >= plain_from && size < plain_below);
}

} // namespace

size_t json_number_format(double value, char out[32])
{
    if (!std::isfinite(value)) {
        std::memcpy(out, "null", 5);
        return 4;
    }
    std::to_chars_result result =
        is_plain(value) ? std::to_chars(out, out + 31, value, std::chars_format::fixed)
                        : std::to_chars(out, out + 31, value, std::chars_format::scientific);
    *result.ptr = '\0';
    return static_cast<size_t>(result.ptr - out);
}

bool text_parse_double(const char *text, size_t length, double *out)
{
    double value;
    std::from_chars_result result = std::from_chars(text, text + length, value);
    if (result.ec != std::errc() || result.ptr != text + length || !std::isfinite(value))
        return false;
    *out = value;
    return true;
}

bool text_parse_int(const char *text, size_t length, int64_t *out)
{
    int64_t value;
    std::from_chars_result result = std::from_chars(text, text + length, value);
    if (result.ec != std::errc() || result.ptr != text + length)
        return false;
    *out = value;
    return true;
}
