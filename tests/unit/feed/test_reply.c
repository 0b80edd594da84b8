#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feed/gunzip.h"
#include "feed/reply.h"
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

static void test_judgement(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        enum feed_outcome outcome;
    } rows[] = {
        {200, "[]", FEED_OK},
        {200, "", FEED_OK},
        {200, " {\"pairs\":null}", FEED_OK},
        {200, "<html>hello</html>", FEED_OK}, /* the parser says that it is no JSON */
        {429, "", FEED_RATE_LIMITED},
        {429, "<html>Just a moment...</html>", FEED_RATE_LIMITED},
        {429, "[]", FEED_RATE_LIMITED},
        {200, "error code: 1015", FEED_RATE_LIMITED},
        {403, "error code: 1015\n", FEED_RATE_LIMITED},
        {503, "<h1>Error</h1> <span class=\"code\">1015</span>", FEED_RATE_LIMITED},
        {403, "{\"error_code\":1015,\"title\":\"Error 1015: You are being rate limited\"}",
         FEED_RATE_LIMITED},
        {403, "<html>ray 81015ab error</html>", FEED_FORBIDDEN},
        {403, "<html>", FEED_FORBIDDEN},
        {403, "{\"message\":\"Forbidden\"}", FEED_FORBIDDEN},
        {200, "<!DOCTYPE html><title>Just a moment...</title>", FEED_FORBIDDEN},
        {503, "<html><script src=\"/cdn-cgi/challenge-platform/x.js\"></script>", FEED_FORBIDDEN},
        {200, "[{\"baseToken\":{\"name\":\"Just a moment error 1015\"}}]", FEED_OK},
        {404, "Not Found", FEED_NOT_FOUND},
        {400, "", FEED_CLIENT_ERROR},
        {451, "", FEED_CLIENT_ERROR},
        {500, "", FEED_SERVER_ERROR},
        {503, "<html>down</html>", FEED_SERVER_ERROR},
        {522, "", FEED_SERVER_ERROR},
        {204, "", FEED_BAD_STATUS},
        {206, "[]", FEED_BAD_STATUS},
        {301, "", FEED_BAD_STATUS},
        {302, "<html>moved</html>", FEED_BAD_STATUS},
        {999, "", FEED_BAD_STATUS},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct reply reply = {rows[i].status, false, rows[i].body, strlen(rows[i].body)};
        enum feed_outcome outcome = reply_judge(&reply);
        if (outcome != rows[i].outcome)
            fail_msg("%d %s: %s", rows[i].status, rows[i].body, feed_outcome_name(outcome));
    }
    struct reply challenge = {503, true, "", 0};
    assert_int_equal(reply_judge(&challenge), FEED_FORBIDDEN);
}

static void test_retry_after(void **state)
{
    (void)state;
    const instant now = {784111777 * INT64_C(1000000)}; /* Sun, 06 Nov 1994 08:49:37 GMT */
    static const struct {
        const char *value;
        bool taken;
        int64_t seconds;
    } rows[] = {
        {"0", true, 0},
        {"120", true, 120},
        {"99999999999999999999", true, RETRY_AFTER_MAX_S},
        {"Sun, 06 Nov 1994 08:50:37 GMT", true, 60},
        {"Sunday, 06-Nov-94 08:50:37 GMT", true, 60},
        {"Sun Nov  6 08:50:37 1994", true, 60},
        {"Sun, 06 Nov 1994 08:00:00 GMT", true, 0},
        {"Fri, 31 Dec 2999 23:59:59 GMT", true, RETRY_AFTER_MAX_S},
        {"", false, 0},
        {"-5", false, 0},
        {"1.5", false, 0},
        {"soon", false, 0},
        {"12 s", false, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        duration out = {-1};
        if (retry_after_parse(rows[i].value, now, &out) != rows[i].taken)
            fail_msg("\"%s\"", rows[i].value);
        if (rows[i].taken && out.us != rows[i].seconds * 1000000)
            fail_msg("\"%s\" is %lld us", rows[i].value, (long long)out.us);
    }
}

static size_t gzip(const void *in, size_t length, void *out, size_t size)
{
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(6);
    size_t made = libdeflate_gzip_compress(compressor, in, length, out, size);
    libdeflate_free_compressor(compressor);
    assert_true(made > 0);
    return made;
}

enum { PLAIN = 3000000, ROOM = 3100000, PADDING = 64 };

struct gzip_fixture {
    struct gunzip gunzip;
    char *plain;
    char *packed;
};

static int gzip_setup(void **state)
{
    struct gzip_fixture *f = calloc(1, sizeof(*f));
    f->plain = calloc(1, PLAIN);
    f->packed = malloc(ROOM);
    *state = f;
    return gunzip_init(&f->gunzip, PADDING) != OK;
}

static int gzip_teardown(void **state)
{
    struct gzip_fixture *f = *state;
    gunzip_finish(&f->gunzip);
    free(f->plain);
    free(f->packed);
    free(f);
    return 0;
}

static void test_gunzip(void **state)
{
    struct gzip_fixture *f = *state;
    size_t length;
    static const size_t sizes[] = {0, 1, 100, 5000, 70000, PLAIN, 10};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (size_t j = 0; j < sizes[i]; j++)
            f->plain[j] = (char)('a' + (j * j + i) % 23);
        size_t packed = gzip(f->plain, sizes[i], f->packed, ROOM);
        assert_int_equal(gunzip_run(&f->gunzip, f->packed, packed, PLAIN, &length), OK);
        assert_int_equal(length, sizes[i]);
        assert_memory_equal(f->gunzip.out, f->plain, length);
        for (int j = 0; j < PADDING; j++)
            assert_int_equal(f->gunzip.out[length + (size_t)j], 0);
    }
    assert_true(f->gunzip.capacity <= GUNZIP_KEEP_BYTES);
}

static void test_gunzip_members(void **state)
{
    struct gzip_fixture *f = *state;
    size_t length, packed = gzip("half ", 5, f->packed, ROOM);
    packed += gzip("and half", 8, f->packed + packed, ROOM - packed);
    assert_int_equal(gunzip_run(&f->gunzip, f->packed, packed, 4096, &length), OK);
    assert_int_equal(length, 13);
    assert_memory_equal(f->gunzip.out, "half and half", 13);
    assert_int_equal(gunzip_run(&f->gunzip, f->packed, packed, 12, &length), ERR_TOO_LARGE);
}

static void test_bombs(void **state)
{
    struct gzip_fixture *f = *state;
    size_t length, packed = gzip(f->plain, PLAIN, f->packed, ROOM);
    assert_true(packed < 10000);
    assert_int_equal(gunzip_run(&f->gunzip, f->packed, packed, PLAIN, &length), OK);
    assert_int_equal(gunzip_run(&f->gunzip, f->packed, packed, PLAIN - 1, &length), ERR_TOO_LARGE);
    assert_int_equal(gunzip_run(&f->gunzip, f->packed, packed, 16384, &length), ERR_TOO_LARGE);
    assert_true(f->gunzip.capacity <= 16384);
    memset(f->packed + packed - 4, 0, 4); /* it claims to be small */
    assert_int_equal(gunzip_run(&f->gunzip, f->packed, packed, 16384, &length), ERR_TOO_LARGE);
}

static void test_damaged_gzip(void **state)
{
    struct gzip_fixture *f = *state;
    for (size_t i = 0; i < 20000; i++)
        f->plain[i] = (char)('a' + i * i % 23);
    size_t length, packed = gzip(f->plain, 20000, f->packed, ROOM);
    for (size_t cut = 0; cut < packed; cut++)
        assert_int_equal(gunzip_run(&f->gunzip, f->packed, cut, PLAIN, &length), ERR_CORRUPT);
    memset(f->packed + packed, 'x', 20);
    assert_int_equal(gunzip_run(&f->gunzip, f->packed, packed + 20, PLAIN, &length), ERR_CORRUPT);
    for (size_t i = 0; i < packed; i++) {
        f->packed[i] ^= 4;
        enum err err = gunzip_run(&f->gunzip, f->packed, packed, PLAIN, &length);
        assert_true(err == OK || err == ERR_CORRUPT || err == ERR_TOO_LARGE);
        f->packed[i] ^= 4;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judgement),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test_setup_teardown(test_gunzip, gzip_setup, gzip_teardown),
        cmocka_unit_test_setup_teardown(test_gunzip_members, gzip_setup, gzip_teardown),
        cmocka_unit_test_setup_teardown(test_bombs, gzip_setup, gzip_teardown),
        cmocka_unit_test_setup_teardown(test_damaged_gzip, gzip_setup, gzip_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
