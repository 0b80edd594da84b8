/*
 * The hot path of the store alone, as the writer takes it: refreshes appended in group commits, one
 * in twenty with a snapshot, and each row brought up to date once in a pass, whose end drops the
 * log. On a PostgreSQL server of our own (Debian's, as it is configured, on a Unix socket) and on
 * SQLite, in the same rounds. The server has one CPU, we another: what is compared is refreshes a
 * second of ours, and how many of them pass a second by the clock, server and disk included.
 */
#include "base/clock.h"
#include "bench/bench.h"
#include "bench/process.h"
#include "store/store.h"
#include "tests/unit/store/postgres_server.h"
#include <math.h>
#include <sched.h>
#include <time.h>

#define TOKENS     20000
#define A_COMMIT   2048
#define A_SNAPSHOT 20 /* refreshes */
#define PASS_COMMITS                                                                               \
    100 /* refreshes of ten times as many tokens as there are between two passes                   \
         */
#define CPU_BAR 50000

struct side {
    const char *name;
    char url[256];
    struct store *store;
    struct store_token row;
    int64_t snapshot_id;
    struct sample per_cpu_s, per_s;
};

static bool pin(int number)
{
    cpu_set_t all, one;
    CPU_ZERO(&one);
    sched_getaffinity(0, sizeof all, &all);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET((size_t)i, &all) && number-- == 0)
            CPU_SET((size_t)i, &one);
    return CPU_COUNT(&one) == 1 && sched_setaffinity(0, sizeof one, &one) == 0;
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void make_row(struct side *side, token_id id, uint32_t n)
{
    struct store_token *row = &side->row;
    row->id = id;
    memcpy(row->token.mint.bytes, &id, sizeof id);
    snprintf(row->token.name, sizeof row->token.name, "Token %u", id);
    snprintf(row->token.symbol, sizeof row->token.symbol, "T%u", id);
    row->token.created_at.us = 1700000000000000;
    row->token.state.checked_at = row->token.state.fetched_at = clock_now();
    row->token.state.answers = n + 1;
    row->token.state.score = 0.25 + n;
    row->token.state.metrics.liquidity_usd = 12345 + n;
    row->token.state.metrics.price_usd = 1e-6;
    strcpy(row->primary_dex, "pumpswap");
}

static bool ignore_token(void *context, const struct store_token *token)
{
    (void)context, (void)token;
    return true;
}

static bool ignore_setting(void *context, const char *name, const char *value)
{
    (void)context, (void)name, (void)value;
    return true;
}

static bool open_side(struct side *side)
{
    char why[512];
    struct store_load_report report;
    const struct store_loader loader = {.on_token = ignore_token, .on_setting = ignore_setting};
    side->store = store_open(side->url, why);
    if (side->store == NULL || store_load(side->store, &loader, &report) != OK ||
        store_begin(side->store, STORE_DURABLE) != OK)
        return false;
    for (token_id id = 1; id <= TOKENS; id++) {
        make_row(side, id, 0);
        if (store_put_token(side->store, &side->row) != OK)
            return false;
    }
    return store_commit(side->store) == OK;
}

static bool put_snapshot(struct side *side)
{
    struct store_snapshot snapshot = {.id = ++side->snapshot_id,
                                      .token = side->row.id,
                                      .at = side->row.token.state.checked_at,
                                      .score = 0.5,
                                      .metrics = side->row.token.state.metrics};
    return store_put_snapshot(side->store, &snapshot) == OK;
}

static bool write_commit(struct side *side, uint32_t n)
{
    bool goes_on = store_begin(side->store, STORE_RELAXED) == OK;
    for (uint32_t i = 0; goes_on && i < A_COMMIT; i++) {
        make_row(side, (n * A_COMMIT + i) % TOKENS + 1, n);
        goes_on = store_append_refresh(side->store, &side->row) == OK &&
                  (i % A_SNAPSHOT != 0 || put_snapshot(side));
    }
    return goes_on && store_commit(side->store) == OK;
}

static bool write_pass(struct side *side, uint32_t n)
{
    bool goes_on = true;
    for (token_id id = 1; goes_on && id <= TOKENS; id++) {
        if (id % A_COMMIT == 1)
            goes_on = store_begin(side->store, STORE_RELAXED) == OK;
        make_row(side, id, n);
        goes_on = goes_on && store_checkpoint_token(side->store, &side->row) == OK;
        if (goes_on && (id % A_COMMIT == 0 || id == TOKENS))
            goes_on = store_commit(side->store) == OK;
    }
    return goes_on && store_begin(side->store, STORE_RELAXED) == OK &&
           store_end_pass(side->store) == OK && store_commit(side->store) == OK;
}

static bool run_round(struct side *side, uint32_t round)
{
    double cpu = seconds(CLOCK_THREAD_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
    bool goes_on = true;
    store_start_pass(side->store);
    for (uint32_t n = 0; goes_on && n < PASS_COMMITS; n++)
        goes_on = write_commit(side, round * PASS_COMMITS + n);
    goes_on = goes_on && write_pass(side, round);
    if (!goes_on) {
        fprintf(stderr, "%s: %s\n", side->name, store_message(side->store));
        return false;
    }
    double refreshes = (double)PASS_COMMITS * A_COMMIT;
    sample_add(&side->per_cpu_s, refreshes / (seconds(CLOCK_THREAD_CPUTIME_ID) - cpu));
    sample_add(&side->per_s, refreshes / (seconds(CLOCK_MONOTONIC) - wall));
    return true;
}

static void report(struct bench *bench, const struct side *postgres, const struct side *sqlite)
{
    report_add_sample(&bench->report, "postgres.sqlite_refreshes", "/CPU s", &sqlite->per_cpu_s);
    struct figure *figure =
        report_add_sample(&bench->report, "postgres.refreshes", "/CPU s", &postgres->per_cpu_s);
    figure->bar_kind = BAR_VALUE_LEAST;
    figure->bar = CPU_BAR;
    figure_compare(figure, &bench->report, "postgres.sqlite_refreshes");
    report_add_sample(&bench->report, "postgres.sqlite_by_the_clock", "/s", &sqlite->per_s);
    figure = report_add_sample(&bench->report, "postgres.by_the_clock", "/s", &postgres->per_s);
    figure_compare(figure, &bench->report, "postgres.sqlite_by_the_clock");
}

void bench_postgres(struct bench *bench)
{
    static struct side postgres = {.name = "PostgreSQL"}, sqlite = {.name = "SQLite"};
    struct postgres_server server;
    cpu_set_t before;
    sched_getaffinity(0, sizeof before, &before);
    bool is_pinned = pin(0), has_server = server_init(&server);
    sched_setaffinity(0, sizeof before, &before);
    is_pinned = is_pinned && pin(1);
    server_url(&server, "public", "", postgres.url, sizeof postgres.url);
    snprintf(sqlite.url, sizeof sqlite.url, "sqlite:%.200s", path_in(bench->folder, "tokens.db"));
    bool goes_on = has_server && open_side(&postgres) && open_side(&sqlite);
    for (int round = 0; goes_on && round < bench_rounds(bench, 8, 2); round++)
        goes_on = run_round(&postgres, (uint32_t)round) && run_round(&sqlite, (uint32_t)round);
    store_close(postgres.store);
    store_close(sqlite.store);
    server_finish(&server);
    sched_setaffinity(0, sizeof before, &before);
    if (!has_server)
        report_add_missing(&bench->report, "postgres.refreshes", "/CPU s",
                           "no PostgreSQL server can be started here");
    else
        report(bench, &postgres, &sqlite);
    if (!is_pinned)
        fprintf(stderr, "one CPU only: the server shares ours\n");
}
