/*
 * A store that looks on: passes every call to the real one, and notes what each transaction made of
 * the model (store_model.h), when its commit began and when it was said to be done, in positions of
 * the film (power_disk.h).
 */
#ifndef MOONWATCH_TESTS_TORTURE_STORE_WITNESS_H
#define MOONWATCH_TESTS_TORTURE_STORE_WITNESS_H

#include "power_disk.h"
#include "store/store_impl.h"
#include "store_model.h"

struct witness_note {
    size_t began, done; /* positions of the film; done SIZE_MAX: never said to be */
    bool is_durable;
    struct model after;
};

struct witness_notes {
    struct witness_note *notes;
    size_t count, capacity;
};

struct witness {
    struct store base;
    struct store *inner;
    const struct power_film *film;
    struct witness_notes *notes;
    struct model now, draft; /* committed, and with the transaction under way */
    enum store_durability durability;
    size_t began;
    size_t new_file_at; /* where the newest reopening had made a new file; 0: never */
};

/* Notes what is there before anything is done. */
void witness_note_start(struct witness *witness);
/* Opens the real store; `now` is what is known to be in it. `unawaited` as for store_open_after();
 * 0: nobody. NULL with a sentence. */
struct store *witness_open(struct witness *witness, const char *url, pid_t unawaited,
                           char why[512]);
/* Looks on at one that is open. */
struct store *witness_over(struct witness *witness, struct store *inner);
void witness_notes_free(struct witness_notes *notes);

#endif
