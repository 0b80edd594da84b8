/* See world.h. */
#include "world.h"

#include "base/clock.h"
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 10000

/* ---- the engine ---- */

static void engine_set(struct world *world, const struct command *command)
{
    char why[OPTION_MESSAGE_SIZE];
    struct page_texts *texts = page_text_begin(world->page);
    if (options_set(&texts->options, command->setting, command->value, OPTION_FROM_STORE, why) !=
        OK)
        abort();
    page_text_end(world->page);
}

static uint32_t engine_add(struct world *world, const struct command *command)
{
    if (token_table_find(world->memory.table, &command->mint) != TOKEN_NONE)
        return RESULT_KNOWN;
    if (token_table_is_short(world->memory.table, 8) && !table_memory_grow(&world->memory, 8))
        return RESULT_UNAVAILABLE;
    return token_table_add(world->memory.table, &command->mint) != TOKEN_NONE ? RESULT_CREATED
                                                                              : RESULT_UNAVAILABLE;
}

static void engine_answer(struct world *world, const struct command *command)
{
    struct fake_engine *engine = &world->engine;
    struct reply reply = {.tag = command->tag, .result = engine->result, .score = NAN};
    if (command->kind == COMMAND_ADD_TOKEN && engine->result == RESULT_DONE)
        reply.result = engine_add(world, command);
    if (command->kind == COMMAND_SET && engine->result == RESULT_DONE)
        engine_set(world, command);
    if (command->kind == COMMAND_REFRESH) {
        reply.snapshot_id = 77;
        reply.score = 0.625;
    }
    snprintf(reply.message, sizeof reply.message, "%s", engine->message);
    if (send(engine->fd, &reply, sizeof reply, MSG_NOSIGNAL) < 0 && errno != EPIPE)
        abort();
}

static void *engine_run(void *argument)
{
    struct world *world = argument;
    struct fake_engine *engine = &world->engine;
    struct command command;
    while (true) {
        /* Deaf from one moment to the next: it must not be in recv() already. */
        struct pollfd readable = {.fd = engine->fd, .events = POLLIN};
        poll(&readable, 1, -1);
        pthread_mutex_lock(&engine->lock);
        while (engine->is_deaf)
            pthread_cond_wait(&engine->heard, &engine->lock);
        pthread_mutex_unlock(&engine->lock);
        if (recv(engine->fd, &command, sizeof command, 0) != sizeof command)
            return NULL;
        pthread_mutex_lock(&engine->lock);
        engine->commands++;
        engine->last = command;
        if (!engine->is_mute)
            engine_answer(world, &command);
        pthread_cond_broadcast(&engine->heard);
        pthread_mutex_unlock(&engine->lock);
    }
}

bool engine_heard(struct world *world, uint64_t count)
{
    struct fake_engine *engine = &world->engine;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_MS / 1000;
    pthread_mutex_lock(&engine->lock);
    int failure = 0;
    while (engine->commands < count && failure == 0)
        failure = pthread_cond_timedwait(&engine->heard, &engine->lock, &until);
    pthread_mutex_unlock(&engine->lock);
    return failure == 0;
}

void engine_become(struct world *world, enum engine_mood mood)
{
    struct fake_engine *engine = &world->engine;
    pthread_mutex_lock(&engine->lock);
    engine->is_mute = mood == ENGINE_IS_MUTE;
    engine->is_deaf = mood == ENGINE_IS_DEAF;
    pthread_cond_broadcast(&engine->heard);
    pthread_mutex_unlock(&engine->lock);
}

uint64_t engine_commands(struct world *world)
{
    pthread_mutex_lock(&world->engine.lock);
    uint64_t commands = world->engine.commands;
    pthread_mutex_unlock(&world->engine.lock);
    return commands;
}

/* ---- the world ---- */

void world_engine_state(struct world *world, enum process_state state, uint64_t starts)
{
    struct page_process *processes = world->page->processes;
    atomic_store(&processes[PROCESS_SUPERVISOR].state, PROCESS_RUNNING);
    atomic_store(&processes[PROCESS_SUPERVISOR].starts, 1);
    atomic_store(&processes[PROCESS_ENGINE].starts, starts);
    atomic_store(&processes[PROCESS_ENGINE].state, state);
}

static void set_gauge_bits(_Atomic uint64_t *word, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    atomic_store(word, bits);
}

void world_fill_page(struct world *world)
{
    struct status_page *page = world->page;
    instant now = clock_now();
    page_text_begin(page)->options = world->options;
    page_text_end(page);
    page_beat(page, BEAT_ENGINE_LOOP, now, duration_us(0));
    page_set(page, GAUGE_START_TIME, (double)now.us / 1e6 - 100);
    page_set(page, GAUGE_STORE_OK, 1);
    page_set(page, GAUGE_SOURCE_LIVE, 1);
    atomic_store(&page->newest_snapshot, 1000000);
    for (int i = 0; i < PAGE_GROUPS; i++) {
        atomic_store(&page->groups[i].target_us, 15000000u * (unsigned)(2 * i + 1));
        atomic_store(&page->groups[i].refreshes, 1000);
        atomic_store(&page->groups[i].recent, 1000);
        atomic_store(&page->groups[i].refreshes_on_time, 995);
        atomic_store(&page->groups[i].recent_on_time, 995);
        atomic_store(&page->groups[i].last_answer_us, (uint64_t)now.us);
    }
    for (int i = 0; i < PAGE_LANES; i++) {
        set_gauge_bits(&page->lanes[i].allowed_per_minute_bits, 294);
        atomic_store(&page->lanes[i].used_last_minute, 120);
        atomic_store(&page->lanes[i].requests, 10);
        atomic_store(&page->lanes[i].addresses, 290);
    }
}

void world_fill_cluster(struct world *world, struct page_cluster *out)
{
    static const struct page_node members[] = {{.session = 3,
                                                .name = "berlin",
                                                .silent_s = 1.5,
                                                .clock_offset_s = 0.004,
                                                .capacity = 500,
                                                .slots = 512},
                                               {.session = 4,
                                                .name = "paris",
                                                .clock_offset_s = NAN,
                                                .capacity = 300,
                                                .slots = 308,
                                                .is_self = 1},
                                               {.session = 7,
                                                .name = "oslo",
                                                .silent_s = 2.25,
                                                .clock_offset_s = -1.75,
                                                .capacity = 200,
                                                .slots = 200,
                                                .is_leaving = 1}};
    instant now = clock_now();
    *out = (struct page_cluster){.looked_at = now,
                                 .state = NODE_WORKING,
                                 .holds_source = 1,
                                 .name = "paris",
                                 .session = 4,
                                 .lease_s = 10,
                                 .valid_until = instant_add(now, duration_s(60)),
                                 .since = instant_add(now, duration_s(-3600)),
                                 .answered_at = instant_add(now, duration_s(-0.2)),
                                 .exchanges = 7210,
                                 .failures = 3,
                                 .sessions = 1,
                                 .claimed = 320,
                                 .released = 12,
                                 .failed_at = instant_add(now, duration_s(-600)),
                                 .message = "the server closed the connection",
                                 .rounds = 7200,
                                 .behind_s = 0.4,
                                 .followed = 91234,
                                 .fenced = 2,
                                 .forwarded = 5,
                                 .ordered = 9,
                                 .tokens = 1000,
                                 .own = 301,
                                 .mine = 304,
                                 .draining = 4,
                                 .others = 712,
                                 .free = 4,
                                 .free_s = 0.5,
                                 .count = 3,
                                 .source = 1};
    memcpy(out->members, members, sizeof members);
    memset(out->owners + 512, 1, 308);
    memset(out->owners + 820, 2, 200);
    memset(out->owners + 1020, PAGE_SLOT_FREE, 4);
    cluster_publish(world->page, out);
}

static void engine_start(struct world *world, int fds[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        abort();
    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    struct fake_engine *engine = &world->engine;
    engine->fd = fds[0];
    engine->world = world;
    engine->result = RESULT_DONE;
    pthread_mutex_init(&engine->lock, NULL);
    pthread_cond_init(&engine->heard, NULL);
    if (pthread_create(&engine->thread, NULL, engine_run, world) != 0)
        abort();
}

static void make_parts(struct world *world)
{
    int error;
    *world = (struct world){0};
    if (!table_memory_init(&world->memory, 1024, &error))
        abort();
    world->page = calloc(1, sizeof *world->page);
    status_page_init(world->page);
    options_init(&world->options);
    snprintf(world->options.listen, sizeof world->options.listen, "127.0.0.1:0");
    snprintf(world->options.env, sizeof world->options.env, "test");
}

static void start_parts(struct world *world, const char *store_url)
{
    int fds[2];
    char why[512];
    world_fill_page(world);
    engine_start(world, fds);
    struct api_world view = {.table = world->memory.table,
                             .page = world->page,
                             .store_url = store_url,
                             .command_fd = fds[1],
                             .options = &world->options};
    world->api = api_start(&view, why);
    if (world->api == NULL) {
        fprintf(stderr, "%s\n", why);
        abort();
    }
    world->port = api_port(world->api);
}

void world_start(struct world *world, const char *api_token)
{
    world_start_at(world, api_token, "127.0.0.1:0", "sqlite:none");
}

void world_start_at(struct world *world, const char *api_token, const char *listen,
                    const char *store_url)
{
    make_parts(world);
    snprintf(world->options.listen, sizeof world->options.listen, "%s", listen);
    snprintf(world->options.api_token, sizeof world->options.api_token, "%s", api_token);
    start_parts(world, store_url);
}

void world_start_with(struct world *world, const char *state_dir, int64_t heartbeat_deadline_ms)
{
    make_parts(world);
    snprintf(world->options.state_dir, sizeof world->options.state_dir, "%s", state_dir);
    world->options.heartbeat_deadline_ms = heartbeat_deadline_ms;
    start_parts(world, "sqlite:none");
}

void world_start_for(struct world *world, int64_t clients_max, int64_t clients_per_address_max)
{
    make_parts(world);
    world->options.events_clients_max = clients_max;
    world->options.events_clients_per_address_max = clients_per_address_max;
    start_parts(world, "sqlite:none");
}

void world_start_open(struct world *world, const char *api_token, const char *cors_origin)
{
    make_parts(world);
    snprintf(world->options.api_token, sizeof world->options.api_token, "%s", api_token);
    snprintf(world->options.cors_origin, sizeof world->options.cors_origin, "%s", cors_origin);
    start_parts(world, "sqlite:none");
}

void world_stop(struct world *world)
{
    struct fake_engine *engine = &world->engine;
    api_stop(world->api);
    pthread_mutex_lock(&engine->lock);
    engine->is_deaf = false;
    pthread_cond_broadcast(&engine->heard);
    pthread_mutex_unlock(&engine->lock);
    shutdown(engine->fd, SHUT_RDWR);
    pthread_join(engine->thread, NULL);
    close(engine->fd);
    pthread_mutex_destroy(&engine->lock);
    pthread_cond_destroy(&engine->heard);
    table_memory_finish(&world->memory);
    free(world->page);
}

/* ---- tokens ---- */

struct address world_mint(uint32_t number)
{
    struct address mint;
    for (int i = 0; i < ADDRESS_BYTES; i++) {
        number = number * 1664525u + 1013904223u;
        mint.bytes[i] = (uint8_t)(number >> 24);
    }
    return mint;
}

void world_mint_text(uint32_t number, char out[ADDRESS_TEXT_MAX + 1])
{
    struct address mint = world_mint(number);
    address_format(&mint, out);
}

static void fill_data(struct world *world, struct token *token, double score)
{
    struct token_table *table = world->memory.table;
    instant now = clock_now();
    token->state.answers = 3;
    token->state.score = score;
    token->state.checked_at = token->state.fetched_at = instant_add(now, duration_s(-4));
    token->state.scored_at = instant_add(now, duration_s(-60));
    token->state.snapshot_id = 5;
    token->state.raw = (struct components){1, 2, 0.5, -0.25};
    token->state.smoothed = (struct components){0.9, 1.8, 0.5, -0.2};
    token->state.metrics = (struct metrics){.liquidity_usd = 45232.9,
                                            .delta_p_5m = 0.031,
                                            .delta_p_15m = -0.02,
                                            .volume_5m_usd = 1200,
                                            .volume_1h_usd = 22000,
                                            .buys_volume_5m_usd = 700,
                                            .sells_volume_5m_usd = 500,
                                            .hours_since_creation = 1.5,
                                            .primary_liquidity_usd = 40000,
                                            .price_usd = 0.0001621,
                                            .tx_count_5m = 140,
                                            .tx_count_1h = 1400,
                                            .buys_5m = 80,
                                            .primary_dex = token_table_dex(table, "raydium"),
                                            .wsol_pairs = 2,
                                            .usdc_pairs = 1,
                                            .pools = 3};
}

static void fill_pools(struct world *world, uint32_t number)
{
    struct token_table *table = world->memory.table;
    struct pool pools[4] = {{.liquidity_usd = 232.9f, .dex = token_table_dex(table, "meteora")},
                            {.liquidity_usd = NAN, .dex = token_table_dex(table, "pumpfun")},
                            {.liquidity_usd = 40000, .dex = token_table_dex(table, "raydium")},
                            {.liquidity_usd = 5000, .dex = token_table_dex(table, "pumpswap")}};
    for (uint32_t i = 0; i < 4; i++) {
        pools[i].address = world_mint(number * 10 + i + 0x40000000);
        pools[i].quote = token_table_quote(table, i == 3 ? "USDC" : "SOL");
    }
    if (!token_draft_set_pools(table, pools, 4))
        abort();
}

token_id world_add(struct world *world, uint32_t number, enum token_status status, double score)
{
    struct token_table *table = world->memory.table;
    struct address mint = world_mint(number);
    if (token_table_is_short(table, 8) && !table_memory_grow(&world->memory, 8))
        abort();
    token_id id = token_table_add(table, &mint);
    assert(id != TOKEN_NONE);
    struct token *token = token_write_begin(table, id);
    snprintf(token->name, sizeof token->name, "Token %u", number);
    snprintf(token->symbol, sizeof token->symbol, "T%u", number);
    token->status = status;
    token->created_at = instant_add(clock_now(), duration_s(-5400));
    if (!isnan(score)) {
        fill_data(world, token, score);
        fill_pools(world, number);
    }
    token_write_end(table, id);
    return id;
}

/* ---- HTTP ---- */

int http_connect(const struct world *world)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(world->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        abort();
    return fd;
}

void http_send(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the server has closed; what it said is still to be read */
        bytes += sent;
        length -= (size_t)sent;
    }
}

struct reading {
    int fd;
    char *text;
    size_t length;
};

static bool read_more(struct reading *reading, size_t most)
{
    struct pollfd poll_fd = {.fd = reading->fd, .events = POLLIN};
    if (poll(&poll_fd, 1, PATIENCE_MS) != 1)
        return false;
    reading->text = realloc(reading->text, reading->length + most + 1);
    reading->text[reading->length] = '\0';
    ssize_t got = recv(reading->fd, reading->text + reading->length, most, 0);
    if (got <= 0)
        return false;
    reading->length += (size_t)got;
    reading->text[reading->length] = '\0';
    return true;
}

static struct reading read_line_or_head(int fd, const char *end)
{
    struct reading reading = {.fd = fd};
    while (reading.text == NULL || strstr(reading.text, end) == NULL) {
        if (!read_more(&reading, 1))
            break;
    }
    return reading;
}

static struct reading read_exactly(int fd, size_t length)
{
    struct reading reading = {.fd = fd};
    while (reading.length < length) {
        if (!read_more(&reading, length - reading.length))
            break;
    }
    return reading;
}

static void append(struct answer_read *answer, const struct reading *part)
{
    answer->body = realloc(answer->body, answer->body_length + part->length + 1);
    memcpy(answer->body + answer->body_length, part->text != NULL ? part->text : "", part->length);
    answer->body_length += part->length;
    answer->body[answer->body_length] = '\0';
}

static void read_chunks(int fd, struct answer_read *answer)
{
    size_t size;
    do {
        struct reading line = read_line_or_head(fd, "\r\n");
        size = line.text != NULL ? strtoul(line.text, NULL, 16) : 0;
        free(line.text);
        struct reading chunk = read_exactly(fd, size + 2);
        chunk.length = chunk.length >= size ? size : chunk.length;
        append(answer, &chunk);
        free(chunk.text);
    } while (size > 0);
}

static void read_until_close(int fd, struct answer_read *answer)
{
    struct reading reading = {.fd = fd};
    while (read_more(&reading, 65536))
        ;
    append(answer, &reading);
    free(reading.text);
}

const char *http_header(const struct answer_read *answer, const char *name)
{
    static _Thread_local char value[512];
    size_t length = strlen(name);
    const char *line = answer->head;
    while (line != NULL && (line = strstr(line, "\r\n")) != NULL) {
        line += 2;
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
            line += length + 1;
            line += strspn(line, " ");
            snprintf(value, sizeof value, "%.*s", (int)strcspn(line, "\r"), line);
            return value;
        }
    }
    return NULL;
}

struct answer_read http_read(int fd, const char *method)
{
    struct answer_read answer = {.body = calloc(1, 1)};
    struct reading head = read_line_or_head(fd, "\r\n\r\n");
    answer.head = head.text != NULL ? head.text : calloc(1, 1);
    if (sscanf(answer.head, "HTTP/1.%*d %d", &answer.status) != 1) {
        answer.status = 0;
        return answer;
    }
    if (answer.status == 100) {
        http_free(&answer);
        return http_read(fd, method);
    }
    const char *length = http_header(&answer, "Content-Length");
    if (strcmp(method, "HEAD") == 0 || answer.status == 304)
        return answer;
    if (length != NULL) {
        struct reading body = read_exactly(fd, strtoul(length, NULL, 10));
        append(&answer, &body);
        free(body.text);
    } else if (http_header(&answer, "Transfer-Encoding") != NULL) {
        read_chunks(fd, &answer);
    } else {
        read_until_close(fd, &answer);
    }
    return answer;
}

void http_free(struct answer_read *answer)
{
    free(answer->head);
    free(answer->body);
    *answer = (struct answer_read){0};
}

struct answer_read http_ask(const struct world *world, const char *method, const char *target,
                            const char *headers, const char *body)
{
    int fd = http_connect(world);
    char *text;
    int length = asprintf(&text, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s", method, target,
                          world->port, headers != NULL ? headers : "");
    http_send(fd, text, (size_t)length);
    free(text);
    if (body != NULL) {
        length = asprintf(&text, "Content-Length: %zu\r\n\r\n", strlen(body));
        http_send(fd, text, (size_t)length);
        free(text);
        http_send(fd, body, strlen(body));
    } else {
        http_send(fd, "\r\n", 2);
    }
    struct answer_read answer = http_read(fd, method);
    close(fd);
    return answer;
}
