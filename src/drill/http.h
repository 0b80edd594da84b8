/* HTTP for drills: one request, one connection, so that each shows that somebody listens; or the
 * one connection of a process, kept for all of them. */
#ifndef MOONWATCH_DRILL_HTTP_H
#define MOONWATCH_DRILL_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#define HTTP_PATIENCE_S 5.0
#define HTTP_BODY_MAX   (16U << 20)
#define HTTP_WHY_SIZE   160

enum http_connection { HTTP_NEW, HTTP_KEPT };

struct http_question {
    unsigned port;
    const char *method, *path, *body; /* body: NULL none */
    double patience_s;                /* 0: HTTP_PATIENCE_S; longer on a slow machine */
    enum http_connection connection;
};

struct http_answer {
    int status; /* 0: none came, `why` says why */
    char *body; /* NUL-terminated; NULL: none */
    size_t length;
    double seconds;
    long connections; /* opened for it */
    char why[HTTP_WHY_SIZE];
};

/* To be ended with http_forget(). */
struct http_answer http_ask(const struct http_question *question);
void http_forget(struct http_answer *answer);
/* GET; the status only. */
int http_get_status(unsigned port, const char *path);

#endif
