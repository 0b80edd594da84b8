/* Slots stand in databases: they stay what they are, and share tokens evenly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/prng.h"
#include "core/mint_slot.h"

#define MINTS_A_SLOT 100

static void a_slot_is_the_same_for_ever(void **state)
{
    struct address zeros = {{0}}, rising, ones;
    (void)state;
    for (size_t i = 0; i < ADDRESS_BYTES; i++)
        rising.bytes[i] = (uint8_t)i;
    memset(&ones, 0xff, sizeof ones);
    assert_int_equal(mint_slot(&zeros), 830);
    assert_int_equal(mint_slot(&rising), 60);
    assert_int_equal(mint_slot(&ones), 422);
}

/* Six standard deviations of a Poisson distribution: once in a billion slots by chance. */
static void slots_hold_about_as_many_tokens_each(void **state)
{
    static int counts[MINT_SLOTS];
    struct prng prng;
    (void)state;
    prng_seed(&prng, 1);
    for (int i = 0; i < MINT_SLOTS * MINTS_A_SLOT; i++) {
        struct address mint;
        for (size_t at = 0; at < ADDRESS_BYTES; at += 8) {
            uint64_t word = prng_next(&prng);
            memcpy(&mint.bytes[at], &word, sizeof word);
        }
        assert_true(mint_slot(&mint) < MINT_SLOTS);
        counts[mint_slot(&mint)]++;
    }
    for (int i = 0; i < MINT_SLOTS; i++)
        assert_in_range(counts[i], MINTS_A_SLOT - 60, MINTS_A_SLOT + 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slot_is_the_same_for_ever),
        cmocka_unit_test(slots_hold_about_as_many_tokens_each),
    };
    return cmocka_run_group_tests_name("mint_slot", tests, NULL, NULL);
}
