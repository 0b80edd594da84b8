/* The slots of mints: the numbers that databases hold, and that no slot is much fuller. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/prng.h"
#include "core/slot.h"

#define MINTS (SLOT_COUNT * 100)

static uint16_t slot_of_text(const char *text)
{
    struct address mint;
    assert_true(address_parse(text, strlen(text), &mint));
    return slot_of_mint(&mint);
}

/* Computed once by another program: they stand in databases and must stay. */
static void slots_never_change(void **state)
{
    (void)state;
    assert_int_equal(slot_of_text("11111111111111111111111111111111"), 213);
    assert_int_equal(slot_of_text("So11111111111111111111111111111111111111112"), 732);
    assert_int_equal(slot_of_text("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"), 917);
}

/* With 100 on average, a fair hash leaves none with fewer than 50 or more than 150. `fixed` is how
 * many of the last bytes are the same in all, as in mints that were made to end in a word. */
static void expect_even(size_t fixed)
{
    static uint32_t counts[SLOT_COUNT];
    struct prng prng;
    struct address mint = {{0}};
    memset(counts, 0, sizeof counts);
    prng_seed(&prng, 7);
    for (int i = 0; i < MINTS; i++) {
        for (size_t at = 0; at < ADDRESS_BYTES - fixed; at++)
            mint.bytes[at] = (uint8_t)prng_next(&prng);
        counts[slot_of_mint(&mint)]++;
    }
    for (int i = 0; i < SLOT_COUNT; i++)
        assert_in_range(counts[i], 50, 150);
}

static void tokens_spread_evenly(void **state)
{
    (void)state;
    expect_even(0);
    expect_even(4);
    expect_even(ADDRESS_BYTES - 3);
}

static void mints_that_count_up_spread_too(void **state)
{
    (void)state;
    static uint32_t counts[SLOT_COUNT];
    struct address mint = {{0}};
    for (uint32_t i = 0; i < MINTS; i++) {
        memcpy(mint.bytes, &i, sizeof i);
        counts[slot_of_mint(&mint)]++;
    }
    for (int i = 0; i < SLOT_COUNT; i++)
        assert_in_range(counts[i], 50, 150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_never_change),
        cmocka_unit_test(tokens_spread_evenly),
        cmocka_unit_test(mints_that_count_up_spread_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
