/* The server that a group of tests shares. */
#ifndef MOONWATCH_TESTS_POSTGRES_GROUP_H
#define MOONWATCH_TESTS_POSTGRES_GROUP_H

#include "base/clock.h"
#include "base/log.h"

#include "postgres_server.h"

static struct postgres_server server;

static inline int server_start_group(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_LOGFMT);
    return server_init(&server) ? 0 : -1;
}

static inline int server_stop_group(void **state)
{
    (void)state;
    server_finish(&server);
    return 0;
}

#endif
