#include "alert/item.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEST_NAME "test"
#define TEST_TEXT "a test: somebody wanted to know whether messages arrive"
#define TEST_TODO "Nothing: it is here."

/* ---- who speaks ---- */

/* "0.0.0.0" and "[::]" are everywhere: our name says where that is. */
void alert_origin_init(struct alert_origin *origin, const struct options *options)
{
    char host[256] = "localhost";
    const char *listen = options->listen;
    const char *colon = strrchr(listen, ':');
    bool is_everywhere = strncmp(listen, "0.0.0.0:", 8) == 0 || strncmp(listen, "[::]:", 5) == 0;
    if (gethostname(host, sizeof host - 1) != 0)
        strcpy(host, "localhost");
    snprintf(origin->instance, sizeof origin->instance, "%s%s", host, colon == NULL ? "" : colon);
    if (is_everywhere)
        snprintf(origin->url, sizeof origin->url, "http://%.250s%s", host, colon);
    else
        snprintf(origin->url, sizeof origin->url, "http://%s", listen);
}

/* ---- items ---- */

static void label(struct alert_item *item, const char *name, const char *value)
{
    item->labels.of[item->labels.count++] = (struct alert_label){name, value};
}

/* In the order of names, which a fingerprint needs. */
static void set_labels(struct alert_item *item, const char *name, const char *component,
                       const char *subject, const struct alert_origin *origin)
{
    label(item, "alertname", name);
    label(item, "component", component);
    label(item, "instance", origin->instance);
    label(item, "job", "moonwatch");
    label(item, "severity", severity_name(item->severity));
    if (subject[0] != '\0')
        label(item, "subject", subject);
}

size_t alert_item_count(const struct alert_message *message)
{
    return message->kind == ALERT_TEST ? 1 : message->count;
}

static void make_test(const struct alert_message *message, const struct alert_origin *origin,
                      struct alert_item *out)
{
    out->severity = message->severity;
    out->change = TEST_NAME;
    out->starts = message->at;
    snprintf(out->summary, sizeof out->summary, "%s", TEST_TEXT);
    snprintf(out->description, sizeof out->description, "%s", TEST_TODO);
    set_labels(out, TEST_NAME, "alerts", "", origin);
}

static void make(const struct alert_entry *entry, enum severity severity,
                 const struct alert_origin *origin, struct alert_item *out)
{
    const struct finding *finding = &entry->finding;
    out->severity = severity;
    out->is_resolved = entry->change == ALERT_IS_OVER;
    out->change = alert_change_name(entry->change);
    out->starts = finding->since;
    out->ends = entry->ended;
    out->onsets = entry->onsets;
    out->flaps = entry->flaps;
    finding_text(finding, out->summary);
    finding_advice(finding, out->description);
    set_labels(out, finding_name(finding->cause), component_name(finding_component(finding->cause)),
               finding_subject_name(finding->cause, finding->subject), origin);
}

void alert_item(const struct alert_message *message, size_t n, const struct alert_origin *origin,
                struct alert_item *out)
{
    *out = (struct alert_item){0};
    if (message->kind == ALERT_TEST)
        make_test(message, origin, out);
    else
        make(&message->of[n], message->of[n].finding.severity, origin, out);
}

bool alert_item_before(const struct alert_message *message, size_t n,
                       const struct alert_origin *origin, struct alert_item *out)
{
    if (message->kind == ALERT_TEST || message->of[n].change != ALERT_IS_WORSE)
        return false;
    *out = (struct alert_item){0};
    make(&message->of[n], message->of[n].before, origin, out);
    out->is_resolved = true;
    out->ends = message->at;
    return true;
}

/* ---- fingerprints ---- */

static uint64_t add_byte(uint64_t hash, unsigned char byte)
{
    return (hash ^ byte) * UINT64_C(1099511628211);
}

static uint64_t add_text(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++)
        hash = add_byte(hash, (unsigned char)*text);
    return add_byte(hash, 255);
}

uint64_t alert_fingerprint(const struct alert_labels *labels)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < labels->count; i++) {
        hash = add_text(hash, labels->of[i].name);
        hash = add_text(hash, labels->of[i].value);
    }
    return hash;
}
