/* What every test of the daemon's modules includes first, in the order that cmocka wants. */
#ifndef BDAT_CMOCKA_ALL_H
#define BDAT_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
