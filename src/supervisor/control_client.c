/* See control_client.h. */
#include "supervisor/control_client.h"

#include "page/passed_fd.h"
#include "page/state_dir.h"
#include "supervisor/control.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void explain(char why[CONTROL_WHY_SIZE], const char *path, int error)
{
    if (error == EACCES || error == EPERM)
        snprintf(why, CONTROL_WHY_SIZE,
                 "the daemon's state folder %.300s belongs to somebody else; "
                 "ask as its owner or as root",
                 path);
    else if (error == ENOENT || error == ECONNREFUSED || error == ENOTDIR)
        snprintf(why, CONTROL_WHY_SIZE,
                 "no daemon runs with its state in %.300s; is it started, and with the same --db "
                 "or --state-dir?",
                 path);
    else
        snprintf(why, CONTROL_WHY_SIZE, "the control socket in %.300s can't be reached: %s", path,
                 strerror(error));
}

/* Through the folder's descriptor: an address is at most 107 bytes long, a path may be longer. */
static int connect_in(int folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" CONTROL_SOCKET, folder);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return -1;
}

int control_connect(const struct options *options, char why[CONTROL_WHY_SIZE])
{
    char path[PATH_MAX];
    state_dir_path(options, path);
    int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = folder >= 0 ? connect_in(folder) : -1;
    int error = errno;
    if (folder >= 0)
        close(folder);
    if (fd < 0)
        explain(why, path, error);
    return fd;
}

static bool receive(int fd, struct control_answer *out)
{
    union passed_fd passed;
    struct iovec part = {&out->reply, sizeof out->reply};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    passed_fd_expect(&passed, &message);
    ssize_t size = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    out->page_fd = passed_fd_take(&message, size);
    out->reply.message[sizeof out->reply.message - 1] = '\0';
    return size == (ssize_t)sizeof out->reply;
}

/* A signal, as when a terminal changes its size, begins the wait anew. */
static bool await_reply(int fd, duration patience)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    int ready;
    do
        ready = poll(&waiting, 1, (int)duration_to_ms(patience));
    while (ready < 0 && errno == EINTR);
    return ready == 1;
}

bool control_ask(int fd, const struct command *command, duration patience,
                 struct control_answer *out, char why[CONTROL_WHY_SIZE])
{
    *out = (struct control_answer){.page_fd = -1};
    if (send(fd, command, sizeof *command, MSG_NOSIGNAL) != (ssize_t)sizeof *command) {
        snprintf(why, CONTROL_WHY_SIZE, "the daemon ended: %s", strerror(errno));
        return false;
    }
    if (!await_reply(fd, patience)) {
        snprintf(why, CONTROL_WHY_SIZE, "the daemon did not answer within %.0f s",
                 duration_to_s(patience));
        return false;
    }
    if (receive(fd, out))
        return true;
    snprintf(why, CONTROL_WHY_SIZE, "the daemon ended before it answered");
    return false;
}
