/* See process.h. */
#include "bench/process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXIT_NO_EXEC    126
#define PATHS_AT_ONCE   8
#define FOLDERS_AT_ONCE 16

/* At once: a supervisor that looks at process ids takes a zombie for alive. */
static void on_child_death(int number)
{
    int error = errno;
    (void)number;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
    errno = error;
}

void process_adopt_orphans(void)
{
    const struct sigaction action = {.sa_handler = on_child_death, .sa_flags = SA_RESTART};
    sigaction(SIGCHLD, &action, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static void enter(const char *folder)
{
    setsid();
    signal(SIGCHLD, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    if (chdir(folder) != 0)
        _exit(EXIT_NO_EXEC);
    int log = open("log", O_WRONLY | O_CREAT | O_APPEND, 0644);
    int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    close_range(STDERR_FILENO + 1, ~0U, 0);
}

pid_t process_fork(const char *folder)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        enter(folder);
    return pid;
}

pid_t process_run(const char *folder, const char *const argv[])
{
    pid_t pid = process_fork(folder);
    if (pid != 0)
        return pid;
    execvp(argv[0], (char *const *)argv);
    fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
    _exit(EXIT_NO_EXEC);
}

void process_kill(pid_t pid)
{
    if (pid <= 0)
        return;
    kill(pid, SIGKILL);
    while (kill(pid, 0) == 0) {
        waitpid(pid, NULL, 0);
        sleep_ms(1);
    }
}

static pid_t first_child(void)
{
    char path[64], line[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    if (fgets(line, sizeof line, file) == NULL)
        line[0] = '\0';
    fclose(file);
    return (pid_t)strtol(line, NULL, 10);
}

int process_kill_all(void)
{
    int count = 0;
    for (pid_t pid; (pid = first_child()) > 0; count++)
        process_kill(pid);
    return count;
}

bool process_has_built(const char *path)
{
    char real[PATH_MAX];
    if (access(path, X_OK) == 0)
        return true;
    const char *shown = realpath(path, real) != NULL ? real : path;
    fprintf(stderr, "bench: %s is missing: %s; `make bench` builds it\n", shown, strerror(errno));
    return false;
}

bool process_has_program(const char *name)
{
    char path[PATH_MAX];
    const char *folders = getenv("PATH");
    while (folders != NULL && *folders != '\0') {
        size_t length = strcspn(folders, ":");
        snprintf(path, sizeof path, "%.*s/%s", (int)length, folders, name);
        if (access(path, X_OK) == 0)
            return true;
        folders += length + (folders[length] == ':');
    }
    return name[0] == '/' && access(name, X_OK) == 0;
}

void sleep_ms(double ms)
{
    const struct timespec wait = {.tv_sec = (time_t)(ms / 1000),
                                  .tv_nsec = (long)(ms * 1e6) % 1000000000};
    nanosleep(&wait, NULL);
}

const char *path_in(const char *folder, const char *name)
{
    static char paths[PATHS_AT_ONCE][PATH_MAX];
    static unsigned turn;
    char *path = paths[turn++ % PATHS_AT_ONCE];
    if (snprintf(path, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX) {
        fprintf(stderr, "bench: the path of %s is too long\n", folder);
        exit(1);
    }
    return path;
}

bool make_folder(const char *path)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return true;
    fprintf(stderr, "bench: cannot make %s: %s\n", path, strerror(errno));
    return false;
}

static int remove_one(const char *path, const struct stat *file, int kind, struct FTW *at)
{
    (void)file, (void)kind, (void)at;
    return remove(path);
}

bool remove_folder(const char *path)
{
    return nftw(path, remove_one, FOLDERS_AT_ONCE, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0 ||
           errno == ENOENT;
}

bool write_text(const char *path, mode_t mode, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    if (!written)
        fprintf(stderr, "bench: cannot write %s: %s\n", path, strerror(errno));
    return written;
}

unsigned process_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        address.sin_port = 0;
    close(fd);
    return ntohs(address.sin_port);
}
