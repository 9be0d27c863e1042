/*
 * For tests: a Unix socket without a file.
 */
#ifndef BDAT_TESTS_LISTEN_SOMEWHERE_H
#define BDAT_TESTS_LISTEN_SOMEWHERE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Listens at a name of the abstract kind, which the kernel chooses and which leaves nothing behind.
 * Returns the socket, non-blocking, and its name for connect(2); a test ends where that fails. */
static inline int listen_somewhere(struct sockaddr_un *address, socklen_t *size)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    *size = sizeof(*address);
    if (fd < 0 || bind(fd, (struct sockaddr *)address, sizeof(sa_family_t)) != 0 ||
        listen(fd, 16) != 0 || getsockname(fd, (struct sockaddr *)address, size) != 0) {
        perror("a socket to listen at");
        abort();
    }
    return fd;
}

#endif
