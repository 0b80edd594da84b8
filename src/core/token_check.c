/* Checking and mending a table whose writer died. See the header. */
#include "core/token_check.h"

#include "core/token_layout.h"
#include <assert.h>
#include <math.h>

/* How many slots ahead memory is asked for them, and, when they have come, for their pools: a miss
 * takes as long as a few slots. */
#define SLOTS_AHEAD 16
#define POOLS_AHEAD 8

const char *table_fault_text(enum table_fault fault)
{
    static const char *const texts[TABLE_FAULT_COUNT] = {
#define X(code, text) [code] = text,
        TABLE_FAULT_LIST(X)
#undef X
    };
    return fault < TABLE_FAULT_COUNT ? texts[fault] : "?";
}

/* ---- the header ---- */

enum table_fault table_check_constants(const void *memory, size_t size)
{
    const struct token_table *table = memory;
    uint64_t offsets[REGION_COUNT];
    if (size < sizeof *table || table->constants.magic != TABLE_MAGIC)
        return TABLE_NO_TABLE;
    if (table->constants.layout != TABLE_LAYOUT)
        return TABLE_OTHER_LAYOUT;
    if (table->constants_check != checksum(0, &table->constants, sizeof table->constants))
        return TABLE_BAD_CONSTANTS;
    if (token_layout(table->constants.capacity_max, offsets) != size)
        return TABLE_BAD_SIZE;
    if (memcmp(offsets, table->constants.offsets, sizeof offsets) != 0)
        return TABLE_OTHER_LAYOUT;
    return TABLE_SOUND;
}

static bool is_capacity_sound(const struct token_table *table)
{
    uint32_t capacity = atomic_load(&table->capacity);
    uint32_t pool_capacity = atomic_load(&table->pool_capacity);
    return table->capacity_check == token_capacity_check(capacity, pool_capacity) &&
           capacity <= table->constants.capacity_max &&
           pool_capacity <= token_pools_reserved(table->constants.capacity_max);
}

/* The buckets are as many as the tokens, and one: two numbers that say the same. */
static bool is_count_sound(const struct token_table *table)
{
    uint32_t count = atomic_load(&table->count), buckets = atomic_load(&table->bucket_count);
    return count <= atomic_load(&table->capacity) && buckets > 0 &&
           (buckets == count || buckets - 1 == count) &&
           table->pool_used <= atomic_load(&table->pool_capacity);
}

static bool are_names_sound(const struct name_list *list)
{
    uint32_t count = atomic_load(&list->count);
    if (count < 1 || count > NAME_TABLE_SIZE)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct name_entry *entry = &list->entries[i];
        if (entry->check != checksum(i, entry->text, sizeof entry->text) ||
            entry->text[sizeof entry->text - 1] != '\0' || entry->text[0] == '\0')
            return false;
    }
    return true;
}

enum table_fault table_check_header(const void *memory, size_t size)
{
    const struct token_table *table = memory;
    enum table_fault fault = table_check_constants(memory, size);
    if (fault != TABLE_SOUND)
        return fault;
    if (!is_capacity_sound(table))
        return TABLE_BAD_CAPACITY;
    if (!is_count_sound(table))
        return TABLE_BAD_COUNT;
    if (!are_names_sound(&table->dexes) || !are_names_sound(&table->quotes))
        return TABLE_BAD_NAMES;
    return TABLE_SOUND;
}

/* ---- the check and its memory ---- */

static size_t words_for(uint64_t bits)
{
    return (bits + 63) / 64;
}

size_t table_check_scratch_size(const struct token_table *table)
{
    uint64_t ids = (uint64_t)token_table_count(table) + 1;
    size_t words = words_for(ids) + CHECK_WORKERS_MAX * words_for(table->pool_used);
    return words * sizeof(uint64_t) + ids * sizeof(uint32_t);
}

void table_check_begin(struct table_check *check, struct token_table *table, void *scratch)
{
    uint64_t ids = (uint64_t)token_table_count(table) + 1;
    *check = (struct table_check){.table = table};
    check->behind = scratch;
    uint64_t *bits = (uint64_t *)scratch + words_for(ids);
    for (uint32_t i = 0; i < CHECK_WORKERS_MAX; i++, bits += words_for(table->pool_used))
        check->pool_bits[i] = bits;
    check->hashes = (uint32_t *)bits;
}

/* Notes that these pool entries are taken; a run is shorter than a word. */
static void claim_run(struct table_check *check, uint32_t worker, const struct token *token)
{
    uint32_t size = run_size(token->pool_class);
    uint64_t *word = &check->pool_bits[worker][token->pool_first / 64];
    unsigned shift = token->pool_first % 64;
    uint64_t bits = (UINT64_C(1) << size) - 1, low = bits << shift;
    uint64_t high = shift + size > 64 ? bits >> (64 - shift) : 0;
    if (size == 0)
        return;
    bool is_shared = (*word & low) != 0 || (high != 0 && (word[1] & high) != 0);
    *word |= low;
    if (high != 0)
        word[1] |= high;
    if (is_shared)
        atomic_store(&check->is_shared, true);
}

/* ---- slots ---- */

static bool are_pools_sound(const struct token_table *table, token_id id)
{
    const struct slot *slot = slot_of(table, id);
    const struct pool *pools = pool_at(table, slot->token.pool_first);
    size_t bytes = slot->token.pool_count * sizeof *pools;
    uint32_t dexes = atomic_load_explicit(&table->dexes.count, memory_order_relaxed);
    uint32_t quotes = atomic_load_explicit(&table->quotes.count, memory_order_relaxed);
    if (slot->pools_check != checksum(id, pools, bytes))
        return false;
    for (uint8_t i = 0; i < slot->token.pool_count; i++)
        if (!pool_is_sound(&pools[i]) || pools[i].dex >= dexes || pools[i].quote >= quotes)
            return false;
    return true;
}

static bool is_run_sound(const struct token_table *table, const struct token *token)
{
    return token->pool_class < RUN_CLASSES && token->pool_count <= run_size(token->pool_class) &&
           (uint64_t)token->pool_first + run_size(token->pool_class) <= table->pool_used;
}

static bool is_slot_sound(const struct token_table *table, token_id id)
{
    const struct slot *slot = slot_of(table, id);
    const struct token *token = &slot->token;
    uint32_t sequence = atomic_load_explicit(&slot->sequence, memory_order_relaxed);
    return sequence != 0 && sequence % 2 == 0 &&
           slot->check == checksum(id, token, sizeof *token) && token_is_sound(token) &&
           is_run_sound(table, token) &&
           token->state.metrics.primary_dex < atomic_load(&table->dexes.count) &&
           are_pools_sound(table, id);
}

/* The columns that a publication writes; a death may have come between them. */
static void derive_columns(struct token_table *table, token_id id)
{
    const struct token *token = &slot_of(table, id)->token;
    float score = token_column_score(table, id), right = token_score_for_column(token);
    bool is_right = score == right || (isnan(score) && isnan(right));
    if (!is_right || token_column_status(table, id) != token->status)
        token_set_columns(table, id, token);
}

static bool is_behind(const struct slot *slot)
{
    return !(slot->token.flags & TOKEN_DURABLE) ||
           atomic_load_explicit(&slot->stored, memory_order_relaxed) !=
               atomic_load_explicit(&slot->sequence, memory_order_relaxed) ||
           atomic_load_explicit(&slot->stored_snapshot, memory_order_relaxed) !=
               (uint32_t)slot->token.state.snapshot_id;
}

struct tally {
    uint32_t tokens, holes, behind;
    int64_t newest_snapshot;
};

static void take_sound(struct table_check *check, token_id id, struct tally *tally)
{
    const struct slot *slot = slot_of(check->table, id);
    derive_columns(check->table, id);
    if (slot->token.flags & TOKEN_HOLE) {
        tally->holes++;
        return;
    }
    tally->tokens++;
    check->hashes[id] = token_mint_hash(check->table, &slot->token.mint);
    int64_t snapshot_id = slot->token.state.snapshot_id;
    if (snapshot_id > tally->newest_snapshot &&
        (check->snapshot_end == 0 || snapshot_id < check->snapshot_end))
        tally->newest_snapshot = snapshot_id;
    if (is_behind(slot)) {
        atomic_fetch_or_explicit(&check->behind[id / 64], UINT64_C(1) << (id % 64),
                                 memory_order_relaxed);
        tally->behind++;
    }
}

static void take_bad(struct table_check *check, token_id id)
{
    uint32_t n = atomic_fetch_add(&check->bad_count, 1);
    if (n < BAD_SLOTS_MAX)
        check->bad[n] = id;
}

static void add_tally(struct table_check *check, const struct tally *tally)
{
    atomic_fetch_add(&check->tokens, tally->tokens);
    atomic_fetch_add(&check->holes, tally->holes);
    atomic_fetch_add(&check->behind_count, tally->behind);
    int64_t newest = atomic_load(&check->newest_snapshot);
    while (newest < tally->newest_snapshot &&
           !atomic_compare_exchange_weak(&check->newest_snapshot, &newest, tally->newest_snapshot))
        ;
}

static void prefetch(const void *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64)
        __builtin_prefetch((const char *)from + i);
}

static void prefetch_slot(const struct token_table *table, token_id id)
{
    prefetch(slot_of(table, id), sizeof(struct slot));
}

/* Wherever a bad slot says its pools are: asking for them does no harm. */
static void prefetch_pools(const struct token_table *table, token_id id)
{
    prefetch(pool_at(table, slot_of(table, id)->token.pool_first), 4 * sizeof(struct pool));
}

static bool check_slot(struct table_check *check, uint32_t worker, token_id id, struct tally *tally)
{
    if (!is_slot_sound(check->table, id)) {
        take_bad(check, id);
        return false;
    }
    claim_run(check, worker, &slot_of(check->table, id)->token);
    take_sound(check, id, tally);
    return true;
}

bool table_check_slots(struct table_check *check, uint32_t worker, token_id first, token_id last)
{
    struct tally tally = {0};
    bool is_sound = true;
    assert(first > TOKEN_NONE && last <= token_table_count(check->table));
    assert(worker < CHECK_WORKERS_MAX);
    for (token_id id = first; id <= last; id++) {
        if (last - id >= SLOTS_AHEAD)
            prefetch_slot(check->table, id + SLOTS_AHEAD);
        if (last - id >= POOLS_AHEAD)
            prefetch_pools(check->table, id + POOLS_AHEAD);
        is_sound &= check_slot(check, worker, id, &tally);
    }
    add_tally(check, &tally);
    return is_sound;
}

size_t table_check_some(struct table_check *check, token_id *ids, size_t count)
{
    struct tally tally = {0};
    size_t sound = 0;
    for (size_t i = 0; i < count; i++) {
        if (count - i > SLOTS_AHEAD)
            prefetch_slot(check->table, ids[i + SLOTS_AHEAD]);
        if (count - i > POOLS_AHEAD)
            prefetch_pools(check->table, ids[i + POOLS_AHEAD]);
        if (check_slot(check, 0, ids[i], &tally))
            ids[sound++] = ids[i];
    }
    add_tally(check, &tally);
    return sound;
}

bool table_check_is_bad(const struct table_check *check, token_id id)
{
    uint32_t count = atomic_load(&check->bad_count);
    for (uint32_t i = 0; i < count && i < BAD_SLOTS_MAX; i++)
        if (check->bad[i] == id)
            return true;
    return count > BAD_SLOTS_MAX; /* who knows */
}

/* ---- free runs ---- */

/* Where the next entry is whose bit is `value`, from `at` on; `end` when there is none. */
static uint32_t next_entry(const struct table_check *check, uint32_t at, uint32_t end, bool value)
{
    while (at < end) {
        uint64_t word = check->pool_bits[0][at / 64];
        uint64_t found = (value ? word : ~word) >> (at % 64);
        if (found != 0) {
            uint32_t there = at + (uint32_t)__builtin_ctzll(found);
            return there < end ? there : end;
        }
        at = at / 64 * 64 + 64;
    }
    return end;
}

static uint8_t largest_class(uint32_t size)
{
    uint8_t run_class = RUN_CLASSES - 1;
    while (run_size(run_class) > size)
        run_class--;
    return run_class;
}

/* The class of the free run that begins here, as it says itself; else, for one that was taken by a
 * draft when its writer died, the largest that fits. */
static uint8_t class_of_gap(const struct token_table *table, uint32_t first, uint32_t size)
{
    uint32_t tag = atomic_load_explicit(&free_run_at(table, first)->tag, memory_order_relaxed);
    uint8_t run_class = tag & RUN_CLASS_MASK;
    if (run_class > 0 && run_class < RUN_CLASSES && run_size(run_class) <= size &&
        tag == token_free_run_tag(first, run_class))
        return run_class;
    return largest_class(size);
}

static void fill_gap(struct token_table *table, uint32_t first, uint32_t end)
{
    while (first < end) {
        uint8_t run_class = class_of_gap(table, first, end - first);
        token_run_give_back(table, first, run_class);
        first += run_size(run_class);
    }
}

/* Everybody's notes into the first one's; false when two have noted the same entry. */
static bool merge_notes(struct table_check *check)
{
    size_t words = words_for(check->table->pool_used);
    uint64_t twice = 0;
    for (size_t i = 0; i < words; i++) {
        uint64_t all = 0;
        for (uint32_t worker = 0; worker < CHECK_WORKERS_MAX; worker++) {
            twice |= all & check->pool_bits[worker][i];
            all |= check->pool_bits[worker][i];
        }
        check->pool_bits[0][i] = all;
    }
    return twice == 0 && !atomic_load(&check->is_shared);
}

enum table_fault table_repair_runs(struct table_check *check)
{
    struct token_table *table = check->table;
    uint32_t used = table->pool_used;
    if (atomic_load(&check->bad_count) > BAD_SLOTS_MAX)
        return TABLE_BAD_SLOTS;
    if (!merge_notes(check))
        return TABLE_SHARED_POOLS;
    memset(table->run_free, 0, sizeof table->run_free);
    table->draft.id = TOKEN_NONE;
    for (uint32_t at = next_entry(check, 0, used, false); at < used;) {
        uint32_t end = next_entry(check, at, used, true);
        if (end == used) {
            table->pool_used = at; /* nobody's from here on */
            break;
        }
        fill_gap(table, at, end);
        at = next_entry(check, end, used, false);
    }
    return TABLE_SOUND;
}

/* ---- the index ---- */

static bool is_hole(const struct token_table *table, token_id id)
{
    return slot_of(table, id)->token.flags & TOKEN_HOLE;
}

/* How many tokens of a chain are in their bucket; UINT32_MAX when one is not, or it never ends. */
static uint32_t walk_chain(const struct table_check *check, uint32_t bucket, uint32_t mask,
                           uint32_t buckets)
{
    uint32_t count = token_table_count(check->table), length = 0;
    token_id id = atomic_load_explicit(bucket_at(check->table, bucket), memory_order_relaxed);
    while (id != TOKEN_NONE) {
        if (id > count || length == count ||
            bucket_for(check->hashes[id], mask, buckets) != bucket ||
            (check->hashes[id] == 0 && is_hole(check->table, id)))
            return UINT32_MAX;
        length++;
        id = atomic_load_explicit(chain_at(check->table, id), memory_order_relaxed);
    }
    return length;
}

/* Each token has one bucket and one successor: chains that end, hold only tokens of their bucket
 * and hold as many as there are, hold every token once. */
void table_check_index(struct table_check *check, uint32_t first, uint32_t last)
{
    uint32_t buckets = token_table_count(check->table) + 1, found = 0;
    uint32_t mask = bucket_mask(buckets);
    if (atomic_load(&check->table->bucket_count) != buckets)
        return; /* it was being extended */
    for (uint32_t bucket = first; bucket <= last; bucket++) {
        uint32_t length = walk_chain(check, bucket, mask, buckets);
        if (length == UINT32_MAX)
            return;
        found += length;
    }
    atomic_fetch_add(&check->chained, found);
}

static void rebuild_index(struct table_check *check)
{
    struct token_table *table = check->table;
    uint32_t buckets = token_table_count(table) + 1, mask = bucket_mask(buckets);
    uint32_t sequence = atomic_load(&table->index_sequence) | 1;
    atomic_store(&table->index_sequence, sequence);
    atomic_store(&table->bucket_count, buckets);
    for (uint32_t i = 0; i < buckets; i++)
        atomic_store_explicit(bucket_at(table, i), TOKEN_NONE, memory_order_relaxed);
    for (token_id id = 1; id < buckets; id++) {
        if (is_hole(table, id))
            continue;
        _Atomic token_id *bucket = bucket_at(table, bucket_for(check->hashes[id], mask, buckets));
        atomic_store_explicit(chain_at(table, id),
                              atomic_load_explicit(bucket, memory_order_relaxed),
                              memory_order_relaxed);
        atomic_store_explicit(bucket, id, memory_order_relaxed);
    }
    atomic_store(&table->index_sequence, sequence + 1);
}

bool table_repair_index(struct table_check *check)
{
    struct token_table *table = check->table;
    bool is_sound = atomic_load(&check->chained) == atomic_load(&check->tokens) &&
                    atomic_load(&table->bucket_count) == token_table_count(table) + 1;
    if (!is_sound)
        rebuild_index(check);
    else if (atomic_load(&table->index_sequence) % 2 != 0)
        atomic_fetch_add(&table->index_sequence, 1);
    return !is_sound;
}

/* ---- what the store does not have ---- */

token_id table_next_behind(const struct table_check *check, token_id from)
{
    uint64_t end = (uint64_t)token_table_count(check->table) + 1;
    for (uint64_t at = from; at < end; at = at / 64 * 64 + 64) {
        uint64_t found = atomic_load_explicit(&check->behind[at / 64], memory_order_relaxed);
        found = found >> (at % 64) << (at % 64);
        if (found != 0)
            return (token_id)(at / 64 * 64 + (unsigned)__builtin_ctzll(found));
    }
    return TOKEN_NONE;
}
