#include "config.h"

#include "milter/service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "milter/clock.h"

/* Octets read per wake-up of a peer; also the size of the buffer all peers share. */
#define READ_SIZE 65536

/* Connections taken per wake-up of the listening socket. */
#define ACCEPT_BATCH 64

/* How long a peer may leave a request half sent, and how long a full house waits, seconds. */
#define HALF_REQUEST_SECONDS 100
#define ACCEPT_PAUSE_SECONDS 1

/* The log says so often that descriptors are out. */
#define COMPLAINT_INTERVAL_MS (10 * 1000)

struct peer {
    struct service *service;
    struct event *readable;
    struct event *writable; /* made when an answer first cannot be sent at once */
    LIST_ENTRY(peer) link;
    uint64_t id;
    pid_t pid;
    int fd;
    bool idle;    /* `readable` waits for a new request, without a timeout */
    bool closing; /* when all is sent */
    bool broken;  /* at once */
    char *input;  /* a half request; NULL for an idle peer */
    size_t input_length;
    size_t input_size;
    char *output; /* what could not be sent yet */
    size_t output_length;
    size_t output_size;
};

struct service {
    struct service_options options;
    struct event_base *base;
    struct event *acceptable;
    struct event *resume;
    int reserve_fd; /* given up to tell peers that the house is full */
    int64_t next_complaint_ms;
    size_t connections;
    uint64_t total;
    LIST_HEAD(, peer) peers;
    char buffer[READ_SIZE];
};

/* The one place where a connection ends. */
static void close_peer(struct peer *peer, const char *reason)
{
    struct service *service = peer->service;
    if (reason != NULL)
        log_write(service->options.log, LOG_LEVEL_WARNING, "%s: connection of pid %d closed: %s",
                  service->options.name, (int)peer->pid, reason);
    if (service->options.farewell != NULL)
        service->options.farewell(service->options.context, peer);
    LIST_REMOVE(peer, link);
    service->connections--;
    event_free(peer->readable);
    if (peer->writable != NULL)
        event_free(peer->writable);
    close(peer->fd);
    free(peer->input);
    free(peer->output);
    free(peer);
}

/* Makes room in a growing buffer; false when memory is short. */
static bool reserve(char **buffer, size_t *size, size_t wanted)
{
    if (wanted <= *size)
        return true;
    size_t grown = *size < 512 ? 512 : *size;
    while (grown < wanted)
        grown *= 2;
    char *moved = realloc(*buffer, grown);
    if (moved == NULL)
        return false;
    *buffer = moved;
    *size = grown;
    return true;
}

static bool keep_input(struct peer *peer, const char *data, size_t length)
{
    if (!reserve(&peer->input, &peer->input_size, peer->input_length + length))
        return false;
    memcpy(peer->input + peer->input_length, data, length);
    peer->input_length += length;
    return true;
}

static void wipe_input(struct peer *peer)
{
    if (peer->input == NULL)
        return;
    explicit_bzero(peer->input, peer->input_size);
    free(peer->input);
    peer->input = NULL;
    peer->input_length = peer->input_size = 0;
}

/* Lets the handler take requests off `data`; returns the octets used up. */
static size_t handle_requests(struct peer *peer, char *data, size_t length)
{
    const struct service_options *options = &peer->service->options;
    size_t used = 0;
    while (used < length && !peer->closing && !peer->broken && peer->output_length == 0) {
        size_t taken = options->handle(options->context, peer, data + used, length - used);
        if (taken == 0)
            break;
        used += taken;
    }
    return used;
}

/* Requests that stand in the peer's own buffer already. */
static void handle_kept(struct peer *peer)
{
    size_t used = handle_requests(peer, peer->input, peer->input_length);
    size_t rest = peer->input_length - used;
    if (rest == 0) {
        wipe_input(peer);
        return;
    }
    memmove(peer->input, peer->input + used, rest);
    explicit_bzero(peer->input + rest, used);
    peer->input_length = rest;
}

static bool is_over(const struct peer *peer)
{
    return peer->broken || (peer->closing && peer->output_length == 0);
}

/* Waits for what is due next: room for the answer, the rest of a request, or a new request. An
 * idle peer's event stays as it is from one request to the next. */
static void update_events(struct peer *peer)
{
    static const struct timeval patience = {HALF_REQUEST_SECONDS, 0};
    if (peer->output_length > 0) {
        event_del(peer->readable);
        event_add(peer->writable, &patience);
    } else if (peer->input_length > 0) {
        event_add(peer->readable, &patience);
    } else if (!peer->idle) {
        event_del(peer->readable);
        event_add(peer->readable, NULL);
    }
    peer->idle = peer->output_length == 0 && peer->input_length == 0;
}

static void take_input(struct peer *peer, size_t length)
{
    struct service *service = peer->service;
    if (peer->input_length > 0) {
        if (keep_input(peer, service->buffer, length))
            handle_kept(peer);
        else
            peer->broken = true;
    } else {
        size_t used = handle_requests(peer, service->buffer, length);
        if (used < length && !peer->closing)
            peer->broken |= !keep_input(peer, service->buffer + used, length - used);
    }
    explicit_bzero(service->buffer, length);
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct peer *peer = context;
    struct service *service = peer->service;
    if (what & EV_TIMEOUT) {
        close_peer(peer, "half a request and then nothing");
        return;
    }
    ssize_t length = recv(fd, service->buffer, READ_SIZE, MSG_DONTWAIT);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length <= 0) {
        close_peer(peer, NULL);
        return;
    }
    take_input(peer, (size_t)length);
    if (is_over(peer))
        close_peer(peer, NULL);
    else if (peer->input_length > service->options.max_request && peer->output_length == 0)
        close_peer(peer, "a request without an end");
    else
        update_events(peer);
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    struct peer *peer = context;
    if (what & EV_TIMEOUT) {
        close_peer(peer, "it does not read its answers");
        return;
    }
    ssize_t sent = send(fd, peer->output, peer->output_length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR)
            close_peer(peer, NULL);
        return;
    }
    memmove(peer->output, peer->output + sent, peer->output_length - (size_t)sent);
    peer->output_length -= (size_t)sent;
    if (peer->output_length == 0 && peer->input_length > 0 && !peer->closing)
        handle_kept(peer);
    if (is_over(peer)) {
        close_peer(peer, NULL);
        return;
    }
    if (peer->output_length == 0)
        event_del(peer->writable);
    update_events(peer);
}

static bool keep_output(struct peer *peer, const char *data, size_t length)
{
    if (peer->writable == NULL)
        peer->writable =
            event_new(peer->service->base, peer->fd, EV_WRITE | EV_PERSIST, on_writable, peer);
    if (peer->writable == NULL ||
        !reserve(&peer->output, &peer->output_size, peer->output_length + length))
        return false;
    memcpy(peer->output + peer->output_length, data, length);
    peer->output_length += length;
    return true;
}

void peer_reply(struct peer *peer, const char *data, size_t length)
{
    ssize_t sent = 0;
    if (peer->broken)
        return;
    if (peer->output_length == 0) {
        sent = send(peer->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) {
            peer->broken = errno != EAGAIN && errno != EINTR;
            sent = 0;
        }
    }
    if (!peer->broken && (size_t)sent < length)
        peer->broken = !keep_output(peer, data + sent, length - (size_t)sent);
}

void peer_reply_and_close(struct peer *peer, const char *data, size_t length)
{
    peer_reply(peer, data, length);
    peer->closing = true;
}

pid_t peer_pid(const struct peer *peer)
{
    return peer->pid;
}

uint64_t peer_id(const struct peer *peer)
{
    return peer->id;
}

static bool add_peer(struct service *service, int fd)
{
    struct peer *peer = calloc(1, sizeof(*peer));
    if (peer == NULL)
        return false;
    struct ucred credentials = {.pid = 0};
    socklen_t size = sizeof(credentials);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0)
        peer->pid = credentials.pid;
    peer->service = service;
    peer->fd = fd;
    peer->id = ++service->total;
    peer->readable = event_new(service->base, fd, EV_READ | EV_PERSIST, on_readable, peer);
    if (peer->readable == NULL || event_add(peer->readable, NULL) != 0) {
        if (peer->readable != NULL)
            event_free(peer->readable);
        free(peer);
        return false;
    }
    peer->idle = true;
    LIST_INSERT_HEAD(&service->peers, peer, link);
    service->connections++;
    return true;
}

/* No descriptor is left: all who wait are taken with the reserve and closed, so that they learn at
 * once (Postfix then retries or answers 421) instead of waiting; then a pause. */
static void turn_away(struct service *service)
{
    static const struct timeval pause = {ACCEPT_PAUSE_SECONDS, 0};
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms >= service->next_complaint_ms) {
        service->next_complaint_ms = now_ms + COMPLAINT_INTERVAL_MS;
        log_write(service->options.log, LOG_LEVEL_ERROR,
                  "%s: out of file descriptors with %zu connections; raise LimitNOFILE",
                  service->options.name, service->connections);
    }
    for (int i = 0; i < ACCEPT_BATCH && service->reserve_fd >= 0; i++) {
        close(service->reserve_fd);
        int fd = accept4(service->options.listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            close(fd);
        service->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            break;
    }
    event_del(service->acceptable);
    event_add(service->resume, &pause);
}

static void on_acceptable(evutil_socket_t fd, short what, void *context)
{
    struct service *service = context;
    (void)what;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
                turn_away(service);
            return;
        }
        if (!add_peer(service, accepted))
            close(accepted);
    }
}

static void on_resume(evutil_socket_t fd, short what, void *context)
{
    struct service *service = context;
    (void)fd;
    (void)what;
    if (service->reserve_fd < 0)
        service->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    event_add(service->acceptable, NULL);
}

struct service *service_new(struct event_base *base, const struct service_options *options)
{
    struct service *service = calloc(1, sizeof(*service));
    if (service == NULL)
        return NULL;
    service->options = *options;
    service->base = base;
    LIST_INIT(&service->peers);
    service->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    service->acceptable =
        event_new(base, options->listen_fd, EV_READ | EV_PERSIST, on_acceptable, service);
    service->resume = event_new(base, -1, 0, on_resume, service);
    if (service->acceptable == NULL || service->resume == NULL ||
        event_add(service->acceptable, NULL) != 0)
        service_free(&service);
    return service;
}

void service_free(struct service **service)
{
    struct service *old = *service;
    if (old == NULL)
        return;
    struct peer *peer;
    while ((peer = LIST_FIRST(&old->peers)) != NULL)
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): LIST_REMOVE() has moved the head on
        close_peer(peer, NULL);
    if (old->acceptable != NULL)
        event_free(old->acceptable);
    if (old->resume != NULL)
        event_free(old->resume);
    if (old->reserve_fd >= 0)
        close(old->reserve_fd);
    close(old->options.listen_fd);
    free(old);
    *service = NULL;
}

size_t service_connections(const struct service *service)
{
    return service->connections;
}

uint64_t service_connections_total(const struct service *service)
{
    return service->total;
}
