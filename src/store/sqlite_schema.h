/*
 * The SQLite schema, as a list of migrations: entry n takes a database from `user_version` n to
 * n + 1. An entry that was ever released is never changed; a change is a new entry. docs/storage.md
 * describes the tables for people.
 */
#ifndef MOONWATCH_STORE_SQLITE_SCHEMA_H
#define MOONWATCH_STORE_SQLITE_SCHEMA_H

#include <sqlite3.h>
#include <stddef.h>

/* "MOON": says what a database file is (PRAGMA application_id). */
#define SQLITE_APPLICATION_ID 0x4d4f4f4e

size_t sqlite_schema_version(void);                  /* that this program writes */
const char *sqlite_schema_migration(size_t version); /* from `version` to the next */
/* What the migrations call; before the first of them. A result code of SQLite's. */
int sqlite_schema_add_functions(sqlite3 *db);

#endif
