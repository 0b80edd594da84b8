/* The largest events of the past, the covering of states, and the usual day. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"
#include "core/day_profile.h"
#include "core/novelty.h"
#include "core/peaks.h"
#include <math.h>
#include <string.h>

#define DAY_S  86400.0
#define SLOT_S (DAY_S / DAY_SLOTS)

static void assert_near(double value, double want)
{
    if (!(fabs(value - want) <= 1e-9 * (1 + fabs(want))))
        fail_msg("%.12g is not %.12g", value, want);
}

/* ---- peaks ---- */

/* Events of these sizes, far from each other. */
static struct peaks peaks_of(uint32_t kept, const double *sizes, size_t count)
{
    struct peaks peaks;
    peaks_init(&peaks, kept);
    for (size_t i = 0; i < count; i++)
        peaks_add(&peaks, sizes[i], 10 * (i + 1), 5);
    return peaks;
}

static void ranks_a_value(void **state)
{
    (void)state;
    const double sizes[] = {1, 4, 2, 3, 0.5};
    struct peaks peaks = peaks_of(4, sizes, 5); /* keeps 4, 3, 2, 1 */
    static const struct {
        double value, surprise_of_rank;
    } table[] = {{0, 4}, {1, 4}, {2, 3}, {3, 2}, {4, 1}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_near(peaks_surprise(&peaks, table[i].value, 0.5),
                    log(5 / (table[i].surprise_of_rank + 1)));
    assert_near(peaks_surprise(&peaks, 2.5, 0.5), log(5.0 / 3) + 0.5 * log(3.0 / 2));
    assert_near(peaks_surprise(&peaks, NAN, 0.5), 0);
}

/* An exponential tail through the upper half: from 4 down to 2, a third of the events are left. */
static void ranks_a_record_by_how_far_it_goes(void **state)
{
    (void)state;
    const double sizes[] = {1, 4, 2, 3};
    struct peaks peaks = peaks_of(4, sizes, 4);
    assert_near(peaks_surprise(&peaks, 6, 0.5), log(5) + 0.5 * log(3));
    assert_near(peaks_surprise(&peaks, 6, 0), log(5));
    assert_near(peaks_surprise(&peaks, 1e9, 0.5), log(5) + 0.5 * PEAKS_BEYOND_MOST);
    const double same[] = {7, 7, 7, 7};
    peaks = peaks_of(4, same, 4);
    assert_near(peaks_surprise(&peaks, 7, 0.5), 0);
    assert_near(peaks_surprise(&peaks, 7.001, 0.5), log(5) + 0.5 * PEAKS_BEYOND_MOST);
}

static void values_close_by_are_one_event(void **state)
{
    (void)state;
    struct peaks peaks;
    peaks_init(&peaks, 3);
    const double burst[] = {5, 7, 6, 9, 1};
    for (size_t i = 0; i < 5; i++)
        peaks_add(&peaks, burst[i], i + 1, 10);
    assert_int_equal(peaks.count, 1);
    assert_near(peaks.size[0], 9);
    peaks_add(&peaks, 8, 11, 10); /* ten after the first of them */
    assert_int_equal(peaks.count, 2);
    peaks_add(&peaks, 10, 12, 10);
    assert_int_equal(peaks.count, 2);
    assert_near(peaks.size[0], 10);
    assert_near(peaks.size[1], 9);
}

static void what_is_old_is_forgotten(void **state)
{
    (void)state;
    struct peaks peaks;
    peaks_init(&peaks, 4);
    uint64_t now = 0;
    for (int i = 0; i < 8; i++)
        peaks_add(&peaks, 100 + i, now += 100, 50);
    assert_near(peaks_surprise(&peaks, 50, 0.5), 0);
    struct prng prng;
    prng_seed(&prng, 1);
    for (int i = 0; i < PEAKS_HORIZON; i++)
        peaks_add(&peaks, prng_unit(&prng), ++now, 50);
    assert_int_equal(peaks.count, 4); /* it never has too few to compare with */
    assert_true(peaks.size[0] < 1.0);
    assert_true(peaks_surprise(&peaks, 50, 0.5) > log(5));
    assert_true(peaks_surprise(&peaks, 0.5, 0.5) == 0);
}

/* Whatever comes: in order, as many as were ever there, none older than the horizon. */
static void stays_in_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct prng prng;
        struct peaks peaks;
        prng_seed(&prng, seed);
        peaks_init(&peaks, 2 + (uint32_t)prng_below(&prng, PEAKS_MOST - 1));
        uint64_t now = 0;
        uint32_t before = 0;
        for (int i = 0; i < 3000; i++) {
            now += 1 + (prng_below(&prng, 10) == 0 ? prng_below(&prng, PEAKS_HORIZON / 4) : 0);
            double value = prng_below(&prng, 3) == 0 ? 1 : 10 * prng_unit(&prng) - 5;
            peaks_add(&peaks, value, now, (double)prng_below(&prng, 50));
            assert_true(peaks.count >= before && peaks.count <= peaks.kept);
            assert_true(peaks.newest < peaks.count);
            before = peaks.count;
            for (uint32_t p = 0; p < peaks.count; p++) {
                assert_true(p == 0 || peaks.size[p - 1] >= peaks.size[p]);
                assert_true(peaks.at[p] + PEAKS_HORIZON > now && peaks.at[p] <= now);
            }
        }
    }
}

/* ---- novelty ---- */

static void knows_where_it_has_been(void **state)
{
    (void)state;
    struct novelty novelty = {0};
    struct prng prng;
    prng_seed(&prng, 1);
    assert_near(novelty_add(&novelty, (const double[]){0, 0, 0}, 0.1), 0);
    assert_near(novelty_add(&novelty, (const double[]){3, 4, 0}, 0.1), 5);
    assert_near(novelty_add(&novelty, (const double[]){3, 4, 0}, 0.1), 0);
    assert_near(novelty_add(&novelty, (const double[]){3, 4, 0.05}, 0.1), 0.05);
    for (int i = 0; i < 20000; i++) {
        double state_now[] = {prng_unit(&prng), prng_unit(&prng), prng_unit(&prng)};
        novelty_add(&novelty, state_now, 0.1);
        assert_true(novelty.count <= NOVELTY_PLACES);
        assert_true(novelty_add(&novelty, state_now, 0.1) <= novelty.radius);
    }
    assert_true(novelty.radius < 1);
    assert_true(novelty_add(&novelty, (const double[]){-5, -5, -5}, 0.1) > 5);
}

/* ---- the usual day ---- */

static void knows_the_usual_day(void **state)
{
    (void)state;
    struct day_profile profile;
    day_profile_init(&profile);
    double start = -10 * DAY_S; /* before 1970, too */
    for (int day = 0; day < 20; day++)
        for (int slot = 0; slot < DAY_SLOTS; slot++)
            for (int i = 0; i < 3; i++) {
                double t_s = start + day * DAY_S + slot * SLOT_S + i * SLOT_S / 3;
                double off = day_profile_add(&profile, t_s, slot + i, 3);
                if (day == 0)
                    assert_true(isnan(off));
                else
                    assert_near(off, i - 1); /* from the slot's mean */
            }
}

static void what_happens_now_is_not_usual_yet(void **state)
{
    (void)state;
    struct day_profile profile;
    day_profile_init(&profile);
    for (int i = 0; i < 1000; i++) /* one a second within a slot, for the first time */
        assert_true(isnan(day_profile_add(&profile, i % 900, 5, 3)));
    assert_true(isnan(day_profile_add(&profile, 900, 5, 3)));
    assert_near(day_profile_add(&profile, 1, 9, 3), 4);
    assert_near(day_profile_add(&profile, 2, 9, 3), 4);
    assert_true(isnan(day_profile_add(&profile, NAN, 9, 3)));
    assert_true(isnan(day_profile_add(&profile, INFINITY, 9, 3)));
}

static void weighs_days_by_their_age(void **state)
{
    (void)state;
    struct day_profile profile;
    day_profile_init(&profile);
    const double days[] = {3, 6, 9, 0};
    for (size_t day = 0; day < 4; day++) {
        day_profile_add(&profile, (double)day * DAY_S, days[day], 3);
        day_profile_add(&profile, (double)day * DAY_S + SLOT_S, 0, 3);
    }
    assert_near(day_profile_add(&profile, 4 * DAY_S, 10, 3), 10 - (3 + 6 + 9) / 3.0 * 2 / 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_a_value),
        cmocka_unit_test(ranks_a_record_by_how_far_it_goes),
        cmocka_unit_test(values_close_by_are_one_event),
        cmocka_unit_test(what_is_old_is_forgotten),
        cmocka_unit_test(stays_in_order),
        cmocka_unit_test(knows_where_it_has_been),
        cmocka_unit_test(knows_the_usual_day),
        cmocka_unit_test(what_happens_now_is_not_usual_yet),
        cmocka_unit_test(weighs_days_by_their_age),
    };
    return cmocka_run_group_tests_name("core.peaks", tests, NULL, NULL);
}
