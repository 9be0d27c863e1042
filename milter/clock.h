/*
 * The two clocks. Durations use the monotonic one, what people read the wall clock.
 */
#ifndef BDAT_CLOCK_H
#define BDAT_CLOCK_H

#include <stdint.h>
#include <stddef.h>
#include <time.h>

#define CLOCK_TEXT_SIZE 32

static inline int64_t clock_read_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Milliseconds of a clock that never steps. */
static inline int64_t clock_monotonic_ms(void)
{
    return clock_read_ms(CLOCK_MONOTONIC);
}

/* The same in nanoseconds. */
static inline int64_t clock_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Milliseconds since the epoch. */
static inline int64_t clock_wall_ms(void)
{
    return clock_read_ms(CLOCK_REALTIME);
}

/* The same as of the kernel's last tick, some milliseconds ago at most; costs next to nothing. */
static inline int64_t clock_wall_about_ms(void)
{
#ifdef CLOCK_REALTIME_COARSE
    return clock_read_ms(CLOCK_REALTIME_COARSE);
#else
    return clock_wall_ms();
#endif
}

/* Writes a wall time as RFC 3339 UTC with milliseconds; returns `text`. */
char *clock_format(int64_t wall_ms, char text[CLOCK_TEXT_SIZE]);

#endif
