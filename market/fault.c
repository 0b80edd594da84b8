/* Faults: see fault.h. */
#include "market/fault.h"
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ANY_KIND                                                                                   \
    ((1u << ROUTE_SCREEN) | (1u << ROUTE_DISCOVER) | (1u << ROUTE_REFRESH) | (1u << ROUTE_LEGACY))

#define SLOW_DEFAULT_MS    1000
#define HUGE_DEFAULT_BYTES (8 * 1024 * 1024)

static const char *const fault_names[FAULT_TYPE_COUNT] = {
#define X(code, name) [code] = name,
    FAULT_LIST(X)
#undef X
};

const char *fault_name(enum fault_type type)
{
    return fault_names[type];
}

enum fault_type fault_find(const char *name)
{
    unsigned type = 0;
    while (type < FAULT_TYPE_COUNT && strcmp(name, fault_names[type]) != 0)
        type++;
    return (enum fault_type)type;
}

/* ---- reading one ---- */

struct reader {
    json_t *object;
    char *why;
    bool failed;
};

__attribute__((format(printf, 2, 3))) static void complain(struct reader *reader,
                                                           const char *format, ...)
{
    va_list arguments;
    if (reader->failed)
        return;
    reader->failed = true;
    va_start(arguments, format);
    vsnprintf(reader->why, FAULT_MESSAGE_SIZE, format, arguments);
    va_end(arguments);
}

static void check_names(struct reader *reader)
{
    static const char *const known[] = {"fault", "kind",   "probability", "seconds", "count",
                                        "ms",    "status", "retry_after", "bytes"};
    const char *key;
    json_t *value;
    json_object_foreach(reader->object, key, value)
    {
        size_t i = 0;
        while (i < sizeof known / sizeof known[0] && strcmp(known[i], key) != 0)
            i++;
        if (i == sizeof known / sizeof known[0])
            complain(reader, "unknown member \"%.40s\"", key);
    }
}

struct range {
    double low, high;
};

/* The number called `name`; `otherwise` when it is not given. */
static double read_number(struct reader *reader, const char *name, double otherwise,
                          struct range range)
{
    json_t *value = json_object_get(reader->object, name);
    if (value == NULL)
        return otherwise;
    if (!json_is_number(value)) {
        complain(reader, "\"%s\" must be a number", name);
        return otherwise;
    }
    double number = json_number_value(value);
    if (number >= range.low && number <= range.high)
        return number;
    complain(reader, "\"%s\" must be from %g to %g", name, range.low, range.high);
    return otherwise;
}

static enum fault_type read_type(struct reader *reader)
{
    const char *name = json_string_value(json_object_get(reader->object, "fault"));
    if (name == NULL) {
        complain(reader, "\"fault\" must be the name of a fault");
        return FAULT_SLOW;
    }
    enum fault_type type = fault_find(name);
    if (type == FAULT_TYPE_COUNT) {
        complain(reader, "unknown fault \"%.40s\"", name);
        return FAULT_SLOW;
    }
    return type;
}

static unsigned read_kinds(struct reader *reader)
{
    json_t *value = json_object_get(reader->object, "kind");
    if (value == NULL)
        return ANY_KIND;
    const char *name = json_string_value(value);
    if (name != NULL && strcmp(name, "all") == 0)
        return ANY_KIND;
    for (unsigned kind = 0; name != NULL && kind < ROUTE_STREAM; kind++)
        if (strcmp(name, route_name((enum route_kind)kind)) == 0)
            return 1u << kind;
    complain(reader, "\"kind\" must be refresh, screen, discover, legacy or all");
    return 0;
}

static int read_status(struct reader *reader)
{
    int status = (int)read_number(reader, "status", 503, (struct range){400, 599});
    bool is_stream = !reader->failed &&
                     fault_find(json_string_value(json_object_get(reader->object, "fault"))) ==
                         FAULT_STREAM_REFUSE;
    if (!is_stream && status != 500 && status != 502 && status != 503)
        complain(reader, "\"status\" must be 500, 502 or 503");
    return status;
}

static void read_fault(struct reader *reader, instant now, struct fault *out)
{
    check_names(reader);
    *out = (struct fault){.type = read_type(reader), .kinds = read_kinds(reader)};
    out->probability = read_number(reader, "probability", 1, (struct range){0, 1});
    double seconds = read_number(reader, "seconds", 0, (struct range){0.001, 1e7});
    out->until = seconds > 0 ? instant_add(now, duration_s(seconds)) : INSTANT_FAR;
    double count = read_number(reader, "count", 0, (struct range){1, 1e15});
    out->left = count > 0 ? (int64_t)count : INT64_MAX;
    out->delay_ms =
        (uint32_t)read_number(reader, "ms", SLOW_DEFAULT_MS, (struct range){1, FAULT_DELAY_MAX_MS});
    out->status = read_status(reader);
    out->retry_after_s = (int)read_number(reader, "retry_after", -1, (struct range){0, 86400});
    out->bytes = (size_t)read_number(reader, "bytes", HUGE_DEFAULT_BYTES,
                                     (struct range){1, FAULT_BYTES_MAX});
    if (out->type == FAULT_STREAM_DROP && seconds == 0 && count == 0)
        out->left = 1;
}

enum err faults_add(struct faults *faults, const char *text, size_t length, instant now,
                    char why[FAULT_MESSAGE_SIZE])
{
    json_error_t error;
    struct reader reader = {.object = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error),
                            .why = why};
    struct fault fault = {0};
    faults_expire(faults, now);
    if (reader.object == NULL)
        complain(&reader, "not JSON: %.100s", error.text);
    else if (!json_is_object(reader.object))
        complain(&reader, "a fault is a JSON object");
    else
        read_fault(&reader, now, &fault);
    json_decref(reader.object);
    if (reader.failed)
        return ERR_INVALID;
    if (faults->count == FAULTS_MAX) {
        snprintf(why, FAULT_MESSAGE_SIZE, "there are %d faults already", FAULTS_MAX);
        return ERR_FULL;
    }
    faults->list[faults->count++] = fault;
    return OK;
}

/* ---- keeping them ---- */

static void remove_at(struct faults *faults, size_t place)
{
    faults->count--;
    memmove(&faults->list[place], &faults->list[place + 1],
            (faults->count - place) * sizeof faults->list[0]);
}

size_t faults_clear(struct faults *faults)
{
    size_t count = faults->count;
    faults->count = 0;
    return count;
}

size_t faults_remove(struct faults *faults, enum fault_type type)
{
    size_t removed = 0;
    for (size_t i = faults->count; i-- > 0;) {
        if (faults->list[i].type != type)
            continue;
        remove_at(faults, i);
        removed++;
    }
    return removed;
}

void faults_expire(struct faults *faults, instant now)
{
    for (size_t i = faults->count; i-- > 0;)
        if (faults->list[i].left == 0 || !instant_before(now, faults->list[i].until))
            remove_at(faults, i);
}

/* ---- striking ---- */

static bool hits(struct faults *faults, struct fault *fault, instant now)
{
    if (fault->left == 0 || !instant_before(now, fault->until))
        return false;
    if (fault->probability < 1 && prng_unit(&faults->prng) >= fault->probability)
        return false;
    fault->struck++;
    if (fault->left != INT64_MAX)
        fault->left--;
    return true;
}

void faults_strike(struct faults *faults, enum route_kind kind, instant now, struct strike *out)
{
    out->is_struck = false;
    out->delay_ms = 0;
    for (size_t i = 0; i < faults->count; i++) {
        struct fault *fault = &faults->list[i];
        if (fault->type >= FAULT_DOWN || (fault->kinds & 1u << kind) == 0)
            continue;
        if ((fault->type != FAULT_SLOW && out->is_struck) || !hits(faults, fault, now))
            continue;
        if (fault->type == FAULT_SLOW) {
            out->delay_ms += fault->delay_ms;
        } else {
            out->is_struck = true;
            out->fault = *fault;
        }
    }
}

bool faults_strike_type(struct faults *faults, enum fault_type type, instant now,
                        struct fault *which)
{
    for (size_t i = 0; i < faults->count; i++) {
        struct fault *fault = &faults->list[i];
        if (fault->type != type || !hits(faults, fault, now))
            continue;
        *which = *fault;
        return true;
    }
    return false;
}
