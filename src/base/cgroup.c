/* See cgroup.h. */
#include "base/cgroup.h"

#include <stdbool.h>
#include <string.h>

/* "memory" among "cpu,memory,io". */
static bool has_name(const char *names, size_t length, const char *name)
{
    const char *end = names + length;
    while (names < end) {
        size_t word = 0;
        while (names + word < end && names[word] != ',')
            word++;
        if (word == strlen(name) && memcmp(names, name, word) == 0)
            return true;
        names += word + 1;
    }
    return false;
}

struct span {
    const char *at;
    size_t length;
};

/* One line, "id:controllers:path"; v2's has id 0 and no controllers. */
static enum cgroup_version parse_line(struct span line, const char *controller, char path[PATH_MAX])
{
    const char *end = line.at + line.length;
    const char *names = memchr(line.at, ':', line.length);
    const char *place = names != NULL ? memchr(names + 1, ':', (size_t)(end - names) - 1) : NULL;
    if (place == NULL || place + 1 == end || place[1] != '/' || end - place > PATH_MAX)
        return CGROUP_NONE;
    size_t length = (size_t)(place - names) - 1;
    enum cgroup_version version = length == 0 && line.at[0] == '0' ? CGROUP_V2 : CGROUP_V1;
    if (version == CGROUP_V1 && !has_name(names + 1, length, controller))
        return CGROUP_NONE;
    memcpy(path, place + 1, (size_t)(end - place) - 1);
    path[end - place - 1] = '\0';
    return version;
}

/* Where both are mounted, a controller is v1's if v1 names it. */
enum cgroup_version cgroup_parse(const char *text, const char *controller, char path[PATH_MAX])
{
    enum cgroup_version found = CGROUP_NONE;
    while (*text != '\0') {
        char here[PATH_MAX];
        struct span line = {text, strcspn(text, "\n")};
        enum cgroup_version version = parse_line(line, controller, here);
        if (version == CGROUP_V1 || (version == CGROUP_V2 && found == CGROUP_NONE)) {
            memcpy(path, here, strlen(here) + 1);
            found = version;
        }
        text += line.length + (text[line.length] == '\n');
    }
    return found;
}
