/*
 * GET /health/forecast: for each signal its course, when it will reach its threshold and how sure
 * that is, and how good the forecasts before were.
 */
#include "api/handlers.h"
#include "api/health_json.h"
#include "api/token_json.h"
#include "core/vitals.h"
#include <math.h>

static void json_bits(struct json *json, const char *key, const _Atomic uint64_t *bits)
{
    json_put_double(json, key, page_bits(bits));
}

static void json_count(struct json *json, const char *key, const _Atomic uint64_t *word)
{
    json_put_int(json, key, (int64_t)page_word(word));
}

static void json_vital(struct json *json, const struct page_vital *page, enum vital vital)
{
    json_object_open(json, NULL);
    json_put_string(json, "signal", vital_name(vital));
    json_put_string(json, "what", vital_help(vital));
    json_put_string(json, "unit", vital_unit(vital));
    json_put_string(json, "hurts", vital_side(vital) == FORECAST_RISES ? "above" : "below");
    json_put_string(json, "state", vital_state_name((enum vital_state)page_word(&page->state)));
    json_instant(json, "since", (instant){(int64_t)page_word(&page->since_us)});
    json_bits(json, "value", &page->value_bits);
    json_bits(json, "threshold", &page->threshold_bits);
    json_bits(json, "level", &page->level_bits);
    json_bits(json, "slope_per_second", &page->slope_bits);
    json_bits(json, "anomaly_score", &page->anomaly_bits);
    json_bits(json, "seconds_to_threshold", &page->eta_bits);
    json_bits(json, "confidence", &page->confidence_bits);
    json_count(json, "hits", &page->hits);
    json_count(json, "false", &page->false_alarms);
    json_count(json, "missed", &page->missed);
    json_bits(json, "median_lead_seconds", &page->median_lead_bits);
    json_object_close(json);
}

static void json_forecast(const struct health_page *look)
{
    uint64_t hits = 0, false_alarms = 0, missed = 0;
    json_array_open(look->json, "signals");
    for (int i = 0; i < VITAL_COUNT; i++) {
        const struct page_vital *vital = &look->page->vitals[i];
        json_vital(look->json, vital, (enum vital)i);
        hits += page_word(&vital->hits);
        false_alarms += page_word(&vital->false_alarms);
        missed += page_word(&vital->missed);
    }
    json_array_close(look->json);
    json_put_double(look->json, "horizon_seconds", look->texts->options.forecast_horizon_sec);
    json_put_int(look->json, "hits", (int64_t)hits);
    json_put_int(look->json, "false", (int64_t)false_alarms);
    json_put_int(look->json, "missed", (int64_t)missed);
}

void handle_forecast(struct request *request)
{
    answer_health(request, COMPONENT_BIT(COMPONENT_FORECAST), json_forecast);
}
