#include "api/process.h"
#include "base/heap.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/secrets.h"

/* Hidden: the supervisor starts it, with its own arguments and what the api inherits. */
int command_api(int argc, char *argv[])
{
    struct options options;
    const struct argument_spec spec = {.options = &options};
    enum arguments_result result = arguments_parse(argc, argv, &spec);
    if (result != ARGUMENTS_OK)
        return arguments_exit_status(result);
    heap_set_up();
    secrets_forget_database(&options); /* the engine asks it for us */
    arguments_set_up_log(&options);
    return api_process(&options);
}
