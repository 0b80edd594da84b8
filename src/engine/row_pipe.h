/*
 * Rows on their way from the store to the table at a cold start: one thread reads and checks them,
 * another puts them into their slots, in the same order. Either is about half of the work.
 *
 * Rows travel in blocks, so that the two meet seldom. Where there is no memory or no thread for it,
 * the reader does both.
 */
#ifndef MOONWATCH_ENGINE_ROW_PIPE_H
#define MOONWATCH_ENGINE_ROW_PIPE_H

#include "store/store.h"

struct row_pipe;

/* `put` is called by the other thread; its false ends the work. NULL: do without. */
struct row_pipe *row_pipe_create(bool (*put)(void *context, const struct store_token *row),
                                 void *context);
/* Copies the row. False when `put` was false. */
bool row_pipe_push(struct row_pipe *pipe, const struct store_token *row);
/* Waits for what is under way, and frees. False when `put` was false once. */
bool row_pipe_destroy(struct row_pipe *pipe);

#endif
