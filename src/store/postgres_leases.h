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
 * The tables are the schema's (postgres_schema.c). Not filled in the view: `log_at` and
 * `settings_version` are 0.
 */
#ifndef MOONWATCH_STORE_POSTGRES_LEASES_H
#define MOONWATCH_STORE_POSTGRES_LEASES_H

#include "cluster/view.h"
#include "store/postgres_link.h"

#define POSTGRES_LEASES_CHANNEL "moonwatch_leases"

/* The database's clock, in microseconds since 1970. */
#define POSTGRES_CLOCK "(extract(epoch FROM clock_timestamp())*1000000)::bigint"

/* Of connections whose transactions lock leases or a session: a node that vanished in the middle of
 * one must not keep others from claiming for long. */
#define POSTGRES_NODE_IDLE_MAX "SET idle_in_transaction_session_timeout=4000"

/* Whose session it is; its clock is told beside the database's when it renews. */
struct postgres_self {
    int64_t node; /* its number */
    const char *name;
};

/* Any error: CLUSTER_FAILED, in link->message why; the connection should be made anew. */
enum err postgres_leases_exchange(struct postgres_link *link, const struct postgres_self *self,
                                  const struct cluster_request *request,
                                  struct cluster_reply *out) MUST_CHECK;

/* Within a writer's transaction: which of these, of which none stands twice, have still their
 * generation. What has is held until the transaction ends: nobody can claim it before. */
enum err postgres_leases_hold(struct postgres_link *link, const struct cluster_change *leases,
                              uint32_t count, bool *holds) MUST_CHECK;

/* Of all slots, as they are now; `doing` is for link->message. */
enum err postgres_leases_generations(struct postgres_link *link, const char *doing,
                                     uint64_t out[MINT_SLOTS]) MUST_CHECK;

#endif
