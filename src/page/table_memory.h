/*
 * The memory of the token table: a memfd, so that it can be inherited by other processes and
 * outlives its writer. Address space is reserved once, for more tokens than fit the machine's
 * memory; the file is extended as tokens come, by table_memory_grow(), between two steps of the
 * core. What is extended is reserved for us, so that a lack of memory is an error here and not a
 * SIGBUS later. Whoever mapped it before sees what is added: everybody maps the whole of it, at an
 * address where huge pages fit.
 *
 *   the supervisor   table_memory_init(), and keeps the descriptor
 *   the engine       table_memory_attach(); writes, grows; a table that is not to be believed it
 *                    empties with table_memory_reset() and fills from the store
 *   the api          table_memory_attach_shared(), read-only, of a descriptor that allows no more
 */
#ifndef MOONWATCH_PAGE_TABLE_MEMORY_H
#define MOONWATCH_PAGE_TABLE_MEMORY_H

#include "core/token_check.h"
#include "core/token_table.h"

struct table_memory {
    int fd;
    void *base;
    size_t size;               /* of the address space */
    struct token_table *table; /* NULL: attached, but not to be believed */
};

/* Reserves address space for as many tokens as the machine's memory could hold (at least a million)
 * and lays an empty table with room for `capacity` tokens. False with errno in `error`. */
bool table_memory_init(struct table_memory *memory, uint32_t capacity, int *error);

/* Maps a table that somebody else made, to write to it, and takes `fd` over when all is well. Its
 * header is checked (its slots are not): ERR_CORRUPT with *fault, and nothing but the descriptor in
 * `memory`, which can be reset. ERR_IO: `fd` is no table's; ERR_NO_MEMORY: no address space. */
enum err table_memory_attach(struct table_memory *memory, int fd,
                             enum table_fault *fault) MUST_CHECK;

/* To read only, while the engine writes. ERR_CORRUPT: no table of this version of the program. */
enum err table_memory_attach_shared(struct table_memory *memory, int fd,
                                    enum table_fault *fault) MUST_CHECK;

/* Empties the table in place, whatever it holds; those who read it find no tokens, then the new
 * ones. After an attach, also one that failed with ERR_CORRUPT. */
enum err table_memory_reset(struct table_memory *memory, uint32_t capacity) MUST_CHECK;

/* A descriptor of the same memory that cannot be written through, for the api; −1 with errno. */
int table_memory_reader_fd(int fd);

/* Adds an eighth of the present capacity, at least `at_least` tokens. False when memory is short:
 * nothing changed, the caller goes on without new tokens and tries again later. */
bool table_memory_grow(struct table_memory *memory, uint32_t at_least);

/* Puts what lies at `offset` (a multiple of TABLE_HUGE_PAGE, all of it backed) into one huge page,
 * in place, while others use it: they wait for a millisecond. Whoever maps the table then or later
 * finds it so. For another thread than the writer's. ERR_INVALID: not here, perhaps not on this
 * kernel (before Linux 6.1, or it is told to give none); ERR_UNAVAILABLE: not now. */
enum err table_memory_collapse(const struct table_memory *memory, size_t offset) MUST_CHECK;

void table_memory_finish(struct table_memory *memory);

#endif
