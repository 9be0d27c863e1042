/*
 * What the control socket shows, as JSON (jansson). Field names are the interface; see
 * bdatctl(8).
 */
#ifndef BDAT_JSON_H
#define BDAT_JSON_H

#include <jansson.h>

#include "milter/recorder.h"
#include "milter/sessions.h"
#include "milter/settings.h"
#include "milter/suppression.h"

/* Each returns a new reference, NULL when memory is short. */
json_t *json_record(const struct record *record);
json_t *json_session(const struct session_view *view);

/* `pinned` is what the rules say of the client: it shows as its state. */
json_t *json_client(const struct client_record *record, enum chunking pinned);
/* `in_force` is its value now: an option that wants a restart may have another one in the file. */
json_t *json_option(const struct option_view *view, const char *in_force);

/* A wall time as RFC 3339 text; null for 0. */
json_t *json_time(int64_t wall_ms);

/* The record as one line of JSON, to be freed by free(); NULL when memory is short. */
char *json_record_text(const struct record *record);

#endif
