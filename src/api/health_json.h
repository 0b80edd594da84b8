/* Health as JSON: the pieces that the resources of /health share. What is unknown is null. */
#ifndef MOONWATCH_API_HEALTH_JSON_H
#define MOONWATCH_API_HEALTH_JSON_H

#include "base/json.h"
#include "page/health_view.h"

/* What a resource shows. */
struct health_page {
    struct json *json;
    const struct status_page *page;
    const struct page_texts *texts;
    instant now;
    struct health_view health; /* of everything */
};

#define COMPONENT_BIT(component) (1U << (component))

/* "status", and "alerts": the findings of these components (COMPONENT_BIT()), as
 * {level, message, component, timestamp, correlation_id, context: {cause, subject, value, limit,
 * unit, because, what_to_do}}. An engine that is down is an alert of all of them. */
void json_health(const struct health_page *look, unsigned components);
/* "reasons": what is wrong, a sentence each, the worst first. */
void json_reasons(const struct health_page *look);
void json_reasons_of(struct json *json, const struct findings *findings);
/* "components": name → status. */
void json_components_health(const struct health_page *look);

/* Members of the object that is open. */
void json_scheduler(const struct health_page *look);   /* resource_scheduler.c */
void json_performance(const struct health_page *look); /* resource_performance.c */
void json_resources(const struct health_page *look);   /* resource_load.c */
void json_feeds(const struct health_page *look);       /* resource_feeds.c */
void json_store(const struct health_page *look);       /* resource_store.c */
void json_cluster(const struct health_page *look);     /* resource_cluster.c */

struct request;

/* Answers with an object that begins with json_health() of these components, goes on with what
 * `members` writes, and ends with "last_check". */
void answer_health(struct request *request, unsigned components,
                   void (*members)(const struct health_page *look));

#endif
