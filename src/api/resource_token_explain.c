/* GET /tokens/{mint}/explain: why a token has its score and its status. */
#include "api/answer.h"
#include "api/handlers.h"
#include "api/page_view.h"
#include "api/score_words.h"
#include "api/tagged.h"
#include "api/token_find.h"
#include "api/token_json.h"
#include "base/clock.h"
#include "base/json.h"
#include "core/lifecycle.h"
#include <math.h>
#include <stdio.h>

struct view {
    struct token token;
    struct pool pools[POOLS_MAX];
    const struct options *options;
    bool activates;
    unsigned why_not_count;
    char why_not[WHY_NOT_MAX][SCORE_SENTENCE_SIZE];
};

static void look_at_status(struct view *view)
{
    const struct token *token = &view->token;
    view->why_not_count =
        score_why_not(view->pools, token->pool_count, view->options, view->why_not);
    if (token->status == TOKEN_ARCHIVED && view->why_not_count < WHY_NOT_MAX &&
        !(token_has_data(token) && token->state.score >= view->options->min_score))
        snprintf(view->why_not[view->why_not_count++], SCORE_SENTENCE_SIZE,
                 "From the archive it comes back with a score of %g or more only.",
                 view->options->min_score);
    view->activates = view->why_not_count == 0;
}

static const char *status_words(const struct view *view)
{
    switch ((enum token_status)view->token.status) {
    case TOKEN_ACTIVE:
        return view->activates ? "It has the pools that an active token needs"
                               : "It had the pools that an active token needs";
    case TOKEN_MONITORING:
        return view->activates ? "It has the pools that an active token needs, and becomes active "
                                 "with its next answer"
                               : "It is watched, until it has the pools that an active token needs";
    case TOKEN_ARCHIVED:
        return "It was archived: under min_score for archive_below_hours, or monitored without "
               "success for monitoring_timeout_hours";
    case TOKEN_STATUS_COUNT:
        break;
    }
    return "";
}

static void json_status(struct json *json, const struct view *view)
{
    char since[ISO_TIME_SIZE], text[SCORE_SENTENCE_SIZE];
    const struct token *token = &view->token;
    instant at =
        instant_is_never(token->state.status_since) ? token->created_at : token->state.status_since;
    iso_time_format(at, since);
    snprintf(text, sizeof text, "%s; so since %s.", status_words(view), since);
    json_put_string(json, "status", token_status_name(token->status));
    json_put_string(json, "status_reason", text);
}

static void json_part(struct json *json, const struct score_part *part, double smoothed,
                      bool has_data)
{
    json_object_open(json, NULL);
    json_put_string(json, "name", part->name);
    json_put_double(json, "raw", has_data ? part->raw : NAN);
    json_put_double(json, "smoothed", has_data ? smoothed : NAN);
    json_put_double(json, "weight", part->weight);
    json_put_double(json, "contribution", has_data ? round_6(part->weight * smoothed) : NAN);
    json_put_string(json, "sentence",
                    has_data ? part->sentence : "No answer about it has come yet.");
    json_object_close(json);
}

/* The contributions are to the smoothed score, which is THE score. */
static void json_score(struct json *json, const struct view *view)
{
    const struct token_state *state = &view->token.state;
    struct score_part parts[SCORE_PARTS];
    bool has_data = token_has_data(&view->token);
    const struct metrics nothing = {0};
    struct score raw = score_explain(has_data ? &state->metrics : &nothing, view->token.status,
                                     view->options, parts);
    const double smoothed[SCORE_PARTS] = {state->smoothed.tx_accel, state->smoothed.vol_momentum,
                                          state->smoothed.token_freshness,
                                          state->smoothed.orderflow_imbalance};
    json_put_double(json, "score", has_data ? raw.total : NAN);
    json_put_double(json, "smoothed_score", has_data ? state->score : NAN);
    json_array_open(json, "components");
    for (unsigned i = 0; i < SCORE_PARTS; i++)
        json_part(json, &parts[i], smoothed[i], has_data);
    json_array_close(json);
}

void handle_token_explain(struct request *request)
{
    struct view view;
    struct page_texts texts;
    if (!page_view(request, &texts) || token_find(request, &view.token, view.pools) == TOKEN_NONE)
        return;
    view.options = &texts.options;
    look_at_status(&view);
    struct json json = {0};
    json_object_open(&json, NULL);
    json_status(&json, &view);
    json_score(&json, &view);
    json_put_bool(&json, "activates", view.activates);
    json_array_open(&json, "why_not");
    for (unsigned i = 0; i < view.why_not_count; i++)
        json_put_string(&json, NULL, view.why_not[i]);
    json_array_close(&json);
    json_object_close(&json);
    answer_tagged(request, &json);
}
