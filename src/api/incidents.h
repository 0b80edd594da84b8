/*
 * Incidents as files of the state folder, NNNNNN.json, which the supervisor writes: read for
 * clients, who name numbers and never paths. A file is shown as it is when it is one JSON object;
 * everything else in the folder is damaged or none of ours: skipped, and counted when its name is
 * an incident's. Reads wait for a disk: not for the HTTP thread (aside.h).
 */
#ifndef MOONWATCH_API_INCIDENTS_H
#define MOONWATCH_API_INCIDENTS_H

#include "base/err.h"
#include "base/json.h"
#include <stdint.h>

#define INCIDENTS_LIMIT_MAX    100        /* in one answer */
#define INCIDENT_FILE_MAX      (1 << 20)  /* the supervisor writes at most a quarter of it */
#define INCIDENTS_ANSWER_MAX   (16 << 20) /* bytes; what does not fit is left to a smaller limit */
#define INCIDENTS_FOLDER_MAX   200000     /* names looked at; incidents_max goes to half of it */
#define INCIDENT_NUMBER_DIGITS 6          /* at least; the number goes on beyond */

/* Puts one incident under `key` (NULL in an array). ERR_NOT_FOUND: no such file; ERR_CORRUPT: it is
 * no JSON object, or too large; ERR_IO: it can't be read. Nothing was put then. */
enum err incident_put(struct json *json, const char *key, const char *folder,
                      uint64_t number) MUST_CHECK;

/* Puts the newest incidents into the array that is open, newest first, at most `limit` whole ones.
 * Returns how many were damaged. A folder that is not there has none. */
unsigned incidents_put_newest(struct json *json, const char *folder, unsigned limit);

#endif
