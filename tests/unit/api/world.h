/*
 * The world around the api under test: a token table, a status page, an engine that is a thread
 * answering commands as the test says, a store whose history is made up (fake_store.c), and an HTTP
 * client of plain sockets, so that a test can send what no library would.
 */
#ifndef MOONWATCH_TESTS_API_WORLD_H
#define MOONWATCH_TESTS_API_WORLD_H

#include "api/api.h"
#include "page/command.h"
#include "page/table_memory.h"
#include <pthread.h>

struct fake_engine {
    int fd;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t heard;
    struct world *world;
    bool is_mute;                      /* takes commands and answers nothing */
    bool is_deaf;                      /* does not even read */
    uint32_t result;                   /* what it answers; RESULT_CREATED by default */
    char message[OPTION_MESSAGE_SIZE]; /* with it */
    uint64_t commands;                 /* heard so far */
    struct command last;
};

struct world {
    struct table_memory memory;
    struct status_page *page;
    struct options options;
    struct fake_engine engine;
    struct api *api;
    uint16_t port;
};

/* `api_token` "" for none. Starts everything on a free port of 127.0.0.1. */
void world_start(struct world *world, const char *api_token);
void world_start_at(struct world *world, const char *api_token, const char *listen,
                    const char *store_url);
/* With a state folder, for incidents; "" for none. */
void world_start_with(struct world *world, const char *state_dir, int64_t heartbeat_deadline_ms);
/* With so many clients of /events allowed, in all and of one address. */
void world_start_for(struct world *world, int64_t clients_max, int64_t clients_per_address_max);
/* With an API token and pages of another origin that may read; "" for none. */
void world_start_open(struct world *world, const char *api_token, const char *cors_origin);
void world_stop(struct world *world);

/* Puts the default options and a healthy engine on the page. */
void world_fill_page(struct world *world);

/* Makes it one of three nodes of which the page tells: "berlin" (512 slots), this one, "paris"
 * (308, 4 of them draining), which has the source, and "oslo" (200), which leaves; 4 slots are
 * nobody's.
 */
void world_fill_cluster(struct world *world, struct page_cluster *out);

/* A mint made of a number. */
struct address world_mint(uint32_t number);
void world_mint_text(uint32_t number, char out[ADDRESS_TEXT_MAX + 1]);

/* Adds a token with data and the given score; NaN: without data yet. */
token_id world_add(struct world *world, uint32_t number, enum token_status status, double score);

/* A supervisor has started engine number `starts`, which is in that state. Before the first call
 * there is no supervisor. */
void world_engine_state(struct world *world, enum process_state state, uint64_t starts);

/* What the engine does from now on. */
enum engine_mood { ENGINE_ANSWERS, ENGINE_IS_MUTE, ENGINE_IS_DEAF };
void engine_become(struct world *world, enum engine_mood mood);
uint64_t engine_commands(struct world *world);

/* Waits until the engine has heard `count` commands; false after 10 s. */
bool engine_heard(struct world *world, uint64_t count);

/* ---- HTTP ---- */

struct answer_read {
    int status; /* 0: the connection ended before an answer */
    char *head; /* status line and headers; NUL-terminated */
    char *body; /* dechunked; NUL-terminated */
    size_t body_length;
};

int http_connect(const struct world *world);
void http_send(int fd, const char *bytes, size_t length);
/* One answer from a connection; `method` tells whether a body follows. */
struct answer_read http_read(int fd, const char *method);
void http_free(struct answer_read *answer);
/* The value of a header, in a buffer of the thread's; NULL: absent. */
const char *http_header(const struct answer_read *answer, const char *name);

/* One request on a connection of its own. `headers` are whole lines or NULL. */
struct answer_read http_ask(const struct world *world, const char *method, const char *target,
                            const char *headers, const char *body);

#endif
