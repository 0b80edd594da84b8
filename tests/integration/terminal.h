/* A terminal of tmux for programs that are for people: what is on its screen, and keys. One at a
 * time; the harness ends it with its case. */
#ifndef MOONWATCH_TESTS_TERMINAL_H
#define MOONWATCH_TESTS_TERMINAL_H

#include "harness.h"

#define TERMINAL_SCREEN_SIZE 65536
#define TERMINAL_COMMAND     (PATH_SIZE * 3)

/* Runs `command`, of the shell, without double quotes. */
struct terminal {
    unsigned columns, rows;
    const char *command;
};
void terminal_open(const struct terminal *terminal);
/* What is on the screen, as last looked at. */
const char *terminal_screen(void);
/* Looks, with the escape sequences that made it so. */
const char *terminal_look_closely(void);

void expect_on_screen(const char *text);
void expect_gone(const char *text);
void expect_all_on_screen(const char *const texts[]); /* NULL ends them */

void terminal_press(const char *keys); /* as tmux calls them: "Down C-c" */
void terminal_type(const char *text);  /* without single quotes */
void terminal_resize(unsigned columns, unsigned rows);
/* The process that the terminal's shell waits for. */
pid_t terminal_child(void);

/* The output of a command of the shell, and its status, as pclose() says. */
int ask_shell(const char *command, char *out, size_t size);

#endif
