/* See database.h. */
#include "bench/database.h"

#include "bench/usage.h"
#include "tests/unit/store/postgres_server.h"
#include <stdlib.h>

#define PROCESSES_MAX 128

struct database {
    struct postgres_server server;
};

struct database *database_start(void)
{
    struct database *database = calloc(1, sizeof *database);
    if (database != NULL && server_init(&database->server))
        return database;
    database_stop(database);
    return NULL;
}

void database_url(const struct database *database, const char *more, char *out, size_t size)
{
    server_url(&database->server, "public", more, out, size);
}

double database_cpu_s(const struct database *database)
{
    pid_t pids[PROCESSES_MAX] = {database->server.pid};
    int count = 1;
    char path[64], list[4096] = "";
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pids[0], (int)pids[0]);
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        (void)!fgets(list, sizeof list, file);
        fclose(file);
    }
    for (char *at = list, *end; count < PROCESSES_MAX; at = end, count++) {
        pids[count] = (pid_t)strtol(at, &end, 10);
        if (end == at)
            break;
    }
    return usage_cpu_s(pids, count);
}

void database_stop(struct database *database)
{
    if (database != NULL)
        server_finish(&database->server);
    free(database);
}
