#include "milter/joins.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/* A power of two, of the order of the busiest server's smtpd processes. */
#define BUCKETS 1024

struct join {
    LIST_ENTRY(join) link;
    char queue_id[TRANSFER_QUEUE_ID_SIZE];
    struct join_key key;
    bool milter_seen;
    const struct settings *settings;
    struct transfer ledger;
};

struct joins {
    pthread_mutex_t lock;
    LIST_HEAD(, join) buckets[BUCKETS];
};

struct joins *joins_new(void)
{
    struct joins *joins = calloc(1, sizeof(*joins));
    if (joins != NULL)
        pthread_mutex_init(&joins->lock, NULL);
    return joins;
}

static void free_join(struct join *join)
{
    LIST_REMOVE(join, link);
    settings_unref(&join->settings);
    free(join);
}

void joins_free(struct joins **joins)
{
    struct joins *old = *joins;
    if (old == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (!LIST_EMPTY(&old->buckets[i]))
            // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): LIST_REMOVE() has moved the head on
            free_join(LIST_FIRST(&old->buckets[i]));
    pthread_mutex_destroy(&old->lock);
    free(old);
    *joins = NULL;
}

/* FNV-1a; queue ids are Postfix's own, no client chooses them. */
static size_t bucket_of(const char *queue_id)
{
    uint32_t hash = 2166136261u;
    for (const char *c = queue_id; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    return (hash ^ hash >> 16) & (BUCKETS - 1);
}

/* Under the lock. */
static struct join *find(struct joins *joins, const char *queue_id)
{
    struct join *join;
    LIST_FOREACH(join, &joins->buckets[bucket_of(queue_id)], link)
        if (strcmp(join->queue_id, queue_id) == 0)
            return join;
    return NULL;
}

bool joins_open(struct joins *joins, const char *queue_id, const struct join_key *key,
                const struct transfer *ledger, const struct settings *settings)
{
    struct join *join = calloc(1, sizeof(*join));
    if (join == NULL)
        return false;
    snprintf(join->queue_id, sizeof(join->queue_id), "%s", queue_id);
    join->key = *key;
    join->ledger = *ledger;
    join->settings = settings_ref(settings);
    pthread_mutex_lock(&joins->lock);
    struct join *stale = find(joins, join->queue_id);
    if (stale != NULL)
        free_join(stale);
    LIST_INSERT_HEAD(&joins->buckets[bucket_of(join->queue_id)], join, link);
    pthread_mutex_unlock(&joins->lock);
    return true;
}

void joins_complete(struct joins *joins, const char *queue_id, const struct transfer *ledger)
{
    pthread_mutex_lock(&joins->lock);
    struct join *join = find(joins, queue_id);
    if (join != NULL)
        join->ledger = *ledger;
    pthread_mutex_unlock(&joins->lock);
}

bool joins_close(struct joins *joins, const char *queue_id)
{
    bool seen = false;
    pthread_mutex_lock(&joins->lock);
    struct join *join = find(joins, queue_id);
    if (join != NULL) {
        seen = join->milter_seen;
        free_join(join);
    }
    pthread_mutex_unlock(&joins->lock);
    return seen;
}

bool joins_milter_seen(struct joins *joins, const char *queue_id)
{
    pthread_mutex_lock(&joins->lock);
    const struct join *join = find(joins, queue_id);
    bool seen = join != NULL && join->milter_seen;
    pthread_mutex_unlock(&joins->lock);
    return seen;
}

bool joins_begin(struct joins *joins, const char *queue_id, struct join_key *key)
{
    pthread_mutex_lock(&joins->lock);
    struct join *join = find(joins, queue_id);
    if (join != NULL) {
        join->milter_seen = true;
        *key = join->key;
    }
    pthread_mutex_unlock(&joins->lock);
    return join != NULL;
}

bool joins_fetch(struct joins *joins, const char *queue_id, struct transfer *ledger,
                 const struct settings **settings)
{
    pthread_mutex_lock(&joins->lock);
    const struct join *join = find(joins, queue_id);
    if (join != NULL) {
        *ledger = join->ledger;
        *settings = settings_ref(join->settings);
    }
    pthread_mutex_unlock(&joins->lock);
    return join != NULL;
}

bool joins_is_open(struct joins *joins, const char *queue_id)
{
    pthread_mutex_lock(&joins->lock);
    bool open = find(joins, queue_id) != NULL;
    pthread_mutex_unlock(&joins->lock);
    return open;
}
