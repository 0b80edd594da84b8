/* The nodes' logs: their rows, how far one was read, and what a load makes of them. */
#include "base/log.h"
#include "core/mint_slot.h"
#include "store/postgres_leases.h"
#include "store/postgres_load.h"
#include <endian.h>
#include <stdlib.h>

#define PAGE_LOG_ROWS       512
#define REFUSALS_LOGGED_MAX 20

/* So many positions beyond the newest that is known no row can be: a damaged number would hide all
 * that comes after it. */
#define LEAP_MAX (INT64_C(1) << 24)

void postgres_read_position(const PGresult *nodes, int row, struct postgres_position *out)
{
    *out = (struct postgres_position){.node = postgres_integer(nodes, row, 0),
                                      .generation = postgres_integer(nodes, row, 1),
                                      .transactions = postgres_integer(nodes, row, 2),
                                      .kept = postgres_integer(nodes, row, 3)};
}

uint64_t postgres_log_hash(const PGresult *rows, int row)
{
    size_t length;
    const uint8_t *bytes = postgres_bytes(rows, row, 2, &length);
    uint64_t hash = (uint64_t)postgres_integer(rows, row, 1) ^ UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++) /* FNV-1a */
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

const char *postgres_log_row(const PGresult *rows, int row, struct postgres_position *position,
                             struct log_walk *out)
{
    size_t length;
    const void *bytes = postgres_bytes(rows, row, 2, &length);
    int64_t seq = postgres_integer(rows, row, 0);
    int64_t base = position->after > position->kept ? position->after : position->kept;
    *out = (struct log_walk){0};
    if (seq < 1 || seq - base > LEAP_MAX)
        return "a position that cannot be";
    *out = log_walk_begin(bytes, length, postgres_integer(rows, row, 1), seq);
    if (position->after < seq) {
        position->after = seq;
        position->hash = postgres_log_hash(rows, row);
    }
    return out->at == NULL ? "no records" : NULL;
}

const char *postgres_log_mark(const PGresult *rows, int row, struct log_record *record)
{
    size_t length;
    const uint8_t *marks = postgres_bytes(rows, row, 3, &length);
    int64_t n = record->position - postgres_integer(rows, row, 1);
    uint32_t generation;
    if (length == 0) /* of an older version */
        return NULL;
    if (n < 0 || (uint64_t)n >= length / LOG_MARK_SIZE)
        return "no mark of its lease";
    memcpy(&generation, marks + n * LOG_MARK_SIZE, sizeof generation);
    memcpy(&record->slot, marks + n * LOG_MARK_SIZE + sizeof generation, sizeof record->slot);
    generation = le32toh(generation);
    record->slot = le16toh(record->slot);
    record->generation = generation & ~LOG_MARK_POOLS;
    record->has_pools = (generation & LOG_MARK_POOLS) != 0;
    return record->slot < MINT_SLOTS ? NULL : "a slot that is none";
}

void load_refuse(struct load *load, const char *table, int64_t key, const char *why)
{
    load->report->rows_refused++;
    if (!load->is_quiet && load->refusals_logged++ < REFUSALS_LOGGED_MAX)
        log_warning("store", "row refused", LOG_STRING("table", table), LOG_INT("row", key),
                    LOG_STRING("why", why));
}

/* ---- a load ---- */

static bool is_wanted(const struct load *load, token_id id)
{
    return load->only == NULL ||
           bsearch(&id, load->only, load->only_count, sizeof id, token_compare_ids) != NULL;
}

/* A state's place among others of its token. */
struct state_place {
    struct postgres_origin origin;
    int64_t seq;
    instant checked_at;
};

static bool is_newer(const struct state_place *place, const struct state_place *than)
{
    if (place->origin.generation != than->origin.generation)
        return place->origin.generation > than->origin.generation;
    if (place->origin.node == than->origin.node)
        return place->seq > than->seq;
    return instant_before(than->checked_at, place->checked_at);
}

static enum err note_record(struct load *load, int64_t node, const struct log_record *record)
{
    struct store_token row = {0};
    struct log_record kept;
    struct state_place place = {{node, record->generation}, record->position, INSTANT_NEVER}, other;
    if (!is_wanted(load, log_record_token(record)))
        return OK;
    const char *complaint = log_record_decode(record, &row);
    if (complaint != NULL) {
        load_refuse(load, "refresh_log", record->position, complaint);
        return OK;
    }
    place.checked_at = row.token.state.checked_at;
    if (log_index_find(&load->log, row.id, &other.origin.node, &kept) &&
        log_record_decode(&kept, &row) == NULL) {
        other.origin.generation = kept.generation;
        other.seq = kept.position;
        other.checked_at = row.token.state.checked_at;
        if (!is_newer(&place, &other))
            return OK;
    }
    return log_index_keep(&load->log, node, record) ? OK : ERR_NO_MEMORY;
}

static enum err read_log_page(struct postgres_store *s, int64_t node, int part, int64_t after,
                              PGresult **out)
{
    struct postgres_values values = {0};
    char table[64], sql[192];
    postgres_table_of_log(node, part, table);
    snprintf(sql, sizeof sql,
             "SELECT " POSTGRES_LOG_COLUMNS " FROM %s WHERE seq > $1 ORDER BY seq LIMIT %d", table,
             PAGE_LOG_ROWS);
    postgres_add_integer(&values, after);
    return postgres_link_ask(&s->link, sql, &values, "read the log of", out);
}

/* Under which leases this node wrote, while it was not running. */
static void note_label(struct postgres_store *s, const struct log_record *record)
{
    if (!s->is_alone && s->labels[record->slot] < record->generation)
        s->labels[record->slot] = record->generation;
}

static enum err note_row(struct load *load, struct postgres_position *position,
                         const PGresult *rows, int row)
{
    struct log_record record;
    struct log_walk walk;
    enum err err = OK;
    const char *complaint = postgres_log_row(rows, row, position, &walk);
    while (err == OK && complaint == NULL && log_walk_next(&walk, &record)) {
        complaint = postgres_log_mark(rows, row, &record);
        if (complaint == NULL && position->node == load->s->node)
            note_label(load->s, &record);
        if (complaint == NULL)
            err = note_record(load, position->node, &record);
    }
    if (complaint == NULL && err == OK && !log_walk_is_whole(&walk))
        complaint = "records that are cut off";
    if (complaint != NULL)
        load_refuse(load, "refresh_log", postgres_integer(rows, row, 0), complaint);
    return err;
}

static enum err index_log(struct load *load, struct postgres_position *position, int part)
{
    int64_t last = 0;
    enum err err = OK;
    for (int count = PAGE_LOG_ROWS; err == OK && count == PAGE_LOG_ROWS;) {
        PGresult *rows = NULL;
        err = read_log_page(load->s, position->node, part, last, &rows);
        count = err == OK ? PQntuples(rows) : 0;
        for (int i = 0; err == OK && i < count; i++)
            err = note_row(load, position, rows, i);
        if (count > 0)
            last = postgres_integer(rows, count - 1, 0);
        PQclear(rows);
    }
    return err;
}

/* Where they end, once they are read. */
static enum err find_nodes(struct load *load)
{
    PGresult *nodes = NULL;
    enum err err = postgres_link_ask(&load->s->link,
                                     "SELECT " POSTGRES_NODE_COLUMNS " FROM node ORDER BY number",
                                     NULL, "read", &nodes);
    size_t count = err == OK ? (size_t)PQntuples(nodes) : 0;
    load->positions = calloc(count + 1, sizeof *load->positions);
    if (load->positions == NULL)
        err = ERR_NO_MEMORY;
    for (; err == OK && load->position_count < count; load->position_count++)
        postgres_read_position(nodes, (int)load->position_count,
                               &load->positions[load->position_count]);
    PQclear(nodes);
    return err;
}

/* The leases after the logs: no record is of a generation that is not among them. */
enum err load_index_logs(struct load *load)
{
    enum err err = find_nodes(load);
    for (size_t i = 0; err == OK && i < load->position_count; i++)
        for (int part = 0; err == OK && part < 2; part++)
            err = index_log(load, &load->positions[i], part);
    for (size_t i = 0; err == OK && i < load->position_count; i++)
        if (load->s->is_alone && !load->is_walk && load->only == NULL &&
            load->positions[i].node != load->s->node && load->positions[i].after > 0)
            load->s->has_foreign_logs = true;
    return err == OK ? postgres_leases_generations(&load->s->link, "read", load->leases) : err;
}

/* Notes that the token's row is to be written again before the log is cut. */
static bool note_replayed(struct load *load, token_id id)
{
    struct postgres_store *s = load->s;
    if ((s->replayed_count & (s->replayed_count + 1)) == 0) {
        token_id *larger = realloc(s->replayed, (s->replayed_count + 1) * 2 * sizeof *s->replayed);
        if (larger == NULL)
            return false;
        s->replayed = larger;
    }
    s->replayed[s->replayed_count++] = id;
    return true;
}

/* Of a row that claims to know a log, or a lease, that is not there: a damaged number, or what it
 * knows was lost. */
static bool is_beyond(const struct load *load)
{
    bool is_ours = load->origin.node == load->s->node;
    return load->log_seq < 0 || (is_ours && load->log_seq > load->s->log_position) ||
           load->origin.generation > load->leases[mint_slot(&load->token.token.mint)];
}

/* No state is newer than what such a row claims to have: it is to claim nothing. */
static enum err reset_row(struct load *load)
{
    struct postgres_values values = {0};
    PGresult *rows = NULL;
    enum err err = OK;
    load->log_seq = 0;
    load->origin.generation = 0;
    if (!load->is_walk) {
        postgres_add_integer(&values, load->token.id);
        err =
            postgres_link_ask(&load->s->link, "UPDATE token SET generation=0,log_seq=0 WHERE id=$1",
                              &values, "write to", &rows);
        PQclear(rows);
    }
    return err != OK || note_replayed(load, load->token.id) ? err : ERR_NO_MEMORY;
}

/* Of a record that is in our own log, or, where we are alone, in anybody's. */
static bool is_to_be_written(const struct load *load)
{
    return load->s->is_alone || load->origin.node == load->s->node;
}

enum err load_replay(struct load *load)
{
    struct store_token *row = &load->token;
    struct store_token newer = {0};
    struct log_record record;
    enum err err = OK;
    if (is_beyond(load)) /* of a row that was read after them a lease may be newer */
        err = postgres_leases_generations(&load->s->link, "read", load->leases);
    if (err == OK && is_beyond(load))
        err = reset_row(load);
    struct state_place is = {load->origin, load->log_seq, row->token.state.checked_at}, logged;
    if (err != OK || !log_index_find(&load->log, row->id, &logged.origin.node, &record) ||
        log_record_decode(&record, &newer) != NULL)
        return err;
    logged.origin.generation = record.generation;
    logged.seq = record.position;
    logged.checked_at = newer.token.state.checked_at;
    if (!is_newer(&logged, &is))
        return OK;
    if (record.generation > load->leases[mint_slot(&row->token.mint)]) {
        load_refuse(load, "refresh_log", record.position, "a generation ahead of its lease's");
        return OK;
    }
    memcpy(row->token.name, newer.token.name, sizeof row->token.name);
    memcpy(row->token.symbol, newer.token.symbol, sizeof row->token.symbol);
    memcpy(row->primary_dex, newer.primary_dex, sizeof row->primary_dex);
    row->token.status = newer.token.status;
    row->token.state = newer.token.state;
    load->origin = logged.origin;
    load->report->replayed++;
    return !is_to_be_written(load) || note_replayed(load, row->id) ? OK : ERR_NO_MEMORY;
}

/* ---- tokens whose rows are behind the log ---- */

/* Of our own log, which a pass will empty: the next row of it. False: that was the last, or the
 * rest can't be read, and then everything will be written again. */
static bool next_log_row(struct postgres_store *s)
{
    while (s->reading == NULL || s->reading_row == PQntuples(s->reading)) {
        bool is_last = s->reading != NULL && s->reading_row < PAGE_LOG_ROWS;
        PQclear(s->reading);
        s->reading = NULL;
        if (is_last) {
            s->reading_part++;
            s->reading_after = 0;
        }
        if (s->reading_part == 2)
            return false;
        if (read_log_page(s, s->node, s->reading_part, s->reading_after, &s->reading) != OK) {
            s->is_replay_lost = true;
            return false;
        }
        s->reading_row = 0;
    }
    s->reading_after = postgres_integer(s->reading, s->reading_row, 0);
    if (postgres_log_row(s->reading, s->reading_row++, &s->reading_position, &s->reading_walk) !=
        NULL)
        s->reading_walk = (struct log_walk){0};
    return true;
}

static token_id next_in_log(struct postgres_store *s)
{
    struct log_record record;
    do {
        while (log_walk_next(&s->reading_walk, &record)) {
            if (log_record_token(&record) == TOKEN_NONE ||
                postgres_log_mark(s->reading, s->reading_row - 1, &record) != NULL)
                continue;
            note_label(s, &record);
            return log_record_token(&record);
        }
    } while (next_log_row(s));
    s->reading_walk = (struct log_walk){0};
    return TOKEN_NONE;
}

token_id postgres_next_replayed(struct store *store)
{
    struct postgres_store *s = postgres_of(store);
    if (s->replayed_next < s->replayed_count)
        return s->replayed[s->replayed_next++];
    free(s->replayed);
    s->replayed = NULL;
    s->replayed_count = s->replayed_next = 0;
    token_id id = s->is_log_unread ? next_in_log(s) : TOKEN_NONE;
    s->is_log_unread = id != TOKEN_NONE;
    return id;
}
