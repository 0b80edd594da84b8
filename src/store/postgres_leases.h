/*
 * Leases of several nodes in a PostgreSQL database: carries out the exchanges of cluster/view.h,
 * each as one transaction, on a connection of its own. sim/cluster_rows.c is the model of it.
 *
 * An exchange never waits for another's. It locks its own member row, which only a request of the
 * same node that was given up can hold; sessions to be ended, and leases to be claimed, are passed
 * over while somebody else works on their rows (SKIP LOCKED): whoever renews is not dead, and what
 * another claims is not free. Nothing depends on a clock of the server's. Who listens on the
 * channel POSTGRES_LEASES_CHANNEL hears when who is there or who has what may have changed.
 *
 * Not filled in the view: `log_at` and `settings_version` are 0.
 */
#ifndef MOONWATCH_STORE_POSTGRES_LEASES_H
#define MOONWATCH_STORE_POSTGRES_LEASES_H

#include "cluster/view.h"
#include "store/postgres_link.h"

#define POSTGRES_LEASES_CHANNEL "moonwatch_leases"

/* Makes the tables, unless they are there. */
enum err postgres_leases_begin(struct postgres_link *link) MUST_CHECK;

/* Any error: CLUSTER_FAILED, in link->message why; the connection should be made anew. */
enum err postgres_leases_exchange(struct postgres_link *link, const struct cluster_request *request,
                                  struct cluster_reply *out) MUST_CHECK;

/* Within a writer's transaction: whether all of these have still their generation. What has is held
 * until the transaction ends: nobody can claim it before. */
enum err postgres_leases_hold(struct postgres_link *link, const struct cluster_change *leases,
                              uint32_t count, bool *holds) MUST_CHECK;

#endif
