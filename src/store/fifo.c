#include "store/fifo.h"
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 64

void fifo_init(struct fifo *fifo, size_t item_size)
{
    *fifo = (struct fifo){.item_size = item_size};
}

void fifo_finish(struct fifo *fifo)
{
    free(fifo->items);
    fifo_init(fifo, fifo->item_size);
}

static unsigned char *item_at(const struct fifo *fifo, size_t n)
{
    return fifo->items + ((fifo->head + n) & (fifo->capacity - 1)) * fifo->item_size;
}

static bool grow(struct fifo *fifo)
{
    size_t capacity = fifo->capacity == 0 ? CAPACITY_MIN : fifo->capacity * 2;
    unsigned char *items = calloc(capacity, fifo->item_size);
    if (items == NULL)
        return false;
    for (size_t n = 0; n < fifo->count; n++)
        memcpy(items + n * fifo->item_size, item_at(fifo, n), fifo->item_size);
    free(fifo->items);
    fifo->items = items;
    fifo->capacity = capacity;
    fifo->head = 0;
    return true;
}

bool fifo_push(struct fifo *fifo, const void *item)
{
    if (fifo->count == fifo->capacity && !grow(fifo))
        return false;
    memcpy(item_at(fifo, fifo->count++), item, fifo->item_size);
    return true;
}

bool fifo_pop(struct fifo *fifo, void *item)
{
    if (fifo->count == 0)
        return false;
    memcpy(item, item_at(fifo, 0), fifo->item_size);
    fifo->head = (fifo->head + 1) & (fifo->capacity - 1);
    if (--fifo->count == 0 && fifo->capacity > CAPACITY_MIN)
        fifo_finish(fifo);
    return true;
}

const void *fifo_front(const struct fifo *fifo)
{
    return fifo->count == 0 ? NULL : item_at(fifo, 0);
}
