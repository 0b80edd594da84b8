#include "page/status_page.h"

#include <math.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* A copy takes microseconds, and so many of them would have to meet the end of a change. */
#define READ_ATTEMPTS_MAX 1000

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
    options_init(&page->texts[0].options);
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

/* Two copies, one in force, and a turn that says which: a seqlock (Boehm, "Can seqlocks get along
 * with programming language memory models?", MSPC 2012) of which one side is always whole. What is
 * copied was overwritten only if a turn has ended meanwhile. */
static const struct page_texts *texts_of(const struct status_page *page, uint32_t turn)
{
    return &page->texts[turn % 2];
}

const struct page_texts *page_texts_now(const struct status_page *page)
{
    return texts_of(page, atomic_load_explicit(&page->text_turn, memory_order_relaxed));
}

struct page_texts *page_text_begin(struct status_page *page)
{
    uint32_t turn = atomic_load_explicit(&page->text_turn, memory_order_relaxed);
    struct page_texts *draft = &page->texts[(turn + 1) % 2];
    FENCE(memory_order_release); /* the turn before is seen before this one's changes */
    *draft = *texts_of(page, turn);
    return draft;
}

void page_text_end(struct status_page *page)
{
    atomic_fetch_add_explicit(&page->text_turn, 1, memory_order_release);
}

/* Copies what a writer may be changing; the turn tells afterwards whether it did. Word by word
 * and atomically, so that it is no data race, and hidden from the sanitizer, which sees the
 * writer's plain stores. */
UNINSTRUMENTED static void copy_texts(struct page_texts *to, const struct page_texts *from)
{
    _Static_assert(sizeof(struct page_texts) % 4 == 0, "whole words");
    _Static_assert(offsetof(struct status_page, texts) % 4 == 0, "aligned words");
    const uint32_t *source = (const void *)from;
    char *target = (void *)to;

    for (size_t i = 0; i < sizeof *to / 4; i++) {
        uint32_t word = __atomic_load_n(source + i, __ATOMIC_RELAXED);
        memcpy(target + 4 * i, &word, sizeof word);
    }
}

bool page_read_texts(const struct status_page *page, struct page_texts *out)
{
    for (int attempt = 0; attempt < READ_ATTEMPTS_MAX; attempt++) {
        uint32_t turn = atomic_load_explicit(&page->text_turn, memory_order_acquire);
        copy_texts(out, texts_of(page, turn));
        FENCE(memory_order_acquire);
        if (atomic_load_explicit(&page->text_turn, memory_order_relaxed) == turn)
            return true;
        sched_yield();
    }
    return false;
}
