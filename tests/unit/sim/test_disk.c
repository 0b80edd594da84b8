/* The simulated engine's real store, and that it is looked at closely afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/log.h"
#include "page/table_memory.h"
#include "sim/disk.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS 20

static struct {
    char folder[64], url[128];
    struct table_memory memory;
    instant now;
    uint32_t durable;
    uint64_t deleted; /* the run that was told of */
} world;

static instant now_of(void *context)
{
    (void)context;
    return world.now;
}

static void on_token_durable(void *context, token_id id, uint64_t tag)
{
    (void)context;
    assert_int_equal(tag, id + 100);
    world.durable++;
}

static void on_history_deleted(void *context, uint64_t run)
{
    (void)context;
    world.deleted = run;
}

static int set_up(void **state)
{
    int error;
    (void)state;
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_LOGFMT);
    memset(&world, 0, sizeof world);
    strcpy(world.folder, "/tmp/moonwatch-disk-XXXXXX");
    assert_non_null(mkdtemp(world.folder));
    snprintf(world.url, sizeof world.url, "sqlite:%s/x.db", world.folder);
    world.now.us = 1750000000000000;
    return !table_memory_init(&world.memory, 1024, &error);
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    table_memory_finish(&world.memory);
    snprintf(command, sizeof command, "rm -rf '%s'", world.folder);
    return system(command);
}

static struct disk *open_disk(void)
{
    char why[512];
    struct options options;
    options_init(&options);
    const struct disk_world told = {.now = now_of,
                                    .on_token_durable = on_token_durable,
                                    .on_history_deleted = on_history_deleted};
    struct disk *disk = disk_open(world.url, world.memory.table, &options, &told, why);
    if (disk == NULL)
        fail_msg("%s", why);
    return disk;
}

static void add_tokens(struct disk *disk)
{
    for (uint8_t i = 1; i <= TOKENS; i++) {
        struct address mint = {{i, 7}};
        token_id id = token_table_add(world.memory.table, &mint);
        disk_perform(disk, &(struct action){.kind = ACTION_ADD_TOKEN, .add_token = {id, id + 100}},
                     world.now);
    }
}

static void refresh(struct disk *disk, token_id id)
{
    struct token *draft = token_write_begin(world.memory.table, id);
    draft->state.checked_at = world.now;
    draft->state.answers++;
    token_write_end(world.memory.table, id);
    disk_perform(disk, &(struct action){.kind = ACTION_SAVE, .save = {id}}, world.now);
}

static double due_in_s(struct disk *disk)
{
    instant due = disk_due(disk);
    return due.us == INSTANT_FAR.us ? -1 : duration_to_s(instant_diff(due, world.now));
}

/* What somebody waits for is written at once; what has no hurry waits for others, in virtual time;
 * rows are brought up in slices, and then there is nothing to do. */
static void time_is_the_callers(void **state)
{
    (void)state;
    struct disk *disk = open_disk();
    struct writer_stats stats;
    assert_true(due_in_s(disk) == -1);
    add_tokens(disk);
    assert_true(due_in_s(disk) <= 0);
    disk_turn(disk);
    assert_int_equal(world.durable, TOKENS);
    refresh(disk, 3);
    assert_true(due_in_s(disk) > 0.19 && due_in_s(disk) <= 0.2);
    disk_turn(disk); /* too early: nothing */
    disk_stats(disk, &stats);
    assert_int_equal(stats.commits, 1);
    world.now = instant_add(world.now, duration_ms(200));
    disk_turn(disk);
    disk_stats(disk, &stats);
    assert_int_equal(stats.commits, 2);
    assert_int_equal(stats.dirty_tokens, 0);
    instant pass_end = instant_add(world.now, duration_s(120));
    while (due_in_s(disk) != -1 && instant_before(world.now, pass_end)) {
        world.now = instant_max(world.now, disk_due(disk));
        disk_turn(disk);
    }
    assert_true(due_in_s(disk) == -1);
    disk_stats(disk, &stats);
    assert_true(stats.checkpoint_began_at.us > 0);
    assert_int_equal(disk_close(disk), 0);
}

static void retention_is_told_of(void **state)
{
    (void)state;
    struct disk *disk = open_disk();
    struct action action = {.kind = ACTION_RETENTION, .retention = {7, world.now, world.now}};
    assert_true(disk_perform(disk, &action, world.now));
    disk_turn(disk);
    assert_int_equal(world.deleted, 7);
    assert_false(disk_perform(disk, &(struct action){.kind = ACTION_EXPORT}, world.now));
    assert_int_equal(disk_close(disk), 0);
}

static void set_checked_at(token_id id, instant at)
{
    token_write_begin(world.memory.table, id)->state.checked_at = at;
    token_write_end(world.memory.table, id);
}

/* Of times, only one that was of the future once may be later in the store. */
static void a_difference_is_found(void **state)
{
    (void)state;
    struct disk *disk = open_disk();
    add_tokens(disk);
    refresh(disk, 3);
    assert_int_equal(disk_close(disk), 0);
    assert_int_equal(disk_compare(world.url, world.memory.table, false), 0);
    set_checked_at(3, (instant){1});
    assert_int_equal(disk_compare(world.url, world.memory.table, false), 1);
    assert_int_equal(disk_compare(world.url, world.memory.table, true), 0);
    set_checked_at(3, instant_add(world.now, duration_s(9999)));
    assert_int_equal(disk_compare(world.url, world.memory.table, false), 1);
    assert_int_equal(disk_compare(world.url, world.memory.table, true), 1);
    token_table_add(world.memory.table, &(struct address){{99}});
    assert_int_equal(disk_compare(world.url, world.memory.table, false), 2);
    assert_int_equal(disk_compare("sqlite:/no/such/folder/x.db", world.memory.table, false),
                     UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(time_is_the_callers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(retention_is_told_of, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_difference_is_found, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("sim.disk", tests, NULL, NULL);
}
