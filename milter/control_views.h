/*
 * What the control socket's requests show of the daemon, as JSON. New references; NULL when
 * memory is short.
 */
#ifndef BDAT_CONTROL_VIEWS_H
#define BDAT_CONTROL_VIEWS_H

#include <jansson.h>

#include "milter/app.h"

json_t *view_status(const struct app *app);
json_t *view_config(const struct app *app);

/* What came of a reload that went well. */
json_t *view_reload(const struct app *app);

/* One client as {"clients":[…]}; NULL if nothing is known of it. */
json_t *view_client(const struct app *app, const struct address *client);

/* Why the daemon is not ready, one line with its end; NULL = it is. Static storage. */
const char *view_trouble(const struct app *app);

#endif
