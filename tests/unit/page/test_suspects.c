#include "page/suspects.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define T0    1790000000000000LL
#define A_DAY 86400

static struct suspects suspects;
static struct in_hand in_hand;

static int fresh(void **state)
{
    (void)state;
    memset(&suspects, 0, sizeof suspects);
    memset(&in_hand, 0, sizeof in_hand);
    return 0;
}

static instant at_s(double s)
{
    return instant_add((instant){T0}, duration_s(s));
}

static struct address mint(int n)
{
    struct address address = {{0}};
    address.bytes[0] = (uint8_t)(1 + n / 256);
    address.bytes[1] = (uint8_t)(n % 256);
    return address;
}

/* Tokens `first` … in hand at a death. Returns how many went into quarantine. */
static size_t die_with(int first, uint32_t count, double s)
{
    in_hand.lane = 2;
    for (uint32_t i = 0; i < count && i < IN_HAND_MAX; i++)
        in_hand.mints[i] = mint(first + (int)i);
    in_hand.count = count;
    return suspects_on_death(&suspects, &in_hand, at_s(s), duration_s(A_DAY));
}

static struct suspect *find(int n)
{
    struct address address = mint(n);
    return suspects_find(&suspects, &address);
}

static void assert_counts(size_t watched, size_t quarantined)
{
    assert_int_equal(suspects_count(&suspects, SUSPECT_WATCHED), watched);
    assert_int_equal(suspects_count(&suspects, SUSPECT_QUARANTINED), quarantined);
    assert_int_equal(suspects_count(&suspects, SUSPECT_NONE), SUSPECTS_MAX - watched - quarantined);
}

/* ---- deaths ---- */

static void test_nothing_in_hand(void **state)
{
    (void)state;
    assert_int_equal(die_with(0, 0, 0), 0);
    assert_counts(0, 0);
}

/* Whose hand it was: the thread's that fell; of one without a hand, or unknown, anybody's. */
static void test_hands_of_a_death(void **state)
{
    static struct in_hand hands[HANDS_MAX];
    static const struct {
        uint64_t thread;
        uint32_t expected;
    } rows[] = {
        {100, 1 << 0}, {102, 1 << 2}, {101, 0}, {99, 1 << 0 | 1 << 2}, {0, 1 << 0 | 1 << 2}};
    (void)state;
    for (int i = 0; i < 3; i++)
        hands[i].thread = 100 + (uint64_t)i;
    hands[0].count = 30;
    hands[2].count = 1;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(hands_of_death(hands, rows[i].thread), rows[i].expected);
    hands[0].count = hands[2].count = 0;
    assert_int_equal(hands_of_death(hands, 0), 0);
}

static void test_suspect_then_quarantined(void **state)
{
    (void)state;
    assert_int_equal(die_with(0, 3, 0), 0);
    assert_counts(3, 0);
    assert_int_equal(find(1)->deaths, 1);
    assert_int_equal(find(1)->lane, 2);
    assert_int_equal(find(1)->since_us, T0);
    assert_null(find(3));

    assert_int_equal(die_with(1, 1, 10), 1);
    assert_counts(2, 1);
    assert_int_equal(find(1)->state, SUSPECT_QUARANTINED);
    assert_int_equal(find(1)->deaths, 2);
    assert_int_equal(find(1)->until_us, at_s(10 + A_DAY).us);
    assert_int_equal(find(0)->state, SUSPECT_WATCHED);
}

/* Several pools of one token in one request: one death. */
static void test_a_token_twice_in_hand(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        in_hand.mints[i] = mint(i % 2);
    in_hand.count = 4;
    assert_int_equal(suspects_on_death(&suspects, &in_hand, at_s(0), duration_s(A_DAY)), 0);
    assert_counts(2, 0);
    assert_int_equal(suspects_on_death(&suspects, &in_hand, at_s(1), duration_s(A_DAY)), 2);
    assert_counts(0, 2);
    assert_int_equal(find(0)->deaths, 2);
}

static void test_quarantined_once(void **state)
{
    (void)state;
    die_with(0, 1, 0);
    assert_int_equal(die_with(0, 1, 1), 1);
    assert_int_equal(die_with(0, 1, 2), 0); /* it is there already, and stays longer */
    assert_int_equal(find(0)->until_us, at_s(2 + A_DAY).us);
    find(0)->deaths = UINT32_MAX;
    assert_int_equal(die_with(0, 1, 3), 0);
    assert_true(find(0)->deaths == UINT32_MAX);
}

static void test_cleared(void **state)
{
    (void)state;
    die_with(0, 2, 0);
    suspect_clear(find(0));
    assert_null(find(0));
    assert_counts(1, 0);
    assert_int_equal(die_with(0, 1, 10), 0); /* as if never suspected */
}

static void test_released(void **state)
{
    (void)state;
    die_with(0, 1, 0);
    die_with(0, 1, 1);
    suspect_release(find(0));
    assert_counts(1, 0);
    assert_int_equal(find(0)->until_us, 0);
    assert_int_equal(die_with(0, 1, 2), 1); /* once more, and it is back */
}

static void test_expired(void **state)
{
    (void)state;
    assert_null(suspects_expired(&suspects, at_s(0)));
    die_with(0, 2, 0);
    die_with(1, 1, 1);
    assert_null(suspects_expired(&suspects, at_s(A_DAY)));
    assert_ptr_equal(suspects_expired(&suspects, at_s(1 + A_DAY)), find(1));
    suspect_release(find(1));
    assert_null(suspects_expired(&suspects, at_s(1 + A_DAY)));
}

/* ---- a full list ---- */

static void test_the_oldest_suspect_goes(void **state)
{
    (void)state;
    for (int i = 0; i < SUSPECTS_MAX; i++)
        die_with(i, 1, i);
    assert_counts(SUSPECTS_MAX, 0);
    die_with(0, 1, 200);    /* quarantined: stays */
    die_with(1000, 1, 201); /* in the place of the oldest suspect, which is 1 */
    assert_counts(SUSPECTS_MAX - 1, 1);
    assert_non_null(find(0));
    assert_null(find(1));
    assert_non_null(find(1000));
}

/* Wherever it stands: rows are used again. */
static void test_the_oldest_suspect_is_the_last(void **state)
{
    (void)state;
    for (int i = 0; i < SUSPECTS_MAX; i++)
        die_with(i, 1, SUSPECTS_MAX - i);
    die_with(1000, 1, 201);
    assert_null(find(SUSPECTS_MAX - 1));
    assert_non_null(find(0));
    assert_non_null(find(1000));
}

static void test_all_in_quarantine(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < SUSPECTS_MAX; i++)
            die_with(i, 1, i);
    assert_counts(0, SUSPECTS_MAX);
    die_with(1000, 1, 1000);
    assert_null(find(1000));
    assert_counts(0, SUSPECTS_MAX);
}

/* What a dying engine left. */
static void test_a_count_of_no_sense(void **state)
{
    (void)state;
    for (int i = 0; i < IN_HAND_MAX; i++)
        in_hand.mints[i] = mint(i);
    in_hand.count = UINT32_MAX;
    suspects_on_death(&suspects, &in_hand, at_s(0), duration_s(A_DAY));
    assert_counts(IN_HAND_MAX, 0);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(suspect_state_name(SUSPECT_NONE), "clear");
    assert_string_equal(suspect_state_name(SUSPECT_WATCHED), "suspect");
    assert_string_equal(suspect_state_name(SUSPECT_QUARANTINED), "quarantined");
    assert_string_equal(suspect_state_name(SUSPECT_STATE_COUNT), "unknown");
}

/* ---- as text ---- */

#define MINT  "So11111111111111111111111111111111111111112"
#define OTHER "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"

static size_t parse(const char *text)
{
    return suspects_parse(&suspects, text, strlen(text));
}

static void test_text_there_and_back(void **state)
{
    (void)state;
    static char text[SUSPECTS_MAX * 128];
    static struct suspects again;
    die_with(0, 30, 0);
    die_with(3, 5, 1);
    size_t length = suspects_format(&suspects, text, sizeof text);
    assert_int_equal(length, strlen(text));
    memset(&again, 0, sizeof again);
    assert_int_equal(suspects_parse(&again, text, length), 0);
    assert_memory_equal(&again, &suspects, sizeof again);
}

static void test_text_of_nobody(void **state)
{
    (void)state;
    char text[16] = "x";
    assert_int_equal(suspects_format(&suspects, text, sizeof text), 0);
    assert_string_equal(text, "");
    assert_int_equal(parse(""), 0);
    assert_counts(0, 0);
}

/* Whole lines, as many as fit. */
static void test_text_cut(void **state)
{
    (void)state;
    char text[400];
    die_with(0, 3, 0);
    size_t all = suspects_format(&suspects, text, sizeof text);
    for (size_t size = 1; size <= all + 1; size++) {
        memset(text, 'x', sizeof text);
        size_t length = suspects_format(&suspects, text, size);
        assert_int_equal(length, strlen(text));
        assert_true(length < size);
        assert_true(length == 0 || text[length - 1] == '\n');
    }
    assert_int_equal(suspects_format(&suspects, text, all), all / 3 * 2);
}

static void test_lines_that_are_taken(void **state)
{
    (void)state;
    assert_int_equal(parse(MINT " suspect 1 0 1790000000000000 0\n" OTHER
                                " quarantined 4294967295 2 -1 -9223372036854775808"),
                     0);
    assert_counts(1, 1);
}

/* A file says that it never was in hand at a death: the next one is its first. */
static void test_a_line_without_deaths(void **state)
{
    (void)state;
    assert_int_equal(parse(MINT " suspect 0 0 1 0\n"), 0);
    in_hand.mints[0] = suspects.rows[0].mint;
    in_hand.count = 1;
    assert_int_equal(suspects_on_death(&suspects, &in_hand, at_s(0), duration_s(A_DAY)), 0);
    assert_counts(1, 0);
    assert_int_equal(suspects.rows[0].deaths, 1);
}

static void test_lines_that_are_not(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "\n",
        "nonsense\n",
        "x suspect 1 0 1 0\n",
        MINT " clear 1 0 1 0\n",
        MINT " suspec 1 0 1 0\n",
        MINT " suspects 1 0 1 0\n",
        MINT " suspecx 1 0 1 0\n",
        MINT " suspect -1 0 1 0\n",
        MINT " suspect 4294967296 0 1 0\n",
        MINT " suspect 1 x 1 0\n",
        MINT " suspect 1 0 99999999999999999999 0\n",
        MINT " suspect 1 0 1 0x\n",
        MINT " suspect 1 0 1\n",
        MINT " suspect 1 0 1 0 \n",
        MINT " suspect 1 0 1 0 7\n",
        MINT "  suspect 1 0 1 0\n",
        " " MINT " suspect 1 0 1 0\n",
        MINT " suspect 1 0 1 ",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (parse(lines[i]) != 1)
            fail_msg("was taken: %s", lines[i]);
    assert_counts(0, 0);
    static const char with_nul[] = MINT " suspect 1 0 1 0\0garbage\n";
    assert_int_equal(suspects_parse(&suspects, with_nul, sizeof with_nul - 1), 1);
    assert_counts(0, 0);
}

static void test_a_line_twice(void **state)
{
    (void)state;
    assert_int_equal(parse(MINT " suspect 1 0 1 0\n" MINT " quarantined 2 0 1 0\ngarbage\n" OTHER
                                " suspect 1 0 1 0\n"),
                     2);
    assert_counts(2, 0);
}

static void test_more_lines_than_rows(void **state)
{
    (void)state;
    static char text[(SUSPECTS_MAX + 10) * 128];
    size_t length = 0;
    for (int i = 0; i < SUSPECTS_MAX + 10; i++) {
        char name[ADDRESS_TEXT_MAX + 1];
        struct address address = mint(i);
        address_format(&address, name);
        length += (size_t)sprintf(text + length, "%s suspect 1 0 1 0\n", name);
    }
    assert_int_equal(suspects_parse(&suspects, text, length), 10);
    assert_counts(SUSPECTS_MAX, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_in_hand, fresh),
        cmocka_unit_test(test_hands_of_a_death),
        cmocka_unit_test_setup(test_suspect_then_quarantined, fresh),
        cmocka_unit_test_setup(test_a_token_twice_in_hand, fresh),
        cmocka_unit_test_setup(test_quarantined_once, fresh),
        cmocka_unit_test_setup(test_cleared, fresh),
        cmocka_unit_test_setup(test_released, fresh),
        cmocka_unit_test_setup(test_expired, fresh),
        cmocka_unit_test_setup(test_the_oldest_suspect_goes, fresh),
        cmocka_unit_test_setup(test_the_oldest_suspect_is_the_last, fresh),
        cmocka_unit_test_setup(test_all_in_quarantine, fresh),
        cmocka_unit_test_setup(test_a_count_of_no_sense, fresh),
        cmocka_unit_test_setup(test_names, fresh),
        cmocka_unit_test_setup(test_text_there_and_back, fresh),
        cmocka_unit_test_setup(test_text_of_nobody, fresh),
        cmocka_unit_test_setup(test_text_cut, fresh),
        cmocka_unit_test_setup(test_lines_that_are_taken, fresh),
        cmocka_unit_test_setup(test_a_line_without_deaths, fresh),
        cmocka_unit_test_setup(test_lines_that_are_not, fresh),
        cmocka_unit_test_setup(test_a_line_twice, fresh),
        cmocka_unit_test_setup(test_more_lines_than_rows, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
