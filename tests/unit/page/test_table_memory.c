/*
 * The table's memory in several processes: attached, read, grown, emptied; and kill -9 of its
 * writer in the middle of everything it does, again and again: what is believed afterwards is
 * right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/prng.h"
#include "page/table_memory.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS        300
#define LIFE_MAX_US   4000
#define TOKENS_A_LIFE 40

static struct table_memory memory;

static int set_up(void **state)
{
    (void)state;
    int error;
    assert_true(table_memory_init(&memory, 1024, &error));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    table_memory_finish(&memory);
    return 0;
}

static struct address mint_of(token_id id)
{
    struct address mint;
    struct prng prng;
    prng_seed(&prng, id);
    for (int i = 0; i < 4; i++) {
        uint64_t word = prng_next(&prng);
        memcpy(&mint.bytes[i * 8], &word, 8);
    }
    return mint;
}

static void add_tokens(struct table_memory *to, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct address mint = mint_of(token_table_count(to->table) + 1);
        if (token_table_is_short(to->table, 1))
            assert_true(table_memory_grow(to, 1));
        assert_int_not_equal(token_table_add(to->table, &mint), TOKEN_NONE);
    }
}

/* ---- several processes ---- */

/* Runs in a child; its exit status is the answer. */
static int in_child(int (*work)(int fd, int go), int fd, int go)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        _exit(work(fd, go));
    }
    if (go >= 0)
        return child;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static int read_all(int fd, int go)
{
    struct table_memory mine;
    enum table_fault fault;
    struct token token;
    char byte;
    table_memory_finish(&memory);
    if (table_memory_attach_shared(&mine, table_memory_reader_fd(fd), &fault) != OK)
        return 1;
    if (read(go, &byte, 1) != 1) /* mapped; now it grows */
        return 2;
    token_id last = token_table_count(mine.table);
    for (token_id id = 1; id <= last; id++) {
        struct address mint = mint_of(id);
        if (!token_read(mine.table, id, &token, NULL) || !address_equal(&token.mint, &mint) ||
            token_table_find_shared(mine.table, &mint) != id)
            return 3;
    }
    return last == 20000 ? 0 : 4;
}

static void readers_see_what_was_added_after_they_mapped(void **state)
{
    (void)state;
    int go[2], status, fd = dup(memory.fd);
    assert_int_equal(pipe(go), 0);
    pid_t child = in_child(read_all, fd, go[0]);
    uint32_t before = token_table_capacity(memory.table);
    add_tokens(&memory, 20000);
    assert_true(token_table_capacity(memory.table) > 10 * before);
    assert_int_equal(write(go[1], "x", 1), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(go[0]);
    close(go[1]);
    close(fd);
}

static int write_shared(int fd, int go)
{
    struct table_memory mine;
    enum table_fault fault;
    (void)go;
    if (table_memory_attach_shared(&mine, fd, &fault) != OK)
        return 1;
    token_table_dex((struct token_table *)mine.table, "orca");
    return 0;
}

static void readers_cannot_write(void **state)
{
    (void)state;
    int fd = table_memory_reader_fd(memory.fd);
    assert_true(fd >= 0);
    assert_ptr_equal(mmap(NULL, memory.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
                     MAP_FAILED);
    assert_int_equal(errno, EACCES);
    assert_int_equal(in_child(write_shared, fd, -1), 256 + SIGSEGV);
    close(fd);
}

static void an_engine_takes_the_table_over(void **state)
{
    (void)state;
    enum table_fault fault;
    struct table_memory next;
    add_tokens(&memory, 3000);
    int fd = dup(memory.fd);
    table_memory_finish(&memory);
    assert_int_equal(table_memory_attach(&next, fd, &fault), OK);
    assert_int_equal(fault, TABLE_SOUND);
    assert_int_equal(token_table_count(next.table), 3000);
    add_tokens(&next, 3000); /* and grows it */
    assert_int_equal(token_table_count(next.table), 6000);
    table_memory_finish(&next);
}

static void what_is_no_table_is_refused(void **state)
{
    (void)state;
    struct table_memory next;
    enum table_fault fault;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(table_memory_attach(&next, ends[0], &fault), ERR_IO);
    assert_int_equal(table_memory_attach(&next, 9999, &fault), ERR_IO);
    int fd = memfd_create("empty", MFD_CLOEXEC);
    assert_int_equal(table_memory_attach(&next, fd, &fault), ERR_IO);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    assert_int_equal(table_memory_attach_shared(&next, fd, &fault), ERR_CORRUPT);
    assert_int_equal(fault, TABLE_NO_TABLE);
    assert_int_equal(table_memory_attach(&next, fd, &fault), ERR_CORRUPT);
    assert_int_equal(table_memory_reset(&next, 10), ERR_INVALID); /* nor can it become one */
    table_memory_finish(&next);
    close(ends[0]);
    close(ends[1]);
}

static void nobody_can_cut_it(void **state)
{
    (void)state;
    assert_int_equal(ftruncate(memory.fd, 4096), -1);
    assert_int_equal(errno, EPERM);
}

static void it_can_be_emptied_in_place(void **state)
{
    (void)state;
    enum table_fault fault;
    struct table_memory reader, next;
    struct token token;
    struct address mint = mint_of(7);
    add_tokens(&memory, 5000);
    int fd = dup(memory.fd);
    assert_int_equal(table_memory_attach_shared(&reader, table_memory_reader_fd(fd), &fault), OK);
    table_memory_finish(&memory);
    assert_int_equal(table_memory_attach(&next, fd, &fault), OK);
    assert_int_equal(table_memory_reset(&next, 100), OK);
    assert_int_equal(token_table_count(reader.table), 0);
    assert_int_equal(token_table_find_shared(reader.table, &mint), TOKEN_NONE);
    assert_false(token_read(reader.table, 7, &token, NULL));
    assert_int_equal(table_check_header(next.base, next.size), TABLE_SOUND);
    add_tokens(&next, 2000);
    assert_int_equal(token_table_find_shared(reader.table, &mint), 7);
    assert_true(token_read(reader.table, 7, &token, NULL));
    assert_int_equal(token.pool_count, 0);
    table_memory_finish(&next);
    table_memory_finish(&reader);
}

static void a_broken_table_can_be_emptied(void **state)
{
    (void)state;
    enum table_fault fault;
    struct table_memory next;
    struct address mint = mint_of(1);
    add_tokens(&memory, 100);
    memset(memory.base, 0xa5, token_table_header_size());
    int fd = dup(memory.fd);
    table_memory_finish(&memory);
    assert_int_equal(table_memory_attach(&next, fd, &fault), ERR_CORRUPT);
    assert_null(next.table);
    assert_int_equal(table_memory_reset(&next, 100), OK);
    assert_int_equal(table_check_header(next.base, next.size), TABLE_SOUND);
    assert_int_equal(token_table_find(next.table, &mint), TOKEN_NONE);
    add_tokens(&next, 2000);
    assert_int_equal(token_table_find(next.table, &mint), 1);
    table_memory_finish(&next);
}

/* ---- huge pages ---- */

static void assert_aligned(const struct table_memory *at)
{
    struct table_range ranges[TABLE_RANGES];
    assert_int_equal((uintptr_t)at->base % TABLE_HUGE_PAGE, 0);
    size_t count = token_table_used(at->table, ranges);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ranges[i].offset % TABLE_HUGE_PAGE, 0);
}

/* Again and again, with what lies between them in the address space moved each time. */
static void it_is_mapped_where_huge_pages_fit(void **state)
{
    (void)state;
    enum table_fault fault;
    struct table_memory others[8];
    assert_aligned(&memory);
    for (size_t i = 0; i < 8; i++) {
        int fd = table_memory_reader_fd(memory.fd);
        void *between = mmap(NULL, (i + 1) * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_int_equal(table_memory_attach_shared(&others[i], fd, &fault), OK);
        assert_aligned(&others[i]);
        munmap(between, (i + 1) * 4096);
    }
    for (size_t i = 0; i < 8; i++)
        table_memory_finish(&others[i]);
}

static size_t mapped_kb(void)
{
    char text[4096] = "";
    int fd = open("/proc/self/status", O_RDONLY);
    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    return strtoul(strstr(text, "VmSize:") + 7, NULL, 10);
}

static void no_address_space_is_left_over(void **state)
{
    (void)state;
    enum table_fault fault;
    struct table_memory other;
    size_t before = mapped_kb();
    for (int i = 0; i < 20; i++) {
        int fd = table_memory_reader_fd(memory.fd);
        assert_int_equal(table_memory_attach_shared(&other, fd, &fault), OK);
        table_memory_finish(&other);
    }
    assert_true(mapped_kb() < before + 1024);
}

/* Where the kernel has huge pages for it; where not, nothing has changed, either. */
static void a_huge_page_holds_what_was_there(void **state)
{
    (void)state;
    enum table_fault fault;
    struct table_memory reader;
    struct table_range ranges[TABLE_RANGES];
    struct token token;
    add_tokens(&memory, 20000);
    int fd = table_memory_reader_fd(memory.fd);
    assert_int_equal(table_memory_attach_shared(&reader, fd, &fault), OK);
    token_table_used(memory.table, ranges);
    enum err err = table_memory_collapse(&memory, ranges[0].offset);
    print_message("# collapse: %s\n", err_text(err));
    assert_true(err == OK || err == ERR_INVALID || err == ERR_UNAVAILABLE);
    for (token_id id = 1; id <= 20000; id++) {
        struct address mint = mint_of(id);
        assert_true(token_read(reader.table, id, &token, NULL));
        assert_memory_equal(&token.mint, &mint, sizeof mint);
    }
    table_memory_finish(&reader);
}

static int collapse_forbidden(int fd, int go)
{
    struct table_memory mine;
    enum table_fault fault;
    struct table_range ranges[TABLE_RANGES];
    (void)go;
    if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0 || table_memory_attach(&mine, fd, &fault) != OK)
        return 1;
    token_table_used(mine.table, ranges);
    return table_memory_collapse(&mine, ranges[0].offset) == ERR_INVALID ? 0 : 2;
}

static void a_kernel_that_gives_none_says_so(void **state)
{
    (void)state;
    add_tokens(&memory, 20000);
    assert_int_equal(in_child(collapse_forbidden, memory.fd, -1), 0);
}

/* ---- kill -9 ---- */

/* All that a writing holds comes from one number, so that halves of two would show. */
static void write_one(struct token_table *table, token_id id, uint32_t n)
{
    struct pool pools[POOLS_MAX] = {0};
    size_t count = n % 11;
    for (size_t i = 0; i < count; i++) {
        pools[i].address = mint_of(id);
        pools[i].liquidity_usd = (float)(n % 1000);
    }
    struct token *draft = token_write_begin(table, id);
    draft->state.low_score_us = n;
    draft->state.score = draft->state.score_raw = n % 1000;
    draft->state.checked_at.us = n;
    draft->state.answers = 1;
    draft->state.metrics.primary_dex = token_table_dex(table, n % 2 ? "orca" : "raydium");
    if (n % 3 != 0)
        assert_true(token_draft_set_pools(table, pools, count));
    else
        for (size_t i = 0; i < draft->pool_count; i++)
            token_draft_pools(table)[i].liquidity_usd = (float)(n % 1000);
    token_write_end(table, id);
}

static _Noreturn void live(int fd, uint64_t seed)
{
    struct table_memory mine;
    enum table_fault fault;
    struct prng prng;
    uint32_t added = 0;
    prng_seed(&prng, seed);
    if (table_memory_attach(&mine, fd, &fault) != OK)
        _exit(1);
    for (;;) {
        token_id last = token_table_count(mine.table);
        if (last == 0 || (added < TOKENS_A_LIFE && prng_below(&prng, 3) == 0)) {
            add_tokens(&mine, 1);
            added++;
        } else {
            if (token_table_is_short(mine.table, 1) && !table_memory_grow(&mine, 1))
                _exit(2);
            write_one(mine.table, 1 + (token_id)prng_below(&prng, last),
                      (uint32_t)prng_next(&prng) >> 1);
        }
    }
}

static void die(int fd, uint64_t seed, int64_t after_us)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        live(fd, seed);
    usleep((useconds_t)after_us); /* how far it gets is what is drawn */
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void assert_one_whole(const struct token_table *table, token_id id)
{
    struct token token;
    struct pool pools[POOLS_MAX];
    struct address mint = mint_of(id);
    assert_true(token_read(table, id, &token, pools));
    int64_t n = token.state.low_score_us;
    assert_memory_equal(&token.mint, &mint, sizeof mint);
    assert_true(token.state.score == (double)(n % 1000) && token.state.checked_at.us == n);
    assert_true(token.state.score_raw == token.state.score);
    for (int i = 0; i < token.pool_count; i++) {
        assert_memory_equal(&pools[i].address, &mint, sizeof mint);
        assert_true(pools[i].liquidity_usd == (float)(n % 1000));
    }
    assert_int_equal(token_table_find(table, &mint), id);
    assert_true(token_column_score(table, id) == (float)token.state.score ||
                token.state.answers == 0);
}

static void replace(struct token_table *table, token_id id)
{
    struct token token = {.mint = mint_of(id), .flags = TOKEN_DURABLE};
    assert_true(token_table_replace(table, id, &token, NULL));
}

/* What an engine does that starts. Returns how many slots were torn. */
static uint32_t recover(int fd, uint32_t *rebuilt)
{
    struct table_memory mine;
    struct table_check check;
    enum table_fault fault;
    assert_int_equal(table_memory_attach(&mine, dup(fd), &fault), OK);
    token_id last = token_table_count(mine.table);
    void *scratch = calloc(1, table_check_scratch_size(mine.table));
    table_check_begin(&check, mine.table, scratch);
    if (last > 0)
        table_check_slots(&check, 0, 1, last);
    uint32_t torn = atomic_load(&check.bad_count);
    assert_true(torn <= 1); /* there was one writer, and it writes one at a time */
    assert_int_equal(table_repair_runs(&check), TABLE_SOUND);
    if (torn == 1) {
        replace(mine.table, check.bad[0]);
        assert_true(table_check_slots(&check, 0, check.bad[0], check.bad[0]));
    }
    table_check_index(&check, 0, last);
    *rebuilt += table_repair_index(&check);
    for (token_id id = 1; id <= last; id++)
        assert_one_whole(mine.table, id);
    free(scratch);
    table_memory_finish(&mine);
    return torn;
}

static void nothing_wrong_is_believed_after_kill_9(void **state)
{
    (void)state;
    struct prng prng;
    uint32_t torn = 0, rebuilt = 0;
    int fd = dup(memory.fd);
    prng_seed(&prng, 1);
    for (int round = 0; round < ROUNDS; round++) {
        die(fd, (uint64_t)round, (int64_t)prng_below(&prng, LIFE_MAX_US));
        torn += recover(fd, &rebuilt);
    }
    print_message("# %d deaths: %u slots torn, index built again %u times, %u tokens\n", ROUNDS,
                  torn, rebuilt, token_table_count(memory.table));
    close(fd);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(readers_see_what_was_added_after_they_mapped),
        CASE(readers_cannot_write),
        CASE(an_engine_takes_the_table_over),
        CASE(what_is_no_table_is_refused),
        CASE(nobody_can_cut_it),
        CASE(it_can_be_emptied_in_place),
        CASE(a_broken_table_can_be_emptied),
        CASE(it_is_mapped_where_huge_pages_fit),
        CASE(no_address_space_is_left_over),
        CASE(a_huge_page_holds_what_was_there),
        CASE(a_kernel_that_gives_none_says_so),
        CASE(nothing_wrong_is_believed_after_kill_9),
    };
    return cmocka_run_group_tests_name("page.table_memory", tests, NULL, NULL);
}
