#include "base/log.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/secrets.h"
#include "supervisor/supervisor.h"
#include <sys/stat.h>
#include <unistd.h>

int command_run(int argc, char *argv[])
{
    struct options options;
    const struct argument_spec spec = {.options = &options};
    enum arguments_result result = arguments_parse(argc, argv, &spec);
    if (result != ARGUMENTS_OK)
        return arguments_exit_status(result);
    arguments_set_up_log(&options);
    if (secrets_leave_command_line(argv + 1) > 0)
        log_warning("supervisor", "secrets were given on the command line, where all users of this "
                                  "machine could read them until now; better in MOONWATCH_… "
                                  "variables or a file (--config)");
    umask(0077);                            /* a new database is its owner's; exports have a mode */
    close_range(STDERR_FILENO + 1, ~0U, 0); /* whatever we were started with is none of ours */
    const struct supervisor_config config = {
        .options = &options, .arguments = argv + 1, .faults = -1};
    return supervisor_run(&config) == 0 ? EXIT_DONE : EXIT_FAILED;
}
