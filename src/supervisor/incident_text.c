/* What an incident says, to people and to programs. See incident.h. */
#include "supervisor/incident_text.h"

#include "base/clock.h"
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FRAME_TEXT_SIZE      200 /* 100 of a function, 32 of a module, two offsets */
#define TRANSITION_TEXT_SIZE 160 /* the longest sentence has 110 */
#define SHORT_TEXT_SIZE      96

static const char *const cause_names[] = {
#define X(code, name, phrase) [code] = name,
    INCIDENT_CAUSE_LIST(X)
#undef X
};

static const char *const cause_phrases[] = {
#define X(code, name, phrase) [code] = phrase,
    INCIDENT_CAUSE_LIST(X)
#undef X
};

static const char *const action_names[] = {
#define X(code, name) [code] = name,
    HEALING_ACTION_LIST(X)
#undef X
};

const char *incident_cause_name(enum incident_cause cause)
{
    return (unsigned)cause < INCIDENT_CAUSE_COUNT ? cause_names[cause] : "unknown";
}

const char *healing_action_name(enum healing_action action)
{
    return (unsigned)action < HEALING_ACTION_COUNT ? action_names[action] : "unknown";
}

/* ---- the sentence ---- */

struct message {
    char *out;
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void add(struct message *message, const char *format,
                                                      ...)
{
    va_list arguments;
    size_t room = INCIDENT_MESSAGE_SIZE - message->length;
    va_start(arguments, format);
    vsnprintf(message->out + message->length, room, format, arguments);
    va_end(arguments);
    message->length += strlen(message->out + message->length); /* it may have been cut */
}

static void add_span(struct message *message, duration span)
{
    if (span.us < 1000)
        add(message, "%" PRId64 " us", span.us);
    else if (span.us < 10000000)
        add(message, "%" PRId64 " ms", duration_to_ms(span));
    else
        add(message, "%.1f s", duration_to_s(span));
}

static const char *signal_text(int number, char out[SHORT_TEXT_SIZE])
{
    const char *name = sigabbrev_np(number);
    if (name != NULL)
        snprintf(out, SHORT_TEXT_SIZE, "SIG%s", name);
    else
        snprintf(out, SHORT_TEXT_SIZE, "signal %d", number);
    return out;
}

static void add_silence(struct message *message, const struct incident_death *death)
{
    add_span(message, death->silent);
    if (death->beat < BEAT_COUNT)
        add(message, " (%s)", beat_name(death->beat));
}

static void add_cause(struct message *message, const struct incident_death *death)
{
    char text[SHORT_TEXT_SIZE];
    const char *at = death->cause < INCIDENT_CAUSE_COUNT ? cause_phrases[death->cause] : "died";
    for (; *at != '\0'; at++) {
        if (*at != '%')
            add(message, "%c", *at);
        else if (*++at == 'g')
            add(message, "%s", signal_text(death->signal, text));
        else if (*at == 'x')
            add(message, "%d", death->exit_status);
        else
            add_silence(message, death);
    }
}

static bool was_killed_by_us(enum incident_cause cause)
{
    return cause == INCIDENT_HANG || cause == INCIDENT_STOPPED ||
           cause == INCIDENT_MEMORY_CEILING || cause == INCIDENT_NOT_DRAINED;
}

static void add_healing(struct message *message, const struct incident *incident,
                        const struct incident_healing *healing)
{
    const char *killed = was_killed_by_us(incident->death.cause) ? "killed and " : "";
    if (healing->action == HEALING_NONE) {
        add(message, "; it was %snot replaced%s%s", killed, healing->why[0] != '\0' ? ": " : "",
            healing->why);
        return;
    }
    add(message, "; it was %sreplaced after ", killed);
    add_span(message, healing->replaced_after);
    bool says_start = healing->start != START_NONE;
    if (says_start)
        add(message, " (%s", start_kind_name(healing->start));
    if (healing->attempts > 1)
        add(message, "%s%u attempts", says_start ? ", " : " (", healing->attempts);
    if (says_start || healing->attempts > 1)
        add(message, ")");
}

size_t incident_message(const struct incident *incident, const struct incident_healing *healing,
                        char out[INCIDENT_MESSAGE_SIZE])
{
    struct message message = {out, 0};
    add(&message, "the %s ", process_name(incident->death.process));
    add_cause(&message, &incident->death);
    if (incident->in_hand_count > 0)
        add(&message, " while it handled an answer about %u token%s", incident->in_hand_count,
            incident->in_hand_count == 1 ? "" : "s");
    add_healing(&message, incident, healing);
    return message.length;
}

/* ---- JSON ---- */

static void put_instant(struct json *json, const char *key, instant at)
{
    char text[ISO_TIME_SIZE];
    iso_time_format(at, text);
    json_put_string(json, key, text);
}

static void put_death(struct json *json, const struct incident_death *death)
{
    char text[SHORT_TEXT_SIZE];
    put_instant(json, "at", death->at);
    json_put_string(json, "process", process_name(death->process));
    json_put_int(json, "pid", death->pid);
    json_put_int(json, "generation", (int64_t)death->generation);
    json_put_string(json, "cause", incident_cause_name(death->cause));
    json_put_string(json, "signal", death->signal != 0 ? signal_text(death->signal, text) : NULL);
    if (death->cause == INCIDENT_EXIT)
        json_put_int(json, "exit_status", death->exit_status);
    else
        json_put_null(json, "exit_status");
    json_put_string(json, "beat", death->beat < BEAT_COUNT ? beat_name(death->beat) : NULL);
    json_put_int(json, "silent_us", death->silent.us);
}

static void put_crash(struct json *json, const struct crash_report *crash)
{
    char text[FRAME_TEXT_SIZE];
    snprintf(text, sizeof text, "0x%" PRIx64, crash->fault_address);
    json_put_string(json, "fault_address", crash->is_filled ? text : NULL);
    json_array_open(json, "backtrace");
    for (uint32_t i = 0; crash->is_filled && i < crash->frame_count; i++) {
        crash_describe_frame(crash, i, text, sizeof text);
        json_put_string(json, NULL, text);
    }
    json_array_close(json);
}

static void put_in_hand(struct json *json, const struct incident *incident)
{
    json_array_open(json, "in_hand");
    for (uint32_t i = 0; i < incident->in_hand_count; i++) {
        char mint[ADDRESS_TEXT_MAX + 1];
        address_format(&incident->in_hand[i], mint);
        json_put_string(json, NULL, mint);
    }
    json_array_close(json);
}

static void put_transitions(struct json *json, const struct incident *incident)
{
    json_array_open(json, "transitions");
    for (uint32_t i = 0; i < incident->transition_count; i++) {
        const struct flight_record *record = &incident->transitions[i];
        char text[TRANSITION_TEXT_SIZE];
        flight_describe(record, text, sizeof text);
        json_object_open(json, NULL);
        put_instant(json, "at", (instant){record->at_us});
        json_put_string(json, "process", process_name((enum page_process_id)record->process));
        json_put_string(json, "kind", flight_kind_name((enum flight_kind)record->kind));
        json_put_string(json, "text", text);
        json_object_close(json);
    }
    json_array_close(json);
}

static void put_healing(struct json *json, const struct incident_healing *healing)
{
    json_object_open(json, "healing");
    json_put_string(json, "action", healing_action_name(healing->action));
    json_put_string(json, "start", start_kind_name(healing->start));
    json_put_string(json, "why", healing->why[0] != '\0' ? healing->why : NULL);
    if (healing->action != HEALING_NONE)
        json_put_int(json, "replaced_after_us", healing->replaced_after.us);
    else
        json_put_null(json, "replaced_after_us");
    json_put_int(json, "attempts", healing->attempts);
    json_object_close(json);
}

void incident_write_json(struct json *json, const struct incident *incident,
                         const struct incident_healing *healing)
{
    char message[INCIDENT_MESSAGE_SIZE];
    incident_message(incident, healing, message);
    json_object_open(json, NULL);
    json_put_int(json, "number", (int64_t)incident->number);
    put_death(json, &incident->death);
    json_put_string(json, "message", message);
    put_crash(json, &incident->crash);
    put_in_hand(json, incident);
    put_transitions(json, incident);
    put_healing(json, healing);
    json_put_int(json, "suspects", (int64_t)healing->suspects_now);
    json_put_int(json, "quarantined", (int64_t)healing->quarantined);
    json_object_close(json);
}
