/*
 * Lanes: who is refreshed next. Freshness is the schedule; there are no timers and no due times.
 *
 * A token that is followed stands in one FIFO, with others of the same GROUP (what its target is)
 * and the same CLASS of weight over cost, in the order of its STAMP (when it was last answered). So
 * every FIFO is sorted by age for free and its head is its oldest. Whenever a request may be sent,
 * lanes_select() takes the heads with the largest
 *
 *     index = weight · age² / cost
 *
 * among those whose age has reached their group's target. That is the greedy rule for "minimise
 * the weighted mean age under a budget of requests" (Whittle's index for age of information:
 * Kadota et al., "Scheduling policies for minimizing age of information in broadcast wireless
 * networks", IEEE/ACM ToN 2018), whose optimum is τ = clamp(λ·√(cost/weight), target, maximum); it
 * needs no knowledge of capacity. While the budget cannot keep every target, no FIFO falls behind
 * the pace that takes all of its tokens within the maximum age: so those that a peak left as old as
 * each other are spread, and do not come due all at once. In the last tenth before the group's
 * maximum age the index grows beyond all bounds, so that nobody passes it while all maxima can be
 * kept; whoever would goes before all, by age over maximum, so that when they cannot be kept they
 * stretch together. A request that is not full takes along those that are nearest to their target:
 * a slot costs nothing.
 *
 * While the budget can keep every target (the caller knows), a heavy token that is late already
 * must not make a light one late that is not yet: those between their target and `on_time_limit`
 * times it go first then. In the mean this costs nothing, since the optimum is the target for
 * everybody.
 *
 * Tokens of about the same age come due together, again and again. So a caller who has the budget
 * may begin a request with those that are near their target, EARLY, when less is due than
 * there is to do in the mean: with each round a clump is spread a little further.
 *
 * A token that was selected is in no FIFO until it is inserted again: with a new stamp when it was
 * answered, with the old one when the request failed, which puts it back to the front.
 *
 * DEFERRED is a count (past the target and not selected), not a place to be forgotten in.
 *
 * A lane set covers the links of one family (token_table.h): the refresh and screen lanes share the
 * price family, so that a token can only be in one of them. Memory: the caller's.
 */
#ifndef MOONWATCH_CORE_LANE_H
#define MOONWATCH_CORE_LANE_H

#include "core/token_table.h"

#define LANE_CLASSES    48 /* of weight/cost, a factor of 2^(1/3) apart: 2^16 in all */
#define LANE_GROUPS_MAX 4
#define LANE_FIFOS      (LANE_GROUPS_MAX * LANE_CLASSES)
#define LANE_WALK_MAX   4096 /* steps that an insertion into the middle may take */
#define LANE_AHEAD      8    /* turns of a FIFO that a token's memory is asked for in advance */

/* Those that somebody waits for go first, then urgent ones, then those at their target, then spare
 * ones. */
enum lane_rank { RANK_WANTED, RANK_URGENT, RANK_NORMAL, RANK_SPARE };

struct lane_group {
    duration target;
    duration maximum; /* 0: none */
    enum lane_rank rank;
};

struct lane_fifo {
    token_id head, tail;
    instant paced_until; /* of paced_groups: enough have been taken up to here; see lane.c */
    uint32_t count;
    uint32_t due_count;  /* of those with a stamp ≤ due_before */
    token_id due_cursor; /* the first that is not among them; TOKEN_NONE: all are */
    instant due_before;
    token_id newest[LANE_AHEAD]; /* the last that were appended, in turn */
    uint32_t appended;
};

/* Orders the heads of those that are due; the largest goes first. For comparisons only: the daemon
 * uses the index. */
struct lane_head {
    double age_s, target_s;
    double weight; /* over cost; of the class */
};
typedef double lane_policy(const struct lane_head *head);

struct lanes {
    struct token_table *table;
    struct lane_link *links;
    double weight_min;
    double class_scale; /* a weight times this is 2^(class/3), rounded down */
    enum link_family family;
    struct lane_group groups[LANE_GROUPS_MAX];
    struct lane_fifo fifos[LANE_FIFOS];
    double class_weights[LANE_CLASSES];
    uint64_t occupied[LANE_GROUPS_MAX]; /* a bit for each class whose FIFO is not empty */
    unsigned paced_groups;              /* a bit for each whose budget is short */
};

/* `weight_min`: the smallest weight/cost; what is below it counts as it. */
void lanes_init(struct lanes *lanes, struct token_table *table, enum link_family family,
                double weight_min);

/* Takes effect with the next selection, whatever was inserted before. */
void lanes_set_group(struct lanes *lanes, unsigned group, struct lane_group settings);

/* Puts a token, which is in no FIFO of this set, at its place. False, and nothing changed, when
 * finding it would take more than LANE_WALK_MAX steps: the caller leaves the token where it was, or
 * gives it a newer stamp. New stamps and those of failed requests are found at once. */
bool lanes_insert(struct lanes *lanes, token_id id, unsigned group, double weight, instant stamp);

/* Puts a selected token back with the stamp it has, before its equals: its request failed, it is as
 * old as it was. Several keep their order when the last selected is put back first. */
void lanes_put_back(struct lanes *lanes, token_id id, unsigned group, double weight);

/* Moves a token that is held to where another group and weight want it, its stamp unchanged. False
 * as for lanes_insert(): it stays where it is. */
bool lanes_move(struct lanes *lanes, token_id id, unsigned group, double weight);

/* For a start, when nobody stands anywhere yet: says for each token of the table where it will
 * stand, in any order, by any number of threads; then lanes_sort(), with the last id. Equal stamps
 * stand in the order of their ids. It may be done again when others have been placed: who stands
 * somewhere keeps his group and weight, who was selected stays out. */
void lanes_place(struct lanes *lanes, token_id id, unsigned group, double weight, instant stamp);
void lanes_place_nowhere(struct lanes *lanes, token_id id);

/* `scratch`: lanes_scratch_size() bytes, or NULL, which takes ten times as long for a million. With
 * it those that are due at `now` are counted on the way. */
void lanes_sort(struct lanes *lanes, token_id last, instant now, void *scratch);
size_t lanes_scratch_size(token_id last);

/* A start that cannot look at everybody before somebody is sent for. lanes_recall(): who has waited
 * longest, by what a set before this one left in the links, of which nothing is believed but that
 * it may be so: whoever it names is to be looked at, and placed. At most `most`, in no order;
 * groups are set. lanes_sort_some(): these stand in their FIFOs; the others' links are not touched,
 * until all are placed and sorted. */
struct lane_recalled {
    double index; /* for comparisons only */
    token_id id;
};
size_t lanes_recall(const struct lanes *lanes, token_id last, instant now,
                    struct lane_recalled *out, size_t most);
void lanes_sort_some(struct lanes *lanes, const token_id *ids, size_t count, instant now);

void lanes_remove(struct lanes *lanes, token_id id);
/* This token is about to be inserted: asks for its memory, which in a large table has long left the
 * caches. */
static inline __attribute__((always_inline)) void lanes_prefetch(const struct lanes *lanes,
                                                                 token_id id)
{
    __builtin_prefetch(&lanes->links[id].stamp, 1);
    __builtin_prefetch(&lanes->links[id].fifo, 1); /* one in four lies in two lines */
}
bool lanes_holds(const struct lanes *lanes, token_id id);
unsigned lanes_group_of(const struct lanes *lanes, token_id id); /* that it is held in */

struct lane_query {
    instant now;
    duration lead;        /* how much before its target a token may be sent, to arrive on time */
    unsigned groups;      /* a bit for each group that this request serves */
    uint32_t slots;       /* addresses the request takes, ≤ REQUEST_ADDRESSES_MAX */
    const uint8_t *costs; /* slots a token takes, by id; NULL: one each */
    double on_time_limit; /* × target; 0: the budget cannot keep every target */
    double early;         /* share of its target that a token may be sent before it */
    lane_policy *policy;  /* NULL: the index */
};

/* Selects tokens for one request and takes them out. None, when nobody has reached its target, or
 * come as near to it as `early` says. */
size_t lanes_select(struct lanes *lanes, const struct lane_query *query, token_id *out);

/* When lanes_select() will find somebody; INSTANT_FAR: never, as things are. */
instant lanes_next_due(const struct lanes *lanes, unsigned groups, duration lead, double early);

uint32_t lanes_count(const struct lanes *lanes, unsigned group);
/* Tokens a second of these groups (a bit each) for whoever weighs `on_time` or more to keep the
 * target, and lighter ones √(on_time / weight) times it, as the index has them, but nobody more
 * than the maximum age. 0: for all to keep the target; INFINITY: for nobody to pass the maximum. */
double lanes_need(const struct lanes *lanes, unsigned groups, double on_time);
/* Those past their target; amortised O(1) a token. */
uint32_t lanes_count_due(struct lanes *lanes, unsigned group, instant now);
/* Those with a stamp at or before this one; stops counting at LANE_WALK_MAX. */
uint32_t lanes_count_older(const struct lanes *lanes, unsigned group, instant stamp);
/* The stamp of the oldest; INSTANT_FAR when the group is empty. */
instant lanes_oldest(const struct lanes *lanes, unsigned group);

#endif
