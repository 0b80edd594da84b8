/*
 * Tokens that were in hand when an engine died. After a first death the tokens of the answer that
 * it was handling are SUSPECT: the next engine asks for each of them alone. A token that is in hand
 * at a second death is QUARANTINED: it is asked for by nobody, until its time is over or somebody
 * releases it; then it is a suspect again. One that was answered alone without harm is cleared.
 *
 * The list lies on the status page, so that it outlives every process; the supervisor also keeps it
 * in a file of the state folder, so that it outlives the machine. The supervisor adds, while no
 * engine runs; the engine clears and releases. A row is filled before its state says so.
 */
#ifndef MOONWATCH_PAGE_SUSPECTS_H
#define MOONWATCH_PAGE_SUSPECTS_H

#include "base/address.h"
#include "base/time.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUSPECTS_MAX    128 /* four requests' worth; beyond it the oldest suspect is forgotten */
#define IN_HAND_MAX     30  /* tokens of one request */
#define HANDS_MAX       17  /* threads of the engine that open answers: its loop and 16 workers */
#define QUARANTINE_FROM 2   /* deaths with the same token in hand */

#define SUSPECT_STATE_LIST(X)                                                                      \
    X(SUSPECT_NONE, "clear")                                                                       \
    X(SUSPECT_WATCHED, "suspect")                                                                  \
    X(SUSPECT_QUARANTINED, "quarantined")

enum suspect_state {
#define X(code, name) code,
    SUSPECT_STATE_LIST(X)
#undef X
        SUSPECT_STATE_COUNT
};

struct suspect {
    _Atomic uint32_t state; /* enum suspect_state; stored last */
    uint32_t deaths;
    uint32_t lane; /* enum lane_kind of the request */
    uint32_t spare;
    int64_t since_us;         /* of the newest death; instant */
    _Atomic int64_t until_us; /* end of the quarantine; instant */
    struct address mint;
};

struct suspects {
    struct suspect rows[SUSPECTS_MAX];
};

/* What a thread of the engine has in hand: the tokens of the answer that it parses or handles.
 * `count` is stored last; 0: nothing. */
struct in_hand {
    _Atomic uint32_t count;
    uint32_t lane; /* enum lane_kind */
    uint64_t request;
    _Atomic uint64_t thread; /* whose hand it is, kernel's id; 0: nobody's */
    struct address mints[IN_HAND_MAX];
};

const char *suspect_state_name(enum suspect_state state);

/* The bits of those hands that have to do with a death: that of the thread that fell. When it is
 * not known (0) or had no hand in it, all that hold something. */
uint32_t hands_of_death(const struct in_hand hands[HANDS_MAX], uint64_t thread);

/* An engine died with this in hand. Returns how many tokens went into quarantine. */
size_t suspects_on_death(struct suspects *suspects, const struct in_hand *in_hand, instant now,
                         duration quarantine);

/* NULL: not on the list. */
struct suspect *suspects_find(struct suspects *suspects, const struct address *mint);
/* Off the list. */
void suspect_clear(struct suspect *suspect);
/* From quarantine to suspect: it is asked for again, alone. */
void suspect_release(struct suspect *suspect);
/* The first whose quarantine is over; NULL: none. */
struct suspect *suspects_expired(struct suspects *suspects, instant now);
size_t suspects_count(const struct suspects *suspects, enum suspect_state state);

/* As lines of text, for the state folder: "mint state deaths lane since_us until_us", as many whole
 * ones as fit. Reading adds to the list; it leaves out and counts lines that are none of ours, that
 * are there already, or that there is no room for. */
size_t suspects_format(const struct suspects *suspects, char *out, size_t size);
size_t suspects_parse(struct suspects *suspects, const char *text, size_t length);

#endif
