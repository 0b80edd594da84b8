/* A store in memory. See the header. */
#include "sim/vault.h"

#include "store/store_impl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDENTITY       0x7661756c74ULL
#define SETTINGS_MAX   64
#define SETTING_SIZE   128
#define FIRST_CAPACITY 256

struct state {
    struct token token;
    char primary_dex[DEX_NAME_SIZE];
};

struct pools {
    uint8_t count;
    struct store_pool *of; /* NULL: none */
};

struct row {
    bool exists;
    struct state state;  /* as put or checkpointed */
    uint64_t logged_in;  /* the pass that the newest append belongs to; 0: none */
    struct state logged; /* that append */
    struct pools pools;
};

struct setting {
    char name[SETTING_SIZE], value[SETTING_SIZE];
};

/* What is appended, and deleted from the front: `from` … `to` − 1 are there. */
struct range {
    size_t from, to;
};

/* A message, or, without a text, that it was deleted: the newest of an id counts. */
struct alert {
    int64_t id;
    char *text;
};

/* How one write is taken back. */
struct undo {
    token_id id; /* TOKEN_NONE: a setting */
    bool has_pools;
    unsigned setting;
    struct row row; /* its pools are the undo's own, if it has any */
    struct setting value;
};

/* Where everything stood before a commit. */
struct mark {
    size_t undos;
    uint64_t snapshots, kept_from, pass, appends;
    unsigned settings;
    struct range history, events, alerts;
};

struct vault {
    enum vault_mishap (*draw)(void *context);
    void *context;
    uint64_t generation;
    struct row **rows; /* by id; NULL: never touched */
    size_t rows_size, row_count;
    struct setting settings[SETTINGS_MAX];
    unsigned setting_count;
    uint64_t pass, kept_from; /* appends of passes before that one are dropped */
    uint64_t appends;
    struct {
        int64_t id;
        token_id token;
    } snapshots[STORE_SNAPSHOTS_MAX]; /* the newest: a ring */
    uint64_t snapshot_count;
    struct undo *undos;
    size_t undo_count, undo_capacity;
    struct mark unsynced[VAULT_UNSYNCED_MAX];
    unsigned unsynced_count;
    uint64_t commits, stale_commits, fenced;
    bool keeps_history; /* and events and alerts */
    struct store_snapshot *history;
    struct store_event *events;
    struct alert *alerts;
    struct range history_range, event_range, alert_range;
};

struct opening {
    struct store store;
    struct vault *vault;
    uint64_t generation;
    bool is_broken, is_open; /* open: a transaction is */
    enum store_durability durability;
    enum vault_mishap mishap;
    struct mark begun;
    token_id next_replayed;
    const char *message;
};

static struct opening *opening_of(struct store *store)
{
    return (struct opening *)store;
}

static enum err fail(struct opening *opening, enum err err, const char *message)
{
    opening->message = message;
    return err;
}

/* ---- taking back ---- */

static struct mark mark_of(const struct vault *vault)
{
    return (struct mark){.undos = vault->undo_count,
                         .snapshots = vault->snapshot_count,
                         .kept_from = vault->kept_from,
                         .pass = vault->pass,
                         .appends = vault->appends,
                         .settings = vault->setting_count,
                         .history = vault->history_range,
                         .events = vault->event_range,
                         .alerts = vault->alert_range};
}

static struct undo *new_undo(struct vault *vault)
{
    if (vault->undo_count == vault->undo_capacity) {
        size_t capacity = vault->undo_capacity == 0 ? FIRST_CAPACITY : 2 * vault->undo_capacity;
        struct undo *undos = realloc(vault->undos, capacity * sizeof *undos);
        if (undos == NULL)
            return NULL;
        vault->undos = undos;
        vault->undo_capacity = capacity;
    }
    return &vault->undos[vault->undo_count++];
}

static void take_back(struct vault *vault, struct undo *undo)
{
    if (undo->id == TOKEN_NONE) {
        vault->settings[undo->setting] = undo->value;
        return;
    }
    struct row *row = vault->rows[undo->id];
    struct pools pools = row->pools;
    if (undo->has_pools) {
        free(pools.of);
        pools = undo->row.pools;
    }
    *row = undo->row;
    row->pools = pools;
}

static void take_back_to(struct vault *vault, const struct mark *mark)
{
    while (vault->undo_count > mark->undos)
        take_back(vault, &vault->undos[--vault->undo_count]);
    vault->snapshot_count = mark->snapshots;
    vault->kept_from = mark->kept_from;
    vault->pass = mark->pass;
    vault->appends = mark->appends;
    vault->setting_count = mark->settings;
    vault->history_range = mark->history;
    vault->event_range = mark->events;
    while (vault->alert_range.to > mark->alerts.to)
        free(vault->alerts[--vault->alert_range.to].text);
}

/* All that is committed is safe now. */
static void sync_all(struct vault *vault)
{
    for (size_t i = 0; i < vault->undo_count; i++)
        if (vault->undos[i].id != TOKEN_NONE && vault->undos[i].has_pools)
            free(vault->undos[i].row.pools.of);
    vault->undo_count = vault->unsynced_count = 0;
}

unsigned vault_cut_power(struct vault *vault, struct prng *prng)
{
    unsigned lost = (unsigned)prng_below(prng, (uint64_t)vault->unsynced_count + 1);
    if (lost > 0)
        take_back_to(vault, &vault->unsynced[vault->unsynced_count - lost]);
    sync_all(vault);
    return lost;
}

static void shift(instant *at, duration by)
{
    if (!instant_is_never(*at))
        *at = instant_add(*at, by);
}

static void shift_state(struct token *token, duration by)
{
    shift(&token->created_at, by);
    shift(&token->state.checked_at, by);
    shift(&token->state.fetched_at, by);
    shift(&token->state.scored_at, by);
    shift(&token->state.discovered_at, by);
    shift(&token->state.status_since, by);
}

void vault_shift(struct vault *vault, duration by)
{
    for (size_t id = 0; id < vault->rows_size; id++) {
        struct row *row = vault->rows[id];
        if (row == NULL)
            continue;
        shift_state(&row->state.token, by);
        shift_state(&row->logged.token, by);
    }
}

/* ---- writing ---- */

static enum err begin(struct store *store, enum store_durability durability)
{
    struct opening *opening = opening_of(store);
    struct vault *vault = opening->vault;
    if (opening->is_broken)
        return fail(opening, ERR_FENCED, "its engine is dead");
    if (opening->generation != vault->generation) {
        vault->fenced++;
        return fail(opening, ERR_FENCED, "a newer engine has taken over");
    }
    opening->mishap = vault->draw(vault->context);
    if (opening->mishap == VAULT_BUSY)
        return fail(opening, ERR_BUSY, "the database is locked");
    opening->durability = durability;
    opening->is_open = true;
    opening->begun = mark_of(vault);
    return OK;
}

static void rollback(struct store *store)
{
    struct opening *opening = opening_of(store);
    if (opening->is_open)
        take_back_to(opening->vault, &opening->begun);
    opening->is_open = false;
}

static void note_commit(struct vault *vault, const struct opening *opening)
{
    vault->commits++;
    vault->stale_commits += opening->generation != vault->generation;
    if (opening->durability == STORE_DURABLE || vault->unsynced_count == VAULT_UNSYNCED_MAX)
        sync_all(vault);
    else
        vault->unsynced[vault->unsynced_count++] = opening->begun;
}

static enum err commit(struct store *store)
{
    struct opening *opening = opening_of(store);
    if (!opening->is_open)
        return fail(opening, ERR_INVALID, "no transaction is open");
    if (opening->mishap == VAULT_FULL)
        return fail(opening, ERR_FULL, "the disk is full");
    if (opening->mishap == VAULT_LOST)
        return fail(opening, ERR_IO, "the disk reports an error");
    note_commit(opening->vault, opening);
    opening->is_open = false;
    if (opening->mishap == VAULT_UNTOLD)
        return fail(opening, ERR_IO, "the disk reports an error, though all was written");
    return OK;
}

/* NULL: there is none, or only words of it in the log. */
static const struct row *find_row(const struct vault *vault, token_id id)
{
    const struct row *row = id < vault->rows_size ? vault->rows[id] : NULL;
    return row != NULL && row->exists ? row : NULL;
}

static bool make_rows(struct vault *vault, token_id id)
{
    if (id < vault->rows_size)
        return true;
    size_t size = vault->rows_size == 0 ? FIRST_CAPACITY : vault->rows_size;
    while (size <= id)
        size *= 2;
    struct row **rows = realloc(vault->rows, size * sizeof(struct row *));
    if (rows == NULL)
        return false;
    memset(rows + vault->rows_size, 0, (size - vault->rows_size) * sizeof(struct row *));
    vault->rows = rows;
    vault->rows_size = size;
    return true;
}

/* Makes it. NULL: no memory. */
static struct row *make_row(struct vault *vault, token_id id)
{
    if (!make_rows(vault, id))
        return NULL;
    if (vault->rows[id] == NULL) {
        vault->rows[id] = calloc(1, sizeof **vault->rows);
        vault->row_count += vault->rows[id] != NULL;
    }
    return vault->rows[id];
}

/* The row to be changed; how it was is remembered. NULL: no memory. */
static struct row *change(struct store *store, token_id id, bool with_pools)
{
    struct opening *opening = opening_of(store);
    struct row *row = make_row(opening->vault, id);
    struct undo *undo = row != NULL ? new_undo(opening->vault) : NULL;
    if (undo == NULL) {
        opening->message = "no memory";
        return NULL;
    }
    *undo = (struct undo){.id = id, .has_pools = with_pools, .row = *row};
    if (with_pools)
        row->pools = (struct pools){0};
    return row;
}

static void set_state(struct state *state, const struct store_token *token)
{
    state->token = token->token;
    memcpy(state->primary_dex, token->primary_dex, sizeof state->primary_dex);
}

static enum err set_pools(struct row *row, const struct store_token *token)
{
    uint8_t count = token->token.pool_count;
    if (count == 0)
        return OK;
    row->pools.of = malloc(count * sizeof *row->pools.of);
    if (row->pools.of == NULL)
        return ERR_NO_MEMORY;
    memcpy(row->pools.of, token->pools, count * sizeof *row->pools.of);
    row->pools.count = count;
    return OK;
}

static enum err put_token(struct store *store, const struct store_token *token)
{
    struct row *row = change(store, token->id, true);
    if (row == NULL)
        return ERR_NO_MEMORY;
    row->exists = true;
    row->logged_in = 0;
    set_state(&row->state, token);
    return set_pools(row, token);
}

/* A row that is not there is no matter: the log has what it has, as in SQLite. */
static enum err append_refresh(struct store *store, const struct store_token *token)
{
    struct row *row = change(store, token->id, false);
    struct vault *vault = opening_of(store)->vault;
    if (row == NULL)
        return ERR_NO_MEMORY;
    row->logged_in = vault->pass;
    set_state(&row->logged, token);
    vault->appends++;
    return OK;
}

static enum err put_pools(struct store *store, const struct store_token *token)
{
    struct row *row = change(store, token->id, true);
    return row == NULL ? ERR_NO_MEMORY : set_pools(row, token);
}

static enum err checkpoint_token(struct store *store, const struct store_token *token)
{
    if (find_row(opening_of(store)->vault, token->id) == NULL)
        return put_token(store, token);
    struct row *row = change(store, token->id, false);
    if (row == NULL)
        return ERR_NO_MEMORY;
    set_state(&row->state, token);
    row->logged_in = 0; /* the row is as new */
    return OK;
}

/* For one more, where `count` are: it doubles at powers of two. */
static bool make_room(void **array, size_t count, size_t size)
{
    if (*array != NULL && (count & (count - 1)) != 0)
        return true;
    void *larger = realloc(*array, (count == 0 ? 1 : 2 * count) * size);
    if (larger != NULL)
        *array = larger;
    return larger != NULL;
}

static enum err put_snapshot(struct store *store, const struct store_snapshot *snapshot)
{
    struct vault *vault = opening_of(store)->vault;
    uint64_t place = vault->snapshot_count++ % STORE_SNAPSHOTS_MAX;
    vault->snapshots[place].id = snapshot->id;
    vault->snapshots[place].token = snapshot->token;
    if (!vault->keeps_history)
        return OK;
    if (!make_room((void **)&vault->history, vault->history_range.to, sizeof *snapshot))
        return fail(opening_of(store), ERR_NO_MEMORY, "no memory");
    vault->history[vault->history_range.to++] = *snapshot;
    return OK;
}

static enum err put_event(struct store *store, const struct store_event *event)
{
    struct vault *vault = opening_of(store)->vault;
    if (!vault->keeps_history)
        return OK;
    if (!make_room((void **)&vault->events, vault->event_range.to, sizeof *event))
        return fail(opening_of(store), ERR_NO_MEMORY, "no memory");
    vault->events[vault->event_range.to++] = *event;
    return OK;
}

static enum err put_alert(struct store *store, int64_t id, const char *text)
{
    struct vault *vault = opening_of(store)->vault;
    if (!vault->keeps_history)
        return OK;
    char *copy = text != NULL ? strdup(text) : NULL;
    if ((text != NULL && copy == NULL) ||
        !make_room((void **)&vault->alerts, vault->alert_range.to, sizeof *vault->alerts)) {
        free(copy);
        return fail(opening_of(store), ERR_NO_MEMORY, "no memory");
    }
    vault->alerts[vault->alert_range.to++] = (struct alert){id, copy};
    return OK;
}

static enum err put_setting(struct store *store, const char *name, const char *value)
{
    struct opening *opening = opening_of(store);
    struct vault *vault = opening->vault;
    unsigned i = 0;
    while (i < vault->setting_count && strcmp(vault->settings[i].name, name) != 0)
        i++;
    struct undo *undo = i < SETTINGS_MAX ? new_undo(vault) : NULL;
    if (undo == NULL)
        return fail(opening, ERR_NO_MEMORY, "no memory");
    *undo = (struct undo){.id = TOKEN_NONE, .setting = i, .value = vault->settings[i]};
    vault->setting_count += i == vault->setting_count;
    snprintf(vault->settings[i].name, SETTING_SIZE, "%s", name);
    snprintf(vault->settings[i].value, SETTING_SIZE, "%s", value);
    return OK;
}

static void start_pass(struct store *store)
{
    opening_of(store)->vault->pass++;
}

static enum err end_pass(struct store *store)
{
    struct vault *vault = opening_of(store)->vault;
    vault->kept_from = vault->pass;
    return OK;
}

static int64_t log_position(const struct store *store)
{
    return (int64_t)((const struct opening *)store)->vault->appends;
}

static enum err delete_history(struct store *store, instant snapshots_before, instant events_before,
                               uint32_t most, bool *more)
{
    struct vault *vault = opening_of(store)->vault;
    uint32_t snapshots = 0, events = 0;
    for (; snapshots < most && vault->history_range.from < vault->history_range.to &&
           instant_before(vault->history[vault->history_range.from].at, snapshots_before);
         snapshots++)
        vault->history_range.from++;
    for (; events < most && vault->event_range.from < vault->event_range.to &&
           instant_before(vault->events[vault->event_range.from].at, events_before);
         events++)
        vault->event_range.from++;
    *more = snapshots == most || events == most;
    return OK;
}

/* ---- reading ---- */

static bool is_in_log(const struct vault *vault, const struct row *row)
{
    return row->logged_in != 0 && row->logged_in >= vault->kept_from;
}

static const struct state *newest(const struct vault *vault, const struct row *row)
{
    return is_in_log(vault, row) ? &row->logged : &row->state;
}

static bool give(const struct vault *vault, token_id id, const struct store_loader *loader)
{
    const struct row *row = vault->rows[id];
    const struct state *state = newest(vault, row);
    struct store_token token = {.id = id, .token = state->token};
    memcpy(token.primary_dex, state->primary_dex, sizeof token.primary_dex);
    token.token.pool_count = row->pools.count;
    if (row->pools.count > 0)
        memcpy(token.pools, row->pools.of, row->pools.count * sizeof *row->pools.of);
    return loader->on_token(loader->context, &token);
}

static bool give_settings(const struct vault *vault, const struct store_loader *loader)
{
    for (unsigned i = 0; i < vault->setting_count; i++)
        if (loader->on_setting != NULL &&
            !loader->on_setting(loader->context, vault->settings[i].name, vault->settings[i].value))
            return false;
    return true;
}

static int compare_alerts(const void *a, const void *b)
{
    const struct alert *first = a, *second = b;
    return (first->id > second->id) - (first->id < second->id);
}

/* The newest word of each id, in the order of ids. */
static bool give_alerts(const struct vault *vault, const struct store_loader *loader)
{
    size_t count = 0, words = vault->alert_range.to;
    if (loader->on_alert == NULL || words == 0)
        return true;
    struct alert *alerts = calloc(words, sizeof *alerts);
    if (alerts == NULL)
        return false;
    for (size_t i = 0; i < words; i++) {
        size_t at = 0;
        while (at < count && alerts[at].id != vault->alerts[i].id)
            at++;
        alerts[at] = vault->alerts[i];
        count += at == count;
    }
    qsort(alerts, count, sizeof *alerts, compare_alerts);
    size_t there = 0;
    for (size_t i = 0; i < count; i++)
        if (alerts[i].text != NULL)
            alerts[there++] = alerts[i];
    for (size_t i = there > STORE_ALERTS_MAX ? there - STORE_ALERTS_MAX : 0; i < there; i++)
        loader->on_alert(loader->context, alerts[i].id, alerts[i].text);
    free(alerts);
    return true;
}

/* The same number twice is the same snapshot. */
static void give_snapshots(const struct vault *vault, const struct store_loader *loader)
{
    uint64_t from = vault->snapshot_count > STORE_SNAPSHOTS_MAX
                        ? vault->snapshot_count - STORE_SNAPSHOTS_MAX
                        : 0;
    if (loader->on_snapshot == NULL)
        return;
    for (uint64_t i = from; i < vault->snapshot_count; i++)
        loader->on_snapshot(loader->context, vault->snapshots[i % STORE_SNAPSHOTS_MAX].id,
                            vault->snapshots[i % STORE_SNAPSHOTS_MAX].token);
}

static void report_all(struct opening *opening, struct store_load_report *report)
{
    struct vault *vault = opening->vault;
    opening->next_replayed = 1;
    *report = (struct store_load_report){.generation = opening->generation};
    for (token_id id = 1; id < vault->rows_size; id++) {
        const struct row *row = find_row(vault, id);
        if (row == NULL)
            continue;
        int64_t snapshot = newest(vault, row)->token.state.snapshot_id;
        report->last_token = id;
        if (snapshot > report->last_snapshot_id)
            report->last_snapshot_id = snapshot;
    }
    uint64_t from = vault->snapshot_count > STORE_SNAPSHOTS_MAX
                        ? vault->snapshot_count - STORE_SNAPSHOTS_MAX
                        : 0;
    for (uint64_t i = from; i < vault->snapshot_count; i++)
        if (vault->snapshots[i % STORE_SNAPSHOTS_MAX].id > report->last_snapshot_id)
            report->last_snapshot_id = vault->snapshots[i % STORE_SNAPSHOTS_MAX].id;
}

static enum err load(struct store *store, const struct store_loader *loader,
                     struct store_load_report *report)
{
    struct opening *opening = opening_of(store);
    const struct vault *vault = opening->vault;
    report_all(opening, report);
    if (!give_settings(vault, loader) || !give_alerts(vault, loader))
        return fail(opening, ERR_NO_MEMORY, "no memory");
    for (token_id id = 1; id < vault->rows_size; id++) {
        const struct row *row = find_row(vault, id);
        if (row == NULL)
            continue;
        report->tokens++;
        report->replayed += is_in_log(vault, row);
        if (!give(vault, id, loader))
            return fail(opening, ERR_NO_MEMORY, "no memory");
    }
    report->holes = report->last_token - report->tokens;
    return OK;
}

static enum err resume(struct store *store, const struct store_loader *loader,
                       struct store_load_report *report)
{
    struct opening *opening = opening_of(store);
    report_all(opening, report);
    if (!give_settings(opening->vault, loader) || !give_alerts(opening->vault, loader))
        return fail(opening, ERR_NO_MEMORY, "no memory");
    give_snapshots(opening->vault, loader);
    return OK;
}

static enum err load_some(struct store *store, const token_id *ids, size_t count,
                          const struct store_loader *loader)
{
    struct opening *opening = opening_of(store);
    for (size_t i = 0; i < count; i++)
        if (find_row(opening->vault, ids[i]) != NULL && !give(opening->vault, ids[i], loader))
            return fail(opening, ERR_NO_MEMORY, "no memory");
    return OK;
}

static token_id next_replayed(struct store *store)
{
    struct opening *opening = opening_of(store);
    const struct vault *vault = opening->vault;
    for (; opening->next_replayed < vault->rows_size; opening->next_replayed++)
        if (vault->rows[opening->next_replayed] != NULL &&
            is_in_log(vault, vault->rows[opening->next_replayed]))
            return opening->next_replayed++;
    return TOKEN_NONE;
}

static void identify(const struct store *store, struct table_store *out)
{
    *out = (struct table_store){.identity = IDENTITY,
                                .generation = ((const struct opening *)store)->generation};
}

static enum err reopen(struct store *store, enum store_file *file)
{
    struct opening *opening = opening_of(store);
    *file = STORE_SAME_FILE;
    rollback(store);
    if (opening->is_broken || opening->generation != opening->vault->generation)
        return fail(opening, ERR_FENCED, "a newer engine has taken over");
    return fail(opening, OK, "opened again");
}

static const char *message(const struct store *store)
{
    const char *text = ((const struct opening *)store)->message;
    return text != NULL ? text : "";
}

static int64_t size_bytes(const struct store *store)
{
    const struct vault *vault = ((const struct opening *)store)->vault;
    return (int64_t)(sizeof *vault + vault->row_count * sizeof(struct row));
}

static void close_opening(struct store *store)
{
    rollback(store);
    free(opening_of(store));
}

static const struct store_methods methods = {
    .load = load,
    .resume = resume,
    .load_some = load_some,
    .next_replayed = next_replayed,
    .identify = identify,
    .close = close_opening,
    .begin = begin,
    .put_token = put_token,
    .append_refresh = append_refresh,
    .put_pools = put_pools,
    .checkpoint_token = checkpoint_token,
    .put_snapshot = put_snapshot,
    .put_event = put_event,
    .put_setting = put_setting,
    .put_alert = put_alert,
    .start_pass = start_pass,
    .end_pass = end_pass,
    .log_position = log_position,
    .delete_history = delete_history,
    .commit = commit,
    .rollback = rollback,
    .reopen = reopen,
    .message = message,
    .size_bytes = size_bytes,
};

/* ---- reading history ---- */

struct reader {
    struct store_reader base;
    const struct vault *vault;
};

static const struct store_snapshot *find_snapshot(const struct vault *vault, int64_t id)
{
    for (size_t i = vault->history_range.to; i > vault->history_range.from; i--)
        if (vault->history[i - 1].id == id)
            return &vault->history[i - 1];
    return NULL;
}

static int read_snapshots(struct store_reader *base, token_id token, int64_t newest_id,
                          struct store_snapshot *out, int limit)
{
    const struct vault *vault = ((struct reader *)base)->vault;
    int count = 0;
    if (vault->generation == 0)
        return -1; /* nobody has made it yet */
    for (int64_t id = newest_id; count < limit && id > 0;) {
        const struct store_snapshot *found = find_snapshot(vault, id);
        if (found == NULL || found->token != token)
            break;
        out[count++] = *found;
        id = found->previous < id ? found->previous : 0;
    }
    return count;
}

static int read_events(struct store_reader *base, token_id token, struct store_event *out,
                       int limit)
{
    const struct vault *vault = ((struct reader *)base)->vault;
    int count = 0;
    for (size_t i = vault->event_range.to; i > vault->event_range.from && count < limit; i--)
        if (token == TOKEN_NONE || vault->events[i - 1].token == token)
            out[count++] = vault->events[i - 1];
    return vault->generation == 0 ? -1 : count;
}

static void close_reader(struct store_reader *reader)
{
    free(reader);
}

static const struct store_reader_methods reader_methods = {
    .close = close_reader,
    .snapshots = read_snapshots,
    .events = read_events,
};

struct store_reader *vault_reader_open(struct vault *vault)
{
    struct reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return NULL;
    reader->base.methods = &reader_methods;
    reader->vault = vault;
    return &reader->base;
}

void vault_keep_history(struct vault *vault)
{
    vault->keeps_history = true;
}

/* ---- beginning and end ---- */

struct vault *vault_create(enum vault_mishap (*draw)(void *context), void *context)
{
    struct vault *vault = calloc(1, sizeof *vault);
    if (vault == NULL)
        return NULL;
    vault->draw = draw;
    vault->context = context;
    vault->pass = vault->kept_from = 1;
    return vault;
}

void vault_destroy(struct vault *vault)
{
    if (vault == NULL)
        return;
    sync_all(vault);
    for (size_t id = 0; id < vault->rows_size; id++) {
        if (vault->rows[id] != NULL)
            free(vault->rows[id]->pools.of);
        free(vault->rows[id]);
    }
    for (size_t i = 0; i < vault->alert_range.to; i++)
        free(vault->alerts[i].text);
    free(vault->alerts);
    free(vault->events);
    free(vault->history);
    free(vault->rows);
    free(vault->undos);
    free(vault);
}

struct store *vault_open(struct vault *vault)
{
    struct opening *opening = calloc(1, sizeof *opening);
    if (opening == NULL)
        return NULL;
    opening->store.methods = &methods;
    opening->vault = vault;
    opening->generation = ++vault->generation;
    opening->next_replayed = 1;
    return &opening->store;
}

void vault_break(struct store *store)
{
    rollback(store);
    opening_of(store)->is_broken = true;
}

bool vault_status(const struct vault *vault, token_id id, uint8_t *status)
{
    const struct row *row = find_row(vault, id);
    if (row != NULL)
        *status = newest(vault, row)->token.status;
    return row != NULL;
}

bool vault_holds(const struct vault *vault, token_id id, const struct address *mint)
{
    const struct row *row = find_row(vault, id);
    return row != NULL && address_equal(&row->state.token.mint, mint);
}

uint64_t vault_commits(const struct vault *vault)
{
    return vault->commits;
}

uint64_t vault_stale_commits(const struct vault *vault)
{
    return vault->stale_commits;
}

uint64_t vault_fenced(const struct vault *vault)
{
    return vault->fenced;
}
