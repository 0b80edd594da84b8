/*
 * What clients of the api send: the whole server, over a socket, with a made-up engine behind it.
 * The first byte says what the engine answers, whether the api asks for a token, and whether
 * something is wrong on the status page meanwhile; the second how long the pieces are in which the
 * bytes come.
 */
#include "page_areas.h"

#include "../unit/api/world.h"
#include "api/request.h"
#include "base/clock.h"
#include "base/log.h"
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/socket.h>

#define PATIENCE_MS 20
#define IS_PAGE_BAD 0x40 /* of the first byte */

static struct side {
    struct world world;
    int probe; /* a connection of our own */
} sides[2];

static void fill(struct world *world)
{
    for (uint32_t i = 1; i <= 12; i++)
        world_add(world, i, (enum token_status)(i % TOKEN_STATUS_COUNT), 0.05 * i);
    world_add(world, 13, TOKEN_MONITORING, (double)NAN);
    for (unsigned i = 0; i < 8; i++)
        log_ring_put(&world->page->log, &(struct log_entry){.at = {1700000000000000 + i},
                                                            .level = (enum log_level)(i % 4),
                                                            .writer = i % PROCESS_COUNT,
                                                            .logger = i % 2 ? "feed" : "store",
                                                            .text = "\"msg\":\"went well\"",
                                                            .length = 17});
}

void fuzz_begin(void)
{
    signal(SIGPIPE, SIG_IGN);
    log_setup(LOG_ERROR, LOG_FORMAT_JSON);
    world_start(&sides[0].world, "");
    world_start(&sides[1].world, "a-long-secret");
    for (int i = 0; i < 2; i++) {
        fill(&sides[i].world);
        sides[i].probe = http_connect(&sides[i].world);
    }
}

static void send_in_pieces(int fd, const struct input *input, size_t piece)
{
    size_t sent = 0;
    if (piece == 0 || input->left / piece > 64)
        piece = input->left;
    while (sent < input->left) {
        size_t left = input->left - sent;
        http_send(fd, (const char *)input->at + sent, left < piece ? left : piece);
        sent += left < piece ? left : piece;
    }
}

/* The HTTP thread has turned twice since: what it could answer, it has. */
static void wait_for_turns(struct side *side)
{
    static const char request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (int turns = 0; turns < 2; turns++) {
        char text[1024] = "";
        size_t length = 0;
        http_send(side->probe, request, sizeof request - 1);
        while (strstr(text, "}") == NULL) {
            ssize_t got = recv(side->probe, text + length, sizeof text - 1 - length, 0);
            if (got <= 0) { /* it was idle for too long */
                close(side->probe);
                side->probe = http_connect(&side->world);
                break;
            }
            length += (size_t)got;
            text[length] = '\0';
        }
    }
}

struct answers {
    char text[65536];
    size_t length;
    bool is_closed;
};

/* True: there was something. */
static bool read_some(int fd, struct answers *answers)
{
    static char rest[65536];
    bool any = false;
    while (!answers->is_closed) {
        size_t room = sizeof answers->text - 1 - answers->length;
        ssize_t got = recv(fd, room > 0 ? answers->text + answers->length : rest,
                           room > 0 ? room : sizeof rest, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            break;
        answers->is_closed = got <= 0;
        answers->length += room > 0 && got > 0 ? (size_t)got : 0;
        any = true;
    }
    answers->text[answers->length] = '\0';
    return any;
}

/* Until nothing is under way; what waits for more from us, or for events, never ends. */
static void read_answers(struct side *side, int fd)
{
    static struct answers answers;
    instant begun = clock_now();
    answers.length = 0;
    answers.is_closed = false;
    do {
        wait_for_turns(side);
        if (read_some(fd, &answers))
            begun = clock_now();
    } while (!answers.is_closed && side->world.api->requests_open > 0 &&
             strstr(answers.text, "text/event-stream") == NULL &&
             duration_to_ms(instant_diff(clock_now(), begun)) < PATIENCE_MS);
    assert(answers.length < 9 || memcmp(answers.text, "HTTP/1.", 7) == 0);
    assert(answers.length < 12 || memcmp(answers.text + 9, "500", 3) != 0);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    uint8_t how = input_u8(&input), piece = input_u8(&input);
    struct side *side = &sides[how >> 7];
    struct fake_engine *engine = &side->world.engine;
    static struct patches patches;
    size_t patch_count = how & IS_PAGE_BAD ? input_u8(&input) % 8 : 0;
    patches_apply(&patches, patch_count, &input, side->world.page, &page_areas);
    pthread_mutex_lock(&engine->lock);
    engine->result = (how & 0x3f) % (RESULT_UNAVAILABLE + 1);
    pthread_mutex_unlock(&engine->lock);
    int fd = http_connect(&side->world);
    send_in_pieces(fd, &input, piece);
    read_answers(side, fd);
    close(fd);
    wait_for_turns(side);
    patches_undo(&patches, side->world.page);
}
