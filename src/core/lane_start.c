/*
 * Lanes at a start: all tokens at once, or those first that have waited longest. See lane.h.
 */
#include "core/lane_parts.h"

#include <math.h>

/* Of the sort. 2^11 places at once still lie in a first-level cache. */
#define RADIX_BITS     11
#define RADIX_SIZE     (1U << RADIX_BITS)
#define PREFETCH_AHEAD 16

void lanes_place(struct lanes *lanes, token_id id, unsigned group, double weight, instant stamp)
{
    lanes->links[id].fifo = (uint8_t)(lane_fifo_index(lanes, group, weight) + 1);
    lane_set_stamp(&lanes->links[id], stamp);
}

void lanes_place_nowhere(struct lanes *lanes, token_id id)
{
    lanes->links[id].fifo = 0;
}

/* Nobody stands anywhere, nobody is counted as due; those that append() brings are, up to `now`. */
static void begin_anew(struct lanes *lanes, instant now)
{
    for (unsigned i = 0; i < LANE_FIFOS; i++)
        lanes->fifos[i] =
            (struct lane_fifo){.due_before = lane_due_before(lanes, i / LANE_CLASSES, now)};
    memset(lanes->occupied, 0, sizeof lanes->occupied);
}

/* Behind all others. Who is due is counted on the way: for a million, another walk through their
 * links would keep the first request waiting. */
static void append(struct lanes *lanes, token_id id)
{
    unsigned index = lanes->links[id].fifo - 1U;
    struct lane_fifo *fifo = &lanes->fifos[index];
    if (lanes->links[id].stamp.us <= fifo->due_before.us)
        fifo->due_count++;
    else if (fifo->due_cursor == TOKEN_NONE)
        fifo->due_cursor = id;
    lanes->links[id].prev = fifo->tail;
    lanes->links[id].next = TOKEN_NONE;
    *(fifo->tail == TOKEN_NONE ? &fifo->head : &lanes->links[fifo->tail].next) = id;
    fifo->tail = id;
    fifo->count++;
    lanes->occupied[index / LANE_CLASSES] |= 1ULL << (index % LANE_CLASSES);
}

/* Merges two sorted chains of `next` links; equal stamps keep their order. */
static token_id merge(struct lane_link *links, token_id a, token_id b)
{
    token_id first = TOKEN_NONE, *end = &first;
    while (a != TOKEN_NONE && b != TOKEN_NONE) {
        token_id *smaller = links[b].stamp.us < links[a].stamp.us ? &b : &a;
        *end = *smaller;
        end = &links[*smaller].next;
        *smaller = *end;
    }
    *end = a != TOKEN_NONE ? a : b;
    return first;
}

/* Merge sort from the bottom up: sorted[i] is TOKEN_NONE or a chain of 2^i. No recursion, no
 * memory. */
static token_id sort_chain(struct lane_link *links, token_id chain)
{
    token_id sorted[32] = {TOKEN_NONE};
    while (chain != TOKEN_NONE) {
        token_id one = chain;
        chain = links[one].next;
        links[one].next = TOKEN_NONE;
        int i = 0;
        for (; i < 31 && sorted[i] != TOKEN_NONE; i++) {
            one = merge(links, sorted[i], one);
            sorted[i] = TOKEN_NONE;
        }
        sorted[i] = merge(links, sorted[i], one);
    }
    token_id all = TOKEN_NONE;
    for (int i = 0; i < 32; i++)
        all = merge(links, sorted[i], all);
    return all;
}

/* Who is due is counted later, when somebody asks. */
static void sort_fifos(struct lanes *lanes)
{
    for (unsigned i = 0; i < LANE_FIFOS; i++) {
        struct lane_fifo *fifo = &lanes->fifos[i];
        fifo->head = sort_chain(lanes->links, fifo->head);
        token_id prev = TOKEN_NONE;
        for (token_id id = fifo->head; id != TOKEN_NONE; id = lanes->links[id].next) {
            lanes->links[id].prev = prev;
            prev = id;
        }
        fifo->tail = prev;
        fifo->due_before = LANE_NOT_COUNTED;
        fifo->due_count = 0;
        fifo->due_cursor = fifo->head;
    }
}

/* Everybody's stamp and id in one word: LSD radix sort of an array, which a cache likes better than
 * chains through everywhere. */
struct radix {
    uint64_t *entries, *other;
    size_t count;
    instant oldest;
    unsigned id_bits, stamp_bits;
};

static unsigned bits_of(uint64_t number)
{
    return number == 0 ? 0 : 64 - (unsigned)__builtin_clzll(number);
}

/* False when stamps are too far apart for one word. */
static bool radix_init(struct radix *radix, const struct lanes *lanes, token_id last)
{
    int64_t oldest = INT64_MAX, newest = INT64_MIN;
    for (token_id id = 1; id <= last; id++) {
        if (lanes->links[id].fifo == 0)
            continue;
        int64_t stamp = lanes->links[id].stamp.us;
        oldest = stamp < oldest ? stamp : oldest;
        newest = stamp > newest ? stamp : newest;
    }
    radix->oldest.us = oldest;
    radix->id_bits = bits_of(last);
    radix->stamp_bits = newest < oldest ? 0 : bits_of((uint64_t)newest - (uint64_t)oldest);
    return radix->id_bits + radix->stamp_bits <= 64;
}

static void radix_fill(struct radix *radix, const struct lanes *lanes, token_id last)
{
    for (token_id id = 1; id <= last; id++) {
        if (lanes->links[id].fifo == 0)
            continue;
        uint64_t stamp = (uint64_t)lanes->links[id].stamp.us - (uint64_t)radix->oldest.us;
        radix->entries[radix->count++] = stamp << radix->id_bits | id;
    }
}

static void radix_pass(struct radix *radix, unsigned shift)
{
    uint32_t places[RADIX_SIZE] = {0}, place = 0;
    for (size_t i = 0; i < radix->count; i++)
        places[radix->entries[i] >> shift & (RADIX_SIZE - 1)]++;
    for (size_t i = 0; i < RADIX_SIZE; i++) {
        uint32_t count = places[i];
        places[i] = place;
        place += count;
    }
    for (size_t i = 0; i < radix->count; i++)
        radix->other[places[radix->entries[i] >> shift & (RADIX_SIZE - 1)]++] = radix->entries[i];
    uint64_t *entries = radix->entries;
    radix->entries = radix->other;
    radix->other = entries;
}

static void append_sorted(const struct radix *radix, struct lanes *lanes)
{
    uint64_t mask = (UINT64_C(1) << radix->id_bits) - 1;
    for (size_t i = 0; i < radix->count; i++) {
        if (i + PREFETCH_AHEAD < radix->count)
            __builtin_prefetch(&lanes->links[radix->entries[i + PREFETCH_AHEAD] & mask], 1);
        append(lanes, (token_id)(radix->entries[i] & mask));
    }
}

static bool sort_array(struct lanes *lanes, token_id last, void *scratch)
{
    if (scratch == NULL)
        return false;
    struct radix radix = {.entries = scratch, .other = (uint64_t *)scratch + last};
    if (!radix_init(&radix, lanes, last))
        return false;
    radix_fill(&radix, lanes, last);
    for (unsigned done = 0; done < radix.stamp_bits; done += RADIX_BITS)
        radix_pass(&radix, radix.id_bits + done);
    append_sorted(&radix, lanes);
    return true;
}

size_t lanes_scratch_size(token_id last)
{
    return 2 * sizeof(uint64_t) * (size_t)last;
}

void lanes_sort(struct lanes *lanes, token_id last, instant now, void *scratch)
{
    begin_anew(lanes, now);
    if (sort_array(lanes, last, scratch))
        return;
    for (token_id id = 1; id <= last; id++)
        if (lanes->links[id].fifo != 0)
            append(lanes, id);
    sort_fifos(lanes);
}

/* ---- a start with some of them ---- */

void lanes_sort_some(struct lanes *lanes, const token_id *ids, size_t count, instant now)
{
    begin_anew(lanes, now);
    for (size_t i = 0; i < count; i++)
        if (lanes->links[ids[i]].fifo != 0)
            append(lanes, ids[i]);
    sort_fifos(lanes);
}

/* By the same index as a selection; who was selected when the set before ended had the largest. A
 * negative one: not due, or no link that was ever used. */
static double recalled_index(const struct lanes *lanes, const struct lane_link *link, instant now)
{
    if (link->stamp.us <= 0 || link->stamp.us > now.us)
        return -1;
    double age_s = duration_to_s(instant_diff(now, link->stamp));
    if (link->fifo == 0)
        return 1e30 * age_s;
    if (link->fifo > LANE_FIFOS)
        return -1;
    unsigned group = (link->fifo - 1U) / LANE_CLASSES;
    if (link->stamp.us > lane_due_before(lanes, group, now).us)
        return -1;
    return lanes->class_weights[(link->fifo - 1U) % LANE_CLASSES] * age_s * age_s;
}

/* A heap whose root has the smallest index: it is the one that goes when a larger one comes. */
static void sift_down(struct lane_recalled *heap, size_t count, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && heap[child + 1].index < heap[child].index)
            child++;
        if (heap[at].index <= heap[child].index)
            return;
        struct lane_recalled swapped = heap[at];
        heap[at] = heap[child];
        heap[child] = swapped;
        at = child;
    }
}

size_t lanes_recall(const struct lanes *lanes, token_id last, instant now,
                    struct lane_recalled *heap, size_t most)
{
    size_t count = 0;
    for (token_id id = 1; id <= last && most > 0; id++) {
        struct lane_recalled one = {recalled_index(lanes, &lanes->links[id], now), id};
        if (one.index < 0 || (count == most && one.index <= heap[0].index))
            continue;
        if (count < most) {
            heap[count++] = one;
            if (count == most)
                for (size_t at = most / 2; at-- > 0;)
                    sift_down(heap, most, at);
            continue;
        }
        heap[0] = one;
        sift_down(heap, most, 0);
    }
    return count;
}
