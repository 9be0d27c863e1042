/*
 * GET /v1/follow: transfers as they are judged, one JSON object a line (application/x-ndjson), and
 * an empty line every 15 seconds. Runs on the event loop's thread.
 */
#ifndef BDAT_FOLLOW_H
#define BDAT_FOLLOW_H

#include "milter/recorder.h"
#include "milter/transfer_query.h"

#define FOLLOW_CONTENT_TYPE "application/x-ndjson"

struct event_base;
struct evhttp_request;
struct follows;

/* NULL when memory is short. */
struct follows *follows_new(struct event_base *base, struct recorder *recorder);

/* Ends all, frees and nulls the pointer; NULL is fine. To be called before the HTTP server is
 * freed. */
void follows_free(struct follows **follows);

/* Begins to answer. A peer that does not read loses lines as soon as a megabyte waits for it, and
 * is closed by the server's timeout. */
void follow_start(struct follows *follows, struct evhttp_request *request,
                  const struct transfer_query *query);

#endif
