/*
 * The last log lines of every process, in memory that they share and that outlives them
 * (page/status_page.h). log.c writes each line that it logs here too; GET /logs and GET /events
 * read them.
 *
 * A record is 512 bytes. A writer takes the next serial number with one atomic addition, claims the
 * record's place, fills it, and stores the serial last; a place that somebody else has claimed is
 * passed over. So nobody waits and no two write the same. A writer that dies in the middle leaves
 * its place claimed for good: one of 4,096, and a line that is noticed to be missing. A checksum
 * says whether what is read is what was written.
 *
 * A line that is longer than a record is cut and says so, as in log.h.
 */
#ifndef MOONWATCH_BASE_LOG_RING_H
#define MOONWATCH_BASE_LOG_RING_H

#include "base/log.h"
#include "base/time.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_RING_LINES  4096 /* a power of two; hours of an ordinary day */
#define LOG_LOGGER_SIZE 24
#define LOG_TEXT_SIZE   456

#define LOG_RING_CLAIMED (1ULL << 63) /* of a serial: its record is being written */

struct log_record {
    _Atomic uint64_t serial; /* 1 …; stored last; 0: empty */
    uint64_t check;          /* of all that follows */
    int64_t at_us;           /* instant */
    uint16_t length;         /* of the text */
    uint8_t level;           /* enum log_level */
    uint8_t writer;          /* as log_share() was told */
    uint32_t spare;
    char logger[LOG_LOGGER_SIZE];
    char text[LOG_TEXT_SIZE]; /* members of a JSON object: "msg":"…","status":429 */
};

_Static_assert(sizeof(struct log_record) == 512, "whole cache lines");

struct log_ring {
    _Atomic uint64_t next;    /* serials given out */
    _Atomic uint64_t lost;    /* lines that found no place: somebody wrote over the ring */
    _Atomic uint64_t cleared; /* lines up to this serial are shown no more */
    uint64_t spare[5];
    struct log_record records[LOG_RING_LINES];
};

/* What is written; `text` is at most LOG_TEXT_SIZE bytes. */
struct log_entry {
    instant at;
    enum log_level level;
    unsigned writer;
    const char *logger; /* cut where it is longer than LOG_LOGGER_SIZE − 1 */
    const char *text;
    size_t length;
};

/* From any thread of any process; never waits. */
void log_ring_put(struct log_ring *ring, const struct log_entry *entry);

/* A copy of a line. */
struct log_line {
    uint64_t serial;
    instant at;
    enum log_level level;
    unsigned writer;
    char logger[LOG_LOGGER_SIZE];
    char text[LOG_TEXT_SIZE + 1]; /* NUL-terminated */
    size_t length;
};

/* Serials from the first to the last that may be there; none when first > last. What was cleared
 * is before the first. */
uint64_t log_ring_first(const struct log_ring *ring);
uint64_t log_ring_last(const struct log_ring *ring);

enum log_ring_result {
    LOG_RING_READ,
    LOG_RING_UNFINISHED, /* being written, or its writer died in the middle */
    LOG_RING_GONE        /* written over, or not what was written */
};

enum log_ring_result log_ring_read(const struct log_ring *ring, uint64_t serial,
                                   struct log_line *out);

/* Shows no more what there is; returns how many lines that were. */
size_t log_ring_clear(struct log_ring *ring);

#endif
