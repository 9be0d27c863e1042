/*
 * One request of the Postfix policy delegation protocol (SMTPD_POLICY_README): lines of
 * name=value, ended by an empty line. Pure; the result points into the buffer.
 */
#ifndef BDAT_POLICY_REQUEST_H
#define BDAT_POLICY_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "milter/smtp_command.h"

/* What is taken at the most, octets: one line, and a whole request. */
#define POLICY_LINE_MAX 16384
#define POLICY_REQUEST_MAX 65536

enum policy_state {
    POLICY_STATE_OTHER,
    POLICY_STATE_DATA,
    POLICY_STATE_END_OF_MESSAGE,
    POLICY_STATE_COUNT
};

/* Postfix's word for a state ("END-OF-MESSAGE"), "other" for the rest. Static storage. */
const char *policy_state_name(enum policy_state state);

/* The attributes we know; others are ignored. A missing one is an empty slice or 0. */
struct policy_request {
    enum policy_state state;
    struct slice queue_id;
    struct slice client_address;
    struct slice client_name;
    struct slice helo_name;
    struct slice sender;
    struct slice instance;
    bool has_size;
    uint64_t size;            /* octets */
    uint64_t recipient_count;
    int64_t pid;              /* of the smtpd process, by `instance`; 0 = not told */
};

enum policy_result {
    POLICY_COMPLETE,   /* one request; *used octets of the buffer are its */
    POLICY_INCOMPLETE, /* more octets are wanted */
    POLICY_TOO_LONG,   /* a line or the request is longer than allowed */
    POLICY_BAD,        /* no request */
};

enum policy_result policy_request_parse(const char *data, size_t length,
                                        struct policy_request *request, size_t *used);

#endif
