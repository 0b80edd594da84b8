/* Lanes: the order, the rule, what fits, the counts; and a naive reference that must agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/prng.h"
#include "core/lane.h"
#include "core/lane_kind.h"
#include "page/table_memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NOW         ((instant){1750000000000000LL})
#define WEIGHT_MIN  0.02
#define TOKENS_FEW  400
#define TOKENS_MANY 20000

static struct table_memory memory;
static struct lanes lanes;
static token_id chosen[REQUEST_ADDRESSES_MAX];

static instant ago(double seconds)
{
    return instant_add(NOW, duration_s(-seconds));
}

static struct lane_group group_of(double target_s, double maximum_s, enum lane_rank rank)
{
    return (struct lane_group){duration_s(target_s), duration_s(maximum_s), rank};
}

static void make_tokens(uint32_t count)
{
    int error;
    assert_true(table_memory_init(&memory, count, &error));
    for (uint32_t i = 1; i <= count; i++) {
        struct address mint = {{0}};
        memcpy(mint.bytes, &i, sizeof i);
        assert_int_equal(token_table_add(memory.table, &mint), i);
    }
    lanes_init(&lanes, memory.table, LINKS_PRICE, WEIGHT_MIN);
    lanes_set_group(&lanes, 0, group_of(15, 3600, RANK_NORMAL));
    lanes_set_group(&lanes, 1, group_of(45, 3600, RANK_NORMAL));
    lanes_set_group(&lanes, 2, group_of(900, 0, RANK_SPARE));
    lanes_set_group(&lanes, 3, group_of(0, 0, RANK_URGENT));
}

static int set_up(void **state)
{
    (void)state;
    make_tokens(TOKENS_FEW);
    return 0;
}

static int set_up_many(void **state)
{
    (void)state;
    make_tokens(TOKENS_MANY);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    table_memory_finish(&memory);
    return 0;
}

static struct lane_query ask(uint32_t slots)
{
    return (struct lane_query){.now = NOW, .groups = 15, .slots = slots};
}

static size_t pick(uint32_t slots)
{
    struct lane_query query = ask(slots);
    return lanes_select(&lanes, &query, chosen);
}

static void put(token_id id, unsigned group, double weight, double age_s)
{
    assert_true(lanes_insert(&lanes, id, group, weight, ago(age_s)));
}

static void expect_chosen(size_t count, const token_id *wanted, size_t wanted_count)
{
    assert_int_equal(count, wanted_count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(chosen[i], wanted[i]);
}
#define EXPECT(count, ...)                                                                         \
    expect_chosen(count, (const token_id[]){__VA_ARGS__},                                          \
                  sizeof((const token_id[]){__VA_ARGS__}) / sizeof(token_id))

static void oldest_first_within_a_class(void **state)
{
    (void)state;
    put(1, 0, 1, 20);
    put(2, 0, 1, 40);
    put(3, 0, 1, 30);
    put(4, 0, 1, 40); /* as old as 2, but came later */
    EXPECT(pick(30), 2, 4, 3, 1);
    assert_false(lanes_holds(&lanes, 2));
    assert_int_equal(pick(30), 0);
}

/* Another order than the index: for comparisons of policies (sim/freshness.h). */
static double youngest_first(const struct lane_head *head)
{
    return 1000 - head->age_s;
}

static void a_policy_of_anothers_decides(void **state)
{
    (void)state;
    put(1, 0, 1, 20);
    put(2, 0, 0.1, 40); /* of another class each: the heads of three FIFOs */
    put(3, 1, 1, 60);
    struct lane_query query = ask(30);
    query.policy = youngest_first;
    EXPECT(lanes_select(&lanes, &query, chosen), 1, 2, 3);
}

static void each_is_told_who_comes_some_turns_later(void **state)
{
    (void)state;
    const struct lane_link *links = token_table_links(memory.table, LINKS_PRICE);
    for (token_id id = 1; id <= 3 * LANE_AHEAD; id++)
        put(id, 0, 1, 60);
    put(100, 0, 1, 70); /* before all others: nobody is told */
    for (token_id id = 1; id <= 2 * LANE_AHEAD; id++)
        assert_int_equal(links[id].ahead, id + LANE_AHEAD);
    assert_int_equal(links[2 * LANE_AHEAD + 1].ahead, TOKEN_NONE);
}

static void largest_weight_times_age_squared_first(void **state)
{
    (void)state;
    put(1, 0, 1, 40);   /* 1600 */
    put(2, 0, 4.1, 21); /* 4 · 441: heavier beats older */
    put(3, 1, 1, 100);  /* 10000: older beats heavier */
    put(4, 1, 8, 30);   /* 7200, but not due before 45 s */
    EXPECT(pick(3), 3, 2, 1);
}

/* Each group by its own target, 15 and 45 s; the nearest goes first, and who rides along may be any
 * age. When it is said to be time, there is somebody. */
static void those_near_their_target_may_begin_early(void **state)
{
    (void)state;
    static const struct {
        double hot_s, cold_s, early;
        size_t selected;
        token_id first;
    } rows[] = {
        {13.6, 30, 0, 0, 0},       {13.6, 30, 0.05, 0, 0}, {13.6, 30, 0.1, 2, 1},
        {13.4, 30, 0.1, 0, 0},     {10, 40.6, 0.1, 2, 2},  {13.6, 44, 0.1, 2, 2},
        {13.6, 45, 0.1, 2, 2},     {15, 44.9, 0.1, 2, 1},  {13.500001, 1, 0.1, 2, 1},
        {13.499999, 1, 0.1, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put(1, 0, 1, rows[i].hot_s);
        put(2, 1, 1, rows[i].cold_s);
        instant due = lanes_next_due(&lanes, 15, duration_us(0), rows[i].early);
        struct lane_query query = ask(30);
        query.early = rows[i].early;
        assert_int_equal(lanes_select(&lanes, &query, chosen), rows[i].selected);
        assert_int_equal(due.us <= NOW.us, rows[i].selected > 0);
        if (rows[i].selected > 0)
            assert_int_equal(chosen[0], rows[i].first);
        for (token_id id = 1; id <= 2; id++)
            if (lanes_holds(&lanes, id))
                lanes_remove(&lanes, id);
    }
}

static void nobody_due_sends_nothing(void **state)
{
    (void)state;
    put(1, 0, 1, 14.999999);
    put(2, 1, 1, 44);
    assert_int_equal(pick(30), 0);
    assert_true(lanes_holds(&lanes, 1) && lanes_holds(&lanes, 2));
    assert_int_equal(lanes_next_due(&lanes, 15, duration_us(0), 0).us,
                     ago(14.999999).us + 15000000);
    assert_int_equal(lanes_next_due(&lanes, 1 << 2, duration_us(0), 0).us, INSTANT_FAR.us);
    struct lane_query early = ask(30);
    early.lead = duration_ms(1);
    assert_int_equal(lanes_select(&lanes, &early, chosen), 2); /* 1 is due, 2 rides along */
    assert_int_equal(chosen[0], 1);
}

static void overdue_before_all_by_age_over_maximum(void **state)
{
    (void)state;
    lanes_set_group(&lanes, 0, group_of(15, 60, RANK_NORMAL));
    lanes_set_group(&lanes, 1, group_of(45, 300, RANK_NORMAL));
    put(1, 0, 0.02, 61);  /* 1.02 of its maximum */
    put(2, 1, 0.02, 400); /* 1.33 */
    put(3, 0, 900, 59);   /* heaviest, not overdue */
    put(4, 3, 900, 1000); /* urgent */
    EXPECT(pick(30), 2, 1, 4, 3);
}

static void near_the_maximum_the_index_grows(void **state)
{
    (void)state;
    lanes_set_group(&lanes, 0, group_of(15, 100, RANK_NORMAL));
    put(1, 0, 1, 90);  /* 8100: a tenth of the maximum is left */
    put(2, 0, 4, 50);  /* 10000 */
    put(3, 0, 16, 30); /* 14400 */
    EXPECT(pick(2), 3, 2);
    put(2, 0, 4, 50);
    put(3, 0, 16, 30);
    lanes_remove(&lanes, 1);
    put(1, 0, 1, 95); /* 9025, twice */
    EXPECT(pick(2), 1, 3);
    put(1, 0, 1, 90);
    put(3, 0, 4096, 99.5); /* 4·10^7, twenty times */
    struct lane_query ahead = ask(1);
    ahead.lead = duration_s(10); /* answered at its maximum: it would pass it otherwise */
    assert_int_equal(lanes_select(&lanes, &ahead, chosen), 1);
    assert_int_equal(chosen[0], 3);
    assert_int_equal(lanes_select(&lanes, &ahead, chosen), 1);
    assert_int_equal(chosen[0], 1);
}

/* Ten light ones of one age, and a heavy one that is always due. The index alone would take none of
 * them before they are a thousand times as old; one a second of them must go. */
static void a_peak_is_worked_off_at_a_pace(void **state)
{
    (void)state;
    unsigned light = 0;
    lanes_set_group(&lanes, 0, group_of(1, 10, RANK_NORMAL));
    for (token_id id = 1; id <= 10; id++)
        put(id, 0, 0.02, 1.1);
    for (int half_second = 0; half_second < 16; half_second++) {
        struct lane_query query = ask(1);
        query.now = instant_add(NOW, duration_ms(500 * half_second));
        if (half_second > 0) /* one has been taken: the pace goes on from there */
            assert_true(lanes_insert(&lanes, 11, 0, 900, instant_add(query.now, duration_s(-1.4))));
        assert_int_equal(lanes_select(&lanes, &query, chosen), 1);
        light += chosen[0] != 11;
        assert_in_range(light, (unsigned)half_second / 2, (unsigned)half_second / 2 + 1);
        if (chosen[0] != 11) { /* answered at once */
            assert_true(lanes_insert(&lanes, chosen[0], 0, 0.02, query.now));
            if (half_second > 0)
                lanes_remove(&lanes, 11);
        }
    }
    assert_int_equal(light, 8);
}

static void urgent_first_spare_last_riders_after(void **state)
{
    (void)state;
    put(1, 0, 900, 50);
    put(2, 3, 0, 0); /* urgent at once */
    put(3, 3, 0, 5);
    put(4, 2, 900, 5000); /* spare and due */
    put(5, 1, 900, 10);   /* rides along, far from its target */
    put(6, 1, 0.02, 40);  /* rides along, nearest */
    put(7, 2, 900, 800);  /* spare, rides along: 0.89 of its target, as 6 is */
    EXPECT(pick(30), 3, 2, 1, 4, 6, 7, 5);
}

static void riders_alone_send_nothing_and_fill_what_is_sent(void **state)
{
    (void)state;
    put(1, 0, 1, 14);
    put(2, 0, 1, 10);
    assert_int_equal(pick(30), 0);
    put(3, 1, 1, 46);
    EXPECT(pick(2), 3, 1); /* the nearest to its target goes along */
}

static void only_groups_that_were_asked_for(void **state)
{
    (void)state;
    put(1, 0, 1, 50);
    put(2, 1, 1, 50);
    struct lane_query query = ask(30);
    query.groups = 1 << 1;
    size_t count = lanes_select(&lanes, &query, chosen);
    EXPECT(count, 2);
}

static void what_does_not_fit_is_passed_over(void **state)
{
    (void)state;
    static uint8_t costs[TOKENS_FEW + 1];
    costs[1] = 20;
    costs[2] = 20;
    costs[3] = 8;
    costs[4] = 3;
    costs[5] = 2;
    put(1, 0, 8, 50);
    put(2, 0, 4, 50); /* does not fit beside 1 */
    put(3, 0, 2, 50);
    put(4, 0, 1, 50); /* does not fit any more */
    put(5, 0, 0.5, 50);
    struct lane_query query = ask(30);
    query.costs = costs;
    size_t count = lanes_select(&lanes, &query, chosen);
    EXPECT(count, 1, 3, 5);
    count = lanes_select(&lanes, &query, chosen);
    EXPECT(count, 2, 4);
    costs[6] = 40; /* more than a request takes: goes alone, not never */
    put(6, 0, 1, 50);
    count = lanes_select(&lanes, &query, chosen);
    EXPECT(count, 6);
}

static void on_time_ones_go_first_while_all_can_be(void **state)
{
    (void)state;
    put(1, 0, 900, 40); /* late already, and heavy */
    put(2, 0, 0.02, 15.5);
    put(3, 1, 0.02, 48); /* nearer to being late than 2 */
    struct lane_query query = ask(30);
    query.on_time_limit = 1.1;
    size_t count = lanes_select(&lanes, &query, chosen);
    EXPECT(count, 3, 2, 1);
}

static void put_back_keeps_the_place(void **state)
{
    (void)state;
    put(1, 0, 1, 50);
    for (token_id id = 2; id <= 6; id++)
        put(id, 0, 1, 40); /* answered together */
    put(7, 0, 1, 30);
    EXPECT(pick(4), 1, 2, 3, 4);
    for (size_t i = 4; i-- > 0;)
        lanes_put_back(&lanes, chosen[i], 0, 1);
    EXPECT(pick(30), 1, 2, 3, 4, 5, 6, 7);
}

static void moves_with_its_age(void **state)
{
    (void)state;
    put(1, 1, 1, 100);
    put(2, 0, 1, 50);
    put(3, 0, 1, 200);
    assert_true(lanes_move(&lanes, 1, 0, 1));
    assert_true(lanes_move(&lanes, 1, 0, 1)); /* there already */
    assert_int_equal(lanes_group_of(&lanes, 1), 0);
    assert_int_equal(lanes_count(&lanes, 1), 0);
    assert_int_equal(lanes_oldest(&lanes, 1).us, INSTANT_FAR.us);
    assert_int_equal(lanes_oldest(&lanes, 0).us, ago(200).us);
    EXPECT(pick(30), 3, 1, 2);
}

static void an_interval_changes_with_the_next_selection(void **state)
{
    (void)state;
    put(1, 1, 1, 20);
    assert_int_equal(pick(30), 0);
    assert_int_equal(lanes_count_due(&lanes, 1, NOW), 0);
    lanes_set_group(&lanes, 1, group_of(19, 3600, RANK_NORMAL));
    assert_int_equal(lanes_count_due(&lanes, 1, NOW), 1);
    assert_true(lanes_next_due(&lanes, 15, duration_us(0), 0).us <= NOW.us);
    lanes_set_group(&lanes, 1, group_of(60, 3600, RANK_NORMAL));
    assert_int_equal(lanes_count_due(&lanes, 1, NOW), 0);
    lanes_set_group(&lanes, 1, group_of(19, 3600, RANK_NORMAL));
    EXPECT(pick(30), 1);
}

static void weights_beyond_the_classes_count_as_the_last(void **state)
{
    (void)state;
    put(1, 0, NAN, 20); /* the least class */
    put(2, 0, -1, 19);
    put(3, 0, 1e300, 18);
    put(4, 0, INFINITY, 17);
    EXPECT(pick(30), 3, 4, 1, 2);
}

/* `oldest_us`: the first token's stamp. */
static void sort_and_check(void *scratch, int64_t oldest_us)
{
    struct prng prng;
    prng_seed(&prng, 7);
    for (token_id id = 1; id <= TOKENS_FEW; id++)
        lanes_place(&lanes, id, 0, id % 3, ago(20 + (double)prng_below(&prng, 50)));
    lanes_place(&lanes, 1, 0, 1, (instant){oldest_us});
    lanes_place_nowhere(&lanes, 2);
    lanes_sort(&lanes, TOKENS_FEW, ago(20), scratch);
    uint32_t due = 0;
    for (token_id id = 1; id <= TOKENS_FEW; id++)
        due += lanes_holds(&lanes, id) && lanes.links[id].stamp.us < ago(20 + 15).us;
    assert_in_range(due, 1, TOKENS_FEW - 2);
    assert_int_equal(lanes_count_due(&lanes, 0, ago(20)), due);
    assert_int_equal(lanes_count_due(&lanes, 0, NOW), TOKENS_FEW - 1);
    assert_int_equal(lanes_oldest(&lanes, 0).us, oldest_us);
    uint32_t seen = 0;
    instant last[3] = {{INT64_MIN}, {INT64_MIN}, {INT64_MIN}};
    token_id last_id[3] = {0};
    for (size_t count; (count = pick(30)) > 0; seen += (uint32_t)count)
        for (size_t i = 0; i < count; i++) {
            token_id id = chosen[i];
            instant stamp = lanes.links[id].stamp;
            assert_true(last[id % 3].us <= stamp.us);
            if (last[id % 3].us == stamp.us)
                assert_true(last_id[id % 3] < id); /* equal stamps keep their order */
            last[id % 3] = stamp;
            last_id[id % 3] = id;
        }
    assert_int_equal(seen, TOKENS_FEW - 1);
    assert_false(lanes_holds(&lanes, 2));
}

static void sorts_what_was_placed(void **state)
{
    (void)state;
    sort_and_check(NULL, 1);
}

static void sorts_faster_with_memory(void **state)
{
    (void)state;
    void *scratch = malloc(lanes_scratch_size(TOKENS_FEW));
    sort_and_check(scratch, 1);
    free(scratch);
}

static void sorts_stamps_that_are_ages_apart(void **state)
{
    (void)state;
    void *scratch = malloc(lanes_scratch_size(TOKENS_FEW));
    sort_and_check(scratch, -(INT64_C(1) << 62));
    free(scratch);
}

static void nobody_is_sorted_too(void **state)
{
    (void)state;
    uint64_t scratch[2];
    lanes_sort(&lanes, 0, NOW, scratch);
    assert_int_equal(lanes_count(&lanes, 0), 0);
    lanes_place(&lanes, 1, 0, 1, ago(20));
    lanes_sort(&lanes, 1, NOW, scratch);
    EXPECT(pick(30), 1);
}

static int by_index(const void *a, const void *b)
{
    const struct lane_recalled *x = a, *y = b;
    return x->index > y->index ? -1 : x->index < y->index;
}

static void recalls_who_has_waited_longest(void **state)
{
    struct lane_recalled all[TOKENS_FEW], some[20];
    struct prng prng;
    (void)state;
    prng_seed(&prng, 3);
    for (token_id id = 1; id <= TOKENS_FEW; id++)
        lanes_place(&lanes, id, id % 2, exp(prng_unit(&prng) * 5), ago(prng_unit(&prng) * 100));
    size_t due = lanes_recall(&lanes, TOKENS_FEW, NOW, all, TOKENS_FEW);
    for (size_t i = 0; i < due; i++) {
        const struct lane_link *link = &lanes.links[all[i].id];
        assert_true(link->stamp.us < ago(all[i].id % 2 == 0 ? 15 : 45).us);
    }
    qsort(all, due, sizeof *all, by_index);
    assert_int_equal(lanes_recall(&lanes, TOKENS_FEW, NOW, some, 20), 20);
    qsort(some, 20, sizeof *some, by_index);
    for (size_t i = 0; i < 20; i++)
        assert_true(some[i].index == all[i].index);
    lanes_sort(&lanes, TOKENS_FEW, NOW, NULL);
    assert_int_equal(due, lanes_count_due(&lanes, 0, NOW) + lanes_count_due(&lanes, 1, NOW));
}

/* What was under way when the set before died goes first; what cannot be is left alone. */
static void recalls_from_whatever_lies_there(void **state)
{
    struct lane_recalled some[3];
    (void)state;
    for (token_id id = 1; id <= 5; id++)
        lanes_place(&lanes, id, 0, 50, ago(100 - id));
    lanes_place(&lanes, 6, 0, 1, ago(16));
    lanes_place_nowhere(&lanes, 6);
    lanes.links[1].fifo = 255;
    lanes.links[2].stamp = ago(-100);
    lanes.links[3].stamp.us = INT64_MIN;
    assert_int_equal(lanes_recall(&lanes, 6, NOW, some, 3), 3);
    qsort(some, 3, sizeof *some, by_index);
    assert_int_equal(some[0].id, 6);
    assert_int_equal(some[1].id, 4);
    assert_int_equal(some[2].id, 5);
    assert_int_equal(lanes_recall(&lanes, 0, NOW, some, 3), 0);
    assert_int_equal(lanes_recall(&lanes, 6, NOW, some, 0), 0);
}

static void some_stand_while_the_others_links_are_left_alone(void **state)
{
    static const token_id some[] = {9, 4, 7};
    (void)state;
    for (token_id id = 1; id <= 10; id++)
        lanes_place(&lanes, id, 0, 1, ago(20 + id));
    lanes_place_nowhere(&lanes, 7);
    lanes_sort_some(&lanes, some, 3, NOW);
    assert_int_equal(lanes_count(&lanes, 0), 2);
    assert_int_equal(lanes_count_due(&lanes, 0, NOW), 2);
    EXPECT(pick(1), 9);
    lanes_sort(&lanes, 10, NOW, NULL);
    assert_false(lanes_holds(&lanes, 9)); /* selected, it stays out */
    EXPECT(pick(30), 10, 8, 6, 5, 4, 3, 2, 1);
}

static void a_place_too_far_to_look_for_is_refused(void **state)
{
    (void)state;
    for (token_id id = 1; id < TOKENS_MANY; id++)
        put(id, 0, 1, TOKENS_MANY - id);
    assert_false(lanes_insert(&lanes, TOKENS_MANY, 0, 1, ago(TOKENS_MANY / 2)));
    assert_false(lanes_holds(&lanes, TOKENS_MANY));
    put(TOKENS_MANY, 1, 1, TOKENS_MANY / 2);
    assert_false(lanes_move(&lanes, TOKENS_MANY, 0, 1));
    assert_int_equal(lanes_group_of(&lanes, TOKENS_MANY), 1);
    lanes_remove(&lanes, TOKENS_MANY);
    put(TOKENS_MANY, 0, 1, LANE_WALK_MAX - 10); /* near enough to one end */
    lanes_remove(&lanes, TOKENS_MANY);
    put(TOKENS_MANY, 0, 1, TOKENS_MANY - LANE_WALK_MAX + 10); /* to the other */
    lanes_remove(&lanes, TOKENS_MANY);
    /* Putting back must not fail, however long it takes. */
    assert_true(lanes_insert(&lanes, TOKENS_MANY, 1, 1, ago(TOKENS_MANY / 2)));
    lanes_remove(&lanes, TOKENS_MANY);
    lanes_put_back(&lanes, TOKENS_MANY, 0, 1);
    assert_int_equal(lanes_count(&lanes, 0), TOKENS_MANY);
}

/* ---- the reference: the rule as it is written, over plain arrays ---- */

struct reference {
    uint16_t order[LANE_FIFOS][TOKENS_FEW];
    unsigned counts[LANE_FIFOS];
    int fifo_of[TOKENS_FEW + 1]; /* −1: in none */
    int64_t stamp[TOKENS_FEW + 1];
    int64_t target[LANE_GROUPS_MAX], maximum[LANE_GROUPS_MAX];
    enum lane_rank rank[LANE_GROUPS_MAX];
    uint8_t costs[TOKENS_FEW + 1];
    int64_t
        paced[LANE_FIFOS]; /* until when enough have been taken, of the groups that have a pace */
    bool is_paced[LANE_GROUPS_MAX];
};

static struct reference reference;

enum equals { BEFORE_EQUALS, AFTER_EQUALS };

static void reference_insert(token_id id, int fifo, int64_t stamp, enum equals where)
{
    unsigned at = 0;
    uint16_t *order = reference.order[fifo];
    while (at < reference.counts[fifo] &&
           (reference.stamp[order[at]] < stamp ||
            (where == AFTER_EQUALS && reference.stamp[order[at]] == stamp)))
        at++;
    memmove(&order[at + 1], &order[at], (reference.counts[fifo] - at) * sizeof *order);
    order[at] = (uint16_t)id;
    reference.counts[fifo]++;
    reference.fifo_of[id] = fifo;
    reference.stamp[id] = stamp;
}

static void reference_remove(token_id id)
{
    int fifo = reference.fifo_of[id];
    uint16_t *order = reference.order[fifo];
    unsigned at = 0;
    while (order[at] != id)
        at++;
    memmove(&order[at], &order[at + 1], (reference.counts[fifo] - at - 1) * sizeof *order);
    reference.counts[fifo]--;
    reference.fifo_of[id] = -1;
}

struct wish {
    /* 6 overdue, 5 urgent, 4 still on time, 3 behind the pace, 2 due, 1 spare, 0 rides along,
     * −1 nobody */
    int band;
    double value;
};

static struct wish reference_wish(int fifo, const struct lane_query *query)
{
    int group = fifo / LANE_CLASSES;
    if (reference.counts[fifo] == 0 || !(query->groups >> group & 1))
        return (struct wish){-1, 0};
    int64_t age = query->now.us - reference.stamp[reference.order[fifo][0]];
    double age_s = (double)age / 1e6, target_s = (double)reference.target[group] / 1e6;
    double weight = WEIGHT_MIN * exp2((double)(fifo % LANE_CLASSES) / 3);
    if (age + query->lead.us < reference.target[group])
        return (struct wish){0, (age_s - target_s) / target_s};
    double maximum = (double)reference.maximum[group], answered = (double)(age + query->lead.us);
    if (maximum > 0 && answered >= maximum)
        return (struct wish){6, answered / maximum};
    if (reference.rank[group] == RANK_URGENT)
        return (struct wish){5, age_s};
    if (reference.rank[group] == RANK_SPARE)
        return (struct wish){1, weight * age_s * age_s};
    if (age_s < target_s * query->on_time_limit)
        return (struct wish){4, age_s / target_s};
    if (maximum > 0 && query->on_time_limit == 0 && reference.paced[fifo] <= query->now.us)
        return (struct wish){3, answered / maximum};
    double urge =
        maximum > 0 && answered > 0.9 * maximum ? 0.1 * maximum / (maximum - answered) : 1;
    return (struct wish){2, weight * age_s * age_s * urge};
}

/* Its tokens, one after the other, within the maximum age; a tenth of that ahead or behind, or a
 * whole step ahead. */
static void reference_keep_pace(int fifo, int64_t now)
{
    double maximum = (double)reference.maximum[fifo / LANE_CLASSES];
    double ahead = (double)(reference.paced[fifo] - now), step = maximum / reference.counts[fifo];
    if (ahead < -0.1 * maximum)
        ahead = -0.1 * maximum;
    ahead += step;
    if (ahead > fmax(step, 0.1 * maximum))
        ahead = fmax(step, 0.1 * maximum);
    if (maximum > 0)
        reference.paced[fifo] = now + (int64_t)ahead;
}

/* When the budget begins to be short. */
static void reference_begin_pace(const struct lane_query *query)
{
    for (int group = 0; group < LANE_GROUPS_MAX; group++) {
        if (!(query->groups >> group & 1))
            continue;
        bool begins = query->on_time_limit == 0 && !reference.is_paced[group];
        for (int i = 0; i < LANE_CLASSES && begins; i++)
            reference.paced[group * LANE_CLASSES + i] =
                query->now.us + (int64_t)(0.1 * (double)reference.maximum[group]);
        reference.is_paced[group] = query->on_time_limit == 0;
    }
}

static size_t reference_select(const struct lane_query *query, token_id *out)
{
    reference_begin_pace(query);
    bool passed_over[LANE_FIFOS] = {false};
    size_t count = 0;
    for (uint32_t left = query->slots; left > 0;) {
        struct wish best = {-1, 0};
        int best_fifo = -1;
        for (int fifo = 0; fifo < LANE_FIFOS; fifo++) {
            struct wish wish = reference_wish(fifo, query);
            if (passed_over[fifo] || wish.band < best.band)
                continue;
            if (wish.band > best.band || (wish.band >= 0 && wish.value > best.value)) {
                best = wish;
                best_fifo = fifo;
            }
        }
        if (best.band < 0 || (count == 0 && best.band == 0))
            break;
        token_id id = reference.order[best_fifo][0];
        uint32_t cost = query->costs == NULL ? 1 : query->costs[id];
        if (cost > left && count > 0) {
            passed_over[best_fifo] = true;
            continue;
        }
        if (query->on_time_limit == 0)
            reference_keep_pace(best_fifo, query->now.us);
        reference_remove(id);
        out[count++] = id;
        left -= cost < left ? cost : left;
    }
    return count;
}

static uint32_t reference_due(unsigned group, int64_t now)
{
    uint32_t due = 0;
    for (token_id id = 1; id <= TOKENS_FEW; id++)
        due += reference.fifo_of[id] >= 0 &&
               (unsigned)reference.fifo_of[id] / LANE_CLASSES == group &&
               now - reference.stamp[id] > reference.target[group];
    return due;
}

struct life {
    struct prng prng;
    instant now;
};

static double draw_class(struct prng *prng, int *class)
{
    *class = (int)prng_below(prng, LANE_CLASSES);
    return WEIGHT_MIN * exp2((double)*class / 3);
}

static void random_group(struct life *life, unsigned group)
{
    static const enum lane_rank ranks[] = {RANK_NORMAL, RANK_NORMAL, RANK_SPARE, RANK_URGENT};
    int64_t target = ranks[group] == RANK_URGENT ? 0 : 1 + (int64_t)prng_below(&life->prng, 60);
    int64_t maximum = group == 2 ? 0 : target + 50 + (int64_t)prng_below(&life->prng, 60);
    if (reference.maximum[group] != maximum * 1000000)
        reference.is_paced[group] = false;
    reference.target[group] = target * 1000000;
    reference.maximum[group] = maximum * 1000000;
    reference.rank[group] = ranks[group];
    lanes_set_group(&lanes, group,
                    group_of((double)target, (double)maximum, reference.rank[group]));
}

/* Also whole seconds, so that stamps are often equal. */
static int64_t random_stamp(struct life *life)
{
    int64_t back = (int64_t)prng_below(&life->prng, 200000000);
    return life->now.us - (prng_below(&life->prng, 2) == 0 ? back : back / 10000000 * 10000000);
}

static void select_and_give_back(struct life *life)
{
    token_id wanted[REQUEST_ADDRESSES_MAX];
    struct lane_query query = {
        .now = life->now,
        .lead = duration_ms((int64_t)prng_below(&life->prng, 500)),
        .groups = 1 + (unsigned)prng_below(&life->prng, 15),
        .slots = 1 + (uint32_t)prng_below(&life->prng, REQUEST_ADDRESSES_MAX),
        .costs = prng_below(&life->prng, 2) == 0 ? NULL : reference.costs,
        .on_time_limit = prng_below(&life->prng, 2) == 0 ? 0 : 1.1,
    };
    size_t wanted_count = reference_select(&query, wanted);
    size_t count = lanes_select(&lanes, &query, chosen);
    expect_chosen(count, wanted, wanted_count);
    bool failed = prng_below(&life->prng, 3) == 0;
    for (size_t i = count; i-- > 0;) {
        int class;
        unsigned group = (unsigned)prng_below(&life->prng, LANE_GROUPS_MAX);
        double weight = draw_class(&life->prng, &class);
        token_id id = chosen[i];
        int fifo = (int)group * LANE_CLASSES + class;
        if (failed) {
            lanes_put_back(&lanes, id, group, weight);
            reference_insert(id, fifo, reference.stamp[id], BEFORE_EQUALS);
        } else {
            assert_true(lanes_insert(&lanes, id, group, weight, life->now));
            reference_insert(id, fifo, life->now.us, AFTER_EQUALS);
        }
    }
}

static void act_on_one(struct life *life)
{
    token_id id = 1 + (token_id)prng_below(&life->prng, TOKENS_FEW);
    int class;
    unsigned group = (unsigned)prng_below(&life->prng, LANE_GROUPS_MAX);
    double weight = draw_class(&life->prng, &class);
    int fifo = (int)group * LANE_CLASSES + class;
    if (reference.fifo_of[id] < 0) {
        int64_t stamp = random_stamp(life);
        assert_true(lanes_insert(&lanes, id, group, weight, (instant){stamp}));
        reference_insert(id, fifo, stamp, AFTER_EQUALS);
    } else if (prng_below(&life->prng, 4) == 0) {
        lanes_remove(&lanes, id);
        reference_remove(id);
    } else {
        assert_true(lanes_move(&lanes, id, group, weight));
        if (reference.fifo_of[id] != fifo) {
            reference_remove(id);
            reference_insert(id, fifo, reference.stamp[id], AFTER_EQUALS);
        }
    }
}

static void compare_counts(const struct life *life)
{
    for (unsigned group = 0; group < LANE_GROUPS_MAX; group++) {
        uint32_t count = 0;
        int64_t oldest = INT64_MAX;
        for (unsigned i = 0; i < LANE_CLASSES; i++) {
            unsigned fifo = group * LANE_CLASSES + i;
            count += reference.counts[fifo];
            if (reference.counts[fifo] > 0 && reference.stamp[reference.order[fifo][0]] < oldest)
                oldest = reference.stamp[reference.order[fifo][0]];
        }
        assert_int_equal(lanes_count(&lanes, group), count);
        assert_int_equal(lanes_oldest(&lanes, group).us, oldest);
        assert_int_equal(lanes_count_due(&lanes, group, life->now),
                         reference_due(group, life->now.us));
        int64_t due = oldest == INT64_MAX ? INT64_MAX : oldest + reference.target[group] - 7000;
        assert_int_equal(lanes_next_due(&lanes, 1U << group, duration_ms(7), 0).us, due);
    }
}

static void agrees_with_the_reference(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct life life = {.now = NOW};
        prng_seed(&life.prng, seed);
        memset(&reference, 0, sizeof reference);
        for (token_id id = 1; id <= TOKENS_FEW; id++) {
            if (lanes_holds(&lanes, id))
                lanes_remove(&lanes, id);
            reference.fifo_of[id] = -1;
            reference.costs[id] = (uint8_t)(1 + prng_below(&life.prng, 12));
        }
        for (unsigned group = 0; group < LANE_GROUPS_MAX; group++)
            random_group(&life, group);
        for (int round = 0; round < 15000; round++) {
            life.now.us += (int64_t)prng_below(&life.prng, 300000);
            if (prng_below(&life.prng, 500) == 0)
                random_group(&life, (unsigned)prng_below(&life.prng, LANE_GROUPS_MAX));
            if (prng_below(&life.prng, 4) == 0)
                select_and_give_back(&life);
            else
                act_on_one(&life);
            if (round % 10 == 0)
                compare_counts(&life);
        }
    }
}

static void expect_need(unsigned groups, double on_time, double tokens)
{
    double need = lanes_need(&lanes, groups, on_time);
    if (fabs(need - tokens) > tokens * 1e-9)
        fail_msg("%g tokens a second, not %g", need, tokens);
}

/* Weights that are classes: a power of two over the least. */
static void says_what_it_needs(void **state)
{
    (void)state;
    const double heavy = WEIGHT_MIN * 64, light = WEIGHT_MIN * 4;
    expect_need(15, 0, 0);
    for (token_id id = 1; id <= 10; id++)
        put(id, 0, heavy, 1);
    for (token_id id = 11; id <= 20; id++)
        put(id, 0, light, 1);
    for (token_id id = 21; id <= 30; id++)
        put(id, 1, light, 1);
    put(31, 2, heavy, 1); /* spare: rides along, or not */
    put(32, 3, heavy, 1); /* urgent: not a matter of a rate */
    expect_need(15, 0, 20 / 15.0 + 10 / 45.0);
    expect_need(1, 0, 20 / 15.0);
    expect_need(15, light, 20 / 15.0 + 10 / 45.0);
    /* Sixteen times lighter: four times as old. */
    expect_need(15, heavy, 10 / 15.0 + 10 / 60.0 + 10 / 180.0);
    expect_need(15, INFINITY, 30 / 3600.0);
    lanes_set_group(&lanes, 0, group_of(15, 30, RANK_NORMAL));
    expect_need(15, heavy, 10 / 15.0 + 10 / 30.0 + 10 / 180.0);
    lanes_set_group(&lanes, 0, group_of(15, 0, RANK_NORMAL)); /* no maximum: no need to live */
    expect_need(1, INFINITY, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(oldest_first_within_a_class),
        TEST(a_policy_of_anothers_decides),
        TEST(each_is_told_who_comes_some_turns_later),
        TEST(largest_weight_times_age_squared_first),
        TEST(those_near_their_target_may_begin_early),
        TEST(nobody_due_sends_nothing),
        TEST(overdue_before_all_by_age_over_maximum),
        TEST(near_the_maximum_the_index_grows),
        TEST(a_peak_is_worked_off_at_a_pace),
        TEST(urgent_first_spare_last_riders_after),
        TEST(riders_alone_send_nothing_and_fill_what_is_sent),
        TEST(only_groups_that_were_asked_for),
        TEST(what_does_not_fit_is_passed_over),
        TEST(on_time_ones_go_first_while_all_can_be),
        TEST(put_back_keeps_the_place),
        TEST(moves_with_its_age),
        TEST(an_interval_changes_with_the_next_selection),
        TEST(weights_beyond_the_classes_count_as_the_last),
        TEST(sorts_what_was_placed),
        TEST(sorts_faster_with_memory),
        TEST(sorts_stamps_that_are_ages_apart),
        TEST(nobody_is_sorted_too),
        TEST(recalls_who_has_waited_longest),
        TEST(recalls_from_whatever_lies_there),
        TEST(some_stand_while_the_others_links_are_left_alone),
        cmocka_unit_test_setup_teardown(a_place_too_far_to_look_for_is_refused, set_up_many,
                                        tear_down),
        TEST(agrees_with_the_reference),
        TEST(says_what_it_needs),
    };
    return cmocka_run_group_tests_name("core.lane", tests, NULL, NULL);
}
