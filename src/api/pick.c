/* See pick.h. */
#include "api/pick.h"

#include "api/pulse.h"
#include "base/text.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WINDOW_START 64
#define SCAN_BLOCK   512
#define WRITER_NAPS  20 /* milliseconds */

/* What a token is ordered by, in one number, smaller first: the rank of its score, or of what else
 * is asked for, above, the id below. */
typedef uint64_t pick_key;

const char *pick_sort_name(enum pick_sort sort)
{
    static const char *const names[] = {
#define X(code, name) [code] = name,
        PICK_SORT_LIST(X)
#undef X
    };
    return names[sort];
}

static bool is_by_score(enum pick_sort sort)
{
    return sort == PICK_SCORE_DESCENDING || sort == PICK_SCORE_ASCENDING;
}

static bool is_by_liquidity(enum pick_sort sort)
{
    return sort == PICK_LIQUIDITY_DESCENDING || sort == PICK_LIQUIDITY_ASCENDING;
}

static bool is_ascending(enum pick_sort sort)
{
    return sort == PICK_SCORE_ASCENDING || sort == PICK_AGE_ASCENDING ||
           sort == PICK_LIQUIDITY_ASCENDING || sort == PICK_CREATED_ASCENDING;
}

/* Branches that depend on a score are mispredicted half the time: bits are combined instead. */
static uint32_t number_rank(float number, bool ascending)
{
    uint32_t bits;
    number += 0.0f; /* −0 is 0 */
    memcpy(&bits, &number, sizeof bits);
    uint32_t negative = -(bits >> 31);
    uint32_t rising = bits ^ (negative | 0x80000000u);
    uint32_t rank = ascending ? rising : ~rising;
    uint32_t unknown = ascending ? 0 : UINT32_MAX;
    return isnan(number) ? unknown : rank;
}

/* What a query asks of a token, worked out once. */
struct filter {
    unsigned statuses;
    float min_score;
    bool takes_unknown;
    bool ascending;
};

static uint32_t is_listed(const struct filter *filter, unsigned status, float score)
{
    uint32_t is_wanted = ((status == TOKEN_MONITORING) & filter->statuses) |
                         ((status == TOKEN_ACTIVE) & filter->statuses >> TOKEN_ACTIVE) |
                         ((status == TOKEN_ARCHIVED) & filter->statuses >> TOKEN_ARCHIVED);
    uint32_t is_good = (status == TOKEN_ACTIVE) | (score >= filter->min_score) |
                       (filter->takes_unknown & isnan(score));
    return is_wanted & is_good;
}

/* ---- the first `capacity` keys: a heap whose root is the last of them ---- */

struct window {
    pick_key *keys;
    size_t count, capacity;
    pick_key bound; /* keys from here on are not among the first */
    enum { WINDOW_HEAP, WINDOW_ALL } kind;
};

static void sift_down(struct window *window, size_t at)
{
    pick_key key = window->keys[at];
    while (2 * at + 1 < window->count) {
        size_t child = 2 * at + 1;
        if (child + 1 < window->count && window->keys[child + 1] > window->keys[child])
            child++;
        if (window->keys[child] <= key)
            break;
        window->keys[at] = window->keys[child];
        at = child;
    }
    window->keys[at] = key;
}

static void sift_up(struct window *window, size_t at)
{
    pick_key key = window->keys[at];
    while (at > 0 && window->keys[(at - 1) / 2] < key) {
        window->keys[at] = window->keys[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    window->keys[at] = key;
}

/* With a key below `bound`. */
static void window_add(struct window *window, pick_key key)
{
    if (window->count < window->capacity) {
        window->keys[window->count++] = key;
        if (window->kind == WINDOW_HEAP)
            sift_up(window, window->count - 1);
    } else {
        window->keys[0] = key;
        sift_down(window, 0);
    }
    if (window->kind == WINDOW_HEAP && window->count == window->capacity)
        window->bound = window->keys[0];
}

/* Some tokens in the order of their ids, as one of them after the other is compared with the
 * window: loops without branches, which a compiler does several at a time. */
struct scan_block {
    uint32_t count;
    uint8_t statuses[SCAN_BLOCK];
    float scores[SCAN_BLOCK];
    uint32_t ranks[SCAN_BLOCK];
    uint32_t listed[SCAN_BLOCK]; /* 0 or 1 */
};

/* Returns how many are listed. */
static uint32_t rank_block(struct scan_block *block, const struct filter *filter)
{
    const struct filter wanted = *filter;
    uint32_t total = 0;
    for (uint32_t i = 0; i < block->count; i++) {
        block->ranks[i] = number_rank(block->scores[i], wanted.ascending);
        block->listed[i] = is_listed(&wanted, block->statuses[i], block->scores[i]);
        total += block->listed[i];
    }
    return total;
}

/* ---- what the columns of status and score do not tell ---- */

static bool text_is_found(const struct token *token, const char *search)
{
    char mint[ADDRESS_TEXT_MAX + 1];
    if (text_contains_nocase(token->symbol, search) || text_contains_nocase(token->name, search))
        return true;
    address_format(&token->mint, mint);
    return text_contains_nocase(mint, search);
}

static uint32_t age_rank(const struct token_table *table, token_id id,
                         const struct pick_query *query)
{
    instant checked = token_column_checked(table, id);
    int64_t age_ms = duration_to_ms(instant_diff(query->now, checked));
    if (instant_is_never(checked) || age_ms >= UINT32_MAX)
        return UINT32_MAX;
    return age_ms < 0 ? 0 : (uint32_t)age_ms;
}

/* Whether a token is listed that its columns let through; its rank where it is not by score. */
static bool looks_right(const struct token_table *table, token_id id,
                        const struct pick_query *query, uint32_t *rank)
{
    struct token token;
    bool ascending = is_ascending(query->sort);
    if (query->groups != 0 && (query->groups >> token_column_group(table, id) & 1) == 0)
        return false;
    if (query->search != NULL || is_by_liquidity(query->sort)) {
        if (!token_look(table, id, &token, NULL))
            return false;
        if (query->search != NULL && !text_is_found(&token, query->search))
            return false;
    }
    if (is_by_liquidity(query->sort))
        *rank = number_rank(
            token.state.answers > 0 ? (float)token.state.metrics.liquidity_usd : NAN, ascending);
    else if (query->sort == PICK_AGE_ASCENDING || query->sort == PICK_AGE_DESCENDING)
        *rank = ascending ? age_rank(table, id, query) : ~age_rank(table, id, query);
    else if (!is_by_score(query->sort))
        *rank = ascending ? id : ~id;
    return true;
}

static bool needs_a_closer_look(const struct pick_query *query)
{
    return query->groups != 0 || query->search != NULL || !is_by_score(query->sort);
}

/* Returns how many are listed then. */
static uint32_t look_closer(struct scan_block *block, const struct token_table *table,
                            token_id first, const struct pick_query *query)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < block->count; i++) {
        if (block->listed[i])
            block->listed[i] = looks_right(table, first + i, query, &block->ranks[i]);
        total += block->listed[i];
    }
    return total;
}

/* ---- the scan ---- */

/* Once the window is full, hardly any block has one that belongs into it. */
static bool has_candidate(const struct scan_block *block, const struct window *window)
{
    uint32_t worst = (uint32_t)(window->bound >> 32), candidates = 0;
    for (uint32_t i = 0; i < block->count; i++)
        candidates += block->listed[i] & (block->ranks[i] <= worst);
    return candidates > 0;
}

static void take_candidates(const struct scan_block *block, token_id first, struct window *window)
{
    for (uint32_t i = 0; i < block->count; i++) {
        pick_key key = (pick_key)block->ranks[i] << 32 | (first + i);
        if (block->listed[i] & (key < window->bound))
            window_add(window, key);
    }
}

static uint32_t scan(const struct token_table *table, uint32_t count,
                     const struct pick_query *query, struct window *window)
{
    struct filter filter = {.statuses = query->statuses,
                            .min_score = (float)query->min_score,
                            .takes_unknown = query->min_score <= 0,
                            .ascending = is_ascending(query->sort)};
    bool is_plain = !needs_a_closer_look(query);
    struct scan_block block;
    uint32_t total = 0;
    for (uint32_t done = 0; done < count; done += block.count) {
        block.count = count - done < SCAN_BLOCK ? count - done : SCAN_BLOCK;
        pulse();
        token_columns_read(table, done + 1, block.count, block.statuses, block.scores);
        uint32_t listed = rank_block(&block, &filter);
        total += is_plain ? listed : look_closer(&block, table, done + 1, query);
        if (has_candidate(&block, window))
            take_candidates(&block, done + 1, window);
    }
    return total;
}

static int compare_keys(const void *a, const void *b)
{
    pick_key x = *(const pick_key *)a, y = *(const pick_key *)b;
    return (x > y) - (x < y);
}

static pick_key median(pick_key a, pick_key b, pick_key c)
{
    if (a > b) {
        pick_key swap = a;
        a = b;
        b = swap;
    }
    return c <= a ? a : c >= b ? b : c;
}

/* Quickselect (Hoare): afterwards the `rank` smallest keys come first. Keys differ by their ids. A
 * pass over ten million of them, which is the longest step without a heartbeat, takes 10 to 20 ms.
 */
static void select_first(pick_key *keys, size_t count, size_t rank)
{
    size_t low = 0, high = count;
    while (high - low > 1) {
        pulse();
        pick_key pivot = median(keys[low], keys[low + (high - low) / 2], keys[high - 1]);
        size_t left = low, right = high - 1;
        while (left <= right) {
            while (keys[left] < pivot)
                left++;
            while (keys[right] > pivot)
                right--;
            if (left > right)
                break;
            pick_key swap = keys[left];
            keys[left++] = keys[right];
            keys[right] = swap;
            if (right == 0)
                break;
            right--;
        }
        if (rank <= right)
            high = right + 1;
        else if (rank >= left)
            low = left;
        else
            return;
    }
}

static void window_sort(struct window *window, const struct pick_query *query)
{
    size_t first = 0, count = window->count;
    if (window->kind == WINDOW_ALL) {
        first = query->offset < count ? query->offset : count;
        select_first(window->keys, count, first);
        if (count - first > query->limit) {
            select_first(window->keys + first, count - first, query->limit);
            count = first + query->limit;
        }
    }
    qsort(window->keys + first, count - first, sizeof window->keys[0], compare_keys);
}

static struct pick *pick_finish(struct window *window, const struct pick_query *query,
                                uint32_t total)
{
    struct pick *pick = malloc(sizeof *pick + query->limit * sizeof pick->ids[0]);
    if (pick == NULL)
        return NULL;
    window_sort(window, query);
    pick->total = total;
    pick->count = 0;
    for (uint64_t i = query->offset; i < window->count && pick->count < query->limit; i++)
        pick->ids[pick->count++] = (token_id)window->keys[i];
    return pick;
}

struct pick *pick_tokens(const struct token_table *table, const struct pick_query *query)
{
    /* No window need hold more than there are tokens; those that come meanwhile are left out. */
    uint32_t tokens = token_table_count(table);
    uint64_t wanted = query->offset >= tokens ? 0 : query->offset + query->limit;
    struct window window = {.capacity = wanted < tokens ? wanted : tokens, .kind = WINDOW_HEAP};
    window.bound = window.capacity > 0 ? UINT64_MAX : 0;
    if (window.capacity > PICK_HEAP_MAX) {
        window.capacity = tokens;
        window.kind = WINDOW_ALL;
    }
    window.keys = malloc((window.capacity + WINDOW_START) * sizeof window.keys[0]);
    if (window.keys == NULL)
        return NULL;
    uint32_t total = scan(table, tokens, query, &window);
    struct pick *pick = pick_finish(&window, query, total);
    free(window.keys);
    return pick;
}

static void nap(void)
{
    struct timespec span = {.tv_nsec = 1000000};
    nanosleep(&span, NULL);
}

token_id token_seek(const struct token_table *table, const struct address *mint)
{
    token_id id;
    int naps = 0;
    while ((id = token_table_find_shared(table, mint)) == TOKEN_NONE && naps++ < WRITER_NAPS &&
           token_index_is_changing(table))
        nap();
    return id;
}

bool token_look(const struct token_table *table, token_id id, struct token *out,
                struct pool pools[POOLS_MAX])
{
    for (int naps = 0; !token_read(table, id, out, pools); naps++) {
        if (naps == WRITER_NAPS || !token_is_changing(table, id))
            return false;
        nap();
    }
    out->name[sizeof out->name - 1] = '\0';
    out->symbol[sizeof out->symbol - 1] = '\0';
    if (out->pool_count > POOLS_MAX)
        out->pool_count = POOLS_MAX;
    return out->status < TOKEN_STATUS_COUNT;
}
