#include "cli/command.h"

#include "base/text.h"
#include "cli/terminal.h"
#include "page/inherited.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HELP_COLUMN 14

static const struct command_row commands[] = {
#define ROW(name, audience, synopsis, sentence)                                                    \
    {#name, audience, command_##name, synopsis, sentence},
#define COMMAND(name, synopsis, sentence) ROW(name, COMMAND_FOR_PEOPLE, synopsis, sentence)
#define HIDDEN(name, synopsis, sentence)  ROW(name, COMMAND_FOR_SUPERVISOR, synopsis, sentence)
#include "cli/commands.def"
#undef COMMAND
#undef ROW
};

#define COMMANDS (sizeof commands / sizeof commands[0])

const struct command_row *command_at(size_t index)
{
    return index < COMMANDS ? &commands[index] : NULL;
}

const struct command_row *command_find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

int command_finish_output(const char *verb)
{
    char who[64];
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_DONE;
    snprintf(who, sizeof who, "moonwatch %s", verb);
    perror(who);
    return EXIT_FAILED;
}

void command_print_help(FILE *out)
{
    struct terminal_style style = terminal_style(out);

    fprintf(out,
            "Moonwatch keeps a population of Solana tokens fresh: it learns of them, fetches their "
            "markets\nwithin the upstream's request budget, scores them and serves them over "
            "HTTP.\n\n%sUsage:%s moonwatch COMMAND [ARGUMENT…]\n\n%sCommands:%s\n",
            style.bold, style.end, style.bold, style.end);
    for (size_t i = 0; i < COMMANDS; i++) {
        if (commands[i].audience != COMMAND_FOR_PEOPLE)
            continue;
        fprintf(out, "  %s%s%s", style.bold, commands[i].name, style.end);
        terminal_pad(out, 2 + strlen(commands[i].name), HELP_COLUMN);
        terminal_write_wrapped(out, commands[i].sentence,
                               (struct terminal_wrap){.column = HELP_COLUMN,
                                                      .indent = HELP_COLUMN,
                                                      .width = (size_t)terminal_width(out)});
    }
    fprintf(out, "\nmoonwatch COMMAND --help tells more of each; moonwatch --version, which this "
                 "is.\n");
}

int command_complain_unknown(const char *typed)
{
    static const char *const flags[] = {"--help", "--version"};
    const char *nearest = NULL;
    size_t least = TEXT_FAR;
    char shown[64];

    for (size_t i = 0; i < COMMANDS; i++) {
        size_t distance = text_distance(typed, commands[i].name);
        if (distance < least && commands[i].audience == COMMAND_FOR_PEOPLE) {
            least = distance;
            nearest = commands[i].name;
        }
    }
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        size_t distance = text_distance(typed, flags[i]);
        if (distance < least) {
            least = distance;
            nearest = flags[i];
        }
    }
    text_copy(shown, sizeof shown, typed, strlen(typed));
    fputs("moonwatch: there is no command \"", stderr);
    terminal_write(stderr, shown);
    fputc('"', stderr);
    if (nearest != NULL && text_is_slip(least, strlen(typed)))
        fprintf(stderr, "; did you mean \"%s\"?", nearest);
    fprintf(stderr, "\nmoonwatch --help lists them all.\n");
    return EXIT_USAGE;
}

static int run_hidden(const struct command_row *command, int argc, char *argv[])
{
    if (inherited_is_whole())
        return command->run(argc, argv);
    fprintf(stderr,
            "moonwatch %s is a part of the daemon that its supervisor starts: moonwatch run starts "
            "them all.\n",
            command->name);
    return EXIT_USAGE;
}

static int is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* Whoever closed a standard stream would have the next file we open take its place: logs would go
 * into it, and libuv aborts when it is to close such a descriptor. What stands there now can't be
 * used the wrong way round, so that reading and writing fail as they would have. */
static void occupy_standard_streams(void)
{
    static const int modes[] = {
        [STDIN_FILENO] = O_WRONLY, [STDOUT_FILENO] = O_RDONLY, [STDERR_FILENO] = O_RDONLY};
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", modes[fd]); /* the lowest that is free: this one */
}

int command_line(int argc, char *argv[])
{
    occupy_standard_streams();
    if (argc < 2) {
        command_print_help(stderr);
        return EXIT_USAGE;
    }
    const struct command_row *command = command_find(argv[1]);
    if (command != NULL && command->audience == COMMAND_FOR_SUPERVISOR)
        return run_hidden(command, argc - 1, argv + 1);
    if (command != NULL)
        return command->run(argc - 1, argv + 1);
    if (is_help(argv[1])) {
        command_print_help(stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        printf("moonwatch %s\n", MOONWATCH_VERSION);
        return EXIT_DONE;
    }
    return command_complain_unknown(argv[1]);
}
