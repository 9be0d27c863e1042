#include "milter/store.h"

#include <stdlib.h>
#include <string.h>

struct store {
    struct store_options options;
};

struct store *store_open(const struct store_options *options)
{
    struct store *store = calloc(1, sizeof(*store));
    if (store != NULL)
        store->options = *options;
    return store;
}

int store_load_clients(struct store *store, client_visitor *visit, void *context)
{
    (void)store;
    (void)visit;
    (void)context;
    return -1;
}

int store_start(struct store *store)
{
    (void)store;
    return 0;
}

void store_close(struct store **store, unsigned timeout_ms)
{
    (void)timeout_ms;
    free(*store);
    *store = NULL;
}

void store_put_client(struct store *store, const struct client_record *record)
{
    (void)store;
    (void)record;
}

void store_delete_client(struct store *store, const struct network *client)
{
    (void)store;
    (void)client;
}

size_t store_client_room(struct store *store)
{
    (void)store;
    return 0;
}

void store_set_keep(struct store *store, int64_t keep)
{
    store->options.keep = keep;
}

void store_put_incident(struct store *store, const struct incident *incident)
{
    (void)store;
    (void)incident;
}

void incident_list_free(struct incident_list **list)
{
    free(*list);
    *list = NULL;
}

bool store_query_incidents(struct store *store, const struct incident_filter *filter,
                           incident_answer *answer, void *context)
{
    (void)store;
    (void)filter;
    (void)answer;
    (void)context;
    return false;
}

void store_status(struct store *store, struct store_status *status)
{
    (void)store;
    memset(status, 0, sizeof(*status));
    status->degraded = true;
    strcpy(status->reason, "nothing is written to disk");
}
