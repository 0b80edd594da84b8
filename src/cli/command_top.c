/* `moonwatch top`: a running daemon, live in the terminal. See top.h. */
#include "base/clock.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/top.h"
#include "page/load_view.h"
#include <curses.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define KEY_ESCAPE 27
#define KEY_DELETE 127
#define CONTROL(c) ((c)&31)

static const unsigned statuses[] = {
    1u << TOKEN_ACTIVE | 1u << TOKEN_MONITORING | 1u << TOKEN_ARCHIVED,
    1u << TOKEN_ACTIVE,
    1u << TOKEN_MONITORING,
    1u << TOKEN_ARCHIVED,
};

#define STATUS_CHOICES (sizeof statuses / sizeof statuses[0])

/* ---- looking ---- */

static void trace_add(struct top_trace *trace, double value)
{
    if (trace->count == TOP_TRACE_MAX)
        memmove(trace->values, trace->values + 1, --trace->count * sizeof trace->values[0]);
    trace->values[trace->count++] = value;
}

/* Each engine counts from 0. */
static void remember(struct top *top)
{
    const struct status_page *page = top->source.page;
    uint64_t starts = page_word(&page->processes[PROCESS_ENGINE].starts), refreshes = 0;
    for (unsigned i = 0; i < GROUP_COUNT; i++)
        refreshes += page_word(&page->groups[i].refreshes);
    bool is_same = starts == top->engine_starts && refreshes >= top->refreshes;
    trace_add(&top->answers, is_same ? (double)(refreshes - top->refreshes) : NAN);
    trace_add(&top->cpu, load_signal_percent(page, SIGNAL_CPU, top->now) / 100);
    top->refreshes = refreshes;
    top->engine_starts = starts;
}

static void choose(struct top *top)
{
    top->is_stale = false;
    const struct token_table *table = top->source.memory.table;
    if (table != NULL)
        top_tokens_choose(&top->tokens, table, &top->query, top->now);
    else
        top->tokens.count = 0;
}

/* Requests are most of what the flight recorder has, and counted elsewhere. */
static void look_at_events(struct top *top)
{
    size_t count = flight_read(&top->source.page->flight, top->flight, TOP_FLIGHT), kept = 0;
    for (size_t i = 0; i < count; i++)
        if (top->flight[i].kind != FLIGHT_REQUEST_SENT &&
            top->flight[i].kind != FLIGHT_REQUEST_ENDED)
            top->flight[kept++] = top->flight[i];
    top->flight_count = kept;
}

static void look(struct top *top)
{
    const struct status_page *page = top->source.page;
    const struct token_table *table = top->source.memory.table;
    if (page == NULL)
        return;
    top->now = clock_now_on(&page->clock);
    health_look(page, top->now, &top->health);
    if (!page_read_texts(page, &top->texts))
        memset(&top->texts, 0, sizeof top->texts);
    look_at_events(top);
    top->ages = table == NULL ? NULL : freshness_look(top->freshness, table, page, top->now);
    if (top->is_stale || top_tokens_are_old(&top->tokens, top->now))
        choose(top);
}

/* What was looked at on another timeline says nothing of what is old on this one. */
static void start_anew(struct top *top)
{
    struct freshness *fresh = freshness_create();
    top->is_stale = true;
    if (fresh == NULL)
        return;
    freshness_destroy(top->freshness);
    top->freshness = fresh;
    top->ages = NULL;
}

static void tick(struct top *top)
{
    if (top_source_look(&top->source, &top->options))
        start_anew(top);
    if (!top_is_there(top) || top->is_held)
        return;
    look(top);
    remember(top);
}

/* ---- keys ---- */

static void move_to(struct top *top, int row)
{
    int *chosen = &top->chosen[top->pane];
    *chosen = row >= top->pane_count ? top->pane_count - 1 : row;
    if (*chosen < 0)
        *chosen = 0;
}

static void search_key(struct top *top, int key)
{
    char *text = top->query.search;
    size_t length = strlen(text);
    if (key == KEY_ESCAPE)
        text[0] = '\0';
    if (key == KEY_ESCAPE || key == '\n' || key == '\r' || key == KEY_ENTER)
        top->mode = TOP_LOOKING;
    else if (key == KEY_BACKSPACE || key == KEY_DELETE || key == '\b')
        while (length > 0 && ((unsigned char)text[--length] & 0xc0) == 0x80)
            text[length] = '\0'; /* of a character of several bytes, all */
    else if (key == CONTROL('U'))
        length = 0;
    else if (key >= ' ' && key <= 255 && length + 1 < TOP_SEARCH_SIZE)
        text[length++] = (char)key;
    if (top->mode == TOP_SEARCHING)
        text[length] = '\0';
    top->is_stale = true;
    move_to(top, 0);
}

static void change_sort(struct top *top, int by)
{
    top->query.sort =
        (enum top_sort)((int)(top->query.sort + TOP_SORT_COUNT + by) % TOP_SORT_COUNT);
    top->is_stale = true;
}

static void change_status(struct top *top)
{
    size_t i = 0;
    while (statuses[i] != top->query.statuses)
        i++;
    top->query.statuses = statuses[(i + 1) % STATUS_CHOICES];
    top->is_stale = true;
    move_to(top, 0);
}

static void change_pane(struct top *top, int by)
{
    top->pane = (enum top_pane)((int)(top->pane + PANE_COUNT + by) % PANE_COUNT);
    top->mode = TOP_LOOKING;
}

static bool movement_key(struct top *top, int key)
{
    int chosen = top->chosen[top->pane];
    switch (key) {
    case KEY_UP:
    case 'k':
        move_to(top, chosen - 1);
        return true;
    case KEY_DOWN:
    case 'j':
        move_to(top, chosen + 1);
        return true;
    case KEY_PPAGE:
    case CONTROL('B'):
        move_to(top, chosen - top->pane_rows);
        return true;
    case KEY_NPAGE:
    case CONTROL('F'):
        move_to(top, chosen + top->pane_rows);
        return true;
    case KEY_HOME:
    case 'g':
        move_to(top, 0);
        return true;
    case KEY_END:
    case 'G':
        move_to(top, top->pane_count - 1);
        return true;
    default:
        return false;
    }
}

static void tokens_key(struct top *top, int key)
{
    switch (key) {
    case 's':
        change_sort(top, 1);
        break;
    case 'S':
        change_sort(top, -1);
        break;
    case 'r':
        top->query.is_reversed = !top->query.is_reversed;
        top->is_stale = true;
        break;
    case 'f':
        change_status(top);
        break;
    case '/':
        top->mode = TOP_SEARCHING;
        break;
    case '\n':
    case '\r':
    case KEY_ENTER:
        top->mode = TOP_CARD;
        break;
    default:
        break;
    }
}

/* False: it is to end. */
static bool general_key(struct top *top, int key)
{
    switch (key) {
    case 'q':
    case 'Q':
        return false;
    case '?':
    case 'h':
    case KEY_F(1):
        top->mode = top->mode == TOP_HELP ? TOP_LOOKING : TOP_HELP;
        break;
    case KEY_ESCAPE:
        top->mode = TOP_LOOKING;
        break;
    case '\t':
        change_pane(top, 1);
        break;
    case KEY_BTAB:
        change_pane(top, -1);
        break;
    case ' ':
        top->is_held = !top->is_held;
        break;
    case CONTROL('L'):
        canvas_resize();
        break;
    default:
        if (!movement_key(top, key) && top->pane == PANE_TOKENS)
            tokens_key(top, key);
        break;
    }
    return true;
}

static bool take_keys(struct top *top)
{
    for (int key = canvas_key(); key >= 0; key = canvas_key()) {
        if (key == CONTROL('C'))
            return false;
        if (top->mode == TOP_SEARCHING)
            search_key(top, key);
        else if (!general_key(top, key))
            return false;
    }
    if (top->is_stale) /* once for all keys that waited */
        choose(top);
    return true;
}

/* ---- the loop ---- */

static int make_signal_fd(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGQUIT);
    sigaddset(&set, SIGWINCH);
    sigaddset(&set, SIGTSTP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* False: one of those that end us. */
static bool take_signals(int fd)
{
    struct signalfd_siginfo info;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGWINCH)
            canvas_resize();
        else if (info.ssi_signo == SIGTSTP)
            canvas_stop();
        else
            return false;
    }
    return true;
}

static int ms_until(instant then)
{
    int64_t ms = duration_to_ms(instant_diff(then, clock_now()));
    return ms < 0 ? 0 : ms > TOP_TICK_MS ? TOP_TICK_MS : (int)ms + 1;
}

static void run(struct top *top, int signals)
{
    instant next = clock_now();
    for (;;) {
        if (!instant_before(clock_now(), next)) {
            tick(top);
            next = instant_add(clock_now(), duration_ms(TOP_TICK_MS));
        }
        top_draw(top);
        struct pollfd polls[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                 {.fd = signals, .events = POLLIN},
                                 {.fd = top->source.fd, .events = POLLIN}};
        (void)poll(polls, 3, ms_until(next)); /* told to look sooner, it looks */
        if (polls[0].revents & (POLLHUP | POLLERR | POLLNVAL) || !take_signals(signals) ||
            !take_keys(top))
            return;
        if (polls[2].revents != 0) {
            top_source_on_end(&top->source);
            next = clock_now();
        }
    }
}

static int fail(const char *why)
{
    fprintf(stderr, "moonwatch top: %s\n", why);
    return EXIT_FAILED;
}

static int show(struct top *top)
{
    char why[CANVAS_WHY_SIZE];
    (void)top_source_look(&top->source, &top->options);
    if (!top_is_there(top))
        return fail(top->source.why);
    int signals = make_signal_fd();
    top->freshness = freshness_create();
    if (signals < 0 || top->freshness == NULL)
        return fail("out of memory or descriptors");
    if (!canvas_begin(why))
        return fail(why);
    run(top, signals);
    canvas_end();
    close(signals);
    return EXIT_DONE;
}

int command_top(int argc, char *argv[])
{
    static struct top top;
    const struct argument_spec spec = {.options = &top.options};
    enum arguments_result result = arguments_parse(argc, argv, &spec);
    if (result != ARGUMENTS_OK)
        return arguments_exit_status(result);
    top_source_init(&top.source);
    top.query.statuses = statuses[0];
    int status = show(&top);
    freshness_destroy(top.freshness);
    top_source_finish(&top.source);
    return status;
}
