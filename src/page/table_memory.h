/*
 * The memory of the token table: a memfd, so that it can be inherited by other processes and
 * outlives its writer. Address space is reserved once, for more tokens than fit the machine's
 * memory; the file is extended as tokens come, by table_memory_grow(), between two steps of the
 * core. What is extended is reserved for us, so that a lack of memory is an error here and not a
 * SIGBUS later.
 */
#ifndef MOONWATCH_PAGE_TABLE_MEMORY_H
#define MOONWATCH_PAGE_TABLE_MEMORY_H

#include "core/token_table.h"

struct table_memory {
    int fd;
    void *base;
    size_t size; /* of the address space */
    struct token_table *table;
};

/* Reserves address space for as many tokens as the machine's memory could hold (at least a million)
 * and lays an empty table with room for `capacity` tokens. False with errno in `error`. */
bool table_memory_init(struct table_memory *memory, uint32_t capacity, int *error);

/* Maps a table that another process makes and grows, to read only; takes `fd` over when all is
 * well. False with errno in `error`: it is no table, or of another version. */
bool table_memory_attach_shared(struct table_memory *memory, int fd, int *error);

/* Adds an eighth of the present capacity, at least `at_least` tokens. False when memory is short:
 * nothing changed, the caller goes on without new tokens and tries again later. */
bool table_memory_grow(struct table_memory *memory, uint32_t at_least);

bool table_memory_attach(struct table_memory *memory, int fd, int *error);
bool table_memory_copy(struct table_memory *memory, int from_fd);

void table_memory_finish(struct table_memory *memory);

#endif
