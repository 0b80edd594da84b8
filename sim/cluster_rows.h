/*
 * The database of a cluster, as a model: the rows of cluster/view.h and what an exchange does to
 * them, in the plainest code. Time does not exist in it. The simulator and the unit tests of
 * src/cluster run against it.
 */
#ifndef MOONWATCH_SIM_CLUSTER_ROWS_H
#define MOONWATCH_SIM_CLUSTER_ROWS_H

#include "cluster/view.h"

struct cluster_rows {
    struct cluster_view view;
    /* As the view's members: */
    uint64_t nonces[CLUSTER_NODES_MAX];
    uint64_t numbers[CLUSTER_NODES_MAX]; /* of the newest request that was done */
    uint64_t last_session;
    uint64_t changes; /* of who is there and who has what: what others are notified of */
};

/* All of it, or nothing: `out` is what the server answers. */
void cluster_rows_exchange(struct cluster_rows *rows, const struct cluster_request *request,
                           struct cluster_reply *out);

/* Whether a write under this generation is let in. */
bool cluster_rows_let_in(const struct cluster_rows *rows, uint16_t lease, uint64_t generation);

#endif
