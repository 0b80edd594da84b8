/* Lanes: FIFOs sorted by age. The choice among their heads is lane_choose.c's. */
#include "core/lane_parts.h"

#include <assert.h>
#include <math.h>

void lanes_init(struct lanes *lanes, struct token_table *table, enum link_family family,
                double weight_min)
{
    memset(lanes, 0, sizeof *lanes);
    lanes->table = table;
    lanes->family = family;
    lanes->links = token_table_links(table, family);
    lanes->weight_min = weight_min;
    lanes->class_scale = exp2(1.0 / 6) / weight_min;
    for (int i = 0; i < LANE_CLASSES; i++)
        lanes->class_weights[i] = weight_min * exp2((double)i / 3);
    for (int i = 0; i < LANE_FIFOS; i++)
        lanes->fifos[i].due_before = LANE_NOT_COUNTED;
}

void lanes_set_group(struct lanes *lanes, unsigned group, struct lane_group settings)
{
    assert(group < LANE_GROUPS_MAX);
    if (lanes->groups[group].maximum.us != settings.maximum.us)
        lanes->paced_groups &= ~(1U << group); /* another pace */
    lanes->groups[group] = settings;
    for (unsigned i = 0; i < LANE_CLASSES; i++) {
        struct lane_fifo *fifo = &lanes->fifos[group * LANE_CLASSES + i];
        fifo->due_before = LANE_NOT_COUNTED;
        fifo->due_count = 0;
        fifo->due_cursor = fifo->head;
    }
}

/* The class whose weight is nearest, on the logarithmic scale, three to a power of two: read off
 * the exponent and the mantissa, since a start does it for everybody. */
static unsigned class_for(const struct lanes *lanes, double weight)
{
    double scaled = weight * lanes->class_scale;
    uint64_t bits, mantissa;
    if (!(weight > lanes->weight_min) || !(scaled >= 1))
        return 0;
    memcpy(&bits, &scaled, sizeof bits);
    mantissa = (bits & (UINT64_MAX >> 12)) | UINT64_C(1023) << 52;
    memcpy(&scaled, &mantissa, sizeof scaled);
    unsigned steps = ((unsigned)(bits >> 52) - 1023) * 3;
    steps += (scaled >= 0x1.428a2f98d728bp+0) + (scaled >= 0x1.965fea53d6e3dp+0);
    return steps >= LANE_CLASSES ? LANE_CLASSES - 1 : steps;
}

static struct lane_fifo *fifo_holding(struct lanes *lanes, token_id id)
{
    assert(lanes->links[id].fifo != 0);
    return &lanes->fifos[lanes->links[id].fifo - 1];
}

/* It stands at the end: the one that stands LANE_AHEAD turns before it is told. */
static void note_ahead(struct lanes *lanes, struct lane_fifo *fifo, token_id id)
{
    token_id *place = &fifo->newest[fifo->appended++ % LANE_AHEAD];
    lanes->links[*place].ahead = id;
    *place = id;
}

/* Links `id` in before `next`; TOKEN_NONE is the end. */
static void link_before(struct lanes *lanes, unsigned index, token_id id, token_id next)
{
    struct lane_fifo *fifo = &lanes->fifos[index];
    struct lane_link *link = &lanes->links[id];
    token_id prev = next == TOKEN_NONE ? fifo->tail : lanes->links[next].prev;
    link->next = next;
    link->prev = prev;
    *(prev == TOKEN_NONE ? &fifo->head : &lanes->links[prev].next) = id;
    *(next == TOKEN_NONE ? &fifo->tail : &lanes->links[next].prev) = id;
    lanes->links[id].fifo = (uint8_t)(index + 1);
    lanes->occupied[index / LANE_CLASSES] |= 1ULL << (index % LANE_CLASSES);
    fifo->count++;
    if (next == TOKEN_NONE)
        note_ahead(lanes, fifo, id);
    if (link->stamp.us <= fifo->due_before.us)
        fifo->due_count++;
    else if (next == fifo->due_cursor)
        fifo->due_cursor = id;
}

/* The token before which `stamp` belongs, after its equals. False: further than `steps` from both
 * ends. */
static bool find_place(const struct lanes *lanes, unsigned index, instant stamp, uint32_t steps,
                       token_id *before)
{
    token_id fore = lanes->fifos[index].head, back = lanes->fifos[index].tail;
    for (; steps > 0; steps--) {
        if (back == TOKEN_NONE || lanes->links[back].stamp.us <= stamp.us) {
            *before = back == TOKEN_NONE ? lanes->fifos[index].head : lanes->links[back].next;
            return true;
        }
        if (lanes->links[fore].stamp.us > stamp.us) {
            *before = fore;
            return true;
        }
        back = lanes->links[back].prev;
        fore = lanes->links[fore].next;
    }
    return false;
}

unsigned lane_fifo_index(const struct lanes *lanes, unsigned group, double weight)
{
    assert(group < LANE_GROUPS_MAX);
    return group * LANE_CLASSES + class_for(lanes, weight);
}

bool lanes_insert(struct lanes *lanes, token_id id, unsigned group, double weight, instant stamp)
{
    assert(lanes->links[id].fifo == 0);
    unsigned index = lane_fifo_index(lanes, group, weight);
    token_id before;
    if (!find_place(lanes, index, stamp, LANE_WALK_MAX, &before))
        return false;
    lane_set_stamp(&lanes->links[id], stamp);
    link_before(lanes, index, id, before);
    return true;
}

void lanes_put_back(struct lanes *lanes, token_id id, unsigned group, double weight)
{
    assert(lanes->links[id].fifo == 0);
    unsigned index = lane_fifo_index(lanes, group, weight);
    token_id before = TOKEN_NONE;
    /* Before its equals: it stood at the head. */
    instant just_before = {lanes->links[id].stamp.us - 1};
    bool found = find_place(lanes, index, just_before, UINT32_MAX, &before);
    assert(found);
    (void)found;
    link_before(lanes, index, id, before);
}

bool lanes_move(struct lanes *lanes, token_id id, unsigned group, double weight)
{
    unsigned index = lane_fifo_index(lanes, group, weight);
    token_id before;
    if (index + 1U == lanes->links[id].fifo)
        return true;
    if (!find_place(lanes, index, lanes->links[id].stamp, LANE_WALK_MAX, &before))
        return false;
    lanes_remove(lanes, id);
    link_before(lanes, index, id, before);
    return true;
}

void lanes_remove(struct lanes *lanes, token_id id)
{
    struct lane_fifo *fifo = fifo_holding(lanes, id);
    struct lane_link *link = &lanes->links[id];
    unsigned index = lanes->links[id].fifo - 1U;
    if (link->stamp.us <= fifo->due_before.us)
        fifo->due_count--;
    if (fifo->due_cursor == id)
        fifo->due_cursor = link->next;
    *(link->prev == TOKEN_NONE ? &fifo->head : &lanes->links[link->prev].next) = link->next;
    *(link->next == TOKEN_NONE ? &fifo->tail : &lanes->links[link->next].prev) = link->prev;
    lanes->links[id].fifo = 0;
    if (--fifo->count == 0)
        lanes->occupied[index / LANE_CLASSES] &= ~(1ULL << (index % LANE_CLASSES));
}

bool lanes_holds(const struct lanes *lanes, token_id id)
{
    return lanes->links[id].fifo != 0;
}

unsigned lanes_group_of(const struct lanes *lanes, token_id id)
{
    assert(lanes->links[id].fifo != 0);
    return (lanes->links[id].fifo - 1U) / LANE_CLASSES;
}

/* ---- counting ---- */

uint32_t lanes_count(const struct lanes *lanes, unsigned group)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < LANE_CLASSES; i++)
        count += lanes->fifos[group * LANE_CLASSES + i].count;
    return count;
}

static double interval_s(const struct lane_group *group, double weight, double on_time)
{
    double target = duration_to_s(group->target), maximum = duration_to_s(group->maximum);
    double stretched = target * fmax(1, sqrt(on_time / weight));
    return maximum > 0 ? fmin(stretched, fmax(maximum, target)) : stretched;
}

double lanes_need(const struct lanes *lanes, unsigned groups, double on_time)
{
    double need = 0;
    for (unsigned i = 0; i < LANE_FIFOS; i++) {
        const struct lane_group *group = &lanes->groups[i / LANE_CLASSES];
        uint32_t count = lanes->fifos[i].count;
        if (count > 0 && (groups >> (i / LANE_CLASSES) & 1) && group->rank == RANK_NORMAL)
            need += count / interval_s(group, lanes->class_weights[i % LANE_CLASSES], on_time);
    }
    return need;
}

instant lane_due_before(const struct lanes *lanes, unsigned group, instant now)
{
    return (instant){now.us - lanes->groups[group].target.us - 1};
}

static void advance_due(const struct lanes *lanes, struct lane_fifo *fifo, instant latest)
{
    if (latest.us <= fifo->due_before.us)
        return;
    fifo->due_before = latest;
    while (fifo->due_cursor != TOKEN_NONE && lanes->links[fifo->due_cursor].stamp.us <= latest.us) {
        fifo->due_count++;
        fifo->due_cursor = lanes->links[fifo->due_cursor].next;
    }
}

uint32_t lanes_count_due(struct lanes *lanes, unsigned group, instant now)
{
    uint32_t count = 0;
    instant latest = lane_due_before(lanes, group, now);
    for (unsigned i = 0; i < LANE_CLASSES; i++) {
        struct lane_fifo *fifo = &lanes->fifos[group * LANE_CLASSES + i];
        advance_due(lanes, fifo, latest);
        count += fifo->due_count;
    }
    return count;
}

uint32_t lanes_count_older(const struct lanes *lanes, unsigned group, instant stamp)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < LANE_CLASSES; i++) {
        token_id id = lanes->fifos[group * LANE_CLASSES + i].head;
        while (id != TOKEN_NONE && lanes->links[id].stamp.us <= stamp.us && count < LANE_WALK_MAX) {
            count++;
            id = lanes->links[id].next;
        }
    }
    return count;
}

instant lanes_oldest(const struct lanes *lanes, unsigned group)
{
    instant oldest = INSTANT_FAR;
    for (uint64_t bits = lanes->occupied[group]; bits != 0; bits &= bits - 1) {
        unsigned fifo = group * LANE_CLASSES + (unsigned)__builtin_ctzll(bits);
        oldest = instant_min(oldest, lanes->links[lanes->fifos[fifo].head].stamp);
    }
    return oldest;
}
