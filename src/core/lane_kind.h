/*
 * The three kinds of request, each with a lane and a budget of its own: refresh asks for up to 30
 * known pools, screen for the main pool of up to 30 tokens, discover for all pools of one token.
 */
#ifndef MOONWATCH_CORE_LANE_KIND_H
#define MOONWATCH_CORE_LANE_KIND_H

#define LANE_KIND_LIST(X)                                                                          \
    X(LANE_REFRESH, "refresh")                                                                     \
    X(LANE_SCREEN, "screen")                                                                       \
    X(LANE_DISCOVER, "discover")

enum lane_kind {
#define X(code, text) code,
    LANE_KIND_LIST(X)
#undef X
        LANE_KIND_COUNT
};

/* Addresses that one request of the upstream's API takes. */
#define REQUEST_ADDRESSES_MAX 30

const char *lane_kind_name(enum lane_kind kind);

#endif
