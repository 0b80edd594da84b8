/* The program itself, as its clients meet it: routes, limits, faults, stream, control, end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <wslay/wslay.h>

#define WAIT_S           20 /* a generous bound: events come long before */
#define ANSWER_MAX       (32 * 1024 * 1024)
#define ARGUMENTS_MAX    16
#define ANNOUNCEMENT_MAX 512

static const char *program;

/* ---- the process ---- */

static struct {
    pid_t pid;
    unsigned port, control_port;
} market;

static void start_market(const char *const extra[])
{
    int out[2];
    char line[ANNOUNCEMENT_MAX];
    const char *arguments[ARGUMENTS_MAX] = {program, "--port", "0", "--control-port",
                                            "0",     "--seed", "7"};
    int count = 7;
    while (extra[count - 7] != NULL) {
        arguments[count] = extra[count - 7];
        count++;
    }
    assert_int_equal(pipe(out), 0);
    market.pid = fork();
    assert_true(market.pid >= 0);
    if (market.pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        execv(program, (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    close(out[1]);
    FILE *file = fdopen(out[0], "r");
    assert_non_null(fgets(line, sizeof line, file));
    fclose(file);
    assert_int_equal(
        sscanf(line, "moonwatch-market listening on http://127.0.0.1:%u", &market.port), 1);
    const char *control = strstr(line, "control on http://127.0.0.1:");
    assert_non_null(control);
    assert_int_equal(sscanf(control, "control on http://127.0.0.1:%u", &market.control_port), 1);
}

static void stop_market(int signal_number)
{
    int status;
    kill(market.pid, signal_number);
    assert_int_equal(waitpid(market.pid, &status, 0), market.pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int start_plain(void **state)
{
    (void)state;
    start_market((const char *const[]){"--rpm", "0", "--tokens", "200", "--graduations-per-hour",
                                       "0", "--replay-rate", "1000000", NULL});
    return 0;
}

static int stop_plain(void **state)
{
    (void)state;
    stop_market(SIGTERM);
    return 0;
}

/* ---- HTTP ---- */

struct answer {
    CURLcode code;
    long status;
    char *body;
    size_t length;
    char type[64], cache[64], encoding[32];
    double seconds;
};

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct answer *answer = context;
    size_t length = size * count;
    if (answer->length + length > ANSWER_MAX)
        return 0;
    answer->body = realloc(answer->body, answer->length + length + 1);
    assert_non_null(answer->body);
    memcpy(answer->body + answer->length, data, length);
    answer->length += length;
    answer->body[answer->length] = '\0';
    return length;
}

static void keep_header(char *out, size_t size, const char *line, size_t length, const char *name)
{
    size_t name_length = strlen(name);
    if (length <= name_length || strncasecmp(line, name, name_length) != 0)
        return;
    snprintf(out, size, "%.*s", (int)(length - name_length - 2), line + name_length);
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct answer *answer = context;
    keep_header(answer->type, sizeof answer->type, data, size * count, "Content-Type: ");
    keep_header(answer->cache, sizeof answer->cache, data, size * count, "Cache-Control: ");
    keep_header(answer->encoding, sizeof answer->encoding, data, size * count,
                "Content-Encoding: ");
    return size * count;
}

struct call {
    unsigned port;
    const char *method, *path, *body;
    bool wants_gzip;
    long timeout_ms;
};

static struct answer perform(const struct call *call)
{
    struct answer answer = {.body = calloc(1, 1)};
    char url[4096];
    CURL *curl = curl_easy_init();
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", call->port, call->path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
    if (call->body != NULL)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body);
    if (call->wants_gzip)
        curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
                     call->timeout_ms > 0 ? call->timeout_ms : WAIT_S * 1000L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer);
    answer.code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
    curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME, &answer.seconds);
    curl_easy_cleanup(curl);
    return answer;
}

static struct answer get(const char *path)
{
    return perform(&(struct call){.port = market.port, .method = "GET", .path = path});
}

static struct answer control(const char *method, const char *path, const char *body)
{
    return perform(
        &(struct call){.port = market.control_port, .method = method, .path = path, .body = body});
}

static void expect_status(struct answer answer, long status)
{
    assert_int_equal(answer.code, CURLE_OK);
    assert_int_equal(answer.status, status);
    free(answer.body);
}

static json_t *get_json(const char *path)
{
    struct answer answer = get(path);
    assert_int_equal(answer.code, CURLE_OK);
    assert_int_equal(answer.status, 200);
    json_t *json = json_loadb(answer.body, answer.length, 0, NULL);
    if (json == NULL)
        fail_msg("no JSON from %s: %.200s", path, answer.body);
    free(answer.body);
    return json;
}

static void set_fault(const char *text)
{
    expect_status(control("DELETE", "/fault", NULL), 200);
    expect_status(control("POST", "/fault", text), 200);
}

/* `count` mints, separated by commas, from the `offset`-th. */
static void list_mints(unsigned offset, unsigned count, char *out, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/mints?offset=%u&limit=%u", offset, count);
    struct answer answer = control("GET", path, NULL);
    assert_int_equal(answer.status, 200);
    assert_true(answer.length < size && answer.length > 0);
    memcpy(out, answer.body, answer.length);
    out[answer.length - 1] = '\0';
    for (char *at = out; *at != '\0'; at++)
        *at = *at == '\n' ? ',' : *at;
    free(answer.body);
}

static const char *text_at(json_t *pair, const char *object, const char *name)
{
    json_t *from = object == NULL ? pair : json_object_get(pair, object);
    return json_string_value(json_object_get(from, name));
}

#define SCREEN_PATH_MAX 2048

static void screen_path(unsigned offset, unsigned count, char out[SCREEN_PATH_MAX])
{
    strcpy(out, "/tokens/v1/solana/");
    list_mints(offset, count, out + strlen(out), SCREEN_PATH_MAX - strlen(out));
}

/* ---- routes ---- */

static void screen_answers_one_main_pair_each(void **state)
{
    char path[SCREEN_PATH_MAX];
    (void)state;
    screen_path(0, 30, path);
    json_t *pairs = get_json(path);
    assert_int_equal(json_array_size(pairs), 30);
    for (size_t i = 0; i < 30; i++)
        assert_non_null(strstr(path, text_at(json_array_get(pairs, i), "baseToken", "address")));
    json_decref(pairs);
    struct answer answer = get(path);
    assert_string_equal(answer.cache, "public, max-age=30");
    assert_non_null(strstr(answer.type, "application/json"));
    free(answer.body);
}

static void discover_and_refresh_agree(void **state)
{
    char path[SCREEN_PATH_MAX] = "/token-pairs/v1/solana/";
    char refresh[SCREEN_PATH_MAX] = "/latest/dex/pairs/solana/";
    (void)state;
    list_mints(11, 1, path + strlen(path), 64);
    json_t *pools = get_json(path);
    size_t count = json_array_size(pools);
    assert_true(count >= 2);
    for (size_t i = 0; i < count; i++) {
        strcat(refresh, i > 0 ? "," : "");
        strcat(refresh, text_at(json_array_get(pools, i), NULL, "pairAddress"));
    }
    json_t *answer = get_json(refresh);
    assert_string_equal(text_at(answer, NULL, "schemaVersion"), "1.0.0");
    json_t *pairs = json_object_get(answer, "pairs");
    assert_int_equal(json_array_size(pairs), count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(text_at(json_array_get(pairs, i), NULL, "pairAddress"),
                            text_at(json_array_get(pools, i), NULL, "pairAddress"));
    json_decref(pools);
    json_decref(answer);
}

static void legacy_shares_thirty_pairs(void **state)
{
    char path[SCREEN_PATH_MAX] = "/latest/dex/tokens/";
    (void)state;
    list_mints(0, 30, path + strlen(path), SCREEN_PATH_MAX - 64);
    json_t *answer = get_json(path);
    size_t pairs = json_array_size(json_object_get(answer, "pairs"));
    assert_in_range(pairs, 20, 30);
    json_decref(answer);
}

static void the_unknown_is_answered_like_upstream(void **state)
{
    static const struct {
        const char *path;
        long status;
        const char *body;
    } cases[] = {{"/tokens/v1/solana/So11111111111111111111111111111111111111112", 200, "[]"},
                 {"/token-pairs/v1/solana/So11111111111111111111111111111111111111112", 200, "[]"},
                 {"/latest/dex/pairs/solana/So11111111111111111111111111111111111111112", 200,
                  "{\"schemaVersion\":\"1.0.0\",\"pairs\":null}"},
                 {"/latest/dex/tokens/So11111111111111111111111111111111111111112", 200,
                  "{\"schemaVersion\":\"1.0.0\",\"pairs\":null}"},
                 {"/tokens/v1/ethereum/So11111111111111111111111111111111111111112", 200, "[]"},
                 {"/tokens/v1/solana/nonsense", 200, "[]"},
                 {"/tokens/v9/x", 404, NULL},
                 {"/", 404, NULL},
                 {"/api/data", 400, NULL}};
    char path[SCREEN_PATH_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct answer answer = get(cases[i].path);
        assert_int_equal(answer.status, cases[i].status);
        if (cases[i].body != NULL)
            assert_string_equal(answer.body, cases[i].body);
        free(answer.body);
    }
    screen_path(0, 31, path);
    expect_status(get(path), 400);
    expect_status(perform(&(struct call){market.port, "POST", path, "x", false, 0}), 405);
}

static void gzip_is_given_to_those_who_ask(void **state)
{
    char path[SCREEN_PATH_MAX];
    (void)state;
    screen_path(0, 30, path);
    struct answer packed = perform(
        &(struct call){.port = market.port, .method = "GET", .path = path, .wants_gzip = true});
    assert_int_equal(packed.code, CURLE_OK);
    assert_string_equal(packed.encoding, "gzip");
    json_t *pairs = json_loadb(packed.body, packed.length, 0, NULL);
    assert_int_equal(json_array_size(pairs), 30);
    json_decref(pairs);
    free(packed.body);
    struct answer plain = get(path);
    assert_string_equal(plain.encoding, "");
    free(plain.body);
}

/* ---- faults ---- */

static void faults_that_answer(void **state)
{
    static const struct {
        const char *fault;
        long status;
        const char *type, *has;
    } cases[] = {{"{\"fault\":\"status\",\"status\":502}", 502, "text/html", "502"},
                 {"{\"fault\":\"challenge\"}", 403, "text/html", "Just a moment"},
                 {"{\"fault\":\"limit\",\"retry_after\":7}", 429, "text/plain", "error code: 1015"},
                 {"{\"fault\":\"garbage\"}", 200, NULL, NULL},
                 {"{\"fault\":\"empty\"}", 200, "application/json", "[]"},
                 {"{\"fault\":\"nulls\"}", 200, "application/json", "\"priceUsd\":null"},
                 {"{\"fault\":\"nan\"}", 200, "application/json", "priceUsd"},
                 {"{\"fault\":\"duplicate-keys\"}", 200, "application/json", "7777777"}};
    char path[SCREEN_PATH_MAX];
    (void)state;
    screen_path(3, 2, path);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        set_fault(cases[i].fault);
        struct answer answer = get(path);
        assert_int_equal(answer.code, CURLE_OK);
        assert_int_equal(answer.status, cases[i].status);
        if (cases[i].type != NULL)
            assert_non_null(strstr(answer.type, cases[i].type));
        if (cases[i].has != NULL)
            assert_non_null(strstr(answer.body, cases[i].has));
        free(answer.body);
    }
    expect_status(control("DELETE", "/fault", NULL), 200);
    expect_status(get(path), 200);
}

static void faults_that_break_the_connection(void **state)
{
    char path[SCREEN_PATH_MAX];
    (void)state;
    screen_path(3, 2, path);
    set_fault("{\"fault\":\"half\"}");
    struct answer answer = get(path);
    assert_int_equal(answer.code, CURLE_PARTIAL_FILE);
    assert_true(answer.length > 100);
    free(answer.body);
    set_fault("{\"fault\":\"reset\"}");
    answer = get(path);
    assert_int_equal(answer.code, CURLE_RECV_ERROR);
    free(answer.body);
    set_fault("{\"fault\":\"hang\"}");
    answer = perform(
        &(struct call){.port = market.port, .method = "GET", .path = path, .timeout_ms = 300});
    assert_int_equal(answer.code, CURLE_OPERATION_TIMEDOUT);
    free(answer.body);
    expect_status(control("DELETE", "/fault", NULL), 200);
}

static void faults_of_content(void **state)
{
    char path[SCREEN_PATH_MAX];
    (void)state;
    screen_path(3, 2, path);
    set_fault("{\"fault\":\"wrong-token\"}");
    json_t *pairs = get_json(path);
    assert_int_equal(json_array_size(pairs), 2);
    assert_null(strstr(path, text_at(json_array_get(pairs, 1), "baseToken", "address")));
    json_decref(pairs);
    set_fault("{\"fault\":\"duplicate-pairs\"}");
    pairs = get_json(path);
    assert_int_equal(json_array_size(pairs), 4);
    json_decref(pairs);
    set_fault("{\"fault\":\"huge\",\"bytes\":5000000}");
    struct answer answer = get(path);
    assert_int_equal(answer.length, 5000000);
    free(answer.body);
    expect_status(control("DELETE", "/fault", NULL), 200);
}

static void slow_is_late_and_a_count_ends_it(void **state)
{
    char path[SCREEN_PATH_MAX];
    (void)state;
    screen_path(3, 2, path);
    set_fault("{\"fault\":\"slow\",\"ms\":200,\"count\":1,\"kind\":\"screen\"}");
    struct answer answer = get(path);
    assert_int_equal(answer.status, 200);
    assert_true(answer.seconds >= 0.195);
    free(answer.body);
    answer = control("GET", "/fault", NULL);
    assert_string_equal(answer.body, "[]");
    free(answer.body);
}

static void down_refuses_until_it_ends(void **state)
{
    char path[SCREEN_PATH_MAX];
    (void)state;
    screen_path(0, 1, path);
    set_fault("{\"fault\":\"down\"}");
    struct answer answer = get(path);
    assert_int_equal(answer.code, CURLE_COULDNT_CONNECT);
    free(answer.body);
    expect_status(control("DELETE", "/fault/down", NULL), 200);
    expect_status(get(path), 200);
}

static void control_mistakes_have_reasons(void **state)
{
    (void)state;
    struct answer answer = control("POST", "/fault", "{\"fault\":\"sloow\"}");
    assert_int_equal(answer.status, 400);
    assert_non_null(strstr(answer.body, "unknown fault"));
    free(answer.body);
    expect_status(control("POST", "/graduate?count=x", ""), 400);
    expect_status(control("GET", "/mints?limit=-1", NULL), 400);
    expect_status(control("PUT", "/fault", "x"), 405);
    expect_status(control("DELETE", "/fault/none", NULL), 404);
    expect_status(control("GET", "/nothing", NULL), 404);
    expect_status(control("GET", "/health", NULL), 200);
}

static void statistics_count(void **state)
{
    char path[SCREEN_PATH_MAX];
    (void)state;
    screen_path(0, 30, path);
    expect_status(get(path), 200);
    struct answer answer = control("GET", "/stats", NULL);
    json_t *stats = json_loadb(answer.body, answer.length, 0, NULL);
    assert_non_null(stats);
    json_t *screen = json_object_get(json_object_get(stats, "kinds"), "screen");
    assert_true(json_integer_value(json_object_get(screen, "requests")) >= 1);
    assert_true(json_integer_value(json_object_get(stats, "tokens_served")) >= 30);
    assert_true(json_number_value(json_object_get(screen, "addresses_per_request")) > 0);
    json_decref(stats);
    free(answer.body);
}

static void limits_refuse_with_1015(void **state)
{
    char path[SCREEN_PATH_MAX];
    unsigned refused = 0;
    (void)state;
    start_market((const char *const[]){"--rpm", "20", "--tokens", "10", NULL});
    screen_path(0, 1, path);
    for (int i = 0; i < 45; i++) {
        struct answer answer = get(path);
        if (answer.status == 429) {
            refused++;
            assert_string_equal(answer.body, "error code: 1015");
        }
        free(answer.body);
    }
    /* The minute may turn once meanwhile. */
    assert_in_range(refused, 5, 25);
    stop_market(SIGINT);
}

/* ---- the stream ---- */

struct client {
    int socket;
    wslay_event_context_ptr frames;
    unsigned texts, migrations, creations, acks, pongs, others;
    char last_mint[64];
    bool is_closed;
};

static ssize_t client_recv(wslay_event_context_ptr frames, uint8_t *out, size_t room, int flags,
                           void *context)
{
    struct client *client = context;
    (void)flags;
    ssize_t got = recv(client->socket, out, room, MSG_DONTWAIT);
    if (got > 0)
        return got;
    bool is_dry = got < 0 && errno == EAGAIN;
    client->is_closed = client->is_closed || !is_dry;
    wslay_event_set_error(frames, is_dry ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t client_send(wslay_event_context_ptr frames, const uint8_t *data, size_t length,
                           int flags, void *context)
{
    struct client *client = context;
    (void)flags;
    ssize_t sent = send(client->socket, data, length, MSG_NOSIGNAL);
    if (sent < 0)
        wslay_event_set_error(frames, WSLAY_ERR_CALLBACK_FAILURE);
    return sent;
}

static int client_mask(wslay_event_context_ptr frames, uint8_t *out, size_t length, void *context)
{
    (void)frames;
    (void)context;
    memset(out, 0x5a, length);
    return 0;
}

static void take_text(struct client *client, const char *text)
{
    char signature[128];
    char mint[64];
    int end = 0;
    client->texts++;
    if (sscanf(text,
               "{\"signature\":\"%100[A-Za-z0-9]\",\"mint\":\"%50[A-Za-z0-9]\","
               "\"txType\":\"migrate\",\"pool\":\"pump-amm\"}%n",
               signature, mint, &end) == 2 &&
        end > 0 && text[end] == '\0') {
        client->migrations++;
        strcpy(client->last_mint, mint);
    } else if (strstr(text, "\"txType\":\"create\"") != NULL) {
        client->creations++;
    } else if (strcmp(text, "{\"message\":\"Subscribed to 'migration' events.\"}") == 0 ||
               strcmp(text,
                      "{\"message\":\"Successfully subscribed to token creation events.\"}") == 0) {
        client->acks++;
    } else {
        client->others++;
    }
}

static void client_message(wslay_event_context_ptr frames,
                           const struct wslay_event_on_msg_recv_arg *message, void *context)
{
    struct client *client = context;
    (void)frames;
    if (message->opcode == WSLAY_PONG) {
        client->pongs++;
    } else if (message->opcode == WSLAY_TEXT_FRAME) {
        char *text = strndup((const char *)message->msg, message->msg_length);
        take_text(client, text);
        free(text);
    } else {
        client->others++;
    }
}

static int connect_market(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)market.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int socket_ = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(socket_, (struct sockaddr *)&address, sizeof address), 0);
    return socket_;
}

/* Returns the status; the answer's head is read byte by byte, so that no frame is lost. */
static int upgrade(int socket_)
{
    static const char request[] =
        "GET /api/data HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    char head[2048];
    size_t length = 0;
    int status;
    assert_int_equal(send(socket_, request, sizeof request - 1, 0), sizeof request - 1);
    while (length < 4 || memcmp(head + length - 4, "\r\n\r\n", 4) != 0) {
        assert_true(length < sizeof head - 1);
        assert_int_equal(recv(socket_, head + length, 1, 0), 1);
        length++;
    }
    head[length] = '\0';
    assert_int_equal(sscanf(head, "HTTP/1.1 %d", &status), 1);
    /* The example of RFC 6455, 1.3. */
    if (status == 101)
        assert_non_null(strstr(head, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    return status;
}

static void client_open(struct client *client)
{
    static const struct wslay_event_callbacks callbacks = {.recv_callback = client_recv,
                                                           .send_callback = client_send,
                                                           .genmask_callback = client_mask,
                                                           .on_msg_recv_callback = client_message};
    *client = (struct client){.socket = connect_market()};
    assert_int_equal(upgrade(client->socket), 101);
    assert_int_equal(wslay_event_context_client_init(&client->frames, &callbacks, client), 0);
}

static void client_say(struct client *client, uint8_t opcode, const char *text)
{
    struct wslay_event_msg message = {opcode, (const uint8_t *)text, strlen(text)};
    assert_int_equal(wslay_event_queue_msg(client->frames, &message), 0);
    assert_int_equal(wslay_event_send(client->frames), 0);
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Reads until *counter reaches `wanted` or the connection ends. */
static void client_await(struct client *client, const unsigned *counter, unsigned wanted)
{
    double end = seconds_now() + WAIT_S;
    while (*counter < wanted && !client->is_closed) {
        struct pollfd ready = {.fd = client->socket, .events = POLLIN};
        if (seconds_now() > end)
            fail_msg("%u of %u came in %d s", *counter, wanted, WAIT_S);
        poll(&ready, 1, 100);
        wslay_event_recv(client->frames);
        if (wslay_event_want_write(client->frames))
            wslay_event_send(client->frames);
    }
}

static void client_close(struct client *client)
{
    wslay_event_context_free(client->frames);
    close(client->socket);
}

static void a_subscriber_is_told_of_the_past_and_the_present(void **state)
{
    struct client client;
    (void)state;
    client_open(&client);
    client_say(&client, WSLAY_TEXT_FRAME, "{\"method\":\"subscribeMigration\"}");
    client_await(&client, &client.migrations, 200);
    assert_int_equal(client.acks, 1);
    struct answer answer = control("POST", "/graduate", "");
    client_await(&client, &client.migrations, 201);
    assert_non_null(strstr(answer.body, client.last_mint));
    free(answer.body);
    client_say(&client, WSLAY_PING, "hello");
    client_await(&client, &client.pongs, 1);
    assert_int_equal(client.others + client.creations, 0);
    client_say(&client, WSLAY_TEXT_FRAME, "not json");
    client_await(&client, &client.others, 1);
    client_close(&client);
}

static void faults_of_the_stream(void **state)
{
    struct client client;
    (void)state;
    client_open(&client);
    client_say(&client, WSLAY_TEXT_FRAME, "{\"method\":\"subscribeNewToken\"}");
    client_await(&client, &client.acks, 1);
    set_fault("{\"fault\":\"ws-junk\",\"count\":20}");
    client_await(&client, &client.others, 10);
    set_fault("{\"fault\":\"ws-drop\"}");
    unsigned never = 0;
    client_await(&client, &never, 1);
    assert_true(client.is_closed);
    client_close(&client);
    set_fault("{\"fault\":\"ws-refuse\",\"status\":503}");
    int refused = connect_market();
    assert_int_equal(upgrade(refused), 503);
    close(refused);
    expect_status(control("DELETE", "/fault", NULL), 200);
}

static void silence_has_no_pong(void **state)
{
    struct client client;
    (void)state;
    client_open(&client);
    set_fault("{\"fault\":\"ws-silent\"}");
    client_say(&client, WSLAY_PING, "anyone?");
    /* Two rounds over the control port are later than any pong would be. */
    expect_status(control("GET", "/stats", NULL), 200);
    expect_status(control("GET", "/stats", NULL), 200);
    wslay_event_recv(client.frames);
    assert_int_equal(client.pongs, 0);
    expect_status(control("DELETE", "/fault", NULL), 200);
    client_await(&client, &client.pongs, 1);
    client_close(&client);
}

static int64_t websocket_count(const char *name)
{
    struct answer answer = control("GET", "/stats", NULL);
    json_t *stats = json_loadb(answer.body, answer.length, 0, NULL);
    assert_non_null(stats);
    int64_t count = json_integer_value(json_object_get(json_object_get(stats, "websocket"), name));
    json_decref(stats);
    free(answer.body);
    return count;
}

static void who_does_not_read_is_dropped(void **state)
{
    struct client client;
    (void)state;
    start_market((const char *const[]){"--tokens", "500000", "--replay-rate", "1000000", NULL});
    client_open(&client);
    client_say(&client, WSLAY_TEXT_FRAME, "{\"method\":\"subscribeMigration\"}");
    double end = seconds_now() + WAIT_S;
    while (websocket_count("dropped") == 0 && seconds_now() < end)
        poll(NULL, 0, 50);
    assert_int_equal(websocket_count("dropped"), 1);
    assert_int_equal(websocket_count("subscribers"), 0);
    assert_true(websocket_count("events") < 500000);
    client_close(&client);
    stop_market(SIGTERM);
}

static void graduations_and_creations_come_by_themselves(void **state)
{
    struct client client;
    (void)state;
    start_market((const char *const[]){"--tokens", "5", "--no-replay", "--speed", "60",
                                       "--graduations-per-hour", "1800", NULL});
    client_open(&client);
    client_say(&client, WSLAY_TEXT_FRAME, "{\"method\":\"subscribeMigration\"}");
    client_say(&client, WSLAY_TEXT_FRAME, "{\"method\":\"subscribeNewToken\"}");
    client_await(&client, &client.migrations, 3);
    client_await(&client, &client.creations, 20);
    assert_int_equal(client.acks, 2);
    assert_int_equal(client.others, 0);
    client_close(&client);
    stop_market(SIGTERM);
}

/* ---- start and end ---- */

static int run_program(const char *const arguments[])
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, STDOUT_FILENO);
        dup2(nowhere, STDERR_FILENO);
        execv(program, (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void bad_starts_fail_clearly(void **state)
{
    char port[16];
    (void)state;
    assert_int_equal(run_program((const char *const[]){program, "--help", NULL}), 0);
    assert_int_equal(run_program((const char *const[]){program, NULL}), 2);
    assert_int_equal(run_program((const char *const[]){program, "--port", "x", NULL}), 2);
    snprintf(port, sizeof port, "%u", market.port);
    assert_int_equal(run_program((const char *const[]){program, "--port", port, NULL}), 1);
    assert_int_equal(
        run_program((const char *const[]){program, "--port", "0", "--address", "nowhere", NULL}),
        1);
}

static void it_ends_with_clients_waiting(void **state)
{
    struct client client;
    char path[SCREEN_PATH_MAX];
    (void)state;
    start_market((const char *const[]){"--tokens", "5", NULL});
    screen_path(0, 1, path);
    client_open(&client);
    set_fault("{\"fault\":\"hang\"}");
    int hanging = connect_market();
    char request[SCREEN_PATH_MAX + 64];
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    assert_int_equal(send(hanging, request, (size_t)length, 0), length);
    expect_status(control("GET", "/stats", NULL), 200);
    stop_market(SIGTERM);
    close(hanging);
    client_close(&client);
}

#define WITH_MARKET(test) cmocka_unit_test_setup_teardown(test, start_plain, stop_plain)

int main(int count, char *arguments[])
{
    const struct CMUnitTest tests[] = {
        WITH_MARKET(screen_answers_one_main_pair_each),
        WITH_MARKET(discover_and_refresh_agree),
        WITH_MARKET(legacy_shares_thirty_pairs),
        WITH_MARKET(the_unknown_is_answered_like_upstream),
        WITH_MARKET(gzip_is_given_to_those_who_ask),
        WITH_MARKET(faults_that_answer),
        WITH_MARKET(faults_that_break_the_connection),
        WITH_MARKET(faults_of_content),
        WITH_MARKET(slow_is_late_and_a_count_ends_it),
        WITH_MARKET(down_refuses_until_it_ends),
        WITH_MARKET(control_mistakes_have_reasons),
        WITH_MARKET(statistics_count),
        cmocka_unit_test(limits_refuse_with_1015),
        WITH_MARKET(a_subscriber_is_told_of_the_past_and_the_present),
        WITH_MARKET(faults_of_the_stream),
        WITH_MARKET(silence_has_no_pong),
        cmocka_unit_test(who_does_not_read_is_dropped),
        cmocka_unit_test(graduations_and_creations_come_by_themselves),
        WITH_MARKET(bad_starts_fail_clearly),
        cmocka_unit_test(it_ends_with_clients_waiting)};
    if (count != 2) {
        fprintf(stderr, "usage: %s PROGRAM\n", arguments[0]);
        return 2;
    }
    program = arguments[1];
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int failed = cmocka_run_group_tests_name("program", tests, NULL, NULL);
    curl_global_cleanup();
    return failed;
}
