/*
 * One client of GET /events: which events it wants, how far it has come in the buffer, and sending
 * it what it lacks. Its socket takes what it takes; nothing is copied for it but a few words of its
 * own (the greeting, a sign of life), which go between two events.
 *
 * It may fall behind as far as the buffer reaches back. Whoever falls further, or takes nothing for
 * EVENT_STALL_SEC while something waits, does not read, and is to be dropped.
 */
#ifndef MOONWATCH_API_EVENT_CLIENT_H
#define MOONWATCH_API_EVENT_CLIENT_H

#include "api/event_buffer.h"
#include "base/address.h"
#include "base/time.h"
#include "core/token_table.h"

#define EVENT_MINTS_MAX 100
#define EVENT_STALL_SEC 10
#define EVENT_ALIVE_SEC 15 /* a comment at least as often, so that nobody takes it for dead */
#define EVENT_WORDS_MAX 512

struct event_filter {
    unsigned topics;   /* a bit each */
    unsigned statuses; /* a bit each; of tokens */
    unsigned mint_count;
    uint64_t mints[EVENT_MINTS_MAX]; /* event_mint() of each, rising; none: all tokens */
    token_id ids[EVENT_MINTS_MAX];   /* of the same, in any order; TOKEN_NONE: not there yet */
};

uint64_t event_mint(const struct address *mint);
void event_filter_sort(struct event_filter *filter);
bool event_is_wanted(const struct event_filter *filter, const struct event *event);

struct event_client {
    int fd;
    struct event_filter filter;
    uint64_t next;        /* serial of the event that it gets next, or of a later one */
    size_t done;          /* bytes of that one that it has */
    instant waits_since;  /* its socket takes nothing; INSTANT_NEVER: it does */
    instant heard_at;     /* that something was sent to it */
    size_t words, spoken; /* bytes of its own, and of these sent */
    char word[EVENT_WORDS_MAX];
};

/* Greets it. `last_id` is the newest event that it has, "" for none: then it gets what comes from
 * now on, else what it missed, or is told that this is not there any more. */
void event_client_begin(struct event_client *client, const struct event_buffer *buffer,
                        const char *last_id, instant now);

enum event_client_state {
    CLIENT_HAS_ALL,
    CLIENT_WAITS, /* until its socket takes more */
    CLIENT_GONE,  /* it has hung up */
    CLIENT_SLOW   /* it does not read */
};

/* Sends what it lacks, as far as its socket takes it. `sent` is raised by the events that went out
 * whole. */
enum event_client_state event_client_send(struct event_client *client,
                                          const struct event_buffer *buffer, instant now,
                                          uint64_t *sent);

#endif
