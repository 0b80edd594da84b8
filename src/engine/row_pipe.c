#include "engine/row_pipe.h"

#include <pthread.h>
#include <stdlib.h>

#define BLOCK_ROWS 64 /* 170 KB at most */
#define BLOCKS     8  /* one being filled, one emptied; the rest absorbs what is uneven */

struct block {
    size_t count;
    struct store_token rows[BLOCK_ROWS];
};

struct row_pipe {
    bool (*put)(void *context, const struct store_token *row);
    void *context;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t filled, emptied; /* blocks, ever */
    bool is_ended, has_failed;
    struct block blocks[BLOCKS];
};

/* NULL: there will be no more. */
static struct block *next_filled(struct row_pipe *pipe)
{
    pthread_mutex_lock(&pipe->mutex);
    while (pipe->emptied == pipe->filled && !pipe->is_ended)
        pthread_cond_wait(&pipe->changed, &pipe->mutex);
    struct block *block =
        pipe->emptied == pipe->filled ? NULL : &pipe->blocks[pipe->emptied % BLOCKS];
    pthread_mutex_unlock(&pipe->mutex);
    return block;
}

static bool put_all(const struct row_pipe *pipe, const struct block *block)
{
    for (size_t i = 0; i < block->count; i++)
        if (!pipe->put(pipe->context, &block->rows[i]))
            return false;
    return true;
}

static void *empty_blocks(void *argument)
{
    struct row_pipe *pipe = argument;
    struct block *block;
    bool is_well = true;
    while ((block = next_filled(pipe)) != NULL) {
        is_well = is_well && put_all(pipe, block);
        pthread_mutex_lock(&pipe->mutex);
        pipe->has_failed = !is_well;
        pipe->emptied++;
        pthread_cond_signal(&pipe->changed);
        pthread_mutex_unlock(&pipe->mutex);
    }
    return NULL;
}

struct row_pipe *row_pipe_create(bool (*put)(void *context, const struct store_token *row),
                                 void *context)
{
    struct row_pipe *pipe = calloc(1, sizeof *pipe);
    if (pipe == NULL)
        return NULL;
    pipe->put = put;
    pipe->context = context;
    pthread_mutex_init(&pipe->mutex, NULL);
    pthread_cond_init(&pipe->changed, NULL);
    if (pthread_create(&pipe->thread, NULL, empty_blocks, pipe) == 0)
        return pipe;
    pthread_cond_destroy(&pipe->changed);
    pthread_mutex_destroy(&pipe->mutex);
    free(pipe);
    return NULL;
}

/* Hands the block being filled over and waits for room for the next. */
static bool hand_over(struct row_pipe *pipe)
{
    pthread_mutex_lock(&pipe->mutex);
    pipe->filled++;
    pthread_cond_signal(&pipe->changed);
    while (pipe->filled - pipe->emptied == BLOCKS)
        pthread_cond_wait(&pipe->changed, &pipe->mutex);
    pipe->blocks[pipe->filled % BLOCKS].count = 0;
    bool is_well = !pipe->has_failed;
    pthread_mutex_unlock(&pipe->mutex);
    return is_well;
}

bool row_pipe_push(struct row_pipe *pipe, const struct store_token *row)
{
    struct block *block = &pipe->blocks[pipe->filled % BLOCKS];
    struct store_token *copy = &block->rows[block->count++];
    memcpy(copy, row, offsetof(struct store_token, pools));
    memcpy(copy->pools, row->pools, row->token.pool_count * sizeof *row->pools);
    return block->count < BLOCK_ROWS || hand_over(pipe);
}

bool row_pipe_destroy(struct row_pipe *pipe)
{
    hand_over(pipe);
    pthread_mutex_lock(&pipe->mutex);
    pipe->is_ended = true;
    pthread_cond_signal(&pipe->changed);
    pthread_mutex_unlock(&pipe->mutex);
    pthread_join(pipe->thread, NULL);
    bool is_well = !pipe->has_failed;
    pthread_cond_destroy(&pipe->changed);
    pthread_mutex_destroy(&pipe->mutex);
    free(pipe);
    return is_well;
}
