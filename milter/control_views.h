/*
 * What the control socket's requests show of the daemon, as JSON. New references; NULL when
 * memory is short.
 */
#ifndef BDAT_CONTROL_VIEWS_H
#define BDAT_CONTROL_VIEWS_H

#include <jansson.h>

#include "milter/app.h"
#include "milter/transfer_query.h"

json_t *view_status(const struct app *app);
json_t *view_sessions(const struct app *app);
json_t *view_transfers(const struct app *app, const struct transfer_query *query);
json_t *view_clients(const struct app *app, const struct transfer_query *query);
json_t *view_config(const struct app *app);
json_t *view_incidents(const struct incident_list *list);

/* One client as {"clients":[…]}; NULL if nothing is known of it. */
json_t *view_client(const struct app *app, const struct address *client);

/* Why the daemon is not ready, one line with its end; NULL = it is. Static storage. */
const char *view_trouble(const struct app *app);

#endif
