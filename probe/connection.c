/* TCP and TLS with deadlines: sockets are non-blocking, poll() does the waiting. */
#include "probe/connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/sockios.h>
#endif

struct connection {
    int fd;
    SSL_CTX *context; /* NULL without TLS */
    SSL *tls;
    char tls_text[160];
};

int64_t connection_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for events on the descriptor; IO_OK when there are any. */
static enum io_result wait_for(int fd, short events, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline - connection_clock();
        if (left < 0)
            left = 0;
        struct pollfd pollfd = {.fd = fd, .events = events};
        int ready = poll(&pollfd, 1, left > 60000 ? 60000 : (int)left);
        if (ready > 0)
            return IO_OK;
        if (ready < 0 && errno != EINTR)
            return IO_RESET;
        if (connection_clock() >= deadline)
            return IO_TIMEOUT;
    }
}

static int finish_connect(int fd, const struct endpoint *endpoint, int64_t deadline, char *error,
                          size_t error_size)
{
    int failure = 0;
    socklen_t size = sizeof(failure);
    if (connect(fd, (const struct sockaddr *)&endpoint->address, endpoint->length) != 0) {
        if (errno != EINPROGRESS)
            failure = errno;
        else if (wait_for(fd, POLLOUT, deadline) != IO_OK)
            failure = ETIMEDOUT;
        else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
            failure = errno;
    }
    if (failure)
        snprintf(error, error_size, "%s: %s", endpoint->text, strerror(failure));
    return failure ? -1 : 0;
}

struct connection *connection_open(const struct endpoint *endpoint, int64_t deadline, char *error,
                                   size_t error_size)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    int fd = socket(endpoint->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (!connection || fd < 0) {
        snprintf(error, error_size, "%s: %s", endpoint->text, strerror(errno));
        goto fail;
    }
    if (finish_connect(fd, endpoint, deadline, error, error_size) != 0)
        goto fail;
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connection->fd = fd;
    return connection;
fail:
    if (fd >= 0)
        close(fd);
    free(connection);
    return NULL;
}

void connection_free(struct connection **connection)
{
    struct connection *old = *connection;
    *connection = NULL;
    if (!old)
        return;
    SSL_free(old->tls);
    SSL_CTX_free(old->context);
    close(old->fd);
    free(old);
}

void connection_local_literal(const struct connection *connection, char *buffer, size_t size)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof(address);
    char text[INET6_ADDRSTRLEN] = "127.0.0.1";
    if (getsockname(connection->fd, (struct sockaddr *)&address, &length) != 0)
        address.ss_family = AF_UNSPEC;
    if (address.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&address)->sin6_addr, text, sizeof(text));
    else if (address.ss_family == AF_INET)
        inet_ntop(AF_INET, &((struct sockaddr_in *)&address)->sin_addr, text, sizeof(text));
    snprintf(buffer, size, strchr(text, ':') ? "[IPv6:%s]" : "[%s]", text);
}

/* What OpenSSL wants next after a call that returned `result`; the wait is done here.
 * IO_OK: call again. */
static enum io_result wait_for_tls(struct connection *connection, int result, int64_t deadline)
{
    switch (SSL_get_error(connection->tls, result)) {
    case SSL_ERROR_WANT_READ:
        return wait_for(connection->fd, POLLIN, deadline);
    case SSL_ERROR_WANT_WRITE:
        return wait_for(connection->fd, POLLOUT, deadline);
    case SSL_ERROR_ZERO_RETURN:
        return IO_CLOSED;
    default:
        return IO_RESET;
    }
}

static void describe_tls(struct connection *connection)
{
    long verified = SSL_get_verify_result(connection->tls);
    snprintf(connection->tls_text, sizeof(connection->tls_text), "%s %s, certificate %s%s",
             SSL_get_version(connection->tls), SSL_get_cipher_name(connection->tls),
             verified == X509_V_OK ? "verified" : "not verified: ",
             verified == X509_V_OK ? "" : X509_verify_cert_error_string(verified));
}

static int prepare_tls(struct connection *connection, const char *host)
{
    connection->context = SSL_CTX_new(TLS_client_method());
    if (!connection->context)
        return -1;
    (void)SSL_CTX_set_default_verify_paths(connection->context);
    SSL_CTX_set_mode(connection->context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    connection->tls = SSL_new(connection->context);
    if (!connection->tls || SSL_set_fd(connection->tls, connection->fd) != 1)
        return -1;
    (void)SSL_set_tlsext_host_name(connection->tls, host);
    return SSL_set1_host(connection->tls, host) == 1 ? 0 : -1;
}

int connection_start_tls(struct connection *connection, const char *host, int64_t deadline,
                         char *error, size_t error_size)
{
    ERR_clear_error();
    if (prepare_tls(connection, host) != 0) {
        snprintf(error, error_size, "TLS cannot be set up: %s",
                 ERR_reason_error_string(ERR_peek_last_error()));
        return -1;
    }
    for (;;) {
        ERR_clear_error();
        int result = SSL_connect(connection->tls);
        if (result == 1)
            break;
        enum io_result waited = wait_for_tls(connection, result, deadline);
        if (waited == IO_OK)
            continue;
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        snprintf(error, error_size, "%s",
                 waited == IO_TIMEOUT ? "no answer in the TLS handshake"
                 : reason             ? reason
                                      : "connection closed in the TLS handshake");
        return -1;
    }
    describe_tls(connection);
    return 0;
}

const char *connection_tls_text(const struct connection *connection)
{
    return connection->tls_text;
}

static enum io_result result_of_errno(void)
{
    return errno == EPIPE ? IO_CLOSED : IO_RESET;
}

/* One attempt to write: octets taken, 0 to try again, or -1 with *result set. */
static ssize_t write_some(struct connection *connection, const char *data, size_t length,
                          int64_t deadline, enum io_result *result)
{
    if (length > 65536)
        length = 65536;
    if (connection->tls) {
        ERR_clear_error();
        int sent = SSL_write(connection->tls, data, (int)length);
        if (sent > 0)
            return sent;
        *result = wait_for_tls(connection, sent, deadline);
        return *result == IO_OK ? 0 : -1;
    }
    ssize_t sent = send(connection->fd, data, length, MSG_NOSIGNAL);
    if (sent >= 0)
        return sent;
    if (errno != EAGAIN && errno != EINTR)
        *result = result_of_errno();
    else
        *result = wait_for(connection->fd, POLLOUT, deadline);
    return *result == IO_OK ? 0 : -1;
}

enum io_result connection_write(struct connection *connection, const char *data, size_t length,
                                int64_t deadline, size_t *written)
{
    enum io_result result = IO_OK;
    *written = 0;
    while (*written < length) {
        ssize_t sent =
            write_some(connection, data + *written, length - *written, deadline, &result);
        if (sent < 0)
            return result;
        *written += (size_t)sent;
        if (*written < length && connection_clock() >= deadline)
            return IO_TIMEOUT;
    }
    return IO_OK;
}

enum io_result connection_read(struct connection *connection, char *buffer, size_t size,
                               int64_t deadline, size_t *got)
{
    *got = 0;
    for (;;) {
        enum io_result result;
        if (connection->tls) {
            ERR_clear_error();
            int read = SSL_read(connection->tls, buffer, size > 16384 ? 16384 : (int)size);
            if (read > 0) {
                *got = (size_t)read;
                return IO_OK;
            }
            result = wait_for_tls(connection, read, deadline);
        } else {
            ssize_t read = recv(connection->fd, buffer, size, 0);
            if (read > 0) {
                *got = (size_t)read;
                return IO_OK;
            }
            if (read == 0)
                return IO_CLOSED;
            if (errno != EAGAIN && errno != EINTR)
                return IO_RESET;
            result = wait_for(connection->fd, POLLIN, deadline);
        }
        if (result != IO_OK)
            return result;
    }
}

enum io_result connection_drain(struct connection *connection, int64_t deadline, size_t *left)
{
    *left = 0;
#ifdef SIOCOUTQ
    for (;;) {
        int queued = 0;
        if (ioctl(connection->fd, SIOCOUTQ, &queued) != 0 || queued <= 0)
            return IO_OK;
        *left = (size_t)queued;
        struct pollfd broken = {.fd = connection->fd};
        if (poll(&broken, 1, 0) > 0)
            return IO_RESET;
        if (connection_clock() >= deadline)
            return IO_TIMEOUT;
        /* The kernel wakes nobody at the last acknowledgement: look again soon. */
        struct timespec soon = {.tv_nsec = 5000000};
        nanosleep(&soon, NULL);
    }
#else
    (void)connection;
    (void)deadline;
    return IO_OK;
#endif
}
