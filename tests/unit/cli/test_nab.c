/* The scorer of labelled series against what its rules say by hand, and the detector on the real
 * ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/nab.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CORPUS SOURCE_ROOT "/../shared/data/nab-dev"
#define ROWS   100 /* of a series; 15 count for nothing */

/* ---- a corpus of two series, with a window each at rows 40 to 59 ---- */

static char folder[] = "/tmp/moonwatch-nab-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static FILE *create(const char *name)
{
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    return file;
}

static int make_corpus(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(mkdir(path_of("data"), 0700), 0);
    for (int s = 0; s < 2; s++) {
        FILE *file = create(s == 0 ? "data/a.csv" : "data/b.csv");
        fputs("timestamp,value\n", file);
        for (int row = 0; row < ROWS; row++)
            fprintf(file, "1970-01-01 00:%02d:%02d,%d\n", row / 60, row % 60, row);
        fclose(file);
    }
    FILE *file = create("windows.json");
    fputs("{\"a.csv\": [[\"1970-01-01 00:00:40.000000\", \"1970-01-01 00:00:59\"]],"
          " \"b.csv\": [[\"1970-01-01 00:00:40\", \"1970-01-01 00:00:59\"]]}",
          file);
    fclose(file);
    return 0;
}

static int remove_corpus(void **state)
{
    (void)state;
    unlink(path_of("data/a.csv"));
    unlink(path_of("data/b.csv"));
    unlink(path_of("windows.json"));
    rmdir(path_of("data"));
    return rmdir(folder);
}

static double squashed(double y)
{
    return 2 / (1 + exp(5 * y)) - 1;
}

static void follows_the_rules(void **state)
{
    (void)state;
    const struct {
        size_t rows[4]; /* of the first series, detected besides the left edge of the second */
        double first;   /* what they come to: −1, 1 or between */
    } table[] = {
        {{40}, 1},
        {{0}, -1},     /* counts for nothing */
        {{14, 40}, 1}, /* neither does this */
        {{50}, squashed(-0.5) / squashed(-1)},
        {{45, 50, 59}, squashed(-0.75) / squashed(-1)}, /* the first of them */
        {{40, 20}, 1 - 0.11},                           /* no window yet: in full */
        {{40, 60}, 1 + 0.11 * squashed(1.0 / 19)},
        {{40, 99}, 1 + 0.11 * squashed(40.0 / 19)},
        {{20, 30}, -1 - 0.22},
    };
    static struct nab nab;
    char why[NAB_WHY_SIZE];
    assert_true(nab_load(&nab, folder, why));
    assert_int_equal(nab.count, 2);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        for (size_t s = 0; s < 2; s++)
            for (size_t row = 0; row < ROWS; row++)
                nab.series[s].rows[row].score = 0;
        nab.series[1].rows[40].score = 1;
        for (size_t r = 0; r < 4; r++)
            nab.series[0].rows[table[i].rows[r]].score = 1;
        struct nab_score score = nab_judge(&nab);
        double want = 100 * (table[i].first + 1 + 2) / 4;
        if (fabs(score.score[NAB_STANDARD] - want) > 1e-9)
            fail_msg("row %zu of the table: %.6f, not %.6f", i, score.score[NAB_STANDARD], want);
    }
    nab_finish(&nab);
}

static void takes_the_best_threshold(void **state)
{
    (void)state;
    static struct nab nab;
    char why[NAB_WHY_SIZE];
    assert_true(nab_load(&nab, folder, why));
    nab.series[0].rows[40].score = nab.series[1].rows[40].score = 0.7;
    for (size_t row = 70; row < ROWS; row++)
        nab.series[0].rows[row].score = 0.6;
    struct nab_score score = nab_judge(&nab);
    for (int profile = 0; profile < NAB_PROFILE_COUNT; profile++) {
        assert_true(fabs(score.score[profile] - 100) < 1e-9);
        assert_true(score.threshold[profile] == 0.7);
    }
    nab_finish(&nab);
}

static void says_what_is_missing(void **state)
{
    (void)state;
    static struct nab nab;
    char why[NAB_WHY_SIZE];
    assert_false(nab_load(&nab, "/nowhere", why));
    assert_non_null(strstr(why, "/nowhere/windows.json"));
    nab_finish(&nab);
}

/* Not less than the best detector that is published for this half (ARTime, 70.2). */
static void finds_what_people_labelled(void **state)
{
    (void)state;
    static struct nab nab;
    char why[NAB_WHY_SIZE];
    if (access(CORPUS "/windows.json", R_OK) != 0) {
        print_message("# skipped: no recorded data\n");
        return;
    }
    if (!nab_load(&nab, CORPUS, why))
        fail_msg("%s", why);
    nab_detect(&nab, anomaly_default_constants());
    struct nab_score score = nab_judge(&nab);
    print_message("# standard %.2f, low FP %.2f, low FN %.2f\n", score.score[NAB_STANDARD],
                  score.score[NAB_LOW_FP], score.score[NAB_LOW_FN]);
    if (score.score[NAB_STANDARD] < 70)
        fail_msg("standard %.2f, not 70 or more", score.score[NAB_STANDARD]);
    nab_finish(&nab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_rules),
        cmocka_unit_test(takes_the_best_threshold),
        cmocka_unit_test(says_what_is_missing),
        cmocka_unit_test(finds_what_people_labelled),
    };
    return cmocka_run_group_tests_name("cli.nab", tests, make_corpus, remove_corpus);
}
