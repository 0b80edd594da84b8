/*
 * What each process of ours can still do once it has given up the rest: attempts, in a process that
 * entered as the daemon's do, and what the kernel says to each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/confine.h"
#include "base/options.h"
#include "page/confinement.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FOLDER_SIZE 64
#define PATH_SIZE   128
#define NO_FORK     999 /* the child could not even begin */

static char folder[FOLDER_SIZE];
static struct status_page page;

static const char *in_folder(const char *name)
{
    static char paths[8][PATH_SIZE];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, PATH_SIZE, "%s/%s", folder, name);
    return path;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status, (void)kind, (void)walk;
    return remove(path);
}

static void write_file(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("text\n", file);
    fclose(file);
}

/* data/ has the database, state/ the daemon's own, export/ the file for bots, elsewhere/ what is
 * none of ours. */
static int set_up(void **state)
{
    static const char *const folders[] = {"data", "state", "export", "elsewhere"};
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/moonwatch-confined-XXXXXX");
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        assert_int_equal(mkdir(in_folder(folders[i]), 0700), 0);
    write_file(in_folder("data/other"));
    write_file(in_folder("state/incident"));
    write_file(in_folder("elsewhere/secret"));
    status_page_init(&page);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct options own_options(void)
{
    struct options options;
    options_init(&options);
    snprintf(options.db, sizeof options.db, "sqlite:%s", in_folder("data/moonwatch.db"));
    snprintf(options.state_dir, sizeof options.state_dir, "%s", in_folder("state"));
    snprintf(options.export_path, sizeof options.export_path, "%s", in_folder("export/pools.json"));
    return options;
}

/* ---- attempts; each returns 0 or errno ---- */

static int of(long result)
{
    return result < 0 ? errno : 0;
}

static int open_as(const char *name, int flags)
{
    int fd = open(in_folder(name), flags, 0600);
    int error = of(fd);
    if (fd >= 0)
        close(fd);
    return error;
}

static int read_elsewhere(void)
{
    return open_as("elsewhere/secret", O_RDONLY);
}
static int write_elsewhere(void)
{
    return open_as("elsewhere/secret", O_WRONLY);
}
static int make_elsewhere(void)
{
    return open_as("elsewhere/new", O_WRONLY | O_CREAT);
}
static int read_data(void)
{
    return open_as("data/other", O_RDONLY);
}
static int write_data(void)
{
    return open_as("data/other", O_RDWR);
}
static int cut_data(void)
{
    return open_as("data/other", O_RDONLY | O_TRUNC);
}
static int make_data(void)
{
    return open_as("data/new", O_RDONLY | O_CREAT);
}
static int truncate_data(void)
{
    return of(truncate(in_folder("data/other"), 0));
}
static int rename_data(void)
{
    return of(rename(in_folder("data/other"), in_folder("data/b")));
}
static int delete_data(void)
{
    return of(unlink(in_folder("data/other")));
}
static int link_data(void)
{
    return of(link(in_folder("data/other"), in_folder("data/c")));
}
static int fold_data(void)
{
    return of(mkdir(in_folder("data/folder"), 0700));
}
static int point_data(void)
{
    return of(symlink("/etc/passwd", in_folder("data/d")));
}
static int chmod_data(void)
{
    return of(chmod(in_folder("data/other"), 0666));
}
static int read_state(void)
{
    return open_as("state/incident", O_RDONLY);
}
static int export(void)
{
    int error = open_as("export/new", O_WRONLY | O_CREAT | O_TRUNC);
    return error != 0 ? error : of(rename(in_folder("export/new"), in_folder("export/pools.json")));
}
static int read_etc(void)
{
    int fd = open("/etc/passwd", O_RDONLY);
    return of(fd);
}
static int open_hidden(void) /* openat2(): its flags lie in memory */
{
    const uint64_t how[3] = {O_WRONLY};
    return of(syscall(437, AT_FDCWD, in_folder("data/other"), how, sizeof how));
}

static int run_program(void)
{
    char *const argv[] = {(char *)"/bin/true", NULL};
    execv(argv[0], argv);
    return errno;
}

static int fork_process(void)
{
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        _exit(0);
    return of(pid);
}

static void *do_nothing(void *argument)
{
    return argument;
}

static int start_thread(void)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, do_nothing, NULL);
    if (error == 0)
        pthread_join(thread, NULL);
    return error;
}

static int connect_tcp(void) /* to the port of nobody */
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(1)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd < 0 ? errno : of(connect(fd, (struct sockaddr *)&address, sizeof address));
}

static int bind_tcp(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd < 0 ? errno : of(bind(fd, (struct sockaddr *)&address, sizeof address));
}

static int open_packets(void)
{
    return of(socket(AF_PACKET, SOCK_DGRAM, 0));
}
static int open_raw(void)
{
    return of(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}
static int open_vsock(void)
{
    return of(socket(AF_VSOCK, SOCK_STREAM, 0));
}
static int open_routes(void)
{
    return of(socket(AF_NETLINK, SOCK_RAW, 0));
}
static int open_audit(void)
{
    return of(socket(AF_NETLINK, SOCK_RAW, 9));
}
static int kill_parent(void)
{
    return of(kill(getppid(), 0));
}
static int kill_self(void)
{
    return of(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), 0));
}
static int trace(void)
{
    return of(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}
static int read_memory(void)
{
    return of(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}
static int mount_one(void)
{
    return of(mount("none", in_folder("data"), "tmpfs", 0, NULL));
}
static int leave_namespace(void)
{
    return of(unshare(CLONE_NEWUSER));
}
static int clone_namespace(void)
{
    return of(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL));
}
static int load_bpf(void)
{
    return of(syscall(SYS_bpf, 0, NULL, 0));
}
static int start_ring(void)
{
    return of(syscall(425, 1, NULL));
}
static int fault_pages(void)
{
    return of(syscall(SYS_userfaultfd, 0));
}
static int push_input(void)
{
    return of(ioctl(2, TIOCSTI, "x"));
}
static int set_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return of(clock_settime(CLOCK_REALTIME, &now));
}

static int map_code(int protection)
{
    void *base = mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return base == MAP_FAILED ? errno : 0;
}
static int map_write_and_run(void)
{
    return map_code(PROT_READ | PROT_WRITE | PROT_EXEC);
}
static int map_run(void)
{
    return map_code(PROT_READ | PROT_EXEC);
} /* as dlopen() does */
static int run_what_was_written(void)
{
    void *base = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return base == MAP_FAILED ? 0 : of(mprotect(base, 4096, PROT_READ | PROT_EXEC));
}

/* By another machine's numbers, as 32-bit programs call: 11 is execve there. */
static int call_x32(void)
{
#ifdef __x86_64__
    return of(syscall(0x40000000 | SYS_getpid));
#else
    return EPERM;
#endif
}

/* X(attempt, supervisor, engine, engine with alert_command, api) */
#define ATTEMPT_LIST(X)                                                                            \
    X(read_elsewhere, 0, EACCES, 0, EACCES)                                                        \
    X(write_elsewhere, 0, EACCES, 0, EPERM)                                                        \
    X(make_elsewhere, 0, EACCES, 0, EPERM)                                                         \
    X(read_data, 0, 0, 0, 0)                                                                       \
    X(write_data, 0, 0, 0, EPERM)                                                                  \
    X(cut_data, 0, 0, 0, EPERM)                                                                    \
    X(make_data, 0, 0, 0, EPERM)                                                                   \
    X(truncate_data, 0, 0, 0, EPERM)                                                               \
    X(link_data, 0, 0, 0, EPERM)                                                                   \
    X(fold_data, 0, 0, 0, EPERM)                                                                   \
    X(point_data, 0, EACCES, 0, EPERM)                                                             \
    X(chmod_data, 0, 0, 0, EPERM)                                                                  \
    X(open_hidden, 0, 0, 0, ENOSYS)                                                                \
    X(rename_data, 0, 0, 0, EPERM)                                                                 \
    X(delete_data, 0, 0, 0, EPERM)                                                                 \
    X(read_state, 0, EACCES, 0, 0)                                                                 \
    X(export, 0, 0, 0, EPERM)                                                                      \
    X(read_etc, 0, 0, 0, 0)                                                                        \
    X(run_program, 0, EPERM, 0, EPERM)                                                             \
    X(fork_process, 0, EPERM, 0, EPERM)                                                            \
    X(start_thread, 0, 0, 0, 0)                                                                    \
    X(connect_tcp, ECONNREFUSED, ECONNREFUSED, ECONNREFUSED, EPERM)                                \
    X(bind_tcp, 0, EACCES, 0, EPERM)                                                               \
    X(open_packets, EPERM, EPERM, EPERM, EPERM)                                                    \
    X(open_raw, EPERM, EPERM, EPERM, EPERM)                                                        \
    X(open_vsock, EPERM, EPERM, EPERM, EPERM)                                                      \
    X(open_routes, 0, 0, 0, EPERM)                                                                 \
    X(open_audit, EPERM, EPERM, EPERM, EPERM)                                                      \
    X(kill_parent, 0, EPERM, 0, EPERM)                                                             \
    X(kill_self, 0, 0, 0, 0)                                                                       \
    X(trace, EPERM, EPERM, EPERM, EPERM)                                                           \
    X(read_memory, EPERM, EPERM, EPERM, EPERM)                                                     \
    X(mount_one, EPERM, EPERM, EPERM, EPERM)                                                       \
    X(leave_namespace, EPERM, EPERM, EPERM, EPERM)                                                 \
    X(clone_namespace, EPERM, EPERM, EPERM, EPERM)                                                 \
    X(load_bpf, EPERM, EPERM, EPERM, EPERM)                                                        \
    X(start_ring, EPERM, EPERM, EPERM, EPERM)                                                      \
    X(fault_pages, EPERM, EPERM, EPERM, EPERM)                                                     \
    X(push_input, EPERM, EPERM, EPERM, EPERM)                                                      \
    X(set_clock, EPERM, EPERM, EPERM, EPERM)                                                       \
    X(map_write_and_run, 0, EPERM, 0, EPERM)                                                       \
    X(map_run, 0, 0, 0, 0)                                                                         \
    X(run_what_was_written, 0, EPERM, 0, EPERM)                                                    \
    X(call_x32, EPERM, EPERM, EPERM, EPERM)

enum who { SUPERVISOR, ENGINE, ENGINE_WITH_COMMAND, API, WHO_COUNT };

struct attempt {
    const char *name;
    int (*function)(void);
    int expected[WHO_COUNT];
};

static const struct attempt attempts[] = {
#define X(name, supervisor, engine, with_command, api)                                             \
    {#name, (name), {(supervisor), (engine), (with_command), (api)}},
    ATTEMPT_LIST(X)
#undef X
};

/* ---- a process that enters and tries ---- */

static int in_child(enum page_process_id process, const struct options *options,
                    int (*function)(void))
{
    int ends[2], error = NO_FORK;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        confine_process(process, options, &page);
        error = function();
        (void)!write(ends[1], &error, sizeof error);
        _exit(0);
    }
    close(ends[1]);
    /* A program that is run closes the pipe and says nothing. */
    if (read(ends[0], &error, sizeof error) == 0)
        error = 0;
    close(ends[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return error;
}

static bool is_confined(void)
{
    return confine_parts_wanted(0) != 0;
}

static bool has_all(void)
{
    static int known = -1;
    if (known < 0) {
        struct confinement probe;
        confine_begin(&probe, 0);
        known = probe.abi >= 6;
        if (probe.ruleset >= 0)
            close(probe.ruleset);
    }
    return known != 0;
}

#define SKIP_UNLESS_CONFINED()                                                                     \
    if (!is_confined()) {                                                                          \
        print_message("# skipped: this build's runtime needs what is given up\n");                 \
        return;                                                                                    \
    }                                                                                              \
    if (!has_all()) {                                                                              \
        print_message("# skipped: a kernel without the Landlock of Linux 6.12\n");                 \
        return;                                                                                    \
    }

static void expect_attempts(enum who who, enum page_process_id process,
                            const struct options *options)
{
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        tear_down(NULL);
        set_up(NULL);
        struct options own = own_options();
        memcpy(own.alert_command, options->alert_command, sizeof own.alert_command);
        int error = in_child(process, &own, attempts[i].function);
        if (error != attempts[i].expected[who])
            fail_msg("%s: %s, expected %s", attempts[i].name, strerror(error),
                     strerror(attempts[i].expected[who]));
    }
}

static void each_can_do_its_work_and_no_more(void **state)
{
    (void)state;
    SKIP_UNLESS_CONFINED()
    struct options options = own_options();
    expect_attempts(SUPERVISOR, PROCESS_SUPERVISOR, &options);
    expect_attempts(ENGINE, PROCESS_ENGINE, &options);
    expect_attempts(API, PROCESS_API, &options);
    snprintf(options.alert_command, sizeof options.alert_command, "/bin/true");
    expect_attempts(ENGINE_WITH_COMMAND, PROCESS_ENGINE, &options);
}

/* ---- what is told ---- */

static void the_page_says_what_was_given_up(void **state)
{
    (void)state;
    SKIP_UNLESS_CONFINED()
    struct options options = own_options();
    struct status_page *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    for (int pass = 0; pass < 2; pass++) {
        options.sandbox = pass == 0 ? SANDBOX_ON : SANDBOX_OFF;
        pid_t pid = fork();
        if (pid == 0) {
            confine_process(PROCESS_API, &options, shared);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(page_word(&shared->processes[PROCESS_API].confined),
                         pass == 0 ? confine_parts_wanted(0) : 0);
    }
    munmap(shared, sizeof *shared);
}

static void off_gives_up_nothing(void **state)
{
    (void)state;
    struct options options = own_options();
    options.sandbox = SANDBOX_OFF;
    assert_int_equal(in_child(PROCESS_API, &options, write_elsewhere), 0);
    assert_int_equal(in_child(PROCESS_API, &options, run_program), 0);
}

/* A folder that is made after the start, as by a mount that comes late. */
static int make_late(void)
{
    int error = of(mkdir(in_folder("elsewhere/late"), 0700));
    return error != 0 ? error : open_as("elsewhere/late/db", O_WRONLY | O_CREAT);
}

static void a_folder_may_be_made_later(void **state)
{
    (void)state;
    SKIP_UNLESS_CONFINED()
    struct options options = own_options();
    snprintf(options.db, sizeof options.db, "sqlite:%s", in_folder("elsewhere/late/db"));
    assert_int_equal(in_child(PROCESS_ENGINE, &options, make_late), 0);
}

/* Where the database is a symbolic link, its siblings lie beside what it points to. */
static int write_beside_target(void)
{
    return open_as("elsewhere/moonwatch.db-wal", O_RDWR | O_CREAT);
}

static void a_database_may_be_a_link(void **state)
{
    (void)state;
    SKIP_UNLESS_CONFINED()
    struct options options = own_options();
    write_file(in_folder("elsewhere/moonwatch.db"));
    assert_int_equal(symlink(in_folder("elsewhere/moonwatch.db"), in_folder("data/moonwatch.db")),
                     0);
    assert_int_equal(in_child(PROCESS_ENGINE, &options, write_beside_target), 0);
    assert_int_equal(in_child(PROCESS_API, &options, read_elsewhere), 0);
}

static int read_source(void)
{
    return open_as("elsewhere/secret", O_RDONLY);
}

static void the_source_may_be_a_file(void **state)
{
    (void)state;
    SKIP_UNLESS_CONFINED()
    for (int i = 0; i < 2; i++) {
        struct options options = own_options();
        char path[PATH_SIZE];
        snprintf(path, sizeof path, "%s", in_folder("elsewhere/secret"));
        snprintf(options.source, sizeof options.source, "%s%s%s", i == 0 ? "file:" : "FILE:", path,
                 i == 0 ? "" : "?follow");
        assert_int_equal(in_child(PROCESS_ENGINE, &options, read_source), 0);
        assert_int_equal(in_child(PROCESS_ENGINE, &options, write_elsewhere), EACCES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_can_do_its_work_and_no_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_page_says_what_was_given_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(off_gives_up_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_folder_may_be_made_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_database_may_be_a_link, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_source_may_be_a_file, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
