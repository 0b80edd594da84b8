/* See readiness.h. */
#include "api/readiness.h"

#include "api/engine_state.h"
#include "api/page_view.h"
#include "core/token_table.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define MAXIMUM_AGE_SLACK 1.05 /* the oldest goes first and is answered a little later */

void readiness_add(struct readiness *out, const char *format, ...)
{
    if (out->count == READINESS_REASONS_MAX)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out->reasons[out->count++], READINESS_REASON_SIZE, format, arguments);
    va_end(arguments);
}

static void judge_engine(const struct status_page *page, instant now, struct readiness *out)
{
    char why[ENGINE_WHY_SIZE];
    double age = heartbeat_age_s(page, now);
    if (!engine_is_up(page)) {
        engine_down_why(page, now, why);
        readiness_add(out, "%s", why);
    } else if (isnan(age)) {
        readiness_add(out, "the engine has not started");
    } else if (age > HEARTBEAT_LATE_S) {
        readiness_add(out, "the engine has not moved for %.0f s", age);
    } else if (page_get(page, GAUGE_LOADING) == 1) {
        readiness_add(out, "%s", LOADING_SENTENCE);
    }
}

static void judge_scheduler(const struct status_page *page, const struct page_texts *texts,
                            struct readiness *out)
{
    if (!texts->options.scheduler_enabled)
        readiness_add(out, "the scheduler is off (scheduler_enabled = false): nothing is fetched");
    if (page_word(&page->is_paused) != 0)
        readiness_add(out, PAUSED_SENTENCE);
}

/* Where it is not, silence and ages are no news. */
static bool is_fetching(const struct status_page *page, const struct page_texts *texts)
{
    return texts->options.scheduler_enabled && page_word(&page->is_paused) == 0;
}

static void judge_store(const struct status_page *page, const struct page_texts *texts,
                        struct readiness *out)
{
    if (page_get(page, GAUGE_STORE_OK) == 0)
        readiness_add(out, "the store takes no writes: %s", texts->store_message);
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
    if (!is_fetching(page, texts) || oldest <= late || silence <= late)
        return;
    const char *cause = texts->feed_message;
    if (since <= 0)
        readiness_add(out, "no %s token has been refreshed since the start%s%s",
                      token_group_name(group), cause[0] != '\0' ? ": " : "", cause);
    else
        readiness_add(out, "no %s token was refreshed for %.0f s (target %.0f s)%s%s",
                      token_group_name(group), silence, target, cause[0] != '\0' ? ": " : "",
                      cause);
}

/* Past the maximum age the ages stretch together: nobody starves, but the promise is broken. */
static void judge_ages(const struct status_page *page, const struct page_texts *texts,
                       enum token_group group, struct readiness *out)
{
    double oldest = (double)page_word(&page->groups[group].oldest_age_us) / 1e6;
    double most = texts->options.maximum_age_sec;
    if (is_fetching(page, texts) && oldest > most * MAXIMUM_AGE_SLACK)
        readiness_add(
            out,
            "a %s token is %.0f s old, over maximum_age_sec (%.0f): the upstream's limits "
            "do not suffice for so many tokens",
            token_group_name(group), oldest, most);
}

void readiness_judge(const struct status_page *page, const struct page_texts *texts, instant now,
                     struct readiness *out)
{
    out->count = 0;
    judge_engine(page, now, out);
    judge_scheduler(page, texts, out);
    judge_store(page, texts, out);
    judge_group(page, texts, GROUP_HOT, out, now);
    judge_group(page, texts, GROUP_COLD, out, now);
    judge_ages(page, texts, GROUP_HOT, out);
    judge_ages(page, texts, GROUP_COLD, out);
}
