/*
 * kill -9 in the middle of full load, again and again: what was acknowledged is there.
 *
 * A child works as the engine does: it adds tokens, refreshes them and adds a snapshot after each
 * refresh, numbered alike. It says over a pipe what became durable. A snapshot is committed with
 * or after the refresh before it, so for every durable snapshot n the state of n's token must be
 * at least n.
 */
#include "engine.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#define ROUNDS       20
#define BASE_TOKENS  500 /* refreshed all the time */
#define ADDED_MAX    200 /* new ones a round */
#define SNAPSHOTS_MS 400 /* latest moment of the kill, after the first word */

struct word {
    int64_t token;    /* acknowledged; 0: none */
    int64_t snapshot; /* durable; 0: none */
};

static int voice; /* the child's end of the pipe */

static void say(struct word word)
{
    if (write(voice, &word, sizeof word) != sizeof word)
        _exit(2);
}

static void say_token(void *context, token_id id, uint64_t tag)
{
    struct engine *engine = context;
    (void)tag;
    engine->acknowledged++;
    say((struct word){.token = id});
}

static void say_snapshot(void *context, int64_t id)
{
    (void)context;
    say((struct word){.snapshot = id});
}

static token_id token_of(int64_t n)
{
    return (token_id)(1 + (uint64_t)n * 7919 % BASE_TOKENS);
}

static void work(struct engine *engine, int64_t n)
{
    for (uint32_t added = 0;; n++) {
        if (token_table_count(engine->memory.table) >= BASE_TOKENS) {
            engine_refresh(engine, token_of(n), (uint32_t)n);
            writer_add_snapshot(engine->writer, &(struct store_snapshot){.id = n, .token = 1});
        }
        if (n % 16 == 0 && added < BASE_TOKENS + ADDED_MAX) {
            engine_add(engine);
            added++;
        }
        uv_run(&engine->loop, UV_RUN_NOWAIT);
    }
}

static _Noreturn void be_child(struct engine *engine)
{
    struct store_load_report report;
    struct store_loader loader = {engine, restore_token, ignore_setting, NULL};
    struct writer_callbacks callbacks = {
        .context = engine, .on_token_durable = say_token, .on_snapshot_durable = say_snapshot};
    int error;
    char why[512];
    log_setup(LOG_ERROR, LOG_FORMAT_LOGFMT);
    struct store *store = store_open(engine->place.url, why);
    if (store == NULL || !table_memory_init(&engine->memory, 65536, &error) ||
        store_load(store, &loader, &report) != OK || uv_loop_init(&engine->loop) != 0)
        _exit(3);
    engine->options.store_checkpoint_sec = 1; /* passes happen too */
    engine->writer =
        writer_start(store, engine->memory.table, &engine->loop, &engine->options, &callbacks);
    work(engine, report.last_snapshot_id + 1);
    _exit(4);
}

struct memory_of_words {
    bool is_acknowledged[KEPT_TOKENS_MAX * 4];
    int64_t newest_snapshot;
    uint32_t acknowledged;
};

static void listen_until(int fd, struct memory_of_words *heard, int after_first_ms)
{
    struct word word;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    instant end = instant_add(clock_now(), duration_s(WAIT_MAX_S));
    bool is_first = true;
    while (instant_before(clock_now(), end)) {
        int wait = (int)duration_to_ms(instant_diff(end, clock_now()));
        if (poll(&ready, 1, wait) <= 0)
            break;
        assert_int_equal(read(fd, &word, sizeof word), sizeof word);
        if (is_first)
            end = instant_add(clock_now(), duration_ms(after_first_ms));
        is_first = false;
        if (word.token != 0) {
            heard->is_acknowledged[word.token] = true;
            heard->acknowledged++;
        }
        if (word.snapshot > heard->newest_snapshot)
            heard->newest_snapshot = word.snapshot;
    }
    assert_false(is_first);
}

/* What it said before it died and nobody has read yet. */
static void listen_to_the_rest(int fd, struct memory_of_words *heard)
{
    struct word word;
    while (read(fd, &word, sizeof word) == sizeof word) {
        if (word.token != 0)
            heard->is_acknowledged[word.token] = true;
        if (word.snapshot > heard->newest_snapshot)
            heard->newest_snapshot = word.snapshot;
    }
}

static void check(struct engine *engine, const struct memory_of_words *heard)
{
    static int64_t newest[BASE_TOKENS + 1];
    struct kept kept;
    assert_true(is_intact(engine->place.path));
    struct store *store = open_or_fail(engine->place.url);
    assert_int_equal(kept_load(store, &kept), OK);
    assert_int_equal(kept.report.rows_refused, 0);
    assert_int_equal(kept.report.holes, 0);
    assert_true(kept.report.last_snapshot_id >= heard->newest_snapshot);
    for (token_id id = 1; id < KEPT_TOKENS_MAX * 4; id++)
        if (heard->is_acknowledged[id])
            assert_true(id <= kept.report.tokens);
    for (int64_t n = heard->newest_snapshot; n > 0 && n > heard->newest_snapshot - 20000; n--)
        if (n > newest[token_of(n)])
            newest[token_of(n)] = n;
    if (kept.report.tokens >= BASE_TOKENS && heard->newest_snapshot > 20000)
        for (token_id id = 1; id <= BASE_TOKENS; id++)
            assert_true(kept.tokens[id].token.state.low_score_us >= newest[id]);
    kept_finish(&kept);
    store_close(store);
}

static void one_round(struct engine *engine, struct memory_of_words *heard, int kill_after_ms)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        voice = ends[1];
        be_child(engine);
    }
    close(ends[1]);
    listen_until(ends[0], heard, kill_after_ms);
    assert_int_equal(kill(child, SIGKILL), 0);
    listen_to_the_rest(ends[0], heard);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(ends[0]);
    check(engine, heard);
}

static void nothing_acknowledged_is_lost(void **state)
{
    static struct engine engine;
    static struct memory_of_words heard;
    struct prng prng;
    (void)state;
    log_setup(LOG_ERROR, LOG_FORMAT_LOGFMT);
    prng_seed(&prng, 20);
    engine_init(&engine);
    for (int round = 0; round < ROUNDS; round++)
        one_round(&engine, &heard, (int)prng_below(&prng, SNAPSHOTS_MS));
    assert_true(heard.acknowledged > BASE_TOKENS && heard.newest_snapshot > 20000);
    place_finish(&engine.place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_acknowledged_is_lost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
