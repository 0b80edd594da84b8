/*
 * Which control group we are in. Linux has two kinds, and a machine may have both at once
 * (cgroups(7)); a controller is in one of them. Text in, values out.
 */
#ifndef MOONWATCH_BASE_CGROUP_H
#define MOONWATCH_BASE_CGROUP_H

#include <limits.h>

enum cgroup_version { CGROUP_NONE, CGROUP_V1, CGROUP_V2 };

/* /proc/self/cgroup: who accounts for `controller` ("memory", "cpu"), and where: a path that begins
 * with '/'. */
enum cgroup_version cgroup_parse(const char *text, const char *controller, char path[PATH_MAX]);

#endif
