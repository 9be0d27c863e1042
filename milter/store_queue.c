#include "milter/store_queue.h"

#include <stdlib.h>
#include <string.h>

bool store_queue_init(struct store_queue *queue, size_t max_pending, const uint8_t seed[16])
{
    size_t buckets = 1;

    while (buckets < max_pending)
        buckets *= 2;
    *queue = (struct store_queue){
        .max_pending = max_pending,
        .key = siphash_key(seed),
        .buckets = calloc(buckets, sizeof(*queue->buckets)),
        .bucket_count = buckets,
    };
    return queue->buckets != NULL;
}

void store_batch_free(struct store_batch *batch)
{
    while (batch->clients != NULL) {
        struct pending_client *next = batch->clients->next;
        free(batch->clients);
        batch->clients = next;
    }
    while (batch->incidents != NULL) {
        struct pending_incident *next = batch->incidents->next;
        free(batch->incidents);
        batch->incidents = next;
    }
}

void store_queue_free(struct store_queue *queue)
{
    struct store_batch all = {queue->first_client, queue->first_incident};

    store_batch_free(&all);
    free(queue->buckets);
    *queue = (struct store_queue){0};
}

/* The link to the client that waits, or the end of its chain. */
static struct pending_client **find_link(struct store_queue *queue, const struct network *client)
{
    uint64_t hash = siphash16(&queue->key, client->address.octets);
    struct pending_client **link = &queue->buckets[hash & (queue->bucket_count - 1)];

    while (*link != NULL &&
           ((*link)->record.client.prefix != client->prefix ||
            memcmp(&(*link)->record.client.address, &client->address, sizeof(client->address))))
        link = &(*link)->chain;
    return link;
}

/* Enters a client at the end of the queue and at the end of its chain. */
static void enter(struct store_queue *queue, struct pending_client *client,
                  struct pending_client **link)
{
    client->chain = NULL;
    client->next = NULL;
    *link = client;
    if (queue->last_client != NULL)
        queue->last_client->next = client;
    else
        queue->first_client = client;
    queue->last_client = client;
    queue->client_count++;
}

bool store_queue_put_client(struct store_queue *queue, const struct client_record *record,
                            bool remove)
{
    struct pending_client **link = find_link(queue, &record->client), *client = *link;

    if (client == NULL && queue->client_count < queue->max_pending) {
        client = malloc(sizeof(*client));
        if (client != NULL)
            enter(queue, client, link);
    }
    if (client == NULL) {
        queue->clients_left_out++;
        return false;
    }
    client->record = *record;
    client->remove = remove;
    return true;
}

/* Drops the oldest incidents until there is room for `count` more of `octets` together. */
static void make_room(struct store_queue *queue, size_t count, size_t octets)
{
    while (queue->first_incident != NULL &&
           (queue->incident_count + count > queue->max_pending ||
            queue->incident_octets + octets > STORE_QUEUE_INCIDENT_OCTETS)) {
        struct pending_incident *oldest = queue->first_incident;

        queue->first_incident = oldest->next;
        if (queue->first_incident == NULL)
            queue->last_incident = NULL;
        queue->incident_count--;
        queue->incident_octets -= oldest->octets;
        queue->incidents_dropped++;
        free(oldest);
    }
}

void store_queue_put_incident(struct store_queue *queue, const struct incident *incident)
{
    size_t queue_id = strlen(incident->queue_id) + 1, json = strlen(incident->json) + 1;
    size_t octets = sizeof(struct pending_incident) + queue_id + json;
    struct pending_incident *pending =
        octets <= STORE_QUEUE_INCIDENT_OCTETS ? malloc(octets) : NULL;

    if (pending == NULL) {
        queue->incidents_dropped++;
        return;
    }
    char *text = (char *)(pending + 1);
    memcpy(text, incident->queue_id, queue_id);
    memcpy(text + queue_id, incident->json, json);
    pending->next = NULL;
    pending->octets = octets;
    pending->incident = *incident;
    pending->incident.queue_id = text;
    pending->incident.json = text + queue_id;
    make_room(queue, 1, octets);
    if (queue->last_incident != NULL)
        queue->last_incident->next = pending;
    else
        queue->first_incident = pending;
    queue->last_incident = pending;
    queue->incident_count++;
    queue->incident_octets += octets;
}

/* Takes the oldest client out of queue and chain. */
static struct pending_client *take_client(struct store_queue *queue)
{
    struct pending_client *client = queue->first_client;
    struct pending_client **link = find_link(queue, &client->record.client);

    *link = client->chain;
    queue->first_client = client->next;
    if (client->next == NULL)
        queue->last_client = NULL;
    queue->client_count--;
    client->next = NULL;
    return client;
}

static struct pending_incident *take_incident(struct store_queue *queue)
{
    struct pending_incident *incident = queue->first_incident;

    queue->first_incident = incident->next;
    if (incident->next == NULL)
        queue->last_incident = NULL;
    queue->incident_count--;
    queue->incident_octets -= incident->octets;
    incident->next = NULL;
    return incident;
}

struct store_batch store_queue_take(struct store_queue *queue, size_t most)
{
    struct store_batch batch = {NULL, NULL};
    struct pending_client **client = &batch.clients;
    struct pending_incident **incident = &batch.incidents;

    for (size_t i = 0; i < most && queue->first_client != NULL; i++) {
        *client = take_client(queue);
        client = &(*client)->next;
    }
    for (size_t i = 0; i < most && queue->first_incident != NULL; i++) {
        *incident = take_incident(queue);
        incident = &(*incident)->next;
    }
    return batch;
}

static void give_back_incidents(struct store_queue *queue, struct pending_incident *incidents)
{
    struct pending_incident *last = incidents;

    if (incidents == NULL)
        return;
    for (;; last = last->next) {
        queue->incident_count++;
        queue->incident_octets += last->octets;
        if (last->next == NULL)
            break;
    }
    last->next = queue->first_incident;
    if (queue->last_incident == NULL)
        queue->last_incident = last;
    queue->first_incident = incidents;
    make_room(queue, 0, 0);
}

void store_queue_give_back(struct store_queue *queue, struct store_batch *batch)
{
    while (batch->clients != NULL) {
        struct pending_client *client = batch->clients;
        struct pending_client **link = find_link(queue, &client->record.client);

        batch->clients = client->next;
        if (*link != NULL) {
            free(client); /* a newer state waits */
        } else if (queue->client_count < queue->max_pending) {
            enter(queue, client, link);
        } else {
            queue->clients_left_out++;
            free(client);
        }
    }
    give_back_incidents(queue, batch->incidents);
    batch->incidents = NULL;
}
