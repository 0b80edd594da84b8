/*
 * A cold start: everything is read from the store by a thread of its own, and put into the table by
 * the engine's. The first tokens are sent for while the others are still on their way.
 *
 *     cold_begin()     the reader starts
 *     cold_first()     waits for the first tokens and puts them into their lanes: the core can step
 *     cold_put()       puts what has come since, for a while; `on_news` (from the reader's thread)
 *                      says when it is time to
 *     cold_rest()      all have come: all into their lanes, unless cold_first() had them already
 *     cold_destroy()   in the middle, too: the reader is told to stop, and awaited
 *
 * Until all have come the store is the reader's: nobody else may touch it. The table says which
 * store it is of only then, so that an engine that dies before is followed by another cold start.
 */
#ifndef MOONWATCH_ENGINE_COLD_H
#define MOONWATCH_ENGINE_COLD_H

#include "base/time.h"
#include "engine/restore.h"

struct cold;

/* The table is empty. NULL: out of memory. `restore` must outlive it. */
struct cold *cold_begin(struct engine *engine, struct store *store, struct restore *restore,
                        void (*on_news)(void *context), void *context);
void cold_destroy(struct cold *cold);

/* ERR_CORRUPT as store_load() says it: the core is ready all the same. */
enum err cold_first(struct cold *cold, uint32_t tokens) MUST_CHECK;
bool cold_has_all(const struct cold *cold); /* they are in their lanes */

enum cold_progress { COLD_WAITING, COLD_MORE_AT_HAND, COLD_ALL_HERE };
enum cold_progress cold_put(struct cold *cold, duration most);
enum err cold_rest(struct cold *cold) MUST_CHECK;

#endif
