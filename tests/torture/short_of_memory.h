/*
 * A column's text that SQLite has no memory for: it is NULL, and sqlite3_errcode() says why, until
 * it has been asked. For programs that link with --wrap=sqlite3_column_text and
 * --wrap=sqlite3_errcode. https://www.sqlite.org/c3ref/column_blob.html
 */
#ifndef MOONWATCH_TESTS_SHORT_OF_MEMORY_H
#define MOONWATCH_TESTS_SHORT_OF_MEMORY_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

const unsigned char *__real_sqlite3_column_text(sqlite3_stmt *statement, int column);
const unsigned char *__wrap_sqlite3_column_text(sqlite3_stmt *statement, int column);
int __real_sqlite3_errcode(sqlite3 *db);
int __wrap_sqlite3_errcode(sqlite3 *db);

static _Thread_local sqlite3 *short_of_memory;

/* What sqlite3_column_text() is to return. */
static const unsigned char *fall_short_of_memory(sqlite3_stmt *statement)
{
    short_of_memory = sqlite3_db_handle(statement);
    return NULL;
}

int __wrap_sqlite3_errcode(sqlite3 *db)
{
    bool is_short = short_of_memory == db;
    short_of_memory = NULL;
    return is_short ? SQLITE_NOMEM : __real_sqlite3_errcode(db);
}

#endif
