/*
 * Against Debian's Alertmanager, the real one: it takes what our sink posts, has the same
 * fingerprints, knows what is over, and what it sends to a webhook of its own has the shape that
 * ours has.
 */
#include "alert/delivery.h"
#include "alert/document.h"
#include "base/log.h"
#include "loop_until.h"
#include "messages.h"
#include "receiver.h"
#include "webhook_check.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define PROGRAM "/usr/bin/prometheus-alertmanager"

struct world {
    uv_loop_t loop;
    struct options options;
    struct receiver receiver;
    struct alert_origin origin;
    struct delivery *delivery;
    uv_process_t process;
    char folder[64];
    unsigned port;
    bool is_closed, has_ended;
};

static unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void on_ended(uv_process_t *process, int64_t status, int number)
{
    struct world *world = process->data;
    (void)status, (void)number;
    world->has_ended = true;
    uv_close((uv_handle_t *)process, NULL);
}

static void start_alertmanager(struct world *world)
{
    char config[96], storage[96], listen[64], config_argument[128], storage_argument[128];
    snprintf(config, sizeof config, "%s/config.yml", world->folder);
    snprintf(storage, sizeof storage, "%s/data", world->folder);
    FILE *file = fopen(config, "w");
    assert_non_null(file);
    fprintf(file,
            "route:\n  receiver: ours\n  group_by: [instance, job]\n  group_wait: 0s\n"
            "  group_interval: 1s\n"
            "receivers:\n- name: ours\n  webhook_configs:\n"
            "  - url: http://127.0.0.1:%u/theirs\n",
            world->receiver.port);
    fclose(file);
    world->port = free_port();
    snprintf(config_argument, sizeof config_argument, "--config.file=%s", config);
    snprintf(storage_argument, sizeof storage_argument, "--storage.path=%s", storage);
    snprintf(listen, sizeof listen, "--web.listen-address=127.0.0.1:%u", world->port);
    char program[] = PROGRAM, alone[] = "--cluster.listen-address=", quiet[] = "--log.level=error";
    char *arguments[] = {program, config_argument, storage_argument, listen, alone, quiet, NULL};
    uv_stdio_container_t files[3] = {
        {.flags = UV_IGNORE}, {.flags = UV_IGNORE}, {.flags = UV_IGNORE}};
    const uv_process_options_t options = {
        .exit_cb = on_ended, .file = PROGRAM, .args = arguments, .stdio = files, .stdio_count = 3};
    world->process.data = world;
    assert_int_equal(uv_spawn(&world->loop, &world->process, &options), 0);
}

static void on_keep(void *context, int64_t id, const char *text)
{
    (void)context, (void)id, (void)text;
}

static void on_try(void *context, enum alert_sink sink, int64_t id,
                   const struct sink_result *result)
{
    (void)context, (void)sink, (void)id, (void)result;
}

static void on_tested(void *context, uint64_t tag, bool is_well, const char *report)
{
    (void)context, (void)tag, (void)is_well, (void)report;
}

static int set_up(void **state)
{
    static struct world world;
    const struct delivery_listener listener = {&world, on_keep, on_try, on_tested};
    world = (struct world){0};
    *state = &world;
    if (access(PROGRAM, X_OK) != 0)
        return 0;
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_LOGFMT);
    signal(SIGPIPE, SIG_IGN);
    strcpy(world.folder, "/tmp/moonwatch-am-XXXXXX");
    assert_non_null(mkdtemp(world.folder));
    assert_int_equal(uv_loop_init(&world.loop), 0);
    receiver_init(&world.receiver, &world.loop);
    start_alertmanager(&world);
    options_init(&world.options);
    snprintf(world.options.alert_alertmanager_url, OPTION_TEXT_SIZE, "http://127.0.0.1:%u/",
             world.port);
    world.options.alert_retry_min_sec = world.options.alert_retry_max_sec = 0.1;
    alert_origin_init(&world.origin, &world.options);
    world.delivery = delivery_create(&world.loop, &world.options, &listener);
    assert_non_null(world.delivery);
    delivery_begin(world.delivery);
    return 0;
}

static void on_closed(void *context)
{
    ((struct world *)context)->is_closed = true;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    char command[128];
    if (world->delivery == NULL)
        return 0;
    delivery_destroy(world->delivery, on_closed, world);
    uv_process_kill(&world->process, SIGKILL);
    receiver_finish(&world->receiver);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_true(world->is_closed && world->has_ended);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    snprintf(command, sizeof command, "rm -rf '%s'", world->folder);
    return system(command);
}

struct page {
    char text[65536];
    size_t length;
};

static size_t on_bytes(char *bytes, size_t size, size_t count, void *context)
{
    struct page *page = context;
    size_t length = size * count;
    if (page->length + length >= sizeof page->text)
        return 0;
    memcpy(page->text + page->length, bytes, length);
    page->length += length;
    page->text[page->length] = '\0';
    return length;
}

static json_t *get_alerts(const struct world *world)
{
    static struct page page;
    char url[96];
    page = (struct page){0};
    snprintf(url, sizeof url, "http://127.0.0.1:%u/api/v2/alerts", world->port);
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &page);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, 10L);
    assert_int_equal(curl_easy_perform(easy), CURLE_OK);
    curl_easy_cleanup(easy);
    json_t *root = json_loads(page.text, 0, NULL);
    assert_true(json_is_array(root));
    return root;
}

static bool is_delivered(void *context)
{
    struct delivery_stats stats;
    delivery_stats(((struct world *)context)->delivery, &stats);
    return stats.sinks[ALERT_SINK_ALERTMANAGER].waiting == 0;
}

static void deliver(struct world *world, const struct alert_message *message)
{
    delivery_put(world->delivery, message);
    delivery_kept(world->delivery, message->id);
    assert_true(loop_until(&world->loop, is_delivered, world)); /* it may still be starting */
    struct delivery_stats stats;
    delivery_stats(world->delivery, &stats);
    assert_int_equal(stats.sinks[ALERT_SINK_ALERTMANAGER].refused, 0);
}

static const json_t *find_alert(const json_t *alerts, const char *name)
{
    for (size_t i = 0; i < json_array_size(alerts); i++) {
        const json_t *alert = json_array_get(alerts, i);
        if (strcmp(text_at(json_object_get(alert, "labels"), "alertname"), name) == 0)
            return alert;
    }
    return NULL;
}

static struct alert_message now_of(int64_t n)
{
    struct alert_message message = message_of(n);
    message.at = clock_now();
    for (size_t i = 0; i < message.count; i++)
        message.of[i].finding.since = instant_add(message.at, duration_s(-900));
    message.of[2].ended = instant_add(message.at, duration_s(-1));
    return message;
}

static void assert_same_fingerprint(const struct world *world, const struct alert_message *message,
                                    size_t n, const json_t *theirs)
{
    struct alert_item item;
    char ours[20];
    alert_item(message, n, &world->origin, &item);
    snprintf(ours, sizeof ours, "%016" PRIx64, alert_fingerprint(&item.labels));
    assert_string_equal(text_at(theirs, "fingerprint"), ours);
}

static bool has_heard(void *context)
{
    return ((struct world *)context)->receiver.count > 0;
}

static void the_real_one_takes_what_we_post(void **state)
{
    struct world *world = *state;
    if (world->delivery == NULL) {
        /* Not by skip(): this cmocka calls that "not ok", which counts as a failure. */
        print_message("# skipped: no " PROGRAM "\n");
        return;
    }
    struct alert_message message = now_of(1);
    deliver(world, &message);
    json_t *alerts = get_alerts(world);
    /* One is over, and so is the other as it was before it became worse. */
    assert_int_equal(json_array_size(alerts), 2);
    const json_t *breaker = find_alert(alerts, "breaker_open");
    const json_t *late = find_alert(alerts, "group_late");
    assert_true(breaker != NULL && late != NULL);
    assert_same_fingerprint(world, &message, 0, breaker);
    assert_same_fingerprint(world, &message, 1, late);
    assert_string_equal(text_at(json_object_get(late, "labels"), "severity"), "error");
    json_decref(alerts);

    /* What it makes of it for its own webhook: the shape that we send. */
    assert_true(loop_until(&world->loop, has_heard, world));
    json_t *theirs = check_webhook(world->receiver.posts[0].body);
    struct json json = {0};
    alert_webhook_json(&json, &message, &world->origin);
    json_t *ours = check_webhook(json.text);
    assert_string_equal(text_at(theirs, "groupKey"), text_at(ours, "groupKey"));
    assert_true(
        json_equal(json_object_get(theirs, "groupLabels"), json_object_get(ours, "groupLabels")));
    const json_t *same = find_alert(json_object_get(theirs, "alerts"), "breaker_open");
    const json_t *own = find_alert(json_object_get(ours, "alerts"), "breaker_open");
    static const char *const parts[] = {"labels", "annotations",  "fingerprint",
                                        "status", "generatorURL", "endsAt"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strcmp(parts[i], "endsAt") == 0)
            assert_int_equal(time_at(same, "endsAt").us, time_at(own, "endsAt").us);
        else
            assert_true(
                json_equal(json_object_get(same, parts[i]), json_object_get(own, parts[i])));
    assert_int_equal(time_at(same, "startsAt").us, time_at(own, "startsAt").us);
    json_decref(theirs);
    json_decref(ours);
    json_finish(&json);

    /* And when all is over, nothing is left of it. */
    message.id++;
    message.kind = ALERT_RESOLVED;
    for (size_t i = 0; i < message.count; i++) {
        message.of[i].change = ALERT_IS_OVER;
        message.of[i].ended = clock_now();
    }
    deliver(world, &message);
    alerts = get_alerts(world);
    assert_int_equal(json_array_size(alerts), 0);
    json_decref(alerts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_real_one_takes_what_we_post, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
