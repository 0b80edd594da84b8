/*
 * How a request to the upstream ended, and what was wrong with the pairs of an answer. One list
 * each: names for logs and metrics come from them. Only FEED_OK carries data; every other outcome
 * is no evidence about any token.
 */
#ifndef MOONWATCH_CORE_OUTCOME_H
#define MOONWATCH_CORE_OUTCOME_H

#define FEED_OUTCOME_LIST(X)                                                                       \
    X(FEED_OK, "ok")                                                                               \
    X(FEED_RATE_LIMITED, "rate_limited") /* 429, or Cloudflare's 1015 in whatever status */        \
    X(FEED_FORBIDDEN, "forbidden")       /* 403 or a challenge page */                             \
    X(FEED_NOT_FOUND, "not_found")       /* 404: our path is wrong */                              \
    X(FEED_CLIENT_ERROR, "client_error") /* other 4xx */                                           \
    X(FEED_SERVER_ERROR, "server_error") /* 5xx */                                                 \
    X(FEED_BAD_STATUS, "bad_status")     /* anything else that is not 200 */                       \
    X(FEED_NOT_JSON, "not_json")         /* HTML or text with status 200 */                        \
    X(FEED_MALFORMED, "malformed")       /* truncated or damaged JSON */                           \
    X(FEED_WRONG_SHAPE, "wrong_shape")   /* JSON, but not of this API */                           \
    X(FEED_TOO_LARGE, "too_large")       /* over feed_body_limit_kb */                             \
    X(FEED_BAD_ENCODING, "bad_encoding") /* gzip that does not decompress */                       \
    X(FEED_UNREACHABLE, "unreachable")   /* no name, no route, refused */                          \
    X(FEED_TLS, "tls")                   /* certificate or handshake */                            \
    X(FEED_CONNECT_TIMEOUT, "connect_timeout")                                                     \
    X(FEED_FIRST_BYTE_TIMEOUT, "first_byte_timeout")                                               \
    X(FEED_TIMEOUT, "timeout")     /* the whole request */                                         \
    X(FEED_RESET, "reset")         /* the connection ended in the middle */                        \
    X(FEED_CANCELLED, "cancelled") /* by us */                                                     \
    X(FEED_EMPTY, "empty")         /* no data for tokens that all had some before */

enum feed_outcome {
#define X(code, text) code,
    FEED_OUTCOME_LIST(X)
#undef X
        FEED_OUTCOME_COUNT
};

/* What a parser counts about pairs: the first block refuses the pair, the second only remarks. */
#define PAIR_ISSUE_LIST(X)                                                                         \
    X(PAIR_NO_ADDRESS, "no_address") /* pool or base token absent or no address */                 \
    X(PAIR_OTHER_CHAIN, "other_chain")                                                             \
    X(PAIR_WRONG_TYPE, "wrong_type")       /* a field of another type than documented */           \
    X(PAIR_NEGATIVE, "negative")           /* negative liquidity, volume, counts, price */         \
    X(PAIR_NOT_FINITE, "not_finite")       /* overflow, "NaN", "Infinity" */                       \
    X(PAIR_OVER_LIMIT, "over_limit")       /* more pairs than asked for can have */                \
    X(PAIR_DUPLICATE, "duplicate")         /* the same pool again in one answer */                 \
    X(PAIR_NOT_ASKED, "not_asked")         /* about a token that was not asked for */              \
    X(PAIR_QUOTE_SIDE, "quote_side")       /* the token is the quote: prices another */            \
    X(PAIR_DUPLICATE_KEY, "duplicate_key") /* remark: the first one counts */                      \
    X(PAIR_FIELD_IGNORED, "field_ignored") /* remark: a harmless field was wrong: as if absent */  \
    X(PAIR_NO_TRANSACTIONS, "liquidity_without_transactions") /* remark */                         \
    X(PAIR_NO_MOVE, "transactions_without_move")              /* remark */                         \
    X(PAIR_NO_VOLUME, "transactions_without_volume")          /* remark */

enum pair_issue {
#define X(code, text) code,
    PAIR_ISSUE_LIST(X)
#undef X
        PAIR_ISSUE_COUNT
};

/* Issues before this one refuse the pair, one issue a pair; from it on they only remark. */
#define PAIR_FIRST_REMARK PAIR_DUPLICATE_KEY

const char *feed_outcome_name(enum feed_outcome outcome);
const char *pair_issue_name(enum pair_issue issue);

#endif
