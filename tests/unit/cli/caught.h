/* What a program of the command line prints and returns, caught in memory. */
#ifndef MOONWATCH_TESTS_CLI_CAUGHT_H
#define MOONWATCH_TESTS_CLI_CAUGHT_H

#define CAUGHT_SIZE 65536

struct caught {
    int status;
    char out[CAUGHT_SIZE];
    char err[CAUGHT_SIZE];
};

/* Calls `run` with standard output and error caught. */
void catch_run(struct caught *caught, int (*run)(int argc, char *argv[]), int argc, char *argv[]);

/* Its output is the page of this name in docs/, which `command` renews. */
void expect_page(const struct caught *caught, const char *name, const char *command);

#endif
