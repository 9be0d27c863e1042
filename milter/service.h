/*
 * A service on a Unix socket: requests come in, each is answered at once, in order.
 *
 * What the command and ehlo tables and the policy service share: accepting with a reserve
 * descriptor, the peer's pid, reading without a buffer of its own for an idle peer, answering
 * without a wait. Runs on the event loop's thread; a wake-up of a peer reads once.
 */
#ifndef BDAT_SERVICE_H
#define BDAT_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "milter/log.h"

struct event_base;
struct service;
struct peer;

/*
 * Looks at what a peer sent and handles at most one request of it, answering by peer_reply().
 * Returns the octets used up, 0 if more are wanted. `data` is the service's own buffer and may be
 * written to (to wipe it).
 */
typedef size_t service_handler(void *context, struct peer *peer, char *data, size_t length);

/* A peer is gone; its pid or id will not be seen in requests any more. May be NULL. */
typedef void service_farewell(void *context, struct peer *peer);

struct service_options {
    const char *name;           /* for the log; static storage */
    int listen_fd;              /* listening, non-blocking; owned by the service from now on */
    size_t max_request;         /* octets a peer may send without a complete request */
    service_handler *handle;
    service_farewell *farewell;
    void *context;
    struct log *log;
};

/* Begins to serve on the loop. NULL when memory is short. */
struct service *service_new(struct event_base *base, const struct service_options *options);

/* Closes all connections, frees and nulls the pointer; NULL is fine. */
void service_free(struct service **service);

/* Open connections now, and all since the start. */
size_t service_connections(const struct service *service);
uint64_t service_connections_total(const struct service *service);

/* Sends an answer (copied if it cannot be sent at once). To be called from the handler. */
void peer_reply(struct peer *peer, const char *data, size_t length);

/* The same, and closes the connection once the answer is out. */
void peer_reply_and_close(struct peer *peer, const char *data, size_t length);

/* The pid at the other end by SO_PEERCRED; 0 where the kernel cannot tell (another PID
 * namespace). */
pid_t peer_pid(const struct peer *peer);

/* A number of this connection, never used again, above 0. */
uint64_t peer_id(const struct peer *peer);

#endif
