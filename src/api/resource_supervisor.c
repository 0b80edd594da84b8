/* GET /health/supervisor: the processes, what was healed, and whom it left with a suspicion. */
#include "api/answer.h"
#include "api/aside.h"
#include "api/handlers.h"
#include "api/incidents.h"
#include "api/page_view.h"
#include "api/readiness.h"
#include "api/token_json.h"
#include "base/clock.h"
#include "base/confine.h"
#include "core/breaker.h"
#include "core/lane_kind.h"
#include "page/engine_state.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Whoever asks while somebody is late for a moment shall not be alarmed. */
#define BEAT_SLACK 2.0

static const enum counter healing_counters[] = {
    COUNTER_REQUESTS_CANCELLED,
    COUNTER_BREAKER_OPENED,
    COUNTER_JOBS_RERUN,
    COUNTER_GRACEFUL_RESTARTS,
    COUNTER_EMERGENCY_RESTARTS,
    COUNTER_QUARANTINED,
    COUNTER_WARM_STARTS,
    COUNTER_COLD_STARTS,
    COUNTER_HANGS,
    COUNTER_STARVED,
    COUNTER_API_RESTARTS,
    COUNTER_INCIDENTS,
    COUNTER_INCIDENTS_LOST,
    COUNTER_SUSPECTS_UNSAVED,
};

/* ---- processes ---- */

static double patience_s(const struct api *api, enum beat beat)
{
    uint64_t patience_us = page_word(&api->world.page->beats[beat].patience_us);
    return patience_us > 0 ? (double)patience_us / 1e6
                           : (double)api->options.heartbeat_deadline_ms / 1e3;
}

/* Of the feed's workers only those that there are: they have beaten. */
static bool is_shown(enum beat beat, double age)
{
    return age >= 0 || beat < BEAT_FEED_WORKER_1 || beat > BEAT_FEED_WORKER_16;
}

static void json_heartbeats(struct json *json, const struct api *api, enum page_process_id process,
                            instant now)
{
    json_array_open(json, "heartbeats");
    for (enum beat beat = 0; beat < BEAT_COUNT; beat++) {
        double age = page_beat_age_s(api->world.page, beat, now);
        if (beat_process(beat) != process || !is_shown(beat, age))
            continue;
        json_object_open(json, NULL);
        json_put_string(json, "name", beat_name(beat));
        json_put_double(json, "age_s", age < 0 ? NAN : age);
        json_put_double(json, "patience_s", patience_s(api, beat));
        json_object_close(json);
    }
    json_array_close(json);
}

static instant word_instant(const _Atomic uint64_t *word)
{
    return (instant){(int64_t)page_word(word)};
}

/* What it gave up, by the kernel's hand. */
static void json_confinement(struct json *json, unsigned confined)
{
    json_array_open(json, "sandbox");
    for (enum confine_part part = 0; part < CONFINE_PART_COUNT; part++)
        if ((confined & 1U << part) != 0)
            json_put_string(json, NULL, confine_part_name(part));
    json_array_close(json);
}

static void json_process(struct json *json, const struct api *api, enum page_process_id id,
                         instant now)
{
    const struct page_process *process = &api->world.page->processes[id];
    enum process_state state = (enum process_state)page_word(&process->state);
    uint64_t pid = page_word(&process->pid), resident = page_word(&process->resident_bytes);
    instant started = word_instant(&process->started_at_us);
    bool lives = pid != 0 && !instant_is_never(started);
    json_object_open(json, NULL);
    json_put_string(json, "name", process_name(id));
    json_put_string(json, "state", process_state_name(state));
    if (pid != 0)
        json_put_int(json, "pid", (int64_t)pid);
    else
        json_put_null(json, "pid");
    json_put_int(json, "starts", (int64_t)page_word(&process->starts));
    json_instant(json, "started_at", started);
    json_instant(json, "ready_at", word_instant(&process->ready_at_us));
    json_instant(json, "next_start_at",
                 state == PROCESS_WAITING ? word_instant(&process->next_start_at_us)
                                          : INSTANT_NEVER);
    json_put_double(json, "uptime_s", lives ? duration_to_s(instant_diff(now, started)) : NAN);
    json_put_int(json, "restarts_last_hour", (int64_t)page_word(&process->deaths_last_hour));
    json_heartbeats(json, api, id, now);
    json_confinement(json, (unsigned)page_word(&process->confined));
    json_put_double(json, "resident_mb", resident > 0 ? (double)resident / 1e6 : NAN);
    json_object_close(json);
}

static void json_healing(struct json *json, const struct status_page *page)
{
    json_object_open(json, "healing");
    for (size_t i = 0; i < sizeof healing_counters / sizeof healing_counters[0]; i++)
        json_put_int(json, counter_name(healing_counters[i]),
                     (int64_t)page_word(&page->counters[healing_counters[i]]));
    json_object_close(json);
}

/* ---- suspects ---- */

/* A copy of a row; its state tells before and after that it is one. */
static bool suspect_read(const struct suspect *row, enum suspect_state wanted, struct suspect *out)
{
    if (atomic_load_explicit(&row->state, memory_order_acquire) != wanted)
        return false;
    memcpy(out, row, sizeof *out);
    return atomic_load_explicit(&row->state, memory_order_acquire) == wanted;
}

static void json_suspect(struct json *json, const struct suspect *suspect)
{
    json_object_open(json, NULL);
    json_address(json, "mint_address", &suspect->mint);
    json_instant(json, "since", (instant){suspect->since_us});
    if (suspect->state == SUSPECT_QUARANTINED)
        json_instant(json, "until", (instant){suspect->until_us});
    json_put_int(json, "deaths", suspect->deaths);
    json_put_string(json, "lane",
                    suspect->lane < LANE_KIND_COUNT ? lane_kind_name((enum lane_kind)suspect->lane)
                                                    : NULL);
    json_object_close(json);
}

static void json_suspects(struct json *json, const char *key, const struct status_page *page,
                          enum suspect_state state)
{
    json_array_open(json, key);
    for (size_t i = 0; i < SUSPECTS_MAX; i++) {
        struct suspect suspect;
        if (suspect_read(&page->suspects.rows[i], state, &suspect))
            json_suspect(json, &suspect);
    }
    json_array_close(json);
}

/* ---- the judgement ---- */

static void judge_beats(const struct api *api, instant now, struct readiness *out)
{
    for (enum beat beat = 0; beat < BEAT_COUNT; beat++) {
        double age = page_beat_age_s(api->world.page, beat, now);
        if (age > BEAT_SLACK * patience_s(api, beat))
            readiness_add(out, "the %s has not moved for %.1f s", beat_name(beat), age);
    }
}

static void judge_past(const struct status_page *page, struct readiness *out)
{
    for (enum page_process_id id = PROCESS_ENGINE; id < PROCESS_COUNT; id++) {
        uint64_t deaths = page_word(&page->processes[id].deaths_last_hour);
        if (deaths > 0)
            readiness_add(out, "restarts of the %s within the last hour: %llu", process_name(id),
                          (unsigned long long)deaths);
    }
    size_t quarantined = suspects_count(&page->suspects, SUSPECT_QUARANTINED);
    if (quarantined > 0)
        readiness_add(out, "tokens in quarantine: %zu", quarantined);
    if (page_get(page, GAUGE_BREAKER) > 0)
        readiness_add(out, "the circuit breaker of the upstream is not closed");
    if (page_word(&page->is_paused) != 0)
        readiness_add(out, "%s", finding_sentence(FINDING_PAUSED));
}

/* Critical is what keeps tokens from being refreshed and nobody asked for. */
static void json_judgement(struct json *json, const struct api *api, instant now)
{
    struct readiness reasons = {0};
    char why[ENGINE_WHY_SIZE];
    if (!engine_is_up(api->world.page)) {
        engine_down_why(api->world.page, now, why);
        readiness_add(&reasons, "%s", why);
    }
    judge_beats(api, now, &reasons);
    bool is_critical = reasons.count > 0;
    judge_past(api->world.page, &reasons);
    json_put_string(json, "status",
                    is_critical         ? "critical"
                    : reasons.count > 0 ? "degraded"
                                        : "healthy");
    json_array_open(json, "reasons");
    for (unsigned i = 0; i < reasons.count; i++)
        json_put_string(json, NULL, reasons.reasons[i]);
    json_array_close(json);
}

/* ---- the whole ---- */

struct supervisor_answer {
    const struct api *api;
    struct json incident; /* the newest; empty: none that can be shown */
};

static void json_breaker(struct json *json, const struct status_page *page)
{
    double state = page_get(page, GAUGE_BREAKER);
    bool is_known = state >= 0 && state < BREAKER_STATE_COUNT;
    json_put_string(json, "breaker",
                    is_known ? breaker_state_name((enum breaker_state)state) : NULL);
}

static void json_incident(struct json *json, const struct json *incident)
{
    if (incident->length > 0)
        json_put_raw(json, "last_incident", incident->text, incident->length);
    else
        json_put_null(json, "last_incident");
}

static void answer_supervisor(struct request *request)
{
    const struct supervisor_answer *answer = request->state;
    const struct api *api = request->api;
    const struct status_page *page = api->world.page;
    instant now = clock_now();
    struct json json = {0};
    json_object_open(&json, NULL);
    json_judgement(&json, api, now);
    json_array_open(&json, "processes");
    for (enum page_process_id id = 0; id < PROCESS_COUNT; id++)
        json_process(&json, api, id, now);
    json_array_close(&json);
    json_healing(&json, page);
    json_breaker(&json, page);
    json_put_bool(&json, "paused", page_word(&page->is_paused) != 0);
    json_suspects(&json, "suspects", page, SUSPECT_WATCHED);
    json_suspects(&json, "quarantine", page, SUSPECT_QUARANTINED);
    json_incident(&json, &answer->incident);
    json_object_close(&json);
    answer_json(request, MHD_HTTP_OK, &json);
}

static void read_incident(void *state)
{
    struct supervisor_answer *answer = state;
    uint64_t newest = page_word(&answer->api->world.page->incident);
    /* One that is missing or damaged is null here; /incidents says more. */
    if (incident_put(&answer->incident, NULL, answer->api->incidents_folder, newest) != OK)
        json_reset(&answer->incident);
}

static void answer_free(struct request *request)
{
    struct supervisor_answer *answer = request->state;
    json_finish(&answer->incident);
    free(answer);
}

void handle_supervisor(struct request *request)
{
    struct supervisor_answer *answer = calloc(1, sizeof *answer);
    if (answer == NULL) {
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
        return;
    }
    answer->api = request->api;
    request->state = answer;
    request->state_free = answer_free;
    if (page_word(&request->api->world.page->incident) == 0)
        answer_supervisor(request);
    else
        aside_ask(request->api->aside, request, read_incident, answer_supervisor);
}
