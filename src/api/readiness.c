/* See readiness.h. */
#include "api/readiness.h"

#include "api/page_view.h"
#include "page/engine_state.h"
#include "page/health_view.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

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
    } else if (age > ENGINE_STILL_S) {
        readiness_add(out, "the engine has not moved for %.0f s", age);
    }
}

/* Before the core has judged, and where an engine that is down cannot. */
static void judge_page(const struct status_page *page, const struct page_texts *texts,
                       struct readiness *out)
{
    if (!texts->options.scheduler_enabled)
        readiness_add(out, "%s", finding_sentence(FINDING_SCHEDULER_OFF));
    if (page_word(&page->is_paused) != 0)
        readiness_add(out, "%s", finding_sentence(FINDING_PAUSED));
    if (engine_is_up(page) && page_get(page, GAUGE_LOADING) == 1)
        readiness_add(out, "%s", finding_sentence(FINDING_LOADING));
    if (page_get(page, GAUGE_STORE_OK) == 0)
        readiness_add(out, "%s%s%s", finding_sentence(FINDING_STORE_DOWN),
                      texts->store_message[0] != '\0' ? ": " : "", texts->store_message);
}

/* From its first moment on, and not only when that lasts. */
static void judge_node(const struct status_page *page, struct readiness *out)
{
    struct page_cluster cluster;
    if (engine_is_up(page) && cluster_read(page, &cluster) && cluster.state == NODE_JOINING)
        readiness_add(out, "this node waits to be let in among the nodes%s%s",
                      cluster.message[0] != '\0' ? ": " : "", cluster.message);
}

static bool is_judged_by_page(enum finding_cause cause)
{
    return cause == FINDING_SCHEDULER_OFF || cause == FINDING_PAUSED || cause == FINDING_LOADING ||
           cause == FINDING_STORE_DOWN || cause == FINDING_ENGINE_DOWN ||
           cause == FINDING_NODE_OUTSIDE;
}

static void judge_finding(const struct finding *finding, const struct page_texts *texts,
                          struct readiness *out)
{
    char text[FINDING_TEXT_SIZE];
    const char *cause = finding->cause == FINDING_GROUP_SILENT ? texts->feed_message : "";
    if (!finding_is_unready(finding->cause) || is_judged_by_page(finding->cause))
        return;
    finding_text(finding, text);
    readiness_add(out, "%s%s%s", text, cause[0] != '\0' ? ": " : "", cause);
}

void readiness_judge(const struct status_page *page, const struct page_texts *texts, instant now,
                     struct readiness *out)
{
    struct health_view health;
    out->count = 0;
    health_look(page, now, &health);
    judge_engine(page, now, out);
    judge_page(page, texts, out);
    judge_node(page, out);
    for (uint32_t i = 0; i < health.findings.count; i++)
        judge_finding(&health.findings.of[i], texts, out);
}
