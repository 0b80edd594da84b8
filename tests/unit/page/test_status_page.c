#include "page/status_page.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define CHANGES 20000
#define READERS 2

static struct status_page page;

static int fresh(void **state)
{
    (void)state;
    memset(&page, 0xff, sizeof page);
    status_page_init(&page);
    return 0;
}

static void test_init(void **state)
{
    (void)state;
    assert_true(page.magic == STATUS_PAGE_MAGIC);
    assert_int_equal(page.layout, STATUS_PAGE_LAYOUT);
    assert_int_equal(page.size, sizeof page);
    for (int i = 0; i < COUNTER_COUNT; i++)
        assert_int_equal(page.counters[i], 0);
    assert_true(page_texts_now(&page)->options.hot_interval_sec == 15);
}

/* Nobody has measured yet: unknown, which is not zero. */
static void test_gauges_begin_unknown(void **state)
{
    (void)state;
    for (int i = 0; i < GAUGE_COUNT; i++)
        assert_true(isnan(page_get(&page, (enum gauge)i)));
    page_set(&page, GAUGE_STORE_OK, 0);
    assert_true(page_get(&page, GAUGE_STORE_OK) == 0);
    page_set(&page, GAUGE_LOOP_LAG, -1.5e-9);
    assert_true(page_get(&page, GAUGE_LOOP_LAG) == -1.5e-9);
}

static void test_counters(void **state)
{
    (void)state;
    page_add(&page, COUNTER_STEPS, 3);
    page_add(&page, COUNTER_STEPS, 4);
    assert_int_equal(page.counters[COUNTER_STEPS], 7);
}

/* As Prometheus wants them: https://prometheus.io/docs/concepts/data_model/ */
static void assert_metric_name(const char *name)
{
    assert_true(strlen(name) > 0);
    assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789"), strlen(name));
}

static void test_names(void **state)
{
    (void)state;
    for (int i = 0; i < COUNTER_COUNT; i++) {
        const char *name = counter_name((enum counter)i);
        assert_metric_name(name);
        assert_string_equal(name + strlen(name) - 6, "_total");
        assert_true(strlen(counter_help((enum counter)i)) > 5);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(name, counter_name((enum counter)j));
    }
    for (int i = 0; i < GAUGE_COUNT; i++) {
        assert_metric_name(gauge_name((enum gauge)i));
        assert_true(strlen(gauge_help((enum gauge)i)) > 5);
    }
    assert_string_equal(counter_name((enum counter)999), "unknown");
    assert_string_equal(gauge_name((enum gauge) - 1), "unknown");
    assert_string_equal(counter_help(COUNTER_COUNT), "");
    assert_string_equal(gauge_help(GAUGE_COUNT), "");
}

static void test_texts(void **state)
{
    (void)state;
    struct page_texts texts;
    struct page_texts *draft = page_text_begin(&page);
    strcpy(draft->store_message, "disk full; retrying in 4 s");
    draft->options.hot_interval_sec = 10;
    assert_true(page_read_texts(&page, &texts)); /* not in force yet */
    assert_string_equal(texts.store_message, "");
    page_text_end(&page);
    assert_true(page_read_texts(&page, &texts));
    assert_string_equal(texts.store_message, "disk full; retrying in 4 s");
    assert_string_equal(texts.feed_message, "");
    assert_true(texts.options.hot_interval_sec == 10);
}

/* The writer died between begin and end: what was in force stays so, and the next writer begins
 * with that. */
static void test_a_dead_writer(void **state)
{
    (void)state;
    struct page_texts texts;
    strcpy(page_text_begin(&page)->source_message, "live");
    page_text_end(&page);
    memset(page_text_begin(&page)->source_message, 'x', PAGE_TEXT_SIZE); /* not even a NUL */
    assert_true(page_read_texts(&page, &texts));
    assert_string_equal(texts.source_message, "live");

    strcpy(page_text_begin(&page)->feed_message, "fine");
    page_text_end(&page);
    assert_true(page_read_texts(&page, &texts));
    assert_string_equal(texts.feed_message, "fine");
    assert_string_equal(texts.source_message, "live");
}

static atomic_bool done;

/* All of what a reader sees must be of one change. */
static void *read_until_done(void *argument)
{
    struct page_texts texts;
    intptr_t torn = 0;
    (void)argument;
    while (!atomic_load(&done)) {
        if (!page_read_texts(&page, &texts))
            continue;
        char letter = texts.store_message[0];
        for (int i = 0; i < PAGE_TEXT_SIZE - 1; i++)
            torn += texts.store_message[i] != letter || texts.feed_message[i] != letter;
        torn += letter != 0 && texts.options.hot_interval_sec != letter;
    }
    return (void *)torn;
}

static void test_readers_see_whole_changes(void **state)
{
    (void)state;
    pthread_t readers[READERS];
    atomic_store(&done, false);
    for (int i = 0; i < READERS; i++)
        pthread_create(&readers[i], NULL, read_until_done, NULL);
    for (int i = 0; i < CHANGES; i++) {
        char letter = (char)('a' + i % 26);
        struct page_texts *draft = page_text_begin(&page);
        memset(draft->store_message, letter, PAGE_TEXT_SIZE - 1);
        draft->options.hot_interval_sec = letter;
        memset(draft->feed_message, letter, PAGE_TEXT_SIZE - 1);
        page_text_end(&page);
    }
    atomic_store(&done, true);
    for (int i = 0; i < READERS; i++) {
        void *torn;
        pthread_join(readers[i], &torn);
        assert_int_equal((intptr_t)torn, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_init, fresh),
        cmocka_unit_test_setup(test_gauges_begin_unknown, fresh),
        cmocka_unit_test_setup(test_counters, fresh),
        cmocka_unit_test_setup(test_names, fresh),
        cmocka_unit_test_setup(test_texts, fresh),
        cmocka_unit_test_setup(test_a_dead_writer, fresh),
        cmocka_unit_test_setup(test_readers_see_whole_changes, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
