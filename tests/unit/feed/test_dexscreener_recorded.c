/* Every recorded answer, through the parser and through the client: pairs in are pairs out and
 * pairs refused, cause by cause. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feed/dexscreener.h"
#include "feed/dexscreener_recording.h"
#include "scripted_server.h"
#include <dirent.h>
#include <jansson.h>
#include <libdeflate.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORDINGS MOONWATCH_SOURCE_ROOT "/../shared/data/market/dexscreener_raw"
#define FILE_MAX   ((size_t)4 << 20)

struct recording {
    char *answer;
    size_t length;
    size_t pairs; /* by another parser's count */
};

static char *read_file(const char *name, size_t *length)
{
    char path[1024], *text = calloc(1, FILE_MAX);
    snprintf(path, sizeof(path), "%s/%s", RECORDINGS, name);
    FILE *file = fopen(path, "r");
    assert_true(file != NULL && text != NULL);
    *length = fread(text, 1, FILE_MAX, file);
    assert_in_range(*length, 1, FILE_MAX - 1);
    fclose(file);
    return text;
}

static size_t count_pairs(const struct recording *recording)
{
    json_t *root = json_loadb(recording->answer, recording->length, 0, NULL);
    json_t *pairs = json_is_array(root) ? root : json_object_get(root, "pairs");
    assert_non_null(pairs);
    size_t count = json_array_size(pairs);
    json_decref(root);
    return count;
}

/* False when the file is no answer of these routes, and then it says what it is. */
static bool load(const char *name, struct recording *out)
{
    char why[RECORDING_WHY_SIZE];
    size_t length;
    char *text = read_file(name, &length);
    enum err err = recording_find_answer(text, length, &out->answer, &out->length, why);
    free(text);
    if (err == OK) {
        out->pairs = count_pairs(out);
        return true;
    }
    assert_int_equal(err, ERR_NOT_FOUND);
    assert_true(strstr(name, "profiles") != NULL || strstr(name, "boosts") != NULL);
    assert_non_null(strstr(why, "\"body\" is a list of 30 objects"));
    return false;
}

static size_t refused(const uint32_t issues[PAIR_ISSUE_COUNT])
{
    size_t sum = 0;
    for (int i = 0; i < PAIR_FIRST_REMARK; i++)
        sum += issues[i];
    return sum;
}

/* Calls `each` with every recording; false where there are none. */
static bool for_each(void (*each)(const struct recording *recording, void *context), void *context)
{
    DIR *folder = opendir(RECORDINGS);
    struct dirent *entry;
    if (folder == NULL) {
        print_message("# skipped: no recorded data\n");
        return false;
    }
    while ((entry = readdir(folder)) != NULL) {
        struct recording recording;
        size_t length = strlen(entry->d_name);
        if (length < 5 || strcmp(entry->d_name + length - 5, ".json") != 0 ||
            !load(entry->d_name, &recording))
            continue;
        each(&recording, context);
        free(recording.answer);
    }
    closedir(folder);
    return true;
}

struct totals {
    size_t answers, pairs_in, pairs_out, refused;
    uint32_t issues[PAIR_ISSUE_COUNT];
};

static void parse_each(const struct recording *recording, void *context)
{
    struct totals *totals = context;
    struct answer_parser *parser = answer_parser_create();
    struct parsed_answer *parsed = calloc(1, sizeof(*parsed));
    assert_int_equal(answer_parse(parser, recording->answer, recording->length, "solana", parsed),
                     FEED_OK);
    assert_int_equal(parsed->pair_count + refused(parsed->issues), recording->pairs);
    totals->answers++;
    totals->pairs_in += recording->pairs;
    totals->pairs_out += parsed->pair_count;
    for (int i = 0; i < PAIR_ISSUE_COUNT; i++)
        totals->issues[i] += parsed->issues[i];
    free(parsed);
    answer_parser_destroy(parser);
}

static void test_parser(void **state)
{
    struct totals totals = {0};
    (void)state;
    if (!for_each(parse_each, &totals))
        return;
    print_message("# %zu answers, %zu pairs: %zu taken", totals.answers, totals.pairs_in,
                  totals.pairs_out);
    for (int i = 0; i < PAIR_ISSUE_COUNT; i++)
        if (totals.issues[i] > 0)
            print_message(", %u %s", totals.issues[i], pair_issue_name((enum pair_issue)i));
    print_message("\n");
    assert_true(totals.answers > 0);
    assert_int_equal(totals.pairs_in, totals.pairs_out + refused(totals.issues));
    assert_int_equal(totals.issues[PAIR_OTHER_CHAIN], refused(totals.issues));
}

/* No real answer may be cut anywhere and be taken for a whole one. */
static void cut_each(const struct recording *recording, void *context)
{
    struct answer_parser *parser = answer_parser_create();
    struct parsed_answer *parsed = calloc(1, sizeof(*parsed));
    size_t end = recording->length, step = 1 + recording->length / 4096;
    (void)context;
    while (end > 0 && strchr(" \r\n\t", recording->answer[end - 1]) != NULL)
        end--;
    for (size_t cut = 0; cut < end; cut += step) {
        char *body = calloc(1, cut + ANSWER_PADDING);
        memcpy(body, recording->answer, cut);
        assert_int_equal(answer_parse(parser, body, cut, "solana", parsed), FEED_MALFORMED);
        free(body);
    }
    free(parsed);
    answer_parser_destroy(parser);
}

static void test_cut_off(void **state)
{
    (void)state;
    for_each(cut_each, NULL);
}

struct client {
    uv_loop_t loop;
    struct scripted_server *server;
    struct feed *feed;
    size_t told, pairs;
};

static void on_answer(void *context, const struct feed_answer *answer)
{
    struct client *client = context;
    if (answer->outcome != FEED_OK)
        fail_msg("%s", answer->detail);
    client->told++;
    client->pairs += answer->parsed->pair_count;
}

static void push_gzip(struct client *client, const struct recording *recording)
{
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(6);
    size_t room = libdeflate_gzip_compress_bound(compressor, recording->length);
    char *packed = malloc(room);
    size_t length =
        libdeflate_gzip_compress(compressor, recording->answer, recording->length, packed, room);
    scripted_server_push_answer(client->server, "200 OK", "Content-Encoding: gzip\r\n", packed,
                                length);
    free(packed);
    libdeflate_free_compressor(compressor);
}

static void fetch_each(const struct recording *recording, void *context)
{
    struct client *client = context;
    struct feed_stats before, after;
    for (int packed = 0; packed < 2; packed++) {
        struct address address = {{1}};
        size_t told = client->told, pairs = client->pairs;
        scripted_server_clear(client->server);
        if (packed)
            push_gzip(client, recording);
        else
            scripted_server_push_answer(client->server, "200 OK", "", recording->answer,
                                        recording->length);
        feed_stats(client->feed, &before);
        assert_int_equal(feed_send(client->feed, LANE_SCREEN, &address, 1, 1), OK);
        while (client->told == told)
            uv_run(&client->loop, UV_RUN_ONCE);
        feed_stats(client->feed, &after);
        uint64_t lost = 0;
        for (int i = 0; i < PAIR_FIRST_REMARK; i++)
            lost += after.issues[i] - before.issues[i];
        assert_int_equal(client->pairs - pairs + lost, recording->pairs);
    }
}

static void test_client(void **state)
{
    struct client client = {0};
    struct options options;
    char why[OPTION_MESSAGE_SIZE] = "";
    (void)state;
    uv_loop_init(&client.loop);
    client.server = scripted_server_create(&client.loop);
    options_init(&options);
    snprintf(options.feed, sizeof(options.feed), "http://127.0.0.1:%u",
             scripted_server_port(client.server));
    client.feed =
        feed_create(&client.loop, &options,
                    &(struct feed_listener){.context = &client, .on_answer = on_answer}, why);
    assert_non_null(client.feed);
    for_each(fetch_each, &client);
    feed_destroy(client.feed, NULL);
    scripted_server_destroy(client.server);
    uv_run(&client.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&client.loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parser),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_client),
    };
    signal(SIGPIPE, SIG_IGN);
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
