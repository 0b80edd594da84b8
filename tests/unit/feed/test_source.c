/* Which source a URL means, and tokens from files: once, followed, held back, in bounded memory. */
#include "base/clock.h"
#include "feed/source_file.h"
#include "feed/source_kind.h"
#include "loop_until.h"
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MINT_A "BzqYzBGydDrwjnYVtWfupr8GFoSxpCQdTkjRppBKpump"
#define MINT_B "GoXKAKmBmUkQjSc5oq1qVsvYXgXdRLfK23FccKBvpump"
#define MINT_C "3FdcpibwaYYdPV9njyUYi71p8fdyS53MwQdjnToQsXGW"

#ifndef MOONWATCH_SOURCE_ROOT
#define MOONWATCH_SOURCE_ROOT "."
#endif
#define RECORDED                                                                                   \
    MOONWATCH_SOURCE_ROOT "/../shared/data/market/pumpportal/jouleka_session1_first138.jsonl"

#define KEPT 16

/* A loop, a source, what came out of it, and a folder for its files. */
struct world {
    uv_loop_t loop;
    struct options options;
    struct source *source;
    struct source_stats stats; /* as of the last look */
    char folder[64];
    char path[128];
    uint64_t tokens;
    uint64_t wanted; /* tokens that has_tokens() waits for */
    char mints[KEPT][ADDRESS_TEXT_MAX + 1];
    unsigned refuse_each;  /* token number that is a multiple is refused … */
    unsigned refuse_times; /* … this often */
    unsigned refused;
    bool destroys_within;
    bool is_closed;
    uint64_t turns;
    int changes[SOURCE_STATE_COUNT];
};

static void on_closed(void *context)
{
    struct world *world = context;
    world->is_closed = true;
}

static bool on_token(void *context, const struct source_token *token)
{
    struct world *world = context;
    assert_false(world->is_closed);
    if (world->refuse_each && world->tokens % world->refuse_each == 0 &&
        world->refused < world->refuse_times) {
        world->refused++;
        return false;
    }
    world->refused = 0;
    if (world->tokens < KEPT) {
        address_format(&token->mint, world->mints[world->tokens]);
    }
    world->tokens++;
    if (world->destroys_within) {
        source_destroy(world->source, on_closed);
        world->source = NULL;
    }
    return true;
}

static void on_state(void *context, enum source_state was, enum source_state now)
{
    struct world *world = context;
    assert_int_not_equal(was, now);
    world->changes[now]++;
}

static bool is_closed(void *context)
{
    const struct world *world = context;
    return world->is_closed;
}

static bool has_ended(void *context)
{
    struct world *world = context;
    source_stats(world->source, &world->stats);
    return world->stats.state == SOURCE_ENDED;
}

static bool has_tokens(void *context)
{
    struct world *world = context;
    source_stats(world->source, &world->stats);
    return world->tokens >= world->wanted;
}

static bool is_at_end(void *context)
{
    struct world *world = context;
    source_stats(world->source, &world->stats);
    return strstr(world->stats.message, "at the end") != NULL;
}

static bool is_waiting(void *context)
{
    struct world *world = context;
    source_stats(world->source, &world->stats);
    return world->stats.state == SOURCE_WAITING;
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    assert_int_equal(uv_loop_init(&world->loop), 0);
    options_init(&world->options);
    strcpy(world->folder, "/tmp/moonwatch-source-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    snprintf(world->path, sizeof world->path, "%s/tokens", world->folder);
    *state = world;
    return 0;
}

static void close_source(struct world *world)
{
    if (world->source) {
        source_destroy(world->source, on_closed);
        world->source = NULL;
        assert_true(loop_until(&world->loop, is_closed, world));
    }
}

static int tear_down(void **state)
{
    struct world *world = *state;
    char command[256];
    close_source(world);
    assert_int_equal(uv_run(&world->loop, UV_RUN_NOWAIT), 0);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    snprintf(command, sizeof command, "rm -rf '%s'", world->folder);
    assert_int_equal(system(command), 0);
    free(world);
    return 0;
}

static void write_file(const char *path, const char *mode, const char *text)
{
    FILE *file = fopen(path, mode);
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void start(struct world *world, const char *url)
{
    char why[512];
    snprintf(world->options.source, sizeof world->options.source, "%s", url);
    world->source = source_create(&world->loop, &world->options, on_token, world, why);
    if (!world->source) {
        fail_msg("%s: %s", url, why);
    }
    source_watch(world->source, on_state);
}

static void start_file(struct world *world, const char *query)
{
    char url[256];
    snprintf(url, sizeof url, "file:%s%s", world->path, query);
    start(world, url);
}

static void wait_tokens(struct world *world, uint64_t count)
{
    world->wanted = count;
    assert_true(loop_until(&world->loop, has_tokens, world));
    assert_int_equal(world->tokens, count);
}

/* --- The URL ---------------------------------------------------------------------------------- */

static void test_bad_urls(void **state)
{
    static const char *const rows[][2] = {
        {"", "none of"},
        {"http://pumpportal.fun/", "none of"},
        {"/tmp/tokens", "none of"},
        {"None", "none of"},
        {"file:", "needs the path"},
        {"file:?follow", "needs the path"},
        {"file:/nowhere/at/all", "No such file"},
        {"file:/tmp", "Is a directory"},
        {"ws://", "no URL"},
        {"wss://host:99999/", "no URL"},
        {"wss://user:secret@host/", "user or password"},
        {"ws://host/path#part", "fragment"},
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char why[512];
        snprintf(world->options.source, sizeof world->options.source, "%s", rows[i][0]);
        assert_null(source_create(&world->loop, &world->options, on_token, world, why));
        if (!strstr(why, rows[i][1])) {
            fail_msg("%s: %s", rows[i][0], why);
        }
        assert_null(strstr(why, "secret@host"));
    }
}

static void test_none(void **state)
{
    struct world *world = *state;
    start(world, "none");
    uv_run(&world->loop, UV_RUN_NOWAIT);
    source_stats(world->source, &world->stats);
    assert_int_equal(world->stats.state, SOURCE_NONE);
    source_destroy(NULL, NULL);
}

static void test_backoff(void **state)
{
    static const struct {
        double min, max;
        unsigned tries;
        double unit, wait;
    } rows[] = {
        {0.5, 60, 1, 0, 0.5},    {0.5, 60, 1, 0.5, 0.75},  {0.5, 60, 2, 0.5, 1.25},
        {0.5, 60, 3, 0.5, 2.25}, {0.5, 60, 7, 0.5, 30.25}, {0.5, 60, 1000000, 0.5, 30.25},
        {0.5, 60, 50, 0.0, 0.5}, {2, 1, 5, 0.9, 2},        {1, 1, 5, 0.9, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        duration wait = source_backoff(duration_s(rows[i].min), duration_s(rows[i].max),
                                       rows[i].tries, rows[i].unit);
        assert_int_equal(wait.us, duration_s(rows[i].wait).us);
    }
}

/* --- Lines ------------------------------------------------------------------------------------ */

static void test_lines(void **state)
{
    static const struct {
        const char *line;
        int meaning; /* −1: nothing */
    } rows[] = {
        {"", -1},
        {"  \t\r", -1},
        {"# a comment", -1},
        {"   # a comment", -1},
        {MINT_A, SOURCE_MIGRATIONS},
        {"\t " MINT_A " \r", SOURCE_MIGRATIONS},
        {MINT_A " # a good one", SOURCE_MIGRATIONS},
        {MINT_A "," MINT_B, SOURCE_BAD_MINTS},
        {MINT_A " " MINT_B, SOURCE_BAD_MINTS},
        {"mint", SOURCE_BAD_MINTS},
        {"0x1234", SOURCE_BAD_MINTS},
        {"{\"txType\":\"migrate\",\"mint\":\"" MINT_A "\"}", SOURCE_MIGRATIONS},
        {" {\"t_wall\":1,\"raw\":\"{\\\"message\\\":\\\"Subscribed to #\\\"}\"}", SOURCE_ACKS},
        {"{\"txType\":\"create\"}", SOURCE_CREATIONS},
        {"[\"" MINT_A "\"]", SOURCE_JUNK},
        {"\"" MINT_A "\"", SOURCE_JUNK},
        {"{", SOURCE_JUNK},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pumpportal_frame frame;
        bool means = source_line_parse(rows[i].line, strlen(rows[i].line), &frame);
        int meaning = means ? (int)frame.meaning : -1;
        if (meaning != rows[i].meaning) {
            fail_msg("\"%s\": is %d, not %d", rows[i].line, meaning, rows[i].meaning);
        }
    }
}

static void test_file_once(void **state)
{
    struct world *world = *state;
    write_file(world->path, "w",
               "\xEF\xBB\xBF" MINT_A "\r\n"
               "\r\n"
               "# comment\n"
               "no mint\n"
               "{\"txType\":\"migrate\",\"mint\":\"" MINT_B "\"}\n"
               "{\"txType\":\"create\"}\n"
               "{broken\n" MINT_C);
    start_file(world, "");
    source_stats(world->source, &world->stats);
    assert_int_equal(world->tokens, 0); /* nothing before the loop runs */
    assert_true(loop_until(&world->loop, has_ended, world));
    assert_int_equal(world->tokens, 3);
    assert_string_equal(world->mints[0], MINT_A);
    assert_string_equal(world->mints[1], MINT_B);
    assert_string_equal(world->mints[2], MINT_C);
    assert_int_equal(world->stats.counts[SOURCE_MIGRATIONS], 3);
    assert_int_equal(world->stats.counts[SOURCE_BAD_MINTS], 1);
    assert_int_equal(world->stats.counts[SOURCE_CREATIONS], 1);
    assert_int_equal(world->stats.counts[SOURCE_JUNK], 1);
    assert_int_equal(world->stats.counts[SOURCE_CONNECTS], 1);
    assert_int_equal(world->changes[SOURCE_LIVE], 1);
    assert_int_equal(world->changes[SOURCE_ENDED], 1);
}

static void test_empty_files(void **state)
{
    struct world *world = *state;
    write_file(world->path, "w", "");
    start_file(world, "");
    assert_true(loop_until(&world->loop, has_ended, world));
    close_source(world);
    world->is_closed = false;
    start(world, "file:/dev/null");
    assert_true(loop_until(&world->loop, has_ended, world));
    assert_int_equal(world->tokens, 0);
}

static void test_long_lines(void **state)
{
    static const size_t lengths[] = {SOURCE_LINE_MAX, SOURCE_LINE_MAX + 1, SOURCE_LINE_MAX + 2,
                                     SOURCE_LINE_MAX + SOURCE_CHUNK + 1, 1000000};
    struct world *world = *state;
    FILE *file = fopen(world->path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (size_t n = 0; n < lengths[i]; n++) {
            putc('x', file);
        }
        fputs("\n" MINT_A "\n", file);
    }
    for (size_t n = 0; n < 500000; n++) { /* and one without an end */
        putc('y', file);
    }
    fclose(file);
    start_file(world, "");
    assert_true(loop_until(&world->loop, has_ended, world));
    assert_int_equal(world->tokens, 5);
    assert_int_equal(world->stats.counts[SOURCE_BAD_MINTS], 1);
    assert_int_equal(world->stats.counts[SOURCE_TOO_LARGE], 5);
}

static void on_turn(uv_prepare_t *prepare)
{
    struct world *world = prepare->data;
    world->turns++;
}

static void test_million_lines(void **state)
{
    enum { LINES = 1000000 };
    struct world *world = *state;
    struct rusage before, after;
    uv_prepare_t prepare;
    struct address mint = {{0}};
    char text[ADDRESS_TEXT_MAX + 1];
    FILE *file = fopen(world->path, "w");
    assert_non_null(file);
    for (uint32_t i = 0; i < LINES; i++) {
        memcpy(mint.bytes, &i, sizeof i);
        mint.bytes[31] = 7;
        address_format(&mint, text);
        fprintf(file, "%s\n", text);
    }
    fclose(file);
    uv_prepare_init(&world->loop, &prepare);
    prepare.data = world;
    uv_prepare_start(&prepare, on_turn);
    start_file(world, "");
    getrusage(RUSAGE_SELF, &before);
    instant began = clock_now();
    assert_true(loop_until(&world->loop, has_ended, world));
    duration took = instant_diff(clock_now(), began);
    getrusage(RUSAGE_SELF, &after);
    uv_close((uv_handle_t *)&prepare, NULL);
    uv_run(&world->loop, UV_RUN_NOWAIT); /* the handle is ours until it is closed */
    print_message("# a million lines in %.2f s and %llu turns; %ld KB more memory\n",
                  duration_to_s(took), (unsigned long long)world->turns,
                  after.ru_maxrss - before.ru_maxrss);
    assert_int_equal(world->tokens, LINES);
    assert_int_equal(world->stats.counts[SOURCE_MIGRATIONS], LINES);
    assert_true(world->turns > 1000);
    assert_true(after.ru_maxrss - before.ru_maxrss < 16384);
}

static void test_back_pressure(void **state)
{
    struct world *world = *state;
    FILE *file = fopen(world->path, "w");
    assert_non_null(file);
    for (int i = 0; i < 4; i++) {
        fputs(MINT_A "\n" MINT_B "\n" MINT_C "\n", file);
    }
    fputs(MINT_A, file); /* the last line, without an end, is held back too */
    fclose(file);
    world->refuse_each = 4;
    world->refuse_times = 3;
    start_file(world, "");
    assert_true(loop_until(&world->loop, has_ended, world));
    assert_int_equal(world->tokens, 13);
    assert_int_equal(world->stats.counts[SOURCE_MIGRATIONS], 13);
    for (int i = 0; i < 13; i++) {
        static const char *const mints[] = {MINT_A, MINT_B, MINT_C};
        assert_string_equal(world->mints[i], mints[i % 3]);
    }
}

/* --- Following -------------------------------------------------------------------------------- */

static void test_growth(void **state)
{
    struct world *world = *state;
    write_file(world->path, "w", MINT_A "\n");
    start_file(world, "?follow");
    wait_tokens(world, 1);
    assert_true(loop_until(&world->loop, is_at_end, world));
    assert_int_equal(world->stats.state, SOURCE_LIVE);
    write_file(world->path, "a", MINT_B "\r\n" MINT_C); /* half a line is not a line yet */
    wait_tokens(world, 2);
    assert_true(loop_until(&world->loop, is_at_end, world));
    assert_int_equal(world->tokens, 2);
    write_file(world->path, "a", "\n");
    wait_tokens(world, 3);
    assert_string_equal(world->mints[2], MINT_C);
    assert_int_equal(world->stats.counts[SOURCE_CONNECTS], 1);
}

static void test_truncation(void **state)
{
    struct world *world = *state;
    write_file(world->path, "w", MINT_A "\n" MINT_B "\nhalf a li");
    start_file(world, "?follow");
    wait_tokens(world, 2);
    assert_true(loop_until(&world->loop, is_at_end, world));
    write_file(world->path, "w", MINT_C "\n");
    wait_tokens(world, 3);
    assert_string_equal(world->mints[2], MINT_C);
    assert_int_equal(world->stats.counts[SOURCE_BAD_MINTS], 0);
    assert_int_equal(world->stats.counts[SOURCE_DISCONNECTS], 1);
    assert_int_equal(world->stats.counts[SOURCE_CONNECTS], 2);
}

/* The writer lets go of the old file a little late, as writers do. */
static void test_rotation(void **state)
{
    struct world *world = *state;
    char old[160];
    snprintf(old, sizeof old, "%s.1", world->path);
    write_file(world->path, "w", MINT_A "\n");
    start_file(world, "?follow");
    wait_tokens(world, 1);
    assert_true(loop_until(&world->loop, is_at_end, world));
    assert_int_equal(rename(world->path, old), 0);
    write_file(world->path, "w", MINT_C "\n");
    write_file(old, "a", MINT_B);
    wait_tokens(world, 3);
    assert_string_equal(world->mints[1], MINT_B);
    assert_string_equal(world->mints[2], MINT_C);
    write_file(world->path, "a", MINT_A "\n");
    wait_tokens(world, 4);
    assert_int_equal(world->stats.counts[SOURCE_CONNECTS], 2);
    assert_int_equal(world->stats.counts[SOURCE_DISCONNECTS], 1);
}

static void test_not_there_yet(void **state)
{
    struct world *world = *state;
    start_file(world, "?follow");
    assert_true(loop_until(&world->loop, is_waiting, world));
    assert_non_null(strstr(world->stats.message, "No such file"));
    write_file(world->path, "w", MINT_A "\n");
    wait_tokens(world, 1);
    assert_true(world->stats.counts[SOURCE_FAILED_CONNECTS] >= 1);
}

/* --- Pipes ------------------------------------------------------------------------------------ */

static void write_pipe(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void test_pipe(void **state)
{
    struct world *world = *state;
    assert_int_equal(mkfifo(world->path, 0600), 0);
    start_file(world, "");
    int fd = open(world->path, O_WRONLY);
    assert_true(fd >= 0);
    write_pipe(fd, MINT_A "\n" MINT_B);
    wait_tokens(world, 1);
    close(fd);
    assert_true(loop_until(&world->loop, has_ended, world));
    assert_int_equal(world->tokens, 2);
}

static void test_followed_pipe(void **state)
{
    struct world *world = *state;
    assert_int_equal(mkfifo(world->path, 0600), 0);
    start_file(world, "?follow");
    for (uint64_t i = 1; i <= 3; i++) {
        int fd = open(world->path, O_WRONLY);
        assert_true(fd >= 0);
        write_pipe(fd, MINT_A "\n");
        close(fd);
        wait_tokens(world, i);
    }
}

static void test_standard_input(void **state)
{
    struct world *world = *state;
    int ends[2];
    int kept = dup(STDIN_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    start(world, "file:-");
    write_pipe(ends[1], MINT_A "\n" MINT_B "\n");
    wait_tokens(world, 2);
    write_pipe(ends[1], MINT_C);
    close(ends[1]);
    assert_true(loop_until(&world->loop, has_ended, world));
    assert_int_equal(world->tokens, 3);
    assert_int_equal(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0);
    close_source(world);
    close(ends[0]);
    if (kept >= 0) {
        dup2(kept, STDIN_FILENO);
        close(kept);
    } else {
        close(STDIN_FILENO);
    }
}

/* --- Ends ------------------------------------------------------------------------------------- */

static void test_destroy_within(void **state)
{
    struct world *world = *state;
    write_file(world->path, "w", MINT_A "\n" MINT_B "\n");
    world->destroys_within = true;
    start_file(world, "");
    assert_true(loop_until(&world->loop, is_closed, world));
    assert_int_equal(world->tokens, 1);
}

static void test_destroy_any_time(void **state)
{
    struct world *world = *state;
    for (int turns = 0; turns < 6; turns++) {
        write_file(world->path, "w", MINT_A "\n");
        world->is_closed = false;
        start_file(world, "?follow");
        for (int i = 0; i < turns; i++) {
            uv_run(&world->loop, UV_RUN_NOWAIT);
        }
        close_source(world);
    }
}

static void test_recording(void **state)
{
    struct world *world = *state;
    if (access(RECORDED, R_OK) != 0) {
        /* Not by skip(): this cmocka calls that "not ok", which counts as a failure. */
        print_message("# skipped: no recorded data\n");
        return;
    }
    start(world, "file:" RECORDED);
    assert_true(loop_until(&world->loop, has_ended, world));
    uint64_t sum = 0;
    for (int i = 0; i < SOURCE_FRAME_COUNTS; i++) {
        sum += world->stats.counts[i];
    }
    assert_int_equal(sum, 138);
    assert_int_equal(world->tokens, 6);
    assert_int_equal(world->stats.counts[SOURCE_MIGRATIONS], 6);
    assert_int_equal(world->stats.counts[SOURCE_CREATIONS], 129);
    assert_int_equal(world->stats.counts[SOURCE_ACKS], 2);
    assert_int_equal(world->stats.counts[SOURCE_REFUSALS], 1);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_bad_urls),       ROW(test_none),           ROW(test_backoff),
        ROW(test_lines),          ROW(test_file_once),      ROW(test_empty_files),
        ROW(test_long_lines),     ROW(test_million_lines),  ROW(test_back_pressure),
        ROW(test_growth),         ROW(test_truncation),     ROW(test_rotation),
        ROW(test_not_there_yet),  ROW(test_pipe),           ROW(test_followed_pipe),
        ROW(test_standard_input), ROW(test_destroy_within), ROW(test_destroy_any_time),
        ROW(test_recording),
    };
    return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
