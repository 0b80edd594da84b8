/* See expect.h. */
#include "drill/expect.h"

#include "drill/drill.h"
#include "drill/look.h"
#include "drill/witness.h"
#include <inttypes.h>
#include <string.h>

#define INCIDENT_S 5 /* it is written after the new process is ready */

void expect_moved(struct drill *drill, enum counter counter, uint64_t by)
{
    uint64_t moved = look_moved(drill, counter);
    if (moved != by)
        drill_fail(drill, "%s moved by %" PRIu64 ", not by %" PRIu64, counter_name(counter), moved,
                   by);
}

void expect_moved_at_least(struct drill *drill, enum counter counter, uint64_t by)
{
    uint64_t moved = look_moved(drill, counter);
    if (moved < by)
        drill_fail(drill, "%s moved by %" PRIu64 ", not by at least %" PRIu64,
                   counter_name(counter), moved, by);
}

static bool incident_is_there(struct drill *drill)
{
    return look_incidents(drill) > 0;
}

static void compare(struct drill *drill, const json_t *object, const char *key, const char *wanted)
{
    const char *is = json_string_value(json_object_get(object, key));
    if (wanted != NULL && (is == NULL || strcmp(is, wanted) != 0))
        drill_fail(drill, "the incident's %s is %s, not %s", key, is == NULL ? "null" : is, wanted);
}

void expect_incident(struct drill *drill, const struct incident_wanted *wanted)
{
    drill_await(drill,
                &(struct drill_wait){incident_is_there, INCIDENT_S, "an incident is written"});
    json_t *incident = look_incident(drill);
    const char *message = json_string_value(json_object_get(incident, "message"));
    drill_say(drill, "incident: %s", message == NULL ? "(no message)" : message);
    compare(drill, incident, "process", wanted->process);
    compare(drill, incident, "cause", wanted->cause);
    compare(drill, incident, "signal", wanted->signal);
    compare(drill, incident, "beat", wanted->beat);
    compare(drill, json_object_get(incident, "healing"), "start", wanted->start);
    json_decref(incident);
}

void expect_no_incident(struct drill *drill)
{
    if (look_incidents(drill) > 0)
        drill_fail(drill, "there was an incident, and nothing should have died");
}

void expect_answered(struct drill *drill, uint32_t failures_most)
{
    const struct witnesses *witnesses = drill->sandbox.witnesses;
    witness_count(drill);
    if (drill->result.unanswered > failures_most)
        drill_fail(drill, "%u of %u requests of clients failed, first %.160s",
                   drill->result.unanswered, drill->result.asked, witnesses->first_failure);
}

void expect_same_processes(struct drill *drill)
{
    for (unsigned i = PROCESS_SUPERVISOR; i < PROCESS_COUNT; i++)
        if (atomic_load(&drill->sandbox.page->processes[i].pid) != drill->before.pids[i])
            drill_fail(drill, "the %s was replaced, and need not have been",
                       process_name((enum page_process_id)i));
}
