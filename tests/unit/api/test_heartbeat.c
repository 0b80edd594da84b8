/*
 * The heartbeats of the api's threads while clients ask for what takes longest, all at once.
 *
 *     test_heartbeat [TOKENS [DEADLINE_MS]]     says how late the latest beat was
 */
#include "base/clock.h"
#include "world.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define IMPORTED 2000
#define LOAD_S   1.5

static struct world world;
static uint32_t tokens = 50000;
static int64_t deadline_ms = 2000; /* the machine is busy with other tests */

struct client {
    pthread_t thread;
    const char *method, *target;
    const char *body;
    instant until;
    unsigned answers, bad;
};

static void *ask_again_and_again(void *argument)
{
    struct client *client = argument;
    while (instant_before(clock_now(), client->until)) {
        struct answer_read answer =
            http_ask(&world, client->method, client->target, NULL, client->body);
        client->answers++;
        client->bad += answer.status != 200;
        http_free(&answer);
    }
    return NULL;
}

static char *import_body(void)
{
    char *text = malloc(IMPORTED * (ADDRESS_TEXT_MAX + 1) + 1), *at = text;
    for (uint32_t i = 0; i < IMPORTED; i++) {
        char mint[ADDRESS_TEXT_MAX + 1];
        world_mint_text(2000000000u + i, mint);
        at += sprintf(at, "%s\n", mint);
    }
    return text;
}

/* The largest age seen until then, in seconds. */
static void watch(instant until, double worst[BEAT_COUNT])
{
    while (instant_before(clock_now(), until)) {
        for (int beat = BEAT_API_HTTP; beat <= BEAT_API_LINK; beat++)
            worst[beat] =
                fmax(worst[beat], page_beat_age_s(world.page, (enum beat)beat, clock_now()));
        usleep(500);
    }
}

static void assert_in_time(const char *when, const double worst[BEAT_COUNT])
{
    for (int beat = BEAT_API_HTTP; beat <= BEAT_API_LINK; beat++) {
        printf("# %s, %s: %.1f ms\n", when, beat_name((enum beat)beat), worst[beat] * 1e3);
        assert_true(worst[beat] * 1e3 < (double)deadline_ms);
    }
}

static void test_idle(void **state)
{
    (void)state;
    double worst[BEAT_COUNT] = {0};
    watch(instant_add(clock_now(), duration_s(0.5)), worst);
    assert_in_time("idle", worst);
}

static void test_loaded(void **state)
{
    (void)state;
    char deep[64], *body = import_body();
    snprintf(deep, sizeof deep, "/tokens?limit=100&min_score=-1&offset=%u", tokens / 2);
    struct client clients[] = {
        {.method = "GET", .target = "/tokens.csv"},
        {.method = "GET", .target = "/tokens.csv?status=archived"},
        {.method = "GET", .target = deep},
        {.method = "GET", .target = "/tokens?limit=100&sort=score_asc&min_score=-1"},
        {.method = "GET", .target = "/tokens?search=none%20of%20them"},
        {.method = "GET", .target = "/metrics"},
        {.method = "GET", .target = "/notarb/markets"},
        {.method = "POST", .target = "/tokens/import", .body = body},
    };
    enum { CLIENTS = sizeof clients / sizeof clients[0] };
    double worst[BEAT_COUNT] = {0};
    instant until = instant_add(clock_now(), duration_s(LOAD_S));
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].until = until;
        pthread_create(&clients[i].thread, NULL, ask_again_and_again, &clients[i]);
    }
    watch(until, worst);
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        printf("# %s: %u answers\n", clients[i].target, clients[i].answers);
        assert_int_equal(clients[i].bad, 0);
        assert_in_range(clients[i].answers, 1, UINT32_MAX);
    }
    assert_in_time("under load", worst);
    free(body);
}

static int start(void **state)
{
    (void)state;
    world_start_with(&world, "", deadline_ms);
    for (uint32_t i = 1; i <= tokens; i++)
        world_add(&world, i, i % 8 == 0 ? TOKEN_ACTIVE : TOKEN_MONITORING,
                  i % 64 == 0 ? 0.9 : 0.001 * (i * 7919 % 1000));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    world_stop(&world);
    return 0;
}

/* Whoever waits for the engine goes on when it answers, not at the thread's next turn. */
static void test_woken(void **state)
{
    (void)state;
    static struct world calm; /* turns each ten seconds */
    world_start_with(&calm, "", 60000);
    instant began = clock_now();
    for (int i = 0; i < 20; i++) {
        struct answer_read answer = http_ask(&calm, "POST", "/admin/archive", NULL, "");
        assert_int_equal(answer.status, 200);
        http_free(&answer);
    }
    world_stop(&calm);
    assert_true(duration_to_s(instant_diff(clock_now(), began)) < 5);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_loaded),
        cmocka_unit_test(test_woken),
    };
    if (argc > 1)
        tokens = (uint32_t)atoi(argv[1]);
    if (argc > 2)
        deadline_ms = atoi(argv[2]);
    return cmocka_run_group_tests_name("heartbeat", tests, start, stop);
}
