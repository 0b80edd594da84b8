/*
 * Starting from a table that another engine left: children work as an engine does and are killed in
 * the middle of it; what they left is taken over, and the store catches up with it.
 */
#include "../store/fixture.h"

#include "core/token_layout.h"
#include "engine/cold.h"
#include "engine/parts.h"
#include "engine/restore.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

#define KILLS     15
#define QUEUE_MAX 2000
#define LIFE_US   60000
#define WAIT_S    30
#define TOKENS    300 /* of one life */
#define FIRST_US  1710000000000000
#define SLOTS_BAD (BAD_SLOTS_MAX + 1)

static struct place place;
static int table_fd; /* the supervisor's */
static struct engine *engine;
static struct restore restore;
static uint32_t acknowledged; /* to whoever started this engine */
static uint32_t at_once;      /* tokens; of more, some are placed before the others are looked at */
static void (*while_waiting)(void); /* for the others; NULL: nothing happens */
static struct status_page *page;    /* NULL: nobody is suspect */

/* ---- an engine ---- */

static void on_durable(void *context, token_id id, uint64_t tag)
{
    struct engine *of = context;
    struct token *draft = token_write_begin(of->memory.table, id);
    (void)tag;
    draft->flags |= TOKEN_DURABLE;
    token_write_end(of->memory.table, id);
    acknowledged++;
}

static void on_snapshot(void *context, int64_t id)
{
    struct engine *of = context;
    of->failures_in_a_row = (uint64_t)id; /* a place to keep it */
}

static void restore_any(struct store *store)
{
    enum table_fault fault;
    enum err err = table_memory_attach(&engine->memory, dup(table_fd), &fault);
    restore = (struct restore){0};
    if (err == ERR_CORRUPT)
        restore.report.why_cold = table_fault_text(fault);
    else
        assert_int_equal(err, OK);
    if (err == OK)
        err = engine_restore_warm_first(engine, store, &restore, at_once);
    if (err == OK && while_waiting != NULL)
        while_waiting();
    if (err == OK)
        err = engine_restore_warm_rest(engine, store, &restore);
    if (err == ERR_CORRUPT)
        err = engine_restore_cold(engine, store, &restore);
    assert_int_equal(err, OK);
}

static void start_engine(void)
{
    struct writer_callbacks callbacks = {
        .context = NULL, .on_token_durable = on_durable, .on_snapshot_durable = on_snapshot};
    engine = calloc(1, sizeof *engine);
    assert_non_null(engine);
    callbacks.context = engine;
    options_init(&engine->options);
    engine->options.store_commit_sec = 0.005;
    engine->page = page;
    engine->core_memory = malloc(core_size());
    struct store *store = open_or_fail(place.url);
    restore_any(store);
    assert_int_equal(uv_loop_init(&engine->loop), 0);
    engine->writer =
        writer_start(store, engine->memory.table, &engine->loop, &engine->options, &callbacks);
    assert_non_null(engine->writer);
    engine_catch_up(engine, &restore);
}

static void stop_engine(void)
{
    assert_int_equal(writer_stop(engine->writer, instant_add(clock_now(), duration_s(WAIT_S))), 0);
    while (uv_run(&engine->loop, UV_RUN_DEFAULT) != 0)
        continue;
    assert_int_equal(uv_loop_close(&engine->loop), 0);
    table_memory_finish(&engine->memory);
    free(engine->core_memory);
    free(engine);
    engine = NULL;
}

/* Becoming durable is a change that nobody needs to have on disk: here it is written, too. */
static void turn_until_all_is_stored(void)
{
    struct token_table *table = engine->memory.table;
    instant give_up = instant_add(clock_now(), duration_s(WAIT_S));
    for (token_id id = 1; id <= token_table_count(table); id++)
        writer_mark_dirty(engine->writer, id);
    for (token_id id = 1; id <= token_table_count(table);) {
        if (token_is_stored(table, id) || token_slot(table, id)->flags & TOKEN_HOLE) {
            id++;
            continue;
        }
        assert_true(instant_before(clock_now(), give_up));
        uv_run(&engine->loop, UV_RUN_NOWAIT);
        uv_sleep(1);
    }
}

/* ---- what an engine does ---- */

static token_id add(void)
{
    struct token_table *table = engine->memory.table;
    struct address mint = address_of(token_table_count(table) + 1);
    if (token_table_is_short(table, 8))
        assert_true(table_memory_grow(&engine->memory, 8));
    token_id id = token_table_add(table, &mint);
    token_write_begin(table, id)->created_at.us = FIRST_US;
    token_write_end(table, id);
    writer_add_token(engine->writer, id, 1);
    return id;
}

/* As the core: a publication, then its row, then its snapshot. */
static void refresh(token_id id, int64_t n)
{
    struct token_table *table = engine->memory.table;
    struct pool pools[POOLS_MAX] = {0};
    size_t count = 1 + (size_t)n % 6;
    int64_t previous = token_slot(table, id)->state.snapshot_id;
    for (size_t i = 0; i < count; i++) {
        pools[i].address = address_of((uint64_t)id << 20 | i);
        pools[i].dex = token_table_dex(table, "orca");
        pools[i].quote = token_table_quote(table, "SOL");
    }
    if (token_table_is_short(table, 8))
        assert_true(table_memory_grow(&engine->memory, 8));
    struct token *draft = token_write_begin(table, id);
    draft->state.checked_at.us = draft->state.fetched_at.us = FIRST_US + n;
    draft->state.low_score_us = n;
    draft->state.score = (double)n;
    draft->state.snapshot_id = n;
    draft->state.answers++;
    draft->flags |= TOKEN_POOLS_CHANGED;
    assert_true(token_draft_set_pools(table, pools, count));
    token_write_end(table, id);
    writer_mark_dirty(engine->writer, id);
    writer_add_snapshot(
        engine->writer,
        &(struct store_snapshot){
            .id = n, .previous = previous, .token = id, .at = {FIRST_US + n}, .score = (double)n});
}

static int64_t newest_number(void)
{
    int64_t newest = restore.load.last_snapshot_id;
    for (token_id id = 1; id <= token_table_count(engine->memory.table); id++) {
        int64_t n = token_slot(engine->memory.table, id)->state.snapshot_id;
        newest = n > newest ? n : newest;
    }
    return newest;
}

static void wait_for_acknowledged(uint32_t count)
{
    instant give_up = instant_add(clock_now(), duration_s(WAIT_S));
    while (acknowledged < count) {
        assert_true(instant_before(clock_now(), give_up));
        uv_run(&engine->loop, UV_RUN_NOWAIT);
        uv_sleep(1);
    }
}

/* ---- children ---- */

static _Noreturn void live(int voice, uint64_t seed)
{
    struct prng prng;
    uint32_t told = 0, added = 0;
    struct writer_stats stats;
    prng_seed(&prng, seed);
    acknowledged = 0; /* by this one */
    start_engine();
    for (int64_t n = newest_number() + 1;; n++) {
        if (added++ < TOKENS)
            add();
        refresh(1 + (token_id)prng_below(&prng, token_table_count(engine->memory.table)), n);
        do { /* no snapshot is dropped */
            uv_run(&engine->loop, UV_RUN_NOWAIT);
            writer_stats(engine->writer, &stats);
        } while (stats.queue_depth > QUEUE_MAX);
        for (; told < acknowledged; told++)
            if (write(voice, "a", 1) != 1)
                _exit(1);
    }
}

/* Returns how many tokens were acknowledged before it was killed. */
static uint32_t live_and_die(uint64_t seed, int64_t after_us)
{
    int ends[2], status;
    char byte;
    uint32_t heard = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        live(ends[1], seed);
    close(ends[1]);
    struct pollfd ready = {.fd = ends[0], .events = POLLIN};
    assert_true(poll(&ready, 1, WAIT_S * 1000) == 1); /* it has begun */
    usleep((useconds_t)after_us);
    assert_int_equal(kill(child, SIGKILL), 0);
    while (read(ends[0], &byte, 1) == 1)
        heard++;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return heard;
}

/* ---- the world ---- */

static int set_up(void **state)
{
    struct table_memory memory;
    int error;
    (void)state;
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_LOGFMT);
    place_init(&place);
    assert_true(table_memory_init(&memory, 64, &error));
    table_fd = dup(memory.fd);
    table_memory_finish(&memory);
    acknowledged = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (engine != NULL)
        stop_engine();
    close(table_fd);
    place_finish(&place);
    at_once = 0;
    while_waiting = NULL;
    free(page);
    page = NULL;
    return 0;
}

/* Everything in the table is in the store, as it is: of a stopped engine. */
static void assert_store_is_the_table(void)
{
    struct kept kept;
    struct table_memory memory;
    enum table_fault fault;
    assert_int_equal(table_memory_attach(&memory, dup(table_fd), &fault), OK);
    struct store *store = open_or_fail(place.url);
    assert_int_equal(kept_load(store, &kept), OK);
    assert_int_equal(kept.report.rows_refused, 0);
    for (token_id id = 1; id <= token_table_count(memory.table) && id < KEPT_TOKENS_MAX; id++) {
        struct token token;
        struct pool pools[POOLS_MAX];
        bool is_there = token_read(memory.table, id, &token, pools);
        assert_int_equal(kept.has[id], is_there);
        if (!is_there)
            continue;
        const struct store_token *row = &kept.tokens[id];
        assert_memory_equal(&row->token.mint, &token.mint, sizeof token.mint);
        assert_int_equal(row->token.state.low_score_us, token.state.low_score_us);
        assert_int_equal(row->token.state.checked_at.us, token.state.checked_at.us);
        assert_int_equal(row->token.state.answers, token.state.answers);
        assert_int_equal(row->token.pool_count, token.pool_count);
        for (uint8_t i = 0; i < token.pool_count; i++)
            assert_memory_equal(&row->pools[i].pool.address, &pools[i].address, ADDRESS_BYTES);
    }
    kept_finish(&kept);
    store_close(store);
    table_memory_finish(&memory);
}

/* From the newest snapshot of each token all others are reached that were not lost with a queue. */
static void assert_history_hangs_together(void)
{
    char why[512];
    static struct store_snapshot found[512];
    struct table_memory memory;
    enum table_fault fault;
    struct store_reader *reader = store_reader_open(place.url, why);
    assert_int_equal(table_memory_attach(&memory, dup(table_fd), &fault), OK);
    for (token_id id = 1; id <= token_table_count(memory.table); id++) {
        struct token token;
        sqlite3 *db = NULL;
        sqlite3_stmt *statement = NULL;
        if (!token_read(memory.table, id, &token, NULL) || token.state.snapshot_id == 0 ||
            id % 16 != 1)
            continue;
        int count = store_reader_snapshots(reader, id, token.state.snapshot_id, found, 512);
        assert_int_equal(sqlite3_open(place.path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM snapshot WHERE token_id=?1",
                                            -1, &statement, NULL),
                         SQLITE_OK);
        sqlite3_bind_int64(statement, 1, id);
        assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
        int there = sqlite3_column_int(statement, 0);
        assert_int_equal(count, there < 512 ? there : 512);
        sqlite3_finalize(statement);
        sqlite3_close(db);
    }
    store_reader_close(reader);
    table_memory_finish(&memory);
}

static void add_and_refresh(uint32_t count)
{
    uint32_t before = acknowledged;
    int64_t n = newest_number();
    for (uint32_t i = 0; i < count; i++)
        refresh(add(), ++n);
    wait_for_acknowledged(before + count);
    turn_until_all_is_stored();
}

/* ---- tests ---- */

static void the_first_start_is_cold_the_next_is_warm(void **state)
{
    (void)state;
    start_engine();
    assert_int_equal(restore.report.kind, RESTORE_COLD);
    add_and_refresh(50);
    stop_engine();
    start_engine();
    assert_int_equal(restore.report.kind, RESTORE_WARM);
    assert_null(restore.report.why_cold);
    assert_int_equal(restore.report.slots_checked, 50);
    assert_int_equal(restore.report.slots_restored + restore.report.holes_made, 0);
    assert_int_equal(restore.report.behind, 0);
    for (token_id id = 1; id <= 50; id++)
        assert_true(core_holds_token(engine->core, id));
    stop_engine();
    assert_store_is_the_table();
}

/* The machine was started again: its memory is gone. */
static void forget_table(void)
{
    int error;
    struct table_memory memory;
    close(table_fd);
    assert_true(table_memory_init(&memory, 64, &error));
    table_fd = dup(memory.fd);
    table_memory_finish(&memory);
}

static void after_a_cold_start_nothing_is_behind(void **state)
{
    (void)state;
    start_engine();
    add_and_refresh(50);
    stop_engine();
    forget_table();
    start_engine();
    assert_int_equal(restore.report.kind, RESTORE_COLD);
    assert_int_equal(restore.load.tokens, 50);
    stop_engine();
    start_engine();
    assert_int_equal(restore.report.kind, RESTORE_WARM);
    assert_int_equal(restore.report.behind, 0);
}

static void ignore_news(void *context)
{
    (void)context;
}

/* A cold start up to its first tokens, on a table of its own; the rest is on its way. */
static struct cold *start_first(struct store *store)
{
    const struct restore_news news = {.on_news = ignore_news, .first_tokens = 100};
    enum table_fault fault;
    struct cold *cold;
    forget_table();
    engine = calloc(1, sizeof *engine);
    assert_non_null(engine);
    options_init(&engine->options);
    engine->core_memory = malloc(core_size());
    restore = (struct restore){0};
    assert_int_equal(table_memory_attach(&engine->memory, dup(table_fd), &fault), OK);
    assert_int_equal(engine_restore_first(engine, store, &restore, &news, &cold), OK);
    assert_non_null(cold);
    return cold;
}

static void forget_engine(void)
{
    table_memory_finish(&engine->memory);
    free(engine->core_memory);
    free(engine);
    engine = NULL;
}

static void assert_held(token_id first, token_id last)
{
    for (token_id id = first; id <= last; id++)
        assert_true(core_holds_token(engine->core, id));
}

static void the_first_tokens_work_while_the_others_come(void **state)
{
    struct table_store note;
    enum cold_progress progress;
    (void)state;
    start_engine();
    add_and_refresh(3000);
    stop_engine();
    struct store *store = open_or_fail(place.url);
    struct cold *cold = start_first(store);
    struct token_table *table = engine->memory.table;
    token_id first = token_table_count(table);
    assert_in_range(first, 100, 2999);
    assert_held(1, first);
    assert_false(token_table_store(table, &note)); /* a death now means another cold start */
    while ((progress = cold_put(cold, duration_us(0))) != COLD_ALL_HERE)
        uv_sleep(progress == COLD_WAITING);
    assert_int_equal(cold_rest(cold), OK);
    cold_destroy(cold);
    assert_int_equal(token_table_count(table), 3000);
    assert_held(1, 3000);
    assert_true(token_table_store(table, &note));
    assert_int_equal(restore.load.tokens, 3000);
    store_close(store);
    forget_engine();
    assert_store_is_the_table();
}

static void a_start_can_be_given_up_while_tokens_come(void **state)
{
    (void)state;
    start_engine();
    add_and_refresh(3000);
    stop_engine();
    struct store *store = open_or_fail(place.url);
    struct cold *cold = start_first(store);
    cold_destroy(cold);
    assert_true(token_table_count(engine->memory.table) < 3000);
    store_close(store);
    forget_engine();
    start_engine();
    assert_int_equal(restore.report.kind, RESTORE_COLD);
    assert_string_equal(restore.report.why_cold, "its tokens had not all been loaded");
    assert_int_equal(restore.load.tokens, 3000);
}

static void nothing_is_lost_by_kill_9(void **state)
{
    struct prng prng;
    uint32_t heard = 0, behind = 0, restored = 0, warm = 0;
    (void)state;
    prng_seed(&prng, 4);
    for (uint64_t i = 0; i < KILLS; i++) {
        heard += live_and_die(i, (int64_t)prng_below(&prng, LIFE_US));
        start_engine();
        warm += restore.report.kind == RESTORE_WARM;
        behind += restore.report.behind;
        restored += restore.report.slots_restored;
        assert_true(token_table_count(engine->memory.table) >= heard);
        stop_engine();
        assert_store_is_the_table();
        assert_history_hangs_together();
    }
    assert_int_equal(warm, KILLS);
    print_message("# %d deaths, %u tokens acknowledged, %u written afterwards, %u restored\n",
                  KILLS, heard, behind, restored);
}

static void spoil(token_id id)
{
    struct table_memory memory;
    enum table_fault fault;
    assert_int_equal(table_memory_attach(&memory, dup(table_fd), &fault), OK);
    memset(&slot_of(memory.table, id)->token.state, 0x55, sizeof(struct token_state));
    atomic_fetch_or(&slot_of(memory.table, id)->sequence, 1);
    table_memory_finish(&memory);
}

static void torn_slots_come_from_the_store(void **state)
{
    (void)state;
    start_engine();
    add_and_refresh(100);
    refresh(40, 1000); /* in the log, ahead of its row */
    turn_until_all_is_stored();
    stop_engine();
    spoil(40);
    spoil(7);
    start_engine();
    assert_int_equal(restore.report.kind, RESTORE_WARM);
    assert_int_equal(restore.report.slots_restored, 2);
    assert_int_equal(restore.report.holes_made, 0);
    assert_int_equal(token_slot(engine->memory.table, 40)->state.low_score_us, 1000);
    assert_int_equal(token_slot(engine->memory.table, 40)->pool_count, 1 + 1000 % 6);
    assert_true(core_holds_token(engine->core, 40) && core_holds_token(engine->core, 7));
    stop_engine();
    assert_store_is_the_table();
    assert_history_hangs_together();
}

/* ---- those that have waited longest go first ---- */

#define MANY (WARM_FIRST_MAX + 100)

static struct actions sent;
static token_id sent_ids[MANY];
static size_t sent_count;

static void send_for_the_first(void)
{
    struct event event = {.kind = EVENT_TIME, .now = clock_now()};
    core_step(engine->core, &event, &sent);
    sent_count = 0;
    for (size_t i = 0; i < sent.count; i++)
        if (sent.items[i].kind == ACTION_FETCH)
            sent_count += core_request_tokens(engine->core, sent.items[i].fetch.request,
                                              &sent_ids[sent_count]);
}

static void live_with_many(void)
{
    start_engine();
    add_and_refresh(MANY);
    stop_engine();
    start_engine(); /* they stand in lanes */
    stop_engine();
    while_waiting = send_for_the_first;
}

static void the_longest_waiting_are_sent_for_before_all_are_checked(void **state)
{
    (void)state;
    live_with_many();
    spoil(1); /* it has waited longest of all */
    spoil(MANY);
    start_engine();
    assert_int_equal(restore.report.kind, RESTORE_WARM);
    assert_int_equal(restore.report.first, WARM_FIRST_MAX - 1);
    assert_int_equal(restore.report.slots_restored, 2);
    assert_in_range(sent_count, 1, MANY);
    for (size_t i = 0; i < sent_count; i++)
        assert_in_range(sent_ids[i], 2, WARM_FIRST_MAX);
    assert_held(1, MANY);
    stop_engine();
    assert_store_is_the_table();
}

static void few_are_checked_at_once(void **state)
{
    (void)state;
    live_with_many();
    at_once = MANY;
    start_engine();
    assert_int_equal(restore.report.first, 0);
    assert_held(1, MANY);
}

static void no_suspect_is_among_the_first(void **state)
{
    struct in_hand in_hand = {.count = IN_HAND_MAX};
    (void)state;
    live_with_many();
    page = calloc(1, sizeof *page);
    assert_non_null(page);
    for (token_id id = 1; id <= IN_HAND_MAX; id++)
        in_hand.mints[id - 1] = address_of(id);
    suspects_on_death(&page->suspects, &in_hand, clock_now(), duration_s(60));
    start_engine();
    assert_in_range(sent_count, 1, MANY);
    for (size_t i = 0; i < sent_count; i++)
        assert_true(sent_ids[i] > IN_HAND_MAX);
    assert_held(1, MANY);
}

/* Requests are under way when the table turns out not to be believed; what comes back for them is
 * taken for nobody else's. */
static void answers_for_a_start_that_went_cold_are_late(void **state)
{
    (void)state;
    live_with_many();
    for (token_id id = 0; id < SLOTS_BAD; id++)
        spoil(MANY - id); /* not among the first */
    start_engine();
    assert_int_equal(restore.report.kind, RESTORE_COLD);
    assert_string_equal(restore.report.why_cold, table_fault_text(TABLE_BAD_SLOTS));
    uint64_t before = sent.items[0].fetch.request;
    assert_int_equal(sent.items[0].kind, ACTION_FETCH);
    send_for_the_first();
    assert_in_range(sent_count, 1, MANY);
    struct event event = {.kind = EVENT_ANSWER,
                          .now = clock_now(),
                          .answer = {.request = before, .outcome = FEED_OK}};
    core_step(engine->core, &event, &sent);
    assert_int_equal(core_stats(engine->core)->late_answers, 1);
    assert_held(1, MANY);
}

/* It was in memory only, and its slot is torn: nobody was told of it, and it may come again. */
static void a_torn_slot_without_a_row_is_a_hole(void **state)
{
    (void)state;
    start_engine();
    add_and_refresh(10);
    struct address mint = address_of(11);
    assert_int_equal(token_table_add(engine->memory.table, &mint), 11);
    stop_engine();
    spoil(11);
    start_engine();
    assert_int_equal(restore.report.kind, RESTORE_WARM);
    assert_int_equal(restore.report.holes_made, 1);
    assert_true(restore.report.is_index_rebuilt);
    assert_int_equal(token_table_find(engine->memory.table, &mint), TOKEN_NONE);
    assert_int_equal(token_table_add(engine->memory.table, &mint), 12);
}

static void a_token_that_was_not_written_is(void **state)
{
    (void)state;
    start_engine();
    add_and_refresh(10);
    struct address mint = address_of(11);
    assert_int_equal(token_table_add(engine->memory.table, &mint), 11);
    stop_engine();
    start_engine();
    assert_int_equal(restore.report.behind, 1);
    uint32_t before = acknowledged;
    wait_for_acknowledged(before + 1);
    stop_engine();
    assert_store_is_the_table();
}

static void too_many_torn_slots_mean_a_cold_start(void **state)
{
    struct table_memory reader;
    enum table_fault fault;
    struct address mint = address_of(77);
    (void)state;
    start_engine();
    add_and_refresh(100);
    stop_engine();
    for (token_id id = 1; id <= SLOTS_BAD; id++)
        spoil(id * 2);
    assert_int_equal(table_memory_attach_shared(&reader, dup(table_fd), &fault), OK);
    start_engine();
    assert_int_equal(restore.report.kind, RESTORE_COLD);
    assert_string_equal(restore.report.why_cold, table_fault_text(TABLE_BAD_SLOTS));
    assert_int_equal(restore.load.tokens, 100);
    assert_int_equal(token_table_find_shared(reader.table, &mint), 77); /* the same memory */
    table_memory_finish(&reader);
    stop_engine();
    assert_store_is_the_table();
}

static void a_broken_header_means_a_cold_start(void **state)
{
    struct table_memory memory;
    enum table_fault fault;
    (void)state;
    start_engine();
    add_and_refresh(100);
    stop_engine();
    assert_int_equal(table_memory_attach(&memory, dup(table_fd), &fault), OK);
    atomic_store(&memory.table->capacity, 7);
    table_memory_finish(&memory);
    start_engine();
    assert_int_equal(restore.report.kind, RESTORE_COLD);
    assert_string_equal(restore.report.why_cold, table_fault_text(TABLE_BAD_CAPACITY));
    stop_engine();
    assert_store_is_the_table();
}

static void remove_database(void)
{
    char path[128];
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", place.path, suffixes[i]);
        unlink(path);
    }
}

static void a_deleted_database_is_written_from_the_table(void **state)
{
    (void)state;
    start_engine();
    add_and_refresh(3000);
    stop_engine();
    remove_database();
    start_engine();
    assert_int_equal(restore.report.kind, RESTORE_WARM);
    assert_true(restore.report.is_store_rewritten);
    stop_engine();
    assert_store_is_the_table();
}

/* The engine died while a new file was being filled: some rows are there, others are not. */
static void a_database_that_was_not_filled_is(void **state)
{
    struct table_memory memory;
    enum table_fault fault;
    struct table_store note;
    (void)state;
    start_engine();
    add_and_refresh(300);
    stop_engine();
    sqlite3 *db;
    assert_int_equal(sqlite3_open(place.path, &db), SQLITE_OK);
    sqlite3_exec(db, "DELETE FROM token WHERE id > 100", NULL, NULL, NULL);
    sqlite3_close(db);
    assert_int_equal(table_memory_attach(&memory, dup(table_fd), &fault), OK);
    assert_true(token_table_store(memory.table, &note));
    note.is_behind = 1;
    token_table_set_store(memory.table, &note);
    table_memory_finish(&memory);
    start_engine();
    assert_true(restore.report.is_store_rewritten);
    stop_engine();
    assert_store_is_the_table();
    start_engine();
    assert_false(restore.report.is_store_rewritten);
}

static void another_database_means_a_cold_start(void **state)
{
    char aside[128];
    (void)state;
    start_engine();
    add_and_refresh(20);
    stop_engine();
    snprintf(aside, sizeof aside, "%s.backup", place.path);
    assert_int_equal(rename(place.path, aside), 0);
    remove_database();
    struct store *store = open_or_fail(place.url);
    struct store_token row;
    token_make(&row, 1, 0);
    assert_int_equal(store_begin(store, STORE_DURABLE), OK);
    assert_int_equal(store_put_token(store, &row), OK);
    assert_int_equal(store_commit(store), OK);
    store_close(store);
    start_engine();
    assert_int_equal(restore.report.kind, RESTORE_COLD);
    assert_non_null(strstr(restore.report.why_cold, "this database"));
    assert_int_equal(token_table_count(engine->memory.table), 1);
}

static void settings_come_from_the_store(void **state)
{
    (void)state;
    start_engine();
    writer_put_setting(engine->writer, "min_score", "0.25", 0);
    stop_engine();
    start_engine();
    assert_true(engine->options.min_score == 0.25);
}

/* Of another version, or of nobody's: a default is better than no start. */
static void stored_settings_that_are_none_are_left_out(void **state)
{
    (void)state;
    struct options usual;
    options_init(&usual);
    start_engine();
    writer_put_setting(engine->writer, "no_such_setting", "1", 0);
    writer_put_setting(engine->writer, "listen", "0.0.0.0:1", 0); /* not to be set from there */
    writer_put_setting(engine->writer, "hot_interval_sec", "soon", 0);
    stop_engine();
    start_engine();
    assert_string_equal(engine->options.listen, usual.listen);
    assert_true(engine->options.hot_interval_sec == usual.hot_interval_sec);
}

/* A row that is gone leaves its place empty: ids are places in the table. */
static void a_gap_among_the_rows_is_a_hole(void **state)
{
    struct table_memory memory;
    int error;
    sqlite3 *db;
    (void)state;
    start_engine();
    add_and_refresh(20);
    stop_engine();
    assert_int_equal(sqlite3_open(place.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "DELETE FROM token WHERE id IN (7, 8)", NULL, NULL, NULL), 0);
    sqlite3_close(db);
    close(table_fd); /* the machine was started again */
    assert_true(table_memory_init(&memory, 64, &error));
    table_fd = dup(memory.fd);
    table_memory_finish(&memory);
    start_engine();
    assert_int_equal(restore.load.tokens, 18);
    assert_int_equal(token_table_count(engine->memory.table), 20);
    for (token_id id = 1; id <= 20; id++)
        assert_int_equal(core_holds_token(engine->core, id), id != 7 && id != 8);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_first_start_is_cold_the_next_is_warm),
        CASE(after_a_cold_start_nothing_is_behind),
        CASE(the_first_tokens_work_while_the_others_come),
        CASE(a_start_can_be_given_up_while_tokens_come),
        CASE(nothing_is_lost_by_kill_9),
        CASE(torn_slots_come_from_the_store),
        CASE(the_longest_waiting_are_sent_for_before_all_are_checked),
        CASE(few_are_checked_at_once),
        CASE(no_suspect_is_among_the_first),
        CASE(answers_for_a_start_that_went_cold_are_late),
        CASE(a_torn_slot_without_a_row_is_a_hole),
        CASE(a_token_that_was_not_written_is),
        CASE(too_many_torn_slots_mean_a_cold_start),
        CASE(a_broken_header_means_a_cold_start),
        CASE(a_deleted_database_is_written_from_the_table),
        CASE(a_database_that_was_not_filled_is),
        CASE(another_database_means_a_cold_start),
        CASE(settings_come_from_the_store),
        CASE(stored_settings_that_are_none_are_left_out),
        CASE(a_gap_among_the_rows_is_a_hole),
    };
    return cmocka_run_group_tests_name("engine.restore", tests, NULL, NULL);
}
