#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/config_text.h"
#include <stdbool.h>
#include <stdio.h>

int command_config(int argc, char *argv[])
{
    struct options options;
    const char *config_path = NULL;
    bool check = false, docs = false;
    const struct argument rows[] = {
        {.name = "check",
         .type = ARGUMENT_SWITCH,
         .target = &check,
         .sentence = "Only says whether all values are good."},
        {.name = "docs",
         .type = ARGUMENT_SWITCH,
         .target = &docs,
         .sentence = "Prints docs/configuration.md."},
    };
    const struct argument_spec spec = {.rows = rows,
                                       .count = sizeof rows / sizeof rows[0],
                                       .options = &options,
                                       .config_path = &config_path};

    enum arguments_result result = arguments_parse(argc, argv, &spec);
    if (result != ARGUMENTS_OK)
        return arguments_exit_status(result);
    if (docs)
        config_write_docs(stdout);
    else if (check)
        printf("all options are good\n");
    else
        config_write_table(stdout, &options, config_path);
    return command_finish_output("config");
}
