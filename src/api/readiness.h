/*
 * Whether tokens are being kept fresh, and if not, why: sentences for a person. They are those of
 * the findings that mean so (finding_is_unready()), with what the engine says of them besides. What
 * the page says by itself (paused, the store) counts at once, before the engine has judged.
 */
#ifndef MOONWATCH_API_READINESS_H
#define MOONWATCH_API_READINESS_H

#include "page/status_page.h"

#define READINESS_REASONS_MAX 8
#define READINESS_REASON_SIZE 640 /* a sentence, and what the engine says */

struct readiness {
    unsigned count; /* 0: ready */
    char reasons[READINESS_REASONS_MAX][READINESS_REASON_SIZE];
};

/* Beyond READINESS_REASONS_MAX they are left out. */
__attribute__((format(printf, 2, 3))) void readiness_add(struct readiness *out, const char *format,
                                                         ...);

void readiness_judge(const struct status_page *page, const struct page_texts *texts, instant now,
                     struct readiness *out);

#endif
