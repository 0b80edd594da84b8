/*
 * What the tests of the oracles stand on: a table of a few tokens, a real core over it that has
 * sent nothing yet, and an oracle that looks at both.
 */
#ifndef MOONWATCH_TESTS_SIM_ORACLE_WORLD_H
#define MOONWATCH_TESTS_SIM_ORACLE_WORLD_H

#include "core/core.h"
#include "page/table_memory.h"
#include "sim/oracle.h"
#include <stdlib.h>
#include <string.h>

#define NOW    ((instant){1750000000000000LL})
#define TOKENS 3

static struct {
    struct table_memory memory;
    struct options options;
    struct core *core;
    struct oracle oracle;
    uint8_t statuses[TOKENS + 1];
    struct address addresses[REQUEST_ADDRESSES_MAX + 1];
} world;

static void add_token(uint8_t n)
{
    struct address mint = {{n}};
    token_id id = token_table_add(world.memory.table, &mint);
    token_write_begin(world.memory.table, id)->created_at = NOW;
    token_write_end(world.memory.table, id);
}

static int set_up(void **state)
{
    (void)state;
    int error;
    memset(&world, 0, sizeof world);
    assert_true(table_memory_init(&world.memory, 64, &error));
    options_init(&world.options);
    for (uint8_t n = 1; n <= TOKENS; n++)
        add_token(n);
    world.core = malloc(core_size());
    assert_non_null(world.core);
    core_init(world.core, world.memory.table, &world.options, 0, NOW);
    core_start_alone(world.core, NULL);
    world.oracle = (struct oracle){.core = world.core,
                                   .table = world.memory.table,
                                   .statuses = world.statuses,
                                   .statuses_size = TOKENS + 1,
                                   .data_at = NOW};
    for (uint8_t i = 0; i <= REQUEST_ADDRESSES_MAX; i++)
        world.addresses[i].bytes[0] = i;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(world.core);
    table_memory_finish(&world.memory);
    return 0;
}

static void expect_content(void)
{
    assert_string_equal(world.oracle.verdict, "");
}

static void expect_complaint(const char *part)
{
    if (strstr(world.oracle.verdict, part) == NULL)
        fail_msg("not \"%s\" but \"%s\"", part, world.oracle.verdict);
    world.oracle.verdict[0] = '\0';
}

static instant later(double seconds)
{
    return instant_add(NOW, duration_s(seconds));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
