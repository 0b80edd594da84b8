/* Log lines as JSON: shared by /logs and /events. */
#ifndef MOONWATCH_API_LOG_JSON_H
#define MOONWATCH_API_LOG_JSON_H

#include "base/json.h"
#include "base/log_ring.h"

/* {ts, level, logger, process, msg, …}: what a line said, a member each. Levels are in capitals, as
 * existing clients know them. */
void json_log_line(struct json *json, const struct log_line *line);

#endif
