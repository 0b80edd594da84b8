/* See load_view.h. */
#include "page/load_view.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

double load_age_s(const struct status_page *page, instant now)
{
    uint64_t at = page_word(&page->load.sampled_at_us);
    return at == 0 ? NAN : duration_to_s(instant_diff(now, (instant){(int64_t)at}));
}

bool load_is_known(const struct status_page *page, instant now)
{
    return load_age_s(page, now) <= LOAD_OLD_AFTER_S;
}

double load_reading(const struct status_page *page, unsigned reading, instant now)
{
    return load_is_known(page, now) ? page_bits(&page->load.readings_bits[reading]) : NAN;
}

double load_signal_percent(const struct status_page *page, enum load_signal_id signal, instant now)
{
    return load_is_known(page, now) ? page_bits(&page->load.signals[signal].percent_bits) : NAN;
}

static enum load_level level_of(uint64_t value)
{
    return value < LOAD_LEVEL_COUNT ? (enum load_level)value : LOAD_MINIMAL;
}

enum load_level load_signal_level(const struct status_page *page, enum load_signal_id signal)
{
    return level_of(page_word(&page->load.signals[signal].level));
}

enum load_level load_level_now(const struct status_page *page)
{
    enum load_level cpu = load_signal_level(page, SIGNAL_CPU);
    enum load_level memory = load_signal_level(page, SIGNAL_MEMORY);
    return cpu > memory ? cpu : memory;
}

bool load_keeps_up(const struct status_page *page)
{
    return load_signal_level(page, SIGNAL_STRAIN) == LOAD_NORMAL;
}

double load_scale_now(const struct status_page *page)
{
    return page_get(page, GAUGE_LOAD_SCALE);
}

enum load_level load_deferral_now(const struct status_page *page)
{
    double deferral = page_get(page, GAUGE_LOAD_DEFERS);
    return deferral >= LOAD_LEVEL_COUNT ? LOAD_MINIMAL
           : deferral > 0               ? (enum load_level)deferral
                                        : LOAD_NORMAL;
}

bool load_feature_is_off(const struct status_page *page, enum load_feature feature)
{
    return page_word(&page->load.features_off) >> feature & 1;
}

unsigned load_features_off(const struct status_page *page)
{
    unsigned count = 0;
    for (unsigned i = 0; i < LOAD_FEATURE_COUNT; i++)
        count += load_feature_is_off(page, (enum load_feature)i);
    return count;
}

const char *load_deferral_name(enum load_level deferral)
{
    static const char *const names[LOAD_LEVEL_COUNT] = {"nobody", "low", "all_but_high"};
    return (unsigned)deferral < LOAD_LEVEL_COUNT ? names[deferral] : "unknown";
}

/* ---- a sentence ---- */

struct sentence {
    char *out;
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void say(struct sentence *sentence, const char *format,
                                                      ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(sentence->out + sentence->length, LOAD_WHY_SIZE - sentence->length, format,
                      arguments);
    va_end(arguments);
    size_t left = LOAD_WHY_SIZE - 1 - sentence->length;
    sentence->length += n < 0 ? 0 : (size_t)n < left ? (size_t)n : left;
}

static void say_busy(struct sentence *sentence, const struct status_page *page, instant now)
{
    static const struct {
        enum load_signal_id signal;
        const char *what;
    } busy[] = {{SIGNAL_CPU, "CPU"}, {SIGNAL_MEMORY, "memory"}};
    for (size_t i = 0; i < sizeof busy / sizeof busy[0]; i++)
        if (load_signal_level(page, busy[i].signal) > LOAD_NORMAL)
            say(sentence, "%s%s at %.0f %%", sentence->length > 0 ? ", " : "", busy[i].what,
                load_signal_percent(page, busy[i].signal, now));
    if (sentence->length == 0)
        say(sentence, "nothing is short");
}

static void say_work(struct sentence *sentence, const struct status_page *page)
{
    static const char *const waiting[LOAD_LEVEL_COUNT] = {"", "; tokens of low priority wait",
                                                          "; all but tokens of high priority wait"};
    double scale = load_scale_now(page);
    unsigned off = load_features_off(page);
    if (!load_keeps_up(page))
        say(sentence, "; the engine does not keep up");
    if (scale < 1)
        say(sentence, "; %.0f %% of the work is planned", scale * 100);
    else if (load_level_now(page) > LOAD_NORMAL)
        say(sentence, "; the engine keeps up, so no work is shed");
    say(sentence, "%s", waiting[load_deferral_now(page)]);
    if (off > 0)
        say(sentence, "; %u optional feature%s off", off, off == 1 ? " is" : "s are");
}

void load_why(const struct status_page *page, instant now, char out[LOAD_WHY_SIZE])
{
    struct sentence sentence = {out, 0};
    out[0] = '\0';
    if (!load_is_known(page, now)) {
        say(&sentence, "the load is unknown: the engine has not looked");
        if (!isnan(load_age_s(page, now)))
            say(&sentence, " for %.0f s", load_age_s(page, now));
        return;
    }
    say_busy(&sentence, page, now);
    say_work(&sentence, page);
}
