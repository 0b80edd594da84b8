/* The screen of `moonwatch top`: a line of state, the groups, the budgets, load and processes, and
 * below them a pane. Under WIDE columns these stand below each other, from there on side by side.
 */
#include "cli/figures.h"
#include "cli/terminal.h"
#include "cli/top.h"
#include "page/load_view.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define ROWS_MIN    10
#define COLUMNS_MIN 40
#define WIDE        170
#define LEFT_WIDTH  100 /* of a wide screen */
#define GAP         3
#define NAME_WIDTH  11
#define CLOCK_WIDTH 14
#define CLOCK_FROM  70 /* columns of a screen with a clock */

/* Where a panel stands. */
struct area {
    int row, column, width;
};

static enum ink ink_of_health(enum health health)
{
    return health == HEALTH_HEALTHY ? INK_GOOD : health == HEALTH_DEGRADED ? INK_WARNING : INK_BAD;
}

static enum ink ink_of_level(enum load_level level)
{
    return level == LOAD_NORMAL ? INK_GOOD : level == LOAD_REDUCED ? INK_WARNING : INK_BAD;
}

/* Draws a cell that ends `width` columns on, and moves there. */
static void cell(struct area *at, int width, enum ink ink, const char *text)
{
    if (at->column + width <= canvas_columns())
        canvas_right(at->row, at->column, width, ink, text);
    at->column += width;
}

static double age_of(const struct top *top, const _Atomic uint64_t *at_us)
{
    uint64_t at = page_word(at_us);
    return at == 0 ? NAN : duration_to_s(instant_diff(top->now, (instant){(int64_t)at}));
}

/* ---- the state, in two lines ---- */

static void draw_state(const struct top *top, int columns)
{
    const struct status_page *page = top->source.page;
    char text[FIGURE_SIZE], at[ISO_TIME_SIZE];
    enum load_level level = load_level_now(page);
    bool is_known = load_is_known(page, top->now);
    bool is_paused = page_word(&page->is_paused) != 0, is_there = top_is_there(top);
    int clock = columns >= CLOCK_FROM ? CLOCK_WIDTH : 0;
    int column = canvas_text(0, 1, columns, INK_BOLD, "Moonwatch") + 2;
    column =
        canvas_print(0, column, columns, is_there ? ink_of_health(top->health.health) : INK_BAD,
                     "● %s", is_there ? health_name(top->health.health) : "gone") +
        2;
    column = canvas_text(0, column, columns, INK_PLAIN, "load ");
    column = canvas_text(0, column, columns, is_known ? ink_of_level(level) : INK_WARNING,
                         is_known ? load_level_name(level) : "unknown") +
             2;
    if (is_paused)
        column = canvas_text(0, column, columns, INK_WARNING, "paused") + 2;
    column =
        canvas_print(
            0, column, columns, INK_PLAIN, "up %s",
            figure_span(age_of(top, &page->processes[PROCESS_SUPERVISOR].started_at_us), text)) +
        2;
    if (top->ages != NULL)
        canvas_print(0, column, columns - clock - column, INK_PLAIN, "%s tokens, %s active",
                     figure_count(top->ages->tokens, text),
                     figure_count(top->ages->statuses[TOKEN_ACTIVE], (char[FIGURE_SIZE]){0}));
    iso_time_format(top->now, at);
    if (columns >= CLOCK_FROM)
        canvas_print(0, columns - CLOCK_WIDTH + 1, CLOCK_WIDTH - 1, INK_DIM, "%.8s UTC", at + 11);
}

/* The worst finding, and how many there are. */
static void draw_finding(const struct top *top, int columns)
{
    const struct findings *findings = &top->health.findings;
    const struct finding *worst = NULL;
    char text[FINDING_TEXT_SIZE];
    for (uint32_t i = 0; i < findings->count; i++)
        if (worst == NULL || findings->of[i].severity > worst->severity)
            worst = &findings->of[i];
    if (worst == NULL) {
        load_why(top->source.page, top->now, text);
        canvas_print(1, 1, columns - 2, INK_DIM, "nothing is wrong; load: %s", text);
        return;
    }
    finding_text(worst, text);
    enum ink ink = worst->severity >= SEVERITY_ERROR     ? INK_BAD
                   : worst->severity == SEVERITY_WARNING ? INK_WARNING
                                                         : INK_PLAIN;
    int column = canvas_print(1, 1, columns - 2, ink, "%s: ", severity_name(worst->severity));
    column = canvas_text(1, column, columns - column - 12, INK_PLAIN, text);
    if (findings->count > 1)
        canvas_print(1, column, columns - column, INK_DIM, "  (1 of %u)", findings->count);
}

static void draw_note(const struct top *top, int columns)
{
    if (!top_is_there(top))
        canvas_print(1, 1, columns - 2, INK_BAD,
                     "the daemon is gone; waiting for it to come back: %s", top->source.why);
    else if (top->is_held)
        canvas_text(1, 1, columns - 2, INK_WARNING, "the screen stands still; Space lets it go on");
    else
        draw_finding(top, columns);
}

/* ---- groups ---- */

static enum ink ink_of_age(double age_s, double target_s)
{
    if (isnan(age_s) || target_s <= 0 || age_s <= 1.1 * target_s)
        return INK_PLAIN;
    return age_s <= 2 * target_s ? INK_WARNING : INK_BAD;
}

/* Ages over the target: up to the median, to the 95th percentile, to the oldest. */
static void draw_ages(struct area at, const struct group_ages *ages, double target_s)
{
    double shares[] = {ages->p50_s, ages->p95_s, ages->max_s};
    static const char *const glyphs[] = {"█", "▓", "▒"};
    int drawn = 0;
    for (int i = 0; i < 3; i++) {
        int until = isnan(shares[i]) || target_s <= 0
                        ? 0
                        : (int)lround(fmin(shares[i] / target_s, 1) * at.width);
        for (; drawn < until; drawn++)
            canvas_text(at.row, at.column + drawn, 1,
                        ink_of_age(shares[i], target_s) == INK_PLAIN
                            ? INK_GOOD
                            : ink_of_age(shares[i], target_s),
                        glyphs[i]);
    }
    for (; drawn < at.width; drawn++)
        canvas_text(at.row, at.column + drawn, 1, INK_DIM, "░");
}

static void draw_group(const struct top *top, struct area at, unsigned i)
{
    const struct page_group *group = &top->source.page->groups[i];
    static const struct group_ages unknown = {.p50_s = NAN, .p95_s = NAN, .max_s = NAN};
    const struct group_ages *ages = top->ages != NULL ? &top->ages->groups[i] : &unknown;
    double target_s = (double)page_word(&group->target_us) / 1e6;
    uint64_t recent = page_word(&group->recent), deferred = page_word(&group->deferred);
    double on_time = recent == 0 ? NAN : (double)page_word(&group->recent_on_time) / (double)recent;
    const double shown[] = {ages->p50_s, ages->p95_s, ages->max_s};
    char text[FIGURE_SIZE];
    int end = at.column + at.width;
    canvas_text(at.row, at.column + 1, NAME_WIDTH - 1, INK_PLAIN,
                token_group_name((enum token_group)i));
    at.column += NAME_WIDTH;
    cell(&at, 9, INK_BOLD, figure_count(page_word(&group->tokens), text));
    cell(&at, 8, INK_PLAIN, figure_span(target_s, text));
    for (int k = 0; k < 3; k++)
        cell(&at, 8, ink_of_age(shown[k], target_s), figure_span(shown[k], text));
    cell(&at, 9,
         on_time < 0.9    ? INK_BAD
         : on_time < 0.99 ? INK_WARNING
                          : INK_PLAIN,
         figure_percent(on_time, text));
    cell(&at, 9, deferred > 0 ? INK_WARNING : INK_PLAIN, figure_count(deferred, text));
    at.column += 2;
    at.width = end - at.column - 1;
    if (at.width > 4)
        draw_ages(at, ages, target_s);
}

static int draw_groups(const struct top *top, struct area at)
{
    struct area head = at;
    canvas_text(at.row, at.column + 1, NAME_WIDTH, INK_TITLE, "group");
    head.column += NAME_WIDTH;
    cell(&head, 9, INK_TITLE, "tokens");
    cell(&head, 8, INK_TITLE, "target");
    cell(&head, 8, INK_TITLE, "p50");
    cell(&head, 8, INK_TITLE, "p95");
    cell(&head, 8, INK_TITLE, "oldest");
    cell(&head, 9, INK_TITLE, "on time");
    cell(&head, 9, INK_TITLE, "deferred");
    canvas_text(at.row, head.column + 2, at.column + at.width - head.column - 3, INK_TITLE, "ages");
    for (unsigned i = 0; i < GROUP_COUNT; i++) {
        at.row++;
        draw_group(top, at, i);
    }
    return at.row + 1;
}

/* ---- budgets ---- */

static void draw_budget(const struct top *top, struct area at, unsigned i)
{
    const struct page_lane *lane = &top->source.page->lanes[i];
    double allowed = page_bits(&lane->allowed_per_minute_bits);
    double used = (double)page_word(&lane->used_last_minute);
    double learned = page_bits(&lane->learned_per_minute_bits);
    double rest_s = -age_of(top, &lane->paused_until_us);
    uint64_t deferred = page_word(&lane->deferred);
    char text[FIGURE_SIZE], allowed_text[FIGURE_SIZE];
    int end = at.column + at.width;
    canvas_text(at.row, at.column + 1, NAME_WIDTH - 1, INK_PLAIN,
                lane_kind_name((enum lane_kind)i));
    at.column += NAME_WIDTH;
    cell(&at, 7, INK_BOLD, figure_rate(used, text));
    canvas_print(at.row, at.column, 10, isnan(learned) ? INK_PLAIN : INK_WARNING, " / %s",
                 figure_rate(allowed, allowed_text));
    at.column += 10;
    canvas_bar(at.row, at.column, 14, used > allowed ? INK_WARNING : INK_ACCENT, used / allowed);
    at.column += 14;
    cell(&at, 7, INK_PLAIN, figure_rate((double)page_word(&lane->in_flight), text));
    cell(&at, 9, INK_PLAIN, figure_ms((double)page_word(&lane->latency_us) / 1e6, text));
    cell(&at, 9, deferred > 0 ? INK_WARNING : INK_PLAIN, figure_count(deferred, text));
    if (rest_s > 0)
        canvas_print(at.row, at.column + 2, end - at.column - 2, INK_WARNING, "rests %s",
                     figure_span(rest_s, text));
    else
        canvas_text(at.row, at.column + 2, end - at.column - 2, INK_PLAIN,
                    lane_limit_name((enum lane_limit)page_word(&lane->limit)));
}

static int draw_budgets(const struct top *top, struct area at)
{
    struct area head = at;
    canvas_text(at.row, at.column + 1, NAME_WIDTH, INK_TITLE, "lane");
    head.column += NAME_WIDTH;
    cell(&head, 7, INK_TITLE, "used");
    canvas_text(at.row, head.column, 24, INK_TITLE, " / allowed a minute");
    head.column += 24;
    cell(&head, 7, INK_TITLE, "flying");
    cell(&head, 9, INK_TITLE, "latency");
    cell(&head, 9, INK_TITLE, "waiting");
    canvas_text(at.row, head.column + 2, at.column + at.width - head.column - 2, INK_TITLE,
                "limited by");
    for (unsigned i = 0; i < LANE_KIND_COUNT; i++) {
        at.row++;
        draw_budget(top, at, i);
    }
    return at.row + 1;
}

/* ---- load ---- */

/* "CPU 12.0 %", and moves behind it. */
static void draw_reading(struct area *at, enum ink ink, const char *name, const char *value)
{
    at->column = canvas_print(at->row, at->column, at->width, INK_DIM, "%s ", name);
    at->column = canvas_text(at->row, at->column, at->width, ink, value) + 2;
}

static enum ink ink_of_signal(const struct top *top, enum load_signal_id signal)
{
    enum load_level level = load_signal_level(top->source.page, signal);
    return level == LOAD_NORMAL ? INK_PLAIN : ink_of_level(level);
}

static void draw_load_line(const struct top *top, struct area at)
{
    const struct status_page *page = top->source.page;
    char text[FIGURE_SIZE];
    canvas_text(at.row, at.column + 1, NAME_WIDTH - 1, INK_PLAIN, "load");
    at.column += NAME_WIDTH;
    double cpu = load_signal_percent(page, SIGNAL_CPU, top->now) / 100;
    double memory = load_signal_percent(page, SIGNAL_MEMORY, top->now) / 100;
    draw_reading(&at, ink_of_signal(top, SIGNAL_CPU), "CPU", figure_percent(cpu, text));
    draw_reading(&at, INK_PLAIN, "ours",
                 figure_percent(load_reading(page, READING_OWN_CPU, top->now), text));
    draw_reading(&at, ink_of_signal(top, SIGNAL_MEMORY), "memory", figure_percent(memory, text));
    draw_reading(&at, ink_of_signal(top, SIGNAL_DISK), "disk",
                 figure_percent(load_reading(page, READING_DISK, top->now), text));
    draw_reading(&at, ink_of_signal(top, SIGNAL_STRAIN), "lag",
                 figure_ms(load_reading(page, READING_LAG, top->now), text));
}

static double largest(const struct top_trace *trace)
{
    double most = 0;
    for (size_t i = 0; i < trace->count; i++)
        most = trace->values[i] > most ? trace->values[i] : most;
    return most;
}

static void draw_trace(struct area at, const char *name, const struct top_trace *trace,
                       double top_value, const char *newest)
{
    const struct canvas_trace spark = {trace->values, trace->count, top_value};
    canvas_text(at.row, at.column + 1, NAME_WIDTH - 1, INK_PLAIN, name);
    canvas_right(at.row, at.column + NAME_WIDTH, 8, INK_BOLD, newest);
    int from = at.column + NAME_WIDTH + 9;
    canvas_spark(at.row, from, at.column + at.width - from - 1, INK_ACCENT, &spark);
}

static double newest_of(const struct top_trace *trace)
{
    return trace->count == 0 ? NAN : trace->values[trace->count - 1];
}

static int draw_traces(const struct top *top, struct area at)
{
    char text[FIGURE_SIZE];
    draw_trace(at, "refresh/s", &top->answers, largest(&top->answers),
               figure_rate(newest_of(&top->answers), text));
    at.row++;
    draw_trace(at, "CPU", &top->cpu, 1, figure_percent(newest_of(&top->cpu), text));
    return at.row + 1;
}

static int draw_signals(const struct top *top, struct area at)
{
    const struct status_page *page = top->source.page;
    int half = at.width / 2, row = at.row + 1;
    canvas_text(at.row, at.column + 1, at.width, INK_TITLE, "load, each signal of what it may be");
    for (unsigned i = 0; i < LOAD_SIGNAL_COUNT; i++) {
        enum load_signal_id signal = (enum load_signal_id)i;
        double percent = load_signal_percent(page, signal, top->now);
        int column = at.column + (i % 2 == 0 ? 0 : half);
        char text[FIGURE_SIZE];
        enum ink ink = ink_of_signal(top, signal);
        canvas_text(row, column + 1, NAME_WIDTH + 1, INK_PLAIN, load_signal_name(signal));
        canvas_right(row, column + NAME_WIDTH + 1, 9, ink, figure_percent(percent / 100, text));
        canvas_bar(row, column + NAME_WIDTH + 11, half - NAME_WIDTH - 13,
                   ink == INK_PLAIN ? INK_GOOD : ink, percent / 100);
        row += (int)(i % 2);
    }
    return row;
}

static int draw_engine(const struct top *top, struct area at)
{
    static const char *const breaker[] = {"closed", "open", "half-open"};
    const struct status_page *page = top->source.page;
    double state = page_get(page, GAUGE_BREAKER);
    struct area line = at;
    char text[FIGURE_SIZE];
    canvas_text(at.row, at.column + 1, NAME_WIDTH - 1, INK_PLAIN, "store");
    line.column += NAME_WIDTH + 1;
    draw_reading(&line, INK_PLAIN, "commit",
                 figure_ms(page_get(page, GAUGE_STORE_COMMIT_SECONDS), text));
    draw_reading(&line, INK_PLAIN, "waiting", figure_rate(page_get(page, GAUGE_STORE_QUEUE), text));
    draw_reading(&line, INK_PLAIN, "size", figure_bytes(page_get(page, GAUGE_STORE_SIZE), text));
    draw_reading(&line, INK_PLAIN, "disk free",
                 figure_bytes(load_reading(page, READING_DISK_FREE, top->now), text));
    line = (struct area){at.row + 1, at.column + NAME_WIDTH + 1, at.width};
    canvas_text(line.row, at.column + 1, NAME_WIDTH - 1, INK_PLAIN, "engine");
    draw_reading(&line, ink_of_signal(top, SIGNAL_STRAIN), "lag",
                 figure_ms(load_reading(page, READING_LAG, top->now), text));
    draw_reading(&line, state > 0 ? INK_WARNING : INK_PLAIN, "breaker",
                 state >= 0 && state <= 2 ? breaker[(int)state] : "–");
    draw_reading(&line, INK_PLAIN, "table", figure_bytes(page_get(page, GAUGE_TABLE_BYTES), text));
    draw_reading(&line, INK_PLAIN, "generation",
                 figure_rate(page_get(page, GAUGE_GENERATION), text));
    return line.row + 1;
}

/* ---- processes ---- */

static enum ink ink_of_process(enum process_state state)
{
    return state == PROCESS_RUNNING ? INK_GOOD : INK_WARNING;
}

static void draw_process_line(const struct top *top, struct area at)
{
    canvas_text(at.row, at.column + 1, NAME_WIDTH - 1, INK_PLAIN, "processes");
    at.column += NAME_WIDTH;
    for (unsigned i = PROCESS_SUPERVISOR; i < PROCESS_COUNT; i++) {
        const struct page_process *process = &top->source.page->processes[i];
        enum process_state state = (enum process_state)page_word(&process->state);
        char text[FIGURE_SIZE];
        at.column = canvas_print(at.row, at.column, at.width, INK_DIM, "%s ",
                                 process_name((enum page_process_id)i));
        at.column = canvas_text(at.row, at.column, at.width, ink_of_process(state),
                                process_state_name(state));
        at.column = canvas_print(at.row, at.column, at.width, INK_PLAIN, " %s",
                                 figure_span(age_of(top, &process->started_at_us), text)) +
                    2;
    }
}

static void draw_process(const struct top *top, struct area at, unsigned i)
{
    const struct page_process *process = &top->source.page->processes[i];
    enum process_state state = (enum process_state)page_word(&process->state);
    uint64_t resident = page_word(&process->resident_bytes), pid = page_word(&process->pid);
    uint64_t deaths = page_word(&process->deaths_last_hour);
    char text[FIGURE_SIZE];
    canvas_text(at.row, at.column + 1, NAME_WIDTH, INK_PLAIN,
                process_name((enum page_process_id)i));
    at.column += NAME_WIDTH;
    cell(&at, 10, ink_of_process(state), process_state_name(state));
    snprintf(text, sizeof text, "%llu", (unsigned long long)pid);
    cell(&at, 9, INK_PLAIN, pid == 0 ? "–" : text);
    cell(&at, 9, INK_PLAIN, figure_span(age_of(top, &process->started_at_us), text));
    cell(&at, 8, INK_PLAIN, figure_count(page_word(&process->starts), text));
    cell(&at, 10, deaths > 0 ? INK_WARNING : INK_PLAIN, figure_count(deaths, text));
    cell(&at, 10, INK_PLAIN, figure_bytes(resident == 0 ? NAN : (double)resident, text));
}

static int draw_processes(const struct top *top, struct area at)
{
    struct area head = at;
    canvas_text(at.row, at.column + 1, NAME_WIDTH, INK_TITLE, "process");
    head.column += NAME_WIDTH;
    cell(&head, 10, INK_TITLE, "state");
    cell(&head, 9, INK_TITLE, "pid");
    cell(&head, 9, INK_TITLE, "since");
    cell(&head, 8, INK_TITLE, "starts");
    cell(&head, 10, INK_TITLE, "deaths/h");
    cell(&head, 10, INK_TITLE, "memory");
    for (unsigned i = PROCESS_SUPERVISOR; i < PROCESS_COUNT; i++) {
        at.row++;
        draw_process(top, at, i);
    }
    return at.row + 1;
}

/* ---- all of it ---- */

static int draw_narrow(const struct top *top, int rows, int columns)
{
    struct area at = {.row = 2, .width = columns};
    at.row = draw_groups(top, at);
    at.row = draw_budgets(top, at);
    if (rows < 20)
        return at.row;
    draw_load_line(top, at);
    at.row++;
    draw_process_line(top, at);
    at.row++;
    if (rows < 32)
        return at.row;
    at.row++;
    return draw_traces(top, at) + 1;
}

static int draw_wide(const struct top *top, int columns)
{
    struct area left = {.row = 3, .width = LEFT_WIDTH};
    struct area right = {.row = 3, .column = LEFT_WIDTH + GAP, .width = columns - LEFT_WIDTH - GAP};
    left.row = draw_groups(top, left) + 1;
    left.row = draw_budgets(top, left) + 1;
    left.row = draw_traces(top, left);
    right.row = draw_processes(top, right) + 1;
    right.row = draw_signals(top, right) + 1;
    right.row = draw_engine(top, right);
    return (left.row > right.row ? left.row : right.row) + 1;
}

static const char *const help[] = {
    "q              quits",
    "?              this help, and back",
    "Tab            the next pane: tokens, alerts, events",
    "Up, Down, j, k a row; PgUp, PgDn a page; Home, End the first and the last",
    "Space          lets the screen stand still, and go on",
    "Ctrl-L         draws all of it again",
    "",
    "Of the tokens:",
    "s, S           the next figure to sort by, and the one before",
    "r              the other way round",
    "f              all of them, the active, the monitoring, the archived",
    "/              only those with a text in mint, name or symbol; Esc ends it",
    "Enter          everything about the one under the cursor; Esc goes back",
    "",
    "Ages count from when data was fetched. Of the bars: up to the median, the 95th",
    "percentile, the oldest; full is the target. On time: the next answer came within",
    "1.1 times the target. Deferred: past the target, and not sent yet.",
};

static void draw_help(int rows, int columns)
{
    for (int i = 0; i < (int)(sizeof help / sizeof help[0]) && i + 3 < rows; i++)
        canvas_text(i + 2, 2, columns - 2, INK_PLAIN, help[i]);
}

static void draw_keys(const struct top *top, int row, int columns)
{
    canvas_fill(row, INK_BAND);
    if (top->mode == TOP_SEARCHING)
        canvas_print(row, 1, columns, INK_BAND, "search: %s_   Enter keeps it, Esc ends it",
                     top->query.search);
    else if (top->pane == PANE_TOKENS)
        canvas_text(
            row, 1, columns, INK_BAND,
            "q quit  ? help  s sort  r reverse  f status  / search  Enter more  Tab alerts");
    else
        canvas_text(row, 1, columns, INK_BAND,
                    "q quit  ? help  Up, Down  Space hold  Tab next pane");
}

static void draw_screen(struct top *top, int rows, int columns)
{
    draw_state(top, columns);
    draw_note(top, columns);
    if (top->mode == TOP_HELP) {
        draw_help(rows, columns);
        return;
    }
    bool is_wide = columns >= WIDE && rows >= 24;
    int row = is_wide ? draw_wide(top, columns) : draw_narrow(top, rows, columns);
    if (top->mode == TOP_CARD)
        top_draw_card(top, row, rows - 1);
    else
        top_draw_pane(top, row, rows - 1);
}

void top_draw(struct top *top)
{
    int rows = canvas_rows(), columns = canvas_columns();
    canvas_clear();
    if (rows < ROWS_MIN || columns < COLUMNS_MIN)
        canvas_print(0, 0, columns, INK_PLAIN, "too small: %d x %d", columns, rows);
    else if (top->source.page == NULL)
        canvas_text(0, 0, columns, INK_BAD, top->source.why);
    else
        draw_screen(top, rows, columns);
    if (rows >= ROWS_MIN)
        draw_keys(top, rows - 1, columns);
    canvas_show();
}
