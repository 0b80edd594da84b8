/* Deaths of the engine, and what is remembered of them. See the header. */
#include "sim/deaths.h"

#include <stdlib.h>

bool deaths_init(struct deaths *deaths, uint32_t size)
{
    *deaths = (struct deaths){.size = size,
                              .poisoned = calloc(size, 1),
                              .killed = calloc(size, 1),
                              .suspected_in = calloc(size, 1),
                              .quarantined = calloc(size, 1)};
    return deaths->poisoned != NULL && deaths->killed != NULL && deaths->suspected_in != NULL &&
           deaths->quarantined != NULL;
}

void deaths_finish(struct deaths *deaths)
{
    free(deaths->poisoned);
    free(deaths->killed);
    free(deaths->suspected_in);
    free(deaths->quarantined);
}

void deaths_note(struct deaths *deaths, enum lane_kind lane, const token_id *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        token_id id = ids[i];
        deaths->killed[id] += deaths->poisoned[id];
        if (deaths->suspected_in[id] == 0) {
            deaths->suspected_in[id] = (uint8_t)(1U << lane);
        } else {
            deaths->suspected_in[id] = 0;
            deaths->quarantined[id] = 1;
        }
    }
}

void deaths_clear(struct deaths *deaths, token_id id)
{
    deaths->suspected_in[id] = 0;
}

void deaths_cure(struct deaths *deaths, token_id id)
{
    deaths->poisoned[id] = deaths->killed[id] = 0;
    if (deaths->quarantined[id])
        deaths->suspected_in[id] = 1U << LANE_SCREEN | 1U << LANE_DISCOVER;
    deaths->quarantined[id] = 0;
}
