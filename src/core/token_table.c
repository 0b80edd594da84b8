/* The token table's layout, growth, index, and publication of slots. See the header. */
#include "core/token_table.h"

#include <assert.h>
#include <math.h>

#define TABLE_MAGIC        0x4d4f4f4e5441424cULL /* "MOONTABL" */
#define TABLE_LAYOUT       1
#define POOLS_RESERVED     8 /* pool entries of address space a token; 3.4 are used on average */
#define POOLS_BACKED_AHEAD 8 /* backed for a token that has not come yet */
#define POOLS_SPARE        1024
#define READ_ATTEMPTS      1000 /* a publication takes well under a microsecond */
#define REGION_ALIGNMENT   65536

_Static_assert(sizeof(struct token) % 8 == 0, "slots are copied by words");
_Static_assert(sizeof(struct pool) == 40, "pools are copied by words");
_Static_assert(sizeof(struct lane_link) == 16, "links are two words");

/* Sizes of runs: little is wasted around the three or four pools that most tokens have. */
static const uint8_t run_sizes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, POOLS_MAX};
#define RUN_CLASSES (sizeof run_sizes)

struct slot {
    _Atomic uint32_t sequence;
    uint32_t check;       /* of the token */
    uint32_t pools_check; /* of its pools */
    uint32_t spare;
    struct token token;
};

enum region {
    REGION_SLOTS,
    REGION_STATUS,
    REGION_GROUP,
    REGION_SCORE,
    REGION_COST,
    REGION_LINKS_PRICE,
    REGION_LINKS_DISCOVER,
    REGION_FIFO_PRICE,
    REGION_FIFO_DISCOVER,
    REGION_BUCKETS,
    REGION_CHAIN,
    REGION_POOLS,
    REGION_COUNT
};

_Static_assert(REGION_COUNT <= TABLE_RANGES, "a range a region");

static const size_t element_sizes[REGION_COUNT] = {
    [REGION_SLOTS] = sizeof(struct slot),
    [REGION_STATUS] = 1,
    [REGION_GROUP] = 1,
    [REGION_SCORE] = sizeof(float),
    [REGION_COST] = 1,
    [REGION_LINKS_PRICE] = sizeof(struct lane_link),
    [REGION_LINKS_DISCOVER] = sizeof(struct lane_link),
    [REGION_FIFO_PRICE] = 1,
    [REGION_FIFO_DISCOVER] = 1,
    [REGION_BUCKETS] = sizeof(token_id),
    [REGION_CHAIN] = sizeof(token_id),
    [REGION_POOLS] = sizeof(struct pool),
};

struct name_list {
    _Atomic uint32_t count;
    char names[NAME_TABLE_SIZE][DEX_NAME_SIZE];
};

_Static_assert(DEX_NAME_SIZE == QUOTE_NAME_SIZE, "one list type serves both");

struct draft {
    token_id id;
    bool pools_touched;
    uint8_t pools_class; /* of the staged pools */
    uint32_t pools_first;
    struct token token;
    struct pool pools[POOLS_MAX];
};

struct token_table {
    uint64_t magic;
    uint32_t layout;
    uint32_t capacity_max;
    uint64_t hash_key;
    uint64_t offsets[REGION_COUNT];
    _Atomic uint32_t count;
    _Atomic uint32_t capacity;
    _Atomic uint32_t pool_capacity;
    uint32_t pool_used; /* entries ever given out; those given back are on the free lists */
    uint32_t run_free[RUN_CLASSES];
    _Atomic uint32_t index_sequence; /* odd while a bucket is split */
    _Atomic uint32_t bucket_count;
    struct name_list dexes;
    struct name_list quotes;
    struct draft draft;
};

static void *region(const struct token_table *table, enum region which)
{
    return (char *)table + table->offsets[which];
}

static struct slot *slot_of(const struct token_table *table, token_id id)
{
    return (struct slot *)region(table, REGION_SLOTS) + id;
}

static struct pool *pool_at(const struct token_table *table, uint32_t index)
{
    return (struct pool *)region(table, REGION_POOLS) + index;
}

static bool id_is_valid(const struct token_table *table, token_id id)
{
    return id != TOKEN_NONE && id <= token_table_count(table);
}

/* ---- words: what is shared is copied in whole atomic words ---- */

static void words_store(void *shared, const void *private, size_t bytes)
{
    _Atomic uint64_t *to = shared;
    const uint64_t *from = private;
    for (size_t i = 0; i < bytes / 8; i++)
        atomic_store_explicit(&to[i], from[i], memory_order_relaxed);
}

static void words_load(void *private, const void *shared, size_t bytes)
{
    uint64_t *to = private;
    const _Atomic uint64_t *from = (const _Atomic uint64_t *)shared;
    for (size_t i = 0; i < bytes / 8; i++)
        to[i] = atomic_load_explicit(&from[i], memory_order_relaxed);
}

/* Finds torn slots, not forgers: two lanes of multiply-xor, folded. */
static uint32_t checksum(const void *data, size_t bytes)
{
    const uint64_t *words = data;
    uint64_t a = 0x9e3779b97f4a7c15ULL, b = 0xc2b2ae3d27d4eb4fULL ^ bytes;
    size_t n = bytes / 8, i = 0;
    for (; i + 1 < n; i += 2) {
        a = (a ^ words[i]) * 0xff51afd7ed558ccdULL;
        b = (b ^ words[i + 1]) * 0xc4ceb9fe1a85ec53ULL;
        a ^= a >> 32;
        b ^= b >> 29;
    }
    if (i < n)
        a = (a ^ words[i]) * 0xff51afd7ed558ccdULL;
    uint64_t h = a ^ (b << 1 | b >> 63);
    h ^= h >> 33;
    h *= 0x9fb21c651e98df25ULL;
    return (uint32_t)(h >> 32);
}

/* ---- making and growing ---- */

static size_t align_up(size_t n)
{
    return (n + REGION_ALIGNMENT - 1) / REGION_ALIGNMENT * REGION_ALIGNMENT;
}

static size_t region_elements(enum region which, uint32_t capacity, uint32_t pool_capacity)
{
    if (which == REGION_POOLS)
        return pool_capacity;
    return (size_t)capacity + 1; /* id 0 is nobody's */
}

static uint32_t pools_reserved(uint32_t capacity_max)
{
    uint64_t n = (uint64_t)capacity_max * POOLS_RESERVED + POOLS_SPARE;
    return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static size_t layout_regions(uint32_t capacity_max, uint64_t offsets[REGION_COUNT])
{
    size_t at = align_up(sizeof(struct token_table));
    for (int i = 0; i < REGION_COUNT; i++) {
        offsets[i] = at;
        at += align_up(region_elements(i, capacity_max, pools_reserved(capacity_max)) *
                       element_sizes[i]);
    }
    return at;
}

size_t token_table_reserve_size(uint32_t capacity_max)
{
    uint64_t offsets[REGION_COUNT];
    return layout_regions(capacity_max, offsets);
}

size_t token_table_header_size(void)
{
    return align_up(sizeof(struct token_table));
}

static void name_list_init(struct name_list *list)
{
    list->names[0][0] = '?';
    list->names[0][1] = '\0';
    atomic_store_explicit(&list->count, 1, memory_order_release);
}

struct token_table *token_table_init(void *memory, uint32_t capacity_max, uint64_t hash_key)
{
    struct token_table *table = memory;
    table->magic = TABLE_MAGIC;
    table->layout = TABLE_LAYOUT;
    table->capacity_max = capacity_max;
    table->hash_key = hash_key;
    layout_regions(capacity_max, table->offsets);
    atomic_store(&table->bucket_count, 1);
    name_list_init(&table->dexes);
    name_list_init(&table->quotes);
    return table;
}

bool token_table_is_ours(const void *memory, size_t size)
{
    const struct token_table *table = memory;
    return size >= sizeof *table && table->magic == TABLE_MAGIC && table->layout == TABLE_LAYOUT &&
           token_table_reserve_size(table->capacity_max) <= size;
}

static uint32_t pools_planned(const struct token_table *table, uint32_t capacity)
{
    uint64_t ahead = capacity - token_table_count(table);
    uint64_t n = table->pool_used + ahead * POOLS_BACKED_AHEAD + POOLS_SPARE;
    uint32_t now = atomic_load(&table->pool_capacity);
    uint32_t most = pools_reserved(table->capacity_max);
    if (n < now)
        n = now;
    return n > most ? most : (uint32_t)n;
}

size_t token_table_ranges(const struct token_table *table, uint32_t capacity,
                          struct table_range out[TABLE_RANGES])
{
    assert(capacity <= table->capacity_max && capacity >= token_table_capacity(table));
    uint32_t before = token_table_capacity(table);
    uint32_t pools_before = atomic_load(&table->pool_capacity);
    for (int i = 0; i < REGION_COUNT; i++) {
        size_t old = before == 0 ? 0 : region_elements(i, before, pools_before) * element_sizes[i];
        size_t new =
            region_elements(i, capacity, pools_planned(table, capacity)) * element_sizes[i];
        out[i] = (struct table_range){table->offsets[i] + old, new - old};
    }
    return REGION_COUNT;
}

void token_table_set_capacity(struct token_table *table, uint32_t capacity)
{
    assert(capacity <= table->capacity_max && capacity >= token_table_capacity(table));
    atomic_store(&table->pool_capacity, pools_planned(table, capacity));
    atomic_store(&table->capacity, capacity);
}

bool token_table_is_short(const struct token_table *table, uint32_t headroom)
{
    uint64_t pools_left = atomic_load(&table->pool_capacity) - table->pool_used;
    return token_table_capacity(table) - token_table_count(table) < headroom ||
           pools_left < (uint64_t)headroom * 4 + POOLS_MAX;
}

uint32_t token_table_capacity_max(const struct token_table *table)
{
    return table->capacity_max;
}

uint32_t token_table_count(const struct token_table *table)
{
    return atomic_load_explicit(&table->count, memory_order_acquire);
}

uint32_t token_table_capacity(const struct token_table *table)
{
    return atomic_load_explicit(&table->capacity, memory_order_acquire);
}

size_t token_table_bytes_used(const struct token_table *table)
{
    size_t bytes = sizeof *table;
    for (int i = 0; i < REGION_COUNT; i++)
        bytes += region_elements(i, token_table_count(table), table->pool_used) * element_sizes[i];
    return bytes;
}

/* ---- the index by mint: linear hashing ---- */

static _Atomic token_id *bucket_at(const struct token_table *table, uint32_t index)
{
    return (_Atomic token_id *)region(table, REGION_BUCKETS) + index;
}

static _Atomic token_id *chain_at(const struct token_table *table, token_id id)
{
    return (_Atomic token_id *)region(table, REGION_CHAIN) + id;
}

/* Buckets 0 … count − 1 exist; those whose larger round has not come yet use the smaller mask. */
static uint32_t bucket_for(uint64_t hash, uint32_t mask, uint32_t count)
{
    uint32_t index = (uint32_t)hash & mask;
    return index < count ? index : index & (mask >> 1);
}

static bool mint_matches(const struct token_table *table, token_id id, const struct address *mint)
{
    /* A mint is written once, before its id is reachable, and never changes. */
    struct address there;
    words_load(&there, &slot_of(table, id)->token.mint, sizeof there);
    return address_equal(&there, mint);
}

static token_id chain_search(const struct token_table *table, token_id id,
                             const struct address *mint)
{
    /* No chain is longer than the table; a torn one seen by a reader must end, too. */
    for (uint32_t steps = 0; id_is_valid(table, id) && steps < 4096; steps++) {
        if (mint_matches(table, id, mint))
            return id;
        id = atomic_load_explicit(chain_at(table, id), memory_order_relaxed);
    }
    return TOKEN_NONE;
}

static uint32_t mask_for(uint32_t bucket_count)
{
    uint32_t mask = 0;
    while (mask < bucket_count - 1)
        mask = mask << 1 | 1;
    return mask;
}

token_id token_table_find(const struct token_table *table, const struct address *mint)
{
    uint32_t count = atomic_load_explicit(&table->bucket_count, memory_order_relaxed);
    uint32_t bucket = bucket_for(address_hash(mint, table->hash_key), mask_for(count), count);
    token_id id = atomic_load_explicit(bucket_at(table, bucket), memory_order_relaxed);
    return chain_search(table, id, mint);
}

/* Who is found is the right one, whatever moves meanwhile: its mint matches. Only that nobody is
 * there must be looked at again while a bucket is split. A writer that died over a split thus hides
 * the tokens of one bucket at most. */
token_id token_table_find_shared(const struct token_table *table, const struct address *mint)
{
    for (int i = 0; i < READ_ATTEMPTS; i++) {
        uint32_t before = atomic_load_explicit(&table->index_sequence, memory_order_acquire);
        token_id id = token_table_find(table, mint);
        if (id != TOKEN_NONE)
            return id;
        atomic_thread_fence(memory_order_acquire);
        uint32_t after = atomic_load_explicit(&table->index_sequence, memory_order_relaxed);
        if (before == after && before % 2 == 0)
            break;
    }
    return TOKEN_NONE;
}

static void chain_push(struct token_table *table, uint32_t bucket, token_id id)
{
    token_id first = atomic_load_explicit(bucket_at(table, bucket), memory_order_relaxed);
    atomic_store_explicit(chain_at(table, id), first, memory_order_relaxed);
    atomic_store_explicit(bucket_at(table, bucket), id, memory_order_release);
}

/* Adds one bucket and moves to it the tokens of the bucket that it splits off. */
static void index_grow(struct token_table *table)
{
    uint32_t fresh = atomic_load_explicit(&table->bucket_count, memory_order_relaxed);
    uint32_t mask = mask_for(fresh + 1);
    uint32_t split = fresh & (mask >> 1);
    uint32_t sequence = atomic_load_explicit(&table->index_sequence, memory_order_relaxed);
    atomic_store_explicit(&table->index_sequence, sequence + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);

    token_id id = atomic_load_explicit(bucket_at(table, split), memory_order_relaxed);
    atomic_store_explicit(bucket_at(table, split), TOKEN_NONE, memory_order_relaxed);
    atomic_store_explicit(bucket_at(table, fresh), TOKEN_NONE, memory_order_relaxed);
    while (id != TOKEN_NONE) {
        token_id next = atomic_load_explicit(chain_at(table, id), memory_order_relaxed);
        uint64_t hash = address_hash(&slot_of(table, id)->token.mint, table->hash_key);
        chain_push(table, ((uint32_t)hash & mask) == fresh ? fresh : split, id);
        id = next;
    }
    atomic_store_explicit(&table->bucket_count, fresh + 1, memory_order_relaxed);
    atomic_store_explicit(&table->index_sequence, sequence + 2, memory_order_release);
}

/* ---- publication ---- */

static void publish(struct token_table *table, token_id id, const struct token *token)
{
    struct slot *slot = slot_of(table, id);
    words_store(&slot->token, token, sizeof *token);
    atomic_store_explicit((_Atomic uint32_t *)&slot->check, checksum(token, sizeof *token),
                          memory_order_relaxed);
    float score = token->state.answers == 0 ? NAN : (float)token->state.score;
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    atomic_store_explicit((_Atomic uint32_t *)region(table, REGION_SCORE) + id, bits,
                          memory_order_relaxed);
    atomic_store_explicit((_Atomic uint8_t *)region(table, REGION_STATUS) + id, token->status,
                          memory_order_relaxed);
}

static uint32_t sequence_begin(struct slot *slot)
{
    uint32_t sequence = atomic_load_explicit(&slot->sequence, memory_order_relaxed) | 1;
    atomic_store_explicit(&slot->sequence, sequence, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    return sequence;
}

static void sequence_end(struct slot *slot, uint32_t sequence)
{
    atomic_store_explicit(&slot->sequence, sequence + 1, memory_order_release);
}

/* Publishes the next slot; TOKEN_NONE when the table is full. */
static token_id slot_add(struct token_table *table, const struct token *token)
{
    uint32_t count = token_table_count(table);
    if (count >= token_table_capacity(table))
        return TOKEN_NONE;
    token_id id = count + 1;
    struct slot *slot = slot_of(table, id);
    uint32_t sequence = sequence_begin(slot);
    publish(table, id, token);
    atomic_store_explicit((_Atomic uint32_t *)&slot->pools_check, checksum(NULL, 0),
                          memory_order_relaxed);
    token_set_group(table, id, GROUP_COLD);
    sequence_end(slot, sequence);
    atomic_store_explicit(&table->count, id, memory_order_release);
    return id;
}

/* One bucket a slot, whether it holds a token or not. */
static void index_keep_up(struct token_table *table)
{
    if (atomic_load_explicit(&table->bucket_count, memory_order_relaxed) <=
        token_table_count(table))
        index_grow(table);
}

token_id token_table_add(struct token_table *table, const struct address *mint)
{
    token_id id = slot_add(table, &(struct token){.mint = *mint, .status = TOKEN_MONITORING});
    if (id == TOKEN_NONE)
        return TOKEN_NONE;
    uint32_t buckets = atomic_load_explicit(&table->bucket_count, memory_order_relaxed);
    uint64_t hash = address_hash(mint, table->hash_key);
    chain_push(table, bucket_for(hash, mask_for(buckets), buckets), id);
    index_keep_up(table);
    return id;
}

token_id token_table_add_hole(struct token_table *table)
{
    token_id id = slot_add(table, &(struct token){.status = TOKEN_ARCHIVED, .flags = TOKEN_HOLE});
    if (id != TOKEN_NONE)
        index_keep_up(table);
    return id;
}

const struct token *token_slot(const struct token_table *table, token_id id)
{
    assert(id_is_valid(table, id));
    return &slot_of(table, id)->token;
}

const struct pool *token_pools(const struct token_table *table, token_id id)
{
    return pool_at(table, token_slot(table, id)->pool_first);
}

struct token *token_write_begin(struct token_table *table, token_id id)
{
    assert(table->draft.id == TOKEN_NONE);
    table->draft.id = id;
    table->draft.pools_touched = false;
    table->draft.token = *token_slot(table, id);
    return &table->draft.token;
}

struct pool *token_draft_pools(struct token_table *table)
{
    struct draft *draft = &table->draft;
    assert(draft->id != TOKEN_NONE);
    if (!draft->pools_touched) {
        memcpy(draft->pools, pool_at(table, draft->token.pool_first),
               draft->token.pool_count * sizeof(struct pool));
        draft->pools_class = draft->token.pool_class;
        draft->pools_first = draft->token.pool_first;
        draft->pools_touched = true;
    }
    return draft->pools;
}

static uint8_t run_class_for(size_t count)
{
    uint8_t run_class = 0;
    while (run_sizes[run_class] < count)
        run_class++;
    return run_class;
}

/* An index into the pools region; UINT32_MAX when there is no room. */
static uint32_t run_take(struct token_table *table, uint8_t run_class)
{
    if (run_class == 0)
        return 0;
    uint32_t first = table->run_free[run_class];
    if (first != 0) {
        memcpy(&table->run_free[run_class], pool_at(table, first - 1), sizeof(uint32_t));
        return first - 1;
    }
    uint32_t left = atomic_load(&table->pool_capacity) - table->pool_used;
    if (left < run_sizes[run_class])
        return UINT32_MAX;
    first = table->pool_used;
    table->pool_used += run_sizes[run_class];
    return first;
}

static void run_give_back(struct token_table *table, uint32_t first, uint8_t run_class)
{
    if (run_class == 0)
        return;
    atomic_store_explicit((_Atomic uint32_t *)(void *)pool_at(table, first),
                          table->run_free[run_class], memory_order_relaxed);
    table->run_free[run_class] = first + 1; /* 0 ends the list */
}

bool token_draft_set_pools(struct token_table *table, const struct pool *pools, size_t count)
{
    assert(count <= POOLS_MAX);
    struct draft *draft = &table->draft;
    token_draft_pools(table);
    uint8_t run_class = run_class_for(count);
    if (run_class != draft->pools_class) {
        uint32_t first = run_take(table, run_class);
        if (first == UINT32_MAX)
            return false;
        bool is_staged = draft->pools_first != draft->token.pool_first;
        if (is_staged)
            run_give_back(table, draft->pools_first, draft->pools_class);
        draft->pools_class = run_class;
        draft->pools_first = first;
    }
    memmove(draft->pools, pools, count * sizeof *pools);
    draft->token.pool_count = (uint8_t)count;
    return true;
}

void token_write_end(struct token_table *table, token_id id)
{
    struct draft *draft = &table->draft;
    assert(draft->id == id && id != TOKEN_NONE);
    struct slot *slot = slot_of(table, id);
    uint32_t old_first = slot->token.pool_first;
    uint8_t old_class = slot->token.pool_class;
    uint32_t sequence = sequence_begin(slot);
    if (draft->pools_touched) {
        size_t bytes = draft->token.pool_count * sizeof(struct pool);
        draft->token.pool_first = draft->pools_first;
        draft->token.pool_class = draft->pools_class;
        words_store(pool_at(table, draft->pools_first), draft->pools, bytes);
        atomic_store_explicit((_Atomic uint32_t *)&slot->pools_check, checksum(draft->pools, bytes),
                              memory_order_relaxed);
    }
    publish(table, id, &draft->token);
    sequence_end(slot, sequence);
    /* Only now: a reader still copying the old run sees that the sequence has moved. */
    if (draft->pools_touched &&
        (old_first != draft->pools_first || old_class != draft->pools_class))
        run_give_back(table, old_first, old_class);
    draft->id = TOKEN_NONE;
}

void token_set_group(struct token_table *table, token_id id, enum token_group group)
{
    atomic_store_explicit((_Atomic uint8_t *)region(table, REGION_GROUP) + id, (uint8_t)group,
                          memory_order_relaxed);
}

/* ---- names ---- */

static uint8_t name_index(struct name_list *list, const char *name)
{
    uint32_t count = atomic_load_explicit(&list->count, memory_order_relaxed);
    for (uint32_t i = 1; i < count; i++)
        if (strncmp(list->names[i], name, DEX_NAME_SIZE - 1) == 0)
            return (uint8_t)i;
    if (count == NAME_TABLE_SIZE || name[0] == '\0')
        return 0;
    size_t length = strnlen(name, DEX_NAME_SIZE - 1);
    memcpy(list->names[count], name, length);
    list->names[count][length] = '\0';
    atomic_store_explicit(&list->count, count + 1, memory_order_release);
    return (uint8_t)count;
}

static const char *name_at(const struct name_list *list, uint8_t index)
{
    uint32_t count = atomic_load_explicit(&list->count, memory_order_acquire);
    return index < count && count <= NAME_TABLE_SIZE ? list->names[index] : "?";
}

uint8_t token_table_dex(struct token_table *table, const char *name)
{
    return name_index(&table->dexes, name);
}

uint8_t token_table_quote(struct token_table *table, const char *name)
{
    return name_index(&table->quotes, name);
}

const char *token_table_dex_name(const struct token_table *table, uint8_t index)
{
    return name_at(&table->dexes, index);
}

const char *token_table_quote_name(const struct token_table *table, uint8_t index)
{
    return name_at(&table->quotes, index);
}

/* ---- reading ---- */

static bool pools_are_in_range(const struct token_table *table, const struct token *token)
{
    return token->pool_count <= POOLS_MAX &&
           (uint64_t)token->pool_first + token->pool_count <= atomic_load(&table->pool_capacity);
}

bool token_read(const struct token_table *table, token_id id, struct token *out,
                struct pool pools[POOLS_MAX])
{
    if (!id_is_valid(table, id) || id > token_table_capacity(table))
        return false;
    const struct slot *slot = slot_of(table, id);
    for (int i = 0; i < READ_ATTEMPTS; i++) {
        uint32_t before = atomic_load_explicit(&slot->sequence, memory_order_acquire);
        words_load(out, &slot->token, sizeof *out);
        bool in_range = pools_are_in_range(table, out);
        if (pools != NULL && in_range)
            words_load(pools, pool_at(table, out->pool_first),
                       out->pool_count * sizeof(struct pool));
        atomic_thread_fence(memory_order_acquire);
        uint32_t after = atomic_load_explicit(&slot->sequence, memory_order_relaxed);
        if (before == after && before % 2 == 0 && in_range)
            return !(out->flags & TOKEN_HOLE);
    }
    return false;
}

bool token_is_whole(const struct token_table *table, token_id id)
{
    struct token token;
    struct pool pools[POOLS_MAX];
    if (!token_read(table, id, &token, pools))
        return false;
    const struct slot *slot = slot_of(table, id);
    return slot->check == checksum(&token, sizeof token) &&
           slot->pools_check == checksum(pools, token.pool_count * sizeof *pools) &&
           token.status < TOKEN_STATUS_COUNT && token.pool_class < RUN_CLASSES &&
           token.pool_count <= run_sizes[token.pool_class];
}

enum token_status token_column_status(const struct token_table *table, token_id id)
{
    return atomic_load_explicit((_Atomic uint8_t *)region(table, REGION_STATUS) + id,
                                memory_order_relaxed);
}

enum token_group token_column_group(const struct token_table *table, token_id id)
{
    return atomic_load_explicit((_Atomic uint8_t *)region(table, REGION_GROUP) + id,
                                memory_order_relaxed);
}

float token_column_score(const struct token_table *table, token_id id)
{
    uint32_t bits = atomic_load_explicit((_Atomic uint32_t *)region(table, REGION_SCORE) + id,
                                         memory_order_relaxed);
    float score;
    memcpy(&score, &bits, sizeof score);
    return score;
}

void token_columns_read(const struct token_table *table, token_id first, uint32_t count,
                        uint8_t *statuses, float *scores)
{
    assert(id_is_valid(table, first) && count <= token_table_count(table) - first + 1);
    const _Atomic uint8_t *status = (const _Atomic uint8_t *)region(table, REGION_STATUS) + first;
    const _Atomic uint32_t *score = (const _Atomic uint32_t *)region(table, REGION_SCORE) + first;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bits = atomic_load_explicit(&score[i], memory_order_relaxed);
        statuses[i] = atomic_load_explicit(&status[i], memory_order_relaxed);
        memcpy(&scores[i], &bits, sizeof bits);
    }
}

instant token_column_checked(const struct token_table *table, token_id id)
{
    struct lane_link *link = (struct lane_link *)region(table, REGION_LINKS_PRICE) + id;
    return (instant){
        atomic_load_explicit((_Atomic int64_t *)&link->stamp.us, memory_order_relaxed)};
}

struct lane_link *token_table_links(struct token_table *table, enum link_family family)
{
    return region(table, family == LINKS_PRICE ? REGION_LINKS_PRICE : REGION_LINKS_DISCOVER);
}

uint8_t *token_table_fifos(struct token_table *table, enum link_family family)
{
    return region(table, family == LINKS_PRICE ? REGION_FIFO_PRICE : REGION_FIFO_DISCOVER);
}

uint8_t *token_table_costs(struct token_table *table)
{
    return region(table, REGION_COST);
}
