/* GET /alerts: what there is, what people were told, and how it reaches them. */
#include "api/alert_json.h"
#include "api/answer.h"
#include "api/handlers.h"
#include "api/page_view.h"
#include "api/token_json.h"
#include "page/alert_board.h"

static void put_alert(struct json *json, const struct board_alert *alert)
{
    char text[FINDING_TEXT_SIZE];
    const struct finding *finding = &alert->finding;
    json_object_open(json, NULL);
    json_alert_what(json, finding->cause, finding->subject);
    json_put_string(json, "severity", severity_name(finding->severity));
    json_put_string(json, "state", alert_state_name((enum alert_state)alert->state));
    json_put_string(json, "told",
                    alert->is_told ? severity_name((enum severity)alert->told) : NULL);
    json_instant(json, "since", finding->since);
    json_put_int(json, "onsets", alert->onsets);
    json_put_bool(json, "flaps", alert->flaps);
    finding_text(finding, text);
    json_put_string(json, "message", text);
    finding_advice(finding, text);
    json_put_string(json, "what_to_do", text);
    json_object_close(json);
}

static void put_sink(struct json *json, const struct status_page *page,
                     const struct board_sink *board, enum alert_sink sink)
{
    const struct page_sink *words = &page->sinks[sink];
    json_object_open(json, alert_sink_name(sink));
    json_put_bool(json, "enabled", page_word(&words->is_on) != 0);
    json_put_int(json, "delivered", (int64_t)page_word(&words->delivered));
    json_put_int(json, "failed", (int64_t)page_word(&words->failed));
    json_put_int(json, "refused", (int64_t)page_word(&words->refused));
    json_put_int(json, "waiting", (int64_t)page_word(&words->waiting));
    json_instant(json, "next_try_at", board->next_at);
    json_put_string(json, "last_failure", board->detail[0] == '\0' ? NULL : board->detail);
    json_object_close(json);
}

static void put_counter(struct json *json, const struct status_page *page, const char *key,
                        enum counter counter)
{
    json_put_int(json, key, (int64_t)page_word(&page->counters[counter]));
}

static void put_counters(struct json *json, const struct status_page *page)
{
    json_object_open(json, "counters");
    put_counter(json, page, "alerts", COUNTER_ALERTS);
    put_counter(json, page, "untold", COUNTER_ALERTS_UNTOLD);
    put_counter(json, page, "messages", COUNTER_ALERT_MESSAGES);
    put_counter(json, page, "dropped", COUNTER_ALERT_MESSAGES_DROPPED);
    json_object_close(json);
}

/* What another process wrote is not believed to be within bounds. */
static void bound(struct alert_board *board)
{
    if (board->alert_count > BOARD_ALERTS_MAX)
        board->alert_count = BOARD_ALERTS_MAX;
    if (board->message_count > BOARD_MESSAGES_MAX)
        board->message_count = BOARD_MESSAGES_MAX;
    for (int sink = 0; sink < ALERT_SINK_COUNT; sink++)
        board->sinks[sink].detail[BOARD_DETAIL_SIZE - 1] = '\0';
}

void handle_alerts(struct request *request)
{
    struct page_texts texts;
    struct json json = {0};
    const struct status_page *page = request->api->world.page;
    if (!page_view(request, &texts))
        return;
    struct alert_board *board = &texts.alerts;
    bound(board);
    json_object_open(&json, NULL);
    json_array_open(&json, "alerts");
    for (uint32_t i = 0; i < board->alert_count; i++)
        put_alert(&json, &board->alerts[i]);
    json_array_close(&json);
    json_array_open(&json, "messages");
    for (uint32_t i = 0; i < board->message_count; i++)
        json_alert_message(&json, &board->messages[i]);
    json_array_close(&json);
    json_object_open(&json, "sinks");
    for (int sink = 0; sink < ALERT_SINK_COUNT; sink++)
        put_sink(&json, page, &board->sinks[sink], (enum alert_sink)sink);
    json_object_close(&json);
    put_counters(&json, page);
    json_object_close(&json);
    answer_json(request, MHD_HTTP_OK, &json);
}
