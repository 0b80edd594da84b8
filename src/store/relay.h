/*
 * History from a database that is on a server, for a process that may open no sockets: the api asks
 * the engine, over a SOCK_SEQPACKET pair that both inherit, and a thread of the engine's asks the
 * server. So the api has neither the database's password nor a way to anywhere.
 *
 * One question is under way at a time. An engine that dies takes its question along; the api waits
 * RELAY_ANSWER_MS for an answer, and the next question is the next engine's.
 */
#ifndef MOONWATCH_STORE_RELAY_H
#define MOONWATCH_STORE_RELAY_H

#include "store/store_impl.h"

#define RELAY_ANSWER_MS 6000 /* a second more than the server gets (postgres_reader.c) */
#define RELAY_ITEMS_MAX 200  /* of an answer */

/* What store_reader_open() takes for a reader that asks over descriptor FD: "relay:FD". */
#define RELAY_SCHEME "relay:"

struct relay;

/* Answers what is asked over `fd`, from the database behind `url`, on a thread of its own. NULL
 * with a sentence in `why` when there is no memory or thread, or no such database. */
struct relay *relay_start(const char *url, int fd, char why[STORE_MESSAGE_SIZE]);
/* Waits for what is under way. NULL is fine. */
void relay_stop(struct relay *relay);

/* `descriptor` as text. */
struct store_reader *relay_reader_open(const char *descriptor, char why[STORE_MESSAGE_SIZE]);

#endif
