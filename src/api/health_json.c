/* See health_json.h. */
#include "api/health_json.h"

#include "api/answer.h"
#include "api/page_view.h"
#include "api/token_json.h"
#include <inttypes.h>
#include <stdio.h>

static void json_context(struct json *json, const struct finding *finding)
{
    char advice[FINDING_TEXT_SIZE];
    bool stands_alone = finding->because == FINDING_CAUSE_COUNT;
    finding_advice(finding, advice);
    json_object_open(json, "context");
    json_put_string(json, "cause", finding_name(finding->cause));
    json_text(json, "subject", finding_subject_name(finding->cause, finding->subject));
    json_put_double(json, "value", finding->value);
    json_put_double(json, "limit", finding->limit);
    json_put_string(json, "unit", finding_unit_name(finding_unit(finding->cause)));
    json_put_string(json, "because", stands_alone ? NULL : finding_name(finding->because));
    json_put_string(json, "what_to_do", advice);
    json_object_close(json);
}

/* The same as long as it is the same finding. */
static void json_correlation(struct json *json, const struct finding *finding)
{
    char correlation[128];
    const char *subject = finding_subject_name(finding->cause, finding->subject);
    snprintf(correlation, sizeof correlation, "%s%s%s-%" PRId64, finding_name(finding->cause),
             subject[0] != '\0' ? "-" : "", subject, finding->since.us);
    json_put_string(json, "correlation_id", correlation);
}

static void json_alert(struct json *json, const struct finding *finding)
{
    char message[FINDING_TEXT_SIZE];
    finding_text(finding, message);
    json_object_open(json, NULL);
    json_put_string(json, "level", severity_name(finding->severity));
    json_put_string(json, "message", message);
    json_put_string(json, "component", component_name(finding_component(finding->cause)));
    json_instant(json, "timestamp", finding->since);
    json_correlation(json, finding);
    json_context(json, finding);
    json_object_close(json);
}

static struct health_view seen_by(const struct health_page *look, unsigned components)
{
    struct health_view view = health_of(&look->health, components);
    const struct finding *down = findings_get(&look->health.findings, FINDING_ENGINE_DOWN, 0);
    if (down != NULL)
        findings_add(&view.findings, down);
    view.health = findings_health(&view.findings);
    return view;
}

void json_health(const struct health_page *look, unsigned components)
{
    struct health_view view = seen_by(look, components);
    json_put_string(look->json, "status", health_name(view.health));
    json_array_open(look->json, "alerts");
    for (uint32_t i = 0; i < view.findings.count; i++)
        json_alert(look->json, &view.findings.of[i]);
    json_array_close(look->json);
}

void json_reasons_of(struct json *json, const struct findings *findings)
{
    json_array_open(json, "reasons");
    for (int severity = SEVERITY_CRITICAL; severity > SEVERITY_INFO; severity--)
        for (uint32_t i = 0; i < findings->count; i++) {
            char message[FINDING_TEXT_SIZE];
            if ((int)findings->of[i].severity != severity)
                continue;
            finding_text(&findings->of[i], message);
            json_put_string(json, NULL, message);
        }
    json_array_close(json);
}

void json_reasons(const struct health_page *look)
{
    json_reasons_of(look->json, &look->health.findings);
}

void json_components_health(const struct health_page *look)
{
    json_object_open(look->json, "components");
    for (unsigned i = 0; i < COMPONENT_COUNT; i++)
        json_put_string(look->json, component_name((enum component)i),
                        health_name(seen_by(look, COMPONENT_BIT(i)).health));
    json_object_close(look->json);
}

void answer_health(struct request *request, unsigned components,
                   void (*members)(const struct health_page *look))
{
    struct page_texts texts;
    struct json json = {0};
    struct health_page look = {&json, request->api->world.page, &texts, clock_now(), {0}};
    if (!page_view(request, &texts))
        return;
    health_look(look.page, look.now, &look.health);
    json_object_open(&json, NULL);
    json_health(&look, components);
    members(&look);
    json_instant(&json, "last_check",
                 (instant){(int64_t)page_word(&look.page->load.sampled_at_us)});
    json_object_close(&json);
    answer_json(request, MHD_HTTP_OK, &json);
}
