/*
 * Load: how busy is what we depend on, and what is shed for it. Judged once a second, from a SAMPLE
 * of readings (EVENT_LOAD); what is not known is NaN, and an unknown reading never changes
 * anything.
 *
 * A SIGNAL is one question with a number for an answer, in percent. Its LEVEL is normal, reduced or
 * minimal; two of the last three known samples must agree before it changes (the median of their
 * votes), and it falls only once the number is `load_hysteresis_percent` below what raised it. So
 * a spike changes nothing, and what hovers at a limit does not flap.
 *
 * THE LOAD LEVEL is the higher of those of CPU and memory: the machine's, or our cgroup's where it
 * has a limit. It says how busy things are, whoever made them so. What it is not is a reason to
 * fetch less:
 *
 *   - A machine that others keep at 100 % still gives us the 2 % that we need: the kernel shares
 *     CPUs fairly, and who asks for little is served at once. To shed then would make tokens stale
 *     and relieve nobody.
 *   - A machine that we keep at 90 % while every token is on time is doing its job. Shedding there
 *     makes the level fall, which brings the work back, which makes it rise: it would swing.
 *   - Memory is held by tokens that are known, not by requests: fetching less frees none.
 *
 * What does show that less would be more is STRAIN: the engine's loop comes late, or waits for a
 * CPU nearly all the time that it could run. Then answers grow old in queues, and a smaller plan
 * that is kept beats a larger one that is not. So:
 *
 *   WORK is scaled only under strain, by what the load level says (`load_reduced_scale`,
 *   `load_minimal_scale`), and tokens of low priority wait, then all but those of high priority
 *   (the signal `deferral`). It comes down at once and goes up again by a step a second, so that
 *   what was put off does not come back as the next peak.
 *   OPTIONAL FEATURES go with the load level: under CPU where we are a considerable part of it or
 *   under strain, under memory always, and all of them at its first level, since they are what can
 *   be spared. When the disk is short, history goes. Memory or a disk that is foretold to run out
 *   (vitals.h) sheds what goes first, ahead of time.
 *
 * How many requests a second that leaves to each lane is in capacity.c.
 */
#ifndef MOONWATCH_CORE_LOAD_H
#define MOONWATCH_CORE_LOAD_H

#include "base/machine_reading.h"
#include "base/options.h"
#include "base/time.h"
#include <stddef.h>

/* What the shell adds to what the machine says. X(code, metric name, help), as there. */
#define SHELL_READING_LIST(X)                                                                      \
    X(READING_LAG, "loop_lag_seconds", "How late the engine's loop was, worst of a second")        \
    X(READING_STORE_FILL, "store_queue_ratio", "Rows waiting for the store over its limit")        \
    X(READING_STORE_COMMIT, "store_commit_seconds", "Duration of the newest commit")               \
    X(READING_STORE_WRITES, "store_writes", "1 while the store takes writes")                      \
    X(READING_STORE_SIZE, "store_size_bytes", "Size of the database")                              \
    X(READING_DISK, "disk_ratio", "Of the database's file system, what is in use")                 \
    X(READING_DISK_FREE, "disk_free_bytes", "Of the database's file system, what is left to us")   \
    X(READING_LATENCY, "upstream_latency_seconds", "Latency of the slowest kind of request")       \
    X(READING_REFUSED, "upstream_refused_ratio",                                                   \
      "Share of the requests of the last minute that the upstream refused")

#define LOAD_READING_LIST(X) MACHINE_READING_LIST(X) SHELL_READING_LIST(X)

enum load_reading {
    LOAD_READING_BEFORE = MACHINE_READING_COUNT - 1, /* those of the machine come first */
#define X(code, name, help) code,
    SHELL_READING_LIST(X)
#undef X
        LOAD_READING_COUNT
};

struct load_sample {
    double of[LOAD_READING_COUNT];
};

#define LOAD_LEVEL_LIST(X)                                                                         \
    X(LOAD_NORMAL, "normal")                                                                       \
    X(LOAD_REDUCED, "reduced")                                                                     \
    X(LOAD_MINIMAL, "minimal")

enum load_level {
#define X(code, name) code,
    LOAD_LEVEL_LIST(X)
#undef X
        LOAD_LEVEL_COUNT
};

/* X(code, name, what its number is the percentage of) */
#define LOAD_SIGNAL_LIST(X)                                                                        \
    X(SIGNAL_CPU, "cpu", "CPU in use")                                                             \
    X(SIGNAL_MEMORY, "memory", "memory in use")                                                    \
    X(SIGNAL_STRAIN, "strain", "how late our loop may be, or how long it may wait for a CPU")      \
    X(SIGNAL_DEFERRAL, "deferral", "CPU in use; who waits: nobody, low priority, all but high")    \
    X(SIGNAL_OWN_CPU, "own_cpu", "CPU in use that is ours; reduced means a considerable part")     \
    X(SIGNAL_STORE, "store", "rows that may wait for a store that writes")                         \
    X(SIGNAL_DISK, "disk", "the database's file system")                                           \
    X(SIGNAL_DESCRIPTORS, "descriptors", "descriptors that a process may have")

enum load_signal_id {
#define X(code, name, help) code,
    LOAD_SIGNAL_LIST(X)
#undef X
        LOAD_SIGNAL_COUNT
};

/* What can be spared, in the order of its going. LOAD_LEVEL_COUNT: never. X(code, name, the load
 * level and the level of the disk from which it is off, what that means) */
#define LOAD_FEATURE_LIST(X)                                                                       \
    X(FEATURE_STATISTICS, "statistics", LOAD_REDUCED, LOAD_LEVEL_COUNT,                            \
      "ages are counted for people every ten seconds instead of every second")                     \
    X(FEATURE_HISTORY_DETAIL, "history_detail", LOAD_REDUCED, LOAD_REDUCED,                        \
      "a score enters its history from twice min_score_change on")                                 \
    X(FEATURE_EXPORT_RATE, "export_rate", LOAD_REDUCED, LOAD_LEVEL_COUNT,                          \
      "the export file is written half as often")                                                  \
    X(FEATURE_CLEAN_UP, "clean_up", LOAD_MINIMAL, LOAD_LEVEL_COUNT,                                \
      "old history is deleted a quarter as often, while the disk has room")                        \
    X(FEATURE_LOG_DETAIL, "log_detail", LOAD_MINIMAL, LOAD_MINIMAL,                                \
      "the engine logs warnings and errors alone")                                                 \
    X(FEATURE_HISTORY, "history", LOAD_LEVEL_COUNT, LOAD_MINIMAL,                                  \
      "no score but a token's first enters the history")

enum load_feature {
#define X(code, name, level, disk, sentence) code,
    LOAD_FEATURE_LIST(X)
#undef X
        LOAD_FEATURE_COUNT
};

#define FEATURE_STATE_LIST(X)                                                                      \
    X(FEATURE_ON, "on")                                                                            \
    X(FEATURE_OFF, "off")

enum feature_state {
#define X(code, name) code,
    FEATURE_STATE_LIST(X)
#undef X
        FEATURE_STATE_COUNT
};

const char *feature_state_name(enum feature_state state);
const char *load_reading_name(unsigned reading);
const char *load_reading_help(unsigned reading);
const char *load_level_name(enum load_level level);
const char *load_signal_name(enum load_signal_id signal);
const char *load_feature_name(enum load_feature feature);
const char *load_feature_sentence(enum load_feature feature);

#define LOAD_VOTES 3 /* samples, of which two must agree */

struct load_signal {
    enum load_level level;
    enum load_level votes[LOAD_VOTES]; /* of the newest known samples, in any order */
    unsigned next_vote;
    double percent; /* of the newest sample; NaN: unknown */
    instant since;  /* of the level; INSTANT_NEVER: from the start */
};

struct load {
    struct load_signal signals[LOAD_SIGNAL_COUNT];
    enum load_level level; /* the load level */
    instant level_since;
    double scale;          /* of work, in force */
    enum load_level defer; /* who waits, in force */
    unsigned features_off; /* a bit each */
    uint64_t changes;      /* of levels of any signal */
    /* As good as reduced already, for what can be spared (foresee.c). */
    bool is_memory_foreseen, is_disk_foreseen;
};

/* One that happened, for people to be told of. */
struct load_change {
    enum load_signal_id signal;
    enum load_level from, to;
};

void load_init(struct load *load);

/* Returns how many signals changed their level, each once. */
size_t load_judge(struct load *load, const struct load_sample *sample,
                  const struct options *options, instant now,
                  struct load_change changes[LOAD_SIGNAL_COUNT]);

/* The percentage from which a signal has this level; NaN for normal. */
double load_limit(enum load_signal_id signal, enum load_level level, const struct options *options);

bool load_is_strained(const struct load *load);
bool load_has(const struct load *load, enum load_feature feature);

#endif
