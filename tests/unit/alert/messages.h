/* Messages for tests. */
#ifndef MOONWATCH_TESTS_MESSAGES_H
#define MOONWATCH_TESTS_MESSAGES_H

#include "core/alerts.h"
#include "core/core.h"

#include <math.h>

#define MESSAGE_AT 1700000000000000LL

/* "news": an outage that is new, a group that became worse, a job that is over. */
static inline struct alert_message message_of(int64_t n)
{
    return (struct alert_message){.id = MESSAGE_AT + n,
                                  .at = {MESSAGE_AT + n},
                                  .kind = ALERT_NEWS,
                                  .severity = SEVERITY_ERROR,
                                  .omitted = 2,
                                  .count = 3,
                                  .of = {{.finding = {.cause = FINDING_BREAKER_OPEN,
                                                      .severity = SEVERITY_ERROR,
                                                      .because = FINDING_CAUSE_COUNT,
                                                      .since = {MESSAGE_AT - 5000000},
                                                      .value = NAN,
                                                      .limit = NAN},
                                          .change = ALERT_IS_NEW,
                                          .penalty = 2.5,
                                          .onsets = 7,
                                          .flaps = true},
                                         {.finding = {.cause = FINDING_GROUP_LATE,
                                                      .subject = GROUP_HOT,
                                                      .severity = SEVERITY_ERROR,
                                                      .because = FINDING_BREAKER_OPEN,
                                                      .since = {MESSAGE_AT - 90000000},
                                                      .value = 47.5,
                                                      .limit = 30},
                                          .change = ALERT_IS_WORSE,
                                          .before = SEVERITY_WARNING,
                                          .onsets = 1},
                                         {.finding = {.cause = FINDING_JOB_LATE,
                                                      .subject = JOB_EXPORT,
                                                      .severity = SEVERITY_WARNING,
                                                      .because = FINDING_CAUSE_COUNT,
                                                      .since = {MESSAGE_AT - 900000000},
                                                      .value = 20,
                                                      .limit = 10},
                                          .change = ALERT_IS_OVER,
                                          .ended = {MESSAGE_AT - 60000000},
                                          .onsets = 1}}};
}

#endif
