/* Films, cuts and the oracle. See the header. */
#include "power_stage.h"

#include "store/sqlite_store.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LATER_US INT64_C(1720000000000000) /* of what the next start writes */
#define LATER_ID (INT64_C(1) << 40)

/* ---- the stage ---- */

static void make_folder(char out[64])
{
    const char *memory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(out, 64, "%s/moonwatch-power-XXXXXX", memory);
    if (mkdtemp(out) == NULL)
        abort();
}

static void remove_folder(const char *folder)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        abort();
}

static void complain(struct stage *stage, const char *what)
{
    if (stage->complaint[0] == '\0')
        snprintf(stage->complaint, sizeof stage->complaint, "%s, seed %llu: %.400s", stage->title,
                 (unsigned long long)stage->seed, what);
}

void stage_init(struct stage *stage, const char *title, uint64_t seed)
{
    *stage = (struct stage){.title = title, .seed = seed};
    make_folder(stage->folder);
    make_folder(stage->aftermath);
    snprintf(stage->url, sizeof stage->url, "sqlite:%s/test.db", stage->folder);
    snprintf(stage->aftermath_url, sizeof stage->aftermath_url, "sqlite:%s/test.db",
             stage->aftermath);
}

void stage_finish(struct stage *stage)
{
    power_film_free(&stage->film);
    witness_notes_free(&stage->notes);
    remove_folder(stage->folder);
    remove_folder(stage->aftermath);
}

void stage_roll(struct stage *stage, const struct model *known)
{
    static const struct model nothing;
    power_film_start(&stage->film, stage->folder);
    work_init(&stage->work, stage->seed, &stage->film, &stage->notes);
    stage->work.witness.now = known == NULL ? nothing : *known;
    witness_note_start(&stage->work.witness);
}

bool stage_start(struct stage *stage)
{
    char why[512] = "";
    if (work_start(&stage->work, stage->url, why))
        return true;
    complain(stage, why);
    return false;
}

void stage_work(struct stage *stage, int steps)
{
    while (steps-- > 0)
        work_step(&stage->work);
    if (stage->work.complaint != NULL)
        complain(stage, stage->work.complaint);
}

/* ---- one cut ---- */

struct cut {
    struct stage *stage;
    size_t op;
    enum power_outcome outcome;
    uint64_t draw;
};

static bool fail_cut(const struct cut *cut, const char *what)
{
    static const char *const OUTCOMES[] = {"kept", "lost", "torn"};
    char text[400];
    snprintf(text, sizeof text,
             "cut before operation %zu of %zu, what was not synced is %s (draw %llu): %.250s",
             cut->op, cut->stage->film.count, OUTCOMES[cut->outcome], (unsigned long long)cut->draw,
             what);
    complain(cut->stage, text);
    return false;
}

static bool is_intact(struct store *store)
{
    sqlite3_stmt *statement = NULL;
    bool is_ok = sqlite3_prepare_v2(sqlite_of(store)->db, "PRAGMA integrity_check", -1, &statement,
                                    NULL) == SQLITE_OK &&
                 sqlite3_step(statement) == SQLITE_ROW &&
                 strcmp((const char *)sqlite3_column_text(statement, 0), "ok") == 0;
    sqlite3_finalize(statement);
    return is_ok;
}

/* The first note that may be what is there. */
static size_t first_possible(const struct cut *cut)
{
    const struct witness_notes *notes = &cut->stage->notes;
    size_t i = notes->count - 1;
    while (i > 0 && !(notes->notes[i].done <= cut->op &&
                      (notes->notes[i].is_durable || cut->outcome == POWER_KEPT)))
        i--;
    return i;
}

static bool is_weak(const struct cut *cut)
{
    return cut->op >= cut->stage->weak_from && cut->op < cut->stage->weak_to;
}

static bool check_state(const struct cut *cut, const struct model *found)
{
    const struct witness_notes *notes = &cut->stage->notes;
    size_t first = first_possible(cut), i = first;
    char what[256];
    if (is_weak(cut))
        return true;
    if (found->generation <= notes->notes[first].after.generation)
        return fail_cut(cut, "the generation did not rise");
    do
        if (model_difference(found, &notes->notes[i].after) == NULL)
            return true;
    while (++i < notes->count && notes->notes[i].began < cut->op);
    snprintf(what, sizeof what,
             "what is there is no commit's from %zu to %zu; it and the first differ in %s", first,
             i - 1, model_difference(found, &notes->notes[first].after));
    return fail_cut(cut, what);
}

/* ---- the next start goes on ---- */

static void make_row(struct store_token *row, token_id id)
{
    *row = (struct store_token){.id = id};
    row->token.mint.bytes[0] = (uint8_t)id;
    row->token.mint.bytes[31] = 1;
    snprintf(row->token.name, sizeof row->token.name, "Later %u", id);
    row->token.created_at.us = LATER_US;
    row->token.state.low_score_us = LATER_ID + id;
    row->token.state.answers = 1;
}

/* One of each kind. */
static enum err put_more(struct store *store, struct store_token *row)
{
    struct store_snapshot snapshot = {.id = LATER_ID, .token = 1, .at = {LATER_US}};
    struct store_event event = {
        .token = 1, .at = {LATER_US}, .kind = "added", .reason = "after the power came back"};
    enum err err = store_begin(store, STORE_DURABLE);
    if (err == OK)
        err = store_put_token(store, row);
    if (err == OK)
        err = store_put_setting(store, "setting_9", "7");
    if (err == OK)
        err = store_put_alert(store, LATER_ID, "after the power came back");
    row->token.state.low_score_us++;
    if (err == OK)
        err = store_append_refresh(store, row);
    if (err == OK)
        err = store_put_snapshot(store, &snapshot);
    if (err == OK)
        err = store_put_event(store, &event);
    return err == OK ? store_commit(store) : err;
}

static bool go_on(const struct cut *cut, struct store *inner, const struct model *found)
{
    static struct witness witness;
    static struct model after;
    char why[512];
    struct store_token row;
    witness = (struct witness){.now = *found};
    struct store *store = witness_over(&witness, inner);
    make_row(&row, found->last_token + 1);
    enum err err = put_more(store, &row);
    snprintf(why, sizeof why, "%s", store_message(store));
    store_close(store);
    if (err != OK)
        return fail_cut(cut, why);
    store = store_open(cut->stage->aftermath_url, why);
    if (store == NULL)
        return fail_cut(cut, why);
    bool is_read = model_load(store, &after, why);
    store_close(store);
    if (!is_read)
        return fail_cut(cut, why);
    const char *difference = model_difference(&after, &witness.now);
    return difference == NULL || fail_cut(cut, difference);
}

static bool check_open_store(const struct cut *cut, struct store *store)
{
    static struct model found;
    char why[512] = "";
    if (!model_load(store, &found, why) || !is_intact(store)) {
        store_close(store);
        return fail_cut(cut, why[0] != '\0' ? why : "it does not pass its check");
    }
    if (check_state(cut, &found))
        return go_on(cut, store, &found);
    store_close(store);
    return false;
}

static bool check_cut(const struct power_loss *loss, const struct cut *cut)
{
    char why[512] = "";
    struct prng prng;
    prng_seed(&prng, cut->draw);
    power_loss_leave(loss, cut->outcome, &prng, cut->stage->aftermath);
    struct store *store = store_open(cut->stage->aftermath_url, why);
    if (store != NULL && is_weak(cut) && cut->stage->is_damaged) {
        store_close(store);
        return true;
    }
    if (store == NULL)
        return (is_weak(cut) && cut->stage->is_damaged && why[0] != '\0') || fail_cut(cut, why);
    return check_open_store(cut, store);
}

static bool cut_here(const struct power_loss *loss, struct cut *cut, int draws,
                     struct power_tally *tally)
{
    cut->outcome = POWER_KEPT;
    bool is_well = check_cut(loss, cut);
    tally->kept++;
    if (!is_well || !power_loss_is_open(loss))
        return is_well;
    cut->outcome = POWER_LOST;
    is_well = check_cut(loss, cut);
    tally->lost++;
    cut->outcome = POWER_TORN;
    for (int i = 0; is_well && i < draws; i++, cut->draw++) {
        is_well = check_cut(loss, cut);
        tally->torn++;
    }
    return is_well;
}

bool stage_cut(struct stage *stage, int draws, struct power_tally *tally)
{
    power_film_stop();
    bool is_well = stage->complaint[0] == '\0';
    struct power_loss *loss = power_loss_create(&stage->film);
    tally->films++;
    tally->operations += stage->film.count;
    tally->commits += stage->notes.count - 1;
    tally->acknowledged += stage->work.acknowledged;
    for (size_t op = 0; is_well && op <= stage->film.count; op++) {
        struct cut cut = {
            .stage = stage, .op = op, .draw = (stage->seed << 32) + op * (unsigned)(draws + 1)};
        power_loss_advance(loss, op);
        is_well = cut_here(loss, &cut, draws, tally);
    }
    power_loss_destroy(loss);
    return is_well;
}

bool stage_leave(struct stage *stage, size_t op, enum power_outcome outcome, struct stage *next,
                 struct model *found)
{
    char why[512] = "";
    struct prng prng;
    struct power_loss *loss = power_loss_create(&stage->film);
    power_loss_advance(loss, op);
    prng_seed(&prng, stage->seed + op);
    power_loss_leave(loss, outcome, &prng, next->aftermath);
    prng_seed(&prng, stage->seed + op);
    power_loss_leave(loss, outcome, &prng, next->folder);
    power_loss_destroy(loss);
    struct store *store = store_open(next->aftermath_url, why);
    bool is_well = store != NULL && model_load(store, found, why);
    store_close(store);
    found->generation--; /* this opening was of the other folder */
    if (!is_well)
        complain(next, why);
    return is_well;
}
