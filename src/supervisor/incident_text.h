/* An incident as JSON. Pure, but that the names of functions come from this program's own tables.
 */
#ifndef MOONWATCH_SUPERVISOR_INCIDENT_TEXT_H
#define MOONWATCH_SUPERVISOR_INCIDENT_TEXT_H

#include "supervisor/incident.h"

/*
 * {number, at, process, pid, generation, cause, signal, exit_status, beat, silent_us, message,
 *  fault_address, backtrace: [text], in_hand: [mint], transitions: [{at, process, kind, text}],
 *  healing: {action, start, why, replaced_after_us, attempts}, suspects, quarantined}
 * with null for what does not apply.
 */
void incident_write_json(struct json *json, const struct incident *incident,
                         const struct incident_healing *healing);

#endif
