/*
 * How long a warm restart takes, from mapping the table to a core that can step, step by step, for
 * 1,000 to 1,000,000 tokens: bench-warm [TOKENS [SHARE]]; SHARE is of the tokens whose pools moved
 * since they were added. Each start is a new process, as it is in life: nothing is mapped and
 * nothing is in its caches. Medians of several, in milliseconds.
 */
#include "engine/warm.h"
#include "base/clock.h"
#include "base/prng.h"
#include "bench/collapse.h"
#include "page/table_memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 15
#define NOW    ((instant){INT64_C(1790000000000000)})

enum stage {
    STAGE_MAP,
    STAGE_PREPARE,
    STAGE_FIRST,
    STAGE_SLOTS,
    STAGE_LINK,
    STAGE_ALL,
    STAGE_COUNT
};

static const char *const stage_names[STAGE_COUNT] = {
    "map", "prepare", "the first", "check and place slots", "sort lanes, check index", "all"};

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "bench-warm: %s\n", what);
    exit(1);
}

static double moved_share = 0.33;

/* ---- a population ---- */

static struct address random_address(struct prng *prng)
{
    struct address address;
    for (int i = 0; i < 4; i++) {
        uint64_t word = prng_next(prng);
        memcpy(&address.bytes[i * 8], &word, 8);
    }
    return address;
}

static void fill_state(struct token *draft, struct prng *prng)
{
    struct token_state *state = &draft->state;
    double age_s = prng_unit(prng) * 60;
    draft->created_at = instant_add(NOW, duration_s(-3600 - prng_unit(prng) * 1e6));
    draft->status = (uint8_t)(prng_unit(prng) < 0.1   ? TOKEN_ACTIVE
                              : prng_unit(prng) < 0.1 ? TOKEN_ARCHIVED
                                                      : TOKEN_MONITORING);
    draft->flags = TOKEN_DURABLE;
    state->checked_at = state->fetched_at = state->scored_at = instant_add(NOW, duration_s(-age_s));
    state->discovered_at = instant_add(NOW, duration_s(-age_s - prng_unit(prng) * 3600));
    state->status_since = draft->created_at;
    state->score = state->score_raw = state->score_stored = prng_unit(prng);
    state->metrics.liquidity_usd = prng_pareto(prng, 0.8) * 1000;
    state->metrics.volume_24h_usd = (float)(prng_pareto(prng, 0.8) * 1000);
    state->metrics.price_usd = prng_unit(prng);
    state->answers = 10;
}

static void fill_token(struct token_table *table, token_id id, struct prng *prng)
{
    /* FACTS: 3.4 pools on average, median 3. */
    static const uint8_t counts[] = {1, 2, 2, 3, 3, 3, 4, 4, 5, 7};
    struct pool pools[POOLS_MAX] = {0};
    size_t count = counts[prng_below(prng, 10)];
    for (size_t i = 0; i < count; i++)
        pools[i] = (struct pool){
            .address = random_address(prng), .liquidity_usd = 1000, .flags = POOL_COUNTS};
    fill_state(token_write_begin(table, id), prng);
    require(token_draft_set_pools(table, pools, count), "no room for pools");
    token_write_end(table, id);
}

/* Tokens come by their thousands and are refreshed in another order: pools lie anywhere. */
static void fill(struct table_memory *memory, uint32_t tokens)
{
    struct prng prng;
    int error;
    prng_seed(&prng, 1);
    require(table_memory_init(memory, tokens, &error), "no memory");
    for (uint32_t i = 0; i < tokens; i++) {
        struct address mint = random_address(&prng);
        require(token_table_add(memory->table, &mint) != TOKEN_NONE, "the table is full");
    }
    for (uint32_t i = 0; i < tokens; i++)
        fill_token(memory->table, i + 1, &prng);
    for (uint32_t i = 0; i < (uint32_t)(tokens * moved_share); i++)
        fill_token(memory->table, 1 + (token_id)prng_below(&prng, tokens), &prng);
    for (token_id id = 1; id <= tokens; id++) {
        struct token token;
        uint32_t publication;
        require(token_read_publication(memory->table, id, &token, NULL, &publication), "no token");
        token_mark_stored(memory->table, id, publication);
    }
}

/* ---- one start ---- */

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static bool keep_nobody_out(void *context, token_id id)
{
    (void)context, (void)id;
    return false;
}

static void start_once(int fd, double times[STAGE_COUNT])
{
    double marks[STAGE_COUNT];
    struct table_memory memory;
    struct warm warm;
    struct options options;
    enum table_fault fault;
    options_init(&options);
    double began = now_ms();
    require(table_memory_attach(&memory, fd, &fault) == OK, table_fault_text(fault));
    marks[STAGE_MAP] = now_ms();
    void *core_memory = malloc(core_size());
    require(core_memory != NULL, "no memory");
    struct core *core = core_init(core_memory, memory.table, &options, 0, NOW);
    require(warm_begin(&warm, memory.table, core) == OK, "no memory");
    marks[STAGE_PREPARE] = now_ms();
    warm_first(&warm, keep_nobody_out, NULL);
    marks[STAGE_FIRST] = now_ms();
    warm_check(&warm);
    marks[STAGE_SLOTS] = now_ms();
    require(atomic_load(&warm.check.bad_count) == 0, "bad slots");
    warm_link(&warm);
    marks[STAGE_LINK] = now_ms();
    require(warm.fault == TABLE_SOUND, table_fault_text(warm.fault));
    require(!warm.is_index_rebuilt, "a bad index");
    require(atomic_load(&warm.check.behind_count) == 0, "tokens that are not stored");
    for (int i = 0; i < STAGE_ALL; i++)
        times[i] = marks[i] - (i == 0 ? began : marks[i - 1]);
    times[STAGE_ALL] = marks[STAGE_LINK] - began;
}

static void start_in_child(int fd, double times[STAGE_COUNT])
{
    int ends[2], status;
    require(pipe(ends) == 0, "no pipe");
    fflush(NULL);
    pid_t child = fork();
    require(child >= 0, "no process");
    if (child == 0) {
        start_once(fd, times);
        require(write(ends[1], times, STAGE_COUNT * sizeof *times) > 0, "a broken pipe");
        _exit(0);
    }
    close(ends[1]);
    require(read(ends[0], times, STAGE_COUNT * sizeof *times) ==
                (ssize_t)(STAGE_COUNT * sizeof *times),
            "a start failed");
    close(ends[0]);
    waitpid(child, &status, 0);
}

static int by_size(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;
    return difference < 0 ? -1 : difference > 0;
}

static double median(double rounds[][STAGE_COUNT], int stage)
{
    double values[ROUNDS];
    for (int i = 0; i < ROUNDS; i++)
        values[i] = rounds[i][stage];
    qsort(values, ROUNDS, sizeof *values, by_size);
    return values[ROUNDS / 2];
}

static void measure(uint32_t tokens)
{
    static double rounds[ROUNDS][STAGE_COUNT];
    struct table_memory memory;
    fill(&memory, tokens);
    collapse_table(&memory);
    int fd = dup(memory.fd);
    table_memory_finish(&memory); /* the children have no mapping to begin with */
    for (int i = 0; i < ROUNDS; i++)
        start_in_child(fd, rounds[i]);
    close(fd);
    printf("%8u tokens", tokens);
    for (int stage = 0; stage < STAGE_COUNT; stage++)
        printf("   %s %.2f", stage_names[stage], median(rounds, stage));
    printf("\n");
}

int main(int argc, char **argv)
{
    static const uint32_t sizes[] = {1000, 10000, 100000, 1000000};
    if (argc > 1) {
        if (argc > 2)
            moved_share = strtod(argv[2], NULL);
        measure((uint32_t)strtoul(argv[1], NULL, 10));
        return 0;
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        measure(sizes[i]);
    return 0;
}
