/* The faults of a run. See the header. */
#include "sim/schedule.h"

#include "base/prng.h"
#include <math.h>
#include <stdlib.h>

#define DRAWN_SHARE    0.6 /* of the kinds, in a run */
#define FIRST_MEAN_S   600.0
#define GAP_MEAN_S     900.0
#define NODES_FIRST_S  60.0 /* of several nodes: they are over sooner */
#define NODES_GAP_S    240.0
#define GAP_SPREAD     1.5 /* powers of two, either way: how often differs from run to run */
#define LENGTH_MEAN_S  120.0
#define DARK_MEAN_S    20.0
#define SUSPEND_MEAN_S 300.0
#define STARVED_MEAN_S 10.0
#define LONG_MEAN_S    480.0 /* of what shows only after a while */
#define FIRST_CAPACITY 256

static const char *const names[SIM_FAULT_COUNT] = {
#define X(code, name) [code] = name,
    SIM_FAULT_LIST(X)
#undef X
};

const char *sim_fault_name(enum sim_fault fault)
{
    return fault < SIM_FAULT_COUNT ? names[fault] : "?";
}

int sim_fault_kinds(uint32_t nodes)
{
    return nodes > 0 ? (int)CLUSTER_FAULT_COUNT : (int)SIM_FAULT_COUNT;
}

const char *sim_fault_kind_name(uint32_t nodes, int kind)
{
    return nodes > 0 ? cluster_fault_name((enum cluster_fault)kind)
                     : sim_fault_name((enum sim_fault)kind);
}

double schedule_calm_from_s(const struct sim_setup *setup)
{
    double all_s = setup->hours * 3600;
    return all_s - fmin(all_s * SIM_CALM_SHARE, SIM_CALM_MAX_S);
}

/* Some faults only happen; others last. */
static double mean_length_s(enum sim_fault fault)
{
    switch ((int)fault) {
    case SIM_FAULT_RESTART:
    case SIM_FAULT_SETTINGS:
    case SIM_FAULT_FLOOD:
    case SIM_FAULT_CRASH:
    case SIM_FAULT_HANG:
    case SIM_FAULT_OPERATOR:
    case SIM_FAULT_STEP:
        return 0;
    case SIM_FAULT_POWER:
        return DARK_MEAN_S;
    case SIM_FAULT_SUSPEND:
        return SUSPEND_MEAN_S;
    case SIM_FAULT_STARVED:
        return STARVED_MEAN_S;
    case SIM_FAULT_FILLED:
    case SIM_FAULT_BACKLOG:
    case SIM_FAULT_DEAR:
    case SIM_FAULT_MEMORY:
    case SIM_FAULT_PLAGUE:
        return LONG_MEAN_S;
    default:
        return LENGTH_MEAN_S;
    }
}

struct list {
    struct sim_occurrence *items;
    size_t count, capacity;
};

static bool append(struct list *list, struct sim_occurrence occurrence)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? FIRST_CAPACITY : 2 * list->capacity;
        struct sim_occurrence *items = realloc(list->items, capacity * sizeof *items);
        if (items == NULL)
            return false;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = occurrence;
    return true;
}

/* All of one kind. */
static bool draw(const struct sim_setup *setup, enum sim_fault fault, struct list *list)
{
    struct prng prng;
    double end_s = schedule_calm_from_s(setup);
    bool of_nodes = setup->nodes > 0;
    double length_s =
        of_nodes ? cluster_fault_length_s((enum cluster_fault)fault) : mean_length_s(fault);
    prng_seed(&prng, setup->seed * SIM_FAULT_KINDS_MAX + (unsigned)fault + 0x5eedf0a17ULL);
    if (prng_unit(&prng) >= DRAWN_SHARE)
        return true;
    double gap_s =
        (of_nodes ? NODES_GAP_S : GAP_MEAN_S) * exp2(GAP_SPREAD * (2 * prng_unit(&prng) - 1));
    double from_s = prng_exponential(&prng, of_nodes ? NODES_FIRST_S : FIRST_MEAN_S);
    while (from_s < end_s) {
        double to_s = from_s + prng_exponential(&prng, 1) * length_s;
        struct sim_occurrence occurrence = {.fault = fault,
                                            .from_s = from_s,
                                            .to_s = fmin(to_s, end_s),
                                            .share = prng_unit(&prng),
                                            .seed = prng_next(&prng)};
        if (!append(list, occurrence))
            return false;
        from_s = to_s + prng_exponential(&prng, gap_s);
    }
    return true;
}

static int by_time(const void *a, const void *b)
{
    const struct sim_occurrence *x = a, *y = b;
    if (x->from_s != y->from_s)
        return x->from_s < y->from_s ? -1 : 1;
    return (int)x->fault - (int)y->fault;
}

/* A real database's writer cannot be made to forget, so with one nobody dies; and nobody restarts
 * an engine that was asked to rest for hours. */
#define OF_PROCESSES                                                                               \
    (SIM_FAULT_BIT(SIM_FAULT_RESTART) | SIM_FAULT_BIT(SIM_FAULT_POWER) |                           \
     SIM_FAULT_BIT(SIM_FAULT_CRASH) | SIM_FAULT_BIT(SIM_FAULT_HANG) |                              \
     SIM_FAULT_BIT(SIM_FAULT_ZOMBIE) | SIM_FAULT_BIT(SIM_FAULT_POISON) |                           \
     SIM_FAULT_BIT(SIM_FAULT_PLAGUE) | SIM_FAULT_BIT(SIM_FAULT_STARVED) |                          \
     SIM_FAULT_BIT(SIM_FAULT_STEP) | SIM_FAULT_BIT(SIM_FAULT_REST))

struct sim_occurrence *sim_schedule(const struct sim_setup *setup, size_t *count)
{
    struct list list = {.items = malloc(sizeof *list.items), .capacity = 1};
    uint64_t faults = setup->faults & ~(setup->database != NULL ? OF_PROCESSES : 0);
    *count = 0;
    if (list.items == NULL)
        return NULL;
    for (int fault = 0; fault < sim_fault_kinds(setup->nodes); fault++)
        if ((faults >> fault & 1) && !draw(setup, (enum sim_fault)fault, &list)) {
            free(list.items);
            return NULL;
        }
    qsort(list.items, list.count, sizeof *list.items, by_time);
    *count = list.count;
    return list.items;
}
