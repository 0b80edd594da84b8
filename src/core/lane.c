/* Lanes: FIFOs sorted by age, and the choice among their heads. See the header. */
#include "core/lane_parts.h"

#include <assert.h>
#include <math.h>

/* One scale of keys for all: bands that cannot overlap for ages up to decades. */
#define KEY_OVERDUE 1e60
#define KEY_WANTED  1e55
#define KEY_URGENT  1e50
#define KEY_ON_TIME 1e40
#define KEY_PACED   1e30
#define KEY_SPARE   1e-60
#define KEY_NOBODY  (-1e300)

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
    lanes->occupied[index / 64] |= 1ULL << (index % 64);
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
        lanes->occupied[index / 64] &= ~(1ULL << (index % 64));
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

/* ---- choosing ---- */

static double index_policy(const struct lane_head *head)
{
    return head->weight * head->age_s * head->age_s;
}

#define URGE_TENTHS 9 /* of the maximum age */

/* Those that come near their maximum together (that is how a peak leaves them) cannot all be sent
 * at the last moment: heavier ones would wait for all of them. So from here on the index grows
 * beyond all bounds, and they are taken among others, the sooner the more there is to do. */
static double urge(const struct lane_group *group, duration age)
{
    int64_t maximum_us = group->maximum.us;
    if (maximum_us == 0 || age.us * 10 <= maximum_us * URGE_TENTHS)
        return 1;
    return (double)maximum_us * (1 - URGE_TENTHS / 10.0) / (double)(maximum_us - age.us);
}

/* ---- the pace ---- */

/* A peak leaves those of a FIFO as old as each other. The index takes none of them while it has
 * heavier ones to take, and then all of them at once, when they come near their maximum. So a FIFO
 * has a pace: its tokens, one after the other, within the maximum age. That is no more than the
 * index takes of them in the mean (the optimum is at most the maximum), only sooner. It begins when
 * the budget begins to be short. */
#define PACE_SLACK 0.1 /* of the maximum age: so far ahead of its pace or behind it is as good */

static void begin_pace(struct lanes *lanes, unsigned group, instant now)
{
    double slack_us = PACE_SLACK * (double)lanes->groups[group].maximum.us;
    for (unsigned i = 0; i < LANE_CLASSES; i++)
        lanes->fifos[group * LANE_CLASSES + i].paced_until =
            instant_add(now, duration_us((int64_t)slack_us));
    lanes->paced_groups |= 1U << group;
}

static void begin_paces(struct lanes *lanes, const struct lane_query *query)
{
    if (query->on_time_limit != 0)
        lanes->paced_groups &= ~query->groups;
    for (unsigned group = 0; group < LANE_GROUPS_MAX && query->on_time_limit == 0; group++)
        if ((query->groups & ~lanes->paced_groups) >> group & 1)
            begin_pace(lanes, group, query->now);
}

/* Once for each token that is chosen, so in plain comparisons. */
static void keep_pace(struct lane_fifo *fifo, const struct lane_group *group, instant now)
{
    double step_us = (double)group->maximum.us / fifo->count;
    double slack_us = PACE_SLACK * (double)group->maximum.us;
    double most_us = step_us > slack_us ? step_us : slack_us;
    double ahead_us = (double)instant_diff(fifo->paced_until, now).us;
    ahead_us = (ahead_us < -slack_us ? -slack_us : ahead_us) + step_us;
    ahead_us = ahead_us > most_us ? most_us : ahead_us;
    fifo->paced_until = instant_add(now, duration_us((int64_t)ahead_us));
}

static bool is_behind_pace(const struct lane_fifo *fifo, const struct lane_group *group,
                           const struct lane_query *query)
{
    return query->on_time_limit == 0 && group->rank == RANK_NORMAL && group->maximum.us > 0 &&
           fifo->paced_until.us <= query->now.us;
}

/* How much the head of a FIFO wants to be next. Positive: due. Negative: may ride along. */
static double key_for(const struct lanes *lanes, const struct lane_query *query, unsigned fifo)
{
    token_id head = lanes->fifos[fifo].head;
    if (head == TOKEN_NONE)
        return KEY_NOBODY;
    const struct lane_group *group = &lanes->groups[fifo / LANE_CLASSES];
    duration age = instant_diff(query->now, lanes->links[head].stamp);
    struct lane_head seen = {.age_s = duration_to_s(age),
                             .target_s = duration_to_s(group->target),
                             .weight = lanes->class_weights[fifo % LANE_CLASSES]};
    if (age.us + query->lead.us < group->target.us)
        return (seen.age_s - seen.target_s) / seen.target_s;
    if (query->policy != NULL)
        return query->policy(&seen);
    duration age_answered = duration_us(age.us + query->lead.us);
    if (group->maximum.us > 0 && age_answered.us >= group->maximum.us)
        return KEY_OVERDUE * (double)age_answered.us / (double)group->maximum.us;
    if (group->rank == RANK_WANTED)
        return KEY_WANTED * (1 + seen.age_s);
    if (group->rank == RANK_URGENT)
        return KEY_URGENT * (1 + seen.age_s);
    if (group->rank == RANK_NORMAL && seen.age_s < seen.target_s * query->on_time_limit)
        return KEY_ON_TIME * (1 + seen.age_s / seen.target_s);
    if (is_behind_pace(&lanes->fifos[fifo], group, query))
        return KEY_PACED * (double)age_answered.us / (double)group->maximum.us;
    /* A token just answered with a target of nothing has age 0: due all the same. */
    double index = fmax(index_policy(&seen), 1e-18) * urge(group, age_answered);
    return group->rank == RANK_SPARE ? index * KEY_SPARE : index;
}

/* A head has become known. In a large table links lie anywhere, and a chain of them can only be
 * followed at the pace of the memory; so each token was told, when another was appended behind it,
 * who comes LANE_AHEAD turns later, and that one's memory is asked for now. Always inline: gcc
 * takes a function that only prefetches for one that does nothing, and leaves out its calls. */
static inline __attribute__((always_inline)) void
look_ahead(const struct lanes *lanes, const struct lane_query *query, unsigned fifo)
{
    token_id later = lanes->links[lanes->fifos[fifo].head].ahead;
    lanes_prefetch(lanes, later);
    if (query->costs != NULL)
        __builtin_prefetch(&query->costs[later]);
}

struct contest {
    uint8_t fifos[LANE_FIFOS];
    double keys[LANE_FIFOS];
    size_t count;
};

static void gather(const struct lanes *lanes, const struct lane_query *query,
                   struct contest *contest)
{
    contest->count = 0;
    for (unsigned word = 0; word < LANE_FIFOS / 64; word++) {
        for (uint64_t bits = lanes->occupied[word]; bits != 0; bits &= bits - 1) {
            unsigned fifo = word * 64 + (unsigned)__builtin_ctzll(bits);
            if (!(query->groups >> (fifo / LANE_CLASSES) & 1))
                continue;
            contest->fifos[contest->count] = (uint8_t)fifo;
            contest->keys[contest->count++] = key_for(lanes, query, fifo);
        }
    }
}

static size_t winner(const struct contest *contest)
{
    size_t best = 0;
    for (size_t i = 1; i < contest->count; i++)
        if (contest->keys[i] > contest->keys[best])
            best = i;
    return best;
}

size_t lanes_select(struct lanes *lanes, const struct lane_query *query, token_id *out)
{
    struct contest contest;
    size_t selected = 0;
    uint32_t left = query->slots;
    begin_paces(lanes, query);
    gather(lanes, query, &contest);
    while (left > 0 && contest.count > 0) {
        size_t best = winner(&contest);
        double key = contest.keys[best];
        if (key == KEY_NOBODY || (selected == 0 && key <= -query->early))
            break;
        unsigned fifo = contest.fifos[best];
        token_id id = lanes->fifos[fifo].head;
        uint32_t cost = query->costs == NULL ? 1 : query->costs[id];
        if (cost > left && selected > 0) {
            contest.keys[best] = KEY_NOBODY; /* does not fit any more; others may */
            continue;
        }
        if (query->on_time_limit == 0)
            keep_pace(&lanes->fifos[fifo], &lanes->groups[fifo / LANE_CLASSES], query->now);
        lanes_remove(lanes, id);
        out[selected++] = id;
        left -= cost < left ? cost : left;
        contest.keys[best] = key_for(lanes, query, fifo);
        look_ahead(lanes, query, fifo);
    }
    return selected;
}

/* How old a group's tokens are when they may be sent: as lanes_select() sees it, to the
 * microsecond, or a caller would come in vain. */
static duration age_due(const struct lane_group *group, duration lead, double early)
{
    int64_t early_us = (int64_t)(early * (double)group->target.us) - 1;
    return duration_us(group->target.us - (early_us > lead.us ? early_us : lead.us));
}

instant lanes_next_due(const struct lanes *lanes, unsigned groups, duration lead, double early)
{
    instant next = INSTANT_FAR;
    for (unsigned word = 0; word < LANE_FIFOS / 64; word++) {
        for (uint64_t bits = lanes->occupied[word]; bits != 0; bits &= bits - 1) {
            unsigned fifo = word * 64 + (unsigned)__builtin_ctzll(bits);
            unsigned group = fifo / LANE_CLASSES;
            if (!(groups >> group & 1))
                continue;
            instant stamp = lanes->links[lanes->fifos[fifo].head].stamp;
            duration wait = age_due(&lanes->groups[group], lead, early);
            next = instant_min(next, instant_add(stamp, wait));
        }
    }
    return next;
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
    for (unsigned i = 0; i < LANE_CLASSES; i++) {
        token_id head = lanes->fifos[group * LANE_CLASSES + i].head;
        if (head != TOKEN_NONE)
            oldest = instant_min(oldest, lanes->links[head].stamp);
    }
    return oldest;
}
