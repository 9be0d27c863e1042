#include "milter/client_table.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_CLIENTS 1024
#define SEGMENT_BUCKETS 1024
#define SHARE_DIVISOR 8
#define IPV6_NEIGHBOURHOOD 32
#define IPV4_NEIGHBOURHOOD 16

static struct client *at(const struct client_table *table, uint32_t index)
{
    return &table->blocks[index / BLOCK_CLIENTS][index % BLOCK_CLIENTS];
}

static uint32_t *bucket_at(const struct client_table *table, uint32_t bucket)
{
    return &table->segments[bucket / SEGMENT_BUCKETS][bucket % SEGMENT_BUCKETS];
}

/* The bucket of a hash: with 2^k <= buckets < 2^(k+1), the low k+1 bits of it if that bucket
 * exists already, else the low k bits. */
static uint32_t bucket_of(const struct client_table *table, uint64_t hash)
{
    uint32_t low = UINT32_C(1) << (31 - (unsigned)__builtin_clz(table->buckets));
    uint32_t bucket = (uint32_t)hash & (low * 2 - 1);

    return bucket < table->buckets ? bucket : bucket & (low - 1);
}

static uint64_t hash_of(const struct client_table *table, const struct address *address)
{
    return siphash16(&table->key, address->octets);
}

static uint16_t group_of(const struct client_table *table, const struct address *address)
{
    struct network around = network_around(address, IPV4_NEIGHBOURHOOD, IPV6_NEIGHBOURHOOD);

    return (uint16_t)(hash_of(table, &around.address) >> 32) % CLIENT_TABLE_GROUPS;
}

/* Finds the link that holds the client of that network, or the end of its bucket's chain. */
static uint32_t *find_link(const struct client_table *table, const struct address *address,
                           unsigned prefix)
{
    uint32_t *link = bucket_at(table, bucket_of(table, hash_of(table, address)));

    while (*link != CLIENT_NONE) {
        struct client *client = at(table, *link);

        if (client->prefix == prefix && memcmp(&client->address, address, sizeof(*address)) == 0)
            break;
        link = &client->bucket_next;
    }
    return link;
}

static bool add_segment(struct client_table *table)
{
    size_t octets = SEGMENT_BUCKETS * sizeof(uint32_t);
    uint32_t **segments = realloc(table->segments, (table->segment_count + 1) * sizeof(*segments));

    if (segments == NULL)
        return false;
    table->segments = segments;
    uint32_t *segment = malloc(octets);
    if (segment == NULL)
        return false;
    memset(segment, 0xff, octets); /* CLIENT_NONE everywhere */
    segments[table->segment_count++] = segment;
    return true;
}

/* Adds one bucket and moves to it what belongs there from the one bucket that it halves. */
static void split_bucket(struct client_table *table)
{
    uint32_t added = table->buckets;
    uint32_t low = UINT32_C(1) << (31 - (unsigned)__builtin_clz(added));

    if (added / SEGMENT_BUCKETS >= table->segment_count && !add_segment(table))
        return; /* longer chains do no harm */
    table->buckets++;
    uint32_t *link = bucket_at(table, added - low);
    uint32_t *moved = bucket_at(table, added);
    while (*link != CLIENT_NONE) {
        struct client *client = at(table, *link);

        if (bucket_of(table, hash_of(table, &client->address)) == added) {
            *moved = *link;
            *link = client->bucket_next;
            moved = &client->bucket_next;
            *moved = CLIENT_NONE;
        } else {
            link = &client->bucket_next;
        }
    }
}

static bool add_block(struct client_table *table)
{
    struct client **blocks = realloc(table->blocks, (table->block_count + 1) * sizeof(*blocks));

    if (blocks == NULL)
        return false;
    table->blocks = blocks;
    blocks[table->block_count] = malloc(BLOCK_CLIENTS * sizeof(struct client));
    if (blocks[table->block_count] == NULL)
        return false;
    table->block_count++;
    return true;
}

/* A free place; CLIENT_NONE when memory is short. */
static uint32_t take_place(struct client_table *table)
{
    uint32_t place = table->free;

    if (place != CLIENT_NONE) {
        table->free = at(table, place)->bucket_next;
        return place;
    }
    if (table->used / BLOCK_CLIENTS >= table->block_count && !add_block(table))
        return CLIENT_NONE;
    return table->used++;
}

/* Which of a client's two pairs of links a list runs through. */
static uint32_t *newer_link(struct client *client, bool group)
{
    return group ? &client->group_newer : &client->newer;
}

static uint32_t *older_link(struct client *client, bool group)
{
    return group ? &client->group_older : &client->older;
}

static void list_push(struct client_table *table, struct client_list *list, uint32_t place,
                      bool group)
{
    struct client *client = at(table, place);

    *newer_link(client, group) = CLIENT_NONE;
    *older_link(client, group) = list->newest;
    if (list->newest != CLIENT_NONE)
        *newer_link(at(table, list->newest), group) = place;
    else
        list->oldest = place;
    list->newest = place;
    list->count++;
}

static void list_append(struct client_table *table, struct client_list *list, uint32_t place,
                        bool group)
{
    struct client *client = at(table, place);

    *older_link(client, group) = CLIENT_NONE;
    *newer_link(client, group) = list->oldest;
    if (list->oldest != CLIENT_NONE)
        *older_link(at(table, list->oldest), group) = place;
    else
        list->newest = place;
    list->oldest = place;
    list->count++;
}

static void list_remove(struct client_table *table, struct client_list *list, struct client *client,
                        bool group)
{
    uint32_t newer = *newer_link(client, group), older = *older_link(client, group);

    if (newer != CLIENT_NONE)
        *older_link(at(table, newer), group) = older;
    else
        list->newest = older;
    if (older != CLIENT_NONE)
        *newer_link(at(table, older), group) = newer;
    else
        list->oldest = newer;
    list->count--;
}

/* Enters the client into the lists of its standing, as the newest. */
static void enlist(struct client_table *table, uint32_t place, enum standing standing)
{
    struct client *client = at(table, place);

    client->standing = (uint8_t)standing;
    client->use = ++table->uses;
    list_push(table, &table->lists[standing], place, false);
    if (standing != STANDING_PLAIN)
        list_push(table, &table->groups[client->group], place, true);
}

static void unlist(struct client_table *table, struct client *client)
{
    list_remove(table, &table->lists[client->standing], client, false);
    if (client->standing != STANDING_PLAIN)
        list_remove(table, &table->groups[client->group], client, true);
}

struct client_table *client_table_new(const struct siphash_key *key, size_t max_clients)
{
    struct client_table *table = calloc(1, sizeof(*table));
    static const struct client_list empty = {CLIENT_NONE, CLIENT_NONE, 0};

    if (table == NULL)
        return NULL;
    table->key = *key;
    table->max_clients = max_clients;
    table->free = CLIENT_NONE;
    for (size_t i = 0; i < STANDING_COUNT; i++)
        table->lists[i] = empty;
    for (size_t i = 0; i < CLIENT_TABLE_GROUPS; i++)
        table->groups[i] = empty;
    if (!add_segment(table)) {
        client_table_free(&table);
        return NULL;
    }
    table->buckets = SEGMENT_BUCKETS;
    return table;
}

void client_table_free(struct client_table **pointer)
{
    struct client_table *table = *pointer;

    if (table == NULL)
        return;
    for (size_t i = 0; i < table->used; i++)
        if (client_table_at(table, i) != NULL)
            free(client_table_at(table, i)->reason);
    for (size_t i = 0; i < table->block_count; i++)
        free(table->blocks[i]);
    for (size_t i = 0; i < table->segment_count; i++)
        free(table->segments[i]);
    free(table->blocks);
    free(table->segments);
    free(table);
    *pointer = NULL;
}

struct client *client_table_find(const struct client_table *table, const struct network *network)
{
    uint32_t place = *find_link(table, &network->address, network->prefix);

    return place == CLIENT_NONE ? NULL : at(table, place);
}

/* The oldest held client of the neighbourhood that has most of them, if more than its share. */
static uint32_t oldest_of_crowd(const struct client_table *table)
{
    const struct client_list *fullest = &table->groups[0];
    size_t share = table->max_clients / SHARE_DIVISOR;

    if (share < CLIENT_TABLE_LEAST_SHARE)
        share = CLIENT_TABLE_LEAST_SHARE;
    for (size_t i = 1; i < CLIENT_TABLE_GROUPS; i++)
        if (table->groups[i].count > fullest->count)
            fullest = &table->groups[i];
    return fullest->count > share ? fullest->oldest : CLIENT_NONE;
}

const struct client *client_table_newer(const struct client_table *table, const struct client *a,
                                        const struct client *b)
{
    if (a == NULL || b == NULL)
        return a != NULL ? a : b;
    /* Ages, not numbers, so that the counter may wrap. */
    return table->uses - a->use <= table->uses - b->use ? a : b;
}

/* The held client that was used the longest ago: the oldest of the lists' ends. */
static uint32_t oldest_held(const struct client_table *table)
{
    uint32_t oldest = CLIENT_NONE;

    for (size_t i = STANDING_PLAIN + 1; i < STANDING_COUNT; i++) {
        uint32_t end = table->lists[i].oldest;

        if (end == CLIENT_NONE)
            continue;
        const struct client *client = at(table, end);
        if (oldest == CLIENT_NONE || client_table_newer(table, client, at(table, oldest)) != client)
            oldest = end;
    }
    return oldest;
}

/* Forgets one client; false if that could only be a held one, and `held` does not allow it. */
static bool evict(struct client_table *table, bool held)
{
    uint32_t victim = table->lists[STANDING_PLAIN].oldest;

    if (victim == CLIENT_NONE && !held)
        return false;
    if (victim == CLIENT_NONE)
        victim = oldest_of_crowd(table);
    if (victim == CLIENT_NONE)
        victim = oldest_held(table);
    if (victim == CLIENT_NONE)
        return false;
    client_table_remove(table, at(table, victim));
    table->evicted++;
    return true;
}

void client_table_shrink(struct client_table *table, unsigned most)
{
    while (table->count > table->max_clients && most-- > 0)
        if (!evict(table, true))
            return;
}

struct client *client_table_add(struct client_table *table, const struct network *network,
                                enum standing standing)
{
    if (table->max_clients == 0 ||
        (table->count >= table->max_clients && !evict(table, standing != STANDING_PLAIN)))
        return NULL;
    uint32_t place = take_place(table);
    if (place == CLIENT_NONE)
        return NULL;
    struct client *client = at(table, place);
    *client = (struct client){
        .address = network->address,
        .prefix = network->prefix,
        .group = group_of(table, &network->address),
        .bucket_next = CLIENT_NONE,
    };
    *find_link(table, &client->address, client->prefix) = place;
    enlist(table, place, standing);
    table->count++;
    if (table->count > table->buckets)
        split_bucket(table);
    return client;
}

void client_table_use(struct client_table *table, struct client *client, enum standing standing)
{
    uint32_t place = *find_link(table, &client->address, client->prefix);

    unlist(table, client);
    enlist(table, place, standing);
}

void client_table_settle(struct client_table *table, struct client *client, enum standing standing)
{
    uint32_t place = *find_link(table, &client->address, client->prefix);

    unlist(table, client);
    client->standing = (uint8_t)standing;
    list_append(table, &table->lists[standing], place, false);
    if (standing != STANDING_PLAIN)
        list_append(table, &table->groups[client->group], place, true);
}

void client_table_remove(struct client_table *table, struct client *client)
{
    uint32_t *link = find_link(table, &client->address, client->prefix);
    uint32_t place = *link;

    *link = client->bucket_next;
    unlist(table, client);
    client_table_set_reason(table, client, NULL);
    client->standing = STANDING_FREE;
    client->bucket_next = table->free;
    table->free = place;
    table->count--;
}

struct client *client_table_at(const struct client_table *table, size_t place)
{
    if (place >= table->used)
        return NULL;
    struct client *client = at(table, (uint32_t)place);
    return client->standing == STANDING_FREE ? NULL : client;
}

void client_table_set_reason(struct client_table *table, struct client *client, const char *reason)
{
    if (client->reason != NULL)
        table->reason_octets -= strlen(client->reason) + 1;
    free(client->reason);
    client->reason = reason != NULL && *reason != '\0' ? strdup(reason) : NULL;
    if (client->reason != NULL)
        table->reason_octets += strlen(client->reason) + 1;
}

size_t client_table_octets(const struct client_table *table)
{
    return sizeof(*table) + table->block_count * (BLOCK_CLIENTS * sizeof(struct client)) +
           table->segment_count * (SEGMENT_BUCKETS * sizeof(uint32_t)) +
           table->block_count * sizeof(*table->blocks) +
           table->segment_count * sizeof(*table->segments) + table->reason_octets;
}

/* Walks one list both ways. */
static bool list_sane(const struct client_table *table, const struct client_list *list, bool group)
{
    uint32_t count = 0, newer = CLIENT_NONE, place = list->newest;

    for (; place != CLIENT_NONE && count <= list->count; count++) {
        struct client *client = at(table, place);

        if (*newer_link(client, group) != newer || client->standing == STANDING_FREE)
            return false;
        newer = place;
        place = *older_link(client, group);
    }
    return count == list->count && newer == list->oldest && place == CLIENT_NONE;
}

bool client_table_sane(const struct client_table *table)
{
    size_t listed = 0, grouped = 0, found = 0;

    for (size_t i = 0; i < STANDING_COUNT; i++) {
        if (!list_sane(table, &table->lists[i], false))
            return false;
        listed += table->lists[i].count;
    }
    for (size_t i = 0; i < CLIENT_TABLE_GROUPS; i++) {
        if (!list_sane(table, &table->groups[i], true))
            return false;
        grouped += table->groups[i].count;
    }
    for (size_t i = 0; i < table->used; i++) {
        const struct client *client = client_table_at(table, i);

        if (client == NULL)
            continue;
        uint32_t place = *find_link(table, &client->address, client->prefix);
        if (place != i)
            return false;
        found++;
    }
    return listed == table->count && found == table->count &&
           grouped == table->count - table->lists[STANDING_PLAIN].count;
}
