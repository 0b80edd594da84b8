/* A PostgreSQL server for a benchmark: Debian's, on a Unix socket of its own, with an empty
 * database (tests/unit/store/postgres_server.h). */
#ifndef MOONWATCH_BENCH_DATABASE_H
#define MOONWATCH_BENCH_DATABASE_H

#include <stddef.h>

struct database;

/* NULL: it does not come up. */
struct database *database_start(void);
/* As for --db; `more` are further parameters, "&NAME=VALUE…" or "". */
void database_url(const struct database *database, const char *more, char *out, size_t size);
/* CPU time of all its processes so far, in seconds. */
double database_cpu_s(const struct database *database);
void database_stop(struct database *database); /* NULL: fine */

#endif
