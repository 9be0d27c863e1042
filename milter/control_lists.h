/*
 * What the control socket lists: sources for listing.h. Each fills `source` and returns true, or
 * returns false when memory is short.
 */
#ifndef BDAT_CONTROL_LISTS_H
#define BDAT_CONTROL_LISTS_H

#include <stdbool.h>

#include "milter/app.h"
#include "milter/listing.h"
#include "milter/transfer_query.h"

/* The ring, newest first. A transfer that is judged meanwhile is not listed, one that leaves the
 * ring meanwhile ends the list. */
bool list_transfers(const struct app *app, const struct transfer_query *query,
                    struct listing_source *source);

/* Sessions that were alive at the call and still are when it is their turn. */
bool list_sessions(const struct app *app, struct listing_source *source);

/* Clients as they were at the call. */
bool list_clients(const struct app *app, const struct transfer_query *query,
                  struct listing_source *source);

/* Takes the list over, also when it returns false. */
bool list_incidents(struct incident_list *incidents, struct listing_source *source);

#endif
