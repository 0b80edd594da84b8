/* See health_view.h. */
#include "page/health_view.h"

#include "page/engine_state.h"
#include "page/load_view.h"
#include "page/turns.h"
#include <assert.h>
#include <math.h>
#include <string.h>

#define READ_ATTEMPTS_MAX 100

_Static_assert((int)WATCHED_PROCESS_COUNT == (int)PROCESS_COUNT, "the page's processes");
_Static_assert((int)WATCHED_ENGINE == (int)PROCESS_ENGINE, "in the page's order");
_Static_assert((int)WATCHED_API == (int)PROCESS_API, "in the page's order");

/* ---- onto the page and from it ---- */

_Static_assert(sizeof(struct findings) % sizeof(uint64_t) == 0, "whole words");

void health_publish(struct status_page *page, const struct findings *findings)
{
    turns_put(&page->health.turn, page->health.findings, sizeof *findings, findings);
}

/* False: nothing was published, or it changes faster than it can be read. */
static bool read_page(const struct page_health *health, struct findings *out)
{
    uint64_t turn;
    return turns_take(&health->turn, health->findings, sizeof *out, out, READ_ATTEMPTS_MAX,
                      &turn) &&
           turn != 0;
}

static bool is_sound(const struct finding *finding)
{
    return (unsigned)finding->cause < FINDING_CAUSE_COUNT &&
           (unsigned)finding->severity < SEVERITY_COUNT &&
           (unsigned)finding->because <= FINDING_CAUSE_COUNT;
}

static void take_sound(const struct findings *from, struct findings *to)
{
    uint32_t count = from->count < FINDINGS_MAX ? from->count : FINDINGS_MAX;
    for (uint32_t i = 0; i < count; i++)
        if (is_sound(&from->of[i]))
            findings_add(to, &from->of[i]);
}

/* ---- what no engine can find ---- */

static bool is_engine_still(const struct status_page *page, instant now)
{
    double age_s = page_beat_age_s(page, BEAT_ENGINE_LOOP, now);
    return age_s < 0 || age_s > ENGINE_STILL_S;
}

static instant engine_down_since(const struct status_page *page, instant now)
{
    uint64_t beat = page_word(&page->beats[BEAT_ENGINE_LOOP].at_us);
    return beat == 0 ? now : (instant){(int64_t)beat};
}

static void find_processes(const struct status_page *page, instant now, struct findings *out)
{
    for (unsigned i = 0; i < PROCESS_COUNT; i++) {
        double deaths = (double)page_word(&page->processes[i].deaths_last_hour);
        struct finding finding = {.cause = FINDING_RESTARTED,
                                  .subject = (uint8_t)i,
                                  .severity = SEVERITY_WARNING,
                                  .because = FINDING_CAUSE_COUNT,
                                  .since = now,
                                  .value = deaths,
                                  .limit = NAN};
        if (deaths > 0)
            findings_add(out, &finding);
    }
}

static void find_engine_down(const struct status_page *page, instant now, struct findings *out)
{
    struct finding down = {.cause = FINDING_ENGINE_DOWN,
                           .severity = SEVERITY_CRITICAL,
                           .because = FINDING_CAUSE_COUNT,
                           .since = engine_down_since(page, now),
                           .value = NAN,
                           .limit = NAN};
    findings_add(out, &down);
    find_processes(page, now, out);
}

/* The engine lives and has stopped to look: what it knew is not known any more. */
static void find_blindness(const struct status_page *page, instant now, struct findings *out)
{
    static const enum load_signal_id signals[] = {SIGNAL_CPU, SIGNAL_MEMORY, SIGNAL_DESCRIPTORS};
    uint64_t looked = page_word(&page->load.sampled_at_us);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct finding finding = {.cause = FINDING_LOAD_UNKNOWN,
                                  .subject = (uint8_t)signals[i],
                                  .severity = SEVERITY_WARNING,
                                  .because = FINDING_CAUSE_COUNT,
                                  .since = {(int64_t)looked},
                                  .value = NAN,
                                  .limit = NAN};
        if (looked != 0 && !load_is_known(page, now))
            findings_add(out, &finding);
    }
}

void health_look(const struct status_page *page, instant now, struct health_view *out)
{
    struct findings published;
    memset(out, 0, sizeof *out);
    if (!engine_is_up(page) || is_engine_still(page, now))
        find_engine_down(page, now, &out->findings);
    else if (read_page(&page->health, &published))
        take_sound(&published, &out->findings);
    if (!findings_get(&out->findings, FINDING_ENGINE_DOWN, 0))
        find_blindness(page, now, &out->findings);
    out->health = findings_health(&out->findings);
}

struct health_view health_of(const struct health_view *view, unsigned components)
{
    struct health_view out = {.health = HEALTH_HEALTHY};
    for (uint32_t i = 0; i < view->findings.count; i++)
        if (components >> finding_component(view->findings.of[i].cause) & 1)
            out.findings.of[out.findings.count++] = view->findings.of[i];
    out.health = findings_health(&out.findings);
    return out;
}
