/*
 * How long a start takes with its database, cold and warm, stage by stage: bench-restore TOKENS
 * [FOLDER or URL]. The database is made in FOLDER (default /tmp), or behind the URL, where none may
 * be, of tokens with 3.4 pools on average and a log of a tenth as many rows, and left as kill -9
 * leaves it. Each start is a new process.
 * Medians, in milliseconds.
 */
#include "engine/restore.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/prng.h"
#include "engine/parts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS       5
#define ROWS_A_BATCH 5000

enum figure {
    FIGURE_OPEN,
    FIGURE_FIRST_STAGE,
    FIGURE_ALL = FIGURE_FIRST_STAGE + RESTORE_STAGE_COUNT,
    FIGURE_COUNT
};

static char url[512];

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "bench-restore: %s\n", what);
    exit(1);
}

/* ---- a database ---- */

static struct address random_address(struct prng *prng)
{
    struct address address;
    for (int i = 0; i < 4; i++) {
        uint64_t word = prng_next(prng);
        memcpy(&address.bytes[i * 8], &word, 8);
    }
    return address;
}

static void make_row(struct store_token *row, token_id id, struct prng *prng)
{
    /* FACTS: 3.4 pools on average, median 3. */
    static const uint8_t counts[] = {1, 2, 2, 3, 3, 3, 4, 4, 5, 7};
    instant now = clock_now();
    *row = (struct store_token){.id = id};
    struct token *token = &row->token;
    token->mint = random_address(prng);
    snprintf(token->name, sizeof token->name, "Token number %u", id);
    snprintf(token->symbol, sizeof token->symbol, "T%u", id);
    token->created_at = instant_add(now, duration_s(-3600 - prng_unit(prng) * 1e6));
    token->status = (uint8_t)prng_below(prng, TOKEN_STATUS_COUNT);
    token->state.checked_at = token->state.fetched_at = token->state.discovered_at =
        instant_add(now, duration_s(-prng_unit(prng) * 60));
    token->state.score = prng_unit(prng);
    token->state.metrics.liquidity_usd = 1000;
    token->state.answers = 1;
    strcpy(row->primary_dex, "raydium");
    token->pool_count = counts[prng_below(prng, 10)];
    for (uint8_t i = 0; i < token->pool_count; i++) {
        row->pools[i].pool = (struct pool){
            .address = random_address(prng), .liquidity_usd = 1000, .flags = POOL_COUNTS};
        strcpy(row->pools[i].dex, "pumpswap");
        strcpy(row->pools[i].quote, "SOL");
    }
}

static void put_rows(struct store *store, token_id first, token_id last, struct prng *prng)
{
    struct store_token row;
    require(store_begin(store, STORE_RELAXED) == OK, "no transaction");
    for (token_id id = first; id <= last; id++) {
        make_row(&row, id, prng);
        require(store_put_token(store, &row) == OK, "no row");
        if (id % 10 == 0)
            require(store_append_refresh(store, &row) == OK, "no log");
    }
    require(store_commit(store) == OK, "no commit");
}

static void make_database(uint32_t tokens)
{
    char why[512];
    struct prng prng;
    struct store_load_report report;
    const struct store_loader loader = {0};
    prng_seed(&prng, 1);
    struct store *store = store_open(url, why);
    require(store != NULL, why);
    require(store_load(store, &loader, &report) == OK, "cannot load");
    for (token_id first = 1; first <= tokens; first += ROWS_A_BATCH) {
        token_id last = first + ROWS_A_BATCH - 1;
        put_rows(store, first, last < tokens ? last : tokens, &prng);
    }
    _exit(0); /* as if killed: its -wal stays */
}

/* ---- one start ---- */

static double ms_since(instant then)
{
    return duration_to_s(instant_diff(clock_now(), then)) * 1e3;
}

static void start_once(int fd, double figures[FIGURE_COUNT])
{
    static struct restore restore;
    enum table_fault fault;
    char why[512];
    struct engine *engine = calloc(1, sizeof *engine);
    options_init(&engine->options);
    engine->core_memory = malloc(core_size());
    instant began = clock_now();
    require(table_memory_attach(&engine->memory, fd, &fault) == OK, table_fault_text(fault));
    struct store *store = store_open(url, why);
    require(store != NULL, why);
    figures[FIGURE_OPEN] = ms_since(began);
    bool is_warm = token_table_count(engine->memory.table) > 0;
    enum err err = is_warm ? engine_restore_warm_first(engine, store, &restore, UINT32_MAX)
                           : engine_restore_cold(engine, store, &restore);
    if (is_warm && err == OK)
        err = engine_restore_warm_rest(engine, store, &restore);
    require(err == OK, restore.report.why_cold != NULL ? restore.report.why_cold : err_text(err));
    figures[FIGURE_ALL] = ms_since(began);
    memcpy(&figures[FIGURE_FIRST_STAGE], restore.report.stage_ms, sizeof restore.report.stage_ms);
}

static void in_child(int fd, double figures[FIGURE_COUNT], void (*work)(int, double *))
{
    int ends[2], status;
    require(pipe(ends) == 0, "no pipe");
    fflush(NULL);
    pid_t child = fork();
    require(child >= 0, "no process");
    if (child == 0) {
        work(fd, figures);
        require(write(ends[1], figures, FIGURE_COUNT * sizeof *figures) > 0, "a broken pipe");
        _exit(0);
    }
    close(ends[1]);
    ssize_t length = read(ends[0], figures, FIGURE_COUNT * sizeof *figures);
    close(ends[0]);
    waitpid(child, &status, 0);
    require(length == (ssize_t)(FIGURE_COUNT * sizeof *figures), "a start failed");
}

static int by_size(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;
    return difference < 0 ? -1 : difference > 0;
}

static double median(double rounds[ROUNDS][FIGURE_COUNT], int figure)
{
    double values[ROUNDS];
    for (int i = 0; i < ROUNDS; i++)
        values[i] = rounds[i][figure];
    qsort(values, ROUNDS, sizeof *values, by_size);
    return values[ROUNDS / 2];
}

static void show(const char *kind, double rounds[ROUNDS][FIGURE_COUNT])
{
    printf("%s   open %.2f", kind, median(rounds, FIGURE_OPEN));
    for (int i = 0; i < RESTORE_STAGE_COUNT; i++)
        printf("   %s %.2f", restore_stage_name(i), median(rounds, FIGURE_FIRST_STAGE + i));
    printf("   all %.2f\n", median(rounds, FIGURE_ALL));
}

static int fresh_table(void)
{
    struct table_memory memory;
    int error;
    require(table_memory_init(&memory, 1024, &error), "no memory");
    int fd = dup(memory.fd);
    table_memory_finish(&memory);
    return fd;
}

static void measure(void)
{
    static double rounds[ROUNDS][FIGURE_COUNT];
    int fd = -1;
    for (int i = 0; i < ROUNDS; i++) {
        close(fd);
        fd = fresh_table();
        in_child(fd, rounds[i], start_once);
    }
    show("cold", rounds);
    for (int i = 0; i < ROUNDS; i++)
        in_child(fd, rounds[i], start_once);
    show("warm", rounds);
    close(fd);
}

static void remove_database(const char *folder)
{
    static const char *const files[] = {"", "-wal", "-shm", ".lock"};
    char path[512];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/bench.db%s", folder, files[i]);
        unlink(path);
    }
    rmdir(folder);
}

int main(int argc, char **argv)
{
    char folder[400];
    int status;
    uint32_t tokens = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 10000;
    log_setup(LOG_ERROR, LOG_FORMAT_LOGFMT);
    bool is_server = argc > 2 && strstr(argv[2], "://") != NULL;
    snprintf(folder, sizeof folder, "%s/bench-restore-XXXXXX",
             argc > 2 && !is_server ? argv[2] : "/tmp");
    require(mkdtemp(folder) != NULL, "no folder");
    snprintf(url, sizeof url, "sqlite:%s/bench.db", folder);
    if (is_server)
        snprintf(url, sizeof url, "%s", argv[2]);
    pid_t child = fork();
    if (child == 0)
        make_database(tokens);
    waitpid(child, &status, 0);
    require(status == 0, "no database");
    printf("%u tokens\n", tokens);
    measure();
    remove_database(folder);
    return 0;
}
