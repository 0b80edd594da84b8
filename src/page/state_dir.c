/* See state_dir.h. */
#include "page/state_dir.h"

#include <stdio.h>
#include <string.h>

#define SQLITE_SCHEME "sqlite:"
#define SUFFIX        "-state"

_Static_assert(OPTION_TEXT_SIZE + sizeof SUFFIX <= PATH_MAX, "whatever the options say fits");

const char *database_path(const struct options *options)
{
    size_t length = strlen(SQLITE_SCHEME);
    return strncmp(options->db, SQLITE_SCHEME, length) == 0 ? options->db + length : NULL;
}

void state_dir_path(const struct options *options, char out[PATH_MAX])
{
    const char *path = "./moonwatch-state", *suffix = "";
    if (options->state_dir[0] != '\0') {
        path = options->state_dir;
    } else if (database_path(options) != NULL) {
        path = database_path(options);
        suffix = SUFFIX;
    }
    snprintf(out, PATH_MAX, "%s%s", path, suffix);
}
