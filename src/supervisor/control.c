/* See control.h. */
#include "supervisor/control.h"

#include "base/log.h"
#include "page/passed_fd.h"
#include "supervisor/parts.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG   16
#define ASKED_FOR "asked for by moonwatch ctl"

/* Folders may lie deeper than an address is long; this way to them is short. */
static struct sockaddr_un address_in(int folder_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" CONTROL_SOCKET,
             folder_fd);
    return address;
}

bool control_init(struct control *control, int folder_fd, char why[512])
{
    struct sockaddr_un address = address_in(folder_fd);
    *control = (struct control){.fd = -1};
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        control->clients[i].fd = -1;
    unlinkat(folder_fd, CONTROL_SOCKET, 0); /* of a supervisor that is dead: we hold its lock */
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask = umask(0177);
    bool listens = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                   listen(fd, BACKLOG) == 0;
    umask(mask);
    if (listens) {
        control->fd = fd;
        return true;
    }
    snprintf(why, 512, "no control socket in the state folder: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return false;
}

static void shut(struct control_client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

void control_finish(struct control *control, int folder_fd)
{
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        shut(&control->clients[i]);
    if (control->fd < 0)
        return;
    close(control->fd);
    unlinkat(folder_fd, CONTROL_SOCKET, 0);
    control->fd = -1;
}

void control_polls(const struct control *control, struct pollfd out[CONTROL_POLLS])
{
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        out[i] = (struct pollfd){.fd = control->clients[i].fd, .events = POLLIN};
    out[CONTROL_CLIENTS_MAX] =
        (struct pollfd){.fd = control->rests ? -1 : control->fd, .events = POLLIN};
}

/* ---- replies ---- */

static void reply_to(struct control_client *client, const struct reply *reply)
{
    if (send(client->fd, reply, sizeof *reply, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        shut(client);
}

static void answer(struct control_client *client, enum command_result result, const char *message)
{
    struct reply reply = {.result = result, .score = NAN};
    snprintf(reply.message, sizeof reply.message, "%s", message);
    reply_to(client, &reply);
}

/* Opened anew, so that who gets it cannot write. */
static int page_for_readers(const struct world *world)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", world->page_fd);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* Passes a descriptor that nothing can be written through. */
static void answer_with(struct control_client *client, int fd)
{
    struct reply reply = {.result = RESULT_DONE, .score = NAN};
    union passed_fd passed;
    struct iovec part = {&reply, sizeof reply};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    passed_fd_give(&passed, fd, &message);
    if (sendmsg(client->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        shut(client);
}

static void answer_status(struct supervisor *supervisor, struct control_client *client)
{
    int fd = page_for_readers(&supervisor->world);
    if (fd < 0) {
        answer(client, RESULT_UNAVAILABLE, "the status page can't be opened");
        return;
    }
    answer_with(client, fd);
    close(fd);
}

void control_on_reply(struct control *control, const struct reply *reply)
{
    struct control_client *client = &control->clients[reply->tag % CONTROL_CLIENTS_MAX];
    if (client->fd >= 0 && client->serial == (uint32_t)(reply->tag / CONTROL_CLIENTS_MAX))
        reply_to(client, reply);
}

/* ---- commands ---- */

static void pass_on(struct supervisor *supervisor, struct control_client *client,
                    struct command *command)
{
    uint64_t place = (uint64_t)(client - supervisor->control.clients);
    client->serial = ++supervisor->control.serial;
    command->tag = (uint64_t)client->serial * CONTROL_CLIENTS_MAX + place;
    if (!supervisor_tell_engine(supervisor, command))
        answer(client, RESULT_UNAVAILABLE, "the engine is not running; try again");
}

static void answer_restart(struct control_client *client, bool is_begun)
{
    if (is_begun)
        answer(client, RESULT_DONE, "");
    else
        answer(client, RESULT_UNAVAILABLE,
               "not now: the daemon is ending, or can't start a process; its log says which");
}

static void on_command(struct supervisor *supervisor, struct control_client *client,
                       struct command *command)
{
    if (command->kind >= COMMAND_COUNT) {
        answer(client, RESULT_INVALID, "no such command");
        return;
    }
    switch ((enum command_kind)command->kind) {
    case COMMAND_STATUS:
        answer_status(supervisor, client);
        return;
    case COMMAND_TABLE:
        answer_with(client, supervisor->world.table_reader_fd);
        return;
    case COMMAND_RESTART:
        answer_restart(client, heal_restart(supervisor, ASKED_FOR, INCIDENT_NOT_DRAINED));
        return;
    case COMMAND_EMERGENCY:
        answer_restart(client, heal_emergency(supervisor, ASKED_FOR));
        return;
    case COMMAND_GO:
        answer(client, RESULT_INVALID, "no such command");
        return;
    default:
        pass_on(supervisor, client, command);
        return;
    }
}

static void on_client(struct supervisor *supervisor, struct control_client *client, instant now)
{
    struct command command;
    ssize_t size = recv(client->fd, &command, sizeof command, MSG_DONTWAIT);
    if (size != (ssize_t)sizeof command) {
        shut(client);
        return;
    }
    client->seen_at = now;
    on_command(supervisor, client, &command);
}

/* Modes of folder and socket keep others out; this does where somebody has changed these. Nobody's
 * id but the owner's and root's gets further, and none of who can't be told (ucred of zeroes would
 * be root). */
static bool is_owners(int fd)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t size = sizeof peer;
    (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    return (peer.uid == geteuid()) | (peer.uid == 0);
}

static void accept_client(struct control *control, instant now)
{
    int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        /* Without descriptors it would stay readable, and the loop would turn without end. */
        control->rests = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
        return;
    }
    if (!is_owners(fd)) {
        close(fd);
        return;
    }
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct control_client *client = &control->clients[i];
        if (client->fd >= 0)
            continue;
        *client = (struct control_client){.fd = fd, .seen_at = now};
        return;
    }
    struct control_client surplus = {.fd = fd};
    answer(&surplus, RESULT_UNAVAILABLE, "too many are asking; try again");
    shut(&surplus);
}

void control_on_polls(struct supervisor *supervisor, const struct pollfd polls[CONTROL_POLLS],
                      instant now)
{
    struct control *control = &supervisor->control;
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (polls[i].revents != 0 && control->clients[i].fd == polls[i].fd) /* not shut since */
            on_client(supervisor, &control->clients[i], now);
    if (polls[CONTROL_CLIENTS_MAX].revents != 0)
        accept_client(control, now);
}

void control_on_second(struct control *control, instant now)
{
    control->rests = false;
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct control_client *client = &control->clients[i];
        if (client->fd >= 0 &&
            instant_diff(now, client->seen_at).us > duration_s(CONTROL_IDLE_SEC).us)
            shut(client);
    }
}
