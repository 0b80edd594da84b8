/* GET /health/store: whether changes reach the disk, and how soon. */
#include "api/handlers.h"
#include "api/health_json.h"
#include "api/token_json.h"
#include "core/core.h"
#include "page/load_view.h"
#include <math.h>

static void json_gauge(const struct health_page *look, const char *key, enum gauge gauge)
{
    json_put_double(look->json, key, page_get(look->page, gauge));
}

static void json_counter(const struct health_page *look, const char *key, enum counter counter)
{
    json_put_int(look->json, key, (int64_t)page_word(&look->page->counters[counter]));
}

void json_store(const struct health_page *look)
{
    double writes = page_get(look->page, GAUGE_STORE_OK);
    if (isnan(writes))
        json_put_null(look->json, "takes_writes");
    else
        json_put_bool(look->json, "takes_writes", writes != 0);
    json_text(look->json, "message", look->texts->store_message);
    json_counter(look, "commits", COUNTER_STORE_COMMITS);
    json_counter(look, "failures", COUNTER_STORE_FAILURES);
    json_counter(look, "rows", COUNTER_STORE_ROWS);
    json_put_double(look->json, "commit_ms",
                    page_get(look->page, GAUGE_STORE_COMMIT_SECONDS) * 1e3);
    json_gauge(look, "queue_rows", GAUGE_STORE_QUEUE);
    json_put_int(look->json, "queue_limit_rows", look->texts->options.store_queue_limit);
    json_gauge(look, "dirty_tokens", GAUGE_STORE_DIRTY);
    json_counter(look, "snapshots_dropped", COUNTER_SNAPSHOTS_DROPPED);
    json_counter(look, "events_dropped", COUNTER_EVENTS_DROPPED);
    json_gauge(look, "size_bytes", GAUGE_STORE_SIZE);
    json_put_double(look->json, "disk_percent",
                    load_reading(look->page, READING_DISK, look->now) * 100);
    json_put_double(look->json, "disk_free_bytes",
                    load_reading(look->page, READING_DISK_FREE, look->now));
}

/* The disk of the database is a resource; who asks for the store wants to know of it. */
void handle_store(struct request *request)
{
    answer_health(request, COMPONENT_BIT(COMPONENT_STORE) | COMPONENT_BIT(COMPONENT_RESOURCES),
                  json_store);
}
