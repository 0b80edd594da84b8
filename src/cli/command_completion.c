/* `moonwatch completion`: what a shell needs. Packages install it (meson.build); by hand:
 *     source <(moonwatch completion bash)
 */
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/completion.h"
#include <string.h>

static const struct {
    const char *shell;
    void (*write)(FILE *out);
} shells[] = {{"bash", completion_write_bash}, {"zsh", completion_write_zsh}};

#define SHELLS (sizeof shells / sizeof shells[0])

int command_completion(int argc, char *argv[])
{
    const char *shell = NULL;
    const struct argument rows[] = {
        {.name = "SHELL",
         .type = ARGUMENT_OPERAND,
         .target = &shell,
         .choices = "bash|zsh|",
         .need = ARGUMENT_REQUIRED,
         .sentence = "bash: source <(moonwatch completion bash). zsh: save it as _moonwatch in a "
                     "folder of $fpath."},
    };
    const struct argument_spec spec = {.rows = rows, .count = sizeof rows / sizeof rows[0]};
    enum arguments_result result = arguments_parse(argc, argv, &spec);
    if (result != ARGUMENTS_OK)
        return arguments_exit_status(result);
    for (size_t i = 0; i < SHELLS; i++) {
        if (strcmp(shells[i].shell, shell) != 0)
            continue;
        shells[i].write(stdout);
        return command_finish_output("completion");
    }
    fprintf(stderr, "moonwatch completion: there are bash and zsh\n");
    return EXIT_USAGE;
}
