/*
 * What waits to be written: the newest state of clients, and incidents.
 *
 * Bounded both in number and, for incidents, in octets. No locks and no I/O: the store holds its
 * lock around each call, and all calls but store_queue_free() take no longer than the batch they
 * are given.
 */
#ifndef BDAT_STORE_QUEUE_H
#define BDAT_STORE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "milter/siphash.h"
#include "milter/store.h"

/* Incidents that wait may take so much memory. */
#define STORE_QUEUE_INCIDENT_OCTETS ((size_t)32 << 20)

/* A client that waits: in the order of its first change, and in its hash's chain. */
struct pending_client {
    struct pending_client *next;
    struct pending_client *chain;
    bool remove; /* its row is to go */
    struct client_record record;
};

/* An incident that waits; its strings lie behind it. */
struct pending_incident {
    struct pending_incident *next;
    size_t octets;
    struct incident incident;
};

/* A batch on its way to the file. */
struct store_batch {
    struct pending_client *clients;
    struct pending_incident *incidents;
};

struct store_queue {
    size_t max_pending;
    struct siphash_key key;
    struct pending_client **buckets;
    size_t bucket_count; /* a power of two */
    struct pending_client *first_client, *last_client;
    size_t client_count;
    struct pending_incident *first_incident, *last_incident;
    size_t incident_count, incident_octets;
    uint64_t clients_left_out;
    uint64_t incidents_dropped;
};

/* False when memory is short. */
bool store_queue_init(struct store_queue *queue, size_t max_pending, const uint8_t seed[16]);
void store_queue_free(struct store_queue *queue);

/* Queues a client's newest state or its removal in place of what waits of it. False, counted, if
 * there is no room. */
bool store_queue_put_client(struct store_queue *queue, const struct client_record *record,
                            bool remove);

/* Queues a copy of an incident; the oldest go if there is no room. Counts what is lost. */
void store_queue_put_incident(struct store_queue *queue, const struct incident *incident);

/* Moves up to `most` clients and `most` incidents, the oldest, out of the queue. */
struct store_batch store_queue_take(struct store_queue *queue, size_t most);

/* Puts a batch back that could not be written: incidents to the front, clients unless a newer
 * state of them has come meanwhile. The batch is empty then. */
void store_queue_give_back(struct store_queue *queue, struct store_batch *batch);

/* Frees a batch that was written. */
void store_batch_free(struct store_batch *batch);

#endif
