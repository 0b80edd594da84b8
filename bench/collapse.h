/*
 * A table as an engine that has been at work for some seconds leaves it: in huge pages, where it is
 * large enough (engine/huge.h) and the kernel has some.
 */
#ifndef MOONWATCH_BENCH_COLLAPSE_H
#define MOONWATCH_BENCH_COLLAPSE_H

#include "engine/huge.h"

static inline void collapse_table(const struct table_memory *memory)
{
    struct table_range ranges[TABLE_RANGES];
    size_t count = token_table_used(memory->table, ranges);
    if (token_table_bytes_used(memory->table) < HUGE_TABLE_MIN)
        return;
    for (size_t i = 0; i < count; i++)
        for (size_t at = 0; at + TABLE_HUGE_PAGE <= ranges[i].length; at += TABLE_HUGE_PAGE)
            if (table_memory_collapse(memory, ranges[i].offset + at) == ERR_INVALID)
                return;
}

#endif
