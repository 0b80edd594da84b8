/*
 * A token table in which anything may stand, as a dead engine or an older version leaves it:
 * whoever only reads it reads on, and the engine that starts warm from it believes of it what is
 * sound, and works. The first byte says whether checksums are made right where an input changed
 * what they cover: else hardly an input gets behind them.
 */
#include "patches.h"

#include "api/pick.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/parallel.h"
#include "cli/top_tokens.h"
#include "core/token_layout.h"
#include "engine/warm.h"
#include <math.h>

#define TOKENS     40
#define CAPACITY   64
#define DIED_AT_US 1790000000000000
#define STEPS      24

static struct token_table *table; /* as the dead engine has it mapped */
static int table_fd;
static size_t table_size;
static struct table_range ranges[TABLE_RANGES + 1]; /* and the header */
static size_t range_count;
static uint8_t *pristine[TABLE_RANGES + 1];
static struct area areas[TABLE_RANGES + 4];
static size_t area_count;
static void *core_memory;
static struct options options;

/* ---- a table with everything in it ---- */

static struct address address_of(uint32_t number)
{
    struct address address;
    for (size_t i = 0; i < sizeof address.bytes; i++) {
        number = number * 1664525u + 1013904223u;
        address.bytes[i] = (uint8_t)(number >> 24);
    }
    return address;
}

static void write_token(token_id id, uint32_t pool_count)
{
    struct pool pools[POOLS_MAX];
    struct token *draft = token_write_begin(table, id);
    snprintf(draft->name, sizeof draft->name, "Token %u", id);
    draft->status = (uint8_t)(id % TOKEN_STATUS_COUNT);
    draft->flags = id % 7 == 0 ? 0 : TOKEN_DURABLE;
    draft->created_at.us = DIED_AT_US - 3600000000;
    draft->state.checked_at.us = draft->state.fetched_at.us = DIED_AT_US - id * 1000000;
    draft->state.score = 0.25;
    draft->state.snapshot_id = id;
    draft->state.metrics.primary_dex = 1;
    draft->state.answers = 1;
    for (uint32_t i = 0; i < pool_count; i++)
        pools[i] = (struct pool){.address = address_of(id << 8 | i),
                                 .liquidity_usd = (float)(id * 100 + i),
                                 .dex = 1,
                                 .quote = 1,
                                 .flags = POOL_COUNTS};
    if (!token_draft_set_pools(table, pools, pool_count))
        abort();
    token_write_end(table, id);
}

static void fill(void)
{
    if (token_table_dex(table, "orca") != 1 || token_table_quote(table, "SOL") != 1)
        abort();
    for (token_id id = 1; id <= TOKENS; id++) {
        struct address mint = address_of(1000000 + id);
        token_id given = id == 20 ? token_table_add_hole(table) : token_table_add(table, &mint);
        assert(given == id);
    }
    for (int round = 0; round < 2; round++)
        for (token_id id = 1; id <= TOKENS; id++)
            if (id != 20)
                write_token(id, (id * (round == 0 ? 7 : 1)) % 13);
}

static void keep_range(size_t offset, size_t length)
{
    ranges[range_count] = (struct table_range){offset, length};
    pristine[range_count] = malloc(length);
    assert(pristine[range_count] != NULL);
    memcpy(pristine[range_count++], (char *)table + offset, length);
    areas[area_count++] = (struct area){offset, length};
}

void fuzz_begin(void)
{
    struct table_range backed[TABLE_RANGES];
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_JSON);
    options_init(&options);
    table_size = token_table_reserve_size(CAPACITY);
    table_fd = memfd_create("fuzz-table", MFD_CLOEXEC);
    core_memory = malloc(core_size());
    if (table_fd < 0 || ftruncate(table_fd, (off_t)table_size) != 0 || core_memory == NULL)
        abort();
    void *memory = mmap(NULL, table_size, PROT_READ | PROT_WRITE, MAP_SHARED, table_fd, 0);
    assert(memory != MAP_FAILED);
    table = token_table_init(memory, CAPACITY, 7);
    size_t count = token_table_ranges(table, CAPACITY, backed);
    token_table_set_capacity(table, CAPACITY);
    fill();
    keep_range(0, token_table_header_size());
    for (size_t i = 0; i < count; i++)
        keep_range(backed[i].offset, backed[i].length);
    /* The numbers of the header, and two slots, more often than chance would have it. */
    areas[area_count++] = (struct area){0, offsetof(struct token_table, dexes)};
    areas[area_count++] =
        (struct area){(size_t)((char *)slot_of(table, 3) - (char *)table), sizeof(struct slot)};
    areas[area_count++] =
        (struct area){(size_t)((char *)slot_of(table, 4) - (char *)table), sizeof(struct slot)};
}

/* ---- checksums ---- */

static void seal_names(struct name_list *list)
{
    for (uint32_t i = 0; i < NAME_TABLE_SIZE; i++)
        list->entries[i].check = checksum(i, list->entries[i].text, sizeof list->entries[i].text);
}

static void seal_slot(token_id id)
{
    struct slot *slot = slot_of(table, id);
    uint32_t room = atomic_load(&table->pool_capacity);
    slot->check = checksum(id, &slot->token, sizeof slot->token);
    if (slot->token.pool_count <= POOLS_MAX && slot->token.pool_first < room &&
        slot->token.pool_count <= room - slot->token.pool_first)
        slot->pools_check = checksum(id, pool_at(table, slot->token.pool_first),
                                     slot->token.pool_count * sizeof(struct pool));
}

/* Pools lie where the constants say; those must be believable first. */
static void seal(void)
{
    table->capacity_check =
        token_capacity_check(atomic_load(&table->capacity), atomic_load(&table->pool_capacity));
    seal_names(&table->dexes);
    seal_names(&table->quotes);
    if (table_check_header(table, table_size) == TABLE_SOUND)
        for (token_id id = 1; id <= CAPACITY; id++)
            seal_slot(id);
}

/* In the place of base/parallel.c: starting threads would take longer than all they do. */
void parallel_do(uint32_t count, parallel_work *work, void *context)
{
    for (uint32_t piece = 0; piece < count; piece++)
        work(context, 0, piece);
}

/* ---- who only reads ---- */

static void read_all(bool in_slots)
{
    static struct top_tokens tokens;
    const struct top_query query = {
        .statuses = 7, .sort = in_slots ? TOP_BY_LIQUIDITY : TOP_BY_AGE, .search = ""};
    enum table_fault fault = table_check_constants(table, table_size);
    assert(strlen(table_fault_text(fault)) > 1);
    if (fault != TABLE_SOUND)
        return;
    uint32_t count = token_table_count(table);
    assert(count <= CAPACITY);
    for (token_id id = 1; id <= count; id++) {
        struct token token;
        struct pool pools[POOLS_MAX];
        if (id < 8 && token_look(table, id, &token, pools))
            assert(token.pool_count <= POOLS_MAX && token.status < TOKEN_STATUS_COUNT);
        token_column_group(table, id);
        token_column_checked(table, id);
    }
    for (uint32_t i = 0; i < 4; i++) {
        struct address mint = address_of(1000000 + i);
        assert(token_table_find_shared(table, &mint) <= CAPACITY);
    }
    top_tokens_choose(&tokens, table, &query, clock_now());
    assert(tokens.count <= count);
}

/* ---- an engine that starts from it ---- */

static bool nobody(void *context, token_id id)
{
    (void)context, (void)id;
    return false;
}

/* Requests go out, and come back without data or not at all. */
static void work(struct core *core)
{
    static struct actions actions;
    struct event event = {.kind = EVENT_TIME, .now = {DIED_AT_US + 1000000}};
    for (int i = 0; i < STEPS; i++) {
        core_step(core, &event, &actions);
        uint64_t request = 0;
        for (size_t k = 0; k < actions.count; k++)
            if (actions.items[k].kind == ACTION_FETCH)
                request = actions.items[k].fetch.request;
        event.now = instant_add(event.now, duration_ms(700));
        event.kind = request != 0 ? EVENT_ANSWER : EVENT_TIME;
        if (request != 0) {
            memset(&event.answer, 0, sizeof event.answer);
            event.answer.request = request;
            event.answer.outcome = i % 3 == 0 ? FEED_TIMEOUT : FEED_OK;
        }
    }
    for (token_id id = 1; id <= token_table_count(table); id++)
        assert((token_slot(table, id)->flags & TOKEN_HOLE) != 0 || core_holds_token(core, id));
}

/* By what an empty store has for them. False: one is bad still; then the start is a cold one. */
static bool replace_bad_slots(struct warm *warm)
{
    uint32_t count = atomic_load(&warm->check.bad_count);
    token_id bad[BAD_SLOTS_MAX];
    if (count == 0)
        return true;
    warm_repair(warm);
    if (warm->fault != TABLE_SOUND)
        return false;
    memcpy(bad, warm->check.bad, sizeof bad);
    atomic_store(&warm->check.bad_count, 0);
    for (uint32_t i = 0; i < count; i++) {
        token_table_make_hole(warm->table, bad[i]);
        if (!warm_take(warm, bad[i]))
            return false;
    }
    return true;
}

static void start_warm(bool with_first)
{
    static struct warm warm;
    if (table_check_header(table, table_size) != TABLE_SOUND)
        return;
    struct core *core = core_init(core_memory, table, &options, 1000, (instant){DIED_AT_US});
    if (warm_begin(&warm, table, core) != OK)
        abort();
    if (with_first)
        warm_first(&warm, nobody, NULL);
    warm_check(&warm);
    bool is_believed = replace_bad_slots(&warm);
    if (is_believed)
        warm_link(&warm);
    bool is_sound = is_believed && warm.fault == TABLE_SOUND;
    for (token_id id = 1; is_sound && (id = table_next_behind(&warm.check, id)) != TOKEN_NONE; id++)
        assert(id <= token_table_count(table));
    if (is_sound)
        work(core);
    warm_finish(&warm);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    static struct patches patches;
    struct input input = {data, size};
    uint8_t how = input_u8(&input);
    patches_apply(&patches, PATCHES_MAX, &input, table, &(struct areas){areas, area_count});
    if (how & 1)
        seal();
    read_all((how & 4) != 0);
    start_warm((how & 2) != 0);
    for (size_t i = 0; i < range_count; i++)
        memcpy((char *)table + ranges[i].offset, pristine[i], ranges[i].length);
}
