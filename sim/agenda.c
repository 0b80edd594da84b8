/* What comes next: a binary heap. See parts.h. */
#include "sim/parts.h"

#include <stdlib.h>

#define FIRST_CAPACITY 1024

static bool comes_before(const struct world_event *a, const struct world_event *b)
{
    return a->at.us != b->at.us ? a->at.us < b->at.us : a->order < b->order;
}

/* Twice as large an array of `size` bytes each; false: there is no memory. */
static bool make_room(struct sim *sim, void **items, size_t *capacity, size_t size)
{
    size_t larger = *capacity == 0 ? FIRST_CAPACITY : *capacity * 2;
    void *moved = realloc(*items, larger * size);
    if (moved == NULL) {
        oracle_complain(&sim->oracle, sim->now, "the simulator ran out of memory");
        return false;
    }
    *items = moved;
    *capacity = larger;
    return true;
}

void agenda_plan(struct sim *sim, instant at, struct world_event event)
{
    struct agenda *agenda = &sim->agenda;
    if (agenda->count == agenda->capacity &&
        !make_room(sim, (void **)&agenda->heap, &agenda->capacity, sizeof *agenda->heap))
        return;
    event.at = at;
    event.order = agenda->order++;
    size_t i = agenda->count++;
    for (; i > 0 && comes_before(&event, &agenda->heap[(i - 1) / 2]); i = (i - 1) / 2)
        agenda->heap[i] = agenda->heap[(i - 1) / 2];
    agenda->heap[i] = event;
}

void agenda_plan_of_engine(struct sim *sim, instant at, struct world_event event)
{
    event.life = sim->life;
    agenda_plan(sim, at, event);
}

instant agenda_due(const struct sim *sim)
{
    return sim->agenda.count > 0 ? sim->agenda.heap[0].at : INSTANT_FAR;
}

struct world_event agenda_take(struct sim *sim)
{
    struct agenda *agenda = &sim->agenda;
    struct world_event first = agenda->heap[0];
    struct world_event last = agenda->heap[--agenda->count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < agenda->count; i = child) {
        if (child + 1 < agenda->count &&
            comes_before(&agenda->heap[child + 1], &agenda->heap[child]))
            child++;
        if (!comes_before(&agenda->heap[child], &last))
            break;
        agenda->heap[i] = agenda->heap[child];
    }
    if (agenda->count > 0)
        agenda->heap[i] = last;
    return first;
}

/* ---- answers that are under way ---- */

struct sent *agenda_send(struct sim *sim, uint32_t *number)
{
    struct agenda *agenda = &sim->agenda;
    if (agenda->free_sent == 0) {
        size_t before = agenda->sent_capacity;
        if (!make_room(sim, (void **)&agenda->sent, &agenda->sent_capacity, sizeof *agenda->sent))
            return NULL;
        for (size_t i = agenda->sent_capacity; i-- > before;)
            if (i > 0) /* 0 is nobody's number */
                agenda_forget(sim, (uint32_t)i);
    }
    *number = agenda->free_sent;
    agenda->free_sent = agenda->sent[*number].next_free;
    return &agenda->sent[*number];
}

void agenda_forget(struct sim *sim, uint32_t number)
{
    sim->agenda.sent[number].next_free = sim->agenda.free_sent;
    sim->agenda.free_sent = number;
}

void agenda_finish(struct sim *sim)
{
    free(sim->agenda.heap);
    free(sim->agenda.sent);
}
