/*
 * Long answers of the control socket: {"name":[item,item,…]}, made in pieces.
 *
 * Two thousand transfers as JSON are a tenth of a second of work, and Postfix would wait for it.
 * So answers are made for about a millisecond at a time, in turn, however many there are, and the
 * loop does its other work in between. Runs on the event loop's thread.
 */
#ifndef BDAT_LISTING_H
#define BDAT_LISTING_H

#include <jansson.h>
#include <stdbool.h>

struct event_base;
struct evhttp_request;

/* All answers in the making. */
struct listings;

/* NULL when memory is short. */
struct listings *listings_new(struct event_base *base);

/* Gives up all of them, frees and nulls the pointer; NULL is fine. To be called before the HTTP
 * server is freed. */
void listings_free(struct listings **listings);

/* What is listed. */
struct listing_source {
    const char *name; /* static storage */
    /* Returns the next item's JSON, to be freed by free(); NULL = there is none. */
    char *(*next)(void *context);
    /* Called once, when the answer is made or given up. */
    void (*release)(void *context);
    void *context;
};

/* Answers the request, in a moment; owns the source from now on. */
void listing_start(struct listings *listings, struct evhttp_request *request,
                   const struct listing_source *source);

/* An object as text for `next`; drops the reference. NULL for NULL. */
char *listing_text(json_t *object);

#endif
