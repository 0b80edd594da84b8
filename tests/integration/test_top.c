/*
 * `moonwatch top`, in a terminal of tmux, against a real daemon and market: what must be on the
 * screen at 80 by 24 and at 200 by 60, keys, names from strangers, without colours, in plain ASCII,
 * resized, through the daemon's deaths; and that the terminal is left as it was.
 */
#include "harness.h"

#include <ctype.h>
#include <signal.h>
#include <unistd.h>

#define TMUX        "/usr/bin/tmux"
#define SCREEN_SIZE 65536
#define COMMAND     (PATH_SIZE * 3)

static const char *const market_options[] = {
    "--tokens", "200",           "--rpm",  "0", "--graduations-per-hour",
    "0",        "--replay-rate", "100000", NULL};

/* ---- a terminal ---- */

static char screen[SCREEN_SIZE];

/* The output of a command of the shell. */
static int ask_shell(const char *command, char *out, size_t size)
{
    FILE *pipe = popen(command, "r"); // NOLINT(cert-env33-c)
    assert_non_null(pipe);
    size_t length = fread(out, 1, size - 1, pipe);
    out[length] = '\0';
    while (fgetc(pipe) != EOF)
        continue;
    return pclose(pipe);
}

/* A command to tmux; what it prints is in `screen`. */
__attribute__((format(printf, 1, 2))) static int tmux(const char *format, ...)
{
    char words[COMMAND], command[COMMAND + PATH_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    snprintf(command, sizeof command, "LC_ALL=C.UTF-8 " TMUX " -N -S '%s' %s 2>&1",
             sandbox_path("tmux"), words);
    return ask_shell(command, screen, sizeof screen);
}

static bool tmux_answers(void *context)
{
    (void)context;
    return tmux("list-commands") == 0;
}

/* Says what it is about to run, so that what was there before can be looked for afterwards. */
static void terminal_open(unsigned columns, unsigned rows, const char *environment)
{
    static const char *const options[] = {"-D", "-f", "/dev/null", NULL};
    const char *argv[] = {"-S", sandbox_path("tmux"), options[0], options[1], options[2], NULL};
    static const char *const locale[] = {"LC_ALL=C.UTF-8", NULL};
    if (!tmux_answers(NULL))
        process_start("tmux", TMUX, argv, locale);
    expect_soon(tmux_answers, NULL);
    int status = tmux("new-session -d -x %u -y %u \"echo it was here; "
                      "env TERM=tmux-256color LC_ALL=C.UTF-8 %s '%s' top --db 'sqlite:%s'; "
                      "echo ended: \\$?; stty -a; exec sleep 600\"",
                      columns, rows, environment, moonwatch_program(), sandbox_path("a.db"));
    if (status != 0)
        fail_msg("tmux: %s", screen);
}

struct wanted {
    const char *text;
    bool is_absent;
};

static bool screen_has(void *context)
{
    const struct wanted *wanted = context;
    return tmux("capture-pane -p") == 0 &&
           (strstr(screen, wanted->text) == NULL) == wanted->is_absent;
}

static void expect_on_screen(const char *text)
{
    struct wanted wanted = {text, false};
    if (!wait_until(screen_has, &wanted, WAIT_S * SLOWNESS))
        fail_msg("not on the screen: %s\n%s", text, screen);
}

static void expect_gone(const char *text)
{
    struct wanted wanted = {text, true};
    if (!wait_until(screen_has, &wanted, WAIT_S * SLOWNESS))
        fail_msg("still on the screen: %s\n%s", text, screen);
}

static void expect_all(const char *const texts[])
{
    for (unsigned i = 0; texts[i] != NULL; i++)
        expect_on_screen(texts[i]);
}

static void press(const char *keys)
{
    assert_int_equal(tmux("send-keys %s", keys), 0);
}

static void type(const char *text)
{
    assert_int_equal(tmux("send-keys -l '%s'", text), 0);
}

/* It ended well, what was on the screen before is there again, and so is the terminal's mode. */
static void expect_ended(void)
{
    expect_on_screen("ended: 0");
    expect_on_screen(" icanon");
    expect_on_screen(" echo ");
    expect_on_screen("it was here");
    assert_null(strstr(screen, "Moonwatch"));
}

/* The process that the terminal's shell waits for. */
static pid_t pid_of_top(void)
{
    char path[64];
    assert_int_equal(tmux("display-message -p '#{pane_pid}'"), 0);
    long shell = strtol(screen, NULL, 10);
    snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", shell, shell);
    char *children = read_file(path, NULL);
    assert_non_null(children);
    long child = strtol(children, NULL, 10);
    free(children);
    assert_true(child > 0);
    return (pid_t)child;
}

/* Row by row; NULL after the last. */
static char *next_row(char **rest)
{
    char *row = strsep(rest, "\n");
    return row == NULL || (*row == '\0' && *rest == NULL) ? NULL : row;
}

/* ---- the daemon ---- */

static json_t *status_of_daemon(void)
{
    char command[COMMAND], out[SCREEN_SIZE];
    snprintf(command, sizeof command, "'%s' ctl status --json --db 'sqlite:%s'",
             moonwatch_program(), sandbox_path("a.db"));
    assert_int_equal(ask_shell(command, out, sizeof out), 0);
    json_t *status = json_loads(out, 0, NULL);
    assert_non_null(status);
    return status;
}

static pid_t pid_of_process(const char *name)
{
    json_t *status = status_of_daemon(), *process;
    json_int_t pid = 0;
    size_t i;
    json_array_foreach(
        json_object_get(status, "processes"), i,
        process) if (strcmp(json_string_value(json_object_get(process, "name")), name) == 0) pid =
        json_integer_value(json_object_get(process, "pid"));
    json_decref(status);
    assert_true(pid > 0);
    return (pid_t)pid;
}

static struct process *begin(void)
{
    struct process *market = market_start(market_options);
    struct process *daemon = daemon_start(market, "a.db", NULL);
    expect_metric(daemon, "tokens", NULL, 200);
    return daemon;
}

/* ---- cases ---- */

static void small(void)
{
    static const char *const wanted[] = {"Moonwatch  ●",
                                         "load ",
                                         "200 tokens",
                                         "UTC",
                                         " group ",
                                         " hot  ",
                                         " cold  ",
                                         " archived",
                                         "deferred",
                                         " lane ",
                                         " refresh ",
                                         " screen ",
                                         " discover ",
                                         "/ 294",
                                         "limited by",
                                         "CPU ",
                                         "memory ",
                                         "supervisor running",
                                         "engine running",
                                         "api running",
                                         "Tokens 200, by score",
                                         "score▼",
                                         "symbol, name",
                                         "q quit  ? help",
                                         NULL};
    begin();
    terminal_open(80, 24, "");
    expect_all(wanted);
    press("s");
    expect_on_screen("by age");
    expect_on_screen("age▼");
    press("r");
    expect_on_screen("least first");
    press("S r f");
    expect_on_screen(" active, by score");
    press("f f f");
    expect_on_screen("Tokens 200, by score");
    press("Down Down");
    expect_on_screen("3 of 200");
    press("End");
    expect_on_screen("200 of 200");
    press("Home '?'");
    expect_on_screen("lets the screen stand still");
    press("'?' Space");
    expect_on_screen("the screen stands still");
    press("Space Tab");
    expect_on_screen("then what people were told");
    press("Tab");
    expect_on_screen("the flight recorder");
    press("BTab BTab");
    expect_on_screen("score▼");
    press("Enter");
    expect_on_screen(" mint ");
    expect_on_screen("first seen");
    press("q");
    expect_ended();
}

static void large(void)
{
    static const char *const wanted[] = {"deaths/h",  "own_cpu", "descriptors", "refresh/s", "mint",
                                         "liquidity", "pump  ",  " Events",     NULL};
    char engine[32];
    begin();
    terminal_open(200, 60, "");
    expect_all(wanted);
    snprintf(engine, sizeof engine, " %d ", (int)pid_of_process("engine"));
    expect_on_screen(engine);
    assert_int_equal(tmux("resize-window -x 80 -y 24"), 0);
    expect_gone("deaths/h");
    expect_on_screen("engine running");
    assert_int_equal(tmux("resize-window -x 30 -y 8"), 0);
    expect_on_screen("too small: 30 x 8");
    assert_int_equal(tmux("resize-window -x 200 -y 60"), 0);
    expect_all(wanted);
    press("C-c");
    expect_ended();
}

static void survives_deaths(void)
{
    struct process *market = market_start(market_options);
    struct process *daemon = daemon_start(market, "a.db", NULL);
    char engine[32];
    expect_metric(daemon, "tokens", NULL, 200);
    terminal_open(200, 60, "");
    expect_on_screen("200 tokens");
    assert_int_equal(kill(pid_of_process("engine"), SIGKILL), 0);
    expect_on_screen("the engine died or hung 1 times");
    snprintf(engine, sizeof engine, " %d ", (int)pid_of_process("engine"));
    expect_on_screen(engine);
    process_stop(daemon);
    expect_on_screen("the daemon is gone");
    expect_on_screen("● gone");
    assert_non_null(strstr(screen, "200 tokens")); /* what it showed last is there still */
    daemon = daemon_start(market, "a.db", NULL);
    expect_gone("the daemon is gone");
    snprintf(engine, sizeof engine, " %d ", (int)pid_of_process("engine"));
    expect_on_screen(engine);
    process_kill(daemon);
    expect_on_screen("the daemon is gone");
    assert_int_equal(kill(pid_of_top(), SIGTERM), 0);
    expect_ended();
}

static bool has_colour(const char *text)
{
    for (; (text = strstr(text, "\x1b[")) != NULL; text += 2)
        if ((text[2] == '3' || text[2] == '4') && isdigit((unsigned char)text[3]) && text[3] != '9')
            return true;
    return false;
}

static void without_colours(void)
{
    begin();
    terminal_open(80, 24, "");
    expect_on_screen("Tokens 200");
    assert_int_equal(tmux("capture-pane -p -e"), 0);
    assert_true(has_colour(screen));
    press("q");
    expect_ended();
    terminal_open(80, 24, "NO_COLOR=1");
    expect_on_screen("Tokens 200");
    assert_int_equal(tmux("capture-pane -p -e"), 0);
    assert_false(has_colour(screen));
    assert_non_null(strstr(screen, "\x1b[1m")); /* bold is no colour */
    press("q");
    expect_ended();
    terminal_open(80, 24, "LC_ALL=C TERM=vt100");
    expect_on_screen("scorev");
    assert_non_null(strstr(screen, "Moonwatch  *"));
    for (const char *c = screen; *c != '\0'; c++)
        assert_true((unsigned char)*c < 0x80);
    press("q");
    expect_on_screen("ended: 0"); /* such a terminal has one screen only */
}

/* What a stranger called his token moves nothing but its own columns. */
static void names_of_strangers(void)
{
    static const struct {
        const char *name, *shown;
    } names[] = {
        {"\\u001b[31mred\\u001b[2J", " [31mred [2J"},
        {"\\u202eevil\\u2066\\u200f!", "evil!"},
        {"<script>alert(1)</script>", "<script>alert(1)"},
        {"%n%s%n$(reboot)", "%n%s%n$(reboot)"},
        {"\\ud83d\\ude80\\ud83d\\ude80\\ud83d\\ude80", "🚀🚀🚀"},
        {"z\\u0301\\u0301\\u0301\\u0301\\u0301a", "za"},
    };
    struct process *daemon = begin();
    struct prng prng;
    prng_seed(&prng, harness_seed());
    terminal_open(80, 24, "");
    expect_on_screen("Tokens 200");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char mint[MINT_SIZE], body[PATH_SIZE];
        random_mint(&prng, mint);
        snprintf(body, sizeof body, "{\"mint_address\":\"%s\",\"name\":\"%s\",\"symbol\":\"%s\"}",
                 mint, names[i].name, "");
        assert_int_equal(http_status(daemon->port, "POST", "/tokens", body), 201);
        press("/ C-u");
        type(mint);
        press("Enter");
        expect_on_screen("1 of 1");
        expect_on_screen(names[i].shown);
        assert_null(strstr(screen, "\u202e"));
        assert_null(strstr(screen, "\u2066"));
        char *rest = screen, *row, *token = NULL;
        while ((row = next_row(&rest)) != NULL)
            if (strncmp(row, "▶", strlen("▶")) == 0)
                token = row;
        assert_non_null(token);
        assert_non_null(strstr(token, "monitoring"));
    }
    press("q");
    expect_ended();
}

static void nobody_there(void)
{
    char db[PATH_SIZE];
    snprintf(db, sizeof db, "sqlite:%s", sandbox_path("a.db"));
    const char *const arguments[] = {"top", "--db", db, NULL};
    struct process *top = process_start("top", moonwatch_program(), arguments, NULL);
    assert_true(process_wait(top, WAIT_S * SLOWNESS));
    assert_int_equal(process_exit_status(top), 1);
    expect_said(top, "no daemon runs with its state in");
    begin();
    top = process_start("top", moonwatch_program(), arguments, NULL);
    assert_true(process_wait(top, WAIT_S * SLOWNESS));
    assert_int_equal(process_exit_status(top), 1);
    expect_said(top, "this is no terminal; moonwatch ctl status");
    terminal_open(80, 24, "TERM=nonsense");
    expect_on_screen("no terminal of the type TERM=\"nonsense\" is known here");
    expect_on_screen("ended: 1");
}

int main(int argc, char *argv[])
{
    static const struct integration_case cases[] = {
        {"top at 80 by 24, and its keys", small},
        {"top at 200 by 60, and resized", large},
        {"top survives the deaths of the daemon", survives_deaths},
        {"top without colours, and in plain ASCII", without_colours},
        {"top shows names of strangers as text", names_of_strangers},
        {"top without a daemon or a terminal", nobody_there},
    };
    return harness_run(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
