/*
 * Changes of state that people and the flight recorder are told of, each once, as it happens
 * (ACTION_TRANSITION). `from` and `to` are values of the enum that belongs to the kind.
 */
#ifndef MOONWATCH_CORE_TRANSITION_H
#define MOONWATCH_CORE_TRANSITION_H

/* X(code, name): what its states are, and what its id is of */
#define TRANSITION_LIST(X)                                                                         \
    X(TRANSITION_BREAKER, "breaker")       /* enum breaker_state; no id */                         \
    X(TRANSITION_JOB, "job")               /* enum job_run_state; enum job */                      \
    X(TRANSITION_SUSPECT, "suspect")       /* enum trust; a token */                               \
    X(TRANSITION_QUARANTINE, "quarantine") /* enum trust, into it and out of it; a token */        \
    X(TRANSITION_PAUSE, "pause")           /* enum pause_state; no id */                           \
    X(TRANSITION_LOAD, "load")             /* enum load_level; enum load_signal_id */              \
    X(TRANSITION_FEATURE, "feature")       /* enum feature_state; enum load_feature */             \
    X(TRANSITION_FORECAST, "forecast")     /* enum vital_state; enum vital */

enum transition {
#define X(code, text) code,
    TRANSITION_LIST(X)
#undef X
        TRANSITION_COUNT
};

const char *transition_name(enum transition what);
const char *transition_state_name(enum transition what, unsigned state);

#endif
