/* Completion in real shells, as a person sees it after Tab. */
#include "terminal.h"

static void open_shell(const char *shell)
{
    char command[TERMINAL_COMMAND];
    snprintf(command, sizeof command, "export PATH='%s':\\$PATH PS1='ready> '; exec %s",
             sandbox_path("bin"), shell);
    terminal_open(&(struct terminal){100, 30, command});
    expect_on_screen("ready>");
}

/* `moonwatch` in a folder of its own. */
static void install(void)
{
    char command[TERMINAL_COMMAND], out[1024];
    snprintf(command, sizeof command, "mkdir '%s' && ln -s \"$(realpath '%s')\" '%s'",
             sandbox_path("bin"), moonwatch_program(), sandbox_path("bin/moonwatch"));
    if (ask_shell(command, out, sizeof out) != 0)
        fail_msg("%s: %s", command, out);
}

/* What is typed, what Tab makes of it, and "#" behind, so that a space is seen. */
static void expect_completed(const char *typed, const char *completed)
{
    char shown[256];
    snprintf(shown, sizeof shown, "go> %s#", completed);
    terminal_type(typed);
    terminal_press("Tab");
    terminal_type("#");
    expect_on_screen(shown);
    terminal_press("C-u C-l");
    expect_gone("moonwatch");
}

/* The prompt changes when it is done. */
static void set_up(const char *commands)
{
    char line[TERMINAL_COMMAND];
    snprintf(line, sizeof line, "cd %s; %s; clear; PS1=go\\>\\ ", sandbox_path(""), commands);
    terminal_type(line);
    terminal_press("Enter");
    expect_on_screen("go>");
    expect_gone("clear");
}

static const struct {
    const char *typed, *completed;
} rows[] = {
    {"moonwatch expl", "moonwatch explain "},
    {"moonwatch ctl sta", "moonwatch ctl status "},
    {"moonwatch ctl --emer", "moonwatch ctl --emergency "},
    {"moonwatch ctl set hot_", "moonwatch ctl set hot_interval_sec "},
    {"moonwatch ctl --db x set hot_", "moonwatch ctl --db x set hot_interval_sec "},
    {"moonwatch run --log-level war", "moonwatch run --log-level warning "},
    {"moonwatch run --log-level=war", "moonwatch run --log-level=warning "},
    {"moonwatch explain --status mon", "moonwatch explain --status monitoring "},
    {"moonwatch drill api-c", "moonwatch drill api-crash "},
    {"moonwatch drill api-crash engine-cr", "moonwatch drill api-crash engine-crash "},
    {"moonwatch completion z", "moonwatch completion zsh "},
    {"moonwatch help fresh", "moonwatch help freshness "},
    {"moonwatch import tokens-of-m", "moonwatch import tokens-of-mine.txt "},
};

static void complete_all(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_completed(rows[i].typed, rows[i].completed);
}

static void in_bash(void)
{
    install();
    write_file(sandbox_path("tokens-of-mine.txt"), "");
    open_shell("bash --norc --noprofile -i");
    set_up("source <(moonwatch completion bash)");
    complete_all();
    expect_completed("moonwatch run --hot-int", "moonwatch run --hot-interval-sec ");
}

static void in_zsh(void)
{
    install();
    write_file(sandbox_path("tokens-of-mine.txt"), "");
    open_shell("zsh -f -i");
    set_up("bindkey -e; autoload -Uz compinit && compinit -u -D && "
           "source <(moonwatch completion zsh)");
    complete_all();
    expect_completed("moonwatch run --hot-int", "moonwatch run --hot-interval-sec=");
}

int main(int argc, char *argv[])
{
    static const struct integration_case cases[] = {
        {"completion in bash", in_bash},
        {"completion in zsh", in_zsh},
    };
    return harness_run(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
