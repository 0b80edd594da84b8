/*
 * For each row of page/metrics.def that is no plain word of the page, the function that reads its
 * numbers: metric_NAME(). And the DIMENSIONS that there can be a number for each of: a label, and
 * its values.
 */
#ifndef MOONWATCH_API_METRIC_VALUES_H
#define MOONWATCH_API_METRIC_VALUES_H

#include "api/metrics.h"
#include "core/core.h"

enum statistic { STATISTIC_MEDIAN, STATISTIC_P95, STATISTIC_P99, STATISTIC_MAX, STATISTIC_COUNT };

/* Of a node's slots, leases and orders. X(code, name, member of struct page_cluster) */
#define SLOT_STATE_LIST(X)                                                                         \
    X(SLOTS_MINE, "mine", mine)                                                                    \
    X(SLOTS_CATCHING_UP, "catching_up", catching_up)                                               \
    X(SLOTS_DRAINING, "draining", draining)                                                        \
    X(SLOTS_RELEASING, "releasing", releasing)                                                     \
    X(SLOTS_OTHERS, "others", others)                                                              \
    X(SLOTS_FREE, "free", free)
#define LEASE_MOVE_LIST(X)                                                                         \
    X(LEASES_CLAIMED, "claimed", claimed)                                                          \
    X(LEASES_RELEASED, "released", released)                                                       \
    X(LEASES_LOST, "lost", lost)
#define ORDER_END_LIST(X)                                                                          \
    X(ORDERS_FORWARDED, "forwarded", forwarded)                                                    \
    X(ORDERS_DONE, "done", ordered)

#define X(code, name, member) code,
enum slot_state { SLOT_STATE_LIST(X) SLOT_STATE_COUNT };
enum lease_move { LEASE_MOVE_LIST(X) LEASE_MOVE_COUNT };
enum order_end { ORDER_END_LIST(X) ORDER_END_COUNT };
#undef X

/* X(code, label, how many, the name of the i-th) */
#define DIMENSION_LIST(X)                                                                          \
    X(BY_GROUP, "group", GROUP_COUNT, token_group_name((enum token_group)i))                       \
    X(BY_STATUS, "status", TOKEN_STATUS_COUNT, token_status_name((enum token_status)i))            \
    X(BY_STATISTIC, "statistic", STATISTIC_COUNT, statistic_names[i])                              \
    X(BY_LANE, "kind", LANE_KIND_COUNT, lane_kind_name((enum lane_kind)i))                         \
    X(BY_LIMIT, "limit", LANE_LIMIT_COUNT, lane_limit_name((enum lane_limit)i))                    \
    X(BY_OUTCOME, "outcome", FEED_OUTCOME_COUNT, feed_outcome_name((enum feed_outcome)i))          \
    X(BY_ISSUE, "issue", PAIR_ISSUE_COUNT, pair_issue_name((enum pair_issue)i))                    \
    X(BY_FRAME, "kind", SOURCE_COUNT_COUNT, frame_names[i])                                        \
    X(BY_SIGNAL, "signal", LOAD_SIGNAL_COUNT, load_signal_name((enum load_signal_id)i))            \
    X(BY_VITAL, "signal", VITAL_COUNT, vital_name((enum vital)i))                                  \
    X(BY_FEATURE, "feature", LOAD_FEATURE_COUNT, load_feature_name((enum load_feature)i))          \
    X(BY_SINK, "sink", ALERT_SINK_COUNT, alert_sink_name((enum alert_sink)i))                      \
    X(BY_JOB, "job_name", JOB_COUNT, job_name((enum job)i))                                        \
    X(BY_COMPONENT, "component", COMPONENT_COUNT, component_name((enum component)i))               \
    X(BY_CAUSE, "cause", FINDING_CAUSE_COUNT, finding_name((enum finding_cause)i))                 \
    X(BY_NODE_STATE, "state", NODE_STATE_COUNT - 1, node_state_name((enum node_state)(i + 1)))     \
    X(BY_SLOTS, "state", SLOT_STATE_COUNT, slot_state_names[i])                                    \
    X(BY_MOVE, "move", LEASE_MOVE_COUNT, lease_move_names[i])                                      \
    X(BY_ORDER, "order", ORDER_END_COUNT, order_end_names[i])                                      \
    X(BY_PROCESS, "process", PROCESS_COUNT, process_name((enum page_process_id)i))                 \
    X(BY_THREAD, "thread", BEAT_COUNT, beat_name((enum beat)i))                                    \
    X(BY_VERSION, "version", 1, version_names[i])

enum dimension {
    BY_NOTHING,
#define X(code, label, count, name) code,
    DIMENSION_LIST(X)
#undef X
        DIMENSION_COUNT
};

/* NULL: BY_NOTHING has no label. */
const char *dimension_label(enum dimension dimension);
unsigned dimension_count(enum dimension dimension); /* of BY_NOTHING 1 */
const char *dimension_name(enum dimension dimension, unsigned i);

/* `i` and `j` are of the row's two dimensions. NaN: unknown, left out. */
typedef double metric_value(const struct metric_view *view, unsigned i, unsigned j);

#define FAMILY(type, name, by, then_by, value, help) metric_value metric_##value;
#include "page/metrics.def"

/* Plain words of the page; `i` is their place there. */
metric_value metric_counter, metric_gauge, metric_reading;

#endif
