/* See suspects.h. */
#include "page/suspects.h"

#include "base/mark.h"
#include "base/text.h"
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static const char *const state_names[] = {
#define X(code, name) [code] = name,
    SUSPECT_STATE_LIST(X)
#undef X
};

const char *suspect_state_name(enum suspect_state state)
{
    return (unsigned)state < SUSPECT_STATE_COUNT ? state_names[state] : "unknown";
}

static enum suspect_state state_of(const struct suspect *suspect)
{
    return (enum suspect_state)atomic_load_explicit(&suspect->state, memory_order_acquire);
}

static void set_state(struct suspect *suspect, enum suspect_state state)
{
    atomic_store_explicit(&suspect->state, state, memory_order_release);
}

struct suspect *suspects_find(struct suspects *suspects, const struct address *mint)
{
    for (size_t i = 0; i < SUSPECTS_MAX; i++) {
        struct suspect *suspect = &suspects->rows[i];
        if (state_of(suspect) != SUSPECT_NONE && address_equal(&suspect->mint, mint))
            return suspect;
    }
    return NULL;
}

/* A free row, else that of the oldest suspect: those in quarantine stay. NULL: all are. */
static struct suspect *row_for_new(struct suspects *suspects)
{
    struct suspect *oldest = NULL;
    for (size_t i = 0; i < SUSPECTS_MAX; i++) {
        struct suspect *suspect = &suspects->rows[i];
        enum suspect_state state = state_of(suspect);
        if (state == SUSPECT_NONE)
            return suspect;
        if (state == SUSPECT_WATCHED && (oldest == NULL || suspect->since_us < oldest->since_us))
            oldest = suspect;
    }
    MARK_IF(SUSPECT_ROW_TAKEN, oldest != NULL);
    if (oldest != NULL)
        suspect_clear(oldest);
    return oldest;
}

static void watch(struct suspects *suspects, const struct address *mint,
                  const struct in_hand *in_hand, instant now)
{
    struct suspect *suspect = row_for_new(suspects);
    if (suspect == NULL)
        return;
    suspect->mint = *mint;
    MARK(SUSPECT_WATCHED);
    suspect->deaths = 1;
    suspect->lane = in_hand->lane;
    suspect->since_us = now.us;
    atomic_store_explicit(&suspect->until_us, 0, memory_order_relaxed);
    set_state(suspect, SUSPECT_WATCHED);
}

/* True when it goes into quarantine now. One that is there already stays longer. */
static bool blame(struct suspect *suspect, instant now, duration quarantine)
{
    bool was_quarantined = state_of(suspect) == SUSPECT_QUARANTINED;
    suspect->deaths += suspect->deaths < UINT32_MAX;
    suspect->since_us = now.us;
    if (suspect->deaths < QUARANTINE_FROM)
        return false;
    atomic_store_explicit(&suspect->until_us, instant_add(now, quarantine).us,
                          memory_order_relaxed);
    MARK_IF(SUSPECT_BLAMED, !was_quarantined);
    set_state(suspect, SUSPECT_QUARANTINED);
    return !was_quarantined;
}

/* A token has several pools, and may be in hand with each; it is one death all the same. */
static bool is_repeated(const struct in_hand *in_hand, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++)
        if (address_equal(&in_hand->mints[i], &in_hand->mints[index]))
            return true;
    return false;
}

static uint32_t held(const struct in_hand *in_hand)
{
    return atomic_load_explicit(&in_hand->count, memory_order_acquire);
}

uint32_t hands_of_death(const struct in_hand hands[HANDS_MAX], uint64_t thread)
{
    uint32_t full = 0;
    for (int i = 0; i < HANDS_MAX; i++) {
        uint32_t bit = held(&hands[i]) > 0 ? 1U << i : 0;
        if (thread != 0 && atomic_load_explicit(&hands[i].thread, memory_order_relaxed) == thread)
            return bit;
        full |= bit;
    }
    return full;
}

size_t suspects_on_death(struct suspects *suspects, const struct in_hand *in_hand, instant now,
                         duration quarantine)
{
    uint32_t count = held(in_hand);
    size_t quarantined = 0;
    for (uint32_t i = 0; i < count && i < IN_HAND_MAX; i++) {
        struct suspect *suspect = suspects_find(suspects, &in_hand->mints[i]);
        if (is_repeated(in_hand, i))
            continue;
        if (suspect != NULL)
            quarantined += blame(suspect, now, quarantine);
        else
            watch(suspects, &in_hand->mints[i], in_hand, now);
    }
    return quarantined;
}

void suspect_clear(struct suspect *suspect)
{
    set_state(suspect, SUSPECT_NONE);
}

/* One more death in hand, and it is back. */
void suspect_release(struct suspect *suspect)
{
    atomic_store_explicit(&suspect->until_us, 0, memory_order_relaxed);
    set_state(suspect, SUSPECT_WATCHED);
}

struct suspect *suspects_expired(struct suspects *suspects, instant now)
{
    for (size_t i = 0; i < SUSPECTS_MAX; i++) {
        struct suspect *suspect = &suspects->rows[i];
        if (state_of(suspect) == SUSPECT_QUARANTINED &&
            atomic_load_explicit(&suspect->until_us, memory_order_relaxed) <= now.us)
            return suspect;
    }
    return NULL;
}

size_t suspects_count(const struct suspects *suspects, enum suspect_state state)
{
    size_t count = 0;
    for (size_t i = 0; i < SUSPECTS_MAX; i++)
        count += state_of(&suspects->rows[i]) == state;
    return count;
}

/* ---- as text ---- */

#define LINE_SIZE   128 /* 44 of a mint, 20 each of two instants, the other numbers, spaces */
#define LINE_FIELDS 6

static size_t format_row(const struct suspect *suspect, char out[LINE_SIZE])
{
    char mint[ADDRESS_TEXT_MAX + 1];
    address_format(&suspect->mint, mint);
    return (size_t)snprintf(out, LINE_SIZE, "%s %s %u %u %" PRId64 " %" PRId64 "\n", mint,
                            suspect_state_name(state_of(suspect)), suspect->deaths, suspect->lane,
                            suspect->since_us,
                            atomic_load_explicit(&suspect->until_us, memory_order_relaxed));
}

size_t suspects_format(const struct suspects *suspects, char *out, size_t size)
{
    size_t length = 0;
    out[0] = '\0';
    for (size_t i = 0; i < SUSPECTS_MAX; i++) {
        char line[LINE_SIZE];
        if (state_of(&suspects->rows[i]) == SUSPECT_NONE)
            continue;
        size_t more = format_row(&suspects->rows[i], line);
        if (more >= size - length)
            break;
        memcpy(out + length, line, more + 1);
        length += more;
    }
    return length;
}

struct field {
    const char *text;
    size_t length;
};

/* Exactly LINE_FIELDS of them, a space between two. */
static bool split(const char *line, size_t length, struct field out[LINE_FIELDS])
{
    for (int i = 0; i < LINE_FIELDS; i++) {
        const char *space = memchr(line, ' ', length);
        if ((space == NULL) != (i == LINE_FIELDS - 1))
            return false;
        out[i] = (struct field){line, space != NULL ? (size_t)(space - line) : length};
        line += out[i].length + (space != NULL);
        length -= out[i].length + (space != NULL);
    }
    return true;
}

static bool parse_state(const struct field *field, enum suspect_state *out)
{
    for (int i = SUSPECT_WATCHED; i < SUSPECT_STATE_COUNT; i++) {
        if (strlen(state_names[i]) != field->length ||
            memcmp(state_names[i], field->text, field->length) != 0)
            continue;
        *out = (enum suspect_state)i;
        return true;
    }
    return false;
}

static bool parse_count(const struct field *field, uint32_t *out)
{
    int64_t value;
    if (!text_parse_int(field->text, field->length, &value) || value < 0 || value > UINT32_MAX)
        return false;
    *out = (uint32_t)value;
    return true;
}

static bool parse_line(struct suspect *out, const char *line, size_t length)
{
    struct field fields[LINE_FIELDS];
    enum suspect_state state;
    int64_t until_us;
    if (!split(line, length, fields) ||
        !address_parse(fields[0].text, fields[0].length, &out->mint) ||
        !parse_state(&fields[1], &state) || !parse_count(&fields[2], &out->deaths) ||
        !parse_count(&fields[3], &out->lane) ||
        !text_parse_int(fields[4].text, fields[4].length, &out->since_us) ||
        !text_parse_int(fields[5].text, fields[5].length, &until_us))
        return false;
    atomic_store_explicit(&out->until_us, until_us, memory_order_relaxed);
    set_state(out, state);
    return true;
}

/* False: it is none of ours, it is on the list already, or there is no room. */
static bool take_line(struct suspects *suspects, const char *line, size_t length)
{
    struct suspect parsed = {0};
    if (!parse_line(&parsed, line, length) || suspects_find(suspects, &parsed.mint) != NULL)
        return false;
    for (size_t i = 0; i < SUSPECTS_MAX; i++) {
        if (state_of(&suspects->rows[i]) != SUSPECT_NONE)
            continue;
        memcpy(&suspects->rows[i], &parsed, sizeof parsed);
        return true;
    }
    return false;
}

size_t suspects_parse(struct suspects *suspects, const char *text, size_t length)
{
    const char *end = text + length;
    size_t refused = 0;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t line_length = (size_t)((newline != NULL ? newline : end) - text);
        refused += !take_line(suspects, text, line_length);
        text += line_length + (newline != NULL);
    }
    return refused;
}
