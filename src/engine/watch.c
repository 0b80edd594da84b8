/* What others see of the engine's life: that it moves, what it does, what it has in hand. */
#include "engine/parts.h"

#include "base/clock.h"
#include "base/text.h"
#include "page/state_dir.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

void engine_note_stage(struct engine *engine, enum start_stage stage)
{
    engine_note(engine, &(struct flight_note){.kind = FLIGHT_START,
                                              .what = PROCESS_ENGINE,
                                              .to = stage,
                                              .number = (uint64_t)getpid()});
}

/* What is in the newest incident's file, for the store; false: it is not there (yet). */
static bool read_message(const struct engine *engine, char out[STORE_EVENT_REASON_SIZE])
{
    char folder[PATH_MAX], path[PATH_MAX + 64];
    if (!state_dir_path(&engine->options, folder))
        return false;
    snprintf(path, sizeof path, "%s/incidents/%06llu.json", folder,
             (unsigned long long)engine->page->incident);
    json_t *incident = json_load_file(path, 0, NULL);
    const char *message = json_string_value(json_object_get(incident, "message"));
    if (message != NULL)
        text_copy(out, STORE_EVENT_REASON_SIZE, message, strlen(message));
    json_decref(incident);
    return message != NULL;
}

/* The supervisor, which writes incidents, knows no store; so the next engine tells the store. */
void engine_keep_incidents(struct engine *engine)
{
    uint64_t newest = atomic_load(&engine->page->incident);
    if (newest == engine->incident_kept)
        return;
    engine->incident_kept = newest;
    struct store_event event = {.token = TOKEN_NONE, .at = clock_now(), .kind = "incident"};
    if (read_message(engine, event.reason))
        writer_add_event(engine->writer, &event);
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
