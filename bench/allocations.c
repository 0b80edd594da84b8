/* See allocations.h. */
#include "bench/allocations.h"

#include <stdatomic.h>
#include <stddef.h>

/* The linker gives these names. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static _Atomic uint64_t count_so_far;

uint64_t allocations(void)
{
    return atomic_load(&count_so_far);
}

void *__wrap_malloc(size_t size)
{
    atomic_fetch_add_explicit(&count_so_far, 1, memory_order_relaxed);
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    atomic_fetch_add_explicit(&count_so_far, 1, memory_order_relaxed);
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    atomic_fetch_add_explicit(&count_so_far, 1, memory_order_relaxed);
    return __real_realloc(memory, size);
}
