/* See fake_child.h. Run as: fake_child engine|api SCRIPT */
#include "fake_child.h"

#include "base/clock.h"
#include "page/command.h"
#include "page/passed_fd.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURN_MS 2

static struct fake_orders *orders;
static struct status_page *page;
static bool is_engine;
static volatile sig_atomic_t is_told;

static void on_term(int number)
{
    (void)number;
    is_told = 1;
}

static uint32_t word(const _Atomic uint32_t *where)
{
    return atomic_load(where);
}

static void send_report(enum report_kind kind)
{
    struct report report = {.kind = kind};
    (void)!send(FD_LINK, &report, sizeof report, MSG_NOSIGNAL);
}

static void beat(void)
{
    instant now = clock_now();
    page_beat(page, is_engine ? BEAT_ENGINE_LOOP : BEAT_API_HTTP, now, duration_us(0));
}

/* Until the supervisor's end of the link is closed, too, so that nobody outlives a test. */
static void wait_for_supervisor(void)
{
    char byte;
    struct pollfd link = {.fd = FD_LINK, .events = 0};
    while (recv(FD_LINK, &byte, 1, MSG_DONTWAIT | MSG_PEEK) != 0)
        poll(&link, 1, 10);
    _exit(0);
}

static void hang(bool is_deaf)
{
    signal(SIGTERM, SIG_IGN);
    if (is_deaf)
        signal(SIGABRT, SIG_IGN);
    wait_for_supervisor();
}

static void linger(void)
{
    char byte;
    struct pollfd link = {.fd = FD_LINK, .events = 0};
    while (recv(FD_LINK, &byte, 1, MSG_DONTWAIT | MSG_PEEK) != 0) {
        beat();
        poll(&link, 1, TURN_MS);
    }
    _exit(0);
}

static void send_nonsense(void)
{
    static const char noise[] = "noise";
    (void)!send(FD_LINK, noise, sizeof noise, MSG_NOSIGNAL);
    send_report((enum report_kind)77);
}

static void flood(void)
{
    struct report report = {.kind = REPORT_STANDBY};
    for (int i = 0; i < 1000; i++)
        (void)!send(FD_LINK, &report, sizeof report, MSG_NOSIGNAL);
}

static void crash(int number)
{
    signal(number, SIG_DFL);
    kill(getpid(), number);
    pause();
}

/* What a real one leaves on the page when a thread of it falls. */
static void fall(void)
{
    struct crash_report *report = &page->crashes[is_engine ? PROCESS_ENGINE : PROCESS_API];
    struct in_hand *hand = &page->hands[1];
    report->thread = FAKE_THREAD;
    report->signal = SIGSEGV;
    atomic_store(&report->is_filled, 1);
    hand->mints[0].bytes[0] = FAKE_SECOND_TOKEN;
    atomic_store(&hand->thread, FAKE_THREAD);
    atomic_store(&hand->count, 1);
    crash(SIGSEGV);
}

static void act(enum fake_act what)
{
    switch (what) {
    case FAKE_GO_ON:
    case FAKE_NEVER_READY:
        return;
    case FAKE_EXIT:
        _exit((int)word(&orders->status));
    case FAKE_CRASH:
        crash(SIGSEGV);
        return;
    case FAKE_FALL:
        fall();
        return;
    case FAKE_TERMINATE:
        crash(SIGKILL);
        return;
    case FAKE_DIE:
        crash((int)word(&orders->status));
        return;
    case FAKE_HANG:
    case FAKE_HANG_DEAFLY:
        hang(what == FAKE_HANG_DEAFLY);
        return;
    case FAKE_LINGER:
        linger();
        return;
    case FAKE_STOP:
        raise(SIGSTOP);
        return;
    case FAKE_REPORT:
    case FAKE_REPORT_END:
        (void)!send(FD_LINK, &orders->report, sizeof orders->report, MSG_NOSIGNAL);
        if (what == FAKE_REPORT_END)
            _exit((int)word(&orders->status));
        return;
    case FAKE_NONSENSE:
        send_nonsense();
        return;
    case FAKE_FLOOD:
        flood();
        return;
    case FAKE_CLEAR:
        suspect_clear(&page->suspects.rows[0]);
        return;
    case FAKE_HANG_UP:
        close(FD_LINK);
        return;
    }
}

/* ---- what it found ---- */

static bool is_ignored(int number)
{
    struct sigaction action;
    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static bool starts_as_it_should(void)
{
    sigset_t blocked;
    int death = 0;
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    prctl(PR_GET_PDEATHSIG, &death);
    return inherited_is_whole() && sigismember(&blocked, SIGTERM) == 1 &&
           sigismember(&blocked, SIGUSR1) == 0 && is_ignored(SIGINT) && is_ignored(SIGHUP) &&
           death == SIGTERM && (fcntl(FD_LISTEN, F_GETFD) >= 0) == !is_engine &&
           fcntl(FD_LOCK, F_GETFD) >= 0 && fcntl(FD_INHERITED_END, F_GETFD) < 0;
}

static void look_around(void)
{
    if (!starts_as_it_should())
        atomic_store(&orders->saw_wrong, 1);
    if (getenv("NOTIFY_SOCKET") != NULL || getenv("WATCHDOG_USEC") != NULL ||
        getenv("WATCHDOG_PID") != NULL)
        atomic_store(&orders->saw_notify, 1);
}

/* ---- its life ---- */

static void await_go(void)
{
    struct command command;
    union passed_fd passed;
    struct iovec part = {&command, sizeof command};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    struct pollfd link = {.fd = FD_LINK, .events = POLLIN};
    poll(&link, 1, -1);
    passed_fd_expect(&passed, &message);
    ssize_t size = recvmsg(FD_LINK, &message, MSG_DONTWAIT);
    if (size != (ssize_t)sizeof command)
        _exit(0);
    atomic_store(&orders->start_kind, command.start);
    atomic_store(&orders->has_faults, passed_fd_take(&message, size) >= 0);
    atomic_fetch_add(&orders->goes, 1);
}

static void answer(const struct command *command)
{
    struct reply reply = {.result = RESULT_DONE, .tag = command->tag & ~LINK_TAG};
    if (command->kind == COMMAND_PAUSE) /* one that it answers twice, and one with another's tag */
        (void)!send(FD_LINK, &reply, sizeof reply, MSG_NOSIGNAL);
    strcpy(reply.message, "as the fake says");
    (void)!send(FD_LINK, &reply, sizeof reply, MSG_NOSIGNAL);
}

static void turn(void)
{
    struct command command;
    struct pollfd link = {.fd = FD_LINK, .events = POLLIN};
    poll(&link, 1, TURN_MS);
    ssize_t size = recv(FD_LINK, &command, sizeof command, MSG_DONTWAIT);
    if (size == 0)
        _exit(0);
    if (size == (ssize_t)sizeof command)
        answer(&command);
    beat();
    act((enum fake_act)atomic_exchange(&orders->now, FAKE_GO_ON));
}

static void take_in_hand(void)
{
    page->hands[0].mints[0].bytes[0] = 7;
    page->hands[0].request = 1;
    if (orders->generation != 0)
        page_set(page, GAUGE_GENERATION, orders->generation);
    atomic_store(&page->hands[0].count, word(&orders->in_hand));
}

static bool takes_orders(void)
{
    uint32_t left = word(&orders->for_starts);
    if (left == 0)
        return false;
    atomic_store(&orders->for_starts, left - 1);
    return true;
}

static void live(void)
{
    bool is_ordered = takes_orders();
    uint32_t at_start = is_ordered ? word(&orders->at_start) : FAKE_GO_ON;
    uint32_t at_go = is_ordered ? word(&orders->at_go) : FAKE_GO_ON;
    act((enum fake_act)at_start);
    if (is_engine && at_start != FAKE_NEVER_READY)
        send_report(REPORT_STANDBY);
    atomic_fetch_add(&orders->loads, 1);
    if (is_engine)
        await_go();
    beat();
    if (is_engine)
        take_in_hand();
    act((enum fake_act)at_go);
    if (at_go != FAKE_NEVER_READY)
        send_report(REPORT_READY);
    while (is_told == 0)
        turn();
    act((enum fake_act)word(&orders->at_end));
}

int main(int argc, char *argv[])
{
    char why[PAGE_WHY_SIZE];
    sigset_t none;
    struct sigaction action = {.sa_handler = on_term};
    if (argc < 3)
        return EXIT_REFUSED;
    int fd = open(argv[2], O_RDWR | O_CLOEXEC);
    struct fake_script *script =
        mmap(NULL, sizeof *script, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    page = status_page_attach(FD_PAGE, PAGE_READ_WRITE, why);
    if (script == MAP_FAILED || page == NULL)
        return EXIT_REFUSED;
    clock_share(&page->clock);
    is_engine = strcmp(argv[1], "engine") == 0;
    orders = &script->of[is_engine ? PROCESS_ENGINE : PROCESS_API];
    atomic_fetch_add(&orders->starts, 1);
    look_around();
    sigaction(SIGTERM, &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    live();
    page_beat_end(page, is_engine ? BEAT_ENGINE_LOOP : BEAT_API_HTTP);
    return (int)word(&orders->status);
}
