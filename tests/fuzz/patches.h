/*
 * Bytes of a memory that is shared with others, changed as an input says. Each patch is an area, a
 * place in it, a length and so many bytes. What was there is put back afterwards.
 */
#ifndef MOONWATCH_TESTS_FUZZ_PATCHES_H
#define MOONWATCH_TESTS_FUZZ_PATCHES_H

#include "fuzz.h"

#define PATCHES_MAX     48
#define PATCH_BYTES_MAX 64

struct area {
    size_t offset, size;
};

struct areas {
    const struct area *of;
    size_t count;
};

struct patches {
    size_t count;
    struct {
        size_t offset, size;
        uint8_t before[PATCH_BYTES_MAX];
    } of[PATCHES_MAX];
};

/* As many as the input has, and at most `most`. */
static inline void patches_apply(struct patches *patches, size_t most, struct input *input,
                                 void *memory, const struct areas *areas)
{
    patches->count = 0;
    while (input->left > 3 && patches->count < most && patches->count < PATCHES_MAX) {
        const struct area *area = &areas->of[input_u8(input) % areas->count];
        size_t place = input_u16(input) * (area->size > 65536 ? 8U : 1U) % area->size;
        size_t size = 1 + input_u8(input) % PATCH_BYTES_MAX;
        if (size > area->size - place)
            size = area->size - place;
        uint8_t *at = (uint8_t *)memory + area->offset + place;
        patches->of[patches->count].offset = area->offset + place;
        patches->of[patches->count].size = size;
        memcpy(patches->of[patches->count++].before, at, size);
        input_take(input, at, size);
    }
}

static inline void patches_undo(const struct patches *patches, void *memory)
{
    for (size_t i = patches->count; i-- > 0;)
        memcpy((uint8_t *)memory + patches->of[i].offset, patches->of[i].before,
               patches->of[i].size);
}

#endif
