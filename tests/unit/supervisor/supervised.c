/* See the header. */
#include "supervised.h"

#include "folder.h"
#include "page/passed_fd.h"
#include "supervisor/control.h"
#include "supervisor/memory.h"
#include "supervisor/thread_cpu.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#define TESTS_MAX 128 /* of one program */

static struct supervised it = {.faults = -1};
static struct folder folder;
static const char *fake_program;
static size_t first_test, test_step = 1;

struct supervised *supervised(void)
{
    return &it;
}

/* ---- failures of the machine ---- */

static bool fails_with(_Atomic int *number)
{
    struct injected *injected = it.injected;
    int error = injected != NULL ? atomic_load(number) : 0;
    if (error == 0 || atomic_load(&injected->for_times) == 0)
        return false;
    if (atomic_load(&injected->after_times) > 0) {
        atomic_fetch_sub(&injected->after_times, 1);
        return false;
    }
    atomic_fetch_sub(&injected->for_times, 1);
    errno = error;
    return true;
}

#define FAILS(which) (it.injected != NULL && fails_with(&it.injected->which))

int __real_socketpair(int domain, int type, int protocol, int fds[2]);
int __wrap_socketpair(int domain, int type, int protocol, int fds[2]);
int __wrap_socketpair(int domain, int type, int protocol, int fds[2])
{
    return FAILS(socketpair_errno) ? -1 : __real_socketpair(domain, type, protocol, fds);
}

int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol)
{
    return FAILS(socket_errno) ? -1 : __real_socket(domain, type, protocol);
}

int __real_listen(int fd, int backlog);
int __wrap_listen(int fd, int backlog);
int __wrap_listen(int fd, int backlog)
{
    return FAILS(listen_errno) ? -1 : __real_listen(fd, backlog);
}

ssize_t __real_readlink(const char *path, char *out, size_t size);
ssize_t __wrap_readlink(const char *path, char *out, size_t size);
ssize_t __wrap_readlink(const char *path, char *out, size_t size)
{
    return FAILS(readlink_errno) ? -1 : __real_readlink(path, out, size);
}

int __real_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    return FAILS(accept_errno) ? -1 : __real_accept4(fd, address, size, flags);
}

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *size);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
    int result = __real_getsockopt(fd, level, name, value, size);
    if (level == SOL_SOCKET && name == SO_PEERCRED && FAILS(peer_errno))
        ((struct ucred *)value)->uid = 4711;
    return result;
}

int __real_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags)
{
    return FAILS(memfd_errno) ? -1 : __real_memfd_create(name, flags);
}

int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    int result = __real_clock_gettime(clock, out);
    if (clock == CLOCK_REALTIME && it.injected != NULL)
        out->tv_sec += atomic_load(&it.injected->clock_step_s);
    return result;
}

bool __real_memory_was_killed(struct memory_watch *watch);
bool __wrap_memory_was_killed(struct memory_watch *watch);
bool __wrap_memory_was_killed(struct memory_watch *watch)
{
    return atomic_load(&it.injected->kernel_killed) != 0 || __real_memory_was_killed(watch);
}

bool __real_thread_cpu_read(pid_t process, pid_t thread, struct thread_cpu *out);
bool __wrap_thread_cpu_read(pid_t process, pid_t thread, struct thread_cpu *out);
bool __wrap_thread_cpu_read(pid_t process, pid_t thread, struct thread_cpu *out)
{
    if (atomic_load(&it.injected->is_starving) == 0)
        return __real_thread_cpu_read(process, thread, out);
    *out = (struct thread_cpu){.is_runnable = true};
    return true;
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;
    va_end(list);
    bool is_descriptor = strncmp(path, "/proc/self/fd/", 14) == 0;
    return is_descriptor && FAILS(open_errno) ? -1 : __real_open64(path, flags, mode);
}

int __real_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *wait,
                 const sigset_t *mask);
int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *wait,
                 const sigset_t *mask);
int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *wait,
                 const sigset_t *mask)
{
    return FAILS(ppoll_errno) ? -1 : __real_ppoll(fds, count, wait, mask);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    va_list list;
    long arguments[4];
    if (number == SYS_pidfd_open && FAILS(pidfd_errno))
        return -1;
    va_start(list, number);
    for (int i = 0; i < 4; i++)
        arguments[i] = va_arg(list, long);
    va_end(list);
    return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3]);
}

/* ---- allocations ---- */

#if SLOWNESS == 1
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

static void count_allocation(void)
{
    if (it.injected != NULL)
        atomic_fetch_add(&it.injected->allocations, 1);
}

void *malloc(size_t size)
{
    count_allocation();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    count_allocation();
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    count_allocation();
    return __libc_realloc(memory, size);
}
#endif

/* ---- begin and end of a test ---- */

void supervised_main(int argc, char *argv[])
{
    if (argc < 2)
        abort();
    const char *fake = getenv("FAKE_CHILD");
    if (fake != NULL)
        execv(fake, argv);
    fake_program = argv[1];
    if (argc < 4)
        return;
    first_test = strtoul(argv[2], NULL, 10) - 1;
    test_step = strtoul(argv[3], NULL, 10);
}

int supervised_run(const struct CMUnitTest *tests, size_t count)
{
    struct CMUnitTest own[TESTS_MAX];
    size_t own_count = 0;
    assert(count <= TESTS_MAX);
    for (size_t i = first_test; i < count; i += test_step)
        own[own_count++] = tests[i];
    return _cmocka_run_group_tests("tests", own, own_count, NULL, NULL);
}

static void *share(size_t size, int fd)
{
    int flags = MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    return memory;
}

/* Not in a file: who writes to one through a mapping can't be killed while the disk is busy. */
static void make_script(char path[PATH_MAX])
{
    it.script_fd = memfd_create("script", MFD_CLOEXEC);
    assert_int_equal(ftruncate(it.script_fd, sizeof *it.script), 0);
    it.script = share(sizeof *it.script, it.script_fd);
    snprintf(path, PATH_MAX, "/proc/%d/fd/%d", (int)getpid(), it.script_fd);
}

int supervised_begin(void **state)
{
    static char script[PATH_MAX];
    struct options *options = &it.options;
    (void)state;
    folder_make(&folder);
    it = (struct supervised){.faults = -1, .arguments = {script}};
    make_script(script);
    it.injected = share(sizeof *it.injected, -1);
    options_init(options);
    snprintf(options->state_dir, sizeof options->state_dir, "%.200s/state", folder.path);
    snprintf(options->listen, sizeof options->listen, "127.0.0.1:0");
    options->heartbeat_deadline_ms = HEARTBEAT_MS;
    options->restart_backoff_min_sec = 0.001;
    options->restart_backoff_max_sec = 0.002;
    options->max_restarts_per_hour = 1000000;
    return 0;
}

int supervised_end(void **state)
{
    (void)state;
    if (it.pid != 0) {
        kill(it.pid, SIGKILL);
        waitpid(it.pid, NULL, 0);
    }
    status_page_detach(it.page);
    munmap(it.script, sizeof *it.script);
    close(it.script_fd);
    munmap(it.injected, sizeof *it.injected);
    if (it.faults >= 0)
        close(it.faults);
    it = (struct supervised){.faults = -1};
    folder_remove(&folder);
    return 0;
}

const char *supervised_path(const char *name)
{
    return folder_path(&folder, name);
}

const char *supervised_log(void)
{
    return folder_read(&folder, "log");
}

/* ---- the supervisor ---- */

static void become_supervisor(void)
{
    const struct supervisor_config config = {
        .options = &it.options,
        .arguments = it.many_arguments != NULL ? it.many_arguments : it.arguments,
        .program = it.program == NULL      ? fake_program
                   : it.program[0] == '\0' ? NULL
                                           : it.program,
        .faults = it.faults >= 0 ? fcntl(it.faults, F_DUPFD_CLOEXEC, 100) : -1};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int log = open(supervised_path("log"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(log, STDERR_FILENO);
    for (int fd = STDERR_FILENO + 1; fd < 64; fd++)
        close(fd);
    setenv("FAKE_CHILD", fake_program, 1);
    if (it.before != NULL)
        it.before();
    int status = supervisor_run(&config);
    struct rlimit files; /* what measures coverage needs some, too */
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    exit(status);
}

static int connect_to_control(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.80s/state/" CONTROL_SOCKET, folder.path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static int ask_for_page(int control)
{
    struct command command = {.kind = COMMAND_STATUS};
    struct reply reply;
    union passed_fd passed;
    struct iovec part = {&reply, sizeof reply};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    passed_fd_expect(&passed, &message);
    if (send(control, &command, sizeof command, MSG_NOSIGNAL) < 0)
        return -1;
    return passed_fd_take(&message, recvmsg(control, &message, MSG_CMSG_CLOEXEC));
}

static bool map_page(void)
{
    char why[PAGE_WHY_SIZE];
    int control = connect_to_control();
    int fd = control >= 0 ? ask_for_page(control) : -1;
    if (fd >= 0) {
        assert_null(status_page_attach(fd, PAGE_READ_WRITE, why)); /* to be read only */
        it.page = status_page_attach(fd, PAGE_READ_ONLY, why);
        close(fd);
    }
    if (control >= 0)
        close(control);
    return it.page != NULL;
}

static bool has_ended(void)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)it.pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
}

void supervised_look(void)
{
    expect_soon(map_page());
}

void supervised_start(void)
{
    it.pid = fork();
    assert_true(it.pid >= 0);
    if (it.pid == 0)
        become_supervisor();
    expect_soon(has_ended() || map_page());
}

void supervised_start_and_up(void)
{
    supervised_start();
    expect_state(PROCESS_ENGINE, PROCESS_RUNNING);
    expect_state(PROCESS_API, PROCESS_RUNNING);
}

int supervised_wait(void)
{
    int status;
    expect_soon(has_ended());
    assert_int_equal(waitpid(it.pid, &status, 0), it.pid);
    it.pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int supervised_stop(void)
{
    assert_int_equal(kill(it.pid, SIGTERM), 0);
    return supervised_wait();
}

int supervised_control(void)
{
    int fd = connect_to_control();
    assert_true(fd >= 0);
    return fd;
}

struct reply supervised_ask(enum command_kind kind)
{
    struct command command = {.kind = kind};
    struct reply reply = {0};
    int fd = supervised_control();
    assert_int_equal(send(fd, &command, sizeof command, MSG_NOSIGNAL), sizeof command);
    assert_int_equal(recv(fd, &reply, sizeof reply, 0), sizeof reply);
    close(fd);
    return reply;
}

void expect_incident(uint64_t number, const char *part)
{
    char name[64];
    snprintf(name, sizeof name, "state/incidents/%06llu.json", (unsigned long long)number);
    expect_soon(folder_read(&folder, name)[0] != '\0');
    const char *text = folder_read(&folder, name);
    if (strstr(text, part) == NULL)
        fail_msg("incident %llu does not say \"%s\":\n%.1500s", (unsigned long long)number, part,
                 text);
}

/* ---- the children ---- */

struct fake_orders *orders_of(enum page_process_id process)
{
    return &it.script->of[process];
}

void order(enum page_process_id process, enum fake_act act)
{
    atomic_store(&orders_of(process)->now, act);
}

uint64_t pid_of(enum page_process_id process)
{
    return atomic_load(&it.page->processes[process].pid);
}

uint64_t counted(enum counter counter)
{
    return atomic_load(&it.page->counters[counter]);
}

static bool is_in_state(enum page_process_id process, enum process_state state)
{
    return atomic_load(&it.page->processes[process].state) == state;
}

void expect_state(enum page_process_id process, enum process_state state)
{
    expect_soon(is_in_state(process, state) || has_ended());
    assert_true(is_in_state(process, state));
}

void expect_starts(enum page_process_id process, uint64_t starts)
{
    expect_soon(atomic_load(&it.page->processes[process].starts) >= starts);
    expect_state(process, PROCESS_RUNNING);
    assert_int_equal(atomic_load(&it.page->processes[process].starts), starts);
}

const char *trace_of(enum page_process_id process)
{
    static char trace[TRACE_SIZE];
    static struct flight_record records[FLIGHT_RECORDS];
    size_t count = flight_read(&it.page->flight, records, FLIGHT_RECORDS), length = 0;
    trace[0] = '\0';
    for (size_t i = 0; i < count && length < sizeof trace - 64; i++)
        if (records[i].kind == FLIGHT_PROCESS && records[i].what == process)
            length += (size_t)snprintf(trace + length, 64, "%s%s>%s", length > 0 ? " " : "",
                                       process_state_name((enum process_state)records[i].from),
                                       process_state_name((enum process_state)records[i].to));
    return trace;
}

void expect_trace(enum page_process_id process, const char *expected)
{
    assert_string_equal(trace_of(process), expected);
}
