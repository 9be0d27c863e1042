#include "config.h"

#include "milter/inbox.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "milter/ticker.h"

/* How long a letter may wait for the loop when others came just before it. */
#define WATCH_MS 100

struct inbox {
    _Atomic(struct letter *) newest; /* a stack; the loop takes it whole and turns it round */
    atomic_bool watched;             /* a tick to come looks into it: nobody need wake the loop */
    struct ticker *watch;
    void *context;
    struct event *wake;
    int fd;
};

/* Where one letter came more will follow: they wait for the tick, or for the next request. */
static void begin_watch(struct inbox *inbox)
{
    atomic_store(&inbox->watched, true);
    ticker_arm(inbox->watch, WATCH_MS);
}

static void on_wake(evutil_socket_t fd, short what, void *context)
{
    struct inbox *inbox = context;
    eventfd_t count;
    (void)what;
    if (eventfd_read(fd, &count) != 0 && errno != EAGAIN)
        return;
    begin_watch(inbox);
    inbox_drain(inbox);
}

/* The watch is over before the look: whoever posts after the look finds that it has to wake. */
static void on_watch(void *context)
{
    struct inbox *inbox = context;
    atomic_store(&inbox->watched, false);
    if (atomic_load(&inbox->newest) == NULL)
        return;
    begin_watch(inbox);
    inbox_drain(inbox);
}

struct inbox *inbox_new(struct event_base *base, void *context)
{
    struct inbox *inbox = calloc(1, sizeof(*inbox));
    if (inbox == NULL)
        return NULL;
    inbox->context = context;
    atomic_init(&inbox->newest, NULL);
    atomic_init(&inbox->watched, false);
    inbox->watch = ticker_new(base, on_watch, inbox);
    inbox->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (inbox->fd >= 0 && inbox->watch != NULL)
        inbox->wake = event_new(base, inbox->fd, EV_READ | EV_PERSIST, on_wake, inbox);
    if (inbox->wake == NULL || event_add(inbox->wake, NULL) != 0)
        inbox_free(&inbox);
    return inbox;
}

void inbox_free(struct inbox **inbox)
{
    struct inbox *old = *inbox;
    if (old == NULL)
        return;
    inbox_drain(old);
    if (old->wake != NULL)
        event_free(old->wake);
    ticker_free(&old->watch);
    if (old->fd >= 0)
        close(old->fd);
    free(old);
    *inbox = NULL;
}

void inbox_post(struct inbox *inbox, struct letter *letter)
{
    struct letter *newest = atomic_load_explicit(&inbox->newest, memory_order_relaxed);
    do
        letter->next = newest;
    while (!atomic_compare_exchange_weak(&inbox->newest, &newest, letter));
    /* Whoever finds the inbox empty wakes; the others' letters are taken along. */
    if (newest == NULL && !atomic_load(&inbox->watched))
        eventfd_write(inbox->fd, 1);
}

void inbox_drain(struct inbox *inbox)
{
    if (atomic_load_explicit(&inbox->newest, memory_order_relaxed) == NULL)
        return;
    struct letter *stack = atomic_exchange_explicit(&inbox->newest, NULL, memory_order_acquire);
    struct letter *oldest = NULL;
    while (stack != NULL) {
        struct letter *next = stack->next;
        stack->next = oldest;
        oldest = stack;
        stack = next;
    }
    while (oldest != NULL) {
        struct letter *next = oldest->next;
        oldest->deliver(inbox->context, oldest);
        oldest = next;
    }
}
