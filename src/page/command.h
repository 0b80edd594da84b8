/*
 * What the api asks of the engine, and the engine's answers: fixed-size messages over a
 * SOCK_SEQPACKET socket pair, so that the api needs nothing of the engine's but a descriptor and
 * may live in another process. Every command is answered once, with the same tag; an api that does
 * not read its answers loses them, never the engine's time.
 */
#ifndef MOONWATCH_PAGE_COMMAND_H
#define MOONWATCH_PAGE_COMMAND_H

#include "base/address.h"
#include "base/options.h"
#include "core/pair.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define COMMAND_LIST(X)                                                                            \
    X(COMMAND_ADD_TOKEN, "add_token")     /* answered when durable */                              \
    X(COMMAND_REFRESH, "refresh")         /* answered when done */                                 \
    X(COMMAND_SET, "set")                 /* answered when durable and in force */                 \
    X(COMMAND_RECALCULATE, "recalculate") /* answered when accepted, as the next three */          \
    X(COMMAND_ARCHIVE, "archive")                                                                  \
    X(COMMAND_ACTIVATION, "activation")                                                            \
    X(COMMAND_EXPORT, "export")                                                                    \
    X(COMMAND_PAUSE, "pause")                                                                      \
    X(COMMAND_RESUME, "resume")                                                                    \
    X(COMMAND_RELEASE, "release")       /* a token from quarantine */                              \
    X(COMMAND_TEST_ALERT, "test_alert") /* answered when every sink has tried */                   \
    X(COMMAND_RESTART, "restart")       /* gracefully; answered when accepted */                   \
    X(COMMAND_EMERGENCY, "emergency")   /* to the supervisor only: kill and start afresh */        \
    X(COMMAND_STATUS, "status")         /* to the supervisor only: answered with the page */       \
    X(COMMAND_TABLE, "table")           /* to the supervisor only: with the token table */         \
    X(COMMAND_GO, "go")                 /* supervisor to engine: begin; maybe with faults */

enum command_kind {
#define X(id, name) id,
    COMMAND_LIST(X)
#undef X
        COMMAND_COUNT
};

const char *command_kind_name(uint32_t kind); /* NULL: there is no such command */
uint32_t command_kind_find(const char *name); /* COMMAND_COUNT: none has this name */

struct command {
    uint32_t kind;  /* enum command_kind */
    uint32_t start; /* of COMMAND_GO: enum start_kind */
    uint64_t tag;   /* the sender's, but for LINK_TAG (inherited.h) */
    /* Instant from which on nobody waits for it, so that it must not be done any more; 0: none. It
     * may have lain in the socket until another engine ran. */
    int64_t until_us;
    struct address mint;
    char name[TOKEN_NAME_SIZE]; /* of a token, or "" */
    char symbol[TOKEN_SYMBOL_SIZE];
    char setting[64];
    char value[OPTION_TEXT_SIZE];
};

enum command_result {
    RESULT_DONE,
    RESULT_CREATED,     /* add: it was new */
    RESULT_KNOWN,       /* add: it was there */
    RESULT_NOT_FOUND,   /* no such token or setting */
    RESULT_INVALID,     /* `message` says why */
    RESULT_UNAVAILABLE, /* upstream, store or memory; `message` says which */
    RESULT_ELSEWHERE,   /* another node is to do it, and has not said in time that it did */
};

struct reply {
    uint32_t result; /* enum command_result */
    uint32_t spare;
    uint64_t tag;
    int64_t snapshot_id; /* refresh: of the newest snapshot; 0 none */
    double score;        /* refresh: smoothed; NaN none */
    char message[OPTION_MESSAGE_SIZE];
};

/* RESULT_ELSEWHERE in words; `node` is the name of who is to do it, "" if nobody is known. */
static inline void reply_elsewhere(struct reply *reply, const char *node)
{
    bool is_known = node[0] != '\0';
    reply->result = RESULT_ELSEWHERE;
    snprintf(
        reply->message, sizeof reply->message,
        "%s%s is to do this and has not said in time that it did; it may still do it: look, or "
        "ask again",
        is_known ? "node " : "another node", node);
}

#endif
