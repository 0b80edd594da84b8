/*
 * A first-in first-out queue of items of one size that grows as needed and gives its memory back
 * when it runs empty. Not thread-safe.
 */
#ifndef MOONWATCH_STORE_FIFO_H
#define MOONWATCH_STORE_FIFO_H

#include <stdbool.h>
#include <stddef.h>

struct fifo {
    unsigned char *items;
    size_t item_size;
    size_t head, count, capacity; /* capacity: 0 or a power of two */
};

void fifo_init(struct fifo *fifo, size_t item_size);
void fifo_finish(struct fifo *fifo);
bool fifo_push(struct fifo *fifo, const void *item); /* false: out of memory */
bool fifo_pop(struct fifo *fifo, void *item);        /* false: empty */
const void *fifo_front(const struct fifo *fifo);     /* NULL: empty */

#endif
