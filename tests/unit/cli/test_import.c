/* `moonwatch import` against a server that answers as it is told, and the lines it reads. */
#include "base/clock.h"
#include "cli/command.h"
#include "cli/import_lines.h"
#include "cli/progress.h"
#include <jansson.h>
#include <microhttpd.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MINT_A "BzqYzBGydDrwjnYVtWfupr8GFoSxpCQdTkjRppBKpump"
#define MINT_B "GoXKAKmBmUkQjSc5oq1qVsvYXgXdRLfK23FccKBvpump"

#define ANSWERS_MAX 8

/* The answers of a server in turn; NULL: counts as a real one does, all mints added. */
struct server {
    struct MHD_Daemon *daemon;
    uint16_t port;
    struct {
        unsigned status;
        const char *body;
    } answers[ANSWERS_MAX];
    unsigned answer_count;
    unsigned requests;
    unsigned drop_from; /* request number from which connections are dropped; 0: none */
    bool has_dropped;
    uint64_t mints;
    const char *wanted_token;
    char seen_token[64];
};

struct body {
    size_t length;
    char text[IMPORT_BATCH_MAX * 64];
};

/* --- The server ------------------------------------------------------------------------------- */

static enum MHD_Result put_answer(struct MHD_Connection *connection, unsigned status,
                                  const char *text)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result finish(struct server *server, struct MHD_Connection *connection,
                              const struct body *body)
{
    char text[128];
    unsigned lines = 0;
    unsigned turn = server->requests++;
    if (server->drop_from > 0 && turn >= server->drop_from) {
        __atomic_store_n(&server->has_dropped, true, __ATOMIC_RELEASE);
        return MHD_NO;
    }
    for (size_t i = 0; i < body->length; i++)
        lines += body->text[i] == '\n';
    if (turn < server->answer_count)
        return put_answer(connection, server->answers[turn].status, server->answers[turn].body);
    server->mints += lines;
    snprintf(text, sizeof text, "{\"added\":%u,\"known\":0,\"refused\":[]}", lines);
    return put_answer(connection, 200, text);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state)
{
    struct server *server = context;
    struct body *body = *state;
    (void)version;
    if (!body) {
        *state = calloc(1, sizeof *body);
        return *state ? MHD_YES : MHD_NO;
    }
    if (*size > 0) {
        if (body->length + *size > sizeof body->text)
            return MHD_NO;
        memcpy(body->text + body->length, data, *size);
        body->length += *size;
        *size = 0;
        return MHD_YES;
    }
    const char *token = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
    snprintf(server->seen_token, sizeof server->seen_token, "%s", token ? token : "");
    if (strcmp(url, "/tokens/import") != 0 || strcmp(method, "POST") != 0)
        return put_answer(connection, 404, "{\"detail\":\"not found\"}");
    return finish(server, connection, body);
}

static void on_done(void *context, struct MHD_Connection *connection, void **state,
                    enum MHD_RequestTerminationCode code)
{
    (void)context;
    (void)connection;
    (void)code;
    free(*state);
}

/* port 0: any */
static void start_server(struct server *server, uint16_t port)
{
    server->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, port, NULL, NULL, on_request,
                                      server, MHD_OPTION_NOTIFY_COMPLETED, on_done, NULL,
                                      MHD_OPTION_LISTENING_ADDRESS_REUSE, 1U, MHD_OPTION_END);
    assert_non_null(server->daemon);
    server->port = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

/* --- Running the verb ------------------------------------------------------------------------- */

struct run {
    char path[64];
    char out[16384]; /* its stdout */
    char err[16384];
};

static void write_input(struct run *run, const char *text)
{
    strcpy(run->path, "/tmp/moonwatch-import-XXXXXX");
    int fd = mkstemp(run->path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static int begin_capture(FILE *stream, FILE **into)
{
    fflush(stream);
    int kept = dup(fileno(stream));
    *into = tmpfile();
    assert_non_null(*into);
    dup2(fileno(*into), fileno(stream));
    return kept;
}

static void end_capture(FILE *stream, FILE *into, int kept, char out[16384])
{
    fflush(stream);
    dup2(kept, fileno(stream));
    close(kept);
    rewind(into);
    out[fread(out, 1, 16383, into)] = '\0';
    fclose(into);
}

static int import(struct run *run, const char *to, const char *patience, const char *token)
{
    char secret[64]; /* it is overwritten, as on a real command line */
    snprintf(secret, sizeof secret, "%s", token != NULL ? token : "");
    char *arguments[] = {(char *)"import",
                         run->path,
                         (char *)"--to",
                         (char *)(uintptr_t)to,
                         (char *)"--patience",
                         (char *)(uintptr_t)patience,
                         (char *)"--api-token",
                         secret,
                         NULL};
    arguments[token != NULL ? 8 : 6] = NULL;
    FILE *out, *err;
    int kept_out = begin_capture(stdout, &out);
    int kept_err = begin_capture(stderr, &err);
    int status = command_import(token ? 8 : 6, arguments);
    unsetenv("MOONWATCH_API_TOKEN");
    end_capture(stderr, err, kept_err, run->err);
    end_capture(stdout, out, kept_out, run->out);
    if (strncmp(run->path, "/tmp/moonwatch-import-", 22) == 0)
        unlink(run->path);
    return status;
}

static int import_to(struct run *run, const struct server *server, const char *token)
{
    char to[64];
    snprintf(to, sizeof to, "http://127.0.0.1:%u/", server->port);
    return import(run, to, "20", token);
}

static void assert_has(const char *text, const char *piece)
{
    if (!strstr(text, piece))
        fail_msg("no \"%s\" in: %s", piece, text);
}

/* --- Tests ------------------------------------------------------------------------------------ */

static void test_all_taken(void **state)
{
    struct server server = {0};
    struct run run;
    (void)state;
    start_server(&server, 0);
    write_input(&run, "\xEF\xBB\xBF" MINT_A "\r\n# comment\n\n  " MINT_B " # good");
    assert_int_equal(import_to(&run, &server, NULL), 0);
    assert_string_equal(run.out, "4 lines: 2 added, 0 known, 0 refused\n");
    assert_string_equal(run.err, "");
    assert_int_equal(server.mints, 2);
    assert_string_equal(server.seen_token, "");
    MHD_stop_daemon(server.daemon);
}

static void test_refused_lines(void **state)
{
    struct server server = {
        .answers = {{200, "{\"added\":0,\"known\":1,\"refused\":[{\"line\":2,\"reason\":\"bad\\n"
                          "luck\"}],\"refused_total\":1}"}},
        .answer_count = 1,
    };
    struct run run;
    (void)state;
    start_server(&server, 0);
    write_input(&run, "0OIl\n\n" MINT_A "\nshort\n" MINT_B "\n");
    assert_int_equal(import_to(&run, &server, "secret"), 1);
    char line[128];
    snprintf(line, sizeof line, "%s:1: ", run.path);
    assert_has(run.out, line);
    snprintf(line, sizeof line, "%s:4: ", run.path);
    assert_has(run.out, line);
    snprintf(line, sizeof line, "%s:5: bad luck\n", run.path);
    assert_has(run.out, line);
    assert_has(run.out, "5 lines: 0 added, 1 known, 3 refused\n");
    assert_string_equal(server.seen_token, "Bearer secret");
    MHD_stop_daemon(server.daemon);
}

static void test_batches(void **state)
{
    static char text[2500 * (sizeof MINT_A) + 1];
    struct server server = {0};
    struct run run;
    (void)state;
    for (int i = 0; i < 2500; i++)
        strcpy(text + (size_t)i * sizeof MINT_A, MINT_A "\n");
    start_server(&server, 0);
    write_input(&run, text);
    assert_int_equal(import_to(&run, &server, NULL), 0);
    assert_int_equal(server.requests, 3);
    assert_int_equal(server.mints, 2500);
    MHD_stop_daemon(server.daemon);
}

static void test_nobody_listens(void **state)
{
    struct server server = {0};
    struct run run;
    (void)state;
    start_server(&server, 0);
    MHD_stop_daemon(server.daemon);
    write_input(&run, MINT_A "\n");
    assert_int_equal(import_to(&run, &server, NULL), 2);
    assert_has(run.err, "no daemon listens at http://127.0.0.1:");
    assert_has(run.err, "moonwatch run");
    assert_has(run.err, "Stopped before line 1;");
}

/* What passes by itself is tried again; what an unfinished try has added was added by us. */
static void test_retries(void **state)
{
    struct server server = {
        .answers = {{429, "{\"detail\":\"slow down\"}"},
                    {503, "{\"detail\":\"stopped at line 2\",\"added\":1,\"known\":0,"
                          "\"refused\":[]}"},
                    {500, "<html>"},
                    {200, "{\"added\":1,\"known\":1,\"refused\":[]}"}},
        .answer_count = 4,
    };
    struct run run;
    (void)state;
    start_server(&server, 0);
    write_input(&run, MINT_A "\n" MINT_B "\n");
    assert_int_equal(import_to(&run, &server, NULL), 0);
    assert_has(run.out, "2 lines: 2 added, 0 known, 0 refused\n");
    assert_has(run.err, "429: slow down; trying again in 0.2 s");
    assert_has(run.err, "500; trying again in 0.8 s");
    MHD_stop_daemon(server.daemon);
}

/* The daemon drops what it was about to answer, is away for a while, and comes back. */
static void *restart(void *argument)
{
    struct server *server = argument;
    while (!__atomic_load_n(&server->has_dropped, __ATOMIC_ACQUIRE))
        usleep(1000);
    MHD_stop_daemon(server->daemon);
    usleep(300000);
    server->drop_from = 0;
    start_server(server, server->port);
    return NULL;
}

static void test_restart(void **state)
{
    static char text[5000 * (sizeof MINT_A) + 1];
    struct server server = {.drop_from = 2};
    struct run run;
    pthread_t thread;
    (void)state;
    for (int i = 0; i < 5000; i++)
        strcpy(text + (size_t)i * sizeof MINT_A, MINT_A "\n");
    start_server(&server, 0);
    write_input(&run, text);
    assert_int_equal(pthread_create(&thread, NULL, restart, &server), 0);
    assert_int_equal(import_to(&run, &server, NULL), 0);
    pthread_join(thread, NULL);
    assert_has(run.out, "5000 lines: 5000 added");
    assert_has(run.err, "trying again");
    MHD_stop_daemon(server.daemon);
}

static void test_what_never_passes(void **state)
{
    static const struct {
        unsigned status;
        const char *body, *message;
    } rows[] = {
        {401, "{\"detail\":\"wrong token\"}", "401: wrong token; give the daemon's api_token"},
        {403, "{}", "MOONWATCH_API_TOKEN"},
        {404, "nginx", "is this a Moonwatch?"},
        {413, "{\"detail\":\"too large\"}", "413: too large"},
        {200, "<html>", "no JSON"},
        {200, "[]", "no JSON"},
        {200, "{}", "do not add up"},
        {200, "{\"added\":5,\"known\":-4,\"refused\":[]}", "do not add up"},
        {200, "{\"added\":\"1\",\"known\":0,\"refused\":[]}", "do not add up"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct server server = {.answers = {{rows[i].status, rows[i].body}}, .answer_count = 1};
        struct run run;
        start_server(&server, 0);
        write_input(&run, MINT_A "\n");
        assert_int_equal(import_to(&run, &server, NULL), 2);
        assert_has(run.err, rows[i].message);
        assert_int_equal(server.requests, 1);
        MHD_stop_daemon(server.daemon);
    }
}

static void test_patience_ends(void **state)
{
    struct server server = {.answers = {{503, "{}"}, {503, "{}"}, {503, "{}"}, {503, "{}"}},
                            .answer_count = 4};
    struct run run;
    char to[64];
    (void)state;
    start_server(&server, 0);
    snprintf(to, sizeof to, "http://127.0.0.1:%u", server.port);
    write_input(&run, MINT_A "\n");
    assert_int_equal(import(&run, to, "0.5", NULL), 2);
    assert_has(run.err, "answers 503");
    MHD_stop_daemon(server.daemon);
}

static void test_bad_files(void **state)
{
    struct run run;
    (void)state;
    strcpy(run.path, "/nowhere/at/all");
    assert_int_equal(import(&run, "http://127.0.0.1:1", "1", NULL), 2);
    assert_has(run.err, "No such file");
    strcpy(run.path, "/usr");
    assert_int_equal(import(&run, "http://127.0.0.1:1", "1", NULL), 2);
    assert_has(run.err, "is a directory");
    write_input(&run, "# nothing\n");
    assert_int_equal(import(&run, "http://127.0.0.1:1", "1", NULL), 0);
    assert_has(run.out, "1 lines: 0 added");
}

static void count_refused(void *context, uint64_t line, const char *reason)
{
    assert_true(line > 0 && reason[0] != '\0');
    ++*(unsigned *)context;
}

static void test_long_lines(void **state)
{
    static struct import_batch batch;
    static char text[3 * IMPORT_LINE_MAX];
    unsigned refused = 0;
    (void)state;
    memset(text, 'x', sizeof text);
    memcpy(text + IMPORT_LINE_MAX + 10, "\n" MINT_A " #", sizeof MINT_A + 2); /* a long comment */
    struct import_lines lines = {
        .file = fmemopen(text, sizeof text, "r"), .on_refused = count_refused, .context = &refused};
    assert_int_equal(import_lines_read(&lines, &batch), 1);
    assert_int_equal(batch.lines[0], 2);
    assert_int_equal(refused, 1);
    assert_int_equal(lines.bytes, sizeof text);
    assert_int_equal(import_lines_read(&lines, &batch), 0);
    fclose(lines.file);
}

static void test_progress_text(void **state)
{
    static const struct {
        struct progress_state state;
        double elapsed_s;
        const char *text;
    } rows[] = {
        {{0, 0, 0, ""}, 0, "0 lines, 0/s"},
        {{100, 0, 0, ""}, 10, "100 lines, 10/s"},
        {{100, 50, 200, ""}, 10, " 25 %, 100 lines, 10/s, 0:30 left"},
        {{100, 200, 200, "3 refused"}, 10, "100 %, 100 lines, 10/s, 0:00 left; 3 refused"},
        {{100, 300, 200, ""}, 10, "100 %, 100 lines, 10/s, 0:00 left"},
        {{100, 1, 100, ""}, 10, "  1 %, 100 lines, 10/s, 16:30 left"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[160];
        size_t length = progress_text(&rows[i].state, "lines", duration_s(rows[i].elapsed_s), text);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(length, strlen(text));
    }
}

int main(void)
{
    unsetenv("MOONWATCH_API_TOKEN");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_taken),         cmocka_unit_test(test_refused_lines),
        cmocka_unit_test(test_batches),           cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_retries),           cmocka_unit_test(test_restart),
        cmocka_unit_test(test_what_never_passes), cmocka_unit_test(test_patience_ends),
        cmocka_unit_test(test_bad_files),         cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_progress_text),
    };
    return cmocka_run_group_tests_name("import", tests, NULL, NULL);
}
