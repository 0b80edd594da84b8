/*
 * The bare program: what receiving, parsing and storing cost by themselves. Nobody checks, decides,
 * scores, retries or watches here; it is the floor under the daemon's path, written as fast as we
 * know how. One thread, one epoll loop, non-blocking sockets kept alive, one request under way on
 * each; requests written beforehand; simdjson's on-demand parser over the fields that the daemon
 * reads; a row a token, with as many columns and bytes as a row of the daemon's log, appended to a
 * WAL database of the same page size in transactions of many. With TLS: OpenSSL on the same
 * sockets, and libdeflate.
 *
 *     bench-bare PORT plain|tls screen|refresh|mix WARM_S SECONDS TOKENS DATABASE RESULT
 *
 * RESULT gets one line: tokens, pairs, requests, CPU seconds, seconds, bytes of bodies.
 */
#include "bench/bare_parse.h"
#include "bench/crowd.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libdeflate.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS   8 /* as the daemon keeps */
#define ADDRESSES_MAX 30
#define REQUEST_MAX   2048
#define RECEIVE_MAX   (256 * 1024)
#define BODY_MAX      (256 * 1024)
#define ROWS_A_COMMIT 1000
#define FIGURES       32 /* 8 bytes each: the length of the daemon's state */

enum kind { SCREEN, REFRESH, MIX };

static const char *const kind_names[] = {"screen", "refresh", "mix"};

struct request {
    char text[REQUEST_MAX];
    size_t length;
};

struct connection {
    int fd;
    SSL *tls; /* NULL: plain */
    size_t length;
    char bytes[RECEIVE_MAX];
};

struct totals {
    uint64_t tokens, pairs, requests, bytes;
};

static struct {
    enum kind kind;
    bool is_tls;
    uint32_t tokens, next_cold, next_hot;
    uint64_t sent;
    SSL_CTX *context;
    struct libdeflate_decompressor *decompressor;
    struct bare_parser *parser;
    sqlite3 *db;
    sqlite3_stmt *begin, *append, *commit;
    int64_t rows;
    struct connection connections[CONNECTIONS];
    struct totals totals;
    char body[BODY_MAX + BARE_PADDING];
    char (*mints)[CROWD_TEXT]; /* by token */
    char (*pools)[CROWD_TEXT]; /* of hot tokens, one after the other */
    uint32_t *first_pool;      /* by hot token */
} bare;

static void fail(const char *what)
{
    fprintf(stderr, "bench-bare: %s\n", what);
    exit(1);
}

/* ---- requests ---- */

static void prepare_texts(void)
{
    uint32_t hot = (bare.tokens + CROWD_HOT_EVERY - 1) / CROWD_HOT_EVERY, pool = 0;
    bare.mints = calloc(bare.tokens, sizeof *bare.mints);
    bare.pools = calloc((size_t)hot * 5, sizeof *bare.pools);
    bare.first_pool = calloc(hot + 1, sizeof *bare.first_pool);
    if (bare.mints == NULL || bare.pools == NULL || bare.first_pool == NULL)
        fail("out of memory");
    for (uint32_t token = 0; token < bare.tokens; token++) {
        crowd_text(token, CROWD_MINT, bare.mints[token]);
        for (unsigned i = 0; crowd_is_hot(token) && i < crowd_pools(token); i++)
            crowd_text(token, CROWD_FIRST_POOL + i, bare.pools[pool++]);
        if (crowd_is_hot(token))
            bare.first_pool[token / CROWD_HOT_EVERY + 1] = pool;
    }
}

static void add_text(struct request *request, const char *text, size_t length)
{
    memcpy(request->text + request->length, text, length);
    request->length += length;
}

static void add_address(struct request *request, unsigned place, const char *address)
{
    if (place > 0)
        add_text(request, ",", 1);
    add_text(request, address, CROWD_TEXT);
}

/* 30 cold tokens, in turn. */
static void add_tokens(struct request *request)
{
    static const char path[] = "GET /tokens/v1/solana/";
    add_text(request, path, sizeof path - 1);
    for (unsigned i = 0; i < ADDRESSES_MAX; i++) {
        bare.next_cold = (bare.next_cold + 1) % bare.tokens;
        if (crowd_is_hot(bare.next_cold))
            bare.next_cold = (bare.next_cold + 1) % bare.tokens;
        add_address(request, i, bare.mints[bare.next_cold]);
    }
}

/* As many hot tokens as fit with all their pools, in turn. */
static void add_pools(struct request *request)
{
    static const char path[] = "GET /latest/dex/pairs/solana/";
    uint32_t hot = bare.tokens / CROWD_HOT_EVERY;
    unsigned count = 0;
    add_text(request, path, sizeof path - 1);
    while (true) {
        uint32_t token = bare.next_hot % hot;
        uint32_t first = bare.first_pool[token], end = bare.first_pool[token + 1];
        if (count + (end - first) > ADDRESSES_MAX)
            return;
        for (uint32_t i = first; i < end; i++)
            add_address(request, count++, bare.pools[i]);
        bare.next_hot++;
    }
}

static void write_request(struct request *request)
{
    static const char headers[] = " HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n";
    static const char gzip[] = "Accept-Encoding: gzip\r\n";
    bool is_refresh = bare.kind == REFRESH || (bare.kind == MIX && bare.sent % 2 == 1);
    request->length = 0;
    if (is_refresh)
        add_pools(request);
    else
        add_tokens(request);
    add_text(request, headers, sizeof headers - 1);
    if (bare.is_tls)
        add_text(request, gzip, sizeof gzip - 1);
    add_text(request, "\r\n", 2);
    bare.sent++;
}

/* A request is smaller than any socket's buffer. */
static void send_request(struct connection *connection)
{
    struct request request;
    write_request(&request);
    bool sent =
        connection->tls == NULL
            ? send(connection->fd, request.text, request.length, MSG_NOSIGNAL) ==
                  (ssize_t)request.length
            : SSL_write(connection->tls, request.text, (int)request.length) == (int)request.length;
    if (!sent)
        fail("a request cannot be sent");
}

/* ---- rows ---- */

static void execute(const char *sql)
{
    if (sqlite3_exec(bare.db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail(sqlite3_errmsg(bare.db));
}

static sqlite3_stmt *prepare(const char *sql)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v3(bare.db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) !=
        SQLITE_OK)
        fail(sqlite3_errmsg(bare.db));
    return statement;
}

static void open_database(const char *path)
{
    if (sqlite3_open(path, &bare.db) != SQLITE_OK)
        fail("no database");
    execute("PRAGMA page_size=16384; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
            "CREATE TABLE refresh(seq INTEGER PRIMARY KEY, token TEXT NOT NULL,"
            " at INTEGER NOT NULL, name TEXT NOT NULL, symbol TEXT NOT NULL,"
            " status TEXT NOT NULL, state BLOB NOT NULL)");
    bare.begin = prepare("BEGIN");
    bare.append = prepare("INSERT INTO refresh VALUES(?,?,?,?,?,?,?)");
    bare.commit = prepare("COMMIT");
    sqlite3_step(bare.begin);
    sqlite3_reset(bare.begin);
}

static void commit(void)
{
    if (sqlite3_step(bare.commit) != SQLITE_DONE)
        fail(sqlite3_errmsg(bare.db));
    sqlite3_reset(bare.commit);
    sqlite3_step(bare.begin);
    sqlite3_reset(bare.begin);
}

static void bind_text(int column, struct bare_text text)
{
    sqlite3_bind_text(bare.append, column, text.bytes, (int)text.length, SQLITE_STATIC);
}

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* One token's pairs: figures of the first, sums over all. */
static void append_row(const struct bare_pair *pairs, int count)
{
    double figures[FIGURES] = {pairs->price_usd, pairs->market_cap_usd, pairs->change_m5_percent,
                               pairs->change_h1_percent, (double)pairs->created_at_ms};
    for (int i = 0; i < count; i++) {
        figures[5] += pairs[i].liquidity_usd;
        figures[6] += pairs[i].volume_m5_usd;
        figures[7] += pairs[i].volume_h1_usd;
        figures[8] += pairs[i].volume_h24_usd;
        figures[9] += (double)(pairs[i].buys_m5 + pairs[i].sells_m5);
        figures[10] += (double)(pairs[i].buys_h1 + pairs[i].sells_h1);
    }
    sqlite3_bind_int64(bare.append, 1, ++bare.rows);
    bind_text(2, pairs->mint);
    sqlite3_bind_int64(bare.append, 3, now_us());
    bind_text(4, pairs->name);
    bind_text(5, pairs->symbol);
    sqlite3_bind_text(bare.append, 6, "monitoring", -1, SQLITE_STATIC);
    sqlite3_bind_blob(bare.append, 7, figures, sizeof figures, SQLITE_STATIC);
    if (sqlite3_step(bare.append) != SQLITE_DONE)
        fail(sqlite3_errmsg(bare.db));
    sqlite3_reset(bare.append);
    if (bare.rows % ROWS_A_COMMIT == 0)
        commit();
}

static bool is_same(struct bare_text a, struct bare_text b)
{
    return a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0;
}

static void take_body(const char *body, size_t length)
{
    struct bare_pair pairs[BARE_PAIRS_MAX];
    int count = bare_parse(bare.parser, body, length, pairs);
    if (count <= 0)
        fail("an answer without pairs");
    for (int first = 0, i = 1; i <= count; i++) {
        if (i < count && is_same(pairs[i].mint, pairs[first].mint))
            continue;
        append_row(&pairs[first], i - first);
        bare.totals.tokens++;
        first = i;
    }
    bare.totals.pairs += (uint64_t)count;
    bare.totals.bytes += length;
    bare.totals.requests++;
}

/* ---- receiving ---- */

/* False: nothing more for now. */
static bool receive(struct connection *connection)
{
    char *at = connection->bytes + connection->length;
    size_t room = RECEIVE_MAX - BARE_PADDING - connection->length;
    ssize_t size = connection->tls == NULL ? recv(connection->fd, at, room, 0)
                                           : SSL_read(connection->tls, at, (int)room);
    bool is_later =
        connection->tls == NULL
            ? size < 0 && errno == EAGAIN
            : size <= 0 && SSL_get_error(connection->tls, (int)size) == SSL_ERROR_WANT_READ;
    if (is_later)
        return false;
    if (size <= 0)
        fail("a connection ended");
    connection->length += (size_t)size;
    return true;
}

/* Of the answer in the buffer, if it is whole. */
static const char *whole_body(const struct connection *connection, size_t *length)
{
    static const char key[] = "Content-Length: ";
    const char *end = memmem(connection->bytes, connection->length, "\r\n\r\n", 4);
    if (end == NULL)
        return NULL;
    if (memcmp(connection->bytes, "HTTP/1.1 200", 12) != 0)
        fail("an answer that is not 200");
    const char *value =
        memmem(connection->bytes, (size_t)(end - connection->bytes), key, sizeof key - 1);
    if (value == NULL)
        fail("an answer without its length");
    *length = strtoul(value + sizeof key - 1, NULL, 10);
    end += 4;
    return end + *length <= connection->bytes + connection->length ? end : NULL;
}

static void on_readable(struct connection *connection)
{
    size_t length;
    while (receive(connection)) {
        const char *body = whole_body(connection, &length);
        if (body == NULL)
            continue;
        send_request(connection); /* the upstream works on it while we do on this */
        connection->length = 0;
        if (bare.is_tls) {
            if (libdeflate_gzip_decompress(bare.decompressor, body, length, bare.body, BODY_MAX,
                                           &length) != LIBDEFLATE_SUCCESS)
                fail("a body that cannot be decompressed");
            body = bare.body;
        }
        take_body(body, length);
        if (connection->tls == NULL || SSL_pending(connection->tls) == 0)
            return;
    }
}

/* ---- connections ---- */

static void shake_hands(struct connection *connection)
{
    connection->tls = SSL_new(bare.context);
    if (connection->tls == NULL || SSL_set_fd(connection->tls, connection->fd) != 1 ||
        SSL_connect(connection->tls) != 1)
        fail("no TLS");
}

static void open_connection(struct connection *connection, unsigned port, int epoll)
{
    const int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(connection->fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("no connection");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bare.is_tls)
        shake_hands(connection);
    if (fcntl(connection->fd, F_SETFL, O_NONBLOCK) != 0)
        fail("no non-blocking socket");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event);
    send_request(connection);
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run(int epoll, double for_s)
{
    struct epoll_event events[CONNECTIONS];
    double until = seconds(CLOCK_MONOTONIC) + for_s;
    while (seconds(CLOCK_MONOTONIC) < until) {
        int count = epoll_wait(epoll, events, CONNECTIONS, 100);
        for (int i = 0; i < count; i++)
            on_readable(events[i].data.ptr);
    }
}

static void measure(int epoll, double for_s, const char *path)
{
    struct totals before = bare.totals;
    double cpu_s = seconds(CLOCK_PROCESS_CPUTIME_ID), wall_s = seconds(CLOCK_MONOTONIC);
    run(epoll, for_s);
    cpu_s = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_s;
    wall_s = seconds(CLOCK_MONOTONIC) - wall_s;
    FILE *file = fopen(path, "w");
    if (file == NULL)
        fail("the result cannot be written");
    fprintf(file, "%llu %llu %llu %.9f %.9f %llu\n",
            (unsigned long long)(bare.totals.tokens - before.tokens),
            (unsigned long long)(bare.totals.pairs - before.pairs),
            (unsigned long long)(bare.totals.requests - before.requests), cpu_s, wall_s,
            (unsigned long long)(bare.totals.bytes - before.bytes));
    if (fclose(file) != 0)
        fail("the result cannot be written");
}

static enum kind kind_named(const char *name)
{
    for (int i = SCREEN; i <= MIX; i++)
        if (strcmp(name, kind_names[i]) == 0)
            return (enum kind)i;
    fail("screen, refresh or mix");
    return MIX;
}

int main(int argc, char *argv[])
{
    if (argc != 9)
        fail("PORT plain|tls screen|refresh|mix WARM_S SECONDS TOKENS DATABASE RESULT");
    signal(SIGPIPE, SIG_IGN);
    bare.is_tls = strcmp(argv[2], "tls") == 0;
    bare.kind = kind_named(argv[3]);
    bare.tokens = (uint32_t)strtoul(argv[6], NULL, 10);
    bare.context = SSL_CTX_new(TLS_client_method());
    bare.decompressor = libdeflate_alloc_decompressor();
    bare.parser = bare_parser_create();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (bare.context == NULL || bare.decompressor == NULL || bare.parser == NULL || epoll < 0)
        fail("out of memory");
    prepare_texts();
    open_database(argv[7]);
    for (int i = 0; i < CONNECTIONS; i++)
        open_connection(&bare.connections[i], (unsigned)strtoul(argv[1], NULL, 10), epoll);
    run(epoll, strtod(argv[4], NULL));
    measure(epoll, strtod(argv[5], NULL), argv[8]);
    return 0;
}
