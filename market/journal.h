/*
 * Who asked for what, and when: a line in a file for each request that got data.
 *
 *     MILLISECONDS CLIENT KIND TOKEN[,TOKEN…]
 *
 * of real time since the epoch; the client as a number that tells addresses apart; the kind as
 * faults name it (route.h); tokens by their numbers in the market (`GET /mints` lists them in this
 * order), of pools that were asked for the token's, each once where they follow each other.
 */
#ifndef MOONWATCH_MARKET_JOURNAL_H
#define MOONWATCH_MARKET_JOURNAL_H

#include "base/time.h"
#include "market/http.h"
#include "market/model.h"
#include "market/route.h"
#include <stdio.h>

/* NULL, and errno: the file can't be written. Closed with fclose(). */
FILE *journal_open(const char *path);

/* What a disk does not take is missing in the file; the market goes on. */
void journal_note(FILE *journal, const struct model *model, const struct http_request *request,
                  const struct route *route, instant now);

#endif
