/* Who may write: the pure parts of the guard, and the listening address. */
#include "api/guard.h"
#include "base/listen.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static bool loopback(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return address_is_loopback((struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return address_is_loopback((struct sockaddr *)&v6);
}

static void test_peers(void **state)
{
    (void)state;
    assert_true(loopback("127.0.0.1"));
    assert_true(loopback("127.255.0.3"));
    assert_true(loopback("::1"));
    assert_true(loopback("::ffff:127.0.0.1"));
    assert_false(loopback("128.0.0.1"));
    assert_false(loopback("0.0.0.0"));
    assert_false(loopback("10.0.0.1"));
    assert_false(loopback("::"));
    assert_false(loopback("::ffff:10.0.0.1"));
    assert_false(loopback("fe80::1"));
    assert_false(address_is_loopback(NULL));
}

static void test_hosts(void **state)
{
    (void)state;
    static const char *const good[] = {"localhost", "localhost:8000", "LocalHost",
                                       "127.0.0.1", "127.0.0.1:8000", "[::1]",
                                       "[::1]:80",  "127.1.2.3"};
    static const char *const bad[] = {"",
                                      "example.com",
                                      "localhost.example.com",
                                      "127.0.0.1.example.com",
                                      "127.0.0.1:80@evil",
                                      "::1",
                                      "[::1",
                                      "[::1]x",
                                      "[10::1]",
                                      "10.0.0.1",
                                      "0.0.0.0",
                                      "2130706433",
                                      "localhost:80x",
                                      " localhost",
                                      ":80"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!host_is_loopback(good[i]))
            fail_msg("'%s' is loopback", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (host_is_loopback(bad[i]))
            fail_msg("'%s' is not loopback", bad[i]);
    assert_false(host_is_loopback(NULL));
}

static void test_origins(void **state)
{
    (void)state;
    assert_true(origin_is_same("http://localhost:8000", "localhost:8000"));
    assert_true(origin_is_same("HTTP://LOCALHOST:8000", "localhost:8000"));
    assert_true(origin_is_same("http://127.0.0.1", "127.0.0.1"));
    assert_false(origin_is_same("http://localhost:8001", "localhost:8000"));
    assert_false(origin_is_same("http://127.0.0.1:8000", "localhost:8000"));
    assert_false(origin_is_same("https://localhost:8000", "localhost:8000"));
    assert_false(origin_is_same("null", "localhost"));
    assert_false(origin_is_same("", "localhost"));
    assert_false(origin_is_same("http://localhost:8000.evil", "localhost:8000"));
}

static void test_secrets(void **state)
{
    (void)state;
    char longer[OPTION_TEXT_SIZE + 10];
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    char longest[OPTION_TEXT_SIZE];
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_true(secret_equal("secret", "secret"));
    assert_true(secret_equal(longest, longest));
    assert_false(secret_equal(longest, longer));
    assert_false(secret_equal("secret", "Secret"));
    assert_false(secret_equal("secret", "secret "));
    assert_false(secret_equal("secret", "secre"));
    assert_false(secret_equal("secret", ""));
}

struct listen_case {
    const char *text;
    bool has_token, works;
    const char *says;
};

static void test_listening(void **state)
{
    (void)state;
    static const struct listen_case cases[] = {
        {"127.0.0.1:0", false, true, NULL},
        {"localhost:0", false, true, NULL},
        {"0.0.0.0:0", true, true, NULL},
        {"0.0.0.0:0", false, false, "MOONWATCH_API_TOKEN"},
        {"[::]:0", false, false, "MOONWATCH_API_TOKEN"},
        {"127.0.0.1", false, false, "ADDRESS:PORT"},
        {"127.0.0.1:", false, false, "ADDRESS:PORT"},
        {"127.0.0.1:http", false, false, "ADDRESS:PORT"},
        {"127.0.0.1:65536", false, false, "ADDRESS:PORT"},
        {"::1:80", false, false, "ADDRESS:PORT"},
        {":80", true, false, "ADDRESS:PORT"},
        {"127.0.0.256:80", true, false, "can't listen"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct listen_socket listening;
        char why[512] = "";
        bool works = listen_open(cases[i].text, cases[i].has_token, &listening, why);
        if (works != cases[i].works)
            fail_msg("listen = %s: %s", cases[i].text, why);
        if (works) {
            assert_true(listening.port > 0);
            close(listening.fd);
        } else if (strstr(why, cases[i].says) == NULL) {
            fail_msg("listen = %s says '%s'", cases[i].text, why);
        }
    }
}

static void test_taken_port(void **state)
{
    (void)state;
    struct listen_socket first, second;
    char why[512], text[64];
    assert_true(listen_open("127.0.0.1:0", false, &first, why));
    snprintf(text, sizeof text, "127.0.0.1:%u", first.port);
    assert_false(listen_open(text, false, &second, why));
    assert_non_null(strstr(why, "in use"));
    close(first.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peers),     cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_origins),   cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_listening), cmocka_unit_test(test_taken_port),
    };
    return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
