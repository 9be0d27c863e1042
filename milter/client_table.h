/*
 * The memory of suppression: clients by network, each in the list of its standing.
 *
 * What is kept of a client is here, what it means is in suppression.c. Clients lie in blocks
 * that never move; they are linked by 32-bit indexes:
 *
 *     buckets[hash] -> client -> client         by network (linear hashing: one bucket is split
 *                                               whenever there are more clients than buckets)
 *     lists[standing]: newest <-> ... <-> oldest     by last use, one list for each standing
 *     groups[neighbourhood]: newest <-> ... <-> oldest   those that are held, by neighbourhood
 *
 * Room is made by forgetting: the oldest plain client; without one, the oldest held client of
 * the fullest neighbourhood if that has more than its share, else the oldest held client.
 */
#ifndef BDAT_CLIENT_TABLE_H
#define BDAT_CLIENT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "milter/client.h"
#include "milter/network.h"
#include "milter/siphash.h"

#define CLIENT_NONE UINT32_MAX
#define CLIENT_TABLE_GROUPS 4096
/* A neighbourhood's share of the room is an eighth, but never less than so many clients. */
#define CLIENT_TABLE_LEAST_SHARE 64

struct client_list {
    uint32_t newest, oldest;
    uint32_t count;
};

struct client_table {
    struct siphash_key key;
    size_t max_clients;
    struct client **blocks;
    size_t block_count;
    uint32_t used;       /* places ever used */
    uint32_t free;       /* a chain of free places, by bucket_next */
    uint32_t **segments; /* of buckets */
    size_t segment_count;
    uint32_t buckets; /* in use */
    uint32_t uses;    /* so many have been counted: the clock of least recent use */
    size_t count;
    uint64_t evicted;
    size_t reason_octets;
    struct client_list lists[STANDING_COUNT];
    struct client_list groups[CLIENT_TABLE_GROUPS];
};

/* An empty table; NULL when memory is short. */
struct client_table *client_table_new(const struct siphash_key *key, size_t max_clients);

/* Frees it and nulls the pointer; NULL is fine. */
void client_table_free(struct client_table **table);

/* The client of that network; NULL if there is none. */
struct client *client_table_find(const struct client_table *table, const struct network *network);

/* Adds a client that is not there yet, as the newest of that standing, making room if need be.
 * NULL when memory is short, or for a plain one when all the room is taken by held ones. */
struct client *client_table_add(struct client_table *table, const struct network *network,
                                enum standing standing);

/* Makes the client the newest of that standing. */
void client_table_use(struct client_table *table, struct client *client, enum standing standing);

/* Moves the client to the oldest end of that standing's list: what time has brought is no use. */
void client_table_settle(struct client_table *table, struct client *client, enum standing standing);

/* The more recently used of two; either may be NULL. */
const struct client *client_table_newer(const struct client_table *table, const struct client *a,
                                        const struct client *b);

/* Forgets the client. */
void client_table_remove(struct client_table *table, struct client *client);

/* Forgets up to `most` clients as long as there are more than max_clients. */
void client_table_shrink(struct client_table *table, unsigned most);

/* The client at that place; NULL if the place is free or was never used. */
struct client *client_table_at(const struct client_table *table, size_t place);

/* Replaces the reason (NULL = none); when memory is short there is none. */
void client_table_set_reason(struct client_table *table, struct client *client, const char *reason);

/* Octets of memory in use. */
size_t client_table_octets(const struct client_table *table);

/* Checks all links and counts, for tests: O(n). */
bool client_table_sane(const struct client_table *table);

#endif
