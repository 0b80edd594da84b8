/* See suspects.h. */
#include "page/suspects.h"

#include "base/text.h"
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
    suspect->deaths = 1;
    suspect->lane = in_hand->lane;
    suspect->since_us = now.us;
    atomic_store_explicit(&suspect->until_us, 0, memory_order_relaxed);
    set_state(suspect, SUSPECT_WATCHED);
}

/* True when it goes into quarantine now. */
static bool blame(struct suspect *suspect, instant now, duration quarantine)
{
    suspect->deaths++;
    suspect->since_us = now.us;
    if (suspect->deaths < QUARANTINE_FROM)
        return false;
    atomic_store_explicit(&suspect->until_us, instant_add(now, quarantine).us,
                          memory_order_relaxed);
    set_state(suspect, SUSPECT_QUARANTINED);
    return true;
}

size_t suspects_on_death(struct suspects *suspects, const struct in_hand *in_hand, instant now,
                         duration quarantine)
{
    uint32_t count = atomic_load_explicit(&in_hand->count, memory_order_acquire);
    size_t quarantined = 0;
    for (uint32_t i = 0; i < count && i < IN_HAND_MAX; i++) {
        struct suspect *suspect = suspects_find(suspects, &in_hand->mints[i]);
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

size_t suspects_format(const struct suspects *suspects, char *out, size_t size)
{
    size_t length = 0;
    for (size_t i = 0; i < SUSPECTS_MAX && length < size; i++) {
        const struct suspect *suspect = &suspects->rows[i];
        enum suspect_state state = state_of(suspect);
        char mint[ADDRESS_TEXT_MAX + 1];
        if (state == SUSPECT_NONE)
            continue;
        address_format(&suspect->mint, mint);
        length += (size_t)snprintf(out + length, size - length, "%s %s %u %u %lld %lld\n", mint,
                                   suspect_state_name(state), suspect->deaths, suspect->lane,
                                   (long long)suspect->since_us, (long long)suspect->until_us);
    }
    return length < size ? length : size;
}

static bool parse_line(struct suspect *out, const char *line)
{
    char mint[ADDRESS_TEXT_MAX + 1], state[16];
    long long since_us, until_us;
    if (sscanf(line, "%44s %15s %u %u %lld %lld", mint, state, &out->deaths, &out->lane, &since_us,
               &until_us) != 6 ||
        !address_parse(mint, strlen(mint), &out->mint))
        return false;
    out->since_us = since_us;
    atomic_store_explicit(&out->until_us, until_us, memory_order_relaxed);
    for (int i = SUSPECT_WATCHED; i < SUSPECT_STATE_COUNT; i++) {
        if (strcmp(state, state_names[i]) != 0)
            continue;
        set_state(out, (enum suspect_state)i);
        return true;
    }
    return false;
}

size_t suspects_parse(struct suspects *suspects, const char *text, size_t length)
{
    const char *end = text + length;
    size_t row = 0, refused = 0;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t line_length = (size_t)((newline != NULL ? newline : end) - text);
        char line[160];
        struct suspect suspect = {0};
        snprintf(line, sizeof line, "%.*s", line_length < 159 ? (int)line_length : 159, text);
        if (row < SUSPECTS_MAX && parse_line(&suspect, line))
            memcpy(&suspects->rows[row++], &suspect, sizeof suspect);
        else
            refused++;
        text += line_length + 1;
    }
    return refused;
}
