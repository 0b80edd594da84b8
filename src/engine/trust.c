/* Who was in hand when an engine died: from the page to the core, and back when it is cleared. */
#include "engine/parts.h"

#include "base/clock.h"
#include "base/log.h"

#define LOGGER "heal"

static token_id id_of(const struct engine *engine, const struct suspect *suspect)
{
    return token_table_find(engine->memory.table, &suspect->mint);
}

static void tell(struct engine *engine, const struct suspect *suspect)
{
    token_id id = id_of(engine, suspect);
    enum suspect_state state = (enum suspect_state)atomic_load(&suspect->state);
    if (id == TOKEN_NONE || state == SUSPECT_NONE)
        return;
    struct event event = {.kind = EVENT_QUARANTINE, .quarantine = {id}};
    if (state == SUSPECT_WATCHED)
        event = (struct event){.kind = EVENT_SUSPECT,
                               .suspect = {.id = id, .lane = (enum lane_kind)suspect->lane}};
    engine_step(engine, &event);
}

/* Before anything else happens: steps that tell so send nothing. */
void engine_tell_suspects(struct engine *engine)
{
    for (size_t i = 0; i < SUSPECTS_MAX; i++)
        tell(engine, &engine->page->suspects.rows[i]);
}

void engine_recall_suspect(struct engine *engine, const struct address *mint)
{
    const struct suspect *suspect = suspects_find(&engine->page->suspects, mint);
    if (suspect != NULL)
        tell(engine, suspect);
}

void engine_on_cleared(struct engine *engine, token_id id)
{
    struct suspect *suspect =
        suspects_find(&engine->page->suspects, &token_slot(engine->memory.table, id)->mint);
    if (suspect != NULL && atomic_load(&suspect->state) == SUSPECT_WATCHED)
        suspect_clear(suspect);
}

void engine_release(struct engine *engine, struct suspect *suspect)
{
    char mint[ADDRESS_TEXT_MAX + 1];
    address_format(&suspect->mint, mint);
    log_info(LOGGER, "a token is out of quarantine; it is asked for alone first",
             LOG_STRING("mint", mint));
    suspect_release(suspect);
    struct event event = {.kind = EVENT_RELEASE, .release = {id_of(engine, suspect)}};
    if (event.release.id != TOKEN_NONE)
        engine_step(engine, &event);
}

void engine_release_expired(struct engine *engine)
{
    struct suspect *suspect;
    while ((suspect = suspects_expired(&engine->page->suspects, clock_now())) != NULL)
        engine_release(engine, suspect);
}

/* One that fell us before it was ever stored is new to this table: it must not come in again. */
bool engine_keeps_out(struct engine *engine, const struct address *mint)
{
    const struct suspect *suspect = suspects_find(&engine->page->suspects, mint);
    return suspect != NULL && atomic_load(&suspect->state) == SUSPECT_QUARANTINED &&
           token_table_find(engine->memory.table, mint) == TOKEN_NONE;
}
