/*
 * What every store must do, whatever it is made of. A row of STORES is a store, named by the
 * program's argument (TAP knows one plan); the tests know no more of it than how it is opened.
 */
#include "fixture.h"
#include "postgres_group.h"
#include "sim/vault.h"

struct world {
    struct place place; /* empty for every test */
    const char *url;
    struct vault *vault;
};

static void make_sqlite(struct world *world)
{
    place_init(&world->place);
    world->url = world->place.url;
}

static void make_postgres(struct world *world)
{
    char schema[32];
    assert_true(server_add_schema(&server, schema));
    server_url(&server, schema, "", world->place.url, sizeof world->place.url);
    world->url = world->place.url;
}

static enum vault_mishap no_mishap(void *context)
{
    (void)context;
    return VAULT_WELL;
}

static void make_vault(struct world *world)
{
    world->vault = vault_create(no_mishap, NULL);
    assert_non_null(world->vault);
    vault_keep_history(world->vault);
}

static struct store *open_by_url(struct world *world, char why[512])
{
    return store_open(world->url, why);
}

static struct store_reader *open_reader_by_url(struct world *world, char why[512])
{
    return store_reader_open(world->url, why);
}

static struct store *open_vault(struct world *world, char why[512])
{
    *why = '\0';
    return vault_open(world->vault);
}

static struct store_reader *open_vault_reader(struct world *world, char why[512])
{
    *why = '\0';
    return vault_reader_open(world->vault);
}

/* What a store has that not all have; a test that is about it runs for those alone. */
enum trait {
    HAS_URL = 1,  /* it is found by one */
    HAS_LOCK = 2, /* a second writer is refused; without it, the first is fenced */
};

struct kind {
    const char *name;
    unsigned traits;
    void (*make)(struct world *world);
    struct store *(*open)(struct world *world, char why[512]);
    struct store_reader *(*open_reader)(struct world *world, char why[512]);
    CMFixtureFunction begin, end; /* of all tests */
};

static const struct kind STORES[] = {
    {"sqlite", HAS_URL | HAS_LOCK, make_sqlite, open_by_url, open_reader_by_url, NULL, NULL},
    {"postgresql", HAS_URL | HAS_LOCK, make_postgres, open_by_url, open_reader_by_url,
     server_start_group, server_stop_group},
    {"simulated", 0, make_vault, open_vault, open_vault_reader, NULL, NULL},
};

static const struct kind *kind;

static int set_up(void **state)
{
    static struct world world;
    log_setup(LOG_ERROR, LOG_FORMAT_LOGFMT);
    world = (struct world){0};
    kind->make(&world);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    if (*world->place.folder != '\0')
        place_finish(&world->place);
    vault_destroy(world->vault);
    return 0;
}

static struct store *open_store(struct world *world)
{
    char why[512] = "";
    struct store *store = kind->open(world, why);
    if (store == NULL)
        fail_msg("%s", why);
    return store;
}

static struct store *open_loaded(void **state)
{
    struct world *world = *state;
    struct kept kept;
    struct store *store = open_store(world);
    assert_int_equal(kept_load(store, &kept), OK);
    kept_finish(&kept);
    while (store_next_replayed(store) != TOKEN_NONE)
        continue;
    return store;
}

static void load_again(void **state, struct kept *kept)
{
    struct world *world = *state;
    struct store *store = open_store(world);
    assert_int_equal(kept_load(store, kept), OK);
    assert_int_equal(kept->report.rows_refused, 0);
    store_close(store);
}

static void put_tokens(struct store *store, token_id first, token_id last)
{
    struct store_token row;
    assert_int_equal(store_begin(store, STORE_DURABLE), OK);
    for (token_id id = first; id <= last; id++) {
        token_make(&row, id, 0);
        assert_int_equal(store_put_token(store, &row), OK);
    }
    assert_int_equal(store_commit(store), OK);
}

static void append(struct store *store, token_id id, uint32_t n)
{
    struct store_token row;
    token_make(&row, id, n);
    assert_int_equal(store_append_refresh(store, &row), OK);
}

static void append_and_commit(struct store *store, token_id id, uint32_t n)
{
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    append(store, id, n);
    assert_int_equal(store_commit(store), OK);
}

static void generation_rises_with_each_opening(void **state)
{
    for (uint64_t n = 1; n <= 3; n++) {
        struct kept kept;
        load_again(state, &kept);
        assert_int_equal(kept.report.generation, n);
        assert_int_equal(kept.report.tokens, 0);
        kept_finish(&kept);
    }
}

static void second_writer_is_told_clearly(void **state)
{
    struct world *world = *state;
    char why[512] = "";
    struct store *store = open_store(world);
    assert_null(kind->open(world, why));
    assert_non_null(strstr(why, "in use by another moonwatch"));
    store_close(store);
    store_close(open_store(world));
}

/* Where a second writer may come without the first one's end. */
static void older_writer_is_fenced(void **state)
{
    struct store *older = open_loaded(state);
    put_tokens(older, 1, 2);
    struct store *newer = open_loaded(state);
    assert_int_equal(store_begin(older, STORE_DURABLE), ERR_FENCED);
    assert_non_null(strstr(store_message(older), "taken over"));
    put_tokens(newer, 3, 4);
    store_close(older);
    store_close(newer);
}

static void unknown_urls_are_refused(void **state)
{
    static const char *const URLS[] = {"", "sqlite:", "mysql:x", "/tmp/x.db"};
    (void)state;
    for (size_t i = 0; i < sizeof URLS / sizeof *URLS; i++) {
        char why[512] = "";
        assert_null(store_open(URLS[i], why));
        assert_non_null(strstr(why, "sqlite:PATH"));
        assert_null(store_reader_open(URLS[i], why));
    }
}

static void tokens_come_back_as_they_were(void **state)
{
    struct kept kept;
    struct store_token row;
    struct store *store = open_loaded(state);
    put_tokens(store, 1, 100);
    store_close(store);
    load_again(state, &kept);
    assert_int_equal(kept.report.tokens, 100);
    assert_int_equal(kept.report.replayed, 0);
    assert_int_equal(kept.report.holes, 0);
    for (token_id id = 1; id <= 100; id++) {
        token_make(&row, id, 0);
        token_assert_equal(&kept.tokens[id], &row);
        assert_int_equal(kept.tokens[id].token.flags, TOKEN_DURABLE);
    }
    kept_finish(&kept);
}

static void newest_of_the_log_wins(void **state)
{
    struct kept kept;
    struct store_token row;
    struct store *store = open_loaded(state);
    put_tokens(store, 1, 10);
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    for (uint32_t n = 1; n <= 3; n++)
        append(store, 7, n);
    append(store, 3, 9);
    assert_int_equal(store_commit(store), OK);
    assert_int_equal(store_log_position(store), 4);
    store_close(store);

    store = open_store(*state);
    assert_int_equal(kept_load(store, &kept), OK);
    assert_int_equal(kept.report.replayed, 2);
    token_make(&row, 7, 3);
    token_assert_equal(&kept.tokens[7], &row);
    token_make(&row, 3, 9);
    token_assert_equal(&kept.tokens[3], &row);
    assert_int_equal(store_next_replayed(store), 3);
    assert_int_equal(store_next_replayed(store), 7);
    assert_int_equal(store_next_replayed(store), TOKEN_NONE);
    assert_int_equal(store_log_position(store), 4);
    kept_finish(&kept);
    store_close(store);
}

static void some_tokens_come_as_all_would(void **state)
{
    static const token_id ids[] = {3, 7, 8, 50, 101, 3000000, 3000001};
    struct kept kept = {0};
    struct store_token row;
    struct store *store = open_loaded(state);
    put_tokens(store, 1, 100);
    put_tokens(store, 3000000, 3000000);
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    for (uint32_t n = 1; n <= 3; n++)
        append(store, 7, n);
    append(store, 9, 4);
    assert_int_equal(store_commit(store), OK);
    kept.tokens = calloc(KEPT_TOKENS_MAX, sizeof *kept.tokens);
    struct store_loader loader = {&kept, keep_token, keep_setting, NULL};
    assert_int_equal(store_load_some(store, ids, sizeof ids / sizeof *ids, &loader), OK);
    assert_int_equal(kept.last, 3000000);
    for (token_id id = 1; id <= 101; id++)
        assert_int_equal(kept.has[id], id == 3 || id == 7 || id == 8 || id == 50);
    for (size_t i = 0; i < 4; i++) {
        token_make(&row, ids[i], ids[i] == 7 ? 3 : 0);
        token_assert_equal(&kept.tokens[ids[i]], &row);
    }
    assert_int_equal(store_load_some(store, NULL, 0, &loader), OK);
    kept_finish(&kept);
    store_close(store);
}

static void note_snapshot(void *context, int64_t id, token_id token)
{
    int64_t *sum = context;
    *sum += id * 1000 + token;
}

static void a_resumption_tells_the_newest_snapshots(void **state)
{
    struct world *world = *state;
    struct store_load_report report;
    int64_t sum = 0, expected = 0;
    struct store *store = open_loaded(state);
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    for (int64_t id = 1; id <= 3000; id++) {
        struct store_snapshot snapshot = {.id = id, .token = (token_id)(id % 7 + 1)};
        assert_int_equal(store_put_snapshot(store, &snapshot), OK);
        if (id > 3000 - STORE_SNAPSHOTS_MAX)
            expected += id * 1000 + snapshot.token;
    }
    assert_int_equal(store_commit(store), OK);
    store_close(store);
    store = open_store(world);
    struct store_loader loader = {.context = &sum, .on_snapshot = note_snapshot};
    assert_int_equal(store_resume(store, &loader, &report), OK);
    assert_int_equal(report.last_snapshot_id, 3000);
    assert_int_equal(sum, expected);
    store_close(store);
}

static void a_resumption_reads_no_tokens(void **state)
{
    struct world *world = *state;
    struct kept kept = {0};
    bool was_told[11] = {false};
    struct store *store = open_loaded(state);
    put_tokens(store, 1, 10);
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    assert_int_equal(store_put_setting(store, "min_score", "0.1"), OK);
    struct store_snapshot snapshot = {.id = 44, .token = 1};
    assert_int_equal(store_put_snapshot(store, &snapshot), OK);
    append(store, 7, 1);
    append(store, 3, 1);
    append(store, 7, 2);
    assert_int_equal(store_commit(store), OK);
    store_start_pass(store);
    append_and_commit(store, 5, 1);
    store_close(store);
    store = open_store(world);
    struct store_loader loader = {&kept, keep_token, keep_setting, NULL};
    assert_int_equal(store_resume(store, &loader, &kept.report), OK);
    assert_int_equal(kept.last, TOKEN_NONE);
    assert_int_equal(kept.setting_count, 1);
    assert_int_equal(kept.report.last_snapshot_id, 44);
    assert_int_equal(kept.report.last_token, 10);
    assert_int_equal(kept.report.generation, 2);
    for (token_id id; (id = store_next_replayed(store)) != TOKEN_NONE;)
        was_told[id] = true;
    for (token_id id = 1; id <= 10; id++)
        assert_int_equal(was_told[id], id == 3 || id == 5 || id == 7);
    assert_int_equal(store_next_replayed(store), TOKEN_NONE);
    append_and_commit(store, 1, 3); /* it can be written to as after a load */
    assert_int_equal(store_log_position(store), 5);
    store_close(store);
}

static void a_store_is_known_again(void **state)
{
    struct world *world = *state;
    struct table_store first, again;
    struct store *store = open_store(world);
    store_identify(store, &first);
    assert_int_equal(first.generation, 1);
    assert_int_equal(first.is_behind, 0);
    store_close(store);
    store = open_store(world);
    store_identify(store, &again);
    assert_int_equal(again.identity, first.identity);
    assert_int_equal(again.generation, 2);
    store_close(store);
}

static void a_checkpoint_is_not_undone_by_the_log(void **state)
{
    struct kept kept;
    struct store_token row;
    struct store *store = open_loaded(state);
    put_tokens(store, 1, 3);
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    append(store, 1, 1);
    token_make(&row, 1, 5); /* newer than the log */
    assert_int_equal(store_checkpoint_token(store, &row), OK);
    append(store, 2, 2);
    assert_int_equal(store_commit(store), OK);
    store_close(store);
    load_again(state, &kept);
    assert_int_equal(kept.report.replayed, 1);
    token_assert_equal(&kept.tokens[1], &row);
    token_make(&row, 2, 2);
    token_assert_equal(&kept.tokens[2], &row);
    kept_finish(&kept);
}

static void a_checkpoint_restores_a_row_that_was_lost(void **state)
{
    struct kept kept;
    struct store_token row;
    struct store *store = open_loaded(state);
    token_make(&row, 1, 5);
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    assert_int_equal(store_checkpoint_token(store, &row), OK);
    assert_int_equal(store_commit(store), OK);
    store_close(store);
    load_again(state, &kept);
    token_assert_equal(&kept.tokens[1], &row);
    kept_finish(&kept);
}

static void one_pass(struct store *store, token_id id, uint32_t n)
{
    struct store_token row;
    token_make(&row, id, n);
    store_start_pass(store);
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    assert_int_equal(store_checkpoint_token(store, &row), OK);
    assert_int_equal(store_commit(store), OK);
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    assert_int_equal(store_end_pass(store), OK);
    assert_int_equal(store_commit(store), OK);
}

static void dropping_the_log_keeps_positions_rising(void **state)
{
    struct kept kept;
    struct store *store = open_loaded(state);
    put_tokens(store, 1, 1);
    for (uint32_t n = 1; n <= 9; n++) {
        append_and_commit(store, 1, n);
        one_pass(store, 1, n);
    }
    store_close(store);
    store = open_loaded(state);
    assert_int_equal(store_log_position(store), 9);
    append_and_commit(store, 1, 10);
    store_close(store);
    load_again(state, &kept);
    assert_int_equal(kept.report.replayed, 1);
    assert_int_equal(kept.tokens[1].token.state.low_score_us, 10);
    kept_finish(&kept);
}

/* The process ends between start and end of a pass: both parts of the log hold rows. */
static void an_unfinished_pass_loses_nothing(void **state)
{
    struct kept kept;
    struct store *store = open_loaded(state);
    put_tokens(store, 1, 3);
    append_and_commit(store, 1, 1);
    store_start_pass(store);
    append_and_commit(store, 2, 2);
    store_close(store);
    store = open_loaded(state);
    store_start_pass(store);
    append_and_commit(store, 3, 3);
    store_close(store);
    load_again(state, &kept);
    assert_int_equal(kept.report.replayed, 3);
    for (token_id id = 1; id <= 3; id++)
        assert_int_equal(kept.tokens[id].token.state.low_score_us, id);
    kept_finish(&kept);
}

static void a_pass_rolled_back_can_be_ended_again(void **state)
{
    struct kept kept;
    struct store *store = open_loaded(state);
    put_tokens(store, 1, 1);
    append_and_commit(store, 1, 1);
    store_start_pass(store);
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    assert_int_equal(store_end_pass(store), OK);
    store_rollback(store);
    store_close(store);
    load_again(state, &kept);
    assert_int_equal(kept.report.replayed, 1);
    kept_finish(&kept);
}

static void rollback_leaves_nothing(void **state)
{
    struct kept kept;
    struct store_token row;
    struct store *store = open_loaded(state);
    token_make(&row, 1, 0);
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    assert_int_equal(store_put_token(store, &row), OK);
    append(store, 1, 1);
    store_rollback(store);
    assert_int_equal(store_log_position(store), 0);
    store_rollback(store); /* harmless */
    put_tokens(store, 1, 1);
    store_close(store);
    load_again(state, &kept);
    assert_int_equal(kept.report.tokens, 1);
    assert_int_equal(kept.report.replayed, 0);
    kept_finish(&kept);
}

static void pools_are_replaced(void **state)
{
    struct kept kept;
    struct store_token row;
    struct store *store = open_loaded(state);
    put_tokens(store, 1, 3);
    token_make(&row, 3, 0);
    row.token.pool_count = POOLS_MAX;
    for (uint8_t i = 0; i < POOLS_MAX; i++) {
        row.pools[i] = row.pools[0];
        row.pools[i].pool.address = address_of(5000 + i);
    }
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    assert_int_equal(store_put_pools(store, &row), OK);
    row.id = 2;
    row.token.pool_count = 0;
    assert_int_equal(store_put_pools(store, &row), OK);
    assert_int_equal(store_commit(store), OK);
    store_close(store);
    load_again(state, &kept);
    assert_int_equal(kept.tokens[1].token.pool_count, 1);
    assert_int_equal(kept.tokens[2].token.pool_count, 0);
    assert_int_equal(kept.tokens[3].token.pool_count, POOLS_MAX);
    struct address last = address_of(5000 + POOLS_MAX - 1);
    assert_memory_equal(&kept.tokens[3].pools[POOLS_MAX - 1].pool.address, &last, sizeof last);
    kept_finish(&kept);
}

static void settings_come_back(void **state)
{
    struct kept kept;
    struct store *store = open_loaded(state);
    assert_int_equal(store_begin(store, STORE_DURABLE), OK);
    assert_int_equal(store_put_setting(store, "min_score", "0.1"), OK);
    assert_int_equal(store_put_setting(store, "min_score", "0.2"), OK);
    assert_int_equal(store_put_setting(store, "w_tx", "'; DROP TABLE token; --"), OK);
    assert_int_equal(store_commit(store), OK);
    store_close(store);
    load_again(state, &kept);
    assert_int_equal(kept.setting_count, 2);
    assert_string_equal(kept.settings[0][1], "0.2");
    assert_string_equal(kept.settings[1][1], "'; DROP TABLE token; --");
    kept_finish(&kept);
}

static void alerts_come_back_until_they_are_deleted(void **state)
{
    struct kept kept;
    struct store *store = open_loaded(state);
    assert_int_equal(store_begin(store, STORE_DURABLE), OK);
    assert_int_equal(store_put_alert(store, 8, "second"), OK);
    assert_int_equal(store_put_alert(store, 7, "first"), OK);
    assert_int_equal(store_put_alert(store, 9, "third"), OK);
    assert_int_equal(store_put_alert(store, 9, "third, told to one"), OK);
    assert_int_equal(store_put_alert(store, 7, NULL), OK);
    assert_int_equal(store_put_alert(store, 1234, NULL), OK); /* never there */
    assert_int_equal(store_commit(store), OK);
    store_close(store);
    load_again(state, &kept);
    assert_int_equal(kept.alert_count, 2);
    assert_int_equal(kept.last_alert, 9);
    assert_string_equal(kept.alert_text, "third, told to one");
    kept_finish(&kept);
}

/* So many that only the newest are told. */
static void a_start_hears_of_the_newest_alerts(void **state)
{
    struct kept kept;
    struct store *store = open_loaded(state);
    assert_int_equal(store_begin(store, STORE_DURABLE), OK);
    for (int64_t id = 1; id <= STORE_ALERTS_MAX + 5; id++)
        assert_int_equal(store_put_alert(store, id, "x"), OK);
    assert_int_equal(store_commit(store), OK);
    store_close(store);
    load_again(state, &kept);
    assert_int_equal(kept.alert_count, STORE_ALERTS_MAX);
    assert_int_equal(kept.last_alert, STORE_ALERTS_MAX + 5);
    kept_finish(&kept);
}

static void names_from_strangers_are_data(void **state)
{
    static const char *const NAMES[] = {"'; DROP TABLE token; --", "<script>", "\"\\%s%n",
                                        "\xf0\x9f\x8c\x95 moon", ""};
    struct kept kept;
    struct store_token row;
    struct store *store = open_loaded(state);
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    for (token_id id = 1; id <= 5; id++) {
        token_make(&row, id, 0);
        strcpy(row.token.name, NAMES[id - 1]);
        assert_int_equal(store_put_token(store, &row), OK);
    }
    assert_int_equal(store_commit(store), OK);
    store_close(store);
    load_again(state, &kept);
    for (token_id id = 1; id <= 5; id++)
        assert_string_equal(kept.tokens[id].token.name, NAMES[id - 1]);
    kept_finish(&kept);
}

static struct store_snapshot snapshot_of(int64_t id, int64_t previous, token_id token)
{
    struct store_snapshot snapshot = {.id = id, .previous = previous, .token = token};
    snapshot.at.us = id * 1000;
    snapshot.score = (double)id / 8;
    snapshot.raw.tx_accel = 1.5;
    snapshot.smoothed.orderflow_imbalance = -0.25;
    snapshot.metrics.liquidity_usd = 1000;
    snapshot.metrics.price_usd = NAN;
    snapshot.metrics.tx_count_1h = 77;
    snapshot.metrics.pools = 3;
    strcpy(snapshot.primary_dex, "orca");
    return snapshot;
}

/* Snapshots 1 … 30 of three tokens in turn. */
static void put_snapshots(struct store *store)
{
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    for (int64_t id = 1; id <= 30; id++) {
        struct store_snapshot snapshot =
            snapshot_of(id, id > 3 ? id - 3 : 0, (token_id)(id % 3 + 1));
        assert_int_equal(store_put_snapshot(store, &snapshot), OK);
    }
    assert_int_equal(store_commit(store), OK);
}

static void history_is_followed_back(void **state)
{
    struct world *world = *state;
    char why[512];
    struct kept kept;
    struct store_snapshot found[20];
    struct store *store = open_loaded(state);
    put_snapshots(store);
    struct store_reader *reader = kind->open_reader(world, why);
    assert_non_null(reader);
    assert_int_equal(store_reader_snapshots(reader, 1, 30, found, 20), 10);
    assert_int_equal(found[0].id, 30);
    assert_int_equal(found[9].id, 3);
    assert_true(found[0].score == 30.0 / 8 && found[0].smoothed.orderflow_imbalance == -0.25);
    assert_true(isnan(found[0].metrics.price_usd) && found[0].metrics.tx_count_1h == 77);
    assert_string_equal(found[0].primary_dex, "orca");
    assert_int_equal(store_reader_snapshots(reader, 1, 30, found, 4), 4);
    assert_int_equal(store_reader_snapshots(reader, 2, 30, found, 4), 0); /* another token's */
    assert_int_equal(store_reader_snapshots(reader, 1, 999, found, 4), 0);
    assert_int_equal(store_reader_snapshots(reader, 1, 0, found, 4), 0);
    store_reader_close(reader);
    store_close(store);
    load_again(state, &kept);
    assert_int_equal(kept.report.last_snapshot_id, 30);
    kept_finish(&kept);
}

static void events_are_read_newest_first(void **state)
{
    struct world *world = *state;
    char why[512];
    struct store_event found[4];
    struct store *store = open_loaded(state);
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    for (int i = 0; i < 6; i++) {
        struct store_event event = {.token = (token_id)(i % 2), .at = {1000 + i}};
        snprintf(event.kind, sizeof event.kind, "kind%d", i);
        strcpy(event.reason, "because");
        assert_int_equal(store_put_event(store, &event), OK);
    }
    assert_int_equal(store_commit(store), OK);
    struct store_reader *reader = kind->open_reader(world, why);
    assert_int_equal(store_reader_events(reader, 1, found, 4), 3);
    assert_string_equal(found[0].kind, "kind5");
    assert_string_equal(found[2].kind, "kind1");
    assert_int_equal(store_reader_events(reader, 9, found, 4), 0);
    assert_int_equal(store_reader_events(reader, TOKEN_NONE, found, 4), 4);
    assert_string_equal(found[1].kind, "kind4");
    assert_int_equal(found[1].token, 0);
    store_reader_close(reader);
    store_close(store);
}

static void old_history_is_deleted_in_slices(void **state)
{
    struct world *world = *state;
    char why[512];
    struct store_snapshot found[20];
    bool more = false;
    struct store *store = open_loaded(state);
    put_snapshots(store);
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    assert_int_equal(store_delete_history(store, (instant){20500}, (instant){0}, 12, &more), OK);
    assert_true(more);
    assert_int_equal(store_delete_history(store, (instant){20500}, (instant){0}, 12, &more), OK);
    assert_false(more);
    assert_int_equal(store_commit(store), OK);
    struct store_reader *reader = kind->open_reader(world, why);
    assert_int_equal(store_reader_snapshots(reader, 1, 30, found, 20), 4); /* 30 27 24 21 */
    store_reader_close(reader);
    store_close(store);
}

static void a_reader_waits_for_its_file(void **state)
{
    struct world *world = *state;
    char why[512];
    struct store_snapshot found[20];
    struct store_reader *reader = kind->open_reader(world, why);
    assert_non_null(reader);
    assert_int_equal(store_reader_snapshots(reader, 1, 30, found, 20), -1);
    struct store *store = open_loaded(state);
    put_snapshots(store);
    assert_int_equal(store_reader_snapshots(reader, 1, 30, found, 20), 10);
    store_reader_close(reader);
    store_close(store);
}

static void nothing_is_safe_to_close(void **state)
{
    (void)state;
    store_close(NULL);
    store_reader_close(NULL);
}

static void size_grows(void **state)
{
    struct store *store = open_loaded(state);
    int64_t before = store_size_bytes(store);
    put_tokens(store, 1, 2000);
    assert_true(before > 0 && store_size_bytes(store) > before + 2000 * 300);
    store_close(store);
}

struct row {
    struct CMUnitTest test;
    unsigned has, lacks; /* traits of the stores that it is for */
};

static size_t choose(const struct row *rows, size_t count, struct CMUnitTest *out)
{
    size_t chosen = 0;
    for (size_t i = 0; i < count; i++)
        if ((rows[i].has & ~kind->traits) == 0 && (rows[i].lacks & kind->traits) == 0)
            out[chosen++] = rows[i].test;
    return chosen;
}

static const struct kind *kind_named(const char *name)
{
    for (size_t i = 0; i < sizeof STORES / sizeof *STORES; i++)
        if (strcmp(STORES[i].name, name) == 0)
            return &STORES[i];
    return NULL;
}

/* What cmocka's macro does, which wants to see an array. */
static int run_group(const struct CMUnitTest *tests, size_t count)
{
    return _cmocka_run_group_tests(kind->name, tests, count, kind->begin, kind->end);
}

int main(int argc, char **argv)
{
#define ROW(name) NEEDS(name, 0, 0)
#define NEEDS(name, has, lacks)                                                                    \
    {                                                                                              \
        cmocka_unit_test_setup_teardown(name, set_up, tear_down), has, lacks                       \
    }
    static const struct row rows[] = {
        ROW(generation_rises_with_each_opening),
        NEEDS(second_writer_is_told_clearly, HAS_LOCK, 0),
        NEEDS(older_writer_is_fenced, 0, HAS_LOCK),
        NEEDS(unknown_urls_are_refused, HAS_URL, 0),
        ROW(tokens_come_back_as_they_were),
        ROW(newest_of_the_log_wins),
        ROW(some_tokens_come_as_all_would),
        ROW(a_resumption_reads_no_tokens),
        ROW(a_resumption_tells_the_newest_snapshots),
        ROW(a_store_is_known_again),
        ROW(a_checkpoint_is_not_undone_by_the_log),
        ROW(a_checkpoint_restores_a_row_that_was_lost),
        ROW(dropping_the_log_keeps_positions_rising),
        ROW(an_unfinished_pass_loses_nothing),
        ROW(a_pass_rolled_back_can_be_ended_again),
        ROW(rollback_leaves_nothing),
        ROW(pools_are_replaced),
        ROW(settings_come_back),
        ROW(alerts_come_back_until_they_are_deleted),
        ROW(a_start_hears_of_the_newest_alerts),
        ROW(names_from_strangers_are_data),
        ROW(history_is_followed_back),
        ROW(events_are_read_newest_first),
        ROW(old_history_is_deleted_in_slices),
        ROW(a_reader_waits_for_its_file),
        ROW(nothing_is_safe_to_close),
        ROW(size_grows),
    };
    struct CMUnitTest tests[sizeof rows / sizeof *rows];
    kind = argc == 2 ? kind_named(argv[1]) : NULL;
    if (kind == NULL) {
        fputs("which store? one of the names in STORES\n", stderr);
        return 2;
    }
    return run_group(tests, choose(rows, sizeof rows / sizeof *rows, tests));
}
