#include "store/copy.h"
#include "store/state.h"
#include <endian.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define FNV_OFFSET UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME  UINT64_C(0x100000001b3)

struct copy {
    struct store *from, *to;
    const struct copy_watch *watch;
    struct copy_report *report;
    struct copy_progress progress;
    struct store_copy note;
    struct store_extent extents[STORE_PART_COUNT];
    bool is_stopped;
    struct store_row row;
    char *why;
};

/* ---- a row's form that no store shapes ---- */

static void add(struct copy_sum *sum, const void *data, size_t length)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < length; i++)
        sum->checksum = (sum->checksum ^ bytes[i]) * FNV_PRIME;
}

static void add_u64(struct copy_sum *sum, uint64_t value)
{
    value = htole64(value);
    add(sum, &value, sizeof value);
}

/* One NaN is like another, and so are the two zeros. */
static void add_double(struct copy_sum *sum, double value)
{
    uint64_t bits = UINT64_MAX;
    if (value == 0)
        bits = 0;
    else if (!isnan(value))
        memcpy(&bits, &value, sizeof bits);
    add_u64(sum, bits);
}

/* With its end, so that two texts are not as two others. */
static void add_text(struct copy_sum *sum, const char *text)
{
    add(sum, text, strlen(text) + 1);
}

static void add_token(struct copy_sum *sum, const struct store_token *row)
{
    uint8_t state[STATE_BLOB_MAX];
    add(sum, row->token.mint.bytes, sizeof row->token.mint.bytes);
    add_text(sum, row->token.name);
    add_text(sum, row->token.symbol);
    add_u64(sum, row->token.status);
    add_u64(sum, (uint64_t)row->token.created_at.us);
    add(sum, state, state_encode(&row->token, row->primary_dex, state));
    add_u64(sum, row->token.pool_count);
    for (uint8_t i = 0; i < row->token.pool_count; i++) {
        const struct store_pool *pool = &row->pools[i];
        add(sum, pool->pool.address.bytes, sizeof pool->pool.address.bytes);
        add_text(sum, pool->dex);
        add_text(sum, pool->quote);
        add_double(sum, (double)pool->pool.liquidity_usd);
        add_u64(sum, pool->pool.flags);
    }
}

static void add_snapshot(struct copy_sum *sum, const struct store_snapshot *row)
{
    uint8_t figures[SNAPSHOT_BLOB_MAX];
    add_u64(sum, (uint64_t)row->previous);
    add_u64(sum, row->token);
    add_u64(sum, (uint64_t)row->at.us);
    add_double(sum, row->score);
    add(sum, figures, snapshot_encode(row, figures));
}

/* Events have no number that means anything, only an order. */
static void add_row(struct copy_sum *sum, enum store_part part, const struct store_row *row)
{
    sum->rows++;
    if (part != STORE_EVENTS)
        add_u64(sum, (uint64_t)row->position);
    switch (part) {
    case STORE_TOKENS:
        add_token(sum, &row->of.token);
        break;
    case STORE_SNAPSHOTS:
        add_snapshot(sum, &row->of.snapshot);
        break;
    case STORE_EVENTS:
        add_u64(sum, row->of.event.token);
        add_u64(sum, (uint64_t)row->of.event.at.us);
        add_text(sum, row->of.event.kind);
        add_text(sum, row->of.event.reason);
        break;
    case STORE_ALERTS:
        add_text(sum, row->of.alert);
        break;
    default:
        add_text(sum, row->of.setting.name);
        add_text(sum, row->of.setting.value);
        break;
    }
}

/* ---- failures and progress ---- */

static bool fail(struct copy *copy, const struct store *store)
{
    snprintf(copy->why, 512, "%s", store_message(store));
    return false;
}

static bool refuse(struct copy *copy, const char *sentence)
{
    snprintf(copy->why, 512, "%s", sentence);
    return false;
}

static uint64_t extent_length(const struct store_extent *extent)
{
    return extent->last == 0 ? 0 : (uint64_t)(extent->last - extent->first) + 1;
}

/* What lies up to this position, of all that there is. */
static uint64_t work_before(const struct copy *copy, enum store_part part, int64_t position)
{
    uint64_t done = 0;
    for (int i = 0; i < (int)part; i++)
        done += extent_length(&copy->extents[i]);
    if (part == STORE_PART_COUNT)
        return done;
    const struct store_extent *extent = &copy->extents[part];
    bool is_in = extent->last > 0 && position >= extent->first;
    return is_in ? done + (uint64_t)(position - extent->first) + 1 : done;
}

static uint64_t work_whole(const struct copy *copy)
{
    uint64_t whole = 0;
    for (int i = 0; i < STORE_PART_COUNT; i++)
        whole += extent_length(&copy->extents[i]);
    return whole;
}

/* Both comparisons are work as the copying is. False: we are to stop. */
static bool tell(struct copy *copy, enum copy_stage stage, enum store_part part, int64_t position)
{
    uint64_t whole = work_whole(copy);
    copy->progress = (struct copy_progress){
        .stage = stage,
        .part = part,
        .rows = copy->report->rows,
        .done = (uint64_t)stage * whole + work_before(copy, part, position),
        .total = 3 * whole,
    };
    copy->is_stopped =
        copy->watch != NULL && !copy->watch->on_progress(copy->watch->context, &copy->progress);
    return !copy->is_stopped;
}

/* ---- begin ---- */

static bool find_extents(struct copy *copy)
{
    for (int i = 0; i < STORE_PART_COUNT; i++)
        if (store_extent(copy->from, (enum store_part)i, &copy->extents[i]) != OK)
            return fail(copy, copy->from);
    return true;
}

/* The first row of a part, or all of the settings. */
static bool mark_part(struct copy *copy, enum store_part part, struct copy_sum *mark)
{
    struct store_scan *scan;
    bool has_row = true;
    enum err err = store_scan_open(copy->from, part, 0, &scan);
    for (uint64_t rows = 0; err == OK && has_row && (rows == 0 || part == STORE_SETTINGS); rows++) {
        err = store_scan_next(scan, &copy->row, &has_row);
        if (err == OK && has_row)
            add_row(mark, part, &copy->row);
    }
    store_scan_close(scan);
    return err == OK || fail(copy, copy->from);
}

static uint64_t generation_of(const struct store *store)
{
    struct table_store identity;
    store_identify(store, &identity);
    return identity.generation;
}

static bool mark_source(struct copy *copy, uint64_t *out)
{
    struct copy_sum mark = {.checksum = FNV_OFFSET};
    add_u64(&mark, generation_of(copy->from));
    add_u64(&mark, (uint64_t)store_log_position(copy->from));
    for (int i = 0; i < STORE_PART_COUNT; i++) {
        add_u64(&mark, (uint64_t)copy->extents[i].first);
        add_u64(&mark, (uint64_t)copy->extents[i].last);
        if (!mark_part(copy, (enum store_part)i, &mark))
            return false;
    }
    *out = mark.checksum | 1; /* never 0 */
    return true;
}

static bool is_empty(struct copy *copy, bool *out)
{
    *out = true;
    for (int i = 0; i < STORE_PART_COUNT; i++) {
        struct store_extent extent;
        if (store_extent(copy->to, (enum store_part)i, &extent) != OK)
            return fail(copy, copy->to);
        *out = *out && extent.last == 0;
    }
    return true;
}

static bool commit_note(struct copy *copy, enum store_durability durability)
{
    enum err err = store_begin(copy->to, durability);
    if (err == OK)
        err = store_put_copy(copy->to, &copy->note);
    if (err == OK)
        err = store_commit(copy->to);
    if (err == OK)
        return true;
    fail(copy, copy->to);
    store_rollback(copy->to);
    return false;
}

static bool refuse_database(struct copy *copy)
{
    return refuse(copy, "TO holds a database already, which is left alone; name one that is not "
                        "there yet");
}

/* Of the first row of a part, which is its oldest unless a clock went back. */
static bool note_oldest(struct copy *copy, enum store_part part, instant *oldest)
{
    const struct store_row *row = &copy->row;
    struct store_scan *scan;
    bool has_row = false;
    enum err err = store_scan_open(copy->from, part, 0, &scan);
    if (err == OK)
        err = store_scan_next(scan, &copy->row, &has_row);
    store_scan_close(scan);
    if (err != OK)
        return fail(copy, copy->from);
    instant at = part == STORE_EVENTS ? row->of.event.at : row->of.snapshot.at;
    if (has_row && instant_before(at, *oldest))
        *oldest = at;
    return true;
}

static bool expect_history(struct copy *copy)
{
    const instant none = {INT64_MAX};
    instant oldest = none;
    if (!note_oldest(copy, STORE_SNAPSHOTS, &oldest) || !note_oldest(copy, STORE_EVENTS, &oldest))
        return false;
    return oldest.us == none.us || store_expect_history(copy->to, oldest) == OK ||
           fail(copy, copy->to);
}

static bool begin_anew(struct copy *copy, uint64_t source)
{
    bool empty;
    if (!is_empty(copy, &empty))
        return false;
    if (!empty)
        return refuse_database(copy);
    if (!expect_history(copy))
        return false;
    copy->note = (struct store_copy){.source = source};
    return commit_note(copy, STORE_DURABLE);
}

static bool begin(struct copy *copy)
{
    uint64_t source;
    if (!find_extents(copy) || !mark_source(copy, &source))
        return false;
    if (store_get_copy(copy->to, &copy->note) != OK)
        return fail(copy, copy->to);
    if (copy->note.source == 0)
        return begin_anew(copy, source);
    /* A complete one is compared again, as long as nobody has used it. */
    if (copy->note.part == STORE_PART_COUNT &&
        (copy->note.source != source || generation_of(copy->to) != generation_of(copy->from)))
        return refuse_database(copy);
    if (copy->note.source != source)
        return refuse(copy,
                      "TO holds a part of another database, or of FROM as it was before it was "
                      "used again; the two are not mixed: delete TO, and copy anew");
    copy->report->continued = work_before(copy, copy->note.part, copy->note.position);
    return true;
}

/* ---- copy ---- */

static enum err put_row(struct store *to, enum store_part part, const struct store_row *row)
{
    switch (part) {
    case STORE_TOKENS:
        return store_put_token(to, &row->of.token);
    case STORE_SNAPSHOTS:
        return store_put_snapshot(to, &row->of.snapshot);
    case STORE_EVENTS:
        return store_put_event(to, &row->of.event);
    case STORE_ALERTS:
        return store_put_alert(to, row->position, row->of.alert);
    default:
        return store_put_setting(to, row->of.setting.name, row->of.setting.value);
    }
}

/* Up to a slice of rows, inside a transaction. */
static bool put_slice(struct copy *copy, struct store_scan *scan, bool *has_row)
{
    for (int i = 0; i < COPY_SLICE_ROWS; i++) {
        if (store_scan_next(scan, &copy->row, has_row) != OK)
            return fail(copy, copy->from);
        if (!*has_row)
            return true;
        if (put_row(copy->to, copy->note.part, &copy->row) != OK)
            return fail(copy, copy->to);
        copy->note.position = copy->row.position;
        copy->report->rows++;
    }
    return true;
}

static bool copy_slice(struct copy *copy, struct store_scan *scan, bool *has_row)
{
    if (store_begin(copy->to, STORE_RELAXED) != OK)
        return fail(copy, copy->to);
    bool is_put = put_slice(copy, scan, has_row);
    if (is_put && (store_put_copy(copy->to, &copy->note) != OK || store_commit(copy->to) != OK))
        is_put = fail(copy, copy->to);
    if (!is_put)
        store_rollback(copy->to);
    return is_put && tell(copy, COPY_COPYING, copy->note.part, copy->note.position);
}

static bool copy_part(struct copy *copy)
{
    struct store_scan *scan;
    bool has_row = true, goes_on = true;
    if (store_scan_open(copy->from, copy->note.part, copy->note.position, &scan) != OK)
        return fail(copy, copy->from);
    while (has_row && goes_on)
        goes_on = copy_slice(copy, scan, &has_row);
    store_scan_close(scan);
    return goes_on;
}

static bool copy_parts(struct copy *copy)
{
    for (; copy->note.part < STORE_PART_COUNT; copy->note.part++, copy->note.position = 0)
        if (!copy_part(copy))
            return false;
    return true;
}

/* ---- compare ---- */

/* What is told while a part is summed up; `copy` NULL: nothing. */
struct summing {
    struct copy *copy;
    enum copy_stage stage;
    uint64_t refused;
};

static enum err sum_rows(struct store_scan *scan, enum store_part part, struct summing *summing,
                         struct copy_sum *out)
{
    struct store_row *row = calloc(1, sizeof *row);
    bool has_row = row != NULL;
    enum err err = row != NULL ? OK : ERR_NO_MEMORY;
    while (err == OK && has_row) {
        err = store_scan_next(scan, row, &has_row);
        if (err != OK || !has_row)
            break;
        add_row(out, part, row);
        if (summing->copy != NULL && out->rows % COPY_SLICE_ROWS == 0)
            has_row = tell(summing->copy, summing->stage, part, row->position);
    }
    free(row);
    return err;
}

static enum err sum_part(struct store *store, enum store_part part, struct summing *summing,
                         struct copy_sum *out)
{
    struct store_scan *scan;
    *out = (struct copy_sum){.checksum = FNV_OFFSET};
    enum err err = store_scan_open(store, part, 0, &scan);
    if (err != OK)
        return err;
    err = sum_rows(scan, part, summing, out);
    summing->refused += store_scan_refused(scan);
    store_scan_close(scan);
    return err;
}

enum err copy_sum_part(struct store *store, enum store_part part, struct copy_sum *out)
{
    struct summing summing = {0};
    return sum_part(store, part, &summing, out);
}

static bool sum_store(struct copy *copy, enum copy_stage stage, struct copy_sum *sums)
{
    struct store *store = stage == COPY_READING_SOURCE ? copy->from : copy->to;
    struct summing summing = {.copy = copy, .stage = stage};
    for (int i = 0; i < STORE_PART_COUNT; i++) {
        if (sum_part(store, (enum store_part)i, &summing, &sums[i]) != OK)
            return fail(copy, store);
        if (copy->is_stopped)
            return false;
    }
    if (stage == COPY_READING_SOURCE)
        copy->report->refused = summing.refused;
    return tell(copy, stage, STORE_PART_COUNT - 1, copy->extents[STORE_PART_COUNT - 1].last);
}

static bool compare(struct copy *copy)
{
    struct copy_sum *from = copy->report->sums, to[STORE_PART_COUNT];
    if (!sum_store(copy, COPY_READING_SOURCE, from) || !sum_store(copy, COPY_READING_TARGET, to))
        return false;
    for (int i = 0; i < STORE_PART_COUNT; i++) {
        if (from[i].rows == to[i].rows && from[i].checksum == to[i].checksum)
            continue;
        snprintf(copy->why, 512,
                 "the copy is not equal: FROM has %" PRIu64 " %s (checksum %016" PRIx64
                 "), TO has %" PRIu64 " (%016" PRIx64
                 "); somebody else wrote to one of them: delete TO, and copy anew",
                 from[i].rows, store_part_name((enum store_part)i), from[i].checksum, to[i].rows,
                 to[i].checksum);
        return false;
    }
    return true;
}

static bool end(struct copy *copy)
{
    enum err err = store_begin(copy->to, STORE_DURABLE);
    if (err == OK)
        err = store_end_copy(copy->to, copy->note.source, generation_of(copy->from));
    if (err == OK)
        err = store_commit(copy->to);
    if (err == OK)
        return true;
    fail(copy, copy->to);
    store_rollback(copy->to);
    return false;
}

static bool is_one(const struct store *a, const struct store *b)
{
    struct table_store first, second;
    store_identify(a, &first);
    store_identify(b, &second);
    return first.identity == second.identity;
}

static bool run(struct copy *copy, const char *from, const char *to)
{
    if (strcmp(from, to) == 0)
        return refuse(copy, "FROM and TO are the same database");
    copy->from = store_open_for_copy(from, STORE_SOURCE, copy->why);
    if (copy->from == NULL)
        return false;
    copy->to = store_open_for_copy(to, STORE_TARGET, copy->why);
    if (copy->to == NULL)
        return false;
    if (is_one(copy->from, copy->to))
        return refuse(copy, "FROM and TO are the same database");
    return begin(copy) && copy_parts(copy) && compare(copy) && end(copy);
}

enum copy_outcome store_copy(const char *from, const char *to, const struct copy_watch *watch,
                             struct copy_report *report, char why[512])
{
    *report = (struct copy_report){0};
    *why = '\0';
    struct copy *copy = calloc(1, sizeof *copy);
    if (copy == NULL) {
        snprintf(why, 512, "out of memory");
        return COPY_FAILED;
    }
    copy->watch = watch;
    copy->report = report;
    copy->why = why;
    bool is_done = run(copy, from, to);
    enum copy_outcome broken = copy->is_stopped ? COPY_STOPPED : COPY_FAILED;
    store_close(copy->to);
    store_close(copy->from);
    free(copy);
    return is_done ? COPY_DONE : broken;
}
