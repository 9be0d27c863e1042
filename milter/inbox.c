#include "config.h"

#include "milter/inbox.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

struct inbox {
    _Atomic(struct letter *) newest; /* a stack; the loop takes it whole and turns it round */
    void *context;
    struct event *wake;
    int fd;
};

static void on_wake(evutil_socket_t fd, short what, void *context)
{
    struct inbox *inbox = context;
    eventfd_t count;
    (void)what;
    if (eventfd_read(fd, &count) == 0 || errno == EAGAIN)
        inbox_drain(inbox);
}

struct inbox *inbox_new(struct event_base *base, void *context)
{
    struct inbox *inbox = calloc(1, sizeof(*inbox));
    if (inbox == NULL)
        return NULL;
    inbox->context = context;
    atomic_init(&inbox->newest, NULL);
    inbox->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (inbox->fd >= 0)
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
    while (!atomic_compare_exchange_weak_explicit(&inbox->newest, &newest, letter,
                                                  memory_order_release, memory_order_relaxed));
    /* Whoever finds the inbox empty wakes; the others' letters are taken along. */
    if (newest == NULL)
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
