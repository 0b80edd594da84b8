#include "page/status_page.h"
#include "base/sanitizer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A copy takes microseconds, and so many of them would have to meet the end of a change. */
#define READ_ATTEMPTS_MAX 1000

/* ThreadSanitizer knows no fences; gcc refuses to compile one for it. */
#if WITH_THREAD_SANITIZER
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
#define COUNTER(id, name, help) [id] = name,
#include "page/metrics.def"
};

static const char *const gauge_names[] = {
#define GAUGE(id, name, help) [id] = name,
#include "page/metrics.def"
};

static const enum histogram_scale_id histogram_scales[] = {
#define HISTOGRAM(id, name, scale, by, help) [id] = (scale),
#include "page/metrics.def"
};

static const char *const process_names[] = {
#define X(code, name) [code] = name,
    PROCESS_LIST(X)
#undef X
};

static const char *const process_state_names[] = {
#define X(code, name) [code] = name,
    PROCESS_STATE_LIST(X)
#undef X
};

static const struct {
    enum page_process_id process;
    const char *name;
} beats[] = {
#define X(code, process, name) [code] = {process, name},
    BEAT_LIST(X)
#undef X
};

static void set_lane_unknown(struct page_lane *lane)
{
    page_put_bits(&lane->allowed_per_minute_bits, NAN);
    page_put_bits(&lane->configured_per_minute_bits, NAN);
    page_put_bits(&lane->learned_per_minute_bits, NAN);
}

static void set_vital_unknown(struct page_vital *vital)
{
    _Atomic uint64_t *const of[] = {&vital->value_bits,      &vital->threshold_bits,
                                    &vital->level_bits,      &vital->slope_bits,
                                    &vital->anomaly_bits,    &vital->eta_bits,
                                    &vital->confidence_bits, &vital->median_lead_bits};
    for (size_t i = 0; i < sizeof of / sizeof of[0]; i++)
        page_put_bits(of[i], NAN);
}

/* Of zeroed memory. */
static void begin_page(struct status_page *page)
{
    page->magic = STATUS_PAGE_MAGIC;
    page->layout = STATUS_PAGE_LAYOUT;
    page->size = sizeof *page;
    for (int i = 0; i < GAUGE_COUNT; i++)
        page_set(page, (enum gauge)i, NAN);
    for (int i = 0; i < PAGE_READINGS; i++)
        page_put_bits(&page->load.readings_bits[i], NAN);
    for (int i = 0; i < PAGE_SIGNALS; i++)
        page_put_bits(&page->load.signals[i].percent_bits, NAN);
    for (int i = 0; i < PAGE_VITALS; i++)
        set_vital_unknown(&page->vitals[i]);
    for (int i = 0; i < PAGE_LANES * PAGE_LIMITS; i++)
        page_put_bits(&page->lanes[i / PAGE_LIMITS].capacities_bits[i % PAGE_LIMITS], INFINITY);
    for (int i = 0; i < PAGE_LANES; i++)
        set_lane_unknown(&page->lanes[i]);
    options_init(&page->texts[0].options);
}

void status_page_init(struct status_page *page)
{
    memset(page, 0, sizeof *page);
    begin_page(page);
}

struct status_page *status_page_create(int *fd)
{
    const size_t ring = offsetof(struct status_page, log);
    struct status_page *page = MAP_FAILED;
    *fd = memfd_create("moonwatch-page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0)
        return NULL;
    /* Nobody who gets the descriptor can cut the page short under those who have it mapped. */
    if (ftruncate(*fd, sizeof *page) == 0 &&
        fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (page == MAP_FAILED) {
        int error = errno;
        close(*fd);
        *fd = -1;
        errno = error;
        return NULL;
    }
    /* All memory is taken now, so that nobody lacks it when he records why it ran out; but for the
     * log ring's, the largest part, which fills in hours or never. */
    memset(page, 0, ring);
    begin_page(page);
    return page;
}

/* `size` bytes of it can be read, at least those that say what it is. */
static bool is_ours(const struct status_page *page, off_t size, char why[PAGE_WHY_SIZE])
{
    if (page->magic != STATUS_PAGE_MAGIC) {
        snprintf(why, PAGE_WHY_SIZE, "this is no status page of moonwatch");
        return false;
    }
    if (page->layout != STATUS_PAGE_LAYOUT || page->size != sizeof *page) {
        snprintf(why, PAGE_WHY_SIZE,
                 "the status page has layout %u (%u bytes), this program reads layout %d (%zu "
                 "bytes): the daemon is of another version; restart it",
                 page->layout, page->size, STATUS_PAGE_LAYOUT, sizeof *page);
        return false;
    }
    if (size < (off_t)sizeof *page) {
        snprintf(why, PAGE_WHY_SIZE, "the status page is cut short: %lld of %zu bytes",
                 (long long)size, sizeof *page);
        return false;
    }
    return true;
}

struct status_page *status_page_attach(int fd, enum page_access access, char why[PAGE_WHY_SIZE])
{
    struct stat file;
    int protection = access == PAGE_READ_ONLY ? PROT_READ : PROT_READ | PROT_WRITE;
    if (fstat(fd, &file) != 0 || file.st_size < (off_t)offsetof(struct status_page, clock)) {
        snprintf(why, PAGE_WHY_SIZE, "this is no status page of moonwatch");
        return NULL;
    }
    struct status_page *page = mmap(NULL, sizeof *page, protection, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) {
        snprintf(why, PAGE_WHY_SIZE, "the status page can't be mapped: %s", strerror(errno));
        return NULL;
    }
    if (is_ours(page, file.st_size, why))
        return page;
    status_page_detach(page);
    return NULL;
}

void status_page_detach(struct status_page *page)
{
    if (page != NULL)
        munmap(page, sizeof *page);
}

/* ---- processes ---- */

void page_beat(struct status_page *page, enum beat beat, instant now, duration patience)
{
    static _Thread_local uint64_t thread;
    struct page_beat *mine = &page->beats[beat];
    if (thread == 0)
        thread = (uint64_t)syscall(SYS_gettid);
    atomic_store_explicit(&mine->thread, thread, memory_order_relaxed);
    atomic_store_explicit(&mine->cpu_us, (uint64_t)clock_thread_cpu().us, memory_order_relaxed);
    atomic_store_explicit(&mine->patience_us, (uint64_t)patience.us, memory_order_relaxed);
    atomic_store_explicit(&mine->at_us, (uint64_t)now.us, memory_order_release);
}

void page_beat_end(struct status_page *page, enum beat beat)
{
    atomic_store_explicit(&page->beats[beat].at_us, 0, memory_order_release);
}

double page_beat_age_s(const struct status_page *page, enum beat beat, instant now)
{
    uint64_t at = atomic_load_explicit(&page->beats[beat].at_us, memory_order_acquire);
    return at == 0 ? -1 : fmax(0, duration_to_s(instant_diff(now, (instant){(int64_t)at})));
}

const char *process_name(enum page_process_id process)
{
    return (unsigned)process < PROCESS_COUNT ? process_names[process] : "unknown";
}

const char *process_state_name(enum process_state state)
{
    return (unsigned)state < PROCESS_STATE_COUNT ? process_state_names[state] : "unknown";
}

const char *beat_name(enum beat beat)
{
    return (unsigned)beat < BEAT_COUNT ? beats[beat].name : "unknown";
}

enum page_process_id beat_process(enum beat beat)
{
    assert((unsigned)beat < BEAT_COUNT);
    return beats[beat].process;
}

/* ---- numbers ---- */

void page_put_word(_Atomic uint64_t *where, uint64_t value)
{
    atomic_store_explicit(where, value, memory_order_relaxed);
}

uint64_t page_word(const _Atomic uint64_t *where)
{
    return atomic_load_explicit(where, memory_order_relaxed);
}

void page_put_bits(_Atomic uint64_t *where, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    page_put_word(where, bits);
}

double page_bits(const _Atomic uint64_t *where)
{
    uint64_t bits = page_word(where);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void page_set(struct status_page *page, enum gauge gauge, double value)
{
    page_put_bits(&page->gauges[gauge], value);
}

double page_get(const struct status_page *page, enum gauge gauge)
{
    return page_bits(&page->gauges[gauge]);
}

void page_put_histogram(struct status_page *page, enum page_histogram_id id, unsigned member,
                        const struct histogram *histogram)
{
    struct page_histogram *to = &page->histograms[id][member];
    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS_MAX; i++)
        page_put_word(&to->counts[i], histogram->counts[i]);
    page_put_word(&to->sum_us, histogram->sum_us);
}

void page_add_duration(struct status_page *page, enum page_histogram_id id, duration value)
{
    struct page_histogram *to = &page->histograms[id][0];
    unsigned index = histogram_index(page_histogram_scale(id), value);
    uint64_t us = value.us > 0 ? (uint64_t)value.us : 0;
    atomic_fetch_add_explicit(&to->counts[index], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&to->sum_us, us, memory_order_relaxed);
}

struct histogram page_histogram(const struct status_page *page, enum page_histogram_id id,
                                unsigned member)
{
    const struct page_histogram *from = &page->histograms[id][member];
    struct histogram out = {.sum_us = page_word(&from->sum_us)};
    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS_MAX; i++)
        out.counts[i] = page_word(&from->counts[i]);
    return out;
}

enum histogram_scale_id page_histogram_scale(enum page_histogram_id id)
{
    assert((unsigned)id < HISTOGRAM_COUNT);
    return histogram_scales[id];
}

const char *counter_name(enum counter counter)
{
    return (unsigned)counter < COUNTER_COUNT ? counter_names[counter] : "unknown";
}

const char *gauge_name(enum gauge gauge)
{
    return (unsigned)gauge < GAUGE_COUNT ? gauge_names[gauge] : "unknown";
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

/* Who reads them need not fear that one has no end, or that a boolean is neither true nor false. */
static void end_texts(struct page_texts *texts)
{
    options_mend(&texts->options);
    texts->store_message[PAGE_TEXT_SIZE - 1] = '\0';
    texts->source_message[PAGE_TEXT_SIZE - 1] = '\0';
    texts->feed_message[PAGE_TEXT_SIZE - 1] = '\0';
    for (int i = 0; i < ALERT_SINK_COUNT; i++)
        texts->alerts.sinks[i].detail[BOARD_DETAIL_SIZE - 1] = '\0';
}

bool page_read_texts(const struct status_page *page, struct page_texts *out)
{
    for (int attempt = 0; attempt < READ_ATTEMPTS_MAX; attempt++) {
        uint32_t turn = atomic_load_explicit(&page->text_turn, memory_order_acquire);
        copy_texts(out, texts_of(page, turn));
        FENCE(memory_order_acquire);
        if (atomic_load_explicit(&page->text_turn, memory_order_relaxed) == turn) {
            end_texts(out);
            return true;
        }
        sched_yield();
    }
    return false;
}
