#include "api/metrics.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include <stdio.h>

int command_metrics(int argc, char *argv[])
{
    const struct argument_spec spec = {.rows = NULL};
    enum arguments_result result = arguments_parse(argc, argv, &spec);
    if (result != ARGUMENTS_OK)
        return arguments_exit_status(result);
    metrics_write_docs(stdout);
    return command_finish_output("metrics");
}
