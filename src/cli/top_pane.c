/* The lower half of `moonwatch top`: tokens, alerts or events, or all about one token. */
#include "api/pick.h"
#include "api/token_json.h"
#include "cli/figures.h"
#include "cli/terminal.h"
#include "cli/top.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define TALL       40 /* rows of a screen with a strip of news below the tokens */
#define STRIP_ROWS 10
#define TEXT_SIZE  512

static double age_s(const struct top *top, instant at)
{
    return instant_is_never(at) ? NAN : duration_to_s(instant_diff(top->now, at));
}

static const char *clock_text(instant at, char out[ISO_TIME_SIZE])
{
    iso_time_format(at, out);
    out[19] = '\0';
    return out + 11;
}

/* ---- what a token shows ---- */

struct line {
    const struct top *top;
    const struct token *token;
    token_id id;
};

static bool has_data(const struct line *line)
{
    return token_has_data(line->token);
}

static const char *show_score(const struct line *line, char out[TEXT_SIZE])
{
    if (!has_data(line))
        return "–";
    snprintf(out, TEXT_SIZE, "%.3f", line->token->state.score);
    return out;
}

static const char *show_status(const struct line *line, char out[TEXT_SIZE])
{
    (void)out;
    return token_status_name((enum token_status)line->token->status);
}

static const char *show_age(const struct line *line, char out[TEXT_SIZE])
{
    return figure_span(age_s(line->top, line->token->state.checked_at), out);
}

static const char *show_liquidity(const struct line *line, char out[TEXT_SIZE])
{
    return figure_money(has_data(line) ? line->token->state.metrics.liquidity_usd : NAN, out);
}

static const char *show_volume(const struct line *line, char out[TEXT_SIZE])
{
    return figure_money(has_data(line) ? line->token->state.metrics.volume_5m_usd : NAN, out);
}

static const char *show_change(const struct line *line, char out[TEXT_SIZE])
{
    return figure_change(has_data(line) ? line->token->state.metrics.delta_p_5m : NAN, out);
}

static const char *show_trades(const struct line *line, char out[TEXT_SIZE])
{
    return has_data(line) ? figure_count(line->token->state.metrics.tx_count_5m, out) : "–";
}

static const char *show_price(const struct line *line, char out[TEXT_SIZE])
{
    return figure_price(has_data(line) ? line->token->state.metrics.price_usd : NAN, out);
}

static const char *show_birth(const struct line *line, char out[TEXT_SIZE])
{
    return figure_span(age_s(line->top, line->token->created_at), out);
}

static const char *show_pools(const struct line *line, char out[TEXT_SIZE])
{
    return figure_count(line->token->pool_count, out);
}

static const char *show_mint(const struct line *line, char out[TEXT_SIZE])
{
    address_format(&line->token->mint, out);
    return out;
}

/* Last in its row: what no terminal agrees on how wide it is moves nothing else. */
static const char *show_name(const struct line *line, char out[TEXT_SIZE])
{
    const struct token *token = line->token;
    snprintf(out, TEXT_SIZE, "%.*s%s%.*s", TOKEN_SYMBOL_SIZE, token->symbol,
             token->symbol[0] != '\0' ? " " : "", TOKEN_NAME_SIZE, token->name);
    return out;
}

static const struct column {
    const char *title;
    int width;          /* 0: what is left */
    int from;           /* columns of a screen that shows it */
    enum top_sort sort; /* by it; TOP_SORT_COUNT: not */
    const char *(*show)(const struct line *line, char out[TEXT_SIZE]);
} columns[] = {
    {"score", 8, 0, TOP_BY_SCORE, show_score},
    {"status", 11, 60, TOP_SORT_COUNT, show_status},
    {"age", 9, 0, TOP_BY_AGE, show_age},
    {"price", 11, 120, TOP_SORT_COUNT, show_price},
    {"liquidity", 11, 0, TOP_BY_LIQUIDITY, show_liquidity},
    {"vol 5m", 9, 70, TOP_BY_VOLUME, show_volume},
    {"trades", 8, 90, TOP_BY_TRADES, show_trades},
    {"chg 5m", 9, 80, TOP_BY_CHANGE, show_change},
    {"seen", 8, 110, TOP_BY_BIRTH, show_birth},
    {"pools", 7, 120, TOP_SORT_COUNT, show_pools},
    {"mint", 46, 160, TOP_SORT_COUNT, show_mint},
    {"symbol, name", 0, 0, TOP_SORT_COUNT, show_name},
};

#define COLUMNS (sizeof columns / sizeof columns[0])

static enum ink ink_of(const struct line *line, const struct column *column)
{
    const struct token *token = line->token;
    if (column->sort == TOP_BY_AGE) {
        unsigned group = token_column_group(line->top->source.memory.table, line->id);
        double target =
            group < GROUP_COUNT
                ? (double)page_word(&line->top->source.page->groups[group].target_us) / 1e6
                : 0;
        double age = age_s(line->top, token->state.checked_at);
        return target <= 0 || !(age > 1.1 * target) ? INK_GOOD
               : age <= 2 * target                  ? INK_WARNING
                                                    : INK_BAD;
    }
    if (column->sort == TOP_BY_CHANGE && has_data(line))
        return token->state.metrics.delta_p_5m < 0 ? INK_BAD : INK_GOOD;
    return column->sort == TOP_BY_SCORE ? INK_BOLD : INK_PLAIN;
}

/* ---- lists ---- */

/* Puts the rows of the cursor and on top where the list has them. */
static void settle(struct top *top, int count, int rows)
{
    int *first = &top->first[top->pane], *chosen = &top->chosen[top->pane];
    top->pane_count = count;
    top->pane_rows = rows > 0 ? rows : 1;
    if (*chosen >= count)
        *chosen = count > 0 ? count - 1 : 0;
    if (*first > *chosen)
        *first = *chosen;
    if (*first < *chosen - top->pane_rows + 1)
        *first = *chosen - top->pane_rows + 1;
    if (*first > count - top->pane_rows)
        *first = count > top->pane_rows ? count - top->pane_rows : 0;
}

/* What a row is drawn with where the cursor stands on it. */
static enum ink ink_at(const struct top *top, int index, int row, enum ink ink)
{
    if (index != top->chosen[top->pane])
        return ink;
    canvas_text(row, 0, 1, INK_BOLD, "▶");
    return ink;
}

static void draw_token(const struct top *top, int row, int index)
{
    const struct token_table *table = top->source.memory.table;
    struct token token;
    struct line line = {top, &token, top->tokens.ids[index]};
    char text[TEXT_SIZE];
    bool is_chosen = index == top->chosen[top->pane];
    int column = 0;
    if (!token_look(table, line.id, &token, NULL))
        return;
    if (is_chosen)
        canvas_fill(row, INK_CHOSEN);
    for (size_t i = 0; i < COLUMNS; i++) {
        enum ink ink = is_chosen ? INK_CHOSEN : ink_of(&line, &columns[i]);
        if (canvas_columns() < columns[i].from)
            continue;
        if (columns[i].width == 0)
            canvas_text(row, column + 2, canvas_columns() - column - 2, ink,
                        columns[i].show(&line, text));
        else
            canvas_right(row, column, columns[i].width, ink, columns[i].show(&line, text));
        column += columns[i].width;
    }
    if (is_chosen)
        canvas_text(row, 0, 1, INK_CHOSEN, "▶");
}

static void draw_token_head(const struct top *top, int row)
{
    int column = 0;
    for (size_t i = 0; i < COLUMNS; i++) {
        char title[TEXT_SIZE];
        bool is_sorted = columns[i].sort == top->query.sort;
        if (canvas_columns() < columns[i].from)
            continue;
        snprintf(title, sizeof title, "%s%s", columns[i].title,
                 !is_sorted               ? ""
                 : top->query.is_reversed ? "▲"
                                          : "▼");
        if (columns[i].width == 0)
            canvas_text(row, column + 2, canvas_columns() - column - 2, INK_TITLE, title);
        else
            canvas_right(row, column, columns[i].width, INK_TITLE, title);
        column += columns[i].width;
    }
}

/* Which tokens these are: "120 active of 1,234, by score, with "pepe"". */
static void draw_token_title(const struct top *top, int row)
{
    const struct top_query *query = &top->query;
    char text[FIGURE_SIZE], from[FIGURE_SIZE];
    const char *which = "";
    for (unsigned i = 0; i < TOKEN_STATUS_COUNT; i++)
        if (query->statuses == 1u << i)
            which = token_status_name((enum token_status)i);
    int width = canvas_columns() - 2;
    int column = canvas_print(row, 1, width, INK_BOLD, "Tokens") + 1;
    column =
        canvas_print(row, column, width, INK_PLAIN, "%s%s%s, by %s%s",
                     figure_count(top->tokens.matching, text), which[0] == '\0' ? "" : " ", which,
                     top_sort_name(query->sort), query->is_reversed ? ", least first" : "");
    if (query->search[0] != '\0')
        column = canvas_print(row, column, width, INK_WARNING, ", with \"%s\"", query->search);
    if (top->pane_count > 0)
        canvas_print(row, column + 2, width, INK_DIM, "%s of %d%s",
                     figure_count((uint64_t)top->chosen[PANE_TOKENS] + 1, from), top->pane_count,
                     top->tokens.matching > TOP_TOKENS_MAX ? ", the first" : "");
}

static void draw_tokens(struct top *top, int row, int end)
{
    int count = (int)top->tokens.count;
    settle(top, count, end - row - 2);
    draw_token_title(top, row);
    draw_token_head(top, row + 1);
    if (top->source.memory.table == NULL) {
        canvas_text(row + 2, 2, canvas_columns(), INK_WARNING,
                    "the token table is of another version of Moonwatch than this one");
        return;
    }
    if (count == 0)
        canvas_text(row + 2, 2, canvas_columns(), INK_DIM,
                    top->query.search[0] != '\0' ? "no token has that in its mint, name or symbol"
                                                 : "no tokens yet");
    for (int i = 0; i < top->pane_rows && top->first[PANE_TOKENS] + i < count; i++)
        draw_token(top, row + 2 + i, top->first[PANE_TOKENS] + i);
}

/* ---- alerts ---- */

static enum ink ink_of_severity(enum severity severity)
{
    return severity >= SEVERITY_ERROR     ? INK_BAD
           : severity == SEVERITY_WARNING ? INK_WARNING
                                          : INK_PLAIN;
}

static void draw_finding(const struct top *top, int row, const struct finding *finding,
                         enum ink ink)
{
    char text[FINDING_TEXT_SIZE], since[FIGURE_SIZE];
    int width = canvas_columns() - 2;
    finding_text(finding, text);
    int column = canvas_print(row, 2, width, ink, "%-9s", severity_name(finding->severity));
    column = canvas_print(row, column, width, INK_DIM, "%9s  ",
                          figure_span(age_s(top, finding->since), since));
    canvas_text(row, column, width - column, INK_PLAIN, text);
}

static void draw_message(const struct board_message *message, int row)
{
    char at[ISO_TIME_SIZE];
    int width = canvas_columns() - 2;
    uint32_t count = message->count + message->omitted;
    int column =
        canvas_print(row, 2, width, INK_DIM, "told       %s  ", clock_text(message->at, at));
    column =
        canvas_print(row, column, width, ink_of_severity((enum severity)message->severity),
                     "%s, %s: ", alert_message_kind_name((enum alert_message_kind)message->kind),
                     severity_name((enum severity)message->severity));
    for (uint32_t i = 0; i < message->count && i < BOARD_ENTRIES_MAX; i++) {
        const struct board_entry *entry = &message->of[i];
        column = canvas_print(row, column, width - column, INK_PLAIN, "%s%s %s", i == 0 ? "" : ", ",
                              finding_name((enum finding_cause)entry->cause),
                              alert_change_name((enum alert_change)entry->change));
    }
    if (count > BOARD_ENTRIES_MAX)
        canvas_print(row, column, width - column, INK_DIM, " …");
}

/* What to do about the finding under the cursor. */
static void draw_advice(const struct top *top, int row, int end)
{
    const struct findings *findings = &top->health.findings;
    int chosen = top->chosen[PANE_ALERTS];
    char text[FINDING_TEXT_SIZE];
    if (chosen >= (int)findings->count)
        return;
    finding_advice(&findings->of[chosen], text);
    size_t length = strlen(text), at = 0;
    int width = canvas_columns() - 4;
    for (; row < end && at < length; row++) {
        char part[FINDING_TEXT_SIZE];
        size_t take = length - at;
        if (take > (size_t)width)
            for (take = (size_t)width; take > 1 && text[at + take] != ' '; take--)
                continue;
        snprintf(part, sizeof part, "%.*s", (int)take, text + at);
        canvas_text(row, 2, width, INK_ACCENT, part);
        at += take + strspn(text + at + take, " ");
    }
}

static void draw_alerts(struct top *top, int row, int end)
{
    const struct findings *findings = &top->health.findings;
    const struct alert_board *board = &top->texts.alerts;
    uint32_t messages =
        board->message_count < BOARD_MESSAGES_MAX ? board->message_count : BOARD_MESSAGES_MAX;
    int count = (int)(findings->count + messages);
    int advice = end - 3;
    canvas_print(row, 1, canvas_columns(), INK_BOLD, "Alerts");
    canvas_print(row, 8, canvas_columns(), INK_PLAIN, "%u there now, then what people were told",
                 findings->count);
    settle(top, count, advice - row - 1);
    if (count == 0)
        canvas_text(row + 1, 2, canvas_columns(), INK_DIM,
                    "nothing is wrong, and nobody was told anything");
    for (int i = 0; i < top->pane_rows && top->first[PANE_ALERTS] + i < count; i++) {
        int index = top->first[PANE_ALERTS] + i, at = row + 1 + i;
        if (index < (int)findings->count)
            draw_finding(top, at, &findings->of[index],
                         ink_at(top, index, at, ink_of_severity(findings->of[index].severity)));
        else
            draw_message(&board->messages[index - (int)findings->count], at);
        (void)ink_at(top, index, at, INK_PLAIN);
    }
    draw_advice(top, advice, end);
}

/* ---- events ---- */

static void draw_event(const struct flight_record *record, int row)
{
    char text[TEXT_SIZE], at[ISO_TIME_SIZE];
    int width = canvas_columns() - 2;
    flight_describe(record, text, sizeof text);
    int column =
        canvas_print(row, 2, width, INK_DIM, "%s  %-11s", clock_text((instant){record->at_us}, at),
                     process_name((enum page_process_id)record->process));
    canvas_text(row, column, width - column, INK_PLAIN, text);
}

static void draw_newest_events(const struct top *top, int row, int end)
{
    for (size_t i = 0; row < end && i < top->flight_count; i++, row++)
        draw_event(&top->flight[top->flight_count - 1 - i], row);
}

static void draw_events(struct top *top, int row, int end)
{
    int count = (int)top->flight_count;
    canvas_print(row, 1, canvas_columns(), INK_BOLD, "Events");
    canvas_text(row, 8, canvas_columns() - 8, INK_PLAIN,
                "the flight recorder, newest first, requests left out; times are UTC");
    settle(top, count, end - row - 1);
    for (int i = 0; i < top->pane_rows && top->first[PANE_EVENTS] + i < count; i++) {
        int index = top->first[PANE_EVENTS] + i;
        draw_event(&top->flight[count - 1 - index], row + 1 + i);
        (void)ink_at(top, index, row + 1 + i, INK_PLAIN);
    }
}

/* ---- panes ---- */

void top_draw_pane(struct top *top, int row, int end)
{
    switch (top->pane) {
    case PANE_TOKENS: {
        bool has_strip = canvas_rows() >= TALL;
        int until = has_strip ? end - STRIP_ROWS : end;
        draw_tokens(top, row, until);
        if (has_strip) {
            canvas_text(until + 1, 1, canvas_columns(), INK_BOLD, "Events");
            draw_newest_events(top, until + 2, end);
        }
        break;
    }
    case PANE_ALERTS:
        draw_alerts(top, row, end);
        break;
    default:
        draw_events(top, row, end);
        break;
    }
}

/* ---- one token ---- */

static int draw_fact(int row, const char *name, const char *value)
{
    canvas_text(row, 1, 17, INK_DIM, name);
    canvas_text(row, 18, canvas_columns() - 19, INK_PLAIN, value);
    return row + 1;
}

static int draw_components(int row, const char *name, const struct components *of, double score)
{
    char text[TEXT_SIZE];
    snprintf(text, sizeof text,
             "%.4f = tx %.3f, volume %.3f, youth %.3f, order flow %.3f (weighted)", score,
             of->tx_accel, of->vol_momentum, of->token_freshness, of->orderflow_imbalance);
    return draw_fact(row, name, text);
}

static int draw_market(int row, const struct line *line)
{
    const struct token_state *state = &line->token->state;
    char a[FIGURE_SIZE], b[FIGURE_SIZE], c[FIGURE_SIZE], d[FIGURE_SIZE], text[TEXT_SIZE];
    snprintf(text, sizeof text, "%s, market cap %s, liquidity %s, 5 min %s",
             figure_price(state->metrics.price_usd, a),
             figure_money((double)state->metrics.market_cap_usd, b),
             figure_money(state->metrics.liquidity_usd, c),
             figure_change(state->metrics.delta_p_5m, d));
    row = draw_fact(row, "price", text);
    snprintf(text, sizeof text, "%s in 5 min, %s in an hour, %u trades in 5 min, %u in an hour",
             figure_money(state->metrics.volume_5m_usd, a),
             figure_money(state->metrics.volume_1h_usd, b), state->metrics.tx_count_5m,
             state->metrics.tx_count_1h);
    row = draw_fact(row, "volume", text);
    row = draw_components(row, "score", &state->smoothed, state->score);
    return draw_components(row, "before smoothing", &state->raw, state->score_raw);
}

static void draw_pools(int row, int end, const struct token_table *table, const struct token *token,
                       const struct pool *pools)
{
    uint8_t order[POOLS_MAX];
    pools_by_liquidity(pools, token->pool_count, order);
    for (unsigned i = 0; row < end && i < token->pool_count; i++) {
        const struct pool *pool = &pools[order[i]];
        char text[TEXT_SIZE], address[ADDRESS_TEXT_MAX + 1], money[FIGURE_SIZE];
        address_format(&pool->address, address);
        snprintf(text, sizeof text, "%-44s %9s  %s, %s", address,
                 figure_money((double)pool->liquidity_usd, money),
                 token_table_dex_name(table, pool->dex),
                 token_table_quote_name(table, pool->quote));
        row = draw_fact(row, i == 0 ? "pools" : "", text);
    }
}

void top_draw_card(struct top *top, int row, int end)
{
    const struct token_table *table = top->source.memory.table;
    int chosen = top->chosen[PANE_TOKENS];
    struct token token;
    struct pool pools[POOLS_MAX];
    if (table == NULL || chosen >= (int)top->tokens.count ||
        !token_look(table, top->tokens.ids[chosen], &token, pools)) {
        canvas_text(row, 1, canvas_columns(), INK_DIM,
                    "there is no token under the cursor; Esc goes back");
        return;
    }
    const struct line line = {top, &token, top->tokens.ids[chosen]};
    char text[TEXT_SIZE], figure[FIGURE_SIZE], other[FIGURE_SIZE];
    canvas_text(row, 1, canvas_columns() - 2, INK_BOLD, show_name(&line, text));
    row = draw_fact(row + 1, "mint", show_mint(&line, text));
    snprintf(text, sizeof text, "%s for %s, first seen %s ago",
             token_status_name((enum token_status)token.status),
             figure_span(age_s(top, token.state.status_since), figure),
             figure_span(age_s(top, token.created_at), other));
    row = draw_fact(row, "status", text);
    snprintf(text, sizeof text, "asked %s ago, data %s ago, all pools %s ago",
             figure_span(age_s(top, token.state.checked_at), figure),
             figure_span(age_s(top, token.state.fetched_at), other),
             figure_span(age_s(top, token.state.discovered_at), (char[FIGURE_SIZE]){0}));
    row = draw_fact(row, "age", text);
    if (token_has_data(&token))
        row = draw_market(row, &line);
    draw_pools(row, end, table, &token, pools);
}
