/*
 * A clock's tick on the event loop: a call every so often, or once after a while.
 *
 * By timerfd_create(2), since a timer of libevent's gives every epoll_wait(2) of a busy loop a
 * timeout to be computed and armed, a tenth of what a table lookup costs. Owned by the loop's
 * thread.
 */
#ifndef BDAT_TICKER_H
#define BDAT_TICKER_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct ticker;

/* A ticker that stands still. NULL when memory or descriptors are short. */
struct ticker *ticker_new(struct event_base *base, void (*tick)(void *context), void *context);

/* Frees it and nulls the pointer; NULL is fine. Not from within tick(). */
void ticker_free(struct ticker **ticker);

/* From now on tick() is called every interval_ms (at least 1). */
void ticker_run(struct ticker *ticker, int64_t interval_ms);

/* tick() is called once, after delay_ms (at least 1); sooner if it is armed already. */
void ticker_arm(struct ticker *ticker, int64_t delay_ms);

#endif
