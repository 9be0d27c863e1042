/*
 * One TCP connection, with or without TLS, where nothing waits longer than its deadline.
 *
 * Deadlines are points of connection_clock(), in milliseconds: a peer that sends an octet
 * now and then cannot stretch them.
 */
#ifndef BDAT_PROBE_CONNECTION_H
#define BDAT_PROBE_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/target.h"

struct connection;

enum io_result {
    IO_OK,
    IO_TIMEOUT, /* the deadline passed */
    IO_CLOSED,  /* the peer closed the connection */
    IO_RESET,   /* the connection broke: reset, unreachable, TLS failure */
};

/* A monotonic clock in milliseconds. */
int64_t connection_clock(void);

/* Connects; NULL with the reason in `error` if that fails. Free it with connection_free(). */
struct connection *connection_open(const struct endpoint *endpoint, int64_t deadline, char *error,
                                   size_t error_size) __attribute__((warn_unused_result));

/* Closes and frees *connection and sets it to NULL; NULL is fine. */
void connection_free(struct connection **connection);

/* Writes the address of our end as an SMTP address literal: "[192.0.2.1]", "[IPv6:::1]". */
void connection_local_literal(const struct connection *connection, char *buffer, size_t size);

/* Shakes hands for TLS, with `host` as server name. The certificate is looked at, not
 * insisted on, as mail servers do among each other. 0, or -1 with the reason in `error`. */
int connection_start_tls(struct connection *connection, const char *host, int64_t deadline,
                         char *error, size_t error_size) __attribute__((warn_unused_result));

/* "TLSv1.3 TLS_AES_256_GCM_SHA384, certificate verified", or "" without TLS. */
const char *connection_tls_text(const struct connection *connection);

/* Sends `length` octets. *written says how many the system took, whatever the result. */
enum io_result connection_write(struct connection *connection, const char *data, size_t length,
                                int64_t deadline, size_t *written);

/* Reads what is there, at least one octet, into `buffer`. */
enum io_result connection_read(struct connection *connection, char *buffer, size_t size,
                               int64_t deadline, size_t *got);

/* Waits until the peer's TCP has acknowledged all octets sent. IO_OK, IO_TIMEOUT or IO_RESET;
 * *left says how many octets are still on their way. Where the system cannot tell: IO_OK. */
enum io_result connection_drain(struct connection *connection, int64_t deadline, size_t *left);

#endif
