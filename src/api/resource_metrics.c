/* GET /metrics. Ages are looked for in the whole table, so it is made aside. */
#include "api/answer.h"
#include "api/aside.h"
#include "api/handlers.h"
#include "api/metrics.h"
#include "base/clock.h"
#include <stdlib.h>

#define CONTENT_METRICS "text/plain; version=0.0.4; charset=utf-8"

static void show_metrics(struct request *request)
{
    struct api *api = request->api;
    struct health_view health;
    struct page_cluster cluster;
    struct metric_view view = {
        .page = api->world.page, .health = &health, .cluster = &cluster, .now = clock_now()};
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL) {
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
        return;
    }
    view.scan = freshness_look(api->freshness, api->world.table, view.page, view.now);
    health_look(view.page, view.now, &health);
    if (!cluster_read(view.page, &cluster))
        cluster.state = NODE_ALONE; /* unknown: left out */
    metrics_write(out, &view);
    if (fclose(out) == 0)
        answer_text(request, MHD_HTTP_OK, CONTENT_METRICS, text, length);
    else
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
    free(text);
}

void handle_metrics(struct request *request)
{
    aside_handle(request->api->scans, request, show_metrics);
}
