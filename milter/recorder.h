/*
 * The recorder: what is known of judged transfers. Counters, a ring of the latest, one log line
 * each, and word to whoever follows.
 *
 * Owned by the event loop's thread.
 */
#ifndef BDAT_RECORDER_H
#define BDAT_RECORDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "milter/histogram.h"
#include "milter/log.h"
#include "milter/transfer.h"
#include "milter/verdict.h"

/* Transfers kept for GET /v1/transfers. */
#define RECORDER_RING_SIZE 2000

/* Room for an answer's text with its NUL. */
#define RECORD_REPLY_SIZE 544

/* One judged transfer. */
struct record {
    struct transfer transfer;      /* `evidence` is the judgement's */
    enum verdict verdict;
    bool answered;                 /* the milter or the policy service could answer … */
    enum action action;            /* … and answered this */
    char reply[RECORD_REPLY_SIZE]; /* text of a refusal; "" = none */
    bool has_body;
    uint64_t body;                 /* octets the milter saw */
    int64_t time_wall_ms;          /* when it was judged */
    int64_t elapsed_ms;            /* since its first chunk */
    int64_t since_chunk_ms;        /* since its last chunk */
    bool observed;                 /* mode = "observe": the action was not carried out */
    bool counted;                  /* by recorder_count_unverified() before */
};

struct record_counts {
    uint64_t verdicts[VERDICT_COUNT];
    uint64_t actions[ACTION_COUNT];
    uint64_t chunks;
    uint64_t declared_octets;
    uint64_t received_octets;
    uint64_t data_transfers;
    struct histogram durations;   /* of BDAT transfers, first chunk to verdict; milliseconds */
    struct histogram chunk_sizes; /* of the first TRANSFER_CHUNKS_KEPT chunks of each; octets */
};

/* Somebody who is told of each record. */
struct record_follower {
    LIST_ENTRY(record_follower) link;
    void (*tell)(struct record_follower *follower, const struct record *record);
};

struct recorder;

struct recorder *recorder_new(struct log *log);
void recorder_free(struct recorder **recorder);

/* Notes a transfer: counts, lists, logs, tells. */
void recorder_add(struct recorder *recorder, const struct record *record);

/* Octets turned up behind the last chunk of a transfer that was judged before: its record becomes
 * `overrun`, which is counted beside its first verdict, and a warning is logged. Returns the
 * record as it is then; NULL if it has left the ring. */
const struct record *recorder_add_overrun(struct recorder *recorder,
                                          const struct transfer *transfer);

/* Counts one message that could not be checked at all, without a record. */
void recorder_count_unverified(struct recorder *recorder);

/* Counts one DATA message. */
void recorder_count_data(struct recorder *recorder);

const struct record_counts *recorder_counts(const struct recorder *recorder);

/* How many records there were since the start. */
uint64_t recorder_added(const struct recorder *recorder);

/* The record number `index` from the newest (0); NULL beyond the oldest. */
const struct record *recorder_at(const struct recorder *recorder, uint64_t index);

void recorder_follow(struct recorder *recorder, struct record_follower *follower);
void recorder_unfollow(struct record_follower *follower);
size_t recorder_count_followers(const struct recorder *recorder);

#endif
