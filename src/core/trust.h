/*
 * How a token is sent: with others, alone, or never. The shell tells who was in hand when the
 * engine died; what it remembers of earlier deaths decides whether that makes a token a suspect or
 * puts it into quarantine.
 */
#ifndef MOONWATCH_CORE_TRUST_H
#define MOONWATCH_CORE_TRUST_H

/* X(code, name) */
#define TRUST_LIST(X)                                                                              \
    X(TRUST_ORDINARY, "ordinary")     /* stands in its lanes */                                    \
    X(TRUST_SUSPECT, "suspect")       /* in no lane; sent alone, until an answer clears it */      \
    X(TRUST_QUARANTINE, "quarantine") /* in no lane; never sent, and nothing changes it */

enum trust {
#define X(code, name) code,
    TRUST_LIST(X)
#undef X
        TRUST_COUNT
};

const char *trust_name(enum trust trust);

#endif
