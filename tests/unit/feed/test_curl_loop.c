/* feed/curl_loop.h when the kernel does not let it watch a socket. */
#include "feed/curl_loop.h"

#include "loop_until.h"
#include "scripted_server.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TRANSFERS 3

static bool is_unwatchable;

int __real_uv_poll_init_socket(uv_loop_t *loop, uv_poll_t *handle, uv_os_sock_t socket);
int __wrap_uv_poll_init_socket(uv_loop_t *loop, uv_poll_t *handle, uv_os_sock_t socket);

int __wrap_uv_poll_init_socket(uv_loop_t *loop, uv_poll_t *handle, uv_os_sock_t socket)
{
    return is_unwatchable ? UV_EMFILE : __real_uv_poll_init_socket(loop, handle, socket);
}

struct fixture {
    uv_loop_t loop;
    struct scripted_server *server;
    struct curl_loop *curl_loop;
    CURL *easy[TRANSFERS];
    bool is_done[TRANSFERS];
    CURLcode codes[TRANSFERS];
    size_t done, awaited;
    bool is_closed;
};

static void on_done(void *context, CURL *easy, CURLcode code)
{
    struct fixture *f = context;
    for (size_t i = 0; i < TRANSFERS; i++)
        if (f->easy[i] == easy) {
            assert_false(f->is_done[i]);
            f->is_done[i] = true;
            f->codes[i] = code;
        }
    f->done++;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    (void)bytes, (void)context;
    return size * count;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    uv_loop_init(&f->loop);
    f->server = scripted_server_create(&f->loop);
    f->curl_loop = curl_loop_create(&f->loop, on_done, f);
    is_unwatchable = false;
    *state = f;
    return f->server == NULL || f->curl_loop == NULL;
}

static void on_closed(void *context)
{
    ((struct fixture *)context)->is_closed = true;
}

static bool is_closed(void *context)
{
    return ((struct fixture *)context)->is_closed;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < TRANSFERS; i++) {
        if (f->easy[i] != NULL && !f->is_done[i])
            curl_loop_remove(f->curl_loop, f->easy[i]);
        curl_easy_cleanup(f->easy[i]);
    }
    curl_loop_destroy(f->curl_loop, on_closed, f);
    assert_true(loop_until(&f->loop, is_closed, f));
    scripted_server_destroy(f->server);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    free(f);
    return 0;
}

static void begin(struct fixture *f, size_t i)
{
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", scripted_server_port(f->server));
    CURL *easy = f->easy[i] = curl_easy_init();
    assert_non_null(easy);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    assert_int_equal(curl_loop_add(f->curl_loop, easy), OK);
}

static bool asked_as_often_as_awaited(void *context)
{
    struct fixture *f = context;
    struct scripted_server_stats stats;
    scripted_server_stats(f->server, &stats);
    return stats.requests >= f->awaited;
}

static bool done_as_many_as_awaited(void *context)
{
    struct fixture *f = context;
    return f->done >= f->awaited;
}

/* One waits for its answer; the next can't be watched: it fails, and nobody else does. */
static void a_transfer_that_cannot_be_watched_fails_alone(void **state)
{
    struct fixture *f = *state;
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell";
    scripted_server_push(
        f->server, &(struct script){.bytes = answer, .length = sizeof answer - 1, .delay_ms = 500});
    begin(f, 0);
    f->awaited = 1;
    assert_true(loop_until(&f->loop, asked_as_often_as_awaited, f));

    is_unwatchable = true;
    begin(f, 1);
    assert_true(loop_until(&f->loop, done_as_many_as_awaited, f));
    assert_true(f->is_done[1]);
    assert_int_equal(f->codes[1], CURLE_ABORTED_BY_CALLBACK);

    is_unwatchable = false;
    begin(f, 2);
    f->awaited = 3;
    assert_true(loop_until(&f->loop, done_as_many_as_awaited, f));
    assert_int_equal(f->codes[0], CURLE_OK);
    assert_int_equal(f->codes[2], CURLE_OK);
}

/* Not even the first. */
static void when_no_socket_can_be_watched_each_fails(void **state)
{
    struct fixture *f = *state;
    is_unwatchable = true;
    for (size_t i = 0; i < TRANSFERS; i++)
        begin(f, i);
    f->awaited = TRANSFERS;
    assert_true(loop_until(&f->loop, done_as_many_as_awaited, f));
    for (size_t i = 0; i < TRANSFERS; i++)
        assert_int_equal(f->codes[i], CURLE_ABORTED_BY_CALLBACK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_transfer_that_cannot_be_watched_fails_alone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(when_no_socket_can_be_watched_each_fails, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
