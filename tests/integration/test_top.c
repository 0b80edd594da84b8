/*
 * `moonwatch top`, in a terminal of tmux, against a real daemon and market: what must be on the
 * screen at 80 by 24 and at 200 by 60, keys, names from strangers, without colours, in plain ASCII,
 * resized, through the daemon's deaths; and that the terminal is left as it was.
 */
#include "terminal.h"

#include <ctype.h>
#include <signal.h>
#include <unistd.h>

static const char *const market_options[] = {
    "--tokens", "200",           "--rpm",  "0", "--graduations-per-hour",
    "0",        "--replay-rate", "100000", NULL};

/* ---- top ---- */

/* Says something first, so that what was there before can be looked for afterwards. */
static void top_open(unsigned columns, unsigned rows, const char *environment)
{
    char command[TERMINAL_COMMAND];
    snprintf(
        command, sizeof command,
        "echo it was here; env TERM=tmux-256color LC_ALL=C.UTF-8 %s '%s' top --db 'sqlite:%s'; "
        "echo ended: \\$?; stty -a; exec sleep 600",
        environment, moonwatch_program(), sandbox_path("a.db"));
    terminal_open(&(struct terminal){columns, rows, command});
}

/* It ended well, what was on the screen before is there again, and so is the terminal's mode. */
static void expect_ended(void)
{
    expect_on_screen("ended: 0");
    expect_on_screen(" icanon");
    expect_on_screen(" echo ");
    expect_on_screen("it was here");
    assert_null(strstr(terminal_screen(), "Moonwatch"));
}

/* ---- the daemon ---- */

static json_t *status_of_daemon(void)
{
    char command[TERMINAL_COMMAND], out[TERMINAL_SCREEN_SIZE];
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
    top_open(80, 24, "");
    expect_all_on_screen(wanted);
    terminal_press("s");
    expect_on_screen("by age");
    expect_on_screen("age▼");
    terminal_press("r");
    expect_on_screen("least first");
    terminal_press("S r f");
    expect_on_screen(" active, by score");
    terminal_press("f f f");
    expect_on_screen("Tokens 200, by score");
    terminal_press("Down Down");
    expect_on_screen("3 of 200");
    terminal_press("End");
    expect_on_screen("200 of 200");
    terminal_press("Home '?'");
    expect_on_screen("lets the screen stand still");
    terminal_press("'?' Space");
    expect_on_screen("the screen stands still");
    terminal_press("Space Tab");
    expect_on_screen("then what people were told");
    terminal_press("Tab");
    expect_on_screen("the flight recorder");
    terminal_press("BTab BTab");
    expect_on_screen("score▼");
    terminal_press("Enter");
    expect_on_screen(" mint ");
    expect_on_screen("first seen");
    terminal_press("q");
    expect_ended();
}

static void large(void)
{
    static const char *const wanted[] = {"deaths/h",       "own_cpu",    "descriptors", "refresh/s",
                                         "breaker closed", "disk free ", "mint",        "liquidity",
                                         "pump  ",         " Events",    NULL};
    char engine[32];
    begin();
    top_open(200, 60, "");
    expect_all_on_screen(wanted);
    snprintf(engine, sizeof engine, " %d ", (int)pid_of_process("engine"));
    expect_on_screen(engine);
    terminal_resize(80, 24);
    expect_gone("deaths/h");
    expect_on_screen("engine running");
    terminal_resize(30, 8);
    expect_on_screen("too small: 30 x 8");
    terminal_resize(200, 60);
    expect_all_on_screen(wanted);
    terminal_press("C-c");
    expect_ended();
}

static void survives_deaths(void)
{
    struct process *market = market_start(market_options);
    struct process *daemon = daemon_start(market, "a.db", NULL);
    char engine[32];
    expect_metric(daemon, "tokens", NULL, 200);
    top_open(200, 60, "");
    expect_on_screen("200 tokens");
    assert_int_equal(kill(pid_of_process("engine"), SIGKILL), 0);
    expect_on_screen("the engine died or hung 1 times");
    snprintf(engine, sizeof engine, " %d ", (int)pid_of_process("engine"));
    expect_on_screen(engine);
    process_stop(daemon);
    expect_on_screen("the daemon is gone");
    expect_on_screen("● gone");
    assert_non_null(
        strstr(terminal_screen(), "200 tokens")); /* what it showed last is there still */
    daemon = daemon_start(market, "a.db", NULL);
    expect_gone("the daemon is gone");
    snprintf(engine, sizeof engine, " %d ", (int)pid_of_process("engine"));
    expect_on_screen(engine);
    process_kill(daemon);
    expect_on_screen("the daemon is gone");
    assert_int_equal(kill(terminal_child(), SIGTERM), 0);
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
    top_open(80, 24, "");
    expect_on_screen("Tokens 200");
    assert_true(has_colour(terminal_look_closely()));
    terminal_press("q");
    expect_ended();
    top_open(80, 24, "NO_COLOR=1");
    expect_on_screen("Tokens 200");
    assert_false(has_colour(terminal_look_closely()));
    assert_non_null(strstr(terminal_screen(), "\x1b[1m")); /* bold is no colour */
    terminal_press("q");
    expect_ended();
    top_open(80, 24, "LC_ALL=C TERM=vt100");
    expect_on_screen("scorev");
    assert_non_null(strstr(terminal_screen(), "Moonwatch  *"));
    for (const char *c = terminal_screen(); *c != '\0'; c++)
        assert_true((unsigned char)*c < 0x80);
    terminal_press("q");
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
    top_open(80, 24, "");
    expect_on_screen("Tokens 200");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char mint[MINT_SIZE], body[PATH_SIZE];
        random_mint(&prng, mint);
        snprintf(body, sizeof body, "{\"mint_address\":\"%s\",\"name\":\"%s\",\"symbol\":\"%s\"}",
                 mint, names[i].name, "");
        assert_int_equal(http_status(daemon->port, "POST", "/tokens", body), 201);
        terminal_press("/ C-u");
        terminal_type(mint);
        terminal_press("Enter");
        expect_on_screen("1 of 1");
        expect_on_screen(names[i].shown);
        assert_null(strstr(terminal_screen(), "\u202e"));
        assert_null(strstr(terminal_screen(), "\u2066"));
        /* Its row is whole: all figures stand before the name. */
        assert_non_null(strstr(terminal_screen(), "▶      – monitoring "));
    }
    terminal_press("q");
    expect_ended();
}

/* As a person does who needs the shell for a moment, and another size of the window. */
static void stopped_for_a_while(void)
{
    char line[TERMINAL_COMMAND];
    begin();
    terminal_open(&(struct terminal){80, 24, "env PS1='ready> ' bash --norc --noprofile -i"});
    expect_on_screen("ready>");
    snprintf(line, sizeof line, "%s top --db sqlite:%s", moonwatch_program(), sandbox_path("a.db"));
    terminal_type(line);
    terminal_press("Enter");
    expect_on_screen("q quit  ? help");
    terminal_press("C-z");
    expect_on_screen("Stopped");
    expect_gone("q quit");
    terminal_resize(200, 60);
    terminal_type("fg");
    terminal_press("Enter");
    expect_on_screen("deaths/h");
    terminal_press("q");
    expect_gone("deaths/h");
    expect_on_screen("ready>");
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
    top_open(80, 24, "TERM=nonsense");
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
        {"top stopped for a while, and continued", stopped_for_a_while},
        {"top without a daemon or a terminal", nobody_there},
    };
    return harness_run(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
