/* moonwatch findings: what can be wrong, as docs/findings.md. */
#include "cli/arguments.h"
#include "cli/command.h"
#include "core/finding.h"
#include <stdio.h>

static const char head[] =
    "# Findings\n"
    "\n"
    "What Moonwatch calls wrong, what it means and what to do about it. `moonwatch ctl status`,\n"
    "`GET /health/comprehensive`, alerts and `moonwatch_finding_severity` in `/metrics` use these "
    "names.\n"
    "A finding has a severity, which rises with how bad it is or how long it lasts: info (nothing "
    "is\n"
    "wrong), warning and error (the daemon is degraded), critical. {who} is whom it is about, "
    "{value}\n"
    "what was seen and {limit} what that passed. Those marked † mean that tokens are not kept "
    "fresh:\n"
    "`/ready` says no.\n"
    "\n"
    "This page is printed by `moonwatch findings`.\n";

static void print_row(enum finding_cause cause)
{
    printf("| `%s`%s | %s | %s |\n", finding_name(cause), finding_is_unready(cause) ? " †" : "",
           finding_sentence(cause), finding_what_to_do(cause));
}

static void print_component(enum component component)
{
    printf("\n## %c%s\n\n| finding | what it says | what to do |\n|---|---|---|\n",
           component_name(component)[0] - 'a' + 'A', component_name(component) + 1);
    for (int cause = 0; cause < FINDING_CAUSE_COUNT; cause++)
        if (finding_component((enum finding_cause)cause) == component)
            print_row((enum finding_cause)cause);
}

int command_findings(int argc, char *argv[])
{
    const struct argument_spec spec = {.rows = NULL};
    enum arguments_result result = arguments_parse(argc, argv, &spec);
    if (result != ARGUMENTS_OK)
        return arguments_exit_status(result);
    fputs(head, stdout);
    for (int component = 0; component < COMPONENT_COUNT; component++)
        print_component((enum component)component);
    return command_finish_output("findings");
}
