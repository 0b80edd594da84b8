/*
 * A node's part in the cluster (cluster/cluster.h) as it is shown on the status page. Pure: what
 * the policy knows goes into a struct page_cluster, and what only the shell knows (names, clocks,
 * failures, how following goes) is left as it is there, for the shell to fill in before it
 * publishes.
 */
#ifndef MOONWATCH_ENGINE_CLUSTER_SHOW_H
#define MOONWATCH_ENGINE_CLUSTER_SHOW_H

#include "cluster/cluster.h"
#include "page/cluster_page.h"

/* Since when things are as they are, kept between two looks. To be zero at first. */
struct cluster_show {
    enum node_state state;
    instant since;
    instant free_since[LEASE_COUNT]; /* INSTANT_NEVER: somebody has it */
};

/* What is left: `name`, `failed_at`, `message`, what is under "following", and of members `name`
 * and `clock_offset_s`, which are those of the same session as before, or "" and NaN. */
void cluster_show(struct cluster_show *show, const struct cluster *cluster, instant now,
                  struct page_cluster *out);

#endif
