/*
 * The live stream and the log over a real daemon and market: what moves is told, whoever reconnects
 * misses nothing, and both outlive the engine, the log also the api.
 */
#include "harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#define STREAM_SIZE (16 << 20)
#define ID_SIZE     64

static const char *const lively[] = {"--hot-interval-sec",
                                     "1",
                                     "--cold-interval-sec",
                                     "1",
                                     "--screen-requests-per-minute",
                                     "6000",
                                     "--refresh-requests-per-minute",
                                     "6000",
                                     NULL};
static const char *const busy_market[] = {"--tokens", "100", "--speed", "30", "--rpm", "0", NULL};

/* ---- a listener ---- */

struct listener {
    int fd;
    char *text; /* all that came; NUL-terminated */
    size_t length;
    bool has_ended;
};

static struct listener listen_to(const struct process *daemon, const char *query,
                                 const char *last_id)
{
    struct listener listener = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                                .text = calloc(1, STREAM_SIZE)};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)daemon->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char request[512];
    int length = snprintf(request, sizeof request,
                          "GET /events%s HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: %s\r\n\r\n",
                          query, last_id);
    assert_int_equal(connect(listener.fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(send(listener.fd, request, (size_t)length, MSG_NOSIGNAL), length);
    return listener;
}

static void hang_up(struct listener *listener)
{
    close(listener->fd);
    free(listener->text);
}

static void hear_more(struct listener *listener)
{
    struct pollfd readable = {.fd = listener->fd, .events = POLLIN};
    if (poll(&readable, 1, WAIT_STEP_MS) != 1)
        return;
    assert_true(listener->length < STREAM_SIZE - 1);
    ssize_t got = recv(listener->fd, listener->text + listener->length,
                       STREAM_SIZE - 1 - listener->length, 0);
    listener->has_ended = got <= 0;
    if (got > 0)
        listener->length += (size_t)got;
}

/* Where `what` stands at or behind `from`, once it has come. */
static const char *hear_from(struct listener *listener, const char *from, const char *what)
{
    double until = now_s() + WAIT_S * SLOWNESS;
    const char *found;
    while ((found = strstr(from, what)) == NULL) {
        if (listener->has_ended || now_s() > until)
            fail_msg("%s without '%s'", listener->has_ended ? "it ended" : "time is over", what);
        hear_more(listener);
    }
    return found;
}

static const char *hear(struct listener *listener, const char *what)
{
    return hear_from(listener, listener->text, what);
}

/* How many whole events that have an id came, and the newest one's. */
static size_t count_events(const struct listener *listener, char newest[ID_SIZE])
{
    size_t count = 0;
    for (const char *at = listener->text; (at = strstr(at, "\nid: ")) != NULL; count++) {
        at += 5;
        if (strstr(at, "\n\n") == NULL)
            break;
        snprintf(newest, ID_SIZE, "%.*s", (int)strcspn(at, "\n"), at);
    }
    return count;
}

/* ---- cases ---- */

/* Every token event is an item as /tokens has it, of a token whose score has moved or that was
 * refreshed. */
static void what_moves_is_told(void)
{
    struct process *market = market_start(busy_market);
    struct process *daemon = daemon_start(market, "db", lively);
    struct listener listener = listen_to(daemon, "?topics=token,pulse", "");
    hear(&listener, "event: hello\ndata: {\"resumed\":false,");
    hear(&listener, "event: pulse\n");
    const char *event = hear(&listener, "{\"change\":\"score\",\"item\":");
    hear_from(&listener, event, "}\n\n");
    json_t *data = json_loadb(event, strcspn(event, "\n"), 0, NULL);
    const json_t *item = json_object_get(data, "item");
    const char *mint = json_string_value(json_object_get(item, "mint_address"));
    assert_true(json_is_number(json_object_get(item, "score")));
    assert_int_equal(json_object_size(item), 18);
    assert_true(has_token(daemon, mint));
    char again[128];
    snprintf(again, sizeof again, "\"item\":{\"mint_address\":\"%s\"", mint);
    hear_from(&listener, event + 20, again); /* it moves on */
    json_decref(data);
    hang_up(&listener);
    process_stop(daemon);
}

/* One listens all the time, the other is away for a while: both have heard the same. */
static void nobody_misses_anything(void)
{
    struct process *market = market_start(busy_market);
    struct process *daemon = daemon_start(market, "db", lively);
    struct listener steady = listen_to(daemon, "?topics=token,log", "");
    struct listener other = listen_to(daemon, "?topics=token,log", "");
    hear(&other, "event: token\n");
    hear(&steady, "event: token\n");
    char left_at[ID_SIZE] = "", line[ID_SIZE + 8], now[ID_SIZE];
    count_events(&other, left_at);
    hang_up(&other);
    size_t before = count_events(&steady, now);
    double until = now_s() + WAIT_S * SLOWNESS;
    while (count_events(&steady, now) < before + 200 && now_s() < until)
        hear_more(&steady);
    assert_true(count_events(&steady, now) >= before + 200);
    other = listen_to(daemon, "?topics=token,log", left_at);
    hear(&other, "{\"resumed\":true,");
    snprintf(line, sizeof line, "\nid: %s\n", now);
    hear(&other, line);
    const char *heard = strstr(hear(&other, "event: hello\n"), "\n\n") + 2;
    snprintf(line, sizeof line, "id: %s\n", left_at);
    const char *missed = strstr(hear(&steady, line), "\n\n") + 2;
    snprintf(line, sizeof line, "id: %s\n", now);
    size_t length = (size_t)(hear_from(&steady, missed, line) - missed);
    assert_true(length > 0);
    assert_memory_equal(heard, missed, length);
    hang_up(&other);
    hang_up(&steady);
    process_stop(daemon);
}

static pid_t pid_of(const struct process *daemon, const char *process)
{
    json_t *json = http_json(daemon->port, "/health/supervisor");
    const json_t *found;
    size_t index;
    pid_t pid = 0;
    json_array_foreach(json_object_get(json, "processes"), index, found)
    {
        if (strcmp(json_string_value(json_object_get(found, "name")), process) == 0)
            pid = (pid_t)json_integer_value(json_object_get(found, "pid"));
    }
    json_decref(json);
    assert_true(pid > 1);
    return pid;
}

static void expect_line(const struct process *daemon, const char *query, const char *message)
{
    char *text = http_text(daemon->port, query);
    if (strstr(text, message) == NULL)
        fail_msg("no '%s' in %s: %s", message, query, text);
    free(text);
}

/* Each line's own members are none of those that every line has. */
static void expect_members_once(const struct process *daemon)
{
    json_error_t error;
    char *text = http_text(daemon->port, "/logs/?limit=500");
    json_t *lines = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (lines == NULL)
        fail_msg("/logs: %s", error.text);
    json_decref(lines);
    free(text);
}

static void both_outlive_the_engine(void)
{
    struct process *market = market_start(busy_market);
    struct process *daemon = daemon_start(market, "db", lively);
    struct listener listener = listen_to(daemon, "?topics=token,log,pulse,incident", "");
    hear(&listener, "event: token\n");
    hear(&listener, "\"state\":\"running\",\"generation\":1}");
    assert_int_equal(kill(pid_of(daemon, "engine"), SIGKILL), 0);
    const char *death = hear(&listener, "\"process\":\"supervisor\",\"msg\":\"");
    const char *next = hear_from(&listener, death, "\"state\":\"running\",\"generation\":2}");
    hear_from(&listener, next, "event: token\n");
    hear_from(&listener, death, "event: incident\ndata: {");
    assert_int_equal(kill(pid_of(daemon, "engine"), SIGSTOP), 0);
    hear_from(&listener, next, "\"state\":\"running\",\"generation\":3}");
    assert_null(strstr(listener.text, "event: reset"));
    assert_false(listener.has_ended);
    expect_line(daemon, "/logs/?contains=sigkill", "\"process\":\"supervisor\"");
    expect_line(daemon, "/logs/?limit=500", "\"process\":\"engine\"");
    expect_members_once(daemon);
    hang_up(&listener);
    process_stop(daemon);
}

static void the_log_outlives_the_api(void)
{
    struct process *market = market_start(busy_market);
    struct process *daemon = daemon_start(market, "db", lively);
    struct listener listener = listen_to(daemon, "", "");
    char last_id[ID_SIZE] = "";
    hear(&listener, "event: token\n");
    count_events(&listener, last_id);
    assert_int_equal(kill(pid_of(daemon, "api"), SIGKILL), 0);
    while (!listener.has_ended)
        hear_more(&listener);
    hang_up(&listener);
    listener = listen_to(daemon, "", last_id); /* waits in the socket until there is an api */
    hear(&listener, "{\"resumed\":false,");
    hear(&listener, "event: reset\ndata: {\"reason\":\"");
    hear(&listener, "event: token\n");
    expect_line(daemon, "/logs/?limit=500", "\"process\":\"engine\"");
    expect_line(daemon, "/logs/?loggers=supervisor", "\"process\":\"supervisor\"");
    hang_up(&listener);
    process_stop(daemon);
}

static void no_secret_is_shown(void)
{
    static const char secret[] = "s3cret-w0rd-of-nobody";
    const char *const options[] = {"--api-token", secret, "--alert-webhook-url",
                                   "http://127.0.0.1:9/s3cret-w0rd-of-nobody", NULL};
    struct process *market = market_start(NULL);
    struct process *daemon = daemon_start(market, "db", options);
    struct listener listener = listen_to(daemon, "?topics=log,pulse", "");
    hear(&listener, "event: pulse\n");
    char *lines = http_text(daemon->port, "/logs/?limit=500");
    assert_null(strstr(lines, secret));
    assert_null(strstr(listener.text, secret));
    assert_int_equal(http_status(daemon->port, "DELETE", "/logs/", NULL), 401);
    free(lines);
    hang_up(&listener);
    process_stop(daemon);
}

int main(int argc, char *argv[])
{
    static const struct integration_case cases[] = {
        {"what_moves_is_told", what_moves_is_told},
        {"nobody_misses_anything", nobody_misses_anything},
        {"both_outlive_the_engine", both_outlive_the_engine},
        {"the_log_outlives_the_api", the_log_outlives_the_api},
        {"no_secret_is_shown", no_secret_is_shown},
    };
    return harness_run(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
