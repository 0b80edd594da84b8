/* What others see of the engine's life: that it moves, what it does, what it has in hand. */
#include "engine/parts.h"

#include "base/clock.h"
#include <stdlib.h>

#define LEAK_STEP ((size_t)1 << 20)

void engine_beat(struct engine *engine, duration patience)
{
    page_beat(engine->page, BEAT_ENGINE_LOOP, clock_now(), patience);
}

void engine_note(struct engine *engine, const struct flight_note *note)
{
    struct flight_note ours = *note;
    ours.process = PROCESS_ENGINE;
    flight_record(&engine->page->flight, clock_now(), &ours);
}

/* The poison of a drill: a token whose answers fell us. */
static void fall_of_poison(const struct engine *engine, const struct address *mint)
{
    if (fault_armed(engine->faults, FAULT_POISON) != 0 &&
        address_equal(mint, &engine->faults->mint))
        abort();
}

void engine_take_in_hand(struct engine *engine, uint64_t request)
{
    token_id ids[REQUEST_ADDRESSES_MAX];
    struct in_hand *in_hand = &engine->page->in_hand;
    size_t count = core_request_tokens(engine->core, request, ids);
    for (size_t i = 0; i < count; i++)
        in_hand->mints[i] = token_slot(engine->memory.table, ids[i])->mint;
    in_hand->request = request;
    in_hand->lane = core_request_lane(engine->core, request);
    atomic_store_explicit(&in_hand->count, (uint32_t)count, memory_order_release);
    for (size_t i = 0; i < count; i++)
        fall_of_poison(engine, &in_hand->mints[i]);
}

void engine_let_go(struct engine *engine)
{
    atomic_store_explicit(&engine->page->in_hand.count, 0, memory_order_release);
}
