/*
 * A message as plain text, for people: a line that says what happened, then a few lines an alert,
 * changes first. What does not fit is counted in a last line. Nothing in it is markup, so nothing
 * needs to be escaped.
 */
#ifndef MOONWATCH_ALERT_TEXT_H
#define MOONWATCH_ALERT_TEXT_H

#include "alert/item.h"

/* Telegram takes 4096 characters (https://core.telegram.org/bots/api#sendmessage). */
#define ALERT_TEXT_SIZE  4096
#define ALERT_TITLE_SIZE 512

/* The first line alone; returns the length. */
size_t alert_title(const struct alert_message *message, const struct alert_origin *origin,
                   char out[ALERT_TITLE_SIZE]);
size_t alert_text(const struct alert_message *message, const struct alert_origin *origin,
                  char out[ALERT_TEXT_SIZE]);

#endif
