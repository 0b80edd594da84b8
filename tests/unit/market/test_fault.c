/* Faults: what is accepted, when they strike, when they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "market/fault.h"
#include <string.h>

static const instant start_time = {1000000000};
static struct faults faults;

static int start(void **state)
{
    (void)state;
    memset(&faults, 0, sizeof faults);
    prng_seed(&faults.prng, 1);
    return 0;
}

static void add(const char *text)
{
    char why[FAULT_MESSAGE_SIZE];
    assert_int_equal(faults_add(&faults, text, strlen(text), start_time, why), OK);
}

static instant after(double seconds)
{
    return instant_add(start_time, duration_s(seconds));
}

static bool strikes(enum route_kind kind, double seconds)
{
    struct strike strike;
    faults_strike(&faults, kind, after(seconds), &strike);
    return strike.is_struck;
}

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {{"", "not JSON"},
                 {"{", "not JSON"},
                 {"[]", "object"},
                 {"{}", "\"fault\" must be"},
                 {"{\"fault\":\"slwo\"}", "unknown fault \"slwo\""},
                 {"{\"fault\":\"slow\",\"mss\":1}", "unknown member \"mss\""},
                 {"{\"fault\":\"slow\",\"ms\":\"1\"}", "\"ms\" must be a number"},
                 {"{\"fault\":\"slow\",\"ms\":-1}", "\"ms\" must be from"},
                 {"{\"fault\":\"slow\",\"probability\":2}", "\"probability\""},
                 {"{\"fault\":\"slow\",\"kind\":\"token\"}", "\"kind\" must be"},
                 {"{\"fault\":\"slow\",\"kind\":5}", "\"kind\" must be"},
                 {"{\"fault\":\"slow\",\"count\":0}", "\"count\""},
                 {"{\"fault\":\"slow\",\"seconds\":0}", "\"seconds\""},
                 {"{\"fault\":\"status\",\"status\":404}", "\"status\" must be 500"},
                 {"{\"fault\":\"slow\",\"fault\":\"hang\"}", "not JSON"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char why[FAULT_MESSAGE_SIZE] = "";
        assert_int_equal(faults_add(&faults, cases[i].text, strlen(cases[i].text), start_time, why),
                         ERR_INVALID);
        if (strstr(why, cases[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", why, cases[i].says);
        assert_int_equal(faults.count, 0);
    }
}

static void a_filter_spares_the_others(void **state)
{
    (void)state;
    add("{\"fault\":\"reset\",\"kind\":\"screen\"}");
    assert_true(strikes(ROUTE_SCREEN, 0));
    assert_false(strikes(ROUTE_REFRESH, 0));
    add("{\"fault\":\"reset\",\"kind\":\"all\"}");
    assert_true(strikes(ROUTE_REFRESH, 0));
}

static void it_ends_after_its_count(void **state)
{
    (void)state;
    add("{\"fault\":\"empty\",\"count\":2}");
    assert_true(strikes(ROUTE_SCREEN, 0));
    assert_true(strikes(ROUTE_SCREEN, 0));
    assert_false(strikes(ROUTE_SCREEN, 0));
    faults_expire(&faults, after(0));
    assert_int_equal(faults.count, 0);
}

static void it_ends_after_its_time(void **state)
{
    (void)state;
    add("{\"fault\":\"empty\",\"seconds\":5}");
    assert_true(strikes(ROUTE_SCREEN, 4.9));
    assert_false(strikes(ROUTE_SCREEN, 5.1));
    faults_expire(&faults, after(5.1));
    assert_int_equal(faults.count, 0);
}

static void probability_is_kept(void **state)
{
    unsigned struck = 0;
    (void)state;
    add("{\"fault\":\"half\",\"probability\":0.3}");
    for (int i = 0; i < 10000; i++)
        struck += strikes(ROUTE_SCREEN, 0);
    assert_in_range(struck, 2800, 3200);
}

static void delays_add_up_and_the_first_answer_counts(void **state)
{
    struct strike strike;
    (void)state;
    add("{\"fault\":\"slow\",\"ms\":100}");
    add("{\"fault\":\"status\",\"status\":502}");
    add("{\"fault\":\"empty\"}");
    add("{\"fault\":\"slow\",\"ms\":20}");
    faults_strike(&faults, ROUTE_SCREEN, start_time, &strike);
    assert_int_equal(strike.delay_ms, 120);
    assert_true(strike.is_struck);
    assert_int_equal(strike.fault.type, FAULT_STATUS);
    assert_int_equal(strike.fault.status, 502);
}

static void the_list_is_bounded(void **state)
{
    char why[FAULT_MESSAGE_SIZE];
    static const char text[] = "{\"fault\":\"slow\"}";
    (void)state;
    for (int i = 0; i < FAULTS_MAX; i++)
        add(text);
    assert_int_equal(faults_add(&faults, text, strlen(text), start_time, why), ERR_FULL);
    assert_int_equal(faults_remove(&faults, FAULT_SLOW), FAULTS_MAX);
    assert_int_equal(faults_clear(&faults), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(mistakes_are_named, start),
        cmocka_unit_test_setup(a_filter_spares_the_others, start),
        cmocka_unit_test_setup(it_ends_after_its_count, start),
        cmocka_unit_test_setup(it_ends_after_its_time, start),
        cmocka_unit_test_setup(probability_is_kept, start),
        cmocka_unit_test_setup(delays_add_up_and_the_first_answer_counts, start),
        cmocka_unit_test_setup(the_list_is_bounded, start)};
    return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
