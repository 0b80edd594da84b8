/* A token's life: which pools qualify it, and what follows from evidence and from age. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/lifecycle.h"
#include "core/score.h"
#include <math.h>
#include <string.h>

#define CASE_POOLS_MAX 3
#define HOUR_US        3600000000LL
#define NOW            ((instant){1750000000000000LL})

struct case_pool {
    const char *dex, *quote;
    float liquidity;
};

#define PUMPSWAP                                                                                   \
    {                                                                                              \
        "pumpswap", "SOL", 20000                                                                   \
    }
#define EXTERNAL                                                                                   \
    {                                                                                              \
        "raydium", "SOL", 200                                                                      \
    }

static size_t make_pools(const struct case_pool *given, struct pool out[CASE_POOLS_MAX])
{
    size_t count = 0;
    for (; count < CASE_POOLS_MAX && given[count].dex != NULL; count++)
        out[count] = (struct pool){.liquidity_usd = given[count].liquidity,
                                   .flags = pool_flags_for(given[count].dex, given[count].quote)};
    return count;
}

static void qualifies(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct case_pool pools[CASE_POOLS_MAX];
        bool qualifies;
    } rows[] = {
        {"no pools", {{0}}, false},
        {"a venue of pump.fun alone", {PUMPSWAP}, false},
        {"an external pool alone", {EXTERNAL}, false},
        {"both", {PUMPSWAP, EXTERNAL}, true},
        {"both, the other way round", {EXTERNAL, PUMPSWAP}, true},
        {"the curve still counts as SOL-quoted", {{"pumpfun", "SOL", NAN}, EXTERNAL}, true},
        {"pumpfun-amm", {{"pumpfun-amm", "WSOL", 0}, EXTERNAL}, true},
        {"pump.fun quoted in USDC", {{"pumpswap", "USDC", 20000}, EXTERNAL}, false},
        {"launchlab is no venue of pump.fun", {{"launchlab", "SOL", 20000}, EXTERNAL}, false},
        {"external just under", {PUMPSWAP, {"orca", "USDC", 199.99f}}, false},
        {"external without liquidity", {PUMPSWAP, {"orca", "USDC", NAN}}, false},
        {"external quoted in something else", {PUMPSWAP, {"orca", "USDT", 9000}}, false},
        {"two external", {EXTERNAL, {"orca", "USDC", 200}}, true},
        {"two external, one of them poor", {EXTERNAL, {"orca", "USDC", 199}}, false},
        {"two of pump.fun's own", {PUMPSWAP, {"pumpfun-amm", "SOL", 20000}}, false},
        {"one of three will do", {PUMPSWAP, {"orca", "SOL", 1}, {"meteora", "SOL", 300}}, true},
    };
    struct options options;
    options_init(&options);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pool pools[CASE_POOLS_MAX];
        size_t count = make_pools(rows[i].pools, pools);
        if (lifecycle_qualifies(pools, count, &options) != rows[i].qualifies)
            fail_msg("%s: %s", rows[i].name, rows[i].qualifies ? "does not" : "does");
    }
    struct pool pools[CASE_POOLS_MAX];
    static const struct case_pool given[CASE_POOLS_MAX] = {PUMPSWAP, EXTERNAL};
    options.activation_min_liquidity_usd = 200.5;
    assert_false(lifecycle_qualifies(pools, make_pools(given, pools), &options));
}

static void evidence_changes_a_status(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum token_status status;
        bool qualifies;
        uint32_t answers;
        double score;
        enum lifecycle_change change;
    } rows[] = {
        {"monitoring qualifies", TOKEN_MONITORING, true, 1, 0, CHANGE_ACTIVATED},
        {"monitoring does not", TOKEN_MONITORING, false, 1, 9, CHANGE_NONE},
        {"active goes on", TOKEN_ACTIVE, true, 1, 0, CHANGE_NONE},
        {"active no longer", TOKEN_ACTIVE, false, 1, 9, CHANGE_DEMOTED},
        {"archived came alive", TOKEN_ARCHIVED, true, 1, 0.1, CHANGE_REACTIVATED},
        {"archived, score just under", TOKEN_ARCHIVED, true, 1, 0.099999, CHANGE_NONE},
        {"archived without pools", TOKEN_ARCHIVED, false, 1, 9, CHANGE_NONE},
        {"archived, never answered", TOKEN_ARCHIVED, true, 0, 9, CHANGE_NONE},
        {"no status there is", TOKEN_STATUS_COUNT, true, 1, 9, CHANGE_NONE},
    };
    static const struct case_pool given[CASE_POOLS_MAX] = {PUMPSWAP, EXTERNAL};
    struct options options;
    struct pool pools[CASE_POOLS_MAX];
    options_init(&options);
    make_pools(given, pools);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct token token = {.status = (uint8_t)rows[i].status,
                              .pool_count = rows[i].qualifies ? 2 : 1,
                              .state = {.answers = rows[i].answers, .score = rows[i].score}};
        if (lifecycle_on_evidence(&token, pools, &options) != rows[i].change)
            fail_msg("%s", rows[i].name);
    }
}

static void age_archives(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum token_status status;
        double age_hours, low_hours, silent_s;
        enum lifecycle_change change;
    } rows[] = {
        {"monitoring, young", TOKEN_MONITORING, 11.99, 0, 1, CHANGE_NONE},
        {"monitoring, exactly at the timeout", TOKEN_MONITORING, 12, 0, 1, CHANGE_NONE},
        {"monitoring, old", TOKEN_MONITORING, 12.01, 0, 1, CHANGE_ARCHIVED_OLD},
        {"monitoring, old, but nobody answered", TOKEN_MONITORING, 99, 0, 3601, CHANGE_NONE},
        {"monitoring, came of age since its answer", TOKEN_MONITORING, 12.1, 0, 600, CHANGE_NONE},
        {"monitoring, low scores do not matter", TOKEN_MONITORING, 1, 99, 1, CHANGE_NONE},
        {"active, low not for long enough", TOKEN_ACTIVE, 99, 11.99, 1, CHANGE_NONE},
        {"active, low for long enough", TOKEN_ACTIVE, 99, 12, 1, CHANGE_ARCHIVED_LOW},
        {"active, low, but nobody answered", TOKEN_ACTIVE, 99, 99, 3601, CHANGE_NONE},
        {"active, low, answered just in time", TOKEN_ACTIVE, 99, 99, 3600, CHANGE_ARCHIVED_LOW},
        {"active, old", TOKEN_ACTIVE, 9999, 0, 1, CHANGE_NONE},
        {"archived stays", TOKEN_ARCHIVED, 9999, 99, 1, CHANGE_NONE},
    };
    struct options options;
    options_init(&options);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct token token = {.status = (uint8_t)rows[i].status};
        token.created_at.us = NOW.us - (int64_t)(rows[i].age_hours * HOUR_US);
        token.state.low_score_us = (int64_t)(rows[i].low_hours * HOUR_US);
        token.state.checked_at = instant_add(NOW, duration_s(-rows[i].silent_s));
        token.state.fetched_at = token.state.checked_at;
        token.state.answers = 1;
        if (lifecycle_on_archiver(&token, NOW, duration_s(3600), &options) != rows[i].change)
            fail_msg("%s", rows[i].name);
    }
}

/* The table against what a token's life may be: no transition twice, none to itself. */
static void the_table_is_consistent(void **state)
{
    (void)state;
    for (int i = CHANGE_NONE + 1; i < CHANGE_COUNT; i++) {
        const struct lifecycle_row *row = lifecycle_row((enum lifecycle_change)i);
        assert_true(row->from < TOKEN_STATUS_COUNT && row->to < TOKEN_STATUS_COUNT);
        assert_true(row->from != row->to);
        assert_true(strlen(row->event) > 0 && strlen(row->reason) > 0);
        for (int k = CHANGE_NONE + 1; k < i; k++) {
            const struct lifecycle_row *other = lifecycle_row((enum lifecycle_change)k);
            assert_false(other->from == row->from && other->to == row->to);
            assert_string_not_equal(other->reason, row->reason);
        }
    }
    assert_int_equal(CHANGE_COUNT, 6); /* a new transition needs rows in the tables above */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(qualifies),
        cmocka_unit_test(evidence_changes_a_status),
        cmocka_unit_test(age_archives),
        cmocka_unit_test(the_table_is_consistent),
    };
    return cmocka_run_group_tests_name("core.lifecycle", tests, NULL, NULL);
}
