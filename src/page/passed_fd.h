/*
 * A descriptor that goes along with a message over a UNIX socket (unix(7), cmsg(3)): the status
 * page to who asks for it, the faults of a drill to an engine.
 */
#ifndef MOONWATCH_PAGE_PASSED_FD_H
#define MOONWATCH_PAGE_PASSED_FD_H

#include <sys/socket.h>
#include <sys/types.h>

/* Room for one, where the kernel wants it: aligned as its header. It lives as long as the message.
 */
union passed_fd {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
};

/* The receiver gets a copy of `fd`. */
void passed_fd_give(union passed_fd *passed, int fd, struct msghdr *message);

/* Before each recvmsg(): one may come along. */
void passed_fd_expect(union passed_fd *passed, struct msghdr *message);
/* After it, with what it returned: the descriptor, which is the caller's to close; −1: none came.
 */
int passed_fd_take(const struct msghdr *message, ssize_t size);

#endif
