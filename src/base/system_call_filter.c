/*
 * The filter of system calls (seccomp(2), SECCOMP_MODE_FILTER); see confine.h for why it denies
 * instead of allowing. Written as BPF here: it is one comparison a call, and a library for it
 * (libseccomp) would be loaded at each start of each process. Calls that it allows whatever their
 * arguments cost nothing: the kernel keeps a bitmap of them (Linux 5.11).
 *
 * Answers: EPERM for what is denied; ENOSYS for clone3() and openat2(), whose arguments lie in
 * memory where no filter can look, so that callers take the older call, whose arguments do not.
 */
#include "base/confine.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#endif

#ifndef ARCHITECTURE

bool system_call_filter_enter(unsigned powers)
{
    (void)powers;
    return false; /* its numbers are not known here */
}

#else

#define INSTRUCTIONS_MAX 512 /* twice what there are */
#define X32_BIT          0x40000000U
#define SOCKET_TYPE      0xf /* the rest of the argument is flags */

#define ALLOW   SECCOMP_RET_ALLOW
#define DENY    (SECCOMP_RET_ERRNO | EPERM)
#define UNKNOWN (SECCOMP_RET_ERRNO | ENOSYS)

#define NEW_NAMESPACES                                                                             \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
     CLONE_NEWNET | 0x80 /* CLONE_NEWTIME */)
#define OPEN_TO_WRITE (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY))

/* Denied to everybody. */
static const int never[] = {
    /* other processes' memory and descriptors */
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    438 /* pidfd_getfd */,
    /* the kernel's power over the machine */
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_swapon,
    SYS_swapoff,
    SYS_reboot,
    SYS_acct,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_adjtimex,
    SYS_clock_adjtime,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_syslog,
    SYS_vhangup,
    SYS_quotactl,
    SYS_nfsservctl,
    428 /* open_tree */,
    429 /* move_mount */,
    430 /* fsopen */,
    431 /* fsconfig */,
    432 /* fsmount */,
    433 /* fspick */,
    442 /* mount_setattr */,
    443 /* quotactl_fd */,
    /* namespaces */
    SYS_unshare,
    SYS_setns,
    /* files past their folders */
    SYS_name_to_handle_at,
    SYS_open_by_handle_at,
    SYS_fanotify_init,
    /* large, little used here, often broken into */
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    425 /* io_uring_setup */,
    426 /* io_uring_enter */,
    427 /* io_uring_register */,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_personality,
    SYS_lookup_dcookie,
    SYS_remap_file_pages,
#ifdef __x86_64__
    SYS_iopl,
    SYS_ioperm,
    SYS_modify_ldt,
    SYS_kexec_file_load,
    SYS_uselib,
    SYS_ustat,
    SYS_sysfs,
    SYS__sysctl,
    SYS_create_module,
    SYS_get_kernel_syms,
    SYS_query_module,
#endif
};

/* Without CONFINE_EXECUTE. */
static const int to_execute[] = {
    SYS_execve,    SYS_execveat,  SYS_setuid,    SYS_setgid,   SYS_setreuid, SYS_setregid,
    SYS_setresuid, SYS_setresgid, SYS_setgroups, SYS_setfsuid, SYS_setfsgid, SYS_capset,
#ifdef __x86_64__
    SYS_fork,      SYS_vfork,
#endif
};

/* Without CONFINE_CONNECT. */
static const int to_connect[] = {SYS_socket, SYS_connect, SYS_bind, SYS_listen};

/* Without CONFINE_SIGNAL. */
static const int to_signal[] = {SYS_kill, SYS_tkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
                                424 /* pidfd_send_signal */};

/* Without CONFINE_WRITE_FILES, besides opening for writing. */
static const int to_write[] = {
    SYS_truncate,  SYS_renameat2,   SYS_unlinkat,     SYS_mkdirat,      SYS_linkat,
    SYS_symlinkat, SYS_mknodat,     SYS_fchmod,       SYS_fchmodat,     452 /* fchmodat2 */,
    SYS_fchown,    SYS_fchownat,    SYS_utimensat,    SYS_setxattr,     SYS_lsetxattr,
    SYS_fsetxattr, SYS_removexattr, SYS_lremovexattr, SYS_fremovexattr,
#ifdef SYS_renameat
    SYS_renameat,
#endif
#ifdef __x86_64__
    SYS_rename,    SYS_unlink,      SYS_rmdir,        SYS_mkdir,        SYS_link,
    SYS_symlink,   SYS_mknod,       SYS_chmod,        SYS_chown,        SYS_lchown,
    SYS_utime,     SYS_utimes,      SYS_futimesat,    SYS_creat,
#endif
};

/* A program being written. */
struct filter {
    struct sock_filter code[INSTRUCTIONS_MAX];
    unsigned short length;
};

static void emit(struct filter *filter, struct sock_filter instruction)
{
    assert(filter->length < INSTRUCTIONS_MAX);
    filter->code[filter->length++] = instruction;
}

#define LOAD(offset)  ((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offset)))
#define RETURN(value) ((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, (value)))
#define JUMP(test, value, yes, no)                                                                 \
    ((struct sock_filter)BPF_JUMP(BPF_JMP | (test) | BPF_K, (uint32_t)(value), (yes), (no)))
/* The lower half: what is looked at fits it. All machines above are little-endian. */
#define ARGUMENT(i)               (offsetof(struct seccomp_data, args) + 8 * (size_t)(i))

static void deny(struct filter *filter, int number, uint32_t answer)
{
    emit(filter, JUMP(BPF_JEQ, number, 0, 1));
    emit(filter, RETURN(answer));
}

static void deny_all(struct filter *filter, const int numbers[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        deny(filter, numbers[i], DENY);
}
#define DENY_ALL(filter, numbers) deny_all((filter), (numbers), sizeof(numbers) / sizeof(int))

/* What is said of one call stands between these two, and returns on each of its ways. */
static unsigned short begin_call(struct filter *filter, int number)
{
    emit(filter, JUMP(BPF_JEQ, number, 0, 0));
    return filter->length;
}

static void end_call(struct filter *filter, unsigned short begin)
{
    filter->code[begin - 1].jf = (unsigned char)(filter->length - begin);
}

/* Of what was loaded last. */
static void return_if(struct filter *filter, uint32_t value, uint32_t answer)
{
    emit(filter, JUMP(BPF_JEQ, value, 0, 1));
    emit(filter, RETURN(answer));
}

static void return_if_any(struct filter *filter, unsigned bits, uint32_t answer)
{
    emit(filter, JUMP(BPF_JSET, bits, 0, 1));
    emit(filter, RETURN(answer));
}

static void keep_bits(struct filter *filter, unsigned bits)
{
    emit(filter, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits));
}

static void deny_bits(struct filter *filter, int number, int argument, unsigned bits)
{
    unsigned short call = begin_call(filter, number);
    emit(filter, LOAD(ARGUMENT(argument)));
    return_if_any(filter, bits, DENY);
    emit(filter, RETURN(ALLOW));
    end_call(filter, call);
}

/* ---- what is said of single calls ---- */

/* What an attacker writes must not be run. */
static void judge_memory(struct filter *filter)
{
    unsigned short call = begin_call(filter, SYS_mmap);
    emit(filter, LOAD(ARGUMENT(2)));
    keep_bits(filter, PROT_WRITE | PROT_EXEC);
    return_if(filter, PROT_WRITE | PROT_EXEC, DENY);
    emit(filter, RETURN(ALLOW));
    end_call(filter, call);
    deny_bits(filter, SYS_mprotect, 2, PROT_EXEC);
    deny_bits(filter, SYS_pkey_mprotect, 2, PROT_EXEC);
    deny_bits(filter, SYS_shmat, 2, SHM_EXEC);
}

/* The terminal that standard error may be: what is pushed into it would be run by its shell. */
static void judge_terminal(struct filter *filter)
{
    unsigned short call = begin_call(filter, SYS_ioctl);
    emit(filter, LOAD(ARGUMENT(1)));
    return_if(filter, TIOCSTI, DENY);
    return_if(filter, TIOCLINUX, DENY);
    emit(filter, RETURN(ALLOW));
    end_call(filter, call);
}

/* The families that are needed: of netlink the kernel's routes, for getaddrinfo(); of the internet
 * no raw ones. */
static void judge_sockets(struct filter *filter)
{
    unsigned short call = begin_call(filter, SYS_socket);
    emit(filter, LOAD(ARGUMENT(0)));
    return_if(filter, AF_UNIX, ALLOW);
    unsigned short netlink = begin_call(filter, AF_NETLINK);
    emit(filter, LOAD(ARGUMENT(2)));
    return_if(filter, NETLINK_ROUTE, ALLOW);
    emit(filter, RETURN(DENY));
    end_call(filter, netlink);
    emit(filter, JUMP(BPF_JEQ, AF_INET, 2, 0));
    emit(filter, JUMP(BPF_JEQ, AF_INET6, 1, 0));
    emit(filter, RETURN(DENY));
    emit(filter, LOAD(ARGUMENT(1)));
    keep_bits(filter, SOCKET_TYPE);
    return_if(filter, SOCK_RAW, DENY);
    emit(filter, RETURN(ALLOW));
    end_call(filter, call);
}

/* Threads; other processes only for who runs programs; new namespaces never. */
static void judge_clones(struct filter *filter, unsigned powers)
{
    deny(filter, 435 /* clone3 */, UNKNOWN);
    unsigned short call = begin_call(filter, SYS_clone);
    emit(filter, LOAD(ARGUMENT(0)));
    return_if_any(filter, NEW_NAMESPACES, DENY);
    if ((powers & CONFINE_EXECUTE) == 0) {
        return_if_any(filter, CLONE_THREAD, ALLOW);
        emit(filter, RETURN(DENY));
    }
    emit(filter, RETURN(ALLOW));
    end_call(filter, call);
}

/* To ourselves, as abort() does. */
static void judge_signals(struct filter *filter)
{
    unsigned short call = begin_call(filter, SYS_tgkill);
    emit(filter, LOAD(ARGUMENT(0)));
    return_if(filter, (uint32_t)getpid(), ALLOW);
    emit(filter, RETURN(DENY));
    end_call(filter, call);
    DENY_ALL(filter, to_signal);
}

static void judge_writes(struct filter *filter)
{
    deny_bits(filter, SYS_openat, 2, OPEN_TO_WRITE);
#ifdef SYS_open
    deny_bits(filter, SYS_open, 1, OPEN_TO_WRITE);
#endif
    deny(filter, 437 /* openat2 */, UNKNOWN);
    DENY_ALL(filter, to_write);
}

/* ---- the whole ---- */

/* Numbers of another machine, which this kernel may run as well, would mean other calls. */
static void judge_machine(struct filter *filter)
{
    emit(filter, LOAD(offsetof(struct seccomp_data, arch)));
    emit(filter, JUMP(BPF_JEQ, ARCHITECTURE, 1, 0));
    emit(filter, RETURN(DENY));
    emit(filter, LOAD(offsetof(struct seccomp_data, nr)));
#ifdef __x86_64__
    emit(filter, JUMP(BPF_JGE, X32_BIT, 0, 1));
    emit(filter, RETURN(DENY));
#endif
}

/* What is called often and judged by its arguments comes first. */
static void build(struct filter *filter, unsigned powers)
{
    judge_machine(filter);
    if ((powers & CONFINE_EXECUTE) == 0)
        judge_memory(filter); /* not for programs of others, which may compile as they run */
    judge_terminal(filter);
    if ((powers & CONFINE_CONNECT) != 0)
        judge_sockets(filter);
    else
        DENY_ALL(filter, to_connect);
    judge_clones(filter, powers);
    if ((powers & CONFINE_WRITE_FILES) == 0)
        judge_writes(filter);
    if ((powers & CONFINE_SIGNAL) == 0)
        judge_signals(filter);
    if ((powers & CONFINE_EXECUTE) == 0)
        DENY_ALL(filter, to_execute);
    DENY_ALL(filter, never);
    emit(filter, RETURN(ALLOW));
}

bool system_call_filter_enter(unsigned powers)
{
    struct filter filter = {.length = 0};
    build(&filter, powers);
    const struct sock_fprog program = {.len = filter.length, .filter = filter.code};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

#endif
