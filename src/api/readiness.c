/* See readiness.h. */
#include "api/readiness.h"

#include "api/page_view.h"
#include "core/token_table.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define MAXIMUM_AGE_SLACK 1.05 /* the oldest goes first and is answered a little later */

__attribute__((format(printf, 2, 3))) static void add_reason(struct readiness *out,
                                                             const char *format, ...)
{
    if (out->count == READINESS_REASONS_MAX)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out->reasons[out->count++], READINESS_REASON_SIZE, format, arguments);
    va_end(arguments);
}

static void judge_engine(const struct status_page *page, const struct page_texts *texts,
                         instant now, struct readiness *out)
{
    double age = heartbeat_age_s(page, now);
    if (isnan(age))
        add_reason(out, "the engine has not started");
    else if (age > HEARTBEAT_LATE_S)
        add_reason(out, "the engine has not moved for %.0f s", age);
    if (!texts->options.scheduler_enabled)
        add_reason(out, "the scheduler is off (scheduler_enabled = false): nothing is fetched");
}

static void judge_store(const struct status_page *page, const struct page_texts *texts,
                        struct readiness *out)
{
    if (page_get(page, GAUGE_STORE_OK) == 0)
        add_reason(out, "the store takes no writes: %s", texts->store_message);
}

/* Silent when somebody waits for several targets and nothing came in that time. A group that tokens
 * have only just entered is not. */
static void judge_group(const struct status_page *page, const struct page_texts *texts,
                        enum token_group group, struct readiness *out, instant now)
{
    const struct page_group *state = &page->groups[group];
    double target = (double)page_word(&state->target_us) / 1e6;
    double oldest = (double)page_word(&state->oldest_age_us) / 1e6;
    double since = (double)page_word(&state->last_answer_us) / 1e6;
    double silence = (double)now.us / 1e6 - since;
    double late = fmax(GROUP_LATE_TARGETS * target, GROUP_LATE_MIN_S);
    if (!texts->options.scheduler_enabled || oldest <= late || silence <= late)
        return;
    const char *cause = texts->feed_message;
    if (since <= 0)
        add_reason(out, "no %s token has been refreshed since the start%s%s",
                   token_group_name(group), cause[0] != '\0' ? ": " : "", cause);
    else
        add_reason(out, "no %s token was refreshed for %.0f s (target %.0f s)%s%s",
                   token_group_name(group), silence, target, cause[0] != '\0' ? ": " : "", cause);
}

/* Past the maximum age the ages stretch together: nobody starves, but the promise is broken. */
static void judge_ages(const struct status_page *page, const struct page_texts *texts,
                       enum token_group group, struct readiness *out)
{
    double oldest = (double)page_word(&page->groups[group].oldest_age_us) / 1e6;
    double most = texts->options.maximum_age_sec;
    if (texts->options.scheduler_enabled && oldest > most * MAXIMUM_AGE_SLACK)
        add_reason(out,
                   "a %s token is %.0f s old, over maximum_age_sec (%.0f): the upstream's limits "
                   "do not suffice for so many tokens",
                   token_group_name(group), oldest, most);
}

void readiness_judge(const struct status_page *page, const struct page_texts *texts, instant now,
                     struct readiness *out)
{
    out->count = 0;
    judge_engine(page, texts, now, out);
    judge_store(page, texts, out);
    judge_group(page, texts, GROUP_HOT, out, now);
    judge_group(page, texts, GROUP_COLD, out, now);
    judge_ages(page, texts, GROUP_HOT, out);
    judge_ages(page, texts, GROUP_COLD, out);
}
