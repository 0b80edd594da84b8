/* Messages to people: from the core to the delivery, from there to the store, and onto the page. */
#include "alert/delivery.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/parts.h"
#include <stdio.h>
#include <string.h>

/* ---- the delivery's wishes ---- */

/* Before there is a writer nothing is new. */
static void on_keep(void *context, int64_t id, const char *text)
{
    struct engine *engine = context;
    if (engine->writer != NULL)
        writer_put_alert(engine->writer, id, text);
}

static void note(struct engine *engine, enum alert_sink sink, enum flight_alert to, int64_t id)
{
    engine_note(engine, &(struct flight_note){
                            .kind = FLIGHT_ALERT, .what = sink, .to = to, .number = (uint64_t)id});
}

static void on_try(void *context, enum alert_sink sink, int64_t id,
                   const struct sink_result *result)
{
    static const enum flight_alert became[SINK_OUTCOME_COUNT] = {
        [SINK_DELIVERED] = FLIGHT_ALERT_DELIVERED,
        [SINK_FAILED] = FLIGHT_ALERT_FAILED,
        [SINK_REFUSED] = FLIGHT_ALERT_REFUSED,
    };
    note(context, sink, became[result->outcome], id);
}

static void on_tested(void *context, uint64_t tag, bool is_well, const char *report)
{
    struct reply reply = {.result = is_well ? RESULT_DONE : RESULT_UNAVAILABLE, .tag = tag};
    snprintf(reply.message, sizeof reply.message, "%s", report);
    engine_reply(context, &reply);
}

/* ---- a life ---- */

bool engine_alerts_start(struct engine *engine)
{
    const struct delivery_listener listener = {engine, on_keep, on_try, on_tested};
    engine->delivery = delivery_create(&engine->loop, &engine->options, &listener);
    if (engine->delivery == NULL)
        log_error("alert", "no memory for the delivery of alerts");
    return engine->delivery != NULL;
}

void engine_alerts_restore(struct engine *engine, int64_t id, const char *text)
{
    struct alert_message message;
    if (engine->delivery != NULL) /* there is none in tests of a start */
        (void)delivery_restore(engine->delivery, id, text, &message);
}

void engine_alerts_recall(struct engine *engine)
{
    struct delivered recent[DELIVERY_MESSAGES_MAX];
    size_t count = delivery_recent(engine->delivery, recent, DELIVERY_MESSAGES_MAX);
    while (count-- > 0) {
        struct event event = {.kind = EVENT_ALERT_KNOWN};
        event.alert_known.message = recent[count].message;
        engine_step(engine, &event);
    }
}

void engine_alerts_begin(struct engine *engine)
{
    delivery_begin(engine->delivery);
}

void engine_perform_alert(struct engine *engine, const struct action *action)
{
    const struct alert_message *message = action->alert.message;
    note(engine, ALERT_SINK_LOG, FLIGHT_ALERT_MADE, message->id);
    if (message->kind == ALERT_TEST)
        delivery_test(engine->delivery, message, action->alert.tag);
    else
        delivery_put(engine->delivery, message);
}

void engine_on_alert_durable(void *context, int64_t id)
{
    struct engine *engine = context;
    if (engine->delivery != NULL)
        delivery_kept(engine->delivery, id);
}

void engine_on_new_file(void *context)
{
    struct engine *engine = context;
    if (engine->delivery != NULL)
        delivery_keep_again(engine->delivery);
}

/* ---- the page ---- */

static void show_alerts(struct alert_board *board, const struct alerts *alerts)
{
    const struct alert *active[ALERTS_MAX];
    size_t count = alerts_active(alerts, active);
    board->alert_count = count < BOARD_ALERTS_MAX ? (uint32_t)count : BOARD_ALERTS_MAX;
    for (uint32_t i = 0; i < board->alert_count; i++)
        board->alerts[i] = (struct board_alert){.finding = active[i]->finding,
                                                .state = active[i]->state,
                                                .told = active[i]->told,
                                                .is_told = active[i]->is_told,
                                                .flaps = active[i]->flaps,
                                                .onsets = active[i]->onsets};
}

static void show_message(struct board_message *to, const struct delivered *from)
{
    const struct alert_message *message = from->message;
    *to = (struct board_message){.id = message->id,
                                 .at = message->at,
                                 .kind = message->kind,
                                 .severity = message->severity,
                                 .waited = message->waited,
                                 .omitted = message->omitted,
                                 .count = (uint32_t)message->count};
    for (size_t i = 0; i < message->count && i < BOARD_ENTRIES_MAX; i++) {
        const struct alert_entry *entry = &message->of[i];
        to->of[i] = (struct board_entry){(uint8_t)entry->finding.cause, entry->finding.subject,
                                         (uint8_t)entry->finding.severity, (uint8_t)entry->change};
    }
    for (int sink = 0; sink < ALERT_SINK_COUNT; sink++)
        to->sinks[sink] = (uint8_t)from->sinks[sink];
}

static void publish_sinks(struct engine *engine, struct alert_board *board)
{
    struct delivery_stats stats;
    delivery_stats(engine->delivery, &stats);
    page_put_word(&engine->page->counters[COUNTER_ALERT_MESSAGES_DROPPED], stats.dropped);
    for (int i = 0; i < ALERT_SINK_COUNT; i++) {
        const struct sink_stats *from = &stats.sinks[i];
        struct page_sink *to = &engine->page->sinks[i];
        page_put_word(&to->is_on, from->is_on);
        page_put_word(&to->delivered, from->delivered);
        page_put_word(&to->failed, from->failed);
        page_put_word(&to->refused, from->refused);
        page_put_word(&to->waiting, from->waiting);
        board->sinks[i].next_at = from->next_at;
        memcpy(board->sinks[i].detail, from->detail, sizeof board->sinks[i].detail);
    }
}

void engine_publish_alerts(struct engine *engine)
{
    const struct alerts *alerts = core_alerts(engine->core);
    struct delivered recent[BOARD_MESSAGES_MAX];
    if (engine->delivery == NULL)
        return; /* it ends */
    struct alert_board *board = &page_text_begin(engine->page)->alerts;
    show_alerts(board, alerts);
    board->message_count = (uint32_t)delivery_recent(engine->delivery, recent, BOARD_MESSAGES_MAX);
    for (uint32_t i = 0; i < board->message_count; i++)
        show_message(&board->messages[i], &recent[i]);
    publish_sinks(engine, board);
    page_set(engine->page, GAUGE_ALERTS_ACTIVE, board->alert_count);
    page_text_end(engine->page);
    page_put_word(&engine->page->counters[COUNTER_ALERTS], alerts->onsets);
    page_put_word(&engine->page->counters[COUNTER_ALERTS_UNTOLD], alerts->untold);
    page_put_word(&engine->page->counters[COUNTER_ALERT_MESSAGES], alerts->messages);
}
