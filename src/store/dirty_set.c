#include "store/dirty_set.h"
#include "base/heap.h"
#include <stdlib.h>

#define CHUNK_BITS  16 /* ids a chunk: 8 KiB of bits */
#define CHUNK_COUNT (1u << (32 - CHUNK_BITS))
#define CHUNK_WORDS ((1u << CHUNK_BITS) / 64)

struct chunk {
    _Atomic uint64_t words[CHUNK_WORDS];
};

struct dirty_set {
    _Atomic uint32_t count;
    _Atomic(struct chunk *) chunks[CHUNK_COUNT];
};

struct dirty_set *dirty_set_create(void)
{
    return calloc(1, sizeof(struct dirty_set));
}

void dirty_set_destroy(struct dirty_set *set)
{
    for (size_t i = 0; set != NULL && i < CHUNK_COUNT; i++)
        free(atomic_load(&set->chunks[i]));
    free(set);
}

static struct chunk *chunk_of(struct dirty_set *set, token_id id)
{
    _Atomic(struct chunk *) *place = &set->chunks[id >> CHUNK_BITS];
    struct chunk *chunk = atomic_load_explicit(place, memory_order_acquire);
    if (chunk != NULL)
        return chunk;
    struct chunk *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        heap_exhausted("marks"); /* 8 KiB for 65,536 tokens that have just got 30 MB */
    if (atomic_compare_exchange_strong(place, &chunk, fresh))
        return fresh;
    free(fresh);
    return chunk;
}

static _Atomic uint64_t *word_of(struct chunk *chunk, token_id id)
{
    return &chunk->words[(id & ((1u << CHUNK_BITS) - 1)) / 64];
}

bool dirty_set_mark(struct dirty_set *set, token_id id)
{
    uint64_t bit = UINT64_C(1) << (id % 64);
    uint64_t before = atomic_fetch_or(word_of(chunk_of(set, id), id), bit);
    bool is_new = (before & bit) == 0;
    if (is_new)
        atomic_fetch_add_explicit(&set->count, 1, memory_order_relaxed);
    return is_new;
}

bool dirty_set_clear(struct dirty_set *set, token_id id)
{
    struct chunk *chunk =
        atomic_load_explicit(&set->chunks[id >> CHUNK_BITS], memory_order_acquire);
    uint64_t bit = UINT64_C(1) << (id % 64);
    if (chunk == NULL)
        return false;
    uint64_t before = atomic_fetch_and_explicit(word_of(chunk, id), ~bit, memory_order_acq_rel);
    if ((before & bit) == 0)
        return false;
    atomic_fetch_sub_explicit(&set->count, 1, memory_order_relaxed);
    return true;
}

/* The bits of id's word that stand for ids in [id, end). */
static uint64_t mask_between(token_id id, token_id end)
{
    uint64_t mask = ~UINT64_C(0) << (id % 64);
    uint64_t span = (uint64_t)end - (id & ~UINT32_C(63));
    return span < 64 ? mask & ((UINT64_C(1) << span) - 1) : mask;
}

/* The first id of the chunk behind the one of `id`, or `end` when that comes first. */
static token_id next_chunk(token_id id, token_id end)
{
    uint64_t next = ((uint64_t)(id >> CHUNK_BITS) + 1) << CHUNK_BITS;
    return next < end ? (token_id)next : end;
}

/* Takes from one word; returns how many, and sets *from behind the last place looked at. */
static size_t take_word(_Atomic uint64_t *word, token_id *from, token_id end, token_id *out,
                        size_t most)
{
    uint64_t found = atomic_load(word) & mask_between(*from, end);
    uint64_t take = 0;
    size_t count = 0;
    token_id base = *from & ~UINT32_C(63);
    for (; found != 0 && count < most; found &= found - 1) {
        unsigned bit = (unsigned)__builtin_ctzll(found);
        take |= UINT64_C(1) << bit;
        out[count++] = base + bit;
    }
    if (take != 0)
        atomic_fetch_and(word, ~take);
    if (found != 0)
        *from = base + (unsigned)__builtin_ctzll(found);
    else
        *from = end - base > 64 ? base + 64 : end;
    return count;
}

size_t dirty_set_take(struct dirty_set *set, token_id *from, token_id end, token_id *out,
                      size_t most)
{
    size_t count = 0;
    while (*from < end && count < most) {
        struct chunk *chunk =
            atomic_load_explicit(&set->chunks[*from >> CHUNK_BITS], memory_order_acquire);
        if (chunk == NULL) {
            *from = next_chunk(*from, end);
            continue;
        }
        count += take_word(word_of(chunk, *from), from, end, out + count, most - count);
    }
    atomic_fetch_sub_explicit(&set->count, (uint32_t)count, memory_order_relaxed);
    return count;
}

token_id dirty_set_next(struct dirty_set *set, token_id from, token_id end)
{
    while (from < end) {
        struct chunk *chunk =
            atomic_load_explicit(&set->chunks[from >> CHUNK_BITS], memory_order_acquire);
        if (chunk == NULL) {
            from = next_chunk(from, end);
            continue;
        }
        uint64_t found = atomic_load(word_of(chunk, from)) & mask_between(from, end);
        token_id base = from & ~UINT32_C(63);
        if (found != 0)
            return base + (unsigned)__builtin_ctzll(found);
        from = end - base > 64 ? base + 64 : end;
    }
    return TOKEN_NONE;
}

uint32_t dirty_set_count(const struct dirty_set *set)
{
    /* A token can be taken before its marker has counted it. */
    int32_t count = (int32_t)atomic_load_explicit(&set->count, memory_order_relaxed);
    return count < 0 ? 0 : (uint32_t)count;
}
