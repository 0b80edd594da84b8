/* See the header. */
#include "terminal.h"

#define TMUX "/usr/bin/tmux"

static char screen[TERMINAL_SCREEN_SIZE];

int ask_shell(const char *command, char *out, size_t size)
{
    FILE *pipe = popen(command, "r"); // NOLINT(cert-env33-c)
    assert_non_null(pipe);
    size_t length = fread(out, 1, size - 1, pipe);
    out[length] = '\0';
    while (fgetc(pipe) != EOF)
        continue;
    return pclose(pipe);
}

/* A command to tmux; what it prints is in `screen`. -N: the server is ours to start. */
__attribute__((format(printf, 1, 2))) static int tmux(const char *format, ...)
{
    char words[TERMINAL_COMMAND], command[TERMINAL_COMMAND + PATH_SIZE];
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

void terminal_open(const struct terminal *terminal)
{
    const char *argv[] = {"-S", sandbox_path("tmux"), "-D", "-f", "/dev/null", NULL};
    static const char *const locale[] = {"LC_ALL=C.UTF-8", NULL};
    if (!tmux_answers(NULL))
        process_start("tmux", TMUX, argv, locale);
    expect_soon(tmux_answers, NULL);
    if (tmux("new-session -d -x %u -y %u \"%s\"", terminal->columns, terminal->rows,
             terminal->command) != 0)
        fail_msg("tmux: %s", screen);
}

const char *terminal_screen(void)
{
    return screen;
}

const char *terminal_look_closely(void)
{
    assert_int_equal(tmux("capture-pane -p -e"), 0);
    return screen;
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

void expect_on_screen(const char *text)
{
    struct wanted wanted = {text, false};
    if (!wait_until(screen_has, &wanted, WAIT_S * SLOWNESS))
        fail_msg("not on the screen: %s\n%s", text, screen);
}

void expect_gone(const char *text)
{
    struct wanted wanted = {text, true};
    if (!wait_until(screen_has, &wanted, WAIT_S * SLOWNESS))
        fail_msg("still on the screen: %s\n%s", text, screen);
}

void expect_all_on_screen(const char *const texts[])
{
    for (unsigned i = 0; texts[i] != NULL; i++)
        expect_on_screen(texts[i]);
}

void terminal_press(const char *keys)
{
    assert_int_equal(tmux("send-keys %s", keys), 0);
}

void terminal_type(const char *text)
{
    assert_int_equal(tmux("send-keys -l '%s'", text), 0);
}

void terminal_resize(unsigned columns, unsigned rows)
{
    assert_int_equal(tmux("resize-window -x %u -y %u", columns, rows), 0);
}

pid_t terminal_child(void)
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
