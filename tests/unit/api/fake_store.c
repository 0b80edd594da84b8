/* A store whose history is made up: snapshots 1 … newest, newest first; token 13 can't be read. */
#include "store/store.h"
#include <stdio.h>
#include <stdlib.h>

struct store_reader {
    int unused;
};

struct store_reader *store_reader_open(const char *url, char why[512])
{
    (void)url;
    snprintf(why, 512, "out of memory");
    return calloc(1, sizeof(struct store_reader));
}

void store_reader_close(struct store_reader *reader)
{
    free(reader);
}

int store_reader_snapshots(struct store_reader *reader, token_id token, int64_t newest_id,
                           struct store_snapshot *out, int limit)
{
    (void)reader;
    if (token == 13)
        return -1;
    int count = 0;
    for (int64_t id = newest_id; id > 0 && count < limit; id--) {
        out[count++] = (struct store_snapshot){.id = id,
                                               .previous = id - 1,
                                               .token = token,
                                               .at = {1780000000000000 + id * 1000000},
                                               .score = 0.1 * (double)id,
                                               .metrics = {.liquidity_usd = 1000.0 * (double)id},
                                               .primary_dex = "orca"};
    }
    return count;
}

int store_reader_events(struct store_reader *reader, token_id token, struct store_event *out,
                        int limit)
{
    (void)reader, (void)token, (void)out, (void)limit;
    return 0;
}
