/* Who is counted as one client, and how many it has. */
#include "api/peers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static peer_key key_of(const char *text)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
        return peer_key_of((const struct sockaddr *)&four);
    assert_int_equal(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
    return peer_key_of((const struct sockaddr *)&six);
}

static void test_who_is_one(void **state)
{
    (void)state;
    assert_true(key_of("10.1.2.3") == key_of("::ffff:10.1.2.3"));
    assert_true(key_of("10.1.2.3") != key_of("10.1.2.4"));
    assert_true(key_of("2001:db8:1:2::1") == key_of("2001:db8:1:2:ffff::9"));
    assert_true(key_of("2001:db8:1:2::1") != key_of("2001:db8:1:3::1"));
    assert_true(key_of("::1") != key_of("127.0.0.1"));
    assert_true(peer_key_of(NULL) == 0);
    assert_true(peer_key_of(&(struct sockaddr){.sa_family = AF_UNIX}) == 0);
}

static void test_counting(void **state)
{
    (void)state;
    enum { MANY = 3 * PEER_BUCKETS };
    static struct peers peers;
    static struct peer *of[MANY][2];
    for (peer_key i = 0; i < MANY; i++)
        for (int j = 0; j < 2; j++)
            of[i][j] = peers_enter(&peers, i * 7);
    for (peer_key i = 0; i < MANY; i++) {
        assert_int_equal(peers_count(&peers, i * 7), 2);
        peers_leave(&peers, of[i][0]);
        assert_int_equal(peers_count(&peers, i * 7), 1);
    }
    assert_int_equal(peers_count(&peers, 3), 0);
    peers_leave(&peers, NULL);
    for (peer_key i = 0; i < MANY; i++)
        peers_leave(&peers, of[i][1]);
    for (size_t i = 0; i < PEER_BUCKETS; i++)
        assert_null(peers.buckets[i]); /* nothing is left of them */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_one),
        cmocka_unit_test(test_counting),
    };
    return cmocka_run_group_tests_name("peers", tests, NULL, NULL);
}
