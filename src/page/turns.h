/*
 * Something on the page that stands twice and changes by turns: the writer fills the one that is
 * not read, then the turn says which is the newest. Whole 64-bit words are copied, each atomically,
 * since a reader may still copy what is overwritten two turns later; then it sees that the turn has
 * changed and looks again. One writer, any number of readers, in any process; a dead writer leaves
 * the newest whole one to be read.
 */
#ifndef MOONWATCH_PAGE_TURNS_H
#define MOONWATCH_PAGE_TURNS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `both` are two of `size` bytes each, whole words; *turn 0: nothing was put yet. */
void turns_put(_Atomic uint64_t *turn, void *both, size_t size, const void *from);

/* The newest, and its turn: 0: nothing was put yet, and `to` is as the page began. False: it
 * changed during each of so many attempts. */
bool turns_take(const _Atomic uint64_t *turn, const void *both, size_t size, void *to, int attempts,
                uint64_t *taken);

#endif
