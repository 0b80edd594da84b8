/* What the api tells of the processes and of incidents, and what it has the supervisor do. */
#include "base/clock.h"
#include "core/breaker.h"
#include "world.h"

#include <errno.h>
#include <jansson.h> /* and so not base/json.h */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_MS 10000 /* of the api's own heartbeats: the machine is busy with other tests */

static struct world world;
static char folder[64] = "/tmp/moonwatch-api-XXXXXX"; /* the state folder */
static char incidents[96];

/* ---- asking ---- */

static json_t *ask(const char *method, const char *target, int status)
{
    struct answer_read answer = http_ask(&world, method, target, NULL, NULL);
    if (answer.status != status)
        fail_msg("%s %s: %d %s, not %d", method, target, answer.status, answer.body, status);
    json_t *json = json_loads(answer.body, JSON_REJECT_DUPLICATES, NULL);
    if (json == NULL)
        fail_msg("%s %s: no JSON: %s", method, target, answer.body);
    http_free(&answer);
    return json;
}

static json_t *get(const char *target)
{
    return ask("GET", target, 200);
}

static const json_t *member(const json_t *json, const char *key)
{
    const json_t *found = json_object_get(json, key);
    if (found == NULL)
        fail_msg("no '%s'", key);
    return found;
}

static const char *string(const json_t *json, const char *key)
{
    assert_true(json_is_string(member(json, key)));
    return json_string_value(member(json, key));
}

static double number(const json_t *json, const char *key)
{
    assert_true(json_is_number(member(json, key)));
    return json_number_value(member(json, key));
}

static bool says(const json_t *json, const char *key, const char *part)
{
    char *text = json_dumps(member(json, key), JSON_ENCODE_ANY);
    bool found = strstr(text, part) != NULL;
    free(text);
    return found;
}

static void assert_refused(const char *method, const char *target, int status, const char *part)
{
    json_t *json = ask(method, target, status);
    if (strstr(string(json, "detail"), part) == NULL)
        fail_msg("%s %s says '%s'", method, target, string(json, "detail"));
    json_decref(json);
}

static void put(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store(word, value);
}

/* ---- the processes ---- */

static void test_healthy(void **state)
{
    (void)state;
    world_engine_state(&world, PROCESS_RUNNING, 1);
    json_t *json = get("/health/supervisor");
    assert_string_equal(string(json, "status"), "healthy");
    assert_int_equal(json_array_size(member(json, "reasons")), 0);
    assert_int_equal(json_array_size(member(json, "processes")), PROCESS_COUNT);
    assert_true(json_is_null(member(json, "last_incident")));
    assert_true(json_is_null(member(json, "breaker")));
    assert_true(json_is_false(member(json, "paused")));
    assert_int_equal(json_array_size(member(json, "suspects")), 0);
    assert_int_equal(json_array_size(member(json, "quarantine")), 0);
    json_decref(json);
}

static void test_processes(void **state)
{
    (void)state;
    struct page_process *engine = &world.page->processes[PROCESS_ENGINE];
    instant now = clock_now();
    world_engine_state(&world, PROCESS_RUNNING, 3);
    put(&engine->pid, 4711);
    put(&engine->started_at_us, (uint64_t)instant_add(now, duration_s(-90)).us);
    put(&engine->ready_at_us, (uint64_t)instant_add(now, duration_s(-89)).us);
    put(&engine->deaths_last_hour, 2);
    put(&engine->resident_bytes, 64000000);
    page_beat(world.page, BEAT_STORE_THREAD, now, duration_s(30));
    page_set(world.page, GAUGE_BREAKER, BREAKER_OPEN);
    page_add(world.page, COUNTER_HANGS, 5);
    json_t *json = get("/health/supervisor");
    assert_string_equal(string(json, "status"), "degraded");
    assert_true(says(json, "reasons", "restarts of the engine within the last hour: 2"));
    assert_true(says(json, "reasons", "breaker"));
    assert_string_equal(string(json, "breaker"), "open");
    assert_int_equal(number(member(json, "healing"), "hangs_total"), 5);
    const json_t *shown = json_array_get(member(json, "processes"), PROCESS_ENGINE);
    assert_string_equal(string(shown, "name"), "engine");
    assert_string_equal(string(shown, "state"), "running");
    assert_int_equal(number(shown, "pid"), 4711);
    assert_int_equal(number(shown, "starts"), 3);
    assert_true(number(shown, "uptime_s") >= 90 && number(shown, "uptime_s") < 120);
    assert_int_equal(number(shown, "restarts_last_hour"), 2);
    assert_true(number(shown, "resident_mb") == 64);
    assert_true(json_is_string(member(shown, "started_at")));
    assert_true(json_is_null(member(shown, "next_start_at")));
    const json_t *beats = member(shown, "heartbeats");
    assert_int_equal(json_array_size(beats), 2);
    assert_string_equal(string(json_array_get(beats, 0), "name"), "engine loop");
    assert_true(number(json_array_get(beats, 0), "patience_s") == 3600);
    assert_true(number(json_array_get(beats, 1), "patience_s") == 30);
    const json_t *ours = json_array_get(member(json, "processes"), PROCESS_API);
    const json_t *our_beat = json_array_get(member(ours, "heartbeats"), 0);
    assert_true(number(our_beat, "age_s") < 10);
    assert_true(number(our_beat, "patience_s") == DEADLINE_MS / 1e3);
    json_decref(json);
    put(&engine->deaths_last_hour, 0);
    page_set(world.page, GAUGE_BREAKER, 0);
    page_beat_end(world.page, BEAT_STORE_THREAD);
}

static void test_engine_down(void **state)
{
    (void)state;
    world_engine_state(&world, PROCESS_WAITING, 3);
    put(&world.page->processes[PROCESS_ENGINE].next_start_at_us,
        (uint64_t)instant_add(clock_now(), duration_s(95)).us);
    json_t *json = get("/health/supervisor");
    assert_string_equal(string(json, "status"), "critical");
    assert_true(says(json, "reasons", "not running (waiting); the next start is in 9"));
    json_decref(json);
    json = ask("GET", "/ready", 503);
    assert_true(says(json, "reasons", "not running (waiting); the next start is in 9"));
    assert_int_equal(json_array_size(member(json, "reasons")), 1);
    json_decref(json);
    assert_refused("POST", "/admin/restart", 503, "not running (waiting)");
    /* What is known is still served. */
    json_decref(get("/tokens"));
    world_engine_state(&world, PROCESS_RUNNING, 4);
    json_decref(get("/ready"));
}

static void test_late_heartbeat(void **state)
{
    (void)state;
    page_beat(world.page, BEAT_STORE_THREAD, instant_add(clock_now(), duration_s(-70)),
              duration_s(30));
    json_t *json = get("/health/supervisor");
    assert_string_equal(string(json, "status"), "critical");
    assert_true(says(json, "reasons", "the store thread has not moved for 7"));
    json_decref(json);
    page_beat_end(world.page, BEAT_STORE_THREAD);
}

static void test_paused(void **state)
{
    (void)state;
    put(&world.page->is_paused, 1);
    /* Silence is no news then. */
    put(&world.page->groups[0].oldest_age_us, 1000000000);
    put(&world.page->groups[0].last_answer_us, 1);
    json_t *json = ask("GET", "/ready", 503);
    assert_int_equal(json_array_size(member(json, "reasons")), 1);
    assert_true(says(json, "reasons", "paused"));
    json_decref(json);
    json = get("/health/supervisor");
    assert_true(json_is_true(member(json, "paused")));
    assert_string_equal(string(json, "status"), "degraded");
    json_decref(json);
    put(&world.page->is_paused, 0);
    world_fill_page(&world);
    put(&world.page->groups[0].oldest_age_us, 0);
}

static void test_suspects(void **state)
{
    (void)state;
    struct in_hand in_hand = {.count = 2, .lane = 1};
    char mint[ADDRESS_TEXT_MAX + 1];
    in_hand.mints[0] = world_mint(1);
    in_hand.mints[1] = world_mint(2);
    suspects_on_death(&world.page->suspects, &in_hand, clock_now(), duration_s(3600));
    in_hand.count = 1;
    suspects_on_death(&world.page->suspects, &in_hand, clock_now(), duration_s(3600));
    json_t *json = get("/health/supervisor");
    assert_string_equal(string(json, "status"), "degraded");
    const json_t *suspect = json_array_get(member(json, "suspects"), 0);
    const json_t *quarantined = json_array_get(member(json, "quarantine"), 0);
    assert_int_equal(json_array_size(member(json, "suspects")), 1);
    assert_int_equal(json_array_size(member(json, "quarantine")), 1);
    world_mint_text(1, mint);
    assert_string_equal(string(quarantined, "mint_address"), mint);
    assert_int_equal(number(quarantined, "deaths"), 2);
    assert_string_equal(string(quarantined, "lane"), "screen");
    assert_true(json_is_string(member(quarantined, "until")));
    world_mint_text(2, mint);
    assert_string_equal(string(suspect, "mint_address"), mint);
    assert_int_equal(number(suspect, "deaths"), 1);
    assert_null(json_object_get(suspect, "until"));
    json_decref(json);
}

static void test_metrics(void **state)
{
    (void)state;
    world_engine_state(&world, PROCESS_RUNNING, 7);
    static const char *const lines[] = {
        "\nmoonwatch_process_up{process=\"engine\"} 1\n",
        "\nmoonwatch_process_starts_total{process=\"engine\"} 7\n",
        "\nmoonwatch_process_resident_bytes{process=\"engine\"} 64000000\n",
        "\nmoonwatch_heartbeat_age_seconds{thread=\"api_http_thread\"} ",
        "\nmoonwatch_heartbeat_age_seconds{thread=\"api_link_thread\"} ",
        "\nmoonwatch_hangs_total 5\n",
    };
    struct answer_read answer = http_ask(&world, "GET", "/metrics", NULL, NULL);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (strstr(answer.body, lines[i]) == NULL)
            fail_msg("no '%s' in %s", lines[i], answer.body);
    assert_null(strstr(answer.body, "process=\"api\"")); /* a thread of this test */
    assert_null(strstr(answer.body, "store_thread"));
    http_free(&answer);
}

/* ---- orders ---- */

static struct command last_command(void)
{
    pthread_mutex_lock(&world.engine.lock);
    struct command command = world.engine.last;
    pthread_mutex_unlock(&world.engine.lock);
    return command;
}

static void test_orders(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        enum command_kind kind;
        const char *status;
    } orders[] = {
        {"/admin/pause", COMMAND_PAUSE, "paused"},
        {"/admin/resume", COMMAND_RESUME, "resumed"},
        {"/admin/restart", COMMAND_RESTART, "restarting"},
    };
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        json_t *json = ask("POST", orders[i].target, 200);
        assert_string_equal(string(json, "status"), orders[i].status);
        assert_int_equal(last_command().kind, orders[i].kind);
        json_decref(json);
        assert_refused("GET", orders[i].target, 405, "POST");
    }
}

static void test_release(void **state)
{
    (void)state;
    char mint[ADDRESS_TEXT_MAX + 1], target[128];
    struct address wanted = world_mint(1);
    world_mint_text(1, mint);
    snprintf(target, sizeof target, "/quarantine/%s/release", mint);
    json_t *json = ask("POST", target, 200);
    assert_string_equal(string(json, "mint_address"), mint);
    assert_string_equal(string(json, "status"), "released");
    json_decref(json);
    struct command command = last_command();
    assert_int_equal(command.kind, COMMAND_RELEASE);
    assert_memory_equal(&command.mint, &wanted, sizeof wanted);
    assert_refused("POST", "/quarantine/nonsense/release", 404, "no such token");
}

/* The restart kills who would have answered: the next engine is the answer, and is not asked to
 * restart in its turn. */
static void test_restart_answered_by_restart(void **state)
{
    (void)state;
    uint64_t before = engine_commands(&world);
    engine_become(&world, ENGINE_IS_MUTE);
    int fd = http_connect(&world);
    static const char text[] = "POST /admin/restart HTTP/1.1\r\nHost: localhost\r\n"
                               "Content-Length: 0\r\n\r\n";
    http_send(fd, text, sizeof text - 1);
    assert_true(engine_heard(&world, before + 1));
    engine_become(&world, ENGINE_ANSWERS);
    world_engine_state(&world, PROCESS_RUNNING, 8);
    struct answer_read answer = http_read(fd, "POST");
    assert_int_equal(answer.status, 200);
    http_free(&answer);
    close(fd);
    json_decref(ask("POST", "/admin/pause", 200));
    assert_int_equal(engine_commands(&world), before + 2);
}

/* ---- incidents ---- */

static void write_file(const char *name, const char *text, size_t length)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", incidents, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    fclose(file);
}

static void write_incident(unsigned number)
{
    char name[32], text[128];
    snprintf(name, sizeof name, "%06u.json", number);
    int length = snprintf(text, sizeof text, "{\"number\": %u, \"process\": \"engine\"}\n", number);
    write_file(name, text, (size_t)length);
}

static void test_no_incidents(void **state)
{
    (void)state;
    json_t *json = get("/incidents");
    assert_int_equal(json_array_size(json), 0);
    json_decref(json);
    assert_refused("GET", "/incidents/1", 404, "there is no incident 1");
    assert_int_equal(mkdir(folder, 0700) == 0 || errno == EEXIST, 1);
    assert_int_equal(mkdir(incidents, 0700), 0);
    json = get("/incidents");
    assert_int_equal(json_array_size(json), 0);
    json_decref(json);
}

static void assert_numbers(const char *target, const unsigned *numbers, size_t count)
{
    json_t *json = get(target);
    if (json_array_size(json) != count)
        fail_msg("%s: %zu of them, not %zu", target, json_array_size(json), count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(number(json_array_get(json, i), "number"), numbers[i]);
    json_decref(json);
}

static void test_incidents(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 30; i++)
        write_incident(i);
    write_incident(1234567); /* the numbers go on beyond their digits */
    static const unsigned three[] = {1234567, 30, 29};
    assert_numbers("/incidents?limit=3", three, 3);
    json_t *json = get("/incidents");
    assert_int_equal(json_array_size(json), 20);
    json_decref(json);
    json = get("/incidents?limit=100");
    assert_int_equal(json_array_size(json), 31);
    json_decref(json);
    json = get("/incidents/7");
    assert_int_equal(number(json, "number"), 7);
    json_decref(json);
    json = get("/incidents/000007");
    json_decref(json);
    assert_refused("GET", "/incidents?limit=0", 422, "limit");
    assert_refused("GET", "/incidents?limit=101", 422, "limit");
    assert_refused("GET", "/incidents/31", 404, "there is no incident 31");
    put(&world.page->incident, 30);
    json = get("/health/supervisor");
    assert_int_equal(number(member(json, "last_incident"), "number"), 30);
    json_decref(json);
}

/* Paths are never a client's. */
static void test_no_paths(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "/incidents/..%2f..%2fetc%2fpasswd",
        "/incidents/0",
        "/incidents/-1",
        "/incidents/1.json",
        "/incidents/000001.json",
        "/incidents/1e3",
        "/incidents/0x1",
        "/incidents/99999999999999999999999999",
        "/incidents/%20x",
        "/incidents/1%20",
    };
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        assert_refused("GET", targets[i], 404, "incidents have numbers");
}

static void test_garbage(void **state)
{
    (void)state;
    char path[256], *large = malloc(3 << 20);
    memset(large, ' ', 3 << 20);
    memcpy(large, "{\"number\": 900001}", 18);
    write_file("900001.json", large, 3 << 20);
    free(large);
    write_file("900002.json", "", 0);
    write_file("900003.json", "{\"number\": 1", 12);
    write_file("900004.json", "[1,2]", 5);
    write_file("900005.json", "{\"a\":1,\"a\":2}", 13);
    write_file("900006.json", "{\"a\":\"\xff\"}", 9);
    write_file("900007.json", "{\"a\":1}\0{}", 10);
    write_file("900008.json", "{\"a\":1} x", 9);
    snprintf(path, sizeof path, "%s/900009.json", incidents);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof path, "%s/900010.json", incidents);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/900011.json", incidents);
    assert_int_equal(mkfifo(path, 0600), 0);
    /* None of ours: not even damaged. */
    write_file("31.json", "{}", 2);
    write_file("900012.json.tmp", "{}", 2);
    write_file("+900012.json", "{}", 2);
    write_file("suspects", "{}", 2);
    static const unsigned two[] = {1234567, 30};
    assert_numbers("/incidents?limit=2", two, 2);
    struct answer_read answer = http_ask(&world, "GET", "/incidents?limit=2", NULL, NULL);
    assert_string_equal(http_header(&answer, "Moonwatch-Damaged"), "11");
    http_free(&answer);
    assert_refused("GET", "/incidents/900003", 404, "incident 900003 is damaged");
    assert_refused("GET", "/incidents/900009", 404, "damaged");
    assert_refused("GET", "/incidents/900011", 404, "damaged");
    put(&world.page->incident, 900001);
    json_t *json = get("/health/supervisor");
    assert_true(json_is_null(member(json, "last_incident")));
    json_decref(json);
    put(&world.page->incident, 31);
    json = get("/health/supervisor");
    assert_true(json_is_null(member(json, "last_incident")));
    json_decref(json);
}

/* It is a thread of this test that does not really. */
static int engine_beats(void **state)
{
    (void)state;
    page_beat(world.page, BEAT_ENGINE_LOOP, clock_now(), duration_s(3600));
    return 0;
}

static int start(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(incidents, sizeof incidents, "%s/incidents", folder);
    world_start_with(&world, folder, DEADLINE_MS);
    world_add(&world, 1, TOKEN_ACTIVE, 0.9);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    char command[128];
    world_stop(&world);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_healthy, engine_beats),
        cmocka_unit_test_setup(test_processes, engine_beats),
        cmocka_unit_test_setup(test_engine_down, engine_beats),
        cmocka_unit_test_setup(test_late_heartbeat, engine_beats),
        cmocka_unit_test_setup(test_paused, engine_beats),
        cmocka_unit_test_setup(test_suspects, engine_beats),
        cmocka_unit_test_setup(test_metrics, engine_beats),
        cmocka_unit_test_setup(test_orders, engine_beats),
        cmocka_unit_test_setup(test_release, engine_beats),
        cmocka_unit_test_setup(test_restart_answered_by_restart, engine_beats),
        cmocka_unit_test_setup(test_no_incidents, engine_beats),
        cmocka_unit_test_setup(test_incidents, engine_beats),
        cmocka_unit_test_setup(test_no_paths, engine_beats),
        cmocka_unit_test_setup(test_garbage, engine_beats),
    };
    return cmocka_run_group_tests_name("supervision", tests, start, stop);
}
