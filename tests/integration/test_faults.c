/*
 * Every fault that the market offers: counted under its cause, survived, and forgotten when it is
 * over. Meanwhile /health answers and nobody is lost, demoted or archived.
 *
 * activation_min_liquidity_usd is 0, so that no price of the market's demotes anybody either.
 */
#include "harness.h"

#define TOKENS       150
#define FRESH_S      (2.5 * SLOWNESS)
#define TIMEOUT_TEXT "0.4"

static const char *const market_options[] = {
    "--tokens", "150",           "--rpm",  "0", "--graduations-per-hour",
    "0",        "--replay-rate", "100000", NULL};
static const char *const daemon_options[] = {"--hot-interval-sec",
                                             "1",
                                             "--cold-interval-sec",
                                             "1",
                                             "--activation-interval-sec",
                                             "1",
                                             "--archiver-interval-sec",
                                             "1",
                                             "--discover-active-interval-sec",
                                             "10",
                                             "--discover-monitoring-interval-sec",
                                             "10",
                                             "--activation-min-liquidity-usd",
                                             "0",
                                             "--screen-requests-per-minute",
                                             "6000",
                                             "--refresh-requests-per-minute",
                                             "6000",
                                             "--discover-requests-per-minute",
                                             "6000",
                                             "--feed-connect-timeout-sec",
                                             TIMEOUT_TEXT,
                                             "--feed-first-byte-timeout-sec",
                                             TIMEOUT_TEXT,
                                             "--feed-timeout-sec",
                                             "2",
                                             "--feed-body-limit-kb",
                                             "1024",
                                             "--source-ping-sec",
                                             "1",
                                             "--source-pong-timeout-sec",
                                             "0.5",
                                             "--source-backoff-min-sec",
                                             "0.05",
                                             "--source-backoff-max-sec",
                                             "0.5",
                                             NULL};

static struct process *market, *daemon_;

/* ---- how it stands ---- */

struct standing {
    double tokens, activated, demoted, archived, dropped;
};

static void take_standing(struct standing *out)
{
    out->tokens = metric(daemon_, "tokens", NULL);
    out->activated = metric(daemon_, "tokens_activated_total", NULL);
    out->demoted = metric(daemon_, "tokens_demoted_total", NULL);
    out->archived = metric(daemon_, "tokens_archived_total", NULL);
    out->dropped = metric(daemon_, "store_snapshots_dropped_total", NULL);
}

static void expect_same_standing(const struct standing *before, const char *fault)
{
    struct standing after;
    take_standing(&after);
    /* A figure that is wrong and plausible activates; then the end of the fault demotes again. */
    bool demotes = after.demoted - before->demoted > after.activated - before->activated;
    if (after.tokens < before->tokens || demotes || after.archived > before->archived ||
        after.dropped > before->dropped)
        fail_msg("%s: tokens %g to %g, demoted %g to %g, archived %g to %g", fault, before->tokens,
                 after.tokens, before->demoted, after.demoted, before->archived, after.archived);
}

static bool is_fresh(void *context)
{
    bool found;
    (void)context;
    expect_healthy(daemon_);
    char *text = http_text(daemon_->port, "/metrics");
    double hot = metric_in(text, "token_age_seconds", "group=\"hot\",quantile=\"1\"", &found);
    double cold = metric_in(text, "token_age_seconds", "group=\"cold\",quantile=\"1\"", &found);
    bool live = metric_in(text, "source_live", NULL, &found) == 1;
    free(text);
    return live && hot < FRESH_S && cold < FRESH_S &&
           http_status(daemon_->port, "GET", "/ready", NULL) == 200;
}

static void start_both(void)
{
    market = market_start(market_options);
    daemon_ = daemon_start(market, "a.db", daemon_options);
    expect_metric(daemon_, "tokens", NULL, TOKENS);
    expect_metric(daemon_, "refreshes_total", NULL, 2.0 * TOKENS);
    expect_soon(is_fresh, NULL);
}

/* ---- one fault ---- */

struct row {
    const char *fault, *metric, *labels;
    const char *or_labels; /* where either counts */
    double least;
};

static double counted(const struct row *row)
{
    double value = metric(daemon_, row->metric, row->labels);
    return row->or_labels == NULL ? value : value + metric(daemon_, row->metric, row->or_labels);
}

struct count_goal {
    const struct row *row;
    double least;
};

static bool count_rose(void *context)
{
    const struct count_goal *goal = context;
    expect_healthy(daemon_);
    return counted(goal->row) >= goal->least;
}

static void strike(const struct row *row)
{
    struct standing before;
    take_standing(&before);
    struct count_goal goal = {row, counted(row) + row->least};
    market_fault(market, row->fault);
    if (!wait_until(count_rose, &goal, WAIT_S * SLOWNESS))
        fail_msg("%s: %s{%s} is %g and not %g", row->fault, row->metric,
                 row->labels == NULL ? "" : row->labels, counted(row), goal.least);
    expect_same_standing(&before, row->fault);
    market_end_faults(market);
    if (!wait_until(is_fresh, NULL, WAIT_S * SLOWNESS))
        fail_msg("%s: not fresh again after it", row->fault);
    expect_same_standing(&before, row->fault);
    assert_true(process_is_running(daemon_));
}

static void strike_all(const struct row *rows, size_t count)
{
    start_both();
    for (size_t i = 0; i < count; i++)
        strike(&rows[i]);
    process_stop(daemon_);
    process_stop(market);
}

/* ---- the cases ---- */

#define OUTCOME(name) "requests_total", "outcome=\"" name "\""
#define ISSUE(name)   "pair_issues_total", "issue=\"" name "\""
#define FRAMES(name)  "source_frames_total", "kind=\"" name "\""

static void faults_of_connections(void)
{
    static const struct row rows[] = {
        {"{\"fault\":\"slow\",\"ms\":700}", OUTCOME("first_byte_timeout"), .least = 3},
        {"{\"fault\":\"hang\"}", OUTCOME("first_byte_timeout"), .least = 3},
        {"{\"fault\":\"half\"}", OUTCOME("reset"), .least = 3},
        {"{\"fault\":\"reset\"}", OUTCOME("reset"), .least = 3},
        {"{\"fault\":\"down\"}", OUTCOME("unreachable"), .least = 3},
    };
    strike_all(rows, sizeof rows / sizeof rows[0]);
}

static void faults_of_refusal(void)
{
    static const struct row rows[] = {
        {"{\"fault\":\"status\",\"status\":500}", OUTCOME("server_error"), .least = 2},
        {"{\"fault\":\"status\",\"status\":503}", OUTCOME("server_error"), .least = 2},
        {"{\"fault\":\"limit\",\"retry_after\":1}", OUTCOME("rate_limited"), .least = 2},
        {"{\"fault\":\"challenge\",\"count\":1}", OUTCOME("forbidden"), .least = 1},
    };
    strike_all(rows, sizeof rows / sizeof rows[0]);
}

static void faults_of_content(void)
{
    static const struct row rows[] = {
        {"{\"fault\":\"garbage\"}", OUTCOME("not_json"), "outcome=\"malformed\"", 3},
        {"{\"fault\":\"wrong-token\"}", ISSUE("not_asked"), .least = 30},
        {"{\"fault\":\"wrong-token\"}", OUTCOME("empty"), .least = 3},
        {"{\"fault\":\"empty\"}", OUTCOME("empty"), .least = 3},
        {"{\"fault\":\"empty\"}", "answers_without_token_total", NULL, .least = TOKENS},
        {"{\"fault\":\"huge\",\"bytes\":2000000}", OUTCOME("too_large"), .least = 3},
    };
    strike_all(rows, sizeof rows / sizeof rows[0]);
}

static void faults_of_figures(void)
{
    static const struct row rows[] = {
        /* A bare NaN is no JSON; the others are refused pair by pair. */
        {"{\"fault\":\"nan\"}", OUTCOME("malformed"), .least = 3},
        {"{\"fault\":\"nan\",\"kind\":\"discover\"}", ISSUE("not_finite"), .least = 1},
        {"{\"fault\":\"duplicate-pairs\"}", ISSUE("duplicate"), .least = TOKENS},
        {"{\"fault\":\"nulls\"}", OUTCOME("ok"), .least = TOKENS / 2.0},
        {"{\"fault\":\"duplicate-keys\"}", ISSUE("duplicate_key"), .least = TOKENS},
    };
    strike_all(rows, sizeof rows / sizeof rows[0]);
}

static void faults_of_the_stream(void)
{
    static const struct row rows[] = {
        {"{\"fault\":\"ws-drop\"}", FRAMES("disconnects"), .least = 1},
        {"{\"fault\":\"ws-silent\"}", FRAMES("disconnects"), .least = 1},
        {"{\"fault\":\"ws-junk\"}", FRAMES("junk"), .least = 10},
    };
    static const struct row refuse = {"{\"fault\":\"ws-refuse\",\"status\":503}",
                                      FRAMES("failed_connects"), .least = 2};
    start_both();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        strike(&rows[i]);
    /* Refused is who comes anew: drop those that are there. */
    market_fault(market, "{\"fault\":\"ws-drop\",\"seconds\":60}");
    strike(&refuse);
    /* Graduations arrive again. */
    double tokens = metric(daemon_, "tokens", NULL);
    assert_int_equal(http_status(market->control, "POST", "/graduate?count=5", NULL), 200);
    expect_metric(daemon_, "tokens", NULL, tokens + 5);
    process_stop(daemon_);
    process_stop(market);
}

int main(int argc, char *argv[])
{
    static const struct integration_case cases[] = {
        {"connections that fail", faults_of_connections},
        {"requests that are refused", faults_of_refusal},
        {"answers that are none", faults_of_content},
        {"figures that no market has", faults_of_figures},
        {"a stream that fails", faults_of_the_stream},
    };
    return harness_run(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
