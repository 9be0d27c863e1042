#include "milter/recorder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/log_field.h"

struct recorder {
    struct log *log;
    struct record_counts counts;
    uint64_t added;
    LIST_HEAD(, record_follower) followers;
    struct record ring[RECORDER_RING_SIZE];
};

struct recorder *recorder_new(struct log *log)
{
    struct recorder *recorder = calloc(1, sizeof(*recorder));
    if (recorder == NULL)
        return NULL;
    recorder->log = log;
    LIST_INIT(&recorder->followers);
    histogram_init(&recorder->counts.durations, &histogram_transfers);
    histogram_init(&recorder->counts.chunk_sizes, &histogram_octets);
    return recorder;
}

void recorder_free(struct recorder **recorder)
{
    free(*recorder);
    *recorder = NULL;
}

/* " evidence=a,b", or nothing. */
static void format_evidence(unsigned evidence, char *text, size_t size)
{
    size_t at = 0;
    text[0] = '\0';
    for (unsigned bit = 0; bit < EVIDENCE_BITS && at < size; bit++)
        if (evidence & (1u << bit))
            at += (size_t)snprintf(text + at, size - at, "%s%s", at == 0 ? " evidence=" : ",",
                                   evidence_name(bit));
}

static const char *mode_of(const struct transfer *transfer)
{
    return transfer->mode == TRANSFER_DATA ? "data" : "bdat";
}

/* Faults of the client are warnings, the rest is one line of information. */
static enum log_level level_of(const struct record *record)
{
    if (record->answered && record->action >= ACTION_TEMPFAIL && !record->observed)
        return LOG_LEVEL_WARNING;
    return verdict_strikes(record->verdict) > 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO;
}

static void log_record(struct recorder *recorder, const struct record *record, const char *note)
{
    const struct transfer *transfer = &record->transfer;
    enum log_level level = level_of(record);
    if (!log_wants(recorder->log, level))
        return;
    char client[LOG_CLIENT_SIZE], helo[TRANSFER_NAME_SIZE], evidence[320];
    char received[24] = "unknown", drift[24] = "unknown";
    const char *queue_id = transfer->queue_id[0] != '\0' ? transfer->queue_id : "NOQUEUE";
    const char *action = record->answered ? action_name(record->action) : "none";
    log_field_client(transfer->client_name, transfer->has_client ? &transfer->client : NULL,
                     client);
    log_field_text(transfer->helo, helo, sizeof(helo));
    format_evidence(transfer->evidence, evidence, sizeof(evidence));
    if (transfer->has_received) {
        snprintf(received, sizeof(received), "%" PRIu64, transfer->received);
        snprintf(drift, sizeof(drift), "%" PRId64, transfer_drift(transfer));
    }
    const struct log_field fields[] = {
        {"BDAT_QUEUE_ID", queue_id},
        {"BDAT_CLIENT", client},
        {"BDAT_VERDICT", verdict_name(record->verdict)},
    };
    log_write_fields(recorder->log, level, fields, sizeof(fields) / sizeof(fields[0]),
                     "%s: client=%s helo=<%s> mode=%s chunks=%" PRIu64 " declared=%" PRIu64
                     " received=%s drift=%s verdict=%s action=%s%s%s%s",
                     queue_id, client, helo, mode_of(transfer), transfer->chunk_count,
                     transfer->declared, received, drift, verdict_name(record->verdict), action,
                     evidence,
                     record->observed ? " mode=observe" : "", note);
}

static void tell_followers(struct recorder *recorder, const struct record *record)
{
    struct record_follower *follower = LIST_FIRST(&recorder->followers);
    while (follower != NULL) {
        struct record_follower *next = LIST_NEXT(follower, link);
        follower->tell(follower, record);
        follower = next;
    }
}

static void add_octets(struct record_counts *counts, const struct transfer *transfer)
{
    counts->chunks += transfer->chunk_count;
    counts->declared_octets += transfer->declared;
    if (transfer->has_received)
        counts->received_octets += transfer->received;
    for (uint64_t i = 0; i < transfer->chunk_count && i < TRANSFER_CHUNKS_KEPT; i++)
        histogram_observe(&counts->chunk_sizes, transfer->chunks[i]);
}

void recorder_add(struct recorder *recorder, const struct record *record)
{
    struct record *slot = &recorder->ring[recorder->added++ % RECORDER_RING_SIZE];
    *slot = *record;
    if (!record->counted)
        recorder->counts.verdicts[record->verdict]++;
    if (record->answered)
        recorder->counts.actions[record->action]++;
    if (record->transfer.mode != TRANSFER_DATA)
        add_octets(&recorder->counts, &record->transfer);
    if (record->transfer.mode == TRANSFER_BDAT && record->elapsed_ms >= 0)
        histogram_observe(&recorder->counts.durations, (uint64_t)record->elapsed_ms);
    log_record(recorder, slot, "");
    tell_followers(recorder, slot);
}

const struct record *recorder_add_overrun(struct recorder *recorder,
                                          const struct transfer *transfer)
{
    recorder->counts.verdicts[VERDICT_OVERRUN]++;
    for (size_t i = 0; i < RECORDER_RING_SIZE && i < recorder->added; i++) {
        struct record *record = &recorder->ring[(recorder->added - 1 - i) % RECORDER_RING_SIZE];
        if (record->transfer.id != transfer->id || record->transfer.pid != transfer->pid ||
            strcmp(record->transfer.queue_id, transfer->queue_id) != 0)
            continue;
        record->verdict = VERDICT_OVERRUN;
        record->transfer.evidence = transfer->evidence;
        memcpy(record->transfer.followed_by, transfer->followed_by,
               sizeof(record->transfer.followed_by));
        log_record(recorder, record,
                   "; octets followed the last chunk: the message was accepted and may be cut");
        tell_followers(recorder, record);
        return record;
    }
    return NULL;
}

void recorder_count_unverified(struct recorder *recorder)
{
    recorder->counts.verdicts[VERDICT_UNVERIFIED]++;
}

void recorder_count_data(struct recorder *recorder)
{
    recorder->counts.data_transfers++;
}

const struct record_counts *recorder_counts(const struct recorder *recorder)
{
    return &recorder->counts;
}

uint64_t recorder_added(const struct recorder *recorder)
{
    return recorder->added;
}

const struct record *recorder_at(const struct recorder *recorder, uint64_t index)
{
    if (index >= RECORDER_RING_SIZE || index >= recorder->added)
        return NULL;
    return &recorder->ring[(recorder->added - 1 - index) % RECORDER_RING_SIZE];
}

void recorder_follow(struct recorder *recorder, struct record_follower *follower)
{
    LIST_INSERT_HEAD(&recorder->followers, follower, link);
}

void recorder_unfollow(struct record_follower *follower)
{
    LIST_REMOVE(follower, link);
}

size_t recorder_count_followers(const struct recorder *recorder)
{
    const struct record_follower *follower;
    size_t count = 0;
    LIST_FOREACH(follower, &recorder->followers, link)
        count++;
    return count;
}
