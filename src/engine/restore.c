/* From the store into the token table. */
#include "engine/parts.h"

#include "base/log.h"
#include "core/score.h"
#include <string.h>

/* Room for `id` and what comes before it. */
static bool make_room(struct engine *engine)
{
    return !token_table_is_short(engine->memory.table, 1) || table_memory_grow(&engine->memory, 1);
}

/* Ids that the store has refused or lost stay empty, so that the others keep theirs. */
static bool fill_holes(struct engine *engine, token_id id)
{
    while (token_table_count(engine->memory.table) + 1 < id)
        if (!make_room(engine) || token_table_add_hole(engine->memory.table) == TOKEN_NONE)
            return false;
    return true;
}

static size_t convert_pools(struct token_table *table, const struct store_token *row,
                            struct pool pools[POOLS_MAX])
{
    size_t count = row->token.pool_count;
    for (size_t i = 0; i < count; i++) {
        pools[i] = row->pools[i].pool;
        pools[i].dex = token_table_dex(table, row->pools[i].dex);
        pools[i].quote = token_table_quote(table, row->pools[i].quote);
        pools[i].flags = pool_flags_for(row->pools[i].dex, row->pools[i].quote);
    }
    return count;
}

static bool on_token(void *context, const struct store_token *row)
{
    struct engine *engine = context;
    struct token_table *table = engine->memory.table;
    if (!fill_holes(engine, row->id) || !make_room(engine))
        return false;
    token_id id = token_table_add(table, &row->token.mint);
    if (id != row->id)
        return false;
    struct pool pools[POOLS_MAX];
    struct token *draft = token_write_begin(table, id);
    struct token fresh = row->token;
    fresh.flags = TOKEN_DURABLE;
    fresh.pool_count = 0;
    fresh.pool_first = draft->pool_first;
    fresh.pool_class = draft->pool_class;
    fresh.state.metrics.primary_dex = token_table_dex(table, row->primary_dex);
    *draft = fresh;
    bool fits = token_draft_set_pools(table, pools, convert_pools(table, row, pools));
    token_write_end(table, id);
    return fits;
}

static bool on_setting(void *context, const char *name, const char *value)
{
    struct engine *engine = context;
    char why[OPTION_MESSAGE_SIZE];
    enum option_id id = option_find(name);
    bool known = id != OPTION_COUNT && (option_row(id)->flags & OPTION_SETTING);
    if (!known || options_set(&engine->options, name, value, OPTION_FROM_STORE, why) != OK)
        log_warning("settings", "a stored setting is not valid; its default is used",
                    LOG_STRING("name", name), LOG_STRING("value", value));
    return true;
}

enum err engine_restore(struct engine *engine, struct store *store,
                        struct store_load_report *report)
{
    const struct store_loader loader = {
        .context = engine, .on_token = on_token, .on_setting = on_setting};
    return store_load(store, &loader, report);
}
