/* The ring. What its records say is in flight_text.c. */
#include "page/flight.h"

#include <stdatomic.h>
#include <string.h>

/* Places claimed by others that one record passes over. More than a few in a row are claimed only
 * when the page was written over, and then there is nothing to record in. */
#define ATTEMPTS_MAX 64

_Static_assert((FLIGHT_RECORDS & (FLIGHT_RECORDS - 1)) == 0, "a serial's place is its low bits");

/* Word by word: readers may be copying what was there before. A release each, so that whoever sees
 * a word of this record also sees that its place was claimed; an exchange or a fence in front would
 * not order that on every machine. */
static void store_words(struct flight_record *to, const struct flight_record *from)
{
    _Atomic uint64_t *target = (_Atomic uint64_t *)(void *)to;
    uint64_t words[sizeof *from / 8];
    memcpy(words, from, sizeof words);
    for (size_t i = 1; i < sizeof words / 8; i++)
        atomic_store_explicit(&target[i], words[i], memory_order_release);
}

static void load_words(struct flight_record *to, const struct flight_record *from)
{
    const _Atomic uint64_t *source = (const _Atomic uint64_t *)(const void *)from;
    uint64_t words[sizeof *from / 8];
    for (size_t i = 1; i < sizeof words / 8; i++)
        words[i] = atomic_load_explicit(&source[i], memory_order_acquire);
    words[0] = 0;
    memcpy(to, words, sizeof words);
}

/* A place that is ours alone; NULL: none. One that holds a later serial was lapped while we were
 * not running. */
static struct flight_record *claim(struct flight *flight, uint64_t *serial)
{
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        *serial = atomic_fetch_add_explicit(&flight->next, 1, memory_order_relaxed) + 1;
        struct flight_record *place = &flight->records[*serial & (FLIGHT_RECORDS - 1)];
        uint64_t old = atomic_load_explicit(&place->serial, memory_order_relaxed);
        if (old < *serial &&
            atomic_compare_exchange_strong_explicit(&place->serial, &old, *serial | FLIGHT_CLAIMED,
                                                    memory_order_acquire, memory_order_relaxed))
            return place;
    }
    return NULL;
}

void flight_record(struct flight *flight, instant now, const struct flight_note *note)
{
    struct flight_record record = {
        .at_us = now.us,
        .kind = (uint8_t)note->kind,
        .process = (uint8_t)note->process,
        .what = (uint8_t)note->what,
        .from = (uint8_t)note->from,
        .to = (uint8_t)note->to,
        .number = note->number,
    };
    uint64_t serial;
    struct flight_record *place = claim(flight, &serial);
    if (place == NULL) {
        atomic_fetch_add_explicit(&flight->dropped, 1, memory_order_relaxed);
        return;
    }
    if (note->subject != NULL)
        record.subject = *note->subject;
    store_words(place, &record);
    atomic_store_explicit(&place->serial, serial, memory_order_release);
}

static bool read_one(const struct flight *flight, uint64_t serial, struct flight_record *out)
{
    const struct flight_record *place = &flight->records[serial & (FLIGHT_RECORDS - 1)];
    if (atomic_load_explicit(&place->serial, memory_order_acquire) != serial)
        return false;
    load_words(out, place);
    out->serial = serial;
    return atomic_load_explicit(&place->serial, memory_order_relaxed) == serial;
}

/* From the newest back, into the end of `out`; then to its beginning. */
size_t flight_read(const struct flight *flight, struct flight_record *out, size_t most)
{
    uint64_t last = atomic_load_explicit(&flight->next, memory_order_acquire);
    uint64_t kept = last < FLIGHT_RECORDS ? last : FLIGHT_RECORDS;
    size_t count = 0;
    for (uint64_t i = 0; i < kept && count < most; i++)
        count += read_one(flight, last - i, &out[most - 1 - count]);
    memmove(out, out + (most - count), count * sizeof *out);
    return count;
}
