/*
 * The verbs of the command line. A verb is one file, command_VERB.c, and one row in commands.def:
 *
 *     COMMAND(name, "synopsis", "sentence")
 *     HIDDEN(name, "synopsis", "sentence")     for the supervisor only
 *
 * whose function is command_NAME(). It gets the arguments with its own name as argv[0], reads
 * them with arguments_parse() (arguments.h) and returns the exit status.
 */
#ifndef MOONWATCH_CLI_COMMAND_H
#define MOONWATCH_CLI_COMMAND_H

#include <stddef.h>
#include <stdio.h>

enum exit_status {
    EXIT_DONE = 0,
    EXIT_FAILED = 1, /* the verb could not do it, and said why */
    EXIT_USAGE = 2   /* the command line, the environment or the file is wrong */
};

enum command_audience { COMMAND_FOR_PEOPLE, COMMAND_FOR_SUPERVISOR };

struct command_row {
    const char *name;
    enum command_audience audience;
    int (*run)(int argc, char *argv[]);
    const char *synopsis;
    const char *sentence;
};

#define COMMAND(name, synopsis, sentence) int command_##name(int argc, char *argv[]);
#define HIDDEN(name, synopsis, sentence)  COMMAND(name, synopsis, sentence)
#include "cli/commands.def"
#undef COMMAND

/* In the order of commands.def; NULL after the last. */
const struct command_row *command_at(size_t index);

/* NULL when there is none. */
const struct command_row *command_find(const char *name);

/* The end of a verb that printed to standard output: a full disk or a closed pipe must not look
 * like success. Returns the exit status. */
int command_finish_output(const char *verb);

/* Says that there is no such verb, and which is near. Returns the exit status. */
int command_complain_unknown(const char *typed);

/* What `moonwatch --help` prints. */
void command_print_help(FILE *out);

/* What main() does: finds the verb and runs it, or helps. Returns the exit status. */
int command_line(int argc, char *argv[]);

#endif
