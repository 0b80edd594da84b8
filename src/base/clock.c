#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SLEW_DIVISOR 100     /* the offset moves by at most 1/100 of the time that passes */
#define STEP_US      1000000 /* a wall clock that moved by more against the steady one was stepped */

/* Of who disciplined the line and died in the middle: its numbers differ by what a second slews. */
#define READ_ATTEMPTS_MAX 100000

/* A sandbox can forbid to read it; that it fails but once nobody has seen. */
#define CLOCK_ATTEMPTS_MAX 3

/*
 * Under a seqlock whose data are atomics with acquire and release of their own. The writer reads
 * the clock while the sequence is odd, so every reader of the old line read the clock before
 * `start` and every reader of the new one after it: that is why time never goes back.
 */
static struct clock_line own_line;
static struct clock_line *line = &own_line;
static _Atomic int64_t wall_error_us; /* 0 but in a drill */

static instant (*pretended)(void *context); /* NULL: the machine's time */
static void *pretended_context;

/* Without a clock nothing can be waited for: not even an end in good order. */
static _Noreturn void give_up(void)
{
    static const char sentence[] = "moonwatch: the clock can't be read\n";
    ssize_t written = write(STDERR_FILENO, sentence, sizeof sentence - 1);
    _exit(written == 0 ? 2 : 1);
}

static int64_t read_clock_us(clockid_t id)
{
    struct timespec t = {0};
    int attempts = 1;
    while (clock_gettime(id, &t) != 0)
        if (attempts++ == CLOCK_ATTEMPTS_MAX)
            give_up();
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t wall_minus_boot_us(void)
{
    return read_clock_us(CLOCK_REALTIME) - read_clock_us(CLOCK_BOOTTIME) +
           atomic_load_explicit(&wall_error_us, memory_order_relaxed);
}

static int64_t clamp(int64_t value, int64_t bound)
{
    if (value > bound)
        return bound;
    return value < -bound ? -bound : value;
}

/* Of a line in shared memory, which may hold anything: hence the differences of time.h. */
static int64_t offset_at(int64_t boot_us, int64_t start_us, int64_t offset_us, int64_t target_us)
{
    int64_t passed_us = instant_diff((instant){boot_us}, (instant){start_us}).us;
    int64_t missing_us = instant_diff((instant){target_us}, (instant){offset_us}).us;
    duration slewed = {clamp(missing_us, passed_us / SLEW_DIVISOR)};
    return instant_add((instant){offset_us}, slewed).us;
}

static void store_line(int64_t start_us, int64_t offset_us, int64_t target_us)
{
    atomic_store_explicit(&line->start_us, start_us, memory_order_release);
    atomic_store_explicit(&line->offset_us, offset_us, memory_order_release);
    atomic_store_explicit(&line->target_us, target_us, memory_order_release);
}

/* The first call of any thread fixes the offset; the others wait for it, some microseconds. */
static void begin(void)
{
    uint32_t nobody = 0;
    if (atomic_compare_exchange_strong(&line->sequence, &nobody, 1)) {
        int64_t offset_us = wall_minus_boot_us();
        store_line(read_clock_us(CLOCK_BOOTTIME), offset_us, offset_us);
        atomic_store_explicit(&line->sequence, 2, memory_order_release);
    }
}

/* One attempt; false while the line is being changed. */
static bool try_now(const struct clock_line *on, int64_t *now_us)
{
    uint32_t before = atomic_load_explicit(&on->sequence, memory_order_acquire);
    int64_t boot_us = read_clock_us(CLOCK_BOOTTIME);
    int64_t start_us = atomic_load_explicit(&on->start_us, memory_order_acquire);
    int64_t offset_us = atomic_load_explicit(&on->offset_us, memory_order_acquire);
    int64_t target_us = atomic_load_explicit(&on->target_us, memory_order_acquire);
    int64_t offset = offset_at(boot_us, start_us, offset_us, target_us);
    *now_us = instant_add((instant){boot_us}, (duration){offset}).us;
    return before % 2 == 0 && atomic_load_explicit(&on->sequence, memory_order_relaxed) == before;
}

void clock_share(struct clock_line *shared)
{
    uint32_t nobody = 0;
    clock_now();
    if (atomic_compare_exchange_strong(&shared->sequence, &nobody, 1)) {
        atomic_store(&shared->start_us, line->start_us);
        atomic_store(&shared->offset_us, line->offset_us);
        atomic_store(&shared->target_us, line->target_us);
        atomic_store_explicit(&shared->sequence, 2, memory_order_release);
    }
    line = shared;
}

instant clock_now_on(const struct clock_line *other)
{
    int64_t now_us;

    for (int i = 0; !try_now(other, &now_us) && i < READ_ATTEMPTS_MAX; i++)
        continue;
    return (instant){now_us};
}

void clock_pretend(instant (*now)(void *context), void *context)
{
    pretended = now;
    pretended_context = context;
}

instant clock_now(void)
{
    if (pretended != NULL)
        return pretended(pretended_context);
    if (atomic_load_explicit(&line->sequence, memory_order_relaxed) == 0)
        begin();
    return clock_now_on(line);
}

duration clock_offset(void)
{
    return duration_us(atomic_load_explicit(&line->seen_us, memory_order_relaxed));
}

bool clock_discipline(void)
{
    clock_now();
    int64_t old_target_us = atomic_load_explicit(&line->target_us, memory_order_relaxed);
    int64_t new_target_us = wall_minus_boot_us();
    uint32_t sequence = atomic_load_explicit(&line->sequence, memory_order_relaxed);

    atomic_store_explicit(&line->sequence, sequence + 1, memory_order_seq_cst);
    int64_t boot_us = read_clock_us(CLOCK_BOOTTIME);
    int64_t offset_us = offset_at(boot_us, line->start_us, line->offset_us, old_target_us);
    store_line(boot_us, offset_us, new_target_us);
    /* 0 means "not begun", so the sequence wraps to 2. */
    atomic_store_explicit(&line->sequence, sequence + 2 == 0 ? 2 : sequence + 2,
                          memory_order_release);

    atomic_store_explicit(&line->seen_us, new_target_us - offset_us, memory_order_relaxed);
    return llabs(new_target_us - old_target_us) > STEP_US;
}

void clock_mislead(duration error)
{
    atomic_store_explicit(&wall_error_us, error.us, memory_order_relaxed);
}

duration clock_process_cpu(void)
{
    return duration_us(read_clock_us(CLOCK_PROCESS_CPUTIME_ID));
}

duration clock_thread_cpu(void)
{
    return duration_us(read_clock_us(CLOCK_THREAD_CPUTIME_ID));
}

static void put_digits(char *out, int count, int value)
{
    for (int i = count - 1; i >= 0; i--, value /= 10)
        out[i] = (char)('0' + value % 10);
}

size_t iso_time_format(instant t, char out[ISO_TIME_SIZE])
{
    int64_t fraction = t.us % 1000000;
    int64_t seconds = t.us / 1000000;
    struct tm parts;

    if (fraction < 0) {
        fraction += 1000000;
        seconds -= 1;
    }
    time_t time = (time_t)seconds;
    gmtime_r(&time, &parts);
    if (parts.tm_year + 1900 < 0 || parts.tm_year + 1900 > 9999)
        return (size_t)snprintf(out, ISO_TIME_SIZE, "%d-%02d-%02dT%02d:%02d:%02d.%06d+00:00",
                                parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                                parts.tm_hour, parts.tm_min, parts.tm_sec, (int)fraction);
    /* Lists carry four times a token: printf would take a quarter of their time. */
    memcpy(out, "0000-00-00T00:00:00.000000+00:00", sizeof "0000-00-00T00:00:00.000000+00:00");
    put_digits(out, 4, parts.tm_year + 1900);
    put_digits(out + 5, 2, parts.tm_mon + 1);
    put_digits(out + 8, 2, parts.tm_mday);
    put_digits(out + 11, 2, parts.tm_hour);
    put_digits(out + 14, 2, parts.tm_min);
    put_digits(out + 17, 2, parts.tm_sec);
    put_digits(out + 20, 6, (int)fraction);
    return sizeof "0000-00-00T00:00:00.000000+00:00" - 1;
}

/* Exactly `count` digits; moves `text` past them. */
static bool take_digits(const char **text, int count, int *out)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        char c = (*text)[i];
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    *text += count;
    *out = value;
    return true;
}

static bool take(const char **text, char expected)
{
    if (**text != expected)
        return false;
    ++*text;
    return true;
}

/* A fraction of one to nine digits, in microseconds; none is 0. */
static bool take_fraction(const char **text, int64_t *us)
{
    int digits = 0;
    *us = 0;
    if (!take(text, '.'))
        return true;
    for (; **text >= '0' && **text <= '9' && digits < 9; ++*text, digits++)
        if (digits < 6)
            *us = *us * 10 + (**text - '0');
    for (int i = digits; i < 6; i++)
        *us *= 10;
    return digits > 0;
}

/* "Z" or ±HH:MM, in seconds east of Greenwich. */
static bool take_offset(const char **text, int *seconds)
{
    int hours, minutes;
    *seconds = 0;
    if (take(text, 'Z'))
        return true;
    int sign = take(text, '+') ? 1 : take(text, '-') ? -1 : 0;
    if (sign == 0 || !take_digits(text, 2, &hours) || !take(text, ':') ||
        !take_digits(text, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

static bool take_date_and_time(const char **text, struct tm *parts)
{
    if (!take_digits(text, 4, &parts->tm_year) || !take(text, '-') ||
        !take_digits(text, 2, &parts->tm_mon) || !take(text, '-') ||
        !take_digits(text, 2, &parts->tm_mday) || !take(text, 'T') ||
        !take_digits(text, 2, &parts->tm_hour) || !take(text, ':') ||
        !take_digits(text, 2, &parts->tm_min) || !take(text, ':') ||
        !take_digits(text, 2, &parts->tm_sec))
        return false;
    parts->tm_year -= 1900;
    parts->tm_mon -= 1;
    return true;
}

/* timegm() repairs what is out of range (32 February); what it had to repair was no time. */
static bool calendar_seconds(const struct tm *parts, int64_t *out)
{
    struct tm repaired = *parts;
    *out = (int64_t)timegm(&repaired);
    return repaired.tm_year == parts->tm_year && repaired.tm_mon == parts->tm_mon &&
           repaired.tm_mday == parts->tm_mday && repaired.tm_hour == parts->tm_hour &&
           repaired.tm_min == parts->tm_min && repaired.tm_sec == parts->tm_sec;
}

bool iso_time_parse(const char *text, instant *out)
{
    struct tm parts = {0};
    int64_t seconds, fraction_us;
    int offset;

    if (!take_date_and_time(&text, &parts) || !take_fraction(&text, &fraction_us) ||
        !take_offset(&text, &offset) || *text != '\0' || !calendar_seconds(&parts, &seconds))
        return false;
    *out = (instant){(seconds - offset) * 1000000 + fraction_us};
    return true;
}
