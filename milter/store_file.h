/*
 * The store's SQLite file: schema, migration, and each statement the store needs.
 *
 * A store_file is an open, checked and migrated file. One thread at a time may use it. Functions
 * return enum store_result; the text of the last failure is store_file_error(). Values are always
 * bound, never part of a statement's text.
 */
#ifndef BDAT_STORE_FILE_H
#define BDAT_STORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "milter/store.h"

enum store_result {
    STORE_DONE,
    STORE_FAILED,  /* out of reach, locked, full, read-only: try again later */
    STORE_DAMAGED, /* no database or a damaged one: set it aside */
    STORE_FOREIGN, /* of a newer program or of another one: leave it alone */
};

struct store_file;

/* Asked while a lock is waited for or a statement runs: true = give up. Any thread's state that
 * it looks at must be safe to read. */
typedef bool store_give_up(void *context);

/* How to open a file. */
struct store_file_options {
    const char *path;
    unsigned busy_ms; /* how long locks are waited for */
    bool check;       /* look through the whole file for damage, for a few seconds at most */
    store_give_up *give_up;
    void *context;
};

/* Opens or makes the file. *made tells whether it is a new one. On failure *file is NULL and the
 * reason is in `error`. The options are copied but for the path's text. */
enum store_result store_file_open(struct store_file **file,
                                  const struct store_file_options *options, bool *made, char *error,
                                  size_t error_size);

/* Closes it and nulls the pointer; NULL is fine. */
void store_file_close(struct store_file **file);

/* Renames the (closed) file to PATH.bad-YYYYMMDDTHHMMSSZ, and its -wal with it. 0, with the new
 * name in `name`, or -1 with the reason in it. */
int store_file_set_aside(const char *path, int64_t now, char *name, size_t size);

/* Why the last function failed. Valid until the next. */
const char *store_file_error(const struct store_file *file);

/* True if the path no longer leads to this file: somebody has removed or replaced it. */
bool store_file_is_gone(struct store_file *file);

/* A transaction: all or nothing. Rollback after any failure within. */
enum store_result store_file_begin(struct store_file *file);
enum store_result store_file_commit(struct store_file *file);
void store_file_rollback(struct store_file *file);

enum store_result store_file_put_client(struct store_file *file,
                                        const struct client_record *record);
enum store_result store_file_delete_client(struct store_file *file, const struct network *client);
enum store_result store_file_put_incident(struct store_file *file, const struct incident *incident);

/* Gives all clients to `visit`, those first that can best be forgotten. Rows that make no sense
 * are left out and counted in *odd. */
enum store_result store_file_load_clients(struct store_file *file, client_visitor *visit,
                                          void *context, size_t *odd);

/* Removes up to `most` clients beyond max_clients, those first that can best be forgotten. */
enum store_result store_file_prune_clients(struct store_file *file, size_t max_clients, size_t most,
                                           size_t *removed);

/* Removes up to `most` incidents older than `before`. */
enum store_result store_file_expire_incidents(struct store_file *file, int64_t before, size_t most,
                                              size_t *removed);

/* Fills an empty list with the incidents that match. */
enum store_result store_file_find_incidents(struct store_file *file,
                                            const struct incident_filter *filter,
                                            struct incident_list *list);

#endif
