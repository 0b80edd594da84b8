/* libpq, loaded by whoever calls it first: base/library.h says why. The functions are those of
 * <libpq-fe.h>; without the library, each fails in the way of its own that callers expect. */
#include "base/library.h"
#include <libpq-fe.h>

#define FUNCTION_LIST(X)                                                                           \
    X(PQbackendPID)                                                                                \
    X(PQclear)                                                                                     \
    X(PQconnectdbParams)                                                                           \
    X(PQconninfoFree)                                                                              \
    X(PQconninfoParse)                                                                             \
    X(PQconsumeInput)                                                                              \
    X(PQdb)                                                                                        \
    X(PQenterPipelineMode)                                                                         \
    X(PQerrorMessage)                                                                              \
    X(PQexitPipelineMode)                                                                          \
    X(PQfinish)                                                                                    \
    X(PQflush)                                                                                     \
    X(PQfreemem)                                                                                   \
    X(PQgetResult)                                                                                 \
    X(PQgetisnull)                                                                                 \
    X(PQgetlength)                                                                                 \
    X(PQgetvalue)                                                                                  \
    X(PQhost)                                                                                      \
    X(PQisBusy)                                                                                    \
    X(PQnotifies)                                                                                  \
    X(PQntuples)                                                                                   \
    X(PQpipelineSync)                                                                              \
    X(PQport)                                                                                      \
    X(PQresultErrorField)                                                                          \
    X(PQresultStatus)                                                                              \
    X(PQsendPrepare)                                                                               \
    X(PQsendQuery)                                                                                 \
    X(PQsendQueryParams)                                                                           \
    X(PQsendQueryPrepared)                                                                         \
    X(PQserverVersion)                                                                             \
    X(PQsetNoticeProcessor)                                                                        \
    X(PQsetnonblocking)                                                                            \
    X(PQsocket)                                                                                    \
    X(PQstatus)

LIBRARY_DEFINE("libpq.so.5", "libpq5");

/* ---- connections ---- */

PGconn *PQconnectdbParams(const char *const *keywords, const char *const *values, int expand)
{
    FORWARD(PQconnectdbParams, NULL, keywords, values, expand);
}

void PQfinish(PGconn *conn)
{
    FORWARD_VOID(PQfinish, conn);
}

PQconninfoOption *PQconninfoParse(const char *text, char **why)
{
    FORWARD(PQconninfoParse, NULL, text, why);
}

void PQconninfoFree(PQconninfoOption *options)
{
    FORWARD_VOID(PQconninfoFree, options);
}

void PQfreemem(void *memory)
{
    FORWARD_VOID(PQfreemem, memory);
}

ConnStatusType PQstatus(const PGconn *conn)
{
    FORWARD(PQstatus, CONNECTION_BAD, conn);
}

char *PQerrorMessage(const PGconn *conn)
{
    static char missing[] = "libpq can't be loaded; install libpq5";
    FORWARD(PQerrorMessage, missing, conn);
}

int PQsocket(const PGconn *conn)
{
    FORWARD(PQsocket, -1, conn);
}

int PQserverVersion(const PGconn *conn)
{
    FORWARD(PQserverVersion, 0, conn);
}

int PQbackendPID(const PGconn *conn)
{
    FORWARD(PQbackendPID, 0, conn);
}

char *PQhost(const PGconn *conn)
{
    FORWARD(PQhost, NULL, conn);
}

char *PQport(const PGconn *conn)
{
    FORWARD(PQport, NULL, conn);
}

char *PQdb(const PGconn *conn)
{
    FORWARD(PQdb, NULL, conn);
}

PQnoticeProcessor PQsetNoticeProcessor(PGconn *conn, PQnoticeProcessor processor, void *context)
{
    FORWARD(PQsetNoticeProcessor, NULL, conn, processor, context);
}

int PQsetnonblocking(PGconn *conn, int on)
{
    FORWARD(PQsetnonblocking, -1, conn, on);
}

/* ---- sending ---- */

int PQsendQuery(PGconn *conn, const char *sql)
{
    FORWARD(PQsendQuery, 0, conn, sql);
}

int PQsendQueryParams(PGconn *conn, const char *sql, int count, const Oid *types,
                      const char *const *values, const int *lengths, const int *formats, int format)
{
    FORWARD(PQsendQueryParams, 0, conn, sql, count, types, values, lengths, formats, format);
}

int PQsendPrepare(PGconn *conn, const char *name, const char *sql, int count, const Oid *types)
{
    FORWARD(PQsendPrepare, 0, conn, name, sql, count, types);
}

int PQsendQueryPrepared(PGconn *conn, const char *name, int count, const char *const *values,
                        const int *lengths, const int *formats, int format)
{
    FORWARD(PQsendQueryPrepared, 0, conn, name, count, values, lengths, formats, format);
}

int PQenterPipelineMode(PGconn *conn)
{
    FORWARD(PQenterPipelineMode, 0, conn);
}

int PQexitPipelineMode(PGconn *conn)
{
    FORWARD(PQexitPipelineMode, 0, conn);
}

int PQpipelineSync(PGconn *conn)
{
    FORWARD(PQpipelineSync, 0, conn);
}

PGnotify *PQnotifies(PGconn *conn)
{
    FORWARD(PQnotifies, NULL, conn);
}

int PQflush(PGconn *conn)
{
    FORWARD(PQflush, -1, conn);
}

/* ---- results ---- */

int PQconsumeInput(PGconn *conn)
{
    FORWARD(PQconsumeInput, 0, conn);
}

int PQisBusy(PGconn *conn)
{
    FORWARD(PQisBusy, 0, conn);
}

PGresult *PQgetResult(PGconn *conn)
{
    FORWARD(PQgetResult, NULL, conn);
}

ExecStatusType PQresultStatus(const PGresult *result)
{
    FORWARD(PQresultStatus, PGRES_FATAL_ERROR, result);
}

char *PQresultErrorField(const PGresult *result, int field)
{
    FORWARD(PQresultErrorField, NULL, result, field);
}

int PQntuples(const PGresult *result)
{
    FORWARD(PQntuples, 0, result);
}

char *PQgetvalue(const PGresult *result, int row, int column)
{
    FORWARD(PQgetvalue, NULL, result, row, column);
}

int PQgetlength(const PGresult *result, int row, int column)
{
    FORWARD(PQgetlength, 0, result, row, column);
}

int PQgetisnull(const PGresult *result, int row, int column)
{
    FORWARD(PQgetisnull, 1, result, row, column);
}

void PQclear(PGresult *result)
{
    FORWARD_VOID(PQclear, result);
}
