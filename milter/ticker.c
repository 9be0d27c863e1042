#include "config.h"

#include "milter/ticker.h"

#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <event2/event.h>

struct ticker {
    struct event *readable;
    void (*tick)(void *context);
    void *context;
    int fd;
    bool armed;
};

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct ticker *ticker = context;
    uint64_t missed;
    (void)what;
    if (read(fd, &missed, sizeof(missed)) != (ssize_t)sizeof(missed))
        return;
    ticker->armed = false;
    ticker->tick(ticker->context);
}

struct ticker *ticker_new(struct event_base *base, void (*tick)(void *context), void *context)
{
    struct ticker *ticker = calloc(1, sizeof(*ticker));
    if (ticker == NULL)
        return NULL;
    ticker->tick = tick;
    ticker->context = context;
    ticker->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (ticker->fd >= 0)
        ticker->readable = event_new(base, ticker->fd, EV_READ | EV_PERSIST, on_readable, ticker);
    if (ticker->readable == NULL || event_add(ticker->readable, NULL) != 0)
        ticker_free(&ticker);
    return ticker;
}

void ticker_free(struct ticker **ticker)
{
    struct ticker *old = *ticker;
    if (old == NULL)
        return;
    if (old->readable != NULL)
        event_free(old->readable);
    if (old->fd >= 0)
        close(old->fd);
    free(old);
    *ticker = NULL;
}

static void set(const struct ticker *ticker, int64_t first_ms, int64_t interval_ms)
{
    const struct itimerspec times = {
        .it_value = {first_ms / 1000, first_ms % 1000 * 1000000},
        .it_interval = {interval_ms / 1000, interval_ms % 1000 * 1000000},
    };
    timerfd_settime(ticker->fd, 0, &times, NULL);
}

void ticker_run(struct ticker *ticker, int64_t interval_ms)
{
    set(ticker, interval_ms, interval_ms);
}

void ticker_arm(struct ticker *ticker, int64_t delay_ms)
{
    if (!ticker->armed)
        set(ticker, delay_ms, 0);
    ticker->armed = true;
}
