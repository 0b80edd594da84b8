/* The token table's layout, growth, index, and publication of slots. See the header. */
#include "core/token_layout.h"

#include <assert.h>
#include <math.h>

static const size_t element_sizes[REGION_COUNT] = {
    [REGION_SLOTS] = sizeof(struct slot),
    [REGION_STATUS] = 1,
    [REGION_GROUP] = 1,
    [REGION_SCORE] = sizeof(float),
    [REGION_COST] = 1,
    [REGION_LINKS_PRICE] = sizeof(struct lane_link),
    [REGION_LINKS_DISCOVER] = sizeof(struct lane_link),
    [REGION_BUCKETS] = sizeof(token_id),
    [REGION_CHAIN] = sizeof(token_id),
    [REGION_POOLS] = sizeof(struct pool),
};

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

uint32_t token_pools_reserved(uint32_t capacity_max)
{
    uint64_t n = (uint64_t)capacity_max * POOLS_RESERVED + POOLS_SPARE;
    return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

size_t token_layout(uint32_t capacity_max, uint64_t offsets[REGION_COUNT])
{
    size_t at = align_up(sizeof(struct token_table));
    for (int i = 0; i < REGION_COUNT; i++) {
        offsets[i] = at;
        at += align_up(region_elements(i, capacity_max, token_pools_reserved(capacity_max)) *
                       element_sizes[i]);
    }
    return at;
}

size_t token_table_reserve_size(uint32_t capacity_max)
{
    uint64_t offsets[REGION_COUNT];
    return token_layout(capacity_max, offsets);
}

/* Less than up to the first region: what lies between is never backed. */
size_t token_table_header_size(void)
{
    return (sizeof(struct token_table) + PAGE_MOST - 1) / PAGE_MOST * PAGE_MOST;
}

uint32_t token_table_capacity_for(size_t reserved)
{
    uint64_t low = 0, high = UINT32_MAX;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (token_table_reserve_size((uint32_t)middle) < reserved)
            low = middle + 1;
        else
            high = middle;
    }
    return token_table_reserve_size((uint32_t)low) == reserved ? (uint32_t)low : 0;
}

static void name_store(struct name_list *list, uint32_t index, const char *name)
{
    struct name_entry *entry = &list->entries[index];
    *entry = (struct name_entry){0};
    memcpy(entry->text, name, strnlen(name, sizeof entry->text - 1));
    entry->check = checksum(index, entry->text, sizeof entry->text);
    atomic_store_explicit(&list->count, index + 1, memory_order_release);
}

uint32_t token_capacity_check(uint32_t capacity, uint32_t pool_capacity)
{
    uint64_t both = (uint64_t)capacity << 32 | pool_capacity;
    return checksum(0, &both, sizeof both);
}

struct token_table *token_table_init(void *memory, uint32_t capacity_max, uint64_t hash_key)
{
    struct token_table *table = memory;
    /* Others may map a table that is made anew: what stays the same is not touched. */
    struct table_constants constants = {.magic = TABLE_MAGIC,
                                        .layout = TABLE_LAYOUT,
                                        .capacity_max = capacity_max,
                                        .hash_key = hash_key};
    token_layout(capacity_max, constants.offsets);
    table->constants = constants;
    table->constants_check = checksum(0, &constants, sizeof constants);
    table->capacity_check = token_capacity_check(0, 0);
    atomic_store(&table->bucket_count, 1);
    name_store(&table->dexes, 0, "?");
    name_store(&table->quotes, 0, "?");
    atomic_store(&table->version, hash_key); /* another one than any that a reader knows */
    atomic_store(&table->index_sequence, 0);
    return table;
}

void token_table_retire(struct token_table *table)
{
    atomic_store(&table->count, 0);
    atomic_store(&table->index_sequence, 1);
    atomic_store(&table->capacity, 0);
    atomic_store(&table->pool_capacity, 0);
    table->pool_used = 0;
    memset(table->run_free, 0, sizeof table->run_free);
    table->draft.id = TOKEN_NONE;
    atomic_store(&table->store_check, ~checksum(0, &table->store, sizeof table->store));
}

static uint32_t pools_planned(const struct token_table *table, uint32_t capacity)
{
    uint64_t ahead = capacity - token_table_count(table);
    uint64_t n = table->pool_used + ahead * POOLS_BACKED_AHEAD + POOLS_SPARE;
    uint32_t now = atomic_load(&table->pool_capacity);
    uint32_t most = token_pools_reserved(table->constants.capacity_max);
    if (n < now)
        n = now;
    return n > most ? most : (uint32_t)n;
}

size_t token_table_ranges(const struct token_table *table, uint32_t capacity,
                          struct table_range out[TABLE_RANGES])
{
    assert(capacity <= table->constants.capacity_max && capacity >= token_table_capacity(table));
    uint32_t before = token_table_capacity(table);
    uint32_t pools_before = atomic_load(&table->pool_capacity);
    for (int i = 0; i < REGION_COUNT; i++) {
        size_t old = before == 0 ? 0 : region_elements(i, before, pools_before) * element_sizes[i];
        size_t new =
            region_elements(i, capacity, pools_planned(table, capacity)) * element_sizes[i];
        out[i] = (struct table_range){table->constants.offsets[i] + old, new - old};
    }
    return REGION_COUNT;
}

void token_table_set_capacity(struct token_table *table, uint32_t capacity)
{
    assert(capacity <= table->constants.capacity_max && capacity >= token_table_capacity(table));
    uint32_t pool_capacity = pools_planned(table, capacity);
    table->capacity_check = token_capacity_check(capacity, pool_capacity);
    atomic_store(&table->pool_capacity, pool_capacity);
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
    return table->constants.capacity_max;
}

/* Whoever only reads has not checked the number: what is beyond its regions is no table's. */
uint32_t token_table_count(const struct token_table *table)
{
    uint32_t count = atomic_load_explicit(&table->count, memory_order_acquire);
    return count < table->constants.capacity_max ? count : table->constants.capacity_max;
}

uint32_t token_table_capacity(const struct token_table *table)
{
    return atomic_load_explicit(&table->capacity, memory_order_acquire);
}

size_t token_table_used(const struct token_table *table, struct table_range out[TABLE_RANGES])
{
    uint32_t count = token_table_count(table);
    for (int i = 0; i < REGION_COUNT; i++)
        out[i] =
            (struct table_range){table->constants.offsets[i],
                                 region_elements(i, count, table->pool_used) * element_sizes[i]};
    return REGION_COUNT;
}

size_t token_table_bytes_used(const struct token_table *table)
{
    struct table_range ranges[TABLE_RANGES];
    size_t bytes = sizeof *table, count = token_table_used(table, ranges);
    for (size_t i = 0; i < count; i++)
        bytes += ranges[i].length;
    return bytes;
}

/* ---- the index by mint: linear hashing ---- */

uint32_t token_mint_hash(const struct token_table *table, const struct address *mint)
{
    return (uint32_t)address_hash(mint, table->constants.hash_key);
}

struct address token_mint_shared(const struct token_table *table, token_id id)
{
    /* It is there before its id is reachable, and never changes. */
    struct address mint;
    words_load(&mint, &slot_of(table, id)->token.mint, sizeof mint);
    return mint;
}

static bool mint_matches(const struct token_table *table, token_id id, const struct address *mint)
{
    struct address there = token_mint_shared(table, id);
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

token_id token_table_find(const struct token_table *table, const struct address *mint)
{
    uint32_t count = atomic_load_explicit(&table->bucket_count, memory_order_relaxed);
    if (count > table->constants.capacity_max) /* of a reader, who has not checked it */
        count = table->constants.capacity_max + 1;
    uint32_t bucket = bucket_for(token_mint_hash(table, mint), bucket_mask(count), count);
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

/* Who finds nobody meanwhile looks again. */
static uint32_t index_begin(struct token_table *table)
{
    uint32_t sequence = atomic_load_explicit(&table->index_sequence, memory_order_relaxed);
    atomic_store_explicit(&table->index_sequence, sequence + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    return sequence + 2;
}

static void index_end(struct token_table *table, uint32_t sequence)
{
    atomic_store_explicit(&table->index_sequence, sequence, memory_order_release);
}

/* Adds one bucket and moves to it the tokens of the bucket that it splits off. */
static void index_grow(struct token_table *table)
{
    uint32_t fresh = atomic_load_explicit(&table->bucket_count, memory_order_relaxed);
    uint32_t mask = bucket_mask(fresh + 1);
    uint32_t split = fresh & (mask >> 1);
    uint32_t sequence = index_begin(table);

    token_id id = atomic_load_explicit(bucket_at(table, split), memory_order_relaxed);
    atomic_store_explicit(bucket_at(table, split), TOKEN_NONE, memory_order_relaxed);
    atomic_store_explicit(bucket_at(table, fresh), TOKEN_NONE, memory_order_relaxed);
    while (id != TOKEN_NONE) {
        token_id next = atomic_load_explicit(chain_at(table, id), memory_order_relaxed);
        uint32_t hash = token_mint_hash(table, &slot_of(table, id)->token.mint);
        chain_push(table, (hash & mask) == fresh ? fresh : split, id);
        id = next;
    }
    atomic_store_explicit(&table->bucket_count, fresh + 1, memory_order_relaxed);
    index_end(table, sequence);
}

/* ---- publication ---- */

float token_score_for_column(const struct token *token)
{
    return token->state.answers == 0 ? NAN : (float)token->state.score;
}

void token_set_columns(struct token_table *table, token_id id, const struct token *token)
{
    float score = token_score_for_column(token);
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    atomic_store_explicit((_Atomic uint32_t *)token_region(table, REGION_SCORE) + id, bits,
                          memory_order_relaxed);
    atomic_store_explicit((_Atomic uint8_t *)token_region(table, REGION_STATUS) + id, token->status,
                          memory_order_relaxed);
}

static void publish(struct token_table *table, token_id id, const struct token *token)
{
    struct slot *slot = slot_of(table, id);
    words_store(&slot->token, token, sizeof *token);
    atomic_store_explicit((_Atomic uint32_t *)&slot->check, checksum(id, token, sizeof *token),
                          memory_order_relaxed);
    token_set_columns(table, id, token);
}

static uint32_t sequence_begin(struct slot *slot)
{
    uint32_t sequence = atomic_load_explicit(&slot->sequence, memory_order_relaxed) | 1;
    atomic_store_explicit(&slot->sequence, sequence, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    return sequence;
}

static void raise_version(struct token_table *table)
{
    atomic_fetch_add_explicit(&table->version, 1, memory_order_release);
}

static void sequence_end(struct token_table *table, struct slot *slot, uint32_t sequence)
{
    atomic_store_explicit(&slot->sequence, sequence + 1, memory_order_release);
    raise_version(table);
}

uint64_t token_table_version(const struct token_table *table)
{
    return atomic_load_explicit(&table->version, memory_order_acquire);
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
    atomic_store_explicit((_Atomic uint32_t *)&slot->pools_check, checksum(id, NULL, 0),
                          memory_order_relaxed);
    token_set_group(table, id, GROUP_COLD);
    sequence_end(table, slot, sequence);
    atomic_store_explicit(&table->count, id, memory_order_release);
    raise_version(table);
    return id;
}

/* One bucket a slot, whether it holds a token or not. */
static void index_keep_up(struct token_table *table)
{
    if (atomic_load_explicit(&table->bucket_count, memory_order_relaxed) <=
        token_table_count(table))
        index_grow(table);
}

int token_compare_ids(const void *a, const void *b)
{
    const token_id *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static uint32_t bucket_of_mint(const struct token_table *table, const struct address *mint)
{
    uint32_t buckets = atomic_load_explicit(&table->bucket_count, memory_order_relaxed);
    return bucket_for(token_mint_hash(table, mint), bucket_mask(buckets), buckets);
}

static void index_add(struct token_table *table, token_id id, const struct address *mint)
{
    chain_push(table, bucket_of_mint(table, mint), id);
}

static void index_remove(struct token_table *table, token_id id, const struct address *mint)
{
    _Atomic token_id *link = bucket_at(table, bucket_of_mint(table, mint));
    uint32_t sequence = index_begin(table);
    token_id at;
    while ((at = atomic_load_explicit(link, memory_order_relaxed)) != id) {
        assert(at != TOKEN_NONE);
        link = chain_at(table, at);
    }
    atomic_store_explicit(link, atomic_load_explicit(chain_at(table, id), memory_order_relaxed),
                          memory_order_relaxed);
    index_end(table, sequence);
}

token_id token_table_add(struct token_table *table, const struct address *mint)
{
    token_id id = slot_add(table, &(struct token){.mint = *mint, .status = TOKEN_MONITORING});
    if (id == TOKEN_NONE)
        return TOKEN_NONE;
    index_add(table, id, mint);
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

void token_table_fill_hole(struct token_table *table, token_id id, const struct address *mint)
{
    assert(token_slot(table, id)->flags & TOKEN_HOLE);
    token_publish(table, id, &(struct token){.mint = *mint, .status = TOKEN_MONITORING});
    token_set_group(table, id, GROUP_COLD);
    index_add(table, id, mint);
}

void token_table_drop(struct token_table *table, token_id id)
{
    struct address mint = token_slot(table, id)->mint;
    assert(!(token_slot(table, id)->flags & TOKEN_HOLE));
    index_remove(table, id, &mint);
    struct token *draft = token_write_begin(table, id);
    bool is_emptied = token_draft_set_pools(table, NULL, 0);
    assert(is_emptied); /* nothing needs no room */
    (void)is_emptied;
    *draft = (struct token){.status = TOKEN_ARCHIVED, .flags = TOKEN_HOLE};
    token_write_end(table, id);
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

uint8_t token_run_class_for(size_t count)
{
    uint8_t run_class = 0;
    while (run_size(run_class) < count)
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
        table->run_free[run_class] =
            atomic_load_explicit(&free_run_at(table, first - 1)->next, memory_order_relaxed);
        return first - 1;
    }
    uint32_t left = atomic_load(&table->pool_capacity) - table->pool_used;
    if (left < run_size(run_class))
        return UINT32_MAX;
    first = table->pool_used;
    table->pool_used += run_size(run_class);
    return first;
}

uint32_t token_free_run_tag(uint32_t first, uint8_t run_class)
{
    uint64_t both = (uint64_t)first << 8 | run_class;
    return (checksum(TABLE_MAGIC, &both, sizeof both) & ~RUN_CLASS_MASK) | run_class;
}

void token_run_give_back(struct token_table *table, uint32_t first, uint8_t run_class)
{
    if (run_class == 0)
        return;
    struct free_run *run = free_run_at(table, first);
    atomic_store_explicit(&run->next, table->run_free[run_class], memory_order_relaxed);
    atomic_store_explicit(&run->tag, token_free_run_tag(first, run_class), memory_order_relaxed);
    table->run_free[run_class] = first + 1; /* 0 ends the list */
}

bool token_draft_set_pools(struct token_table *table, const struct pool *pools, size_t count)
{
    assert(count <= POOLS_MAX);
    struct draft *draft = &table->draft;
    token_draft_pools(table);
    uint8_t run_class = token_run_class_for(count);
    if (run_class != draft->pools_class) {
        uint32_t first = run_take(table, run_class);
        if (first == UINT32_MAX)
            return false;
        bool is_staged = draft->pools_first != draft->token.pool_first ||
                         draft->pools_class != draft->token.pool_class;
        if (is_staged)
            token_run_give_back(table, draft->pools_first, draft->pools_class);
        draft->pools_class = run_class;
        draft->pools_first = first;
    }
    if (count > 0) /* then there may be no list */
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
        atomic_store_explicit((_Atomic uint32_t *)&slot->pools_check,
                              checksum(id, draft->pools, bytes), memory_order_relaxed);
    }
    publish(table, id, &draft->token);
    sequence_end(table, slot, sequence);
    /* Only now: a reader still copying the old run sees that the sequence has moved. */
    if (draft->pools_touched &&
        (old_first != draft->pools_first || old_class != draft->pools_class))
        token_run_give_back(table, old_first, old_class);
    draft->id = TOKEN_NONE;
}

void token_publish(struct token_table *table, token_id id, const struct token *token)
{
    struct slot *slot = slot_of(table, id);
    uint32_t sequence = sequence_begin(slot);
    publish(table, id, token);
    sequence_end(table, slot, sequence);
}

bool token_table_replace(struct token_table *table, token_id id, const struct token *token,
                         const struct pool *pools)
{
    assert(id_is_valid(table, id) && token->pool_count <= POOLS_MAX);
    struct slot *slot = slot_of(table, id);
    struct token fresh = *token;
    size_t bytes = token->pool_count * sizeof *pools;
    fresh.pool_class = token_run_class_for(token->pool_count);
    fresh.pool_first = run_take(table, fresh.pool_class);
    if (fresh.pool_first == UINT32_MAX)
        return false;
    uint32_t sequence = sequence_begin(slot);
    words_store(pool_at(table, fresh.pool_first), pools, bytes);
    atomic_store_explicit((_Atomic uint32_t *)&slot->pools_check, checksum(id, pools, bytes),
                          memory_order_relaxed);
    publish(table, id, &fresh);
    sequence_end(table, slot, sequence);
    token_mark_stored(table, id, sequence + 1);
    token_mark_stored_pools(table, id, 0);
    return true;
}

void token_table_make_hole(struct token_table *table, token_id id)
{
    bool done = token_table_replace(
        table, id, &(struct token){.status = TOKEN_ARCHIVED, .flags = TOKEN_HOLE}, NULL);
    assert(done); /* no pools, no room needed */
    (void)done;
}

void token_set_group(struct token_table *table, token_id id, enum token_group group)
{
    atomic_store_explicit((_Atomic uint8_t *)token_region(table, REGION_GROUP) + id, (uint8_t)group,
                          memory_order_relaxed);
}

/* ---- names ---- */

static uint8_t name_index(struct name_list *list, const char *name)
{
    uint32_t count = atomic_load_explicit(&list->count, memory_order_relaxed);
    for (uint32_t i = 1; i < count; i++)
        if (strncmp(list->entries[i].text, name, DEX_NAME_SIZE - 1) == 0)
            return (uint8_t)i;
    if (count == NAME_TABLE_SIZE || name[0] == '\0')
        return 0;
    name_store(list, count, name);
    return (uint8_t)count;
}

static const char *name_at(const struct name_list *list, uint8_t index)
{
    uint32_t count = atomic_load_explicit(&list->count, memory_order_acquire);
    return index < count && count <= NAME_TABLE_SIZE ? list->entries[index].text : "?";
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

/* Not beyond the region either: who only reads has not checked how far it is said to reach. */
static bool pools_are_in_range(const struct token_table *table, const struct token *token)
{
    uint64_t end = (uint64_t)token->pool_first + token->pool_count;
    return token->pool_count <= POOLS_MAX && end <= atomic_load(&table->pool_capacity) &&
           end <= token_pools_reserved(table->constants.capacity_max);
}

bool token_read(const struct token_table *table, token_id id, struct token *out,
                struct pool pools[POOLS_MAX])
{
    uint32_t publication;
    return token_read_publication(table, id, out, pools, &publication);
}

bool token_read_publication(const struct token_table *table, token_id id, struct token *out,
                            struct pool pools[POOLS_MAX], uint32_t *publication)
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
        *publication = atomic_load_explicit(&slot->sequence, memory_order_relaxed);
        if (before == *publication && before % 2 == 0 && in_range)
            return before != 0 && !(out->flags & TOKEN_HOLE);
    }
    return false;
}

bool token_is_changing(const struct token_table *table, token_id id)
{
    return id_is_valid(table, id) && atomic_load(&slot_of(table, id)->sequence) % 2 == 1;
}

bool token_index_is_changing(const struct token_table *table)
{
    return atomic_load(&table->index_sequence) % 2 == 1;
}

/* ---- what is stored ---- */

void token_table_set_store(struct token_table *table, const struct table_store *store)
{
    words_store(&table->store, store, sizeof *store);
    atomic_store(&table->store_check, checksum(0, store, sizeof *store));
}

bool token_table_store(const struct token_table *table, struct table_store *out)
{
    words_load(out, &table->store, sizeof *out);
    return atomic_load(&table->store_check) == checksum(0, out, sizeof *out);
}

void token_mark_stored(struct token_table *table, token_id id, uint32_t publication)
{
    assert(id_is_valid(table, id));
    atomic_store_explicit(&slot_of(table, id)->stored, publication, memory_order_relaxed);
}

bool token_is_stored(const struct token_table *table, token_id id)
{
    const struct slot *slot = slot_of(table, id);
    return atomic_load_explicit(&slot->stored, memory_order_relaxed) ==
           atomic_load_explicit(&slot->sequence, memory_order_relaxed);
}

void token_mark_stored_pools(struct token_table *table, token_id id, uint32_t hash)
{
    atomic_store_explicit(&slot_of(table, id)->stored_pools, hash, memory_order_relaxed);
}

uint32_t token_stored_pools(const struct token_table *table, token_id id)
{
    return atomic_load_explicit(&slot_of(table, id)->stored_pools, memory_order_relaxed);
}

void token_mark_stored_snapshot(struct token_table *table, token_id id, int64_t snapshot_id)
{
    assert(id_is_valid(table, id));
    atomic_store_explicit(&slot_of(table, id)->stored_snapshot, (uint32_t)snapshot_id,
                          memory_order_relaxed);
}

int64_t token_stored_snapshot(const struct token_table *table, token_id id, int64_t newest)
{
    const struct slot *slot = slot_of(table, id);
    uint32_t low = atomic_load_explicit(&slot->stored_snapshot, memory_order_relaxed);
    int64_t snapshot_id = newest - (int64_t)(uint32_t)((uint32_t)newest - low);
    int64_t of_state = slot->token.state.snapshot_id;
    if (of_state >> SNAPSHOT_NODE_SHIFT != newest >> SNAPSHOT_NODE_SHIFT &&
        low == (uint32_t)of_state)
        return of_state;
    return low == 0 || snapshot_id < 0 ? 0 : snapshot_id;
}

void token_mark_followed(struct token_table *table, token_id id, bool has_pools)
{
    const struct slot *slot = slot_of(table, id);
    token_mark_stored(table, id, atomic_load_explicit(&slot->sequence, memory_order_relaxed));
    token_mark_stored_snapshot(table, id, slot->token.state.snapshot_id);
    if (has_pools)
        token_mark_stored_pools(table, id, 0);
}

bool token_is_whole(const struct token_table *table, token_id id)
{
    struct token token;
    struct pool pools[POOLS_MAX];
    if (!token_read(table, id, &token, pools))
        return false;
    const struct slot *slot = slot_of(table, id);
    return slot->check == checksum(id, &token, sizeof token) &&
           slot->pools_check == checksum(id, pools, token.pool_count * sizeof *pools) &&
           token.status < TOKEN_STATUS_COUNT && token.pool_class < RUN_CLASSES &&
           token.pool_count <= run_size(token.pool_class);
}

enum token_status token_column_status(const struct token_table *table, token_id id)
{
    return atomic_load_explicit((_Atomic uint8_t *)token_region(table, REGION_STATUS) + id,
                                memory_order_relaxed);
}

void token_prefetch_columns(const struct token_table *table, token_id id)
{
    static const enum region columns[] = {REGION_STATUS, REGION_GROUP, REGION_SCORE, REGION_COST};
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        __builtin_prefetch((const char *)token_region(table, columns[i]) +
                           id * element_sizes[columns[i]]);
}

enum token_group token_column_group(const struct token_table *table, token_id id)
{
    return atomic_load_explicit((_Atomic uint8_t *)token_region(table, REGION_GROUP) + id,
                                memory_order_relaxed);
}

float token_column_score(const struct token_table *table, token_id id)
{
    uint32_t bits = atomic_load_explicit((_Atomic uint32_t *)token_region(table, REGION_SCORE) + id,
                                         memory_order_relaxed);
    float score;
    memcpy(&score, &bits, sizeof score);
    return score;
}

void token_columns_read(const struct token_table *table, token_id first, uint32_t count,
                        uint8_t *statuses, float *scores)
{
    /* Not the count of now: another process may have emptied the table since it was read. */
    assert(first != TOKEN_NONE && first <= table->constants.capacity_max &&
           count <= table->constants.capacity_max - first + 1);
    const _Atomic uint8_t *status =
        (const _Atomic uint8_t *)token_region(table, REGION_STATUS) + first;
    const _Atomic uint32_t *score =
        (const _Atomic uint32_t *)token_region(table, REGION_SCORE) + first;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bits = atomic_load_explicit(&score[i], memory_order_relaxed);
        statuses[i] = atomic_load_explicit(&status[i], memory_order_relaxed);
        memcpy(&scores[i], &bits, sizeof bits);
    }
}

instant token_column_checked(const struct token_table *table, token_id id)
{
    struct lane_link *link = (struct lane_link *)token_region(table, REGION_LINKS_PRICE) + id;
    return (instant){
        atomic_load_explicit((_Atomic int64_t *)&link->stamp.us, memory_order_relaxed)};
}

struct lane_link *token_table_links(struct token_table *table, enum link_family family)
{
    return token_region(table, family == LINKS_PRICE ? REGION_LINKS_PRICE : REGION_LINKS_DISCOVER);
}

uint8_t *token_table_costs(struct token_table *table)
{
    return token_region(table, REGION_COST);
}
