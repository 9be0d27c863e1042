/* Tickers: every so often, once, at the earlier of two times, and not after their end. */
#include "tests/unit/cmocka_all.h"

#include <stdbool.h>

#include <event2/event.h>

#include "milter/clock.h"
#include "milter/ticker.h"

struct counter {
    struct event_base *base;
    unsigned ticks;
    unsigned enough; /* the loop ends at this many */
};

static void count(void *context)
{
    struct counter *counter = context;
    if (++counter->ticks == counter->enough)
        event_base_loopbreak(counter->base);
}

static void on_late(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    event_base_loopbreak(context);
}

/* Runs the loop until there are enough ticks, for a minute at most; milliseconds it took. */
static int64_t run(struct counter *counter)
{
    const struct timeval patience = {60, 0};
    int64_t begun_ms = clock_monotonic_ms();
    event_base_once(counter->base, -1, EV_TIMEOUT, on_late, counter->base, &patience);
    event_base_dispatch(counter->base);
    return clock_monotonic_ms() - begun_ms;
}

static void test_runs_at_intervals(void **state)
{
    struct counter counter = {event_base_new(), 0, 3};
    struct ticker *ticker = ticker_new(counter.base, count, &counter);
    (void)state;
    assert_non_null(ticker);
    ticker_run(ticker, 5);
    assert_true(run(&counter) >= 15 - 1);
    assert_int_equal(counter.ticks, 3);
    ticker_free(&ticker);
    assert_null(ticker);
    ticker_free(&ticker);
    event_base_free(counter.base);
}

/* The second arming does not put the tick off; after it the ticker can be armed anew. */
static void test_is_armed_once(void **state)
{
    struct counter counter = {event_base_new(), 0, 1};
    struct ticker *ticker = ticker_new(counter.base, count, &counter);
    (void)state;
    ticker_arm(ticker, 20);
    ticker_arm(ticker, 3600 * 1000);
    assert_true(run(&counter) >= 20 - 1);
    assert_int_equal(counter.ticks, 1);
    counter.enough = 2;
    ticker_arm(ticker, 1);
    run(&counter);
    assert_int_equal(counter.ticks, 2);
    ticker_free(&ticker);
    event_base_free(counter.base);
}

static void test_stands_still_until_told(void **state)
{
    struct counter counter = {event_base_new(), 0, 0};
    struct counter other = {counter.base, 0, 2};
    struct ticker *still = ticker_new(counter.base, count, &counter);
    struct ticker *gone = ticker_new(counter.base, count, &counter);
    struct ticker *ticker = ticker_new(counter.base, count, &other);
    (void)state;
    ticker_run(gone, 1);
    ticker_free(&gone);
    ticker_run(ticker, 5);
    run(&other);
    assert_int_equal(other.ticks, 2);
    assert_int_equal(counter.ticks, 0);
    ticker_free(&still);
    ticker_free(&ticker);
    event_base_free(counter.base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_at_intervals),
        cmocka_unit_test(test_is_armed_once),
        cmocka_unit_test(test_stands_still_until_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
