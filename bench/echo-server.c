/*
 * What a table lookup is measured against: a bare libevent server that takes netstrings off a Unix
 * socket and sends each back, with nothing in between.
 *
 *   echo-server SOCKET
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "milter/netstring.h"

#define READ_SIZE 65536

static char buffer[READ_SIZE];

/* Requests come whole: the peer sends the next one when it has read the answer. */
static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct event **event = context;
    struct netstring request;
    char answer[1024];
    (void)what;
    ssize_t length = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (length < 0 && errno == EAGAIN)
        return;
    if (length <= 0 || netstring_parse(buffer, (size_t)length, &request) != NETSTRING_COMPLETE ||
        request.length > sizeof(answer) - 32) {
        event_free(*event);
        free(event);
        close(fd);
        return;
    }
    size_t size = netstring_write(answer, request.payload, request.length);
    if (send(fd, answer, size, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)size)
        fprintf(stderr, "echo-server: send: %s\n", strerror(errno));
}

static void on_acceptable(evutil_socket_t fd, short what, void *context)
{
    struct event_base *base = context;
    int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    (void)what;
    if (accepted < 0)
        return;
    struct event **event = malloc(sizeof(*event));
    if (event == NULL)
        exit(1);
    *event = event_new(base, accepted, EV_READ | EV_PERSIST, on_readable, event);
    if (*event == NULL || event_add(*event, NULL) != 0)
        exit(1);
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (argc != 2) {
        fputs("usage: echo-server SOCKET\n", stderr);
        return 2;
    }
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[1]);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, 1024) != 0) {
        perror(argv[1]);
        return 1;
    }
    struct event_base *base = event_base_new();
    struct event *acceptable =
        base != NULL ? event_new(base, fd, EV_READ | EV_PERSIST, on_acceptable, base) : NULL;
    if (acceptable == NULL || event_add(acceptable, NULL) != 0)
        return 1;
    return event_base_dispatch(base) == 0 ? 0 : 1;
}
