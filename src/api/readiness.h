/* Whether tokens are being kept fresh, and if not, why: sentences for a person. */
#ifndef MOONWATCH_API_READINESS_H
#define MOONWATCH_API_READINESS_H

#include "page/status_page.h"

#define LOADING_SENTENCE "tokens are still being read from the store"

#define READINESS_REASONS_MAX 8
#define READINESS_REASON_SIZE 320

#define HEARTBEAT_LATE_S   5.0  /* the engine's loop turns at least every second */
#define GROUP_LATE_TARGETS 3.0  /* a group without an answer this many targets long is not kept */
#define GROUP_LATE_MIN_S   30.0 /* short targets are given the time of a slow request */

struct readiness {
    unsigned count; /* 0: ready */
    char reasons[READINESS_REASONS_MAX][READINESS_REASON_SIZE];
};

#define PAUSED_SENTENCE "the scheduler is paused: nothing is fetched until it is resumed"

/* Beyond READINESS_REASONS_MAX they are left out. */
__attribute__((format(printf, 2, 3))) void readiness_add(struct readiness *out, const char *format,
                                                         ...);

void readiness_judge(const struct status_page *page, const struct page_texts *texts, instant now,
                     struct readiness *out);

#endif
