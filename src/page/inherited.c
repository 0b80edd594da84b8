/* See inherited.h. */
#include "page/inherited.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>

static bool is_channel(int fd)
{
    int type = 0;
    socklen_t size = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

static bool is_memory(int fd)
{
    struct stat file;
    return fstat(fd, &file) == 0 && S_ISREG(file.st_mode);
}

bool inherited_is_whole(void)
{
    return is_memory(FD_PAGE) && is_memory(FD_TABLE) && is_channel(FD_LINK) &&
           is_channel(FD_COMMAND);
}
