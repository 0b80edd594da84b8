/* See seeds.h. */
#include "sim/seeds.h"

#include <assert.h>
#include <poll.h>
#include <string.h>

#define WAIT_MS 100 /* between two looks at whether somebody stopped us */

struct batch {
    const struct seeds_setup *setup;
    struct seeds_sum *sum;
    uint64_t next;
    bool is_last_begun;
    struct sim_setup setups[SEEDS_AT_ONCE_MAX];
    struct apart runs[SEEDS_AT_ONCE_MAX];
    bool is_taken[SEEDS_AT_ONCE_MAX];
};

static void add_up(struct seeds_sum *sum, const struct apart_found *found)
{
    const struct sim_result *result = &found->result;
    sum->runs++;
    sum->failed += strcmp(result->verdict, "ok") != 0;
    sum->simulated_s += result->simulated_s;
    sum->faults += result->faults_injected;
    sum->deaths += result->deaths;
    sum->restarts += result->restarts;
    sum->hash += result->trace_hash * 0x9e3779b97f4a7c15ULL;
    for (int i = 0; i < SIM_FAULT_COUNT; i++)
        sum->injected[i] += result->injected[i];
    for (int i = 0; i < MARK_COUNT; i++)
        sum->reached[i] += found->reached[i];
}

static bool is_stopped(const struct batch *batch)
{
    return batch->setup->is_stopped != NULL && *batch->setup->is_stopped;
}

static enum err begin_next(struct batch *batch, unsigned slot)
{
    if (batch->is_last_begun || is_stopped(batch))
        return OK;
    batch->setups[slot] = batch->setup->each;
    batch->setups[slot].seed = batch->next;
    batch->is_last_begun = batch->next++ == batch->setup->last;
    enum err err = apart_begin(&batch->runs[slot], &batch->setups[slot], false);
    batch->is_taken[slot] = err == OK;
    return err;
}

static enum err end(struct batch *batch, unsigned slot)
{
    const struct seeds_setup *setup = batch->setup;
    struct apart *run = &batch->runs[slot];
    enum err err = apart_end(run);
    if (err == OK) {
        add_up(batch->sum, run->found);
        if (setup->on_run != NULL)
            setup->on_run(setup->context, &batch->setups[slot], run->found, batch->sum);
    }
    apart_finish(run);
    batch->is_taken[slot] = false;
    return err != OK ? err : begin_next(batch, slot);
}

/* One turn; false: none is under way. */
static bool turn(struct batch *batch, enum err *err)
{
    struct pollfd fds[SEEDS_AT_ONCE_MAX];
    bool is_idle = true;
    for (unsigned i = 0; i < batch->setup->at_once; i++) {
        is_idle = is_idle && !batch->is_taken[i];
        fds[i] = (struct pollfd){batch->is_taken[i] ? apart_fd(&batch->runs[i]) : -1, POLLIN, 0};
    }
    if (is_idle)
        return false;
    if (poll(fds, batch->setup->at_once, WAIT_MS) == 0 && batch->setup->on_wait != NULL)
        batch->setup->on_wait(batch->setup->context, batch->sum);
    for (unsigned i = 0; i < batch->setup->at_once && *err == OK; i++)
        if (batch->is_taken[i] && fds[i].revents != 0)
            *err = end(batch, i);
    return true;
}

enum err seeds_run(const struct seeds_setup *setup, struct seeds_sum *out)
{
    static struct batch batch; /* too large for a stack */
    enum err err = OK;
    assert(setup->first <= setup->last && setup->at_once >= 1 &&
           setup->at_once <= SEEDS_AT_ONCE_MAX);
    memset(out, 0, sizeof *out);
    memset(&batch, 0, sizeof batch);
    batch.setup = setup;
    batch.sum = out;
    batch.next = setup->first;
    for (unsigned i = 0; i < setup->at_once && err == OK; i++)
        err = begin_next(&batch, i);
    while (err == OK && !is_stopped(&batch) && turn(&batch, &err))
        ;
    for (unsigned i = 0; i < setup->at_once; i++)
        if (batch.is_taken[i])
            apart_finish(&batch.runs[i]);
    return err;
}
