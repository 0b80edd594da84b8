/* What the two sides of feed workers share: workers.c is the owner's, worker.c the thread's.
 * Private to them. */
#ifndef MOONWATCH_FEED_WORKER_H
#define MOONWATCH_FEED_WORKER_H

#include "feed/handoff.h"
#include "feed/workers.h"
#include <sys/queue.h>

/* The pairs of an answer. The thread makes one when it has none, so there are as many as answers
 * ever waited for the owner at once. */
struct answer_buffer {
    struct parsed_answer parsed;
    SLIST_ENTRY(answer_buffer) link;
};

SLIST_HEAD(buffer_list, answer_buffer);

/* A request under way. It is the owner's, the thread's, and the owner's again. */
struct errand {
    uint64_t request;
    enum lane_kind kind;
    size_t count, token_count;
    struct address addresses[REQUEST_ADDRESSES_MAX];
    struct address tokens[REQUEST_ADDRESSES_MAX];
    _Atomic bool is_cancelled; /* the owner says so while the thread has it */
    struct feed_answer answer;
    struct answer_buffer *buffer; /* of answer.parsed; NULL: none */
    char detail[FEED_DETAIL_SIZE];
    struct worker *worker;
    TAILQ_ENTRY(errand) owners_link, threads_link;
};

TAILQ_HEAD(errand_list, errand);

/* feed_stats, for another thread to read. */
struct worker_stats {
    _Atomic uint64_t requests, bytes_received, connections_opened;
    _Atomic uint64_t issues[PAIR_ISSUE_COUNT];
};

struct worker {
    const struct feed_workers_listener *listener; /* the owner's, and constant */
    struct options options;                       /* with its share of the connections */
    unsigned number;
    uv_thread_t thread;
    uv_async_t *news; /* wakes the owner */
    uv_sem_t *ready;  /* posted once, when it has a feed or is unfit */
    uv_async_t wake;  /* wakes the thread */
    _Atomic bool is_stopping, has_cancelled, has_ended;
    struct handoff errands, answers, buffers;
    struct worker_stats stats;
    bool is_unfit; /* it could not make a feed: `why` */
    char why[OPTION_MESSAGE_SIZE];

    /* The thread's. */
    uv_loop_t loop;
    struct feed *feed;
    uv_prepare_t before_waiting;
    uv_timer_t beat_timer;
    struct errand_list under_way;
    struct buffer_list spare_buffers;
    bool has_news, is_ending;
    uint64_t beat_at; /* by the loop's clock: ms */

    /* The owner's. */
    uint32_t load; /* errands that it has */
    bool is_wake_due;
};

/* What both sides need before there is a thread; then the thread. The worker must have been zeroed,
 * with its options and what leads back to its owner. ERR_NO_MEMORY: nothing is left to finish. */
enum err worker_init(struct worker *worker, uint32_t errands_max) MUST_CHECK;
enum err worker_start(struct worker *worker) MUST_CHECK;
/* The thread was joined. */
void worker_finish(struct worker *worker);

#endif
