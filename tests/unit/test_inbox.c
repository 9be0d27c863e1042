/* The inbox: letters of many threads arrive once each, in the order of their poster, and wake a
 * loop that sleeps. */
#include "tests/unit/cmocka_all.h"

#include <pthread.h>
#include <stdlib.h>

#include <event2/event.h>
#include <event2/thread.h>

#include "milter/inbox.h"

#define POSTERS 4
#define LETTERS 20000

struct desk {
    struct event_base *base;
    struct inbox *inbox;
    unsigned next[POSTERS]; /* number of the letter that is due */
    unsigned all;
    bool in_order;
};

struct note {
    struct letter letter;
    unsigned poster;
    unsigned number;
};

static void deliver(void *context, struct letter *letter)
{
    struct desk *desk = context;
    struct note *note = (struct note *)(void *)letter;
    desk->in_order &= desk->next[note->poster]++ == note->number;
    if (++desk->all == POSTERS * LETTERS && desk->base != NULL)
        event_base_loopbreak(desk->base);
    free(note);
}

static void post(struct inbox *inbox, unsigned poster, unsigned number)
{
    struct note *note = calloc(1, sizeof(*note));
    if (note == NULL)
        abort();
    note->letter.deliver = deliver;
    note->poster = poster;
    note->number = number;
    inbox_post(inbox, &note->letter);
}

struct poster {
    struct inbox *inbox;
    unsigned number;
};

static void *post_all(void *context)
{
    struct poster *poster = context;
    for (unsigned i = 0; i < LETTERS; i++)
        post(poster->inbox, poster->number, i);
    return NULL;
}

static void on_late(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    event_base_loopbreak(context);
}

static void test_threads_wake_the_loop(void **state)
{
    struct desk desk = {.in_order = true};
    struct poster posters[POSTERS];
    pthread_t threads[POSTERS];
    const struct timeval patience = {60, 0};
    (void)state;
    desk.base = event_base_new();
    desk.inbox = inbox_new(desk.base, &desk);
    assert_non_null(desk.inbox);
    for (unsigned i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){desk.inbox, i};
        assert_int_equal(pthread_create(&threads[i], NULL, post_all, &posters[i]), 0);
    }
    event_base_once(desk.base, -1, EV_TIMEOUT, on_late, desk.base, &patience);
    event_base_dispatch(desk.base);
    for (unsigned i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(desk.all, POSTERS * LETTERS);
    assert_true(desk.in_order);
    inbox_free(&desk.inbox);
    event_base_free(desk.base);
}

/* Delivered by a drain, the wake-up that follows finds nothing; the loop delivers the next letter
 * all the same, at once or with those of the next tenth of a second. */
static void test_drain_before_wake(void **state)
{
    struct desk desk = {.in_order = true};
    struct event_base *base = event_base_new();
    const struct timeval patience = {60, 0};
    (void)state;
    desk.inbox = inbox_new(base, &desk);
    event_base_once(base, -1, EV_TIMEOUT, on_late, base, &patience);
    for (unsigned i = 0; i < 10; i++) {
        post(desk.inbox, 0, i);
        if (i % 2 == 0)
            inbox_drain(desk.inbox);
        event_base_loop(base, EVLOOP_NONBLOCK);
        while (desk.all == i && !event_base_got_break(base))
            event_base_loop(base, EVLOOP_ONCE);
        assert_int_equal(desk.all, i + 1);
    }
    inbox_drain(desk.inbox);
    assert_true(desk.in_order);
    inbox_free(&desk.inbox);
    event_base_free(base);
}

static void test_free_delivers_the_rest(void **state)
{
    struct desk desk = {.in_order = true};
    struct event_base *base = event_base_new();
    (void)state;
    desk.inbox = inbox_new(base, &desk);
    for (unsigned i = 0; i < 5; i++)
        post(desk.inbox, 0, i);
    inbox_free(&desk.inbox);
    assert_null(desk.inbox);
    inbox_free(&desk.inbox);
    assert_int_equal(desk.all, 5);
    assert_true(desk.in_order);
    event_base_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_wake_the_loop),
        cmocka_unit_test(test_drain_before_wake),
        cmocka_unit_test(test_free_delivers_the_rest),
    };
    evthread_use_pthreads();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
