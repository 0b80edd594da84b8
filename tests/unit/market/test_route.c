/* Paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "market/route.h"
#include <stdio.h>
#include <string.h>

#define A "So11111111111111111111111111111111111111112"
#define B "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"

static void paths_are_understood(void **state)
{
    static const struct {
        const char *path;
        enum route_kind kind;
        unsigned asked, count;
        bool is_solana;
    } cases[] = {{"/tokens/v1/solana/" A, ROUTE_SCREEN, 1, 1, true},
                 {"/tokens/v1/solana/" A "," B, ROUTE_SCREEN, 2, 2, true},
                 {"/tokens/v1/solana/" A "," A, ROUTE_SCREEN, 2, 1, true},
                 {"/tokens/v1/solana/" A ",junk,", ROUTE_SCREEN, 3, 1, true},
                 {"/tokens/v1/ethereum/" A, ROUTE_SCREEN, 1, 1, false},
                 {"/token-pairs/v1/solana/" A, ROUTE_DISCOVER, 1, 1, true},
                 {"/latest/dex/pairs/solana/" A "," B, ROUTE_REFRESH, 2, 2, true},
                 {"/latest/dex/tokens/" A, ROUTE_LEGACY, 1, 1, true},
                 {"/api/data", ROUTE_STREAM, 0, 0, true},
                 {"/tokens/v1/solana/", ROUTE_UNKNOWN, 0, 0, true},
                 {"/tokens/v1/solana", ROUTE_UNKNOWN, 0, 0, true},
                 {"/tokens/v1//" A, ROUTE_UNKNOWN, 0, 0, true},
                 {"/tokens/v1/solana/" A "/more", ROUTE_UNKNOWN, 0, 0, true},
                 {"/tokens/v2/solana/" A, ROUTE_UNKNOWN, 0, 0, true},
                 {"/", ROUTE_UNKNOWN, 0, 0, true},
                 {"", ROUTE_UNKNOWN, 0, 0, true}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct route route;
        route_parse(cases[i].path, &route);
        assert_int_equal(route.kind, cases[i].kind);
        assert_int_equal(route.asked, cases[i].asked);
        assert_int_equal(route.count, cases[i].count);
        if (route.kind != ROUTE_UNKNOWN)
            assert_int_equal(route.is_solana, cases[i].is_solana);
        assert_false(route.has_too_many);
    }
}

static void thirty_are_enough(void **state)
{
    char path[4096] = "/tokens/v1/solana/" A;
    struct route route;
    (void)state;
    for (int i = 1; i < 30; i++)
        strcat(path, "," A);
    route_parse(path, &route);
    assert_false(route.has_too_many);
    strcat(path, "," B);
    route_parse(path, &route);
    assert_true(route.has_too_many);
    assert_int_equal(route.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(paths_are_understood),
                                       cmocka_unit_test(thirty_are_enough)};
    return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
