/*
 * The control port: faults, statistics, and acts of the market, for tests and drills.
 *
 *     GET /fault              the present faults          GET /stats             what was counted
 *     POST /fault  {…}        adds one (fault.h)          GET /mints?offset&limit   a mint a line
 *     DELETE /fault           ends all                    POST /graduate?count   → {"mints":[…]}
 *     DELETE /fault/NAME      ends those of that name     GET /health
 *     POST /limit?rpm=R       requests a minute from now on, 0: no limit
 */
#ifndef MOONWATCH_MARKET_CONTROL_H
#define MOONWATCH_MARKET_CONTROL_H

#include "market/fault.h"
#include "market/http.h"
#include "market/limits.h"
#include "market/market_time.h"
#include "market/model.h"
#include "market/stats.h"
#include "market/stream.h"

#define CONTROL_GRADUATE_MAX 10000
#define CONTROL_MINTS_MAX    1000000
#define CONTROL_LIMIT_MAX    1000000000

struct control {
    const struct model *model;
    struct faults *faults;
    struct limits *limits;
    const struct market_stats *stats;
    struct stream *stream;
    struct http_server *market; /* whose connections are counted, and taken down */
    struct market_time time;
};

void control_answer(struct control *control, const struct http_request *request,
                    struct http_reply *reply);

/* Brings the listener in line with the `down` fault. Call after changes and regularly. */
void control_check_down(struct control *control);

#endif
