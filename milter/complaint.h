/*
 * What is wrong with a value, in the words of whoever looked at it: they follow the name of the
 * value in the message that people read.
 */
#ifndef BDAT_COMPLAINT_H
#define BDAT_COMPLAINT_H

#include <stddef.h>

/* Writes the words into `error`, cut to `error_size` octets with their NUL. Returns -1, so that a
 * function can end with it. */
int complain(char *error, size_t error_size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
