#include "base/err.h"
#include "base/prng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define DRAWS 200000

/* The first outputs of the authors' own code from the state {1, 2, 3, 4}. */
static void test_reference_sequence(void **state)
{
    (void)state;
    static const uint64_t expected[] = {
        11520ULL,
        0ULL,
        1509978240ULL,
        1215971899390074240ULL,
        1216172134540287360ULL,
        607988272756665600ULL,
        16172922978634559625ULL,
        8476171486693032832ULL,
        10595114339597558777ULL,
        2904607092377533576ULL,
    };
    struct prng prng = {{1, 2, 3, 4}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_true(prng_next(&prng) == expected[i]);
}

/* splitmix64's published sequence for the seed 1234567. */
static void test_seeding(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 1234567);
    assert_true(prng.state[0] == 6457827717110365317ULL);
    assert_true(prng.state[1] == 3203168211198807973ULL);
    assert_true(prng.state[2] == 9817491932198370423ULL);
    assert_true(prng.state[3] == 4593380528125082431ULL);
}

static void test_below_is_uniform(void **state)
{
    (void)state;
    struct prng prng;
    unsigned seen[7] = {0};
    prng_seed(&prng, 1);
    for (int i = 0; i < DRAWS; i++)
        seen[prng_below(&prng, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_in_range(seen[i], DRAWS / 7 - 1000, DRAWS / 7 + 1000); /* six deviations */
    assert_int_equal(prng_below(&prng, 1), 0);
    for (int i = 0; i < 1000; i++)
        assert_true(prng_below(&prng, UINT64_MAX) < UINT64_MAX);
}

struct moments {
    double mean, deviation;
};

static struct moments moments_of(double (*draw)(struct prng *))
{
    struct prng prng;
    double sum = 0, squares = 0;
    prng_seed(&prng, 2);
    for (int i = 0; i < DRAWS; i++) {
        double x = draw(&prng);
        assert_true(isfinite(x));
        sum += x;
        squares += x * x;
    }
    double mean = sum / DRAWS;
    return (struct moments){mean, sqrt(squares / DRAWS - mean * mean)};
}

static double draw_exponential(struct prng *prng)
{
    double x = prng_exponential(prng, 3);
    assert_true(x >= 0);
    return x;
}

static double draw_pareto(struct prng *prng)
{
    double x = prng_pareto(prng, 3);
    assert_true(x >= 1);
    return x;
}

static double draw_unit(struct prng *prng)
{
    double x = prng_unit(prng);
    assert_true(x >= 0 && x < 1);
    return x;
}

static void test_distributions(void **state)
{
    (void)state;
    struct moments unit = moments_of(draw_unit), normal = moments_of(prng_normal);
    struct moments exponential = moments_of(draw_exponential), pareto = moments_of(draw_pareto);
    assert_true(fabs(unit.mean - 0.5) < 0.005 && fabs(unit.deviation - sqrt(1.0 / 12)) < 0.005);
    assert_true(fabs(normal.mean) < 0.02 && fabs(normal.deviation - 1) < 0.02);
    assert_true(fabs(exponential.mean - 3) < 0.05 && fabs(exponential.deviation - 3) < 0.1);
    assert_true(fabs(pareto.mean - 1.5) < 0.02);
}

static void test_error_texts(void **state)
{
    (void)state;
    assert_string_equal(err_text(OK), "ok");
    assert_string_equal(err_text(ERR_FENCED), "a newer engine has taken over");
    assert_string_equal(err_text((enum err)9999), "unknown error");
    assert_string_equal(err_text((enum err) - 1), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_sequence), cmocka_unit_test(test_seeding),
        cmocka_unit_test(test_below_is_uniform),   cmocka_unit_test(test_distributions),
        cmocka_unit_test(test_error_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
