/*
 * Faults on command. Each has a filter (which kinds of request), a probability, and an end: after
 * so many seconds of real time, after so many strikes, or when it is deleted. Delays add up; of
 * the others the first that strikes decides the answer.
 *
 *     {"fault": "status", "status": 503, "kind": "screen", "probability": 0.5, "seconds": 10}
 */
#ifndef MOONWATCH_MARKET_FAULT_H
#define MOONWATCH_MARKET_FAULT_H

#include "base/err.h"
#include "base/prng.h"
#include "base/time.h"
#include "market/route.h"
#include <stddef.h>

#define FAULTS_MAX         32
#define FAULT_BYTES_MAX    (64 * 1024 * 1024)
#define FAULT_DELAY_MAX_MS 600000
#define FAULT_MESSAGE_SIZE 160

#define FAULT_LIST(X)                                                                              \
    X(FAULT_SLOW, "slow")           /* the answer comes after `ms` */                              \
    X(FAULT_HANG, "hang")           /* no answer, until the client leaves or ten minutes passed */ \
    X(FAULT_HALF, "half")           /* half of the body, then the connection ends */               \
    X(FAULT_GARBAGE, "garbage")     /* 200 with HTML, or with random bytes */                      \
    X(FAULT_STATUS, "status")       /* `status` 500, 502 or 503 */                                 \
    X(FAULT_CHALLENGE, "challenge") /* 403 with a challenge page */                                \
    X(FAULT_LIMIT, "limit")         /* 429, code 1015; Retry-After: `retry_after` if given */      \
    X(FAULT_RESET, "reset")         /* the connection is reset */                                  \
    X(FAULT_WRONG_TOKEN, "wrong-token") /* answers about others than those asked for */            \
    X(FAULT_EMPTY, "empty")             /* [] or "pairs":null */                                   \
    X(FAULT_HUGE, "huge")               /* a body of at least `bytes` */                           \
    X(FAULT_NULLS, "nulls")             /* nulls where there are figures */                        \
    X(FAULT_NANS, "nan")                /* NaN, 1e999, texts for numbers, negative counts */       \
    X(FAULT_NAMES, "names")     /* tokens are called what markup, tables and terminals obey */     \
    X(FAULT_NO_UTF8, "no-utf8") /* names have bytes that are no UTF-8: no JSON */                  \
    X(FAULT_DUPLICATE_KEYS, "duplicate-keys")                                                      \
    X(FAULT_DUPLICATE_PAIRS, "duplicate-pairs") /* each pair twice */                              \
    X(FAULT_DOWN, "down")                       /* connections are reset and refused */            \
    X(FAULT_STREAM_DROP, "ws-drop")             /* subscribers are reset; once, unless lasting */  \
    X(FAULT_STREAM_SILENT, "ws-silent")         /* neither events nor pongs */                     \
    X(FAULT_STREAM_JUNK, "ws-junk")             /* junk frames, some ten a second */               \
    X(FAULT_STREAM_REFUSE, "ws-refuse")         /* the upgrade is answered with `status` */

enum fault_type {
#define X(code, name) code,
    FAULT_LIST(X)
#undef X
        FAULT_TYPE_COUNT
};

const char *fault_name(enum fault_type type);

struct fault {
    enum fault_type type;
    unsigned kinds; /* bits of enum route_kind */
    double probability;
    instant until; /* INSTANT_FAR: no end */
    int64_t left;  /* strikes; INT64_MAX: no end */
    uint32_t delay_ms;
    int status;
    int retry_after_s; /* −1: no header */
    size_t bytes;
    uint64_t struck;
};

struct faults {
    struct fault list[FAULTS_MAX];
    size_t count;
    struct prng prng;
};

/* Adds the fault that a JSON object describes. ERR_INVALID or ERR_FULL with the reason in `why`. */
enum err faults_add(struct faults *faults, const char *text, size_t length, instant now,
                    char why[FAULT_MESSAGE_SIZE]) MUST_CHECK;

/* All of them, or those of one type. Returns how many there were. */
size_t faults_clear(struct faults *faults);
size_t faults_remove(struct faults *faults, enum fault_type type);

/* FAULT_TYPE_COUNT: no such name. */
enum fault_type fault_find(const char *name);

/* Faults that have ended are forgotten. */
void faults_expire(struct faults *faults, instant now);

struct strike {
    bool is_struck;     /* by one that decides the answer */
    struct fault fault; /* that one */
    uint32_t delay_ms;
};

/* What befalls a request of this kind. */
void faults_strike(struct faults *faults, enum route_kind kind, instant now, struct strike *out);

/* Does a fault of this type strike now? For what is no request: the stream, the listener. */
bool faults_strike_type(struct faults *faults, enum fault_type type, instant now,
                        struct fault *which);

#endif
