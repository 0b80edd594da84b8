/* GET /health/comprehensive: everything that is wrong, and the health of each component. GET
 * /health/detailed: the same with all that the components say of themselves. */
#include "api/handlers.h"
#include "api/health_json.h"

#define ALL_COMPONENTS (COMPONENT_BIT(COMPONENT_COUNT) - 1)

static void json_part(const struct health_page *look, const char *key,
                      void (*members)(const struct health_page *look))
{
    json_object_open(look->json, key);
    members(look);
    json_object_close(look->json);
}

static void json_comprehensive(const struct health_page *look)
{
    json_reasons(look);
    json_components_health(look);
    json_part(look, "scheduler", json_scheduler);
    json_part(look, "performance", json_performance);
}

static void json_detailed(const struct health_page *look)
{
    json_comprehensive(look);
    json_part(look, "resources", json_resources);
    json_part(look, "feeds", json_feeds);
    json_part(look, "store", json_store);
    json_part(look, "cluster", json_cluster);
}

void handle_comprehensive(struct request *request)
{
    answer_health(request, ALL_COMPONENTS, json_comprehensive);
}

void handle_detailed(struct request *request)
{
    answer_health(request, ALL_COMPONENTS, json_detailed);
}
