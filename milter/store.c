#include "milter/store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "milter/store_file.h"
#include "milter/store_queue.h"
#include "milter/thread.h"

#define PRESET_RETRY_MS 5000
#define PRESET_BUSY_MS 2000
#define PRESET_COMMIT_MS 200
#define PRESET_MAX_PENDING 16384
#define MAX_QUERIES 64
#define LATE_CLIENTS 256
/* Rows that are cleared away in one transaction, and how often that is looked after. */
#define CLEAR_ROWS 500
#define CLEAR_MS 600000

struct query {
    struct query *next;
    struct incident_filter filter;
    incident_answer *answer;
    void *context;
};

struct store {
    /* Set once. */
    struct store_options options;
    char *path;
    pthread_t thread;
    bool started;

    /* The thread's own; store_open() and store_load_clients() use them before it runs. */
    struct store_file *file;
    bool checked;     /* the file was looked through for damage; once is enough */
    bool loaded;      /* the clients in the file have been given away */
    int64_t retry_at; /* milliseconds of the steady clock; while there is no file */
    int64_t clear_at; /* when old rows are looked for next */

    /* Shared, under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct store_queue queue;
    size_t clients_under_way, incidents_under_way; /* taken off the queue, not written yet */
    struct query *first_query, *last_query;
    size_t query_count;
    int64_t queued_at; /* when the oldest of what waits came; 0 = nothing waits */
    int64_t keep;
    bool stop;
    int64_t stop_at;   /* until when it may still write */
    bool needs_resync; /* clients were left out, or the file is new */
    struct store_status status;
};

static int64_t steady_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void fill_presets(struct store_options *options)
{
    if (options->retry_ms == 0)
        options->retry_ms = PRESET_RETRY_MS;
    if (options->busy_ms == 0)
        options->busy_ms = PRESET_BUSY_MS;
    if (options->commit_ms == 0)
        options->commit_ms = PRESET_COMMIT_MS;
    if (options->max_pending == 0)
        options->max_pending = PRESET_MAX_PENDING;
}

/* How things are. */

/* Notes that the file cannot be used; warns when it could until now. */
static void degrade(struct store *store, const char *reason)
{
    pthread_mutex_lock(&store->lock);
    bool before = store->status.degraded;
    store->status.degraded = true;
    store->status.failures++;
    snprintf(store->status.reason, sizeof(store->status.reason), "%s", reason);
    if (!before)
        store->status.since = (int64_t)time(NULL);
    pthread_mutex_unlock(&store->lock);
    if (!before && store->options.log != NULL)
        log_write(store->options.log, LOG_LEVEL_WARNING,
                  "store %s cannot be used: %s; going on from memory and trying again every %u ms",
                  store->path, reason, store->options.retry_ms);
}

static void recover(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    bool before = store->status.degraded;
    store->status.degraded = false;
    store->status.reason[0] = '\0';
    if (before)
        store->status.since = (int64_t)time(NULL);
    pthread_mutex_unlock(&store->lock);
    if (before && store->options.log != NULL)
        log_write(store->options.log, LOG_LEVEL_INFO, "store %s can be used again", store->path);
}

/* Asked while a lock is waited for: closing must not take long. */
static bool is_out_of_time(void *context)
{
    struct store *store = context;

    pthread_mutex_lock(&store->lock);
    bool out = store->stop && steady_ms() >= store->stop_at;
    pthread_mutex_unlock(&store->lock);
    return out;
}

/* The file. */

/* Sets the damaged file aside; false if that cannot be done either. */
static bool set_aside(struct store *store, const char *why)
{
    char name[1024];
    bool done = store_file_set_aside(store->path, (int64_t)time(NULL), name, sizeof(name)) == 0;

    if (!done) {
        degrade(store, name);
        return false;
    }
    pthread_mutex_lock(&store->lock);
    store->status.files_set_aside++;
    pthread_mutex_unlock(&store->lock);
    if (store->options.log != NULL)
        log_write(store->options.log, LOG_LEVEL_WARNING,
                  "store %s is damaged (%s): set aside as %s, a new one is begun", store->path, why,
                  name);
    return true;
}

/* Closes the file after a failure, so that the next try begins afresh. */
static void drop_file(struct store *store, enum store_result result, const char *reason)
{
    char why[STORE_REASON_SIZE];

    snprintf(why, sizeof(why), "%s", reason); /* which may be the file's own */
    store_file_close(&store->file);
    store->retry_at = steady_ms() + store->options.retry_ms;
    if (result == STORE_DAMAGED && set_aside(store, why))
        store->retry_at = 0;
    else
        degrade(store, why);
}

/* Opens the file, making a new one in place of a damaged one. */
static void open_file(struct store *store)
{
    char error[STORE_REASON_SIZE];
    enum store_result result = STORE_DAMAGED;
    const struct store_file_options options = {
        .path = store->path,
        .busy_ms = store->options.busy_ms,
        .check = !store->checked,
        .give_up = is_out_of_time,
        .context = store,
    };
    bool made = false;

    for (int tries = 0; tries < 2 && result == STORE_DAMAGED; tries++) {
        result = store_file_open(&store->file, &options, &made, error, sizeof(error));
        if (result != STORE_DONE)
            drop_file(store, result, error);
    }
    if (result != STORE_DONE)
        return;
    store->checked = true;
    if (made) {
        store->loaded = true; /* there is nothing to load */
        pthread_mutex_lock(&store->lock);
        store->needs_resync = store->needs_resync || store->started;
        pthread_mutex_unlock(&store->lock);
    }
    store->clear_at = 0; /* and the next write tells whether all is well again */
}

struct store *store_open(const struct store_options *options)
{
    struct store *store = calloc(1, sizeof(*store));
    pthread_condattr_t steady;
    uint8_t seed[16] = {0};

    if (store == NULL)
        return NULL;
    store->options = *options;
    fill_presets(&store->options);
    store->keep = options->keep;
    store->path = strdup(options->path);
    if (getrandom(seed, sizeof(seed), GRND_NONBLOCK) < 0)
        memcpy(seed, &store, sizeof(store)); /* so early at boot, the heap's place must do */
    pthread_mutex_init(&store->lock, NULL);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&store->wake, &steady);
    pthread_condattr_destroy(&steady);
    if (!store_queue_init(&store->queue, store->options.max_pending, seed) || store->path == NULL) {
        store_close(&store, 0);
        return NULL;
    }
    open_file(store);
    return store;
}

/* Removes what is beyond max_clients and too old, a slice at a time. *more: there may be more. */
static enum store_result clear_slice(struct store *store, bool *more)
{
    size_t clients = 0, incidents = 0;
    enum store_result result =
        store_file_prune_clients(store->file, store->options.max_clients, CLEAR_ROWS, &clients);

    pthread_mutex_lock(&store->lock);
    int64_t keep = store->keep;
    pthread_mutex_unlock(&store->lock);
    if (result == STORE_DONE && keep > 0)
        result = store_file_expire_incidents(store->file, (int64_t)time(NULL) - keep, CLEAR_ROWS,
                                             &incidents);
    *more = clients == CLEAR_ROWS || incidents == CLEAR_ROWS;
    return result;
}

int store_load_clients(struct store *store, client_visitor *visit, void *context)
{
    size_t odd = 0, removed = 1;
    enum store_result result = STORE_DONE;

    if (store->file == NULL)
        return -1;
    while (result == STORE_DONE && removed > 0)
        result = store_file_prune_clients(store->file, store->options.max_clients, SIZE_MAX / 2,
                                          &removed);
    if (result == STORE_DONE)
        result = store_file_load_clients(store->file, visit, context, &odd);
    if (result != STORE_DONE) {
        drop_file(store, result, store_file_error(store->file));
        return -1;
    }
    store->loaded = true;
    if (odd > 0 && store->options.log != NULL)
        log_write(store->options.log, LOG_LEVEL_WARNING,
                  "store %s: %zu clients make no sense and were left out", store->path, odd);
    return 0;
}

/* Clients that are loaded while the daemon serves already, gathered for one call. */
struct late_load {
    struct store *store;
    struct client_record records[LATE_CLIENTS];
    size_t count;
};

static void give_late(struct late_load *late)
{
    if (late->count > 0)
        late->store->options.late_clients(late->store->options.context, late->records, late->count);
    late->count = 0;
}

static bool gather_late(void *context, const struct client_record *record)
{
    struct late_load *late = context;

    late->records[late->count++] = *record;
    if (late->count == LATE_CLIENTS)
        give_late(late);
    return true;
}

/* Gives away what could not be loaded at start. */
static void load_late(struct store *store)
{
    struct late_load *late = calloc(1, sizeof(*late));

    if (late == NULL)
        return;
    late->store = store;
    if (store->options.late_clients == NULL)
        store->loaded = true;
    else if (store_load_clients(store, gather_late, late) == 0)
        give_late(late);
    free(late);
}

/* The thread. */

/* Writes one batch in one transaction. */
static enum store_result write_batch(struct store_file *file, const struct store_batch *batch)
{
    enum store_result result = store_file_begin(file);

    for (const struct pending_client *c = batch->clients; c != NULL && result == STORE_DONE;
         c = c->next)
        result = c->remove ? store_file_delete_client(file, &c->record.client)
                           : store_file_put_client(file, &c->record);
    for (const struct pending_incident *i = batch->incidents; i != NULL && result == STORE_DONE;
         i = i->next)
        result = store_file_put_incident(file, &i->incident);
    return result == STORE_DONE ? store_file_commit(file) : result;
}

/* Takes what waits off the queue; it counts as pending until it is written. */
static struct store_batch take_batch(struct store *store, bool *degraded)
{
    pthread_mutex_lock(&store->lock);
    store->clients_under_way = store->queue.client_count;
    store->incidents_under_way = store->queue.incident_count;
    struct store_batch batch = store_queue_take(&store->queue, store->options.max_pending);
    store->queued_at = 0;
    *degraded = store->status.degraded;
    pthread_mutex_unlock(&store->lock);
    return batch;
}

/* Counts a batch that was written, or puts it back. */
static void settle_batch(struct store *store, struct store_batch *batch, bool written)
{
    pthread_mutex_lock(&store->lock);
    if (written) {
        store->status.clients_written += store->clients_under_way;
        store->status.incidents_written += store->incidents_under_way;
    } else {
        store_queue_give_back(&store->queue, batch);
        store->queued_at = steady_ms();
    }
    store->clients_under_way = store->incidents_under_way = 0;
    pthread_mutex_unlock(&store->lock);
    store_batch_free(batch);
}

/* Writes what waits. While the store is degraded, an empty transaction will do as a trial. */
static void write_pending(struct store *store)
{
    bool degraded = false;
    struct store_batch batch = take_batch(store, &degraded);

    if (batch.clients == NULL && batch.incidents == NULL && !degraded)
        return;
    bool gone = store_file_is_gone(store->file);
    enum store_result result = gone ? STORE_FAILED : write_batch(store->file, &batch);
    if (result != STORE_DONE)
        store_file_rollback(store->file);
    settle_batch(store, &batch, result == STORE_DONE);
    if (result == STORE_DONE)
        recover(store);
    else
        drop_file(store, result, gone ? "the file has gone" : store_file_error(store->file));
}

static void answer_query(struct store *store, struct query *query, const char *error)
{
    struct incident_list *list = calloc(1, sizeof(*list));
    enum store_result result = STORE_DONE;

    if (list != NULL && error != NULL)
        snprintf(list->error, sizeof(list->error), "%s", error);
    else if (list != NULL)
        result = store_file_find_incidents(store->file, &query->filter, list);
    if (result != STORE_DONE) {
        incident_list_free(&list);
        list = calloc(1, sizeof(*list));
        if (list != NULL)
            snprintf(list->error, sizeof(list->error), "%s", store_file_error(store->file));
        if (result == STORE_DAMAGED)
            drop_file(store, result, store_file_error(store->file));
    }
    query->answer(query->context, list);
    free(query);
}

/* Takes the queries that wait. What was put before them is in the queue or in the file. */
static struct query *take_queries(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    struct query *queries = store->first_query;
    store->first_query = store->last_query = NULL;
    store->query_count = 0;
    pthread_mutex_unlock(&store->lock);
    return queries;
}

/* Answers queries; `error` unless NULL is the answer to each. */
static void answer_queries(struct store *store, struct query *queries, const char *error)
{
    char reason[STORE_REASON_SIZE];

    pthread_mutex_lock(&store->lock);
    snprintf(reason, sizeof(reason), "%s", store->status.reason);
    pthread_mutex_unlock(&store->lock);
    while (queries != NULL) {
        struct query *next = queries->next;
        const char *why = error != NULL ? error : store->file == NULL ? reason : NULL;

        answer_query(store, queries, why);
        queries = next;
    }
}

static void clear_rows(struct store *store)
{
    bool more = false;
    enum store_result result = clear_slice(store, &more);

    store->clear_at = steady_ms() + (more ? 0 : CLEAR_MS);
    if (result != STORE_DONE)
        drop_file(store, result, store_file_error(store->file));
}

/* Tells the owner to give all clients again, if there is need and the file can take them. */
static void ask_for_resync(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    bool needed = store->needs_resync || store->queue.clients_left_out > 0;
    store->needs_resync = false;
    store->status.clients_left_out += store->queue.clients_left_out;
    store->queue.clients_left_out = 0;
    pthread_mutex_unlock(&store->lock);
    if (needed && store->options.resync != NULL)
        store->options.resync(store->options.context);
}

/* When there is something to do next, if nothing else comes. The lock is held. */
static int64_t next_due(const struct store *store)
{
    if (store->file == NULL)
        return store->retry_at;
    if (store->queued_at != 0 && store->queued_at + store->options.commit_ms < store->clear_at)
        return store->queued_at + store->options.commit_ms;
    return store->clear_at;
}

/* Waits until there is something to do. */
static void wait_for_work(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    while (!store->stop && store->first_query == NULL) {
        int64_t due = next_due(store);
        struct timespec until = {.tv_sec = (time_t)(due / 1000),
                                 .tv_nsec = (long)(due % 1000) * 1000000};

        if (steady_ms() >= due)
            break;
        pthread_cond_timedwait(&store->wake, &store->lock, &until);
    }
    pthread_mutex_unlock(&store->lock);
}

/* One round: whatever is due. */
static void work(struct store *store)
{
    struct query *queries = take_queries(store);

    if (store->file == NULL && steady_ms() >= store->retry_at)
        open_file(store);
    if (store->file != NULL && !store->loaded)
        load_late(store);
    if (store->file != NULL)
        write_pending(store);
    if (store->file != NULL)
        ask_for_resync(store);
    answer_queries(store, queries, NULL);
    if (store->file != NULL && steady_ms() >= store->clear_at)
        clear_rows(store);
}

static void *run_thread(void *argument)
{
    struct store *store = argument;
    bool stop = false;

    while (!stop) {
        wait_for_work(store);
        work(store);
        pthread_mutex_lock(&store->lock);
        stop = store->stop;
        pthread_mutex_unlock(&store->lock);
    }
    if (store->file != NULL)
        write_pending(store); /* what came during the last round */
    answer_queries(store, take_queries(store), "the program ends");
    return NULL;
}

int store_start(struct store *store)
{
    store->started = true;
    if (thread_start(&store->thread, run_thread, store) == 0)
        return 0;
    store->started = false;
    return -1;
}

void store_close(struct store **pointer, unsigned timeout_ms)
{
    struct store *store = *pointer;

    if (store == NULL)
        return;
    if (store->started) {
        pthread_mutex_lock(&store->lock);
        store->stop = true;
        store->stop_at = steady_ms() + timeout_ms;
        pthread_cond_signal(&store->wake);
        pthread_mutex_unlock(&store->lock);
        pthread_join(store->thread, NULL);
    }
    store_file_close(&store->file);
    store_queue_free(&store->queue);
    pthread_cond_destroy(&store->wake);
    pthread_mutex_destroy(&store->lock);
    free(store->path);
    free(store);
    *pointer = NULL;
}

/* What the others call. */

/* Notes that something waits. The lock is held. */
static void note_queued(struct store *store)
{
    if (store->queued_at != 0)
        return;
    store->queued_at = steady_ms();
    pthread_cond_signal(&store->wake);
}

static void queue_client(struct store *store, const struct client_record *record, bool remove)
{
    pthread_mutex_lock(&store->lock);
    (void)store_queue_put_client(&store->queue, record, remove);
    note_queued(store);
    pthread_mutex_unlock(&store->lock);
}

void store_put_client(struct store *store, const struct client_record *record)
{
    queue_client(store, record, false);
}

void store_delete_client(struct store *store, const struct network *client)
{
    struct client_record record = {.client = *client};

    queue_client(store, &record, true);
}

size_t store_client_room(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    size_t taken = store->queue.client_count + store->clients_under_way;
    size_t room = taken < store->queue.max_pending ? store->queue.max_pending - taken : 0;
    pthread_mutex_unlock(&store->lock);
    return room;
}

void store_set_keep(struct store *store, int64_t keep)
{
    pthread_mutex_lock(&store->lock);
    store->keep = keep;
    pthread_mutex_unlock(&store->lock);
}

void store_put_incident(struct store *store, const struct incident *incident)
{
    pthread_mutex_lock(&store->lock);
    store_queue_put_incident(&store->queue, incident);
    note_queued(store);
    pthread_mutex_unlock(&store->lock);
}

bool store_query_incidents(struct store *store, const struct incident_filter *filter,
                           incident_answer *answer, void *context)
{
    struct query *query = malloc(sizeof(*query));

    if (query == NULL)
        return false;
    *query = (struct query){.filter = *filter, .answer = answer, .context = context};
    pthread_mutex_lock(&store->lock);
    bool taken = store->started && !store->stop && store->query_count < MAX_QUERIES;
    if (taken) {
        if (store->last_query != NULL)
            store->last_query->next = query;
        else
            store->first_query = query;
        store->last_query = query;
        store->query_count++;
        pthread_cond_signal(&store->wake);
    }
    pthread_mutex_unlock(&store->lock);
    if (!taken)
        free(query);
    return taken;
}

void incident_list_free(struct incident_list **list)
{
    if (*list == NULL)
        return;
    for (size_t i = 0; i < (*list)->count; i++) {
        free((char *)(*list)->incidents[i].queue_id);
        free((char *)(*list)->incidents[i].json);
    }
    free((*list)->incidents);
    free(*list);
    *list = NULL;
}

void store_status(struct store *store, struct store_status *status)
{
    pthread_mutex_lock(&store->lock);
    *status = store->status;
    status->pending_clients = store->queue.client_count + store->clients_under_way;
    status->pending_incidents = store->queue.incident_count + store->incidents_under_way;
    status->clients_left_out += store->queue.clients_left_out;
    status->incidents_dropped = store->queue.incidents_dropped;
    pthread_mutex_unlock(&store->lock);
}
