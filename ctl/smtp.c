#include "config.h"

#include "ctl/smtp.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl/text.h"

static bool wait_for(const struct smtp *smtp, short events)
{
    struct pollfd descriptor = {.fd = smtp->fd, .events = events};
    return poll(&descriptor, 1, smtp->timeout_ms) == 1;
}

static int connect_to(struct smtp *smtp, const struct addrinfo *address)
{
    int failed = -1;
    socklen_t size = sizeof(failed);
    smtp->fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                      address->ai_protocol);
    if (smtp->fd < 0)
        return errno;
    if (connect(smtp->fd, address->ai_addr, address->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    if (!wait_for(smtp, POLLOUT))
        return ETIMEDOUT;
    return getsockopt(smtp->fd, SOL_SOCKET, SO_ERROR, &failed, &size) == 0 ? failed : errno;
}

/* Takes one line, without its end; false when none comes in time. Overlong lines are cut. */
static bool read_line(struct smtp *smtp, char *line, size_t size)
{
    char *end;
    while ((end = memchr(smtp->buffer, '\n', smtp->length)) == NULL) {
        if (smtp->length == sizeof(smtp->buffer))
            return false;
        if (!wait_for(smtp, POLLIN))
            return false;
        ssize_t got =
            read(smtp->fd, smtp->buffer + smtp->length, sizeof(smtp->buffer) - smtp->length);
        if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
            return false;
        smtp->length += got > 0 ? (size_t)got : 0;
    }
    size_t used = (size_t)(end - smtp->buffer) + 1;
    snprintf(line, size, "%.*s", (int)(used - 1), smtp->buffer);
    line[strcspn(line, "\r")] = '\0';
    smtp->length -= used;
    memmove(smtp->buffer, smtp->buffer + used, smtp->length);
    return true;
}

static int read_reply(struct smtp *smtp)
{
    char line[1024];
    size_t filled = 0;
    smtp->code = 0;
    smtp->reply[0] = '\0';
    for (int lines = 0; lines < 100 && read_line(smtp, line, sizeof(line)); lines++) {
        int wrote = snprintf(smtp->reply + filled, sizeof(smtp->reply) - filled, "%s%s",
                             filled ? "\n" : "", line);
        filled += (size_t)wrote;
        if (filled >= sizeof(smtp->reply))
            filled = sizeof(smtp->reply) - 1;
        if (strspn(line, "0123456789") >= 3 && line[3] != '-')
            return smtp->code = atoi(line);
    }
    return 0;
}

int smtp_connect(struct smtp *smtp, const char *host, const char *port, int timeout_ms)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    *smtp = (struct smtp){.fd = -1, .timeout_ms = timeout_ms};
    int failed = getaddrinfo(host, port, &hints, &list);
    if (failed != 0) {
        snprintf(smtp->reply, sizeof(smtp->reply), "%s", gai_strerror(failed));
        return -1;
    }
    for (const struct addrinfo *each = list; each != NULL; each = each->ai_next) {
        failed = connect_to(smtp, each);
        if (failed == 0)
            break;
        smtp_close(smtp);
    }
    freeaddrinfo(list);
    if (failed != 0) {
        snprintf(smtp->reply, sizeof(smtp->reply), "%s", strerror(failed));
        return -1;
    }
    if (read_reply(smtp) / 100 == 2)
        return 0;
    if (smtp->reply[0] == '\0')
        snprintf(smtp->reply, sizeof(smtp->reply), "no greeting");
    return -1;
}

int smtp_send(struct smtp *smtp, const char *octets, size_t length)
{
    smtp->code = 0;
    smtp->reply[0] = '\0';
    while (length > 0) {
        if (!wait_for(smtp, POLLOUT))
            return 0;
        ssize_t sent = send(smtp->fd, octets, length, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR && errno != EAGAIN)
            return 0;
        octets += sent > 0 ? sent : 0;
        length -= sent > 0 ? (size_t)sent : 0;
    }
    return read_reply(smtp);
}

int smtp_command(struct smtp *smtp, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *line = text_vformat(format, arguments);
    va_end(arguments);
    char *whole = text_format("%s\r\n", line);
    int code = smtp_send(smtp, whole, strlen(whole));
    free(whole);
    free(line);
    return code;
}

bool smtp_offers(const struct smtp *smtp, const char *keyword)
{
    size_t length = strlen(keyword);
    for (const char *line = strchr(smtp->reply, '\n'); line != NULL; line = strchr(line + 1, '\n'))
        if (strlen(line) >= 5 + length && strncasecmp(line + 5, keyword, length) == 0 &&
            strchr(" \n", line[5 + length]) != NULL)
            return true;
    return false;
}

const char *smtp_first_line(const struct smtp *smtp)
{
    static char line[201];
    snprintf(line, sizeof(line), "%.*s", (int)strcspn(smtp->reply, "\n"),
             smtp->reply[0] == '\0' ? "no reply" : smtp->reply);
    return line;
}

void smtp_close(struct smtp *smtp)
{
    if (smtp->fd >= 0)
        close(smtp->fd);
    smtp->fd = -1;
}
