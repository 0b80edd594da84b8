#include "page/status_page.h"

#include <math.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* A writer holds the texts for microseconds; one that is preempted gets its turn well before. */
#define READ_ATTEMPTS_MAX 10000

/* ThreadSanitizer knows no fences; gcc refuses to compile one for it. */
#if defined(__SANITIZE_THREAD__)
#define WITHOUT_FENCES 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITHOUT_FENCES 1
#endif
#endif

#ifdef WITHOUT_FENCES
#define FENCE(order) ((void)0)
#else
#define FENCE(order) atomic_thread_fence(order)
#endif

/* clang goes on instrumenting atomics under no_sanitize_thread. */
#ifdef __clang__
#define UNINSTRUMENTED __attribute__((disable_sanitizer_instrumentation, noinline))
#else
#define UNINSTRUMENTED __attribute__((no_sanitize_thread))
#endif

static const char *const counter_names[] = {
#define X(id, name, help) [id] = name,
    COUNTER_LIST(X)
#undef X
};

static const char *const counter_helps[] = {
#define X(id, name, help) [id] = help,
    COUNTER_LIST(X)
#undef X
};

static const char *const gauge_names[] = {
#define X(id, name, help) [id] = name,
    GAUGE_LIST(X)
#undef X
};

static const char *const gauge_helps[] = {
#define X(id, name, help) [id] = help,
    GAUGE_LIST(X)
#undef X
};

void status_page_init(struct status_page *page)
{
    memset(page, 0, sizeof *page);
    page->magic = STATUS_PAGE_MAGIC;
    page->layout = STATUS_PAGE_LAYOUT;
    page->pid = (uint32_t)getpid();
    for (int i = 0; i < GAUGE_COUNT; i++)
        page_set(page, (enum gauge)i, NAN);
    options_init(&page->options);
}

void page_set(struct status_page *page, enum gauge gauge, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    atomic_store_explicit(&page->gauges[gauge], bits, memory_order_relaxed);
}

double page_get(const struct status_page *page, enum gauge gauge)
{
    uint64_t bits = atomic_load_explicit(&page->gauges[gauge], memory_order_relaxed);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

const char *counter_name(enum counter counter)
{
    return (unsigned)counter < COUNTER_COUNT ? counter_names[counter] : "unknown";
}

const char *counter_help(enum counter counter)
{
    return (unsigned)counter < COUNTER_COUNT ? counter_helps[counter] : "";
}

const char *gauge_name(enum gauge gauge)
{
    return (unsigned)gauge < GAUGE_COUNT ? gauge_names[gauge] : "unknown";
}

const char *gauge_help(enum gauge gauge)
{
    return (unsigned)gauge < GAUGE_COUNT ? gauge_helps[gauge] : "";
}

/* The seqlock of Boehm, "Can seqlocks get along with programming language memory models?" (MSPC
 * 2012). A sequence left odd by a writer that died is made even by the next one's end. */
void page_text_begin(struct status_page *page)
{
    uint32_t sequence = atomic_load_explicit(&page->text_sequence, memory_order_relaxed);
    atomic_store_explicit(&page->text_sequence, sequence | 1u, memory_order_relaxed);
    FENCE(memory_order_release);
}

void page_text_end(struct status_page *page)
{
    uint32_t sequence = atomic_load_explicit(&page->text_sequence, memory_order_relaxed);
    atomic_store_explicit(&page->text_sequence, (sequence | 1u) + 1u, memory_order_release);
}

/* Copies what a writer may be changing; the sequence tells afterwards whether it did. Word by word
 * and atomically, so that it is no data race, and hidden from the sanitizer, which sees the
 * writer's plain stores. */
UNINSTRUMENTED static void copy_words(void *to, const void *from, size_t size)
{
    _Static_assert(PAGE_TEXT_SIZE % 4 == 0 && sizeof(struct options) % 4 == 0, "whole words");
    _Static_assert(offsetof(struct status_page, store_message) % 4 == 0, "aligned words");
    const uint32_t *source = from;
    uint32_t *target = to;

    for (size_t i = 0; i < size / 4; i++) {
        uint32_t word = __atomic_load_n(source + i, __ATOMIC_RELAXED);
        memcpy(target + i, &word, sizeof word);
    }
}

static void copy_texts(const struct status_page *page, struct page_texts *out)
{
    copy_words(out->store_message, page->store_message, PAGE_TEXT_SIZE);
    copy_words(out->source_message, page->source_message, PAGE_TEXT_SIZE);
    copy_words(out->feed_message, page->feed_message, PAGE_TEXT_SIZE);
    copy_words(&out->options, &page->options, sizeof out->options);
    out->store_message[PAGE_TEXT_SIZE - 1] = '\0';
    out->source_message[PAGE_TEXT_SIZE - 1] = '\0';
    out->feed_message[PAGE_TEXT_SIZE - 1] = '\0';
}

bool page_read_texts(const struct status_page *page, struct page_texts *out)
{
    for (int attempt = 0; attempt < READ_ATTEMPTS_MAX; attempt++) {
        uint32_t before = atomic_load_explicit(&page->text_sequence, memory_order_acquire);
        if (before % 2 == 0) {
            copy_texts(page, out);
            FENCE(memory_order_acquire);
            if (atomic_load_explicit(&page->text_sequence, memory_order_relaxed) == before)
                return true;
        }
        sched_yield();
    }
    copy_texts(page, out);
    return false;
}
