/* Rules of options that are more than bounds, a function a part. For options_check(). */
#ifndef MOONWATCH_BASE_OPTION_RULES_H
#define MOONWATCH_BASE_OPTION_RULES_H

#include "base/options.h"

/* URLs are http(s) with a host; a bot has a chat, and a command is a path. Values of secrets are
 * not repeated. */
enum err option_rules_alerts(const struct options *options,
                             char why[OPTION_MESSAGE_SIZE]) MUST_CHECK;

/* Its mode is octal, and lets its owner write. */
enum err option_rules_export(const struct options *options,
                             char why[OPTION_MESSAGE_SIZE]) MUST_CHECK;

#endif
