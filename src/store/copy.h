/*
 * Moves all that a store holds into another, which may be of another kind.
 *
 *     begin     FROM is opened as a source: locked, and left as it is. TO must be empty, or hold a
 *               copy of this FROM that was broken off: it has a note of what it is a copy of, and
 * of how far it came copy      part by part, in slices; a slice and the note of it are one
 * transaction of TO, so a death anywhere costs at most a slice, and nothing is there twice compare
 * both are read whole: counts, and a checksum over a form of each row that does not depend on the
 * store. Only when they are equal the note says that the copy is complete, and TO is a database
 * that a daemon takes
 *
 * The mark of a source is made of what changes with anything that is written to it: generation,
 * positions, settings. So a FROM that a daemon used since is another source, while one that was
 * moved to another place is the same.
 */
#ifndef MOONWATCH_STORE_COPY_H
#define MOONWATCH_STORE_COPY_H

#include "store/store.h"

#define COPY_SLICE_ROWS 4096 /* in a transaction, and between two reports */

enum copy_stage { COPY_COPYING, COPY_READING_SOURCE, COPY_READING_TARGET };

struct copy_progress {
    enum copy_stage stage;
    enum store_part part;
    uint64_t rows;        /* copied by this call */
    uint64_t done, total; /* of the whole work, in rows by their positions */
};

struct copy_watch {
    void *context;
    /* After each slice. False: stop here; the same call goes on later. */
    bool (*on_progress)(void *context, const struct copy_progress *progress);
};

/* FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/): against mistakes, not forgers. */
struct copy_sum {
    uint64_t rows, checksum;
};

struct copy_report {
    uint64_t rows;      /* copied by this call */
    uint64_t continued; /* positions that earlier calls had done; 0: it began anew */
    uint64_t refused;   /* rows of FROM that fail their checks: left out, as a start leaves them */
    struct copy_sum sums[STORE_PART_COUNT]; /* of both sides, when they are equal */
};

enum copy_outcome {
    COPY_DONE,
    COPY_STOPPED, /* as on_progress() wished */
    COPY_FAILED   /* `why` says what, where, and what to do */
};

enum copy_outcome store_copy(const char *from, const char *to, const struct copy_watch *watch,
                             struct copy_report *report, char why[512]) MUST_CHECK;

/* All rows of a part. */
enum err copy_sum_part(struct store *store, enum store_part part, struct copy_sum *out) MUST_CHECK;

#endif
