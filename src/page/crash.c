/* The side of who falls. Who reads is in crash_text.c. See crash.h. */
#include "page/crash.h"
#include "base/sanitizer.h"

#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define HANDLER_STACK (64 << 10) /* backtrace() walks with a few KiB */
#define GUARD_SIZE    (64 << 10) /* a page of any machine */
/* Frames of the handler's own, before those of who fell: it, what it calls, the kernel's. */
#define OWN_FRAMES_MAX 8
/* How long a second thread that falls lets the first one finish its report. */
#define REPORT_WAIT_MS 1000

void crash_take(struct crash_report *from, struct crash_report *out)
{
    uint32_t is_filled = atomic_load_explicit(&from->is_filled, memory_order_acquire);
    uint32_t count = atomic_load_explicit(&from->frame_count, memory_order_acquire);
    memcpy(out, from, sizeof *out);
    out->is_filled = is_filled;
    out->frame_count = count < CRASH_FRAMES_MAX ? count : CRASH_FRAMES_MAX;
    atomic_store(&from->frame_count, 0);
    atomic_store(&from->is_filled, 0);
}

#if WITH_SANITIZER

void crash_arm(struct crash_report *report)
{
    (void)report;
}

void crash_arm_thread(void) {}

#else

struct module {
    uintptr_t base; /* what offsets count from: 0 in a program that lies where it was linked to */
    uintptr_t start, end;
};

static struct crash_report *report_of_this;
static struct module modules[CRASH_MODULES_MAX]; /* named in report_of_this->modules */
static int module_count;
static _Atomic int32_t reporter; /* kernel's id of the thread that reports; 0: nobody */

/* ---- before ---- */

static struct module module_of(const struct dl_phdr_info *info)
{
    struct module module = {.base = info->dlpi_addr, .start = UINTPTR_MAX};
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t first = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type != PT_LOAD)
            continue;
        module.start = first < module.start ? first : module.start;
        module.end = first + segment->p_memsz > module.end ? first + segment->p_memsz : module.end;
    }
    return module;
}

/* The program itself comes first, and has no name. */
static int list_module(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size, (void)context;
    const char *slash = strrchr(info->dlpi_name, '/');
    const char *name = slash != NULL ? slash + 1 : info->dlpi_name;
    if (module_count == CRASH_MODULES_MAX)
        return 1;
    modules[module_count] = module_of(info);
    snprintf(report_of_this->modules[module_count], CRASH_MODULE_SIZE, "%s", name);
    module_count++;
    return 0;
}

/* ---- in the handler: nothing but system calls and our own memory ---- */

static struct crash_frame frame_at(uintptr_t address, uint32_t is_return)
{
    for (int i = 0; i < module_count; i++)
        if (address >= modules[i].start && address < modules[i].end)
            return (struct crash_frame){address - modules[i].base, i, is_return};
    return (struct crash_frame){address, -1, is_return};
}

static uintptr_t place_of_fall(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.pc;
#else
    (void)context;
    return 0;
#endif
}

/* Goes back from a call to nowhere, whose code no unwinder can look at, to who called. May fall in
 * its turn. */
static void undo_call(ucontext_t *context)
{
#if defined(__x86_64__)
    greg_t *registers = context->uc_mcontext.gregs;
    registers[REG_RIP] = *(const greg_t *)registers[REG_RSP];
    registers[REG_RSP] += (greg_t)sizeof(greg_t);
#elif defined(__aarch64__)
    context->uc_mcontext.pc = context->uc_mcontext.regs[30];
#else
    (void)context;
#endif
}

static void keep_frames(struct crash_report *report, void *const *returns, int first, int count)
{
    uint32_t kept = report->frame_count;
    for (int i = first; i < count && kept < CRASH_FRAMES_MAX; i++)
        report->frames[kept++] = frame_at((uintptr_t)returns[i], 1);
    atomic_store_explicit(&report->frame_count, kept, memory_order_release);
}

/* First where it fell, which is known for sure; then what the unwinder finds behind it. */
static void fill_frames(struct crash_report *report, ucontext_t *context)
{
    void *addresses[CRASH_FRAMES_MAX + OWN_FRAMES_MAX];
    int count, own = 0;
    report->frames[0] = frame_at(place_of_fall(context), 0);
    atomic_store_explicit(&report->frame_count, 1, memory_order_release);
    bool is_nowhere = report->frames[0].module < 0;
    if (is_nowhere)
        undo_call(context);
    count = backtrace(addresses, CRASH_FRAMES_MAX + OWN_FRAMES_MAX);
    while (own < count && (uintptr_t)addresses[own] != place_of_fall(context))
        own++;
    keep_frames(report, addresses, is_nowhere ? own : own + 1, count);
}

static void fill(struct crash_report *report, const siginfo_t *info, ucontext_t *context)
{
    report->signal = info->si_signo;
    report->code = info->si_code;
    report->fault_address = (uint64_t)(uintptr_t)info->si_addr;
    report->thread = (int32_t)syscall(SYS_gettid);
    atomic_store_explicit(&report->is_filled, 1, memory_order_release);
    fill_frames(report, context);
}

/* The signal is blocked while it is handled, so death comes when the handler returns. */
static void die_of(int number)
{
    signal(number, SIG_DFL);
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), number);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    int32_t own = (int32_t)syscall(SYS_gettid), other = 0;
    if (atomic_compare_exchange_strong(&reporter, &other, own))
        fill(report_of_this, info, context);
    else if (other != own) /* the process dies of the other's fall, unless that is stuck */
        for (int i = 0; i < REPORT_WAIT_MS; i++)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    die_of(number);
}

/* ---- arming ---- */

void crash_arm(struct crash_report *report)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    void *first[1];
    report_of_this = report;
    atomic_store(&report->is_filled, 0);
    atomic_store(&report->frame_count, 0);
    atomic_store(&reporter, 0);
    backtrace(first, 1); /* loads the unwinder, which allocates */
    module_count = 0;
    dl_iterate_phdr(list_module, NULL);
    crash_arm_thread();
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaction(numbers[i], &action, NULL);
}

/* Never given back: threads that are watched live as long as their process. Without memory it
 * handles on the thread's own stack, as long as there is some of that. */
void crash_arm_thread(void)
{
    char *memory = mmap(NULL, GUARD_SIZE + HANDLER_STACK, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return;
    mprotect(memory, GUARD_SIZE, PROT_NONE);
    sigaltstack(&(stack_t){.ss_sp = memory + GUARD_SIZE, .ss_size = HANDLER_STACK}, NULL);
}

#endif
