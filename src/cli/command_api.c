#include "api/process.h"
#include "base/heap.h"
#include "base/log.h"
#include "cli/arguments.h"
#include "cli/command.h"

/* Hidden: the supervisor starts it, with its own arguments and what the api inherits. */
int command_api(int argc, char *argv[])
{
    struct options options;
    const struct argument_spec spec = {.options = &options};
    enum arguments_result result = arguments_parse(argc, argv, &spec);
    if (result != ARGUMENTS_OK)
        return arguments_exit_status(result);
    heap_set_up();
    log_setup((enum log_level)options.log_level, (enum log_format)options.log_format);
    return api_process(&options);
}
