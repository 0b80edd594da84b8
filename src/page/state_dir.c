/* See state_dir.h. */
#include "page/state_dir.h"

#include <stdio.h>
#include <string.h>

#define SQLITE_SCHEME "sqlite:"
#define SUFFIX        "-state"

_Static_assert(OPTION_TEXT_SIZE + sizeof SUFFIX <= PATH_MAX, "whatever the options say fits");

void state_dir_path(const struct options *options, char out[PATH_MAX])
{
    const char *path = "./moonwatch-state", *suffix = "";
    if (options->state_dir[0] != '\0') {
        path = options->state_dir;
    } else if (strncmp(options->db, SQLITE_SCHEME, strlen(SQLITE_SCHEME)) == 0) {
        path = options->db + strlen(SQLITE_SCHEME);
        suffix = SUFFIX;
    }
    snprintf(out, PATH_MAX, "%s%s", path, suffix);
}
