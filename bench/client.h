/*
 * A client that measures: asks one address of the api over and over, at a pace of its own, in a
 * thread of its own, over one connection that is kept or over a new one each time, and keeps how
 * long each answer took, from before the connection to the last byte.
 *
 * The thread is a prompt one (base/prompt.h): how long a client waits for a CPU of its own machine,
 * which is the daemon's here, is not what is asked.
 *
 * The pace is kept by absolute times, and a late answer delays the next request: what was not
 * asked is not measured, so the pace is slow against what is expected of an answer.
 */
#ifndef MOONWATCH_BENCH_CLIENT_H
#define MOONWATCH_BENCH_CLIENT_H

#include <stddef.h>
#include <stdint.h>

enum client_kind { CLIENT_KEPT, CLIENT_NEW };

struct client_spec {
    unsigned port;
    const char *path;
    enum client_kind kind;
    double interval_ms;
};

struct client;

/* NULL: no thread, or no memory. */
struct client *client_start(const struct client_spec *spec);
/* Forgets what was measured until now. */
void client_forget(struct client *client);
size_t client_count(struct client *client);
/* Answers that were none, or not 200. */
size_t client_failures(struct client *client);
/* In ms, of the answers so far; NaN of none. */
double client_quantile(struct client *client, double share);
/* Bytes of the newest answer, headers and all. */
size_t client_bytes(const struct client *client);
/* Ends it and frees. */
void client_stop(struct client *client);

#endif
