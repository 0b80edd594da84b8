/* The hash of all actions. */
#include "sim/parts.h"

void trace_bytes(struct sim *sim, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint64_t hash = sim->result->trace_hash;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3ULL; /* FNV-1a */
    sim->result->trace_hash = hash;
}

void trace_number(struct sim *sim, uint64_t number)
{
    trace_bytes(sim, &number, sizeof number);
}
