/*
 * The policy service (SMTPD_POLICY_README): Postfix asks at the begin of a message and when its
 * last octet has come. Answers DUNNO, or the refusal of a transfer that breaks a limit.
 */
#ifndef BDAT_POLICY_H
#define BDAT_POLICY_H

#include <stddef.h>
#include <stdint.h>

#include "milter/histogram.h"
#include "milter/inbox.h"
#include "milter/log.h"
#include "milter/policy_request.h"
#include "milter/sessions.h"

struct event_base;
struct policy;

struct policy_options {
    int listen_fd;
    struct sessions *sessions;
    struct inbox *inbox; /* emptied before each answer */
    struct log *log;
};

/* Begins to serve. NULL when memory is short. */
struct policy *policy_new(struct event_base *base, const struct policy_options *options);
void policy_free(struct policy **policy);

struct policy_counts {
    size_t connections;
    uint64_t requests;
    uint64_t errors;
    int64_t last_seen_ms; /* wall clock; 0 = never */
};
struct policy_counts policy_counts(const struct policy *policy);

/* How long the requests of that state took, as tables_durations() says it. */
const struct histogram *policy_durations(const struct policy *policy, enum policy_state state);

#endif
