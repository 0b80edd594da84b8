/* See shrink.h. */
#include "sim/shrink.h"

#include "sim/apart.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HOURS_LEAST 0.05
#define HOURS_UNIT  0.01 /* so that they can be written down */

struct shrinking {
    struct shrunk *best;
    const char *verdict;
    void (*on_step)(void *context, const struct shrunk *so_far);
    void *context;
    enum err err;
};

/* True when the smaller one fails in the same way; then it is the best one. Its `dropped` is the
 * caller's. */
static bool try(struct shrinking *shrinking, const struct sim_setup *smaller)
{
    struct shrunk *best = shrinking->best;
    struct apart run;
    if (shrinking->err != OK || best->runs == SHRINK_RUNS_MAX)
        return false;
    best->runs++;
    shrinking->err = apart_run(&run, smaller, false);
    bool fails =
        shrinking->err == OK && apart_is_same(run.found->result.verdict, shrinking->verdict);
    if (fails) {
        const bool *dropped = best->setup.dropped;
        best->setup = *smaller;
        best->setup.dropped = dropped;
        memcpy(best->verdict, run.found->result.verdict, sizeof best->verdict);
    }
    apart_finish(&run);
    if (shrinking->on_step != NULL)
        shrinking->on_step(shrinking->context, best);
    return fails;
}

/* ---- kinds of faults ---- */

static void drop_kinds(struct shrinking *shrinking)
{
    for (int kind = 0; kind < sim_fault_kinds(shrinking->best->setup.nodes); kind++) {
        struct sim_setup smaller = shrinking->best->setup;
        smaller.faults &= ~SIM_FAULT_BIT(kind);
        if (smaller.faults != shrinking->best->setup.faults)
            (void)try(shrinking, &smaller);
    }
}

/* ---- hours ---- */

static double round_up(double hours)
{
    return fmax(HOURS_LEAST, ceil(hours / HOURS_UNIT) * HOURS_UNIT);
}

/* Halves; then a tenth less, for as long as that helps. */
static void cut_hours(struct shrinking *shrinking)
{
    static const double shares[] = {0.5, 0.75, 0.9};
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        struct sim_setup smaller;
        do {
            smaller = shrinking->best->setup;
            smaller.hours = round_up(smaller.hours * shares[i]);
        } while (smaller.hours < shrinking->best->setup.hours && try(shrinking, &smaller));
    }
}

/* ---- single faults ---- */

/* The numbers of those that are not left out. */
static size_t list_kept(const struct shrunk *shrunk, size_t *out)
{
    size_t count = 0;
    for (size_t i = 0; i < shrunk->occurrences; i++)
        if (!shrunk->dropped[i])
            out[count++] = i;
    return count;
}

static bool try_without(struct shrinking *shrinking, const size_t *kept, size_t from, size_t to)
{
    struct shrunk *best = shrinking->best;
    struct sim_setup smaller = best->setup;
    for (size_t i = from; i < to; i++)
        best->dropped[kept[i]] = true;
    smaller.dropped = best->dropped;
    if (try(shrinking, &smaller))
        return true;
    for (size_t i = from; i < to; i++)
        best->dropped[kept[i]] = false;
    return false;
}

static bool drop_pieces(struct shrinking *shrinking, size_t *kept, size_t pieces)
{
    size_t count = list_kept(shrinking->best, kept);
    bool has_dropped = false;
    for (size_t piece = 0; piece < pieces; piece++) {
        size_t from = count * piece / pieces, to = count * (piece + 1) / pieces;
        has_dropped = (from < to && try_without(shrinking, kept, from, to)) || has_dropped;
    }
    return has_dropped;
}

static void drop_occurrences(struct shrinking *shrinking)
{
    struct shrunk *best = shrinking->best;
    size_t *kept = calloc(best->occurrences + 1, sizeof *kept);
    if (kept == NULL) {
        shrinking->err = ERR_NO_MEMORY;
        return;
    }
    for (size_t pieces = 1;;) {
        size_t count = list_kept(best, kept);
        if (count == 0)
            break;
        pieces = pieces < count ? pieces : count;
        if (drop_pieces(shrinking, kept, pieces))
            continue; /* as coarse again, of what is left */
        if (pieces == count)
            break;
        pieces *= 2;
    }
    free(kept);
}

/* What was there before, and no more than the run has now. */
static void list_occurrences(struct shrinking *shrinking)
{
    struct shrunk *best = shrinking->best;
    const bool *before = best->setup.dropped;
    size_t count;
    struct sim_occurrence *list = sim_schedule(&best->setup, &count);
    bool *dropped = calloc(count + 1, sizeof *dropped);
    if (list == NULL || dropped == NULL) {
        shrinking->err = ERR_NO_MEMORY;
        free(dropped);
        free(list);
        return;
    }
    for (size_t i = 0; before != NULL && i < count; i++)
        dropped[i] = before[i];
    free(list);
    free(best->dropped);
    best->dropped = dropped;
    best->occurrences = count;
    best->setup.dropped = dropped;
}

/* ---- tokens ---- */

static void cut_tokens(struct shrinking *shrinking)
{
    static const uint32_t sizes[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct sim_setup smaller = shrinking->best->setup;
        if (smaller.tokens != 0 && sizes[i] >= smaller.tokens)
            return;
        smaller.tokens = sizes[i];
        if (try(shrinking, &smaller))
            return;
    }
}

/* ---- the interface ---- */

enum err shrink(const struct sim_setup *setup, const char *verdict,
                void (*on_step)(void *context, const struct shrunk *so_far), void *context,
                struct shrunk *out)
{
    struct shrinking shrinking = {
        .best = out, .verdict = verdict, .on_step = on_step, .context = context};
    *out = (struct shrunk){.setup = *setup};
    strncpy(out->verdict, verdict, sizeof out->verdict - 1);
    if (setup->dropped == NULL) { /* their numbers follow from the kinds */
        cut_hours(&shrinking);
        drop_kinds(&shrinking);
    }
    list_occurrences(&shrinking);
    cut_hours(&shrinking); /* the list of fewer hours begins in the same way */
    list_occurrences(&shrinking);
    if (shrinking.err == OK)
        drop_occurrences(&shrinking);
    cut_tokens(&shrinking);
    cut_hours(&shrinking);
    list_occurrences(&shrinking);
    return shrinking.err;
}

void shrunk_finish(struct shrunk *shrunk)
{
    free(shrunk->dropped);
    *shrunk = (struct shrunk){0};
}
