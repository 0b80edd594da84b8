/* What the tests of copies share: a database with something of everything, and ways to break off.
 */
#ifndef MOONWATCH_TESTS_STORE_COPY_FIXTURE_H
#define MOONWATCH_TESTS_STORE_COPY_FIXTURE_H

#include "fixture.h"
#include "store/copy.h"
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define TOKENS    9000 /* more than two slices */
#define SNAPSHOTS 20000
#define EVENTS    5000
#define ROWS      (TOKENS - 1 + SNAPSHOTS + EVENTS + 500 + 2) /* of fill() with these */

struct world {
    struct place from, to;
};

static inline void put_token(struct store *store, token_id id)
{
    struct store_token row;
    token_make(&row, id, 0);
    assert_int_equal(store_put_token(store, &row), OK);
}

static inline void put_history(struct store *store, int64_t snapshots, int events)
{
    for (int64_t id = 1; id <= snapshots; id++) {
        struct store_snapshot snapshot = {.id = id + 7, .token = (token_id)(id % 50 + 1)};
        snapshot.previous = id > 50 ? id + 7 - 50 : 0;
        snapshot.at.us = 1700000000000000 + id;
        snapshot.score = id % 9 == 0 ? (double)NAN : 0.25 * (double)id;
        snapshot.metrics = metrics_unknown();
        snapshot.metrics.price_usd = 1.0 / (double)id;
        strcpy(snapshot.primary_dex, "orca");
        assert_int_equal(store_put_snapshot(store, &snapshot), OK);
    }
    for (int i = 0; i < events; i++) {
        struct store_event event = {.token = (token_id)(i % 3), .at = {1700000000000000 + i}};
        snprintf(event.kind, sizeof event.kind, "kind%d", i % 7);
        snprintf(event.reason, sizeof event.reason, "because %d", i);
        assert_int_equal(store_put_event(store, &event), OK);
    }
}

/* With a hole among its ids, a log that is ahead of the rows, and a clock that was. */
static inline void fill(const char *url, token_id tokens, int64_t snapshots, int events)
{
    struct store *store = open_or_fail(url);
    struct store_token row;
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    for (token_id id = 1; id <= tokens; id++)
        if (id != 5)
            put_token(store, id);
    put_history(store, snapshots, events);
    for (int64_t id = 3; id <= 1500; id += 3)
        assert_int_equal(store_put_alert(store, id, id % 2 == 0 ? "{}" : "{\"a\":1}"), OK);
    assert_int_equal(store_put_setting(store, "min_score", "0.25"), OK);
    assert_int_equal(store_put_setting(store, "hot_interval_sec", "17"), OK);
    assert_int_equal(store_commit(store), OK);
    assert_int_equal(store_begin(store, STORE_DURABLE), OK);
    for (uint32_t n = 1; n <= 3; n++) {
        token_make(&row, 2, n);
        row.token.state.checked_at.us = 4102444800000000;
        assert_int_equal(store_append_refresh(store, &row), OK);
    }
    assert_int_equal(store_commit(store), OK);
    store_close(store);
}

/* A server may not have noticed yet that who held the database is dead. */
static inline bool is_still_held(const char *why)
{
    return strstr(why, "in use by another") != NULL;
}

static inline void copy_or_fail(const struct world *world, struct copy_report *report)
{
    instant give_up = instant_add(clock_now(), duration_s(30));
    char why[512];
    while (store_copy(world->from.url, world->to.url, NULL, report, why) != COPY_DONE)
        if (!is_still_held(why) || instant_before(give_up, clock_now()))
            fail_msg("%s", why);
}

static inline void assert_refused(const char *from, const char *to, const char *sentence)
{
    struct copy_report report;
    char why[512];
    assert_int_equal(store_copy(from, to, NULL, &report, why), COPY_FAILED);
    if (strstr(why, sentence) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", why, sentence);
}

/* FROM is held by another process, which then dies. */
static inline void assert_in_use_is_refused(const struct world *world)
{
    struct copy_report report;
    int ready[2], status;
    char byte;
    store_close(open_or_fail(world->from.url));
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        char why[512];
        _exit(store_open(world->from.url, why) != NULL && write(ready[1], "x", 1) == 1 &&
                      pause() == -1
                  ? 1
                  : 2);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    assert_refused(world->from.url, world->to.url, "in use by another moonwatch");
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    copy_or_fail(world, &report);
}

static inline bool stop_after(void *context, const struct copy_progress *progress)
{
    int *left = context;
    assert_true(progress->done <= progress->total);
    return --*left > 0;
}

/* The kernel kills us when our time is over, wherever we are. */
static inline void die_after(int64_t us)
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
    const struct itimerspec when = {.it_value = {us / 1000000, us % 1000000 * 1000}};
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
        timer_settime(timer, 0, &when, NULL) != 0)
        _exit(3);
}

/* True: it came to its end. */
static inline bool copy_or_die(const struct world *world, int64_t us)
{
    enum { DONE, FAILED = 4, HELD };
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct copy_report report;
        char why[512];
        die_after(us);
        if (store_copy(world->from.url, world->to.url, NULL, &report, why) == COPY_DONE)
            _exit(DONE);
        if (is_still_held(why))
            _exit(HELD);
        fprintf(stderr, "%s\n", why);
        _exit(FAILED);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) == HELD)
        return false;
    assert_int_equal(WEXITSTATUS(status), DONE);
    return true;
}

#endif
