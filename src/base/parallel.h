/*
 * Work in pieces, spread over the machine's cores. For a start, where everybody waits: the caller
 * works too, and the call returns when all is done. No pool of threads is kept.
 */
#ifndef MOONWATCH_BASE_PARALLEL_H
#define MOONWATCH_BASE_PARALLEL_H

#include <stdint.h>

/* More would only wait for memory. */
#define PARALLEL_THREADS_MAX 8

/* `worker`: the number of the thread that does it, below PARALLEL_THREADS_MAX. */
typedef void parallel_work(void *context, uint32_t worker, uint32_t piece);

/* Does pieces 0 … count − 1, each once, in any order, several at a time. Where no thread can be had
 * the caller does them all. */
void parallel_do(uint32_t count, parallel_work *work, void *context);

#endif
