/*
 * The token table as it lies in memory; private to src/core/token_*.c.
 *
 * The CONSTANT part of the header is written once and has a checksum; every other number in it is
 * checked against the others (token_check.c). A slot is covered by two checksums, of the token and
 * of its pools, both seeded with its id, so that a whole slot in a wrong place is found as well.
 */
#ifndef MOONWATCH_CORE_TOKEN_LAYOUT_H
#define MOONWATCH_CORE_TOKEN_LAYOUT_H

#include "core/token_table.h"

#define TABLE_MAGIC        0x4d4f4f4e5441424cULL /* "MOONTABL" */
#define TABLE_LAYOUT       5                     /* one more with each change of anything below */
#define POOLS_RESERVED     8 /* pool entries of address space a token; 3.4 are used on average */
#define POOLS_BACKED_AHEAD 8 /* backed for a token that has not come yet */
#define POOLS_SPARE        1024
#define READ_ATTEMPTS      1000 /* a publication takes well under a microsecond */
#define REGION_ALIGNMENT   TABLE_HUGE_PAGE
#define PAGE_MOST          65536 /* bytes of the largest ordinary page */
#define RUN_CLASSES        15
#define RUN_CLASS_MASK     15u

_Static_assert(sizeof(struct token) % 8 == 0, "slots are copied by words");
_Static_assert(sizeof(struct pool) == 40, "pools are copied by words");
_Static_assert(sizeof(struct lane_link) == 24, "links are three words");

/* Sizes of runs: little is wasted around the three or four pools that most tokens have. */
static inline uint8_t run_size(uint8_t run_class)
{
    static const uint8_t sizes[RUN_CLASSES] = {0, 1,  2,  3,  4,  5,  6,        7,
                                               8, 10, 12, 16, 20, 24, POOLS_MAX};
    return sizes[run_class];
}

/* The three marks of what is stored are the store's thread's (token_table.h); no checksum covers
 * them. */
struct slot {
    _Atomic uint32_t sequence; /* odd while it is published; 0: never was */
    uint32_t check;            /* of the token */
    uint32_t pools_check;      /* of its pools */
    _Atomic uint32_t stored;
    _Atomic uint32_t stored_pools;
    _Atomic uint32_t stored_snapshot;
    struct token token;
};

_Static_assert(sizeof(struct slot) == 384, "six cache lines");

enum region {
    REGION_SLOTS,
    REGION_STATUS,
    REGION_GROUP,
    REGION_SCORE,
    REGION_COST,
    REGION_LINKS_PRICE,
    REGION_LINKS_DISCOVER,
    REGION_BUCKETS,
    REGION_CHAIN,
    REGION_POOLS,
    REGION_COUNT
};

_Static_assert(REGION_COUNT <= TABLE_RANGES, "a range a region");

/* A name counts once its list's count covers it: what a death left half written does not. */
struct name_entry {
    char text[DEX_NAME_SIZE];
    uint64_t check; /* wide, so that the texts stay aligned */
};

struct name_list {
    _Atomic uint32_t count;
    struct name_entry entries[NAME_TABLE_SIZE];
};

_Static_assert(DEX_NAME_SIZE == QUOTE_NAME_SIZE, "one list type serves both");
_Static_assert(DEX_NAME_SIZE % 8 == 0, "names are summed by words");

struct draft {
    token_id id;
    bool pools_touched;
    uint8_t pools_class; /* of the staged pools */
    uint32_t pools_first;
    struct token token;
    struct pool pools[POOLS_MAX];
};

struct table_constants {
    uint64_t magic;
    uint32_t layout;
    uint32_t capacity_max;
    uint64_t hash_key;
    uint64_t offsets[REGION_COUNT];
};

struct token_table {
    struct table_constants constants;
    uint32_t constants_check;
    uint32_t capacity_check; /* of the two below, which change together and seldom */
    _Atomic uint32_t capacity;
    _Atomic uint32_t pool_capacity;
    _Atomic uint32_t count;
    _Atomic uint32_t bucket_count; /* count + 1, or count in the middle of an addition */
    uint32_t pool_used; /* entries ever given out; those given back are on the free lists */
    uint32_t run_free[RUN_CLASSES];
    _Atomic uint32_t index_sequence; /* odd while a bucket is split */
    _Atomic uint64_t version;        /* rises after each publication */
    struct table_store store;
    _Atomic uint32_t store_check;
    struct name_list dexes;
    struct name_list quotes;
    struct draft draft;
};

/* What a free run holds: the next of its class (plus 1; 0 ends the list), and, for a restart that
 * finds the gap, how long it is. */
struct free_run {
    _Atomic uint32_t next;
    _Atomic uint32_t tag;
};

/* token_table.c: the offsets of the regions; returns where the last one ends. */
size_t token_layout(uint32_t capacity_max, uint64_t offsets[REGION_COUNT]);
/* token_table.c: the most pool entries that a table for so many tokens has. */
uint32_t token_pools_reserved(uint32_t capacity_max);
uint32_t token_mint_hash(const struct token_table *table, const struct address *mint);
float token_score_for_column(const struct token *token); /* NaN: none yet */
void token_set_columns(struct token_table *table, token_id id, const struct token *token);
uint8_t token_run_class_for(size_t count);
uint32_t token_capacity_check(uint32_t capacity, uint32_t pool_capacity);
/* Its lowest bits are the class. */
uint32_t token_free_run_tag(uint32_t first, uint8_t run_class);
void token_run_give_back(struct token_table *table, uint32_t first, uint8_t run_class);

static inline void *token_region(const struct token_table *table, enum region which)
{
    return (char *)table + table->constants.offsets[which];
}

static inline struct slot *slot_of(const struct token_table *table, token_id id)
{
    return (struct slot *)token_region(table, REGION_SLOTS) + id;
}

static inline struct pool *pool_at(const struct token_table *table, uint32_t index)
{
    return (struct pool *)token_region(table, REGION_POOLS) + index;
}

static inline struct free_run *free_run_at(const struct token_table *table, uint32_t first)
{
    return (struct free_run *)pool_at(table, first);
}

static inline _Atomic token_id *bucket_at(const struct token_table *table, uint32_t index)
{
    return (_Atomic token_id *)token_region(table, REGION_BUCKETS) + index;
}

static inline _Atomic token_id *chain_at(const struct token_table *table, token_id id)
{
    return (_Atomic token_id *)token_region(table, REGION_CHAIN) + id;
}

static inline uint32_t bucket_mask(uint32_t bucket_count)
{
    return bucket_count < 2 ? 0 : UINT32_MAX >> __builtin_clz(bucket_count - 1);
}

/* Buckets 0 … count − 1 exist; those whose larger round has not come yet use the smaller mask. */
static inline uint32_t bucket_for(uint32_t hash, uint32_t mask, uint32_t count)
{
    uint32_t index = hash & mask;
    return index < count ? index : index & (mask >> 1);
}

static inline uint64_t checksum_fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Finds what is torn or flipped, not forgers: three lanes of folded multiplication (the idea of
 * wyhash, https://github.com/wangyi-fudan/wyhash), of whole words. */
static inline uint32_t checksum(uint64_t seed, const void *data, size_t bytes)
{
    const uint64_t *words = data;
    uint64_t a = seed ^ 0xa0761d6478bd642fULL, b = bytes ^ 0xe7037ed1a0b428dbULL;
    uint64_t c = 0x8ebc6af09c88c6e3ULL;
    size_t n = bytes / 8, i = 0;
    for (; i + 6 <= n; i += 6) {
        a = checksum_fold(a ^ words[i], words[i + 1] ^ 0x589965cc75374cc3ULL);
        b = checksum_fold(b ^ words[i + 2], words[i + 3] ^ 0x1d8e4e27c47d124fULL);
        c = checksum_fold(c ^ words[i + 4], words[i + 5] ^ 0xeb44accab455d165ULL);
    }
    for (; i < n; i++)
        a = checksum_fold(a ^ words[i], 0x9fb21c651e98df25ULL ^ i);
    uint64_t h = checksum_fold(a ^ (b << 21 | b >> 43), c ^ 0xd6e8feb86659fd93ULL);
    return (uint32_t)(h ^ h >> 32);
}

#endif
