/*
 * What an engine starts from: the table that its predecessor left (WARM), or the store (COLD).
 *
 *     engine_restore_warm_first()   an attached table: settings from the store, its header, and in
 * a large one the tokens that have waited longest engine_restore_warm_rest()    every other slot;
 * bad ones are taken from the store engine_restore_cold()         empties the table where it was
 * inherited, and loads everything engine_catch_up()             after writer_begin(): what the
 * store does not have yet is written
 *
 * ERR_CORRUPT of the first two, with `why_cold`: go cold. All leave engine->core ready to step. The
 * report is for the log and for the incident.
 *
 * A table is believed when its header and all but BAD_SLOTS_MAX of its slots are sound, and when
 * the store is the one it was written to. Where that store is empty now (its file was deleted), or
 * a new one had not been filled, everything is written to it from the table.
 */
#ifndef MOONWATCH_ENGINE_RESTORE_H
#define MOONWATCH_ENGINE_RESTORE_H

#include "engine/warm.h"
#include "store/store.h"

struct engine;
struct cold;

enum restore_kind { RESTORE_COLD, RESTORE_WARM };

#define RESTORE_STAGE_LIST(X)                                                                      \
    X(RESTORE_SETTINGS, "settings")                                                                \
    X(RESTORE_FIRST, "first")   /* warm: those that have waited longest */                         \
    X(RESTORE_SLOTS, "slots")   /* warm: checked and placed */                                     \
    X(RESTORE_REPAIR, "repair") /* warm: bad slots taken from the store */                         \
    X(RESTORE_LOAD, "load")     /* cold: rows, log and settings */                                 \
    X(RESTORE_LANES, "lanes")   /* sorted; warm: and the index checked */

enum restore_stage {
#define X(code, name) code,
    RESTORE_STAGE_LIST(X)
#undef X
        RESTORE_STAGE_COUNT
};

const char *restore_stage_name(enum restore_stage stage);

struct restore_report {
    enum restore_kind kind;
    const char *why_cold; /* static; NULL: warm, or nothing was inherited */
    uint32_t first;       /* warm: tokens that could be sent for before the others were checked */
    uint32_t slots_checked;
    uint32_t slots_restored; /* from the store */
    uint32_t holes_made;     /* bad slots without a row: never durable, never acknowledged */
    uint32_t behind;         /* tokens that the store did not have as they are */
    bool is_index_rebuilt;
    bool is_store_rewritten; /* from the table, all of it */
    double stage_ms[RESTORE_STAGE_COUNT];
};

struct restore {
    struct store *store; /* whoever started this keeps it open */
    struct restore_report report;
    struct store_load_report load;
    struct warm warm;
};

/* Of so many tokens everybody is looked at within the time that the first ones would take. */
#define RESTORE_AT_ONCE_MAX 50000

/* With more than `at_once` tokens, requests for the first may be sent before the rest is called. No
 * answer may be taken meanwhile, nobody told who is suspect: none of the first is. */
enum err engine_restore_warm_first(struct engine *engine, struct store *store,
                                   struct restore *restore, uint32_t at_once) MUST_CHECK;
enum err engine_restore_warm_rest(struct engine *engine, struct store *store,
                                  struct restore *restore) MUST_CHECK;
/* Keeps `why_cold`. ERR_CORRUPT after all that could be read: the core is ready all the same. */
enum err engine_restore_cold(struct engine *engine, struct store *store,
                             struct restore *restore) MUST_CHECK;
/* The same with the first tokens only, where there are more: *cold is NULL, or goes on with the
 * others (cold.h). */
struct restore_news {
    void (*on_news)(void *context);
    void *context;
    uint32_t first_tokens;
};
enum err engine_restore_first(struct engine *engine, struct store *store, struct restore *restore,
                              const struct restore_news *news, struct cold **cold) MUST_CHECK;
void engine_catch_up(struct engine *engine, struct restore *restore);
void restore_log(const struct restore_report *report);

/* What the two kinds of start share. */
/* As the table has it; `pools` has room for POOLS_MAX. */
void restore_convert_row(struct token_table *table, const struct store_token *row,
                         struct token *out, struct pool *pools);
bool restore_take_row(struct token_table *table, const struct store_token *row);
bool restore_on_setting(void *engine, const char *name, const char *value);
void restore_on_alert(void *engine, int64_t id, const char *text);
void restore_init_core(struct engine *engine, int64_t last_snapshot_id);
void restore_note_store(struct engine *engine, const struct store *store, uint64_t is_behind);

#endif
