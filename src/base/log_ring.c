/* See log_ring.h. The same way of claiming as the flight recorder's (page/flight.h). */
#include "base/log_ring.h"

#include <string.h>

/* Places claimed by others that one line passes over: more in a row are claimed only when the
 * memory was written over. */
#define ATTEMPTS_MAX 64

#define RECORD_WORDS (sizeof(struct log_record) / 8)
#define HEAD_WORDS   (offsetof(struct log_record, text) / 8)
#define FIRST_WORD   2 /* after serial and checksum: what the checksum is of */

_Static_assert((LOG_RING_LINES & (LOG_RING_LINES - 1)) == 0, "a serial's place is its low bits");
_Static_assert(offsetof(struct log_record, text) % 8 == 0, "the text begins with a word");
_Static_assert(offsetof(struct log_ring, records) % 64 == 0, "records are cache lines");

static size_t words_of(const struct log_record *record)
{
    return HEAD_WORDS + (record->length + 7U) / 8;
}

/* Mixes word by word, as splitmix64 does (Steele, Lea, Flood, OOPSLA 2014). */
static uint64_t check_of(uint64_t serial, const uint64_t *words, size_t count)
{
    uint64_t check = serial;
    for (size_t i = FIRST_WORD; i < count; i++) {
        check = (check ^ words[i]) * 0xbf58476d1ce4e5b9ULL;
        check ^= check >> 31;
    }
    return check;
}

/* A place that is ours alone; NULL: none. One that holds a later serial was lapped while we were
 * not running. */
static struct log_record *claim(struct log_ring *ring, uint64_t *serial)
{
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        *serial = atomic_fetch_add_explicit(&ring->next, 1, memory_order_relaxed) + 1;
        struct log_record *place = &ring->records[*serial & (LOG_RING_LINES - 1)];
        uint64_t old = atomic_load_explicit(&place->serial, memory_order_relaxed);
        if (old < *serial && atomic_compare_exchange_strong_explicit(
                                 &place->serial, &old, *serial | LOG_RING_CLAIMED,
                                 memory_order_acquire, memory_order_relaxed))
            return place;
    }
    return NULL;
}

/* A release each, so that whoever sees a word of this record also sees that its place was claimed
 * (flight.c). */
static void store_words(struct log_record *to, const uint64_t *words, size_t count)
{
    _Atomic uint64_t *target = (_Atomic uint64_t *)(void *)to;
    for (size_t i = 1; i < count; i++)
        atomic_store_explicit(&target[i], words[i], memory_order_release);
}

void log_ring_put(struct log_ring *ring, const struct log_entry *entry)
{
    union {
        struct log_record record;
        uint64_t words[RECORD_WORDS];
    } fresh;
    memset(&fresh, 0, sizeof fresh);
    struct log_record *record = &fresh.record;
    record->at_us = entry->at.us;
    record->level = (uint8_t)entry->level;
    record->writer = (uint8_t)entry->writer;
    record->length =
        (uint16_t)(entry->length < sizeof record->text ? entry->length : sizeof record->text);
    strncpy(record->logger, entry->logger, sizeof record->logger - 1);
    memcpy(record->text, entry->text, record->length);
    uint64_t serial;
    struct log_record *place = claim(ring, &serial);
    if (place == NULL) {
        atomic_fetch_add_explicit(&ring->lost, 1, memory_order_relaxed);
        return;
    }
    size_t count = words_of(record);
    record->check = check_of(serial, fresh.words, count);
    store_words(place, fresh.words, count);
    atomic_store_explicit(&place->serial, serial, memory_order_release);
}

/* ---- reading ---- */

uint64_t log_ring_last(const struct log_ring *ring)
{
    return atomic_load_explicit(&ring->next, memory_order_acquire);
}

uint64_t log_ring_first(const struct log_ring *ring)
{
    uint64_t last = log_ring_last(ring);
    uint64_t cleared = atomic_load_explicit(&ring->cleared, memory_order_relaxed);
    uint64_t first = last < LOG_RING_LINES ? 1 : last - LOG_RING_LINES + 1;
    return cleared >= first ? cleared + 1 : first;
}

static bool is_possible(const struct log_record *record)
{
    return record->length <= sizeof record->text && record->level < LOG_LEVEL_COUNT &&
           memchr(record->logger, '\0', sizeof record->logger) != NULL;
}

static void give(const struct log_record *record, uint64_t serial, struct log_line *out)
{
    out->serial = serial;
    out->at = (instant){record->at_us};
    out->level = (enum log_level)record->level;
    out->writer = record->writer;
    out->length = record->length;
    memcpy(out->logger, record->logger, sizeof out->logger);
    memcpy(out->text, record->text, record->length);
    out->text[record->length] = '\0';
}

enum log_ring_result log_ring_read(const struct log_ring *ring, uint64_t serial,
                                   struct log_line *out)
{
    const struct log_record *place = &ring->records[serial & (LOG_RING_LINES - 1)];
    const _Atomic uint64_t *source = (const _Atomic uint64_t *)(const void *)place;
    union {
        struct log_record record;
        uint64_t words[RECORD_WORDS];
    } copy;
    uint64_t there = atomic_load_explicit(&place->serial, memory_order_acquire);
    if (there == (serial | LOG_RING_CLAIMED) || there < serial)
        return LOG_RING_UNFINISHED;
    if (there != serial)
        return LOG_RING_GONE;
    for (size_t i = 1; i < RECORD_WORDS; i++)
        copy.words[i] = atomic_load_explicit(&source[i], memory_order_acquire);
    copy.words[0] = serial;
    if (atomic_load_explicit(&place->serial, memory_order_relaxed) != serial ||
        !is_possible(&copy.record) ||
        copy.record.check != check_of(serial, copy.words, words_of(&copy.record)))
        return LOG_RING_GONE;
    give(&copy.record, serial, out);
    return LOG_RING_READ;
}

size_t log_ring_clear(struct log_ring *ring)
{
    struct log_line line;
    size_t count = 0;
    uint64_t last = log_ring_last(ring);
    for (uint64_t serial = log_ring_first(ring); serial <= last; serial++)
        count += log_ring_read(ring, serial, &line) == LOG_RING_READ;
    atomic_store_explicit(&ring->cleared, last, memory_order_relaxed);
    return count;
}
