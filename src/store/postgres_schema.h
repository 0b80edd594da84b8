/*
 * The tables in a PostgreSQL database, and how they came to be: migrations, each a step from one
 * version to the next, under a lock, all or none of a step.
 *
 * What several nodes share (token, pool, snapshot, event, setting, alert) is once in the database;
 * a node has a row in `node` and a refresh log of its own, refresh_log_NUMBER_a and _b.
 *
 * snapshot and event are partitioned by the day (UTC) of their row, snapshot_20260131, so that old
 * history is dropped by the day; what has a time of no partition goes to snapshot_default. A server
 * that knows no partitions gets one table each, and its old rows are deleted.
 *
 * Ids of snapshots and events are the node's: its number less 1 in the bits from NODE_ID_SHIFT on.
 */
#ifndef MOONWATCH_STORE_POSTGRES_SCHEMA_H
#define MOONWATCH_STORE_POSTGRES_SCHEMA_H

#include "store/postgres_link.h"

#define NODE_ID_SHIFT      SNAPSHOT_NODE_SHIFT
#define NODE_NUMBER_MAX    8192
#define PARTITION_DAYS     3 /* made ahead: today's and the next ones' */
#define PARTITION_NAME_MAX 32

struct postgres_schema {
    int64_t identity; /* of this database, random; positive */
    int64_t version;
    bool is_partitioned;
};

/* Brings the tables up to date. ERR_VERSION: they are of a newer moonwatch. ERR_INVALID: they are
 * another program's. */
enum err postgres_schema_open(struct postgres_link *link, struct postgres_schema *out) MUST_CHECK;

/* The partitions for the day of `now` and the days ahead. One that can't be made is told in the
 * log: rows go to the default partition. */
enum err postgres_schema_add_days(struct postgres_link *link, const struct postgres_schema *schema,
                                  instant now) MUST_CHECK;

/* Inside a transaction: drops the partitions of `table` all of whose days end at or before
 * `before`. */
enum err postgres_schema_drop_days(struct postgres_link *link, const char *table,
                                   instant before) MUST_CHECK;

/* Finds or makes the row and the tables of the node link->node. */
enum err postgres_schema_find_node(struct postgres_link *link, int64_t *number) MUST_CHECK;

int64_t postgres_day_of(instant t);

#endif
