/* See log_index.h. */
#include "store/log_index.h"

#include <stdlib.h>
#include <string.h>

static struct log_entry *slot_of(const struct log_index *index, token_id id)
{
    size_t at = (id * UINT64_C(0x9e3779b97f4a7c15) >> 20) & index->mask;
    while (index->entries[at].id != TOKEN_NONE && index->entries[at].id != id)
        at = (at + 1) & index->mask;
    return &index->entries[at];
}

static bool grow(struct log_index *index)
{
    struct log_entry *old = index->entries;
    size_t size = old == NULL ? 0 : index->mask + 1;
    index->mask = old == NULL ? 1023 : index->mask * 2 + 1;
    index->entries = calloc(index->mask + 1, sizeof *index->entries);
    if (index->entries == NULL) {
        index->entries = old;
        index->mask = size == 0 ? 0 : size - 1;
        return false;
    }
    for (size_t i = 0; i < size; i++)
        if (old[i].id != TOKEN_NONE)
            *slot_of(index, old[i].id) = old[i];
    free(old);
    return true;
}

/* A place for the record: the one there is where it fits, else a new one. */
static bool place(struct log_index *index, struct log_entry *entry, size_t length)
{
    if (length <= entry->capacity)
        return true;
    if (index->arena_length + LOG_RECORD_MAX > index->arena_capacity) {
        size_t capacity = (index->arena_capacity + LOG_RECORD_MAX) * 2;
        uint8_t *larger = realloc(index->arena, capacity);
        if (larger == NULL)
            return false;
        index->arena = larger;
        index->arena_capacity = capacity;
    }
    entry->at = index->arena_length;
    entry->capacity = (uint16_t)length;
    index->arena_length += length;
    return true;
}

bool log_index_keep(struct log_index *index, int64_t node, const struct log_record *record)
{
    token_id id = log_record_token(record);
    if ((index->entries == NULL || index->count * 2 > index->mask) && !grow(index))
        return false;
    struct log_entry *entry = slot_of(index, id);
    index->count += entry->id == TOKEN_NONE;
    entry->id = id;
    if (!place(index, entry, record->length))
        return false;
    entry->node = node;
    entry->seq = record->position;
    entry->generation = record->generation;
    entry->slot = record->slot;
    entry->length = (uint16_t)record->length;
    memcpy(index->arena + entry->at, record->bytes, record->length);
    return true;
}

bool log_index_find(const struct log_index *index, token_id id, int64_t *node,
                    struct log_record *out)
{
    if (index->entries == NULL)
        return false;
    const struct log_entry *entry = slot_of(index, id);
    if (entry->id == TOKEN_NONE)
        return false;
    if (node != NULL)
        *node = entry->node;
    *out = (struct log_record){.position = entry->seq,
                               .bytes = index->arena + entry->at,
                               .length = entry->length,
                               .generation = entry->generation,
                               .slot = entry->slot};
    return true;
}

void log_index_finish(struct log_index *index)
{
    free(index->entries);
    free(index->arena);
    *index = (struct log_index){0};
}
