/*
 * History, read from the store by a thread of its own: a disk may be slow, and the HTTP thread
 * never waits. A request that wants history is suspended meanwhile.
 *
 * At most HISTORY_QUEUE_MAX requests wait; more are refused with 503. The store is opened at the
 * first read and again after a failed one. A snapshot that is not committed yet is waited for, at
 * most HISTORY_COMMIT_WAIT_MS: commits come every quarter of a second.
 */
#ifndef MOONWATCH_API_HISTORY_H
#define MOONWATCH_API_HISTORY_H

#include "api/request.h"
#include "store/store.h"

#define HISTORY_QUEUE_MAX      128
#define HISTORY_COMMIT_WAIT_MS 400
#define HISTORY_LIMIT_MAX      200 /* snapshots a request may ask for */

struct history;
struct history_query;

/* Fills in what the query holds besides, on the history's thread. Returns how many, −1 when the
 * store can't be read. */
typedef int history_read(struct history_query *query, struct store_reader *reader);

/* What every query begins with. Belongs to the request; whole once `next` runs. */
struct history_query {
    history_read *read;
    token_id token;
    int64_t newest_id; /* snapshot that is waited for; 0: none */
    int count;         /* −1: the store could not be read */
};

/* The newest `limit` snapshots. */
struct snapshots_query {
    struct history_query base;
    int limit;
    struct store_snapshot snapshots[HISTORY_LIMIT_MAX];
};
history_read history_read_snapshots;

/* `store_url` is copied. NULL: out of memory or threads. */
struct history *history_create(const char *store_url, const struct status_page *page);

/* Ends the thread; requests that wait get count −1 and are resumed. */
void history_shut(struct history *history);
void history_destroy(struct history *history);

/* Suspends `request` and runs `next` when the query is answered; 503 where too many wait. The
 * request's state is the query from now on, and freed with it. */
void history_ask(struct request *request, struct history_query *query, request_step *next);

#endif
