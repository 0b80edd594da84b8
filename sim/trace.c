/* The hash of all actions, and the run in words. See parts.h. */
#include "sim/parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FNV_PRIME 0x100000001b3ULL
#define LINE_SIZE 320

/* FNV-1a over words; whatever is left over is one word more. */
void trace_bytes(struct sim *sim, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (; size >= sizeof(uint64_t); bytes += sizeof(uint64_t), size -= sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, bytes, sizeof word);
        trace_number(sim, word);
    }
    if (size > 0) {
        uint64_t word = 0;
        memcpy(&word, bytes, size);
        trace_number(sim, word);
    }
}

void trace_number(struct sim *sim, uint64_t number)
{
    uint64_t hash = (sim->result->trace_hash ^ number) * FNV_PRIME;
    sim->result->trace_hash = hash ^ hash >> 32;
}

void trace_line(struct sim *sim, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    if (sim->setup->on_line == NULL)
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    sim->setup->on_line(sim->setup->context, sim->now, line);
}

static void say_fetch(struct sim *sim, const struct action *action)
{
    char first[ADDRESS_TEXT_MAX + 1];
    address_format(&action->fetch.addresses[0], first);
    trace_line(sim, "asks: %s, %zu addresses from %.8s on, request %llu",
               lane_kind_name(action->fetch.lane), action->fetch.count, first,
               (unsigned long long)action->fetch.request);
}

static void say_reply(struct sim *sim, const struct action *action)
{
    static const char *const results[] = {[REPLY_CREATED] = "created",
                                          [REPLY_KNOWN] = "known",
                                          [REPLY_DONE] = "done",
                                          [REPLY_NOT_FOUND] = "not found",
                                          [REPLY_UNAVAILABLE] = "unavailable",
                                          [REPLY_ELSEWHERE] = "elsewhere"};
    trace_line(sim, "replies to %llu: %s", (unsigned long long)action->reply.tag,
               results[action->reply.result]);
}

static void say_transition(struct sim *sim, const struct action *action)
{
    enum transition what = action->transition.what;
    trace_line(sim, "%s of %u: from %s to %s", transition_name(what), action->transition.id,
               transition_state_name(what, action->transition.from),
               transition_state_name(what, action->transition.to));
}

void trace_action(struct sim *sim, const struct action *action)
{
    if (sim->setup->on_line == NULL)
        return;
    switch (action->kind) {
    case ACTION_FETCH:
        return say_fetch(sim, action);
    case ACTION_CANCEL:
        return trace_line(sim, "gives up request %llu", (unsigned long long)action->cancel.request);
    case ACTION_ADD_TOKEN:
        return trace_line(sim, "adds token %u", action->add_token.id);
    case ACTION_HISTORY:
        return trace_line(sim, "token %u was %s: %s", action->history.id, action->history.event,
                          action->history.reason);
    case ACTION_REPLY:
        return say_reply(sim, action);
    case ACTION_JOB_CANCEL:
        return trace_line(sim, "cancels a run of %s", job_name(action->job_cancel.job));
    case ACTION_RESTART:
        return trace_line(sim, "asks to be restarted: %s", action->restart.reason);
    case ACTION_SUSPECT_CLEARED:
        return trace_line(sim, "token %u is no suspect any more", action->suspect_cleared.id);
    case ACTION_LIMIT:
        return trace_line(sim, "takes the limit of %s for %.0f a minute",
                          lane_kind_name(action->limit.lane), action->limit.per_minute);
    case ACTION_TRANSITION:
        return say_transition(sim, action);
    case ACTION_SAVE:
    case ACTION_SNAPSHOT:
    case ACTION_EXPORT:
    case ACTION_RETENTION:
    case ACTION_ALERT:
    case ACTION_KIND_COUNT:
        return; /* many, and each follows from what was said */
    }
}
