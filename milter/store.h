/*
 * The store: clients and incidents in an SQLite file, written by one thread of its own.
 *
 * Nothing here ever makes the caller wait for a disk, save store_open(), store_load_clients()
 * and store_close(), which belong to start and end. The others copy their arguments into bounded
 * queues. Of a client only the newest state is queued. When a queue is full the oldest incident
 * goes, or the client is left out and given again after a re-sync; both are counted.
 *
 * When the file fails (no folder, read-only, full disk, locked, damaged) the store is degraded:
 * the program goes on from memory, one warning is logged, the thread tries again every few
 * seconds and writes what has been queued. A file that is damaged or no database is set aside
 * as PATH.bad-YYYYMMDDTHHMMSSZ and a new one is begun. A file of a newer program or of another
 * program is left alone, and the store stays degraded.
 *
 * WAL with synchronous=NORMAL: a kill -9 loses nothing that was committed; a power cut may lose
 * the last commits but never harms the file. That is the right price: what is lost are strikes,
 * which the client will earn again, and a commit need not wait for the disk.
 *
 * Any thread may call; the callbacks run on the store's thread and must only hand over.
 */
#ifndef BDAT_STORE_H
#define BDAT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "milter/log.h"
#include "milter/network.h"
#include "milter/suppression.h"
#include "milter/verdict.h"

#define STORE_SCHEMA_VERSION 2
#define STORE_REASON_SIZE 200

struct store;

struct store_options {
    const char *path;   /* copied */
    int64_t keep;       /* how long incidents are kept, seconds */
    size_t max_clients; /* rows beyond it go, the best to be forgotten first */
    struct log *log;    /* NULL = silent */
    unsigned retry_ms;  /* between tries while degraded; 0 = 5000 */
    unsigned busy_ms;   /* how long a lock is waited for; 0 = 2000 */
    unsigned commit_ms; /* how long writes are gathered; 0 = 200 */
    size_t max_pending; /* clients, and incidents, that may queue; 0 = 16384 */
    void *context;      /* of the callbacks below, which may be NULL */
    /* Clients that could not be loaded at start because the file was out of reach: up to 256 at
     * a time, to be copied, handed to the loop and imported there (newer knowledge stays). */
    void (*late_clients)(void *context, const struct client_record *records, size_t count);
    /* The file is new, or clients had to be left out: give all clients again, in pieces. */
    void (*resync)(void *context);
};

/* Opens or makes the file, migrating an older schema, and returns the store: degraded if that
 * failed, see store_status(). NULL only when memory is short. Takes a few seconds at worst. */
struct store *store_open(const struct store_options *options);

/* Gives all clients to `visit`, those first that suppression would forget first. To be called
 * between store_open() and store_start(). 0, or -1 if they could not be read: late_clients will get
 * them. */
int store_load_clients(struct store *store, client_visitor *visit, void *context)
    __attribute__((warn_unused_result));

/* Starts the thread. -1 if there can be none. */
int store_start(struct store *store) __attribute__((warn_unused_result));

/* Writes what is queued (for at most `timeout_ms`, if the file can be written), ends the
 * thread, frees all and nulls the pointer; NULL is fine. */
void store_close(struct store **store, unsigned timeout_ms);

/* Queues a client's newest state, or its removal. */
void store_put_client(struct store *store, const struct client_record *record);
void store_delete_client(struct store *store, const struct network *client);

/* Room left for clients: how many store_put_client() calls would surely be taken. */
size_t store_client_room(struct store *store);

/* Changes `keep` after a reload. */
void store_set_keep(struct store *store, int64_t keep);

/* One incident: columns to search by, and the whole of it as JSON. */
struct incident {
    int64_t id;   /* given by the store; 0 when put */
    int64_t time; /* seconds since the epoch */
    struct address client;
    enum verdict verdict;
    const char *queue_id; /* "" = none */
    const char *json;     /* as it will be shown; not looked into */
};

/* Queues an incident; it is copied. */
void store_put_incident(struct store *store, const struct incident *incident);

/* Which incidents are wanted. */
struct incident_filter {
    bool has_client;
    struct network client; /* those whose client lies within */
    enum verdict verdict;  /* VERDICT_NONE = any */
    int64_t since;         /* seconds since the epoch; 0 = any time */
    char queue_id[64];     /* "" = any */
    size_t limit;          /* at most STORE_MAX_INCIDENTS */
};
#define STORE_MAX_INCIDENTS 1000

/* The answer to a query; freed with incident_list_free() by whoever got it. */
struct incident_list {
    size_t count;
    struct incident *incidents;    /* newest first; strings live as long as the list */
    char error[STORE_REASON_SIZE]; /* "" = all is well; else count is 0 */
};
void incident_list_free(struct incident_list **list);

/* Asks for incidents. `answer` is called exactly once, on the store's thread (also with an
 * error, also at store_close()), and owns the list, which is NULL only when memory is short.
 * False, and no call, if too many queries wait already or the thread does not run. What was
 * put before the query is seen by it. */
typedef void incident_answer(void *context, struct incident_list *list);
bool store_query_incidents(struct store *store, const struct incident_filter *filter,
                           incident_answer *answer, void *context)
    __attribute__((warn_unused_result));

/* How the store is. */
struct store_status {
    bool degraded;
    char reason[STORE_REASON_SIZE]; /* why, "" if it is not */
    int64_t since;                  /* seconds since the epoch: since when it is so */
    size_t pending_clients;
    size_t pending_incidents;
    uint64_t clients_written;
    uint64_t incidents_written;
    uint64_t clients_left_out;  /* the queue was full; a re-sync mends it */
    uint64_t incidents_dropped; /* the queue was full; lost */
    uint64_t failures;          /* how often the file had to be given up */
    uint64_t files_set_aside;
};
void store_status(struct store *store, struct store_status *status);

#endif
