/*
 * The daemon's side of `moonwatch import`: batches to POST /tokens/import, one after the other.
 *
 * Sending a batch again is harmless, since what was added is known then. So whatever may pass by
 * itself (a daemon that restarts, 429, 5xx, a broken answer) is tried again, with growing waits,
 * until there was no progress for `patience`. What can't pass by itself ends it at once: a wrong
 * token, a server that is no Moonwatch, and, before the daemon ever answered, nobody listening
 * there.
 */
#ifndef MOONWATCH_CLI_IMPORT_CLIENT_H
#define MOONWATCH_CLI_IMPORT_CLIENT_H

#include "base/err.h"
#include "base/time.h"
#include "cli/import_lines.h"

#define IMPORT_ANSWER_MAX    (1 << 20) /* bytes; 1,000 refusals take 200,000 */
#define IMPORT_CONNECT_SEC   5
#define IMPORT_ANSWER_SEC    60 /* the daemon itself gives up after 30 */
#define IMPORT_RETRY_MIN_SEC 0.2
#define IMPORT_RETRY_MAX_SEC 5

struct import_client_options {
    const char *url;   /* http://127.0.0.1:8000; copied */
    const char *token; /* bearer; "" none; copied */
    duration patience;
    /* The server refused the mint on this line of the file. */
    void (*on_refused)(void *context, uint64_t line, const char *reason);
    /* A try failed; the next comes after `wait`. */
    void (*on_retry)(void *context, const char *cause, duration wait);
    void *context;
};

struct import_counts {
    uint64_t added, known, refused;
};

struct import_client;

/* NULL: out of memory. */
struct import_client *import_client_create(const struct import_client_options *options);
void import_client_destroy(struct import_client *client);

/* Sends one batch and adds to the counts; blocks. On an error `why` is a sentence. */
enum err import_client_send(struct import_client *client, const struct import_batch *batch,
                            struct import_counts *counts, char why[512]) MUST_CHECK;

#endif
