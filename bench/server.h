/*
 * An upstream that is never the limit: one thread and one epoll loop, on a CPU of its own, that
 * answers DexScreener's routes for the crowd (crowd.h, answers.h). Plain, or over TLS 1.3 with a
 * certificate made for the run and bodies compressed with gzip as they are asked for; what it costs
 * is nobody's whom we measure.
 */
#ifndef MOONWATCH_BENCH_SERVER_H
#define MOONWATCH_BENCH_SERVER_H

#include <limits.h>
#include <stdint.h>

enum server_kind { SERVER_PLAIN, SERVER_TLS_GZIP };

struct server;

/* On a free port of this machine; its thread runs on `cpu` (−1: anywhere). `folder` gets the
 * certificate. NULL with a sentence on stderr. Lives as long as the driver. */
struct server *server_start(enum server_kind kind, int cpu, const char *folder);
unsigned server_port(const struct server *server);
/* PEM file of the certificate to trust; "" when plain. */
const char *server_certificate(const struct server *server);
double server_pair_bytes(const struct server *server);

/* Tokens or pools whose price was asked for so far; all pools of one token (discovery) are not
 * counted. */
uint64_t server_asked(const struct server *server);

/* CPU time of its thread so far, in seconds: to tell whether it was the limit after all. */
double server_cpu_s(const struct server *server);

#endif
