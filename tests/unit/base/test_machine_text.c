/* The kernel's texts: real ones, cut off, garbage, and what says that there is no limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cgroup.h"
#include "base/machine_text.h"
#include "base/prng.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define UNTOUCHED 4711

/* ---- /proc/stat ---- */

static const char stat_text[] = "cpu  35753 44118 11542 56774 1473 7 710 109 5 3\n"
                                "cpu0 18583 21159 5410 28580 1099 3 337 50 5 3\n"
                                "intr 1054028 0 0 0\n"
                                "ctxt 7711\n";

static void test_cpu(void **state)
{
    (void)state;
    struct cpu_ticks ticks;
    assert_int_equal(machine_parse_cpu(stat_text, &ticks), TEXT_OK);
    /* Guests are in the user's time already; steal is busy; waiting for a disk is not. */
    assert_int_equal(ticks.total, 35753 + 44118 + 11542 + 56774 + 1473 + 7 + 710 + 109);
    assert_int_equal(ticks.busy, ticks.total - 56774 - 1473);
}

static void test_cpu_of_an_old_kernel(void **state)
{
    (void)state;
    struct cpu_ticks ticks;
    assert_int_equal(machine_parse_cpu("cpu 1 2 3 4\n", &ticks), TEXT_OK);
    assert_int_equal(ticks.total, 10);
    assert_int_equal(ticks.busy, 6);
}

/* ---- what all refuse: nothing is taken from a text that is not whole ---- */

static enum text_verdict parse_cpu(const char *text, uint64_t *out)
{
    struct cpu_ticks ticks = {UNTOUCHED, UNTOUCHED};
    enum text_verdict verdict = machine_parse_cpu(text, &ticks);
    *out = ticks.total;
    return verdict;
}

static enum text_verdict parse_memory(const char *text, uint64_t *out)
{
    struct memory_room room = {UNTOUCHED, UNTOUCHED};
    enum text_verdict verdict = machine_parse_memory(text, &room);
    *out = room.available;
    return verdict;
}

static enum text_verdict parse_limit(const char *text, uint64_t *out)
{
    double cpus = UNTOUCHED;
    enum text_verdict verdict = machine_parse_cpu_limit(text, &cpus);
    *out = (uint64_t)cpus;
    return verdict;
}

static enum text_verdict parse_usage(const char *text, uint64_t *out)
{
    return machine_parse_key(text, "usage_usec", out);
}

static enum text_verdict parse_pages(const char *text, uint64_t *out)
{
    struct process_pages pages = {UNTOUCHED, UNTOUCHED};
    enum text_verdict verdict = machine_parse_pages(text, &pages);
    *out = pages.resident;
    return verdict;
}

static const struct parser {
    const char *name;
    enum text_verdict (*parse)(const char *text, uint64_t *out);
    const char *whole; /* a text that is one */
    uint64_t value;
    size_t needed; /* bytes of it without which it is BAD */
} parsers[] = {
    {"stat", parse_cpu, stat_text, 150486, 48},
    {"meminfo", parse_memory,
     "MemTotal:       24731708 kB\nMemFree:        20694300 kB\nMemAvailable:   23665324 kB\n",
     23665324ULL * 1024, 84},
    {"pressure", machine_parse_pressure,
     "some avg10=86.10 avg60=33.16 avg300=10.11 total=41582888\n"
     "full avg10=0.00 avg60=0.00 avg300=0.00 total=9\n",
     41582888, 57},
    {"cpu.max", parse_limit, "400000 100000\n", 4, 14},
    {"memory.max", machine_parse_bytes, "1073741824\n", 1073741824, 11},
    {"cpu.stat", parse_usage, "usage_usec 123456\nuser_usec 5\n", 123456, 18},
    {"statm", parse_pages, "765 434 406 5 0 123 0\n", 434, 12},
    {"schedstat", machine_parse_wait, "5 62298 1\n", 62298, 8},
};
#define PARSERS (sizeof parsers / sizeof parsers[0])

static void test_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < PARSERS; i++) {
        uint64_t value = 0;
        if (parsers[i].parse(parsers[i].whole, &value) != TEXT_OK || value != parsers[i].value)
            fail_msg("%s: %llu", parsers[i].name, (unsigned long long)value);
    }
}

static void test_cut_off(void **state)
{
    (void)state;
    for (size_t i = 0; i < PARSERS; i++)
        for (size_t length = 0; length < strlen(parsers[i].whole); length++) {
            char text[256];
            uint64_t value = UNTOUCHED;
            memcpy(text, parsers[i].whole, length);
            text[length] = '\0';
            enum text_verdict verdict = parsers[i].parse(text, &value);
            bool is_enough = length >= parsers[i].needed;
            if ((verdict == TEXT_OK) != is_enough || (is_enough && value != parsers[i].value))
                fail_msg("%s cut to %zu bytes: %d, %llu", parsers[i].name, length, (int)verdict,
                         (unsigned long long)value);
        }
}

static void test_garbage(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "\n",
        "0",
        "-1\n",
        "nan\n",
        "cpu  a b c d\n",
        "cpu 1 2 3\n",
        "cpux 1 2 3 4\n",
        "cpu 1 2 3 99999999999999999999999\n",
        "MemTotal: 5 kB\n",
        "MemTotal: 5 kB\nMemAvailable: 6 kB\n", /* more than there is */
        "MemTotal: 0 kB\nMemAvailable: 0 kB\n",
        "MemTotal: 5\nMemAvailable: 5\n", /* of what? */
        "MemTotal: 18446744073709551615 kB\nMemAvailable: 1 kB\n",
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
        "some avg10=0.00\nfull total=5\n", /* the number of another line */
        "some avg10=0.00 total=5x\n",
        "100000\n",
        "100000 0\n",
        "usage_usec\n",
        "usage_usecs 5\n",
        "5 4 6 0\n", /* more shared than resident */
        "99999999999999999999999999\n",
    };
    for (size_t i = 0; i < PARSERS; i++)
        for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++) {
            uint64_t value = UNTOUCHED;
            bool fits =
                (strcmp(texts[k], "100000\n") == 0 && strcmp(parsers[i].name, "memory.max") == 0) ||
                (strcmp(texts[k], "5 4 6 0\n") == 0 && strcmp(parsers[i].name, "schedstat") == 0);
            if ((parsers[i].parse(texts[k], &value) == TEXT_OK) != fits)
                fail_msg("%s takes \"%s\"", parsers[i].name, texts[k]);
        }
}

/* Anything may come; nothing may be read beyond its end. */
static void test_noise(void **state)
{
    (void)state;
    static const char letters[] = "0123456789 \n:=kBmaxsometotalcpuMemAvailable\t-.";
    struct prng prng;
    prng_seed(&prng, 1);
    for (int round = 0; round < 20000; round++) {
        char text[64];
        size_t length = prng_below(&prng, sizeof text - 1);
        for (size_t i = 0; i < length; i++)
            text[i] = letters[prng_below(&prng, sizeof letters - 1)];
        text[length] = '\0';
        for (size_t i = 0; i < PARSERS; i++) {
            uint64_t value = UNTOUCHED;
            (void)!parsers[i].parse(text, &value);
        }
    }
}

/* ---- no limit is not a limit of 0 ---- */

static void test_no_limit(void **state)
{
    (void)state;
    uint64_t bytes = UNTOUCHED;
    double cpus = UNTOUCHED;
    assert_int_equal(machine_parse_bytes("max\n", &bytes), TEXT_NONE);
    assert_int_equal(machine_parse_bytes("9223372036854771712\n", &bytes), TEXT_NONE); /* v1 */
    assert_int_equal(machine_parse_cpu_limit("max 100000\n", &cpus), TEXT_NONE);
    assert_int_equal(bytes, UNTOUCHED);
    assert_true(cpus == UNTOUCHED);
    assert_int_equal(machine_parse_cpu_limit("50000 100000\n", &cpus), TEXT_OK);
    assert_true(cpus == 0.5);
}

static void test_a_key_among_others(void **state)
{
    (void)state;
    static const char text[] = "inactive_file_x 1\nactive_file 94556160\ntotal_inactive_file 3\n"
                               "inactive_file 105144320\ninactive_anon 7\n";
    uint64_t value;
    assert_int_equal(machine_parse_key(text, "inactive_file", &value), TEXT_OK);
    assert_int_equal(value, 105144320);
    assert_int_equal(machine_parse_key(text, "total_inactive_file", &value), TEXT_OK);
    assert_int_equal(value, 3);
    assert_int_equal(machine_parse_key(text, "file", &value), TEXT_BAD);
}

/* ---- /proc/self/cgroup ---- */

static void test_cgroups(void **state)
{
    (void)state;
    static const char hybrid[] = "4:memory:/a/b\n3:cpuset:/\n2:cpuacct,cpu:/c\n0::/u\n";
    static const struct {
        const char *text, *controller;
        enum cgroup_version version;
        const char *path;
    } rows[] = {
        {"0::/\n", "memory", CGROUP_V2, "/"}, /* in a container with a namespace of its own */
        {"0::/system.slice/moonwatch.service\n", "cpu", CGROUP_V2,
         "/system.slice/moonwatch.service"},
        {hybrid, "memory", CGROUP_V1, "/a/b"},
        {hybrid, "cpu", CGROUP_V1, "/c"},
        {hybrid, "io", CGROUP_V2, "/u"},
        {hybrid, "cpus", CGROUP_V2, "/u"},
        {"4:memory:/a/b", "memory", CGROUP_V1, "/a/b"},
        {"4:memory:/a/b\n", "cpu", CGROUP_NONE, ""},
        {"", "cpu", CGROUP_NONE, ""},
        {"0::\n", "cpu", CGROUP_NONE, ""},
        {"0:/\n", "cpu", CGROUP_NONE, ""},
        {"garbage\n", "cpu", CGROUP_NONE, ""},
        {"3:cpu,memory,io:/x\n", "memory", CGROUP_V1, "/x"},
        {"0::/hybrid\n4:memory:/v1\n", "memory", CGROUP_V1, "/v1"},
        {"1:name=systemd:/a:b\n0::/a:b\n", "memory", CGROUP_V2, "/a:b"},
        {"3:cpu:/x\n2:memoryx,xmemory:/y\n", "memory", CGROUP_NONE, ""},
        {"0::relative\n", "memory", CGROUP_NONE, ""},
        {"5::/x\n", "memory", CGROUP_NONE, ""},
        {"0:\n0\n\n", "memory", CGROUP_NONE, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[PATH_MAX] = "";
        assert_int_equal(cgroup_parse(rows[i].text, rows[i].controller, path), rows[i].version);
        assert_string_equal(path, rows[i].path);
    }
}

static void test_a_path_too_long(void **state)
{
    (void)state;
    char text[PATH_MAX + 64] = "0::/", path[PATH_MAX] = "";
    memset(text + 4, 'x', PATH_MAX - 2); /* PATH_MAX - 1 characters: just fits */
    assert_int_equal(cgroup_parse(text, "memory", path), CGROUP_V2);
    assert_int_equal(strlen(path), PATH_MAX - 1);
    text[4 + PATH_MAX - 2] = 'x';
    assert_int_equal(cgroup_parse(text, "memory", path), CGROUP_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu),      cmocka_unit_test(test_cpu_of_an_old_kernel),
        cmocka_unit_test(test_whole),    cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_garbage),  cmocka_unit_test(test_noise),
        cmocka_unit_test(test_no_limit), cmocka_unit_test(test_a_key_among_others),
        cmocka_unit_test(test_cgroups),  cmocka_unit_test(test_a_path_too_long),
    };
    return cmocka_run_group_tests_name("base.machine_text", tests, NULL, NULL);
}
