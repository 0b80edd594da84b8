/* Tests of base/library: a library is loaded once, when it is called; one that is missing is told
 * of, and calls nobody. */
#include "base/library.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FUNCTION_LIST(X)                                                                           \
    X(sqlite3_libversion_number)                                                                   \
    X(sqlite3_sleep)

int sqlite3_libversion_number(void);
int sqlite3_sleep(int ms);

LIBRARY_DEFINE("libsqlite3.so.0", "libsqlite3-0");

int sqlite3_libversion_number(void)
{
    FORWARD(sqlite3_libversion_number, -1);
}

int sqlite3_sleep(int ms)
{
    FORWARD(sqlite3_sleep, -1, ms);
}

static bool is_mapped(const char *name)
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    bool found = false;
    assert_non_null(maps);
    while (!found && fgets(line, sizeof line, maps) != NULL)
        found = strstr(line, name) != NULL;
    fclose(maps);
    return found;
}

static void loads_when_called(void **state)
{
    (void)state;
    assert_false(is_mapped("libsqlite3"));
    assert_true(sqlite3_libversion_number() > 3000000);
    assert_true(is_mapped("libsqlite3"));
    assert_int_equal(sqlite3_sleep(0), 0);
}

/* What the process wrote to standard error meanwhile. */
static void said_of(struct library *of, size_t number, char *said, size_t size)
{
    int ends[2], kept = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    assert_null(library_entry(of, number));
    assert_null(library_entry(of, number)); /* is told of once */
    dup2(kept, STDERR_FILENO);
    close(ends[1]);
    close(kept);
    ssize_t got = read(ends[0], said, size - 1);
    said[got > 0 ? got : 0] = '\0';
    close(ends[0]);
}

static void tells_what_is_missing(void **state)
{
    static const char *const symbols[] = {"nothing"};
    void *entries[1];
    struct library missing = {.soname = "libof-nobody.so.7",
                              .package = "libof-nobody7",
                              .symbols = symbols,
                              .entries = entries,
                              .count = 1,
                              .lock = PTHREAD_MUTEX_INITIALIZER};
    char said[2048];
    (void)state;
    said_of(&missing, 0, said, sizeof said);
    assert_non_null(strstr(said, "libof-nobody7"));
    assert_null(strchr(strchr(said, '\n') + 1, '\n'));
}

static void tells_of_a_function_that_is_missing(void **state)
{
    static const char *const symbols[] = {"sqlite3_sleep", "sqlite3_of_nobody"};
    void *entries[2];
    struct library older = {.soname = "libsqlite3.so.0",
                            .package = "libsqlite3-0",
                            .symbols = symbols,
                            .entries = entries,
                            .count = 2,
                            .lock = PTHREAD_MUTEX_INITIALIZER};
    char said[2048];
    (void)state;
    said_of(&older, 0, said, sizeof said);
    assert_non_null(strstr(said, "sqlite3_of_nobody"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_when_called),
        cmocka_unit_test(tells_what_is_missing),
        cmocka_unit_test(tells_of_a_function_that_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
