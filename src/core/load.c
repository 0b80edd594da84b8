/* Levels, and what they shed. See the header. */
#include "core/load.h"

#include "base/mark.h"
#include <assert.h>
#include <math.h>

#define SCALE_STEP 0.1 /* a second, back up: from the least to all of it in seven */

/* Of the rows that may wait: half is a store that falls behind, and what is over four fifths will
 * be dropped soon. */
#define STORE_REDUCED_PERCENT 50
#define STORE_MINIMAL_PERCENT 80

#define STRAIN_REDUCED_PERCENT 100
#define STRAIN_MINIMAL_PERCENT 200

/* ---- what a signal's number is ---- */

/* The larger one that is known. */
static double worse(double a, double b)
{
    return fmax(a, b);
}

static double cpu_percent(const struct load_sample *sample)
{
    return 100 * worse(sample->of[READING_CPU], sample->of[READING_CGROUP_CPU]);
}

static double strain_percent(const struct load_sample *sample, const struct options *options)
{
    double late = sample->of[READING_LAG] * 1000 / options->load_lag_ms;
    double waiting = sample->of[READING_WAIT] / (options->load_wait_percent / 100);
    return 100 * worse(late, waiting);
}

/* Of the machine's, or of our limit's where we have one that is nearer. */
static double own_cpu_percent(const struct load_sample *sample)
{
    double percent = 100 * 100 * sample->of[READING_OWN_CPU] / cpu_percent(sample);
    return percent > 100 ? 100 : percent; /* rounded differently; NaN stays unknown */
}

/* A store that cannot write at all is not relieved by fewer rows. */
static double store_percent(const struct load_sample *sample)
{
    return sample->of[READING_STORE_WRITES] == 1 ? 100 * sample->of[READING_STORE_FILL] : NAN;
}

static double percent_of(enum load_signal_id signal, const struct load_sample *sample,
                         const struct options *options)
{
    assert(signal < LOAD_SIGNAL_COUNT);
    switch (signal) {
    case SIGNAL_CPU:
    case SIGNAL_DEFERRAL:
        return cpu_percent(sample);
    case SIGNAL_MEMORY:
        return 100 * worse(sample->of[READING_MEMORY], sample->of[READING_CGROUP_MEMORY]);
    case SIGNAL_STRAIN:
        return strain_percent(sample, options);
    case SIGNAL_OWN_CPU:
        return own_cpu_percent(sample);
    case SIGNAL_STORE:
        return store_percent(sample);
    case SIGNAL_DISK:
        return 100 * sample->of[READING_DISK];
    case SIGNAL_DESCRIPTORS:
        break;
    case LOAD_SIGNAL_COUNT:
        __builtin_unreachable();
    }
    return 100 * sample->of[READING_DESCRIPTORS] / sample->of[READING_DESCRIPTORS_MAX];
}

/* ---- levels ---- */

/* Where a level begins, and below which number it ends. */
struct steps {
    double rise[LOAD_LEVEL_COUNT], fall[LOAD_LEVEL_COUNT];
};

static struct steps steps_at(double reduced, double minimal, double hysteresis)
{
    return (struct steps){{0, reduced, minimal}, {0, reduced - hysteresis, minimal - hysteresis}};
}

static struct steps steps_of(enum load_signal_id signal, const struct options *options)
{
    double hysteresis = options->load_hysteresis_percent;
    assert(signal < LOAD_SIGNAL_COUNT);
    switch (signal) {
    case SIGNAL_CPU:
        return steps_at(options->load_reduced_cpu_percent, options->load_minimal_cpu_percent,
                        hysteresis);
    case SIGNAL_MEMORY:
        return steps_at(options->load_reduced_memory_percent, options->load_minimal_memory_percent,
                        hysteresis);
    case SIGNAL_STRAIN:
        return steps_at(STRAIN_REDUCED_PERCENT, STRAIN_MINIMAL_PERCENT,
                        STRAIN_REDUCED_PERCENT / 2.0);
    case SIGNAL_DEFERRAL: /* who is not low any more is resumed where the low ones began to wait */
        return (struct steps){
            {0, options->deferral_low_cpu_percent, options->deferral_most_cpu_percent},
            {0, options->deferral_resume_cpu_percent, options->deferral_low_cpu_percent}};
    case SIGNAL_OWN_CPU:
        return steps_at(options->load_own_percent, INFINITY, hysteresis);
    case SIGNAL_STORE:
        return steps_at(STORE_REDUCED_PERCENT, STORE_MINIMAL_PERCENT, hysteresis);
    case SIGNAL_DISK:
        return steps_at(
            options->disk_reduced_percent, options->disk_minimal_percent,
            fmin(hysteresis, options->disk_minimal_percent - options->disk_reduced_percent));
    case SIGNAL_DESCRIPTORS:
        break;
    case LOAD_SIGNAL_COUNT:
        __builtin_unreachable();
    }
    return steps_at(options->descriptors_reduced_percent, options->descriptors_minimal_percent,
                    hysteresis);
}

double load_limit(enum load_signal_id signal, enum load_level level, const struct options *options)
{
    return level == LOAD_NORMAL ? NAN : steps_of(signal, options).rise[level];
}

/* The level that one number calls for, seen from the present one. */
static enum load_level vote(enum load_level present, double percent, const struct steps *steps)
{
    for (int level = LOAD_LEVEL_COUNT - 1; level > LOAD_NORMAL; level--) {
        bool holds = level <= (int)present && percent >= steps->fall[level];
        if (percent >= steps->rise[level] || holds)
            return (enum load_level)level;
    }
    return LOAD_NORMAL;
}

/* What two of three reach. */
static enum load_level median(const enum load_level votes[LOAD_VOTES])
{
    enum load_level a = votes[0], b = votes[1], c = votes[2];
    enum load_level low = a < b ? a : b, high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}

static bool judge_signal(struct load_signal *signal, double percent, const struct steps *steps,
                         instant now)
{
    signal->percent = percent;
    if (isnan(percent)) {
        MARK(LOAD_UNKNOWN);
        return false;
    }
    signal->votes[signal->next_vote] = vote(signal->level, percent, steps);
    signal->next_vote = (signal->next_vote + 1) % LOAD_VOTES;
    enum load_level level = median(signal->votes);
    if (level == signal->level) {
        MARK_IF(LOAD_OUTVOTED, signal->votes[0] != level || signal->votes[1] != level);
        return false;
    }
    MARK_IF(LOAD_SIGNAL_REDUCED, level == LOAD_REDUCED);
    MARK_IF(LOAD_SIGNAL_MINIMAL, level == LOAD_MINIMAL);
    MARK_IF(LOAD_SIGNAL_NORMAL, level == LOAD_NORMAL);
    signal->level = level;
    signal->since = now;
    return true;
}

/* ---- what they shed ---- */

bool load_is_strained(const struct load *load)
{
    return load->signals[SIGNAL_STRAIN].level > LOAD_NORMAL;
}

static enum load_level max_level(enum load_level a, enum load_level b)
{
    return a > b ? a : b;
}

static double scale_wanted(const struct load *load, const struct options *options)
{
    const double scales[LOAD_LEVEL_COUNT] = {1, options->load_reduced_scale,
                                             options->load_minimal_scale};
    return load_is_strained(load)
               ? scales[max_level(load->level, load->signals[SIGNAL_STRAIN].level)]
               : 1;
}

/* Down at once, up by steps. */
static void move_scale(struct load *load, double wanted)
{
    MARK_IF(SCALE_FALLS, wanted < load->scale);
    MARK_IF(SCALE_RISES, wanted > load->scale);
    load->scale = fmin(wanted, load->scale + SCALE_STEP);
}

static enum load_level level_for_features(const struct load *load)
{
    enum load_level cpu = load->signals[SIGNAL_CPU].level;
    if (load->signals[SIGNAL_OWN_CPU].level == LOAD_NORMAL && !load_is_strained(load))
        cpu = LOAD_NORMAL;
    enum load_level memory = load->is_memory_foreseen ? LOAD_REDUCED : LOAD_NORMAL;
    if (load->signals[SIGNAL_MEMORY].level > LOAD_NORMAL)
        memory = LOAD_MINIMAL;
    return max_level(max_level(cpu, memory), load->signals[SIGNAL_STRAIN].level);
}

static const struct {
    enum load_level from, from_disk;
} features[LOAD_FEATURE_COUNT] = {
#define X(code, name, level, disk, sentence) [code] = {level, disk},
    LOAD_FEATURE_LIST(X)
#undef X
};

static unsigned features_off(const struct load *load)
{
    enum load_level level = level_for_features(load), disk = load->signals[SIGNAL_DISK].level;
    if (load->is_disk_foreseen)
        disk = max_level(disk, LOAD_REDUCED);
    unsigned off = 0;
    for (unsigned i = 0; i < LOAD_FEATURE_COUNT; i++)
        if (level >= features[i].from || disk >= features[i].from_disk)
            off |= 1U << i;
    MARK_IF(DISK_KEEPS_CLEANING, disk > LOAD_NORMAL && (off & 1U << FEATURE_CLEAN_UP));
    if (disk > LOAD_NORMAL) /* deleting is what helps then */
        off &= ~(1U << FEATURE_CLEAN_UP);
    return off;
}

bool load_has(const struct load *load, enum load_feature feature)
{
    return !(load->features_off >> feature & 1);
}

/* ---- the interface ---- */

void load_init(struct load *load)
{
    *load = (struct load){.scale = 1};
    for (int i = 0; i < LOAD_SIGNAL_COUNT; i++)
        load->signals[i].percent = NAN;
}

size_t load_judge(struct load *load, const struct load_sample *sample,
                  const struct options *options, instant now,
                  struct load_change changes[LOAD_SIGNAL_COUNT])
{
    size_t count = 0;
    for (int i = 0; i < LOAD_SIGNAL_COUNT; i++) {
        enum load_signal_id id = (enum load_signal_id)i;
        struct steps steps = steps_of(id, options);
        enum load_level from = load->signals[i].level;
        if (judge_signal(&load->signals[i], percent_of(id, sample, options), &steps, now))
            changes[count++] = (struct load_change){id, from, load->signals[i].level};
    }
    load->changes += count;
    enum load_level level =
        max_level(load->signals[SIGNAL_CPU].level, load->signals[SIGNAL_MEMORY].level);
    if (level != load->level)
        load->level_since = now;
    load->level = level;
    load->defer = load_is_strained(load) ? load->signals[SIGNAL_DEFERRAL].level : LOAD_NORMAL;
    MARK_IF(LOAD_DEFERS, load->defer == LOAD_REDUCED);
    MARK_IF(LOAD_DEFERS_MOST, load->defer == LOAD_MINIMAL);
    move_scale(load, scale_wanted(load, options));
    load->features_off = features_off(load);
    assert(load->scale > 0 && load->scale <= 1);
    return count;
}
