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

#define BEAT_STAYS 0.75 /* a beat is not renewed while so much of the time to the next is left */

void engine_beat(struct engine *engine, duration patience)
{
    page_beat(engine->page, BEAT_ENGINE_LOOP, clock_now(), patience);
}

/* Not each of hundreds of steps in a turn. A timer that is put off for them wakes nobody who has
 * just been awake; under a drill it is not, since faults strike there. */
void engine_moved(struct engine *engine, instant now)
{
    duration period = duration_ms((int64_t)uv_timer_get_repeat(&engine->beat_timer));
    duration left = instant_diff(engine->beat_due_at, now);
    if (instant_is_never(engine->beat_due_at) || left.us > period.us * BEAT_STAYS)
        return;
    engine->beat_due_at = instant_add(now, period);
    engine_beat(engine, duration_us(0));
    if (engine->faults == NULL)
        uv_timer_again(&engine->beat_timer);
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
    state_dir_path(&engine->options, folder);
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

/* ---- in hand ---- */

_Static_assert(HANDS_MAX == 1 + FEED_WORKERS_MAX, "a hand for the loop and one for each worker");

/* The poison of a drill: a token whose answers fell us. In turn whoever opens one, and whoever
 * handles one. */
enum poison { POISON_FOR_WORKERS = 1, POISON_FOR_LOOP };

static void fall_of_poison(struct engine *engine, enum poison whom, const struct in_hand *in_hand)
{
    uint64_t armed = whom;
    if (fault_armed(engine->faults, FAULT_POISON) != whom)
        return;
    for (uint32_t i = 0; i < in_hand->count; i++) {
        if (!address_equal(&in_hand->mints[i], &engine->faults->mint))
            continue;
        atomic_compare_exchange_strong(&engine->faults->armed[FAULT_POISON], &armed,
                                       whom == POISON_FOR_WORKERS ? POISON_FOR_LOOP
                                                                  : POISON_FOR_WORKERS);
        abort();
    }
}

static void put_down(struct in_hand *in_hand)
{
    atomic_store_explicit(&in_hand->count, 0, memory_order_release);
}

/* The threads of the engine before are gone, and their numbers may be given out again. */
void engine_claim_hands(struct engine *engine)
{
    for (int i = 0; i < HANDS_MAX; i++) {
        put_down(&engine->page->hands[i]);
        atomic_store(&engine->page->hands[i].thread, i == 0 ? (uint64_t)gettid() : 0);
    }
}

void engine_take_in_hand(struct engine *engine, uint64_t request)
{
    token_id ids[REQUEST_ADDRESSES_MAX];
    struct in_hand *in_hand = &engine->page->hands[0];
    size_t count = core_request_tokens(engine->core, request, ids);
    for (size_t i = 0; i < count; i++)
        in_hand->mints[i] = token_slot(engine->memory.table, ids[i])->mint;
    in_hand->request = request;
    in_hand->lane = core_request_lane(engine->core, request);
    atomic_store_explicit(&in_hand->count, (uint32_t)count, memory_order_release);
    fall_of_poison(engine, POISON_FOR_LOOP, in_hand);
}

void engine_let_go(struct engine *engine)
{
    put_down(&engine->page->hands[0]);
}

/* ---- in a feed worker's thread ---- */

static enum beat beat_of(unsigned worker)
{
    return (enum beat)(BEAT_FEED_WORKER_1 + worker);
}

void engine_on_worker_start(void *context, unsigned worker)
{
    struct engine *engine = context;
    crash_arm_thread();
    atomic_store(&engine->page->hands[1 + worker].thread, (uint64_t)gettid());
    page_beat(engine->page, beat_of(worker), clock_now(), engine->start_patience);
}

void engine_on_worker_beat(void *context, unsigned worker)
{
    struct engine *engine = context;
    page_beat(engine->page, beat_of(worker), clock_now(), duration_us(0));
    if (fault_take(engine->faults, FAULT_HANG_WORKER))
        for (;;)
            continue;
}

void engine_on_worker_open(void *context, unsigned worker, const struct feed_order *order)
{
    struct engine *engine = context;
    struct in_hand *in_hand = &engine->page->hands[1 + worker];
    memcpy(in_hand->mints, order->tokens, order->token_count * sizeof order->tokens[0]);
    in_hand->request = order->request;
    in_hand->lane = order->kind;
    atomic_store_explicit(&in_hand->count, (uint32_t)order->token_count, memory_order_release);
    fall_of_poison(engine, POISON_FOR_WORKERS, in_hand);
}

void engine_on_worker_shut(void *context, unsigned worker)
{
    put_down(&((struct engine *)context)->page->hands[1 + worker]);
}

void engine_on_worker_end(void *context, unsigned worker)
{
    page_beat_end(((struct engine *)context)->page, beat_of(worker));
}
