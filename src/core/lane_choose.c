/*
 * The choice among the heads of the FIFOs. It is made once for each token that is refreshed, so it
 * is written for the processor: what a group and a query come to is worked out once a request, no
 * step divides where a product does, and the contest has no branch that cannot be foretold.
 */
#include "core/lane_parts.h"

#include "base/mark.h"

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
    MARK(PACED);
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

/* ---- keys ---- */

/* One scale of keys for all: bands that cannot overlap for ages up to decades. */
#define KEY_OVERDUE 1e60
#define KEY_WANTED  1e55
#define KEY_URGENT  1e50
#define KEY_ON_TIME 1e40
#define KEY_PACED   1e30
#define KEY_SPARE   1e-60

#define URGE_TENTHS 9 /* of the maximum age */

/* What a group and a query come to, worked out once a request, so that a head's key takes a few
 * multiplications. Ages are of the last answer, in microseconds. */
struct rule {
    enum lane_rank rank;
    int64_t due_from;
    int64_t on_time_to;   /* on time, where the budget can keep every target; else nobody is */
    int64_t urged_from;   /* INT64_MAX: it has no maximum */
    int64_t overdue_from; /* the same */
    int64_t lead, maximum;
    int64_t paced_to; /* a FIFO paced until then is behind its pace; INT64_MIN: there is none */
    double target_s, per_target, per_maximum;
};

static struct rule rule_for(const struct lane_group *group, const struct lane_query *query)
{
    int64_t target = group->target.us, maximum = group->maximum.us, lead = query->lead.us;
    bool is_normal = group->rank == RANK_NORMAL, has_maximum = maximum > 0;
    bool is_paced = is_normal && has_maximum && query->on_time_limit == 0;
    return (struct rule){
        .rank = group->rank,
        .due_from = target - lead,
        .on_time_to = is_normal ? (int64_t)((double)target * query->on_time_limit) : INT64_MIN,
        .urged_from = has_maximum ? maximum / 10 * URGE_TENTHS - lead : INT64_MAX,
        .overdue_from = has_maximum ? maximum - lead : INT64_MAX,
        .lead = lead,
        .maximum = maximum,
        .paced_to = is_paced ? query->now.us : INT64_MIN,
        .target_s = duration_to_s(group->target),
        .per_target = 1 / (double)target,
        .per_maximum = 1 / (double)maximum,
    };
}

/* Those that come near their maximum together (that is how a peak leaves them) cannot all be sent
 * at the last moment: heavier ones would wait for all of them. So from here on the index grows
 * beyond all bounds, and they are taken among others, the sooner the more there is to do. */
static double urge(const struct rule *rule, int64_t age)
{
    if (age <= rule->urged_from)
        return 1;
    double left = (double)(rule->maximum - rule->lead - age);
    return (double)rule->maximum * (1 - URGE_TENTHS / 10.0) / left;
}

static double index_for(const struct rule *rule, double weight, int64_t age)
{
    double age_s = (double)age * 1e-6, index = weight * age_s * age_s;
    /* A token just answered with a target of nothing has age 0: due all the same. */
    index = (index > 1e-18 ? index : 1e-18) * urge(rule, age);
    return rule->rank == RANK_SPARE ? index * KEY_SPARE : index;
}

/* How much the head of a FIFO wants to be next. Positive: due. Negative: may ride along. */
static double key_for(const struct lanes *lanes, const struct lane_query *query,
                      const struct rule *rule, unsigned fifo)
{
    token_id head = lanes->fifos[fifo].head;
    int64_t age = instant_diff(query->now, lanes->links[head].stamp).us;
    double weight = lanes->class_weights[fifo % LANE_CLASSES];
    if (age < rule->due_from)
        return (double)age * rule->per_target - 1;
    if (query->policy != NULL)
        return query->policy(&(struct lane_head){(double)age * 1e-6, rule->target_s, weight});
    if (age >= rule->overdue_from)
        return KEY_OVERDUE * (double)(age + rule->lead) * rule->per_maximum;
    if (rule->rank == RANK_WANTED)
        return KEY_WANTED * (1 + (double)age * 1e-6);
    if (rule->rank == RANK_URGENT)
        return KEY_URGENT * (1 + (double)age * 1e-6);
    if (age < rule->on_time_to)
        return KEY_ON_TIME * (1 + (double)age * rule->per_target);
    if (lanes->fifos[fifo].paced_until.us <= rule->paced_to)
        return KEY_PACED * (double)(age + rule->lead) * rule->per_maximum;
    return index_for(rule, weight, age);
}

/* ---- the contest ---- */

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

#define BLOCK        8 /* keys whose largest is kept; no block has FIFOs of two groups */
#define BLOCKS       (LANE_FIFOS / BLOCK)
#define GROUP_BLOCKS (LANE_CLASSES / BLOCK)

_Static_assert(LANE_CLASSES % BLOCK == 0, "a group's FIFOs are whole blocks");
_Static_assert(LANE_FIFOS <= 256, "a FIFO is one byte of a bid");

/* What a FIFO bids: its key's bits, brought into the order of integers, with the FIFO in their last
 * byte. The largest of integers is found without a branch; of equals it is the first FIFO's. */
typedef uint64_t bid;

#define BID_FIFO   UINT64_C(0xff)
#define BID_NOBODY UINT64_C(0)

static bid bid_for(double key)
{
    uint64_t bits;
    memcpy(&bits, &key, sizeof bits);
    uint64_t sign = bits >> 63;
    return (bits ^ (-sign | UINT64_C(1) << 63)) & ~BID_FIFO;
}

static unsigned bidder(bid best)
{
    return (unsigned)(BID_FIFO - (best & BID_FIFO));
}

static bid larger(bid a, bid b)
{
    return a > b ? a : b;
}

struct contest {
    struct rule rules[LANE_GROUPS_MAX];
    bid bids[LANE_FIFOS];
    bid best[BLOCKS];
    unsigned first_block, end_block; /* of the groups that take part */
};

static void judge_block(struct contest *contest, unsigned block)
{
    const bid *bids = &contest->bids[block * BLOCK];
    contest->best[block] = larger(larger(larger(bids[0], bids[1]), larger(bids[2], bids[3])),
                                  larger(larger(bids[4], bids[5]), larger(bids[6], bids[7])));
}

static void place_bid(struct contest *contest, unsigned fifo, bid bid_placed)
{
    contest->bids[fifo] = bid_placed;
    judge_block(contest, fifo / BLOCK);
}

static bid winner(const struct contest *contest)
{
    bid best = BID_NOBODY;
    for (unsigned block = contest->first_block; block < contest->end_block; block++)
        best = larger(best, contest->best[block]);
    return best;
}

static bid bid_by_head(const struct lanes *lanes, const struct lane_query *query,
                       const struct contest *contest, unsigned fifo)
{
    if (lanes->fifos[fifo].head == TOKEN_NONE)
        return BID_NOBODY;
    double key = key_for(lanes, query, &contest->rules[fifo / LANE_CLASSES], fifo);
    return bid_for(key) | (BID_FIFO - fifo);
}

/* Stores one by one: gcc would clear so little with an instruction that takes longer to begin. */
static void enter_group(const struct lanes *lanes, const struct lane_query *query,
                        struct contest *contest, unsigned group)
{
    const uint64_t all = UINT64_MAX >> (64 - LANE_CLASSES);
    unsigned first = group * LANE_CLASSES;
    contest->rules[group] = rule_for(&lanes->groups[group], query);
    for (uint64_t bits = ~lanes->occupied[group] & all; bits != 0; bits &= bits - 1)
        contest->bids[first + (unsigned)__builtin_ctzll(bits)] = BID_NOBODY;
    for (uint64_t bits = lanes->occupied[group]; bits != 0; bits &= bits - 1) {
        unsigned fifo = first + (unsigned)__builtin_ctzll(bits);
        contest->bids[fifo] = bid_by_head(lanes, query, contest, fifo);
    }
    for (unsigned i = 0; i < LANE_CLASSES; i += BLOCK)
        judge_block(contest, (first + i) / BLOCK);
}

static void leave_out(struct contest *contest, unsigned group)
{
    for (unsigned i = 0; i < GROUP_BLOCKS; i++)
        contest->best[group * GROUP_BLOCKS + i] = BID_NOBODY;
}

static void begin_contest(const struct lanes *lanes, const struct lane_query *query,
                          struct contest *contest)
{
    contest->first_block = BLOCKS;
    contest->end_block = 0;
    for (unsigned group = 0; group < LANE_GROUPS_MAX; group++) {
        if (!(query->groups >> group & 1) || lanes->occupied[group] == 0) {
            leave_out(contest, group);
            continue;
        }
        enter_group(lanes, query, contest, group);
        if (contest->end_block == 0)
            contest->first_block = group * GROUP_BLOCKS;
        contest->end_block = (group + 1) * GROUP_BLOCKS;
    }
}

size_t lanes_select(struct lanes *lanes, const struct lane_query *query, token_id *out)
{
    struct contest contest;
    size_t selected = 0;
    uint32_t left = query->slots;
    bid least = bid_for(0.0 - query->early); /* of the first, and more than that; never -0.0 */
    begin_paces(lanes, query);
    begin_contest(lanes, query, &contest);
    while (left > 0) {
        bid best = winner(&contest);
        if (best == BID_NOBODY || (selected == 0 && (best & ~BID_FIFO) <= least))
            break;
        unsigned fifo = bidder(best);
        token_id id = lanes->fifos[fifo].head;
        uint32_t cost = query->costs == NULL ? 1 : query->costs[id];
        if (cost > left && selected > 0) {
            place_bid(&contest, fifo, BID_NOBODY); /* does not fit any more; others may */
            continue;
        }
        if (query->on_time_limit == 0)
            keep_pace(&lanes->fifos[fifo], &lanes->groups[fifo / LANE_CLASSES], query->now);
        lanes_remove(lanes, id);
        out[selected++] = id;
        left -= cost < left ? cost : left;
        place_bid(&contest, fifo, bid_by_head(lanes, query, &contest, fifo));
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
    for (unsigned group = 0; group < LANE_GROUPS_MAX; group++) {
        if (groups >> group & 1 && lanes->occupied[group] != 0)
            next = instant_min(next, instant_add(lanes_oldest(lanes, group),
                                                 age_due(&lanes->groups[group], lead, early)));
    }
    return next;
}
