/*
 * The loop's inbox: what libmilter's threads and the store's thread hand over to the event loop.
 *
 * A thread posts a letter with its inputs copied; an eventfd wakes the loop. The loop also empties
 * the inbox before it answers Postfix, so that a verdict is known before the client's next command
 * is looked at. So only a letter that comes after a silence wakes the loop; those that follow it
 * within a tenth of a second wait for the end of that time, or for the next request.
 */
#ifndef BDAT_INBOX_H
#define BDAT_INBOX_H

#include <stdbool.h>
#include <stdint.h>

struct inbox;
struct event_base;

/* A letter begins with this; the poster allocates, `deliver` runs on the loop and frees it. */
struct letter {
    struct letter *next;
    void (*deliver)(void *context, struct letter *letter);
};

/* `context` is handed to each letter's deliver(). NULL when memory or descriptors are short. */
struct inbox *inbox_new(struct event_base *base, void *context);

/* Delivers what is left, frees and nulls the pointer; NULL is fine. */
void inbox_free(struct inbox **inbox);

/* Any thread: puts a letter in, to be delivered within a tenth of a second. */
void inbox_post(struct inbox *inbox, struct letter *letter);

/* Loop: delivers all letters, oldest first. Cheap when there are none. */
void inbox_drain(struct inbox *inbox);

#endif
