/*
 * Where new tokens come from, but for the WebSocket: frames of PumpPortal, files that are read to
 * their end (feed/source_file.c) and files that are imported (cli/import_lines.c). The first byte
 * says which.
 */
#include "fuzz.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/import_lines.h"
#include "feed/source_file.h"

static uv_loop_t loop;
static struct options options;
static struct source *source;
static uint64_t tokens, refusals;

void fuzz_begin(void)
{
    log_setup(LOG_ERROR, LOG_FORMAT_JSON);
    options_init(&options);
    if (uv_loop_init(&loop) != 0)
        abort();
}

static void check_frame(const struct pumpportal_frame *frame)
{
    assert(frame->meaning < SOURCE_FRAME_COUNTS);
    assert(memchr(frame->text, '\0', sizeof frame->text) != NULL);
    assert(memchr(frame->token.name, '\0', sizeof frame->token.name) != NULL);
    assert(memchr(frame->token.symbol, '\0', sizeof frame->token.symbol) != NULL);
}

static void parse_frame(const struct input *input)
{
    struct pumpportal_frame frame;
    const char *bytes = (const char *)input->at;
    pumpportal_parse(bytes, input->left, &frame);
    check_frame(&frame);
    pumpportal_parse_recorded(bytes, input->left, &frame);
    check_frame(&frame);
    if (source_line_parse(bytes, input->left, &frame))
        check_frame(&frame);
}

/* A file's third is refused at first, and offered again; more would be a fuzzer that waits. */
static bool on_token(void *context, const struct source_token *token)
{
    static bool is_again;
    (void)context, (void)token;
    is_again = !is_again && tokens == 2;
    tokens += !is_again;
    return !is_again;
}

static void on_closed(void *context)
{
    (void)context;
    source = NULL;
}

static void read_file(const struct input *input)
{
    char path[FUZZ_PATH_SIZE], why[512];
    struct source_stats stats;
    int fd = fuzz_file(input->at, input->left, path);
    snprintf(options.source, sizeof options.source, "file:%s", path);
    tokens = 0;
    source = source_create(&loop, &options, on_token, NULL, why);
    assert(source != NULL);
    do {
        uv_run(&loop, UV_RUN_ONCE);
        source_stats(source, &stats);
    } while (stats.state != SOURCE_ENDED);
    assert(stats.counts[SOURCE_MIGRATIONS] == tokens);
    source_destroy(source, on_closed);
    while (source != NULL)
        uv_run(&loop, UV_RUN_ONCE);
    close(fd);
}

static void on_refused(void *context, uint64_t line, const char *reason)
{
    (void)context;
    assert(line > 0 && reason[0] != '\0');
    refusals++;
}

static void import_file(const struct input *input)
{
    static struct import_batch batch;
    char path[FUZZ_PATH_SIZE];
    int fd = fuzz_file(input->at, input->left, path);
    struct import_lines lines = {.file = fdopen(fd, "r"), .on_refused = on_refused};
    assert(lines.file != NULL);
    refusals = 0;
    while (import_lines_read(&lines, &batch) > 0) {
        assert(batch.count <= IMPORT_BATCH_MAX && batch.length <= sizeof batch.text);
        assert(batch.text[batch.length - 1] == '\n');
        assert(batch.lines[batch.count - 1] <= lines.line);
    }
    assert(lines.refused == refusals && lines.bytes == input->left);
    fclose(lines.file);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    switch (input_u8(&input) % 3) {
    case 0:
        parse_frame(&input);
        break;
    case 1:
        read_file(&input);
        break;
    default:
        import_file(&input);
    }
}
