/*
 * Where the two sides of a message meet: the loop knows it by smtpd process, the milter by queue id.
 *
 * The policy request at a message's begin ties the two (loop: joins_open()), the one at its end
 * completes the ledger (loop: joins_complete()); libmilter's threads ask by queue id. One mutex,
 * held for a look-up and a copy, never across a system call. Any thread may call.
 */
#ifndef BDAT_JOINS_H
#define BDAT_JOINS_H

#include <stdbool.h>
#include <stdint.h>

#include "milter/settings.h"
#include "milter/transfer.h"

struct joins;

/* Which message of which session. */
struct join_key {
    int64_t pid;          /* smtpd's; below 0 for a peer without a pid */
    uint64_t generation;  /* of the conversation */
    uint64_t transfer_id;
    enum transfer_mode mode;
};

struct joins *joins_new(void);
void joins_free(struct joins **joins);

/* Loop: message `queue_id` has begun; its ledger so far is copied. Takes a reference to the settings of its session. False
 * when memory is short: the message will be unverified. */
bool joins_open(struct joins *joins, const char *queue_id, const struct join_key *key,
                const struct transfer *ledger, const struct settings *settings);

/* Loop: all that is known of it before the milter judges; copied. */
void joins_complete(struct joins *joins, const char *queue_id, const struct transfer *ledger);

/* Loop: the message is settled. Returns true if the milter had seen its begin. */
bool joins_close(struct joins *joins, const char *queue_id);

/* Loop: true if the milter has seen the begin of that message. */
bool joins_milter_seen(struct joins *joins, const char *queue_id);

/* Milter, at DATA: finds the message and notes that the milter sees it. */
bool joins_begin(struct joins *joins, const char *queue_id, struct join_key *key);

/* Milter, at end of message: copies the ledger and takes a reference to the settings, to be
 * given back by settings_unref(). False if the message is unknown. *ledger has no received
 * octets if joins_complete() never came. */
bool joins_fetch(struct joins *joins, const char *queue_id, struct transfer *ledger,
                 const struct settings **settings);

/* Milter, at close: true if the message is not settled yet. */
bool joins_is_open(struct joins *joins, const char *queue_id);

#endif
