/*
 * What the engine shows of alerts on the status page: those that there are, the newest messages,
 * and how their delivery goes. Copied as a whole (page_read_texts()), so it fits together. Who
 * reads it finds names and sentences in core/finding.h and core/alerts.h.
 */
#ifndef MOONWATCH_PAGE_ALERT_BOARD_H
#define MOONWATCH_PAGE_ALERT_BOARD_H

#include "core/alerts.h"

/* Where messages go. X(code, name) */
#define ALERT_SINK_LIST(X)                                                                         \
    X(ALERT_SINK_LOG, "log")                   /* always on, at once */                            \
    X(ALERT_SINK_WEBHOOK, "webhook")           /* alert_webhook_url */                             \
    X(ALERT_SINK_ALERTMANAGER, "alertmanager") /* alert_alertmanager_url */                        \
    X(ALERT_SINK_TELEGRAM, "telegram")         /* alert_telegram_token */                          \
    X(ALERT_SINK_COMMAND, "command")           /* alert_command */

enum alert_sink {
#define X(code, name) code,
    ALERT_SINK_LIST(X)
#undef X
        ALERT_SINK_COUNT
};

/* What became of one message at one sink. X(code, name) */
#define DELIVERY_STATE_LIST(X)                                                                     \
    X(DELIVERY_NOT_WANTED, "off") /* the sink was not set up */                                    \
    X(DELIVERY_WAITING, "waiting")                                                                 \
    X(DELIVERY_DONE, "delivered")                                                                  \
    X(DELIVERY_GIVEN_UP, "refused")

enum delivery_state {
#define X(code, name) code,
    DELIVERY_STATE_LIST(X)
#undef X
        DELIVERY_STATE_COUNT
};

const char *alert_sink_name(enum alert_sink sink);
const char *delivery_state_name(enum delivery_state state);

#define BOARD_ALERTS_MAX   64 /* the others are left out */
#define BOARD_MESSAGES_MAX 24
#define BOARD_ENTRIES_MAX  8 /* of a message */
#define BOARD_DETAIL_SIZE  96

struct board_alert {
    struct finding finding;
    uint32_t state;         /* enum alert_state */
    uint32_t told;          /* enum severity, if: */
    uint8_t is_told, flaps; /* 0: not; a damaged page has anything */
    uint32_t onsets;
};

struct board_entry {
    uint8_t cause, subject, severity, change;
};

struct board_message {
    int64_t id;
    instant at;
    uint32_t kind, severity, waited, omitted;
    uint32_t count; /* of its entries, of which not all need be here */
    struct board_entry of[BOARD_ENTRIES_MAX];
    uint8_t sinks[ALERT_SINK_COUNT]; /* enum delivery_state */
};

struct board_sink {
    instant next_at;                /* of a try that waits; INSTANT_NEVER: none does */
    char detail[BOARD_DETAIL_SIZE]; /* why the newest try failed; "" it did not */
};

struct alert_board {
    uint32_t alert_count, message_count;
    struct board_alert alerts[BOARD_ALERTS_MAX];
    struct board_message messages[BOARD_MESSAGES_MAX]; /* newest first */
    struct board_sink sinks[ALERT_SINK_COUNT];
};

#endif
