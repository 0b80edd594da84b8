/*
 * What a test tells the processes that its supervisor starts: a program that plays engine and api
 * over the inherited descriptors, and does what stands in a file that all of them map.
 */
#ifndef MOONWATCH_TESTS_FAKE_CHILD_H
#define MOONWATCH_TESTS_FAKE_CHILD_H

#include "page/inherited.h"
#include "page/status_page.h"

enum fake_act {
    FAKE_GO_ON,
    FAKE_EXIT,        /* with `status` */
    FAKE_CRASH,       /* of a signal that a bug would send */
    FAKE_TERMINATE,   /* of SIGKILL */
    FAKE_DIE,         /* of the signal `status` */
    FAKE_FALL,        /* crashes in a second thread, which has a token of its own in hand */
    FAKE_HANG,        /* beats no more */
    FAKE_HANG_DEAFLY, /* and is moved by no signal that can be ignored */
    FAKE_STOP,        /* as by SIGSTOP from outside */
    FAKE_LINGER,      /* beats, and does not end */
    FAKE_NEVER_READY, /* beats, and does not say that it stands by, or is ready */
    FAKE_REPORT,      /* sends `report` */
    FAKE_REPORT_END,  /* sends `report`, and ends with `status` */
    FAKE_NONSENSE,    /* sends what no one understands */
    FAKE_FLOOD,       /* sends reports without end */
    FAKE_CLEAR,       /* the engine: clears the first suspect */
    FAKE_HANG_UP,     /* closes its link and goes on */
};

#define FAKE_THREAD       4711 /* whoever falls by order */
#define FAKE_SECOND_TOKEN 8    /* the first byte of its address */

struct fake_orders {
    _Atomic uint32_t at_start;   /* enum fake_act, before anything */
    _Atomic uint32_t at_go;      /* the engine: when it has the word to go, before it is ready */
    _Atomic uint32_t for_starts; /* so many starts do at_start and at_go; then none does */
    _Atomic uint32_t now;        /* once, at work */
    _Atomic uint32_t at_end;     /* told to end */
    _Atomic uint32_t status;     /* of its exits */
    _Atomic uint32_t in_hand;    /* the engine: one token is, while it lives */
    double generation;           /* the engine: what it says; 0: nothing */
    struct report report;
    /* What it did. */
    _Atomic uint32_t starts, goes;
    _Atomic uint32_t loads; /* it has said whatever it says before it waits for the word to go */
    _Atomic uint32_t start_kind; /* as the newest word to go said */
    _Atomic uint32_t has_faults; /* they came along with it */
    _Atomic uint32_t saw_notify; /* a variable of systemd's */
    _Atomic uint32_t saw_wrong;  /* descriptors, signals or arguments that are not as they should */
};

struct fake_script {
    struct fake_orders of[PROCESS_COUNT];
};

#endif
