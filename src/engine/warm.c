/* A table that outlived its engine. See the header. */
#include "engine/warm.h"

#include "base/parallel.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLOTS_A_PIECE   1024  /* they and their pools fit a second-level cache */
#define BUCKETS_A_PIECE 65536 /* few enough that no core waits long for the last */

enum link_piece { PIECE_PRICE, PIECE_DISCOVER, PIECE_RUNS, PIECE_FIRST_OF_INDEX };

static size_t round_up(size_t n)
{
    return (n + 63) / 64 * 64;
}

enum err warm_begin(struct warm *warm, struct token_table *table, struct core *core)
{
    size_t check = round_up(table_check_scratch_size(table));
    size_t sort = round_up(core_scratch_size(table));
    *warm = (struct warm){.table = table, .core = core};
    warm->memory_size = check + LINK_FAMILY_COUNT * sort;
    warm->memory = mmap(NULL, warm->memory_size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (warm->memory == MAP_FAILED) {
        warm->memory = NULL;
        return ERR_NO_MEMORY;
    }
    /* Used once, all of it: fewer faults. That it is not granted is no failure. */
    (void)madvise(warm->memory, warm->memory_size, MADV_HUGEPAGE);
    for (int i = 0; i < LINK_FAMILY_COUNT; i++)
        warm->sort_memory[i] = (char *)warm->memory + check + (size_t)i * sort;
    table_check_begin(&warm->check, table, warm->memory);
    return OK;
}

/* ---- slots ---- */

static void place_sound_ones(struct warm *warm, token_id first, token_id last)
{
    for (token_id id = first; id <= last; id++)
        if (!table_check_is_bad(&warm->check, id))
            core_place(warm->core, id, id);
}

static token_id last_of_piece(const struct warm *warm, token_id first)
{
    token_id end = token_table_count(warm->table);
    return end - first < SLOTS_A_PIECE ? end : first + SLOTS_A_PIECE - 1;
}

static void in_pieces(struct warm *warm, parallel_work *work)
{
    uint64_t count = token_table_count(warm->table);
    parallel_do((uint32_t)((count + SLOTS_A_PIECE - 1) / SLOTS_A_PIECE), work, warm);
}

static void check_range(struct warm *warm, uint32_t worker, token_id first, token_id last)
{
    if (first > last || atomic_load(&warm->check.bad_count) > BAD_SLOTS_MAX)
        return; /* it will not be believed anyway */
    if (table_check_slots(&warm->check, worker, first, last))
        core_place(warm->core, first, last);
    else
        place_sound_ones(warm, first, last);
}

/* The first of the first that is not before `id`. */
static size_t first_from(const struct warm *warm, token_id id)
{
    size_t low = 0, high = warm->first_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (warm->first[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* All of the piece but those that were the first. */
static void check_piece(void *context, uint32_t worker, uint32_t piece)
{
    struct warm *warm = context;
    token_id from = piece * SLOTS_A_PIECE + 1, last = last_of_piece(warm, from);
    for (size_t i = first_from(warm, from); i < warm->first_count && warm->first[i] <= last; i++) {
        check_range(warm, worker, from, warm->first[i] - 1);
        from = warm->first[i] + 1;
    }
    check_range(warm, worker, from, last);
}

size_t warm_first(struct warm *warm, bool (*is_kept_out)(void *context, token_id id), void *context)
{
    token_id *ids = warm->first, sound[WARM_FIRST_MAX];
    size_t count = core_recall(warm->core, ids, WARM_FIRST_MAX, warm->sort_memory[LINKS_PRICE]);
    for (size_t i = 0; i < count; i++)
        if (!is_kept_out(context, ids[i]))
            ids[warm->first_count++] = ids[i];
    qsort(ids, warm->first_count, sizeof *ids, token_compare_ids);
    memcpy(sound, ids, warm->first_count * sizeof *ids);
    size_t sound_count = table_check_some(&warm->check, sound, warm->first_count);
    for (size_t i = 0; i < sound_count; i++)
        core_place(warm->core, sound[i], sound[i]);
    core_sort_some(warm->core, sound, sound_count);
    if (sound_count > 0)
        core_start_first(warm->core);
    return sound_count;
}

void warm_check(struct warm *warm)
{
    in_pieces(warm, check_piece);
}

void warm_repair(struct warm *warm)
{
    warm->fault = table_repair_runs(&warm->check);
    warm->is_repaired = true;
}

bool warm_take(struct warm *warm, token_id id)
{
    if (!table_check_slots(&warm->check, 0, id, id))
        return false;
    core_place(warm->core, id, id);
    return true;
}

/* ---- lanes and index ---- */

static void link_piece(void *context, uint32_t worker, uint32_t piece)
{
    struct warm *warm = context;
    (void)worker;
    uint64_t last = token_table_count(warm->table);
    uint64_t first = (uint64_t)(piece - PIECE_FIRST_OF_INDEX) * BUCKETS_A_PIECE;
    switch (piece) {
    case PIECE_PRICE:
        core_sort(warm->core, LINKS_PRICE, warm->sort_memory[LINKS_PRICE]);
        return;
    case PIECE_DISCOVER:
        core_sort(warm->core, LINKS_DISCOVER, warm->sort_memory[LINKS_DISCOVER]);
        return;
    case PIECE_RUNS:
        if (!warm->is_repaired)
            warm_repair(warm);
        return;
    default:
        if (last - first >= BUCKETS_A_PIECE)
            last = first + BUCKETS_A_PIECE - 1;
        table_check_index(&warm->check, (uint32_t)first, (uint32_t)last);
    }
}

void warm_link(struct warm *warm)
{
    uint32_t index_pieces = token_table_count(warm->table) / BUCKETS_A_PIECE + 1;
    parallel_do(PIECE_FIRST_OF_INDEX + index_pieces, link_piece, warm);
    warm->is_index_rebuilt = table_repair_index(&warm->check);
    core_start_rest(warm->core, atomic_load(&warm->check.newest_snapshot));
}

static void place_piece(void *context, uint32_t worker, uint32_t piece)
{
    struct warm *warm = context;
    (void)worker;
    token_id first = warm->place_from + piece * SLOTS_A_PIECE;
    core_place(warm->core, first, last_of_piece(warm, first));
}

void warm_place(struct warm *warm, token_id first)
{
    uint64_t count = (uint64_t)token_table_count(warm->table) + 1 - first;
    warm->place_from = first;
    parallel_do((uint32_t)((count + SLOTS_A_PIECE - 1) / SLOTS_A_PIECE), place_piece, warm);
    parallel_do(PIECE_RUNS, link_piece, warm);
}

void warm_finish(struct warm *warm)
{
    if (warm->memory != NULL)
        munmap(warm->memory, warm->memory_size);
    warm->memory = NULL;
}
