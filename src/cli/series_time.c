/* Times as people and programs write them into CSV (series_lines.h). */
#include "base/text.h"
#include "cli/series_lines.h"

#define DAY_S 86400

/* What is left of the text. */
struct rest {
    const char *at;
    size_t length;
};

static bool take_char(struct rest *rest, char c)
{
    if (rest->length == 0 || *rest->at != c)
        return false;
    rest->at++;
    rest->length--;
    return true;
}

/* Exactly so many digits, up to `most`. */
static bool take_digits(struct rest *rest, size_t digits, int most, int *out)
{
    int value = 0;
    if (rest->length < digits)
        return false;
    for (size_t i = 0; i < digits; i++) {
        if (rest->at[i] < '0' || rest->at[i] > '9')
            return false;
        value = value * 10 + (rest->at[i] - '0');
    }
    rest->at += digits;
    rest->length -= digits;
    *out = value;
    return value <= most;
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days since 1970-01-01 in the Gregorian calendar; years that begin in March have their odd day at
 * their end (Richards, Explanatory Supplement to the Astronomical Almanac, 2013, section 15.11). */
static long days_since_epoch(int year, int month, int day)
{
    long y = year - (month <= 2), era = y / 400, in_era = y % 400;
    long in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

static bool take_date(struct rest *rest, double *t_s)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    if (!take_digits(rest, 4, 9999, &year) || !take_char(rest, '-') ||
        !take_digits(rest, 2, 12, &month) || !take_char(rest, '-') ||
        !take_digits(rest, 2, 31, &day) || year < 1 || month < 1 || day < 1)
        return false;
    if (day > lengths[month - 1] + (month == 2 && is_leap(year)))
        return false;
    *t_s = (double)days_since_epoch(year, month, day) * DAY_S;
    return true;
}

/* hh:mm, perhaps :ss, perhaps a fraction. A leap second is the next minute's first. */
static bool take_clock(struct rest *rest, double *t_s)
{
    int hour, minute, second = 0;
    if (!take_digits(rest, 2, 23, &hour) || !take_char(rest, ':') ||
        !take_digits(rest, 2, 59, &minute))
        return false;
    if (take_char(rest, ':') && !take_digits(rest, 2, 60, &second))
        return false;
    *t_s += hour * 3600 + minute * 60 + second;
    if (take_char(rest, '.')) {
        double unit = 0.1;
        int digit;
        if (!take_digits(rest, 1, 9, &digit))
            return false;
        do {
            *t_s += digit * unit;
            unit /= 10;
        } while (take_digits(rest, 1, 9, &digit));
    }
    return true;
}

static bool take_zone(struct rest *rest, double *t_s)
{
    int hours, minutes, sign = 1;
    if (rest->length == 0 || take_char(rest, 'Z') || take_char(rest, 'z'))
        return true;
    if (take_char(rest, '-'))
        sign = -1;
    else if (!take_char(rest, '+'))
        return false;
    if (!take_digits(rest, 2, 23, &hours))
        return false;
    take_char(rest, ':');
    if (!take_digits(rest, 2, 59, &minutes))
        return false;
    *t_s -= sign * (hours * 3600 + minutes * 60);
    return true;
}

bool series_time_parse(const char *text, size_t length, double *t_s)
{
    struct rest rest = {text, length};
    double t = 0;
    if (length < 5 || text[4] != '-') /* no year: a number, perhaps */
        return text_parse_double(text, length, t_s);
    if (!take_date(&rest, &t))
        return false;
    if (rest.length > 0 && !take_char(&rest, ' ') && !take_char(&rest, 'T') &&
        !take_char(&rest, 't'))
        return false;
    if (rest.length > 0 && !(take_clock(&rest, &t) && take_zone(&rest, &t)))
        return false;
    if (rest.length > 0)
        return false;
    *t_s = t;
    return true;
}
