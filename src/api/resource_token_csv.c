/*
 * GET /tokens.csv: every token, a line each, written while it is sent, so that a million of them
 * need no more memory than one piece. RFC 4180; a cell that a spreadsheet would take for a formula
 * is led by an apostrophe, since names come from strangers.
 */
#include "api/answer.h"
#include "api/handlers.h"
#include "api/pick.h"
#include "api/pulse.h"
#include "api/query.h"
#include "api/token_json.h"
#include "base/clock.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_SIZE   (32 << 10)
#define CSV_LINE_MAX 1024 /* two names with all their quotes doubled, and twelve numbers */
#define CELL_SIZE    64

static const char heading[] =
    "mint_address,name,symbol,status,score,liquidity_usd,delta_p_5m,delta_p_15m,n_5m,volume_5m,"
    "price_usd,primary_dex,pools,fetched_at,created_at\r\n";

struct csv {
    const struct token_table *table;
    unsigned statuses;
    token_id next;
    token_id last;
    size_t length, sent;
    char text[CSV_LINE_MAX];
};

static void put(struct csv *csv, const char *text, size_t length)
{
    if (csv->length + length <= sizeof csv->text) {
        memcpy(csv->text + csv->length, text, length);
        csv->length += length;
    }
}

/* Spreadsheets take a cell for one that begins so, some of them after blanks, and some where the
 * signs are those of full width. */
static bool is_formula(const char *text)
{
    static const char *const signs[] = {
        "=", "+", "-", "@", "\xef\xbc\x9d", "\xef\xbc\x8b", "\xef\xbc\x8d", "\xef\xbc\xa0"};
    text += strspn(text, " \t\r\n");
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
        if (strncmp(text, signs[i], strlen(signs[i])) == 0)
            return true;
    return false;
}

static void put_text(struct csv *csv, const char *text)
{
    put(csv, "\"", 1);
    if (is_formula(text))
        put(csv, "'", 1);
    for (; *text != '\0'; text++)
        put(csv, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
    put(csv, "\",", 2);
}

static void put_number(struct csv *csv, double value)
{
    char text[CELL_SIZE] = "";
    size_t length = isfinite(value) ? json_number_format(value, text) : 0;
    put(csv, text, length);
    put(csv, ",", 1);
}

static void put_instant(struct csv *csv, instant t, const char *end)
{
    char text[ISO_TIME_SIZE];
    if (!instant_is_never(t))
        put(csv, text, iso_time_format(t, text));
    put(csv, end, strlen(end));
}

static void put_token(struct csv *csv, const struct token *token)
{
    bool has_data = token_has_data(token);
    const struct metrics *metrics = &token->state.metrics;
    const char *dex = has_data ? primary_dex_of(csv->table, token) : NULL;
    char mint[ADDRESS_TEXT_MAX + 1];
    put(csv, mint, address_format(&token->mint, mint));
    put(csv, ",", 1);
    put_text(csv, token->name);
    put_text(csv, token->symbol);
    put(csv, token_status_name(token->status), strlen(token_status_name(token->status)));
    put(csv, ",", 1);
    put_number(csv, has_data ? token->state.score : NAN);
    put_number(csv, has_data ? metrics->liquidity_usd : NAN);
    put_number(csv, has_data ? metrics->delta_p_5m : NAN);
    put_number(csv, has_data ? metrics->delta_p_15m : NAN);
    put_number(csv, has_data ? metrics->tx_count_5m : NAN);
    put_number(csv, has_data ? metrics->volume_5m_usd : NAN);
    put_number(csv, has_data ? metrics->price_usd : NAN);
    put_text(csv, dex != NULL ? dex : "");
    put_number(csv, token->pool_count);
    put_instant(csv, token->state.fetched_at, ",");
    put_instant(csv, token->created_at, "\r\n");
}

/* The next token's line into `text`; false at the end. */
static bool next_line(struct csv *csv)
{
    csv->length = csv->sent = 0;
    while (csv->next <= csv->last) {
        struct token token;
        token_id id = csv->next++;
        if (id % PULSE_EVERY == 0)
            pulse(); /* a status that few have is looked for among all tokens */
        unsigned status = token_column_status(csv->table, id);
        if (status >= TOKEN_STATUS_COUNT || (csv->statuses >> status & 1) == 0)
            continue;
        if (!token_look(csv->table, id, &token, NULL))
            continue;
        put_token(csv, &token);
        return true;
    }
    return false;
}

static ssize_t on_read(void *context, uint64_t position, char *out, size_t size)
{
    (void)position;
    struct csv *csv = context;
    pulse();
    size_t written = 0;
    while (written < size) {
        if (csv->sent == csv->length && !next_line(csv))
            return written > 0 ? (ssize_t)written : MHD_CONTENT_READER_END_OF_STREAM;
        size_t left = csv->length - csv->sent;
        size_t piece = left < size - written ? left : size - written;
        memcpy(out + written, csv->text + csv->sent, piece);
        csv->sent += piece;
        written += piece;
    }
    return (ssize_t)written;
}

void handle_token_csv(struct request *request)
{
    struct csv *csv = calloc(1, sizeof *csv);
    if (csv == NULL) {
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
        return;
    }
    csv->table = request->api->world.table;
    csv->statuses = (1u << TOKEN_STATUS_COUNT) - 1;
    csv->next = 1;
    csv->last = token_table_count(csv->table);
    put(csv, heading, sizeof heading - 1);
    struct MHD_Response *response =
        query_statuses(request, &csv->statuses)
            ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_SIZE, on_read, csv, free)
            : NULL;
    if (response == NULL) {
        free(csv);
        return;
    }
    if (request->is_head) /* the library would send the end of a chunked body */
        MHD_set_response_options(response, MHD_RF_HTTP_VERSION_1_0_ONLY, MHD_RO_END);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/csv; charset=utf-8");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "Content-Disposition", "attachment; filename=\"tokens.csv\"");
    response_protect(response, POLICY_API);
    answer(request, MHD_HTTP_OK, response);
}
