/* See passed_fd.h. */
#include "page/passed_fd.h"

#include <string.h>

void passed_fd_expect(union passed_fd *passed, struct msghdr *message)
{
    message->msg_control = passed->space;
    message->msg_controllen = sizeof passed->space;
}

void passed_fd_give(union passed_fd *passed, int fd, struct msghdr *message)
{
    memset(passed, 0, sizeof *passed);
    passed->header.cmsg_level = SOL_SOCKET;
    passed->header.cmsg_type = SCM_RIGHTS;
    passed->header.cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(&passed->header), &fd, sizeof fd);
    passed_fd_expect(passed, message);
}

int passed_fd_take(const struct msghdr *message, ssize_t size)
{
    const struct cmsghdr *header = size > 0 ? CMSG_FIRSTHDR(message) : NULL;
    int fd;
    if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
        return -1;
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}
