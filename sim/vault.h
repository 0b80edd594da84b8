/*
 * A store in memory that knows what a crash and a power cut take: an implementation of store.h, so
 * that the daemon's own writer writes to it. The VAULT is what lies on the disk and outlives every
 * engine; an opening of it is a struct store.
 *
 * Rows and log are kept apart, as store.h has them: what was appended is lost with the pass that
 * drops its part of the log, unless it was checkpointed before. A commit with STORE_DURABLE is
 * safe, with all before it; the newest relaxed ones are not, and a power cut takes any number of
 * them, the last first. A crash of the engine takes none. A newer opening fences the older ones.
 *
 * It passes the conformance suite of all stores (tests/unit/store/test_store.c). It cannot be
 * copied (store_open_for_copy() and what follows it).
 */
#ifndef MOONWATCH_SIM_VAULT_H
#define MOONWATCH_SIM_VAULT_H

#include "base/prng.h"
#include "store/store.h"

/* X(code): what may happen to a transaction */
#define VAULT_MISHAP_LIST(X)                                                                       \
    X(VAULT_WELL)                                                                                  \
    X(VAULT_BUSY)   /* it cannot begin */                                                          \
    X(VAULT_FULL)   /* it cannot end: no space */                                                  \
    X(VAULT_LOST)   /* its commit fails, and nothing of it is there */                             \
    X(VAULT_UNTOLD) /* its commit seems to fail, and all of it is there */

enum vault_mishap {
#define X(code) code,
    VAULT_MISHAP_LIST(X)
#undef X
        VAULT_MISHAP_COUNT
};

/* Relaxed commits that a power cut may take; then the system has written all. */
#define VAULT_UNSYNCED_MAX 32

struct vault;

/* `draw` is asked once for each transaction. NULL: out of memory. */
struct vault *vault_create(enum vault_mishap (*draw)(void *context), void *context);
void vault_destroy(struct vault *vault); /* after its last opening was closed */

struct store *vault_open(struct vault *vault); /* NULL: out of memory */

/* From now on snapshots, events and alerts are kept, too, which nobody reads in a simulation, and
 * which would fill the memory in its days. */
void vault_keep_history(struct vault *vault);
struct store_reader *vault_reader_open(struct vault *vault); /* NULL: out of memory */
/* Its engine died: whatever is tried through it from now on fails, and changes nothing. */
void vault_break(struct store *store);
/* Returns how many commits were lost. */
unsigned vault_cut_power(struct vault *vault, struct prng *prng);
/* While it was dark the clock was set: all that was written is so much later than it was. */
void vault_shift(struct vault *vault, duration by);

/* ---- for oracles ---- */

/* As a start would find it now. False: there is no such row. */
bool vault_status(const struct vault *vault, token_id id, uint8_t *status);
bool vault_holds(const struct vault *vault, token_id id, const struct address *mint);
uint64_t vault_commits(const struct vault *vault);
/* Commits through an opening that was not the newest: there must be none. */
uint64_t vault_stale_commits(const struct vault *vault);
/* Tries of those: refused, each. */
uint64_t vault_fenced(const struct vault *vault);

#endif
