/*
 * PumpPortal's protocol: frames in, meaning out. Pure functions over bytes.
 * https://pumpportal.fun/data-api/real-time
 *
 * One text frame is one JSON object: an event ("txType"), an answer to a request of ours
 * ("message"), or a refusal ("errors"). Frames have no time and no number. Every frame means
 * exactly one of source.h's counts, so the counts add up to the frames.
 *
 * A key that stands twice makes a frame junk: nobody can say which of two mints was meant.
 */
#ifndef MOONWATCH_FEED_PUMPPORTAL_H
#define MOONWATCH_FEED_PUMPPORTAL_H

#include "feed/source.h"
#include <stddef.h>

/* Sent on every connect. */
#define PUMPPORTAL_SUBSCRIBE "{\"method\":\"subscribeMigration\"}"

/* Frames seen take 60 to 900 bytes; the limit leaves room for longer names and addresses of files,
 * and keeps a hostile peer from making us parse megabytes. */
#define PUMPPORTAL_FRAME_MAX 65536

#define PUMPPORTAL_TEXT_SIZE 256

struct pumpportal_frame {
    enum source_count meaning;       /* SOURCE_MIGRATIONS to SOURCE_TOO_LARGE */
    struct source_token token;       /* with SOURCE_MIGRATIONS */
    char text[PUMPPORTAL_TEXT_SIZE]; /* what the other side said, or what is wrong; clean UTF-8 */
};

/* `bytes` need no NUL at their end. Never fails: what cannot be understood is SOURCE_JUNK. */
void pumpportal_parse(const char *bytes, size_t length, struct pumpportal_frame *out);

/* A line of a recording, {"t_wall":…,"raw":"FRAME"}, means what its frame means; any other line is
 * taken for a frame itself. */
void pumpportal_parse_recorded(const char *bytes, size_t length, struct pumpportal_frame *out);

#endif
