/*
 * An entry of a message as receivers know alerts: labels, annotations, a status, and a fingerprint
 * by which they tell one alert from another. What a message looks like in JSON (document.h) and as
 * text (text.h) is made of items.
 *
 * The fingerprint is Alertmanager's own, FNV-1a over the sorted labels
 * (https://github.com/prometheus/common/blob/main/model/fingerprinting.go), so that a receiver that
 * hears of us from both sees the same one.
 */
#ifndef MOONWATCH_ALERT_ITEM_H
#define MOONWATCH_ALERT_ITEM_H

#include "core/alerts.h"

#define ALERT_LABELS_MAX    6
#define ALERT_INSTANCE_SIZE 320

/* Who speaks. */
struct alert_origin {
    char instance[ALERT_INSTANCE_SIZE]; /* HOST:PORT, as Prometheus has it */
    char url[ALERT_INSTANCE_SIZE];      /* of the api, without a slash at its end */
};

struct alert_label {
    const char *name, *value;
};

struct alert_labels {
    size_t count;
    struct alert_label of[ALERT_LABELS_MAX]; /* sorted by name */
};

struct alert_item {
    struct alert_labels labels;
    bool is_resolved;
    enum severity severity;
    const char *change;                  /* "new", "resolved" … */
    char summary[FINDING_TEXT_SIZE];     /* what is wrong */
    char description[FINDING_TEXT_SIZE]; /* what to do */
    instant starts, ends;                /* `ends` INSTANT_NEVER: it goes on */
    uint32_t onsets;
    bool flaps;
};

/* `options` say where the api listens. */
void alert_origin_init(struct alert_origin *origin, const struct options *options);

/* How many items a message has; a test has one that is no finding. */
size_t alert_item_count(const struct alert_message *message);
/* The labels point into `out`, `origin` and constants. */
void alert_item(const struct alert_message *message, size_t n, const struct alert_origin *origin,
                struct alert_item *out);
/* The same alert as people knew it before it became worse: over. False: it did not. */
bool alert_item_before(const struct alert_message *message, size_t n,
                       const struct alert_origin *origin, struct alert_item *out);

uint64_t alert_fingerprint(const struct alert_labels *labels);

#endif
