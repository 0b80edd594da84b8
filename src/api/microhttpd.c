/* libmicrohttpd, loaded by whoever calls it first: base/library.h says why. The functions are those
 * of <microhttpd.h>; without the library no daemon starts, and nothing else is called. */
#include "base/library.h"
#include <microhttpd.h>
#include <stdarg.h>

#define FUNCTION_LIST(X)                                                                           \
    X(MHD_add_response_header)                                                                     \
    X(MHD_create_response_from_buffer)                                                             \
    X(MHD_create_response_from_callback)                                                           \
    X(MHD_del_response_header)                                                                     \
    X(MHD_destroy_response)                                                                        \
    X(MHD_get_connection_info)                                                                     \
    X(MHD_get_connection_values)                                                                   \
    X(MHD_get_daemon_info)                                                                         \
    X(MHD_get_reason_phrase_for)                                                                   \
    X(MHD_get_response_header)                                                                     \
    X(MHD_get_timeout)                                                                             \
    X(MHD_lookup_connection_value)                                                                 \
    X(MHD_lookup_connection_value_n)                                                               \
    X(MHD_queue_response)                                                                          \
    X(MHD_quiesce_daemon)                                                                          \
    X(MHD_resume_connection)                                                                       \
    X(MHD_run)                                                                                     \
    X(MHD_set_response_options)                                                                    \
    X(MHD_start_daemon_va)                                                                         \
    X(MHD_stop_daemon)                                                                             \
    X(MHD_suspend_connection)

LIBRARY_DEFINE("libmicrohttpd.so.12", "libmicrohttpd12");

/* ---- daemon ---- */

struct MHD_Daemon *MHD_start_daemon(unsigned int flags, uint16_t port,
                                    MHD_AcceptPolicyCallback accept, void *accept_context,
                                    MHD_AccessHandlerCallback handle, void *handle_context, ...)
{
    struct MHD_Daemon *daemon = NULL;
    va_list options;
    __typeof__(&MHD_start_daemon_va) start = library_entry(&library, NUMBER_OF_MHD_start_daemon_va);
    va_start(options, handle_context);
    if (start != NULL)
        daemon = start(flags, port, accept, accept_context, handle, handle_context, options);
    va_end(options);
    return daemon;
}

MHD_socket MHD_quiesce_daemon(struct MHD_Daemon *daemon)
{
    FORWARD(MHD_quiesce_daemon, MHD_INVALID_SOCKET, daemon);
}

enum MHD_Result MHD_run(struct MHD_Daemon *daemon)
{
    FORWARD(MHD_run, MHD_NO, daemon);
}

enum MHD_Result MHD_get_timeout(struct MHD_Daemon *daemon, MHD_UNSIGNED_LONG_LONG *timeout_ms)
{
    FORWARD(MHD_get_timeout, MHD_NO, daemon, timeout_ms);
}

/* What is asked for here has no further arguments. */
const union MHD_DaemonInfo *MHD_get_daemon_info(struct MHD_Daemon *daemon,
                                                enum MHD_DaemonInfoType what, ...)
{
    FORWARD(MHD_get_daemon_info, NULL, daemon, what);
}

void MHD_stop_daemon(struct MHD_Daemon *daemon)
{
    FORWARD_VOID(MHD_stop_daemon, daemon);
}

/* ---- connections ---- */

const union MHD_ConnectionInfo *MHD_get_connection_info(struct MHD_Connection *connection,
                                                        enum MHD_ConnectionInfoType what, ...)
{
    FORWARD(MHD_get_connection_info, NULL, connection, what);
}

int MHD_get_connection_values(struct MHD_Connection *connection, enum MHD_ValueKind kind,
                              MHD_KeyValueIterator each, void *context)
{
    FORWARD(MHD_get_connection_values, 0, connection, kind, each, context);
}

const char *MHD_lookup_connection_value(struct MHD_Connection *connection, enum MHD_ValueKind kind,
                                        const char *key)
{
    FORWARD(MHD_lookup_connection_value, NULL, connection, kind, key);
}

enum MHD_Result MHD_lookup_connection_value_n(struct MHD_Connection *connection,
                                              enum MHD_ValueKind kind, const char *key,
                                              size_t key_size, const char **value,
                                              size_t *value_size)
{
    FORWARD(MHD_lookup_connection_value_n, MHD_NO, connection, kind, key, key_size, value,
            value_size);
}

enum MHD_Result MHD_queue_response(struct MHD_Connection *connection, unsigned int status,
                                   struct MHD_Response *response)
{
    FORWARD(MHD_queue_response, MHD_NO, connection, status, response);
}

void MHD_suspend_connection(struct MHD_Connection *connection)
{
    FORWARD_VOID(MHD_suspend_connection, connection);
}

void MHD_resume_connection(struct MHD_Connection *connection)
{
    FORWARD_VOID(MHD_resume_connection, connection);
}

/* ---- responses ---- */

struct MHD_Response *MHD_create_response_from_buffer(size_t size, void *buffer,
                                                     enum MHD_ResponseMemoryMode mode)
{
    FORWARD(MHD_create_response_from_buffer, NULL, size, buffer, mode);
}

struct MHD_Response *MHD_create_response_from_callback(uint64_t size, size_t block_size,
                                                       MHD_ContentReaderCallback read,
                                                       void *context,
                                                       MHD_ContentReaderFreeCallback release)
{
    FORWARD(MHD_create_response_from_callback, NULL, size, block_size, read, context, release);
}

enum MHD_Result MHD_add_response_header(struct MHD_Response *response, const char *header,
                                        const char *content)
{
    FORWARD(MHD_add_response_header, MHD_NO, response, header, content);
}

enum MHD_Result MHD_del_response_header(struct MHD_Response *response, const char *header,
                                        const char *content)
{
    FORWARD(MHD_del_response_header, MHD_NO, response, header, content);
}

const char *MHD_get_response_header(struct MHD_Response *response, const char *key)
{
    FORWARD(MHD_get_response_header, NULL, response, key);
}

/* There are no options. */
enum MHD_Result MHD_set_response_options(struct MHD_Response *response,
                                         enum MHD_ResponseFlags flags, ...)
{
    FORWARD(MHD_set_response_options, MHD_NO, response, flags, MHD_RO_END);
}

void MHD_destroy_response(struct MHD_Response *response)
{
    FORWARD_VOID(MHD_destroy_response, response);
}

const char *MHD_get_reason_phrase_for(unsigned int code)
{
    FORWARD(MHD_get_reason_phrase_for, "", code);
}
