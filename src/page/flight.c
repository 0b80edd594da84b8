/* The ring, and what its records say. See the header. */
#include "page/flight.h"

#include "base/text.h"
#include "core/core.h"
#include "page/status_page.h"
#include <stdio.h>
#include <string.h>

_Static_assert((FLIGHT_RECORDS & (FLIGHT_RECORDS - 1)) == 0, "a serial's place is its low bits");

static const char *const kind_names[] = {
#define X(code, name, sentence) [code] = name,
    FLIGHT_LIST(X)
#undef X
};

static const char *const sentences[] = {
#define X(code, name, sentence) [code] = sentence,
    FLIGHT_LIST(X)
#undef X
};

const char *flight_kind_name(enum flight_kind kind)
{
    return (unsigned)kind < FLIGHT_KIND_COUNT ? kind_names[kind] : "unknown";
}

/* Word by word and atomically: a reader may be copying the record that this one replaces. */
static void store_words(struct flight_record *to, const struct flight_record *from)
{
    _Atomic uint64_t *target = (_Atomic uint64_t *)(void *)to;
    uint64_t words[sizeof *from / 8];
    memcpy(words, from, sizeof words);
    for (size_t i = 1; i < sizeof words / 8; i++)
        atomic_store_explicit(&target[i], words[i], memory_order_relaxed);
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

void flight_record(struct flight *flight, instant now, const struct flight_note *note)
{
    uint64_t serial = atomic_fetch_add_explicit(&flight->next, 1, memory_order_relaxed) + 1;
    struct flight_record *place = &flight->records[serial & (FLIGHT_RECORDS - 1)];
    struct flight_record record = {
        .at_us = now.us,
        .kind = (uint8_t)note->kind,
        .process = (uint8_t)note->process,
        .what = (uint8_t)note->what,
        .from = (uint8_t)note->from,
        .to = (uint8_t)note->to,
        .number = note->number,
    };
    if (note->subject != NULL)
        record.subject = *note->subject;
    /* An exchange, so that no word of this record is seen before the old serial is gone. */
    atomic_exchange_explicit(&place->serial, 0, memory_order_acq_rel);
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

size_t flight_read(const struct flight *flight, struct flight_record *out, size_t most)
{
    uint64_t last = atomic_load_explicit(&flight->next, memory_order_acquire);
    uint64_t kept = last < FLIGHT_RECORDS ? last : FLIGHT_RECORDS;
    uint64_t wanted = kept < most ? kept : most;
    size_t count = 0;
    for (uint64_t i = 1; i <= wanted; i++)
        count += read_one(flight, last - wanted + i, &out[count]);
    return count;
}

/* ---- sentences ---- */

static const char *request_field(char field, unsigned value)
{
    if (field == 'w')
        return lane_kind_name((enum lane_kind)value);
    return field == 't' ? feed_outcome_name((enum feed_outcome)value) : NULL;
}

/* The name of a field's value; NULL: it is a number. */
static const char *field_name(const struct flight_record *record, char field, unsigned value)
{
    switch ((enum flight_kind)record->kind) {
    case FLIGHT_PROCESS:
        return field == 'w' ? process_name((enum page_process_id)value)
                            : process_state_name((enum process_state)value);
    case FLIGHT_REQUEST_SENT:
        return field == 'w' ? request_field(field, value) : NULL;
    case FLIGHT_REQUEST_ENDED:
        return request_field(field, value);
    case FLIGHT_LIFE:
        return token_status_name((enum token_status)value);
    case FLIGHT_JOB:
        return field == 'w' ? job_name((enum job)value) : NULL;
    case FLIGHT_SUSPECT:
        return suspect_state_name((enum suspect_state)value);
    case FLIGHT_HEALING:
        return field == 'w' ? process_name((enum page_process_id)value) : NULL;
    default:
        return NULL;
    }
}

struct sentence {
    char *out;
    size_t size, length;
};

static void put(struct sentence *sentence, const char *text)
{
    if (sentence->length >= sentence->size)
        return;
    sentence->length += text_copy(sentence->out + sentence->length,
                                  sentence->size - sentence->length, text, strlen(text));
}

static void put_field(struct sentence *sentence, const struct flight_record *record, char field)
{
    char text[ADDRESS_TEXT_MAX + 1] = "-";
    static const struct address nobody;
    if (field == 's' && !address_equal(&record->subject, &nobody))
        address_format(&record->subject, text);
    if (field == 'n')
        snprintf(text, sizeof text, "%llu", (unsigned long long)record->number);
    unsigned value = field == 'w' ? record->what : field == 'f' ? record->from : record->to;
    const char *name = strchr("wft", field) != NULL ? field_name(record, field, value) : NULL;
    if (name == NULL && strchr("wft", field) != NULL)
        snprintf(text, sizeof text, "%u", value);
    put(sentence, name != NULL ? name : text);
}

size_t flight_describe(const struct flight_record *record, char *out, size_t size)
{
    struct sentence sentence = {out, size, 0};
    const char *at = record->kind < FLIGHT_KIND_COUNT ? sentences[record->kind] : "unknown";
    out[0] = '\0';
    while (*at != '\0') {
        char plain[2] = {*at, '\0'};
        if (*at == '%' && at[1] != '\0')
            put_field(&sentence, record, *++at);
        else
            put(&sentence, plain);
        at++;
    }
    return sentence.length;
}
