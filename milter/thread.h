/*
 * Threads beside the loop's.
 */
#ifndef BDAT_THREAD_H
#define BDAT_THREAD_H

#include <pthread.h>

/* Starts a thread that gets no signals: those belong to the loop's thread. 0, or -1. */
int thread_start(pthread_t *thread, void *(*run)(void *context), void *context)
    __attribute__((warn_unused_result));

#endif
