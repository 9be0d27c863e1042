/*
 * How bdatctl shows what the daemon knows: shared by its tables and stories.
 */
#ifndef BDAT_CTL_SHOW_H
#define BDAT_CTL_SHOW_H

#include <jansson.h>

#include "ctl/daemon.h"
#include "ctl/table.h"

/* "2026-11-23T04:15:09.123Z" -> "2026-11-23 04:15:09"; other text as it is; "" for null.
 * The caller frees. */
char *show_time(const json_t *object, const char *name);

/* A number of an object in its shortest form, "-" when null. The caller frees. */
char *show_number(const json_t *object, const char *name);

/* Adds such a number, or a time, as the next cell. */
void show_add_number(struct table *table, const json_t *object, const char *name);
void show_add_time(struct table *table, const json_t *object, const char *name);

/* The words of a list, "a,b"; "" when there are none. The caller frees. */
char *show_words(const json_t *object, const char *name);

/* Writes transfers or incidents as a table, or `nothing` when there is none. */
void show_transfers(const struct ctl *ctl, const json_t *list, const char *nothing);

/* Writes a table of clients likewise. */
void show_clients(const struct ctl *ctl, const json_t *list, const char *nothing);

/* How long ago or ahead a time of the daemon's is, in seconds from now; 0 when unknown. */
double show_seconds_until(const char *rfc3339);

#endif
