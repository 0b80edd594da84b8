/* See load_checks.h. */
#include "store/load_checks.h"

#include "base/log.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>

/* An id may be this far beyond twice the rows seen: more holes than that are no holes, but a
 * damaged id that would make the token table allocate for nothing. */
#define HOLES_MAX (1 << 20)

static bool grow(struct mint_set *set)
{
    struct mint_set larger = {.mask = set->hashes == NULL ? 1023 : set->mask * 2 + 1,
                              .key = set->key};
    larger.hashes = calloc(larger.mask + 1, sizeof *larger.hashes);
    if (larger.hashes == NULL)
        return false;
    for (size_t i = 0; set->hashes != NULL && i <= set->mask; i++) {
        if (set->hashes[i] == 0)
            continue;
        size_t at = set->hashes[i] & larger.mask;
        while (larger.hashes[at] != 0)
            at = (at + 1) & larger.mask;
        larger.hashes[at] = set->hashes[i];
    }
    larger.count = set->count;
    free(set->hashes);
    *set = larger;
    return true;
}

enum err mint_set_add(struct mint_set *set, const struct address *mint)
{
    if ((set->hashes == NULL || set->count * 2 > set->mask) && !grow(set))
        return ERR_NO_MEMORY;
    uint64_t hash = address_hash(mint, set->key) | 1;
    size_t at = hash & set->mask;
    for (; set->hashes[at] != 0; at = (at + 1) & set->mask)
        if (set->hashes[at] == hash)
            return ERR_INVALID;
    set->hashes[at] = hash;
    set->count++;
    return OK;
}

void mint_set_finish(struct mint_set *set)
{
    free(set->hashes);
    set->hashes = NULL;
}

bool load_is_id(int64_t id, size_t loaded, bool is_alone)
{
    bool is_far_off = !is_alone && id > 2 * (int64_t)loaded + HOLES_MAX;
    return id >= 1 && id <= UINT32_MAX && !is_far_off;
}

static void clamp(instant *t, instant now, bool *clamped)
{
    if (instant_before(now, *t)) {
        *t = now;
        *clamped = true;
    }
}

bool load_clamp_times(struct store_token *row, instant now)
{
    struct token_state *state = &row->token.state;
    bool clamped = false;
    clamp(&row->token.created_at, now, &clamped);
    clamp(&state->checked_at, now, &clamped);
    clamp(&state->fetched_at, now, &clamped);
    clamp(&state->scored_at, now, &clamped);
    clamp(&state->discovered_at, now, &clamped);
    clamp(&state->status_since, now, &clamped);
    return clamped;
}

const char *load_add_pool(struct store_token *row, const struct store_pool *pool, double liquidity,
                          int64_t flags)
{
    uint8_t *count = &row->token.pool_count;
    if (*count == POOLS_MAX)
        return "more pools than a token can have";
    if (!isnan(liquidity) && !(liquidity >= 0 && liquidity <= (double)FLT_MAX))
        return "a liquidity that no pool can have";
    if (flags < 0 || flags > (POOL_COUNTS | POOL_EXTERNAL | POOL_PUMP_SOL | POOL_MISSING))
        return "unknown flags";
    for (uint8_t i = 0; i < *count; i++)
        if (address_equal(&row->pools[i].pool.address, &pool->pool.address))
            return "a pool that stands twice";
    row->pools[*count] = *pool;
    row->pools[*count].pool.liquidity_usd = (float)liquidity;
    row->pools[*count].pool.flags = (uint8_t)flags;
    (*count)++;
    return NULL;
}

void load_forget_state(struct store_token *row)
{
    row->token.state = (struct token_state){.status_since = row->token.created_at};
    row->primary_dex[0] = '\0';
}

void load_summarise(const struct store_load_report *report)
{
    if (report->rows_refused > 0 || report->times_clamped > 0)
        log_warning("store", "not all that was stored could be believed",
                    LOG_INT("rows_refused", report->rows_refused), LOG_INT("holes", report->holes),
                    LOG_INT("states_refused", report->states_refused),
                    LOG_INT("times_clamped", report->times_clamped));
}
