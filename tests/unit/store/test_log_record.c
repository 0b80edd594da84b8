/* Records of the log: there and back, and whatever the bytes are. */
#include "fixture.h"
#include "store/log_record.h"

#define RECORDS 10

static size_t fill(uint8_t *bytes)
{
    struct store_token row;
    size_t length = 0;
    for (token_id id = 1; id <= RECORDS; id++) {
        token_make(&row, id, id);
        length += log_record_encode(&row, bytes + length);
    }
    return length;
}

static void records_come_back(void **state)
{
    uint8_t bytes[RECORDS * LOG_RECORD_MAX];
    struct store_token expected, read;
    struct log_record record;
    (void)state;
    struct log_walk walk = log_walk_begin(bytes, fill(bytes), 101, 100 + RECORDS);
    for (token_id id = 1; id <= RECORDS; id++) {
        assert_false(log_walk_is_whole(&walk));
        assert_true(log_walk_next(&walk, &record));
        assert_int_equal(record.position, 100 + id);
        assert_int_equal(log_record_token(&record), id);
        token_make(&expected, id, id);
        read = expected;
        memset(&read.token.state, 0, sizeof read.token.state);
        read.token.name[0] = read.token.symbol[0] = '\0';
        assert_null(log_record_decode(&record, &read));
        token_assert_equal(&read, &expected);
    }
    assert_false(log_walk_next(&walk, &record));
    assert_true(log_walk_is_whole(&walk));
}

static void the_longest_fits(void **state)
{
    uint8_t bytes[LOG_RECORD_MAX];
    struct store_token row, read;
    struct log_record record;
    (void)state;
    token_make(&row, UINT32_MAX, 1);
    memset(row.token.name, 'n', sizeof row.token.name - 1);
    memset(row.token.symbol, 's', sizeof row.token.symbol - 1);
    memset(row.primary_dex, 'd', sizeof row.primary_dex - 1);
    row.primary_dex[sizeof row.primary_dex - 1] = '\0';
    size_t length = log_record_encode(&row, bytes);
    assert_true(length <= LOG_RECORD_MAX);
    struct log_walk walk = log_walk_begin(bytes, length, 1, 1);
    assert_true(log_walk_next(&walk, &record));
    assert_null(log_record_decode(&record, &read));
    assert_string_equal(read.token.name, row.token.name);
    assert_string_equal(read.token.symbol, row.token.symbol);
    assert_string_equal(read.primary_dex, row.primary_dex);
}

static unsigned count(struct log_walk walk, bool *is_whole)
{
    struct store_token row;
    struct log_record record;
    unsigned sound = 0;
    while (log_walk_next(&walk, &record))
        sound += log_record_decode(&record, &row) == NULL;
    *is_whole = log_walk_is_whole(&walk);
    return sound;
}

static void positions_that_cannot_be_hold_nothing(void **state)
{
    uint8_t bytes[RECORDS * LOG_RECORD_MAX];
    size_t length = fill(bytes);
    static const struct {
        int64_t first, last;
    } rows[] = {{0, 9}, {-5, 5}, {11, 10}, {1, INT64_MAX}, {INT64_MIN, INT64_MAX}};
    bool is_whole;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(
            count(log_walk_begin(bytes, length, rows[i].first, rows[i].last), &is_whole), 0);
        assert_false(is_whole);
    }
    assert_int_equal(count(log_walk_begin(NULL, 0, 1, 1), &is_whole), 0);
    assert_int_equal(count(log_walk_begin(bytes, length, 1, RECORDS - 1), &is_whole), RECORDS - 1);
    assert_false(is_whole);
    assert_int_equal(count(log_walk_begin(bytes, length, 1, RECORDS + 1), &is_whole), RECORDS);
    assert_false(is_whole);
    int64_t first = INT64_MAX - RECORDS + 1;
    assert_int_equal(count(log_walk_begin(bytes, length, first, INT64_MAX - 1), &is_whole),
                     RECORDS - 1);
}

static void any_bytes_are_survived(void **state)
{
    uint8_t bytes[RECORDS * LOG_RECORD_MAX], changed[sizeof bytes];
    struct prng prng;
    bool is_whole;
    (void)state;
    size_t length = fill(bytes);
    prng_seed(&prng, 5);
    for (size_t cut = 0; cut < length; cut++) {
        uint8_t *copy = malloc(cut + 1); /* to its end and not beyond, as a sanitizer sees it */
        memcpy(copy, bytes, cut);
        assert_true(count(log_walk_begin(copy, cut, 1, RECORDS), &is_whole) < RECORDS);
        assert_false(is_whole);
        free(copy);
    }
    for (int i = 0; i < 20000; i++) {
        memcpy(changed, bytes, length);
        for (uint64_t n = prng_below(&prng, 4); n > 0; n--)
            changed[prng_below(&prng, length)] = (uint8_t)prng_next(&prng);
        count(log_walk_begin(changed, length, 1, RECORDS), &is_whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back),
        cmocka_unit_test(the_longest_fits),
        cmocka_unit_test(positions_that_cannot_be_hold_nothing),
        cmocka_unit_test(any_bytes_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
