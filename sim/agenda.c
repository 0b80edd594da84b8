/* What comes next: a binary heap. */
#include "sim/parts.h"

#include <stdlib.h>

static bool comes_before(const struct world_event *a, const struct world_event *b)
{
    return a->at.us != b->at.us ? a->at.us < b->at.us : a->order < b->order;
}

void agenda_plan(struct sim *sim, instant at, struct world_event event)
{
    if (sim->heap_count == sim->heap_capacity) {
        size_t capacity = sim->heap_capacity == 0 ? 1024 : sim->heap_capacity * 2;
        struct world_event *heap = realloc(sim->heap, capacity * sizeof *heap);
        if (heap == NULL) {
            oracle_complain(&sim->oracle, sim->now, "the simulator ran out of memory");
            return;
        }
        sim->heap = heap;
        sim->heap_capacity = capacity;
    }
    event.at = at;
    event.order = sim->order++;
    size_t i = sim->heap_count++;
    for (; i > 0 && comes_before(&event, &sim->heap[(i - 1) / 2]); i = (i - 1) / 2)
        sim->heap[i] = sim->heap[(i - 1) / 2];
    sim->heap[i] = event;
}

struct world_event agenda_take(struct sim *sim)
{
    struct world_event first = sim->heap[0];
    struct world_event last = sim->heap[--sim->heap_count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < sim->heap_count; i = child) {
        if (child + 1 < sim->heap_count && comes_before(&sim->heap[child + 1], &sim->heap[child]))
            child++;
        if (!comes_before(&sim->heap[child], &last))
            break;
        sim->heap[i] = sim->heap[child];
    }
    if (sim->heap_count > 0)
        sim->heap[i] = last;
    return first;
}

/* Connections die with their engine. */
void agenda_forget_answers(struct sim *sim)
{
    struct world_event *old = sim->heap;
    size_t count = sim->heap_count;
    sim->heap = NULL;
    sim->heap_count = sim->heap_capacity = 0;
    for (size_t i = 0; i < count; i++)
        if (old[i].kind != WORLD_ANSWER)
            agenda_plan(sim, old[i].at, old[i]);
    free(old);
}
