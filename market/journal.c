/* See journal.h. */
#include "market/journal.h"

#include "market/identity.h"
#include <inttypes.h>

FILE *journal_open(const char *path)
{
    FILE *journal = fopen(path, "w");
    if (journal != NULL)
        setvbuf(journal, NULL, _IOLBF, BUFSIZ); /* whoever reads along sees whole lines */
    return journal;
}

void journal_note(FILE *journal, const struct model *model, const struct http_request *request,
                  const struct route *route, instant now)
{
    uint32_t last = UINT32_MAX;
    fprintf(journal, "%" PRId64 " %016" PRIx64 " %s", now.us / 1000, request->client,
            route_name(route->kind));
    for (unsigned i = 0; i < route->count; i++) {
        struct identity asked;
        if (!identity_find(model_seed(model), &route->addresses[i], &asked) || asked.token == last)
            continue;
        fprintf(journal, "%c%" PRIu32, last == UINT32_MAX ? ' ' : ',', asked.token);
        last = asked.token;
    }
    fputc('\n', journal);
}
