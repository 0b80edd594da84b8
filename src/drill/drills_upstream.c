/* Drills in which the upstream or the source fails. The market does it, on command. */
#include "core/core.h"
#include "drill/drill.h"
#include "drill/expect.h"
#include "drill/http.h"
#include "drill/look.h"
#include "feed/source.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define NOTICE_S   20.0
#define RECOVERY_S 20.0
#define HOLD_MS    3000 /* how long a fault lasts once it is noticed: a few targets */

/* ---- signs ---- */

static bool is_breaker_open(struct drill *drill)
{
    return look_gauge(drill, GAUGE_BREAKER) == BREAKER_OPEN &&
           look_moved(drill, COUNTER_BREAKER_OPENED) >= 1;
}

static bool is_latency_seen(struct drill *drill)
{
    for (int i = 0; i < LANE_KIND_COUNT; i++)
        if (atomic_load(&drill->sandbox.page->lanes[i].latency_us) > 1000000)
            return true;
    return false;
}

static bool is_resting(struct drill *drill)
{
    uint64_t now_us = (uint64_t)look_now(drill).us;
    for (int i = 0; i < LANE_KIND_COUNT; i++)
        if (atomic_load(&drill->sandbox.page->lanes[i].paused_until_us) > now_us)
            return true;
    return false;
}

static bool is_cancelled(struct drill *drill)
{
    return look_moved(drill, COUNTER_REQUESTS_CANCELLED) >= 1;
}

/* ---- what they have in common ---- */

/* An upstream that is down is no evidence: nobody is demoted or archived for it, nothing dies, and
 * what is known is served on, with its age. */
static void expect_patience(struct drill *drill)
{
    expect_same_processes(drill);
    expect_no_incident(drill);
    expect_moved(drill, COUNTER_ARCHIVED, 0);
    expect_answered(drill, 0);
}

struct upstream_fault {
    const char *json, *says, *options[7];
    struct drill_wait notice;
};

static void drill_upstream(struct drill *drill, const struct upstream_fault *fault)
{
    drill_set_up(drill, &(struct drill_setup){.options = fault->options});
    drill_strike(drill, "the upstream %s", fault->says);
    sandbox_market_fault(drill, fault->json);
    drill_await_notice(drill, &fault->notice);
    rest_ms(HOLD_MS);
    sandbox_market_mend(drill);
    drill_end_fault(drill, "the upstream is as before");
    drill_await_recovery(drill, RECOVERY_S);
    expect_patience(drill);
}

void drill_upstream_down(struct drill *drill)
{
    drill_upstream(drill, &(struct upstream_fault){
                              .json = "{\"fault\":\"down\"}",
                              .says = "refuses connections",
                              .notice = {is_breaker_open, NOTICE_S, "the breaker is open"}});
}

void drill_upstream_garbage(struct drill *drill)
{
    drill_upstream(drill,
                   &(struct upstream_fault){.json = "{\"fault\":\"garbage\"}",
                                            .says = "answers with garbage",
                                            .notice = {is_resting, NOTICE_S, "the lanes rest"}});
}

void drill_upstream_half(struct drill *drill)
{
    drill_upstream(drill, &(struct upstream_fault){
                              .json = "{\"fault\":\"half\"}",
                              .says = "hangs up in the middle of answers",
                              .notice = {is_breaker_open, NOTICE_S, "the breaker is open"}});
}

/* Two seconds, since the page shows a second's end: rests of one could fall between two looks. */
void drill_upstream_limits(struct drill *drill)
{
    drill_upstream(drill,
                   &(struct upstream_fault){.json = "{\"fault\":\"limit\",\"retry_after\":2}",
                                            .says = "answers with 429",
                                            .notice = {is_resting, NOTICE_S, "the lanes rest"}});
}

void drill_stuck_request(struct drill *drill)
{
    drill_upstream(
        drill, &(struct upstream_fault){
                   .json = "{\"fault\":\"hang\"}",
                   .says = "takes requests and answers none",
                   .options = {"--feed-connect-timeout-sec", "1", "--feed-first-byte-timeout-sec",
                               "1", "--feed-timeout-sec", "2", NULL},
                   .notice = {is_cancelled, NOTICE_S, "a request is cancelled"}});
    expect_moved_at_least(drill, COUNTER_REQUESTS_CANCELLED, 1);
}

/* Slow is not broken: the work goes on meanwhile. What it takes are connections. */
void drill_upstream_slow(struct drill *drill)
{
    static const char *const options[] = {"--feed-connections",
                                          "64",
                                          "--discover-monitoring-interval-sec",
                                          "60",
                                          "--discover-active-interval-sec",
                                          "60",
                                          NULL};
    drill_set_up(drill, &(struct drill_setup){.options = options});
    drill_strike(drill, "the upstream takes 1.5 s for every answer");
    sandbox_market_fault(drill, "{\"fault\":\"slow\",\"ms\":1500}");
    drill_await_notice(drill,
                       &(struct drill_wait){is_latency_seen, NOTICE_S, "the latency is seen"});
    drill->ended_at = look_now(drill);
    drill->ended_s = now_s();
    drill_await_recovery(drill, RECOVERY_S);
    drill_say(drill, "all that while it is slow");
    sandbox_market_mend(drill);
    drill_end_fault(drill, "the upstream is as before");
    drill_await_recovery(drill, RECOVERY_S);
    expect_moved(drill, COUNTER_BREAKER_OPENED, 0);
    expect_patience(drill);
}

/* ---- the source ---- */

#define GRADUATES 5

static bool is_source_gone(struct drill *drill)
{
    return look_gauge(drill, GAUGE_SOURCE_LIVE) == 0;
}

static bool is_source_live(struct drill *drill)
{
    return look_gauge(drill, GAUGE_SOURCE_LIVE) == 1;
}

static uint64_t count_subscriptions(const struct drill *drill)
{
    return atomic_load(&drill->sandbox.page->source_counts[SOURCE_ACKS]);
}

/* "Live" on the page may be a second old; an acknowledgement since the end is none of before. */
static uint64_t subscriptions_before;

static bool is_subscribed_again(struct drill *drill)
{
    return is_source_live(drill) && count_subscriptions(drill) > subscriptions_before;
}

/* It may be connected again by now, many times: that nothing is said there must not pass for life.
 */
static void expect_gone_for_now(struct drill *drill)
{
    double deadline = now_s() + HOLD_MS / 1000.0;
    while (now_s() < deadline) {
        if (is_source_live(drill))
            drill_fail(drill, "the source is shown as live, and says nothing");
        rest_ms(10);
    }
}

static json_t *graduates; /* of the market, as it names them */

static void graduate(struct drill *drill)
{
    char path[64];
    snprintf(path, sizeof path, "/graduate?count=%d", GRADUATES);
    struct http_answer answer = http_ask(&(struct http_question){
        .port = drill->sandbox.control_port, .method = "POST", .path = path});
    json_t *body = answer.body == NULL ? NULL : json_loads(answer.body, 0, NULL);
    graduates = json_incref(json_object_get(body, "mints"));
    json_decref(body);
    http_forget(&answer);
    if (json_array_size(graduates) != GRADUATES)
        drill_fail(drill, "the market lets nobody graduate");
    drill_say(drill, "%d tokens graduate", GRADUATES);
}

static bool are_graduates_known(struct drill *drill)
{
    for (size_t i = 0; i < GRADUATES; i++) {
        char path[128];
        snprintf(path, sizeof path, "/tokens/%s?history_limit=1",
                 json_string_value(json_array_get(graduates, i)));
        if (http_get_status(drill->sandbox.port, path) != 200)
            return false;
    }
    return true;
}

static void drill_source(struct drill *drill, const char *const faults[],
                         const char *const options[])
{
    drill_set_up(drill, &(struct drill_setup){.options = options});
    drill_await(drill, &(struct drill_wait){is_source_live, NOTICE_S, "the source is connected"});
    drill_strike(drill, "the source fails");
    for (; *faults != NULL; faults++)
        sandbox_market_fault(drill, *faults);
    drill_await_notice(drill, &(struct drill_wait){is_source_gone, NOTICE_S, "it is not live"});
    expect_gone_for_now(drill);
    subscriptions_before = count_subscriptions(drill);
    sandbox_market_mend(drill);
    drill_end_fault(drill, "the source is as before");
    drill_await(drill, &(struct drill_wait){is_subscribed_again, NOTICE_S, "we are subscribed"});
    graduate(drill);
    drill_await(drill, &(struct drill_wait){are_graduates_known, NOTICE_S,
                                            "tokens from the source are known"});
    drill_await_recovery(drill, RECOVERY_S);
    expect_patience(drill);
}

void drill_source_drops(struct drill *drill)
{
    static const char *const faults[] = {"{\"fault\":\"ws-refuse\",\"status\":503}",
                                         "{\"fault\":\"ws-drop\"}", NULL};
    drill_source(drill, faults, NULL);
}

void drill_source_silent(struct drill *drill)
{
    static const char *const faults[] = {"{\"fault\":\"ws-silent\"}", NULL};
    static const char *const options[] = {"--source-ping-sec", "1", "--source-pong-timeout-sec",
                                          "0.5", NULL};
    drill_source(drill, faults, options);
}
