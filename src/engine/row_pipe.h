/*
 * Rows on their way from the store to the table at a cold start: one thread reads and checks them,
 * the engine's puts them into their slots, in the same order. Either is about half of the work.
 *
 * Rows travel in blocks, so that the two meet seldom. The reader waits where all blocks are full,
 * so the taker may take its time.
 */
#ifndef MOONWATCH_ENGINE_ROW_PIPE_H
#define MOONWATCH_ENGINE_ROW_PIPE_H

#include "store/store.h"

#define ROWS_A_BLOCK 64 /* 170 KB at most */

struct row_block {
    size_t count;
    struct store_token rows[ROWS_A_BLOCK];
};

struct row_pipe;

/* `on_news` is called by the reader for each block that is full, and at the end. */
struct row_pipe *row_pipe_create(void (*on_news)(void *context), void *context);
void row_pipe_destroy(struct row_pipe *pipe);

/* The reader's. Copies the row; false: the taker wants no more. */
bool row_pipe_push(struct row_pipe *pipe, const struct store_token *row);
/* There will be no more. */
void row_pipe_end(struct row_pipe *pipe);

/* The taker's: the next block, whole and in order, until it is given back; NULL when there is none:
 * yet, where it does not wait, or any more. */
enum row_wait { ROWS_AT_HAND, ROWS_AWAITED };
const struct row_block *row_pipe_take(struct row_pipe *pipe, enum row_wait wait);
void row_pipe_give_back(struct row_pipe *pipe);
bool row_pipe_is_over(struct row_pipe *pipe);
/* It wants no more: whatever the reader pushes from here on is refused. */
void row_pipe_close(struct row_pipe *pipe);

#endif
