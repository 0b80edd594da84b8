/* See population.h. */
#include "drill/population.h"

#include "base/clock.h"
#include "drill/drill.h"
#include "drill/http.h"
#include "drill/look.h"
#include "drill/witness.h"
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_S        20.0
#define STORE_BUSY_MS 5000

/* ---- where they come from ---- */

void population_read(struct drill *drill)
{
    struct sandbox *sandbox = &drill->sandbox;
    struct http_answer answer = http_ask(&(struct http_question){
        .port = sandbox->control_port, .method = "GET", .path = "/mints?limit=8192"});
    sandbox->mints = calloc(POPULATION_MAX, sizeof *sandbox->mints);
    if (answer.status != 200 || answer.body == NULL || sandbox->mints == NULL)
        drill_fail(drill, "the market names no mints: %s", answer.why);
    unsigned count = 0;
    for (char *at = strtok(answer.body, "\n"); at != NULL; at = strtok(NULL, "\n"))
        if (count < POPULATION_MAX)
            snprintf(sandbox->mints[count++], MINT_SIZE, "%s", at);
    sandbox->mint_count = count;
    http_forget(&answer);
}

void population_import(struct drill *drill, unsigned from, unsigned count)
{
    struct sandbox *sandbox = &drill->sandbox;
    char *body = malloc((size_t)count * (MINT_SIZE + 1) + 1);
    if (body == NULL || from + count > sandbox->mint_count)
        drill_fail(drill, "the market has too few tokens");
    char *at = body;
    for (unsigned i = 0; i < count; i++)
        at += sprintf(at, "%s\n", sandbox->mints[from + i]);
    struct http_answer answer = http_ask(&(struct http_question){.port = sandbox->port,
                                                                 .method = "POST",
                                                                 .path = "/tokens/import",
                                                                 .body = body,
                                                                 .patience_s = LIST_S});
    if (answer.status != 200)
        drill_fail(drill, "the tokens were not taken: status %d, %.200s", answer.status,
                   answer.body == NULL ? answer.why : answer.body);
    http_forget(&answer);
    free(body);
}

uint32_t population_acknowledged(const struct drill *drill)
{
    const struct witnesses *witnesses = drill->sandbox.witnesses;
    return drill->sandbox.imported + (witnesses == NULL ? 0 : atomic_load(&witnesses->added));
}

/* ---- their ages ---- */

/* A record of the list, which is CSV: its first cell and its last but one. */
struct record {
    char mint[MINT_SIZE];
    instant fetched_at;
};

/* Where the record that begins at `at` ends; names are quoted and may hold anything. */
static char *end_of_record(char *at)
{
    bool is_quoted = false;
    for (; *at != '\0' && (is_quoted || *at != '\n'); at++)
        is_quoted = is_quoted != (*at == '"');
    return at;
}

static void read_record(char *text, char *end, struct record *out)
{
    *end = '\0';
    snprintf(out->mint, sizeof out->mint, "%.*s", (int)strcspn(text, ","), text);
    out->fetched_at = INSTANT_NEVER;
    char *last = strrchr(text, ',');
    if (last == NULL)
        return;
    *last = '\0';
    char *fetched = strrchr(text, ',');
    if (fetched != NULL && !iso_time_parse(fetched + 1, &out->fetched_at))
        out->fetched_at = INSTANT_NEVER;
}

/* Calls for each; false when the list can't be had. */
typedef void on_record(struct drill *drill, const struct record *record, void *context);

static bool read_list(struct drill *drill, on_record *call, void *context)
{
    struct http_answer answer =
        http_ask(&(struct http_question){.port = drill->sandbox.port,
                                         .method = "GET",
                                         .path = "/tokens.csv?statuses=monitoring,active,archived",
                                         .patience_s = LIST_S});
    char *at = answer.status == 200 ? answer.body : NULL;
    bool is_heading = true;
    while (at != NULL && *at != '\0') {
        struct record record;
        char *end = end_of_record(at);
        char *next = *end == '\0' ? NULL : end + 1;
        read_record(at, end, &record);
        if (!is_heading)
            call(drill, &record, context);
        is_heading = false;
        at = next;
    }
    http_forget(&answer);
    return answer.status == 200;
}

struct freshness {
    uint32_t tokens, fresh;
    struct record oldest; /* of those that are not */
};

static void count_fresh(struct drill *drill, const struct record *record, void *context)
{
    struct freshness *freshness = context;
    bool is_fresh = instant_before(drill->ended_at, record->fetched_at) ||
                    strcmp(record->mint, drill->spared) == 0;
    freshness->tokens++;
    freshness->fresh += is_fresh;
    if (!is_fresh && (freshness->oldest.mint[0] == '\0' ||
                      instant_before(record->fetched_at, freshness->oldest.fetched_at)))
        freshness->oldest = *record;
}

bool population_is_fresh(struct drill *drill)
{
    struct freshness freshness = {0};
    uint32_t acknowledged = population_acknowledged(drill);
    return read_list(drill, count_fresh, &freshness) && freshness.tokens >= acknowledged &&
           freshness.fresh == freshness.tokens;
}

void population_show_stale(struct drill *drill)
{
    struct freshness freshness = {0};
    if (!read_list(drill, count_fresh, &freshness)) {
        drill_say(drill, "the tokens can't be listed");
        return;
    }
    double age_s = duration_to_s(instant_diff(look_now(drill), freshness.oldest.fetched_at));
    drill_say(drill, "%u of %u tokens (%u acknowledged) are fresh; %s is %.1f s old",
              freshness.fresh, freshness.tokens, population_acknowledged(drill),
              freshness.oldest.mint, age_s);
}

struct search {
    const char *mint;
    int64_t fetched_us;
};

static void find_one(struct drill *drill, const struct record *record, void *context)
{
    struct search *search = context;
    (void)drill;
    if (strcmp(record->mint, search->mint) == 0)
        search->fetched_us = record->fetched_at.us;
}

int64_t population_fetched_us(struct drill *drill, const char *mint)
{
    struct search search = {.mint = mint};
    (void)!read_list(drill, find_one, &search);
    return search.fetched_us;
}

/* ---- who is lost ---- */

uint32_t population_lost(struct drill *drill)
{
    uint32_t lost = 0, acknowledged = population_acknowledged(drill);
    for (uint32_t i = 0; i < acknowledged; i++) {
        char path[128];
        snprintf(path, sizeof path, "/tokens/%s?history_limit=1", drill->sandbox.mints[i]);
        if (http_get_status(drill->sandbox.port, path) == 200)
            continue;
        if (lost++ == 0)
            drill_say(drill, "lost: %s", drill->sandbox.mints[i]);
    }
    return lost;
}

static bool is_sound(sqlite3 *db)
{
    sqlite3_stmt *check = NULL;
    const char *said = NULL;
    if (sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &check, NULL) == SQLITE_OK &&
        sqlite3_step(check) == SQLITE_ROW)
        said = (const char *)sqlite3_column_text(check, 0);
    bool sound = said != NULL && strcmp(said, "ok") == 0;
    sqlite3_finalize(check);
    return sound;
}

static uint32_t count_missing(const struct drill *drill, sqlite3_stmt *find)
{
    uint32_t missing = 0, acknowledged = population_acknowledged(drill);
    for (uint32_t i = 0; i < acknowledged; i++) {
        sqlite3_reset(find);
        sqlite3_bind_text(find, 1, drill->sandbox.mints[i], -1, SQLITE_STATIC);
        missing += sqlite3_step(find) != SQLITE_ROW;
    }
    return missing;
}

uint32_t population_lost_in_store(struct drill *drill)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *find = NULL;
    int status = sqlite3_open_v2(sandbox_database(drill), &db, SQLITE_OPEN_READWRITE, NULL);
    if (status == SQLITE_OK)
        sqlite3_busy_timeout(db, STORE_BUSY_MS);
    if (status != SQLITE_OK || !is_sound(db) ||
        sqlite3_prepare_v2(db, "SELECT 1 FROM token WHERE mint=?1", -1, &find, NULL) != SQLITE_OK)
        drill_fail(drill, "the store is not sound afterwards: %.200s", sqlite3_errmsg(db));
    uint32_t missing = count_missing(drill, find);
    sqlite3_finalize(find);
    sqlite3_close(db);
    return missing;
}
