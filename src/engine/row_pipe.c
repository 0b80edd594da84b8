#include "engine/row_pipe.h"

#include <pthread.h>
#include <stdlib.h>

#define BLOCKS 8 /* one being filled, one emptied; the rest absorbs what is uneven */

struct row_pipe {
    void (*on_news)(void *context);
    void *context;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t filled, emptied; /* blocks, ever */
    bool is_ended, is_closed;
    struct row_block blocks[BLOCKS];
};

struct row_pipe *row_pipe_create(void (*on_news)(void *context), void *context)
{
    struct row_pipe *pipe = calloc(1, sizeof *pipe);
    if (pipe == NULL)
        return NULL;
    pipe->on_news = on_news;
    pipe->context = context;
    pthread_mutex_init(&pipe->mutex, NULL);
    pthread_cond_init(&pipe->changed, NULL);
    return pipe;
}

void row_pipe_destroy(struct row_pipe *pipe)
{
    if (pipe == NULL)
        return;
    pthread_cond_destroy(&pipe->changed);
    pthread_mutex_destroy(&pipe->mutex);
    free(pipe);
}

/* ---- the reader ---- */

/* Hands the block being filled over and waits for room for the next. */
static bool hand_over(struct row_pipe *pipe)
{
    pthread_mutex_lock(&pipe->mutex);
    pipe->filled++;
    pthread_cond_signal(&pipe->changed);
    pthread_mutex_unlock(&pipe->mutex);
    pipe->on_news(pipe->context);
    pthread_mutex_lock(&pipe->mutex);
    while (pipe->filled - pipe->emptied == BLOCKS && !pipe->is_closed)
        pthread_cond_wait(&pipe->changed, &pipe->mutex);
    bool is_wanted = !pipe->is_closed;
    pthread_mutex_unlock(&pipe->mutex);
    if (is_wanted)
        pipe->blocks[pipe->filled % BLOCKS].count = 0;
    return is_wanted;
}

bool row_pipe_push(struct row_pipe *pipe, const struct store_token *row)
{
    struct row_block *block = &pipe->blocks[pipe->filled % BLOCKS];
    struct store_token *copy = &block->rows[block->count++];
    memcpy(copy, row, offsetof(struct store_token, pools));
    memcpy(copy->pools, row->pools, row->token.pool_count * sizeof *row->pools);
    return block->count < ROWS_A_BLOCK || hand_over(pipe);
}

void row_pipe_end(struct row_pipe *pipe)
{
    pthread_mutex_lock(&pipe->mutex);
    if (!pipe->is_closed && pipe->blocks[pipe->filled % BLOCKS].count > 0)
        pipe->filled++;
    pipe->is_ended = true;
    pthread_cond_signal(&pipe->changed);
    pthread_mutex_unlock(&pipe->mutex);
    pipe->on_news(pipe->context);
}

/* ---- the taker ---- */

const struct row_block *row_pipe_take(struct row_pipe *pipe, enum row_wait wait)
{
    pthread_mutex_lock(&pipe->mutex);
    while (wait == ROWS_AWAITED && pipe->emptied == pipe->filled && !pipe->is_ended)
        pthread_cond_wait(&pipe->changed, &pipe->mutex);
    const struct row_block *block =
        pipe->emptied == pipe->filled ? NULL : &pipe->blocks[pipe->emptied % BLOCKS];
    pthread_mutex_unlock(&pipe->mutex);
    return block;
}

void row_pipe_give_back(struct row_pipe *pipe)
{
    pthread_mutex_lock(&pipe->mutex);
    pipe->emptied++;
    pthread_cond_signal(&pipe->changed);
    pthread_mutex_unlock(&pipe->mutex);
}

bool row_pipe_is_over(struct row_pipe *pipe)
{
    pthread_mutex_lock(&pipe->mutex);
    bool is_over = pipe->is_ended && pipe->emptied == pipe->filled;
    pthread_mutex_unlock(&pipe->mutex);
    return is_over;
}

void row_pipe_close(struct row_pipe *pipe)
{
    pthread_mutex_lock(&pipe->mutex);
    pipe->is_closed = true;
    pthread_cond_signal(&pipe->changed);
    pthread_mutex_unlock(&pipe->mutex);
}
