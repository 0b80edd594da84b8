/*
 * A receiver of posts on the test's own loop. It answers each post as it is told: with a status, or
 * not at all. It keeps what came, whole, and which of it was answered 2xx.
 */
#ifndef MOONWATCH_TESTS_RECEIVER_H
#define MOONWATCH_TESTS_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define RECEIVER_POSTS_MAX 512
#define RECEIVER_HANG      0 /* in place of a status */

struct received {
    char path[128];
    char key[64];    /* of Idempotency-Key */
    char bearer[64]; /* of Authorization */
    char *body;      /* NUL-terminated; the receiver's */
    int status;      /* that it was answered with */
};

struct receiver {
    uv_loop_t *loop;
    uv_tcp_t listener;
    unsigned port;
    int status;          /* of the answers from now on */
    const char *headers; /* of these: "Retry-After: 3\r\n" */
    const char *answer;  /* body */
    size_t count;
    struct received posts[RECEIVER_POSTS_MAX];
    void *connections; /* list */
};

void receiver_init(struct receiver *receiver, uv_loop_t *loop);
/* Posts answered 2xx; of this key alone, if it is not NULL. */
size_t receiver_taken(const struct receiver *receiver, const char *key);
/* Run the loop on until it has no handles. */
void receiver_finish(struct receiver *receiver);

#endif
