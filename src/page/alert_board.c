#include "page/alert_board.h"

#define X(code, name) [code] = name,
static const char *const sinks[] = {ALERT_SINK_LIST(X)};
static const char *const states[] = {DELIVERY_STATE_LIST(X)};
#undef X

_Static_assert(FINDING_CAUSE_COUNT <= UINT8_MAX, "a cause fits into a board_entry");

const char *alert_sink_name(enum alert_sink sink)
{
    return (unsigned)sink < ALERT_SINK_COUNT ? sinks[sink] : "unknown";
}

const char *delivery_state_name(enum delivery_state state)
{
    return (unsigned)state < DELIVERY_STATE_COUNT ? states[state] : "unknown";
}
