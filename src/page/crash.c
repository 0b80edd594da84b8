/* See crash.h. */
#include "page/crash.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HANDLER_STACK (64 << 10) /* backtrace() walks with a few KiB */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WITH_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WITH_SANITIZER 1
#endif
#endif

static struct crash_report *report_of_this;
static uintptr_t program_start, program_end;
static _Atomic int is_reporting;

static int find_program(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size, (void)context;
    uintptr_t end = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t last = info->dlpi_addr + segment->p_vaddr + segment->p_memsz;
        if (segment->p_type == PT_LOAD && last > end)
            end = last;
    }
    program_start = info->dlpi_addr;
    program_end = end;
    return 1; /* the program itself comes first */
}

static void fill_frames(struct crash_report *report)
{
    void *addresses[CRASH_FRAMES_MAX];
    int count = backtrace(addresses, CRASH_FRAMES_MAX);
    for (int i = 0; i < count; i++) {
        uintptr_t address = (uintptr_t)addresses[i];
        uint32_t is_own = address >= program_start && address < program_end;
        report->frames[i] = (struct crash_frame){
            .address = is_own ? address - program_start : address, .is_own = is_own};
    }
    report->frame_count = count < 0 ? 0 : (uint32_t)count;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)context;
    struct crash_report *report = report_of_this;
    /* The first thread to fall reports; a second one, or a fall in here, just dies. */
    if (report != NULL && atomic_exchange(&is_reporting, 1) == 0) {
        report->signal = number;
        report->code = info->si_code;
        report->fault_address = (uint64_t)(uintptr_t)info->si_addr;
        report->thread = (int32_t)syscall(SYS_gettid);
        fill_frames(report);
        atomic_store_explicit(&report->is_filled, 1, memory_order_release);
    }
    signal(number, SIG_DFL);
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), number);
}

void crash_arm(struct crash_report *report)
{
#ifdef WITH_SANITIZER
    (void)report;
    (void)on_signal;
    (void)find_program;
#else
    static char stack[HANDLER_STACK];
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    void *first[1];
    report_of_this = report;
    dl_iterate_phdr(find_program, NULL);
    backtrace(first, 1); /* loads the unwinder, which allocates */
    const stack_t alternative = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternative, NULL);
    struct sigaction action = {.sa_sigaction = on_signal,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaction(numbers[i], &action, NULL);
#endif
}

void crash_take(struct crash_report *from, struct crash_report *out)
{
    atomic_thread_fence(memory_order_acquire);
    memcpy(out, from, sizeof *out);
    memset(from, 0, sizeof *from);
}

size_t crash_describe_frame(const struct crash_frame *frame, char *out, size_t size)
{
    Dl_info info = {0};
    if (!frame->is_own)
        return (size_t)snprintf(out, size, "library+0x%llx", (unsigned long long)frame->address);
    if (program_end == 0)
        dl_iterate_phdr(find_program, NULL);
    uintptr_t address = program_start + frame->address;
    if (dladdr((void *)address, &info) != 0 && info.dli_sname != NULL)
        return (size_t)snprintf(out, size, "%s+0x%llx", info.dli_sname,
                                (unsigned long long)(address - (uintptr_t)info.dli_saddr));
    return (size_t)snprintf(out, size, "moonwatch+0x%llx", (unsigned long long)frame->address);
}
