/* See machine_text.h. */
#include "base/machine_text.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define V1_NO_LIMIT (1ULL << 60) /* the kernel writes 2^63 less a page */
#define CPU_FIELDS  10 /* user nice system idle iowait irq softirq steal guest guest_nice */
#define CPU_LEAST   4  /* of the oldest kernels */

enum { CPU_IDLE = 3, CPU_IOWAIT = 4, CPU_GUEST = 8 };

/* Reads a decimal number and moves behind it. False: there is none, or it is too large. */
static bool take_number(const char **at, uint64_t *out)
{
    const char *digit = *at;
    uint64_t number = 0;
    for (; *digit >= '0' && *digit <= '9'; digit++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*digit - '0'), &number))
            return false;
    bool is_one = digit > *at;
    *at = digit;
    *out = number;
    return is_one;
}

/* Behind `word` at the beginning of a line; NULL: no line begins so. */
static const char *find_line(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, word, length) == 0)
            return line + length;
    }
    return NULL;
}

static const char *skip_spaces(const char *at)
{
    return at + strspn(at, " \t");
}

enum text_verdict machine_parse_cpu(const char *text, struct cpu_ticks *out)
{
    uint64_t fields[CPU_FIELDS] = {0};
    const char *at = find_line(text, "cpu ");
    int count = 0;
    if (at == NULL)
        return TEXT_BAD;
    for (at = skip_spaces(at); count < CPU_FIELDS && *at != '\n'; at = skip_spaces(at))
        if (!take_number(&at, &fields[count++]))
            return TEXT_BAD;
    if (count < CPU_LEAST || *at == '\0') /* cut off */
        return TEXT_BAD;
    uint64_t total = 0;
    for (int i = 0; i < CPU_GUEST; i++) /* guests' time is in the user's already */
        total += fields[i];
    *out = (struct cpu_ticks){total - fields[CPU_IDLE] - fields[CPU_IOWAIT], total};
    return TEXT_OK;
}

/* "MemTotal:       24731708 kB" */
static bool take_kilobytes(const char *text, const char *name, uint64_t *bytes)
{
    const char *at = find_line(text, name);
    uint64_t kilobytes;
    if (at == NULL)
        return false;
    at = skip_spaces(at);
    return take_number(&at, &kilobytes) && strncmp(at, " kB\n", 4) == 0 &&
           !__builtin_mul_overflow(kilobytes, 1024, bytes);
}

enum text_verdict machine_parse_memory(const char *text, struct memory_room *out)
{
    struct memory_room room;
    if (!take_kilobytes(text, "MemTotal:", &room.total) ||
        !take_kilobytes(text, "MemAvailable:", &room.available) || room.total == 0 ||
        room.available > room.total)
        return TEXT_BAD;
    *out = room;
    return TEXT_OK;
}

enum text_verdict machine_parse_pressure(const char *text, uint64_t *waited_us)
{
    static const char total[] = " total=";
    const char *at = find_line(text, "some ");
    if (at == NULL)
        return TEXT_BAD;
    const char *end = strchr(at, '\n');
    at = strstr(at, total);
    if (at == NULL || end == NULL || at > end)
        return TEXT_BAD;
    at += sizeof total - 1;
    return take_number(&at, waited_us) && at == end ? TEXT_OK : TEXT_BAD;
}

enum text_verdict machine_parse_cpu_limit(const char *text, double *cpus)
{
    uint64_t quota, period;
    if (strncmp(text, "max ", 4) == 0)
        return TEXT_NONE;
    if (!take_number(&text, &quota) || *text++ != ' ' || !take_number(&text, &period) ||
        *text != '\n' || period == 0)
        return TEXT_BAD;
    *cpus = (double)quota / (double)period;
    return TEXT_OK;
}

enum text_verdict machine_parse_bytes(const char *text, uint64_t *bytes)
{
    uint64_t number;
    if (strcmp(text, "max\n") == 0)
        return TEXT_NONE;
    if (!take_number(&text, &number) || *text != '\n')
        return TEXT_BAD;
    if (number >= V1_NO_LIMIT)
        return TEXT_NONE;
    *bytes = number;
    return TEXT_OK;
}

enum text_verdict machine_parse_key(const char *text, const char *key, uint64_t *out)
{
    size_t length = strlen(key);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) != 0 || line[length] != ' ')
            continue; /* a key may begin another one */
        line += length + 1;
        return take_number(&line, out) && *line == '\n' ? TEXT_OK : TEXT_BAD;
    }
    return TEXT_BAD;
}

enum text_verdict machine_parse_pages(const char *text, struct process_pages *out)
{
    struct process_pages pages;
    uint64_t size;
    if (!take_number(&text, &size) || *text++ != ' ' || !take_number(&text, &pages.resident) ||
        *text++ != ' ' || !take_number(&text, &pages.shared) || *text != ' ' ||
        pages.shared > pages.resident)
        return TEXT_BAD;
    *out = pages;
    return TEXT_OK;
}

enum text_verdict machine_parse_wait(const char *text, uint64_t *waited_ns)
{
    uint64_t ran;
    if (!take_number(&text, &ran) || *text++ != ' ' || !take_number(&text, waited_ns) ||
        *text != ' ')
        return TEXT_BAD;
    return TEXT_OK;
}
