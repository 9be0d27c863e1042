/*
 * SIGHUP, SIGTERM and SIGINT belong to the event loop.
 *
 * libmilter starts a thread that waits for these signals by sigwait(3) and ends the filter when
 * one comes, SIGHUP included, and offers no way to switch that off (libmilter/signal.c). Which of
 * two waiting threads gets a signal is the kernel's choice. So libmilter finds this sigwait(),
 * the program's own, which never sees a signal; the loop has them by sigaction(2). Nothing
 * else in the program calls sigwait().
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

int sigwait(const sigset_t *restrict set, int *restrict signal)
{
    sigset_t all;
    (void)set;
    (void)signal;
    sigfillset(&all);
    for (;;)
        sigsuspend(&all);
}
