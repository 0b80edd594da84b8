/* See command.h. */
#include "page/command.h"

#include <string.h>

static const char *const names[] = {
#define X(code, name) [code] = name,
    COMMAND_LIST(X)
#undef X
};

const char *command_kind_name(uint32_t kind)
{
    return kind < COMMAND_COUNT ? names[kind] : NULL;
}

uint32_t command_kind_find(const char *name)
{
    uint32_t kind = 0;
    while (kind < COMMAND_COUNT && strcmp(names[kind], name) != 0)
        kind++;
    return kind;
}
