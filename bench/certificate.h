/* A certificate for 127.0.0.1, made for the run and signed by itself. */
#ifndef MOONWATCH_BENCH_CERTIFICATE_H
#define MOONWATCH_BENCH_CERTIFICATE_H

#include <openssl/ssl.h>

/* A server's context with it; the certificate goes to the file `path` as PEM, for those who are to
 * trust it. NULL with a sentence on stderr. */
SSL_CTX *certificate_make(const char *path);

#endif
